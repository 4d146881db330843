"""The official evaluation's figures with scikit-learn and scikit-image, timed.

Reads a folder with `size.json` ({"images", "height", "width"}), `maps.f32` and `masks.u8` (both raw,
row-major, little-endian, image after image) and prints one line of JSON. `--all` adds the figures
the official evaluation lacks, stated with NumPy and not timed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from skimage import measure
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Maps = NDArray[np.float32]
    Masks = NDArray[np.uint8]


def read(folder: Path) -> tuple[Maps, Masks]:
    """Maps and masks, each [images, height, width]; masks are 0 and 1."""
    size = json.loads((folder / "size.json").read_text())
    shape = (size["images"], size["height"], size["width"])
    maps = np.fromfile(folder / "maps.f32", dtype="<f4").reshape(shape)
    masks = np.fromfile(folder / "masks.u8", dtype=np.uint8).reshape(shape)
    return maps, (masks > 0).astype(np.uint8)


def f1_max(labels: NDArray, scores: NDArray, epsilon: float) -> tuple[float, float]:
    """The largest F1 and its threshold."""
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    with np.errstate(invalid="ignore"):
        f1 = 2 * precision * recall / (precision + recall + epsilon)
    best = np.nanargmax(f1)
    return float(f1[best]), float(thresholds[min(best, len(thresholds) - 1)])


def aupro_200(masks: Masks, maps: Maps, steps: int = 200, limit: float = 0.3) -> float:
    """Mean recall of the regions over evenly spaced thresholds, rates below `limit` stretched."""
    low, high = maps.min(), maps.max()
    overlaps, rates = [], []
    for threshold in np.arange(low, high, (high - low) / steps):
        predicted = maps > threshold
        recalls = [
            predicted[image][region.coords[:, 0], region.coords[:, 1]].sum() / region.area
            for image in range(len(masks))
            for region in measure.regionprops(measure.label(masks[image]))
        ]
        normal = 1 - masks
        overlaps.append(np.mean(recalls))
        rates.append(np.logical_and(normal, predicted).sum() / normal.sum())
    rates, overlaps = np.array(rates), np.array(overlaps)
    below = rates < limit
    rates, overlaps = rates[below], overlaps[below]
    return float(auc((rates - rates.min()) / (rates.max() - rates.min()), overlaps))


def official(maps: Maps, masks: Masks) -> dict[str, float]:
    """The official set: six pixel figures, and three of the images' largest values."""
    labels, scores = masks.ravel(), maps.ravel()
    f1, threshold = f1_max(labels, scores, 1e-8)
    predicted = scores > threshold
    image_labels, image_scores = masks.max(axis=(1, 2)), maps.max(axis=(1, 2))
    return {
        "pixel_auroc": float(roc_auc_score(labels, scores)),
        "pixel_ap": float(average_precision_score(labels, scores)),
        "pixel_f1_max": f1,
        "threshold": threshold,
        "pixel_iou": float((predicted & (labels > 0)).sum() / (predicted | (labels > 0)).sum()),
        "aupro_200": aupro_200(masks, maps),
        "image_auroc": float(roc_auc_score(image_labels, image_scores)),
        "image_ap": float(average_precision_score(image_labels, image_scores)),
        "image_f1_max": f1_max(image_labels, image_scores, 0.0)[0],
    }


def aupro_exact(masks: Masks, maps: Maps, limit: float) -> float:
    """MVTec's definition: the curve over all thresholds, integrated up to `limit`, over `limit`."""
    weights = np.zeros(maps.shape)
    regions = 0
    for image, mask in enumerate(masks):
        for region in measure.regionprops(measure.label(mask)):
            weights[image][region.coords[:, 0], region.coords[:, 1]] = 1 / region.area
            regions += 1
    order = np.argsort(-maps.ravel(), kind="stable")
    ordered = maps.ravel()[order]
    rates = np.cumsum(masks.ravel()[order] == 0) / (masks == 0).sum()
    overlaps = np.cumsum(weights.ravel()[order]) / regions
    last_of_equal = np.append(np.diff(ordered) != 0, True)
    rates = np.insert(rates[last_of_equal], 0, 0.0)
    overlaps = np.insert(overlaps[last_of_equal], 0, 0.0)
    end = np.interp(limit, rates, overlaps) if limit not in rates else None
    below = rates <= limit
    rates, overlaps = rates[below], overlaps[below]
    if end is not None:
        rates, overlaps = np.append(rates, limit), np.append(overlaps, end)
    return float(np.trapezoid(overlaps, rates) / limit)


def per_image_curves(
    maps: Maps, masks: Masks, thresholds: NDArray
) -> tuple[NDArray, NDArray]:
    """Shared false-positive rate [thresholds], recall [anomalous images, thresholds]."""
    anomalous = masks.any(axis=(1, 2))

    def reached(values: NDArray) -> NDArray:
        values = np.sort(values)
        return 1 - np.searchsorted(values, thresholds, side="left") / len(values)

    rates = np.mean([reached(image.ravel()) for image in maps[~anomalous]], axis=0)
    pairs = zip(maps[anomalous], masks[anomalous], strict=True)
    recalls = np.array([reached(image[mask > 0]) for image, mask in pairs])
    return rates, recalls


def aupimo(maps: Maps, masks: Masks, bounds: tuple[float, float]) -> float:
    """Recall over the logarithm of the rate, every value a threshold, cut at both bounds."""
    rates, recalls = per_image_curves(maps, masks, np.unique(maps)[::-1])
    some = rates > 0
    logs, recalls = np.log(rates[some]), recalls[:, some]
    lower, upper = np.log(bounds)
    areas = []
    for recall in recalls:
        # At equal rates the recall jumps: from the last point of the one to the first of the next.
        area = 0.0
        for index in np.flatnonzero(np.diff(logs) > 0):
            start, end = max(logs[index], lower), min(logs[index + 1], upper)
            if start < end:
                line = np.interp([start, end], logs[index : index + 2], recall[index : index + 2])
                area += (end - start) * line.mean()
        areas.append(area / (upper - lower))
    return float(np.mean(areas))


def aupimo_sampled(maps: Maps, masks: Masks, bounds: tuple[float, float]) -> float:
    """The sampled form of the authors' code: even thresholds, the nearest ones for the bounds."""
    normal = maps[~masks.any(axis=(1, 2))]
    thresholds = np.linspace(normal.min(), normal.max(), 300_000, dtype=np.float32)
    rates, recalls = per_image_curves(maps, masks, thresholds)
    first, last = (int(np.argmin(np.abs(rates - bound))) for bound in (bounds[1], bounds[0]))
    logs = np.log(rates[first : last + 1])[::-1]
    areas = np.trapezoid(recalls[:, first : last + 1][:, ::-1], logs, axis=1)
    return float(np.clip(areas / np.log(bounds[1] / bounds[0]), 0, 1).mean())


def main() -> None:
    """Print the figures of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="also the figures it lacks")
    parser.add_argument("--fpr-limit", type=float, default=0.3)
    parser.add_argument("--aupimo-bounds", type=float, nargs=2, default=(1e-5, 1e-4))
    arguments = parser.parse_args()
    maps, masks = read(arguments.folder)
    start = time.perf_counter()
    figures = official(maps, masks)
    seconds = time.perf_counter() - start
    if arguments.all:
        bounds = tuple(arguments.aupimo_bounds)
        figures["aupro_exact"] = aupro_exact(masks, maps, arguments.fpr_limit)
        figures["aupimo"] = aupimo(maps, masks, bounds)
        figures["aupimo_sampled"] = aupimo_sampled(maps, masks, bounds)
    print(json.dumps({"seconds": seconds, "figures": figures}))


if __name__ == "__main__":
    main()
