"""Which stages have to run again: our answer against that of the real `dvc status`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository
from real_dvc import add_data, find_changed, reproduce

from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.comparison.staleness import find_stale
from mlgitops.console import Console
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Edit = Callable[[GitRepository], None]

DVC_YAML = """\
vars:
  - extra.yaml
  - net: {more: 1}
stages:
  group:
    cmd: cp in.txt group.txt
    deps: [in.txt]
    params: [net, seed]
    outs: [group.txt]
  whole:
    cmd: cp in.txt whole.txt
    params:
      - whole.yaml:
      - odd.json:
    outs: [whole.txt]
  listed:
    cmd: cp in.txt listed.txt
    params: [layers.0.units, rates, layers.1]
    outs: [listed.txt]
  python:
    cmd: cp in.txt python.txt
    params: [{conf.py: [depth, Net.units, sizes, Net.own, pairs]}]
    outs: [python.txt]
  python_whole:
    cmd: cp in.txt python_whole.txt
    params: [{flat.py: }]
    outs: [python_whole.txt]
  formats:
    cmd: cp in.txt formats.txt
    params: [{c.toml: [t.x]}, {j.json: [a.b]}]
    outs: [formats.txt]
  code:
    cmd: cp code/a.py code.txt
    deps: [code]
    outs: [code.txt]
  two:
    cmd: cp a.txt two.txt
    deps: [a.txt, b.txt]
    outs: [two.txt]
  filled:
    cmd: cp ${source} filled.txt
    deps: ["${source}"]
    outs: [filled.txt]
  options:
    cmd: echo ${net} ${flag} ${ratio} > options.txt
    outs: [options.txt]
  own:
    vars: [{name: own}, "named.json:tail"]
    cmd: cp in.txt ${name}${tail}
    outs: ["${name}${tail}"]
  several:
    cmd:
      - cp in.txt several.txt
      - cp a.txt several2.txt
    outs: [several.txt, several2.txt]
  each:
    foreach: [x, y]
    do:
      cmd: cp in.txt each_${item}.txt
      deps: [in.txt]
      outs: ["each_${item}.txt"]
  still:
    cmd: cp still.in still.json
    deps: [still.in]
    metrics: [{still.json: {cache: false}}]
  always:
    cmd: cp in.txt always.txt
    deps: [in.txt]
    always_changed: true
    outs: [always.txt]
  measure:
    cmd: cp m.in m.json && mkdir -p plots && cp in.txt plots/p.csv
    deps: [m.in]
    metrics: [{m.json: {cache: false}}]
    plots: [{plots: {cache: false}}]
  uses_data:
    cmd: cp data/a.csv uses_data.txt
    deps: [data]
    outs: [uses_data.txt]
  uses_part:
    cmd: cp data/a.csv uses_part.txt
    deps: [data/a.csv]
    outs: [uses_part.txt]
  mixed:
    cmd: cp mixed/kept.txt mixed.txt
    deps: [mixed]
    outs: [mixed.txt]
  chain:
    cmd: mkdir -p made && cp two.txt made/one.txt && cp in.txt made/two.txt
    deps: [two.txt]
    outs: [made]
  end:
    cmd: cp made/one.txt end.txt
    deps: [made/one.txt]
    outs: [end.txt]
"""
SUB_YAML = """\
stages:
  inner:
    wdir: deep
    cmd: cp ../in.txt inner.txt
    deps: [../in.txt]
    params: [local, {../../params.yaml: [seed]}]
    outs: [inner.txt]
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "sub/dvc.yaml": SUB_YAML,
    "sub/in.txt": "in\n",
    "sub/deep/params.yaml": "local: 1\n",
    "params.yaml": (
        "net: {depth: 3, rates: [1, 2]}\nseed: 7\nflag: true\nratio: 1e-5\n"
        "layers: [{units: 3}, {units: 5}]\nrates: [0.1, 0.2]\nunused: 1\n"
    ),
    "extra.yaml": "source: a.txt\n",
    "named.json": '{"tail": ".txt", "rest": 1}',
    "whole.yaml": "lr: 1\nsteps: 1_000\n",
    "odd.json": '{"a.b": 1, "c": {"d": 2}}',
    "conf.py": (
        "depth = 3\nsizes = (1, 2)\npairs: dict = {'a': 1}\nother = 1\ncomputed = depth + 1\n"
        "class Net:\n    units = 4\n    def __init__(self):\n        self.own = 5\n"
    ),
    "flat.py": "depth = 3\nname = 'x'\n",
    "c.toml": "[t]\nx = 1\ny = 2\n",
    "j.json": '{"a": {"b": 1, "c": 2}}',
    "in.txt": "in\n",
    "a.txt": "a\n",
    "b.txt": "b\n",
    "m.in": '{"accuracy": 0.8}\n',
    "still.in": '{"still": 1}\n',
    "code/a.py": "1\n",
    "code/deep/b.py": "2\n",
    "code/note.tmp": "x\n",
    "code/deep/cache/c.py": "x\n",
    "mixed/kept.txt": "kept\n",
    ".dvcignore": "# what no stage reads\n*.tmp\n__pycache__/\n",
    "code/.dvcignore_not": "x\n",
    ".gitignore": "__pycache__/\n",
    ".dvc/config": "[core]\n    analytics = false\n",
    ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run every stage once, for real, and commit what was written."""
    project = GitRepository(tmp_path_factory.mktemp("trained"))
    for path, text in FILES.items():
        project.put(path, text)
    project.put("data/a.csv", "id\n1\n")
    project.put("data/b.csv", "id\n2\n")
    project.put("mixed/big.csv", "id\n3\n")
    add_data(project.root, "data", "mixed/big.csv")
    reproduce(project.root)
    freeze = edit("dvc.yaml", "    deps: [still.in]\n", "    deps: [still.in]\n    frozen: true\n")
    freeze(project)
    project.commit("train")
    return project.root


def edit(path: str, before: str, after: str) -> Edit:
    """Replace a text in a file."""

    def call(project: GitRepository) -> None:
        text = (project.root / path).read_text()
        assert before in text
        project.put(path, text.replace(before, after))

    return call


def write(path: str, text: str) -> Edit:
    """Write a file."""
    return lambda project: project.put(path, text)


def remove(path: str) -> Edit:
    """Delete a file."""
    return lambda project: (project.root / path).unlink()


def both(*edits: Edit) -> Edit:
    """Make several edits."""

    def call(project: GitRepository) -> None:
        for one in edits:
            one(project)

    return call


def put_data(path: str, text: str, target: str) -> Edit:
    """Write data and let DVC take it."""

    def call(project: GitRepository) -> None:
        project.put(path, text)
        add_data(project.root, target)

    return call


def change_lock(change: Callable[[dict[str, Any]], None]) -> Edit:
    """Edit dvc.lock by its stages."""

    def call(project: GitRepository) -> None:
        from ruamel.yaml import YAML

        place = project.root / "dvc.lock"
        document = YAML(typ="safe").load(place.read_text())
        change(document["stages"])
        place.write_text(json.dumps(document))

    return call


def forget_hashes(stages: dict[str, Any]) -> None:
    """Write the lock as DVC 2 did: hashes of texts with Unix's line ends."""
    for body in stages.values():
        for entry in [*body.get("deps", []), *body.get("outs", [])]:
            del entry["hash"]


EDITS: dict[str, Edit] = {
    "nothing": lambda _: None,
    # Parameters
    "a key added to a tracked group": edit("params.yaml", "{depth: 3", "{new: 1, depth: 3"),
    "a key removed from a tracked group": edit("params.yaml", "depth: 3, ", ""),
    "a value in a tracked group": edit("params.yaml", "depth: 3", "depth: 4"),
    "a list in a tracked group": edit("params.yaml", "[1, 2]", "[1, 3]"),
    "a whole number as a float": edit("params.yaml", "seed: 7", "seed: 7.0"),
    "a number as text": edit("params.yaml", "seed: 7", "seed: '7'"),
    "a number as null": edit("params.yaml", "seed: 7", "seed:"),
    "the order of keys": edit(
        "params.yaml", "{depth: 3, rates: [1, 2]}", "{rates: [1, 2], depth: 3}"
    ),
    "a parameter of no stage": edit("params.yaml", "unused: 1", "unused: 2"),
    "a parameter removed from its file": edit("params.yaml", "seed: 7\n", ""),
    "a key added to a whole file": edit("whole.yaml", "lr: 1", "lr: 1\nnew: 2"),
    "a key removed from a whole file": edit("whole.yaml", "lr: 1\n", ""),
    "a value in a whole file": edit("whole.yaml", "lr: 1", "lr: 2"),
    "another writing of a number": edit("whole.yaml", "1_000", "1000"),
    "a comment in a whole file": edit("whole.yaml", "lr: 1", "lr: 1  # a note"),
    "a key with a dot": edit("odd.json", '"a.b": 1', '"a.b": 2'),
    "deep in a whole file": edit("odd.json", '"d": 2', '"d": 3'),
    "a value inside a list": edit("params.yaml", "units: 3", "units: 4"),
    "an item of a list": edit("params.yaml", "units: 5", "units: 6"),
    "another item of a list": edit("params.yaml", "{units: 5}", "{units: 5}, {units: 9}"),
    "a list": edit("params.yaml", "[0.1, 0.2]", "[0.2, 0.1]"),
    "a literal of a Python file": edit("conf.py", "depth = 3", "depth = 9"),
    "a class's literal": edit("conf.py", "units = 4", "units = 5"),
    "a literal of `self`": edit("conf.py", "self.own = 5", "self.own = 6"),
    "a tuple": edit("conf.py", "(1, 2)", "(1, 3)"),
    "a tuple as a list": edit("conf.py", "(1, 2)", "[1, 2]"),
    "a mapping in Python": edit("conf.py", "{'a': 1}", "{'a': 1, 'b': 2}"),
    "an untracked literal": edit("conf.py", "other = 1", "other = 2"),
    "a literal that is computed now": edit("conf.py", "depth = 3", "depth = int('3')"),
    "code in a parameter file": edit("conf.py", "other = 1", "other = 1\nprint('x')"),
    "a literal added to a whole Python file": edit("flat.py", "depth = 3", "depth = 3\nnew = 1"),
    "a value in TOML": edit("c.toml", "x = 1", "x = 5"),
    "an untracked value in TOML": edit("c.toml", "y = 2", "y = 5"),
    "a value in JSON": edit("j.json", '"b": 1', '"b": 5'),
    "a parameter file deleted": remove("j.json"),
    "a parameter in a subfolder": edit("sub/deep/params.yaml", "local: 1", "local: 2"),
    # What dvc.yaml declares
    "a dependency added": edit("dvc.yaml", "deps: [m.in]", "deps: [m.in, b.txt]"),
    "a dependency removed": edit("dvc.yaml", "deps: [a.txt, b.txt]", "deps: [a.txt]"),
    "a dependency removed, then edited": both(
        edit("dvc.yaml", "deps: [a.txt, b.txt]", "deps: [a.txt]"), write("b.txt", "other\n")
    ),
    "a dependency in the place of another": edit("dvc.yaml", "[a.txt, b.txt]", "[a.txt, in.txt]"),
    "a parameter added": edit("dvc.yaml", "params: [net, seed]", "params: [net, seed, unused]"),
    "a parameter removed": edit("dvc.yaml", "params: [net, seed]", "params: [net]"),
    "a parameter removed, then edited": both(
        edit("dvc.yaml", "params: [net, seed]", "params: [net]"),
        edit("sub/dvc.yaml", "[local, {../../params.yaml: [seed]}]", "[local]"),
        edit("params.yaml", "seed: 7", "seed: 8"),
    ),
    "a parameter file added": edit(
        "dvc.yaml", "params: [net, seed]", "params: [net, seed, {j.json: [a.c]}]"
    ),
    "a group narrowed": edit("dvc.yaml", "params: [net, seed]", "params: [net.depth, seed]"),
    "an output added": edit("dvc.yaml", "outs: [group.txt]", "outs: [group.txt, in2.txt]"),
    "an output that stands there added": edit(
        "dvc.yaml", "metrics: [{m.json", "metrics: [{j.json: {cache: false}}, {m.json"
    ),
    "an output removed": edit(
        "dvc.yaml", "outs: [several.txt, several2.txt]", "outs: [several.txt]"
    ),
    "a command": edit("dvc.yaml", "cmd: cp m.in m.json", "cmd: cp -f m.in m.json"),
    "one of several commands": edit("dvc.yaml", "- cp a.txt several2", "- cp b.txt several2"),
    "the order of commands": edit(
        "dvc.yaml",
        "- cp in.txt several.txt\n      - cp a.txt several2.txt",
        "- cp a.txt several2.txt\n      - cp in.txt several.txt",
    ),
    "a command with a template": edit("dvc.yaml", "cmd: cp ${source}", "cmd: cp -f ${source}"),
    "what a template names": edit("extra.yaml", "a.txt", "b.txt"),
    "a flag in a command": edit("params.yaml", "flag: true", "flag: false"),
    "a number in a command": edit("params.yaml", "ratio: 1e-5", "ratio: 0.00001"),
    "another number in a command": edit("params.yaml", "ratio: 1e-5", "ratio: 1e-6"),
    "options in a command": edit("dvc.yaml", "net: {more: 1}", "net: {more: 2}"),
    "a stage's own variable": edit("dvc.yaml", "vars: [{name: own}", "vars: [{name: owns}"),
    "a variable from a file's key": edit("named.json", ".txt", ".csv"),
    "a variable of no stage": edit("named.json", '"rest": 1', '"rest": 2'),
    "an item added to foreach": edit("dvc.yaml", "foreach: [x, y]", "foreach: [x, y, z]"),
    "an item removed from foreach": edit("dvc.yaml", "foreach: [x, y]", "foreach: [x]"),
    "another working folder": both(
        edit("sub/dvc.yaml", "wdir: deep", "wdir: deep2"),
        write("sub/deep2/params.yaml", "local: 1\n"),
        write("sub/deep2/inner.txt", "in\n"),
    ),
    "a stage renamed": edit("dvc.yaml", "  measure:", "  evaluate:"),
    "a description": edit(
        "dvc.yaml", "  measure:", "  measure:\n    desc: a note\n    meta: {a: 1}"
    ),
    "a comment": edit("dvc.yaml", "stages:", "# a note\nstages:"),
    # Files
    "code in a folder": write("code/a.py", "9\n"),
    "code deep in a folder": write("code/deep/b.py", "9\n"),
    "a file added to a folder": write("code/new.py", "9\n"),
    "a file removed from a folder": remove("code/deep/b.py"),
    "a file that is left out": write("code/note.tmp", "other\n"),
    "a new file that is left out": write("code/deep/new.tmp", "other\n"),
    "a pattern added": write(".dvcignore", "*.tmp\n__pycache__/\n/code/deep/cache\n"),
    "a pattern taken away": write(".dvcignore", "__pycache__/\n"),
    "a pattern turned round": write(".dvcignore", "*.tmp\n__pycache__/\n!note.tmp\n"),
    "a file renamed in a folder": both(remove("code/a.py"), write("code/z.py", "1\n")),
    "git's file in a mixed folder": write("mixed/kept.txt", "other\n"),
    "DVC's file in a mixed folder": put_data("mixed/big.csv", "id\n9\n", "mixed/big.csv"),
    "a dependency": write("a.txt", "other\n"),
    "a dependency deleted": remove("b.txt"),
    "its line ends": write("a.txt", "a\r\n"),
    "a dependency outside of its stage's folder": write("sub/in.txt", "other\n"),
    "an input of a frozen stage": write("still.in", '{"still": 2}\n'),
    "an output of a frozen stage": write("still.json", '{"still": 3}\n'),
    "the command of a frozen stage": edit("dvc.yaml", "cp still.in", "cp -f still.in"),
    "metrics by hand": write("m.json", '{"accuracy": 0.99}\n'),
    "a plot by hand": write("plots/p.csv", "x\n"),
    "a plot added by hand": write("plots/q.csv", "x\n"),
    "metrics deleted": remove("m.json"),
    # Data
    "data": put_data("data/a.csv", "id\n9\n", "data"),
    "data beside what is read": put_data("data/b.csv", "id\n9\n", "data"),
    "data added": put_data("data/c.csv", "id\n9\n", "data"),
    "half a run": both(
        write("a.txt", "other\n"), lambda project: reproduce(project.root, "two", single=True)
    ),
    "half a run of a folder": both(
        write("two.in", "x"),
        edit("dvc.yaml", "cp two.txt made/one.txt", "cp in.txt made/one.txt"),
        lambda project: reproduce(project.root, "chain", single=True),
    ),
    # The lock
    "a stage taken out of the lock": change_lock(lambda stages: stages.pop("group") and None),
    "a dependency taken out of the lock": change_lock(lambda stages: stages["two"]["deps"].pop()),
    "the parameters taken out of the lock": change_lock(
        lambda stages: stages["group"].pop("params") and None
    ),
    "an output taken out of the lock": change_lock(lambda stages: stages["measure"]["outs"].pop(0)),
    "a lock of DVC 2": change_lock(forget_hashes),
    "a lock of DVC 2, and line ends": both(
        change_lock(forget_hashes),
        write("b.txt", "b\r\n"),
    ),
    "a lock of DVC 2, and a file": both(change_lock(forget_hashes), write("b.txt", "other\n")),
    "a lock of DVC 2, and code": both(change_lock(forget_hashes), write("code/a.py", "9\n")),
}  # fmt: skip


def ask_dvc(root: Path) -> set[str]:
    """Ask the real DVC which stages changed."""
    changed = find_changed(root).items()
    stages = {name: causes for name, causes in changed if not name.endswith(".dvc")}
    return {name for name, causes in stages.items() if not all(map(is_no_difference, causes))}


def is_no_difference(cause: str | dict[str, dict[str, str]]) -> bool:
    """Tell what DVC says of a stage that is as in its run: it runs always, or lacks a cache."""
    if isinstance(cause, str):
        return cause == "always changed"
    return set(cause) == {"changed outs"} and set(cause["changed outs"].values()) == {
        "not in cache"
    }


def ask_us(root: Path, head: str | None) -> set[str]:
    """Ask which stages of ``head`` (None: the work tree) have to run again, against the first."""
    with Repository(root) as repository:
        folder = Folder(repository, repository.root)
        base = SideFiles(name="base", sha=repository.resolve("start"), folder=folder)
        sha = repository.resolve(head) if head else None
        side = SideFiles(name="head", sha=sha, folder=folder)
        read_sides(base, side, Console(quiet=True))
        return set(find_stale(side, base).reasons)


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_the_stages_to_run_again_are_those_of_dvc(trained: Path, tmp_path: Path, name: str) -> None:
    """After each edit, in the work tree and as a commit."""
    shutil.copytree(trained, tmp_path / "project", symlinks=True)
    project = GitRepository(tmp_path / "project")
    project.git("tag", "start")
    EDITS[name](project)
    theirs = ask_dvc(project.root)
    assert ask_us(project.root, None) == theirs
    project.git("add", "--all")
    project.git("commit", "--allow-empty", "--message", name)
    assert ask_us(project.root, "HEAD") == theirs
