"""`mlgitops compare` beside `dvc metrics diff`, beside Python reading the same, beside its past.

All are run as a person would, as processes, by turns. Its past is the commit before the modules
were moved into rooms, checked out for the time of the measurement.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from benchmarks import verdict_speed
from benchmarks.processes import judge_ratio, least, run_by_turns, run_process

#: Times faster than `dvc metrics diff`, on 20 metrics.
LEAST_RATIO = 5.0
FEW, MANY, ROWS = 20, 100_000, 10_000
#: Times the processor time of Python that reads both files of many metrics and subtracts.
MOST_OF_READING = 3.0
#: Times the processor time that as many metrics take in a tenth of them: 10 were linear.
MOST_OF_A_TENTH = 11.0
#: Times the processor time of before: 1, and what a median of some rounds is off by.
MOST_OF_BEFORE = 1.05
#: A module that stood beside all others, and stands in a room now.
MOVED = "src/mlgitops/staleness.py"
ROOT = Path(__file__).parents[1]

_COMPARE = ("compare", "--base", "HEAD~1", "--head", "HEAD", "--json")
_OURS = (sys.executable, "-m", "mlgitops", *_COMPARE)
_THEIRS = (Path(sys.executable).parent / "dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json")
#: What is the least that any program of Python's would do.
_READ = """\
import json, subprocess
shows = (["git", "show", f"{revision}:metrics.json"] for revision in ("HEAD~1", "HEAD"))
base, head = (json.loads(subprocess.check_output(show))["test"] for show in shows)
changes = [{"name": name, "base": base[name], "head": head[name],
            "delta": head[name] - base[name]} for name in sorted(base)]
print(json.dumps(changes))
"""
_DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    metrics:
      - metrics.json: {cache: false}
"""


def main() -> bool:
    """Print all ratios; return whether the requirements hold."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few = make_repository(root / "few", metrics=FEW)
        tenth = make_repository(root / "tenth", metrics=MANY // 10)
        many = make_repository(root / "many", metrics=MANY)
        rows = root / "rows"
        rows.mkdir()
        verdict_speed.make_repository(rows, ROWS, precision=True)
        past = compare_before(root / "before", {FEW: few, MANY: many}, rows)
        return all([compare_tools(few), compare_reading(many, tenth), past])


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
    run_git(root, "init", "--quiet")
    for step in (0.0, 0.01):
        values = {f"m{at:06}": at / 7 + step for at in range(metrics)}
        (root / "metrics.json").write_text(json.dumps({"test": values}))
        run_git(root, "add", "--all")
        run_git(root, "commit", "--quiet", "--message", "step")
    return root


def compare_tools(root: Path) -> bool:
    """Measure how many times faster than DVC we compare a few metrics."""
    pairs = run_by_turns(_OURS, _THEIRS, root, rounds=9)
    print(f"{FEW} metrics, two commits: seconds of the processor")
    print(f"  mlgitops compare {least(pairs.ours):.3f}, dvc metrics diff {least(pairs.theirs):.3f}")
    return judge_ratio("times faster than dvc metrics diff", pairs.times_faster, LEAST_RATIO)


def compare_reading(many: Path, tenth: Path) -> bool:
    """Measure what very many metrics take, beside Python that only reads and subtracts them."""
    pairs = run_by_turns(_OURS, (sys.executable, "-c", _READ), many, rounds=5)
    small = min(run_process(_OURS, tenth).seconds for _ in range(3))
    start = min(
        run_process((sys.executable, "-m", "mlgitops", "--version"), many).seconds for _ in range(3)
    )
    growth = (least(pairs.ours) - start) / (small - start)
    print(f"{MANY:,} metrics in one file: seconds of the processor")
    print(f"  mlgitops compare {least(pairs.ours):.3f}, reading them {least(pairs.theirs):.3f}")
    kept = judge_ratio(
        "times what reading takes", 1 / pairs.times_faster, MOST_OF_READING, at_least=False
    )
    linear = judge_ratio(
        "times what a tenth of them takes", growth, MOST_OF_A_TENTH, at_least=False
    )
    return kept and linear


def compare_before(folder: Path, metrics: dict[int, Path], rows: Path) -> bool:
    """Measure what `compare` takes now beside what it took before the modules were moved."""
    before = find_before()
    if before is None:
        print("This clone is shallow: it does not have the commit before the move")
        return False
    packed = folder.with_suffix(".tar")
    run_git(ROOT, "archive", "--output", str(packed), before, "src")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    print("The commit before the move, in the same run")
    results = [
        _compare_sources(folder, root, f"{count:,} metrics", rounds=9 if count == MANY else 25)
        for count, root in metrics.items()
    ]
    return all([*results, _compare_sources(folder, rows, f"{ROWS:,} rows", rounds=25)])


def find_before() -> str | None:
    """Find the last commit before the modules were moved into rooms; None in a shallow clone."""
    moved = run_git(ROOT, "rev-list", "--max-count=1", "HEAD", "--", MOVED).strip()
    if run_git(ROOT, "rev-parse", "--is-shallow-repository").strip() == "true" or not moved:
        return None
    return run_git(ROOT, "rev-parse", f"{moved}^").strip()


def _compare_sources(before: Path, root: Path, name: str, *, rounds: int) -> bool:
    """Run both by turns in one repository, which must give reports of as many metrics."""
    envs = tuple({"PYTHONPATH": str(tree / "src")} for tree in (ROOT, before))
    pairs = run_by_turns(_OURS, _OURS, root, rounds=rounds, envs=(envs[0], envs[1]), codes=(0, 1))
    sides = [len(json.loads(runs[0].out)["metrics"]) for runs in pairs]
    if sides[0] != sides[1]:
        raise SystemExit(f"reports of {sides[0]:,} and {sides[1]:,} metrics are not comparable")
    label = f"times before: {name}"
    return judge_ratio(label, 1 / pairs.times_faster, MOST_OF_BEFORE, at_least=False)


def run_git(root: Path, *words: str) -> str:
    """Run git in ``root`` and return what it printed."""
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    return subprocess.run(
        ["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(not main())
