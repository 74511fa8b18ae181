"""Logs and labels that somebody else wrote: no traceback, nothing repeated, nothing learned.

Each case goes the whole way: a file of the log, the reader, the facts; or a table of labels, the
command, the store. One good row stands before and after each, and is read all the same.
"""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from request_log import (
    BINARY,
    DAY,
    encode_line,
    make_batch,
    make_plan_of,
    make_record,
    make_refusal,
    split_line,
    write_log,
)

from mlgitops.cli import run
from mlgitops.model.monitoring import OF_FILES, encode_facts, parse_facts
from mlgitops.monitoring.facts import Measured, measure_log
from mlgitops.monitoring.label_store import Label, LabelStore
from mlgitops.monitoring.records import LONGEST_LINE
from mlgitops.monitoring.sources import list_folder

if TYPE_CHECKING:
    from pathlib import Path

MARKUP = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://x","y")'
GOOD = [make_record("good/0"), make_record("good/1")]


def change(**fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a row's line with other fields."""
    return encode_line(make_record("bad/0", **fields))


def feed(**inputs: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a row's line with other inputs."""
    return change(inputs={"temp": 1.0, "carrier": "AA"} | inputs)


def refuse(**fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return a refusal's line with other fields."""
    return encode_line(make_refusal("bad", **fields))


def change_batch(**fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return the line of two rows of one request, with other fields; None: without it."""
    line = make_batch("bad", 2) | fields
    return encode_line({name: value for name, value in line.items() if value is not None})


def lack(name: str) -> bytes:
    """Return a row's line without a field."""
    record = make_record("bad/0")
    del record[name]
    return encode_line(record)


def spell_out(text: str) -> bytes:
    """Return a row's line whose score is spelled so."""
    return change(score=0.123).replace(b"0.123", text.encode())


#: Lines that are no record: each is left out, with a reason that says which field is wrong.
REFUSED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello\n", "no JSON"),
    "half a line": (b'{"v":1,"id":"bad/0",\n', "no JSON"),
    "a number": (b"7\n", "no record"),
    "a list": (b"[1,2]\n", "no record"),
    "null": (b"null\n", "no record"),
    "a text": (b'"text"\n', "no record"),
    "bytes that are no UTF-8": (change(id="x").replace(b'"x"', b'"\xff\xfe"'), "no JSON"),
    "zero bytes": (b"\0\0\0\0\n", "no JSON"),
    "half a surrogate pair": (change(id="x").replace(b'"x"', b'"\\ud800"'), "no JSON"),
    "a carriage return in the middle": (b'{"v":1,\r"id"\n', "no JSON"),
    "nested a thousand deep": (b"[" * 1000 + b"]" * 1000 + b"\n", "no record"),
    "nested a hundred thousand deep": (b'{"v":' + b"[" * 100_000 + b"\n", "."),
    "two records in one line": (change().strip() + change(), "no JSON"),
    "a comma after it": (change().strip() + b",\n", "no JSON"),
    "a version that is not ours": (change(v=3), "its `v`"),
    "a row as several": (change(v=2), "its `inputs`"),
    "a version as text": (change(v="1"), "its `v`"),
    "a version as truth": (change(v=True), "its `v`"),
    "no version": (lack("v"), "a field is missing"),
    "no id": (lack("id"), "a field is missing"),
    "an empty id": (change(id=""), "its `id`"),
    "an id of a number": (change(id=7), "its `id`"),
    "an id of 201 characters": (change(id="x" * 201), "its `id`"),
    "an id of a megabyte": (change(id="x" * 10**6), "its `id`"),
    "an id of nothing": (change(id=None), "its `id`"),
    "an id of a list": (change(id=["good/0"]), "its `id`"),
    "no time": (lack("at"), "a field is missing"),
    "a time without its zone": (change(at=f"{DAY}T12:00:00.000"), "its time"),
    "a time of another zone": (change(at=f"{DAY}T12:00:00.000+01:00"), "its time"),
    "a time with a line after it": (change(at=f"{DAY}T12:00:00.000Z\n"), "its time"),
    "a day that no month has": (change(at="2026-06-31T12:00:00.000Z"), "its time"),
    "a day of other digits": (
        change(at="\uff12\uff10\uff12\uff16-06-01T12:00:00.000Z"),
        "its time",
    ),
    "a time of seconds": (change(at=1795841400), "its `at`"),
    "the day before its file": (change(at="2026-05-31T12:00:00.000Z"), "another day"),
    "a year that is far": (change(at="9999-12-31T12:00:00.000Z"), "another day"),
    "no model": (lack("model"), "a field is missing"),
    "a model by its name": (change(model="flights@v1.0.0"), "its model"),
    "a model in capitals": (change(model="5E" * 32), "its model"),
    "a model with a line after it": (change(model="5e" * 32 + "\n"), "its model"),
    "a model of markup": (change(model=MARKUP), "its model"),
    "no inputs": (lack("inputs"), "neither an answer nor a refusal"),
    "inputs of a list": (change(inputs=[1, 2]), "its `inputs`"),
    "inputs of a text": (change(inputs=FORMULA), "its `inputs`"),
    "inputs of nothing": (change(inputs=None), "its `inputs`"),
    "a value of a list": (feed(temp=[1.0]), "its `inputs`"),
    "a value of an object": (feed(carrier={"a": "b"}), "its `inputs`"),
    "no score": (lack("score"), "neither an answer nor a refusal"),
    "a score of text": (change(score="0.5"), "its `score`"),
    "a score of truth": (change(score=True), "its `score`"),
    "a score of a list": (change(score=[0.5]), "its `score`"),
    "scores of texts": (change(score={"1": "0.5"}), "its `score`"),
    "NaN": (spell_out("NaN"), "no JSON"),
    "infinity": (spell_out("Infinity"), "no JSON"),
    "minus infinity": (spell_out("-Infinity"), "no JSON"),
    "a number beyond all": (spell_out("1e999"), "."),
    "a number with a zero before": (spell_out("00.5"), "no JSON"),
    "no answer": (lack("answer"), "neither an answer nor a refusal"),
    "an answer of a list": (change(answer=[0]), "its `answer`"),
    "a field of its own": (change(weight=10**6), "a field that no record has"),
    "a field of markup": (change(**{MARKUP: 1}), "a field that no record has"),
    "an answer that is refused, too": (change(refused="json"), "neither an answer nor"),
    "a reason that is none": (refuse(refused=MARKUP), "its `refused`"),
    "a reason of nothing": (refuse(refused=None), "its `refused`"),
    "a refusal with a score": (refuse(score=0.5), "neither an answer nor a refusal"),
    "rows below none": (refuse(rows=-1), "its `rows`"),
    "rows of a text": (refuse(rows="3"), "its `rows`"),
    "rows in part": (refuse(rows=1.5), "its `rows`"),
    "a column of a number": (refuse(column=3), "its `column`"),
    "a score above one": (change(score=1.0001), "its score or answer"),
    "a score below none": (change(score=-0.0001), "its score or answer"),
    "a score of 1e308": (change(score=1e308), "its score or answer"),
    "an answer that is no class": (change(answer=2), "its score or answer"),
    "an answer of a formula": (change(answer=FORMULA), "its score or answer"),
    "an answer of nothing": (change(answer=None), "its score or answer"),
    "several rows without a number of them": (change_batch(answer=[]), "its `answer`"),
    "a thousand and one rows": (encode_line(make_batch("bad", 1001)), "its `answer`"),
    "several rows without answers": (change_batch(answer=None), "a field is missing"),
    "several rows without scores": (change_batch(score=None), "a field is missing"),
    "several rows without inputs": (change_batch(inputs=None), "a field is missing"),
    "several rows and a refusal": (change_batch(refused="json"), "a field that no record has"),
    "a row too few of a column": (change_batch(inputs={"temp": [1.0]}), "of the same length"),
    "a row too many of a column": (change_batch(inputs={"temp": [1.0] * 3}), "same length"),
    "a column of no rows": (change_batch(inputs={"temp": []}), "of the same length"),
    "a column of nothing": (change_batch(inputs={"temp": None}), "its `inputs`"),
    "a column of one value": (change_batch(inputs={"temp": 1.0}), "its `inputs`"),
    "a column of lists": (change_batch(inputs={"temp": [[1.0], [1.0]]}), "its `inputs`"),
    "a score too few": (change_batch(score=[0.5]), "of the same length"),
    "a score too few of a class": (change_batch(score={"1": [0.5]}), "of the same length"),
    "one score of several rows": (change_batch(score=0.5), "its `score`"),
    "scores of text": (change_batch(score=["0.5", "0.5"]), "its `score`"),
    "an id too few": (change_batch(ids=["good/0"]), "of the same length"),
    "an id too many": (change_batch(ids=["good/0"] * 3), "of the same length"),
    "ids of a text": (change_batch(ids="ab"), "its `ids`"),
    "ids of numbers": (change_batch(ids=[1, 2]), "its `ids`"),
    "an empty id among several": (change_batch(ids=["a", ""]), "its `ids`"),
    "a request's id of 181 characters": (change_batch(id="x" * 181), "its `id`"),
    "several rows of the day before": (
        change_batch(at="2026-05-31T12:00:00.000Z"),
        "another day",
    ),
    "several rows of no model": (change_batch(model=MARKUP), "its model"),
    "a line of three megabytes": (change(id="x" * 3 * 2**20), "longer than"),
    "a million columns": (feed(**{f"c{it}": 0 for it in range(200_000)}), "longer than"),
}

#: Lines that are records, whatever their values: they count, and their values are not kept.
COUNTED: dict[str, bytes] = {
    "markup as a level": feed(carrier=MARKUP),
    "markup in an open column": feed(dest=MARKUP),
    "a formula as a level": feed(carrier=FORMULA),
    "a level of ten thousand characters": feed(carrier="x" * 10_000),
    "a level of a line": feed(carrier='AA"}\n{"day":"2026-06-01"'),
    "a level in the form of a part": feed(carrier="AA&bin=7"),
    "a level of truth": feed(carrier=True),
    "a number of 400 digits": feed(temp=10**400),
    "a number of 1e308": feed(temp=1e308),
    "a text where a number was": feed(temp=FORMULA),
    "a number where a text was": feed(carrier=1),
    "truth where a number was": feed(temp=True),
    "a column that no model has": feed(**{MARKUP: FORMULA}),
    "ten thousand columns": feed(**{f"c{it}": it for it in range(10_000)}),
    "an id of markup": change(id=MARKUP),
    "an id of a formula": change(id=FORMULA),
    "an id of a path": change(id="../../../etc/passwd"),
    "scores of two classes": change(score={"0": 0.5, "1": 0.5}),
    "scores of classes that nobody has": change(score={MARKUP: 0.5}),
    "a key twice": change().replace(b'"score": 0.25', b'"score": 0.99, "score": 0.25'),
}


def measure(folder: Path) -> Measured:
    """Measure a folder of files, and read the facts back as their own reader does."""
    store = LabelStore(folder=folder / "labels")
    store.append(DAY, [Label(id=f"good/{it}", outcome="1", at=DAY) for it in (0, 1)])
    parts = list_folder(folder / "requests", "0000-01-01", "9999-12-31")
    measured = measure_log(parts, store, make_plan_of(BINARY))
    parse_facts(encode_facts(measured.facts), "facts")
    return measured


def encode_rows(measured: Measured) -> bytes:
    """Return the facts of rows, whatever the lines were that held them."""
    return encode_facts(fact for fact in measured.facts if fact.name not in OF_FILES)


def count_rows(measured: Measured) -> float:
    """Return how many rows were counted as answered."""
    return sum(fact.numerator for fact in measured.facts if fact.name == "rows")


def count_labels(measured: Measured) -> float:
    """Return how many rows had a label."""
    return sum(fact.numerator for fact in measured.facts if fact.name == "labels")


def assert_silent(measured: Measured) -> None:
    """Nothing that stood in a line is repeated in facts or in what is said of the log."""
    text = encode_facts(measured.facts).decode() + "\n".join(measured.problems.render())
    for word in ("script", "HYPERLINK", "passwd", "xxxx", "bin%3D7"):
        assert word not in text, word


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_is_no_record_is_counted_and_passed_over(tmp_path: Path, name: str) -> None:
    """Its reason and its position are said, and the rows around it are measured."""
    line, reason = REFUSED[name]
    path = write_log(tmp_path / "requests", [GOOD[0], line, GOOD[1]])
    measured = measure(tmp_path)
    assert (count_rows(measured), count_labels(measured)) == (2, 2)
    assert measured.problems.counts.total() == 1
    (rendered,) = measured.problems.render()
    assert re.search(reason, rendered)
    assert path.name in rendered
    assert_silent(measured)


@pytest.mark.parametrize("name", COUNTED)
def test_a_value_that_nobody_expects_counts_and_is_not_kept(tmp_path: Path, name: str) -> None:
    """The row is one more, without a label; what stood in it is in no fact."""
    write_log(tmp_path / "requests", [GOOD[0], COUNTED[name], GOOD[1]])
    measured = measure(tmp_path)
    assert (count_rows(measured), count_labels(measured)) == (3, 2)
    assert not measured.problems.counts
    assert_silent(measured)


def test_the_position_of_a_line_is_said(tmp_path: Path) -> None:
    """Also behind many good ones, and where several are wrong."""
    lines = [make_record(f"x/{number}") for number in range(5000)]
    lines[4321] = "nothing"  # type: ignore[call-overload]
    write_log(tmp_path / "requests", lines)
    (rendered,) = measure(tmp_path).problems.render()
    assert rendered == f"1 left out: it is no record ({DAY}-00c0ffee.jsonl:4322)"


def test_several_rows_of_a_line_count_as_rows_alone(tmp_path: Path) -> None:
    """The same facts, byte for byte: with ids of their own or without, and whatever is hostile."""
    batch = make_batch("good", 3)
    batch["inputs"]["temp"] = [FORMULA, None, 10**400]
    batch["inputs"] |= {"carrier": [MARKUP, "AA", True], MARKUP: [FORMULA, 1, None]}
    del batch["inputs"]["dest"]
    batch |= {"score": [0.5, None, 1.5], "answer": [0, 1, 0]}
    own = make_batch("q", 2) | {"ids": [MARKUP, "mine"], "score": {"1": [0.5, None], "0": [1, 0]}}
    lines = [batch, make_record("x"), own, make_refusal("y")]
    alone = [row for line in lines for row in split_line(line)]
    texts = []
    for name, records in {"several": lines, "alone": alone}.items():
        write_log(tmp_path / name / "requests", records)
        measured = measure(tmp_path / name)
        assert_silent(measured)
        assert measured.problems.counts == {"its score or answer is none of this model": 1}
        assert (count_rows(measured), count_labels(measured)) == (5, 2)
        texts.append(encode_rows(measured))
    assert texts[0] == texts[1]


def test_lines_of_many_empty_rows_take_little_memory(tmp_path: Path) -> None:
    """A row of several may take two bytes of its line: its record is not kept with all others."""
    batch = make_batch("x" * 180, 1000) | {"inputs": {}, "score": None}
    line = json.dumps(batch, separators=(",", ":")).encode() + b"\n"
    path = write_log(tmp_path / "requests", [line] * 200)
    tracemalloc.start()
    measured = measure(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count_rows(measured) == 200_000
    assert path.stat().st_size < 500_000
    assert peak < 40_000_000


#: What may be empty or missing in the lists of a line, and must not be another number of rows.
EMPTY: dict[str, dict[str, Any]] = {
    "no scores": {"score": None},
    "scores of no class": {"score": {}},
    "scores of a class, all missing": {"score": {"1": [None, None]}},
    "no inputs": {"inputs": {}},
    "no input that the model has": {"inputs": {MARKUP: []}},
    "nothing but answers": {"inputs": {}, "score": {}},
    "one row": {"inputs": {}, "score": {}, "answer": [0]},
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_line_whose_lists_are_empty_is_read_as_its_rows_alone(tmp_path: Path, name: str) -> None:
    """Each row that it answers counts once."""
    batch = make_batch("bad", 2) | EMPTY[name]
    counted = []
    own = {key: values for key, values in batch["inputs"].items() if key != MARKUP}
    for folder, lines in {"line": [batch], "rows": split_line(batch | {"inputs": own})}.items():
        write_log(tmp_path / folder / "requests", [GOOD[0], *lines, GOOD[1]])
        measured = measure(tmp_path / folder)
        assert not measured.problems.counts
        assert count_rows(measured) == 2 + len(batch["answer"])
        counted.append(encode_rows(measured))
    assert counted[0] == counted[1]


FILES: dict[str, tuple[str, bytes, str | None]] = {
    "cut off in its last line": ("1.jsonl", b'{"v":1,"id":"ba', "its last line was cut off"),
    "empty": ("1.jsonl", b"", None),
    "blank lines alone": ("1.jsonl", b"\n\n\n", None),
    "packed and cut off": ("1.jsonl.gz", gzip.compress(change() * 999)[:-40], "damaged"),
    "packed and damaged": (
        "1.jsonl.gz",
        gzip.compress(b"x" * 999)[:20] + b"\xff" * 40,
        "damaged",
    ),
    "packed by its name alone": ("1.jsonl.gz", change(), "damaged"),
    "a gigabyte of zeros, packed": (
        "1.jsonl.gz",
        gzip.compress(b"\0" * 2**20) * 64,
        "longer than",
    ),
    "one line without an end": ("1.jsonl", b"x" * (LONGEST_LINE * 3), "longer than"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_damaged_ends_there(tmp_path: Path, name: str) -> None:
    """The other file of the day is measured, in a few megabytes of memory."""
    ending, data, reason = FILES[name]
    write_log(tmp_path / "requests", GOOD)
    (tmp_path / "requests" / f"{DAY}-0000000{ending}").write_bytes(data)
    measured = measure(tmp_path)
    assert count_labels(measured) == 2
    assert bool(measured.problems.counts) is (reason is not None)
    assert all(str(reason) in line for line in measured.problems.render())


@pytest.mark.parametrize(
    "name",
    [
        f"{DAY}.jsonl",
        f"{DAY}-00c0ffee.jsonl.tmp",
        f"{DAY}-00C0FFEE.jsonl",
        f"{DAY}-00c0ffee.json",
        "2026-13-01-00c0ffee.jsonl",
        "..-00c0ffee.jsonl",
        f"{DAY}-00c0ffee.jsonl\n",
    ],
)
def test_a_file_of_another_name_is_no_log(tmp_path: Path, name: str) -> None:
    """Only what the server writes is read."""
    write_log(tmp_path / "requests", GOOD)
    (tmp_path / "requests" / f"{DAY}-00c0ffee.jsonl").rename(
        tmp_path / "requests" / f"{DAY}-0badcafe.jsonl"
    )
    (tmp_path / "requests" / name).write_bytes(change())
    assert count_rows(measure(tmp_path)) == 2


#: Cells of a table of labels, id and outcome, none of which may be learned from.
CELLS: dict[str, tuple[Any, Any]] = {
    "a formula as outcome": ("good/0", FORMULA),
    "markup as outcome": ("good/0", MARKUP),
    "no outcome": ("good/0", ""),
    "a missing outcome": ("good/0", None),
    "a class that nobody has": ("good/0", "2"),
    "nearly a class": ("good/0", "1.5"),
    "NaN as outcome": ("good/0", "nan"),
    "an outcome of a megabyte": ("good/0", "1" * 10**5),
    "a list as outcome": ("good/0", [1]),
    "no id": ("", 1),
    "a missing id": (None, 1),
    "truth as id": (True, 1),
    "an id of a list": (["good/0"], 1),
    "an id of a fraction": (0.5, 1),
    "an id of 201 characters": ("x" * 201, 1),
    "an id with a line": ("good/0\n", 1),
    "an id with a zero byte": ("good/0\0", 1),
    "an id that the log has not": ("forged/0", 1),
    "an id of markup": (MARKUP, 1),
    "an id of a path": ("../../x", 1),
    "an id with a space before": (" good/0", 1),
    "an id in capitals": ("GOOD/0", 1),
    "an id of a request that was refused": ("refused", 1),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_label_that_is_none_is_not_learned_from(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is counted, the good one beside it is taken, and nothing of it is repeated."""
    for file, text in BINARY.items():
        (tmp_path / file).write_text(text)
    state = tmp_path / ".mlgitops" / "deploy" / "staging"
    write_log(state / "requests", [*GOOD, make_refusal("refused")])
    row_id, outcome = CELLS[name]
    rows = [{"id": "good/1", "outcome": 0}, {"id": row_id, "outcome": outcome}]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["label", "staging", str(tmp_path / "labels.jsonl"), "--directory", str(tmp_path)]
    assert run(words) == 0
    kept = (state / "labels" / f"{DAY}.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in kept] == ["good/1"]
    assert [path.name for path in (state / "labels").iterdir() if path.suffix] == [f"{DAY}.jsonl"]
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert "1 left out" in said or "1 unknown" in said
    assert "Traceback" not in said
    assert not [word for word in ("script", "HYPERLINK", "xxxx", "forged") if word in said]
