"""The policy's reference: what it shows is what the program reads."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from mlgitops.judgement.policy import parse_policy
from mlgitops.judgement.policy_reference import encode_policy_schema, render_policy_page

ROOT = Path(__file__).parents[3]
POLICIES = sorted(ROOT.glob("{{cookiecutter.project_slug}}/data/bundled/*/policy.yaml"))
SCHEMA = json.loads(encode_policy_schema())


def test_the_example_is_a_policy() -> None:
    """The example at the top of the page is read without a mistake, and fits the schema."""
    text = render_policy_page().partition("```yaml\n")[2].partition("```")[0]
    assert len(parse_policy(text.encode(), where="policy.yaml").slices) == 2
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize("place", POLICIES, ids=lambda place: place.parent.name)
def test_the_bundled_policies_fit_the_schema(place: Path) -> None:
    """An editor finds nothing wrong with the policies that projects start with."""
    jsonschema.validate(yaml.safe_load(place.read_bytes()), SCHEMA)
    assert parse_policy(place.read_bytes(), where="policy.yaml").slices


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"version": 2}, "1 was expected"),
        ({"metrics": {}}, "'version' is a required property"),
        ({"version": 1, "metric": {}}, "'metric' was unexpected"),
        ({"version": 1, "metrics": {"a": {"min_valu": 1}}}, "'min_valu' was unexpected"),
        ({"version": 1, "slices": [{"by": [], "metric": "accuracy"}]}, "should be non-empty"),
        (
            {"version": 1, "slices": [{"by": ["a"], "metric": "accuracy", "statistic": "sum"}]},
            "'sum' is not one of",
        ),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(
    policy: dict[str, object], reason: str
) -> None:
    """An editor marks unknown keys, wrong types and impossible values."""
    with pytest.raises(jsonschema.ValidationError, match=reason):
        jsonschema.validate(policy, SCHEMA)


def test_every_metric_and_statistic_is_explained() -> None:
    """The page has a line for each metric and statistic that a slice rule may name."""
    from mlgitops.model import Statistic
    from mlgitops.model.slice_metrics import DIRECTIONS

    page = render_policy_page()
    assert [name for name in (*DIRECTIONS, *Statistic) if f"| `{name}` |" not in page] == []
