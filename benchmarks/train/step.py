"""A step of the official training in plain PyTorch, after the frozen vision tower.

What is computed, and in how many operations, follows the official code: each image's texts run
alone through all 77 rows, Post-VCP projects keys and values over all patches of every tap, both
losses are taken on maps of full resolution. Prints one line of JSON for each step.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from geometry import GEOMETRIES
from model import Attention, VcpClip, normalise, random_model

LEARNING_RATE = 4e-5
TEMPERATURE_LEARNING_RATE = 0.01
SMOOTHING = 1e-5


def focal(probability: Tensor, truth: Tensor) -> Tensor:
    """The focal loss of two-class probabilities [B, 2, S, S] against the truth [B, S, S]."""
    target = torch.stack([1 - truth, truth], dim=1).clamp(SMOOTHING, 1 - SMOOTHING)
    of_true = (target * probability).sum(dim=1) + SMOOTHING
    return (-((1 - of_true) ** 2) * of_true.log()).mean()


def dice(probability: Tensor, truth: Tensor) -> Tensor:
    """1 - the mean over images of (2 sum pg + 1) / (sum p + sum g + 1)."""
    p, g = probability.flatten(1), truth.flatten(1)
    return 1 - ((2 * (p * g).sum(1) + 1) / (p.sum(1) + g.sum(1) + 1)).mean()


def loss_of(model: VcpClip, tower: tuple[Tensor, ...], truth: Tensor) -> Tensor:
    """The sum over taps and branches of focal and dice loss."""
    image_feature, *taps = tower
    text = model.encode_text(model.pre_vcp(image_feature))
    grid, side = model.geometry.grid, model.geometry.image_size
    total = torch.zeros(())

    def add(logits: Tensor) -> None:
        nonlocal total
        planes = logits.transpose(1, 2).unflatten(2, (grid, grid))
        planes = F.interpolate(planes, size=(side, side), mode="bilinear", align_corners=True)
        probability = planes.softmax(dim=1)
        total = total + focal(probability, truth) + dice(probability[:, 1], truth)

    for tap, linear in zip(taps, model.linear.fc, strict=True):
        patches = normalise(tap[:, 1:])
        updated = model.post_vcp(text, patches)
        add(model.post_vcp.prompt_temp_l1.exp() * patches @ updated.transpose(1, 2))
        embedded = normalise(linear(tap[:, 1:]))
        add(model.pre_vcp.prompt_temp.exp() * embedded @ text.transpose(1, 2))
    return total


def main() -> None:
    """Makes a step for each line on standard input, and says how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geometry", default="vit-l-14-336", choices=GEOMETRIES)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    geometry = GEOMETRIES[arguments.geometry]
    model = random_model(geometry, Attention.MATERIALISED)
    # The tower is not run; its memory is not to count either.
    model.clip.visual = None
    learned = [model.prompts, model.pre_vcp, model.post_vcp, model.linear]
    temperatures, others = [], []
    for part in learned:
        for name, parameter in part.named_parameters():
            parameter.requires_grad_(True)
            (temperatures if "prompt_temp" in name else others).append(parameter)
    optimiser = torch.optim.Adam(
        [
            {"params": others, "lr": LEARNING_RATE},
            {"params": temperatures, "lr": TEMPERATURE_LEARNING_RATE},
        ],
        betas=(0.5, 0.999),
    )
    batch, rows = arguments.batch, geometry.grid**2 + 1
    tower = (
        torch.randn(batch, geometry.embedding_width),
        *(torch.randn(batch, rows, geometry.vision_width) for _ in geometry.taps),
    )
    truth = (torch.rand(batch, geometry.image_size, geometry.image_size) < 0.05).float()

    for _ in sys.stdin:
        start = time.perf_counter()
        loss = loss_of(model, tower, truth)
        forward = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        end = time.perf_counter()
        said = {
            "seconds": end - start,
            "forward": forward - start,
            "loss": loss.item(),
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
