"""The code under test: as it is, or with one line weakened (`tests/mutants/ledger.toml`)."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.delivery.loop import decision, reconcile
from scripts.mutants import CATALOGUE, ROOT, Mutant, parse_entry, read_area

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.delivery.loop.reconcile import Run
    from mlgitops.model.ledger import LedgerEntry

DECISION = "src/mlgitops/delivery/loop/decision.py"
LOOP = "src/mlgitops/delivery/loop/reconcile.py"


class Rules(NamedTuple):
    """What decides: the loop around `decide`, and what writes an entry."""

    make_run: Callable[..., Run]
    make_entry: Callable[..., LedgerEntry | None]


RULES = Rules(reconcile.Run, decision.make_entry)


def list_mutants() -> list[Mutant]:
    """List the weakenings of the decision and of the loop."""
    entries = read_area(ROOT / CATALOGUE / "ledger.toml")
    mutants = [parse_entry("ledger", entry) for entry in entries]
    return [mutant for mutant in mutants if mutant.file in (DECISION, LOOP)]


def weaken(mutant: Mutant) -> Rules:
    """Return the rules with one line changed; the modules themselves stay as they are."""
    weak_decision = _load("weak_decision", DECISION, mutant)
    weak_loop = _load("weak_loop", LOOP, mutant)
    for name in ("decide", "find_condemnation", "find_effective", "find_target"):
        setattr(weak_loop, name, getattr(weak_decision, name))
    return Rules(weak_loop.Run, weak_decision.make_entry)


def _load(name: str, file: str, mutant: Mutant) -> ModuleType:
    text = (ROOT / file).read_text("utf-8")
    if mutant.file == file:
        text = mutant.apply(text)
    module = sys.modules[name] = ModuleType(name)  # dataclasses look their module up
    exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - our own file
    return module
