"""``python -m limner`` is ``limner``."""

from __future__ import annotations

import sys

from limner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
