"""The loop of one shard: trial after trial until the number or the time is used up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.tuning.inputs import check_rows, find_difference, read_disk
from mlgitops.tuning.journal import Journal, hold_journal, locate_journal
from mlgitops.tuning.scorer import LOG_FILE, Scorer, TimeIsUpError, TrialError

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.model.tuning import Choice, Shard
    from mlgitops.tuning.inputs import Inputs

_MINUTE = 60.0
#: Trials one after the other that may have no scores before the search says that it is no use.
_MOST_PROBLEMS = 5


def search(project: Path, inputs: Inputs, shard: Shard, console: Console) -> Path:
    """Measure the trials of a shard, and return its journal.

    What a journal of the same inputs holds is kept: a search that was ended goes on. Raises
    :class:`MlgitopsError` when params.yaml as it is cannot be measured, or no trial can.
    """
    check_rows(project, inputs)
    path = locate_journal(project, inputs, shard)
    with (
        hold_journal(project, path),
        Scorer(project, inputs.package, inputs.settings.folds) as scorer,
    ):
        _Search(inputs, shard, Journal(path, inputs, shard), scorer, console).run()
    return path


def check_unchanged(project: Path, inputs: Inputs) -> None:
    """Raise :class:`MlgitopsError` where the project on disk is not what ``inputs`` says any more.

    A process that starts meanwhile reads what stands there then, and so do a cluster's nodes.
    """
    differing = find_difference(inputs, read_disk(project))
    if differing is not None:
        raise MlgitopsError(
            "it was edited while trials were measured, and the last one may be of either",
            where=differing,
            hint="put it back to go on: what was measured is kept; as it is now it is another"
            " search, best in a checkout of its own",
        )
    check_rows(project, inputs)


def count_trials(trials: int, shard: Shard) -> int:
    """Return how many of the trials a shard measures; those of all shards are all.

    >>> from mlgitops.model.tuning import Shard
    >>> [count_trials(10, Shard(number=number, count=4)) for number in (1, 2, 3, 4)]
    [3, 3, 2, 2]
    """
    return trials // shard.count + (shard.number <= trials % shard.count)


class _Search:
    """One run of the loop."""

    def __init__(
        self, inputs: Inputs, shard: Shard, journal: Journal, scorer: Scorer, console: Console
    ) -> None:
        self._inputs = inputs
        self._journal = journal
        self._scorer = scorer
        self._console = console
        self._trials = count_trials(inputs.settings.trials, shard)
        self._best: float | None = None
        self._problems = 0

    def run(self) -> None:
        if self._journal.count_told():
            self._console.say(f"  {self._journal.count_told()} trials are in the journal already")
        if self._journal.current is None and not self._measure_current():
            hint = "give it more `minutes` in tune.yaml"
            raise MlgitopsError("the time ended before params.yaml was measured", hint=hint)
        while self._journal.count_told() < self._trials:
            if self._left() <= 0 or not self._try_next():
                minutes, count = self._inputs.settings.minutes, self._journal.count_told()
                self._console.warn(
                    f"the {minutes:g} minutes of tune.yaml are over after {count} of "
                    f"{self._trials} trials"
                )
                return

    def _left(self) -> float:
        """Return the seconds that the budget has left."""
        return self._inputs.settings.minutes * _MINUTE - self._journal.seconds

    def _measure(self, values: dict[str, Choice]) -> list[float]:
        """Return the score of each fold; raises also where the project was edited meanwhile."""
        try:
            return self._scorer.measure(values, self._inputs.measured, self._left())
        finally:
            check_unchanged(self._scorer.project, self._inputs)

    def _measure_current(self) -> bool:
        """Measure params.yaml as it is; tell whether the time sufficed."""
        start = time.monotonic()
        try:
            with self._console.step("params.yaml as it is"):
                scores = self._measure({})
        except TimeIsUpError:
            return False
        except TrialError as error:
            problem = f"params.yaml as it is cannot be measured: {error}"
            raise MlgitopsError(problem, where=LOG_FILE) from error
        self._journal.spend(time.monotonic() - start)
        self._journal.tell_current(scores, self._scorer.folds)
        return True

    def _try_next(self) -> bool:
        """Measure one trial; tell whether the time sufficed."""
        number, values = self._journal.count_told() + 1, self._journal.begin()
        start = time.monotonic()
        try:
            scores = self._measure(values)
        except TimeIsUpError:
            self._journal.spend(time.monotonic() - start)
            return False
        except TrialError as error:
            self._journal.spend(time.monotonic() - start)
            self._journal.give_up(str(error))
            self._count_problem(number, str(error))
            return True
        seconds = time.monotonic() - start
        self._journal.spend(seconds)
        self._journal.tell(scores)
        self._say(number, scores, seconds)
        return True

    def _count_problem(self, number: int, problem: str) -> None:
        self._problems += 1
        self._console.warn(f"trial {number} of {self._trials} has no scores: {problem}")
        if self._problems >= _MOST_PROBLEMS:
            raise MlgitopsError(
                f"{self._problems} trials one after the other have no scores; the last: {problem}",
                where=LOG_FILE,
                hint="what `space` of tune.yaml names must fit the estimator of params.yaml",
            )

    def _say(self, number: int, scores: list[float], seconds: float) -> None:
        mean = sum(scores) / len(scores)
        sign = 1 if self._inputs.greater_is_better else -1
        if self._best is None or sign * mean > sign * self._best:
            self._best = mean
        self._problems = 0
        self._console.say(
            f"  trial {number} of {self._trials}  {self._inputs.metric} {mean:.6g}"
            f"  best {self._best:.6g}  {seconds:.1f} s"
        )
