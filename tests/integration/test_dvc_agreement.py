"""One reader of DVC against DVC itself: pipelines that nobody thought of, read by both.

Each example is a project of up to two dvc.yaml, with templates, and with every kind of file
that they may name. Real DVC reads it, hashes what its stages depend on and make, and writes
dvc.lock; our reader must come to the same stages, outputs, dependencies, parameters and hashes.
What DVC refuses must be refused, or named as unread.
"""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from git_project import GitRepository
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgitops.comparison.contents import Contents
from mlgitops.comparison.sides import SideFiles
from mlgitops.dvc.params import diff_run, parse_values
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dvc.stage import PipelineStage

    from mlgitops.dvc.pipeline import Pipeline

Path_ = tuple[str | int, ...]
FOLDERS = ("", "w/", "sub/", "sub/w/")  # each holds every file that a stage may name
DATA = ("x.csv", "n.tmp", "skip/y.csv", "a/deep/z.csv")
PYTHON = "depth = 3\nsizes = (1, 2)\nother = depth + 1\nclass Net:\n    units = 4\n"
TOML = "[t]\nx = 1\nys = [1, 2]\n"
WHOLE = ("extra.yaml", "conf.toml", "conf.json")  # parameter files

scalars = st.sampled_from([1, 0, 2.5, 1e-5, True, False, "x", "y z", "é", None])
names = st.sampled_from(["p", "q", "r1", 3, 0.5, True, None])


@st.composite
def values(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a params.yaml: always of these names, so that a reference leads somewhere."""
    return {
        "lr": draw(scalars),
        "a": {"b": draw(scalars), "c": {"d": draw(scalars)}},
        "l": draw(st.lists(scalars, min_size=2, max_size=3)),
        "ll": [{"u": draw(scalars)}, {"u": draw(scalars)}],
        "m": {"k1": {"v": draw(scalars)}, "k2": {"v": draw(scalars)}},
        "wd": "w",
    }


def list_leaves(node: Any, path: Path_ = ()) -> Iterator[Path_]:  # noqa: ANN401 - any YAML
    """Yield the way to each scalar."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from list_leaves(value, (*path, key))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from list_leaves(value, (*path, at))
            yield from list_leaves(value, (*path, at - len(node)))
    else:
        yield path


@st.composite
def references(draw: st.DrawFn, scope: dict[str, Any]) -> str:
    """Draw a `${...}` in one of its spellings."""
    first, *rest = draw(st.sampled_from(list(list_leaves(scope))))
    steps = [f"[{step}]" if draw(st.booleans()) else f".{step}" for step in rest]
    gap = draw(st.sampled_from(["", "", " "]))
    return f"${{{gap}{first}{''.join(steps)}{gap}}}"


@st.composite
def texts(draw: st.DrawFn, scope: dict[str, Any], before: str, after: str = "") -> str:
    """Draw a text that begins and ends as given, with references between."""
    pieces = draw(st.lists(st.one_of(references(scope), st.just("-")), max_size=2))
    return before + "".join(pieces) + after


@st.composite
def outputs(draw: st.DrawFn, scope: dict[str, Any], before: str) -> Any:  # noqa: ANN401
    """Draw an output, with options or without."""
    options = st.dictionaries(
        st.sampled_from(["cache", "push", "persist"]), st.booleans(), max_size=2
    )
    path = draw(texts(scope, before, ".json"))
    return {path: draw(options)} if draw(st.booleans()) else path


PARAMS: list[Any] = [
    "lr",
    "a.b",
    "a",
    "l.0",
    "ll.1.u",
    {"params.yaml": ["m.k1"]},
    {"extra.yaml": None},
    {"extra.yaml": ["e.f"]},
    {"conf.toml": ["t.x", "t.ys"]},
    {"conf.json": ["j.0.k"]},
    {"conf.json": None},
    {"conf.py": ["depth", "Net.units", "sizes"]},
    {"conf.py": None, "params.yaml": ["lr"]},
]
VARS: list[Any] = [{"own": {"x": 1}}, {"a": {"new": 2}}, "extra.yaml", "params.yaml"]
STAGE_VARS: list[Any] = [{"mine": 3}, {"a": {"more": 4}}, "conf.json:j", "flat.py"]


@st.composite
def bodies(draw: st.DrawFn, name: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Draw what a stage does; ``scope`` is what its templates may name."""
    command = texts(scope, "echo ")
    body: dict[str, Any] = {
        "cmd": draw(st.one_of(command, st.lists(command, min_size=1, max_size=2))),
        "outs": [draw(outputs(scope, f"{name}_o"))],
        "metrics": draw(st.lists(outputs(scope, f"{name}_m"), max_size=1)),
        "plots": draw(st.lists(outputs(scope, f"{name}_p"), max_size=1)),
        "deps": draw(st.lists(st.sampled_from(["in.txt", "data", "data/x.csv"]), unique=True)),
        "params": draw(st.lists(st.sampled_from(PARAMS), max_size=3)),
    }
    if draw(st.booleans()):
        body["wdir"] = draw(st.sampled_from(["w", "./w", "${wd}"]))
        body["deps"].append("../in.txt")
    for flag in ("frozen", "always_changed"):
        if draw(st.booleans()):
            body[flag] = draw(st.booleans())
    if draw(st.booleans()):
        body["vars"] = draw(st.lists(st.sampled_from(STAGE_VARS), unique_by=str))
        mine = " ${mine}" if STAGE_VARS[0] in body["vars"] else ""
        body["cmd"] = draw(texts(scope, f"echo{mine} "))
    return body


@st.composite
def stages(draw: st.DrawFn, name: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Draw one stage, or a group of them."""
    kind = draw(st.sampled_from(["plain", "list", "mapping", "named", "matrix"]))
    if kind == "plain":
        return draw(bodies(name, scope))
    if kind == "matrix":
        axes = {
            "one": draw(st.lists(names, min_size=1, max_size=2, unique_by=str)),
            "two": draw(st.sampled_from(["${l}", "${ll}", [[1, "t"], [2, "u"]], [{"z": 1}]])),
        }
        second = scope[axes["two"][2:-1]] if isinstance(axes["two"], str) else axes["two"]
        item = {"one": axes["one"][0], "two": second[0]}
        inner = {**scope, "item": item, "key": "k"}
        return {"matrix": axes, **draw(bodies(f"{name}${{item.one}}", inner))}
    items: Any = {
        "list": draw(st.lists(st.one_of(names, st.just(["i", "j"])), min_size=1, max_size=3)),
        "mapping": {"k1": {"v": 1}, "k2": {"v": draw(scalars)}},
        "named": draw(st.sampled_from(["${l}", "${ll}", "${m}", "${m.k1}"])),
    }[kind]
    data: Any = {"${l}": scope["l"], "${ll}": scope["ll"], "${m}": scope["m"]}.get(
        str(items), scope["m"]["k1"] if isinstance(items, str) else items
    )
    first = data[0] if isinstance(data, list) else next(iter(data.values()))
    mixed = isinstance(data, list) and len({isinstance(one, list) for one in data}) > 1
    inner = {**scope, "item": first if not mixed else "x"}
    if isinstance(data, dict):
        inner["key"] = "k"
    return {"foreach": items, "do": draw(bodies(f"{name}_", inner))}


@st.composite
def documents(draw: st.DrawFn, scope: dict[str, Any]) -> dict[str, Any]:
    """Draw a dvc.yaml."""
    added = draw(st.lists(st.sampled_from(VARS), unique_by=str))
    known = {**scope}
    if {"a": {"new": 2}} in added:
        known["a"] = {**known["a"], "new": 2}
    if "extra.yaml" in added:
        known["e"] = {"f": 1}
    count = draw(st.integers(1, 3))
    return {
        "vars": added,
        "stages": {f"s{at}": draw(stages(f"s{at}", known)) for at in range(count)},
        "metrics": draw(st.lists(texts(known, "top", ".json"), max_size=1)),
        "params": draw(st.lists(st.sampled_from(["extra.yaml", "conf.toml"]), max_size=1)),
        "plots": draw(st.lists(st.sampled_from(["p.csv", {"q.csv": {"x": "a"}}]), max_size=1)),
    }


@st.composite
def projects(draw: st.DrawFn) -> dict[str, str]:
    """Draw all files of a project, but those that its stages make."""
    rules = draw(st.lists(st.sampled_from(RULES), max_size=2, unique=True))
    files = {".dvcignore": "\n".join(rules)}
    for folder in FOLDERS:
        files[f"{folder}params.yaml"] = json.dumps(draw(values()))
        files[f"{folder}extra.yaml"] = json.dumps({"e": {"f": draw(scalars)}, "g": 1})
        files[f"{folder}conf.json"] = json.dumps({"j": [{"k": draw(scalars)}], "other": 2})
        files[f"{folder}conf.py"] = PYTHON
        files[f"{folder}flat.py"] = "flat = 1\n"  # DVC takes no tuples into `vars`
        files[f"{folder}conf.toml"] = TOML
        files[f"{folder}in.txt"] = draw(st.sampled_from(["in\n", "in\r\n", "", "é"]))
        for path in draw(st.lists(st.sampled_from(DATA), unique=True)):
            files[f"{folder}data/{path}"] = draw(st.sampled_from(["1\n", "2\r\n"]))
        files[f"{folder}data/x.csv"] = "id\n"
        if folder and draw(st.booleans()):
            inner = draw(st.lists(st.sampled_from(INNER_RULES), max_size=2, unique=True))
            files[f"{folder}.dvcignore"] = "\n".join(inner)
    for folder in draw(st.sampled_from([("",), ("", "sub/")])):
        scope = json.loads(files[f"{folder}params.yaml"])
        document = draw(documents(scope))
        if draw(st.integers(0, 5)) == 5:
            spoil(document, draw(st.integers(0, 6)))
        files[f"{folder}dvc.yaml"] = json.dumps(document, ensure_ascii=False)
    return files


def spoil(document: dict[str, Any], way: int) -> None:
    """Put something into a dvc.yaml that DVC refuses, in one of seven ways."""
    stage = document["stages"]["s0"]
    body = stage.get("do", stage)
    own = body.setdefault("vars", [])
    match way:
        case 0:
            body["cmd"] = "echo ${a.nosuch}"
        case 1:
            body["outs"] = ["${ll.7.u}"]
        case 2:
            document["vars"] += [{"lr": 9}]  # params.yaml has it
        case 3:
            document["vars"] += ["conf.toml:t", "conf.toml:t"]
        case 4:
            own += [{"a": {"b": 9}}]
        case 5:
            own += ["../params.yaml:lr" if "wdir" in body else "params.yaml:lr"]
        case _:
            own += [{"item": 1} if stage is not body or "matrix" in stage else {"wd": "x"}]


INNER_RULES = ["/data/a", "!n.tmp", "*.tmp", "w/data/skip/", "!deep"]
RULES = ["*.tmp", "data/skip", "sub/", "**/deep", "!n.tmp", "/data/*.tmp", "# note"]


class Twins:
    """One folder, read by DVC and by us."""

    def __init__(self, root: Path) -> None:
        self.git = GitRepository(root)
        self.git.put(".dvc/config", "[core]\n    analytics = false\n    no_scm = true\n")
        with chdir(root):
            self.dvc = Repo(str(root))

    def fill(self, files: dict[str, str]) -> None:
        """Replace all files."""
        for path in self.git.root.iterdir():
            if path.name in (".git", ".dvc"):
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, text in files.items():
            self.git.put(name, text)
        self.dvc._reset()

    def read_theirs(self) -> list[PipelineStage]:
        """Let DVC read the project, make every output, and write dvc.lock."""
        with chdir(self.git.root):
            stages = list(self.dvc.index.stages)
            self.theirs = {
                "metrics": {"/".join(key) for key in self.dvc.index.metric_keys["repo"]},
                "params": {"/".join(key) for key in self.dvc.index.param_keys["repo"]},
            }
            for stage in stages:
                for out in stage.outs:
                    Path(out.fs_path).write_text(f"made by {stage.addressing}\n")
            for stage in stages:
                stage.save(run_cache=False)
                stage.dump(update_pipeline=False)
        return stages

    @contextmanager
    def read_ours(self) -> Iterator[SideFiles]:
        """Read the same files with our reader."""
        with Repository(self.git.root) as repository:
            side = SideFiles(name="head", sha=None, folder=Folder(repository, self.git.root))
            side.pipeline = read_pipeline(side.folder.list_files(None), side.read)
            yield side

    def name(self, path: str) -> str:
        """Name a path from the root."""
        return Path(path).relative_to(self.git.root).as_posix()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Make one folder for all examples."""
    pair = Twins(tmp_path_factory.mktemp("twins").resolve() / "p")
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it says what it writes
    yield pair
    logger.setLevel(level)
    pair.dvc.close()


def show_theirs(twins: Twins, stage: PipelineStage) -> dict[str, Any]:
    """Say what DVC read of a stage."""
    watched = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return {
        "command": "\n".join(stage.cmd) if isinstance(stage.cmd, list) else stage.cmd,
        "deps": sorted(twins.name(dep.fs_path) for dep in deps),
        "outs": sorted(twins.name(out.fs_path) for out in stage.outs),
        "metrics": sorted(twins.name(out.fs_path) for out in stage.outs if out.metric),
        "kept": sorted(twins.name(out.fs_path) for out in stage.outs if not out.use_cache),
        "params": {twins.name(dep.fs_path): sorted(dep.params) for dep in watched},
        "frozen": stage.frozen,
        "always": stage.always_changed,
    }


def show_ours(pipeline: Pipeline, name: str) -> dict[str, Any]:
    """Say the same of what we read."""
    stage = pipeline.stages[name]
    return {
        "command": stage.command,
        "deps": sorted(stage.deps),
        "outs": sorted(stage.outs),
        "metrics": sorted(stage.metrics),
        "kept": sorted(stage.kept),
        "params": {path: sorted(keys) for path, keys in stage.params.items()},
        "frozen": stage.frozen,
        "always": stage.always,
    }


def check_hashes(twins: Twins, side: SideFiles, stages: list[PipelineStage]) -> None:
    """Hold the hashes and values of dvc.lock, and those that we compute, against DVC's."""
    contents = Contents(side)
    for stage in stages:
        lock = side.pipeline.locks[stage.addressing]
        assert lock.exact
        for dep in stage.deps:
            path = twins.name(dep.fs_path)
            if isinstance(dep, ParamsDependency):
                now = parse_values(side.read(path) or b"", path)
                assert diff_run(tuple(dep.params), now, lock.values[path]) == ([], [])
                continue
            digest = f"md5:{dep.hash_info.value}"
            assert (lock.deps[path], contents.find_hash(path, exact=True)) == (digest, digest)
        for out in stage.outs:
            version = lock.outs[twins.name(out.fs_path)]
            assert version.hash == f"md5:{out.hash_info.value}"
            assert version.size == out.meta.size


@settings(max_examples=50)
@given(files=projects())
def test_a_pipeline_is_read_as_dvc_reads_it(twins: Twins, files: dict[str, str]) -> None:
    """Stages, outputs, dependencies, parameters and hashes are DVC's."""
    twins.fill(files)
    try:
        stages = twins.read_theirs()
    except DvcException:
        check_refused(twins)
        return
    with twins.read_ours() as side:
        assert side.pipeline.unread == []
        theirs = {stage.addressing: show_theirs(twins, stage) for stage in stages}
        assert {name: show_ours(side.pipeline, name) for name in side.pipeline.stages} == theirs
        assert side.pipeline.metrics == twins.theirs["metrics"]
        assert twins.theirs["params"] <= {*side.pipeline.params, "params.yaml"}
        check_hashes(twins, side, stages)


def check_refused(twins: Twins) -> None:
    """Hold that what DVC does not read is an error here, or is named as unread."""
    with suppress(MlgitopsError), twins.read_ours() as side:
        assert side.pipeline.unread
