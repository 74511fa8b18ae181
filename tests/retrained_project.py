"""A project in production whose world changed: a log, labels, facts, real git and real DVC.

Its code is a few lines in place of the template's, with the same modules and files: ingest,
validate and scoring, of a model that counts what came true in ten ranges of a temperature.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import TYPE_CHECKING

from git_project import commit, git, write_files
from integration.setup_project import quiet, write_config

from mlgitops.cli import run
from mlgitops.project.training import run_pipeline
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FIRST, DAYS, ROWS = dt.date(2026, 8, 31), 84, 20  # twelve weeks, to a Sunday
LAST = FIRST + dt.timedelta(days=DAYS - 1)
POLICY = """\
version: 1
metrics:
  test.brier: {greater_is_better: false, max_value: 0.2}
"""
PARAMS = """\
task: binary
data: {target: late, positive: 1, id: flight}
features: {numeric: [temp], categorical: [origin]}
split: {method: time, column: day}
"""
CONTRACT = """\
columns:
  flight: {dtype: str}
  day: {dtype: str}
  temp: {dtype: float64, in_range: {min_value: 0, max_value: 100}}
  origin: {dtype: str, isin: [EWR, JFK]}
  late: {dtype: int64, isin: [0, 1]}
"""
MONITOR = """\
version: 1
retrain: {fewest_rows: 50, window_days: 28}
"""
MODEL_YAML = "model: demo\nrevision: null\nsha256: null\nport: 8080\n"
PIPELINE = """\
stages:
  train:
    cmd: python3 -m demo.train
    deps: [data/raw/table.csv, src/demo]
    params: [features]
    outs:
      - model/model.skops
      - model/model.json: {cache: false}
"""
TRAIN = """\
import csv, hashlib, json, os
from pathlib import Path

if {"GITHUB_TOKEN", "GH_TOKEN"} & os.environ.keys():
    raise SystemExit("training needs no token")

counts = [[1.0, 2.0] for _ in range(10)]
for row in csv.DictReader(Path("data/raw/table.csv").open()):
    count = counts[min(9, int(float(row["temp"]) // 10))]
    count[0] += int(row["late"])
    count[1] += 1
model = json.dumps([late / rows for late, rows in counts]).encode()
Path("model").mkdir(exist_ok=True)
Path("model/model.skops").write_bytes(model)
Path("model/model.json").write_text(json.dumps({"sha256": hashlib.sha256(model).hexdigest()}))
"""
INGEST = """\
import os, shutil
from pathlib import Path

if {"GITHUB_TOKEN", "GH_TOKEN", "AWS_SECRET_ACCESS_KEY"} & os.environ.keys():
    raise SystemExit("what reads rows needs no token and no storage")

Path("data/interim").mkdir(parents=True, exist_ok=True)
shutil.copyfile("data/raw/table.csv", "data/interim/table.csv")
"""
VALIDATE = """\
import csv, json
from pathlib import Path

mistakes = []
for number, row in enumerate(csv.DictReader(Path("data/interim/table.csv").open()), start=1):
    if not row["temp"] or not 0 <= float(row["temp"]) <= 100:
        mistakes.append({"column": "temp", "check": "in_range(0, 100)", "value": row["temp"],
                         "row": number})
    if row["late"] not in ("0", "1"):
        mistakes.append({"column": "late", "check": "isin([0, 1])", "value": "", "row": number})
Path("reports").mkdir(exist_ok=True)
report = {"passed": not mistakes, "rows": 1, "first_mistakes": mistakes[:1000]}
Path("reports/validation.json").write_text(json.dumps(report))
raise SystemExit(1 if mistakes else 0)
"""
SCORING = """\
import argparse, csv, json
from pathlib import Path

parser = argparse.ArgumentParser()
for option in ("--model", "--data", "--output"):
    parser.add_argument(option, type=Path)
args = parser.parse_args()
shares = json.loads(args.model.read_bytes())
with args.output.open("w", newline="") as stream:
    writer = csv.writer(stream, lineterminator="\\n")
    writer.writerow(["id", "target", "prediction", "score"])
    for row in csv.DictReader(args.data.open()):
        score = shares[min(9, int(float(row["temp"]) // 10))]
        writer.writerow([row["flight"], row["late"], int(score >= 0.5), score])
"""
FILES = {
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/.mlgitops/\n/data/raw/table.csv\n/model/model.skops\n__pycache__/\n",
    "contract.yaml": CONTRACT,
    "deploy/production/model.yaml": MODEL_YAML,
    "dvc.yaml": PIPELINE,
    "monitor.yaml": MONITOR,
    "params.yaml": PARAMS,
    "policy.yaml": POLICY,
    "src/demo/__init__.py": "",
    "src/demo/ingest.py": INGEST,
    "src/demo/scoring.py": SCORING,
    "src/demo/train.py": TRAIN,
    "src/demo/validate.py": VALIDATE,
}
REQUESTS = ".mlgitops/deploy/production/requests"


def make_table(rows: int = 400) -> str:
    """Make the table of the old world: the cold ones are late."""
    dice, lines = random.Random(1), ["flight,day,temp,origin,late"]  # noqa: S311 - a story
    for number in range(rows):
        temp = round(dice.uniform(0, 100), 1)
        late = int(dice.random() < (0.8 if temp < 50 else 0.2))
        lines.append(f"old-{number},2026-01-{number % 28 + 1:02},{temp},EWR,{late}")
    return "\n".join(lines) + "\n"


def make_project(folder: Path, files: Mapping[str, str] = {}) -> Path:
    """Make the project, trained, published and merged, with an origin beside it."""
    config = write_config(str(folder.parent / "storage"))
    write_files(folder, {**FILES, ".dvc/config": config, **files})
    if "data/raw/table.csv" not in files:
        write_files(folder, {"data/raw/table.csv": make_table()})
    git(folder, "init", "--quiet")
    point(folder)
    run_pipeline(folder, quiet())
    publish_objects(folder, quiet())
    commit(folder, "Train")
    git(folder, "init", "--quiet", "--bare", str(folder.parent / "origin.git"))
    git(folder, "remote", "add", "origin", str(folder.parent / "origin.git"))
    git(folder, "push", "--quiet", "origin", "main")
    git(folder, "remote", "set-head", "origin", "main")
    return folder


def point(folder: Path) -> None:
    """Write the pointer of the table that stands there."""
    import hashlib

    data = (folder / "data/raw/table.csv").read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    text = f"outs:\n- md5: {digest}\n  size: {len(data)}\n  hash: md5\n  path: table.csv\n"
    (folder / "data/raw/table.csv.dvc").write_text(text)


def serve(
    folder: Path,
    *,
    answer: Callable[[float], float] | None = None,
    spoil: Callable[[int, dict[str, object]], None] | None = None,
) -> None:
    """Let production answer for twelve weeks in which the warm flights come to be late.

    ``answer``: temperature → score; None: that of the model. ``spoil`` changes a record of the
    log, told its number.
    """
    shares = json.loads((folder / "model/model.skops").read_bytes())
    digest = json.loads((folder / "model/model.json").read_text())["sha256"]
    (folder / REQUESTS).mkdir(parents=True, exist_ok=True)
    dice, labels = random.Random(2), ["id,outcome"]  # noqa: S311 - a story
    for number in range(DAYS):
        day, lines = (FIRST + dt.timedelta(days=number)).isoformat(), []
        for row in range(ROWS):
            temp = round(dice.uniform(0, 100), 1)
            score = shares[min(9, int(temp // 10))] if answer is None else answer(temp)
            record: dict[str, object] = {
                "v": 1,
                "id": f"{day}/{row}",
                "at": f"{day}T08:00:{row:02}.000Z",
                "model": digest,
                "inputs": {"temp": temp, "origin": "JFK"},
                "score": score,
                "answer": int(score >= 0.5),
            }
            if spoil is not None:
                spoil(number * ROWS + row, record)
            lines.append(json.dumps(record))
            labels.append(f"{day}/{row},{int(dice.random() < (0.2 if temp < 50 else 0.8))}")
        (folder / REQUESTS / f"{day}-0123abcd.jsonl").write_text("\n".join(lines) + "\n")
    (folder / ".mlgitops/labels.csv").write_text("\n".join(labels) + "\n")


def label(folder: Path) -> None:
    """Take in what came true."""
    words = ["label", "production", str(folder / ".mlgitops/labels.csv")]
    assert run([*words, "--directory", str(folder)]) == 0


def monitor(folder: Path) -> int:
    """Look at production as of the last day; return the exit code."""
    words = ["monitor", "production", "--day", LAST.isoformat(), "--directory", str(folder)]
    return run(words)
