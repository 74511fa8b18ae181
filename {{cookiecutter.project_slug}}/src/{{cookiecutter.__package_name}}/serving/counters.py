"""What a server counts for Prometheus, beside KServe's own figures: plain numbers until it is read.

Each figure has the model's sha256 as a label. Only the server's own thread counts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)

from .protocol import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .log import RequestLog

#: Upper ends, in seconds, of the time from a request that has arrived to its answer.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Upper ends of a probability.
SCORES = tuple(step / 20 for step in range(1, 21))


class Histogram:
    """How many values lie up to each of ``ends``, and above the last."""

    def __init__(self, ends: Sequence[float]) -> None:
        self._ends = ends
        self._counts = [0] * (len(ends) + 1)
        self._sum = 0.0

    def count(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._ends, value)] += 1
        self._sum += value

    def count_all(self, values: Any) -> None:  # noqa: ANN401 - an array
        """Count every value of an array."""
        bins = np.bincount(np.searchsorted(self._ends, values), minlength=len(self._counts))
        self._counts = [sum(pair) for pair in zip(self._counts, bins.tolist(), strict=True)]
        self._sum += float(values.sum())

    def make_family(self, name: str, text: str, labels: Mapping[str, str]) -> HistogramMetricFamily:
        """Return it as Prometheus reads it: counts of all values up to each end."""
        ends = [*map(str, self._ends), "+Inf"]
        buckets = [*zip(ends, accumulate(self._counts), strict=True)]
        family = HistogramMetricFamily(name, text, labels=[*labels])
        family.add_metric([*labels.values()], buckets, self._sum)
        return family


class Counters:
    """The counts of one server, which Prometheus's client collects."""

    def __init__(self, model: str, classes: Sequence[str] | None, log: RequestLog | None) -> None:
        self._labels = {"model_sha256": model}
        self._log = log
        self._classes = classes  # None: regression
        self._requests: Counter[tuple[str, int]] = Counter()
        self._refusals = Counter(dict.fromkeys(REASONS, 0))
        self._answers = Counter(dict.fromkeys(classes or [], 0))
        self._rows = 0
        self._sum = 0.0  # of the predictions, for regression
        self._seconds = Histogram(SECONDS)
        self._scores = Histogram(SCORES)

    def count_response(self, route: str, status: int, seconds: float | None) -> None:
        """Count an answer; ``seconds`` is None where no model was asked."""
        self._requests[route, status] += 1
        if seconds is not None:
            self._seconds.count(seconds)

    def count_refusal(self, reason: str) -> None:
        """Count a request that was refused for a reason of :data:`REASONS`."""
        self._refusals[reason] += 1

    def count_answers(self, answers: Mapping[str, Any]) -> None:
        """Count the rows of an answer; ``answers`` is name → array, as served."""
        predictions = answers["prediction"]
        self._rows += len(predictions)
        if self._classes is None:
            self._sum += float(predictions.sum())
            return
        self._answers.update(map(str, predictions.tolist()))
        if "score" in answers:
            self._scores.count_all(answers["score"])
        elif len(answers) > 1:
            scores = [values for name, values in answers.items() if name != "prediction"]
            self._scores.count_all(np.max(scores, axis=0))

    def collect(self) -> Iterator[Any]:
        """Return the figures as they are now."""
        requests = {(route, str(status)): n for (route, status), n in self._requests.items()}
        yield self._make_counter(
            "requests", "Requests by route and status.", ("route", "status"), requests.items()
        )
        refusals = [((reason,), count) for reason, count in self._refusals.items()]
        yield self._make_counter("refusals", "Requests refused.", ("reason",), refusals)
        yield self._make_counter("rows", "Rows answered.", (), [((), self._rows)])
        text = "Seconds from a request that has arrived to its answer."
        yield self._seconds.make_family("mlgitops_request_seconds", text, self._labels)
        yield from self._collect_answers()
        if self._log is not None:
            yield from self._collect_log(self._log)

    def _collect_answers(self) -> Iterator[Any]:
        if self._classes is None:
            family = SummaryMetricFamily(
                "mlgitops_prediction", "Predicted values.", labels=[*self._labels]
            )
            family.add_metric([*self._labels.values()], self._rows, self._sum)
            yield family
            return
        answers = [((name,), self._answers[name]) for name in self._classes]
        yield self._make_counter("predictions", "Rows by predicted class.", ("answer",), answers)
        text = "Probability of the positive class; of the predicted one among several."
        yield self._scores.make_family("mlgitops_score", text, self._labels)

    def _collect_log(self, log: RequestLog) -> Iterator[Any]:
        yield self._make_counter("log_records", "Records logged.", (), [((), log.records)])
        dropped = [((reason,), count) for reason, count in log.dropped.items()]
        yield self._make_counter("log_dropped", "Records dropped.", ("reason",), dropped)
        yield self._make_counter("log_bytes", "Bytes logged.", (), [((), log.bytes)])
        if log.last is not None:
            last = GaugeMetricFamily(
                "mlgitops_log_last_record_timestamp_seconds",
                "When the last record was logged.",
                labels=[*self._labels],
            )
            last.add_metric([*self._labels.values()], log.last)
            yield last

    def _make_counter(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        counts: Iterable[tuple[Sequence[str], int]],
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(f"mlgitops_{name}", text, labels=[*self._labels, *labels])
        for values, count in counts:
            family.add_metric([*self._labels.values(), *values], count)
        return family
