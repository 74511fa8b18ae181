"""Run the command line: ``python -m mlgitops``."""

import gc
import sys

from mlgitops.cli import run


def main() -> None:
    """Run the command named on the command line and exit with its code."""
    # Imports make no garbage: looking for it less often starts each command sooner.
    gc.set_threshold(50_000, 20, 20)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
