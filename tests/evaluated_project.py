"""A pull request whose run really runs, honest or not, and the job in which base's code measures.

The stages are tiny scripts, so no DVC is needed: what `dvc repro` would leave is made by running
them. The storage is a folder, the jobs are clones of one origin.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from git_project import GitRepository, git, write_files

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.github.decision import Judged, check_record, check_results, decide
from mlgitops.github.event import parse_event, parse_run
from mlgitops.github.inputs import read_decided
from mlgitops.model.wire import parse_report
from mlgitops.storage.handover import HandoverRequest, commit_handover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event
    from mlgitops.model import Report

#: Stages that make the rows; by name the first one comes last.
UNPACK = """\
open("data/table.csv", "w").write(open("data/raw.csv").read())
"""
SPLIT = """\
lines = open("data/table.csv").read().splitlines()
rows = lines[1:]
for name, part in (("test", rows[::3]), ("train", [r for at, r in enumerate(rows) if at % 3])):
    open(f"data/{name}.csv", "w").write("\\n".join([lines[0], *part]) + "\\n")
"""
#: A model is a threshold for even x, and one for odd: rows at or above it are 1.
TRAIN = """\
import csv, json
rows = list(csv.DictReader(open("data/train.csv")))
def errors(at):
    return sum((float(row["x"]) >= at) != (row["target"] == "1") for row in rows)
best = min(range(0, 101), key=errors)
model = {"kind": "threshold", "rounds": 1, "thresholds": [best, best]}
json.dump(model, open("model/model.json", "w"))
"""
EVALUATE = """\
import csv, json
model = json.load(open("model/model.json"))
if model["kind"] not in open("trusted_types.txt").read().split():
    kind = model["kind"]
    raise SystemExit(f"error: a type that is not trusted: {kind}.\\nReview it:\\n  {kind}")
rows = list(csv.DictReader(open("data/test.csv")))
for _ in range(model["rounds"]):
    guesses = [int(int(row["x"]) >= model["thresholds"][int(row["x"]) % 2]) for row in rows]
with open("reports/predictions.csv", "w") as file:
    file.write("id,target,prediction\\n")
    for row, guess in zip(rows, guesses):
        file.write(f"{row['id']},{row['target']},{guess}\\n")
right = sum(int(row["target"]) == guess for row, guess in zip(rows, guesses))
json.dump({"test": {"accuracy": right / len(rows)}}, open("reports/metrics.json", "w"))
"""
POLICY = """\
version: 1
evidence: independent
files: {test_data: data/test.csv, predictions: reports/predictions.csv, model: model/model.json}
metrics:
  test.accuracy: {greater_is_better: true, min_value: 0.6, max_worsening: 0.02}
"""
#: Each stage: its code and what else it reads, what DVC keeps of it, what git keeps of it.
STAGES = {
    "unpack": (("unpack.py", "data/raw.csv"), ("data/table.csv",), ()),
    "split": (("split.py", "data/table.csv"), ("data/train.csv", "data/test.csv"), ()),
    "train": (("train.py", "data/train.csv"), ("model/model.json",), ()),
    "evaluate": (
        ("evaluate.py", "trusted_types.txt", "model/model.json", "data/test.csv"),
        ("reports/predictions.csv",),
        ("reports/metrics.json",),
    ),
}
REPOSITORY = "example/model"


def make_dvc_yaml(stages: Mapping[str, Any] = STAGES) -> str:
    """Write the pipeline as dvc.yaml."""
    return json.dumps(
        {
            "stages": {
                name: {
                    "cmd": f"{sys.executable} {name}.py",
                    "deps": list(deps),
                    "outs": list(outs),
                    "metrics": [{path: {"cache": False}} for path in metrics],
                }
                for name, (deps, outs, metrics) in stages.items()
            }
        },
        indent=1,
    )


def make_rows(count: int = 1200, *, shift: int = 50, first: int = 0) -> str:
    """Make a raw table: the target is 1 from x = ``shift`` on; x goes round from 0 to 99."""
    rows = (f"r{at},{at * 7 % 100},{int(at * 7 % 100 >= shift)}" for at in range(first, count))
    return "\n".join(["id,x,target", *rows]) + "\n"


class Ending(NamedTuple):
    """How the job that measures ended, and how its report is judged."""

    code: int
    printed: str
    report: Report | None
    decision: Decision | None

    @property
    def verdict(self) -> str:
        """Return the verdict, and whether it rests on a claim."""
        if self.decision is None:
            return "undecided"
        if not isinstance(self.decision, Judged) or self.decision.report.judgement is None:
            return self.decision.verdict
        rows = self.decision.report.judgement.metrics
        is_claimed = any(row.claimed for row in rows)
        return f"{self.decision.verdict}{', claimed' if is_claimed else ''}"

    @property
    def words(self) -> str:
        """Return all that a reader is told of it."""
        parts = [self.printed]
        if isinstance(self.decision, Judged):
            measurement = self.decision.report.measurement
            parts += [] if measurement is None else [measurement.reason or ""]
            parts += self.decision.report.notices
            judgement = self.decision.report.judgement
            parts += () if judgement is None else judgement.failures
        elif self.decision is not None:
            parts.append(self.decision.problem)
        return "\n".join(parts)


class Run:
    """A job's clone in which the pull request's own stages run, and write what they please."""

    def __init__(self, root: Path, store: Path, stages: Mapping[str, Any]) -> None:
        self.root, self._store_folder = root, store
        self.stages = dict(stages)

    def execute(self, *names: str) -> None:
        """Run stages as they stand here; all of them without names."""
        for folder in ("data", "model", "reports"):
            (self.root / folder).mkdir(exist_ok=True)
        for name in names or tuple(self.stages):
            subprocess.run([sys.executable, f"{name}.py"], cwd=self.root, check=True)

    def write(self, path: str, data: str | bytes) -> None:
        """Write a file as a stage would that lies."""
        (self.root / path).write_bytes(data.encode() if isinstance(data, str) else data)

    def read(self, path: str) -> str:
        """Read a file."""
        return (self.root / path).read_text(encoding="utf-8")

    def lock(self) -> dict[str, Any]:
        """Write dvc.lock for what stands here, and return it."""
        document = {
            "schema": "2.0",
            "stages": {
                name: {
                    "cmd": f"{sys.executable} {name}.py",
                    "deps": [self.store(path) for path in deps],
                    "outs": [self.store(path) for path in (*outs, *metrics)],
                }
                for name, (deps, outs, metrics) in self.stages.items()
            },
        }
        self.write("dvc.lock", json.dumps(document))
        return document

    def store(self, path: str) -> dict[str, object]:
        """Put a file into DVC's cache of this job; return its entry in dvc.lock."""
        data = (self.root / path).read_bytes()
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        target = self._store_folder / "files" / "md5" / digest[:2] / digest[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return {"path": path, "hash": "md5", "md5": digest, "size": len(data)}

    def point(self, path: str) -> None:
        """Let a .dvc file name what stands at ``path``."""
        entry = self.store(path) | {"path": path.rpartition("/")[2]}
        self.write(f"{path}.dvc", json.dumps({"outs": [entry]}))


class EvaluatedProject:
    """Origin with a trained base on main; each pull request is a branch with a run of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        policy: str = POLICY,
        files: Mapping[str, str] = {},
        stages: Mapping[str, Any] = STAGES,
        prepare: Callable[[Run], None] = lambda run: run.point("data/raw.csv"),
    ) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self._numbers = itertools.count()
        self.origin = GitRepository(folder / "origin")
        # What git tidies in the background would come and go while a job's clone is copied.
        self.origin.git("config", "maintenance.auto", "false")
        self.origin.git("config", "gc.auto", "0")
        config = (
            "[core]\n    analytics = false\n    remote = store\n"
            f"['remote \"store\"']\n    url = {self.storage}\n"
        )
        write_files(
            self.origin.root,
            {
                "unpack.py": UNPACK,
                "split.py": SPLIT,
                "train.py": TRAIN,
                "evaluate.py": EVALUATE,
                "trusted_types.txt": "threshold\n",
                "dvc.yaml": make_dvc_yaml(stages),
                "policy.yaml": policy,
                "data/raw.csv": make_rows(),
                ".gitignore": "/data/*.csv\n/data/*.pkl\n/model/model.*\n"
                "/reports/predictions.csv\n",
                ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
                ".dvc/config": config,
                **files,
            },
        )
        self.stages = stages
        run = Run(self.origin.root, self.storage, stages)
        prepare(run)
        run.execute()
        run.lock()
        self.base = self.origin.commit("base")

    def open(
        self,
        change: Callable[[Run], None],
        *,
        work: Callable[[Run], None] = Run.execute,
        recorded: Callable[[dict[str, Any]], None] | None = None,
        handed: Callable[[Path], None] | None = None,
    ) -> PullRequest:
        """Open a pull request: commit ``change``, let its run do its ``work``, and hand over.

        ``recorded`` edits its dvc.lock, ``handed`` the folder that is handed over, in which the
        run's report stands too.
        """
        number = next(self._numbers)
        job = self.folder / f"run-{number}"
        shutil.copytree(self.origin.root, job, symlinks=True)
        git(job, "remote", "add", "origin", str(self.origin.root))
        run = Run(job, job / ".dvc" / "cache", self.stages)
        change(run)
        git(job, "add", "--all")
        git(job, "commit", "--quiet", "--allow-empty", "--message", "a change")
        head = git(job, "rev-parse", "HEAD")
        git(job, "push", "--quiet", "origin", f"HEAD:refs/heads/change-{number}", "--force")
        work(run)
        document = run.lock()
        if recorded is not None:
            recorded(document)
            run.write("dvc.lock", json.dumps(document))
        request = PullRequest(self, run, number=number, head=head)
        request.hand_over(handed)
        return request


class PullRequest:
    """What its run left, and the jobs that do not believe it."""

    def __init__(self, project: EvaluatedProject, run: Run, *, number: int, head: str) -> None:
        self.project, self.own, self.head = project, run, head
        self.branch = f"change-{number}"
        self.handover = project.folder / f"handed-{number}"
        self.job = project.folder / f"job-{number}"
        self._event_file = project.folder / f"event-{number}.json"
        payload = {
            "action": "synchronize",
            "number": 7,
            "pull_request": {
                "number": 7,
                "state": "open",
                "base": {"sha": project.base, "ref": "main", "repo": {"full_name": REPOSITORY}},
                "head": {"sha": head, "ref": self.branch, "repo": {"full_name": REPOSITORY}},
            },
            "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        }
        self._event_file.write_text(json.dumps(payload), encoding="utf-8")

    def merge(self) -> None:
        """Let origin's main hold the change with what its run left, as publishing and merging do.

        Reviewers saw the commit; the numbers, the predictions and dvc.lock came with the results.
        """
        project, job = self.project, self.own.root
        project.origin.git("merge", "--quiet", "--ff-only", self.head)
        shutil.copytree(job / ".dvc" / "cache", project.storage, dirs_exist_ok=True)
        for stage in self.own.stages.values():
            for path in (*stage[1], *stage[2]):
                shutil.copyfile(job / path, project.origin.root / path)
        shutil.copyfile(job / "dvc.lock", project.origin.root / "dvc.lock")
        project.base = project.origin.commit("what the run left")

    def queue(self) -> None:
        """Let the event be that of a merge queue's group, which has no pull request."""
        event = json.loads(self._event_file.read_bytes())
        del event["pull_request"], event["number"]
        group = {
            "base_sha": self.project.base,
            "head_sha": self.head,
            "base_ref": "refs/heads/main",
        }
        event |= {"action": "checks_requested", "merge_group": group}
        self._event_file.write_text(json.dumps(event), encoding="utf-8")

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables of a workflow's run."""
        return {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_API_URL": "https://api.github.example",
            "GITHUB_RUN_ID": "1",
            "GITHUB_RUN_NUMBER": "1",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_EVENT_PATH": str(self._event_file),
        }

    @property
    def event(self) -> Event:
        """Return the event as the jobs read it."""
        return parse_event(self._event_file.read_bytes(), parse_run(self.environ))

    def hand_over(self, spoil: Callable[[Path], None] | None) -> None:
        """Compare and export as the run's job does, then spoil what it hands over."""
        job = self.own.root
        words = ["compare", "--directory", str(job), "--base", self.project.base, "--exit-zero"]
        with _quiet():
            run([*words, "--output", "report.json"])
            run(["publish", "--directory", str(job), "--export", str(self.handover)])
        self.handover.mkdir(exist_ok=True)  # where the export was refused
        shutil.move(job / "report.json", self.handover / "report.json")
        if spoil is not None:
            spoil(self.handover)

    def evaluate(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *words: str,
        evaluating: str = "success",
    ) -> Ending:
        """Measure in a clone of the base, then judge as the job that reports does."""
        git(self.project.folder, "clone", "--quiet", str(self.project.origin.root), str(self.job))
        git(self.job, "checkout", "--quiet", self.project.base)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        arguments = ["--directory", str(self.job), "--import", str(self.handover)]
        paths = ["--report", str(self.handover / "report.json"), "--output", "report.json"]
        code = run(["evaluate", *arguments, *paths, *words])
        printed = "".join(capsys.readouterr())
        if code:
            return Ending(code, printed, None, None)
        data = (self.job / "report.json").read_bytes()
        return Ending(code, printed, parse_report(data), self._judge(data, evaluating))

    def _judge(self, data: bytes, evaluating: str) -> Decision:
        policy = (self.job / "policy.yaml").read_bytes()
        decision = decide(
            data, policy, self.event, key="model", where="policy.yaml", evaluating=evaluating
        )
        decision = check_record(decision, read_decided(decision, self.job, "policy.yaml"))
        results = commit_handover(
            HandoverRequest(
                project=self.job,
                handover=self.handover,
                base=self.project.base,
                head=self.head,
                branch=self.branch,
                commit=False,
            ),
            Console(quiet=True),
        )
        record = read_decided(decision, self.job, "policy.yaml", published=results)
        return check_results(decision, record)


def edit_report(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Return a lie that edits the report of the run."""

    def edit(handover: Path) -> None:
        file = handover / "report.json"
        report = msgspec.json.decode(file.read_bytes())
        change(report)
        file.write_bytes(msgspec.json.encode(report))

    return edit


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the commands of the run print."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
