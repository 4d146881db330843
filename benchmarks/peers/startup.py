"""Measures how long `vcp-clip segment` takes from process start to its first line of output."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from children import PeerError, environment


@dataclass(frozen=True)
class Startup:
    """The runs of one command, in seconds; the first, which fills the page cache, left out."""

    to_first_map: list[float]
    to_exit: list[float]
    image_ms: list[float]
    """The time of the image itself, as vcp-clip reports it on its line."""

    def text(self) -> str:
        """One sentence with the medians."""
        first, image = median(self.to_first_map), median(self.image_ms) / 1e3
        return (
            f"Process start to first map: {first:.2f} s, of which the image {image:.2f} s and "
            f"everything else {first - image:.2f} s; to the end of the process "
            f"{median(self.to_exit):.2f} s (medians of {len(self.to_exit)})."
        )


def measure(command: list[str], threads: int, repeat: int) -> Startup:
    """Runs the command once to warm the page cache, then `repeat` times."""
    runs = [run_once(command, threads) for _ in range(repeat + 1)][1:]
    first, end, image = zip(*runs, strict=True)
    return Startup(list(first), list(end), list(image))


def segment_command(
    vcp_clip: Path, clip: Path, checkpoint: Path, photo: Path, threads: int
) -> list[str]:
    """The command line that segments one photo from the published file formats."""
    return [
        *(str(vcp_clip), "segment", str(photo)),
        *("--clip", str(clip), "--checkpoint", str(checkpoint)),
        *("--threads", str(threads), "--save", "npy"),
    ]


def run_once(command: list[str], threads: int) -> tuple[float, float, float]:
    """Seconds to the first line, seconds to the exit, and the line's own `milliseconds`."""
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        with subprocess.Popen(
            [*command, "--out", out],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(threads),
            text=True,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            first = time.perf_counter() - start
            process.stdout.read()
        end = time.perf_counter() - start
        try:
            return first, end, float(json.loads(line)["milliseconds"])
        except (ValueError, KeyError, TypeError) as error:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-2000:]
            raise PeerError(
                f'vcp-clip segment: expected a line of JSON with "milliseconds", found '
                f"{line.strip()!r} (exit status {process.returncode}). It wrote:\n{said}"
            ) from error
