"""`mlgitops history`: versions, what each environment served, and who leads on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_html, add_json
from mlgitops.errors import EXIT_PASS, EXIT_UNDECIDED

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console

_EPILOG = """\
Reads the releases' tags and the ledger of deployments, each held against git. A leaderboard ranks
the releases that were measured on the newest one's test set, by each metric of policy.yaml; its
intervals are of the difference to the leader, from the predictions of both.

exit codes: 0 read; 2 a tag or a line of the ledger does not hold, or origin was not reached

examples:
  mlgitops history
  mlgitops history --html public/index.html      # a page to publish, such as with GitHub Pages
  mlgitops history --json | jq '.environments[].entries[-1]'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops history`."""
    parser.epilog = _EPILOG
    add_json(parser)
    add_html(parser)
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Read, show, and return the exit code."""
    from mlgitops.delivery.history import read_history
    from mlgitops.model.history import encode_history
    from mlgitops.render.history import describe_history
    from mlgitops.render.sections import render_page, render_text
    from mlgitops.writing import replace_file

    with console.step("History"):
        history = read_history(args.directory, console)
    page = describe_history(history)
    if args.html:
        replace_file(args.html, render_page(page).encode())
        console.say(f"  page: {args.html}")
    console.result(encode_history(history).decode() if args.json else render_text(page))
    return EXIT_UNDECIDED if history.notices else EXIT_PASS
