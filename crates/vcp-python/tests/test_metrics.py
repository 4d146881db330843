"""Figures of merit, against plain statements of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcp_clip
from vcp_clip import metrics

Array = np.ndarray[Any, Any]


def data(count: int = 8, normal: int = 3) -> tuple[Array, list[Array | None]]:
    random = np.random.default_rng(7)
    maps = random.random((count, 20, 24)).astype(np.float32).round(2)
    masks: list[Array | None] = [None] * normal
    for index in range(normal, count):
        mask = np.zeros((20, 24), bool)
        mask[index : index + 5, 3:9] = True
        maps[index] += mask * np.float32(0.25)
        masks.append(mask)
    return maps / maps.max(), masks


def auroc(values: Array, labels: Array) -> float:
    positive, negative = values[labels], values[~labels]
    above = (positive[:, None] > negative[None, :]).mean()
    return float(above + (positive[:, None] == negative[None, :]).mean() / 2)


def average_precision(values: Array, labels: Array) -> float:
    total, before = 0.0, 0.0
    for threshold in np.unique(values)[::-1]:
        reach = values >= threshold
        recall = (labels & reach).sum() / labels.sum()
        total += (recall - before) * (labels & reach).sum() / reach.sum()
        before = recall
    return total


def test_pixel_figures_agree_with_plain_statements() -> None:
    maps, masks = data()
    report = metrics.pixels(zip(maps, masks, strict=True))
    labels = np.concatenate([np.zeros(480, bool) if mask is None else mask.ravel() for mask in masks])
    values = maps.reshape(-1)
    assert report.auroc == pytest.approx(auroc(values, labels), abs=1e-12)
    assert report.average_precision == pytest.approx(average_precision(values, labels), abs=1e-12)
    assert report.threshold is not None and report.f1_max is not None
    reach = values >= np.float32(report.threshold)
    assert report.f1_max == pytest.approx(2 * (labels & reach).sum() / (labels.sum() + reach.sum()), abs=1e-12)
    assert (report.images, report.normal_images, report.regions) == (8, 3, 5)
    assert (report.pixels, report.anomalous_pixels) == (values.size, labels.sum())
    assert report.error_bounds["auroc"] == 0
    assert report.aupimo_by_image.shape == (8,) and np.isnan(report.aupimo_by_image[:3]).all()
    assert report.curve.threshold[0] == np.inf and len(report.curve.precision) == len(report.curve.threshold)


def test_fixed_memory_keeps_within_its_bounds() -> None:
    maps, masks = data()
    exact = metrics.pixels(zip(maps, masks, strict=True))
    collector = metrics.Collector(memory="fixed")
    for map, mask in zip(maps, masks, strict=True):
        collector.add(map, mask)
    fixed = collector.report()
    for name, bound in fixed.error_bounds.items():
        assert bound <= 1e-4
        assert abs(getattr(fixed, name) - getattr(exact, name)) <= bound + 1e-9, name
    with pytest.raises(vcp_clip.InputError, match="from 0 to 1"):
        collector.add(maps[0] + 1, None)


def test_image_figures_agree_with_plain_statements() -> None:
    scores, labels = [0.1, 0.4, 0.35, 0.8, 0.4], [0, 0, 1, 1, 1]
    report = metrics.images(scores, labels)
    values, marked = np.float32(scores), np.array(labels, bool)
    assert report.auroc == pytest.approx(auroc(values, marked))
    assert report.average_precision == pytest.approx(average_precision(values, marked))
    assert (report.images, report.anomalous_images, report.undefined) == (5, 3, {})


def test_what_the_data_do_not_define_is_none() -> None:
    report = metrics.pixels([(np.eye(3), None)])
    assert report.auroc is None and report.undefined["auroc"] == "undefined: no anomalous pixels"
    assert metrics.images([], []).auroc is None
    assert metrics.pixels([]).images == 0


def test_what_is_no_map_is_refused() -> None:
    square = np.eye(4)
    for pairs, words in [
        ([(square, np.eye(5))], "same size"),
        ([(np.zeros(4), None)], r"\[height, width\]"),
        ([(np.zeros((0, 4)), None)], r"\[height, width\]"),
        ([(np.full((2, 2), np.nan), None)], "NaN"),
        ([(np.array([["a"]]), None)], "numbers were expected"),
        ([square], "pair"),
        ([(square, None), (square + np.inf, None)], "image 1 has the value inf"),
    ]:
        with pytest.raises(vcp_clip.InputError, match=words):
            metrics.pixels(pairs)  # type: ignore[arg-type]
    with pytest.raises(vcp_clip.InputError, match="labels"):
        metrics.images([0.5], [1, 0])
    with pytest.raises(vcp_clip.InputError, match="not finite|finite"):
        metrics.images([float("nan")], [1])
    for options in ({"memory": "some"}, {"fpr_limit": 0}, {"aupro_steps": 0}, {"aupimo_bounds": (1, 0)}):
        with pytest.raises(vcp_clip.InputError):
            metrics.Collector(**options)  # type: ignore[arg-type]
