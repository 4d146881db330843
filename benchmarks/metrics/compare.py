"""Times vcp-metrics and its Python counterpart on the same maps, in turn within one run.

Prints Markdown: the figures' agreement, the times of both, and how vcp-metrics' time and memory
grow with the number of images. Refuses to report times where figures differ.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

HERE = Path(__file__).parent
TOLERANCE = 1e-6


def write(folder: Path, images: int, side: int, seed: int = 1) -> None:
    """Smoothed maps scaled to 0..1 over all images, two of three with one to four soft defects.

    Two passes, so that any number of images needs the memory of one.
    """
    folder.mkdir()
    size = {"images": images, "height": side, "width": side}
    (folder / "size.json").write_text(json.dumps(size))
    rows, columns = np.mgrid[:side, :side].astype(np.float32)

    def image(number: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng((seed, number))
        noise = gaussian_filter(random.standard_normal((side, side), dtype=np.float32), side / 65)
        values = 0.2 + 0.05 * noise / noise.std()
        mask = np.zeros((side, side), dtype=np.uint8)
        for _ in range(random.integers(1, 5) if number % 3 else 0):
            x, y = random.uniform(0, side, 2)
            width, height = random.uniform(side / 40, side / 8, 2)
            distance = np.hypot((columns - x) / width, (rows - y) / height)
            values += random.uniform(0.05, 0.5) * np.exp(-((distance / 1.3) ** 2))
            mask |= (distance < 1).astype(np.uint8)
        return values.astype(np.float32), mask

    low, high = np.inf, -np.inf
    with (folder / "maps.f32").open("wb") as maps, (folder / "masks.u8").open("wb") as masks:
        for number in range(images):
            values, mask = image(number)
            low, high = min(low, values.min()), max(high, values.max())
            maps.write(values.tobytes())
            masks.write(mask.tobytes())
    stored = np.memmap(folder / "maps.f32", dtype="<f4", mode="r+", shape=(images, side, side))
    for number in range(images):
        stored[number] = (stored[number] - low) / (high - low)
    stored.flush()


def run(command: list[str], threads: int) -> dict:
    """The JSON that a command prints."""
    names = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Both on the same maps, one after the other, several times."""
    write(folder, arguments.images, arguments.side)
    python = [sys.executable, str(HERE / "official.py"), str(folder)]
    programs = {
        "vcp-metrics, exact": [arguments.program, str(folder)],
        "vcp-metrics, fixed memory": [arguments.program, str(folder), "--streaming"],
        "scikit-learn, scikit-image": python,
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    results: dict[str, dict] = {}
    for _ in range(arguments.rounds):
        for name, command in programs.items():
            results[name] = run(command, arguments.threads)
            seconds[name].append(results[name]["seconds"])

    exact, counted, official = (result["figures"] for result in results.values())
    print("| figure | scikit-learn, scikit-image | exact | fixed memory | its bound |")
    print("|---|---|---|---|---|")
    for name, figure in exact.items():
        bounded = counted[name]
        cells = [
            f"{official[name]:.9f}" if name in official else "",
            f"{figure['value']:.9f}" if "value" in figure else figure["undefined"],
            f"{bounded['value']:.9f}" if "value" in bounded else bounded["undefined"],
            f"{bounded['error_bound']:.1e}" if "value" in bounded else "",
        ]
        print(f"| {name} | {' | '.join(cells)} |")
        if name in official and abs(official[name] - figure["value"]) > TOLERANCE:
            sys.exit(f"{name} differs by more than {TOLERANCE}: no times are reported.")

    best = {name: min(times) for name, times in seconds.items()}
    reference = best["scikit-learn, scikit-image"]
    pixels = f"{arguments.side} × {arguments.side}"
    print(f"\n{arguments.images} images of {pixels} pixels, {arguments.threads} threads, ", end="")
    print(f"best of {arguments.rounds}:\n\n| program | best, s | median, s | times faster |")
    print("|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {best[name]:.3f} | {median:.3f} | {reference / best[name]:.0f} |")


def grow(arguments: argparse.Namespace, folder: Path) -> None:
    """Time and memory over the number of images."""
    print("\n| images | mode | s | ns per pixel | MB | bytes per pixel |")
    print("|---|---|---|---|---|---|")
    for images in arguments.growth:
        data = folder / f"growth-{images}"
        write(data, images, arguments.side)
        for mode, flags in (("exact", []), ("fixed memory", ["--streaming"])):
            command = [arguments.program, str(data), *flags]
            results = [run(command, arguments.threads) for _ in range(3)]
            best = min(results, key=lambda result: result["seconds"])
            nanoseconds = best["seconds"] / best["pixels"] * 1e9
            memory = best["bytes"] or float("nan")
            cells = f"{best['seconds']:.3f} | {nanoseconds:.1f}"
            cells += f" | {memory / 1e6:.0f} | {memory / best['pixels']:.1f}"
            print(f"| {images} | {mode} | {cells} |")
        for file in data.iterdir():
            file.unlink()


def main() -> None:
    """Compare, then grow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the example time_metrics, built")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--side", type=int, default=518)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[5, 20, 60, 300])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder) / "compare")
        if arguments.growth:
            grow(arguments, Path(folder))


if __name__ == "__main__":
    main()
