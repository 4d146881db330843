"""How far vcp-clip and PyTorch are from the model in 64-bit floats, stage by stage.

    cargo build --release -p vcp-cpu --example stages
    .venv/bin/python precision.py ../../target/release/examples/stages [--geometry vit-l-14] …

Weights are random, and stretched until they are like trained ones where it matters: what goes into the
activations spreads by two, Post-VCP's attention looks at few patches, and the temperatures are such that
the maps are not flat.
Prints, for each stage, the root mean square and the largest difference from 64-bit floats, over the
stage's own root mean square, and for maps the mean, root mean square and largest difference; the
geometric means over the seeds, of the mean difference its size.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geometry import GEOMETRIES, Geometry
from make_archive import write_archive, write_checkpoint
from model import Attention, Stages, load_model, random_model

SPREAD = 3.0
"""Standard deviation of the logits."""

ACTIVATION_STRETCH = 2.0
"""Factor of the layers before the activations."""

QUERY_STRETCH = 20.0
"""Factor of Post-VCP's queries."""


def test_image(side: int, seed: int) -> Tensor:
    """A normalised image with structure at several scales."""
    torch.manual_seed(seed)
    image = torch.zeros(1, 3, side, side)
    for cells in (3, 9, 31, 97):
        coarse = torch.randn(1, 3, cells, cells)
        image += 0.5 * torch.nn.functional.interpolate(
            coarse, size=(side, side), mode="bicubic", align_corners=True
        )
    return image


def add_logits(model: torch.nn.Module, stages: Stages) -> None:
    """The differences of logits, which the maps are made of."""
    for index, number in enumerate(model.geometry.taps):
        patches = stages[f"tap_{number}"][:, 1:]
        dense = patches / patches.norm(dim=-1, keepdim=True)
        text = stages[f"updated_text_{number}"]
        logits = model.post_vcp.prompt_temp_l1.exp() * dense @ text.transpose(1, 2)
        stages[f"logits2_{number}"] = logits[..., 1] - logits[..., 0]
        embedded = model.linear.fc[index](patches)
        embedded = embedded / embedded.norm(dim=-1, keepdim=True)
        logits = model.pre_vcp.prompt_temp.exp() * embedded @ stages["text"].transpose(1, 2)
        stages[f"logits1_{number}"] = logits[..., 1] - logits[..., 0]


def stretch(model: torch.nn.Module, image: Tensor) -> None:
    """Raises both temperatures until the logits spread."""
    stages: Stages = {}
    model(image, stages)
    add_logits(model, stages)

    def spread(branch: int) -> float:
        found = [v.std() for k, v in stages.items() if k.startswith(f"logits{branch}_")]
        return float(sum(found) / len(found))

    with torch.no_grad():
        model.pre_vcp.prompt_temp += math.log(SPREAD / spread(1))
        model.post_vcp.prompt_temp_l1 += math.log(SPREAD / spread(2))


Figures = dict[str, list[float]]


def compare(found: Stages, exact: Stages) -> Figures:
    """The figures of each stage."""
    figures: Figures = {}
    for name, value in exact.items():
        if name not in found:
            continue
        difference = found[name].double().reshape(value.shape) - value
        if name.startswith(("map", "branch", "blended")):
            scale = 1.0
        else:
            scale = float(value.square().mean().sqrt())
        figures[name] = [
            abs(float(difference.mean())) / scale,
            float(difference.square().mean().sqrt()) / scale,
            float(difference.abs().max()) / scale,
        ]
    return figures


def one_seed(program: Path, geometry: Geometry, seed: int) -> dict[str, Figures]:
    """Both programs against 64-bit floats, with the weights of one seed."""
    image = test_image(geometry.image_size, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        native = replace(geometry, image_size=geometry.native_resolution)
        model = random_model(native, Attention.MATERIALISED, seed)
        for name, parameter in model.named_parameters():
            if name.endswith("c_fc.weight"):
                parameter *= ACTIVATION_STRETCH
            if name.endswith("q_proj_pre.weight"):
                parameter *= QUERY_STRETCH
        write_archive(model, folder / "clip.pt")
        write_checkpoint(model, folder / "vcp.pth")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            archive = torch.jit.load(folder / "clip.pt", map_location="cpu").state_dict()
        checkpoint = torch.load(folder / "vcp.pth", map_location="cpu", weights_only=True)
        side, taps = geometry.image_size, geometry.taps
        model = load_model(archive, checkpoint, taps, side, Attention.MATERIALISED)
        stretch(model, image)
        write_checkpoint(model, folder / "vcp.pth")
        save_file({"image": image}, folder / "image.safetensors")
        command = [program, folder / "clip.pt", folder / "vcp.pth", folder / "image.safetensors"]
        command += [folder / "stages.safetensors", ",".join(map(str, taps))]
        subprocess.run(command, check=True)
        ours = load_file(folder / "stages.safetensors")

    single: Stages = {}
    model(image, single)
    add_logits(model, single)
    # The position table is part of what is compared: it is resampled in 64-bit floats here.
    archive = {k: v.double() if v.is_floating_point() else v for k, v in archive.items()}
    torch.set_default_dtype(torch.float64)
    exact_model = load_model(
        archive, checkpoint, taps, side, Attention.MATERIALISED, dtype=torch.float64
    )
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        exact_model.pre_vcp.prompt_temp.copy_(model.pre_vcp.prompt_temp)
        exact_model.post_vcp.prompt_temp_l1.copy_(model.post_vcp.prompt_temp_l1)
    exact: Stages = {}
    exact_model(image.double(), exact)
    add_logits(exact_model, exact)
    return {"vcp-clip": compare(ours, exact), "pytorch": compare(single, exact)}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", type=Path, help="vcp-cpu's example stages")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="vit-l-14")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    geometry = replace(GEOMETRIES[arguments.geometry], image_size=arguments.image_size)
    runs = [one_seed(arguments.program, geometry, seed) for seed in range(arguments.seeds)]

    def mean(program: str, stage: str, figure: int) -> float:
        values = [run[program][stage][figure] for run in runs]
        return float(np.exp(np.mean(np.log(np.maximum(values, 1e-30)))))

    print("| stage | mean, vcp-clip | PyTorch | ÷ | rms, vcp-clip | PyTorch | ÷ | worst, vcp-clip | PyTorch | ÷ |")
    print("|---|" + "---:|" * 9)
    for stage in runs[0]["vcp-clip"]:
        cells = []
        for figure in range(3):
            ours, theirs = mean("vcp-clip", stage, figure), mean("pytorch", stage, figure)
            cells += [f"{ours:.1e}", f"{theirs:.1e}", f"{ours / theirs:.2f}"]
        print(f"| {stage} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
