"""Tests of reading policy.yaml: what is accepted, and that every mistake is named at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.hints import nearest_name
from mlgitops.judgement.policy import MAX_POLICY_BYTES, parse_policy
from mlgitops.model import Files, OnInconclusive, Policy, Rule, SliceRule, Statistic, Waivers

WHERE = "policy.yaml"


def find_mistakes(text: str) -> list[str]:
    """List the mistakes of a policy as `line: what`."""
    with pytest.raises(MistakesError, match=r"^[0-9]+ mistakes? in policy.yaml") as caught:
        parse_policy(text.encode(), where=WHERE)
    return [f"{str(e.where).removeprefix('policy.yaml:')}: {e.what}" for e in caught.value.errors]


def test_a_full_policy_is_read() -> None:
    """Every key of a policy reaches its field."""
    text = b"""\
version: 1
confidence: 0.9
files: {test_data: data/test.csv, predictions: p.csv, model: ./m.skops}
metrics:
  test.auc: {greater_is_better: true, min_value: 0.6, max_worsening: 1e-3}
  test.mae: {greater_is_better: false, max_value: 5, max_relative_worsening: 0.1}
budgets:
  model.size_mb: {max_value: 50}
slices:
  - {by: [sex, race], metric: accuracy, statistic: ratio, min_value: 0.8, min_rows: 30}
cluster: customer
inconclusive: fail
waivers: forbidden
"""
    assert parse_policy(text, where=WHERE) == Policy(
        confidence=0.9,
        files=Files(test_data="data/test.csv", predictions="p.csv", model="m.skops"),
        metrics={
            "test.auc": Rule(min_value=0.6, max_worsening=0.001),
            "test.mae": Rule(greater_is_better=False, max_value=5, max_relative_worsening=0.1),
        },
        budgets={"model.size_mb": Rule(greater_is_better=False, max_value=50)},
        slices=(
            SliceRule(
                by=("sex", "race"),
                metric="accuracy",
                statistic=Statistic.RATIO,
                min_value=0.8,
                min_rows=30,
            ),
        ),
        cluster="customer",
        inconclusive=OnInconclusive.FAIL,
        waivers=Waivers.FORBIDDEN,
    )


@pytest.mark.parametrize(
    "path", ["reports/seeds", "reports/seeds/", "./reports//seeds", "reports/./seeds/"]
)
def test_a_path_is_the_same_however_it_is_written(path: str) -> None:
    """A folder with a slash at its end is no other one, in which nothing would be found."""
    text = f"version: 1\nfiles: {{seeds: {path}}}\nmetrics: {{a: {{min_value: 1}}}}"
    assert parse_policy(text.encode(), where=WHERE).files.seeds == "reports/seeds"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", ["1: the file is empty"]),
        ("- a", ["1: the policy must be a mapping, not a list"]),
        ("metrics: {}", ["1: `version` is missing"]),
        ("version: 2", ["1: version must be 1, not the number 2"]),
        ("version: true", ["1: version must be 1, not true"]),
        ("version: 1\nmetric: {}", ["2: unknown key `metric`"]),
        ("version: 1\nconfidence: 95", ["2: confidence must be between 0.5 and 1"]),
        ("version: 1\nconfidence: .nan", ["2: confidence must be a finite number, not nan"]),
        ("version: 1\nmetrics: 3", ["2: metrics must be a mapping, not the number 3"]),
        ("version: 1\nmetrics: {a: 3}", ["2: metrics.a must be a mapping, not the number 3"]),
        (
            "version: 1\nmetrics:\n  a: {min_value: '1'}",
            ["3: metrics.a.min_value must be a number, not the text '1'"],
        ),
        (
            "version: 1\nmetrics:\n  a: {min_value: yes, max_worsening: true}",
            [
                "3: metrics.a.min_value must be a number, not the text 'yes'",
                "3: metrics.a.max_worsening must be a number, not true",
            ],
        ),
        (
            "version: 1\nmetrics:\n  a:\n    max_worsening: -1",
            ["4: max_worsening must not be negative"],
        ),
        (
            "version: 1\nmetrics:\n  a:\n    max_value: 1\n    min_value: 2",
            ["5: min_value 2 is above max_value 1"],
        ),
        (
            "version: 1\nmetrics:\n  a: {greater_is_better: 1}",
            ["3: metrics.a.greater_is_better must be true or false, not the number 1"],
        ),
        ("version: 1\nmetrics:\n  a.rmse: {max_value: 1}", ["3: say which way `a.rmse` is better"]),
        (
            "version: 1\nfiles: {model: ../m, predictions: /p, test_data: 3}",
            [
                "2: files.model must be a path inside the repository",
                "2: files.predictions must be a path inside the repository",
                "2: files.test_data must be text, not the number 3",
            ],
        ),
        (  # left blank, it would be no limit at all
            "version: 1\nmetrics:\n  a:\n    min_value:\n    max_worsening: null",
            [
                "4: metrics.a.min_value must be a number, not empty",
                "5: metrics.a.max_worsening must be a number, not empty",
            ],
        ),
        (  # of a budget it may be: thrice the time
            (
                "version: 1\nmetrics:\n  a: {max_relative_worsening: 2}\n"
                "budgets:\n  b: {max_relative_worsening: 2}"
            ),
            ["3: max_relative_worsening 2 allows to lose all: it is a fraction"],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: mae, max_worsening: null}",
            ["3: slices.0.max_worsening must be a number, not empty"],
        ),
        ("version: 1\nslices: {}", ["2: slices must be a list, not a mapping"]),
        (
            "version: 1\nslices:\n  - {by: a, metric: recal}",
            [
                "3: by must be a list of 1 to 10 columns",
                "3: no slice metric is named `recal`",
                "3: a slice needs `min_value`, `max_value` or `max_worsening`",
            ],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: mae, statistic: sum, max_value: 1}",
            ["3: slices.0.statistic must be difference or ratio or minimum or maximum, not `sum`"],
        ),
        (
            (
                "version: 1\nslices:\n"
                "  - {by: [a], metric: mae, statistic: ratio, max_value: 1, min_rows: 0}"
            ),
            ["3: min_rows must be a whole number from 1"],
        ),
        ("version: 1\nconfidence: 0.5", ["2: confidence must be between 0.5 and 1"]),
        ("version: 1\nconfidence: 0.2", ["2: confidence must be between 0.5 and 1"]),
        ("version: 1\nconfidence: 1", ["2: confidence must be between 0.5 and 1"]),
        (
            "version: 1\nmetrics:\n  a: {max_value: .inf, max_worsening: .nan}",
            [
                "3: metrics.a.max_value must be a finite number, not inf",
                "3: metrics.a.max_worsening must be a finite number, not nan",
            ],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: mae, max_value: 1}",
            ["3: max_value needs to know of what"],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: mae, statistic: ratio, max_worsening: 1}",
            ["3: a statistic needs `min_value` or `max_value`"],
        ),
        (
            "version: 1\nslices: [{by: [a], metric: mean_error, statistic: ratio, min_value: 1}]",
            ["2: `mean_error` may be negative, so its ratio says nothing"],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: mae, max_worsening: -1}",
            ["3: max_worsening must not be negative"],
        ),
        (
            "version: 1\nslices:\n  - {by: [a], metric: selection_rate, max_worsening: 1}",
            ["3: neither way is better for `selection_rate`, so it cannot worsen"],
        ),
        (
            "version: 1\nslices: [" + "{by: [a], metric: mae, max_worsening: 1}, " * 21 + "]",
            ["2: slices holds at most 20 rules, not 21"],
        ),
        ("version: 1\nwaivers: no", ["2: waivers must be allowed or forbidden, not `no`"]),
        ("version: 1\ninconclusive: maybe", ["2: inconclusive must be pass or fail, not `maybe`"]),
        ("version: 1\ncluster: [a]", ["2: cluster must be text, not a list"]),
    ],
)
def test_each_mistake_is_named_with_its_line(text: str, mistakes: list[str]) -> None:
    """A mistake is reported at its own line, in words."""
    assert find_mistakes(text) == mistakes


def test_three_mistakes_are_all_named_with_hints() -> None:
    """Three mistakes in one file are reported together, each with a next step."""
    text = b"version: 1\nconfidence: 95\nmetrics:\n  a: {max_valeu: 1}\n  b: {max_worsening: -1}\n"
    with pytest.raises(MistakesError, match="3 mistakes in policy") as caught:
        parse_policy(text, where=WHERE)
    hints = [error.hint for error in caught.value.errors]
    assert hints == ["write 0.95", "did you mean `max_value`?", "0 allows no loss"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a: [", "not YAML: "),
        (b"\xff", "not UTF-8 text"),
        (b"a: 1\na: 2", "the key 'a' stands there twice"),
        (b"a: !!python/name:os.system", "the tag .* is not allowed"),
        (b"x" * (MAX_POLICY_BYTES + 1), "more than the 262,144 we read"),
        (b"- " * 1000 + b"1", "nested over 32 levels deep"),
        (b"--- 1\n--- 2", "more than one document"),
    ],
)
def test_what_is_no_yaml_of_ours_is_refused(data: bytes, reason: str) -> None:
    """Broken, oversized or clever YAML is one clear error."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_policy(data, where=WHERE)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("test.roc_auk", "test.roc_auc"),
        ("val.roc_auc", "test.roc_auc"),
        ("roc_auc", "test.roc_auc"),
        ("zzz", None),
    ],
)
def test_the_nearest_name_is_found(name: str, near: str | None) -> None:
    """A mistyped name, or one of another group, leads to the one that exists."""
    assert nearest_name(name, ["test.roc_auc", "test.log_loss"]) == near


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input makes anything but a policy or a clear error."""
    try:
        parse_policy(data, where=WHERE)
    except MlgitopsError as error:
        assert str(error)  # noqa: PT017 - any input may be refused, or not
