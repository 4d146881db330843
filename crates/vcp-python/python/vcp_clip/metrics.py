"""Figures of merit for maps and scores, exactly or in fixed memory.

Figures are fractions of 1. One that the data do not define is None, and :attr:`PixelReport.undefined` says why.

====================  ==============================================================
figure                agrees with
====================  ==============================================================
``auroc``             scikit-learn's ``roc_auc_score``
``average_precision`` scikit-learn's ``average_precision_score``
``f1_max``, ``iou``   the official evaluation on ``precision_recall_curve``
``aupro_steps``       the official evaluation on scikit-image's ``label``
``aupro``             MVTec's evaluation code, and anomalib after it
``aupimo``            the paper, and anomalib as its thresholds grow dense
====================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _arguments, _vcp_clip
from ._errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Collector", "Curve", "ImageReport", "PixelReport", "images", "pixels"]


@dataclass(frozen=True)
class Curve:
    """Points of the curves, from the largest threshold to the smallest: float64 arrays [points]."""

    threshold: npt.NDArray[np.float64]
    """What reaches it counts as anomalous; infinite in the first point."""
    true_positive_rate: npt.NDArray[np.float64]
    """Fraction of the anomalous pixels, or images, that reach it (recall)."""
    false_positive_rate: npt.NDArray[np.float64]
    """Fraction of the normal ones that reach it."""
    precision: npt.NDArray[np.float64]
    """Fraction of what reaches it that is anomalous."""
    region_overlap: npt.NDArray[np.float64]
    """Mean over the regions of the fraction that reaches it; 0 for images."""


@dataclass(frozen=True)
class PixelReport:
    """The pixel figures of some images, each from 0 to 1 or None."""

    images: int
    """Images in all."""
    normal_images: int
    """Images without a mask."""
    pixels: int
    """Pixels of all images."""
    anomalous_pixels: int
    """Pixels in the masks."""
    regions: int
    """8-connected regions in the masks."""
    auroc: float | None
    """Area under the receiver operating characteristic."""
    average_precision: float | None
    """The sum of precision times gain in recall."""
    f1_max: float | None
    """The largest F1 of all thresholds."""
    threshold: float | None
    """The threshold of ``f1_max``, in the units of the maps: what reaches it counts as anomalous."""
    iou: float | None
    """Intersection over union of what is above the threshold."""
    aupro_steps: float | None
    """AUPRO of the official evaluation: evenly spaced thresholds, rates below the limit, stretched to 0..1."""
    aupro: float | None
    """AUPRO as MVTec defines it: every threshold, the integral up to the limit over the limit."""
    aupimo: float | None
    """AUPIMO, the mean over the anomalous images."""
    aupimo_by_image: npt.NDArray[np.float64]
    """AUPIMO of each image, [images], in the order in which they were added; NaN of normal images. Empty in fixed
    memory."""
    error_bounds: dict[str, float]
    """How far each figure can be from the exact one: 0 but in fixed memory."""
    undefined: dict[str, str]
    """Why figures are None."""
    curve: Curve
    """Points of the curves."""


@dataclass(frozen=True)
class ImageReport:
    """The figures of one score for each image, each from 0 to 1 or None."""

    images: int
    """Images in all."""
    anomalous_images: int
    """Anomalous images."""
    auroc: float | None
    """Area under the receiver operating characteristic."""
    average_precision: float | None
    """The sum of precision times gain in recall."""
    f1_max: float | None
    """The largest F1 of all thresholds."""
    threshold: float | None
    """The threshold of ``f1_max``: what reaches it counts as anomalous."""
    undefined: dict[str, str]
    """Why figures are None."""
    curve: Curve
    """Every point of the curves."""


class Collector:
    """Collects maps with their masks; maps need not be kept.

    Args:
        memory: ``"exact"`` keeps every value, 12 bytes a pixel at most. ``"fixed"`` takes 101 MB however many images
            there are, of maps from 0 to 1; each figure is within 1e-4 of the exact one, and None where that cannot be
            said.
        fpr_limit: Both AUPRO figures end at this false-positive rate, above 0 and up to 1.
        aupro_steps: Evenly spaced thresholds of ``aupro_steps``.
        aupimo_bounds: AUPIMO's bounds of the false-positive rate of normal images.
        curve_points: How densely points of the curves are kept: none is left out that is further than 1 / this from one
            that is kept. 0 for no curve.
    """

    def __init__(
        self,
        *,
        memory: Literal["exact", "fixed"] = "exact",
        fpr_limit: float = 0.3,
        aupro_steps: int = 200,
        aupimo_bounds: tuple[float, float] = (1e-5, 1e-4),
        curve_points: int = 200,
    ) -> None:
        _arguments.one_of("memory", memory, ("exact", "fixed"))
        steps = _arguments.whole("aupro_steps", aupro_steps, 1, 1_000_000)
        points = _arguments.whole("curve_points", curve_points, 0, 100_000)
        limit = _arguments.number("fpr_limit", fpr_limit, 0, 1, open_low=True)
        bounds = _arguments.value_range("aupimo_bounds", aupimo_bounds, 0, 1)
        self._collector = _vcp_clip.Collector(memory == "fixed", limit, steps, bounds, points)

    def add(self, map: npt.ArrayLike, mask: npt.ArrayLike | None) -> None:
        """Adds an image.

        Args:
            map: How anomalous each pixel is, [height, width]; other types become float32.
            mask: Not zero where the pixel is anomalous, [height, width]; None for a normal image. An image with a mask
                is anomalous even if none of its pixels are.

        Raises:
            InputError: Sizes do not fit or a value is not finite; nothing is added then.
        """
        self._collector.add_all([_pair(map, mask)])

    def add_all(self, pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike | None]]) -> None:
        """Adds images, each a pair of a map and a mask as of :meth:`add`; some at a time, on all cores."""
        waiting: list[tuple[bytes, int, int, bytes | None]] = []
        size = 0
        for pair in pairs:
            try:
                map, mask = pair
            except (TypeError, ValueError):
                raise InputError("Each image is a pair of a map and a mask, or None for a normal image.") from None
            waiting.append(_pair(map, mask))
            size += waiting[-1][1] * waiting[-1][2]
            if size >= 1 << 24:
                self._collector.add_all(waiting)
                waiting, size = [], 0
        if waiting:
            self._collector.add_all(waiting)

    def report(self) -> PixelReport:
        """The figures of all images that were added."""
        found = self._collector.report()
        figures, bounds, undefined = _figures(found["figures"], _PIXELS)
        return PixelReport(
            images=found["images"],
            normal_images=found["normal_images"],
            pixels=found["pixels"],
            anomalous_pixels=found["anomalous_pixels"],
            regions=found["regions"],
            aupimo_by_image=found["aupimo_by_image"],
            error_bounds=bounds,
            undefined=undefined,
            curve=_curve(found["curve"]),
            **figures,
        )


def pixels(
    pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike | None]],
    *,
    memory: Literal["exact", "fixed"] = "exact",
    fpr_limit: float = 0.3,
    aupro_steps: int = 200,
    aupimo_bounds: tuple[float, float] = (1e-5, 1e-4),
    curve_points: int = 200,
) -> PixelReport:
    """The pixel figures of images, each a pair of a map and a mask (None for a normal image) as of
    :meth:`Collector.add`. ``zip(maps, masks)`` makes pairs of two arrays [images, height, width]; an image with a mask
    counts as anomalous even if the mask is empty, so give None for normal ones where AUPIMO is wanted.

    The options are those of :class:`Collector`.
    """
    collector = Collector(
        memory=memory,
        fpr_limit=fpr_limit,
        aupro_steps=aupro_steps,
        aupimo_bounds=aupimo_bounds,
        curve_points=curve_points,
    )
    collector.add_all(pairs)
    return collector.report()


def images(scores: npt.ArrayLike, labels: npt.ArrayLike) -> ImageReport:
    """The figures of one score for each image.

    Args:
        scores: [images], more being more anomalous; compared as float32.
        labels: [images], true or not zero for anomalous images.

    Raises:
        InputError: A score is not finite, or there is not one label for each.
    """
    of_images, of_labels = _numbers("scores", scores), _numbers("labels", labels)
    if of_images.ndim != 1 or of_labels.ndim != 1:
        raise InputError("Scores and labels are lists, one number for each image.")
    found = _vcp_clip.image_report(of_images.astype(np.float32).tolist(), (of_labels != 0).tolist())
    figures, _, undefined = _figures(found["figures"], _IMAGES)
    return ImageReport(
        images=found["images"],
        anomalous_images=found["anomalous_images"],
        undefined=undefined,
        curve=_curve(found["curve"]),
        **figures,
    )


_PIXELS = {
    "pixel_auroc": "auroc",
    "pixel_ap": "average_precision",
    "pixel_f1_max": "f1_max",
    "pixel_iou": "iou",
    "threshold": "threshold",
    "aupro_200": "aupro_steps",
    "aupro_exact": "aupro",
    "aupimo": "aupimo",
}
_IMAGES = {
    "image_auroc": "auroc",
    "image_ap": "average_precision",
    "image_f1_max": "f1_max",
    "image_threshold": "threshold",
}


def _figures(
    found: dict[str, tuple[float, float] | str], names: dict[str, str]
) -> tuple[dict[str, float | None], dict[str, float], dict[str, str]]:
    figures: dict[str, float | None] = {}
    bounds: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for key, name in names.items():
        outcome = found[key]
        if isinstance(outcome, str):
            figures[name] = None
            undefined[name] = outcome
        else:
            figures[name], bounds[name] = outcome
    return figures, bounds, undefined


def _curve(points: npt.NDArray[np.float64]) -> Curve:
    return Curve(*(np.ascontiguousarray(points[:, column]) for column in range(5)))


def _numbers(what: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise InputError(f"The {what} are no array: {error}.") from None
    if found.dtype.kind not in "buif":
        raise InputError(f"The {what} are of the type {found.dtype}, where numbers were expected.")
    return found


def _pair(map: npt.ArrayLike, mask: npt.ArrayLike | None) -> tuple[bytes, int, int, bytes | None]:
    values = _numbers("values of a map", map)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"A map of the shape {values.shape} was given, where [height, width] was expected.")
    height, width = values.shape
    content = values.astype(np.float32, copy=False).tobytes()
    if mask is None:
        return content, height, width, None
    marked = _numbers("values of a mask", mask)
    if marked.shape != values.shape:
        raise InputError(
            f"A mask of the shape {marked.shape} was given with a map of the shape {values.shape}; bring both to the "
            "same size."
        )
    return content, height, width, (marked != 0).tobytes()


