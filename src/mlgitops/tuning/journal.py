"""The trials of one shard, in a journal that a kill at any moment leaves readable.

It is optuna's: lines of JSON, each on the disk before the next step. Whoever writes it holds a lock
that dies with the process, so that a kill leaves none behind.
"""

from __future__ import annotations

import fcntl
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import Choices, ShardResult
from mlgitops.writing import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optuna.distributions import BaseDistribution
    from optuna.storages import JournalStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Running

    from mlgitops.model.tuning import Choice, Fold, NumberRange, Shard, TuneSettings
    from mlgitops.tuning.inputs import Inputs

#: Where the journals stand, in the project.
FOLDER = ".mlgitops/tune"
_NAME = "mlgitops"
_MAX_BYTES = 2**28
_SHORT = 12
_LONGEST_PROBLEM = 500
_DIGITS = 4


def locate_journal(project: Path, inputs: Inputs, shard: Shard) -> Path:
    """Return the file of a shard's journal: other inputs have another."""
    name = f"{inputs.digest[:_SHORT]}-{shard.number}-of-{shard.count}.jsonl"
    return project / FOLDER / name


@contextmanager
def hold_journal(project: Path, path: Path) -> Iterator[None]:
    """Hold ``path`` alone while the block runs, without the half line that a kill left.

    Raises :class:`MlgitopsError` where another process holds it.
    """
    refuse_links(project, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or end it: what it measured is kept"
            raise MlgitopsError(
                "another search is writing this", where=str(path), hint=hint
            ) from None
        file.seek(0)
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
        yield


class Journal:
    """A shard's trials: each begun before it is measured, and told once."""

    def __init__(self, path: Path, inputs: Inputs, shard: Shard) -> None:
        """Open the journal at ``path``, which :func:`hold_journal` holds, or begin it."""
        from optuna import create_study

        self._inputs = inputs
        self._shard = shard
        self._study = create_study(
            study_name=_NAME,
            storage=_open_storage(path),
            direction="maximize" if inputs.greater_is_better else "minimize",
            load_if_exists=True,
        )
        self._trial: Running | None = None
        if "inputs" not in self._study.user_attrs:
            self._study.set_user_attr("shard", [shard.number, shard.count])
            self._study.set_user_attr("inputs", inputs.digest)
        elif self._study.user_attrs["inputs"] != inputs.digest:
            raise MlgitopsError("it is of other inputs", where=str(path), hint="move it away")

    @property
    def current(self) -> list[float] | None:
        """Return the scores of params.yaml as it is; None until they are measured."""
        scores: list[float] | None = self._study.user_attrs.get("current")
        return scores

    @property
    def seconds(self) -> float:
        """Return the time that was spent on what it holds."""
        return float(self._study.user_attrs.get("seconds", 0.0))

    def spend(self, seconds: float) -> None:
        """Count time that was spent, whatever came of it."""
        self._study.set_user_attr("seconds", round(self.seconds + seconds, 3))

    def tell_current(self, scores: list[float], folds: tuple[Fold, ...]) -> None:
        """Write what params.yaml as it is scores, and how the rows were cut."""
        self._study.set_user_attr("folds", [[fold.train, fold.test] for fold in folds])
        self._study.set_user_attr("current", scores)

    def count_told(self) -> int:
        """Count the trials that were told, with scores or with a problem."""
        return len(_list_told(self._study))

    def begin(self) -> dict[str, Choice]:
        """Begin the next trial and return the values to measure.

        One that was begun and never told is given up, and its values come again: those of the
        nth trial follow from the seed, the shard and the n - 1 trials that were told before.
        """
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
        seed = _choose_seed(self._inputs.settings.seed, self._shard, self.count_told() + 1)
        self._study.sampler = TPESampler(seed=seed)
        self._trial = self._study.ask(_list_distributions(self._inputs.settings))
        values = _round_values(self._trial.params, self._inputs.settings)
        self._trial.set_user_attr("values", values)
        return values

    def tell(self, scores: list[float]) -> None:
        """Write what the trial that was begun scores on each fold."""
        trial = self._take_trial()
        trial.set_user_attr("scores", scores)
        self._study.tell(trial, sum(scores) / len(scores))

    def give_up(self, problem: str) -> None:
        """Write why the trial that was begun has no scores."""
        from optuna.trial import TrialState

        trial = self._take_trial()
        trial.set_user_attr("problem", problem[:_LONGEST_PROBLEM])
        self._study.tell(trial, state=TrialState.FAIL)

    def _take_trial(self) -> Running:
        trial, self._trial = self._trial, None
        if trial is None:
            raise ValueError("no trial was begun")
        return trial


def read_journal(path: Path) -> ShardResult:
    """Read what a journal holds, which may be anybody's file.

    Raises :class:`MlgitopsError` for what is no journal of ours, or holds no scores of params.yaml.
    """
    from optuna import load_study

    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise MlgitopsError("there is no such journal, or it is too large", where=str(path))
    try:
        document = _read_document(load_study(study_name=_NAME, storage=_open_storage(path)))
        result = msgspec.convert(document, ShardResult)
    except Exception as error:
        hint = f"`mlgitops tune` writes them to {FOLDER}, and a scored params.yaml comes first"
        raise MlgitopsError("this is no journal of a search", where=str(path), hint=hint) from error
    return result


def _read_document(study: Study) -> dict[str, object]:
    """Return what the journal says, unchecked."""
    attributes = study.user_attrs
    number, count = attributes["shard"]
    trials = [
        {"shard": number, "number": at, **trial.user_attrs}
        for at, trial in enumerate(_list_told(study), start=1)
    ]
    return {
        "inputs": attributes["inputs"],
        "shard": {"number": number, "count": count},
        "folds": [{"train": train, "test": test} for train, test in attributes["folds"]],
        "current": attributes["current"],
        "trials": trials,
    }


def _open_storage(path: Path) -> JournalStorage:
    from optuna import logging
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class HeldLock(JournalFileOpenLock):
        """Nothing to do: `hold_journal` holds the file, or it is only read."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    logging.set_verbosity(logging.WARNING)
    return JournalStorage(JournalFileBackend(str(path), HeldLock(str(path))))


def _list_told(study: Study) -> list[FrozenTrial]:
    """List the trials that ended by themselves, in their order."""
    from optuna.trial import TrialState

    ends = {TrialState.COMPLETE: "scores", TrialState.FAIL: "problem"}
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if ends.get(trial.state) in trial.user_attrs]


def _choose_seed(seed: int, shard: Shard, number: int) -> int:
    """Choose the seed of a trial: no two of a search have the same."""
    text = f"{seed}:{shard.number}-of-{shard.count}:{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _list_distributions(settings: TuneSettings) -> dict[str, BaseDistribution]:
    return {path: _make_distribution(entry) for path, entry in settings.space.items()}


def _make_distribution(entry: NumberRange | Choices) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(entry, Choices):
        return CategoricalDistribution(entry.choices)
    if entry.is_whole:
        return IntDistribution(int(entry.low), int(entry.high), log=entry.log)
    return FloatDistribution(entry.low, entry.high, log=entry.log)


def _round_values(values: dict[str, Choice], settings: TuneSettings) -> dict[str, Choice]:
    """Round numbers to what a person would write into params.yaml, within their range."""
    rounded = {}
    for path, value in values.items():
        entry = settings.space[path]
        if isinstance(entry, Choices) or entry.is_whole or not isinstance(value, float):
            rounded[path] = value
        else:
            rounded[path] = min(max(float(f"{value:.{_DIGITS}g}"), entry.low), entry.high)
    return rounded
