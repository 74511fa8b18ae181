"""What a promotion changes for users, in two sentences for each environment. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.model import TestData
from mlgitops.render.rows import promotion_rows
from mlgitops.render.sentence import describe_row

if TYPE_CHECKING:
    from mlgitops.model import Promotion, Report

_MOST_ROWS = 3
_BACK = (
    "a way back to a model that was wanted there before: its numbers are shown, and not held"
    " against the limits"
)


def describe_promotions(report: Report) -> list[str]:
    """Say of each environment which model it shall serve, and what that changes for its users."""
    lines = []
    for promotion in report.promotions:
        lines.append(_describe_move(promotion))
        if promotion.reason is None:
            lines.append(_describe_change(report, promotion))
    return lines


def promotion_notices(report: Report) -> list[str]:
    """Say what the values of promotions rest on, where that is not what was stored."""
    notices = []
    for promotion in report.promotions:
        rescoring = promotion.rescoring
        if rescoring is not None:
            rows = f"{rescoring.rows:,} test rows" if rescoring.rows is not None else "test data"
            notices.append(
                f"What `{promotion.environment}` serves now was measured anew by base's code, on"
                f" the {rows} of the model that is promoted."
            )
    return notices


def _describe_move(promotion: Promotion) -> str:
    before = f"`{promotion.base.label}`" if promotion.base else "nothing yet"
    after = f"`{promotion.head.label}`" if promotion.head else "a model that cannot be named"
    end = f", {_BACK}" if promotion.is_return else ""
    return f"`{promotion.environment}`: {before} → {after}{end}."


def _describe_change(report: Report, promotion: Promotion) -> str:
    rows = promotion_rows(report, promotion.environment)
    suffix = f" in {promotion.environment}"
    texts = [
        f"`{row.name.removesuffix(suffix)}` {describe_row(msgspec.structs.replace(row, limits=()))}"
        for row in rows[:_MOST_ROWS]
    ]
    more = len(rows) - len(texts)
    texts += [f"{more} more below"] if more > 0 else []
    if promotion.untouched:
        texts.append("nothing that a model is made of differs, so no answer changes")
    if promotion.answers:
        share = (promotion.changed_answers or 0) / promotion.answers
        texts.append(f"{share:.2%} of the answers change, on {promotion.answers:,} test rows")
    likeness = {
        TestData.SAME: "on the same test rows",
        TestData.CHANGED: "both on the test rows of the new one",
        TestData.UNKNOWN: "" if promotion.base is None else "on test rows that are not named",
    }[promotion.rows]
    begin = f"For its users, {likeness}: " if likeness else "For its users: "
    return f"{begin}{'; '.join(texts)}."
