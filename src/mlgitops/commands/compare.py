"""`mlgitops compare`: arguments to a report, a text on the screen, and an exit code."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_json, add_key
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.console import Console
    from mlgitops.git.repository import Repository
    from mlgitops.model import Links, Report, Side
    from mlgitops.model.flips import Flips

WORKTREE = "worktree"
MOST_FLIPS = 200  # of each direction: a page stays small
EXAMPLES = """\
examples:
  mlgitops compare                          what is on disk, with where it left the main branch
  mlgitops compare --base main --head HEAD  two revisions
  mlgitops compare --format markdown        the comment, as a pull request would show it
  mlgitops compare --flips                  and the test rows that went wrong or came right

The difference is judged by the policy.yaml at base. It writes report.json only when asked
to (--output); nothing is posted. Tables fit the window; in a pipe they have as many columns as
the variable COLUMNS says, else 120.

exit codes: 0 pass, 1 the verdict is fail, 2 could not decide
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--base",
        metavar="REV",
        help="compare with this revision (default: where head left the default branch)",
    )
    parser.add_argument(
        "--head",
        metavar="REV",
        default=WORKTREE,
        help="judge this revision, or `worktree`: the files on disk (default: worktree)",
    )
    parser.add_argument("--output", metavar="FILE", help="write the report to this file, as JSON")
    parser.add_argument(
        "--html", metavar="FILE", help="write the report to this file, as a page with charts"
    )
    add_json(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy, from the project's folder (policy.yaml)"
    )
    add_key(parser)
    parser.add_argument(
        "--format",
        choices=("terminal", "markdown"),
        default="terminal",
        help="what to print (default: terminal)",
    )
    parser.add_argument(
        "--flips",
        metavar="N",
        nargs="?",
        type=parse_most,
        const=20,
        help="list the test rows that went wrong or came right, N of each (20): their ids and"
        " columns are data, and stay out of the report and the comment",
    )
    parser.add_argument(
        "--exit-zero", action="store_true", help="exit 0 for a verdict of fail: another step judges"
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Compare, write, print, and return the verdict's exit code."""
    from mlgitops.model import Verdict

    _check_form(args)
    report = make_report(args, os.environ, console)
    flips = make_flips(args, report, os.environ, console) if args.flips else None
    _write_files(report, args, os.environ, flips)
    _hand_over(report, os.environ)
    _print(report, flips, args, console)
    if report.judgement is not None and report.judgement.verdict is Verdict.UNDECIDED:
        reasons = "\n  ".join(report.judgement.failures)
        problem = "could not decide" if report.judgement.metrics else "nothing was judged"
        raise MlgitopsError(f"{problem}:\n  {reasons}")
    failed = report.judgement is not None and report.judgement.verdict is Verdict.FAIL
    return EXIT_FAIL if failed and not args.exit_zero else EXIT_PASS


def parse_most(text: str) -> int:
    """Read how many rows to list: 1 to 200."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_FLIPS):
        raise argparse.ArgumentTypeError(f"not a whole number from 1 to {MOST_FLIPS}: {text[:20]}")
    return int(text)


def _check_form(args: argparse.Namespace) -> None:
    """Refuse rows of the test data in the form that a pull request shows."""
    if args.flips and args.format == "markdown" and not args.json:
        hint = "list them in the terminal, with --json, or on the page (--html)"
        raise MlgitopsError("a comment shows no test rows", where="--flips", hint=hint)


def make_flips(
    args: argparse.Namespace, report: Report, environ: Mapping[str, str], console: Console
) -> Flips:
    """List the rows that flipped, which go nowhere but where they may be shown."""
    from mlgitops.comparison.flips import list_flips, may_show_rows
    from mlgitops.comparison.revisions import POLICY
    from mlgitops.git.repository import Folder, Repository

    start = Path(args.directory)
    with Repository(start) as repository:
        folder = Folder(repository, find_project(start, repository.root))
        leaves_machine = args.html or environ.get("GITHUB_ACTIONS") == "true"
        if leaves_machine and not may_show_rows(folder, report.base):
            output = "a page" if args.html else "the log of a workflow"
            raise MlgitopsError(
                f"the data card at base does not let {output} show test rows",
                where="data/DATA_CARD.md",
                hint="where they may be shown, say so on main: `| may be shown | test rows |`",
            )
        return list_flips(
            folder,
            report.base,
            report.head,
            worktree=args.head in (WORKTREE, "", None),
            policy_path=args.policy or POLICY,
            most=args.flips,
            console=console,
        )


def make_report(args: argparse.Namespace, environ: Mapping[str, str], console: Console) -> Report:
    """Find the two sides that the arguments name, and compare them."""
    from mlgitops.comparison.revisions import POLICY, compare
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.model import DEFAULT_KEY

    start = Path(args.directory)
    with Repository(start) as repository:
        worktree = args.head in (WORKTREE, "", None)
        head = find_head(repository, args.head, environ, worktree=worktree)
        base = find_base(repository, args.base, head)
        folder = Folder(repository, find_project(start, repository.root))
        return compare(
            folder,
            base,
            head,
            worktree=worktree,
            policy_path=args.policy or POLICY,
            key=args.key or DEFAULT_KEY,
            console=console,
        )


def find_project(start: Path, root: Path) -> Path:
    """Find the folder of the project: the nearest around ``start`` with a policy or pipeline."""
    start_folder = start.resolve()
    for folder in (start_folder, *start_folder.parents):
        if folder == root:
            break
        if any((folder / name).exists() for name in ("policy.yaml", "dvc.yaml", ".dvc")):
            return folder
    return root


def find_head(
    repository: Repository, rev: str, environ: Mapping[str, str], *, worktree: bool
) -> Side:
    """Name the head: a revision, or the work tree and the commit it stands on."""
    from mlgitops.model import Side

    if not worktree:
        return Side(sha=repository.resolve(rev), ref=rev[:200])
    sha = repository.find("HEAD")
    if sha is None:
        hint = "commit the project as it is, then change it and compare"
        raise MlgitopsError("there is no commit yet to compare with", hint=hint)
    announced = find_announced(sha, environ)
    return Side(sha=announced or sha, ref=None, dirty=repository.is_dirty())


def find_announced(sha: str, environ: Mapping[str, str]) -> str | None:
    """Find the head of the pull request that ``sha`` is GitHub's merge commit of.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request
    """
    path = environ.get("GITHUB_EVENT_PATH")
    if not path or environ.get("GITHUB_SHA") != sha:
        return None
    from mlgitops.github.event import read_event

    try:
        return read_event(Path(path), environ).head_sha
    except MlgitopsError:
        return None


def find_base(repository: Repository, rev: str | None, head: Side) -> Side:
    """Name the base: ``rev``, or where head parted from the default branch."""
    from mlgitops.model import Side

    if rev:
        return Side(
            sha=repository.resolve(rev), ref=None if rev == repository.find(rev) else rev[:200]
        )
    branch = repository.find_default_branch()
    if branch is None:
        raise MlgitopsError("no default branch was found", hint="name the base: `--base REV`")
    sha = repository.merge_base(branch, head.sha or "HEAD")
    return Side(sha=sha, ref=branch)


def _write_files(
    report: Report, args: argparse.Namespace, environ: Mapping[str, str], flips: Flips | None
) -> None:
    """Write the report where the arguments ask for it, as JSON and as a page."""
    if args.output:
        from mlgitops.model.wire import encode_report

        write_file(Path(args.directory) / args.output, encode_report(report))
    if args.html:
        try:
            from mlgitops.render.html import render_html
        except ImportError as error:
            hint = "install it: `pip install 'mlgitops[html]'`"
            raise MlgitopsError("--html needs the package Jinja2", hint=hint) from error
        page = render_html(report, links=find_links(environ), flips=flips)
        write_file(Path(args.directory) / args.html, page.encode())


def find_links(environ: Mapping[str, str]) -> Links:
    """Find the addresses of the workflow run and its repository; none outside of one."""
    from mlgitops.model import Links

    if "GITHUB_RUN_ID" not in environ:
        return Links()
    from mlgitops.github.event import parse_run

    try:
        return parse_run(environ).links
    except MlgitopsError:
        return Links()


def write_file(path: Path, data: bytes) -> None:
    """Write in one step, so that no half of a file is ever seen."""
    try:
        replace_file(path, data)
    except OSError as error:
        raise MlgitopsError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _hand_over(report: Report, environ: Mapping[str, str]) -> None:
    """Give the runner of a workflow, where there is one, the summary and the verdict."""
    if not (environ.get("GITHUB_STEP_SUMMARY") or environ.get("GITHUB_OUTPUT")):
        return
    from mlgitops.github.outputs import MAX_SUMMARY_BYTES, write_outputs, write_summary
    from mlgitops.model import Links
    from mlgitops.render.markdown import render_comment

    text = render_comment(report, marker="", links=Links(), limit=MAX_SUMMARY_BYTES // 2)
    write_summary(environ, text.lstrip())
    verdict = report.judgement.verdict.value if report.judgement else "skip"
    write_outputs(environ, {"verdict": verdict})


def _print(report: Report, flips: Flips | None, args: argparse.Namespace, console: Console) -> None:
    if args.json:
        console.result(_encode(report, flips).decode())
    elif args.format == "markdown":
        from mlgitops.model import Links
        from mlgitops.render.markdown import render_report

        console.result(render_report(report, links=Links()))
    else:
        from mlgitops.project.toolkit import find_guide
        from mlgitops.render.terminal import render_flips, render_terminal

        render_terminal(report, console, find_links(os.environ).guide_url or find_guide())
        if flips is not None:
            render_flips(flips, console)


def _encode(report: Report, flips: Flips | None) -> bytes:
    """Encode the report; beside the rows where they are asked for, which makes it none to post."""
    from mlgitops.model.documents import encode_document
    from mlgitops.model.wire import encode_report

    if flips is None:
        return encode_report(report)
    return encode_document({"flips": flips, "report": report})
