"""Writes random weights in the published file formats, to try the real file path at full size.

    .venv/bin/python make_archive.py FOLDER [--geometry vit-l-14-336]

makes FOLDER/clip.pt, a TorchScript archive with the names, the nesting and the mix of f16 and f32
of OpenAI's own, and FOLDER/vcp.pth, a checkpoint in the layout of the official VCP-CLIP code. The
archive's code is a real trace, but only its tensors are meant to be read.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from geometry import CONTEXT_LENGTH, GEOMETRIES, Geometry
from model import Attention, Clip, VcpClip, normalise, random_model

HALF_PRECISION_LAYERS = ("conv1.", "attn.", "mlp.")
HALF_PRECISION_TABLES = ("visual.proj", "text_projection")


class OpenAiClip(nn.Module):
    """CLIP's two towers in one traceable module, with OpenAI's three integer buffers."""

    def __init__(self, clip: Clip, geometry: Geometry) -> None:
        super().__init__()
        self.visual = clip.visual
        self.transformer = clip.transformer
        self.token_embedding = clip.token_embedding
        # The row of VCP-CLIP's class token is not part of CLIP.
        self.token_embedding.weight = nn.Parameter(
            clip.token_embedding.weight[: geometry.vocabulary], requires_grad=False
        )
        self.positional_embedding = clip.positional_embedding
        self.ln_final = clip.ln_final
        self.text_projection = clip.text_projection
        self.logit_scale = clip.logit_scale
        self.register_buffer("input_resolution", torch.tensor(geometry.native_resolution))
        self.register_buffer("context_length", torch.tensor(CONTEXT_LENGTH))
        self.register_buffer("vocab_size", torch.tensor(geometry.vocabulary))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Similarity of images [B, 3, S, S] and texts [B, 77]."""
        image_feature = normalise(self.visual(image)[0])
        x = (self.token_embedding(text) + self.positional_embedding).transpose(0, 1)
        mask = torch.full((CONTEXT_LENGTH, CONTEXT_LENGTH), float("-inf")).triu_(1)
        for block in self.transformer.resblocks:
            x = block(x, mask)
        x = self.ln_final(x).transpose(0, 1)
        rows = torch.arange(text.shape[0])
        text_feature = normalise(x[rows, text.argmax(dim=-1)] @ self.text_projection)
        return self.logit_scale.exp() * image_feature @ text_feature.t()


def is_half_precision(name: str) -> bool:
    """Whether OpenAI stores this tensor in f16: all but norms, embeddings and the scale."""
    return name in HALF_PRECISION_TABLES or any(part in name for part in HALF_PRECISION_LAYERS)


def write_archive(model: VcpClip, file: Path) -> None:
    """Writes the towers of `model`, which has its position table at the native resolution."""
    side = model.geometry.native_resolution
    clip = OpenAiClip(model.clip, model.geometry).eval()
    example = (torch.zeros(1, 3, side, side), torch.zeros(1, CONTEXT_LENGTH, dtype=torch.long))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(clip, example, check_trace=False)
        for name, parameter in traced.named_parameters():
            if is_half_precision(name):
                parameter.data = parameter.data.half()
        write_whole(file, lambda part: torch.jit.save(traced, str(part)))


def write_checkpoint(model: VcpClip, file: Path) -> None:
    """Writes what VCP-CLIP adds to CLIP, laid out as the official training code saves it."""
    checkpoint: dict[str, object] = {
        "trainable_linearlayer": model.linear.state_dict(),
        "New_Lan_Embed": model.pre_vcp.state_dict(),
        "Zero_try": model.post_vcp.state_dict(),
    }
    checkpoint.update(model.prompts.named_parameters())
    write_whole(file, lambda part: torch.save(checkpoint, part))


def write_whole(file: Path, write: Callable[[Path], None]) -> None:
    """Writes a file under a temporary name first, so that it is complete or not there."""
    # PyTorch names the folder inside the file after the file: "clip" of "clip.part" too.
    part = file.with_suffix(".part")
    try:
        write(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """Writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="vit-l-14-336")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    geometry = GEOMETRIES[arguments.geometry]
    geometry = replace(geometry, image_size=geometry.native_resolution)
    model = random_model(geometry, Attention.MATERIALISED, arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(model, arguments.folder / "vcp.pth")
    write_archive(model, arguments.folder / "clip.pt")


if __name__ == "__main__":
    main()
