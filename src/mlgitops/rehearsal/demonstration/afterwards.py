"""What comes after the merge: versions, environments, a broken version, the way back, the audit.

The story goes on with the project of `story`; each part raises when what it promises does not hold.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mlgitops.delivery.protocol import fetch_answer
from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError
from mlgitops.rehearsal.demonstration.stage import edit_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from mlgitops.rehearsal.demonstration.stage import Stage

PRODUCTION = "production"
_OK = 200
#: Requests that a process of the broken version answers before it ends.
_ANSWERED = 12
#: A leak of memory in one line: the kernel ends such a process in just this way.
LEAK = {
    "src/flight_delays/serve.py": {
        "return answer_numbers(": (
            'self.asked = getattr(self, "asked", 0) + 1\n'
            f"            if self.asked > {_ANSWERED}:\n"
            "                signal.raise_signal(signal.SIGKILL)\n"
            "            return answer_numbers("
        )
    }
}
BAKE = {"deploy/production/model.yaml": {"\nport: ": "\nbake: 60\nport: "}}  # seconds


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What came after the merge, for the last page and for scripts."""

    releases: list[str]  # tags, in the order of the story
    version: str  # that production serves at the end
    answered: int  # requests that were answered while the broken version came and went
    failed: int  # of such requests
    audit: str  # folder with the documents
    port: int | None  # the public one of production; None: that of the environment's file


def release(stage: Stage, project: Path, statement: Path | None = None) -> str:
    """Give the model on main its version, and return the tag; nothing is trained for it.

    ``statement`` is that of the verdict which let it in.
    """
    words = ("--statement", str(statement)) if statement else ()
    outcome = json.loads(stage.run("release", "--json", *words, cwd=project))
    if not outcome["made"]:
        raise MlgitopsError(f"{outcome['tag']} was there before, and the demo promises a new one")
    stage.console.say(f"   {outcome['tag']}: model {outcome['lineage']['sha256'][:12]}")
    return str(outcome["tag"])


def promote(stage: Stage, project: Path) -> str:
    """Propose the newest release for production; return the branch of the pull request."""
    words = ("promote", "--to", PRODUCTION, "--json")
    return str(json.loads(stage.run(*words, cwd=project))["branch"])


def start_production(stage: Stage, project: Path) -> None:
    """Let production want the first release."""
    _merge(stage, project, promote(stage, project))


def propose_to_production(stage: Stage, project: Path) -> dict[str, Any]:
    """Open the promotion pull request, let the project's own workflow judge it, and merge it."""
    branch = promote(stage, project)
    words = ("rehearse", "--head", branch, "--json", "--show", "none")
    answer: dict[str, Any] = json.loads(stage.run(*words, cwd=project, allowed=(0, 1)))
    if answer["verdict"] != "pass":
        problem = f"the promotion's verdict is {answer['verdict']}, and the demo promises pass"
        raise MlgitopsError(problem, where=branch, hint=f"the rehearsal's log: {answer['log']}")
    _merge(stage, project, branch)
    return answer


def deploy(stage: Stage, project: Path, port: int | None, *, code: int = EXIT_PASS) -> None:
    """Bring into service what git wants in production; ``code`` is the promised exit code.

    ``port`` is the public one, None for that of the environment's file.
    """
    words = ("deploy", PRODUCTION, *(("--port", str(port)) if port else ()))
    stage.run(*words, cwd=project, allowed=(code,))


def read_status(stage: Stage, project: Path, version: str) -> dict[str, Any]:
    """Return what production serves. Raises unless it is ``version``, and answers."""
    words = ("deploy", PRODUCTION, "--status", "--json")
    status: dict[str, Any] = json.loads(stage.run(*words, cwd=project, allowed=(0, 1)))
    if not status["serving"] or status["version"] != version:
        problem = f"production serves {status['version']}, and the demo promises {version}"
        raise MlgitopsError(problem, where=str(project))
    stage.console.say(f"   production serves {version} at {status['url']}")
    return status


def spoil(stage: Stage, project: Path) -> str:
    """Release a version that dies when it is used, and let production want it; return its tag."""
    edit_file(project, *_only(LEAK), stage.console)
    stage.git(project, "commit", "--quiet", "--all", "--message", "Count the requests")
    tag = release(stage, project)
    edit_file(project, *_only(BAKE), stage.console)
    stage.git(project, "commit", "--quiet", "--all", "--message", "Watch new models for a minute")
    _merge(stage, project, promote(stage, project))
    return tag


def break_production(stage: Stage, project: Path, request: Mapping[str, Any]) -> Traffic:
    """Bring that version into service while users ask; return what they saw.

    Raises :class:`MlgitopsError` unless the old version serves on and no request failed.
    """
    before = read_status(stage, project, "v1.1.0")
    port = int(before["url"].rpartition(":")[2])
    with Traffic(port, f"/v2/models/{before['model']}/infer", request) as traffic:
        deploy(stage, project, port, code=EXIT_FAIL)
    stage.console.say(f"   meanwhile {traffic.answered} requests answered, {traffic.failed} failed")
    if traffic.failed or not traffic.answered:
        raise MlgitopsError("the demo promises that no request fails", where=before["url"])
    read_status(stage, project, "v1.1.0")
    return traffic


def roll_back(stage: Stage, project: Path, port: int | None) -> str:
    """Take the change of production back in git; return the version that git wants, and serves."""
    words = ("rollback", PRODUCTION, "--reason", "it died when it was used", "--json")
    branch = json.loads(stage.run(*words, cwd=project))["branch"]
    _merge(stage, project, str(branch))
    deploy(stage, project, port)
    return str(read_status(stage, project, "v1.1.0")["version"])


def audit(stage: Stage, project: Path) -> Path:
    """Say what decides in production and hold every hash; return the folder of the documents."""
    folder = stage.folder / "audit"
    text = stage.run("audit", PRODUCTION, "--output", str(folder), cwd=project)
    sections = text.split("\n\n")  # between these: every file, parameter and metric
    for section in (*sections[:2], sections[-1]):
        stage.console.say(section)
    return folder


class Traffic:
    """Users of a model: one request after the other, each on a connection of its own."""

    def __init__(self, port: int, path: str, request: Mapping[str, Any]) -> None:
        self.answered = 0
        self.failed = 0
        self._asked = (port, path, dict(request))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask no more, once the last answer is here."""
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.05):
            try:
                status, _ = fetch_answer(*self._asked)
            except (OSError, http.client.HTTPException):
                status = None
            if status == _OK:
                self.answered += 1
            else:
                self.failed += 1


def _merge(stage: Stage, project: Path, branch: str) -> None:
    stage.git(project, "merge", "--quiet", "--no-ff", "--no-edit", branch)


def _only(edits: Mapping[str, Mapping[str, str]]) -> tuple[str, Mapping[str, str]]:
    ((path, lines),) = edits.items()
    return path, lines
