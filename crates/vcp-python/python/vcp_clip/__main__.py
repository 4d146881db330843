"""``python -m vcp_clip`` is the command ``vcp-clip``."""

import sys

from ._program import main

if __name__ == "__main__":
    sys.exit(main())
