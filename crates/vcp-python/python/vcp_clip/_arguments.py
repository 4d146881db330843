"""Checks of what callers give, with sentences that say what was expected."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from ._errors import InputError

Path: TypeAlias = "str | os.PathLike[str]"


def number(name: str, value: Any, low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> float:
    """A finite number within bounds, which are excluded where they are open."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    above = found > low if open_low else found >= low
    below = found < high if open_high else found <= high
    # What is no number is in no order.
    if isinstance(value, (str, bytes)) or not (above and below):
        start = f"above {low:g}" if open_low else f"from {low:g}"
        end = f"below {high:g}" if open_high else f"up to {high:g}"
        raise InputError(f"{name} is {value!r}, where a number {start} and {end} was expected.")
    return found


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number within bounds."""
    try:
        found = value.__index__()
    except (AttributeError, TypeError):
        found = None
    if not isinstance(found, int) or isinstance(value, bool) or not low <= found <= high:
        raise InputError(f"{name} is {value!r}, where a whole number from {low} to {high} was expected.")
    return found


def one_of(name: str, value: Any, expected: tuple[Any, ...]) -> Any:
    """One of a few values."""
    for one in expected:
        if type(one) is type(value) and one == value:
            return one
    words = ", ".join(repr(one) for one in expected)
    raise InputError(f"{name} is {value!r}, where one of {words} was expected.")


def path(name: str, value: Any) -> str:
    """A path."""
    try:
        found = os.fsdecode(value)
    except TypeError:
        raise InputError(f"{name} is of the type {type(value).__name__}, where a path was expected.") from None
    if not found or "\0" in found:
        raise InputError(f"{name} is {value!r}, which is no path.")
    return found


def paths(name: str, value: Any) -> list[str]:
    """A path, or several of which there is at least one."""
    if isinstance(value, (str, bytes, os.PathLike)):
        return [path(name, value)]
    if not isinstance(value, Iterable):
        raise InputError(f"{name} is of the type {type(value).__name__}, where a path or a list of paths was expected.")
    found = [path(name, one) for one in value]
    if not found:
        raise InputError(f"{name} names nothing; name at least one file or folder.")
    return found


def value_range(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """Two numbers, the first below the second."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}, where two numbers were expected.") from None
    found = (number(name, first, low, high), number(name, second, low, high))
    if not found[0] < found[1]:
        raise InputError(f"{name} is {value!r}, where two numbers were expected, the first below the second.")
    return found


Bits: TypeAlias = Literal["auto", 8, 10, 12, 14, 16]
