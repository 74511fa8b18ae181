"""Logs and labels to facts: the figures are scikit-learn's, and each row counts once."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from request_log import (
    BINARY,
    DAY,
    MODEL,
    encode_line,
    make_batch,
    make_plan_of,
    make_record,
    make_refusal,
    write_log,
)
from sklearn import metrics as sk

from benchmarks import monitoring_speed
from mlgitops.errors import MlgitopsError
from mlgitops.model import Policy, Rule
from mlgitops.model.monitoring import (
    OF_FILES,
    AlertSettings,
    DayFact,
    MonitorSettings,
    encode_facts,
)
from mlgitops.monitoring.counted import Counts
from mlgitops.monitoring.day_rows import Coder
from mlgitops.monitoring.facts import Measured, describe_doubts, measure_log
from mlgitops.monitoring.history import read_archive
from mlgitops.monitoring.label_store import Label, LabelStore
from mlgitops.monitoring.plan import make_plan
from mlgitops.monitoring.sources import list_folder, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mlgitops.monitoring.plan import Plan
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk

REGRESSION = {
    "params.yaml": "task: regression\ndata: {target: wage}\nfeatures: {categorical: [race]}\n",
    "contract.yaml": "columns: {race: {isin: [A, B]}, wage: {dtype: float64}}",
    "policy.yaml": "version: 1\nmetrics:\n"
    "  test.rmse: {greater_is_better: false, max_value: 9}\n"
    "  test.mae: {greater_is_better: false, max_value: 9}\n"
    "  test.mse: {greater_is_better: false, max_value: 81}\n"
    "  test.pinball_90: {greater_is_better: false, max_value: 9}\n"
    "  test.r2: {min_value: 0}\n"
    "  train.mae: {greater_is_better: false, max_value: 9}\n"
    "slices: [{by: [race], metric: mean_error, statistic: difference, max_value: 1}]\n",
}
SPECIES = {
    "params.yaml": "task: multiclass\ndata: {target: species}\nfeatures: {categorical: [sex]}\n",
    "contract.yaml": "columns: {sex: {isin: [m, f]}, species: {isin: [Adelie, Gentoo, Other]}}",
    "policy.yaml": "version: 1\nmetrics:\n"
    "  test.accuracy: {min_value: 0.5}\n"
    "  test.balanced_accuracy: {min_value: 0.5}\n"
    "  test.log_loss: {greater_is_better: false, max_value: 1}\n",
}


def measure(
    tmp_path: Path, records: Sequence[object], labels: Mapping[str, Any], plan: Plan
) -> Measured:
    """Measure one file of a log with its labels."""
    write_log(tmp_path / "requests", records)
    store = LabelStore(folder=tmp_path / "labels")
    if labels:
        lines = (Label(id=row_id, outcome=value, at=DAY) for row_id, value in labels.items())
        store.append(DAY, lines)
    parts = list_folder(tmp_path / "requests", "2026-01-01", "2027-01-01")
    return measure_log(parts, store, plan)


def find(measured: Measured, name: str, **part: str) -> DayFact:
    """Return the only fact of a name and a part."""
    chosen = [
        fact
        for fact in measured.facts
        if fact.name == name and parse_qs(fact.of or "") == {key: [it] for key, it in part.items()}
    ]
    assert len(chosen) == 1, (name, part)
    return chosen[0]


def divide(fact: DayFact) -> float:
    """Return the figure of a fact."""
    return fact.numerator / fact.denominator


@pytest.fixture
def flights() -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return 400 answered rows, every fourth without a label, and the labels of the others."""
    drawn = random.Random(7)  # noqa: S311 - a seed, so that a failure repeats
    records, labels = [], {}
    for number in range(400):
        score = round(drawn.random(), 2)  # so few digits that scores tie
        inputs = {
            "temp": None if number % 10 == 0 else drawn.uniform(0, 100),
            "carrier": drawn.choice(["AA", "B6"]),
            "dest": "secret place",
        }
        answer = int(score >= 0.3)
        records.append(make_record(f"r/{number}", score=score, answer=answer, inputs=inputs))
        if number % 4:
            labels[f"r/{number}"] = str(int(drawn.random() < score))
    return records, labels


def test_the_figures_of_a_day_are_those_of_scikit_learn(
    tmp_path: Path, flights: tuple[list[dict[str, Any]], dict[str, str]]
) -> None:
    """Each judged metric is the sum above the line over that below, on the labelled rows."""
    records, labels = flights
    measured = measure(tmp_path, records, labels, make_plan_of(BINARY))
    rows = [record for record in records if record["id"] in labels]
    target = [int(labels[record["id"]]) for record in rows]
    score, answer = ([record[key] for record in rows] for key in ("score", "answer"))
    expected = {
        "test.roc_auc": sk.roc_auc_score(target, score),
        "test.brier": sk.brier_score_loss(target, score),
        "test.log_loss": sk.log_loss(target, score),
        "test.f1": sk.f1_score(target, answer),
        "calibration": (sum(score) - sum(target)) / 300,
    }
    for name, value in expected.items():
        fact = find(measured, name)
        assert divide(fact) == pytest.approx(value), name
        assert fact.rows == 300, name
    for carrier in ("AA", "B6"):
        chosen = [number for number, row in enumerate(rows) if row["inputs"]["carrier"] == carrier]
        own_target, own_answer = ([side[it] for it in chosen] for side in (target, answer))
        fact = find(measured, "accuracy", carrier=carrier)
        assert divide(fact) == pytest.approx(sk.accuracy_score(own_target, own_answer))
        assert fact.rows == len(chosen)
        recall = find(measured, "true_positive_rate", carrier=carrier)
        assert divide(recall) == pytest.approx(sk.recall_score(own_target, own_answer))
    cells = sk.confusion_matrix(target, answer)
    for true in (0, 1):
        for said in (0, 1):
            fact = find(measured, "confusion", target=str(true), answer=str(said))
            assert fact.numerator == cells[true][said]


@pytest.mark.parametrize("values", [(1, True), (True, 1), (1.0, False, True, 0)])
def test_true_is_no_one_whatever_comes_first(values: tuple[object, ...]) -> None:
    """Python takes them for equal; a contract's levels do not."""
    numbers = [-2 if isinstance(value, bool) else int(str(value)[0]) for value in values]
    assert Coder(["0", "1"]).code(values).tolist() == numbers
    flags = [int(value) if isinstance(value, bool) else -2 for value in values]
    assert Coder(["false", "true"]).code(values).tolist() == flags


def test_what_needs_no_label_is_of_all_rows(
    tmp_path: Path, flights: tuple[list[dict[str, Any]], dict[str, str]]
) -> None:
    """Rows, missing values, levels, bins and scores are counted of labelled rows and others."""
    records, labels = flights
    records[0]["inputs"]["carrier"] = "ZZ"
    measured = measure(tmp_path, records, labels, make_plan_of(BINARY))
    assert divide(find(measured, "rows")) == 400
    assert divide(find(measured, "labels")) == 0.75
    assert divide(find(measured, "missing", column="temp")) == 0.1
    assert find(measured, "new_level", column="carrier").numerator == 1
    bins = [fact.numerator for fact in measured.facts if fact.name == "histogram"]
    assert sum(bins) == 360 + 399  # temperatures, and carriers of the contract
    scores = [fact.numerator for fact in measured.facts if fact.name == "score_histogram"]
    assert sum(scores) == 400
    mean = sum(record["score"] for record in records) / 400
    assert divide(find(measured, "score", **{"class": "1"})) == pytest.approx(mean)
    brier = sum(it["score"] * (1 - it["score"]) for it in records) / 400
    assert divide(find(measured, "estimated.test.brier")) == pytest.approx(brier)
    assert not [fact for fact in measured.facts if "column=free" in (fact.of or "")]  # never logged


def test_no_value_of_an_open_column_and_no_id_is_kept(
    tmp_path: Path, flights: tuple[list[dict[str, Any]], dict[str, str]]
) -> None:
    """Facts hold levels that the contract lists, and no others."""
    records, labels = flights
    records[3]["inputs"]["carrier"] = "Jane Doe"
    measured = measure(tmp_path, records, labels, make_plan_of(BINARY))
    text = encode_facts(measured.facts).decode()
    assert not [word for word in ("secret", "Jane", "Doe", "r/", "r%2F") if word in text]


def test_the_same_log_gives_the_same_bytes(
    tmp_path: Path, flights: tuple[list[dict[str, Any]], dict[str, str]]
) -> None:
    """In one process or two, plain or packed; hashes of ids differ in each process."""
    records, labels = flights
    plan, store = make_plan_of(BINARY), LabelStore(folder=tmp_path / "labels")
    for number in range(1, 7):
        day = f"2026-06-0{number}"
        own = [record | {"at": f"{day}T12:00:00.000Z"} for record in records]
        write_log(tmp_path / "requests", own, day)
        store.append(day, [Label(id=it, outcome=label, at=day) for it, label in labels.items()])
    parts = list_folder(tmp_path / "requests", "2026-06-01", "2026-06-07")
    alone = encode_facts(measure_log(parts, store, plan, workers=1).facts)
    calls: list[tuple[int, int]] = []
    shared = measure_log(parts, store, plan, workers=2, report=lambda *done: calls.append(done))
    assert encode_facts(shared.facts) == alone
    assert calls == [(number, 6) for number in range(1, 7)]
    for path in (tmp_path / "requests").iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = list_folder(tmp_path / "requests", "2026-06-01", "2026-06-07")
    assert encode_facts(measure_log(packed, store, plan).facts) == alone


def test_an_id_that_is_sent_again_gains_no_weight(tmp_path: Path) -> None:
    """Only the first row of an id has its label; the others are counted as repeated."""
    records = [make_record("x/0", score=0.5)] + [make_record("x/0", score=0.0)] * 9
    measured = measure(tmp_path, records, {"x/0": "0"}, make_plan_of(BINARY))
    assert find(measured, "repeated").numerator == 9
    brier = find(measured, "test.brier")
    assert (brier.numerator, brier.denominator, brier.rows) == (0.25, 1, 1)


def test_a_label_without_a_row_counts_nowhere(tmp_path: Path) -> None:
    """Whoever writes into the store's file cannot add a row to the log."""
    labels = {"x/0": "0", "forged/0": "1"}
    measured = measure(tmp_path, [make_record("x/0")], labels, make_plan_of(BINARY))
    assert find(measured, "labels").numerator == 1
    assert find(measured, "test.brier").denominator == 1


def test_refusals_by_reason_and_column(tmp_path: Path) -> None:
    """A column is named only where it is an input; the share is of all that was asked."""
    records = [
        *[make_record(f"x/{number}") for number in range(6)],
        make_refusal("a"),
        make_refusal("b", column=None),
        make_refusal("c", column="<img src=x>"),
        make_refusal("d", refused="json", column=None, rows=None),
    ]
    measured = measure(tmp_path, records, {}, make_plan_of(BINARY))
    assert divide(find(measured, "refused.contract")) == 0.3
    assert divide(find(measured, "refused.json")) == 0.1
    assert divide(find(measured, "refused.contract", column="temp")) == 0.1
    assert b"img" not in encode_facts(measured.facts)


def test_each_model_has_its_own_facts(tmp_path: Path) -> None:
    """Two models of one day are never added up."""
    records = [make_record("x/0", score=0.5), make_record("x/1", model="ab" * 32, score=0.0)]
    labels = {"x/0": "0", "x/1": "0"}
    measured = measure(tmp_path, records, labels, make_plan_of(BINARY))
    briers = {fact.model: fact.numerator for fact in measured.facts if fact.name == "test.brier"}
    assert briers == {MODEL: 0.25, "ab" * 32: 0.0}


def test_numbers(tmp_path: Path) -> None:
    """RMSE is kept as its square; what no sum gives is said; rows that trained are passed over."""
    drawn = random.Random(1)  # noqa: S311 - a seed
    records, labels = [], {}
    for number in range(50):
        inputs = {"race": drawn.choice("AB")}
        answer = drawn.uniform(0, 100)
        records.append(make_record(f"w/{number}", inputs=inputs, score=None, answer=answer))
        labels[f"w/{number}"] = answer + drawn.gauss(0, 5)
    plan = make_plan_of(REGRESSION)
    measured = measure(tmp_path, records, labels, plan)
    target, answers = [*labels.values()], [record["answer"] for record in records]
    expected = {
        "test.rmse": sk.root_mean_squared_error(target, answers) ** 2,
        "test.mse": sk.mean_squared_error(target, answers),
        "test.mae": sk.mean_absolute_error(target, answers),
        "test.pinball_90": sk.mean_pinball_loss(target, answers, alpha=0.9),
    }
    figures = {name: divide(find(measured, name)) for name in expected}
    assert figures == pytest.approx(expected)
    gap = (sum(answers) - sum(target)) / 50
    assert divide(find(measured, "calibration")) == pytest.approx(gap)
    groups = [find(measured, "mean_error", race=race) for race in "AB"]
    assert sum(fact.numerator for fact in groups) / 50 == pytest.approx(gap)
    assert plan.left_out == {"test.r2": "no sum over the rows of a day gives it"}


def test_several_classes(tmp_path: Path) -> None:
    """Losses are of the score of the class that came true; counts are kept for the rest."""
    scores = {"Adelie": 0.7, "Gentoo": 0.2, "Other": 0.1}
    records = [
        make_record(f"p/{number}", inputs={"sex": "m"}, score=scores, answer="Adelie")
        for number in range(4)
    ]
    labels = {"p/0": "Adelie", "p/1": "Adelie", "p/2": "Gentoo", "p/3": "Martian"}
    plan = make_plan_of(SPECIES)
    measured = measure(tmp_path, records, labels, plan)
    assert divide(find(measured, "test.accuracy")) == pytest.approx(2 / 3)
    table = [[*scores.values()]] * 3
    loss = sk.log_loss(["Adelie", "Adelie", "Gentoo"], table, labels=[*scores])
    assert divide(find(measured, "test.log_loss")) == pytest.approx(loss)
    assert find(measured, "confusion", target="Gentoo", answer="Adelie").numerator == 1
    assert divide(find(measured, "calibration", **{"class": "Other"})) == pytest.approx(0.1)
    assert measured.problems.counts == {"its outcome is no class": 1}
    assert plan.left_out == {
        "test.balanced_accuracy": "its counts are kept as `confusion`, it is no sum by itself"
    }


def test_a_model_without_scores(tmp_path: Path) -> None:
    """Its answers are measured; nothing is said of scores."""
    records = [make_record(f"x/{number}", score=None) for number in range(3)]
    measured = measure(tmp_path, records, {"x/0": "1", "x/1": "0"}, make_plan_of(BINARY))
    names = {fact.name for fact in measured.facts}
    assert {"test.f1", "confusion", "accuracy"} <= names
    assert names.isdisjoint({"score", "test.brier", "test.roc_auc", "calibration"})


def test_a_row_without_a_score_is_in_no_figure_of_scores(tmp_path: Path) -> None:
    """Such a figure rests on fewer rows than one of answers, and that is said."""
    records = [
        make_record(f"x/{number}", score=None if number < 3 else 0.5, answer=1)
        for number in range(5)
    ]
    labels = {f"x/{number}": "1" for number in range(5)}
    measured = measure(tmp_path, records, labels, make_plan_of(BINARY))
    brier, accuracy = find(measured, "test.brier"), find(measured, "accuracy", carrier="AA")
    assert (brier.numerator, brier.denominator, brier.rows) == (0.5, 2, 2)
    assert (accuracy.numerator, accuracy.denominator, accuracy.rows) == (5, 5, 5)
    assert describe_doubts(measured.facts) == [
        f"3 rows of {DAY} have no score: what is measured of scores is of the others"
    ]


def test_a_file_that_is_there_twice_is_said(tmp_path: Path) -> None:
    """Its rows and refusals are counted again, and only the labels are not."""
    records = [make_record("x/0"), make_record("x/1"), make_refusal("y")]
    path = write_log(tmp_path / "requests", records)
    assert not describe_doubts(measure(tmp_path, records, {}, make_plan_of(BINARY)).facts)
    path.with_name(f"{DAY}-0badcafe.jsonl").write_bytes(path.read_bytes())
    measured = measure(tmp_path, records, {"x/0": "0"}, make_plan_of(BINARY))
    assert find(measured, "rows").numerator == 4
    assert find(measured, "refused.contract").numerator == 2
    assert find(measured, "labels").numerator == 1
    (doubt,) = describe_doubts(measured.facts)
    assert doubt.startswith(f"2 rows of {DAY} repeat an id of their day: ")
    assert doubt.endswith("or a file of the log is there twice")


def test_doubts_of_several_days_are_one_line() -> None:
    """However many days and models there are; one that never gives a score lacks none."""
    facts = [
        DayFact(day=day, model=model, name=name, rows=rows, numerator=count, denominator=rows)
        for day in ("2026-06-01", "2026-06-02")
        for model, name, rows, count in (
            (MODEL, "rows", 2_000, 2_000.0),
            (MODEL, "repeated", 2_000, 700.0),
            (MODEL, "score", 1_400, 7.0),
            ("ab" * 32, "rows", 9, 9.0),
        )
    ]
    assert [line.partition(":")[0] for line in describe_doubts(facts)] == [
        "1,400 rows of 2 days from 2026-06-01 repeat an id of their day",
        "1,200 rows of 2 days from 2026-06-01 have no score",
    ]


def find_losses(measured: Measured) -> dict[str, tuple[str, float, float]]:
    """Return what was lost: name → day, how many, of how many; of lines also that none was."""
    return {
        fact.name: (fact.day, fact.numerator, fact.denominator)
        for fact in measured.facts
        if fact.name in OF_FILES and (fact.numerator or fact.day == DAY)
    }


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ([make_record("a"), make_record("b")], {"unreadable": (DAY, 0, 2)}),
        ([make_batch("a", 9), make_record("b"), make_refusal("c")], {"unreadable": (DAY, 0, 3)}),
        ([b"\n"], {}),
        ([make_record("a"), b"{torn\n", b"\n", make_record("b")], {"unreadable": (DAY, 1, 3)}),
        ([make_record("a"), b'{"v":1,"id":'], {"unreadable": (DAY, 1, 2)}),
        ([b"\x00\xff\n", b"[]\n", b"{}\n"], {"unreadable": (DAY, 3, 3)}),
        ([make_record("a", answer=7), make_record("b", score=9)], {"unreadable": (DAY, 2, 2)}),
        ([b"{" * 3_000_000 + b"\n", make_record("a")], {"unreadable": (DAY, 1, 2)}),
        ([make_refusal("a"), b"x\n"], {"unreadable": (DAY, 1, 2)}),
    ],
)
def test_lines_that_nobody_can_use_are_a_share_of_their_day(
    tmp_path: Path, lines: list[object], lost: dict[str, tuple[str, float, float]]
) -> None:
    """Torn, no record, too long, or no answer of this model; an empty line is none."""
    assert find_losses(measure(tmp_path, lines, {}, make_plan_of(BINARY))) == lost


def spoil(rows: int, bad: int) -> dict[str, Any]:
    """Return a line of ``rows`` rows, of which the last ``bad`` have no answer of the model."""
    batch = make_batch("bad", rows)
    return batch | {"answer": [0] * (rows - bad) + [7] * bad}


@pytest.mark.parametrize(
    ("lines", "lost", "of"),
    [
        ([spoil(1000, 1000)], 1, 1),
        ([spoil(1000, 250)], 0.25, 1),
        ([spoil(10, 5), spoil(10, 0)], 0.5, 2),
        ([spoil(1000, 1000), b"{torn\n", b"\n"], 2, 2),
        ([spoil(1000, 500), b"{torn\n", b"\n"], 1.5, 2),
        ([make_record("a", answer=7), make_record("b"), b"\n"], 1, 2),
        ([make_batch("b", 9) | {"model": f"{it:02}" * 32} for it in range(25)], 5, 25),
        ([spoil(1000, 1000)] * 300, 300, 300),
    ],
)
def test_a_row_of_no_use_is_a_part_of_its_line(
    tmp_path: Path, lines: list[object], lost: float, of: int
) -> None:
    """However many rows a line holds, never more is lost than there is; and a look is taken."""
    facts = measure(tmp_path, lines, {}, make_plan_of(BINARY)).facts
    assert find_losses(Measured(facts=facts)) == {"unreadable": (DAY, lost, of)}
    counts = Counts(read_archive(facts, DAY), AlertSettings())
    (finding,) = (it for it in counts.judge(DAY) if it.name == "unreadable")
    assert finding.figure == lost / of


def test_a_file_that_is_not_read_to_its_end_is_no_share(tmp_path: Path) -> None:
    """Nobody knows how many lines it held."""
    folder = tmp_path / "requests"
    write_log(folder, [make_record("a")])
    packed = gzip.compress(b"".join(encode_line(make_record(f"b{at}")) for at in range(9)))
    (folder / f"{DAY}-00000001.jsonl.gz").write_bytes(packed[:40])
    (folder / f"{DAY}-00000002.jsonl.gz").write_bytes(b"no gzip")
    parts = list_folder(folder, DAY, "2027-01-01")
    measured = measure_log(parts, LabelStore(folder=tmp_path / "labels"), make_plan_of(BINARY))
    assert find_losses(measured) == {"damaged": (DAY, 2, 1), "unreadable": (DAY, 0, 1)}
    assert find(measured, "rows").rows == 1


def test_labels_that_nobody_can_use_are_a_share_of_their_day(tmp_path: Path) -> None:
    """Torn ones, and those that are no class any more."""
    records = [make_record(f"r{at}") for at in range(4)]
    store = LabelStore(folder=tmp_path / "labels")
    store.append(DAY, [Label(id="r0", outcome="1", at=DAY), Label(id="r1", outcome="7", at=DAY)])
    with (tmp_path / "labels" / f"{DAY}.jsonl").open("ab") as stream:
        stream.write(b"{torn\n{torn")
    measured = measure(tmp_path, records, {}, make_plan_of(BINARY))
    assert find_losses(measured)["unreadable_labels"] == (DAY, 3, 4)
    assert find(measured, "labels").numerator == 1


@pytest.mark.parametrize(
    ("order", "day"),
    [("x1", "2026-06-01"), ("1x2", "2026-06-01"), ("12x", "2026-06-02"), ("x", "2026-06-30")],
)
def test_a_line_of_no_day_counts_for_the_record_before_it(
    tmp_path: Path, order: str, day: str
) -> None:
    """A program prints the lines of several days; else the record after it says the day."""
    texts = {
        "1": encode_line(make_record("a", at="2026-06-01T12:00:00.000Z")),
        "2": encode_line(make_record("b", at="2026-06-02T12:00:00.000Z")),
        "x": b"{torn\n",
    }
    pieces = [tmp_path / f"{number}.jsonl" for number, _ in enumerate(order)]
    for path, letter in zip(pieces, order, strict=True):
        path.write_bytes(texts[letter])
    part = PiecewisePart(pieces)
    measured = measure_log(
        [part], LabelStore(folder=tmp_path / "labels"), make_plan_of(BINARY), workers=1
    )
    (lost,) = (fact for fact in measured.facts if fact.name == "unreadable" and fact.numerator)
    assert (lost.day, lost.numerator) == (day, 1)


@pytest.mark.parametrize("is_folder", [True, False])
def test_half_of_a_log_of_few_lines_is_an_alert(tmp_path: Path, *, is_folder: bool) -> None:
    """Two requests a day of a thousand rows, one of them torn: a day that is whole counts lines."""
    days = [f"2026-06-0{at}" for at in range(1, 8)]
    for day in days:
        batch = make_batch(f"r{day}", 1000) | {"at": f"{day}T12:00:00.000Z"}
        write_log(tmp_path / "requests", [batch, batch if day[-1] in "16" else b"{torn\n"], day)
    parts: list[Any] = list_folder(tmp_path / "requests", "2026-01-01", "2027-01-01")
    if not is_folder:
        parts = [PiecewisePart([path for part in parts for path in part.files])]
    measured = measure_log(parts, LabelStore(folder=tmp_path / "labels"), make_plan_of(BINARY))
    counts = Counts(read_archive(measured.facts, days[-1]), AlertSettings())
    (finding,) = (it for it in counts.judge(days[-1]) if it.name == "unreadable")
    assert (finding.state, finding.figure) == ("alert", 5 / 14)


def test_lines_of_several_days_count_for_their_own(tmp_path: Path) -> None:
    """A program prints them together; what is lost of their rows is never more than a day has."""
    records = [make_record(str(it), at=f"2026-06-0{it}T12:00:00.000Z") for it in (1, 2, 3)]
    records[0]["answer"] = 7
    write_log(tmp_path, records)
    part = PiecewisePart([*tmp_path.glob("*.jsonl")])
    measured = measure_log([part], LabelStore(folder=tmp_path), make_plan_of(BINARY), workers=1)
    lines = {it.day: it.denominator for it in measured.facts if it.name == "unreadable"}
    assert lines == {"2026-06-01": 1, "2026-06-02": 1, "2026-06-03": 1}
    lost = sum(it.numerator for it in measured.facts if it.name == "unreadable")
    assert lost == pytest.approx(1)


class PiecewisePart:
    """A part of many days, which comes in a chunk for each file."""

    last_day = "2026-06-30"

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield one file after the other."""
        for file in self._files:
            yield from read_file(file, problems)


def test_more_models_than_a_project_has_in_a_day_are_no_facts(tmp_path: Path) -> None:
    """A forged log cannot fill the memory by naming a model in each line."""
    records = [make_record(f"x/{number}", model=f"{number:064x}") for number in range(30)]
    measured = measure(tmp_path, records, {}, make_plan_of(BINARY))
    assert len({fact.model for fact in measured.facts}) == 20
    assert measured.problems.counts == {"over 20 models answered on its day": 10}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("params.yaml", "task: magic\n", "does not say what is predicted"),
        ("params.yaml", "task: binary\ndata: {target: late}\n", "no class is positive"),
        ("params.yaml", "[]", "it holds no keys"),
        ("contract.yaml", "columns: {}\n", "classes of the target `late` are not listed"),
        ("contract.yaml", "columns: {late: {isin: [2, 3]}}\n", "are not listed"),
    ],
)
def test_a_project_that_does_not_say_what_it_predicts(name: str, text: str, message: str) -> None:
    """The file to mend is named."""
    with pytest.raises(MlgitopsError, match=message) as caught:
        make_plan_of(BINARY | {name: text})
    assert caught.value.where == name


def test_slices_of_open_columns_are_left_out() -> None:
    """What would put values of a column into the facts is not measured, and the plan says so."""
    slices = "slices: [{by: [dest], metric: accuracy, statistic: minimum, min_value: 0}]\n"
    policy = "version: 1\n" + slices
    plan = make_plan_of(BINARY | {"policy.yaml": policy})
    assert (plan.slices, len(plan.left_out)) == ((), 1)
    assert "`dest` has no list `isin`" in plan.left_out["accuracy by dest"]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("test.roc_acu", r"test\.roc_acu is no metric that policy\.yaml judges", "test.roc_auc"),
        ("train.brier", r"train\.brier is no metric that policy\.yaml judges", "test.brier"),
        ("test.mcc", r"test\.mcc is not measured in production: its counts", "leave it out"),
    ],
)
def test_a_limit_that_nothing_is_held_to_is_refused(name: str, message: str, hint: str) -> None:
    """Who set it would wait for an alert that cannot come."""
    policy = Policy(metrics=dict.fromkeys(("test.roc_auc", "test.brier", "test.mcc"), Rule()))
    params, contract = (BINARY[path].encode() for path in ("params.yaml", "contract.yaml"))
    settings = MonitorSettings(alerts=AlertSettings(limits={"test.roc_auc": 0.6, name: 0.5}))
    with pytest.raises(MlgitopsError, match=message) as caught:
        make_plan(policy, params, contract, settings)
    assert caught.value.where == "monitor.yaml"
    assert hint in (caught.value.hint or "")
    assert make_plan(
        policy, params, contract, MonitorSettings(alerts=AlertSettings(limits={"test.brier": 1}))
    )


def test_a_limit_below_what_a_metric_can_be_is_refused() -> None:
    """An accuracy would never fall below it; a root's square would be a lenient limit."""
    policy = Policy(metrics={"test.brier": Rule()})
    params, contract = (BINARY[path].encode() for path in ("params.yaml", "contract.yaml"))
    settings = MonitorSettings(alerts=AlertSettings(limits={"test.brier": -0.2}))
    with pytest.raises(MlgitopsError, match=r"test\.brier is never below 0, its limit is -0\.2"):
        make_plan(policy, params, contract, settings)


def test_the_benchmark_counts_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a small log; the figures of the full one are `make bench`'s."""
    assert monitoring_speed.main(["--rows", "1000", "--days", "3"])
    printed = capsys.readouterr().out
    assert printed.startswith("1,000 rows, ")
    assert "; 0 lines left out" in printed
