"""Photos of Ray Data, by a real Ray with two workers on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DAMAGED, PHOTOS, example, records_by_path, without

import vcp_clip
import vcp_clip.ray

pa = pytest.importorskip("pyarrow")
Records = dict[str, dict[str, Any]]
# What Ray itself warns of.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.data
    except ImportError as error:
        without("ray", f"Ray is not installed: {error}")
    for attempts_left in (2, 1, 0):
        try:
            # Two workers, and what reads for them.
            ray.init(num_cpus=3, include_dashboard=False, object_store_memory=200 << 20, logging_level=logging.ERROR)
            break
        except Exception:
            # It gives up after 30 seconds, which a machine with other work may need.
            ray.shutdown()
            if not attempts_left:
                raise
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


def test_the_example_gives_the_command_lines_records(
    ray: Any, many_photos: Path, many_records: Records, tmp_path: Path
) -> None:
    example("ray_photos").main([str(many_photos), str(tmp_path), "--batch", "8"])
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(tmp_path).to_pylist()
    assert records_by_path(rows) == many_records
    (failed,) = [row for row in rows if row["error"] is not None]
    assert failed["path"] == str(many_photos / DAMAGED) and failed["score"] is None


def test_a_worker_that_is_killed_changes_nothing(
    ray: Any, many_photos: Path, many_records: Records, tmp_path: Path
) -> None:
    dead = str(tmp_path / "dead")

    class Mortal(vcp_clip.ray.Inspect):
        """Is killed in the middle of its third batch, but not when that is tried again."""

        batches = 0

        def __call__(self, batch: Any) -> Any:
            import signal

            records = super().__call__(batch)
            self.batches += 1
            if self.batches == 3:
                try:
                    os.close(os.open(dead, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return records
                os.kill(os.getpid(), signal.SIGKILL)
            return records

    two = ray.data.ActorPoolStrategy(size=2)
    photos = ray.data.read_binary_files(str(many_photos), include_paths=True, override_num_blocks=8)
    records = photos.map_batches(Mortal, batch_size=8, batch_format="pyarrow", compute=two, num_cpus=1)
    rows = records.take_all()
    assert os.path.exists(dead)
    assert len(rows) == PHOTOS and records_by_path(rows) == many_records


@pytest.mark.parametrize("batch_format", ["numpy", "pyarrow"])
def test_pixels_give_the_command_lines_records(
    ray: Any, many_photos: Path, many_records: Records, batch_format: str
) -> None:
    paths = sorted(map(str, (many_photos / "line-0").iterdir()))[:12]
    photos = ray.data.read_images(paths, include_paths=True, mode="RGB")
    options = {"inspector": vcp_clip.Inspector(threads=1), "column": "image"}
    one = ray.data.ActorPoolStrategy(size=1)
    rows = photos.map_batches(
        vcp_clip.ray.Inspect, fn_constructor_kwargs=options, batch_format=batch_format, compute=one, num_cpus=1
    ).take_all()
    assert records_by_path(rows) == {path: many_records[path] for path in paths}


def test_batches_are_dictionaries_of_arrays_or_tables(many_photos: Path, many_records: Records) -> None:
    paths = sorted(map(str, (many_photos / "line-1").iterdir()))[:4]
    inspect = vcp_clip.ray.Inspect(vcp_clip.Inspector(threads=1))
    expected = [many_records[path] for path in paths]
    for batch in ({"path": np.array(paths)}, {"path": np.array(paths, object)}, pa.table({"path": paths})):
        found = inspect(batch)
        assert isinstance(found, pa.Table)
        assert list(records_by_path(found.to_pylist()).values()) == expected
    assert inspect({"path": np.array([], object)}).num_rows == 0
    # Of different sizes, and of a range.
    images = np.empty(2, object)
    images[:] = [np.zeros((20, 30, 3), np.uint8), np.ones((30, 20), np.float32)]
    ranged = vcp_clip.ray.Inspect(value_range=(0, 1), mask_rle=True, map=True)
    rows = ranged({"image": images, "path": np.array(["a", "b"])}).to_pylist()
    assert [(row["path"], row["width"], row["height"], row["error"]) for row in rows] == [
        ("a", 30, 20, None),
        ("b", 20, 30, None),
    ]
    assert all(sum(row["mask_rle"]) == 600 == len(row["map"]["values"]) for row in rows)
    for wrong in ({"id": np.array([1, 2])}, {"a": images, "b": images}, pa.table({"id": [1]}), [1]):
        with pytest.raises(vcp_clip.InputError):
            inspect(wrong)  # type: ignore[arg-type]
    with pytest.raises(vcp_clip.InputError, match="inspector is of the type str"):
        vcp_clip.ray.Inspect("visa")  # type: ignore[arg-type]
