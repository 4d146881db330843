"""Photos as callers have them, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import segment, timeless
from PIL import Image

import vcp_clip

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def same(one: vcp_clip.Inspection, other: vcp_clip.Inspection) -> bool:
    """Whether all numbers agree, to the bit."""
    records = timeless(one.to_dict("photo")) == timeless(other.to_dict("photo"))
    return records and np.array_equal(one.model_map, other.model_map)


def test_every_kind_of_photo_gives_the_same(
    inspector: vcp_clip.Inspector, pixels: Pixels, save: Callable[..., Path]
) -> None:
    path = save("photo.png", pixels)
    expected = inspector.inspect(path)
    content = path.read_bytes()
    wide = np.zeros((70, 180, 3), np.uint8)
    wide[:, ::2] = pixels
    frozen = pixels.copy()
    frozen.flags.writeable = False
    with path.open("rb") as file:
        opened = inspector.inspect(file)
    for found in [
        opened,
        inspector.inspect(str(path)),
        inspector.inspect(content),
        inspector.inspect(bytearray(content)),
        inspector.inspect(memoryview(content)),
        inspector.inspect(io.BytesIO(content)),
        inspector.inspect(Image.open(path)),
        inspector.inspect(Image.fromarray(pixels).convert("RGBA")),
        inspector.inspect(pixels),
        inspector.inspect(frozen),
        inspector.inspect(wide[:, ::2]),
        inspector.inspect(np.asfortranarray(pixels)),
        inspector.inspect(pixels[:, :, ::-1][:, :, ::-1]),
        inspector.inspect((pixels / 255).astype(np.float32), value_range=(0, 1)),
        inspector.inspect(pixels.astype(np.float32), value_range=(0, 255)),
        vcp_clip.inspect(pixels),
    ]:
        assert same(found, expected)
    assert inspector.inspect(pixels).path == "The array"
    assert inspector.inspect(pixels, name="mine").path == "mine"
    assert expected.path == str(path)


def test_grey_stays_grey(inspector: vcp_clip.Inspector, pixels: Pixels, save: Callable[..., Path]) -> None:
    grey = pixels[:, :, 0].copy()
    expected = inspector.inspect(save("grey.png", grey))
    for photo in [grey, grey[:, :, None], Image.fromarray(grey), Image.fromarray(grey).convert("LA")]:
        assert same(inspector.inspect(photo), expected)


def test_sixteen_bits_are_read_as_those_of_files(pixels: Pixels, save: Callable[..., Path]) -> None:
    for white in (1023, 4095, 65535):
        deep = (pixels[:, :, 0].astype(np.uint32) * white // 220).clip(0, white).astype(np.uint16)
        path = save(f"{white}.png", deep)
        for bits in ("auto", 12, 16):
            inspector = vcp_clip.Inspector(bits=bits)  # type: ignore[arg-type]
            expected = inspector.inspect(path)
            for photo in [deep, deep.astype(">u2"), Image.open(path)]:
                found = inspector.inspect(photo)
                assert same(found, expected)
                assert found.warnings == expected.warnings


def test_images_are_turned_as_files_are(
    inspector: vcp_clip.Inspector, pixels: Pixels, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    expected = inspector.inspect(path)
    assert (expected.width, expected.height) == (70, 90)
    assert same(inspector.inspect(Image.open(path)), expected)
    unturned = vcp_clip.Inspector(apply_orientation=False)
    assert unturned.inspect(Image.open(path)).width == unturned.inspect(path).width == 90


def test_palettes_keep_what_lies_below_transparency(
    inspector: vcp_clip.Inspector, pixels: Pixels, tmp_path: Path
) -> None:
    path = tmp_path / "palette.png"
    Image.fromarray(pixels).quantize(16).save(path, transparency=3)
    assert same(inspector.inspect(Image.open(path)), inspector.inspect(path))


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (np.zeros((4, 4), np.int64), "type int64"),
        (np.zeros((4, 4), np.float64), "type float64"),
        (np.zeros((4, 4), bool), "type bool"),
        (np.zeros((4, 4), np.complex64), "type complex64"),
        (np.array([["a"]]), "was given"),
        (np.zeros((4, 4), object), "type object"),
        (np.zeros((4, 4, 4), np.uint8), r"array\[:, :, :3\]"),
        (np.zeros((3, 4, 5), np.uint8), "moveaxis"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((), np.uint8), r"shape \(\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4), np.float32), "without value_range"),
        (None, "type NoneType"),
        (17, "type int"),
        ([1, 2], "type list"),
        ("", "no path"),
        ("a\0b", "no path"),
        (io.StringIO("text"), "gives str"),
    ],
)
def test_other_types_and_shapes_are_refused(inspector: vcp_clip.Inspector, photo: Any, words: str) -> None:
    with pytest.raises(vcp_clip.InputError, match=words):
        inspector.inspect(photo)


def test_ranges_are_of_floating_point_numbers(inspector: vcp_clip.Inspector, pixels: Pixels) -> None:
    for photo in (pixels, "photo.png"):
        with pytest.raises(vcp_clip.InputError, match="value_range is of"):
            inspector.inspect(photo, value_range=(0, 1))
    floats = pixels.astype(np.float32)
    for value_range in [(1, 0), (0, 0), (0, float("nan")), (0, float("inf")), 1, ("a", "b")]:
        with pytest.raises(vcp_clip.InputError, match="value_range"):
            inspector.inspect(floats, value_range=value_range)  # type: ignore[arg-type]
    for value in (np.nan, np.inf):
        damaged = floats.copy()
        damaged[3, 5, 1] = value
        with pytest.raises(vcp_clip.DecodeError, match="column 5 of row 3"):
            inspector.inspect(damaged, value_range=(0, 255))


def test_sizes_are_checked_before_anything_is_copied(inspector: vcp_clip.Inspector) -> None:
    # No memory stands behind them.
    for shape in [(10**6, 10**6), (10**6, 10**6, 3)]:
        with pytest.raises(vcp_clip.LimitError, match="1000000 × 1000000 pixels"):
            inspector.inspect(np.broadcast_to(np.uint8(0), shape))
    with pytest.raises(vcp_clip.LimitError, match="no side"):
        inspector.inspect(np.zeros((1, 300_000), np.uint8))
    for shape in [(0, 4), (4, 0), (0, 0, 3)]:
        with pytest.raises(vcp_clip.DecodeError, match="no pixels"):
            inspector.inspect(np.zeros(shape, np.uint8))


def test_closed_files_are_refused(inspector: vcp_clip.Inspector, pixels: Pixels, save: Callable[..., Path]) -> None:
    path = save("photo.png", pixels)
    file = path.open("rb")
    image = Image.open(file)
    file.close()
    for photo in (file, image):
        with pytest.raises(vcp_clip.DecodeError, match="could not be read"):
            inspector.inspect(photo)
    closed = Image.open(path)
    closed.close()
    with pytest.raises(vcp_clip.DecodeError, match="could not be read"):
        inspector.inspect(closed)


def test_batches_keep_their_order_and_errors_their_place(
    inspector: vcp_clip.Inspector, pixels: Pixels, save: Callable[..., Path], tmp_path: Path
) -> None:
    path = save("photo.png", pixels)
    floats = (pixels / 255).astype(np.float32)
    photos = [path, tmp_path / "missing.png", pixels, np.zeros((4, 4)), b"no photo", floats]
    found = inspector.inspect_batch(photos, errors="return", value_range=(0, 1))
    kinds = [type(one) for one in found]
    errors = [vcp_clip.DecodeError, vcp_clip.InputError, vcp_clip.DecodeError]
    assert kinds == [vcp_clip.Inspection, errors[0], vcp_clip.Inspection, errors[1], errors[2], vcp_clip.Inspection]
    for error, index in ((errors[0], 1), (errors[1], 3)):
        with pytest.raises(error):
            inspector.inspect_batch([photos[0], photos[index]])
    assert inspector.inspect_batch([]) == []
    assert len(inspector.inspect_batch(one for one in [path, path])) == 2
    with pytest.raises(vcp_clip.InputError, match="takes a list"):
        inspector.inspect_batch(str(path))
    with pytest.raises(vcp_clip.InputError, match="errors"):
        inspector.inspect_batch([path], errors="ignore")  # type: ignore[call-overload]


def test_maps_are_not_copied(inspector: vcp_clip.Inspector, pixels: Pixels) -> None:
    found = inspector.inspect(pixels)
    assert found.anomaly_map is found.anomaly_map
    assert found.anomaly_map.shape == (70, 90) and found.anomaly_map.dtype == np.float32
    assert found.pred_mask is found.pred_mask and found.pred_mask.dtype == np.bool_
    one, other = found.model_map, found.model_map
    assert np.shares_memory(one, other) and not one.flags.writeable
    assert one.shape == (inspector.image_size, inspector.image_size)
    with pytest.raises(ValueError, match="read-only"):
        one[0, 0] = 1
    kept = one.copy()
    # The array keeps the memory alive.
    del found, other
    assert np.array_equal(one, kept)
    assert not np.may_share_memory(inspector.inspect(pixels).anomaly_map, one)


def test_narrower_numbers(inspector: vcp_clip.Inspector, pixels: Pixels, save: Callable[..., Path]) -> None:
    path = save("photo.png", pixels)
    exact = inspector.inspect(path)
    narrow = vcp_clip.Inspector(precision="int8").inspect(path)
    assert narrow.pred_score != exact.pred_score
    assert abs(narrow.pred_score - exact.pred_score) < 0.02
    assert np.abs(narrow.model_map - exact.model_map).max() < 0.05
    [record] = segment(path, "--precision", "int8")
    assert narrow.pred_score == record["score"]
