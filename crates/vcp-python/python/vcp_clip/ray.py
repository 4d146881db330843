"""Photos of Ray Data, inspected by actors that each load the model once.

>>> import ray, vcp_clip.ray
>>> photos = ray.data.read_binary_files("photos", include_paths=True)
>>> actors = ray.data.ActorPoolStrategy(size=4)
>>> records = photos.map_batches(vcp_clip.ray.Inspect, batch_size=16, compute=actors, num_cpus=2)
>>> records.write_parquet("records")

Needs Ray (``ray[data]``) where it is used; this module imports without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arguments
from ._errors import InputError
from ._inspector import Inspector

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Inspect"]


class Inspect:
    """Inspects batches of photos: the class to give to ``ray.data.Dataset.map_batches``.

    Batches are those of ``read_binary_files`` (encoded files), of ``read_images`` (pixels) or of a table with paths that
    every node can read, with ``batch_format`` ``"numpy"`` or ``"pyarrow"``. Each gives a table with a row for each
    photo, the columns of ``vcp-clip segment --out-table``. A photo that cannot be inspected is a row with its
    ``error``, and nulls but for ``path``. ``path`` is the column of that name, which ``include_paths=True`` adds.

    With encoded files the numbers are those of the command line. ``read_images`` decodes photos itself, so those of JPEG
    files may differ in the last digits, and one damaged file ends the run.

    Args:
        inspector: What to inspect with, as ``fn_constructor_kwargs={"inspector": Inspector("visa")}``; its arguments are
            sent to the workers, which load the model themselves. The built-in model if None. If it does not say how
            many ``threads``, each actor uses as many as ``num_cpus`` grants it.
        column: The column with the photos; if None, the first of ``image``, ``content``, ``bytes`` and ``path`` that is
            there, else the only one.
        mask_rle: Whether there is a column with the mask as lengths of runs.
        map: Whether there is a column with the map: its width, height and values row by row.
        value_range: Of pixels of float32, the values that are black and white.

    Raises:
        ModelError: The model cannot be used.
        DeviceError: The device cannot be used.
    """

    def __init__(
        self,
        inspector: Inspector | None = None,
        *,
        column: str | None = None,
        mask_rle: bool = False,
        map: bool = False,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        if value_range is not None:
            value_range = _arguments.value_range("value_range", value_range, -3.4e38, 3.4e38)
        self._inspector = _inspector(inspector)._on(_processors()).load()
        self._column = column
        self._mask_rle = bool(mask_rle)
        self._map = bool(map)
        self._value_range = value_range

    def __call__(self, batch: dict[str, npt.NDArray[Any]] | pyarrow.Table) -> pyarrow.Table:
        """A record for each photo of a batch."""
        import pyarrow as pa

        from . import _arrow

        of_batch = _of_arrays if isinstance(batch, dict) else _arrow.photos_of
        photos, labels = of_batch(batch, self._column)
        records = _arrow.records(
            self._inspector, photos, labels, mask_rle=self._mask_rle, map=self._map, value_range=self._value_range
        )
        return pa.Table.from_batches([records])


def _inspector(given: object) -> Inspector:
    if given is None:
        return Inspector()
    if not isinstance(given, Inspector):
        raise InputError(f"inspector is of the type {type(given).__name__}, where an Inspector was expected.")
    return given


def _processors() -> int | None:
    """How many the actor has that this is called in."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.get_actor_id() is None:
        return None
    return min(256, max(1, int(context.get_assigned_resources().get("CPU", 1))))


def _of_arrays(batch: dict[str, npt.NDArray[Any]], column: str | None) -> tuple[list[Any], list[str | None]]:
    from . import _arrow

    name = _arrow.column_of(list(batch), column)
    photos = list(batch[name])
    for index, photo in enumerate(photos):
        # Texts of fixed length are numpy.str_ and numpy.bytes_, which say of themselves that they are Python's.
        if not (photo is None or isinstance(photo, (str, bytes, np.ndarray))):
            raise InputError(
                f"The column {name} has {type(photo).__name__} in row {index}, where encoded files, pixels or paths were "
                "expected."
            )
    if name == "path" or "path" not in batch:
        return photos, [None] * len(photos)
    return photos, [None if path is None else str(path) for path in batch["path"]]
