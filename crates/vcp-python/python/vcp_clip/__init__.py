"""Finds defects in photos of products never seen in training: VCP-CLIP (ECCV 2024) on the CPU, without PyTorch.

>>> import vcp_clip
>>> inspector = vcp_clip.Inspector()
>>> inspection = inspector.inspect("photo.jpg")
>>> inspection.decision, inspection.pred_score, inspection.anomaly_map.shape

- :class:`Inspector` is a model with all that photos are inspected with; :func:`inspect` and :func:`inspect_batch` use
  one with the defaults.
- :class:`Inspection` is what was found in a photo.
- :func:`calibrate` finds thresholds; :mod:`vcp_clip.metrics` has figures of merit.
- :func:`pull` fetches published weights, :func:`read_checkpoint` reads weight files without executing them.
- Every error is a :class:`VcpClipError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _arguments, metrics
from ._calibration import Calibration, calibrate
from ._errors import (
    DecodeError,
    DeviceError,
    InputError,
    InternalError,
    LimitError,
    ModelError,
    OutputError,
    VcpClipError,
)
from ._inspector import Inspector
from ._vcp_clip import Inspection, Region, Thresholds, __version__
from ._vcp_clip import pull as _pull
from ._vcp_clip import read_checkpoint as _read_checkpoint

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._arguments import Path
    from ._photos import Photo

__all__ = [
    "Calibration",
    "DecodeError",
    "DeviceError",
    "InputError",
    "Inspection",
    "Inspector",
    "InternalError",
    "LimitError",
    "ModelError",
    "OutputError",
    "Region",
    "Thresholds",
    "VcpClipError",
    "__version__",
    "calibrate",
    "inspect",
    "inspect_batch",
    "metrics",
    "pull",
    "read_checkpoint",
]

_usual: Inspector | None = None


def _usual_inspector() -> Inspector:
    global _usual
    if _usual is None:
        _usual = Inspector()
    return _usual


def inspect(photo: Photo, *, value_range: tuple[float, float] | None = None) -> Inspection:
    """Inspects a photo with the built-in model and the defaults; see :meth:`Inspector.inspect`."""
    return _usual_inspector().inspect(photo, value_range=value_range)


def inspect_batch(photos: Iterable[Photo]) -> list[Inspection]:
    """Inspects photos with the built-in model and the defaults; see :meth:`Inspector.inspect_batch`."""
    return _usual_inspector().inspect_batch(photos)


def pull(
    name: str,
    *,
    cache: Path | None = None,
    offline: bool = False,
    base_urls: tuple[str, str] | None = None,
    progress: Callable[[str, str, int, int | None], object] | None = None,
) -> str:
    """Brings published weights into the cache, verified by their SHA-256, as ``vcp-clip model pull`` does; a download
    that was interrupted resumes.

    Args:
        name: ``"visa"``, ``"mvtec"`` or a file that ``vcp-clip model list`` names.
        cache: The folder; the platform's cache folder if None.
        offline: Whether only files that are in the cache are used.
        base_urls: Where OpenAI's archives and the authors' checkpoints are fetched from, if from elsewhere.
        progress: Is called with ("begin", file, bytes that are here, bytes in all or None), ("advance", "", further
            bytes, None) and ("note", sentence, 0, None), on another thread.

    Returns:
        The path of the file or bundle.

    Raises:
        ModelError: It cannot be had; the sentence says how to get it by hand.
    """
    folder = None if cache is None else _arguments.path("cache", cache)
    return str(_pull(str(name), folder, bool(offline), base_urls, progress))


def read_checkpoint(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a weight file by name: files of ``torch.save`` and TorchScript, safetensors (also in parts, by
    their index) and bundles. Nothing in the file is executed, and no length in it is trusted.

    Returns:
        Arrays that own their memory, of the types and shapes that are stored; bfloat16, which NumPy lacks, becomes
        float32.

    Raises:
        ModelError: The file cannot be read, is of another format or damaged, or asks for something to be executed.
    """
    return _read_checkpoint(_arguments.path("path", path))
