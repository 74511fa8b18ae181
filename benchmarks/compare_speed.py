"""`mlgitops compare` beside `dvc metrics diff`: the same repository, the same two commits.

Both are run as a person would, as processes, pair by pair, so that a busy machine slows
both alike; the median of the ratios counts.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 9
#: What the project promises.
LEAST_RATIO = 5.0
MANY = 100_000
MOST_SECONDS = 3.0
_DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    metrics:
      - metrics.json: {cache: false}
"""


def main() -> bool:
    """Print both comparisons; return whether the promises hold."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few = make_repository(root / "few", metrics=20)
        ratio = compare_tools(few)
        for metrics in (MANY // 10, MANY // 3, MANY):  # the last one counts; together: linear
            many = make_repository(root / str(metrics), metrics=metrics)
            seconds = time_many(many, metrics)
    return ratio >= LEAST_RATIO and seconds <= MOST_SECONDS


def make_repository(root: Path, *, metrics: int) -> Path:
    """Make a repository whose two commits differ in every metric."""
    root.mkdir()
    (root / "dvc.yaml").write_text(_DVC_YAML)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/cache\n")
    (root / "policy.yaml").write_text(
        "version: 1\nmetrics:\n  test.m000001: {greater_is_better: true, max_worsening: 0.1}\n"
    )
    run(root, "git", "init", "--quiet")
    for step in (0.0, 0.01):
        values = {f"m{at:06}": at / 7 + step for at in range(metrics)}
        (root / "metrics.json").write_text(json.dumps({"test": values}))
        run(root, "git", "add", "--all")
        identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
        run(root, "git", *identity, "commit", "--quiet", "--message", "step")
    return root


def compare_tools(root: Path) -> float:
    """Time both tools in turn and return how many times faster ours is."""
    tools = Path(sys.executable).parent
    ours = (tools / "mlgitops", "compare", "--base", "HEAD~1", "--head", "HEAD", "--json")
    theirs = (tools / "dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json")
    for command in (ours, theirs):  # the first runs fill the caches of both
        run(root, *command)
    pairs = [(run(root, *ours), run(root, *theirs)) for _ in range(PAIRS)]
    ratio = statistics.median(dvc / own for own, dvc in pairs)
    own, dvc = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"20 metrics, two commits ({PAIRS} pairs, median)")
    print(f"  mlgitops compare   {own:6.3f} s")
    print(f"  dvc metrics diff   {dvc:6.3f} s")
    print(f"  ratio              {ratio:6.1f}   (promised: at least {LEAST_RATIO:g})")
    return ratio


def time_many(root: Path, metrics: int) -> float:
    """Time a comparison of very many metrics in one file; CPU seconds."""
    command = (Path(sys.executable).parent / "mlgitops", "compare", "--base=HEAD~1", "--json")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = run(root, *command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{metrics:,} metrics in one file")
    print(f"  mlgitops compare   {seconds:6.3f} s of CPU, {wall:.3f} s in all", end="")
    print(f"   (promised: at most {MOST_SECONDS:g})")
    return seconds


def run(root: Path, *command: str | Path) -> float:
    """Run a program in ``root`` and return the seconds it took."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    subprocess.run(
        [str(word) for word in command], cwd=root, check=True, env=environment, capture_output=True
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(not main())
