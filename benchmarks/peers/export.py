"""Writes the vision tower with random weights as an ONNX file, for ONNX Runtime and OpenVINO.

The graph takes the normalised image [1, 3, S, S] and returns the image feature and the taps. The
attention is exported as two products and a softmax, which both runtimes recognise and fuse;
exporting `scaled_dot_product_attention`, or ONNX's own Attention operator, was not faster in
either.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from geometry import GEOMETRIES, Geometry
from model import Attention, random_model
from peer import SEED, test_image
from whole import written_whole

OPSET = 20


def export(geometry: Geometry, file: Path) -> None:
    """Exports to `file` (weights in a second file beside it), complete or not at all."""
    tower = random_model(geometry, Attention.MATERIALISED, SEED).clip.visual
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with written_whole(file) as graph, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower,
            (torch.from_numpy(test_image(geometry)),),
            graph,
            dynamo=True,
            opset_version=OPSET,
            external_data=True,
            verbose=False,
        )


def main() -> None:
    """Exports what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--geometry", choices=GEOMETRIES, required=True)
    parser.add_argument("--image-size", type=int, required=True)
    arguments = parser.parse_args()
    geometry = replace(GEOMETRIES[arguments.geometry], image_size=arguments.image_size)
    export(geometry, arguments.file)


if __name__ == "__main__":
    main()
