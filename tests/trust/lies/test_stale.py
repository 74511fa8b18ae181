"""Numbers of another state: edits after which those of the last run would be believed.

Each is a whole project with a well-formed dvc.yaml, dvc.lock and metrics. What lies is that the
numbers are of what stands beside them. Nothing here forges a lock.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository
from trust.lie import check_lie

from mlgitops.cli import run
from mlgitops.dvc.hashes import hash_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Edit = Callable[["Project"], None]
    EditAround = Callable[[GitRepository], None]

MANIFEST = [("a.csv", hashlib.md5(b"a\n", usedforsecurity=False).hexdigest())]


def md5(data: bytes) -> str:
    """Hash as DVC does."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Project(GitRepository):
    """A pipeline of two stages, of which the second measures, and the lock of its last run."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.prepare: dict[str, Any] = {
            "cmd": "python prepare.py ${mode}",
            "deps": ["prepare.py", "data/a.csv"],
            "outs": ["prepared.csv"],
        }
        self.evaluate: dict[str, Any] = {
            "cmd": "python evaluate.py",
            "deps": ["lib", "prepared.csv"],
            "params": ["train", "layers.0.units", {"whole.json": None}, {"conf.py": ["Net.depth"]}],
            "metrics": [{"m.json": {"cache": False}}],
            "outs": [{"predictions.csv": {"cache": False}}],
        }
        self.top: dict[str, Any] = {"vars": [{"mode": "full"}]}
        for path, text in FILES.items():
            self.put(path, text)
        self.declare()
        self.put("dvc.lock", json.dumps({"schema": "2.0", "stages": LOCK}))
        pointer = {"outs": [{"path": "data", "md5": hash_directory(MANIFEST), "hash": "md5"}]}
        self.put("data.dvc", json.dumps(pointer))
        self.commit()
        self.git("checkout", "-q", "-b", "change")

    def declare(self) -> None:
        """Write dvc.yaml."""
        stages = {"prepare": self.prepare, "evaluate": self.evaluate}
        self.put("dvc.yaml", json.dumps({**self.top, "stages": stages}))


FILES = {
    "policy.yaml": "version: 1\nmetrics: {accuracy: {max_worsening: 0.1}}\n",
    "prepare.py": "prepare\n",
    "lib/evaluate.py": "evaluate\n",
    "lib/note.tmp": "note\n",
    ".dvcignore": "*.tmp\n",
    "params.yaml": "train: {depth: 3}\nlayers: [{units: 3}, {units: 5}]\nmore: 1\n",
    "whole.json": '{"rate": 1}',
    "conf.py": "class Net:\n    depth = 3\n",
    "m.json": '{"accuracy": 0.9}',
    "predictions.csv": "id,target,prediction\n1,1,1\n2,0,0\n",
    ".gitignore": "/data\n/prepared.csv\n",
}


def entry(path: str, digest: str) -> dict[str, str]:
    """Make an entry of the lock."""
    return {"path": path, "hash": "md5", "md5": digest}


def of_file(path: str) -> dict[str, str]:
    """Make the entry of one of the files."""
    return entry(path, md5(FILES[path].encode()))


def locked(
    command: str, deps: list[dict[str, str]], outs: list[dict[str, str]], name: str = "prep"
) -> dict[str, Any]:
    """Make a lock of one stage."""
    return {"schema": "2.0", "stages": {name: {"cmd": command, "deps": deps, "outs": outs}}}


LOCK: dict[str, Any] = {
    "prepare": {
        "cmd": "python prepare.py full",
        "deps": [of_file("prepare.py"), entry("data/a.csv", MANIFEST[0][1])],
        "outs": [entry("prepared.csv", md5(b"prepared"))],
    },
    "evaluate": {
        "cmd": "python evaluate.py",
        "deps": [
            entry("lib", hash_directory([("evaluate.py", md5(b"evaluate\n"))])),
            entry("prepared.csv", md5(b"prepared")),
        ],
        "params": {
            "params.yaml": {"train": {"depth": 3}, "layers.0.units": 3},
            "whole.json": {"rate": 1},
            "conf.py": {"Net.depth": 3},
        },
        "outs": [of_file("m.json"), of_file("predictions.csv")],
    },
}


def put(path: str, text: str) -> EditAround:
    """Write a file."""
    return lambda project: project.put(path, text)


def remove(path: str) -> EditAround:
    """Delete a file."""
    return lambda project: (project.root / path).unlink()


def declare(stage: str, key: str, change: Callable[[Any], Any]) -> Edit:
    """Change what dvc.yaml says of a stage."""

    def call(project: Project) -> None:
        body = getattr(project, stage)
        body[key] = change(body.get(key))
        project.declare()

    return call


def several(*edits: Edit) -> Edit:
    """Make several edits."""

    def call(project: Project) -> None:
        for edit in edits:
            edit(project)

    return call


def drop_stage(project: Project) -> None:
    """Take the measuring stage away, and leave its metrics with better numbers."""
    project.put("dvc.yaml", json.dumps({"metrics": ["m.json"], "stages": {}}))
    project.put("m.json", '{"accuracy": 0.99}')


def hide_stage(project: Project) -> None:
    """Give the measuring stage a template that nothing fills, and name its metrics beside it."""
    project.top["metrics"] = ["m.json"]
    declare("evaluate", "cmd", lambda _: "python ${nothing.of.this}.py")(project)


def change_lock(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Leave something out of the lock."""

    def call(project: Project) -> None:
        stages = json.loads(json.dumps(LOCK))
        change(stages)
        project.put("dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))

    return call


def other_data(project: Project) -> None:
    """Point at another directory of data; what is in it, nobody here can see."""
    pointer = {"outs": [{"path": "data", "md5": f"{'0' * 32}.dir", "hash": "md5"}]}
    project.put("data.dvc", json.dumps(pointer))


_RAN = "Stage `evaluate` was last run"
LIES: dict[str, tuple[Edit, str]] = {
    "a key added to a tracked group": (
        put("params.yaml", FILES["params.yaml"].replace("{depth: 3", "{rate: 1, depth: 3")),
        f"{_RAN} with another parameter `train.rate`",
    ),
    "a key added to a whole file": (
        put("whole.json", '{"rate": 1, "new": 2}'),
        f"{_RAN} without parameter `new`",
    ),
    "a key removed from a whole file": (
        put("whole.json", "{}"),
        f"{_RAN} with another parameter `rate`",
    ),
    "a value in a list": (
        put("params.yaml", FILES["params.yaml"].replace("units: 3", "units: 4")),
        f"{_RAN} with another parameter `layers.0.units`",
    ),
    "a value in a Python file": (
        put("conf.py", "class Net:\n    depth = 9\n"),
        f"{_RAN} with another parameter `Net.depth`",
    ),
    "a value that is computed now": (
        put("conf.py", "class Net:\n    depth = 3 * 3\n"),
        f"{_RAN} with another parameter `Net.depth`",
    ),
    "a parameter declared": (
        declare("evaluate", "params", lambda names: [*names, "more"]),
        f"{_RAN} without parameter `more`",
    ),
    "a parameter file that is broken": (
        put("conf.py", "class Net(\n"),
        f"{_RAN} with another `conf.py`, which cannot be read",
    ),
    "a parameter file that is gone": (
        remove("whole.json"),
        f"{_RAN} with another `whole.json`, which is not there",
    ),
    "a dependency declared": (
        declare("evaluate", "deps", lambda paths: [*paths, "conf.py"]),
        f"{_RAN} without `conf.py`",
    ),
    "an output declared": (
        declare("evaluate", "outs", lambda paths: [*paths, "card.md"]),
        f"{_RAN} without `card.md`",
    ),
    "code in a folder": (
        put("lib/evaluate.py", "other\n"),
        f"{_RAN} with another `lib` (what git does not keep of it",
    ),
    "code added to a folder": (put("lib/more.py", "more\n"), f"{_RAN} with another `lib`"),
    "code hidden from DVC": (
        several(put("lib/evaluate.py", "other\n"), put(".dvcignore", "*.tmp\nevaluate.py\n")),
        f"{_RAN} with another `lib`",
    ),
    "a command with a template": (
        declare("prepare", "cmd", lambda _: "python prepare.py --fast ${mode}"),
        "Stage `prepare` was last run with another command",
    ),
    "a dependency deleted": (
        remove("prepare.py"),
        "Stage `prepare` was last run with another `prepare.py`, which is not there any more",
    ),
    "predictions by hand": (
        put("predictions.csv", "id,target,prediction\n1,1,1\n2,1,1\n"),
        f"{_RAN} with another `predictions.csv`",
    ),
    "predictions deleted": (
        remove("predictions.csv"),
        f"{_RAN} with another `predictions.csv`, which is not there any more",
    ),
    "a stage frozen, and its code changed": (
        several(declare("evaluate", "frozen", lambda _: True), put("lib/evaluate.py", "other\n")),
        f"{_RAN} with another `lib`",
    ),
    "a stage frozen, and its numbers changed": (
        several(declare("evaluate", "frozen", lambda _: True), put("m.json", '{"accuracy": 1}')),
        f"{_RAN} with another `m.json`",
    ),
    "a stage taken away, and its numbers left": (
        drop_stage,
        "Stage `evaluate` made a metrics file that no stage makes any more",
    ),
    "a stage that cannot be read": (
        hide_stage,
        "Stage `evaluate` could not be read, for its definition names the unknown `${nothing",
    ),
    "a stage left out of the lock": (
        change_lock(lambda stages: stages.pop("evaluate")),
        "Stage `evaluate` is not in dvc.lock, so it was not run",
    ),
    "the parameters left out of the lock": (
        change_lock(lambda stages: stages["evaluate"].pop("params")),
        f"{_RAN} without parameter `train`, parameter `layers.0.units`, parameter `rate` and",
    ),
    "a dependency left out of the lock": (
        change_lock(lambda stages: stages["evaluate"]["deps"].pop(0)),
        f"{_RAN} without `lib`",
    ),
    "the metrics left out of the lock": (
        change_lock(lambda stages: stages["evaluate"]["outs"].pop(0)),
        f"{_RAN} without `m.json`",
    ),
    "data in a directory that nobody can see": (
        other_data,
        "Stage `prepare` may have been run with another `data/a.csv`, whose data is not here",
    ),
}

#: Of a project in the folder `model`, which builds on what lies above it.
AROUND: dict[str, tuple[EditAround, str]] = {
    "code above the project": (
        put("common/code.py", "other\n"),
        "with another `../common/code.py`",
    ),
    "code above the project deleted": (
        remove("common/code.py"),
        "with another `../common/code.py`, which is not there any more",
    ),
    "a file in a folder above the project": (put("lib/b.py", "b\n"), "with another `../lib`"),
    "data above the project": (
        put("data.csv.dvc", json.dumps({"outs": [entry("data.csv", md5(b"other"))]})),
        "with another `../data.csv`",
    ),
    "what another project makes": (
        put("prep/dvc.lock", json.dumps(locked("prep", [], [entry("out.csv", md5(b"other"))]))),
        "with another `../prep/out.csv`",
    ),
    "an address": (
        lambda project: project.put(
            "model/dvc.yaml", (project.root / "model/dvc.yaml").read_text().replace("v1", "v2")
        ),
        "without `s3:",
    ),
    "an absolute path": (
        lambda project: project.put(
            "model/dvc.yaml", (project.root / "model/dvc.yaml").read_text().replace("/a.c", "/b.c")
        ),
        "without `/nowhere/b.csv`",
    ),
}


def make_monorepo(root: Path) -> GitRepository:
    """Make a project in a folder, which builds on what lies above and outside, and its lock."""
    project = GitRepository(root)
    above = {"../common/code.py": b"code\n", "../data.csv": b"data", "../prep/out.csv": b"out"}
    outside = ["s3://bucket/v1.csv", "/nowhere/a.csv", "../../beyond.csv"]
    deps = [entry(path, md5(data)) for path, data in above.items()]
    deps += [entry("../lib", hash_directory([("a.py", md5(b"a\n"))]))]
    deps += [entry(path, md5(b"outside")) for path in outside]
    stage = {
        "cmd": "python ev.py",
        "deps": [*above, "../lib", *outside],
        "metrics": [{"m.json": {"cache": False}}],
    }
    files = {
        "common/code.py": "code\n",
        "lib/a.py": "a\n",
        "data.csv.dvc": json.dumps({"outs": [entry("data.csv", md5(b"data"))]}),
        "prep/dvc.yaml": json.dumps({"stages": {"prep": {"cmd": "prep", "outs": ["out.csv"]}}}),
        "prep/dvc.lock": json.dumps(locked("prep", [], [entry("out.csv", md5(b"out"))])),
        "model/policy.yaml": FILES["policy.yaml"],
        "model/m.json": FILES["m.json"],
        "model/dvc.yaml": json.dumps({"stages": {"ev": stage}}),
        "model/dvc.lock": json.dumps(locked("python ev.py", deps, [of_file("m.json")], "ev")),
    }
    for path, text in files.items():
        project.put(path, text)
    project.commit()
    project.git("checkout", "-q", "-b", "change")
    return project


@pytest.mark.parametrize("head", ["HEAD", "worktree"])
@pytest.mark.parametrize("name", AROUND)
def test_what_lies_above_a_project_makes_it_stale(
    tmp_path: Path,
    name: str,
    head: str,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dependency above the project, or outside of the repository, is not left out."""
    project = make_monorepo(tmp_path)
    edit, reason = AROUND[name]
    edit(project)
    project.commit()
    code, text = compare_monorepo(tmp_path, head, capsys)
    assert code == 1
    assert "`accuracy` is stale: stage `ev`" in text
    payload = project.git("diff", "main", "change").encode()
    check_lie(record_property, payload, reason=f"Stage `ev` was last run {reason}", text=text)


@pytest.mark.parametrize("head", ["HEAD", "worktree"])
def test_a_project_that_builds_on_what_lies_above_it_passes(
    tmp_path: Path, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nothing depends on changes nothing, even a pipeline beside it that cannot be read."""
    project = make_monorepo(tmp_path)
    project.put("note.md", "note\n")
    project.commit()
    assert compare_monorepo(tmp_path, head, capsys)[0] == 0
    project.put("prep/dvc.yaml", "{{ broken")
    project.commit()
    assert compare_monorepo(tmp_path, head, capsys)[0] == 0


def compare_monorepo(root: Path, head: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Compare the project in the folder `model`: exit code, and what is printed."""
    words = ["--directory", str(root / "model"), "--base", "main", "--head", head]
    code = run(["compare", *words, "--format", "markdown"])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", LIES)
def test_numbers_of_another_state_are_stale(
    tmp_path: Path,
    name: str,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The judged metric fails as stale, and the notice names the stage and what differs."""
    project = Project(tmp_path)
    edit, reason = LIES[name]
    edit(project)
    project.commit()
    code = run(["compare", "--directory", str(tmp_path), "--base", "main", "--format", "markdown"])
    text = capsys.readouterr().out
    assert code == 1
    assert "`accuracy` is stale: stage `" in text
    payload = project.git("diff", "main", "change").encode()
    check_lie(record_property, payload, reason=reason, text=text)


def test_the_same_project_without_a_lie_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change that no stage looks at leaves the numbers current, and the frozen one of base."""
    project = Project(tmp_path)
    project.put("params.yaml", FILES["params.yaml"].replace("more: 1", "more: 2"))
    project.put("lib/note.tmp", "another note\n")
    project.put("whole.json", '{"rate": 1.0}')
    project.commit()
    assert run(["compare", "--directory", str(tmp_path), "--base", "main"]) == 0
    assert "stale" not in capsys.readouterr().out
