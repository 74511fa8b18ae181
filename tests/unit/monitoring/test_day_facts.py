"""Lines of facts: sorted, canonical, and strict when they are read back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import MAX_FACTS_BYTES, DayFact, encode_facts, parse_facts

FACT = DayFact(
    day="2026-11-28",
    model="ab" * 32,
    name="test.brier",
    rows=3,
    numerator=0.5,
    denominator=3.0,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
FACTS = st.builds(
    DayFact,
    day=st.dates().map(str),
    model=st.sampled_from(["ab" * 32, "cd" * 32]),
    name=st.text(min_size=1, max_size=20),
    of=st.none() | st.text(max_size=20),
    rows=st.integers(0, 2**60),
    numerator=FINITE,
    denominator=FINITE,
)


def change(**fields: object) -> bytes:
    """Return the line of `FACT` with other fields."""
    content = msgspec.to_builtins(FACT) | fields
    return msgspec.json.encode(content, order="sorted") + b"\n"


@given(st.lists(FACTS, unique_by=lambda fact: (fact.day, fact.model, fact.name, fact.of)))
def test_facts_are_read_as_they_were_written(facts: list[DayFact]) -> None:
    """Any order gives the same bytes, and all facts come back."""
    data = encode_facts(facts)
    assert data == encode_facts(reversed(facts))
    assert set(parse_facts(data, "facts")) == set(facts)
    assert encode_facts(parse_facts(data, "facts")) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (change()[:-1], r"^facts: the last line is cut off"),
        (change() * 2, r"^facts:2: `test.brier` of 2026-11-28 stands there twice"),
        (change(day="2026-02-30"), r"^facts:1: no fact of a day"),
        (change(day="2026-11-28\n"), r"^facts:1: no fact of a day"),
        (change(model="AB" * 32), r"^facts:1: no fact of a day"),
        (change(rows=-1), r"^facts:1: no fact of a day"),
        (change(numerator="1"), r"^facts:1: no fact of a day"),
        (change(note="x"), r"^facts:1: no fact of a day"),
        (change(name=""), r"^facts:1: no fact of a day"),
        (change().replace(b"0.5", b"NaN"), r"^facts:1: no fact of a day"),
        (change().replace(b"0.5", b"1e999"), r"^facts:1: no fact of a day"),
        (change().replace(b"0.5", b"0.50"), r"^facts:1: no fact of a day as it is written"),
        (
            change().replace(b'"rows":3', b'"rows":3,"rows":4'),
            r"^facts:1: no fact of a day as it is written",
        ),
        (b"[" * 100_000 + b"\n", r"^facts:1: no fact of a day"),
        (b"\n", r"^facts:1: no fact of a day"),
        (b"\xff\n", r"^facts:1: no fact of a day"),
        (b" " * (MAX_FACTS_BYTES + 1), r"^facts: 67,108,865 bytes are more than"),
    ],
    ids=range(17),
)
def test_what_nobody_writes_is_refused(data: bytes, message: str) -> None:
    """The first line that is wrong is named."""
    with pytest.raises(MlgitopsError, match=message):
        parse_facts(data, "facts")
