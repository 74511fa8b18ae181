"""Champion against challenger on rows that neither learned from: paired, with a day as a cluster.

Both answer the rows by the code of the default branch. Runs that code; reads disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.retraining.report import MetricPair
from mlgitops.retraining.table import read_rows, write_rows
from mlgitops.statistics.names import names_other_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from mlgitops.model import Policy
    from mlgitops.retraining.stages import ProjectCode
    from mlgitops.tables.predictions import Predictions

WINDOW = "data/window.csv"
_DAY = "day of the request"  # no column of a table is called so


def write_window(code: ProjectCode, positions: Collection[int]) -> Path:
    """Write those rows of the table that the contract was held against last; return the file."""
    header, *rows = code.table.read_interim(code.folder)
    path = code.folder / WINDOW
    write_rows(path, header, (row for at, row in enumerate(rows) if at in positions))
    return path


def compare_models(
    code: ProjectCode, window: Path, days: Sequence[str], models: tuple[Path, Path], policy: Policy
) -> tuple[MetricPair, ...]:
    """Compare champion and challenger in the metrics of the policy; ``days``: of each row."""
    from mlgitops.statistics.compare import estimate_metrics, read_together
    from mlgitops.statistics.estimate import Estimate
    from mlgitops.statistics.matching import match_predictions

    base, head = (
        _predict(code, model, window, days, name)
        for model, name in zip(models, ("champion", "challenger"), strict=True)
    )
    pair = match_predictions(base, head)
    names = [name for name in policy.metrics if not names_other_rows(name)]
    results = estimate_metrics(pair, names, _DAY)
    evidence = read_together(pair, results, policy.confidence)

    def list_pairs() -> Iterator[MetricPair]:
        for name in names:
            result, interval = results[name], evidence[name].interval
            values = result.values if isinstance(result, Estimate) else (None, None)
            yield MetricPair(
                name=name,
                greater_is_better=policy.metrics[name].greater_is_better,
                champion=values[0],
                challenger=values[1],
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                confidence=interval.confidence if interval else None,
                reason=evidence[name].reason,
            )

    return tuple(list_pairs())


def _predict(
    code: ProjectCode, model: Path, window: Path, days: Sequence[str], name: str
) -> Predictions:
    """Let a model answer the window; return its predictions with the day of each row."""
    from mlgitops.tables.predictions import read_predictions

    output = code.folder / f"{name}.csv"
    code.score(model, window, output)
    header, *rows = read_rows(output)
    write_rows(output, [*header, _DAY], ([*row, day] for row, day in zip(rows, days, strict=True)))
    return read_predictions(output, where=f"the {name}'s answers")
