"""One peer as a long-lived process: a line on standard input, one image, a JSON line back.

The model is loaded once. Every line read, whatever it says, runs one image and answers with

    {"image_ms": ..., "tower_ms": ..., "fingerprint": [...], "numbers": "..."}

where `image_ms` is absent from peers that run the vision tower alone, and `numbers`, what the
runtime says it computes with, from those that do not tell. The process ends at the end of its
input. `vcp-clip bench --serve` speaks the same protocol.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geometry import GEOMETRIES, Geometry

if TYPE_CHECKING:
    import openvino

PYTORCH_EAGER = "pytorch-eager"
PYTORCH_SDPA = "pytorch-sdpa"
ONNXRUNTIME = "onnxruntime"
OPENVINO = "openvino"
OPENVINO_BF16 = "openvino-bf16"
OPENVINO_INT8 = "openvino-int8"
ONNXRUNTIME_INT8 = "onnxruntime-int8"
F32_PEERS = (PYTORCH_EAGER, PYTORCH_SDPA, ONNXRUNTIME, OPENVINO)
NARROW_PEERS = (OPENVINO_BF16, OPENVINO_INT8, ONNXRUNTIME_INT8)
PEERS = (*F32_PEERS, *NARROW_PEERS)
TOWER_ONLY = (ONNXRUNTIME, OPENVINO, *NARROW_PEERS)

SEED = 0
Answer = dict[str, float | list[float] | str]


def test_image(geometry: Geometry, seed: int = SEED) -> NDArray[np.float32]:
    """The normalised image [1, 3, S, S] that every peer runs; speed does not depend on it."""
    shape = (1, 3, geometry.image_size, geometry.image_size)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def fingerprint(last_tap: NDArray[np.float32]) -> list[float]:
    """A few values by which two peers can be seen to have computed the same tower."""
    corner = last_tap[0, :: max(1, last_tap.shape[1] // 4), :4].ravel()
    return [float(last_tap.std()), *map(float, corner)]


class Peer(ABC):
    """A loaded model that can be timed on one image."""

    @abstractmethod
    def run(self) -> Answer:
        """Runs one image and says how long it took, in milliseconds."""


class PytorchPeer(Peer):
    """The whole model in PyTorch, from the normalised image to the finished map and score."""

    def __init__(self, geometry: Geometry, threads: int, *, fused: bool) -> None:
        import torch

        from model import Attention, random_model

        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        attention = Attention.FUSED if fused else Attention.MATERIALISED
        self.torch = torch
        self.model = random_model(geometry, attention, SEED)
        self.image = torch.from_numpy(test_image(geometry))

    def run(self) -> Answer:
        with self.torch.inference_mode():
            start = time.perf_counter()
            tower = self.model.clip.visual(self.image)
            tower_end = time.perf_counter()
            self.model.finish(tower)
            end = time.perf_counter()
        return {
            "image_ms": 1e3 * (end - start),
            "tower_ms": 1e3 * (tower_end - start),
            "fingerprint": fingerprint(tower[-1].numpy()),
        }


class OnnxruntimePeer(Peer):
    """The vision tower in ONNX Runtime, CPU execution provider, all graph optimisations."""

    def __init__(self, geometry: Geometry, threads: int, tower_file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(
            str(tower_file), options, providers=["CPUExecutionProvider"]
        )
        self.feed = {self.session.get_inputs()[0].name: test_image(geometry)}

    def run(self) -> Answer:
        start = time.perf_counter()
        outputs = self.session.run(None, self.feed)
        end = time.perf_counter()
        return {"tower_ms": 1e3 * (end - start), "fingerprint": fingerprint(outputs[-1])}


class OpenvinoPeer(Peer):
    """The vision tower in OpenVINO on the CPU, one stream.

    `narrow` allows bf16 for whatever the file does not say is to be computed with integers.
    """

    def __init__(self, geometry: Geometry, threads: int, tower_file: Path, *, narrow: bool) -> None:
        import openvino

        # Both hints are what OpenVINO chooses by itself where the processor has bf16; f32 has to
        # be asked for.
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if narrow else "f32",
            "EXECUTION_MODE_HINT": "PERFORMANCE" if narrow else "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
        }
        compiled = openvino.Core().compile_model(str(tower_file), "CPU", settings)
        self.numbers = openvino_numbers(compiled)
        self.request = compiled.create_infer_request()
        self.last_output = len(compiled.outputs) - 1
        self.image = test_image(geometry)

    def run(self) -> Answer:
        start = time.perf_counter()
        self.request.infer([self.image], share_inputs=True)
        end = time.perf_counter()
        last_tap = self.request.get_output_tensor(self.last_output).data
        return {
            "tower_ms": 1e3 * (end - start),
            "fingerprint": fingerprint(last_tap),
            "numbers": self.numbers,
        }


def openvino_numbers(compiled: openvino.CompiledModel) -> str:
    """The precision a compiled model reports, and the kernels that its products run in.

    A hint is only a wish: what became of it shows in the kernels alone.
    """
    kernels: Counter[str] = Counter()
    for operation in compiled.get_runtime_model().get_ops():
        said: dict[str, Any] = {
            key: operation.get_rt_info()[key].astype(str)
            for key in ("layerType", "primitiveType", "originalLayersNames")
            if key in operation.get_rt_info()
        }
        kernel = said.get("primitiveType", "an unnamed kernel")
        if said.get("layerType") in ("FullyConnected", "MatMul", "Convolution"):
            kernels[kernel] += 1
        elif "softmax" in said.get("originalLayersNames", "").lower():
            # Attention is fused to one operation: two products with a softmax between them.
            kernels[f"attention in {kernel}"] += 1
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    listed = ", ".join(f"{count} × {kernel}" for kernel, count in kernels.most_common())
    return f"execution precision {precision}; {listed or 'no products named'}"


def load(kind: str, geometry: Geometry, threads: int, tower_file: Path | None) -> Peer:
    """Loads a peer by name."""
    if kind in (PYTORCH_EAGER, PYTORCH_SDPA):
        return PytorchPeer(geometry, threads, fused=kind == PYTORCH_SDPA)
    if tower_file is None:
        raise ValueError(f"The peer {kind} needs --tower FILE.")
    if kind in (ONNXRUNTIME, ONNXRUNTIME_INT8):
        return OnnxruntimePeer(geometry, threads, tower_file)
    return OpenvinoPeer(geometry, threads, tower_file, narrow=kind != OPENVINO)


def main() -> None:
    """Serves one peer until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=PEERS)
    parser.add_argument("--geometry", choices=GEOMETRIES, required=True)
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tower", type=Path, help="the exported or quantised vision tower")
    arguments = parser.parse_args()

    geometry = replace(GEOMETRIES[arguments.geometry], image_size=arguments.image_size)
    peer = load(arguments.kind, geometry, arguments.threads, arguments.tower)
    for _ in sys.stdin:
        print(json.dumps(peer.run()), flush=True)


if __name__ == "__main__":
    main()
