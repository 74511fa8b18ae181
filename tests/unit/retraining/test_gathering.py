"""Which rows of a log a model may learn from, and in which cells they end."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import (
    CommandSource,
    LabelSettings,
    MonitorSettings,
    Redaction,
    RequestSettings,
    RetrainSettings,
    RowPart,
)
from mlgitops.monitoring.counted import binomial_tail
from mlgitops.monitoring.label_store import Label, LabelStore
from mlgitops.monitoring.sources import list_folder
from mlgitops.retraining.gathering import (
    _CHANCE,
    SUSPICIOUS_ROWS,
    LabelledRow,
    Reference,
    choose_rows,
    find_fewest_errors,
    read_labelled,
    refuse_own_answers,
)
from mlgitops.retraining.recipe import Recipe, make_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.retraining.gathering import Labelled

HEADER = ("flight", "day", "temp", "rain", "origin", "note", "late")
PARAMS = b"""\
task: binary
data: {target: late, positive: 1, id: flight}
features: {numeric: [temp], categorical: [rain, origin]}
split: {method: time, column: day}
"""
CONTRACT = b"""\
columns:
  temp: {dtype: int64}
  rain: {dtype: str, isin: ["True", "False"]}
  origin: {dtype: str, isin: [EWR, JFK]}
  late: {dtype: int64, isin: [0, 1]}
"""
MODEL = "ab" * 32
DAY = "2026-11-02"


def make(header: tuple[str, ...] = HEADER, **named: Any) -> Recipe:  # noqa: ANN401 - settings
    """Make the recipe of the table under these settings."""
    return make_recipe(header, PARAMS, CONTRACT, MonitorSettings(**named))


def write_log(folder: Path, *changes: dict[str, Any]) -> None:
    """Write a row for each of ``changes`` of a record that is in order."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, change in enumerate(changes):
        record: dict[str, Any] = {
            "v": 1,
            "id": f"f{number}",
            "at": f"{DAY}T08:00:00.000Z",
            "model": MODEL,
            "inputs": {"temp": 3.0, "rain": True, "origin": "EWR"},
            "score": 0.9,
            "answer": 1,
        }
        lines.append(json.dumps({k: v for k, v in (record | change).items() if v is not ...}))
    (folder / f"{DAY}-0123abcd.jsonl").write_text("\n".join(lines) + "\n")


def read(tmp_path: Path, labels: dict[str, str | float], *changes: dict[str, Any]) -> Labelled:
    """Read what can be learned of such a log with these labels."""
    write_log(tmp_path / "log", *changes)
    store = LabelStore(folder=tmp_path / "labels")
    at = "2026-11-03T00:00:00Z"
    store.append(DAY, [Label(id=name, outcome=value, at=at) for name, value in labels.items()])
    return read_labelled(list_folder(tmp_path / "log", "2026", "2027"), store, make())


def test_a_row_is_written_as_the_table_writes_it(tmp_path: Path) -> None:
    """Whole numbers, the contract's spelling, the id, the day; what nobody knows stays empty."""
    labelled = read(
        tmp_path, {"f0": "1", "f1": "0"}, {}, {"inputs": dict.fromkeys(("temp", "rain", "origin"))}
    )
    cells = [row.cells for row in labelled.rows]
    assert cells == [
        ("f0", DAY, "3", "True", "EWR", "", "1"),
        ("f1", DAY, "", "", "", "", "0"),
    ]
    assert [row.agrees for row in labelled.rows] == [True, False]


@pytest.mark.parametrize(
    ("dtype", "is_whole"),
    [("int64", True), ("Int32", True), ("uint8", True), ("UInt16", True), ("interval", False)],
)
def test_a_column_of_whole_numbers_is_known_by_its_type(dtype: str, is_whole: bool) -> None:
    """Signed or not, with missing values or without: JSON's 3.0 is written as 3."""
    contract = CONTRACT.replace(b"int64", dtype.encode(), 1)
    recipe = make_recipe(HEADER, PARAMS, contract, MonitorSettings())
    assert (HEADER.index("temp") in recipe.whole) is is_whole


def test_columns_that_no_input_fills_are_set_by_hand() -> None:
    """A column of the table gets id, day or time; one that is not there is a mistake."""
    retrain = RetrainSettings(columns={"note": RowPart.TIME})
    assert make(retrain=retrain).parts[5] is RowPart.TIME
    odd = RetrainSettings(columns={"nope": RowPart.DAY})
    with pytest.raises(MlgitopsError, match="no column nope"):
        make(retrain=odd)
    make(retrain=RetrainSettings(columns={"flight": RowPart.ID}))
    for part in (RowPart.DAY, RowPart.TIME):  # no row would be known by it at the next retraining
        with pytest.raises(MlgitopsError, match="columns: flight holds the ids"):
            make(retrain=RetrainSettings(columns={"flight": part}))
    with pytest.raises(MlgitopsError, match="client: nobody is no input"):
        make(retrain=RetrainSettings(client="nobody", rows_per_client=1))


@pytest.mark.parametrize("rule", [Redaction.HASH, Redaction.DROP])
def test_what_the_log_hides_cannot_be_learned_from(rule: Redaction) -> None:
    """A hash is no value, and a value that is missing for another reason would be learned."""
    with pytest.raises(MlgitopsError, match="keeps no value of origin"):
        make(requests=RequestSettings(columns={"origin": rule}))
    make(requests=RequestSettings(columns={"other": rule}))


@pytest.mark.parametrize("outcome", ["answer", "prediction", "score", "score_Adelie"])
def test_a_source_of_the_models_own_answers_is_refused(outcome: str) -> None:
    """By the name of its column; without a source nobody reads that name."""
    source = CommandSource(words=("export",))
    with pytest.raises(MlgitopsError, match="what the model said"):
        make(labels=LabelSettings(source=source, outcome=outcome))
    make(labels=LabelSettings(source=source, outcome="late"))
    make(labels=LabelSettings(outcome=outcome))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": {"temp": 1, "rain": True}}, "it lacks an input"),
        ({"inputs": {"temp": 1, "rain": True, "origin": "E\nWR"}}, "a character that no table"),
        ({"inputs": {"temp": 1, "rain": True, "origin": "E\x00"}}, "a character that no table"),
        ({"inputs": {"temp": 1, "rain": True, "origin": "\u202eEWR"}}, "a character that no table"),
        ({"inputs": {"temp": 1, "rain": True, "origin": "x" * 1001}}, "longer than 1,000"),
        ({"inputs": {"temp": [1], "rain": True, "origin": "EWR"}}, "its `inputs` is not"),
        ({"inputs": {"temp": {}, "rain": True, "origin": "EWR"}}, "its `inputs` is not"),
        ({"inputs": ...}, "neither an answer nor a refusal"),
        ({"v": 3}, "its `v` is not"),
        ({"more": 1}, "no record has"),
        ({"at": "2026-11-03T08:00:00.000Z"}, "of another day"),
        ({"model": "none"}, "no sha256"),
        ({"id": "f9", "score": 0.8}, "its id stands there twice"),
    ],
)
def test_a_row_that_is_none_teaches_nothing(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """It is left out and counted; the one beside it is learned from."""
    labels: dict[str, str | float] = {"f2": "1", "f8": "1", "f9": "0"}
    labelled = read(tmp_path, labels, {"id": "f8"}, {"id": "f9"}, change)
    assert [row.id for row in labelled.rows] == ["f8", "f9"]
    (reason,) = labelled.problems.counts
    assert said in reason


def test_a_label_of_an_id_that_was_asked_with_other_inputs_teaches_nothing(tmp_path: Path) -> None:
    """Whoever knows an id in advance could give its label to inputs of their own."""
    other = {"inputs": {"temp": 40.0, "rain": True, "origin": "JFK"}}
    changes: list[dict[str, Any]] = [{"id": "f0"} | other, {"id": "f0"}, {"id": "f1"}, {"id": "f1"}]
    labels: dict[str, str | float] = {"f0": "1", "f1": "1"}
    labelled = read(tmp_path, labels, *changes)
    assert [row.id for row in labelled.rows] == ["f1"]
    assert sum(labelled.problems.counts.values()) == 2
    log, store = (
        list_folder(tmp_path / "log", "2026", "2027"),
        LabelStore(folder=tmp_path / "labels"),
    )
    kept = read_labelled(log, store, make(), taken={"f0"})  # and counts towards the caps
    assert [row.id for row in kept.rows] == ["f0", "f1"]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_cell_holds_it_is_one_cell(temp: str, origin: str) -> None:
    """Formulas, quotes and commas stay text; what would break a line is no cell."""
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk, RecordReader
    from mlgitops.retraining.gathering import _find_fault, _make_row

    record = {"v": 1, "id": "f0", "at": f"{DAY}T08:00:00.000Z", "model": MODEL, "score": 0.1}
    record |= {"inputs": {"temp": temp, "rain": True, "origin": origin}, "answer": 0}
    chunk = Chunk(where="log", first_line=1, data=json.dumps(record).encode())
    recipe = make()
    (line,) = RecordReader(recipe.inputs).read(chunk, Problems())
    row = _make_row(line, "1", recipe)
    printable = all(text.isprintable() for text in (temp, origin))
    assert (_find_fault(line, row) is None) == printable


def make_rows(agreeing: int, differing: int) -> list[LabelledRow]:
    """Make rows of which so many labels are what the model answered."""
    agrees = [True] * agreeing + [False] * differing
    return [LabelledRow(f"f{at}", DAY, (), "", same) for at, same in enumerate(agrees)]


def test_labels_that_are_all_the_models_answers_are_asked_about() -> None:
    """From 200 rows on, unless somebody looked; one that differs is enough to go on."""
    few = make_rows(SUSPICIOUS_ROWS - 1, 0)
    refuse_own_answers(few)
    many = make_rows(SUSPICIOUS_ROWS, 0)
    with pytest.raises(MlgitopsError, match="all 200 labels are what the model answered"):
        refuse_own_answers(many)
    refuse_own_answers(make_rows(SUSPICIOUS_ROWS, 1))


@pytest.mark.parametrize(
    ("reference", "agreeing", "labels", "is_refused"),
    [
        ((1000, 300), 9900, 10_000, True),  # right for 70 % of its test rows, and now for 99 %
        ((1000, 300), 9600, 10_000, True),
        ((1000, 300), 9200, 10_000, False),  # better, and not four times as good
        ((1000, 300), 99, 100, False),  # chance does that once in some hundred
        ((1000, 300), 150, 150, True),  # below the 200 from which all of them are asked about
        ((20, 6), 990, 1000, False),  # of so few test rows little is known
        ((1000, 10), 9970, 10_000, False),  # a good model is right
        ((1000, 0), 9999, 10_000, False),
    ],
)
def test_more_labels_than_can_be_are_the_models_answers(
    reference: tuple[int, int], agreeing: int, labels: int, is_refused: bool
) -> None:
    """As its test rows and chance let one expect; rows of another model say nothing of it."""
    rows = [row._replace(model=MODEL) for row in make_rows(agreeing, labels - agreeing)]
    expected = Reference(MODEL, *reference)
    refuse_own_answers([*make_rows(9 * labels, 1), rows[-1]], expected)
    if not is_refused:
        refuse_own_answers(rows, expected)
        return
    said = f"{agreeing:,} of {labels:,} labels are .* right for 70.0% of its test rows"
    for others in ([], make_rows(0, labels)):
        with pytest.raises(MlgitopsError, match=said):
            refuse_own_answers([*rows, *others], expected)


def test_the_bound_of_the_test_rows_is_exact() -> None:
    """As scipy's beta quantile has it (Clopper and Pearson)."""
    for rows, errors in ((10, 1), (400, 80), (100_000, 3000)):
        exact = beta.ppf(_CHANCE, errors, rows - errors + 1)
        assert find_fewest_errors(Reference(MODEL, rows, errors)) == pytest.approx(exact, rel=1e-6)


def test_true_labels_of_a_model_four_times_as_good_are_refused_once_in_a_thousand() -> None:
    """At most: the test rows are drawn anew as well."""
    dice, refused = np.random.default_rng(7), 0
    for _ in range(2000):
        reference = Reference(MODEL, 500, int(dice.binomial(500, 0.3)))
        differing = int(dice.binomial(800, 0.3 / 4))
        fewest = find_fewest_errors(reference) / 4
        refused += binomial_tail(800 - differing, 800, 1 - fewest) < _CHANCE
    assert refused <= 2


def test_the_newest_days_are_held_out_and_what_the_table_has_is_neither() -> None:
    """Of five days with labels the last two; a gap between days is no day."""
    days = ("2026-11-01", "2026-11-02", "2026-11-05", "2026-11-08", "2026-11-09")
    rows = [LabelledRow(f"{day}/{n}", day, (), "", False) for day in days for n in range(3)]
    taken = {"2026-11-01/0", "2026-11-09/2"}
    chosen = choose_rows(rows, taken, RetrainSettings(window_days=2))
    assert {row.day for row in chosen.new} == set(days[:3])
    assert {row.day for row in chosen.window} == set(days[3:])
    assert (len(chosen.new), len(chosen.window), chosen.taken.total()) == (8, 5, 2)


def test_a_row_that_the_model_in_service_learned_is_not_compared_on() -> None:
    """Its table may be longer than the default branch's, where that was reverted."""
    days = ("2026-11-01", "2026-11-02")
    rows = [LabelledRow(f"{day}/{n}", day, (), "", False) for day in days for n in range(3)]
    learned = {"2026-11-01/0", "2026-11-02/0"}
    chosen = choose_rows(rows, (), RetrainSettings(window_days=1), learned=learned)
    assert [row.id for row in chosen.window] == ["2026-11-02/1", "2026-11-02/2"]
    assert [row.id for row in chosen.new] == [f"2026-11-01/{n}" for n in range(3)]  # learned again
    assert chosen.taken == {"2026-11-02": 1}


def test_one_client_does_not_decide_the_comparison() -> None:
    """It has its share of the rows that are held out, over all of their days."""
    days = ("2026-11-01", "2026-11-08", "2026-11-09")
    rows = [LabelledRow(f"{day}/{n}", day, (), "loud", False) for day in days for n in range(50)]
    rows += [LabelledRow(f"{day}/q{n}", day, (), f"q{n}", False) for day in days for n in range(5)]
    caps = RetrainSettings(window_days=2, client="client", rows_per_client=6, rows_per_day=2)
    chosen = choose_rows(rows, (), caps)
    assert Counter(row.client for row in chosen.window)["loud"] == 6
    assert len(chosen.window) == 6 + 2 * 5  # no day is capped there: each is one observation
    assert chosen.over_client["2026-11-08"] + chosen.over_client["2026-11-09"] == 94


def test_what_the_table_has_counts_towards_the_caps() -> None:
    """A day or a client that filled its cap adds nothing at the next retraining."""
    days = ("2026-11-01", "2026-11-02", "2026-11-09")
    rows = [LabelledRow(f"{day}/{n}", day, (), "c", False) for day in days for n in range(6)]
    taken = {row.id for row in rows[:4]}
    by_day = choose_rows(rows, taken, RetrainSettings(window_days=1, rows_per_day=4))
    assert [row.day for row in by_day.new] == ["2026-11-02"] * 4
    assert by_day.over_day == {"2026-11-01": 2, "2026-11-02": 2}
    capped = RetrainSettings(window_days=1, client="c", rows_per_client=7)
    by_client = choose_rows(rows, taken, capped)
    assert len(by_client.new) == 3
    assert by_client.over_client.total() == 5


def test_nobody_gains_by_the_names_of_its_requests() -> None:
    """Names that were tried until their hashes were small take no more than their share."""
    tried = (f"tried-{number}" for number in range(20_000))
    small = [name for name in tried if hashlib.sha256(name.encode()).digest()[0] == 0][:50]
    names = [*small, *(f"honest-{number}" for number in range(50))]
    rows = [LabelledRow(name, "2026-11-01", (), "", False) for name in names]
    rows.append(LabelledRow("newest", "2026-11-02", (), "", False))
    chosen = choose_rows(rows, (), RetrainSettings(window_days=1, rows_per_day=50))
    assert len(chosen.new) == 50
    assert 15 < sum(row.id.startswith("tried") for row in chosen.new) < 35


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc")), max_size=80),
    st.integers(1, 10),
    st.integers(1, 10),
    st.randoms(),
)
def test_no_day_and_no_client_adds_more_than_its_cap(
    given_rows: list[tuple[int, str]],
    per_day: int,
    per_client: int,
    dice: Any,  # noqa: ANN401 - random.Random
) -> None:
    """In whatever order rows come, the same stay; each is counted once; the table's count too."""
    rows = [
        LabelledRow(f"r{at}", f"2026-11-0{day}", (), client, False)
        for at, (day, client) in enumerate(given_rows)
    ]
    taken = {row.id for row in rows[::5]}
    caps = RetrainSettings(
        window_days=1, rows_per_day=per_day, client="c", rows_per_client=per_client
    )
    chosen = choose_rows(rows, taken, caps)
    last = max((row.day for row in rows), default="")
    for client in "abc":
        before = sum(row.client == client and row.id in taken and row.day != last for row in rows)
        added = sum(row.client == client for row in chosen.new)
        assert added == 0 or before + added <= per_client
        assert sum(row.client == client for row in chosen.window) <= per_client
    for day in {row.day for row in rows}:
        added = sum(row.day == day for row in chosen.new)
        assert added == 0 or chosen.taken[day] + added <= per_day
    counts = len(chosen.new) + len(chosen.window) + chosen.taken.total()
    assert counts + chosen.over_day.total() + chosen.over_client.total() == len(rows)
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert choose_rows(shuffled, taken, caps).new == chosen.new
