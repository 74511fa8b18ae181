"""`mlgitops audit`: what decided in an environment, from what, by whose approval; and proof."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_directory, add_environment, add_html, add_json
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNDECIDED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from mlgitops.console import Console
    from mlgitops.model.audit import Audit, PullRequestFacts

_EPILOG = """\
Reads the ledger of deployments, then follows each hash and each signature: the commit that asked
for the model and its place on the default branch, model.json, dvc.lock, the release's tag and its
lineage, the model's bytes in the storage. The first that fails is named.

exit codes:
  0  everything that there is to check holds
  1  something does not hold: it is named
  2  something could not be checked, such as a storage that does not answer

examples:
  mlgitops audit production
  mlgitops audit production --at 2026-03-03            # what decided on that day (UTC)
  mlgitops audit production --at 3f786850e387550f      # a model's sha256, or its beginning
  mlgitops audit production --output evidence/         # in-toto, CycloneDX, JSON and HTML
  mlgitops audit production --github                   # who approved, as GitHub says
  mlgitops audit production --reproduce                # train again, compare
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops audit`."""
    parser.epilog = _EPILOG
    add_environment(parser)
    parser.add_argument(
        "--at", metavar="WHEN", help="a day, a time, or a model's sha256 (default: now)"
    )
    parser.add_argument(
        "--statement", type=Path, metavar="FILE", help="the verdict's statement, to be held too"
    )
    parser.add_argument(
        "--image",
        type=Path,
        metavar="DIR",
        help="the image as an OCI layout, to be held against the digest that deploy/ENV pins",
    )
    parser.add_argument(
        "--source",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a clone of a repository that data was imported from, to be held too (repeatable)",
    )
    parser.add_argument(
        "--reproduce",
        action="store_true",
        help="train the model again in a clean folder, and compare its bytes and metrics",
    )
    parser.add_argument(
        "--github",
        action="store_true",
        help="ask GitHub who approved and merged the pull requests (GITHUB_TOKEN, "
        "GITHUB_REPOSITORY)",
    )
    add_json(parser)
    add_html(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write audit.json, audit.html, and for each model an in-toto statement with SLSA "
        "provenance and a CycloneDX ML-BOM",
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Audit, write what was asked for, and return the exit code."""
    from mlgitops.delivery.audit import Given, audit_environment
    from mlgitops.model.audit import encode_audit
    from mlgitops.render.audit import describe_audit
    from mlgitops.render.sections import render_page, render_text
    from mlgitops.storage.handover.commit import authorize
    from mlgitops.writing import replace_file

    authorize(os.environ)
    asking = _open_github(os.environ, wanted=args.github)
    with console.step(f"Audit of {args.environment}"), asking as ask_github:
        audit = audit_environment(
            args.directory,
            args.environment,
            console,
            asked=args.at,
            given=Given(statement=args.statement, image=args.image, clones=tuple(args.source)),
            again=args.reproduce,
            ask_github=ask_github,
        )
    page = describe_audit(audit)
    if args.html:
        replace_file(args.html, render_page(page).encode())
        console.say(f"  page: {args.html}")
    if args.output:
        from mlgitops.delivery.audit.documents import write_documents

        write_documents(audit, args.output)
        replace_file(args.output / "audit.html", render_page(page).encode())
        console.say(f"  evidence: {args.output}")
    console.result(encode_audit(audit).decode() if args.json else render_text(page))
    return find_exit_code(audit)


@contextmanager
def _open_github(
    environ: Mapping[str, str], *, wanted: bool
) -> Iterator[Callable[[int], PullRequestFacts] | None]:
    """Hand out what asks GitHub for a pull request, where that is ``wanted``."""
    if not wanted:
        yield None
        return
    from mlgitops.github.client import open_repository
    from mlgitops.github.reviews import fetch_request

    with open_repository(environ, purpose="read pull requests") as (client, repository):
        yield lambda number: fetch_request(client, repository, number)


def find_exit_code(audit: Audit) -> int:
    """Return 1 where something fails, 2 where something could not be checked, else 0."""
    from mlgitops.model.audit import CheckState

    if audit.find_first(CheckState.FAILS):
        return EXIT_FAIL
    return EXIT_UNDECIDED if audit.find_first(CheckState.OPEN) else EXIT_PASS
