"""Models kept for later runs, a graph with its weights beside it, written whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """A path to write a graph to, its weights beside it; they become `file` at the end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        yield Path(folder) / file.name
        # The graph comes last: while it is missing, the file does not count as made.
        for part in sorted(Path(folder).iterdir(), key=lambda path: path.name == file.name):
            part.replace(file.parent / part.name)
