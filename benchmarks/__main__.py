"""Run every benchmark, side by side with what users would pick instead: ``make bench``."""

from __future__ import annotations

import importlib
import sys

MODULES = (
    "compare_speed",
    "verdict_speed",
    "inference_speed",
    "table_speed",
    "pipeline_speed",
    "first_verdict",
    "long_table",
    "serving_speed",
    "switching",
    "monitoring_speed",
    "peer_speed",
    "compute_speed",
)


def main() -> int:
    """Run each benchmark's main and return 1 when a requirement does not hold."""
    broken = []
    for name in MODULES:
        print(f"\n== {name} ==")
        if importlib.import_module(f"benchmarks.{name}").main() is False:
            broken.append(name)
    if broken:
        print(f"\nnot as required: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
