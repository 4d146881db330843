"""What the tests of the wheel share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vcp_clip

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
