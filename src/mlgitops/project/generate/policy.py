"""What a first model must satisfy, to `policy.yaml`: beat a dummy, and not get worse. Pure.

A dummy always gives the most frequent class, the classes' shares, or the mean.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.project.generate.column_types import FEW_POSITIVES
from mlgitops.project.generate.mode import (
    area_error,
    find_neutral_chance,
    group_error,
    recall_error,
    render_mode,
)
from mlgitops.project.generate.yaml_text import flow

if TYPE_CHECKING:
    from mlgitops.project.generate.column_types import Facts

_TEXT = """\
# What a model must satisfy to merge. A pull request is judged by the file on its base branch.
# The first metric decides; the others can only make the verdict fail.
#
# A start, written with the project: a model that learns nothing just fails. Such a model:
# {dummy} on the test rows.
# Raise the bounds once you know what your first models reach.
version: 1
confidence: 0.95 # of the intervals
{mode}{cluster}evidence: independent # base's code must measure a pull request's model
files:
  test_data: data/split/test.{data_format}
  predictions: reports/predictions.csv
  seeds: reports/seeds # of models of other seeds, where params.yaml asks for them
  model: model/model.skops

metrics:
  # min_value, max_value: bounds on the new model
  # max_worsening: how much worse than the base it may be, in the metric's own unit
{metrics}
budgets: # smaller is better
  model.size_mb: {{max_value: 50}}

{slices}"""

_SLICES = """\
# No group may lose more than this against the base, beyond noise. Bounds on the gap between
# groups can be added: statistic: difference (or ratio, minimum, maximum) with max_value.
slices: # groups with fewer than min_rows test rows are shown, not judged
"""

#: Test rows that a group needs to be judged.
SLICE_ROWS = 50
_TEST_SHARE = 0.3
#: Expected over needed test rows: the split gives a group more or fewer than its share.
_SURELY = 1.5
#: A group has fewer rows than the whole: it may lose more before it counts.
_SLICE_FACTOR = 4
#: Test rows (three in ten) to the loss of a score between 0 and 1 that is still noise.
_MARGINS = ((3_000, 0.005), (600, 0.01), (150, 0.02), (0, 0.05))


def render_policy(facts: Facts, *, data_format: str = "csv") -> str:
    """Return the first policy of a project."""
    render = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    dummy, metrics = render[facts.task](facts)
    return _TEXT.format(
        dummy=dummy,
        mode=render_mode(_find_chance(facts)),
        cluster=_render_cluster(facts.split.cluster),
        metrics=metrics,
        slices=_slices(facts),
        data_format=data_format,
    )


def _render_cluster(column: str | None) -> str:
    """Return the line that lets intervals count days or groups, where rows share one."""
    why = "rows of one value are not independent: intervals count values, not rows"
    return f"cluster: {flow(column)} # {why}\n" if column is not None else ""


def _find_chance(facts: Facts) -> float | None:
    """Return how often a change that loses nothing would pass, were each margin to be proven.

    None where intervals count clusters: how alike their rows are shows only with a model.
    """
    if facts.split.cluster is not None:
        return None
    tested = facts.sides[1]
    rows, margin = sum(tested.values()), find_margin(facts.rows)
    spread = None
    if facts.task == "regression":
        spread = deviation(facts)
        # An RMSE of normal errors is known to itself over sqrt(2 rows).
        metrics = [(spread / math.sqrt(2 * rows), _find_error_margin(facts))]
    else:
        classes = sorted(tested.values())
        first = (
            area_error(classes[0], rows - classes[0])
            if facts.task == "binary"
            else recall_error(classes)
        )
        # The spread of a row's log loss is taken to be as large as its mean.
        metrics = [(first, margin), (find_constant_loss(facts) / math.sqrt(rows), margin)]
    groups = [
        (group_error(count * _TEST_SHARE, spread), _find_slice_margin(facts))
        for name in facts.slices
        if _is_judgeable(facts, name)
        for count in facts.columns[name].counts.values()
        if count * _TEST_SHARE >= SLICE_ROWS
    ]
    return find_neutral_chance(metrics, groups, rows)


def _find_slice_margin(facts: Facts) -> float:
    margin = _SLICE_FACTOR * find_margin(facts.rows)
    if facts.task == "regression":
        margin *= deviation(facts)
    return float(f"{margin:.2g}")


def _slices(facts: Facts) -> str:
    """Say that no group may fall behind; only an example where no column has groups."""
    rule = {
        "metric": "mae" if facts.task == "regression" else "accuracy",
        "max_worsening": _find_slice_margin(facts),
        "min_rows": SLICE_ROWS,
    }
    columns = [name for name in facts.slices if _is_judgeable(facts, name)]
    lines = [f"  - {flow({'by': [name], **rule})}\n" for name in columns]
    if lines:
        return _SLICES + "".join(lines)
    example = flow({"by": ["column"], **rule})
    return f"# Groups that must not fall behind, such as\n# slices:\n#   - {example}\n"


def _is_judgeable(facts: Facts, name: str) -> bool:
    """Tell whether two groups of the column, the least to compare, will have enough test rows."""
    sizes = sorted(facts.columns[name].counts.values(), reverse=True)
    return len(sizes) > 1 and sizes[1] * _TEST_SHARE >= _SURELY * SLICE_ROWS


def _binary(facts: Facts) -> tuple[str, str]:
    loss, margin = find_constant_loss(facts), find_margin(facts.rows)
    dummy = f"a ROC AUC of 0.5 and a log loss of {loss:.3g}"
    enough = min(facts.sides[1].values()) >= FEW_POSITIVES
    floor = 0.55 if enough else 0.5  # with a few rows of a class, 0.55 is reached or missed by luck
    area = _rule("roc_auc", "greater", min_value=floor, max_worsening=margin)
    limit = _below(loss) if enough else _above(loss)
    return dummy, area + _rule("log_loss", "smaller", max_value=limit, max_worsening=margin)


def _multiclass(facts: Facts) -> tuple[str, str]:
    loss, margin = find_constant_loss(facts), find_margin(facts.rows)
    chance = 1 / len(facts.sides[1])  # a mean over the classes of the test rows alone
    floor = math.ceil((chance + (1 - chance) * 0.05) * 100) / 100
    dummy = f"a balanced accuracy of {chance:.2f} and a log loss of {loss:.3g}"
    recall = _rule("balanced_accuracy", "greater", min_value=floor, max_worsening=margin)
    return dummy, recall + _rule(
        "log_loss", "smaller", max_value=_below(loss), max_worsening=margin
    )


def _regression(facts: Facts) -> tuple[str, str]:
    spread, margin = deviation(facts), _find_error_margin(facts)
    dummy = f"an R2 of 0 and an RMSE near {spread:.3g}, the target's standard deviation"
    error = _rule("rmse", "smaller", max_worsening=margin)
    return dummy, error + _rule("r2", "greater", min_value=0.02)


def _find_error_margin(facts: Facts) -> float:
    """Return the margin of a regression's RMSE, in the target's unit."""
    return float(f"{2 * find_margin(facts.rows) * deviation(facts):.2g}")


def _rule(metric: str, better: str, **limits: float) -> str:
    rule = {"greater_is_better": better == "greater", **limits}
    return f"  test.{metric}: {flow(rule)}\n"


def find_margin(rows: int) -> float:
    """Return the margin for a score between 0 and 1: the fewer test rows, the wider."""
    return next(margin for least, margin in _MARGINS if rows * 0.3 >= least)


def find_constant_loss(facts: Facts) -> float:
    """Return the log loss (natural logarithm) on the test rows of giving the train rows' shares."""
    train, test = facts.sides
    learned, measured = sum(train.values()), sum(test.values())
    return -math.fsum(
        rows / measured * math.log(train[value] / learned) for value, rows in test.items()
    )


def deviation(facts: Facts) -> float:
    """Return the target's standard deviation among the test rows, in its own unit."""
    values = [(float(value), rows) for value, rows in facts.sides[1].items()]
    count = sum(rows for _, rows in values)
    mean = math.fsum(value * rows for value, rows in values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 * rows for value, rows in values) / count)


def _below(loss: float) -> float:
    """Return a round number just below the dummy's loss."""
    step = 10.0 ** (math.floor(math.log10(loss)) - 2)
    return float(f"{math.floor(loss * 0.99 / step) * step:.3g}")


def _above(loss: float) -> float:
    """Return a round number just above the dummy's loss."""
    step = 10.0 ** (math.floor(math.log10(loss)) - 2)
    return float(f"{math.ceil(loss * 1.01 / step) * step:.3g}")
