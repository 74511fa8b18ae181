"""The policy's schema to a reference page and a JSON Schema for editors. Pure.

Keys, types and defaults are read from the types of :mod:`mlgitops.model`; what each key means
is written here, and a key without a meaning is an error: the page cannot fall behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.model import (
    DemandedEvidence,
    Files,
    OnInconclusive,
    Policy,
    Rule,
    SliceRule,
    Statistic,
    Waivers,
)
from mlgitops.model.documents import encode_document
from mlgitops.model.slice_metrics import BY_CLASS, DIRECTIONS, SIGNED

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLE = """\
version: 1
confidence: 0.95
cluster: customer
inconclusive: pass
waivers: allowed
evidence: independent
reference: release
files:
  test_data: data/split/test.csv
  predictions: reports/predictions.csv
  seeds: reports/seeds
  model: model/model.skops
metrics:
  test.roc_auc: {greater_is_better: true, min_value: 0.80, max_worsening: 0.005,
                 max_worsening_since_reference: 0.01}
  test.log_loss: {greater_is_better: false, max_value: 0.50}
budgets:
  model.size_mb: {max_value: 50}
slices:
  - {by: [race, sex], metric: selection_rate, statistic: ratio, min_value: 0.80, min_rows: 100}
  - {by: [region], metric: accuracy, max_worsening: 0.02, min_rows: 100}
"""
_TOP = {
    "version": "The version of this format.",
    "confidence": "Confidence of all intervals, a fraction. Several metrics judged at once are"
    " corrected so that it holds for all of them (Holm).",
    "files": "Where the helper finds what it compares, beside what dvc.yaml declares.",
    "metrics": "The metrics that decide, each with its rule. The first is the one on the"
    " comment's first line, unless another fails. A name stands as in the metrics file, with"
    " dots; write `path:name` where several files have it.",
    "budgets": "As `metrics`, for what should stay small: size, time, memory.",
    "slices": "Rules for groups of test rows.",
    "cluster": "A column of the predictions whose equal values belong together (customer, day):"
    " intervals are then by cluster.",
    "inconclusive": (
        "What happens to a change of which a loss above the margin is not ruled out: `pass` merges"
        " it as *not proven safe*; `fail` asks for proof of every margin."
    ),
    "waivers": "Whether somebody who may write can let a failing change merge, with a reason"
    " (docs/how-to/waive-a-regression.md).",
    "evidence": "Who must have measured what is judged in a pull request: `independent` is base's"
    " code, in a job that runs none of the pull request's; with `claimed` its own run will do, and"
    " the report says so.",
    "reference": "A commit that head is held against too, so that small losses of many changes add"
    " up (docs/explanation/reference.md): `release` is the newest tag `vX.Y.Z`, `KEY@vX.Y.Z`"
    " or `MODEL@vX.Y.Z`; `deploy/NAME` what that environment serves; else a tag, or a commit's"
    " full sha.",
    "inconclusive_since_reference": "As `inconclusive`, for what was lost since the reference."
    " Proof is asked for unless this says `pass`: with few test rows nothing else stops a slide.",
}
_FILES = {
    "test_data": "The test data: base and head are comparable when its hash is the same.",
    "predictions": "One row per test row: `id,target,prediction`, scores, and the columns to"
    " slice and cluster by. Without it, noise is not estimated, and slice rules fail.",
    "seeds": "A folder with such a file of each model that was trained with another seed. Intervals"
    " then cover the luck of the seed, too.",
    "model": "The model file.",
}
_RULE = {
    "greater_is_better": "Which way is better.",
    "min_value": "The head's value must not be below it.",
    "max_value": "The head's value must not be above it.",
    "max_worsening": "What may be lost against the base, in the metric's unit. More fails when"
    " noise cannot explain the loss.",
    "max_relative_worsening": "The same, as a fraction of the base's value; the stricter counts.",
    "max_worsening_since_reference": "What all changes since the `reference` may lose together, in"
    " the metric's unit; judged as `max_worsening` is. Not for budgets.",
}
_SLICE = {
    "by": "The columns whose values make the groups; several make their crossings.",
    "metric": "What is measured in each group; see below.",
    "statistic": "How the groups' values become one number, which the bounds are of.",
    "min_value": "The head's statistic must not be below it.",
    "max_value": "The head's statistic must not be above it.",
    "max_worsening": "What each group may lose against the base, in the metric's unit. More"
    " fails when noise cannot explain the loss.",
    "min_rows": "Groups with fewer test rows are shown, not judged.",
}
_STATISTICS = {
    Statistic.DIFFERENCE: "the largest group's value minus the smallest",
    Statistic.RATIO: "the smallest over the largest",
    Statistic.MINIMUM: "the smallest",
    Statistic.MAXIMUM: "the largest",
}
#: The keys that take one of a few words, by the type that lists them.
_WORDS = {
    kind.__name__: list(kind) for kind in (Statistic, OnInconclusive, Waivers, DemandedEvidence)
}
_WAYS = {True: "greater", False: "smaller", None: "neither"}
_MEANINGS = {
    "accuracy": "share of rows that are right",
    "precision": "share of the rows predicted positive that are",
    "recall": "share of the positive rows that are found",
    "f1": "harmonic mean of precision and recall",
    "true_positive_rate": "the same as recall",
    "true_negative_rate": "share of the negative rows that are found",
    "false_positive_rate": "share of the negative rows that are predicted positive",
    "false_negative_rate": "share of the positive rows that are missed",
    "selection_rate": "share of rows predicted positive",
    "calibration": "mean score minus the share of positive rows",
    "roc_auc": "area under the ROC curve, within the group",
    "brier": "mean squared error of the score",
    "log_loss": "mean log loss of the score",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root of the mean squared error",
    "mean_error": "mean prediction minus mean target",
}
_SECTIONS: tuple[tuple[str, type[msgspec.Struct], Mapping[str, str]], ...] = (
    ("The file", Policy, _TOP),
    ("`files`", Files, _FILES),
    ("A rule below `metrics` or `budgets`", Rule, _RULE),
    ("A rule below `slices`", SliceRule, _SLICE),
)


def render_policy_page() -> str:
    """Render docs/reference/policy.md."""
    head = (
        "# policy.yaml\n\nMade from the program's own types by `make docs`. What a model must"
        " satisfy to merge. A pull\nrequest is judged by the file on its base branch. All mistakes"
        " are reported at once, each with\nits line and a hint: `mlgitops validate`.\n"
    )
    parts = [
        head,
        f"```yaml\n{_EXAMPLE}```\n",
        *(_render_section(*section) for section in _SECTIONS),
        _render_metrics(),
        _JUDGED,
        _EDITORS,
    ]
    return "\n".join(parts)


def encode_policy_schema() -> bytes:
    """Encode the policy's JSON Schema (draft 2020-12), with the meanings as descriptions."""
    schema: dict[str, Any] = msgspec.json.schema(Policy)
    for _, kind, meanings in _SECTIONS:
        part = schema["$defs"][kind.__name__]
        part.pop("title", None)
        for name, described in part["properties"].items():
            _leave_out_null(described)
            described["description"] = meanings[name]
    whole = schema["$defs"].pop("Policy")
    whole["required"] = ["version"]
    whole["properties"]["version"]["const"] = 1
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "policy.yaml of mlgitops",
        **whole,
        "$defs": schema["$defs"],
    }
    return encode_document(document, indent=2)


def _leave_out_null(described: dict[str, Any]) -> None:
    """Describe a key that may be left out, but not be left blank: `min_value:` is no limit."""
    options = [option for option in described.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1 and described.get("default", 0) is None:
        del described["anyOf"], described["default"]
        described.update(options[0])


def _render_section(title: str, kind: type[msgspec.Struct], meanings: Mapping[str, str]) -> str:
    properties = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    rows = [
        f"| `{name}` | {_describe_type(described)} | {_describe_default(name, described)} |"
        f" {meanings[name]} |"
        for name, described in properties.items()
    ]
    return "\n".join([f"## {title}\n", "| key | value | default | means |",
                      "| --- | --- | --- | --- |", *rows, ""])  # fmt: skip


def _describe_type(described: Mapping[str, Any]) -> str:
    """Say in words what a key takes."""
    options = [_name_type(option) for option in described.get("anyOf", [described])]
    return " or ".join(option for option in options if option != "null")


def _name_type(described: Mapping[str, Any]) -> str:
    reference = described.get("$ref", "").rpartition("/")[2]
    if reference in _WORDS:
        return ", ".join(f"`{word}`" for word in _WORDS[reference])
    if reference or described.get("type") == "object":
        return "mapping"
    names = {"array": "list", "string": "text", "integer": "whole number", "boolean": "flag"}
    return str(names.get(described.get("type", ""), described.get("type", "")))


def _describe_default(name: str, described: Mapping[str, Any]) -> str:
    if name in ("by", "metric", "version"):
        return "needed"
    if name == "greater_is_better":
        return "`true` below `metrics`, `false` below `budgets`"
    default = described.get("default")
    if isinstance(default, str):
        return f"`{default}`"
    if not isinstance(default, (int, float)):
        return "none"
    return f"`{str(default).lower()}`"


def _render_metrics() -> str:
    rows = [f"| `{name}` | {_MEANINGS[name]} | {_WAYS[way]} |" for name, way in DIRECTIONS.items()]
    by_class = ", ".join(f"`{name}`" for name in BY_CLASS)
    signed = " and ".join(f"`{name}`" for name in SIGNED)
    statistics = [f"| `{statistic}` | {text} |" for statistic, text in _STATISTICS.items()]
    head = (
        "## Metrics of slices\n\n"
        "Names and meanings are scikit-learn's and fairlearn's. With two classes, the last of"
        " the sorted\nlabels is the positive one. With more, add the class:"
        " `recall_Adelie` sets it against the rest\n"
        f"({by_class}).\n"
    )
    lines = [head, "| metric | is | better |", "| --- | --- | --- |", *rows, ""]
    lines += ["| statistic | over the judged groups |", "| --- | --- |", *statistics, ""]
    return "\n".join([*lines, f"{signed} may be negative: use `difference`, not `ratio`.\n"])


_JUDGED = """\
## How slices are judged

* Bounds hold for the head's statistic as it is. Its interval is shown beside it: all pairs of
  groups at once, corrected by Bonferroni (Dunn 1961), because the data chose which groups are
  the extremes. It is wide, and holds at least as often as it says.
* A group's loss is judged by the interval of its change on its own rows, paired, as a metric's
  is. All judged groups of all rules share one error rate (Holm 1979), so a change that does
  nothing makes no group look worse, more often than `confidence` allows.
* The values that a group has are the base's: a pull request does not choose the groups that it
  is judged by.
* A group without a row that the metric needs (no positive row for `recall`) is shown, not judged.
  So is one in which noise has no measure: one row, one cluster, fewer than 5 rows that count (10
  that base predicts as positive for `precision`). With `inconclusive: fail` such a group fails.
  Precision and F1 of a group in which nothing is predicted positive are 0, as in scikit-learn.
* A rule that cannot be evaluated (no predictions, a column gone, base's test rows missing at
  head, no group of `min_rows` rows) fails with its reason. It is never skipped.
"""
_EDITORS = """\
## In your editor

[policy.schema.json](policy.schema.json) checks and completes the file while you type. For
editors that use yaml-language-server, copy it into your project and begin policy.yaml with:

```yaml
# yaml-language-server: $schema=policy.schema.json
```

The schema says which keys and types there are; `mlgitops validate` checks the rest, such as
names that no metrics file has.
"""
