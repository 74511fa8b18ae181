"""Nine months in fast motion: flights as traffic, outcomes, looks, an issue, a retraining.

It goes on with the project of `story`. The server answers real requests; what is moved are the
days: its log says when it answered, and `replay` reads it with the days of the flights. Raises
when what the study promises (docs/reference/year.md) does not come.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from calendar import monthrange
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from mlgitops.delivery.protocol import fetch_answer
from mlgitops.dvc.command import run_dvc
from mlgitops.environments import FOLDERS
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError
from mlgitops.process import run_program
from mlgitops.rehearsal.demonstration import afterwards, replay
from mlgitops.rehearsal.demonstration.stage import edit_file, read_processor_seconds
from mlgitops.rehearsal.forge import Forge, Server, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlgitops.rehearsal.demonstration.stage import Stage

#: The first day that nobody had seen when the year's first model was trained.
FIRST_DAY = "2013-04-01"
YEAR = 2013
MONTHS = range(4, 13)
#: What monitor.yaml allows there: mean score less the share that was late, either way.
CALIBRATION_LIMIT = 0.01
#: The month at whose end the model is trained again.
RETRAINED = 7
#: Alerts of kind `model`: day of the look → the Sunday since when it is one.
ALERTS = {"2013-06-30": "2013-06-30", "2013-07-31": "2013-06-30"}
#: What becomes of the issue about the model: day of the look → its new state. In October it is
#: open again because of two Sundays between the looks: the new model never saw an autumn.
ISSUES = {
    "2013-06-30": "open",
    "2013-09-30": "closed",
    "2013-10-31": "open",
    "2013-11-30": "closed",
}
_TABLE = "data/raw/table.csv"
_READER = "replay.py"
_REPOSITORY = "demo/flight-delays"
_AIMED = 60.0  # seconds that the year may take on the machine of the next line
_IMPORT = 0.9  # seconds that `python -c "import sklearn"` takes there
_OK = 200
_SUBJECTS = {"model": "the model", "data": "the data", "system": "the system"}
_SETTINGS = """
source: # the server's log, with the days of the flights: {reader} says how
  command: [{python}, {reader}]
labels:
  outcome: late
alerts:
  calibration: {limit} # mean score less the share that was late, either way
"""


class Flight(NamedTuple):
    """A flight as the table has it."""

    day: str
    cells: dict[str, str]


@dataclass(kw_only=True)
class Year:
    """What came of the year, for the last page and for scripts."""

    rows: int = 0  # that the server answered
    alerts: dict[str, dict[str, str]] = field(default_factory=dict)  # look → figure → since
    issues: dict[str, str] = field(default_factory=dict)  # look → what became of the model's
    branch: str = ""  # of the retraining
    releases: list[str] = field(default_factory=list)  # tags: what began in April, the retraining
    page: str = ""  # of the last look
    seconds: float = 0.0  # wall time
    processor_seconds: float = 0.0  # of all commands, without the servers
    aimed_seconds: float = 0.0  # what is aimed at on this machine: see `scale_aim`


def live(stage: Stage, project: Path, port: int | None) -> Year:
    """Live from April to December; ``port``: the public one of production."""
    year, start, processor = Year(), time.perf_counter(), read_processor_seconds()
    with stage.chapter("Back to the first of April: a model of what was known then"):
        flights = _begin(stage, project)
        year.releases.append(_bring_into_service(stage, project, port))
    forge = Forge(State(repository=_REPOSITORY))
    with Server(forge) as server:
        scene = _Scene(stage, project, flights, server, year)
        with stage.chapter("April to July in fast motion: requests, outcomes, looks"):
            scene.live_months(MONTHS[: MONTHS.index(RETRAINED) + 1])
        with stage.chapter("Train again on what production taught: a pull request, judged"):
            statement = _retrain(stage, project, scene.last_day, year)
        with stage.chapter("Merge, release and promote it"):
            year.releases.append(_bring_into_service(stage, project, port, statement))
        with stage.chapter("August to December: the new model serves, and the issue closes"):
            scene.live_months(MONTHS[MONTHS.index(RETRAINED) + 1 :])
    year.seconds = round(time.perf_counter() - start, 1)
    year.processor_seconds = round(read_processor_seconds() - processor, 1)
    year.aimed_seconds = round(scale_aim(_time_import(project)), 1)
    check_year(year)
    return year


def scale_aim(import_seconds: float) -> float:
    """Return in how many seconds the year should pass, where `import sklearn` takes so long.

    >>> scale_aim(0.9)
    60.0
    """
    return _AIMED * import_seconds / _IMPORT


def _time_import(project: Path) -> float:
    """Return the seconds that a Python of the project takes to start and import scikit-learn."""
    start = time.perf_counter()
    python = (project / FOLDERS["pipeline"] / "bin" / "python").absolute()
    run_program([python, "-c", "import sklearn"], cwd=project)
    return time.perf_counter() - start


def check_year(year: Year) -> None:
    """Raise :class:`MlgitopsError` unless alerts and issue are those that the study shows."""
    alerts = {
        day: since
        for day, figures in year.alerts.items()
        for name, since in figures.items()
        if name == "calibration"
    }
    issues = {day: state for day, state in year.issues.items() if state}
    if (alerts, issues) != (ALERTS, ISSUES):
        raise MlgitopsError(
            f"the year's alerts are {alerts} and its issue was {issues}, and the demo promises "
            f"{ALERTS} and {ISSUES}",
            hint="docs/reference/year.md shows the year that is promised",
        )


class _Scene:
    """The months of the year, one after the other."""

    def __init__(
        self,
        stage: Stage,
        project: Path,
        flights: Sequence[Flight],
        server: Server,
        year: Year,
    ) -> None:
        self._stage, self._project, self._year = stage, project, year
        self._server = server
        self._months = {
            month: [flight for flight in flights if flight.day.startswith(f"{YEAR}-{month:02}")]
            for month in MONTHS
        }
        self.last_day = ""

    def live_months(self, months: Sequence[int]) -> None:
        """Live through some months: requests, the outcomes of the month at its end, a look."""
        port, model = _find_server(self._stage, self._project)
        tensors = _read_tensors(self._project)
        for month in months:
            self.last_day = f"{YEAR}-{month:02}-{monthrange(YEAR, month)[1]}"
            flights = self._months[month]
            for _, of_day in groupby(flights, key=attrgetter("day")):
                _ask(port, model, tensors, [*of_day])
            self._year.rows += len(flights)
            self._label(month)
            self._look()

    def _label(self, month: int) -> None:
        """Say how the flights of a month ended."""
        path = self._stage.folder / f"outcomes-{YEAR}-{month:02}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "late"))
            writer.writerows((it.cells["id"], it.cells["late"]) for it in self._months[month])
        words = ("label", afterwards.PRODUCTION, str(path), "--json")
        taken = json.loads(self._stage.run(*words, cwd=self._project))
        if taken["new"] != len(self._months[month]):
            problem = f"{taken['new']} labels are new, and {len(self._months[month])} were given"
            raise MlgitopsError(problem, where=str(path))

    def _look(self) -> None:
        """Look as of the end of the last day, and note alerts and the issue."""
        state = self._server.forge.state
        before = _read_states(state)
        page = self._stage.folder / "monitor.html"
        words = ("monitor", afterwards.PRODUCTION, "--day", self.last_day, "--post", "--json")
        text = self._stage.run(
            *words,
            "--html",
            str(page),
            cwd=self._project,
            allowed=(EXIT_PASS, EXIT_FAIL),
            variables={
                "GITHUB_API_URL": self._server.url,
                "GITHUB_REPOSITORY": _REPOSITORY,
                "GITHUB_TOKEN": "of-the-stand-in",
            },
        )
        alerts = {
            f"{it['name']} {it['of']}" if it.get("of") else it["name"]: str(it["since"])
            for it in json.loads(text)["findings"]
            if it["state"] == "alert"
        }
        self._year.alerts[self.last_day] = alerts
        self._year.page = str(page)
        changes = _compare_states(before, _read_states(state))
        self._year.issues[self.last_day] = changes.get("model", "")
        self._say(alerts, changes)

    def _say(self, alerts: Mapping[str, str], changes: Mapping[str, str]) -> None:
        listed = [f"{name} since {since}" for name, since in alerts.items()]
        listed += [
            f"the issue about {_SUBJECTS[kind]} is {change}" for kind, change in changes.items()
        ]
        self._stage.console.say(f"   {self.last_day}: {'; '.join(listed) or 'nothing'}")


def _begin(stage: Stage, project: Path) -> list[Flight]:
    """Forget what came after March, mend what the broken version had, train; return the rest."""
    path = project / _TABLE
    with path.open(encoding="utf-8", newline="") as file:
        flights = [Flight(row["date"], row) for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, flights[0].cells, lineterminator="\n")
        writer.writeheader()
        writer.writerows(it.cells for it in flights if it.day < FIRST_DAY)
    stage.console.say(f"   $ dvc add {_TABLE}")
    run_dvc(project, ["add", "--quiet", _TABLE])
    edits = {"  test_fraction: 0.5": "  test_fraction: 0.25"}
    edit_file(project, "params.yaml", edits, stage.console)
    for file_edits in (afterwards.LEAK, afterwards.BAKE):
        for name, lines in file_edits.items():
            edit_file(project, name, {new: old for old, new in lines.items()}, stage.console)
    _set_up_watch(project)
    stage.run("train", "--no-compare", cwd=project)  # the year shows another comparison
    stage.run("publish", cwd=project)
    stage.git(project, "add", "--all")
    stage.git(project, "commit", "--quiet", "--message", "Begin in April")
    return [flight for flight in flights if flight.day >= FIRST_DAY]


def _set_up_watch(project: Path) -> None:
    """Let monitor.yaml read the log with the days of the flights."""
    shutil.copyfile(replay.__file__, project / _READER)
    python = json.dumps(sys.executable)
    settings = _SETTINGS.format(reader=_READER, python=python, limit=CALIBRATION_LIMIT)
    with (project / "monitor.yaml").open("a", encoding="utf-8") as file:
        file.write(settings)


def _bring_into_service(
    stage: Stage, project: Path, port: int | None, statement: Path | None = None
) -> str:
    """Release what is on main, let production want it, and deploy it; return the tag."""
    tag = afterwards.release(stage, project, statement)
    afterwards.start_production(stage, project)
    afterwards.deploy(stage, project, port)
    return tag


def _retrain(stage: Stage, project: Path, day: str, year: Year) -> Path:
    """Propose a retraining, let the project's own workflow judge it, merge it."""
    words = ("retrain", afterwards.PRODUCTION, "--reason", "performance", "--day", day, "--json")
    proposed = json.loads(stage.run(*words, cwd=project))
    year.branch = str(proposed["branch"])
    (stage.folder / "pull-request-retrain.md").write_text(str(proposed["body"]), encoding="utf-8")
    stage.console.say(f"   {proposed['title']}: {proposed['why']}")
    kept = stage.folder / "rehearsal"
    shown = ("--json", "--show", "none", "--keep", str(kept))
    text = stage.run(
        "rehearse", "--head", year.branch, *shown, cwd=project, allowed=(EXIT_PASS, EXIT_FAIL)
    )
    answer = json.loads(text)
    (stage.folder / "comment-retrain.md").write_text(str(answer["comment"]), encoding="utf-8")
    if answer["verdict"] != "pass":
        problem = f"the retraining's verdict is {answer['verdict']}, and the demo promises pass"
        raise MlgitopsError(problem, where=year.branch, hint=f"its log: {answer['log']}")
    statement = stage.folder / "statement-retrain.json"
    shutil.copyfile(kept / "artifacts" / "mlgitops-statement" / "statement.json", statement)
    shutil.rmtree(kept)
    stage.git(project, "merge", "--quiet", "--no-ff", "--no-edit", year.branch)
    stage.run("train", "--no-compare", cwd=project)  # the model comes from the storage
    return statement


def _find_server(stage: Stage, project: Path) -> tuple[int, str]:
    """Return the public port of production and the name of its model."""
    words = ("deploy", afterwards.PRODUCTION, "--status", "--json")
    status = json.loads(stage.run(*words, cwd=project))
    return int(status["url"].rpartition(":")[2]), str(status["model"])


def _read_tensors(project: Path) -> dict[str, str]:
    """Return the type of each input, as the golden request has it."""
    golden = json.loads((project / "reports" / "golden.json").read_text(encoding="utf-8"))
    return {tensor["name"]: tensor["datatype"] for tensor in golden["request"]["inputs"]}


def _ask(port: int, model: str, tensors: Mapping[str, str], rows: Sequence[Flight]) -> None:
    """Ask the server about the flights of a day, each under its own id."""
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": [len(rows)],
            "data": [_read_cell(row.cells[name], datatype) for row in rows],
        }
        for name, datatype in {"id": "BYTES", **tensors}.items()
    ]
    status, answer = fetch_answer(port, f"/v2/models/{model}/infer", {"inputs": inputs})
    if status != _OK:
        said = answer[:300].decode("utf-8", "replace")
        raise MlgitopsError(f"flights of {rows[0].day} were answered with {status}: {said}")


def _read_cell(text: str, datatype: str) -> Any:  # noqa: ANN401 - of JSON
    if not text:
        return None
    return text if datatype == "BYTES" else float(text)


def _read_states(state: State) -> dict[str, str]:
    """Return whether the issue of each kind is open or closed, by how its title begins."""
    kinds = {"the model": "model", "what the model": "data", "the server": "system"}
    states = {}
    for issue in state.issues.values():
        said = issue.title.partition(": ")[2]
        kind = next(kind for words, kind in kinds.items() if said.startswith(words))
        states[kind] = issue.state
    return states


def _compare_states(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return the new state of each issue that has another one than before."""
    return {kind: now for kind, now in after.items() if before.get(kind) != now}
