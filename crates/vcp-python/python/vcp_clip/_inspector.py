"""Inspectors: a model with all that photos are inspected with."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np

from . import _arguments, _photos
from ._calibration import Calibration
from ._errors import InputError, VcpClipError
from ._vcp_clip import Engine, Inspection, Thresholds, forked

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow  # type: ignore[import-untyped,unused-ignore]

    from ._arguments import Bits, Path
    from ._photos import Photo

    Mask = Path | npt.NDArray[Any]

_LOCK = threading.Lock()
# By their arguments; what no inspector holds goes.
_LOADED: weakref.WeakValueDictionary[Any, Engine] = weakref.WeakValueDictionary()
# Models of the process that this one was forked from. To free them would be to wait for their threads.
_LEFT_BEHIND: list[Engine] = []
_generation = 0


def _after_fork() -> None:
    global _LOCK, _LOADED, _generation
    _LEFT_BEHIND.extend(_LOADED.values())
    _LOADED = weakref.WeakValueDictionary()
    # Another thread may have held it.
    _LOCK = threading.Lock()
    _generation += 1
    forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Inspector:
    """Finds defects in photos of products never seen in training.

    Nothing is loaded before the first photo is inspected. In a process, inspectors with equal arguments share one
    loaded model; threads may share an inspector. One that is pickled is made anew with the same arguments where it is
    unpickled, and loads its model there; so it does in a process that is forked from this one.

    Arguments are those of ``vcp-clip segment``, whose options are documented by ``vcp-clip segment --help``.

    Args:
        model: ``"built-in"``, the name of a pulled model such as ``"visa"``, or the path of a bundle.
        clip: CLIP's weights, in place of ``model``; needs ``checkpoint``.
        checkpoint: A trained VCP-CLIP checkpoint; needs ``clip``.
        threads: Threads that compute, 1 to 256; one for each processor core if None.
        device: ``"auto"``, ``"cpu"``, ``"gpu"`` or ``"gpu:1"``.
        calibration: Thresholds that were found with :func:`calibrate`, or a file with them; the model's own if None.
        references: Good photos that others are compared with: files, folders or patterns. Those that are stored with
            the model if None; none if False.
        reference_copies: What is remembered of each reference photo beside itself.
        tile: Side in pixels of windows that large photos are cut into, 16 to 262144; processed whole if None.
        overlap: Least overlap of windows, as a fraction of their side, 0 to 0.95.
        global_weight: Weight, 0 to 1, of the whole photo beside its windows.
        inspect_mask: What is not black, or not zero, counts: a file or an array [height, width].
        ignore_mask: What is not black, or not zero, does not count.
        min_area: Regions of fewer pixels than this are not reported.
        score_threshold: A photo with at least this score has a defect.
        review_threshold: A photo with at least this score, and less than that of a defect, is to be reviewed.
        pixel_threshold: A pixel with at least this value belongs to a defect.
        range: Values at the two ends of the colour scale of overlays and heat maps.
        apply_orientation: Whether photos are turned as their metadata say.
        max_pixels: Photos of more pixels are refused before they are decoded.
        bits: How many bits of 16-bit samples hold the brightness.
        page: The page of TIFF files, counted from 1; the first that is a photo if None.
        taps: Vision blocks whose output is used, counted from 1; the model's if empty.
        image_size: Side in pixels to which photos are resized; the model's if None.
        normal_templates: Texts about good products; the model's if empty.
        anomalous_templates: Texts about defective products; the model's if empty.
        activation: Activation function of both towers; the model's if None.
        global_context: Whether the context vectors depend on the photo; the model's if None.
        score_fractions: Fractions of the largest pixels that make the score; the model's if empty.
        precision: Numbers that the CPU computes the vision tower with; the model's if None. What narrower numbers than f32
            change for a model, `vcp-clip eval --compare-precision` says.
        ignore_unknown_tensors: Whether tensors that the model has no use for are passed over.
        no_cost_limit: Whether a model may take more than 10 minutes or 32 GiB for a photo.
        cache: The folder of pulled models; the platform's if None.

    Raises:
        InputError: An argument is out of its bounds.
    """

    def __init__(
        self,
        model: Path = "built-in",
        *,
        clip: Path | None = None,
        checkpoint: Path | None = None,
        threads: int | None = None,
        device: str = "auto",
        calibration: Calibration | Path | None = None,
        references: Path | Iterable[Path] | Literal[False] | None = None,
        reference_copies: Literal["none", "mirrored", "turned"] = "none",
        tile: int | None = None,
        overlap: float | None = None,
        global_weight: float | None = None,
        inspect_mask: Mask | None = None,
        ignore_mask: Mask | None = None,
        min_area: int = 1,
        score_threshold: float | None = None,
        review_threshold: float | None = None,
        pixel_threshold: float | None = None,
        range: tuple[float, float] | None = None,
        apply_orientation: bool = True,
        max_pixels: int = 200_000_000,
        bits: Bits = "auto",
        page: int | None = None,
        taps: Sequence[int] = (),
        image_size: int | None = None,
        normal_templates: Sequence[str] = (),
        anomalous_templates: Sequence[str] = (),
        activation: Literal["gelu", "quickgelu"] | None = None,
        global_context: bool | None = None,
        score_fractions: Sequence[float] = (),
        precision: Literal["f32", "bf16", "int8"] | None = None,
        ignore_unknown_tensors: bool = False,
        no_cost_limit: bool = False,
        cache: Path | None = None,
    ) -> None:
        check = _arguments

        def threshold(name: str, value: float | None) -> float | None:
            return None if value is None else check.number(name, value, -1000, 1000)

        def file(name: str, value: Path | None) -> str | None:
            return None if value is None else check.path(name, value)

        if (clip is None) != (checkpoint is None):
            raise InputError("clip and checkpoint are the two parts of a model; give both, or a model.")
        if clip is not None and os.fspath(model) != "built-in":
            raise InputError("model is a whole model, and clip with checkpoint another; give one of the two.")
        if tile is None and (overlap is not None or global_weight is not None):
            raise InputError("overlap and global_weight are about windows; set their side with tile.")
        if references not in (None, False) and calibration is not None:
            raise InputError("A calibration was not found with reference photos that are given; leave one of them out.")
        arguments: dict[str, Any] = {
            "model": check.path("model", model),
            "clip": file("clip", clip),
            "checkpoint": file("checkpoint", checkpoint),
            "cache": file("cache", cache),
            "device": device,
            "threads": None if threads is None else check.whole("threads", threads, 1, 256),
            "taps": [check.whole("taps", tap, 1, 1024) for tap in taps],
            "image_size": None if image_size is None else check.whole("image_size", image_size, 1, 4096),
            "normal_templates": [str(text) for text in normal_templates],
            "anomalous_templates": [str(text) for text in anomalous_templates],
            "activation": check.one_of("activation", activation, (None, "gelu", "quickgelu")),
            "global_context": check.one_of("global_context", global_context, (None, True, False)),
            "score_fractions": [check.number("score_fractions", it, 0, 1, open_low=True) for it in score_fractions],
            "precision": check.one_of("precision", precision, (None, "f32", "bf16", "int8")),
            "ignore_unknown_tensors": bool(ignore_unknown_tensors),
            "no_cost_limit": bool(no_cost_limit),
            "calibration": None,
            "calibration_document": None,
            "references": None if references in (None, False) else check.paths("references", references),
            "no_references": references is False,
            "reference_copies": check.one_of("reference_copies", reference_copies, ("none", "mirrored", "turned")),
            "tile": None if tile is None else check.whole("tile", tile, 16, 262_144),
            "overlap": 0.25 if overlap is None else check.number("overlap", overlap, 0, 0.95),
            "global_weight": 0.0 if global_weight is None else check.number("global_weight", global_weight, 0, 1),
            "inspect_mask": _mask("inspect_mask", inspect_mask),
            "ignore_mask": _mask("ignore_mask", ignore_mask),
            "min_area": check.whole("min_area", min_area, 1, 100_000_000_000),
            "score_threshold": threshold("score_threshold", score_threshold),
            "review_threshold": threshold("review_threshold", review_threshold),
            "pixel_threshold": threshold("pixel_threshold", pixel_threshold),
            "range": None if range is None else check.value_range("range", range, -1000, 1000),
            "apply_orientation": bool(apply_orientation),
            "max_pixels": check.whole("max_pixels", max_pixels, 1, _photos.MOST_PIXELS),
            "bits": None if bits == "auto" else check.one_of("bits", bits, (8, 10, 12, 14, 16)),
            "page": None if page is None else check.whole("page", page, 1, 2**32 - 1),
        }
        if not isinstance(device, str):
            raise InputError(f"device is {device!r}, where auto, cpu, gpu or one of several such as gpu:1 was expected.")
        if isinstance(calibration, Calibration):
            arguments["calibration_document"] = calibration.to_json()
        elif calibration is not None:
            arguments["calibration"] = check.path("calibration", calibration)
        self._arguments = arguments
        self._held: tuple[int, Engine] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self._arguments

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._arguments = state
        self._held = None

    def __repr__(self) -> str:
        clip, model = self._arguments["clip"], self._arguments["model"]
        named = repr(model) if clip is None else f"clip={clip!r}, checkpoint={self._arguments['checkpoint']!r}"
        return f"Inspector({named})"

    def _on(self, threads: int | None) -> Inspector:
        """This one, with so many threads where it does not say itself how many."""
        if threads is None or self._arguments["threads"] is not None:
            return self
        other = Inspector.__new__(Inspector)
        other.__setstate__({**self._arguments, "threads": threads})
        return other

    def load(self) -> Inspector:
        """Loads the model now rather than with the first photo, unless it is loaded; gives the inspector itself.

        Raises:
            ModelError: The model, its calibration or its reference photos cannot be used.
            DeviceError: The device cannot be used.
            LimitError: A photo would take too much; see ``no_cost_limit``.
        """
        self._engine()
        return self

    def _engine(self) -> Engine:
        held = self._held
        if held is not None and held[0] == _generation:
            return held[1]
        if held is not None and held[0] != _generation:
            _LEFT_BEHIND.append(held[1])
        # Others that ask for the same model wait until it is loaded.
        with _LOCK:
            key = _key(self._arguments)
            engine = _LOADED.get(key)
            if engine is None:
                engine = Engine.open(self._arguments)
                for note in engine.notes:
                    warnings.warn(note, stacklevel=3)
                _LOADED[key] = engine
        self._held = (_generation, engine)
        return engine

    @property
    def thresholds(self) -> Thresholds:
        """What values are compared with. Loads the model."""
        return self._engine().thresholds

    @property
    def is_calibrated(self) -> bool:
        """Whether a calibration applies; without one, 0.5 stands in for thresholds that are not given. Loads the
        model."""
        return self._engine().is_calibrated

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that photos are resized to for the model. Loads the model."""
        return self._engine().image_size

    @property
    def device(self) -> str:
        """The name of the device that the model runs on. Loads the model."""
        return self._engine().device

    def _given(self, photo: Photo, name: str | None, value_range: tuple[float, float] | None) -> _photos.Given:
        if value_range is not None:
            value_range = _arguments.value_range("value_range", value_range, -3.4e38, 3.4e38)
        arguments = self._arguments
        turned, max_pixels = arguments["apply_orientation"], arguments["max_pixels"]
        return _photos.given(photo, name, value_range, turned=turned, max_pixels=max_pixels)

    def inspect(
        self, photo: Photo, *, name: str | None = None, value_range: tuple[float, float] | None = None
    ) -> Inspection:
        """Inspects a photo. Others may use the interpreter meanwhile; Ctrl-C ends the wait at once.

        Args:
            photo: A path; an encoded file as bytes, or opened for reading bytes; an image of Pillow; or an array
                [height, width] or [height, width, 3], red first, of uint8, uint16 or float32.
            name: What errors and the record call it, if it is not a path.
            value_range: Of float32, the values that are black and white; those beyond are taken for these.

        Raises:
            DecodeError: The photo cannot be read, with the sentence that the command line has.
            LimitError: It has more than ``max_pixels``.
            InputError: It is of another type or shape, or cannot be inspected by the mask.
        """
        return self._engine().inspect(self._given(photo, name, value_range))

    @overload
    def inspect_batch(
        self, photos: Iterable[Photo], *, errors: Literal["raise"] = ..., value_range: tuple[float, float] | None = ...
    ) -> list[Inspection]: ...

    @overload
    def inspect_batch(
        self, photos: Iterable[Photo], *, errors: Literal["return"], value_range: tuple[float, float] | None = ...
    ) -> list[Inspection | VcpClipError]: ...

    def inspect_batch(
        self,
        photos: Iterable[Photo],
        *,
        errors: Literal["raise", "return"] = "raise",
        value_range: tuple[float, float] | None = None,
    ) -> list[Inspection] | list[Inspection | VcpClipError]:
        """Inspects photos, each decoded while the model works on the one before. The numbers are those that each photo
        gives alone, but that 16-bit files are read with the same number of bits, as in a run of the command line.

        Args:
            photos: As of :meth:`inspect`.
            errors: Whether the first error is raised, or those of single photos take their place in the list.
            value_range: As of :meth:`inspect`, for all arrays of float32.

        Returns:
            What was found in each photo, in their order.
        """
        if isinstance(photos, (str, bytes, bytearray, memoryview, os.PathLike)):
            raise InputError("inspect_batch takes a list of photos; inspect takes one.")
        _arguments.one_of("errors", errors, ("raise", "return"))
        refused: dict[int, VcpClipError] = {}
        given = []
        for index, photo in enumerate(photos):
            of_arrays = value_range if isinstance(photo, np.ndarray) and photo.dtype == np.float32 else None
            try:
                given.append(self._given(photo, None, of_arrays))
            except VcpClipError as error:
                if errors == "raise":
                    raise
                refused[index] = error
        found = iter(self._engine().inspect_batch(given, errors == "raise"))
        count = len(given) + len(refused)
        results = [refused[index] if index in refused else next(found) for index in range_of(count)]
        return cast("list[Inspection]", results)

    def inspect_arrow(
        self, batch: Any, column: str | None = None, *, mask_rle: bool = False, map: bool = False
    ) -> pyarrow.RecordBatch:
        """Inspects the photos in a column of an Arrow record batch: encoded files (binary), or paths (string). Needs
        pyarrow.

        Args:
            batch: Of pyarrow, or anything with ``__arrow_c_array__`` or ``__arrow_c_stream__``.
            column: Its name; if None, the first of ``image``, ``content``, ``bytes`` and ``path`` that is there, else
                the only one. A column ``path`` beside encoded files says what they are called.
            mask_rle: Whether there is a column with the mask as lengths of runs: the mask read column by column, the
                counts of pixels outside and inside in turn, as uncompressed masks of COCO.
            map: Whether there is a column with the map: its width, height and values row by row.

        Returns:
            A record batch with a row for each photo: the keys of the record (docs/output.md of the repository) as
            columns, regions as a list of structs. A photo that failed has nulls but for ``path`` and ``error``.
        """
        from ._arrow import inspect

        return inspect(self, batch, column, mask_rle=mask_rle, map=map)


range_of = range
"""Python's own, whose name is an argument above."""


def _mask(name: str, value: Mask | None) -> Any:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        pixels = _photos.flat_mask(value)
        height, width = pixels.shape
        return (width, height, pixels.tobytes())
    return _arguments.path(name, value)


def _key(arguments: dict[str, Any]) -> tuple[Any, ...]:
    """Equal for arguments that give the same model; files that have changed since are others."""
    files = [arguments[name] for name in ("model", "clip", "checkpoint", "calibration")]
    files += [mask for mask in (arguments["inspect_mask"], arguments["ignore_mask"]) if isinstance(mask, str)]
    files += arguments["references"] or []
    states = []
    for file in files:
        try:
            state = os.stat(file)
        except (OSError, TypeError, ValueError):
            continue
        states.append((state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))

    def hashable(value: Any) -> Any:
        return tuple(map(hashable, value)) if isinstance(value, (list, tuple)) else value

    items = tuple((name, hashable(value)) for name, value in arguments.items())
    # Paths may be relative.
    return (items, tuple(states), os.getcwd())
