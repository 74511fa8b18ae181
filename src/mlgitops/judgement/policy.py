"""The text of `policy.yaml` to a checked Policy: every mistake at once, each with its line.

In: bytes, from disk or from git at base. Out: :class:`~mlgitops.model.Policy`. No I/O.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from mlgitops.hints import nearest_name
from mlgitops.judgement.checker import Checker, name_kind, quote
from mlgitops.judgement.reference import find_form
from mlgitops.model import (
    MAX_SLICE_RULES,
    DemandedEvidence,
    Files,
    OnInconclusive,
    Policy,
    Rule,
    SliceRule,
    Statistic,
    Waivers,
)
from mlgitops.model.slice_metrics import DIRECTIONS, SIGNED, split_metric
from mlgitops.parsing import Place, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

#: The largest policy we read, in bytes.
MAX_POLICY_BYTES = 2**18
#: Names, by their last part, that nobody wants to grow: silence about direction is a mistake.
_ERRORS = frozenset(
    [
        *("brier", "error", "logloss", "log_loss", "loss", "mae", "mape"),
        *("max_error", "median_absolute_error", "mse", "rmse"),
    ]
)
_EXAMPLE = "test.roc_auc: {greater_is_better: true, min_value: 0.8, max_worsening: 0.005}"


def parse_policy(data: bytes, *, where: str) -> Policy:
    """Parse and check a policy; ``where`` names it in messages.

    Raises :class:`~mlgitops.errors.MlgitopsError` when it is not YAML, and otherwise
    :class:`~mlgitops.errors.MistakesError` with every mistake there is.
    """
    lines: dict[Place, int] = {}
    document = parse_yaml(data, where, lines=lines, limit=MAX_POLICY_BYTES)
    check = Checker(where, lines, whole="the policy")
    policy = _read_policy(document, check)
    check.finish()
    return policy


def _read_policy(document: object, check: Checker) -> Policy:
    if document is None:
        check.mistake((), "the file is empty", f"gate a metric: `metrics:` with `{_EXAMPLE}`")
        return Policy()
    readers: dict[str, Callable[[Any, Place, Checker], Any]] = {
        "version": _read_version,
        "confidence": _read_confidence,
        "files": _read_files,
        "metrics": _read_metrics,
        "budgets": _read_budgets,
        "slices": _read_slices,
        "cluster": lambda value, position, check: check.name(value, position),
        "inconclusive": _choose(OnInconclusive),
        "waivers": _choose(Waivers),
        "evidence": _choose(DemandedEvidence),
        "reference": _read_reference,
        "inconclusive_since_reference": _choose(OnInconclusive),
    }
    fields = check.mapping(document, (), readers)
    if isinstance(document, dict) and "version" not in fields:
        check.mistake((), "`version` is missing", "add the line `version: 1`")
    parsed = {
        key: readers[key](value, (key,), check) for key, value in fields.items() if key in readers
    }
    _check_since(fields, check)
    return Policy(**{key: value for key, value in parsed.items() if value is not None})


def _read_version(value: object, position: Place, check: Checker) -> int:
    if value != 1 or isinstance(value, bool):
        check.mistake(position, f"version must be 1, not {name_kind(value)}", "write `version: 1`")
    return 1


def _read_confidence(value: object, position: Place, check: Checker) -> float | None:
    confidence = check.number(value, position)
    if confidence is not None and not 0.5 < confidence < 1:  # noqa: PLR2004 - 0.5 is guessing
        hint = f"write {confidence / 100:g}" if 50 < confidence < 100 else "0.95 is usual"  # noqa: PLR2004
        check.mistake(position, "confidence must be between 0.5 and 1", hint)
        return None
    return confidence


def _read_files(value: object, position: Place, check: Checker) -> Files:
    names = Files.__struct_fields__
    fields = check.mapping(value, position, names)
    paths = {
        key: _read_path(text, (*position, key), check)
        for key, text in fields.items()
        if key in names
    }
    return Files(**paths)


def _read_path(value: object, position: Place, check: Checker) -> str | None:
    path = check.name(value, position)
    if path is None:
        return None
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/") or ":" in path:
        check.mistake(
            position,
            f"{check.label(position)} must be a path inside the repository",
            "write it from the repository's root, such as data/split/test.csv",
        )
        return None
    return posixpath.normpath(path)  # a folder may be written with a slash at its end


def _read_metrics(value: object, position: Place, check: Checker) -> dict[str, Rule]:
    return _read_rules(value, position, check, greater_is_better=True)


def _read_reference(value: object, position: Place, check: Checker) -> str | None:
    name = check.name(value, position)
    if name is not None and find_form(name) is None:
        hint = "write `release`, `deploy/ENVIRONMENT`, a tag, or all digits of a commit's sha"
        check.mistake(position, f"reference cannot be {quote(name)}", hint)
        return None
    return name


def _check_since(fields: dict[str, Any], check: Checker) -> None:
    """Check that a reference has a limit to hold head to, each limit a reference, and no budget."""
    rules = [
        (section, name)
        for section in ("metrics", "budgets")
        if isinstance(fields.get(section), dict)
        for name, body in fields[section].items()
        if isinstance(body, dict) and _SINCE in body
    ]
    for section, name in rules:
        if section == "budgets":
            hint = "bound what may be spent: `max_value`"
            check.mistake((section, name, _SINCE), "a budget is not held to a reference", hint)
        elif "reference" not in fields:
            hint = "add `reference: release`, a tag, a commit or `deploy/ENVIRONMENT`"
            check.mistake((section, name, _SINCE), f"{_SINCE} needs `reference`", hint)
    if "inconclusive_since_reference" in fields and "reference" not in fields:
        hint = "add `reference: release`, or take this line out"
        position = ("inconclusive_since_reference",)
        check.mistake(position, "inconclusive_since_reference needs `reference`", hint)
    if "reference" in fields and not any(section == "metrics" for section, _ in rules):
        hint = f"say what a metric may lose in all: `{_SINCE}: 0.01`"
        check.mistake(("reference",), "no metric has a limit against the reference", hint)


def _read_budgets(value: object, position: Place, check: Checker) -> dict[str, Rule]:
    return _read_rules(value, position, check, greater_is_better=False)


def _read_rules(
    value: object, position: Place, check: Checker, *, greater_is_better: bool
) -> dict[str, Rule]:
    if value is None:
        return {}
    rules = {}
    for name, body in check.mapping(value, position, None).items():
        if check.name(name, (*position, name)) is not None:
            rules[name] = _read_rule(
                name, body, (*position, name), check, greater_is_better=greater_is_better
            )
    return rules


_SINCE = "max_worsening_since_reference"
_LIMITS = ("min_value", "max_value", "max_worsening", "max_relative_worsening", _SINCE)


def _read_rule(
    name: str, body: object, position: Place, check: Checker, *, greater_is_better: bool
) -> Rule:
    fields = check.mapping({} if body is None else body, position, Rule.__struct_fields__)
    limits = {key: check.number(fields[key], (*position, key)) for key in _LIMITS if key in fields}
    for key in _LIMITS[2:]:
        limit = limits.get(key)
        if limit is not None and limit < 0:
            check.mistake((*position, key), f"{key} must not be negative", "0 allows no loss")
            limits[key] = None
    low, high = limits.get("min_value"), limits.get("max_value")
    if low is not None and high is not None and low > high:
        check.mistake((*position, "min_value"), f"min_value {low:g} is above max_value {high:g}")
    flag = (
        check.flag(fields["greater_is_better"], (*position, "greater_is_better"))
        if ("greater_is_better" in fields)
        else greater_is_better
    )
    share = limits.get("max_relative_worsening")
    if flag and share is not None and share >= 1:
        problem = f"max_relative_worsening {share:g} allows to lose all: it is a fraction"
        hint = f"for {share:g}% write {share / 100:g}"
        check.mistake((*position, "max_relative_worsening"), problem, hint)
    if greater_is_better and "greater_is_better" not in fields and _is_error(name):
        hint = "add `greater_is_better: false`, or true if you mean it"
        check.mistake(position, f"say which way {quote(name)} is better", hint)
    return Rule(greater_is_better=bool(flag), **limits)


def _is_error(name: str) -> bool:
    return name.rpartition(".")[2].lower() in _ERRORS


def _read_slices(value: object, position: Place, check: Checker) -> tuple[SliceRule, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        check.mistake(
            position, f"slices must be a list, not {name_kind(value)}", "begin each with `- `"
        )
        return ()
    if len(value) > MAX_SLICE_RULES:
        check.mistake(position, f"slices holds at most {MAX_SLICE_RULES} rules, not {len(value)}")
        return ()
    rules = [_read_slice(item, (*position, at), check) for at, item in enumerate(value)]
    return tuple(dict.fromkeys(rule for rule in rules if rule is not None))


def _read_slice(body: object, position: Place, check: Checker) -> SliceRule | None:
    before = len(check.errors)
    fields = check.mapping(body, position, SliceRule.__struct_fields__)
    for key in ("by", "metric"):
        if key not in fields and isinstance(body, dict):
            check.mistake(position, f"a slice needs `{key}`")
    by = _read_columns(fields["by"], (*position, "by"), check) if "by" in fields else ()
    if "metric" in fields:
        _read_slice_metric(fields["metric"], (*position, "metric"), check)
    if "statistic" in fields:
        check.choice(fields["statistic"], (*position, "statistic"), Statistic)
    limits = {
        key: check.number(fields[key], (*position, key))
        for key in _LIMITS[:3]  # no relative one
        if key in fields
    }
    if isinstance(body, dict):
        _check_limits(fields, limits, position, check)
    rows = fields.get("min_rows", 1)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        check.mistake((*position, "min_rows"), "min_rows must be a whole number from 1")
    if len(check.errors) > before:
        return None
    statistic = Statistic(fields["statistic"]) if "statistic" in fields else None
    return SliceRule(by=by, metric=fields["metric"], statistic=statistic, min_rows=rows, **limits)


def _read_slice_metric(value: object, position: Place, check: Checker) -> None:
    name = check.name(value, position)
    if name is not None and split_metric(name) is None:
        near = nearest_name(name, DIRECTIONS)
        hint = f"did you mean `{near}`?" if near else f"known here: {', '.join(DIRECTIONS)}"
        check.mistake(position, f"no slice metric is named {quote(name)}", hint)


def _check_limits(
    fields: dict[str, Any], limits: dict[str, float | None], position: Place, check: Checker
) -> None:
    """Check that the rule asks for something, and for nothing that cannot be."""
    bounds = [key for key in ("min_value", "max_value") if key in limits]
    metric = fields.get("metric")
    split = split_metric(metric) if isinstance(metric, str) else None
    if not limits:
        check.mistake(position, "a slice needs `min_value`, `max_value` or `max_worsening`")
    if bounds and "statistic" not in fields:
        hint = f"add `statistic:` with one of {', '.join(Statistic)}"
        check.mistake(position, f"{bounds[0]} needs to know of what", hint)
    if "statistic" in fields and limits and not bounds:
        check.mistake((*position, "statistic"), "a statistic needs `min_value` or `max_value`")
    if fields.get("statistic") == Statistic.RATIO and split and split[0] in SIGNED:
        problem = f"{quote(split[0])} may be negative, so its ratio says nothing"
        check.mistake((*position, "statistic"), problem, "use `statistic: difference`")
    worsening = limits.get("max_worsening")
    if worsening is not None and worsening < 0:
        check.mistake((*position, "max_worsening"), "max_worsening must not be negative")
    if "max_worsening" in limits and split and DIRECTIONS[split[0]] is None:
        problem = f"neither way is better for {quote(split[0])}, so it cannot worsen"
        check.mistake((*position, "max_worsening"), problem, "bound its difference instead")
    low, high = limits.get("min_value"), limits.get("max_value")
    if low is not None and high is not None and low > high:
        check.mistake((*position, "min_value"), f"min_value {low:g} is above max_value {high:g}")


def _read_columns(value: object, position: Place, check: Checker) -> tuple[str, ...]:
    most = 10
    if not isinstance(value, list) or not 0 < len(value) <= most:
        check.mistake(position, f"by must be a list of 1 to {most} columns", "such as [carrier]")
        return ()
    names = [check.name(item, (*position, at)) for at, item in enumerate(value)]
    return tuple(name for name in names if name is not None)


def _choose(kind: type[StrEnum]) -> Callable[[Any, Place, Checker], StrEnum | None]:
    """Make the reader of one word of ``kind``."""

    def read(value: object, position: Place, check: Checker) -> StrEnum | None:
        option = check.choice(value, position, kind)
        return kind(option) if option else None

    return read
