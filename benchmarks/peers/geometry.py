"""The sizes of the models that are compared."""

from __future__ import annotations

from dataclasses import dataclass

VOCABULARY = 49408
"""Token ids of CLIP's tokenizer; the class token takes one more."""

CONTEXT_LENGTH = 77
"""Rows of CLIP's text position table."""


@dataclass(frozen=True)
class Geometry:
    """The sizes that define a model."""

    image_size: int
    patch: int
    native_resolution: int
    vision_width: int
    vision_layers: int
    embedding_width: int
    text_layers: int
    taps: tuple[int, ...]
    context_vectors: int = 2
    deep_prompts: int = 1
    deep_prompting: bool = True
    """Whether the prompts stand in the text; the official code's --total_d_layer_len 0 takes them away."""
    global_context: bool = True
    """Whether the context depends on the image; the official code's --use_global takes that away."""
    vocabulary: int = VOCABULARY

    @property
    def grid(self) -> int:
        """Patches along one side of the image; pixels beyond the last whole one are left out."""
        return self.image_size // self.patch

    @property
    def tower_operations(self) -> float:
        """Floating-point operations of the tower's products for one image, two a multiply-add."""
        rows, width = self.grid**2 + 1, self.vision_width
        block = rows * 12 * width * width + 2 * rows * rows * width
        patches = self.grid**2 * 3 * self.patch**2 * width
        return 2.0 * (self.vision_layers * block + patches)


GEOMETRIES: dict[str, Geometry] = {
    "vit-l-14-336": Geometry(518, 14, 336, 1024, 24, 768, 12, (6, 12, 18, 24)),
    "vit-l-14": Geometry(518, 14, 224, 1024, 24, 768, 12, (6, 12, 18, 24)),
    "vit-b-16": Geometry(518, 16, 224, 768, 12, 512, 12, (3, 6, 9, 12)),
}
"""The three CLIP models of OpenAI that VCP-CLIP can be built on, with their usual image size."""
