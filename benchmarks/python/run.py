"""Times the wheel beside the command line, and its metrics beside scikit-learn's. Prints Markdown."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from vcp_clip import metrics

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
WHEEL = """
import sys, vcp_clip
inspector, photos = vcp_clip.Inspector(), sys.argv[2:]
found = inspector.inspect_batch(photos) if sys.argv[1] == "batch" else map(inspector.inspect, photos)
for one in found:
    print(one.to_json())
"""


def seconds(words: list[str]) -> np.ndarray:
    """How long it took, and how long processors worked for it."""

    def now() -> np.ndarray:
        times = os.times()
        return np.array([time.perf_counter(), times.children_user + times.children_system])

    begun = now()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return now() - begun


def inspecting(program: str, pairs: int, rounds: int) -> None:
    photos = sorted(map(str, SAMPLES.glob("*.jpg")))
    commands = {
        "`vcp-clip segment`": [program, "segment", "--quiet"],
        "`inspect_batch`": [sys.executable, "-c", WHEEL, "batch"],
        "`inspect`": [sys.executable, "-c", WHEEL, "each"],
    }
    times: dict[str, list[np.ndarray]] = {name: [] for name in commands}
    for _ in range(pairs):
        # In turn, so that what the machine does meanwhile meets all of them.
        for name, words in commands.items():
            few, many = (seconds(words + photos * count) for count in (1, 1 + rounds))
            # Starting and loading cancel out.
            times[name].append((many - few) / (rounds * len(photos)))
    medians = {name: np.median(found, axis=0) for name, found in times.items()}
    usual = medians["`vcp-clip segment`"]
    print("| medians, per photo | milliseconds | beside `segment` | processor time, ms | beside `segment` |")
    print("|---|---:|---:|---:|---:|")
    for name, median in medians.items():
        (wall, used), (more, more_used) = median * 1e3, median / usual - 1
        print(f"| {name} | {wall:.1f} | {more:+.1%} | {used:.1f} | {more_used:+.1%} |")


def scoring(images: int, side: int) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    random = np.random.default_rng(1)
    maps = random.random((images, side, side), np.float32)
    masks = np.zeros((images, side, side), bool)
    masks[images // 3 :, side // 3 : side // 2, side // 4 : side // 2] = True
    maps[masks] = (maps[masks] + 1) / 2
    begun = time.perf_counter()
    report = metrics.pixels((map, mask if mask.any() else None) for map, mask in zip(maps, masks))
    ours = time.perf_counter() - begun
    values, labels = maps.ravel(), masks.ravel()
    begun = time.perf_counter()
    expected = roc_auc_score(labels, values), average_precision_score(labels, values)
    precision, recall, _ = precision_recall_curve(labels, values)
    f1_max = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    theirs = time.perf_counter() - begun
    found = report.auroc, report.average_precision, report.f1_max
    for one, other in zip(found, (*expected, f1_max)):
        assert one is not None and abs(one - other) < 1e-6, (one, other)
    print(f"\n{images} maps of {side} × {side} pixels, figures agreeing to 1e-6:\n")
    print("| | seconds |\n|---|---:|")
    print(f"| `vcp_clip.metrics.pixels`: AUROC, AP, F1-max, IoU, both AUPROs, AUPIMO | {ours:.2f} |")
    print(f"| scikit-learn: AUROC, AP, F1-max alone | {theirs:.2f} |")
    print("\n`benchmarks/metrics/run.sh` times all figures, with scikit-image for AUPRO.")


def installing(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        made = time.perf_counter()
        pip = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", str(wheel)]
        subprocess.run(pip, check=True)
        installed = time.perf_counter()
        used = subprocess.run(["du", "-sm", os.path.join(folder, "lib")], capture_output=True, text=True, check=True)
    print(f"\nWheel: {wheel.stat().st_size / 1e6:.1f} MB. A fresh environment: {made - begun:.1f} s; installing the wheel")
    print(f"and NumPy into it: {installed - made:.1f} s, {used.stdout.split()[0]} MB with pip itself.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--side", type=int, default=518)
    options = parser.parse_args()
    inspecting(options.program, options.pairs, options.rounds)
    scoring(options.images, options.side)
    installing(options.wheel)


if __name__ == "__main__":
    main()
