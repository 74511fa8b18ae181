"""The text of `policy.yaml` to a checked Policy: every mistake at once, each with its line.

In: bytes, from disk or from git at base. Out: :class:`~mlgitops.model.Policy`. No I/O.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.hints import nearest_name
from mlgitops.model import (
    MAX_SLICE_RULES,
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
    from collections.abc import Callable, Iterable
    from enum import StrEnum

#: The largest policy we read, in bytes.
MAX_POLICY_BYTES = 2**18
_MAX_NAME = 200
_MAX_SHOWN = 50
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

    Raises :class:`MlgitopsError` when it is not YAML, and :class:`MistakesError` with
    every mistake found otherwise.
    """
    lines: dict[Place, int] = {}
    document = parse_yaml(data, where, lines=lines, limit=MAX_POLICY_BYTES)
    check = _Checker(where, lines)
    policy = _read_policy(document, check)
    check.finish()
    return policy


class _Checker:
    """Collects mistakes; each reader returns a usable default when it records one."""

    def __init__(self, where: str, lines: dict[Place, int]) -> None:
        self.errors: list[MlgitopsError] = []
        self._where = where
        self._lines = lines

    def mistake(self, place: Place, what: str, hint: str | None = None) -> None:
        """Record a mistake at ``place``, or at the nearest place around it with a line."""
        around = place
        while around and around not in self._lines:
            around = around[:-1]
        line = self._lines.get(around, 1)
        self.errors.append(MlgitopsError(what, where=f"{self._where}:{line}", hint=hint))

    def finish(self) -> None:
        """Raise what was recorded, in the order of the file."""
        if not self.errors:
            return
        ordered = sorted(self.errors, key=_line)
        shown, more = ordered[:_MAX_SHOWN], len(ordered) - _MAX_SHOWN
        count = "1 mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
        hint = f"{more} more are not shown" if more > 0 else None
        raise MistakesError(f"{count} in {self._where}", shown, hint=hint)

    def mapping(self, value: object, place: Place, keys: Iterable[str] | None) -> dict[str, Any]:
        """Expect a mapping; with ``keys``, every other key is a mistake."""
        if not isinstance(value, dict):
            self.mistake(place, f"{_label(place)} must be a mapping, not {_kind(value)}")
            return {}
        if keys is None:
            return value
        known = list(keys)
        for key in value:
            if key not in known:
                near = nearest_name(key, known)
                hint = f"did you mean `{near}`?" if near else f"known here: {', '.join(known)}"
                self.mistake((*place, key), f"unknown key {_quote(key)}", hint)
        return value

    def number(self, value: object, place: Place) -> float | None:
        """Expect a finite number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.mistake(place, f"{_label(place)} must be a number, not {_kind(value)}")
            return None
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            self.mistake(place, f"{_label(place)} must be a finite number, not {value}"[:200])
            return None
        return found

    def flag(self, value: object, place: Place) -> bool | None:
        """Expect true or false."""
        if not isinstance(value, bool):
            hint = "write true or false, without quotes"
            self.mistake(place, f"{_label(place)} must be true or false, not {_kind(value)}", hint)
            return None
        return value

    def name(self, value: object, place: Place) -> str | None:
        """Expect a text of 1 to 200 characters."""
        if not isinstance(value, str):
            self.mistake(place, f"{_label(place)} must be text, not {_kind(value)}")
        elif not 0 < len(value) <= _MAX_NAME:
            self.mistake(place, f"{_label(place)} must have 1 to {_MAX_NAME} characters")
        else:
            return value
        return None

    def choice(self, value: object, place: Place, options: Iterable[str]) -> str | None:
        """Expect one of ``options``."""
        known = list(options)
        if value in known and isinstance(value, str):
            return value
        shown = _quote(value) if isinstance(value, str) else _kind(value)
        text = " or ".join(known)
        self.mistake(place, f"{_label(place)} must be {text}, not {shown}")
        return None


def _read_policy(document: object, check: _Checker) -> Policy:
    if document is None:
        check.mistake((), "the file is empty", f"gate a metric: `metrics:` with `{_EXAMPLE}`")
        return Policy()
    readers: dict[str, Callable[[Any, Place, _Checker], Any]] = {
        "version": _read_version,
        "confidence": _read_confidence,
        "files": _read_files,
        "metrics": _read_metrics,
        "budgets": _read_budgets,
        "slices": _read_slices,
        "cluster": lambda value, place, check: check.name(value, place),
        "inconclusive": _choose(OnInconclusive),
        "waivers": _choose(Waivers),
    }
    found = check.mapping(document, (), readers)
    if isinstance(document, dict) and "version" not in found:
        check.mistake((), "`version` is missing", "add the line `version: 1`")
    known = {
        key: readers[key](value, (key,), check) for key, value in found.items() if key in readers
    }
    return Policy(**{key: value for key, value in known.items() if value is not None})


def _read_version(value: object, place: Place, check: _Checker) -> int:
    if value != 1 or isinstance(value, bool):
        check.mistake(place, f"version must be 1, not {_kind(value)}", "write `version: 1`")
    return 1


def _read_confidence(value: object, place: Place, check: _Checker) -> float | None:
    found = check.number(value, place)
    if found is not None and not 0.5 < found < 1:  # noqa: PLR2004 - a coin is no confidence
        hint = f"write {found / 100:g}" if 50 < found < 100 else "0.95 is usual"  # noqa: PLR2004
        check.mistake(place, "confidence must be between 0.5 and 1", hint)
        return None
    return found


def _read_files(value: object, place: Place, check: _Checker) -> Files:
    known = Files.__struct_fields__
    found = check.mapping(value, place, known)
    paths = {
        key: _read_path(text, (*place, key), check) for key, text in found.items() if key in known
    }
    return Files(**paths)


def _read_path(value: object, place: Place, check: _Checker) -> str | None:
    path = check.name(value, place)
    if path is None:
        return None
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/") or ":" in path:
        check.mistake(
            place,
            f"{_label(place)} must be a path inside the repository",
            "write it from the repository's root, such as data/split/test.csv",
        )
        return None
    return path.removeprefix("./")


def _read_metrics(value: object, place: Place, check: _Checker) -> dict[str, Rule]:
    return _read_rules(value, place, check, greater_is_better=True)


def _read_budgets(value: object, place: Place, check: _Checker) -> dict[str, Rule]:
    return _read_rules(value, place, check, greater_is_better=False)


def _read_rules(
    value: object, place: Place, check: _Checker, *, greater_is_better: bool
) -> dict[str, Rule]:
    if value is None:
        return {}
    rules = {}
    for name, body in check.mapping(value, place, None).items():
        if check.name(name, (*place, name)) is not None:
            rules[name] = _read_rule(
                name, body, (*place, name), check, greater_is_better=greater_is_better
            )
    return rules


_LIMITS = ("min_value", "max_value", "max_worsening", "max_relative_worsening")


def _read_rule(
    name: str, body: object, place: Place, check: _Checker, *, greater_is_better: bool
) -> Rule:
    found = check.mapping({} if body is None else body, place, Rule.__struct_fields__)
    limits = {key: check.number(found[key], (*place, key)) for key in _LIMITS if key in found}
    for key in ("max_worsening", "max_relative_worsening"):
        limit = limits.get(key)
        if limit is not None and limit < 0:
            check.mistake((*place, key), f"{key} must not be negative", "0 allows no loss")
            limits[key] = None
    low, high = limits.get("min_value"), limits.get("max_value")
    if low is not None and high is not None and low > high:
        check.mistake((*place, "min_value"), f"min_value {low:g} is above max_value {high:g}")
    flag = (
        check.flag(found["greater_is_better"], (*place, "greater_is_better"))
        if ("greater_is_better" in found)
        else greater_is_better
    )
    share = limits.get("max_relative_worsening")
    if flag and share is not None and share >= 1:
        what = f"max_relative_worsening {share:g} allows to lose all: it is a fraction"
        hint = f"for {share:g}% write {share / 100:g}"
        check.mistake((*place, "max_relative_worsening"), what, hint)
    if greater_is_better and "greater_is_better" not in found and _is_error(name):
        hint = "add `greater_is_better: false`, or true if you mean it"
        check.mistake(place, f"say which way {_quote(name)} is better", hint)
    return Rule(greater_is_better=bool(flag), **limits)


def _is_error(name: str) -> bool:
    return name.rpartition(".")[2].lower() in _ERRORS


def _read_slices(value: object, place: Place, check: _Checker) -> tuple[SliceRule, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        check.mistake(place, f"slices must be a list, not {_kind(value)}", "begin each with `- `")
        return ()
    if len(value) > MAX_SLICE_RULES:
        check.mistake(place, f"slices holds at most {MAX_SLICE_RULES} rules, not {len(value)}")
        return ()
    rules = [_read_slice(item, (*place, at), check) for at, item in enumerate(value)]
    return tuple(dict.fromkeys(rule for rule in rules if rule is not None))


def _read_slice(body: object, place: Place, check: _Checker) -> SliceRule | None:
    before = len(check.errors)
    found = check.mapping(body, place, SliceRule.__struct_fields__)
    for key in ("by", "metric"):
        if key not in found and isinstance(body, dict):
            check.mistake(place, f"a slice needs `{key}`")
    by = _read_columns(found["by"], (*place, "by"), check) if "by" in found else ()
    if "metric" in found:
        _read_slice_metric(found["metric"], (*place, "metric"), check)
    if "statistic" in found:
        check.choice(found["statistic"], (*place, "statistic"), Statistic)
    limits = {
        key: check.number(found[key], (*place, key))
        for key in _LIMITS[:3]  # no relative one
        if key in found
    }
    if isinstance(body, dict):
        _check_limits(found, limits, place, check)
    rows = found.get("min_rows", 1)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        check.mistake((*place, "min_rows"), "min_rows must be a whole number from 1")
    if len(check.errors) > before:
        return None
    statistic = Statistic(found["statistic"]) if "statistic" in found else None
    return SliceRule(by=by, metric=found["metric"], statistic=statistic, min_rows=rows, **limits)


def _read_slice_metric(value: object, place: Place, check: _Checker) -> None:
    name = check.name(value, place)
    if name is not None and split_metric(name) is None:
        near = nearest_name(name, DIRECTIONS)
        hint = f"did you mean `{near}`?" if near else f"known here: {', '.join(DIRECTIONS)}"
        check.mistake(place, f"no slice metric is named {_quote(name)}", hint)


def _check_limits(
    found: dict[str, Any], limits: dict[str, float | None], place: Place, check: _Checker
) -> None:
    """Check that the rule asks for something, and for nothing that cannot be."""
    bounds = [key for key in ("min_value", "max_value") if key in limits]
    metric = found.get("metric")
    split = split_metric(metric) if isinstance(metric, str) else None
    if not limits:
        check.mistake(place, "a slice needs `min_value`, `max_value` or `max_worsening`")
    if bounds and "statistic" not in found:
        hint = f"add `statistic:` with one of {', '.join(Statistic)}"
        check.mistake(place, f"{bounds[0]} needs to know of what", hint)
    if "statistic" in found and limits and not bounds:
        check.mistake((*place, "statistic"), "a statistic needs `min_value` or `max_value`")
    if found.get("statistic") == Statistic.RATIO and split and split[0] in SIGNED:
        what = f"{_quote(split[0])} may be negative, so its ratio says nothing"
        check.mistake((*place, "statistic"), what, "use `statistic: difference`")
    worsening = limits.get("max_worsening")
    if worsening is not None and worsening < 0:
        check.mistake((*place, "max_worsening"), "max_worsening must not be negative")
    if "max_worsening" in limits and split and DIRECTIONS[split[0]] is None:
        what = f"neither way is better for {_quote(split[0])}, so it cannot worsen"
        check.mistake((*place, "max_worsening"), what, "bound its difference instead")
    low, high = limits.get("min_value"), limits.get("max_value")
    if low is not None and high is not None and low > high:
        check.mistake((*place, "min_value"), f"min_value {low:g} is above max_value {high:g}")


def _read_columns(value: object, place: Place, check: _Checker) -> tuple[str, ...]:
    most = 10
    if not isinstance(value, list) or not 0 < len(value) <= most:
        check.mistake(place, f"by must be a list of 1 to {most} columns", "such as [carrier]")
        return ()
    names = [check.name(item, (*place, at)) for at, item in enumerate(value)]
    return tuple(name for name in names if name is not None)


def _choose(kind: type[StrEnum]) -> Callable[[Any, Place, _Checker], StrEnum | None]:
    """Make the reader of one word of ``kind``."""

    def read(value: object, place: Place, check: _Checker) -> StrEnum | None:
        found = check.choice(value, place, kind)
        return kind(found) if found else None

    return read


def _line(error: MlgitopsError) -> int:
    return int((error.where or "0").rpartition(":")[2])


def _label(place: Place) -> str:
    return ".".join(str(part) for part in place)[:_MAX_NAME] or "the policy"


def _quote(text: str) -> str:
    return f"`{text[:80]}`"


def _kind(value: object) -> str:
    """Name the kind of a value in words."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, bool):
        return str(value).lower()
    names = {dict: "a mapping", list: "a list", type(None): "empty"}
    return names.get(type(value)) or f"the number {str(value)[:40]}"
