from collections.abc import Callable
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "__version__",
    "Collector",
    "Engine",
    "Inspection",
    "Region",
    "Thresholds",
    "calibrate",
    "forked",
    "image_report",
    "pull",
    "read_checkpoint",
    "run_program",
]

__version__: str

@final
class Thresholds:
    """What values are compared with, all on the model's own scale, 0 to 1."""

    @property
    def score(self) -> float:
        """A photo with at least this score has a defect."""

    @property
    def review(self) -> float | None:
        """A photo with at least this score, and less than ``score``, is to be reviewed; None with two outcomes only."""

    @property
    def pixel(self) -> float:
        """A pixel with at least this value belongs to a defect."""

    @property
    def range(self) -> tuple[float, float]:
        """The values at the two ends of the colour scale."""

    def __eq__(self, other: object, /) -> bool: ...

@final
class Region:
    """A connected region of pixels that reach the pixel threshold, in pixels of the photo."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The smallest rectangle that holds it: (x, y, width, height)."""

    @property
    def area(self) -> int:
        """Number of pixels."""

    @property
    def centroid(self) -> tuple[float, float]:
        """Mean position (x, y) of its pixels; whole numbers are pixel centres."""

    @property
    def peak(self) -> float:
        """Its largest value, 0 to 1."""

    @property
    def peak_position(self) -> tuple[int, int]:
        """Where (x, y) that stands."""

    @property
    def mean(self) -> float:
        """Its mean value, 0 to 1."""

    def __eq__(self, other: object, /) -> bool: ...

@final
class Inspection:
    """What was found in a photo. Maps and pictures are made when they are asked for."""

    @property
    def path(self) -> str:
        """What the photo is called: its path, or the name that was given with it."""

    @property
    def width(self) -> int:
        """Width of the photo in pixels, upright."""

    @property
    def height(self) -> int:
        """Height of the photo in pixels, upright."""

    @property
    def pred_score(self) -> float:
        """The score, 0 to 1: how likely the photo shows a defect. As the record states it."""

    @property
    def pred_label(self) -> bool:
        """Whether the score reaches its threshold: whether ``decision`` is ``"defect"``."""

    @property
    def decision(self) -> str:
        """``"ok"``, ``"review"`` or ``"defect"``."""

    @property
    def max(self) -> float:
        """The largest value of the map at the model's image size, 0 to 1."""

    @property
    def anomaly_map(self) -> npt.NDArray[np.float32]:
        """How likely each pixel of the photo belongs to a defect, 0 to 1, [height, width]; NaN where the photo does not
        count. Made once; the array owns its memory, and is the same each time."""

    @property
    def model_map(self) -> npt.NDArray[np.float32]:
        """The map at the model's image size, [image_size, image_size], from which the others are made; NaN where the
        photo does not count. Read-only: it is the model's own memory, not a copy."""

    @property
    def pred_mask(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the photo belong to regions, [height, width]."""

    @property
    def regions(self) -> list[Region]:
        """The connected regions of pixels that reach the pixel threshold, the largest first."""

    @property
    def thresholds(self) -> Thresholds:
        """What values were compared with."""

    @property
    def milliseconds(self) -> float:
        """Time spent on decoding and the model, without waiting."""

    @property
    def warnings(self) -> list[str]:
        """What should be known of how the photo was read, a sentence each."""

    def overlay(self) -> npt.NDArray[np.uint8]:
        """The photo with the map over it and the contours of the regions, [height, width, 3], red first."""

    def heatmap(self) -> npt.NDArray[np.uint8]:
        """The map in colours, [height, width, 3], red first."""

    def to_json(self, path: str | None = None) -> str:
        """The record, as ``vcp-clip segment`` prints it; ``path`` in place of what the photo is called."""

    def to_dict(self, path: str | None = None) -> dict[str, Any]:
        """The record as a dictionary, described in docs/output.md of the repository."""

@final
class Engine:
    @staticmethod
    def open(arguments: dict[str, Any]) -> Engine: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def device(self) -> str: ...
    @property
    def thresholds(self) -> Thresholds: ...
    @property
    def is_calibrated(self) -> bool: ...
    @property
    def image_size(self) -> int: ...
    def inspect(self, photo: tuple[Any, ...]) -> Inspection: ...
    def inspect_batch(self, photos: list[tuple[Any, ...]], raises: bool) -> list[Any]: ...

@final
class Collector:
    def __new__(
        cls,
        fixed: bool,
        fpr_limit: float,
        aupro_steps: int,
        aupimo_bounds: tuple[float, float],
        curve_points: int,
    ) -> Collector: ...
    def add_all(self, pairs: list[tuple[bytes, int, int, bytes | None]]) -> None: ...
    def report(self) -> dict[str, Any]: ...

def forked() -> None: ...
def image_report(scores: list[float], labels: list[bool]) -> dict[str, Any]: ...
def pull(
    name: str,
    cache: str | None,
    offline: bool,
    base_urls: tuple[str, str] | None,
    progress: Callable[[str, str, int, int | None], object] | None,
) -> Any: ...
def read_checkpoint(path: str) -> dict[str, npt.NDArray[Any]]: ...
def run_program(arguments: list[str]) -> int: ...
def calibrate(
    engine: Engine,
    good: list[tuple[Any, ...]],
    bad: list[tuple[tuple[Any, ...], tuple[Any, ...] | None]],
    wanted: dict[str, Any],
) -> tuple[str, list[str], list[str]]: ...
