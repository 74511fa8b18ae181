"""How the test rows were chosen, as params.yaml says it."""

from __future__ import annotations

import pytest

from mlgitops.comparison.sampling import find_sampling
from mlgitops.dvc.params import parse_params
from mlgitops.model import Policy, Sampling

CASES = {
    "split: {method: time, column: day}": Sampling(method="time", column="day", cluster="c"),
    "split: {method: hash, column: null}": Sampling(method="hash", cluster="c"),
    "split: {method: group, column: patient}": Sampling(
        method="group", column="patient", cluster="c"
    ),
    "split: {method: stratified}": Sampling(cluster="c"),
    "split: {method: [time]}": Sampling(cluster="c"),
    "split: {method: time, column: 3}": Sampling(cluster="c"),
    "split: time": Sampling(cluster="c"),
    "trees: 3": Sampling(cluster="c"),
}


@pytest.mark.parametrize(("text", "sampling"), CASES.items(), ids=CASES)
def test_what_is_said_of_the_split(text: str, sampling: Sampling) -> None:
    """Only what the template's own split stage would do is taken for said."""
    params = {"params.yaml": parse_params(text.encode(), "params.yaml")}
    assert find_sampling(params, Policy(cluster="c")) == sampling
    assert find_sampling({}, Policy()) == Sampling()
