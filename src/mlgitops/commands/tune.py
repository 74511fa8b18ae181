"""`mlgitops tune`: search better parameters on folds of the training rows, and propose the best."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.commands.options import add_directory, add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.proposal import FileChange, Proposed
    from mlgitops.model.tuning import Shard, Tuning
    from mlgitops.tuning.inputs import Inputs

_EPILOG = """\
Tries the values that tune.yaml names, each on folds of the training rows, in the project's own
code and pipeline environment. The test rows are never opened: the verdict on the pull request does
that, once. The folds follow `split` of params.yaml: later rows, or whole groups, are asked about.

Each trial is kept in a journal below .mlgitops/tune. A search that was ended, by a kill too, goes
on from there when the command is run again; other parameters, rows, settings or code begin another.

The best trial becomes one edit of params.yaml with the table of all trials (reports/tuning.json),
on a branch tune/... of its own, pushed without force, and a pull request as `mlgitops promote`
opens it. What does not beat params.yaml beyond the folds' noise is shown and not proposed, unless
--force.

--shard 2/4 measures the second quarter of the trials and proposes nothing; --merge takes the
journals of all shards. Needs `pip install 'mlgitops[tune]'`.

examples:
  mlgitops tune
  mlgitops tune --dry-run                  show the best, propose nothing
  mlgitops tune --shard 2/4
  mlgitops tune --merge journals/*.jsonl

exit codes: 0 proposed, also if it was before, or nothing better was seen; 2 it could not be
"""
_SHARD = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = _EPILOG
    parser.add_argument("--shard", metavar="I/N", help="measure part I of N, and propose nothing")
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="JOURNAL",
        help="measure nothing: take these, or all *.jsonl of a folder",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the best, propose nothing")
    parser.add_argument(
        "--force", action="store_true", help="propose the best, be it within the folds' noise"
    )
    add_json(parser)
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure the trials, or read them; show the best, and propose it."""
    from mlgitops.delivery.proposals.result import hand_over
    from mlgitops.tuning.inputs import read_disk

    project = args.directory.resolve()
    shard = parse_shard(args.shard)
    if args.merge and args.shard:
        raise MlgitopsError("--merge takes the journals of all shards", hint="leave --shard out")
    if args.merge:
        inputs, journals = read_disk(project), list_journals(args.merge)
    else:
        inputs, journals = _search(project, shard, console)
    if args.shard:
        hand_over(None, journal=str(journals[0]))
        console.result(json.dumps({"journal": str(journals[0])}) if args.json else str(journals[0]))
        return EXIT_PASS
    tuning = _summarise(inputs, journals)
    change, proposed = _propose(project, inputs, tuning, args, console)
    hand_over(proposed, journal="")
    console.result(_show(tuning, change, proposed, args))
    return EXIT_PASS


def list_journals(paths: list[Path]) -> list[Path]:
    """List the files, and those that stand in the folders among them, by name."""
    return [
        file
        for path in paths
        for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])
    ]


def parse_shard(text: str | None) -> Shard:
    """Parse I/N; None is the whole. Raises :class:`MlgitopsError` for what is no part.

    >>> parse_shard("2/4").number
    2
    """
    from mlgitops.model.tuning import Shard

    match = _SHARD.fullmatch(text) if text is not None else None
    shard = Shard(number=int(match[1]), count=int(match[2])) if match else Shard()
    if (text is not None and match is None) or shard.number > shard.count:
        raise MlgitopsError(f"--shard {text} is no part", hint="write 2/4 for the second of four")
    return shard


def _search(project: Path, shard: Shard, console: Console) -> tuple[Inputs, list[Path]]:
    """Cut the training rows if need be, and measure the trials of the shard."""
    from mlgitops.tuning.inputs import read_disk
    from mlgitops.tuning.prepare import cut_rows
    from mlgitops.tuning.search import search

    cut_rows(project, console)
    inputs = read_disk(project)
    return inputs, [search(project, inputs, shard, console)]


def _summarise(inputs: Inputs, journals: list[Path]) -> Tuning:
    from mlgitops.tuning.journal import read_journal
    from mlgitops.tuning.results import summarise

    return summarise(inputs, [(str(path), read_journal(path)) for path in journals])


def _propose(
    project: Path, inputs: Inputs, tuning: Tuning, args: argparse.Namespace, console: Console
) -> tuple[FileChange | None, Proposed | None]:
    """Propose the best trial, if it is better or that is forced; nothing on a dry run."""
    from mlgitops.delivery.proposals.proposal import fetch_newest, open_proposal, push_proposal
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.tuning.proposal import plan_change
    from mlgitops.tuning.results import is_better

    if args.dry_run or not (args.force or is_better(tuning)):
        return None, None
    with Repository(project) as repository:
        fetch_newest(repository.root, console)
        change = plan_change(Folder(repository, project), inputs, tuning)
        if change is None:
            return None, None
        commit = push_proposal(repository, change)
        return change, open_proposal(repository, change, commit, os.environ)


def _show(
    tuning: Tuning, change: FileChange | None, proposed: Proposed | None, args: argparse.Namespace
) -> str:
    """Say what was measured, and what became of it."""
    from mlgitops.delivery.proposals.result import describe_proposed
    from mlgitops.render.tuning import describe_tuning
    from mlgitops.tuning.results import is_better

    if args.json:
        return json.dumps(_as_json(tuning, proposed), indent=2)
    lines = [*describe_tuning(tuning), ""]
    if change is None or proposed is None:
        better = is_better(tuning)
        reason = "a dry run" if args.dry_run else "it changes nothing in params.yaml"
        advice = "; --force proposes it all the same" if not (better or args.force) else ""
        shown = reason if args.dry_run or better or args.force else "it is within the folds' noise"
        return "\n".join([*lines, f"Nothing is proposed: {shown}{advice}"])
    first, *others = describe_proposed(proposed)
    return "\n".join([*lines, f"{change.title}: {first}", *others])


def _as_json(tuning: Tuning, proposed: Proposed | None) -> dict[str, Any]:
    from msgspec import to_builtins

    from mlgitops.delivery.proposals.result import list_facts
    from mlgitops.tuning.results import is_better

    return {
        "tuning": to_builtins(tuning),
        "better": is_better(tuning),
        **list_facts(proposed),
    }
