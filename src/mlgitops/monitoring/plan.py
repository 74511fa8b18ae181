"""What is measured of a log: policy, parameters and contract of a project, as one plan. Pure.

A value may become part of a fact only where the contract lists all that its column may hold
(`isin`); all else is counted, never kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote_plus, urlencode

from mlgitops.errors import MlgitopsError
from mlgitops.hints import nearest_name
from mlgitops.model.monitoring import MonitorSettings, Redaction
from mlgitops.model.slice_metrics import split_metric
from mlgitops.parsing import parse_yaml
from mlgitops.statistics.names import COUNTS, find_estimator, find_quantile, names_other_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlgitops.model import Policy, Rule, SliceRule

Task = Literal["binary", "multiclass", "regression"]
_TASKS: tuple[Task, ...] = get_args(Task)

#: Of a column whose range the contract gives.
BINS = 20
_MOST_LEVELS = 200  # of a closed list, that facts are kept of
_LONGEST_LEVEL = 60  # characters
_LONGEST_PART = 500  # characters of what a fact is of
_MOST_GROUPS = 1000  # of one slice rule
#: Metric → the tasks in which a day's rows give it as a sum over a sum.
_KEPT: dict[str, tuple[Task, ...]] = {
    "roc_auc": ("binary",),
    "accuracy": ("binary", "multiclass"),
    "log_loss": ("binary", "multiclass"),
    **dict.fromkeys(("brier", "precision", "recall", "f1"), ("binary",)),
    **dict.fromkeys(("mae", "mse", "rmse"), ("regression",)),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the log: the closed list of its levels, or the edges of its bins, or neither."""

    name: str
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()  # between the bins, rising
    is_readable: bool = True  # False: the log has a hash of it


@dataclass(frozen=True, kw_only=True)
class SliceKey:
    """The groups of some columns, and a metric of each."""

    by: tuple[str, ...]
    metric: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and what of the policy cannot be and why."""

    task: Task
    columns: tuple[Column, ...]
    metrics: tuple[tuple[str, str], ...]  # name in the policy, estimator
    slices: tuple[SliceKey, ...]
    classes: tuple[str, ...] = ()  # of the target, in one spelling; of numbers: none
    positive: str | None = None  # binary only
    left_out: Mapping[str, str] = field(default_factory=dict)  # metric or slice → why

    def find_column(self, name: str) -> Column | None:
        """Return the column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def spell(value: object) -> str:
    """Return the one spelling of a level or a class, as log, labels, and contract mean the same.

    >>> [spell(value) for value in (1, 1.0, "1.0", "01", True, "True", "Adelie")]
    ['1', '1', '1', '1', 'true', 'true', 'Adelie']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).strip()
    if text.casefold() in {"true", "false"}:
        return text.casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return str(int(number)) if number.is_integer() else repr(number)


def make_plan(
    policy: Policy, params: bytes, contract: bytes, settings: MonitorSettings | None = None
) -> Plan:
    """Make the plan of a project from the bytes of its `params.yaml` and `contract.yaml`.

    Raises :class:`MlgitopsError` when these do not say what the model answers, and where a limit
    is set that nothing would ever be held to.
    """
    document = _expect_mapping(parse_yaml(params, "params.yaml"), "params.yaml")
    task, target, positive = _read_task(document)
    described = _read_contract(contract)
    levels = _list_levels(described.get(target, {}))
    classes = _find_classes(task, target, levels, positive)
    settings = settings or MonitorSettings()
    redactions = settings.requests.columns
    columns = tuple(
        _make_column(name, described.get(name, {}), redactions.get(name, Redaction.KEEP))
        for name in list_features(document)
        if redactions.get(name) is not Redaction.DROP
    )
    metrics, left_out = _choose_metrics(policy.metrics, task)
    slices, unkept = _choose_slices(policy, columns, task)
    _refuse_idle_limits(settings.alerts.limits, policy, left_out)
    return Plan(
        task=task,
        columns=columns,
        metrics=metrics,
        slices=slices,
        classes=classes,
        positive=positive,
        left_out=left_out | unkept,
    )


def _expect_mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MlgitopsError("it holds no keys", where=where)
    return value


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    content = document.get(name)
    return content if isinstance(content, dict) else {}


def _read_task(document: Mapping[str, Any]) -> tuple[Task, str, str | None]:
    """Return the task, the target, and the positive class in its one spelling."""
    data = _section(document, "data")
    task = next((name for name in _TASKS if name == document.get("task")), None)
    target, positive = data.get("target"), data.get("positive")
    if task is None or not isinstance(target, str):
        hint = "`task: binary`, `multiclass` or `regression`, and `data: {target: COLUMN}`"
        raise MlgitopsError("it does not say what is predicted", where="params.yaml", hint=hint)
    if task == "binary" and positive is None:
        hint = "add `positive:` below `data:`"
        raise MlgitopsError("no class is positive", where="params.yaml", hint=hint)
    return task, target, spell(positive) if task == "binary" else None


def read_features(params: bytes) -> list[str]:
    """Read the names of the model's inputs from the bytes of `params.yaml`, numeric ones first."""
    return list_features(_expect_mapping(parse_yaml(params, "params.yaml"), "params.yaml"))


def list_features(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the model's inputs, numeric ones first, each once."""
    features = _section(document, "features")
    lists = (features.get("numeric"), features.get("categorical"))
    names = [name for listed in lists if isinstance(listed, list) for name in listed]
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _read_contract(contract: bytes) -> dict[str, dict[str, Any]]:
    document = _expect_mapping(parse_yaml(contract, "contract.yaml"), "contract.yaml")
    columns = _section(document, "columns")
    return {name: body for name, body in columns.items() if isinstance(body, dict)}


def _find_rule(described: Mapping[str, Any], name: str) -> object:
    """Return what a column's check is set to, beside it or below `checks`."""
    checks = described.get("checks")
    return described.get(name, checks.get(name) if isinstance(checks, dict) else None)


def _list_levels(described: Mapping[str, Any]) -> tuple[str, ...]:
    rule = _find_rule(described, "isin")
    allowed = rule.get("value", rule.get("allowed_values")) if isinstance(rule, dict) else rule
    if not isinstance(allowed, list) or not 0 < len(allowed) <= _MOST_LEVELS:
        return ()
    scalars = [value for value in allowed if isinstance(value, (str, int, float, bool))]
    levels = tuple(dict.fromkeys(map(spell, scalars)))
    return levels if max(map(len, levels), default=0) <= _LONGEST_LEVEL else ()


def _find_classes(
    task: Task, target: str, levels: tuple[str, ...], positive: str | None
) -> tuple[str, ...]:
    if task == "regression":
        return ()
    if positive is not None and positive not in levels:
        levels = ()
    if not levels:
        raise MlgitopsError(
            f"the classes of the target `{target[:80]}` are not listed",
            where="contract.yaml",
            hint="add `isin: [...]` with all of them to it: facts hold no other values",
        )
    return levels


def _make_column(name: str, described: Mapping[str, Any], redaction: Redaction) -> Column:
    if redaction is not Redaction.KEEP:
        return Column(name=name, is_readable=False)
    levels = _list_levels(described)
    return Column(name=name, levels=levels, edges=() if levels else _list_edges(described))


def _list_edges(described: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the edges between bins of equal width over the range that the contract gives."""
    bounds = _find_rule(described, "in_range")
    ends = (
        [bounds.get(key) for key in ("min_value", "max_value")] if isinstance(bounds, dict) else []
    )
    numbers = [float(end) for end in ends if isinstance(end, (int, float))]
    if len(numbers) != 2 or not numbers[0] < numbers[1]:  # noqa: PLR2004 - both ends
        return ()
    low, high = numbers
    return tuple(low + (high - low) * step / BINS for step in range(1, BINS))


def _choose_metrics(
    rules: Mapping[str, Rule], task: Task
) -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
    """Return the metrics that a day's sums give, and why the others are left out."""
    kept, left_out = [], dict[str, str]()
    for name in rules:
        if names_other_rows(name):
            continue  # of rows that trained: nothing in production is like them
        estimator = find_estimator(name)
        pinball = estimator is not None and find_quantile(estimator) is not None
        tasks = ("regression",) if pinball else _KEPT.get(estimator or "", ())
        if estimator is not None and task in tasks:
            kept.append((name, estimator))
        elif estimator in COUNTS and task != "regression":
            left_out[name] = "its counts are kept as `confusion`, it is no sum by itself"
        else:
            left_out[name] = "no sum over the rows of a day gives it"
    return tuple(kept), left_out


def _refuse_idle_limits(
    limits: Mapping[str, float], policy: Policy, left_out: Mapping[str, str]
) -> None:
    """Raise for a limit of a metric that is not judged: whoever set it would wait for an alert."""
    judged = [name for name in policy.metrics if not names_other_rows(name)]
    for name, limit in limits.items():
        if name not in judged:
            near = nearest_name(name, judged)
            raise MlgitopsError(
                f"alerts: limits: {name[:80]} is no metric that policy.yaml judges in production",
                where="monitor.yaml",
                hint=f"did you mean `{near}`?" if near else "name it below `metrics:` there",
            )
        if name in left_out:
            raise MlgitopsError(
                f"alerts: limits: {name[:80]} is not measured in production: {left_out[name]}",
                where="monitor.yaml",
                hint="leave it out, or limit another metric",
            )
        if limit < 0:
            problem = f"alerts: limits: {name[:80]} is never below 0, its limit is {limit:g}"
            raise MlgitopsError(problem, where="monitor.yaml", hint="write it without the sign")


def _measure(level: str) -> int:
    return len(quote_plus(level))


_SLICED: dict[str, tuple[Task, ...]] = {
    **dict.fromkeys(("mae", "mse", "rmse", "mean_error"), ("regression",)),
    "accuracy": ("binary", "multiclass"),
    **dict.fromkeys(("roc_auc", "brier", "log_loss"), ("binary",)),
}


def name_slice(rule: SliceRule) -> str:
    """Name what is measured of groups, whichever statistic of it is judged."""
    return f"{rule.metric} by {', '.join(rule.by)}"


def _choose_slices(
    policy: Policy, columns: Iterable[Column], task: Task
) -> tuple[tuple[SliceKey, ...], dict[str, str]]:
    """Return the slices whose groups the contract lists, and why the others are left out."""
    closed = {column.name: column.levels for column in columns if column.levels}
    kept, left_out = [], dict[str, str]()
    for rule in policy.slices:
        label = name_slice(rule)
        name, of_class = split_metric(rule.metric) or ("", None)
        wide = [column for column in rule.by if column not in closed]
        if task not in _SLICED.get(name, ("binary",)) or of_class is not None:
            left_out[label] = "not measured in production"
        elif wide:
            hint = "no list `isin` of its levels in contract.yaml, or it is no input"
            left_out[label] = f"`{wide[0]}` has {hint}"
        elif math.prod(len(closed[column]) for column in rule.by) > _MOST_GROUPS:
            left_out[label] = f"over {_MOST_GROUPS} groups"
        elif len(urlencode([(name, max(closed[name], key=_measure)) for name in rule.by])) > (
            _LONGEST_PART
        ):
            left_out[label] = "the names of its groups are too long"
        else:
            kept.append(SliceKey(by=rule.by, metric=rule.metric))
    return tuple(dict.fromkeys(kept)), left_out
