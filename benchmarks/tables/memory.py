#!/usr/bin/env python3
"""Peak memory and time of `vcp-clip segment --out-table` by the number of photos.

Usage: memory.py [PROGRAM [COUNT ...]]; PROGRAM is target/release/vcp-clip unless it is said, and the counts are 1000 and
100000. The photo is a tiny PNG and the model the test model of the repository, so that nothing but the number of
photos matters. Needs nothing but Python, Linux and the space of COUNT links.
"""

import gzip
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def png(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 251 for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def measured(command: list[str]) -> tuple[float, float]:
    """Peak MiB and seconds of a command, in a process of its own since the system keeps one peak of all children."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        begun = time.monotonic()
        status = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
        seconds = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        os.write(writer, f"{status} {peak} {seconds}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        status, peak, seconds = said.read().split()
    os.waitpid(child, 0)
    if status != "0":
        sys.exit(f"{command} ended with status {status}")
    return float(peak), float(seconds)


def main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else str(REPOSITORY / "target/release/vcp-clip")
    counts = [int(count) for count in sys.argv[2:]] or [1000, 100_000]
    mini = REPOSITORY / "fixtures/mini"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with gzip.open(mini / "clip.pt.gz") as packed, open(folder / "clip.pt", "wb") as whole:
            shutil.copyfileobj(packed, whole)
        model = ["--clip", str(folder / "clip.pt"), "--checkpoint", str(mini / "vcp.pth")]
        model += ["--taps", "1,2", "--image-size", "70"]
        print("| photos | from | format | peak MiB | seconds |\n|---:|---|---|---:|---:|", flush=True)
        for count in counts:
            photos = folder / f"photos-{count}"
            photos.mkdir()
            (photos / "0.png").write_bytes(png(16))
            table = folder / f"{count}.csv"
            with open(table, "w") as rows:
                rows.write("image\n")
                for number in range(count):
                    # File systems allow so many names of one file only.
                    original = photos / f"{number // 1000 * 1000}.png"
                    photo = photos / f"{number}.png"
                    if not photo.exists():
                        if number % 1000 == 0:
                            photo.write_bytes(png(16))
                        else:
                            os.link(original, photo)
                    rows.write(f"photos-{count}/{number}.png\n")
            for kind, source in [("table", ["--from", str(table)]), ("folder", [str(photos)])]:
                for ending in ["parquet", "csv"] if kind == "table" else ["parquet"]:
                    out = folder / f"{kind}-{count}.{ending}"
                    command = [program, "segment", *source, *model, "--out-table", str(out)]
                    peak, seconds = measured(command)
                    print(f"| {count:,} | {kind} | {ending} | {peak:.0f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
