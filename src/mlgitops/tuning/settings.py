"""The text of `tune.yaml` to checked settings: every mistake at once, each with its line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.judgement.checker import Checker, quote
from mlgitops.model.tuning import Choices, NumberRange, TuneSettings
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.parsing import Place

#: Name of the file, at the project's root.
TUNE = "tune.yaml"
#: What may be tried; the rest of params.yaml says what is asked, and of which rows.
TUNED = ("features", "train")
_MAX_BYTES = 2**18
_MOST_PATHS, _MOST_CHOICES, _MOST_TRIALS, _MOST_FOLDS = 50, 100, 10_000, 50
_MOST_MINUTES = 60.0 * 24 * 31
_LONGEST = 200  # characters of a text that is tried
_WHOLE = {"trials": (1, _MOST_TRIALS), "folds": (2, _MOST_FOLDS), "seed": (0, 2**31)}
_KEYS = ("version", "metric", "minutes", *_WHOLE, "space")


def parse_settings(data: bytes, *, where: str = TUNE) -> TuneSettings:
    """Parse and check the settings.

    Raises :class:`~mlgitops.errors.MlgitopsError` when it is not YAML, and otherwise
    :class:`~mlgitops.errors.MistakesError` with every mistake there is.
    """
    lines: dict[Place, int] = {}
    document = parse_yaml(data, where, lines=lines, limit=_MAX_BYTES)
    check = Checker(where, lines)
    fields = check.mapping(document or {}, (), _KEYS)
    if fields.get("version", 1) != 1 or isinstance(fields.get("version"), bool):
        check.mistake(("version",), "version must be 1", "write `version: 1`")
    settings = {
        name: _read_whole(fields[name], (name,), check, *ends)
        for name, ends in _WHOLE.items()
        if fields.get(name) is not None
    }
    if fields.get("metric") is not None:
        settings["metric"] = check.name(fields["metric"], ("metric",))
    if fields.get("minutes") is not None:
        settings["minutes"] = _read_minutes(fields["minutes"], check)
    space = _read_space(fields.get("space"), check)
    check.finish()
    return TuneSettings(space=space, **settings)


def _read_whole(value: object, position: Place, check: Checker, least: int, most: int) -> Any:  # noqa: ANN401 - None is a mistake that was recorded
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        problem = f"{check.label(position)} must be a whole number from {least} to {most}"
        check.mistake(position, problem)
        return None
    return value


def _read_minutes(value: object, check: Checker) -> float | None:
    minutes = check.number(value, ("minutes",))
    if minutes is not None and not 0 < minutes <= _MOST_MINUTES:
        check.mistake(("minutes",), f"minutes must be above 0 and at most {_MOST_MINUTES:g}")
    return minutes


def _read_space(value: object, check: Checker) -> dict[str, NumberRange | Choices]:
    position: Place = ("space",)
    fields = check.mapping({} if value is None else value, position, None)
    if isinstance(fields, dict) and not 0 < len(fields) <= _MOST_PATHS:
        hint = "such as `train.settings.C: {low: 0.01, high: 100.0, log: true}`"
        check.mistake(position, f"space must name 1 to {_MOST_PATHS} paths of params.yaml", hint)
    space = {}
    for path, block in fields.items():
        within = (*position, path)
        if check.name(path, within) is None:
            continue
        if path.partition(".")[0] not in TUNED or not all(path.split(".")[1:] or [""]):
            problem = f"{quote(path)} is no path below {' or '.join(TUNED)}"
            check.mistake(within, problem, "only what the model is made of is tried")
        entry = _read_entry(block, within, check)
        if entry is not None:
            space[path] = entry
    return space


def _read_entry(value: object, position: Place, check: Checker) -> NumberRange | Choices | None:
    if isinstance(value, dict) and "choices" in value:
        return _read_choices(check.mapping(value, position, ("choices",)), position, check)
    fields = check.mapping(value, position, ("low", "high", "log"))
    if not isinstance(value, dict):
        return None
    if not {"low", "high"} <= fields.keys():
        problem = f"{check.label(position)} needs `low` and `high`, or `choices`"
        check.mistake(position, problem)
        return None
    return _read_range(fields, position, check)


def _read_range(fields: Mapping[str, Any], position: Place, check: Checker) -> NumberRange | None:
    low, high = (check.number(fields[name], (*position, name)) for name in ("low", "high"))
    log = check.flag(fields["log"], (*position, "log")) if "log" in fields else False
    if low is None or high is None or log is None:
        return None
    if low >= high:
        check.mistake(position, f"{check.label(position)}: low must be below high")
        return None
    if log and low <= 0:
        check.mistake(position, f"{check.label(position)}: with `log: true` low must be above 0")
        return None
    is_whole = all(isinstance(fields[name], int) for name in ("low", "high"))
    return NumberRange(low=low, high=high, log=log, is_whole=is_whole)


def _read_choices(fields: Mapping[str, Any], position: Place, check: Checker) -> Choices | None:
    values, label = fields["choices"], check.label(position)
    if not isinstance(values, list) or not 2 <= len(values) <= _MOST_CHOICES:  # noqa: PLR2004
        check.mistake(position, f"{label}: choices must be a list of 2 to {_MOST_CHOICES} values")
        return None
    for value in values:
        if isinstance(value, str):
            if len(value) > _LONGEST:
                check.mistake(position, f"{label}: a text of choices is over {_LONGEST} characters")
        elif not isinstance(value, bool):
            check.number(value, position)
    if any(value in values[:at] for at, value in enumerate(values)):  # 1 is 1.0, and true
        check.mistake(position, f"{label}: a value stands in choices twice")
    return Choices(choices=tuple(values))
