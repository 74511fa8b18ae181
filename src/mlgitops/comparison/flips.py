"""The test rows on which base and head differ, and whether they may be shown. No report has them.

Reads both sides' predictions again, only where somebody asks for the rows. They hold ids and
values of the data, so a page, or the log of a workflow, has them only where the data card at base
says that test rows may be shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.comparison.pairing import Pairing
from mlgitops.comparison.prediction_files import PredictionFiles
from mlgitops.comparison.revisions import read_policy
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.comparison.staleness import find_stale
from mlgitops.errors import MlgitopsError
from mlgitops.model import Policy

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.model import Side
    from mlgitops.model.flips import Flips

#: Where a data card may stand in a project.
CARDS = ("data/DATA_CARD.md", "DATA_CARD.md")
#: A line that says what may be shown: of the card's table, or on its own.
_ANSWER = re.compile(
    r"^[ \t]*(?:\|[ \t]*may be shown[ \t]*\||may be shown:)"
    r"[ \t]*(?P<answer>.*?)[ \t]*\|?[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
#: What a card only quotes, or hides from its readers.
_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|^ {0,3}(?P<fence>```|~~~).*?(?:^ {0,3}(?P=fence)|\Z)",
    re.DOTALL | re.MULTILINE,
)
_MOST_COLUMNS = 6


def list_flips(
    folder: Folder,
    base: Side,
    head: Side,
    *,
    worktree: bool,
    policy_path: str,
    most: int,
    console: Console,
) -> Flips:
    """List the rows that flipped between two sides, at most ``most`` of each direction.

    Raises :class:`MlgitopsError` when a side has no predictions, or none that can be compared.
    """
    base_side = SideFiles(name="base", sha=base.sha, folder=folder)
    head_side = SideFiles(name="head", sha=None if worktree else head.sha, folder=folder)
    policy, _ = read_policy(base_side, head_side, policy_path)
    if not isinstance(policy, Policy) or policy.files.predictions is None:
        hint = "name the file: `files: {predictions: reports/predictions.csv}`"
        raise MlgitopsError("the policy names no predictions to list rows of", hint=hint)
    read_sides(base_side, head_side, console)
    stale = find_stale(head_side, base_side)
    path = policy.files.predictions
    files = PredictionFiles(path, base_side, head_side, console, stale=stale, rescored=None)
    return _find_in(files, policy, most)


def _find_in(files: PredictionFiles, policy: Policy, most: int) -> Flips:
    pair = Pairing(files).pair
    from mlgitops.statistics.estimate import Undefined
    from mlgitops.statistics.flips import find_flips

    named = [name for rule in policy.slices for name in rule.by]
    named += [policy.cluster] if policy.cluster is not None else []
    columns = [name for name in dict.fromkeys(named) if name in pair.columns]
    try:
        return find_flips(pair, columns or list(pair.columns)[:_MOST_COLUMNS], most)
    except Undefined as reason:
        raise MlgitopsError(f"no row can be said to have flipped: {reason}") from None


def may_show_rows(folder: Folder, base: Side) -> bool:
    """Tell whether the data card at base says that test rows may be shown.

    Where cards, or lines of one, say more than one thing, all of them must permit it.
    """
    cards = (folder.read(base.sha, path) for path in CARDS)
    texts = [card.decode("utf-8", "replace") for card in cards if card is not None]
    return set().union(*map(list_answers, texts)) == {"test rows"}


def list_answers(card: str) -> set[str]:
    """List what a data card says that may be shown.

    >>> list_answers("| may be shown | test rows |"), list_answers("| may be shown | nothing |")
    ({'test rows'}, {'nothing'})
    """
    return {line["answer"].lower() for line in _ANSWER.finditer(_HIDDEN.sub("", card))}
