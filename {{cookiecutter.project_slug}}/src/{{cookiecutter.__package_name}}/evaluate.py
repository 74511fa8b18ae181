"""Fifth stage: model and data/split/test.{{ cookiecutter._data_format }} → metrics, predictions, slices, curves, golden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .contract import find_text_columns, read_columns
from .metrics import measure, measure_slices
from .params import read_params
from .plumbing import paths
from .plumbing.curves import trace_curves
from .plumbing.documents import write_json
from .plumbing.errors import run_stage
from .plumbing.golden import make_golden, make_rows, pick_rows
from .plumbing.storing import read_model, read_trusted_types
from .plumbing.tables import read_table, write_table
from .scoring import score_table

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def main() -> None:
    """Run the stage."""
    params = read_params(paths.PARAMS)
    columns = read_columns(paths.CONTRACT)
    table = read_table(paths.TEST, find_text_columns(columns))
    model = read_model(paths.MODEL, read_trusted_types(paths.TRUSTED_TYPES))
    predictions = score_table(model, table, params)
    metrics = measure(predictions, params.task)
    write_table(predictions, paths.PREDICTIONS)
    write_json({"test": metrics, "model": measure_model(model)}, paths.METRICS)
    write_table(measure_slices(predictions, params.task, params.evaluate.slices), paths.SLICES)
    for name, curve in trace_curves(predictions, params.task).items():
        write_table(curve, paths.PLOTS / f"{name}.csv")
    real = params.evaluate.golden == "real"
    rows = pick_rows(model, table) if real else make_rows(model, columns)
    write_json(make_golden(model, rows), paths.GOLDEN)
    print("  ".join(f"{name} {value:.4f}" for name, value in metrics.items()))


def measure_model(model: Pipeline) -> dict[str, Any]:
    """Return the size of the model's file in megabytes (10^6 bytes) and its input columns."""
    size = paths.MODEL.stat().st_size
    return {"size_mb": round(size / 1e6, 4), "features": len(model.feature_names_in_)}


if __name__ == "__main__":
    run_stage(main)
