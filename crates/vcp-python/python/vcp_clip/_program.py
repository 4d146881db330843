"""The command ``vcp-clip``."""

from __future__ import annotations

import sys

from ._vcp_clip import run_program


def main() -> int:
    """Runs ``vcp-clip`` with the process's arguments, and gives its exit status."""
    # What Python has printed comes before what the program prints.
    sys.stdout.flush()
    return run_program(["vcp-clip", *sys.argv[1:]])
