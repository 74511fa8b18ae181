"""Metric names to the estimator that serves them. Pure, without numpy: `judge` asks it too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

_ALIASES = {
    "auc": "roc_auc",
    "average_precision_score": "average_precision",
    "balanced_accuracy_score": "balanced_accuracy",
    "accuracy_score": "accuracy",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "cohen_kappa_score": "cohen_kappa",
    "f1_score": "f1",
    "kappa": "cohen_kappa",
    "matthews_corrcoef": "mcc",
    "mean_absolute_error": "mae",
    "mean_pinball_loss": "pinball",
    "mean_squared_error": "mse",
    "precision_score": "precision",
    "r2_score": "r2",
    "recall_score": "recall",
    "root_mean_squared_error": "rmse",
    "roc_auc_score": "roc_auc",
}
#: Functions of the confusion matrix: those of `counts.METRICS`.
COUNTS = {
    *("accuracy", "balanced_accuracy", "cohen_kappa", "mcc"),
    *("f1", "f1_macro", "f1_micro", "f1_weighted"),
    *("precision", "precision_macro", "precision_micro", "precision_weighted"),
    *("recall", "recall_macro", "recall_micro", "recall_weighted"),
}
RANKINGS = {"roc_auc", "average_precision"}
PROBABILITIES = {"log_loss", "brier"}
#: Parts of a metric's name that say it is of other rows than the test rows.
OTHER_ROWS = {
    *("train", "training", "val", "valid", "validation", "dev", "cv", "fold", "folds", "oof"),
}
_ERRORS = {"mae", "mse", "rmse", "r2", "median_absolute_error"}
#: Metrics of one class, or averaged over the classes: those of `classification_report`.
_OF_CLASS = {"f1", "precision", "recall"}
_AVERAGES = ("macro", "weighted", "micro")
#: The keys of `classification_report` that are no classes: "macro avg", "weighted avg", …
_AVERAGE = r"(?i)(macro|micro|weighted|samples)(?:[ _-](?:avg|average))?"
_CLASS_WORD = r"(?i)(?:class|label)[ _-]?"
#: What the area under a curve may be of: `roc_auc_score` of classes is the balanced accuracy.
_AREAS = {
    "auc": ("roc_auc", "average_precision", "balanced_accuracy"),
    "roc_auc": ("roc_auc", "balanced_accuracy"),
    "roc_auc_score": ("roc_auc", "balanced_accuracy"),
}
#: With more classes than this, one of them has nearly any rounded value by chance.
_MOST_TRIED = 20


class Definition(NamedTuple):
    """One thing that a metric's name may stand for."""

    estimator: str
    label: str | None = None  # the class that counts as positive; None: the estimator's own

    def __str__(self) -> str:
        """Return it in words, for the name of an interval's method."""
        return self.estimator if self.label is None else f"{self.estimator} of {self.label[:80]!r}"


class Reading(NamedTuple):
    """What a metric's name may stand for, the usual meaning first; empty: no method is known."""

    definitions: tuple[Definition, ...]
    doubt: str | None = None  # what the name does not say; None: it is one of ``definitions``


def find_estimator(metric: str) -> str | None:
    """Return the canonical name of the estimator of a dotted metric name, or None.

    An average that names the part before, as in `classification_report`, belongs to it.

    >>> find_estimator("test.matthews_corrcoef"), find_estimator("weighted avg.f1-score")
    ('mcc', 'f1_weighted')
    """
    parents, _, leaf = metric.rpartition(".")
    name = leaf.replace("-", "_")
    name = _ALIASES.get(name, name)
    average = re.fullmatch(_AVERAGE, parents.rpartition(".")[2])
    if average and name in _OF_CLASS:
        name = f"{name}_{average[1].lower()}"
    supported = name in COUNTS or name in RANKINGS | PROBABILITIES | _ERRORS
    return name if supported or find_quantile(name) else None


def read_name(metric: str, classes: Collection[str]) -> Reading:
    """Return what a dotted metric name may stand for where ``classes`` are those at base.

    >>> read_name("0.recall", {"0", "1"}).definitions
    (Definition(estimator='recall', label='0'),)
    >>> read_name("macro avg.recall", {"0", "1"}).definitions
    (Definition(estimator='recall_macro', label=None),)
    """
    estimator = find_estimator(metric)
    if estimator is None:
        return Reading(())
    parents, _, leaf = metric.rpartition(".")
    label = _find_class(parents, classes)
    if label is not None and estimator in _OF_CLASS:
        return Reading((Definition(estimator, label),))
    areas = _AREAS.get(leaf, ()) if len(classes) == 2 else ()  # noqa: PLR2004 - as a curve needs
    definitions = tuple(map(Definition, areas or (estimator,)))
    if estimator in _OF_CLASS:
        averaged = (Definition(f"{estimator}_{average}") for average in _AVERAGES)
        of_one = (Definition(estimator, name) for name in sorted(classes))
        definitions += (*averaged, *(of_one if len(classes) <= _MOST_TRIED else ()))
        return Reading(
            definitions, f"`{metric[:100]}` does not say which class or average it is of"
        )
    if label is not None or parents.rpartition(".")[2].isdecimal():
        return Reading(definitions, f"`{metric[:100]}` may be of a part of the test rows")
    doubt = f"`{metric[:100]}` does not say which curve it is of" if leaf == "auc" else None
    return Reading(definitions, doubt)


def _find_class(parents: str, classes: Collection[str]) -> str | None:
    """Return the class that the end of a name's parents says; it may hold dots, as `1.0` does."""
    parts = parents.split(".")
    for begin, part in enumerate(parts):
        if begin and part.isdecimal() and parts[begin - 1][-1:].isdecimal():
            continue  # the decimals of a number
        tail = ".".join(parts[begin:])
        plain = re.sub(_CLASS_WORD, "", tail, count=1)
        for text in (tail, plain, tail.removesuffix(".0"), plain.removesuffix(".0")):
            if text in classes:
                return text
    return None


def names_other_rows(metric: str) -> bool:
    """Tell whether a dotted name says that its metric is not of the test rows.

    >>> names_other_rows("val.accuracy"), names_other_rows("cv_5.mae"), names_other_rows("mae")
    (True, True, False)
    """
    words = re.split(r"[._/-]", metric.rpartition(".")[0].casefold())
    return not OTHER_ROWS.isdisjoint(words)


def find_quantile(name: str) -> float | None:
    """Return the quantile that a pinball loss is of: `pinball` 0.5, `pinball_90` 0.9."""
    match = re.fullmatch(r"pinball(?:_(\d{1,2}))?", name)
    if not match:
        return None
    return int(match[1]) / 100 if match[1] else 0.5
