"""Photos of Arrow record batches, and their records as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]

from ._errors import DecodeError, InputError, VcpClipError
from ._vcp_clip import Inspection

if TYPE_CHECKING:
    from ._inspector import Inspector

COLUMNS = ("image", "content", "bytes", "path")
# Photos whose inspections are in memory at a time.
AT_A_TIME = 16


def _list(kind: Any) -> Any:
    return pa.list_(pa.field("element", kind, nullable=False))


def _struct(fields: dict[str, Any], *, nullable: bool) -> Any:
    return pa.struct([pa.field(name, kind, nullable=nullable) for name, kind in fields.items()])


def schema(*, mask_rle: bool = False, map: bool = False) -> pa.Schema:
    """The columns of records, those of `vcp-clip segment --out-table`."""
    whole, single, text = pa.int64(), pa.float32(), pa.string()
    box = _struct({"x": whole, "y": whole, "width": whole, "height": whole}, nullable=False)
    region = {
        "box": box,
        "area": whole,
        "centroid": _list(pa.float64()),
        "peak": single,
        "peak_position": _list(whole),
        "mean": single,
    }
    files = ["overlay", "heatmap", "mask", "map", "branch1", "branch2", "json"]
    columns = {
        "score": single,
        "score_threshold": single,
        "anomalous": pa.bool_(),
        "max": single,
        "pixel_threshold": single,
        "regions": _list(_struct(region, nullable=False)),
        "width": whole,
        "height": whole,
        "files": _struct(dict.fromkeys(files, text), nullable=True),
        "milliseconds": pa.float64(),
        "warnings": _list(text),
        "page": whole,
        "decision": text,
        "review_threshold": single,
        "min_area": whole,
        "mask_sha256": text,
        "references_sha256": text,
        "error": text,
    }
    if mask_rle:
        columns["mask_rle"] = _list(whole)
    if map:
        columns["map"] = _struct({"width": whole, "height": whole, "values": _list(single)}, nullable=False)
    fields = [pa.field("path", text, nullable=False)]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in columns.items()])


def run_lengths(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A mask [height, width] column by column, as the numbers of pixels outside and inside in turn."""
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [pixels.size]]))
    return np.concatenate([[0], counts]) if pixels[0] else counts


def inspect(inspector: Inspector, batch: Any, column: str | None, *, mask_rle: bool, map: bool) -> pa.RecordBatch:
    """A record for each photo of a column."""
    photos, labels = photos_of(batch, column)
    return records(inspector, photos, labels, mask_rle=mask_rle, map=map)


def photos_of(batch: Any, column: str | None) -> tuple[list[Any], list[str | None]]:
    """The photos of a column, and what each is called if it is not a path."""
    table = _table(batch)
    names = table.column_names
    name = column_of(names, column)
    kind = table.schema.field(name).type
    is_path = _is_text(kind)
    # Arrays of pixels are of a type that an extension of Arrow defines.
    is_array = isinstance(kind, pa.BaseExtensionType)
    if not (is_path or is_array or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise InputError(f"The column {name} is of the type {kind}, where binary or string was expected.")
    labels: list[str | None]
    if is_path or names.count("path") != 1 or not _is_text(table.schema.field("path").type):
        labels = [None] * table.num_rows
    else:
        labels = table.column("path").to_pylist()
    photos = table.column(name)
    if isinstance(kind, pa.FixedShapeTensorType):
        return [photo for chunk in photos.chunks for photo in chunk.to_numpy_ndarray()], labels
    return photos.to_pylist(), labels


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def records(
    inspector: Inspector,
    photos: list[Any],
    labels: list[str | None],
    *,
    mask_rle: bool = False,
    map: bool = False,
    value_range: tuple[float, float] | None = None,
) -> pa.RecordBatch:
    """A record for each photo, a few inspected at a time."""
    rows = []
    for begin in range(0, len(photos), AT_A_TIME):
        some = slice(begin, begin + AT_A_TIME)
        for found in _inspect(inspector, photos[some], labels[some], begin, value_range):
            rows.append(_row(*found, mask_rle=mask_rle, map=map))
    return pa.RecordBatch.from_pylist(rows, schema=schema(mask_rle=mask_rle, map=map))


def _inspect(
    inspector: Inspector,
    photos: list[Any],
    labels: list[str | None],
    begin: int,
    value_range: tuple[float, float] | None,
) -> list[tuple[str, Inspection | VcpClipError]]:
    names = []
    for index, (photo, label) in enumerate(zip(photos, labels)):
        names.append(label or (photo if isinstance(photo, str) else f"row {begin + index}"))
    results: list[Any] = []
    given = []
    for photo, name in zip(photos, names):
        if photo is None:
            results.append(DecodeError("There is no photo in this row: its value is null."))
            continue
        of_arrays = value_range if isinstance(photo, np.ndarray) and photo.dtype == np.float32 else None
        try:
            given.append(inspector._given(photo, name, of_arrays))
            results.append(None)
        except VcpClipError as error:
            results.append(error)
    found = iter(inspector._engine().inspect_batch(given, False))
    return [(name, next(found) if result is None else result) for name, result in zip(names, results)]


def _row(name: str, found: Inspection | VcpClipError, *, mask_rle: bool, map: bool) -> dict[str, Any]:
    if isinstance(found, VcpClipError):
        return {"path": name, "error": str(found)}
    row = {"warnings": [], **found.to_dict()}
    if mask_rle:
        row["mask_rle"] = run_lengths(found.pred_mask)
    if map:
        row["map"] = {"width": found.width, "height": found.height, "values": found.anomaly_map.ravel()}
    return row


def _table(batch: Any) -> pa.Table:
    if isinstance(batch, pa.Table):
        return batch
    if isinstance(batch, pa.RecordBatch):
        return pa.Table.from_batches([batch])
    if hasattr(batch, "__arrow_c_stream__"):
        return pa.table(batch)
    if hasattr(batch, "__arrow_c_array__"):
        return pa.Table.from_batches([pa.record_batch(batch)])
    raise InputError(f"A record batch of Arrow was expected, but {type(batch).__name__} was given.")


def column_of(names: list[str], column: str | None) -> str:
    """The column that holds the photos."""
    if column is None:
        known = [name for name in COLUMNS if name in names]
        if known:
            return known[0]
        if len(names) == 1:
            return names[0]
        raise InputError(f"Which column holds the photos is not known; name one of {', '.join(names)}.")
    if names.count(column) != 1:
        raise InputError(f"There is no one column {column}; there are {', '.join(names)}.")
    return column
