"""The text of `monitor.yaml` to checked settings: every mistake at once, each with its line.

In: bytes. Out: :class:`~mlgitops.model.monitoring.MonitorSettings`. No I/O.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from mlgitops.judgement.checker import Checker, quote
from mlgitops.model.monitoring import (
    AlertSettings,
    CommandSource,
    EventSource,
    FolderSource,
    LabelSettings,
    MonitorSettings,
    ParquetSource,
    Redaction,
    RequestSettings,
    RetrainSettings,
    RowPart,
    SqlSource,
    TableSource,
)
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlgitops.model.monitoring import LabelSource, LogSource
    from mlgitops.parsing import Place

    Reader = Callable[[Any, Place, Checker], Any]

#: Name of the file, at the project's root.
MONITOR = "monitor.yaml"
#: The largest one that is read, in bytes.
MAX_SETTINGS_BYTES = 2**18
_MOST_WORDS = 100
_LONGEST_QUERY = 10_000  # characters
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def parse_settings(data: bytes, *, where: str = MONITOR) -> MonitorSettings:
    """Parse and check the settings; an empty file holds the defaults.

    Raises :class:`~mlgitops.errors.MlgitopsError` when it is not YAML, and otherwise
    :class:`~mlgitops.errors.MistakesError` with every mistake there is.
    """
    lines: dict[Place, int] = {}
    document = parse_yaml(data, where, lines=lines, limit=MAX_SETTINGS_BYTES)
    check = Checker(where, lines)
    readers: Mapping[str, Reader] = {
        "version": _read_version,
        "requests": _read_requests,
        "source": _read_log_source,
        "labels": _read_labels,
        "alerts": _read_alerts,
        "retrain": _read_retrain,
    }
    settings = _read_fields(document or {}, (), check, readers)
    check.finish()
    settings.pop("version", None)
    return MonitorSettings(**settings)


def _read_fields(
    value: object, position: Place, check: Checker, readers: Mapping[str, Reader]
) -> dict[str, Any]:
    """Read a mapping by the reader of each key; what is empty or wrong keeps its default."""
    fields = check.mapping(value, position, readers)
    parsed = {
        key: readers[key](fields[key], (*position, key), check)
        for key in readers
        if fields.get(key) is not None
    }
    return {key: content for key, content in parsed.items() if content is not None}


def _read_version(value: object, position: Place, check: Checker) -> None:
    if value != 1 or isinstance(value, bool):
        check.mistake(position, "version must be 1", "write `version: 1`")


def _read_requests(value: object, position: Place, check: Checker) -> RequestSettings:
    readers: Mapping[str, Reader] = {
        "sample": _read_share,
        "max_bytes": _whole_number(0),
        "keep_days": _whole_number(1, 36_500),
        "ids": _read_redaction,
        "columns": _read_redactions,
    }
    return RequestSettings(**_read_fields(value, position, check, readers))


def _read_alerts(value: object, position: Place, check: Checker) -> AlertSettings:
    readers: Mapping[str, Reader] = {
        "limits": _read_limits,
        "calibration": _read_distance,
        **dict.fromkeys(("refused", "missing", "new_levels", "failed", "unreadable"), _read_share),
        **dict.fromkeys(("silent_days", "wait_days"), _whole_number(0, 3650)),
        "usual_since": _read_day,
    }
    return AlertSettings(**_read_fields(value, position, check, readers))


def _read_retrain(value: object, position: Place, check: Checker) -> RetrainSettings:
    readers: Mapping[str, Reader] = {
        "cooldown_days": _whole_number(0, 3650),
        "age_days": _whole_number(1, 3650),
        "minutes": _whole_number(1, 1440),
        "window_days": _whole_number(1, 365),
        "fewest_rows": _whole_number(1),
        "rows_per_day": _whole_number(1),
        "client": _read_name,
        "rows_per_client": _whole_number(1),
        "columns": _read_row_parts,
    }
    settings = RetrainSettings(**_read_fields(value, position, check, readers))
    if (settings.client is None) != (settings.rows_per_client is None):
        hint = "`client` names the input that says who asked"
        check.mistake(position, "client and rows_per_client belong together", hint)
    return settings


def _read_row_parts(value: object, position: Place, check: Checker) -> dict[str, RowPart]:
    parts = {}
    for name, word in check.mapping(value, position, None).items():
        chosen = check.choice(word, (*position, name), RowPart)
        if check.name(name, (*position, name)) is not None and chosen:
            parts[name] = RowPart(chosen)
    return parts


def _read_limits(value: object, position: Place, check: Checker) -> dict[str, float]:
    limits = {}
    for name, number in check.mapping(value, position, None).items():
        limit = check.number(number, (*position, name))
        if check.name(name, (*position, name)) is not None and limit is not None:
            limits[name] = limit
    return limits


def _read_distance(value: object, position: Place, check: Checker) -> float | None:
    distance = check.number(value, position)
    if distance is not None and distance < 0:
        check.mistake(position, f"{check.label(position)} must not be negative")
        return None
    return distance


def _read_day(value: object, position: Place, check: Checker) -> str | None:
    day = check.name(value, position)
    if day is None:
        return None
    try:
        return dt.date.fromisoformat(day).isoformat()
    except ValueError:
        check.mistake(position, f"{quote(day)} is no day", "such as 2026-11-22")
        return None


def _read_share(value: object, position: Place, check: Checker) -> float | None:
    share = check.number(value, position)
    if share is not None and not 0 <= share <= 1:
        hint = f"write {share / 100:g}" if 1 < share <= 100 else None  # noqa: PLR2004 - per cent
        check.mistake(position, f"{check.label(position)} must be from 0 to 1", hint)
        return None
    return share


def _whole_number(least: int, most: int = 10**15) -> Reader:
    """Make the reader of a whole number from ``least`` to ``most``."""

    def read(value: object, position: Place, check: Checker) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            problem = f"{check.label(position)} must be a whole number from {least} to {most}"
            check.mistake(position, problem)
            return None
        return value

    return read


def _read_redaction(value: object, position: Place, check: Checker) -> Redaction | None:
    chosen = check.choice(value, position, Redaction)
    return Redaction(chosen) if chosen else None


def _read_redactions(value: object, position: Place, check: Checker) -> dict[str, Redaction]:
    redactions = {}
    for name, word in check.mapping(value, position, None).items():
        if check.name(name, (*position, name)) is None:
            continue
        chosen = _read_redaction(word, (*position, name), check)
        if chosen:
            redactions[name] = chosen
    return redactions


def _read_log_source(value: object, position: Place, check: Checker) -> LogSource | None:
    readers: Mapping[str, Reader] = {
        "folder": lambda *given: _wrap(_read_name(*given), lambda text: FolderSource(folder=text)),
        "parquet": lambda *given: _wrap(
            _read_name(*given), lambda text: ParquetSource(parquet=text)
        ),
        "sql": _read_sql,
        "command": _read_command,
        "cloudevents": _read_events,
    }
    source: LogSource | None = _read_only(value, position, check, readers)
    return source


def _read_labels(value: object, position: Place, check: Checker) -> LabelSettings:
    readers: Mapping[str, Reader] = {
        "source": _read_label_source,
        "id": _read_name,
        "outcome": _read_name,
        "late_days": _whole_number(1, 3650),
    }
    return LabelSettings(**_read_fields(value, position, check, readers))


def _read_label_source(value: object, position: Place, check: Checker) -> LabelSource | None:
    readers: Mapping[str, Reader] = {
        "file": lambda *given: _wrap(_read_name(*given), lambda text: TableSource(file=text)),
        "sql": _read_sql,
        "command": _read_command,
    }
    source: LabelSource | None = _read_only(value, position, check, readers)
    return source


def _read_only(
    value: object, position: Place, check: Checker, readers: Mapping[str, Reader]
) -> Any:  # noqa: ANN401 - what the reader makes
    """Read a mapping of which exactly one key is given."""
    fields = check.mapping(value, position, readers)
    if isinstance(value, dict) and len(fields) != 1:
        hint = f"one of {', '.join(readers)}"
        check.mistake(position, f"{check.label(position)} needs exactly one key", hint)
        return None
    parsed = _read_fields(value, position, check, readers)
    return next(iter(parsed.values()), None)


def _wrap(text: str | None, make: Callable[[str], Any]) -> Any:  # noqa: ANN401 - what it makes
    return None if text is None else make(text)


def _read_name(value: object, position: Place, check: Checker) -> str | None:
    return check.name(value, position)


def _read_sql(value: object, position: Place, check: Checker) -> SqlSource | None:
    readers: Mapping[str, Reader] = {"address": _read_variable, "query": _read_query}
    parsed = _read_fields(value, position, check, readers)
    source: SqlSource | None = _complete(SqlSource, parsed, position, check, value)
    return source


def _read_events(value: object, position: Place, check: Checker) -> EventSource | None:
    readers: Mapping[str, Reader] = {"folder": _read_name, "model": _read_digest}
    parsed = _read_fields(value, position, check, readers)
    source: EventSource | None = _complete(EventSource, parsed, position, check, value)
    return source


def _complete(
    kind: type[Any], parsed: dict[str, Any], position: Place, check: Checker, value: object
) -> Any:  # noqa: ANN401 - of the kind
    """Make a record of ``kind``, all of whose fields must be given."""
    given = value if isinstance(value, dict) else {}
    for name in kind.__struct_fields__:
        if given.get(name) is None and isinstance(value, dict):
            check.mistake(position, f"{check.label(position)} needs `{name}`")
    return kind(**parsed) if len(parsed) == len(kind.__struct_fields__) else None


def _read_variable(value: object, position: Place, check: Checker) -> str | None:
    """Expect the name of an environment variable: the address itself holds a password."""
    name = check.name(value, position)
    if name is not None and not _VARIABLE.fullmatch(name):
        hint = "put the address into a variable, such as MONITOR_DATABASE, and write its name here"
        check.mistake(position, "address must be the name of an environment variable", hint)
        return None
    return name


def _read_query(value: object, position: Place, check: Checker) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_QUERY:
        problem = f"{check.label(position)} must be a text of 1 to {_LONGEST_QUERY:,} characters"
        check.mistake(position, problem)
        return None
    return value


def _read_digest(value: object, position: Place, check: Checker) -> str | None:
    name = check.name(value, position)
    if name is not None and not _DIGEST.fullmatch(name):
        hint = "`mlgitops deploy ENVIRONMENT --status` shows it"
        check.mistake(position, f"{quote(name)} is no sha256 of a model file", hint)
        return None
    return name


def _read_command(value: object, position: Place, check: Checker) -> CommandSource | None:
    is_list = isinstance(value, list) and 0 < len(value) <= _MOST_WORDS
    if not isinstance(value, list) or not is_list or not all(isinstance(it, str) for it in value):
        hint = "write each word apart, such as [python, export.py]; no shell reads it"
        check.mistake(position, f"{check.label(position)} must be a list of texts", hint)
        return None
    return CommandSource(words=tuple(value))
