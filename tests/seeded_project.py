"""A project whose sides are trained with five seeds, measured in the job of base's code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluated_project import EVALUATE, POLICY, STAGES, EvaluatedProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evaluated_project import Run

SEEDS = ("1", "2", "3", "4")
#: The model of a seed is a threshold; 50 makes no mistake, and each step away costs one row in 100.
TRAIN = """\
import json, os
os.makedirs("model/seeds", exist_ok=True)
model = {{"kind": "threshold", "rounds": 1, "thresholds": [{0}, {0}]}}
json.dump(model, open("model/{1}.json", "w"))
"""
BASE = dict(zip(SEEDS, (49, 51, 48, 52), strict=True))
GITIGNORE = "/data/*.csv\n/data/*.pkl\n/model/\n/reports/predictions.csv\n/reports/seeds/\n"


def write_stages(served: int, seeds: dict[str, int]) -> dict[str, str]:
    """Write what trains and scores each model."""
    files = {"train.py": TRAIN.format(served, "model")}
    for seed, threshold in seeds.items():
        files[f"train_{seed}.py"] = TRAIN.format(threshold, f"seeds/{seed}")
        files[f"score_{seed}.py"] = (
            "import os\nos.makedirs('reports/seeds', exist_ok=True)\n"
            + (
                EVALUATE.replace("model/model.json", f"model/seeds/{seed}.json")
                .replace("reports/predictions.csv", f"reports/seeds/{seed}.csv")
                .partition("right = ")[0]
            )
        )
    return files


def list_stages() -> dict[str, object]:
    """Return the stages of a served model and of those that other seeds made."""
    stages: dict[str, object] = dict(STAGES)
    for seed in SEEDS:
        model, file = f"model/seeds/{seed}.json", f"reports/seeds/{seed}.csv"
        stages[f"train_{seed}"] = ((f"train_{seed}.py", "data/train.csv"), (model,), ())
        deps = (f"score_{seed}.py", model, "data/test.csv", "trusted_types.txt")
        stages[f"score_{seed}"] = (deps, (file,), ())
    return stages


def make_project(folder: Path) -> EvaluatedProject:
    """Make origin, with five models at base."""
    policy = POLICY.replace("files: {", "files: {seeds: reports/seeds, ")
    return EvaluatedProject(
        folder,
        policy=policy,
        files={".gitignore": GITIGNORE, **write_stages(50, BASE)},
        stages=list_stages(),
    )


def train_as(served: int, seeds: dict[str, int]) -> Callable[[Run], None]:
    """Return a change of what trains."""

    def change(run: Run) -> None:
        for path, text in write_stages(served, seeds).items():
            run.write(path, text)

    return change
