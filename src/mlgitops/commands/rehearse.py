"""`mlgitops rehearse`: run the project's own pull-request workflow here, show the comment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNDECIDED, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.rehearsal.act import Run
    from mlgitops.rehearsal.session import Rehearsal

_CODES = {"pass": EXIT_PASS, "waived": EXIT_PASS, "fail": EXIT_FAIL}

EXAMPLES = """\
example:
  git switch -c more-trees
  (change params.yaml, run `make train`, commit)
  mlgitops rehearse
  mlgitops rehearse --keep-result
  mlgitops rehearse --fork
  mlgitops rehearse --queue
  mlgitops rehearse --waive "The auditor asked for it"

What runs is the committed workflow file, executed by act, with a stand-in for GitHub's
API on this machine: no network, no token, nothing of your environment. It shows what the
workflow does; permissions, limits and runner images are GitHub's and are not rehearsed.
The exit code is the verdict's: 0 pass or waived, 1 fail, 2 could not decide.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    parser.add_argument("--base", metavar="REV", help="default: the default branch")
    parser.add_argument("--head", metavar="REV", help="default: HEAD")
    add_directory(parser)
    parser.add_argument(
        "--workflow",
        default=".github/workflows/pull-request.yml",
        metavar="FILE",
        help="the workflow file (default: %(default)s)",
    )
    parser.add_argument(
        "--show",
        choices=("terminal", "comment", "none"),
        help="the comment rendered, as Markdown, or not at all "
        "(default: rendered on a terminal, Markdown in a pipe)",
    )
    add_json(parser)
    parser.add_argument(
        "--keep-result",
        action="store_true",
        help="take over what the workflow trained and committed: fast-forward the branch here "
        "and the storage",
    )
    parser.add_argument(
        "--fork",
        action="store_true",
        help="as a pull request from a fork: what may write is skipped, and the workflow that "
        "reports on forks runs afterwards, if the base has one",
    )
    parser.add_argument(
        "--queue",
        action="store_true",
        help="as a merge queue's group: a check on the commit that would be merged, no comment, "
        "nothing published",
    )
    parser.add_argument(
        "--waive",
        metavar="REASON",
        help="with the label and the comment that waive what fails, as you may write on GitHub",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep all working files in DIR")


def run(args: argparse.Namespace, console: Console) -> int:
    """Rehearse, show what was posted, and return the verdict's exit code."""
    from mlgitops.rehearsal.session import Request, rehearse

    if args.queue and (args.fork or args.keep_result):
        raise MlgitopsError(
            "a merge queue's group belongs to the repository, and publishes nothing",
            hint="leave out --queue, or --fork and --keep-result",
        )
    if args.queue and args.waive is not None:
        raise MlgitopsError(
            "a waiver does not reach a merge queue's group: that is another commit",
            hint="leave out --queue or --waive",
        )
    if args.fork and args.keep_result:
        raise MlgitopsError(
            "nothing of a fork's run can be kept: it may not push",
            hint="leave out --fork or --keep-result",
        )
    store = find_store()
    signal.signal(signal.SIGTERM, _interrupt)  # so that act and its steps end with us
    scratch = _make_scratch(args.keep)
    start = time.perf_counter()
    try:
        request = Request(
            folder=args.directory,
            base=args.base,
            head=args.head,
            workflow=args.workflow,
            scratch=scratch,
            store=store,
            keep_result=args.keep_result,
            fork=args.fork,
            queue=args.queue,
            waive=args.waive,
        )
        rehearsal = rehearse(request, console)
    finally:
        if args.keep is None:
            shutil.rmtree(scratch, ignore_errors=True)
    seconds = time.perf_counter() - start
    if args.json:
        console.result(json.dumps(summarize(rehearsal, seconds), indent=2))
    else:
        _show(rehearsal, args.show, console)
    _close(rehearsal, seconds, console)
    return _CODES.get(rehearsal.verdict, EXIT_UNDECIDED)


def find_store() -> Path:
    """Return the folder of environments that outlive a rehearsal."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(os.environ.setdefault("MLGITOPS_ENVIRONMENTS", str(Path(cache, *_STORE)))).resolve()


_STORE = ("mlgitops", "environments")


def summarize(rehearsal: Rehearsal, seconds: float) -> dict[str, object]:
    """Describe the rehearsal for scripts; times are in seconds."""
    run, second = rehearsal.ran.run, rehearsal.second
    return {
        "verdict": rehearsal.verdict,
        "seconds": round(seconds, 3),
        "compare_and_report_seconds": round(rehearsal.judging, 3),
        "pull_request": rehearsal.number,
        "base": {"branch": rehearsal.change.base[0], "sha": rehearsal.change.base[1]},
        "head": {"branch": rehearsal.change.head[0], "sha": rehearsal.change.head[1]},
        "fork": rehearsal.change.fork,
        "queue": rehearsal.queue,
        "merge_sha": rehearsal.merge_sha,
        **_summarize_run(run),
        "report_on_fork": {"workflow": second.path, **_summarize_run(second.run)}
        if second
        else None,
        "comment": rehearsal.comments[0] if rehearsal.comments else None,
        "comments": len(rehearsal.comments),
        "created": rehearsal.created,
        "checks": rehearsal.checks,
        "check_names": rehearsal.check_names,
        "real_actions": rehearsal.find_actions(real=True),
        "stand_ins": rehearsal.find_actions(real=False),
        "published": rehearsal.published,
        "kept": rehearsal.kept,
        "log": str((second or rehearsal.ran).log),
    }


def _summarize_run(run: Run) -> dict[str, object]:
    return {
        "jobs": run.jobs,
        "steps": [
            {
                "job": step.job,
                "step": step.step,
                "title": step.title,
                "result": step.result,
                "seconds": round(step.seconds, 3),
            }
            for step in run.steps
        ],
        "annotations": [{"level": level, "message": text} for level, text in run.annotations],
        "summary": "\n".join(run.summaries),
    }


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(f"by {signal.Signals(number).name}")  # from outside: no key was pressed


def _make_scratch(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="mlgitops-rehearsal-")).resolve()
    if keep.exists() and any(keep.iterdir()):
        raise MlgitopsError("the folder to keep files in is not empty", where=str(keep))
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _show(rehearsal: Rehearsal, how: str | None, console: Console) -> None:
    bodies = find_shown(rehearsal)
    if not bodies or how == "none":
        return
    if (how or ("terminal" if sys.stdout.isatty() else "comment")) == "comment":
        console.result("\n".join(bodies))
        return
    from mlgitops.rehearsal.screen import show_comment

    for body in bodies:
        show_comment(body, console.out)


def find_shown(rehearsal: Rehearsal) -> list[str]:
    """Return the comments; where none is to be expected, what people find: job summaries."""
    summaries = rehearsal.ran.run.summaries
    if rehearsal.queue:
        count = len(rehearsal.ran.workflow.find_steps("actions/report"))
        return summaries[-count:] if count else []  # the last ones are those that judged
    if rehearsal.comments:
        return rehearsal.comments
    return summaries if rehearsal.change.fork else []


def _close(rehearsal: Rehearsal, seconds: float, console: Console) -> None:
    """Say in a few lines what ran, what was a stand-in, and where the log is."""
    from mlgitops.rehearsal.act import read_tail

    last = rehearsal.second or rehearsal.ran
    if not rehearsal.comments and not rehearsal.queue:
        _explain_silence(rehearsal, console)
    if rehearsal.verdict == "undecided":
        console.say(read_tail(last.log))
    jobs = [f"{job} {result}" for job, result in rehearsal.ran.run.jobs.items()]
    if rehearsal.second:
        jobs += [f"then {job} {result}" for job, result in rehearsal.second.run.jobs.items()]
    done = "created" if rehearsal.created else "updated"
    posted = f"comment {done if rehearsal.comments else 'missing'}"
    if rehearsal.queue:
        posted = f"on the group: check {', '.join(rehearsal.checks) or 'missing'}, no comment"
    console.say(f"  jobs: {', '.join(jobs)}; {posted}")
    console.say(f"  real: {', '.join(rehearsal.find_actions(real=True)) or 'none'}")
    console.say(f"  stand-ins: {', '.join(rehearsal.find_actions(real=False)) or 'none'}")
    console.say(f"  log: {last.log}")
    if rehearsal.kept:
        console.say(f"  result taken over: {', '.join(rehearsal.kept)}")
    elif rehearsal.published:
        console.say("  result: committed there; `mlgitops rehearse --keep-result` takes it over")
    console.say(f"  compare and report: {rehearsal.judging:.2f} s")
    console.say(f"  verdict: {rehearsal.verdict}, after {seconds:.1f} s")


def _explain_silence(rehearsal: Rehearsal, console: Console) -> None:
    """Say why there is no comment."""
    if not rehearsal.change.fork or rehearsal.second:
        console.warn("the workflow posted no comment")
        return
    console.say(
        "  a fork's run may not post: the contributor finds this in the job summary. The template's"
        " answer `fork_reports` adds the workflow that posts it (docs/how-to/report-on-forks.md)"
    )
