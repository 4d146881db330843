"""Turns the times of all rounds into a table and a section for RESULTS.md."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from geometry import Geometry
from machine import Facts

VCP_CLIP = "vcp-clip"
VCP_CLIP_BF16 = "vcp-clip-bf16"
VCP_CLIP_INT8 = "vcp-clip-int8"

F32 = "f32"
BF16 = "bf16"
INT8 = "int8"
LOOSENESS = {F32: 1e-3, BF16: 0.02, INT8: 0.1}
"""How far a peer's last tap may be from another's in f32, as a share of the largest value there.

Found were 0.3 to 0.5 % in bf16 and 2 to 3.5 % in int8 (vit-b-16 at 224 px, vit-l-14-336 at 518 px).
Of vit-b-16, leaving out one attention or one perceptron moved it by 10.5 to 80 % (first, sixth and
last block). The weights are random, so this is no measure of accuracy.
"""

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def numbers_of(name: str) -> str:
    """The numbers that a peer computes its products with, which its name ends in where not f32."""
    return next((numbers for numbers in (BF16, INT8) if name.endswith(f"-{numbers}")), F32)


def in_f32(name: str) -> str:
    """The name of the same program where it computes in f32."""
    return name.removesuffix(f"-{numbers_of(name)}")


@dataclass
class Series:
    """What one peer measured, one entry a round."""

    name: str
    image_ms: list[float] = field(default_factory=list)
    """Whole-image times; empty for a peer that runs the vision tower alone."""
    tower_ms: list[float] = field(default_factory=list)
    fingerprints: list[list[float]] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    numbers: str | None = None
    """What the peer says it computes with, where it tells."""

    def add(self, answer: dict[str, Any]) -> None:
        """Keeps one answer of the peer."""
        self.tower_ms.append(float(answer["tower_ms"]))
        if answer.get("image_ms") is not None:
            self.image_ms.append(float(answer["image_ms"]))
        if "fingerprint" in answer:
            self.fingerprints.append(answer["fingerprint"])
        self.numbers = answer.get("numbers")

    def as_json(self) -> dict[str, Any]:
        """The series as plain data."""
        return {
            "image_ms": self.image_ms or None,
            "tower_ms": self.tower_ms,
            "peak_memory_bytes": self.peak_memory_bytes,
            "numbers": self.numbers,
        }


def paired_ratio(numerator: list[float], denominator: list[float]) -> float | None:
    """Median over the rounds of one time over another of the same round."""
    if not numerator or not denominator:
        return None
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def differing(series: list[Series]) -> list[str]:
    """The peers that computed something else than the first in f32, and by how much."""
    given = [peer for peer in series if peer.fingerprints]
    if not given:
        return []
    reference = next((peer for peer in given if numbers_of(peer.name) == F32), given[0])
    expected = reference.fingerprints[0]
    found = []
    for peer in given:
        values = peer.fingerprints[0]
        allowed = max(LOOSENESS[numbers_of(name)] for name in (peer.name, reference.name))
        if len(values) != len(expected):
            found.append(f"{peer.name} gave {len(values)} values, {reference.name} {len(expected)}")
            continue
        away = distance(values, expected)
        if away > allowed:
            found.append(
                f"{peer.name} is {100 * away:.2g} % away from {reference.name}, "
                f"{100 * allowed:g} % are allowed"
            )
    return found


def distance(values: list[float], expected: list[float]) -> float:
    """The largest difference, as a share of the largest value expected."""
    scale = max(map(abs, expected)) or 1.0
    differences = [abs(a - b) for a, b in zip(values, expected, strict=True)]
    # max() may pass over a value that is no number.
    return max(differences) / scale if all(map(math.isfinite, differences)) else math.inf


def summary(series: list[Series], geometry: Geometry) -> list[dict[str, Any]]:
    """Medians and ratios of every peer."""
    named = {peer.name: peer for peer in series}
    ours = named.get(VCP_CLIP)
    rows = []
    for peer in series:
        same_in_f32 = named.get(in_f32(peer.name))
        # A peer without image times stands for the tower; our whole image is held against it.
        whole = peer.image_ms or peer.tower_ms
        rows.append(
            {
                "name": peer.name,
                "image_ms": median(peer.image_ms) if peer.image_ms else None,
                "tower_ms": median(peer.tower_ms),
                "tower_gflops": geometry.tower_operations / (1e6 * median(peer.tower_ms)),
                "slowest_ms": max(whole),
                "fastest_ms": min(whole),
                "vcp_clip_image_over_this": paired_ratio(ours.image_ms, whole) if ours else None,
                "vcp_clip_tower_over_this": (
                    paired_ratio(ours.tower_ms, peer.tower_ms) if ours else None
                ),
                "tower_over_vcp_clip_f32": (
                    paired_ratio(peer.tower_ms, ours.tower_ms) if ours else None
                ),
                "tower_over_same_in_f32": (
                    paired_ratio(peer.tower_ms, same_in_f32.tower_ms) if same_in_f32 else None
                ),
                "peak_memory_bytes": peer.peak_memory_bytes,
            }
        )
    return rows


def number(value: float | None, scale: float, digits: int) -> str:
    """A scaled number as text, a dash where there is none."""
    return "–" if value is None else f"{value * scale:.{digits}f}"


RATIO_COLUMNS = (
    ("vcp-clip's image ÷ this", "vcp_clip_image_over_this"),
    ("vcp-clip's tower ÷ this", "vcp_clip_tower_over_this"),
)
NARROW_RATIO_COLUMNS = (
    ("tower ÷ vcp-clip's f32 tower", "tower_over_vcp_clip_f32"),
    ("tower ÷ the same program's in f32", "tower_over_same_in_f32"),
)


def any_narrow(series: list[Series]) -> bool:
    """Whether a peer computes with other numbers than f32, which the table then is about."""
    return any(numbers_of(peer.name) != F32 for peer in series)


def cells(row: dict[str, Any], narrow: bool) -> dict[str, str]:
    """One row of the table as text, by its headings."""
    rate = "tower, 10⁹ operations/s" if narrow else "tower, GFLOP/s"
    ratios = NARROW_RATIO_COLUMNS if narrow else RATIO_COLUMNS
    return {
        "what": row["name"],
        "image, s": number(row["image_ms"], 1e-3, 3),
        "tower, s": number(row["tower_ms"], 1e-3, 3),
        rate: number(row["tower_gflops"], 1, 0),
        "fastest – slowest, s": f"{row['fastest_ms'] * 1e-3:.3f} – {row['slowest_ms'] * 1e-3:.3f}",
        **{heading: number(row[key], 1, 3) for heading, key in ratios},
        "peak memory, GB": number(row["peak_memory_bytes"], 1e-9, 2),
    }


def markdown_table(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    """A Markdown table with its columns aligned, to be read as plain text too."""
    table = [list(headings), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]

    def line(row: list[str]) -> str:
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([line(table[0]), "|" + "|".join(rules) + "|", *map(line, rows)])


def time_table(series: list[Series], geometry: Geometry) -> str:
    """The table of times and ratios."""
    rows = [cells(row, any_narrow(series)) for row in summary(series, geometry)]
    return markdown_table(tuple(rows[0]), [list(row.values()) for row in rows])


def number_lines(series: list[Series], facts: Facts) -> list[str]:
    """What the peers say they compute with, as list items."""
    lines = [f"- {peer.name}: {peer.numbers}" for peer in series if peer.numbers]
    has = facts["instruction sets"].split(", ")
    asked = any(numbers_of(peer.name) == BF16 for peer in series)
    if asked and not any(name in has for name in BF16_INSTRUCTIONS):
        lines.append(
            "- this processor names no instructions for bf16, so that bf16 is not native here: "
            "whoever computes with it emulates it or takes f32 in its place"
        )
    return lines


def reading(series: list[Series]) -> str:
    """How the table is to be read."""
    if any_narrow(series):
        return (
            "Times are medians over the rounds, ratios medians of the ratios within a round (under "
            "1: faster than what it is held against). A name that ends in neither bf16 nor int8 "
            "stands for f32. The ONNX Runtime and OpenVINO rows run the vision tower alone. "
            "Each operation of the tower's products counts, with whatever numbers it is done. "
            "OpenVINO's int8 tower is quantised by NNCF, with a hint of bf16 for the rest; ONNX "
            "Runtime's has int8 weights and quantises what they are multiplied with as it comes, "
            "with f32 between. Peers whose last tap is further from f32 than "
            f"{100 * LOOSENESS[BF16]:g} % (bf16) or {100 * LOOSENESS[INT8]:g} % (int8) of its "
            "largest value compared would not have been reported; the weights are random, so "
            "that says nothing of accuracy, and vcp-clip, which has weights of its own, is not "
            "compared. Peak memory is the process's largest resident set, loading or making the "
            "weights included."
        )
    return (
        "Times are medians over the rounds, ratios medians of the ratios within a round (under 1: "
        "vcp-clip is faster). The ONNX Runtime and OpenVINO rows run the vision tower alone, so "
        "there vcp-clip's whole image is held against their tower. The PyTorch rows start from "
        "the normalised image; vcp-clip's image time includes resizing and normalising. Peak "
        "memory is the process's largest resident set, loading or making the weights included."
    )


def bench_lines(bench: dict[str, Any]) -> list[str]:
    """What `vcp-clip bench --json` says of itself, as list items."""
    lines = []
    peak, reached = bench.get("fma_peak_gflops"), bench.get("gflops_tower")
    if isinstance(peak, (int, float)) and isinstance(reached, (int, float)) and peak > 0:
        lines.append(
            f"- vision tower: {reached:.0f} GFLOP/s, {100 * reached / peak:.0f} % of the "
            f"{peak:.0f} GFLOP/s that this machine was measured to reach"
        )
    image, tower = bench.get("image_ms"), bench.get("tower_ms")
    if image and tower:
        outside = median(1 - b / a for a, b in zip(image, tower, strict=True))
        lines.append(f"- outside the tower: {100 * outside:.1f} % of an image's time")
    memory = bench.get("peak_memory_bytes")
    if isinstance(memory, (int, float)):
        lines.append(f"- peak memory by its own account: {memory / 1e9:.2f} GB")
    return lines


def markdown(
    title: str,
    geometry: Geometry,
    facts: Facts,
    command: str,
    settings: str,
    series: list[Series],
    bench: dict[str, Any] | None,
) -> str:
    """A section for RESULTS.md."""
    parts = [
        f"## {title}",
        "",
        settings,
        "",
        "```sh",
        command,
        "```",
        "",
        time_table(series, geometry),
        "",
        reading(series),
        "",
    ]
    said = number_lines(series, facts)
    if said:
        parts += ["What the runtimes say they compute with:", "", *said, ""]
    if bench is not None:
        lines = bench_lines(bench)
        if lines:
            parts += ["`vcp-clip bench` alone, nothing else loaded:", "", *lines, ""]
    parts += [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join(parts) + "\n"
