"""Photos of Spark, by a real Spark on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DAMAGED, PHOTOS, example, records_by_path, without

import vcp_clip
import vcp_clip.spark

pa = pytest.importorskip("pyarrow")
Records = dict[str, dict[str, Any]]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    try:
        import pyspark.sql as sql
    except ImportError as error:
        without("spark", f"Spark is not installed: {error}")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        without("spark", "Spark needs Java")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = sql.SparkSession.builder.master("local[2]")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def without_scheme(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the command line calls the photos."""
    return [{name: it.replace("file:", "") if isinstance(it, str) else it for name, it in row.items()} for row in rows]


def test_the_example_gives_the_command_lines_records(
    spark: Any, many_photos: Path, many_records: Records, tmp_path: Path
) -> None:
    example("spark_photos").main([str(many_photos), str(tmp_path / "records"), "--batch", "8"])
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "records")
    rows = without_scheme(table.to_pylist())
    assert len(rows) == PHOTOS and records_by_path(rows) == many_records
    (failed,) = [row for row in rows if row["error"] is not None]
    assert failed["path"] == str(many_photos / DAMAGED) and failed["score"] is None


def test_paths_masks_and_maps(spark: Any, many_photos: Path, many_records: Records) -> None:
    paths = sorted(map(str, (many_photos / "line-1").iterdir()))[:10]
    inspect = vcp_clip.spark.Inspect(vcp_clip.Inspector(threads=1), mask_rle=True, map=True)
    photos = spark.createDataFrame([(path,) for path in paths], "path STRING")
    rows = [row.asDict(recursive=True) for row in photos.mapInArrow(inspect, inspect.schema).collect()]
    for row in rows:
        assert sum(row.pop("mask_rle")) == 96 * 96 == len(row.pop("map")["values"])
    assert records_by_path(rows) == {path: many_records[path] for path in paths}


def test_batches_are_cut(many_photos: Path) -> None:
    paths = sorted(map(str, (many_photos / "line-2").iterdir()))[:18]
    batches = vcp_clip.spark.Inspect(vcp_clip.Inspector(threads=1))([pa.record_batch({"path": paths})])
    first = next(batches)
    assert first.num_rows < len(paths)
    assert [row["path"] for one in [first, *batches] for row in one.to_pylist()] == paths
    assert list(vcp_clip.spark.Inspect()([pa.record_batch({"path": pa.array([], pa.string())})])) == []
    with pytest.raises(vcp_clip.InputError, match="inspector is of the type str"):
        vcp_clip.spark.Inspect("visa")  # type: ignore[arg-type]
