"""VCP-CLIP in plain PyTorch: the yardstick that vcp-clip is timed against.

Reference: Qu et al., "VCP-CLIP: A visual context prompting model for zero-shot anomaly
segmentation", ECCV 2024, and the code its authors published. What is computed, and in how many
operations, follows that code: attention weights are materialised and averaged over the heads,
both templates run all 77 text rows for each image, Post-VCP projects keys and values over all
patches of every tap, and maps are made at full resolution. `Attention.FUSED` replaces only the
attention of the two towers by `torch.nn.functional.scaled_dot_product_attention`.

Shapes: B images, S image side, g = S / patch, L = g * g patches, D vision width,
E embedding width = text width, r context vectors, n deep prompts.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from geometry import CONTEXT_LENGTH, Geometry

HEAD_WIDTH = 64
START_OF_TEXT = 49406
END_OF_TEXT = 49407
CLASS_TOKEN = 49408
"""The extra token id that the context vectors replace; its embedding row is zero."""

NORMAL_TEMPLATE = (320, 1125, 539, 320, 886, CLASS_TOKEN)
"""Token ids of "a photo of a good <|class|>", without start and end marks."""

ANOMALOUS_TEMPLATE = (320, 1125, 539, 320, 13568, CLASS_TOKEN)
"""Token ids of "a photo of a damaged <|class|>", without start and end marks."""

BRANCH_WEIGHTS = (0.2, 0.8)
SMOOTHING_SIGMA = 8.0
SCORE_PIXELS = 2000
SCORE_SIDE = 518
"""The image score averages the `SCORE_PIXELS` largest pixels of a map of side `SCORE_SIDE`."""

Stages = dict[str, Tensor]


class Attention(enum.Enum):
    """How the attention of both towers is computed."""

    MATERIALISED = "materialised"
    FUSED = "fused"


class LayerNorm(nn.LayerNorm):
    """Layer normalisation computed in f32 at least, whatever the type of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.dtype is torch.float64 else x.float()).to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention over [rows, B, width], heads of 64 channels."""

    def __init__(self, width: int, attention: Attention) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.attention = attention
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the output and, where materialised, the weights averaged over the heads."""
        rows, batch, width = x.shape
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)

        def split_heads(t: Tensor) -> Tensor:
            return t.contiguous().view(rows, batch * self.heads, HEAD_WIDTH).transpose(0, 1)

        query, key, value = split_heads(query), split_heads(key), split_heads(value)
        mean_weights = None
        if self.attention is Attention.FUSED:
            shape = (batch, self.heads, rows, HEAD_WIDTH)
            mixed = F.scaled_dot_product_attention(
                query.view(shape), key.view(shape), value.view(shape), attn_mask=mask
            ).reshape(batch * self.heads, rows, HEAD_WIDTH)
        else:
            weights = torch.bmm(query / math.sqrt(HEAD_WIDTH), key.transpose(1, 2))
            if mask is not None:
                weights += mask
            weights = weights.softmax(dim=-1)
            mixed = torch.bmm(weights, value)
            # The published code asks for the weights in every block, so it pays for this too.
            mean_weights = weights.view(batch, self.heads, rows, rows).sum(dim=1) / self.heads
        mixed = mixed.transpose(0, 1).reshape(rows, batch, width)
        return self.out_proj(mixed), mean_weights


class Block(nn.Module):
    """One pre-norm transformer block over [rows, B, width], with exact (erf) GELU."""

    def __init__(self, width: int, attention: Attention) -> None:
        super().__init__()
        self.attn = SelfAttention(width, attention)
        self.ln_1 = LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width),
                gelu=nn.GELU(),
                c_proj=nn.Linear(4 * width, width),
            )
        )
        self.ln_2 = LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        attended, _ = self.attn(self.ln_1(x), mask)
        x = x + attended
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, width: int, layers: int, attention: Attention) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, attention) for _ in range(layers))


class VisionTower(nn.Module):
    """CLIP's vision transformer: image [B, 3, S, S] to image feature [B, E] and taps."""

    def __init__(self, geometry: Geometry, attention: Attention) -> None:
        super().__init__()
        width = geometry.vision_width
        self.taps = geometry.taps
        self.conv1 = nn.Conv2d(3, width, geometry.patch, stride=geometry.patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(geometry.grid**2 + 1, width))
        self.ln_pre = LayerNorm(width)
        self.transformer = Transformer(width, geometry.vision_layers, attention)
        self.ln_post = LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, geometry.embedding_width))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Returns the image feature [B, E], not normalised, then each tap [B, 1 + L, D]."""
        x = self.conv1(image).flatten(2).transpose(1, 2)
        class_row = self.class_embedding.expand(x.shape[0], 1, -1)
        x = torch.cat([class_row, x], dim=1) + self.positional_embedding
        x = self.ln_pre(x).transpose(0, 1)
        taps: list[Tensor] = []
        for number, block in enumerate(self.transformer.resblocks, start=1):
            x = block(x)
            if number in self.taps:
                taps.append(x.transpose(0, 1))
        image_feature = self.ln_post(x[0]) @ self.proj
        return (image_feature, *taps)


class Clip(nn.Module):
    """Both towers of CLIP; parameters carry the names of OpenAI's archives."""

    def __init__(self, geometry: Geometry, attention: Attention) -> None:
        super().__init__()
        width = geometry.embedding_width
        self.visual = VisionTower(geometry, attention)
        self.transformer = Transformer(width, geometry.text_layers, attention)
        self.token_embedding = nn.Embedding(geometry.vocabulary + 1, width)
        self.positional_embedding = nn.Parameter(torch.empty(CONTEXT_LENGTH, width))
        self.ln_final = LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, width))
        self.logit_scale = nn.Parameter(torch.empty(()))


class Prompts(nn.Module):
    """The learned prompt rows of the text tower and the layers they pass through."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        width, count = geometry.embedding_width, geometry.deep_prompts
        self.prompt_embeddings = nn.Parameter(torch.empty(1, count, width))
        if geometry.deep_prompting:
            self.deep_prompt_embeddings = nn.Parameter(
                torch.empty(geometry.text_layers - 1, count, width)
            )
        self.prompt_proj = nn.Linear(width, width)
        self.prompt_norm = LayerNorm(width, eps=1e-6)
        # Stands in every checkpoint and takes part in nothing.
        self.prompt_text_projection = nn.Parameter(torch.empty(width, width))


class ContextConvolution(nn.Module):
    """The convolution of Pre-VCP along the channels: [B, 1, E] to [B, r, E]."""

    def __init__(self, context_vectors: int) -> None:
        super().__init__()
        self.fc = nn.Conv1d(1, context_vectors, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


class TapLayers(nn.Module):
    """Branch 1: one linear layer D to E for each tap."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.fc = nn.ModuleList(
            nn.Linear(geometry.vision_width, geometry.embedding_width) for _ in geometry.taps
        )


class PreVcp(nn.Module):
    """Pre-VCP: image feature [B, E] to context rows [B, r, E]."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.global_context = geometry.global_context
        self.prompt_query = nn.Parameter(
            torch.empty(1, geometry.context_vectors, geometry.embedding_width)
        )
        self.prompt_temp = nn.Parameter(torch.empty(()))
        self.prompt_linear1 = ContextConvolution(geometry.context_vectors)

    def forward(self, image_feature: Tensor) -> Tensor:
        if not self.global_context:
            return self.prompt_query.expand(image_feature.shape[0], -1, -1)
        return self.prompt_query + self.prompt_linear1(image_feature.unsqueeze(1))


class PostVcp(nn.Module):
    """Post-VCP: text [B, 2, E] and unit patch rows [B, L, D] to updated text [B, 2, D]."""

    HEADS = 8

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        width = geometry.vision_width
        self.prompt_temp_l1 = nn.Parameter(torch.empty(()))
        self.q_proj_pre = nn.Conv1d(geometry.embedding_width, width, 1)
        self.k_proj_pre_1 = nn.Conv1d(width, width, 1)
        self.v_proj_pre_1 = nn.Conv1d(width, width, 1)
        self.proj_post_t = nn.Conv1d(width, width, 1)

    def forward(self, text: Tensor, patches: Tensor) -> Tensor:
        def project(layer: nn.Conv1d, rows: Tensor) -> Tensor:
            projected = layer(rows.transpose(1, 2)).transpose(1, 2)
            return projected.unflatten(-1, (self.HEADS, -1))

        query = project(self.q_proj_pre, text)
        key = project(self.k_proj_pre_1, patches)
        value = project(self.v_proj_pre_1, patches)
        weights = torch.einsum("bthc,blhc->bhtl", query, key).softmax(dim=-1)
        mixed = torch.einsum("bhtl,blhc->bthc", weights, value).flatten(2)
        return normalise(self.proj_post_t(mixed.transpose(1, 2)).transpose(1, 2))


def normalise(x: Tensor) -> Tensor:
    """Divides the last axis by its Euclidean norm."""
    return x / x.norm(dim=-1, keepdim=True)


@dataclass(frozen=True)
class Segmentation:
    """What the model says about B images."""

    map: NDArray[np.float32]
    """Blended and smoothed anomaly map [B, S, S]."""
    scores: list[float]
    """Image scores between 0 and 1."""


class VcpClip(nn.Module):
    """The whole model, from the normalised image to the finished map and score."""

    def __init__(self, geometry: Geometry, attention: Attention) -> None:
        super().__init__()
        self.geometry = geometry
        self.clip = Clip(geometry, attention)
        self.prompts = Prompts(geometry)
        self.pre_vcp = PreVcp(geometry)
        self.post_vcp = PostVcp(geometry)
        self.linear = TapLayers(geometry)
        mask = torch.full((CONTEXT_LENGTH, CONTEXT_LENGTH), float("-inf")).triu_(1)
        self.register_buffer("causal_mask", mask, persistent=False)

    def encode_template(self, template: tuple[int, ...], context: Tensor) -> Tensor:
        """Encodes one template with the context rows [r, E] of one image: unit text [E]."""
        clip, prompts, r = self.clip, self.prompts, self.geometry.context_vectors
        n = self.geometry.deep_prompts
        ids = torch.zeros(CONTEXT_LENGTH, dtype=torch.long)
        ids[: len(template) + 2] = torch.tensor([START_OF_TEXT, *template, END_OF_TEXT])
        place = 1 + template.index(CLASS_TOKEN)
        end = len(template) + 1 + r - 1

        rows = clip.token_embedding(ids)
        rows = torch.cat([rows[:place], context, rows[place + 1 : CONTEXT_LENGTH - r + 1]])
        rows = rows + clip.positional_embedding
        prompting = self.geometry.deep_prompting
        if prompting:
            # The prompts push the last rows, which are padding, out of the 77.
            first = prompts.prompt_proj(prompts.prompt_embeddings[0])
            rows = torch.cat([rows[:1], first, rows[1:-n]])
        x = rows.unsqueeze(1)
        for index, block in enumerate(clip.transformer.resblocks):
            if prompting and index > 0:
                deep = prompts.prompt_proj(prompts.deep_prompt_embeddings[index - 1])
                x = torch.cat([x[:1], deep.unsqueeze(1), x[1 + n :]])
            x = block(x, self.causal_mask)
        if prompting:
            x = prompts.prompt_norm(torch.cat([x[:1], x[1 + n :]]))
        x = clip.ln_final(x)
        # One template a side, so the mean over templates and its normalisation change nothing;
        # they stay for the cost's sake.
        text = normalise(x[end] @ clip.text_projection)
        return normalise(text.mean(dim=0))

    def encode_text(self, context: Tensor) -> Tensor:
        """Encodes both sides image by image: context [B, r, E] to text [B, 2, E]."""
        sides = (NORMAL_TEMPLATE, ANOMALOUS_TEMPLATE)
        return torch.stack(
            [torch.stack([self.encode_template(s, rows) for s in sides]) for rows in context]
        )

    def probability_map(self, logits: Tensor) -> Tensor:
        """Turns patch logits [B, L, 2] into the anomaly probability [B, S, S]."""
        grid, side = self.geometry.grid, self.geometry.image_size
        planes = logits.transpose(1, 2).unflatten(2, (grid, grid))
        planes = F.interpolate(planes, size=(side, side), mode="bilinear", align_corners=True)
        return planes.softmax(dim=1)[:, 1]

    @torch.inference_mode()
    def forward(self, image: Tensor, stages: Stages | None = None) -> Segmentation:
        """Segments normalised images [B, 3, S, S]; fills `stages`, where given, by stage name."""
        return self.finish(self.clip.visual(image), stages)

    @torch.inference_mode()
    def finish(self, tower: tuple[Tensor, ...], stages: Stages | None = None) -> Segmentation:
        """Everything after the vision tower, from what the tower returned."""
        image_feature, *taps = tower
        context = self.pre_vcp(image_feature)
        text = self.encode_text(context)
        keep: Stages = {} if stages is None else stages
        if stages is not None:
            stages.update(image_feature=image_feature, context=context, text=text)

        branch_1, branch_2 = [], []
        for number, tap, linear in zip(self.geometry.taps, taps, self.linear.fc, strict=True):
            patches = normalise(tap[:, 1:])
            updated = self.post_vcp(text, patches)
            logits = self.post_vcp.prompt_temp_l1.exp() * patches @ updated.transpose(1, 2)
            branch_2.append(self.probability_map(logits))

            embedded = normalise(linear(tap[:, 1:]))
            logits = self.pre_vcp.prompt_temp.exp() * embedded @ text.transpose(1, 2)
            branch_1.append(self.probability_map(logits))
            if stages is not None:
                keep[f"tap_{number}"] = tap
                keep[f"updated_text_{number}"] = updated
                keep[f"branch1_{number}"] = branch_1[-1]
                keep[f"branch2_{number}"] = branch_2[-1]

        map_1 = np.mean([plane.numpy() for plane in branch_1], axis=0)
        map_2 = np.mean([plane.numpy() for plane in branch_2], axis=0)
        blend = BRANCH_WEIGHTS[0] * map_1 + BRANCH_WEIGHTS[1] * map_2
        smoothed = gaussian_filter(blend, sigma=SMOOTHING_SIGMA, axes=(1, 2))
        if stages is not None:
            keep["map1"], keep["map2"] = torch.from_numpy(map_1), torch.from_numpy(map_2)
            keep["blended_smoothed"] = torch.from_numpy(smoothed)
        scores = (mean_of_largest(map_1) + mean_of_largest(map_2)) / 2
        return Segmentation(smoothed, [float(score) for score in scores])


def mean_of_largest(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each map's largest pixels: 2000 of 518 x 518, in proportion elsewhere."""
    flat = maps.reshape(maps.shape[0], -1)
    count = max(1, round(SCORE_PIXELS * flat.shape[1] / SCORE_SIDE**2))
    return np.partition(flat, flat.shape[1] - count, axis=1)[:, -count:].mean(axis=1)


def random_model(geometry: Geometry, attention: Attention, seed: int = 0) -> VcpClip:
    """A model with random weights of trained-like scale; the same seed gives the same weights."""
    torch.manual_seed(seed)
    with torch.device("meta"):
        model = VcpClip(geometry, attention)
    model.to_empty(device="cpu")
    fill_randomly(model)
    mask = torch.full((CONTEXT_LENGTH, CONTEXT_LENGTH), float("-inf")).triu_(1)
    model.causal_mask = mask
    return model.eval().requires_grad_(False)


@torch.no_grad()
def fill_randomly(model: nn.Module) -> None:
    """Fills the parameters in place with values of the scale that trained ones have."""
    for name, parameter in model.named_parameters():
        if name.endswith(("prompt_temp", "prompt_temp_l1", "logit_scale")):
            parameter.fill_(math.log(1 / 0.07))
        elif ".ln_" in name or name.startswith("ln_") or "prompt_norm" in name:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            parameter.normal_(std=0.02)
        elif name.endswith(("prompt_embeddings", "prompt_query")):
            parameter.uniform_(-1.0, 1.0)
        elif "embedding" in name:
            parameter.normal_(std=0.02)
        else:
            fan_in = parameter.shape[0] if parameter.ndim == 2 and name.endswith("proj") else 0
            fan_in = fan_in or parameter[0].numel()
            parameter.normal_(std=fan_in**-0.5)


def resample_positions(table: Tensor, grid: int) -> Tensor:
    """Resamples a position table [1 + m * m, D] to [1 + grid * grid, D], antialiased bicubic."""
    side = math.isqrt(table.shape[0] - 1)
    if side == grid:
        return table
    square = table[1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    square = F.interpolate(
        square, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False
    )
    rows = square.permute(0, 2, 3, 1).reshape(grid * grid, -1)
    return torch.cat([table[:1], rows])


def load_model(
    archive: Mapping[str, Tensor],
    checkpoint: Mapping[str, Any],
    taps: tuple[int, ...],
    image_size: int,
    attention: Attention,
    *,
    global_context: bool = True,
    dtype: torch.dtype = torch.float32,
) -> VcpClip:
    """Builds the model from an OpenAI state dictionary and an official VCP-CLIP checkpoint.

    A checkpoint without `deep_prompt_embeddings` is one without prompts in the text.
    """
    weights = {k: v.to(dtype) for k, v in archive.items() if v.is_floating_point()}

    def layers(prefix: str) -> int:
        return sum(k.startswith(prefix) and k.endswith("in_proj_weight") for k in weights)

    patch = weights["visual.conv1.weight"].shape[-1]
    geometry = Geometry(
        image_size=image_size,
        patch=patch,
        native_resolution=patch * math.isqrt(weights["visual.positional_embedding"].shape[0] - 1),
        vision_width=weights["visual.conv1.weight"].shape[0],
        vision_layers=layers("visual."),
        embedding_width=weights["text_projection"].shape[1],
        text_layers=layers("transformer."),
        taps=taps,
        context_vectors=checkpoint["New_Lan_Embed"]["prompt_query"].shape[1],
        deep_prompts=checkpoint["prompt_embeddings"].shape[1],
        deep_prompting="deep_prompt_embeddings" in checkpoint,
        global_context=global_context,
        vocabulary=weights["token_embedding.weight"].shape[0],
    )
    table = weights["visual.positional_embedding"]
    weights["visual.positional_embedding"] = resample_positions(table, geometry.grid)
    embedding = weights["token_embedding.weight"]
    weights["token_embedding.weight"] = F.pad(embedding, (0, 0, 0, 1))

    model = VcpClip(geometry, attention)
    model.clip.load_state_dict(weights)
    model.linear.load_state_dict(checkpoint["trainable_linearlayer"])
    model.pre_vcp.load_state_dict(checkpoint["New_Lan_Embed"])
    model.post_vcp.load_state_dict(checkpoint["Zero_try"])
    parts = ("trainable_linearlayer", "New_Lan_Embed", "Zero_try")
    model.prompts.load_state_dict({k: v for k, v in checkpoint.items() if k not in parts})
    return model.eval().requires_grad_(False)
