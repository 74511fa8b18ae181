"""Set base and head side by side: the same test rows, matched by id. Pure.

A row that cannot be paired (its id is missing on one side, stands twice, or carries another
target) takes no part in the comparison; it is counted, and the count is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.cells import align_columns
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.labels import code_labels
from mlgitops.statistics.ranking import rank_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlgitops.statistics.labels import Coded
    from mlgitops.statistics.ranking import Ranking
    from mlgitops.tables.predictions import Column, Predictions

    Rows = NDArray[np.intp]
    Words = NDArray[np.uint64]

_WORD = 8  # bytes of the words that texts are hashed by


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Base and head on the matched rows, in base's order.

    What metrics, slices and charts share (classes as codes, one sort per model) is made when it
    is first asked for, and kept.
    """

    target: Column
    base: Column  # predictions
    head: Column
    base_scores: Mapping[str, NDArray[np.float64]]  # class → score
    head_scores: Mapping[str, NDArray[np.float64]]
    columns: Mapping[str, Column]  # base's, else head's: to cluster by
    notices: tuple[str, ...] = ()  # what was left out, one sentence each
    lost: int = 0  # rows of base, each with an id of its own, that have no partner at head
    gained: int = 0  # the same of head
    id: Column | None = None  # base's

    @property
    def rows(self) -> int:
        """Return the number of matched rows."""
        return int(self.target.shape[0])

    @cached_property
    def coded(self) -> Coded:
        """Return the classes as codes; raises Undefined when these are no classes."""
        return code_labels(self.target, self.base, self.head)

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """Return which rows are of the positive class, the last of two; raises Undefined."""
        if len(self.coded.labels) != 2:  # noqa: PLR2004 - negative and positive
            count = len(self.coded.labels)
            raise Undefined(f"a single score needs two classes and there are {count}")
        return np.asarray(self.coded.target == 1)

    @cached_property
    def rankings(self) -> tuple[Ranking, Ranking]:
        """Return the rows ranked by base's and by head's single score, which are finite."""
        base, head = self.base_scores[""], self.head_scores[""]
        return rank_scores(base, self.positive), rank_scores(head, self.positive)


def match_predictions(base: Predictions, head: Predictions) -> Pair:
    """Pair the rows of base and head by id, and say what could not be paired.

    Where both sides have a column to cluster by, base's is taken: the change under review
    does not choose the clusters it is judged by.
    """
    base_keys, head_keys = _as_keys(base.id, head.id)
    base_rows, base_twice = _find_single(base_keys)
    head_rows, head_twice = (
        (base_rows, base_twice) if head_keys is base_keys else _find_single(head_keys)
    )
    base_rows, head_rows, base_only, head_only = _join(base_keys, head_keys, base_rows, head_rows)
    base_target, head_target = base.target[base_rows], head.target[head_rows]
    same = _equal(base_target, head_target)
    other = int(same.size - np.count_nonzero(same))
    if other:
        base_rows, head_rows = _take(base_rows, same), _take(head_rows, same)
        base_target = base_target[same]
    return Pair(
        target=base_target,
        base=base.prediction[base_rows],
        head=head.prediction[head_rows],
        base_scores={name: score[base_rows] for name, score in base.scores.items()},
        head_scores={name: score[head_rows] for name, score in head.scores.items()},
        columns={
            **{name: column[head_rows] for name, column in head.columns.items()},
            **{name: column[base_rows] for name, column in base.columns.items()},
        },
        notices=_tell(base_twice, head_twice, base_only, head_only, other),
        lost=base.rows - base_twice - len(base_target),
        gained=head.rows - head_twice - len(base_target),
        id=base.id[base_rows],
    )


def _tell(
    base_twice: int, head_twice: int, base_only: int, head_only: int, other: int
) -> tuple[str, ...]:
    """Say what was left out."""
    counts = (
        (base_twice, "whose id stands more than once at base"),
        (head_twice, "whose id stands more than once at head"),
        (base_only, "found only at base"),
        (head_only, "found only at head"),
        (other, "with another target at base than at head"),
    )
    return tuple(
        f"{count:,} test row{'s' * (count != 1)} {which} {'are' if count != 1 else 'is'} left out"
        " of the comparison."
        for count, which in counts
        if count
    )


def _as_keys(base: Column, head: Column) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return whole numbers that are equal exactly where the ids are."""
    if _is_whole(base) and _is_whole(head):
        return base.astype(np.int64), head.astype(np.int64)
    base, head = _as_texts(base, head)
    width = -(-max(base.itemsize, head.itemsize) // _WORD) * _WORD
    base_words, head_words = _split_words(base, width), _split_words(head, width)
    same = np.array_equal(base_words, head_words)
    base_keys = _hash_words(base_words)
    head_keys = base_keys if same else _hash_words(head_words)
    words = base_words if same else np.concatenate([base_words, head_words])
    if _is_faithful(words, base_keys if same else np.concatenate([base_keys, head_keys])):
        return base_keys, head_keys
    _, codes = np.unique(words, axis=0, return_inverse=True)
    return codes[: len(base)], codes[len(codes) - len(head) :]


def _is_whole(ids: Column) -> bool:
    """Tell whether ids are whole numbers that are kept apart in 64 bits."""
    return ids.dtype.kind == "i" or (
        ids.dtype.kind == "u" and bool(ids.size == 0 or ids.max() <= np.iinfo(np.int64).max)
    )


def _as_texts(base: Column, head: Column) -> tuple[Column, Column]:
    """Return ids as texts that are equal where the ids are."""
    base_ids, head_ids = align_columns((base, head))
    return tuple(
        column if column.dtype.kind == "S" else align_columns((column, np.array([b""])))[0]
        for column in (base_ids, head_ids)
    )  # type: ignore[return-value]


def hash_texts(texts: Column) -> NDArray[np.int64]:
    """Return a number for each text; equal texts have equal numbers, others nearly never.

    Of texts of at most 8 bytes, never.
    """
    return _hash_words(_split_words(texts, -(-texts.itemsize // _WORD) * _WORD))


def _split_words(texts: Column, width: int) -> Words:
    """Return each text's 8-byte words, one row for each text."""
    padded = np.ascontiguousarray(texts.astype(f"S{width}", copy=False))
    return padded.view("<u8").reshape(len(texts), width // _WORD)


def _hash_words(words: Words) -> NDArray[np.int64]:
    """Mix each row's words into one (multiply and fold, as in FNV).

    Each step can be undone, so that single words stay apart.
    """
    mixed = words[:, 0] ^ np.uint64(0xCBF29CE484222325)
    for column in range(words.shape[1]):
        if column:
            mixed ^= words[:, column]
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed.view(np.int64)


def _is_faithful(words: Words, keys: NDArray[np.int64]) -> bool:
    """Tell whether equal keys stand for equal texts throughout."""
    if words.shape[1] == 1:
        return True
    if not _has_twins(keys):
        return True
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    twins = np.flatnonzero(sorted_keys[1:] == sorted_keys[:-1])
    return bool(np.array_equal(words[order[twins]], words[order[twins + 1]]))


def _has_twins(keys: NDArray[np.int64]) -> bool:
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


def _find_single(keys: NDArray[np.int64]) -> tuple[Rows | slice, int]:
    """Return the rows whose key stands once, and how many rows do not."""
    if np.all(keys[1:] > keys[:-1]):
        return slice(None), 0
    ordered = np.sort(keys)
    twins = ordered[1:] == ordered[:-1]
    if not twins.any():
        return slice(None), 0
    rows = np.flatnonzero(~np.isin(keys, ordered[1:][twins]))
    return rows, len(keys) - len(rows)


def _join(
    base_keys: NDArray[np.int64],
    head_keys: NDArray[np.int64],
    base_rows: Rows | slice,
    head_rows: Rows | slice,
) -> tuple[Rows | slice, Rows | slice, int, int]:
    """Return the rows of each side that share a key, in base's order, and who is alone."""
    base_single, head_single = base_keys[base_rows], head_keys[head_rows]
    if head_keys is base_keys or np.array_equal(base_single, head_single):
        return base_rows, head_rows, 0, 0
    _, at_base, at_head = np.intersect1d(
        base_single, head_single, assume_unique=True, return_indices=True
    )
    order = np.argsort(at_base)
    at_base, at_head = at_base[order], at_head[order]
    # An id that stands twice on one side is counted there, not as missing here.
    base_only = np.count_nonzero(~np.isin(base_single, head_keys))
    head_only = np.count_nonzero(~np.isin(head_single, base_keys))
    return (
        _take(base_rows, at_base),
        _take(head_rows, at_head),
        int(base_only),
        int(head_only),
    )


def _take(rows: Rows | slice, selection: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
    """Select from rows, where a slice stands for all."""
    every = np.flatnonzero(selection) if selection.dtype == bool else selection
    return every.astype(np.intp, copy=False) if isinstance(rows, slice) else rows[every]


def _equal(column: Column, other: Column) -> NDArray[np.bool_]:
    """Compare targets; NaN equals NaN here, so that it is told as what it is."""
    column, other = align_columns((column, other))
    same = np.asarray(column == other, dtype=bool)
    if column.dtype.kind == "f" and other.dtype.kind == "f":
        same |= np.isnan(column) & np.isnan(other)
    return same
