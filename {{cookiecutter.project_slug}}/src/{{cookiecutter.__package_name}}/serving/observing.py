"""What a server notes of each request once it is answered or refused: counts, and the log.

The rows of the golden prediction are a check of whoever deploys, not traffic: of them only the
answer's status is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .protocol import TOO_LARGE, make_request_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .counters import Counters
    from .log import RequestLog
    from .protocol import BadRequestError, Rows

_TOO_LARGE_STATUS = 413
#: Routes whose answers are predictions, and whose requests are logged.
_ANSWERING = ("infer", "predict")


class Observer:
    """Counts and logs what one server does."""

    def __init__(
        self,
        counters: Counters,
        log: RequestLog | None,
        *,
        inputs: Collection[str],
        routes: Mapping[str, str],  # path → name of the route
        golden: Mapping[str, list[Any]] | None = None,  # columns of the golden prediction
    ) -> None:
        self._counters = counters
        self._log = log
        self._inputs = inputs
        self._routes = routes
        self._golden = golden

    def note_answer(self, rows: Rows, answers: Mapping[str, Any]) -> None:
        """Note the rows of a request, and name → array, what they were answered with."""
        if rows.columns == self._golden:
            return
        self._counters.count_answers(answers)
        if self._log is not None:
            self._log.write_answers(rows.request_id, rows.ids, rows.columns, answers)

    def note_refusal(self, refusal: BadRequestError, rows: Rows | None) -> None:
        """Note a refusal; ``rows`` is None where the request could not be read."""
        self._refuse(
            refusal.reason,
            request_id=rows.request_id if rows else None,
            column=refusal.column if refusal.column in self._inputs else None,
            rows=rows.count() if rows else None,
        )

    def note_response(self, path: str, status: int, seconds: float) -> None:
        """Note that an answer left: which status, after how many seconds."""
        route = self._routes.get(path, "other")
        self._counters.count_response(route, status, seconds if route in _ANSWERING else None)
        if status == _TOO_LARGE_STATUS and route in _ANSWERING:
            self._refuse(TOO_LARGE)

    def _refuse(
        self,
        reason: str,
        *,
        request_id: str | None = None,
        column: str | None = None,
        rows: int | None = None,
    ) -> None:
        self._counters.count_refusal(reason)
        if self._log is not None:
            self._log.write_refusal(request_id or make_request_id(), reason, column, rows)
