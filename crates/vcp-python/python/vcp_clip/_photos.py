"""Photos as callers have them, made ready for the compiled part."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from . import _arguments
from ._errors import DecodeError, InputError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from PIL.Image import Image

    class Readable(Protocol):
        """A file that has been opened for reading bytes."""

        def read(self) -> bytes: ...

    Photo: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Image | npt.NDArray[Any]
    """A photo: a path; an encoded file as bytes, or opened; an image of Pillow; or an array [height, width] or
    [height, width, 3] of uint8, uint16 or float32."""

Given: TypeAlias = "tuple[Any, ...]"
"""What the compiled part takes: (path,), (bytes, label) or (bytes, type, height, width, channels, range, label)."""

MOST_PIXELS = 100_000_000_000
"""The largest ``max_pixels``."""

ARRAY = "The array"
IMAGE = "The image"
BYTES = "The photo"


def given(
    photo: Photo, name: str | None, value_range: tuple[float, float] | None, *, turned: bool, max_pixels: int
) -> Given:
    """What stands for a photo in the compiled part. ``turned`` says whether images are turned as their metadata say."""
    if isinstance(photo, (str, os.PathLike)):
        if value_range is not None:
            raise InputError("value_range is of arrays; files say themselves what their values mean.")
        return (_arguments.path("The photo", photo),)
    if isinstance(photo, np.ndarray):
        return _array(photo, name or ARRAY, value_range, max_pixels)
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return (bytes(photo), name or BYTES)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(photo, pillow.Image):
        pixels, value_range = _image(photo, name or IMAGE, value_range, turned, max_pixels)
        return _array(pixels, name or IMAGE, value_range, max_pixels)
    read: Callable[[], bytes] | None = getattr(photo, "read", None)
    if callable(read):
        label = name or str(getattr(photo, "name", BYTES))
        return (_file(read, label), label)
    raise InputError(
        f"A photo of the type {type(photo).__name__} was given, where a path, bytes, an image of Pillow or an array "
        "was expected."
    )


def mask(value: Any) -> Given | None:
    """What stands for a mask of defects, which are not zero."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return _array(flat_mask(value), "The mask", None, MOST_PIXELS)
    return given(value, "The mask", None, turned=True, max_pixels=MOST_PIXELS)


def flat_mask(value: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """[height, width], 255 where a mask is not zero."""
    if value.ndim == 3 and value.shape[2] == 1:
        value = value[:, :, 0]
    if value.ndim != 2 or value.size == 0 or value.dtype.kind not in "buif":
        raise InputError(
            f"A mask of the type {value.dtype} and shape {value.shape} was given, where numbers or truth values, "
            "[height, width], were expected."
        )
    return np.ascontiguousarray((value != 0).astype(np.uint8) * 255)


def _check_size(label: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise LimitError(
            f"{label} has {width} × {height} pixels, more than the {max_pixels} that are allowed; raise the limit with "
            "max_pixels if you trust it."
        )


def _array(
    array: npt.NDArray[Any], label: str, value_range: tuple[float, float] | None, max_pixels: int
) -> Given:
    # The machine's byte order.
    kind = array.dtype.newbyteorder("=")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        advice = ""
        if array.ndim == 3 and array.shape[2] == 4:
            advice = " Leave out the fourth channel, transparency, with array[:, :, :3]."
        elif array.ndim == 3 and array.shape[0] in (1, 3):
            advice = " Put the channels last, with numpy.moveaxis(array, 0, -1)."
        raise InputError(
            f"An array of the shape {array.shape} was given, where [height, width] or [height, width, 3] was "
            f"expected.{advice}"
        )
    if kind == np.float32:
        if value_range is None:
            raise InputError(
                "An array of float32 was given without value_range; say which value is black and which white, as "
                "value_range=(0, 1)."
            )
    elif kind == np.uint8 or kind == np.uint16:
        if value_range is not None:
            raise InputError(
                f"value_range is of float32, but the array is of {kind.name}: uint8 is from 0 to 255, and of uint16 bits "
                "says how many hold the brightness."
            )
    else:
        raise InputError(
            f"An array of the type {array.dtype} was given, where uint8, uint16, or float32 with value_range was expected."
        )
    # Before it is copied.
    _check_size(label, array.shape[1], array.shape[0], max_pixels)
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    # Copied row by row: whoever writes into the array meanwhile changes nothing.
    samples = array.astype(kind, copy=False).tobytes()
    return (samples, kind.name, height, width, channels, value_range, label)


def _file(read: Callable[[], bytes], label: str) -> bytes:
    try:
        content = read()
    except (OSError, ValueError) as error:
        # A file that has been closed gives a ValueError.
        raise DecodeError(f"{label} could not be read: {error}.") from error
    if not isinstance(content, bytes):
        raise InputError(f"{label} gives {type(content).__name__}; open it for reading bytes, with the mode 'rb'.")
    return content


def _image(
    image: Image, label: str, value_range: tuple[float, float] | None, turned: bool, max_pixels: int
) -> tuple[npt.NDArray[Any], tuple[float, float] | None]:
    """The samples of an image of Pillow, as they are read from its file."""
    from PIL import ImageOps

    # Before anything is decoded.
    _check_size(label, *image.size, max_pixels)
    try:
        if turned:
            image = ImageOps.exif_transpose(image)
        if image.mode in ("1", "LA", "La"):
            image = image.convert("L")
        elif image.mode in ("P", "PA", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"):
            # A palette may be transparent, and what is below is kept.
            image = image.convert("RGBA").convert("RGB") if image.mode in ("P", "PA") else image.convert("RGB")
        pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, AttributeError) as error:
        # Damaged, or its file has been closed.
        raise DecodeError(f"{label} could not be read: {error}.") from error
    if pixels.dtype == np.int32 and image.mode == "I":
        # 16-bit files, in older versions of Pillow.
        if pixels.size and (pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max):
            raise InputError(f"{label} has 32-bit numbers; give an array of float32 with value_range.")
        pixels = pixels.astype(np.uint16)
    return pixels, value_range
