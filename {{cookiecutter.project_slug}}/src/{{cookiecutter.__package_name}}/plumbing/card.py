"""Last stage: the run's own numbers → MODEL_CARD.md. No number in it is typed by hand."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import yaml

from .. import MODEL_NAME, OWNER, PROJECT_NAME
from ..params import read_params
from . import paths
from .documents import read_json
from .errors import run_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..params import Params

#: Slices with fewer rows than this are marked: their figures say little.
FEW_ROWS = 100

#: What stands in the owner's place when the project was made without one.
UNNAMED = "your-name"

PREDICTS = {
    "binary": "whether `{target}` is `{positive}`, with a probability",
    "regression": "the number `{target}`",
    "multiclass": "the class `{target}`, with a probability for each class",
}


def main() -> None:
    """Run the stage."""
    params = read_params(paths.PARAMS)
    sections = [
        render_purpose(params),
        render_data(params, read_json(paths.VALIDATION), read_json(paths.MODEL_FACTS)),
        render_model(params, read_json(paths.MODEL_FACTS)),
        render_metrics(params, read_json(paths.METRICS)),
        render_slices(list(csv.DictReader(paths.SLICES.open(encoding="utf-8", newline="")))),
        render_importance(read_json(paths.IMPORTANCE)),
        render_limits(paths.DATA_CARD.read_text(encoding="utf-8")),
        render_origin(read_json(paths.MODEL_FACTS)),
    ]
    front = render_front_matter(params, read_json(paths.METRICS))
    text = "\n\n".join([f"{front}\n# Model card: {PROJECT_NAME}", *sections]) + "\n"
    paths.MODEL_CARD.write_text(text, encoding="utf-8", newline="\n")
    print(f"{paths.MODEL_CARD}: {len(sections)} sections")


def render_front_matter(params: Params, metrics: dict[str, Any]) -> str:
    """Return what model hubs read of a card, as YAML between two lines of dashes.

    https://huggingface.co/docs/hub/model-cards#model-card-metadata
    """
    task = f"tabular-{'regression' if params.task == 'regression' else 'classification'}"
    numbers = [{"type": name, "value": value} for name, value in sorted(metrics["test"].items())]
    result = {
        "task": {"type": task},
        "dataset": {"type": MODEL_NAME, "name": f"Test rows of {PROJECT_NAME}"},
        "metrics": numbers,
    }
    front = {
        "library_name": "sklearn",
        "pipeline_tag": task,
        "tags": [task, "sklearn", "skops"],
        "model_format": "skops",
        "model_file": paths.MODEL.as_posix(),
        "model-index": [{"name": MODEL_NAME, "results": [result]}],
    }
    lines = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{lines}---\n"


def render_purpose(params: Params) -> str:
    """Return what the model is for, and who answers for it."""
    predicts = PREDICTS[params.task].format(
        target=params.data.target, positive=params.data.positive
    )
    return (
        "*Written by the card stage of the pipeline from the numbers of its own run.*\n\n"
        "## Intended use\n\n"
        f"`{MODEL_NAME}` predicts {predicts}, for rows like those described in\n"
        "[the data card](data/DATA_CARD.md) and allowed by [the contract](contract.yaml).\n"
        "It is not meant for rows from elsewhere, nor as the only reason for a decision about a "
        "person.\n\n"
        f"Owner: {name_owner(OWNER)}."
    )


def name_owner(owner: str) -> str:
    """Return who answers for the model, or where to say it when nobody was named."""
    if owner != UNNAMED:
        return owner
    package = MODEL_NAME.replace("-", "_")
    return f"**TO FILL IN**, `OWNER` in `src/{package}/__init__.py` (and `.github/CODEOWNERS`)"


def render_data(params: Params, validation: dict[str, Any], model: dict[str, Any]) -> str:
    """Return how many rows there are and how they were divided."""
    rows, trained = validation["rows"], model["train_rows"]
    how = {
        "time": f"the latest by `{params.split.column}`",
        "group": f"whole groups of `{params.split.column}`, chosen by a hash of the group",
        "hash": f"chosen by a hash of `{params.data.id or 'id'}`, so that no added row moves them",
    }[params.split.method]
    missing = validation["missing"].items()
    gaps = "; ".join(f"`{name}` {100 * count / rows:.2g} %" for name, count in missing)
    return (
        "## Data\n\n"
        f"{rows:,} rows, {trained:,} to train and {rows - trained:,} to test. The test rows are "
        f"{how}.\nMissing values: {gaps or 'none'}."
    )


def render_model(params: Params, model: dict[str, Any]) -> str:
    """Return the estimator with its settings and inputs."""
    settings = params.train.settings.items()
    listed = ", ".join(f"{name} {value}" for name, value in settings) or "defaults"
    lines = [
        "## Model",
        "",
        f"`{model['estimator']}` ({listed}) behind imputation and encoding, in one scikit-learn",
        f"pipeline of {model['bytes'] / 1e6:.2f} MB.",
        "",
        f"* Numbers: {_join(params.features.numeric)}",
        f"* Categories: {_join(params.features.categorical)}",
    ]
    if params.task == "binary":
        boundary, positive = params.train.decision_boundary, params.data.positive
        lines.append(f"* `{positive}` is predicted from a probability of {boundary} on.")
    return "\n".join(lines)


def render_metrics(params: Params, metrics: dict[str, Any]) -> str:
    """Return the metrics on the test rows."""
    rows = [(f"`{name}`", f"{value:.4f}") for name, value in sorted(metrics["test"].items())]
    note = (
        f"\n\nErrors are in the unit of `{params.data.target}`."
        if params.task == "regression"
        else ""
    )
    return f"## Metrics on the test rows\n\n{_table(('metric', 'value'), rows)}{note}"


def render_slices(slices: Sequence[dict[str, str]]) -> str:
    """Return the metrics of each slice, small ones marked."""
    if not slices:
        return "## Slices\n\nNone are named in params.yaml."
    names = [name for name in slices[0] if name not in ("column", "value", "rows")]
    rows = [
        (
            f"`{row['column']}`",
            _escape(row["value"]),
            row["rows"] + (" *" if int(row["rows"]) < FEW_ROWS else ""),
            *(f"{float(row[name]):.3f}" if row[name] else "n/a" for name in names),
        )
        for row in slices
    ]
    few = any(int(row["rows"]) < FEW_ROWS for row in slices)
    note = f"\n\n\\* fewer than {FEW_ROWS} rows: read with care." if few else ""
    return f"## Slices\n\n{_table(('column', 'value', 'rows', *names), rows)}{note}"


def render_importance(importance: dict[str, Any]) -> str:
    """Return the features by what the model loses when their values are shuffled."""
    rows = [
        (f"`{item['name']}`", f"{item['mean']:.4f}", f"{item['std']:.4f}")
        for item in importance["features"]
    ]
    return (
        "## What the model uses\n\n"
        f"Loss of `{importance['score']}` when a column's values are shuffled "
        f"({importance['repeats']} times, {importance['rows']:,} test rows).\n"
        "Columns that tell the same share their importance; none of this is cause and effect.\n\n"
        + _table(("feature", "loss", "standard deviation"), rows)
    )


def render_limits(data_card: str) -> str:
    """Return the limits that the data card names; they are limits of the model too."""
    found = re.search(r"^## Limits\n+(.*?)(?=^## |\Z)", data_card, re.MULTILINE | re.DOTALL)
    limits = found[1].strip() if found else "The data card names none."
    return f"## Limits\n\n{limits}\n* Correlations of the past: check again when the world changes."


def render_origin(model: dict[str, Any]) -> str:
    """Return how to make the model again and how to recognise it."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(model["versions"].items()))
    return (
        "## How to reproduce\n\n"
        "Check out the commit of this card, then `make setup` and `make train`. The pipeline is\n"
        "`dvc.yaml`, its knobs are `params.yaml`, and `dvc.lock` names every input and output by\n"
        f"hash.\n\nSHA-256 of the model: `{model['sha256']}`\\\nMade with {versions}."
    )


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _escape(text: str) -> str:
    """Return text from the data as a table cell that Markdown leaves alone."""
    return re.sub(r"([\\`*_{}\[\]<>#|&!~@])", r"\\\1", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    run_stage(main)
