"""Compares vcp-clip with the other ways to run VCP-CLIP on a CPU.

    run.sh                        the comparison at full size: ViT-L-14-336, 518 px, two threads
    run.sh --narrow               the comparison of bf16 and int8, beside f32
    run.sh --quick                a smaller model, to see whether everything runs
    run.sh --check GOLDENS_DIR    whether the PyTorch peer computes what the official code does
    run.sh --startup CLIP CHECKPOINT PHOTO
                                  time of `vcp-clip segment` from process start to the first map

Every peer is a process that keeps its model loaded and runs one image at a time while the others
wait. The order is reversed from round to round, so that a machine that slows down or speeds up
does so for all of them, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import machine
import peer
import report
import startup
from children import Child, PeerError, environment
from geometry import GEOMETRIES, Geometry

HERE = Path(__file__).resolve().parent
VCP_CLIP = HERE.parents[1] / "target" / "release" / "vcp-clip"
EXPORTS = HERE / ".exports"
OURS = (report.VCP_CLIP, report.VCP_CLIP_BF16, report.VCP_CLIP_INT8)
F32 = (report.VCP_CLIP, *peer.F32_PEERS)
NARROW = (*OURS, peer.OPENVINO, *peer.NARROW_PEERS)
ALL = (*OURS, *peer.PEERS)
QUICK_GEOMETRY, QUICK_IMAGE_SIZE, QUICK_ROUNDS = "vit-b-16", 224, 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line and fills in what depends on other options."""
    parser = argparse.ArgumentParser(
        prog="run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", type=Path, metavar="DIR", help="check against DIR and stop")
    mode.add_argument(
        "--startup",
        type=Path,
        nargs=3,
        metavar=("CLIP", "CHECKPOINT", "PHOTO"),
        help="time vcp-clip segment from process start and stop (see make_archive.py)",
    )
    mode.add_argument("--quick", action="store_true", help="a smaller model and two rounds")
    parser.add_argument("--geometry", choices=GEOMETRIES)
    parser.add_argument("--image-size", type=int, metavar="PIXELS")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, metavar="N", help="measured rounds (default 5)")
    parser.add_argument("--warmup", type=int, default=1, metavar="N", help="rounds thrown away")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--peers",
        type=lambda text: tuple(text.split(",")),
        default=F32,
        metavar="NAME,…",
        help=f"which to run, of {', '.join(ALL)}; by default those in f32: {', '.join(F32)}",
    )
    which.add_argument(
        "--narrow",
        dest="peers",
        action="store_const",
        const=NARROW,
        help=f"run those that show what bf16 and int8 bring: {', '.join(NARROW)}",
    )
    parser.add_argument("--vcp-clip", type=Path, default=VCP_CLIP, metavar="FILE")
    parser.add_argument("--cpus", metavar="N,…", help="processors all peers are bound to (Linux)")
    parser.add_argument(
        "--settle", type=float, default=0.3, metavar="SECONDS", help="pause between two peers"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all times as JSON")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write a section for RESULTS.md"
    )
    options = parser.parse_args(arguments)

    unknown = [name for name in options.peers if name not in ALL]
    if unknown:
        parser.error(f"no peer is called {', '.join(unknown)}; there are {', '.join(ALL)}")
    options.geometry = options.geometry or (QUICK_GEOMETRY if options.quick else "vit-l-14-336")
    geometry = GEOMETRIES[options.geometry]
    options.image_size = options.image_size or (
        QUICK_IMAGE_SIZE if options.quick else geometry.image_size
    )
    if options.image_size <= 0 or options.image_size % geometry.patch:
        parser.error(
            f"--image-size {options.image_size} is not a multiple of the patch, {geometry.patch}"
        )
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else 5)
    if options.threads < 1 or options.rounds < 1 or options.warmup < 0:
        parser.error("--threads and --rounds are at least 1, --warmup at least 0")
    needs_binary = not options.check and (options.startup or vcp_clip_runs(options))
    if needs_binary and not options.vcp_clip.is_file():
        parser.error(
            f"{options.vcp_clip} does not exist; build it with "
            "`cargo build --release -p vcp-cli`, or leave vcp-clip out with --peers"
        )
    return options


def vcp_clip_runs(options: argparse.Namespace) -> bool:
    """Whether vcp-clip is among the peers, with whatever numbers."""
    return any(name in OURS for name in options.peers)


def geometry_of(options: argparse.Namespace) -> Geometry:
    """The geometry that the options name, at their image size."""
    return replace(GEOMETRIES[options.geometry], image_size=options.image_size)


def size_arguments(options: argparse.Namespace) -> list[str]:
    """The options that every child understands."""
    return [
        *("--geometry", options.geometry),
        *("--image-size", str(options.image_size)),
        *("--threads", str(options.threads)),
    ]


def kept(file: Path, script: str, arguments: Sequence[str], options: argparse.Namespace) -> Path:
    """A form of the vision tower, made in a process of its own where it is not there."""
    if not file.is_file():
        print(f"Writing the vision tower to {file} ({script}).", file=sys.stderr)
        sizes = ["--geometry", options.geometry, "--image-size", str(options.image_size)]
        command = [sys.executable, str(HERE / script), *arguments, str(file), *sizes]
        # What it shows of its progress is no result, so it goes where progress goes.
        ran = subprocess.run(command, env=environment(options.threads), stdout=sys.stderr)
        if ran.returncode != 0:
            raise PeerError(
                f"{shlex.join(command)} failed (exit status {ran.returncode}); "
                "what it wrote stands above."
            )
    return file


def tower_file(name: str, options: argparse.Namespace) -> Path:
    """The vision tower in the form that a peer reads."""
    folder = EXPORTS / f"{options.geometry}-{options.image_size}-{version('torch')}"
    exported = kept(folder / "tower.onnx", "export.py", [], options)
    if name == peer.OPENVINO_INT8:
        made_by = f"nncf-{version('nncf')}-openvino-{version('openvino')}"
        runtime, file = peer.OPENVINO, folder / made_by / "tower.xml"
    elif name == peer.ONNXRUNTIME_INT8:
        made_by = f"onnxruntime-{version('onnxruntime')}"
        runtime, file = peer.ONNXRUNTIME, folder / made_by / "tower.onnx"
    else:
        return exported
    return kept(file, "quantise.py", [runtime, str(exported)], options)


def command_of(name: str, options: argparse.Namespace) -> list[str]:
    """The command line of one peer."""
    if name in OURS:
        command = [str(options.vcp_clip), "bench", "--serve", *size_arguments(options)]
        numbers = report.numbers_of(name)
        return command if numbers == report.F32 else [*command, "--precision", numbers]
    command = [sys.executable, str(HERE / "peer.py"), name, *size_arguments(options)]
    if name in peer.TOWER_ONLY:
        command += ["--tower", str(tower_file(name, options))]
    return command


def bench_alone(options: argparse.Namespace) -> dict[str, Any]:
    """What `vcp-clip bench` says of itself while nothing else is loaded."""
    command = [str(options.vcp_clip), "bench", *size_arguments(options), "--repeat", "3", "--json"]
    ran = subprocess.run(command, env=environment(options.threads), capture_output=True, text=True)
    try:
        bench = json.loads(ran.stdout)
    except ValueError:
        bench = None
    if ran.returncode != 0 or not isinstance(bench, dict):
        raise PeerError(
            f"{shlex.join(command)} gave no JSON object (exit status {ran.returncode}). "
            f"It wrote:\n{ran.stderr.strip()[-2000:]}"
        )
    return bench


def measure(options: argparse.Namespace) -> list[report.Series]:
    """Loads all peers and runs the rounds."""
    cpus = frozenset(map(int, options.cpus.split(","))) if options.cpus else None
    # Exports and quantised towers, where they are needed, are made before anything is loaded.
    commands = {name: command_of(name, options) for name in options.peers}
    series = {name: report.Series(name) for name in options.peers}
    with ExitStack() as stack:
        children = {}
        for name, command in commands.items():
            print(f"Loading {name}.", file=sys.stderr)
            child = stack.enter_context(Child(name, command, options.threads, cpus))
            for _ in range(options.warmup):
                child.run()
            children[name] = child
        for number in range(options.rounds):
            order = list(children.values())
            for child in order if number % 2 == 0 else reversed(order):
                time.sleep(options.settle)
                answer = child.run()
                series[child.name].add(answer)
                shown = answer.get("image_ms") or answer["tower_ms"]
                print(
                    f"Round {number + 1} of {options.rounds}, {child.name}: {shown:.0f} ms",
                    file=sys.stderr,
                )
        for name, child in children.items():
            series[name].peak_memory_bytes = child.peak_memory_bytes()
    return list(series.values())


def compare(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Measures, prints the table and writes the files asked for."""
    ours = options.vcp_clip if vcp_clip_runs(options) else None
    geometry = geometry_of(options)
    facts = machine.facts(ours)
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is busy (load {os.getloadavg()[0]:.2f}).", file=sys.stderr)
    bench = bench_alone(options) if report.VCP_CLIP in options.peers else None
    series = measure(options)
    differing = report.differing(series)
    if differing:
        raise PeerError(
            "The peers computed different vision towers, so their times cannot be compared: "
            f"{'; '.join(differing)}. "
            f"Where the model was changed, delete {EXPORTS} to export it again."
        )

    print(report.time_table(series, geometry))
    for line in report.number_lines(series, facts):
        print(line)
    used = {report.numbers_of(name) for name in options.peers}
    numbers = ", ".join(name for name in report.LOOSENESS if name in used)
    settings = (
        f"{options.geometry} at {options.image_size} px, random weights, {numbers}, one image at a "
        f"time, {options.threads} threads each, {options.rounds} rounds after {options.warmup} "
        "to warm up, order reversed every round."
    )
    command = shlex.join(["benchmarks/peers/run.sh", *arguments])
    if options.markdown:
        title = f"{options.geometry} at {options.image_size} px, {options.threads} threads"
        section = report.markdown(title, geometry, facts, command, settings, series, bench)
        options.markdown.write_text(section)
    if options.json:
        document = {
            "command": command,
            "machine": facts,
            "geometry": asdict(geometry),
            "threads": options.threads,
            "rounds": {one.name: one.as_json() for one in series},
            "summary": report.summary(series, geometry),
            "vcp_clip_bench": bench,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Runs what the command line asks for; returns the exit status."""
    options = parse(arguments)
    try:
        if options.check:
            import goldens

            return 0 if goldens.report(options.check) else 1
        if options.startup:
            clip, checkpoint, photo = options.startup
            command = startup.segment_command(
                options.vcp_clip, clip, checkpoint, photo, options.threads
            )
            print(startup.measure(command, options.threads, options.rounds).text())
            return 0
        compare(options, arguments)
    except (PeerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
