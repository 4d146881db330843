"""Weight files as arrays."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

import vcp_clip


def write_safetensors(path: Path, tensors: dict[str, tuple[str, np.ndarray[Any, Any]]]) -> None:
    header: dict[str, Any] = {}
    content = b""
    for name, (kind, array) in tensors.items():
        data = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)


def test_every_type_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    halves = np.array([[1, -2.5, 3]], np.float32)
    expected: dict[str, tuple[str, np.ndarray[Any, Any]]] = {
        "f32": ("F32", np.arange(6, dtype=np.float32).reshape(2, 3)),
        "f16": ("F16", np.arange(6, dtype=np.float16).reshape(3, 2)),
        "f64": ("F64", np.array(1.5)),
        "i64": ("I64", np.array([2**62 + 1, -1])),
        "i32": ("I32", np.array([[[7]]], np.int32)),
        "u8": ("U8", np.zeros((0, 3), np.uint8)),
        "bool": ("BOOL", np.array([True, False])),
        "bf16": ("BF16", (halves.view(np.uint32) >> 16).astype(np.uint16)),
    }
    write_safetensors(path, expected)
    found = vcp_clip.read_checkpoint(path)
    assert list(found) == sorted(expected)
    for name, (_, array) in expected.items():
        if name == "bf16":
            array = halves
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        assert np.array_equal(found[name], array), name
    found["f32"][0, 0] = 5


def test_the_fixtures_checkpoint_is_read() -> None:
    found = vcp_clip.read_checkpoint(REPOSITORY / "fixtures/mini/vcp.pth")
    assert len(found) > 10 and all(np.isfinite(array).all() for array in found.values())


def test_nothing_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pth"
    # The pickle of os.system("touch …").
    pickle = b"cos\nsystem\n(S'touch " + str(tmp_path / "executed").encode() + b"'\ntR."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + pickle)
        archive.writestr("archive/version", b"3\n")
    with pytest.raises(vcp_clip.ModelError, match="system"):
        vcp_clip.read_checkpoint(path)
    assert not (tmp_path / "executed").exists()
    with pytest.raises(vcp_clip.ModelError, match="missing"):
        vcp_clip.read_checkpoint(tmp_path / "missing.pth")
