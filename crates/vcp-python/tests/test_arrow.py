"""Photos of Arrow record batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES, record_of, segment, timeless

import vcp_clip

pa = pytest.importorskip("pyarrow")

PHOTO = SAMPLES / "cookie-broken-1.jpg"


def test_rows_equal_the_command_lines_records(inspector: vcp_clip.Inspector, tmp_path: Path) -> None:
    missing = tmp_path / "missing.png"
    records = segment(PHOTO, missing, status=1)
    paths = pa.record_batch({"path": [str(PHOTO), str(missing)]})
    content = pa.record_batch({"path": [str(PHOTO), str(missing)], "content": [PHOTO.read_bytes(), b"no photo"]})
    for batch in (paths, content, pa.table(content)):
        found = inspector.inspect_arrow(batch)
        assert isinstance(found, pa.RecordBatch)
        rows = found.to_pylist()
        assert record_of(rows[0]) == timeless(records[0])
        failed = {name: value for name, value in rows[1].items() if value is not None}
        assert list(failed) == ["path", "error"] and failed["path"] == str(missing)
    assert inspector.inspect_arrow(paths).to_pylist()[1]["error"] == records[1]["error"]


def test_schemas_are_those_of_the_command_lines_tables(tmp_path: Path) -> None:
    import pyarrow.parquet

    from vcp_clip import _arrow

    segment(PHOTO, "--out-table", tmp_path / "table.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "table.parquet")
    assert table.schema.remove_metadata() == _arrow.schema()


def test_any_library_of_arrow_will_do(inspector: vcp_clip.Inspector) -> None:
    class Batch:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            return pa.record_batch({"photo": [str(PHOTO), None]}).__arrow_c_array__(requested_schema)

    rows = inspector.inspect_arrow(Batch()).to_pylist()
    assert rows[0]["path"] == str(PHOTO) and rows[0]["score"] is not None
    assert "null" in rows[1]["error"] and rows[1]["path"] == "row 1"


def test_masks_and_maps(inspector: vcp_clip.Inspector) -> None:
    batch = pa.record_batch({"image": [str(PHOTO)]})
    found = inspector.inspect_arrow(batch, mask_rle=True, map=True)
    assert found.schema.names[-3:] == ["error", "mask_rle", "map"]
    row = found.to_pylist()[0]
    inspection = inspector.inspect(PHOTO)
    values = np.array(row["map"]["values"], np.float32).reshape(row["map"]["height"], row["map"]["width"])
    assert np.array_equal(values, inspection.anomaly_map)
    inside = np.repeat(np.arange(len(row["mask_rle"])) % 2, row["mask_rle"])
    assert np.array_equal(inside.reshape(values.shape, order="F"), inspection.pred_mask)
    assert inspector.inspect_arrow(batch.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize(
    ("batch", "column"),
    [
        ({"a": [1]}, None),
        ({"a": ["x"], "b": ["y"]}, None),
        ({"a": ["x"]}, "b"),
        (None, None),
    ],
)
def test_other_columns_are_refused(inspector: vcp_clip.Inspector, batch: Any, column: str | None) -> None:
    with pytest.raises(vcp_clip.InputError):
        inspector.inspect_arrow(batch and pa.record_batch(batch), column)
