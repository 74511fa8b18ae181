"""Where facts are kept: on the branch `monitoring`, or in a folder; a file a month and environment.

The facts of a day are replaced as a whole, as its labels come; those of other days stay. A machine
that has fewer of a day's rows or labels than its facts rest on replaces nothing of that day. Reads
and writes git, or disk.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from mlgitops.environments import locked
from mlgitops.git.branch_files import BranchFiles
from mlgitops.model.monitoring import OF_FILES, encode_facts, parse_facts, sort_key
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from mlgitops.model.monitoring import DayFact

BRANCH = "monitoring"
_FILE = re.compile(r"\d{4}-\d\d\.jsonl")
_EXPLANATION = b"""\
# What production saw

One folder for each environment, one file for each month, one line for each figure of a day.
`mlgitops monitor` replaces the lines of a day as its labels come. They hold counts and sums: no id,
and no value of a column but for those that contract.yaml lists.
This branch shares no history with the code: do not merge it.
"""


class FactStore(Protocol):
    """Facts of the environments of a project."""

    def read(self, environment: str) -> tuple[DayFact, ...]:
        """Return all facts, sorted; raises :class:`MlgitopsError` for a file that nobody wrote."""

    def replace(self, environment: str, days: Collection[str], facts: Iterable[DayFact]) -> None:
        """Put ``facts``, all of ``days``, in the place of what is kept of those days.

        Not on days that :func:`find_poorer_days` names: what is kept of these stays.
        """


class BranchStore:
    """Facts on the branch; ``prefix`` is the project's folder, empty or with a slash."""

    def __init__(self, root: Path, prefix: str) -> None:
        self._files = BranchFiles(root, BRANCH, _EXPLANATION)
        self._prefix = prefix
        self._read: dict[tuple[str | None, str], dict[str, tuple[DayFact, ...]]] = {}

    def read(self, environment: str) -> tuple[DayFact, ...]:
        """Return all facts of an environment, as origin has them."""
        tip = self._files.find_tip()
        contents = self._read_months(tip, environment)
        return tuple(fact for facts in contents.values() for fact in facts)

    def replace(self, environment: str, days: Collection[str], facts: Iterable[DayFact]) -> None:
        """Replace the facts of ``days``; where nothing differs there is no commit."""
        new = list(facts)

        def make(tip: str | None) -> Mapping[str, bytes]:
            return merge_months(self._read_months(tip, environment), days, new)

        def locate(tip: str | None) -> Mapping[str, bytes]:
            folder = self._folder(environment)
            return {f"{folder}/{name}": data for name, data in make(tip).items()}

        count = "1 day" if len(days) == 1 else f"{len(days)} days"
        self._files.change(locate, f"{self._folder(environment)}: facts of {count}")

    def _folder(self, environment: str) -> str:
        return f"{self._prefix}{environment}"

    def _read_months(self, tip: str | None, environment: str) -> dict[str, tuple[DayFact, ...]]:
        """Return the facts by file; a commit's are parsed once, though a look asks twice."""
        if (tip, environment) not in self._read:
            self._read = {(tip, environment): self._parse_months(tip, environment)}
        return self._read[tip, environment]

    def _parse_months(self, tip: str | None, environment: str) -> dict[str, tuple[DayFact, ...]]:
        paths = self._files.list_folder(tip, self._folder(environment))
        named = {path.rpartition("/")[2]: path for path in paths}
        return {
            name: parse_facts(self._files.read(tip or "", path), f"{path} on branch {BRANCH}")
            for name, path in sorted(named.items())
            if _FILE.fullmatch(name)
        }


class FolderStore:
    """Facts in a folder, for whoever wants no branch."""

    def __init__(self, folder: Path) -> None:
        self._root = folder

    def read(self, environment: str) -> tuple[DayFact, ...]:
        """Return all facts of an environment."""
        months = self._read_months(environment)
        return tuple(fact for facts in months.values() for fact in facts)

    def replace(self, environment: str, days: Collection[str], facts: Iterable[DayFact]) -> None:
        """Replace the facts of ``days``, each file in one step; others wait meanwhile."""
        new = list(facts)
        with locked(self._root / ".lock"):
            changed = merge_months(self._read_months(environment), days, new)
            for name, data in sorted(changed.items()):
                replace_file(self._root / environment / name, data, root=self._root, durable=True)

    def _read_months(self, environment: str) -> dict[str, tuple[DayFact, ...]]:
        paths = sorted((self._root / environment).glob("*.jsonl"))
        return {
            path.name: parse_facts(path.read_bytes(), str(path))
            for path in paths
            if _FILE.fullmatch(path.name)
        }


def merge_months(
    months: Mapping[str, tuple[DayFact, ...]], days: Collection[str], facts: Iterable[DayFact]
) -> dict[str, bytes]:
    """Return the files, name and content, that differ once the facts of ``days`` are replaced."""
    facts = list(facts)
    poorer = find_poorer_days(chain.from_iterable(months.values()), facts)
    replaced = set(days) - poorer
    kept: dict[str, list[DayFact]] = defaultdict(list)
    touched = {f"{day[:7]}.jsonl" for day in days}
    for name, old in months.items():
        if name not in touched and not any(fact.day in replaced for fact in old):
            continue  # it stays as it is, and is not encoded
        kept[name] += keep_facts(old, replaced, facts)
    for fact in drop_poorer(facts, poorer):
        kept[f"{fact.day[:7]}.jsonl"].append(fact)
    encoded = {name: encode_facts(content) for name, content in kept.items()}
    before = {name: encode_facts(months[name]) for name in kept if name in months}
    return {name: data for name, data in encoded.items() if data != before.get(name)}


def find_poorer_days(kept: Iterable[DayFact], new: Iterable[DayFact]) -> set[str]:
    """Return the days of which ``new`` has fewer rows or labels of a model than ``kept``.

    Labels stand on one machine, and a file of the log may be damaged or gone: what such a machine
    measures is no correction. Rows that repeat an id are not counted.
    """
    new = list(new)
    before, after = _count_rows(kept), _count_rows(new)
    measured = {fact.day for fact in new}
    return {key[0] for key, count in before.items() if key[0] in measured and after[key] < count}


def drop_poorer(new: Iterable[DayFact], poorer: Collection[str]) -> list[DayFact]:
    """Return what is put in: of poorer days only what their files hold that nobody can use."""
    return [fact for fact in new if fact.day not in poorer or fact.name in OF_FILES]


def keep_facts(
    kept: Iterable[DayFact], replaced: Collection[str], new: Iterable[DayFact]
) -> list[DayFact]:
    """Return what stays of ``kept`` where days are replaced and ``new`` is put in."""
    again = {sort_key(fact) for fact in new if fact.name in OF_FILES}
    return [fact for fact in kept if fact.day not in replaced and sort_key(fact) not in again]


def _count_rows(facts: Iterable[DayFact]) -> Counter[tuple[str, str, str]]:
    """Return how many different rows, and how many labels, each day and model has."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for fact in facts:
        if fact.name in {"rows", "labels"}:
            counts[fact.day, fact.model, fact.name] += int(fact.numerator)
        elif fact.name == "repeated":
            counts[fact.day, fact.model, "rows"] -= int(fact.numerator)
    return counts
