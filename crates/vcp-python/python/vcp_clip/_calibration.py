"""Thresholds from photos."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _arguments, _photos
from ._errors import InputError, OutputError
from ._vcp_clip import calibrate as _calibrate

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._arguments import Path
    from ._inspector import Inspector
    from ._photos import Photo


class Calibration:
    """Thresholds that were found on photos, with what is known about them; what ``vcp-clip calibrate`` prints.

    Args:
        document: The JSON text.
        meaning: Sentences that say what the thresholds mean.
    """

    def __init__(self, document: str, meaning: Iterable[str] = ()) -> None:
        try:
            content = json.loads(document)
        except (TypeError, ValueError) as error:
            raise InputError(f"A calibration is a text in JSON: {error}.") from None
        if not isinstance(content, dict) or not isinstance(content.get("calibration"), dict):
            raise InputError("A calibration has the key `calibration`; `calibrate` makes one.")
        self._document = document
        self._content: dict[str, Any] = content
        self.meaning: tuple[str, ...] = tuple(meaning)

    @classmethod
    def open(cls, path: Path) -> Calibration:
        """Reads a file that :meth:`save` or ``vcp-clip calibrate --out NAME.json`` has written."""
        with open(path, encoding="utf-8") as file:
            return cls(file.read())

    @property
    def score_threshold(self) -> float:
        """A photo with at least this score has a defect."""
        return float(self._content["calibration"]["score_threshold"])

    @property
    def review_threshold(self) -> float | None:
        """A photo with at least this score, and less than that of a defect, is to be reviewed; None with two outcomes."""
        found = self._content["calibration"].get("review_threshold")
        return None if found is None else float(found)

    @property
    def pixel_threshold(self) -> float:
        """A pixel with at least this value belongs to a defect."""
        return float(self._content["calibration"]["pixel_threshold"])

    def to_dict(self) -> dict[str, Any]:
        """The document as a dictionary."""
        content: dict[str, Any] = json.loads(self._document)
        return content

    def to_json(self) -> str:
        """The document as it is stored."""
        return self._document

    def save(self, path: Path) -> None:
        """Writes the document into a file, which ``Inspector(calibration=…)`` and ``vcp-clip segment --calibration``
        read. It appears whole or not at all; one that was there is replaced."""
        folder, name = os.path.split(os.path.abspath(os.fspath(path)))
        unfinished = None
        try:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=f".{name}.", delete=False) as file:
                unfinished = file.name
                file.write(self._document + "\n")
            # As other new files are, not for its owner alone.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(unfinished, 0o666 & ~mask)
            os.replace(unfinished, path)
        except OSError as error:
            if unfinished is not None and os.path.exists(unfinished):
                os.unlink(unfinished)
            raise OutputError(f"{os.fspath(path)} cannot be written: {error}.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self._content == other._content

    def __hash__(self) -> int:
        return hash(json.dumps(self._content, sort_keys=True))

    def __repr__(self) -> str:
        review = "" if self.review_threshold is None else f"review_threshold={self.review_threshold}, "
        return (
            f"Calibration(score_threshold={self.score_threshold}, {review}pixel_threshold={self.pixel_threshold})"
        )


def calibrate(
    inspector: Inspector,
    good: Iterable[Photo],
    bad: Iterable[Photo] = (),
    masks: Iterable[Path | npt.NDArray[Any] | None] | None = None,
    *,
    false_alarms_per_image: float | None = None,
    false_alarms_per_pixel: float | None = None,
    confidence: float = 0.95,
    review: float | None = 0.2,
    target_recall: float | None = None,
    data: str = "photos given to vcp_clip.calibrate",
) -> Calibration:
    """Finds the thresholds that suit photos, as ``vcp-clip calibrate`` does: from good ones alone such that few new
    good photos reach them, or from good and bad ones those with the best F1.

    Photos that cannot be used are skipped with a warning.

    Args:
        inspector: What photos are inspected with. Its own thresholds do not matter.
        good: Photos without defects, as of :meth:`Inspector.inspect`; at least 10 different ones, and 59 to guarantee
            with 95 % confidence that at most 5 % of new good photos are reported.
        bad: Photos with defects.
        masks: For each of these where its defects are, not zero or not black, of the photo's size; None where that is
            not known.
        false_alarms_per_image: Largest fraction of good photos that may be reported, above 0 and below 1; 0.05 if None.
            If given, thresholds come from the good photos alone.
        false_alarms_per_pixel: Largest fraction of a good photo's pixels that may be marked; 0.001 if None. Likewise.
        confidence: Confidence with which these bounds hold, above 0 and below 1.
        review: Largest fraction of good photos to be reviewed, above 0 and below 1; None for two outcomes.
        target_recall: The largest thresholds that at least this fraction of the bad photos, and of the pixels in their
            masks, reaches; above 0 and up to 1.
        data: What the photos are, in words that are stored.

    Raises:
        InputError: There are too few photos, or their values give no thresholds.
    """
    number = _arguments.number
    few_alarms = false_alarms_per_image is not None or false_alarms_per_pixel is not None
    if target_recall is not None and few_alarms:
        raise InputError("target_recall is of bad photos and the rates of false alarms of good ones; give one of them.")
    bad = list(bad)
    if target_recall is not None and not bad:
        raise InputError("target_recall needs photos with defects; give some as bad.")
    shapes = [None] * len(bad) if masks is None else list(masks)
    if len(shapes) != len(bad):
        raise InputError(f"There are {len(bad)} bad photos and {len(shapes)} masks; give one mask, or None, for each.")

    def rate(name: str, value: float | None, usual: float, *, open_low: bool = True) -> float:
        return usual if value is None else number(name, value, 0, 1, open_low=open_low, open_high=True)

    wanted = {
        "few_alarms": few_alarms,
        "false_alarms_per_image": rate("false_alarms_per_image", false_alarms_per_image, 0.05),
        "false_alarms_per_pixel": rate("false_alarms_per_pixel", false_alarms_per_pixel, 0.001, open_low=False),
        "confidence": number("confidence", confidence, 0, 1, open_low=True, open_high=True),
        "review": None if review is None else number("review", review, 0, 1, open_low=True, open_high=True),
        "target_recall": None if target_recall is None else number("target_recall", target_recall, 0, 1, open_low=True),
        "data": str(data),
    }
    name_of = _names()
    of_good = [inspector._given(photo, name_of(photo), None) for photo in good]
    of_bad = [
        (inspector._given(photo, name_of(photo), None), _photos.mask(shape)) for photo, shape in zip(bad, shapes)
    ]
    document, meaning, problems = _calibrate(inspector._engine(), of_good, of_bad, wanted)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return Calibration(document, meaning)


def _names() -> Any:
    """Names for photos in memory, by which a listing tells them apart."""
    count = 0

    def name_of(photo: Photo) -> str | None:
        nonlocal count
        count += 1
        return None if isinstance(photo, (str, os.PathLike)) else f"photo {count}"

    return name_of
