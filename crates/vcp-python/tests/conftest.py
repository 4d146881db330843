"""What the tests of the wheel share."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

import vcp_clip

# Shells let what they start in the background ignore it, and children inherit that: none could be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "samples"


def program() -> str:
    """The command line: the program that was built, else the one that the wheel brings."""
    built = os.environ.get("VCP_CLIP_PROGRAM", str(REPOSITORY / "target/debug/vcp-clip"))
    return built if os.path.exists(built) else script()


def script() -> str:
    """The command that the wheel brings."""
    found = shutil.which("vcp-clip", path=sysconfig.get_path("scripts"))
    assert found is not None, "the wheel installs the command"
    return found


def segment(*arguments: object, command: str | None = None, status: int = 0) -> list[dict[str, Any]]:
    """The records that the command line prints."""
    words = [command or program(), "segment", "--quiet", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == status, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the time that the photo took, and the files that were written."""
    return {**record, "milliseconds": 0, "files": {}}


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the record of the command line: without what is absent there, and numbers of 32 bits by their digits."""
    singles = ("score", "score_threshold", "max", "pixel_threshold", "review_threshold")
    found = {name: value for name, value in row.items() if value is not None and value != []}
    if "error" not in found:
        found.setdefault("regions", [])
    found.update({name: float(str(np.float32(found[name]))) for name in singles if name in found})
    for region in found.get("regions", []):
        region.update({name: float(str(np.float32(region[name]))) for name in ("peak", "mean")})
    return timeless(found)


def example(name: str) -> Any:
    """A program of the repository's examples, as a module."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_python(text: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a Python program of its own."""
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="session")
def inspector() -> vcp_clip.Inspector:
    """The built-in model."""
    return vcp_clip.Inspector().load()


@pytest.fixture(scope="session")
def pixels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A photo of 90 × 70 pixels: smooth, with a spot."""
    y, x = np.mgrid[0:70, 0:90]
    photo = np.stack([100 + x, 80 + y, 120 + (x + y) // 3], axis=2)
    photo[30:38, 50:62] = (20, 200, 30)
    return np.clip(photo, 0, 255).astype(np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes an array as a picture."""

    def save(name: str, array: np.ndarray[Any, Any], **options: Any) -> Path:
        path = tmp_path / name
        Image.fromarray(array).save(path, **options)
        return path

    return save


def without(engine: str, why: str) -> NoReturn:
    """Skips what needs an engine, unless it is said to be here."""
    if engine in os.environ.get("VCP_CLIP_ENGINES", "").split():
        pytest.fail(f"VCP_CLIP_ENGINES names {engine}, but {why}")
    pytest.skip(why)


PHOTOS = 200
DAMAGED = "line-1/photo-101.png"


@pytest.fixture(scope="session")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small photos in folders, of which one is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:96, 0:96]
    for number in range(PHOTOS):
        photo = np.stack([90 + x // 2, 100 + y // 2, 120 + (x + y) // 4], axis=2).astype(np.uint8)
        left, top = random.integers(0, 80, 2)
        photo[top : top + 12, left : left + 12] = random.integers(0, 255, 3)
        path = folder / f"line-{number % 4}" / f"photo-{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo).save(path)
    damaged = folder / DAMAGED
    damaged.write_bytes(damaged.read_bytes()[:200])
    return folder


@pytest.fixture(scope="session")
def many_records(many_photos: Path) -> dict[str, dict[str, Any]]:
    """The command line's records of these, by path."""
    records = segment(many_photos, "--threads", 1, status=1)
    assert len(records) == PHOTOS
    return {record["path"]: timeless(record) for record in records}


def records_by_path(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows as records of the command line, each photo once."""
    records = {row["path"]: record_of(row) for row in rows}
    assert len(records) == len(rows)
    return records
