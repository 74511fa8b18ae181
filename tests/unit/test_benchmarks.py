"""What `make bench` measures and by what it judges, on a machine of any speed."""

from __future__ import annotations

import csv
import json
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks import (
    compare_speed,
    first_verdict,
    peer_speed,
    pipeline_speed,
    table_speed,
    verdict_speed,
)
from benchmarks.processes import (
    IMPORT_SECONDS,
    Pairs,
    Run,
    judge_ratio,
    judge_seconds,
    measure_slowness,
    run_by_turns,
    run_process,
)
from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTES = 400


def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    """A small program is small beside a large one that starts it, and a large one is large."""
    ours = np.ones(MEGABYTES * 10**6, dtype=np.uint8)
    small = run_process([sys.executable, "-c", "print(1)"], tmp_path)
    large = f"print(len(b'x' * {MEGABYTES * 10**6}))"
    assert small.out == "1\n"
    assert small.megabytes < MEGABYTES / 4
    assert run_process([sys.executable, "-c", large], tmp_path).megabytes > MEGABYTES
    assert ours.size == MEGABYTES * 10**6


def test_seconds_are_of_the_processor_and_of_children_too(tmp_path: Path) -> None:
    """Waiting costs nothing; what a child of the program takes is counted."""
    spin = "import time\nwhile time.process_time() < 0.4: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}])"
    assert run_process([sys.executable, "-c", child], tmp_path).seconds >= 0.4
    start = time.monotonic()
    waited = run_process([sys.executable, "-c", "import time; time.sleep(0.6)"], tmp_path)
    # However slow the machine is, one thread takes no more of the processor than passes awake.
    assert waited.seconds <= time.monotonic() - start - 0.5


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    """A failure ends the measurement with what the program wrote; expected codes do not."""
    fail = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    with pytest.raises(SystemExit, match=r"(?s)ended with 1:\nno such table"):
        run_process(fail, tmp_path)
    assert run_process(fail, tmp_path, codes=(0, 1)).out == ""


def test_the_long_table_has_rows_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copy of the flights has other ids, and days of another year in the same order."""
    monkeypatch.setattr(pipeline_speed, "COPIES", 2)
    path = pipeline_speed.repeat_table(tmp_path / "long.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == len(rows) == 60_000
    dates = [row["date"] for row in rows]
    assert {date[:4] for date in dates[:30_000]} == {"2013"}
    assert [date[4:] for date in dates[:30_000]] == [date[4:] for date in dates[30_000:]]
    assert {date[:4] for date in dates[30_000:]} == {"2014"}


def test_the_first_verdict_is_by_what_new_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The steps that are timed are those that a person is told to take, in their order."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in pipeline_speed.make_variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert run(["new", "--no-input", "--directory", str(tmp_path)]) == 0
    lines = capfd.readouterr().err.splitlines()
    steps = [line.split()[1] for line in lines if line.startswith("  make ")]
    timed = [name for name, _ in first_verdict.STEPS if name not in ("commit", "branch")]
    assert timed == steps == ["setup", "train", "publish", "rehearse"]


def test_programs_run_by_turns(tmp_path: Path) -> None:
    """Each goes first in every other round, and both are warmed up without being counted."""
    log = tmp_path / "log"
    write = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])"
    programs = [[sys.executable, "-c", write, name] for name in "AB"]
    pairs = run_by_turns(programs[0], programs[1], tmp_path, rounds=3)
    assert log.read_text() == "AB" + "BA" + "AB" + "BA"
    assert [len(runs) for runs in pairs] == [3, 3]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """One round in which the machine was busy does not decide."""
    pairs = Pairs([Run(1, 0, ""), Run(2, 0, ""), Run(9, 0, "")], [Run(2, 0, "")] * 3)
    assert pairs.times_faster == 1.0


@pytest.mark.parametrize(
    ("ratio", "at_least", "kept"), [(2, True, True), (1.9, True, False), (2, False, True),
                                    (2.1, False, False)],
)  # fmt: skip
def test_a_ratio_is_printed_with_its_limit(
    ratio: float, at_least: bool, kept: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit itself is kept, and what is not kept says so."""
    assert judge_ratio("times faster", ratio, 2, at_least=at_least) is kept
    printed = capsys.readouterr().out
    assert f"required: at {'least' if at_least else 'most'} 2" in printed
    assert ("NOT KEPT" in printed) is not kept


def test_the_commit_before_the_move_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one before the module was moved, whatever came later; a shallow clone lacks it."""
    root = tmp_path / "full"
    moved = root / compare_speed.MOVED
    moved.parent.mkdir(parents=True)
    compare_speed.run_git(root, "init", "--quiet")
    for step in ("added", "edited", "moved", "later"):
        if step == "moved":
            moved.rename(moved.with_name("room.py"))
        else:
            (moved if step in ("added", "edited") else root / "other").write_text(step)
        compare_speed.run_git(root, "add", "--all")
        compare_speed.run_git(root, "commit", "--quiet", "--message", step)
    monkeypatch.setattr(compare_speed, "ROOT", root)
    before = compare_speed.find_before()
    assert before is not None
    assert compare_speed.run_git(root, "log", "-1", "--format=%s", before) == "edited\n"
    compare_speed.run_git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), "shallow")
    monkeypatch.setattr(compare_speed, "ROOT", tmp_path / "shallow")
    assert compare_speed.find_before() is None


def test_tools_count_the_same_rows(tmp_path: Path) -> None:
    """Ours and the others beside it, as far as they are installed, do the same work."""
    files = [tmp_path / "base.csv", tmp_path / "head.csv"]
    table_speed.write_tables(files[0], files[1], 500)
    programs = [table_speed._OURS, table_speed._PANDAS, table_speed._PYARROW]
    runs = [run_process([sys.executable, "-c", text, *files], tmp_path) for text in programs]
    assert [table_speed.read_work(run).counts for run in runs] == ["5 5 5"] * 3


def test_every_metric_of_the_measured_verdict_has_an_interval(tmp_path: Path) -> None:
    """What is measured is a whole verdict: no stage is stale, no metric is left out."""
    verdict_speed.make_repository(tmp_path, 2_000, precision=True)
    command = [sys.executable, "-m", "mlgitops", *verdict_speed._COMPARE]
    report = run_process(command, tmp_path, codes=(0, 1)).out
    assert verdict_speed.count_intervals(report) == 14
    assert json.loads(report)["notices"] == []


def test_reading_many_metrics_gives_what_compare_gives(tmp_path: Path) -> None:
    """The least program that stands beside `compare` finds the same differences."""
    root = compare_speed.make_repository(tmp_path / "few", metrics=30)
    report = json.loads(run_process(compare_speed._OURS, root).out)
    changes = json.loads(run_process([sys.executable, "-c", compare_speed._READ], root).out)
    assert [f"test.{change['name']}" for change in changes] == [
        change["name"] for change in report["metrics"]
    ]
    assert [change["delta"] for change in changes] == [
        change["delta"] for change in report["metrics"]
    ]


def test_a_limit_in_seconds_is_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """What one import takes here, beside what it takes where the limit was set, scales it."""
    measure_slowness.cache_clear()
    slowness = measure_slowness()
    assert f"import sklearn: {slowness * IMPORT_SECONDS:.2f} s here" in capsys.readouterr().out
    assert judge_seconds("seconds", 90 * slowness - 1, 90)
    printed = capsys.readouterr().out
    assert f"required: at most {round(90 * slowness, 1):g})" in printed
    assert "seconds (of 90)" in printed
    assert not judge_seconds("seconds", 90 * slowness + 1, 90)
    assert "NOT KEPT" in capsys.readouterr().out


@pytest.mark.parametrize("metric", ["accuracy", "mae"])
def test_other_tools_get_the_rows_that_ours_reads(tmp_path: Path, metric: str) -> None:
    """The mean of the scores that they are given moves as our metric does, with an interval."""
    peer_speed.write_sides(tmp_path, metric, 500)
    report = run_process([*peer_speed._OURS, "--json"], tmp_path / "project", codes=(0, 1)).out
    ours = peer_speed.read_ours(report, metric)
    means = []
    for side in ("base", "head"):
        scores = json.loads((tmp_path / f"{side}.json").read_text())
        lines = (tmp_path / f"{side}.csv").read_text().splitlines()[1:]
        frame = json.loads((tmp_path / f"{side}_frame.json").read_text())
        assert [f"{name},{score}" for name, score in scores.items()] == lines
        assert {item["item_id"]: item["score"] for item in frame["items"]} == scores
        means.append(sum(scores.values()) / len(scores))
    assert means[1] - means[0] == pytest.approx(ours.delta, abs=1e-12)
    assert ours.low < ours.delta < ours.high


def test_numbers_of_another_tool_must_be_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """Another difference, or an end too far from ours, is not the same."""
    ours = peer_speed.Difference(0.01, 0.0, 0.02)
    peer = peer_speed.PEERS[0]
    assert peer_speed.judge_numbers(peer, "mae", ours, ours)
    assert "NOT THE SAME" not in capsys.readouterr().out
    for other in ((0.02, 0.0, 0.02), (0.01, 0.001, 0.02), (0.01, 0.0, 0.019)):
        assert not peer_speed.judge_numbers(peer, "mae", ours, peer_speed.Difference(*other))
        assert "NOT THE SAME" in capsys.readouterr().out
