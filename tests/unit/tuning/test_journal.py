"""Journals that somebody else wrote: what is no search of ours is refused, without a traceback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from unit.tuning.test_results import FOLDS, INPUTS

from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import Shard
from mlgitops.tuning.journal import Journal, hold_journal, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a journal with two trials, one of which could not be measured."""
    folder = tmp_path_factory.mktemp("project")
    path = folder / "journal.jsonl"
    with hold_journal(folder, path):
        journal = Journal(path, INPUTS, Shard())
        journal.tell_current([0.7] * 5, FOLDS)
        journal.begin()
        journal.tell([0.8] * 5)
        journal.begin()
        journal.give_up("it does not fit")
    return path.read_bytes()


def read(tmp_path: Path, data: bytes) -> tuple[int, int]:
    """Return how many trials a file holds, and how many of them have scores."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data)
    trials = read_journal(path).trials
    return len(trials), sum(trial.scores is not None for trial in trials)


def test_a_journal_is_read_as_it_was_written(written: bytes, tmp_path: Path) -> None:
    """Also with half a line behind it, which the next run of its shard takes away."""
    assert read(tmp_path, written) == (2, 1)
    assert read(tmp_path, written + b'{"op_code": 4, "wor') == (2, 1)


def change(pattern: str, text: str) -> Callable[[bytes], bytes]:
    """Make what replaces the first match of a pattern."""
    return lambda data: re.sub(pattern, text, data.decode(), count=1).encode()


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"root:x:0:0\n" * 9,
    "null": lambda _: b"null\n",
    "lists": lambda _: b"[[[[]]]]\n",
    "deep": lambda _: b"[" * 100_000 + b"\n",
    "bytes": lambda data: data + bytes(range(256)) + b"\n" + data,
    "an unknown step": lambda data: data + b'{"op_code": 99, "worker_id": "a"}\n',
    "a step without its fields": lambda data: data + b'{"op_code": 5, "worker_id": "a"}\n',
    "scores of text": change(r'"scores":\[0\.8,', '"scores":["0.8",'),
    "scores without end": change(r'"scores":\[0\.8,', '"scores":[1e999,'),
    "one score": change(r'"scores":\[0\.8.*?\]', '"scores":[0.8]'),
    "a word more": change(r'"scores":', '"scorn":1,"scores":'),
    "inputs that are no digest": change(r'"inputs":"\w+"', '"inputs":"../../etc"'),
    "a shard of three": change(r'"shard":\[1,1\]', '"shard":[1,1,1]'),
    "no shard": change(r'"shard":\[1,1\]', '"shard":[0,0]'),
    "folds without rows": change(r'"folds":\[\[80,20\]', '"folds":[[0,-20]'),
    "values of another kind": change(r'"values":\{"train', '"values":{"x":[1],"train'),
    "params.yaml unmeasured": change(r'"current":', '"currant":'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_journal_of_ours_is_refused(case: str, written: bytes, tmp_path: Path) -> None:
    """The message names the file; nothing of it is taken."""
    with pytest.raises(MlgitopsError, match="no journal of a search") as caught:
        read(tmp_path, HOSTILE[case](written))
    assert caught.value.where == str(tmp_path / "journal.jsonl")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nothing is made in its place."""
    with pytest.raises(MlgitopsError, match="no such journal"):
        read_journal(tmp_path / "none.jsonl")
    assert list(tmp_path.iterdir()) == []
