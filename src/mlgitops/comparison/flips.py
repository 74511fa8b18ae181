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
#: The line that lets test rows be shown: of the card's table, or on its own.
_PERMISSION = re.compile(
    r"^[ \t]*(?:\|[ \t]*may be shown[ \t]*\|[ \t]*test rows[ \t]*\||may be shown: test rows)"
    r"[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
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

    >>> bool(_PERMISSION.search("| may be shown | test rows |"))
    True
    >>> bool(_PERMISSION.search("| may be shown | nothing |"))
    False
    """
    cards = (folder.read(base.sha, path) for path in CARDS)
    texts = (card.decode("utf-8", "replace") for card in cards if card is not None)
    return any(_PERMISSION.search(text) for text in texts)
