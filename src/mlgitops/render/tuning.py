"""A search to Markdown for its pull request, and to lines of a terminal. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.render.blocks import count_hidden, render_count, render_table
from mlgitops.render.escape import clean_text, escape_code
from mlgitops.render.mermaid import compose_diagram, plain_label
from mlgitops.render.numbers import choose_decimals, render_delta, render_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.model.tuning import Choice, Trial, Tuning

_MOST_ROWS, _MOST_LINES, _MOST_POINTS = 40, 8, 20
_COLOURS = {"best": "#4493f8", "now": "#d4a72c"}
_AIR = 0.1


def write_title(tuning: Tuning, winner: Trial) -> str:
    """Write the title of the pull request that proposes ``winner``: what changes, and its gain.

    The gain is the one beyond the luck of the best of many; without one the title says so.
    """
    changed = sum(value != tuning.current_values[path] for path, value in winner.values.items())
    gain = tuning.gain
    if gain is None or not gain.is_real:
        said = "no better beyond the folds' noise"
    else:
        number = render_number(gain.honest, _choose(tuning))
        said = f"{number} better on folds of the training rows"
    return f"Tune {render_count(changed, 'value')} of params.yaml: {said}"


def render_tuning(tuning: Tuning) -> str:
    """Render what was tried, what is best, and what is not proven by it."""
    winner = tuning.winner
    if winner is None:
        return "No trial has scores."
    parts = [
        _render_changes(tuning, winner.values),
        " ".join(explain_gain(tuning)),
        (
            f"Each number is the mean over {_describe_folds(tuning)}. The test rows played no part:"
            " the verdict on this pull request opens them. If no check starts here, which is so"
            " when a workflow's own token opened it, close it and open it again."
        ),
        _render_chart(tuning),
        _render_trials(tuning),
    ]
    return "\n\n".join(part for part in parts if part)


def describe_tuning(tuning: Tuning) -> list[str]:
    """Describe the same in lines of plain text, the best trials first."""
    winner, decimals = tuning.winner, _choose(tuning)
    name = clean_text(tuning.metric)
    lines = [f"{name}, mean over {_describe_folds(tuning)}", ""]
    now = render_number(_mean(tuning.current_scores), decimals)
    lines.append(f"  {now}  params.yaml as it is: {_write_values(tuning.current_values)}")
    for trial in _rank(tuning)[:_MOST_LINES]:
        mean = render_number(_mean(trial.scores or ()), decimals)
        lines.append(f"  {mean}  trial {_name(trial, tuning)}: {_write_values(trial.values)}")
    hidden = count_hidden(max(len(_rank(tuning)) - _MOST_LINES, 0), "trial")
    lines += [f"  {hidden}"] if hidden else []
    return [*lines, "", *(explain_gain(tuning) if winner else ["No trial has scores."])]


def explain_gain(tuning: Tuning) -> list[str]:
    """Say what the best trial gains, and what of that is beyond noise, in sentences."""
    gain = tuning.gain
    if gain is None:
        return []
    decimals = _choose(tuning)
    best, honest, least = (
        render_delta(value, decimals) for value in (gain.best, gain.honest, gain.least)
    )
    level = f"{100 * gain.confidence:.0f} %"
    sentences = [
        f"The best trial is {best} better than params.yaml as it is, and it was chosen for that.",
        (
            f"Where each fold judges what is best on the others, the gain is {honest}, with {level}"
            f" confidence at least {least}."
        ),
    ]
    if not gain.is_real:
        sentences.append("That is within the folds' noise.")
    if tuning.missing_shards:
        numbers = ", ".join(map(str, tuning.missing_shards))
        sentences.append(f"Of {tuning.shards} shards these gave no journal: {numbers}.")
    return sentences


def _render_changes(tuning: Tuning, values: Mapping[str, Choice]) -> str:
    rows = [
        (escape_code(path, cell=True), _cell(tuning.current_values[path]), _cell(value))
        for path, value in sorted(values.items())
        if value != tuning.current_values[path]
    ]
    return render_table(("params.yaml", "now", "proposed"), rows) if rows else ""


def _render_trials(tuning: Tuning) -> str:
    """Lay out the trials, the best first, below params.yaml as it is."""
    ranked, decimals = _rank(tuning), _choose(tuning)
    paths = sorted(tuning.current_values)
    head = ["trial", *(escape_code(path, cell=True) for path in paths)]
    head += [escape_code(tuning.metric, cell=True), "worst fold", "best fold"]
    entries = [("now", tuning.current_values, tuning.current_scores)]
    entries += [(_name(trial, tuning), trial.values, trial.scores or ()) for trial in ranked]
    rows = [
        [name, *(_cell(values[path]) for path in paths), *_spread(scores, tuning, decimals)]
        for name, values, scores in entries[: _MOST_ROWS + 1]
    ]
    right = range(len(paths) + 1, len(paths) + 4)
    notes = [
        count_hidden(max(len(ranked) - _MOST_ROWS, 0), "trial"),
        _count_failed(len(tuning.trials) - len(ranked)),
    ]
    table = render_table(head, rows, right=right)
    title = f"<summary>{render_count(len(tuning.trials), 'trial')}</summary>"
    text = "\n\n".join(part for part in (table, *notes) if part)
    return f"<details>{title}\n\n{text}\n\n</details>"


def _count_failed(count: int) -> str:
    return f"{render_count(count, 'trial')} could not be measured." if count else ""


def _render_chart(tuning: Tuning) -> str:
    """Draw the best mean so far, trial by trial, and that of params.yaml as it is."""
    better = max if tuning.greater_is_better else min
    best: list[float] = []
    for trial in tuning.trials:
        mean = _mean(trial.scores) if trial.scores else None
        before = best[-1] if best else None
        values = [value for value in (before, mean) if value is not None]
        if values:
            best.append(better(values))
    if len(best) < 2:  # noqa: PLR2004 - no line
        return ""
    ends = sorted({round(at * (len(best) - 1) / (_MOST_POINTS - 1)) for at in range(_MOST_POINTS)})
    now = _mean(tuning.current_scores)
    lines = {"best": [best[at] for at in ends], "now": [now] * len(ends)}
    every = [value for line in lines.values() for value in line]
    air = (max(every) - min(every)) * _AIR or max(abs(now), 1.0) * _AIR
    diagram = compose_diagram(
        {name: ("line", _COLOURS[name], line) for name, line in lines.items()},
        [str(at + 1) for at in ends],
        x_label="trials measured",
        y_label=plain_label(tuning.metric, 60),
        reach=(min(every) - air, max(every) + air),
    )
    legend = "<sub>Blue: the best so far. Yellow: params.yaml as it is.</sub>"
    return f"```mermaid\n{diagram}```\n\n{legend}"


def _rank(tuning: Tuning) -> list[Trial]:
    """List the trials that have scores, the best first, of equals the earlier."""
    sign = -1 if tuning.greater_is_better else 1
    scored = [trial for trial in tuning.trials if trial.scores is not None]
    return sorted(scored, key=lambda trial: sign * _mean(trial.scores or ()))


def _describe_folds(tuning: Tuning) -> str:
    rows = sum(fold.test for fold in tuning.folds)
    return f"{len(tuning.folds)} folds of the training rows, {rows:,} of them asked about"


def _name(trial: Trial, tuning: Tuning) -> str:
    return f"{trial.shard}.{trial.number}" if tuning.shards > 1 else str(trial.number)


def _spread(scores: Sequence[float], tuning: Tuning, decimals: int) -> list[str]:
    low, high = min(scores), max(scores)
    ends = (low, high) if tuning.greater_is_better else (high, low)
    return [render_number(value, decimals) for value in (_mean(scores), *ends)]


def _choose(tuning: Tuning) -> int:
    """Choose decimals that show the difference between the best trial and now."""
    now = _mean(tuning.current_scores)
    best = now + (tuning.gain.best if tuning.gain else 0.0)
    return choose_decimals(now, best)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _write_values(values: Mapping[str, Choice]) -> str:
    return clean_text(
        ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in sorted(values.items()))
    )


def _cell(value: Choice) -> str:
    return escape_code(str(value).lower() if isinstance(value, bool) else str(value), cell=True)
