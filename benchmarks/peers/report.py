"""Turns the times of all rounds into a table and a section for RESULTS.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from geometry import Geometry
from machine import Facts

VCP_CLIP = "vcp-clip"


@dataclass
class Series:
    """What one peer measured, one entry a round."""

    name: str
    image_ms: list[float] = field(default_factory=list)
    """Whole-image times; empty for a peer that runs the vision tower alone."""
    tower_ms: list[float] = field(default_factory=list)
    fingerprints: list[list[float]] = field(default_factory=list)
    peak_memory_bytes: int | None = None

    def add(self, answer: dict[str, Any]) -> None:
        """Keeps one answer of the peer."""
        self.tower_ms.append(float(answer["tower_ms"]))
        if answer.get("image_ms") is not None:
            self.image_ms.append(float(answer["image_ms"]))
        if "fingerprint" in answer:
            self.fingerprints.append(answer["fingerprint"])

    def as_json(self) -> dict[str, Any]:
        """The series as plain data."""
        return {
            "image_ms": self.image_ms or None,
            "tower_ms": self.tower_ms,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def paired_ratio(numerator: list[float], denominator: list[float]) -> float | None:
    """Median over the rounds of one time over another of the same round."""
    if not numerator or not denominator:
        return None
    return median(a / b for a, b in zip(numerator, denominator, strict=True))


def fingerprints_agree(series: list[Series], tolerance: float = 1e-3) -> bool:
    """Whether all peers that say what they computed computed the same."""
    given = [peer.fingerprints[0] for peer in series if peer.fingerprints]
    scale = max((abs(value) for values in given for value in values), default=1.0)
    return all(
        len(values) == len(given[0])
        and all(abs(a - b) <= tolerance * scale for a, b in zip(values, given[0], strict=True))
        for values in given
    )


def summary(series: list[Series], geometry: Geometry) -> list[dict[str, Any]]:
    """Medians and ratios of every peer."""
    ours = next((peer for peer in series if peer.name == VCP_CLIP), None)
    rows = []
    for peer in series:
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
                "peak_memory_bytes": peer.peak_memory_bytes,
            }
        )
    return rows


HEADINGS = (
    "what",
    "image, s",
    "tower, s",
    "tower, GFLOP/s",
    "fastest – slowest, s",
    "vcp-clip's image ÷ this",
    "vcp-clip's tower ÷ this",
    "peak memory, GB",
)


def cells(row: dict[str, Any]) -> list[str]:
    """One row of the table as text."""

    def number(value: float | None, scale: float, digits: int) -> str:
        return "–" if value is None else f"{value * scale:.{digits}f}"

    return [
        row["name"],
        number(row["image_ms"], 1e-3, 3),
        number(row["tower_ms"], 1e-3, 3),
        number(row["tower_gflops"], 1, 0),
        f"{row['fastest_ms'] * 1e-3:.3f} – {row['slowest_ms'] * 1e-3:.3f}",
        number(row["vcp_clip_image_over_this"], 1, 3),
        number(row["vcp_clip_tower_over_this"], 1, 3),
        number(row["peak_memory_bytes"], 1e-9, 2),
    ]


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
    return markdown_table(HEADINGS, [cells(row) for row in summary(series, geometry)])


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
        "Times are medians over the rounds, ratios medians of the ratios within a round (under 1: "
        "vcp-clip is faster). The ONNX Runtime and OpenVINO rows run the vision tower alone, so "
        "there vcp-clip's whole image is held against their tower. The PyTorch rows start from "
        "the normalised image; vcp-clip's image time includes resizing and normalising. Peak "
        "memory is the process's largest resident set, loading or making the weights included.",
        "",
    ]
    if bench is not None:
        lines = bench_lines(bench)
        if lines:
            parts += ["`vcp-clip bench` alone, nothing else loaded:", "", *lines, ""]
    parts += [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join(parts) + "\n"
