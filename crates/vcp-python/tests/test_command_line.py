"""The same numbers as the command line, to the bit; and the command that the wheel brings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES, program, script, segment, timeless

import vcp_clip

PHOTOS = [SAMPLES / "cookie-broken-1.jpg", SAMPLES / "spindle-pitting-2.jpg"]


def test_records_and_maps_equal_the_command_lines(inspector: vcp_clip.Inspector, tmp_path: Path) -> None:
    records = segment(*PHOTOS, "--out", tmp_path, "--save", "npy,mask,overlay")
    for photo, record in zip(PHOTOS, records, strict=True):
        found = inspector.inspect(photo)
        assert timeless(found.to_dict()) == timeless(record)
        assert json.loads(found.to_json()) == found.to_dict()
        saved = np.load(record["files"]["map"])
        assert found.model_map.dtype == np.float32 and np.array_equal(found.model_map, saved)
        assert found.pred_score == record["score"] and found.decision == record["decision"]
        assert found.max == record["max"] and np.float32(found.max) == saved.max()
        from PIL import Image

        assert np.array_equal(found.pred_mask, np.asarray(Image.open(record["files"]["mask"])) > 0)
        assert np.array_equal(found.overlay(), np.asarray(Image.open(record["files"]["overlay"])))
        regions = record["regions"]
        assert [list(it.box) for it in found.regions] == [list(it["box"].values()) for it in regions]
        assert [it.peak for it in found.regions] == [it["peak"] for it in regions]
    batch = inspector.inspect_batch(PHOTOS)
    assert [timeless(it.to_dict()) for it in batch] == [timeless(it) for it in records]


def test_windows_give_the_command_lines_map(tmp_path: Path) -> None:
    photo = PHOTOS[0]
    options = ["--tile", 400, "--overlap", 0.1, "--global-weight", 0.3]
    (record,) = segment(photo, "--out", tmp_path, "--save", "npy", *options)
    found = vcp_clip.Inspector(tile=400, overlap=0.1, global_weight=0.3).inspect(photo)
    assert timeless(found.to_dict()) == timeless(record)
    assert np.array_equal(found.anomaly_map, np.load(record["files"]["map"]))


def test_options_mean_the_same(tmp_path: Path) -> None:
    options = {"score_threshold": 0.2, "review_threshold": 0.1, "pixel_threshold": 0.3, "min_area": 50, "threads": 1}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    (record,) = segment(PHOTOS[1], *words)
    found = vcp_clip.Inspector(**options).inspect(PHOTOS[1])  # type: ignore[arg-type]
    assert timeless(found.to_dict()) == timeless(record)
    assert found.thresholds.score == 0.2 and found.thresholds.review == 0.1


def test_references_are_compared_with_as_the_command_line_does(tmp_path: Path) -> None:
    good = SAMPLES / "cookie-good.jpg"
    (record,) = segment(PHOTOS[0], "--reference", good)
    found = vcp_clip.Inspector(references=good).inspect(PHOTOS[0])
    assert timeless(found.to_dict()) == timeless(record)
    assert "references_sha256" in record


def test_masks_mean_the_same(save: Callable[..., Path], tmp_path: Path) -> None:
    from PIL import Image

    width, height = Image.open(PHOTOS[0]).size
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    path = save("mask.png", mask)
    (record,) = segment(PHOTOS[0], "--inspect-mask", path)
    by_file = vcp_clip.Inspector(inspect_mask=path).inspect(PHOTOS[0])
    by_array = vcp_clip.Inspector(inspect_mask=mask.astype(bool)).inspect(PHOTOS[0])
    assert timeless(by_file.to_dict()) == timeless(by_array.to_dict()) == timeless(record)
    assert np.isnan(by_file.anomaly_map[-1]).all() and not np.isnan(by_file.anomaly_map[0]).any()


def test_calibrations_are_the_command_lines(tmp_path: Path, inspector: vcp_clip.Inspector) -> None:
    from PIL import Image

    good = Image.open(SAMPLES / "cookie-good.jpg")
    paths = []
    for number in range(12):
        path = tmp_path / f"good-{number:02}.png"
        good.crop((number, 0, number + 200, 200)).save(path)
        paths.append(path)
    words = [program(), "calibrate", *map(str, paths), "--data", "cookies", "--quiet"]
    printed = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    found = vcp_clip.calibrate(inspector, paths, data="cookies")
    assert found.to_dict() == printed
    assert any("Score threshold" in sentence for sentence in found.meaning)
    saved = tmp_path / "cookies.json"
    found.save(saved)
    assert vcp_clip.Calibration.open(saved) == found
    (record,) = segment(PHOTOS[0], "--calibration", saved)
    for calibration in (saved, found):
        inspection = vcp_clip.Inspector(calibration=calibration).inspect(PHOTOS[0])
        assert timeless(inspection.to_dict()) == timeless(record)


def test_calibrations_with_defects_are_the_command_lines(tmp_path: Path, inspector: vcp_clip.Inspector) -> None:
    from PIL import Image

    random = np.random.default_rng(3)
    for name in ("good", "bad", "masks"):
        (tmp_path / name).mkdir()
    for number in range(12):
        photo = random.integers(110, 120, (64, 64, 3), np.uint8)
        Image.fromarray(photo).save(tmp_path / f"good/{number:02}.png")
        if number < 5:
            mask = np.zeros((64, 64), np.uint8)
            mask[8 * number : 8 * number + 14, 20:40] = 255
            photo[mask > 0] = (200, 20, 30)
            Image.fromarray(photo).save(tmp_path / f"bad/{number:02}.png")
            Image.fromarray(mask).save(tmp_path / f"masks/{number:02}.png")
    good, bad, masks = (sorted((tmp_path / name).iterdir()) for name in ("good", "bad", "masks"))
    folders = ["--normal", tmp_path / "good", "--anomalous", tmp_path / "bad", "--masks", tmp_path / "masks"]
    words = [program(), "calibrate", *folders, "--data", "spots", "--quiet"]
    printed = json.loads(subprocess.run(list(map(str, words)), capture_output=True, check=True).stdout)
    found = vcp_clip.calibrate(inspector, good, bad, masks, data="spots")
    assert found.to_dict() == printed
    arrays = [np.asarray(Image.open(mask)) > 0 for mask in masks]
    by_arrays = vcp_clip.calibrate(inspector, good, bad, arrays, data="spots")
    assert by_arrays.score_threshold == found.score_threshold
    assert by_arrays.pixel_threshold == found.pixel_threshold
    with pytest.raises(vcp_clip.InputError, match="5 bad photos and 4 masks"):
        vcp_clip.calibrate(inspector, good, bad, masks[1:])


def test_damaged_photos_have_the_command_lines_sentence(inspector: vcp_clip.Inspector, tmp_path: Path) -> None:
    whole = PHOTOS[0].read_bytes()
    for name, content in {"cut.jpg": whole[:200], "text.png": b"hello", "empty.png": b"", "not.gif": b"GIF89a"}.items():
        path = tmp_path / name
        path.write_bytes(content)
        (record,) = segment(path, status=1)
        with pytest.raises(vcp_clip.DecodeError) as error:
            inspector.inspect(path)
        assert str(error.value) == record["error"]
        with pytest.raises(vcp_clip.DecodeError) as error:
            inspector.inspect(content, name=str(path))
        assert str(error.value) == record["error"]
    with pytest.raises(vcp_clip.DecodeError, match="missing.png could not be read"):
        inspector.inspect(tmp_path / "missing.png")
    with pytest.raises(vcp_clip.LimitError, match="more than the 100 that are allowed"):
        vcp_clip.Inspector(max_pixels=100).inspect(PHOTOS[0])


def test_the_wheels_command_is_the_program(tmp_path: Path) -> None:
    assert segment(PHOTOS[0], command=script())[0]["score"] == segment(PHOTOS[0])[0]["score"]
    printed = subprocess.run([script(), "--version"], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["vcp-clip", vcp_clip.__version__]
    module = [sys.executable, "-m", "vcp_clip", "segment", str(tmp_path / "missing.png")]
    done = subprocess.run(module, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "missing.png" in json.loads(done.stdout)["path"]
    usage = subprocess.run([script(), "segment", "--no-such-option"], capture_output=True, text=True, check=False)
    assert usage.returncode == 2 and "--no-such-option" in usage.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_wheels_command_ends_by_a_signal_as_the_program_does() -> None:
    # It waits for paths.
    process = subprocess.Popen([script(), "segment", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{PHOTOS[0]}\n".encode())
    process.stdin.flush()
    line: Any = json.loads(process.stdout.readline())
    assert line["path"] == str(PHOTOS[0])
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    assert process.wait(timeout=60) == 130 and time.monotonic() - begun < 60
