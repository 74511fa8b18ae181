"""The metrics that a slice rule may name, and which way each is better. Pure, without numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import Statistic

if TYPE_CHECKING:
    from mlgitops.model import SliceRule

#: Metric → is greater better? None: neither way is (rates of selection, signed errors).
#: Names and meanings are scikit-learn's and fairlearn's.
DIRECTIONS: dict[str, bool | None] = {
    "accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "true_positive_rate": True,
    "true_negative_rate": True,
    "false_positive_rate": False,
    "false_negative_rate": False,
    "selection_rate": None,
    "calibration": None,
    "roc_auc": True,
    "brier": False,
    "log_loss": False,
    "mae": False,
    "mse": False,
    "rmse": False,
    "mean_error": None,
}
#: Metrics of one class against the rest: `recall_Adelie` where there are several classes.
BY_CLASS = (
    *("precision", "recall", "f1", "true_positive_rate", "true_negative_rate"),
    *("false_positive_rate", "false_negative_rate", "selection_rate", "calibration"),
)
#: Metrics in which each row of a group counts; others rest on the rows of a class, or predicted so.
OF_EVERY_ROW = (
    *("accuracy", "selection_rate", "calibration", "brier", "log_loss"),
    *("mae", "mse", "rmse", "mean_error"),
)
#: Metrics that may be negative: a ratio of them means nothing.
SIGNED = ("calibration", "mean_error")


def split_metric(name: str) -> tuple[str, str | None] | None:
    """Return the metric and the class that ``name`` asks for; None when it is not known.

    >>> split_metric("recall_Adelie"), split_metric("recall"), split_metric("recal")
    (('recall', 'Adelie'), ('recall', None), None)
    """
    if name in DIRECTIONS:
        return name, None
    for metric in BY_CLASS:
        if name.startswith(f"{metric}_") and len(name) > len(metric) + 1:
            return metric, name[len(metric) + 1 :]
    return None


def is_greater_better(name: str) -> bool | None:
    """Say which way a slice metric is better; None when neither way is, or it is not known."""
    split = split_metric(name)
    return DIRECTIONS[split[0]] if split else None


def find_statistic(statistic: Statistic, values: list[float]) -> float | None:
    """Make one number of the groups' values; None when it is not defined.

    >>> find_statistic(Statistic.RATIO, [0.2, 0.4])
    0.5
    """
    if not values:
        return None
    low, high = min(values), max(values)
    if statistic is Statistic.MINIMUM:
        return low
    if statistic is Statistic.MAXIMUM:
        return high
    if len(values) < 2:  # noqa: PLR2004 - one group has no other to differ from
        return None
    if statistic is Statistic.DIFFERENCE:
        return high - low
    return low / high if low >= 0 and high > 0 else None


def find_worst(rule: SliceRule) -> bool:
    """Tell whether the lowest value is the group worth naming first, rather than the highest."""
    if rule.statistic in (Statistic.MINIMUM, Statistic.MAXIMUM):
        return rule.statistic is Statistic.MINIMUM
    return is_greater_better(rule.metric) is not False
