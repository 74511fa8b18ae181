"""Tables that `dvc import` brought from a repository of features: their pins, and its contract.

The features' contract.yaml is imported beside the table. Whoever makes the table promises what
stands there; what the project's own contract.yaml demands beyond it is named, before a row of
the next version breaks it.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, TypeAlias

from mlgitops.dvc.hashes import hash_bytes
from mlgitops.dvc.pointers import HIDDEN, name_repository
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.render.escape import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.git.repository import Folder
    from mlgitops.model import ImportSource

CONTRACT, PARAMETERS = "contract.yaml", "params.yaml"
_MADE_ID = "id"  # that the ingest stage makes where params.yaml names none
#: What a column's block says that is no check of its values.
_NO_CHECKS = {"dtype", "nullable", "unique", "coerce", "required", "checks", "title", "description"}
_NO_CHECKS |= {"metadata", "regex", "drop_invalid_rows", "report_duplicates", "default"}
_LONGEST = 80  # characters of a check that are shown

Column: TypeAlias = "Mapping[str, Any]"


def check_pins(pipeline: Pipeline) -> Iterator[MlgitopsError]:
    """Refuse imports that name no commit, and addresses that give a secret away."""
    for path, source in sorted(pipeline.imports.items()):
        where = f"{path}.dvc"
        if source is None:
            hint = f"`dvc update {where}` pins it; `rev_lock` names the commit"
            yield MlgitopsError("it is imported, and pinned to no commit", where=where, hint=hint)
        elif HIDDEN in source.repository:
            hint = "take it out, make it void, and let git ask its credential helper"
            problem = "the address of its repository holds a password or a token"
            yield MlgitopsError(problem, where=where, hint=hint)


def check_imported_contract(
    folder: Folder, pipeline: Pipeline
) -> tuple[list[MlgitopsError], list[MlgitopsError]]:
    """Hold contract.yaml against each one that was imported beside a table: mistakes, warnings.

    A mistake is what no row of the table can keep; a warning is a rule that is stricter here.
    """
    mistakes: list[MlgitopsError] = []
    warnings: list[MlgitopsError] = []
    for path, source in sorted(pipeline.imports.items()):
        inside = f"{path}/{CONTRACT}"  # of a folder that was imported whole
        if source is not None and pipeline.pointers[path].hash.endswith(".dir"):
            data = folder.read(None, inside)
            broken, stricter = _compare_files(folder, data, inside) if data else ([], [])
            mistakes += broken
            warnings += stricter
        if source is None or posixpath.basename(path) != CONTRACT:
            continue
        mistakes += _check_commits(path, source, pipeline)
        data = folder.read(None, path)
        if data is None:
            hint = f"`dvc pull {path}.dvc`"
            problem = "the imported contract is not here, so it was not compared"
            warnings.append(MlgitopsError(problem, where=path, hint=hint))
        elif f"md5:{hash_bytes(data)}" != pipeline.pointers[path].hash:
            hint = f"`dvc checkout {path}.dvc`"
            problem = "this is not the contract that was imported"
            mistakes.append(MlgitopsError(problem, where=path, hint=hint))
        else:
            broken, stricter = _compare_files(folder, data, path)
            mistakes += broken
            warnings += stricter
    return mistakes, warnings


def _check_commits(path: str, source: ImportSource, pipeline: Pipeline) -> Iterator[MlgitopsError]:
    """Refuse a table beside the contract ``path`` that is of another commit of the same source."""
    for other, table in sorted(pipeline.imports.items()):
        beside = posixpath.dirname(other) == posixpath.dirname(path)
        same = table and name_repository(table.repository) == name_repository(source.repository)
        if table is None or not beside or not same:
            continue
        if table.commit != source.commit:
            problem = f"it is of {table.commit[:12]}, and its contract of {source.commit[:12]}"
            hint = f"`dvc update {other}.dvc {path}.dvc`: both move together"
            yield MlgitopsError(problem, where=f"{other}.dvc", hint=hint)


def _compare_files(
    folder: Folder, data: bytes, path: str
) -> tuple[list[MlgitopsError], list[MlgitopsError]]:
    try:
        theirs = _read_mapping(data, path)
        ours = _read_mapping(folder.read(None, CONTRACT) or b"", CONTRACT)
        params = _read_mapping(folder.read(None, PARAMETERS) or b"", PARAMETERS)
    except MlgitopsError as error:
        return [error], []
    named = params.get("data")
    added = set() if isinstance(named, dict) and named.get("id") else {_MADE_ID}
    mistakes = [MlgitopsError(text, where=CONTRACT) for text in _list_broken(ours, theirs, added)]
    warnings = [MlgitopsError(text, where=CONTRACT) for text in _list_stricter(ours, theirs)]
    return mistakes, warnings


def _read_mapping(data: bytes, where: str) -> dict[str, Any]:
    document = parse_yaml(data, where)
    return document if isinstance(document, dict) else {}


def _list_broken(ours: Column, theirs: Column, added: set[str]) -> Iterator[str]:
    """Say which columns the imported table cannot have as contract.yaml demands them.

    ``added``: columns that the pipeline makes. Those that an ingest rule reads or makes are left
    out: what the cells are after it is not in the features' contract.
    """
    own, promised = _read_columns(ours), _read_columns(theirs)
    ruled = _read_rules(ours)
    for name, column in own.items():
        absent = name not in promised and name not in added and name not in ruled
        if absent and column.get("required") is not False:
            yield f"the column `{_show(name)}` is not in the imported contract"
    if ours.get("strict") is True:
        for name in sorted(promised.keys() - own.keys()):
            yield (
                f"the imported table has a column `{_show(name)}`, and `strict: true` here"
                " refuses what is not listed"
            )


def _list_stricter(ours: Column, theirs: Column) -> Iterator[str]:
    """Say which rules the imported contract does not promise to keep.

    Another type is one of them: a CSV file has none, and `0` is a number and a text there.
    """
    promised, ruled = _read_columns(theirs), _read_rules(ours)
    yield from _list_of_table(ours, theirs)
    for name, column in _read_columns(ours).items():
        if name not in promised or name in ruled:
            continue
        other = promised[name]
        kinds = _read_kind(column), _read_kind(other)
        if kinds[0] != kinds[1]:
            here, there = map(_show, kinds)
            yield f"`{_show(name)}` is {here} here, and {there} in the imported contract"
        if other.get("required") is False and column.get("required") is not False:
            yield f"`{_show(name)}` may be left out by the imported contract, and not here"
        if other.get("nullable") is True and column.get("nullable") is not True:
            yield f"`{_show(name)}` may be missing in the imported contract, and not here"
        if column.get("unique") is True and other.get("unique") is not True:
            yield f"`{_show(name)}` must be unique here, and need not in the imported contract"
        kept = _read_checks(other)
        for check, limits in _read_checks(column).items():
            if not _is_within(check, kept.get(check), limits):
                there = _show(kept[check]) if check in kept else "nothing"
                yield (
                    f"`{_show(name)}`: {_show(check)} {_show(limits)} here, and {there} in the"
                    " imported contract: what it may bring next can be refused"
                )


def _list_of_table(ours: Column, theirs: Column) -> Iterator[str]:
    """Say which rules about all rows together the imported contract does not promise to keep."""
    promised, ruled = _read_columns(theirs), _read_rules(ours)
    kept_limits = _read_block(theirs, "missing")
    for name, limit in _read_block(ours, "missing").items():
        other = promised.get(name)
        if name in ruled or other is None or other.get("nullable") is not True:
            continue
        if not _is_at_most(kept_limits.get(name), limit):
            yield (
                f"`{_show(name)}` may be missing in at most {_show(limit)} of the rows here, and in"
                f" {_show(kept_limits.get(name, 'any of them'))} in the imported contract"
            )
    if ours.get("unique") and ours.get("unique") != theirs.get("unique"):
        listed = _show(ours["unique"])
        yield f"rows must be unique in {listed} here, and need not in the imported contract"


def _read_columns(contract: Column) -> dict[str, Column]:
    columns = contract.get("columns")
    listed = columns.items() if isinstance(columns, dict) else ()
    return {name: block if isinstance(block, dict) else {} for name, block in listed}


def _read_rules(contract: Column) -> set[str]:
    return set(_read_block(contract, "ingest"))


def _read_block(contract: Column, name: str) -> dict[str, Any]:
    """Return column → what a block of the metadata says of it."""
    metadata = contract.get("metadata")
    block = metadata.get(name) if isinstance(metadata, dict) else None
    return block if isinstance(block, dict) else {}


def _read_kind(column: Column) -> str:
    """Return a column's type; `string` and `object` are other names of `str`."""
    kind = str(column.get("dtype"))
    return "str" if kind.startswith(("str", "object")) else kind


def _read_checks(column: Column) -> dict[str, Any]:
    """Return check → its limits, in both forms of pandera: in the block, or below `checks`."""
    below = column.get("checks")
    checks = dict(below) if isinstance(below, dict) else {}
    return checks | {name: limits for name, limits in column.items() if name not in _NO_CHECKS}


def _is_at_most(theirs: Any, ours: Any) -> bool:  # noqa: ANN401 - of a contract
    """Tell whether both are numbers and the first is no larger."""
    numbers = isinstance(theirs, int | float) and isinstance(ours, int | float)
    return numbers and theirs <= ours


def _is_within(check: str, theirs: Any, ours: Any) -> bool:  # noqa: ANN401 - of any check
    """Tell whether what keeps the check ``theirs`` keeps ``ours``; False where we cannot tell."""
    if theirs == ours:
        return True
    if check == "isin" and isinstance(theirs, list) and isinstance(ours, list):
        return all(value in ours for value in theirs)
    if check != "in_range":
        return False
    inner, outer = _read_range(theirs), _read_range(ours)
    return inner is not None and outer is not None and outer[0] <= inner[0] <= inner[1] <= outer[1]


def _read_range(limits: Any) -> tuple[float, float] | None:  # noqa: ANN401 - of a check
    """Read the bounds of `in_range`; None where they are no numbers, or there are more options."""
    if not isinstance(limits, dict) or limits.keys() != {"min_value", "max_value"}:
        return None
    low, high = limits["min_value"], limits["max_value"]
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return (float(low), float(high)) if numbers else None


def _show(value: object) -> str:
    return clean_text(str(value), limit=_LONGEST)
