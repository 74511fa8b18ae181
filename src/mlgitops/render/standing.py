"""What a trained model reaches, and whether the policy would pass: the end of `train`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import Verdict
from mlgitops.render.escape import clean_text
from mlgitops.render.numbers import DASH, choose_decimals, render_number
from mlgitops.render.rows import limit_texts
from mlgitops.render.terminal_table import TerminalTable, lay_out, wrap_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import Judgement, Policy
    from mlgitops.model.standing import Standing

_MOST_FAILURES = 10
_MARK = "  ✗ "
_ANSWERS = {
    Verdict.PASS: "would pass",
    Verdict.WAIVED: "would pass",
    Verdict.FAIL: "would fail",
    Verdict.UNDECIDED: "could not decide",
    Verdict.SKIP: "judges nothing",
}


def render_standing(standings: Sequence[Standing], policy: Policy, width: int) -> list[str]:
    """Return the lines of the judged metrics, at most ``width`` columns each; none for none."""
    if not standings:
        return []
    rows = [_cells(standing, policy) for standing in standings]
    head = (f"on {standings[0].rows:,} test rows", "model", "interval", "constant", "policy")
    layout = lay_out(TerminalTable(head=head, rows=rows, wraps=frozenset({4})), width)
    lines = [*layout.head, *(line for row in layout.rows for line in row)]
    return [*lines, *wrap_text(_explain(standings, policy), width)]


def render_judgement(judgement: Judgement | None, base: str | None, width: int) -> list[str]:
    """Return whether the policy would pass against ``base``, and what fails.

    The lines have at most ``width`` columns each.

    Without a base there is no model yet to compare with, and its margins were not asked for.
    """
    verdict = judgement.verdict if judgement else Verdict.SKIP
    against = f"against {clean_text(base)}" if base else "its bounds: there is no model before it"
    against = "" if verdict is Verdict.SKIP else f" ({against})"
    failures = judgement.failures if judgement else ()
    more = len(failures) - _MOST_FAILURES
    shown = (clean_text(failure, limit=500) for failure in failures[:_MOST_FAILURES])
    return [
        *wrap_text(f"policy: {_ANSWERS[verdict]}{against}", width),
        *(line for failure in shown for line in _wrap_failure(failure, width)),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def _wrap_failure(failure: str, width: int) -> list[str]:
    """Break a failure into lines of which the first alone is marked."""
    first, *rest = wrap_text(failure, max(width - len(_MARK), 1))
    return [f"{_MARK}{first}", *(f"{' ' * len(_MARK)}{line}" for line in rest)]


def _cells(standing: Standing, policy: Policy) -> list[str]:
    rule = policy.metrics[standing.metric]
    limits = [limit for limit in (rule.min_value, rule.max_value) if limit is not None]
    decimals = choose_decimals(
        standing.constant,
        standing.value,
        half_width=(standing.high - standing.low) / 2,
        apart_from=tuple(limits),
    )
    ends = (render_number(end, decimals) for end in (standing.low, standing.high))
    return [
        clean_text(standing.metric),
        render_number(standing.value, decimals),
        " to ".join(ends),
        render_number(standing.constant, decimals),
        "; ".join(limit_texts(rule)) or DASH,
    ]


def _explain(standings: Sequence[Standing], policy: Policy) -> str:
    """Say what the intervals and the constant are."""
    count = len(standings)
    level = f"{standings[0].confidence * 100:.4g}%"
    together = (
        f" each: {count} metrics share the policy's {policy.confidence * 100:.4g}%"
        if count > 1
        else ""
    )
    units = f"values of {clean_text(policy.cluster)}" if policy.cluster else "rows"
    return (
        f"interval: {level}{together}; it counts {units}. constant: the best answer that is the"
        f" same for every row.{_name_unbeaten(standings, policy)}"
    )


def _name_unbeaten(standings: Sequence[Standing], policy: Policy) -> str:
    """Name the metrics in which the model is no better than a constant answer."""
    names = []
    for standing in standings:
        sign = 1 if policy.metrics[standing.metric].greater_is_better else -1
        if standing.constant is not None and sign * (standing.value - standing.constant) <= 0:
            names.append(clean_text(standing.metric))
    return f" Not better than that: {', '.join(names)}." if names else ""
