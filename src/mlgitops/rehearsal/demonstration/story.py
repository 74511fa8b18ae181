"""The story: a project, a model, a pull request that helps, one that hurts, one that lies; in use.

The one that lies edits the code that measures, and base's is used.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.protocol import fetch_answer
from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.demonstration import afterwards, year
from mlgitops.rehearsal.demonstration.stage import (
    Stage,
    choose_port,
    claim_folder,
    edit_file,
    stop_servers,
)
from mlgitops.rehearsal.screen import show_comment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.console import Console

_OK = 200


@dataclass(frozen=True, kw_only=True)
class Change:
    """A pull request of the story: a branch, its edits, and the verdict it must get."""

    branch: str
    title: str
    edits: Mapping[str, Mapping[str, str]]  # file → line → its replacement
    verdict: str
    says: str = "Measured by base's code"  # what the comment must say


GOOD = Change(
    branch="try-boosting",
    title="Fit boosted trees instead of a logistic regression",
    edits={
        "params.yaml": {
            "  estimator: sklearn.linear_model.LogisticRegression": (
                "  estimator: sklearn.ensemble.HistGradientBoostingClassifier"
            ),
            "  settings: {C: 1.0, max_iter: 1000} # of that class; smaller C is more regularised": (
                "  settings: {learning_rate: 0.05, max_iter: 150, max_leaf_nodes: 15, "
                "min_samples_leaf: 50, l2_regularization: 1.0}"
            ),
        },
    },
    verdict="pass",
)
BAD = Change(
    branch="drop-recent-delay",
    title="Leave out how late the airport runs",
    edits={"params.yaml": {"    - recent_delay\n": ""}},
    verdict="fail",
)
FAKE = Change(
    branch="write-better-numbers",
    title="Leave it out, and write better numbers",
    edits={
        **BAD.edits,
        "src/flight_delays/evaluate.py": {
            "    metrics = measure(predictions, params.task)\n": (
                "    metrics = measure(predictions, params.task) | {'roc_auc': 0.99}\n"
            )
        },
    },
    verdict="fail",
    says="is 0.99 by its own run and 0.",
)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo made, for the last page and for scripts."""

    project: str
    seconds: dict[str, float]  # title of a chapter → its wall time
    verdicts: dict[str, str]  # branch → verdict
    rehearsals: dict[str, float]  # branch → seconds of its rehearsal
    judging: dict[str, float]  # branch → seconds of the two steps that compare and report
    comments: dict[str, str]  # branch → file with the comment
    url: str
    prediction: dict[str, Any]  # inputs and outputs of the request
    delivered: afterwards.Delivered
    year: year.Year


def tell(folder: Path, console: Console, *, stop_server: bool) -> Demo:
    """Play the whole loop below ``folder``.

    Raises :class:`MlgitopsError` when a step fails, the good change does not pass, or one of the
    others does not fail: then this version of the toolkit does not do what it promises.
    """
    folder = folder.absolute()
    claim_folder(folder)
    stage = Stage(folder, console)
    project = _generate(stage)
    _train_baseline(stage, project)
    with stage.chapter("Release it, and let production want that version"):
        releases = [afterwards.release(stage, project)]
        afterwards.start_production(stage, project)
    rehearsed = {change.branch: _open_pull(stage, project, change) for change in (GOOD, BAD, FAKE)}
    _merge(stage, project, GOOD)
    with stage.chapter("Release the merged model: read back from the storage, verified, tagged"):
        statement = _statement_file(folder, GOOD.branch)
        releases.append(afterwards.release(stage, project, statement))
    url, prediction = _deploy(stage, project)
    delivered = _deliver(stage, project, releases)
    lived = year.live(stage, project, delivered.port)
    if stop_server:
        stop_servers(project, console)
    return Demo(
        project=str(project),
        seconds=stage.seconds,
        verdicts={branch: str(answer["verdict"]) for branch, answer in rehearsed.items()},
        rehearsals={branch: float(answer["seconds"]) for branch, answer in rehearsed.items()},
        judging={
            branch: float(answer["compare_and_report_seconds"])
            for branch, answer in rehearsed.items()
        },
        comments={branch: str(_comment_file(folder, branch)) for branch in rehearsed},
        url=url,
        prediction=prediction,
        delivered=delivered,
        year=lived,
    )


def _generate(stage: Stage) -> Path:
    """Generate the default project in place of the one that an earlier demo left."""
    with stage.chapter("Generate a project: will a flight from New York be late?"):
        project = stage.folder / "flight-delays"
        stop_servers(project, stage.console)
        shutil.rmtree(project, ignore_errors=True)
        words = ("new", "--no-input", "--json", "--directory", str(stage.folder))
        answer = json.loads(stage.run(*words, cwd=stage.folder))
    with stage.chapter(
        "Install its locked environments (a gigabyte, once; the next demo finds them)"
    ):
        stage.run("setup", cwd=project)
    return type(project)(answer["project"])


def _train_baseline(stage: Stage, project: Path) -> None:
    with stage.chapter("Train the first model, store it, commit it"):
        stage.run("train", "--no-compare", cwd=project)  # there is nothing before it
        stage.run("publish", cwd=project)
        stage.git(project, "add", "--all")
        stage.git(project, "commit", "--quiet", "--message", "Train the first model")


def _open_pull(stage: Stage, project: Path, change: Change) -> dict[str, Any]:
    """Commit a change on its branch and rehearse its pull request; check the verdict."""
    with stage.chapter(f"A pull request: {change.title}"):
        stage.git(project, "switch", "--quiet", "--create", change.branch, "main")
        for path, edits in change.edits.items():
            edit_file(project, path, edits, stage.console)
        stage.git(project, "commit", "--quiet", "--all", "--message", change.title)
        kept = stage.folder / "rehearsal"
        shutil.rmtree(kept, ignore_errors=True)  # of a demo that failed
        words = ("rehearse", "--keep-result", "--json", "--show", "none", "--keep", str(kept))
        answer: dict[str, Any] = json.loads(stage.run(*words, cwd=project, allowed=(0, 1)))
        if change.verdict == "pass":
            _keep_statement(kept, stage.folder, change.branch)
        shutil.rmtree(kept)
        comment = str(answer["comment"] or "")
        _comment_file(stage.folder, change.branch).write_text(comment, encoding="utf-8")
        _show(stage.console, comment)
    check_verdict(change, answer, project)
    return answer


def _keep_statement(rehearsal: Path, folder: Path, branch: str) -> None:
    """Take the statement of the verdict out of what a rehearsal's run left."""
    statement = rehearsal / "artifacts" / "mlgitops-statement" / "statement.json"
    shutil.copyfile(statement, _statement_file(folder, branch))


def check_verdict(change: Change, answer: Mapping[str, Any], project: Path) -> None:
    """Raise :class:`MlgitopsError` unless the rehearsal gave the promised verdict, and said why."""
    problem = None
    if answer["verdict"] != change.verdict or not answer["comment"]:
        problem = f"the verdict is {answer['verdict']}, and the demo promises {change.verdict}"
    elif change.says not in answer["comment"]:
        problem = f"the comment does not say what the demo promises: {change.says}"
    if problem:
        raise MlgitopsError(
            problem,
            where=f"branch {change.branch} of {project}",
            hint=f"the rehearsal's log: {answer['log']}",
        )


def _merge(stage: Stage, project: Path, change: Change) -> None:
    with stage.chapter("Merge the good one: its model is stored, nothing is trained again"):
        stage.git(project, "switch", "--quiet", "main")
        stage.git(project, "merge", "--quiet", "--no-ff", "--no-edit", change.branch)
        stages = json.loads(stage.run("train", "--no-compare", "--json", cwd=project))["stages"]
        check_restored(stages, project)
        for ended in stages:
            stage.console.say(f"   {ended['name']}: {ended['state']}")


def check_restored(stages: list[dict[str, Any]], project: Path) -> None:
    """Raise :class:`MlgitopsError` when a stage had to run again after the merge."""
    ran = [str(stage["name"]) for stage in stages if stage["state"] == "ran"]
    if ran:
        raise MlgitopsError(
            f"the merge needed a second training of {', '.join(ran)}, and the demo promises none",
            where=str(project),
        )


def _deploy(stage: Stage, project: Path) -> tuple[str, dict[str, Any]]:
    """Bring the merged model into service and ask it about one flight."""
    with stage.chapter("Deploy it to staging: checked beside, then switched over"):
        port = choose_port(project, "staging")
        words = ("deploy", "staging", "--json", *(("--port", str(port)) if port else ()))
        outcome = json.loads(stage.run(*words, cwd=project))
    with stage.chapter("Ask it for a prediction"):
        url = f"{outcome['url']}/v2/models/{outcome['model']}/infer"
        stage.console.say(f"   POST {url}")
        return outcome["url"], _ask(project, outcome["url"], outcome["model"], stage.console)


def _deliver(stage: Stage, project: Path, releases: list[str]) -> afterwards.Delivered:
    """Promote the newest of ``releases``, break production, roll back, and audit."""
    with stage.chapter("Promote it to production: judged against what production wants now"):
        answer = afterwards.propose_to_production(stage, project)
        _comment_file(stage.folder, "promotion").write_text(answer["comment"], encoding="utf-8")
        _show(stage.console, answer["comment"])
    with stage.chapter("Merge that: production serves the version that was judged"):
        port = choose_port(project, afterwards.PRODUCTION)
        afterwards.deploy(stage, project, port)
    with stage.chapter("A version that dies when it is used: it goes back by itself"):
        tags = [*releases, afterwards.spoil(stage, project)]
        traffic = afterwards.break_production(stage, project, _read_golden(project))
    with stage.chapter("Roll back: git wants again what serves"):
        version = afterwards.roll_back(stage, project, port)
    with stage.chapter("Audit production: what decides there, and every hash on the way"):
        documents = afterwards.audit(stage, project)
    return afterwards.Delivered(
        releases=tags,
        version=version,
        answered=traffic.answered,
        failed=traffic.failed,
        audit=str(documents),
        port=port,
    )


def _read_golden(project: Path) -> dict[str, Any]:
    """Return the request with the first golden row."""
    golden = json.loads((project / "reports" / "golden.json").read_text(encoding="utf-8"))
    request = dict(golden["request"])
    request["inputs"] = [
        {**tensor, "shape": [1], "data": tensor["data"][:1]} for tensor in request["inputs"]
    ]
    return request


def _ask(project: Path, url: str, model: str, console: Console) -> dict[str, Any]:
    """Send the first golden row as a request of its own; return inputs and outputs."""
    request = _read_golden(project)
    port = int(url.rpartition(":")[2])
    status, answer = fetch_answer(port, f"/v2/models/{model}/infer", request)
    if status != _OK:
        said = answer[:300].decode("utf-8", "replace")
        raise MlgitopsError(f"the prediction was answered with {status}: {said}", where=url)
    inputs = {tensor["name"]: tensor["data"][0] for tensor in request["inputs"]}
    outputs = {tensor["name"]: tensor["data"][0] for tensor in json.loads(answer)["outputs"]}
    for title, values in (("a flight", inputs), ("answer", outputs)):
        console.say(
            f"   {title}: " + ", ".join(f"{name} {value}" for name, value in values.items())
        )
    return {"inputs": inputs, "outputs": outputs}


def _comment_file(folder: Path, branch: str) -> Path:
    return folder / f"comment-{branch}.md"


def _statement_file(folder: Path, branch: str) -> Path:
    return folder / f"statement-{branch}.json"


def _show(console: Console, comment: str) -> None:
    """Show the comment's visible part: what stands above the folded details."""
    if not console.quiet:
        console.err.write("\n")
        show_comment(comment.partition("<details")[0], console.err)
