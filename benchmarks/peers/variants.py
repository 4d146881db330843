"""Stored numbers of what differs from the published models: an image side that the patch does not
divide, a context that does not depend on the image, texts without prompts.

    .venv/bin/python variants.py ../../fixtures/mini OUT.safetensors
    .venv/bin/python variants.py FOLDER --official CHECKOUT

The first writes what the eager statement of the model makes of the test model in the folder, and of
three steps of training. The second, which needs ftfy and regex besides, holds the statement against
the official code itself (github.com/xiaozhen228/VCP-CLIP, commit 4dd96ec), on a test model of at
least twelve vision blocks: with fewer, that code fails.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
import types
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
from model import Attention, Stages, VcpClip, load_model
from step import LEARNING_RATE, TEMPERATURE_LEARNING_RATE, loss_of

STEPS = 3


@dataclass(frozen=True)
class Variant:
    """One way in which a model differs from the published ones."""

    name: str
    beyond: int = 0
    """Pixels beyond the last whole patch."""
    global_context: bool = True
    deep_prompting: bool = True


VARIANTS = (
    Variant("odd", beyond=3),
    Variant("queries_only", beyond=3, global_context=False),
    Variant("no_prompts", beyond=3, deep_prompting=False),
    Variant("neither", beyond=3, global_context=False, deep_prompting=False),
)


def read_archive(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """CLIP's weights, unpacked where they are packed."""
    file = folder / "clip.pt"
    if not file.exists():
        file = Path(tempfile.mkdtemp()) / "clip.pt"
        with gzip.open(folder / "clip.pt.gz") as packed, file.open("wb") as out:
            shutil.copyfileobj(packed, out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return file, torch.jit.load(file, map_location="cpu").state_dict()


def side_of(patch: int, variant: Variant) -> int:
    """Four patches and what is beyond them: not the grid that the test models know."""
    return 4 * patch + variant.beyond


def test_image(side: int) -> Tensor:
    """Two normalised images of some structure."""
    torch.manual_seed(7)
    coarse = torch.randn(2, 3, 9, 9)
    image = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
    return image + 0.2 * torch.randn(2, 3, side, side)


def checkpoint_of(checkpoint: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """The checkpoint as training without prompts in the text would have saved it."""
    kept = dict(checkpoint)
    if not variant.deep_prompting:
        del kept["deep_prompt_embeddings"]
    return kept


def learned(model: VcpClip) -> dict[str, Tensor]:
    """What the official training trains, by the names of checkpoints."""
    parts = {
        "": model.prompts,
        "New_Lan_Embed.": model.pre_vcp,
        "Zero_try.": model.post_vcp,
        "trainable_linearlayer.": model.linear,
    }
    return {
        prefix + name: parameter
        for prefix, part in parts.items()
        for name, parameter in part.named_parameters()
    }


def trained(model: VcpClip, image: Tensor) -> dict[str, Tensor]:
    """Losses of three official steps without dropout, first gradients, and what the steps leave."""
    parameters = learned(model)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    temperatures = [value for name, value in parameters.items() if "prompt_temp" in name]
    others = [value for name, value in parameters.items() if "prompt_temp" not in name]
    optimiser = torch.optim.Adam(
        [
            {"params": others, "lr": LEARNING_RATE},
            {"params": temperatures, "lr": TEMPERATURE_LEARNING_RATE},
        ],
        betas=(0.5, 0.999),
    )
    with torch.no_grad():
        tower = model.clip.visual(image)
    side = image.shape[-1]
    truth = torch.zeros(2, side, side)
    truth[0, side // 4 : side // 2, side // 3 : side // 2] = 1.0
    truth[1, side // 2 :, : side // 5] = 1.0
    found: dict[str, Tensor] = {"gt": truth}
    losses = []
    for step in range(STEPS):
        loss = loss_of(model, tower, truth)
        losses.append(loss.detach())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if step == 0:
            for name, parameter in parameters.items():
                if parameter.grad is not None:
                    # All of a small one; of a large one its length.
                    found[f"length.{name}"] = parameter.grad.norm()
                    if parameter.numel() <= 512:
                        found[f"grad.{name}"] = parameter.grad.clone()
        optimiser.step()
    found["losses"] = torch.stack(losses)
    for name, parameter in parameters.items():
        if parameter.numel() <= 512:
            found[f"after.{name}"] = parameter.detach().clone()
        parameter.requires_grad_(False)
    return found


def write(folder: Path, out: Path) -> None:
    """Writes the stored numbers of all variants."""
    config = json.loads((folder / "config.json").read_text())
    _, archive = read_archive(folder)
    checkpoint = torch.load(folder / "vcp.pth", map_location="cpu", weights_only=True)
    tensors: dict[str, Tensor] = {}
    for variant in VARIANTS:
        side = side_of(config["patch"], variant)
        image = test_image(side)
        tensors["image"] = image
        model = load_model(
            archive,
            checkpoint_of(checkpoint, variant),
            tuple(config["taps"]),
            side,
            Attention.MATERIALISED,
            global_context=variant.global_context,
        )
        stages: Stages = {}
        model(image, stages)
        for stage in ("image_feature", "context", "text", "map1", "map2"):
            tensors[f"{variant.name}.{stage}"] = stages[stage]
        for name, value in trained(model, image).items():
            tensors[f"{variant.name}.{name}"] = value
    save_file({name: value.float().contiguous() for name, value in tensors.items()}, out)


def official_stages(
    checkout: Path, archive: Path, checkpoint: dict[str, Any], variant: Variant, config: Any
) -> Stages:
    """What the official code makes of the image."""
    # What it imports and does not need here.
    for name in ("torchvision", "torchvision.transforms", "torchvision.ops", "pkg_resources"):
        sys.modules.setdefault(name, types.ModuleType(name))
    misc = types.ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = type("FrozenBatchNorm2d", (), {})
    sys.modules["torchvision.ops.misc"] = misc
    transforms = sys.modules["torchvision.transforms"]
    for name in ("Compose", "Resize", "CenterCrop", "ToTensor", "Normalize", "RandomResizedCrop"):
        setattr(transforms, name, lambda *_, **__: None)
    transforms.InterpolationMode = types.SimpleNamespace(BICUBIC=3)
    version = types.SimpleNamespace(parse=lambda text: tuple(map(int, text.split("+")[0].split("."))))
    sys.modules["pkg_resources"].packaging = types.SimpleNamespace(version=version)
    sys.path.insert(0, str(checkout))
    from models import simple_tokenizer

    simple_tokenizer.default_bpe.cache_clear()
    words = str(checkout / "models/bpe_simple_vocab_16e6.txt.gz")
    simple_tokenizer.SimpleTokenizer.__init__.__defaults__ = (words,)
    sys.modules.pop("models.model_CLIP", None)
    from models.model_CLIP import Load_CLIP, tokenize
    from models.post_vcp import Zero_Parameter
    from models.pre_vcp import Context_Prompting
    from models.prompt_ensemble import Prompt_Ensemble

    # It moves a sum of attention weights, which it does not use, to a GPU.
    to = Tensor.to
    Tensor.to = lambda self, *args, **kw: self if args == ("cuda",) else to(self, *args, **kw)
    side = side_of(config["patch"], variant)
    layers = 0 if not variant.deep_prompting else config["text_layers"] - 1
    model, _, _ = Load_CLIP(
        side,
        str(archive),
        device="cpu",
        deep_prompt_len=config["deep_prompt_length_n"],
        total_d_layer_len=layers,
    )
    model.eval()
    for name, parameter in model.named_parameters():
        if "prompt" in name:
            parameter.data = checkpoint[name].data
    width, embedding = config["vision_width"], config["embed_dim"]
    sizes = {"text_cfg": {"width": embedding}, "embed_dim": embedding}
    pre = Context_Prompting(sizes, cla_len=config["context_length_r"])
    pre.load_state_dict(checkpoint["New_Lan_Embed"])
    post = Zero_Parameter(dim_v=width, dim_t=embedding, dim_out=width)
    post.load_state_dict(checkpoint["Zero_try"])
    weights = checkpoint["trainable_linearlayer"]
    ensemble = Prompt_Ensemble(config["context_length_r"], tokenize)

    image = test_image(side)
    found: Stages = {}
    with torch.no_grad():
        feature, taps = model.encode_image(image, config["taps"])
        context = pre.before_extract_feat(taps, feature.clone(), use_global=variant.global_context)
        text = ensemble.forward_ensemble(model, context, "cpu")
        grid = side // config["patch"]

        def probability(logits: Tensor) -> Tensor:
            planes = logits.permute(0, 2, 1).reshape(2, 2, grid, grid)
            planes = F.interpolate(planes, size=side, mode="bilinear", align_corners=True)
            return torch.softmax(planes, dim=1)[:, 1]

        maps: tuple[list[Tensor], list[Tensor]] = ([], [])
        for index, tap in enumerate(taps):
            dense = tap[:, 1:]
            dense = dense / dense.norm(dim=-1, keepdim=True)
            updated, _ = post(text, dense)
            maps[1].append(probability(post.prompt_temp_l1.exp() * dense @ updated.permute(0, 2, 1)))
            dense = F.linear(tap[:, 1:], weights[f"fc.{index}.weight"], weights[f"fc.{index}.bias"])
            dense = dense / dense.norm(dim=-1, keepdim=True)
            maps[0].append(probability(pre.prompt_temp.exp() * dense @ text.permute(0, 2, 1)))
    found.update(image_feature=feature, context=context, text=text)
    found["map1"], found["map2"] = (torch.stack(branch).mean(0) for branch in maps)
    Tensor.to = to
    return found


def check(folder: Path, checkout: Path) -> None:
    """Prints how far the eager statement is from the official code."""
    config = json.loads((folder / "config.json").read_text())
    file, archive = read_archive(folder)
    checkpoint = torch.load(folder / "vcp.pth", map_location="cpu", weights_only=True)
    for variant in VARIANTS:
        own = checkpoint_of(checkpoint, variant)
        expected = official_stages(checkout, file, own, variant, config)
        side = side_of(config["patch"], variant)
        model = load_model(
            archive,
            own,
            tuple(config["taps"]),
            side,
            Attention.MATERIALISED,
            global_context=variant.global_context,
        )
        stages: Stages = {}
        model(test_image(side), stages)
        for stage, value in expected.items():
            difference = (value - stages[stage]).abs().max() / value.abs().max()
            print(f"{variant.name:<14} {stage:<14} {tuple(value.shape)!s:<16} {difference:.1e}")


def main() -> None:
    """Writes or checks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a test model")
    parser.add_argument("out", type=Path, nargs="?", help="the file to write")
    parser.add_argument("--official", type=Path, help="a checkout of the official code")
    arguments = parser.parse_args()
    if arguments.official is not None:
        check(arguments.folder, arguments.official)
    elif arguments.out is not None:
        write(arguments.folder, arguments.out)
    else:
        parser.error("name a file to write, or --official CHECKOUT")


if __name__ == "__main__":
    main()
