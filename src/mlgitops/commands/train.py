"""`mlgitops train`: run the pipeline, and say what each stage did."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mlgitops.commands.options import add_directory, add_json
from mlgitops.dvc.configuration import use_base
from mlgitops.errors import EXIT_PASS, MlgitopsError
from mlgitops.project.training import RUN_FILE, run_pipeline
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.model import Judgement, Policy
    from mlgitops.model.standing import Standing

_EPILOG = """\
Runs `dvc repro` in the project's own environments: only the stages whose code, data or
parameters changed, fetching only the data they need. With --base the run starts from that
revision's dvc.lock: a lock entry of a pull request is a claim, so a stage is skipped only
where the base agrees. The storage is where that revision's .dvc/config says. Data whose file is
that of another commit, as after a merge, is checked out first. Writes .mlgitops/run.json and
.mlgitops/train.log.

It ends with the judged metrics, each with its interval and beside an answer that is the same for
every row; with what the policy would say of them against the default branch; and with the next
commands; --no-compare leaves that out where nobody reads it. The exit code is that of the run:
whether it may merge is for the pull request to say.

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
    add_directory(parser)
    parser.add_argument(
        "--no-compare", action="store_true", help="end without what the model reaches"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Prepare the storage, run the pipeline, show the stages and what the model reaches."""
    project = args.directory.absolute()
    with use_base(project, args.base, console):
        prepare_storage(project, console)
        stages = run_pipeline(project, console, base=args.base, force=args.force)
    # With --base this is a step of a pull request's job, and the next one compares.
    is_compared = not (args.base or args.no_compare)
    ending = _read_ending(project, console) if is_compared else None
    if args.json:
        document = {"stages": [asdict(stage) for stage in stages], **_as_json(ending)}
        console.result(json.dumps(document, indent=2))
        return EXIT_PASS
    for stage in stages:
        took = "" if stage.seconds is None else f"  {stage.seconds:.1f} s"
        peak = "" if stage.peak_memory is None else f"  {stage.peak_memory / 1e6:,.0f} MB"
        console.result(f"{stage.name:<20} {stage.state}{took}{peak}")
    console.say(f"  record: {args.directory / RUN_FILE}")
    if ending is not None:
        _print_ending(ending, args.directory, console)
    return EXIT_PASS


class _Ending(NamedTuple):
    """What a person wants to know of a model that was just trained."""

    standings: list[Standing]
    policy: Policy
    base: str | None  # what the model was judged against; None: it is the first
    judgement: Judgement | None
    next_steps: list[str]


def _read_ending(project: Path, console: Console) -> _Ending | None:
    """Measure and judge what was trained; None, with a warning, where that cannot be."""
    from mlgitops.commands.compare import find_base, find_head
    from mlgitops.comparison.revisions import POLICY, compare
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.judgement.judge import judge_report
    from mlgitops.judgement.policy import parse_policy
    from mlgitops.model import DEFAULT_KEY
    from mlgitops.project.next_steps import find_next_steps, is_proposal
    from mlgitops.project.standing import keep_bounds, read_standing
    from mlgitops.render.facts import render_side

    try:
        with Repository(project) as repository:
            folder = Folder(repository, project.resolve())
            data = folder.read(None, POLICY)
            if data is None:
                return None
            policy = parse_policy(data, where=POLICY)
            head = find_head(repository, "", {}, worktree=True)
            base = find_base(repository, None, head)
            report = compare(
                folder, base, head, worktree=True, policy_path=POLICY, key=DEFAULT_KEY,
                console=console,
            )  # fmt: skip
            # Base's want of a model is no failure of the first, where no pull request is judged.
            has_model = folder.read(base.sha, "dvc.lock") is not None
            is_first = not has_model and not is_proposal(repository, project)
            if is_first:
                report = judge_report(report, keep_bounds(policy))
            elif (judging := folder.read(base.sha, POLICY)) is not None:
                policy = parse_policy(judging, where=f"{POLICY} at base")  # as the verdict does
            return _Ending(
                standings=read_standing(project, policy),
                policy=policy,
                base=None if is_first else render_side(base),
                judgement=report.judgement,
                next_steps=find_next_steps(repository, project),
            )
    except MlgitopsError as error:
        console.warn(f"the model was trained, and not judged: {error}")
        return None


def _print_ending(ending: _Ending, directory: Path, console: Console) -> None:
    from mlgitops.render.standing import render_judgement, render_standing
    from mlgitops.render.terminal import find_width

    width = shutil.get_terminal_size().columns if console.out.isatty() else find_width(os.environ)
    lines = ["", *render_standing(ending.standings, ending.policy, width)]
    lines += render_judgement(ending.judgement, ending.base, width)
    enter = [] if directory.resolve() == Path.cwd() else [f"cd {shlex.quote(str(directory))}"]
    console.result("\n".join(lines))
    console.say("\n".join(["Next:", *(f"  {step}" for step in [*enter, *ending.next_steps])]))


def _as_json(ending: _Ending | None) -> dict[str, Any]:
    if ending is None:
        return {}
    judgement = ending.judgement
    return {
        "metrics": [msgspec.structs.asdict(standing) for standing in ending.standings],
        "policy": {
            "base": ending.base,
            "verdict": judgement.verdict.value if judgement else "skip",
            "failures": list(judgement.failures) if judgement else [],
        },
        "next": ending.next_steps,
    }
