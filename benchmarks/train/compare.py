"""Times steps of the official training after the vision tower: vcp-burn and PyTorch, in turn."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))
from geometry import GEOMETRIES
from machine import facts


def main() -> None:
    """Starts both, asks them for steps in turn, and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="vcp-burn's example official_step")
    parser.add_argument("--geometry", default="vit-l-14-336", choices=GEOMETRIES)
    parser.add_argument("--batch", type=int, default=8, help="images in a step (8)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each (2)")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each, after one more (5)")
    arguments = parser.parse_args()
    options = [
        f"--{name}={getattr(arguments, name)}" for name in ("geometry", "batch", "threads")
    ]
    commands = {
        "vcp-burn": [str(arguments.program), *options],
        "pytorch": [sys.executable, str(HERE / "step.py"), *options],
    }
    running = {
        name: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in running}
    for _ in range(arguments.rounds + 1):
        for name, process in running.items():
            print("step", file=process.stdin, flush=True)
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{name} has ended; its messages stand above.")
            steps[name].append(json.loads(line))
    for process in running.values():
        process.stdin.close()
        process.wait()

    for name, value in facts(None).items():
        print(f"- {name}: {value}")
    print(f"\nBatch {arguments.batch}, {arguments.geometry}, {arguments.threads} threads.\n")
    print("| | seconds a step | of these forward | peak memory, GB |")
    print("|---|---:|---:|---:|")
    medians = {}
    for name, found in steps.items():
        timed = found[1:]
        medians[name] = statistics.median(step["seconds"] for step in timed)
        forward = statistics.median(step["forward"] for step in timed)
        peak = max(step["peak_bytes"] for step in timed) / 1e9
        print(f"| {name} | {medians[name]:.2f} | {forward:.2f} | {peak:.2f} |")
    print(f"\nvcp-burn takes {medians['vcp-burn'] / medians['pytorch']:.3f} of PyTorch's time.")


if __name__ == "__main__":
    main()
