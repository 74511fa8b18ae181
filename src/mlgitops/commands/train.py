"""`mlgitops train`: run the pipeline, and say what each stage did."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.configuration import use_base
from mlgitops.errors import EXIT_PASS
from mlgitops.project.training import RUN_FILE, run_pipeline
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console

_EPILOG = """\
Runs `dvc repro` in the project's own environments: only the stages whose code, data or
parameters changed, fetching only the data they need. With --base the run starts from that
revision's dvc.lock: a lock entry of a pull request is a claim, so a stage is skipped only
where the base agrees. The storage is where that revision's .dvc/config says. Writes
.mlgitops/run.json and .mlgitops/train.log.

What the run took (seconds and peak memory of each stage, the model's latency) goes to
reports/cost.json: commit it, and pull requests show and judge the cost. With --base it goes to
.mlgitops/cost.json alone, so that the work tree stays as it was.

examples:
  mlgitops train
  mlgitops train --force                  run every stage again, and measure it
  mlgitops train --base origin/main --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops train`."""
    parser.epilog = _EPILOG
    parser.add_argument("--base", metavar="REV", help="start from this revision's dvc.lock")
    parser.add_argument("--force", action="store_true", help="run every stage, changed or not")
    parser.add_argument(
        "--directory", type=Path, default=Path(), metavar="DIR", help="the project (default: .)"
    )
    parser.add_argument("--json", action="store_true", help="write the stages as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Prepare the storage, run the pipeline, show the stages."""
    project = args.directory.absolute()
    with use_base(project, args.base, console):
        prepare_storage(project, console)
        stages = run_pipeline(project, console, base=args.base, force=args.force)
    if args.json:
        console.result(json.dumps({"stages": [asdict(stage) for stage in stages]}, indent=2))
        return EXIT_PASS
    for stage in stages:
        took = "" if stage.seconds is None else f"  {stage.seconds:.1f} s"
        peak = "" if stage.peak_memory is None else f"  {stage.peak_memory / 1e6:,.0f} MB"
        console.result(f"{stage.name:<20} {stage.state}{took}{peak}")
    console.say(f"  record: {args.directory / RUN_FILE}")
    return EXIT_PASS
