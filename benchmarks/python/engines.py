"""Times Ray and Spark beside the command line: two workers with a thread each, over the same photos. Prints Markdown.

    python engines.py --program TARGET/release/vcp-clip

Needs the wheel, pyarrow, ray[data], pyspark and Java, and two processor cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import vcp_clip
import vcp_clip.ray
import vcp_clip.spark

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BATCH = 16


def copies(folder: Path, count: int) -> Path:
    """As many photos, in two folders, half in each."""
    samples = sorted(SAMPLES.glob("*.jpg"))
    for number in range(count):
        path = folder / str(number // len(samples) % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples[number % len(samples)], path)
    return folder


class Processors(threading.Thread):
    """Adds up what this process and those that come from it use. Engines do not wait for processes that end, so the kernel
    does not add it up: it is read ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        # By process and the time at which it began, since numbers are used again.
        self.used: dict[tuple[int, str], float] = {}
        self.lock = threading.Lock()

    def run(self) -> None:
        while True:
            self.read()
            time.sleep(0.1)

    def read(self) -> float:
        """Seconds so far."""
        with self.lock:
            return self._read()

    def _read(self) -> float:
        found: dict[int, tuple[int, str, float]] = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                # The name, in parentheses, may have blanks.
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            seconds = sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")
            found[int(folder.name)] = (int(words[1]), words[19], seconds)
        # Those that came from one that has ended too.
        ours = {number for number, (_, begun, _) in found.items() if (number, begun) in self.used} | {os.getpid()}
        while more := {number for number, (parent, _, _) in found.items() if parent in ours} - ours:
            ours |= more
        self.used |= {(number, found[number][1]): found[number][2] for number in ours}
        return sum(self.used.values())


def command_line(program: str) -> Callable[[Path, Path], None]:
    def run(photos: Path, out: Path) -> None:
        words = [program, "segment", "--quiet", "--threads", "1"]
        halves = [[*words, str(photos / half), "--out-table", str(out / f"{half}.parquet")] for half in "01"]
        assert [one.wait() for one in [subprocess.Popen(half) for half in halves]] == [0, 0]

    return run


def with_ray() -> Callable[[Path, Path], None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Two workers, and a place for what reads and writes, which takes little.
    ray.init(num_cpus=3, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(photos: Path, out: Path) -> None:
        found = ray.data.read_binary_files([str(photos / half) for half in "01"], include_paths=True)
        two = ray.data.ActorPoolStrategy(size=2)
        found.map_batches(vcp_clip.ray.Inspect, batch_size=BATCH, compute=two, num_cpus=1).write_parquet(str(out))

    return run


def with_spark() -> Callable[[Path, Path], None]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH)).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    inspect = vcp_clip.spark.Inspect()

    def run(photos: Path, out: Path) -> None:
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(str(photos))
        records = files.select("path", "content").mapInArrow(inspect, inspect.schema)
        records.write.mode("overwrite").parquet(str(out / "spark"))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--few", type=int, default=48)
    parser.add_argument("--many", type=int, default=336)
    options = parser.parse_args()
    ways = {
        "`segment`, two processes": command_line(options.program),
        "Ray Data, two actors": with_ray(),
        "Spark, `local[2]`": with_spark(),
    }
    processors_used = Processors()
    processors_used.start()
    walls: dict[str, list[float]] = {name: [] for name in ways}
    processors: dict[str, list[float]] = {name: [] for name in ways}
    starts: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        folders = [copies(Path(name) / str(count), count) for count in (options.few, options.many)]
        # The first round is thrown away: programs and photos come from the disk.
        for pair in range(-1, options.pairs):
            # In turn, so that what the machine does meanwhile meets all of them.
            for way, run in ways.items():
                seconds, used = [], []
                for folder in folders:
                    with tempfile.TemporaryDirectory() as out:
                        begun, before = time.perf_counter(), processors_used.read()
                        run(folder, Path(out))
                        seconds.append(time.perf_counter() - begun)
                        used.append(processors_used.read() - before)
                if pair >= 0:
                    # Starting and loading cancel out.
                    further = options.many - options.few
                    walls[way].append((seconds[1] - seconds[0]) / further)
                    processors[way].append((used[1] - used[0]) / further)
                    starts[way].append(seconds[0] - walls[way][-1] * options.few)
    usual = statistics.median(next(iter(processors.values())))
    print("| medians, per photo | processor time, ms (least to largest) | beyond `segment` | time of two workers, ms | start, s |")
    print("|---|---:|---:|---:|---:|")
    for way, found in processors.items():
        median = statistics.median(found)
        spread = f"{min(found) * 1e3:.0f} to {max(found) * 1e3:.0f}"
        beyond = f"{(median - usual) * 1e3:+.1f} ms, {median / usual - 1:+.1%}"
        wall, start = statistics.median(walls[way]), statistics.median(starts[way])
        print(f"| {way} | {median * 1e3:.1f} ({spread}) | {beyond} | {wall * 1e3:.1f} | {start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
