"""`mlgitops compare` beside evalsig, siggate and statgate: the same rows, their numbers and ours.

They, too, tell on a pull request whether a mean over paired rows moved beyond noise. Each runs as
its user would run it, by turns with ours, on the same 0/1 hits or absolute errors in its own
format; ours reads predictions out of git and computes those itself. They stand in an environment
of their own, made from requirements/peers.txt.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.processes import judge_ratio, least, run_by_turns
from benchmarks.verdict_speed import git

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
#: Metric, rows, rounds: a million rows takes statgate over five minutes.
CASES = (("accuracy", 10_000, 3), ("mae", 10_000, 3), ("accuracy", 100_000, 1))
#: Times the processor seconds of ours that each of them takes, at least.
LEAST_RATIO = 2.0
_SAME = 1e-9  # two sums of the same numbers in another order
_DVC_YAML = """\
stages:
  evaluate:
    cmd: python evaluate.py
    outs:
      - predictions.csv: {cache: false}
    metrics:
      - metrics.json: {cache: false}
"""
_OURS = (sys.executable, "-m", "mlgitops", "compare", "--base", "HEAD~1", "--head", "HEAD")


class Difference(NamedTuple):
    """A mean's difference, head minus base, with its interval at 95 %."""

    delta: float
    low: float
    high: float


class Peer(NamedTuple):
    """Another tool: its command, after the files of both sides; and how it is read."""

    name: str
    words: Sequence[str]
    form: str  # what the names of its files end in
    options: Sequence[str]
    read: Callable[[dict[str, Any]], Difference]
    most_off: dict[str, float]  # metric → how far an end may lie from ours, of our width


#: Theirs of a mean of 0/1 is Wald's, ours a score interval; of errors all are a paired t, z for
#: siggate, but statgate's, which resamples 10,000 times.
PEERS = (
    Peer(
        "evalsig",
        ("compare", "--method", "paired_t", "--output", "json", "--baseline"),
        "_frame.json",
        ("--candidate",),
        lambda said: Difference(said["delta"], *said["ci"]),
        {"accuracy": 0.05, "mae": 1e-3},
    ),
    Peer(
        "siggate",
        ("compare", "--format", "json", "--no-gate"),
        ".json",
        (),
        lambda said: Difference(said["delta"], said["ci_lower"], said["ci_upper"]),
        {"accuracy": 0.05, "mae": 1e-3},
    ),
    Peer(
        "statgate",
        ("compare", "--format", "json", "--seed", "0"),
        ".csv",
        (),
        lambda said: Difference(
            said["mean_diff"], said["interval"]["low"], said["interval"]["high"]
        ),
        {"accuracy": 0.1, "mae": 0.1},
    ),
)


def main() -> bool:
    """Print differences, intervals and processor seconds; return whether all is as required."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        problem = install_peers(root / "peers")
        if problem:
            print(f"NOT MEASURED: the other tools could not be installed:\n{problem}")
            return False
        results = [compare_peers(root, metric, rows, rounds) for metric, rows, rounds in CASES]
    return all(results)


def install_peers(folder: Path) -> str | None:
    """Make their environment from its lock; return what went wrong, None when nothing did."""
    uv = [str(Path(sys.executable).parent / "uv"), "--no-config"]
    sync = ["pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes"]
    into = ["--only-binary", ":all:", "--python", str(folder / "bin/python")]
    for words in (
        [*uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [*uv, *sync, *into, str(ROOT / "requirements/peers.txt")],
    ):
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return str(done.stderr).strip()
    return None


def compare_peers(root: Path, metric: str, rows: int, rounds: int) -> bool:
    """Compare one metric of one table with each of them; print and judge what came of it."""
    project = root / f"{metric}_{rows}"
    project.mkdir()
    write_sides(project, metric, rows)
    print(f"{metric}, {rows:,} rows")
    kept = []
    for peer in PEERS:
        words = [str(root / "peers/bin" / peer.name), *peer.words, f"../base{peer.form}"]
        theirs = [*words, *peer.options, f"../head{peer.form}"]
        pairs = run_by_turns(
            [*_OURS, "--json"], theirs, project / "project", rounds=rounds, codes=(0, 1, 2)
        )
        ours = read_ours(pairs.ours[0].out, metric)
        other = peer.read(json.loads(pairs.theirs[0].out))
        kept.append(judge_numbers(peer, metric, ours, other))
        print(f"  seconds: ours {least(pairs.ours):.2f}, {peer.name} {least(pairs.theirs):.2f}")
        title = f"times the seconds of ours, {peer.name}"
        kept.append(judge_ratio(title, pairs.times_faster, LEAST_RATIO))
    return all(kept)


def judge_numbers(peer: Peer, metric: str, ours: Difference, theirs: Difference) -> bool:
    """Print both differences; return whether they are the same, and the ends as near as due."""
    for name, said in (("ours", ours), (peer.name, theirs)):
        print(f"  {name:<10}{said.delta:+.6f}  [{said.low:+.6f}, {said.high:+.6f}]")
    same = abs(ours.delta - theirs.delta) <= _SAME
    ends = max(abs(ours.low - theirs.low), abs(ours.high - theirs.high))
    off = ends / (ours.high - ours.low)
    near = off <= peer.most_off[metric]
    print(
        f"  the further end is off by {off:.1e} of the width (required: {peer.most_off[metric]:g})"
    )
    if not (same and near):
        print("  NOT THE SAME")
    return same and near


def read_ours(out: str, metric: str) -> Difference:
    """Read our difference and interval from the report."""
    (change,) = (change for change in json.loads(out)["metrics"] if change["name"] == metric)
    interval = change["evidence"]["interval"]
    return Difference(change["delta"], interval["low"], interval["high"])


def write_sides(folder: Path, metric: str, rows: int) -> None:
    """Make a repository with both sides as two commits, and each side in their formats."""
    target, *predictions = draw_sides(metric, rows)
    project = folder / "project"
    project.mkdir()
    git(project, "init", "--quiet")
    direction = "true" if metric == "accuracy" else "false"
    (project / "policy.yaml").write_text(
        "version: 1\nfiles: {predictions: predictions.csv}\nmetrics:\n"
        f"  {metric}: {{greater_is_better: {direction}, max_worsening: 0.01}}\n"
    )
    (project / "dvc.yaml").write_text(_DVC_YAML)
    names = [f"r{position}" for position in range(rows)]
    for side, prediction in zip(("base", "head"), predictions, strict=True):
        lines = zip(names, target.tolist(), prediction.tolist(), strict=True)
        text = "".join(f"{name},{truth},{guess}\n" for name, truth, guess in lines)
        (project / "predictions.csv").write_text(f"id,target,prediction\n{text}")
        is_hit = metric == "accuracy"
        scores = (prediction == target).astype(int) if is_hit else abs(prediction - target)
        value = {metric: float(scores.mean())}
        (project / "metrics.json").write_text(json.dumps(value))
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", side)
        write_scores(folder / side, dict(zip(names, scores.tolist(), strict=True)))


def draw_sides(metric: str, rows: int) -> tuple[NDArray[Any], ...]:
    """Draw targets, and predictions of base and of a slightly worse head."""
    rng = np.random.default_rng(0)
    if metric == "accuracy":
        target = (rng.random(rows) < 0.3).astype(int)  # noqa: PLR2004
        base = np.where(rng.random(rows) < 0.25, 1 - target, target)  # noqa: PLR2004
        head = np.where(rng.random(rows) < 0.04, rng.integers(0, 2, rows), base)  # noqa: PLR2004
        return target, base, head
    target = np.round(rng.normal(size=rows), 4)
    base = np.round(target + rng.normal(size=rows), 4)
    return target, base, np.round(base + 0.2 * rng.normal(size=rows), 4)


def write_scores(path: Path, scores: dict[str, float]) -> None:
    """Write one side's scores by row as statgate, siggate and evalsig read them."""
    lines = "".join(f"{name},{score}\n" for name, score in scores.items())
    path.with_name(f"{path.name}.csv").write_text(f"case_id,score\n{lines}")
    path.with_name(f"{path.name}.json").write_text(json.dumps(scores))
    items = [{"item_id": name, "score": float(score)} for name, score in scores.items()]
    frame = {"run_id": path.name, "model_id": path.name, "task_id": "rows"}
    frame |= {"metric_name": "score", "config_hash": "none"}
    path.with_name(f"{path.name}_frame.json").write_text(json.dumps({**frame, "items": items}))


if __name__ == "__main__":
    sys.exit(not main())
