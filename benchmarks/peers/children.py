"""Runs the peers as child processes that keep their models loaded."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

STOP_SECONDS = 20


class PeerError(Exception):
    """A peer could not be run; the message says which, and shows the end of what it wrote."""


class Child:
    """One peer process that answers each line on its input with a line of JSON."""

    def __init__(
        self, name: str, command: list[str], threads: int, cpus: frozenset[int] | None
    ) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment(threads),
                text=True,
            )
        except OSError as error:
            self.errors.close()
            raise PeerError(f"{name}: {command[0]} cannot be started: {error}.") from error
        if cpus is not None:
            # Threads made later inherit it, and no peer makes its own before it is loaded.
            os.sched_setaffinity(self.process.pid, cpus)

    def run(self) -> dict[str, Any]:
        """Has the peer run one image; returns its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise PeerError(self._failure(line)) from error
        if not isinstance(answer, dict) or "tower_ms" not in answer:
            raise PeerError(self._failure(line))
        return answer

    def _failure(self, line: str) -> str:
        self.stop()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip()[-2000:]
        return (
            f'{self.name}: expected a line of JSON with "tower_ms", found {line.strip()!r} '
            f"(exit status {self.process.returncode}). It wrote:\n{said}"
        )

    def peak_memory_bytes(self) -> int | None:
        """The largest resident memory of the process so far, where the system tells (Linux)."""
        return peak_memory_bytes(self.process.pid)

    def stop(self) -> None:
        """Ends the process by ending its input, or, where that does not help, by force."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.errors.close()


def environment(threads: int) -> dict[str, str]:
    """The environment of every child: the same number of threads for each library."""
    count = str(threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return os.environ | dict.fromkeys(names, count)


def peak_memory_bytes(pid: int) -> int | None:
    """`VmHWM` of a running process in bytes."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return None
