"""Quantises the exported vision tower to int8, for OpenVINO (by NNCF) and ONNX Runtime.

    openvino       post-training quantisation by NNCF with what it recommends for transformers,
                   the model type TRANSFORMER and the preset MIXED, which it would choose with
                   that by itself; calibrated on a few random normalised images
    onnxruntime    dynamic quantisation of the linear layers: int8 weights with one scale an
                   output; what they are multiplied with is quantised as it comes

NNCF also quantises the patches' convolution and parts of the attention; for ONNX Runtime both stay
in f32.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geometry import GEOMETRIES, Geometry
from peer import SEED, test_image
from whole import written_whole

OPENVINO = "openvino"
ONNXRUNTIME = "onnxruntime"
CALIBRATION_IMAGES = 8


def calibration_images(geometry: Geometry) -> list[NDArray[np.float32]]:
    """Random normalised images, none of them the one that the peers run."""
    seeds = range(SEED + 1, SEED + 1 + CALIBRATION_IMAGES)
    return [test_image(geometry, seed) for seed in seeds]


def quantise_for_openvino(tower: Path, file: Path, geometry: Geometry) -> None:
    """Writes OpenVINO's own format, `file` and the weights beside it."""
    # NNCF would tell its makers of its use; this is how its own tests keep it from that.
    os.environ["NNCF_CI"] = "1"
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    quantised = nncf.quantize(
        openvino.Core().read_model(tower),
        nncf.Dataset(calibration_images(geometry)),
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=CALIBRATION_IMAGES,
        model_type=nncf.ModelType.TRANSFORMER,
    )
    openvino.save_model(quantised, file, compress_to_fp16=False)


def quantise_for_onnxruntime(tower: Path, file: Path) -> None:
    """Writes an ONNX file, `file`, and the weights beside it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        prepared = Path(folder) / tower.name
        quant_pre_process(tower, prepared, save_as_external_data=True, all_tensors_to_one_file=True)
        quantize_dynamic(
            prepared,
            file,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )


def main() -> None:
    """Quantises what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runtime", choices=(OPENVINO, ONNXRUNTIME))
    parser.add_argument("tower", type=Path, help="the exported tower in f32")
    parser.add_argument("file", type=Path)
    parser.add_argument("--geometry", choices=GEOMETRIES, required=True)
    parser.add_argument("--image-size", type=int, required=True)
    arguments = parser.parse_args()
    geometry = replace(GEOMETRIES[arguments.geometry], image_size=arguments.image_size)
    with written_whole(arguments.file) as file:
        if arguments.runtime == OPENVINO:
            quantise_for_openvino(arguments.tower, file, geometry)
        else:
            quantise_for_onnxruntime(arguments.tower, file)


if __name__ == "__main__":
    main()
