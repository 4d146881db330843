"""The stubs and the module agree, and programs that use it pass a strict check of types."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vcp_clip
import vcp_clip.ray
import vcp_clip.spark

SAMPLE = '''
import numpy as np
import numpy.typing as npt
from PIL import Image

import vcp_clip
import vcp_clip.ray
import vcp_clip.spark
from vcp_clip import metrics

inspector: vcp_clip.Inspector = vcp_clip.Inspector("visa", threads=2, tile=518, bits=12, range=(0.0, 1.0))
found: vcp_clip.Inspection = inspector.inspect("photo.jpg")
values: npt.NDArray[np.float32] = found.anomaly_map
box: tuple[int, int, int, int] = found.regions[0].box
review: float | None = found.thresholds.review
scores: list[float] = [one.pred_score for one in inspector.inspect_batch([b"", "a.png", Image.new("L", (4, 4)), values])]
for one in inspector.inspect_batch(["a.png"], errors="return"):
    text: str = str(one) if isinstance(one, vcp_clip.VcpClipError) else one.decision
calibration: vcp_clip.Calibration = vcp_clip.calibrate(inspector, ["good.png"], ["bad.png"], [values > 0.5])
auroc: float | None = metrics.pixels([(values, None), (values, values > 0.5)]).auroc
weights: dict[str, npt.NDArray[np.float32]] = vcp_clip.read_checkpoint("train_visa.pth")
path: str = vcp_clip.pull("visa", progress=print)
in_ray = vcp_clip.ray.Inspect(inspector, column="image", value_range=(0.0, 1.0))
rows: int = in_ray({"image": values}).num_rows
in_spark: str = vcp_clip.spark.Inspect(inspector, mask_rle=True).schema
'''


def mypy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


def test_the_stubs_are_those_of_the_module() -> None:
    pytest.importorskip("mypy")
    done = mypy("mypy.stubtest", "vcp_clip._vcp_clip", "vcp_clip.metrics", "--concise", "--ignore-disjoint-bases")
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_pass_a_strict_check(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(SAMPLE)
    cache = ["--cache-dir", str(tmp_path / "cache")]
    done = mypy("mypy", "--strict", *cache, str(program))
    assert done.returncode == 0, done.stdout + done.stderr
    done = mypy("mypy", "--strict", *cache, "-p", "vcp_clip")
    assert done.returncode == 0, done.stdout + done.stderr
    # What is wrong is found.
    program.write_text(SAMPLE + "inspector.inspect(3)\n")
    assert mypy("mypy", "--strict", *cache, str(program)).returncode == 1


def test_what_is_public_is_described() -> None:
    things = {name: getattr(vcp_clip, name) for name in vcp_clip.__all__ if name not in ("__version__", "metrics")}
    things |= {"ray.Inspect": vcp_clip.ray.Inspect, "spark.Inspect": vcp_clip.spark.Inspect}
    for name, thing in things.items():
        assert thing.__doc__, name
        if inspect.isclass(thing) and issubclass(thing, Exception):
            continue
        for part, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not part.startswith("_"):
                assert value.__doc__, f"{name}.{part}"
