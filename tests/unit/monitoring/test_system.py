"""Figures of the system: what a server counted, what the facts say, how old model and data are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from released_project import make_lineage, put_model, tag_release

from mlgitops.delivery.releases.ages import read_ages
from mlgitops.git.repository import Folder, Repository
from mlgitops.model.lineage import DataHash
from mlgitops.model.monitoring import DayFact
from mlgitops.monitoring.counters import MAX_COUNTERS_BYTES, ServerCounts, parse_counters
from mlgitops.monitoring.history import read_archive
from mlgitops.monitoring.system import Ages, show_ages, show_server, show_traffic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlgitops.model.look import Finding

ENDS = (0.001, 0.01, 0.1, 1.0)
MODEL = "ab" * 32


def write_text(seconds: list[float]) -> bytes:
    """Write what a server says that counted such seconds: tests/template has a real one's."""
    counts = {end: sum(taken <= end for taken in seconds) for end in ENDS}
    label = f'model_sha256="{MODEL}"'
    lines = [
        "# HELP mlgitops_request_seconds Seconds from a request that has arrived to its answer.",
        "# TYPE mlgitops_request_seconds histogram",
        *(
            f'mlgitops_request_seconds_bucket{{le="{end}",{label}}} {count}.0'
            for end, count in counts.items()
        ),
        f'mlgitops_request_seconds_bucket{{le="+Inf",{label}}} {len(seconds)}.0',
        f"mlgitops_request_seconds_sum{{{label}}} {sum(seconds)}",
        f'mlgitops_requests_total{{{label},route="infer",status="200"}} {len(seconds)}.0',
        f'mlgitops_requests_total{{{label},route="infer",status="400"}} 3.0',
        f'mlgitops_requests_total{{{label},route="other",status="400"}} 1.0',
        f"mlgitops_rows_total{{{label}}} {len(seconds)}.0",
        f'mlgitops_log_dropped_total{{{label},reason="disk"}} 7.0',
        'request_predict_seconds_bucket{le="0.5",model_name="flights"} 3.0',
        "process_resident_memory_bytes 2e+08",
        "process_start_time_seconds 1000.5",
    ]
    return "\n".join(lines).encode() + b"\n"


def index(findings: Iterable[Finding]) -> dict[tuple[str, str | None], Finding]:
    """Return findings by name and part."""
    return {(finding.name.removeprefix("system."), finding.of): finding for finding in findings}


def test_what_a_server_counted_is_shown() -> None:
    """Requests a second since its start, seconds of its answers, failures, losses, memory."""
    counts = parse_counters(write_text([0.005] * 90 + [0.05] * 10))
    shown = index(show_server(counts, now=1_200.5))
    assert shown["requests_per_second", None].figure == 104 / 200
    assert shown["requests_per_second", None].reason == (
        "104 in the 3 minutes since the server's start"
    )
    assert shown["seconds", "half of the answers"].figure == pytest.approx(0.001 + 0.009 * 50 / 90)
    assert shown["seconds", "99 %"].figure == pytest.approx(0.01 + 0.09 * 9 / 10)
    assert shown["failed", "status 400"].figure == pytest.approx(4 / 104)
    assert shown["dropped", "disk"].figure == 7
    assert shown["memory_mb", None].figure == 200
    assert {finding.state for finding in shown.values()} == {"shown"}


@given(st.lists(st.floats(0.0011, 0.99), min_size=1), st.floats(0.01, 0.99))
def test_a_quantile_lies_between_the_ends_around_it(seconds: list[float], share: float) -> None:
    """The value that it stands for lies between the same two ends of the histogram."""
    figure = parse_counters(write_text(seconds)).find_seconds(share)
    assert figure is not None
    rank = max(0, -int(-share * len(seconds) // 1) - 1)
    true = sorted(seconds)[rank]
    above = min(end for end in ENDS if true <= end)
    below = max(end for end in (0.0, *ENDS) if end < true)
    assert below <= figure <= above * (1 + 1e-9)


def test_above_the_last_end_the_histogram_says_no_more() -> None:
    """What took longer than the last end is shown as that end, not as endless."""
    assert parse_counters(write_text([5.0])).find_seconds(0.5) == 1.0


POINTER = "outs:\n- {{path: raw, md5: {}.dir, hash: md5}}\n"
BUCKET = b"mlgitops_request_seconds_bucket"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe\x00",
        b"mlgitops_rows_total{} nan",
        b"mlgitops_rows_total{} -1",
        b"mlgitops_rows_total{} 1e999",
        b"mlgitops_rows_total{} 1 2 3",
        b'mlgitops_requests_total{status="<b>"} 1',
        b'mlgitops_requests_total{status="999"} 1',
        b'mlgitops_log_dropped_total{reason="=HYPERLINK(1)"} 1',
        BUCKET + b'{le="1.0"} 5',  # without an end for all
        BUCKET + b'{le="x"} 5',
        BUCKET + b'{le="1.0"} 5\n' + BUCKET + b'{le="+Inf"} 4',  # falling
        BUCKET + b'{le="nan"} 5\n' + BUCKET + b'{le="+Inf"} 6',
        b"mlgitops_rows_total{} 1\n" * (MAX_COUNTERS_BYTES // 20),
        b"mlgitops_rows_total{" + b"a" * 5_000 + b"} 1",
    ],
    ids=range(15),
)
def test_what_is_no_count_is_left_out(text: bytes) -> None:
    """A server's text may be anybody's: nothing is repeated, and nothing raises."""
    assert parse_counters(text) == ServerCounts()
    assert list(show_server(ServerCounts(), now=5.0)) == []


def test_counts_whose_sum_is_no_number_are_left_out() -> None:
    """Each is finite, and together they are not: a look goes on."""
    text = "".join(f'mlgitops_requests_total{{status="{n}"}} 1e308\n' for n in (200, 200, 500))
    assert list(show_server(parse_counters(text.encode()), now=5.0)) == []


def test_rows_a_second_are_of_seven_days() -> None:
    """All models together, days before and after left out, the busiest named."""
    facts = [
        DayFact(day=f"2026-11-{day:02}", model=model * 32, name="rows", rows=rows,
                numerator=rows, denominator=1.0)
        for day, model, rows in (
            (15, "ab", 9_000), (16, "ab", 86_400), (22, "ab", 100), (22, "cd", 172_700),
            (23, "ab", 7),
        )
    ]  # fmt: skip
    (shown,) = show_traffic(read_archive(facts, "2026-11-23"), "2026-11-22")
    assert shown.figure == pytest.approx(3 / 7)
    assert (shown.rows, shown.days) == (259_200, 2)
    assert shown.reason == "of the last seven days; 172,800 rows on 2026-11-22, the busiest"
    assert list(show_traffic(read_archive(facts[:1], "2026-11-23"), "2026-11-23")) == []


def test_ages_are_those_of_the_release_and_of_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest release of a model's file; its data by the `.dvc` file that changed last."""

    def date_commits(day: str) -> None:
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{day}T23:30:00-02:00")  # a day later in UTC

    repository = GitRepository(tmp_path / "flights")
    date_commits("2026-01-01")
    repository.put("data/raw.dvc", POINTER.format("a" * 32))
    repository.put("dvc.yaml", "artifacts: {flights: {path: model/model.skops, type: model}}\n")
    repository.commit("Begin")
    date_commits("2026-02-01")
    repository.put("data/raw.dvc", POINTER.format("b" * 32))
    repository.commit("Add flights of January")
    date_commits("2026-03-01")
    commit = put_model(repository, b"a model")
    table = DataHash(path="data/raw/table.csv", hash="md5:" + "0" * 32)
    lineage = make_lineage(commit, b"a model")
    absent = {name: why for name, why in lineage.absent.items() if name != "data"}
    tag_release(repository, replace(lineage, data=(table,), absent=absent))
    date_commits("2026-04-01")
    repository.put("data/raw.dvc", POINTER.format("c" * 32))
    repository.commit("What came after the release")
    with Repository(repository.root) as opened:
        folder = Folder(opened, repository.root)
        ages = read_ages(folder, lineage.sha256)
        assert read_ages(folder, MODEL) is None
    assert ages == Ages(version="v1.0.0", model_day="2026-03-02", data_day="2026-02-02")
    shown = index(show_ages(ages, "2026-03-04"))
    assert shown["model_age_days", None].figure == 2
    assert shown["data_age_days", None].figure == 30
    assert list(show_ages(ages, "2026-02-01")) == []
