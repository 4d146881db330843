"""Checks the eager statement of the model against stored numbers of the official code."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from model import Attention, Stages, load_model

TOWER_TOLERANCE = 1e-4
"""Towers, context and text: largest difference over the stage's largest value."""

MAP_TOLERANCE = 2e-5
"""Probability maps: largest absolute difference."""

MAPS = ("branch", "map", "blended")


@dataclass(frozen=True)
class Agreement:
    """How far one stage is from the stored one."""

    stage: str
    difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the stage is within its tolerance; never true of a NaN."""
        return self.difference <= self.tolerance


def compare_stage(stage: str, found: Tensor, expected: Tensor) -> Agreement:
    """Measures one stage in the way that its kind asks for."""
    if found.shape != expected.shape:
        raise ValueError(
            f"Stage {stage} has shape {tuple(found.shape)} where the stored one "
            f"has {tuple(expected.shape)}."
        )
    difference = (found - expected).abs().max().item()
    if stage.startswith(MAPS):
        return Agreement(stage, difference, MAP_TOLERANCE)
    return Agreement(stage, difference / expected.abs().max().item(), TOWER_TOLERANCE)


def check(folder: Path, attention: Attention) -> list[Agreement]:
    """Runs the model in `folder` (clip.pt, vcp.pth, config.json) on the stored image."""
    config = json.loads((folder / "config.json").read_text())
    expected = load_file(folder / "stages.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        archive = torch.jit.load(folder / "clip.pt", map_location="cpu").state_dict()
    checkpoint = torch.load(folder / "vcp.pth", map_location="cpu", weights_only=True)
    model = load_model(archive, checkpoint, tuple(config["taps"]), config["image_size"], attention)
    stages: Stages = {}
    model(expected["image"], stages)
    missing = expected.keys() - stages.keys() - {"image"}
    if missing:
        raise ValueError(f"The model computes no stage of these names: {sorted(missing)}.")
    return [
        compare_stage(stage, found, expected[stage])
        for stage, found in stages.items()
        if stage in expected
    ]


def report(folder: Path) -> bool:
    """Prints the agreement of both kinds of attention; returns whether all of it holds."""
    all_hold = True
    for attention in Attention:
        agreements = check(folder, attention)
        print(f"{attention.value} attention, {folder}")
        for agreement in agreements:
            verdict = "ok" if agreement.holds else "DIFFERS"
            print(
                f"  {agreement.stage:<18} {agreement.difference:.2e}"
                f"  (at most {agreement.tolerance:.0e})  {verdict}"
            )
        all_hold = all_hold and all(agreement.holds for agreement in agreements)
    if not all_hold:
        print("Some stages differ from the official code.", file=sys.stderr)
    return all_hold
