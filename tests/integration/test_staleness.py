"""Whether numbers belong to what stands beside them: our answer, DVC's, and the verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository
from real_dvc import add_data, find_changed, freeze_stage, reproduce

from mlgitops.cli import run
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.comparison.staleness import find_stale
from mlgitops.console import Console
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.comparison.stale import Staleness

DVC_YAML = """\
stages:
  prepare:
    cmd: python copy_file.py raw.csv prepared.csv
    deps: [copy_file.py, raw.csv]
    outs: [prepared.csv]
  train:
    cmd: python train.py
    deps: [train.py, prepared.csv]
    params: [depth, nested]
    outs: [model.bin]
  evaluate:
    cmd: python copy_file.py m.in ${metrics}
    deps: [copy_file.py, m.in, model.bin]
    metrics:
      - m.json: {cache: false}
  explain:
    cmd: python copy_file.py notes.txt explained.txt
    deps: [copy_file.py, notes.txt]
    outs: [explained.txt]
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "params.yaml": "metrics: m.json\ndepth: 3\nnested: {a: 1, b: [1, 2]}\nother: 1\n",
    "policy.yaml": (
        "version: 1\nfiles: {model: model.bin}\n"
        "metrics: {accuracy: {greater_is_better: true, max_worsening: 0.1}}\n"
    ),
    "copy_file.py": "import shutil, sys\nshutil.copy(*sys.argv[1:])\n",
    "train.py": "open('model.bin', 'w').write(open('prepared.csv').read() * 2)\n",
    "m.in": '{"accuracy": 0.8}\n',
    "notes.txt": "notes\n",
    "raw.csv": "id\n1\n",
    ".dvc/config": "[core]\n    analytics = false\n",
    ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
    ".dvcignore": "",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the pipeline once, for real, and commit what it wrote."""
    project = GitRepository(tmp_path_factory.mktemp("trained"))
    for path, text in FILES.items():
        project.put(path, text)
    add_data(project.root, "raw.csv")
    reproduce(project.root)
    freeze_stage(project.root, "explain")
    project.commit("train")
    return project.root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> GitRepository:
    """Copy the trained project, with its cache."""
    import shutil

    shutil.copytree(trained, tmp_path / "project", symlinks=True)
    return GitRepository(tmp_path / "project")


def read_head(root: Path) -> Staleness:
    """Find what is stale in the work tree."""
    with Repository(root) as repository:
        folder = Folder(repository, repository.root)
        base = SideFiles(name="base", sha=repository.resolve("HEAD"), folder=folder)
        head = SideFiles(name="head", sha=None, folder=folder)
        read_sides(base, head, Console(quiet=True))
        return find_stale(head, base)


def new_data(project: GitRepository) -> None:
    """Add a row, as a person would: the file, then its pointer."""
    project.put("raw.csv", "id\n1\n2\n")
    add_data(project.root, "raw.csv")


def half_a_run(project: GitRepository) -> None:
    """Train, and stop before the model is measured."""
    project.put("train.py", "open('model.bin', 'w').write('other')\n")
    reproduce(project.root, "train")


def renew_metrics(project: GitRepository) -> None:
    """Write better numbers by hand."""
    project.put("m.json", '{"accuracy": 0.99}\n')


def edit(path: str, before: str, after: str) -> Callable[[GitRepository], None]:
    """Replace a text in a file."""

    def call(project: GitRepository) -> None:
        text = (project.root / path).read_text()
        assert before in text
        project.put(path, text.replace(before, after))

    return call


def forget(stage: str) -> Callable[[GitRepository], None]:
    """Take a stage out of dvc.lock."""

    def call(project: GitRepository) -> None:
        from ruamel.yaml import YAML

        place = project.root / "dvc.lock"
        document = YAML(typ="safe").load(place.read_text())
        del document["stages"][stage]
        place.write_text(json.dumps(document))

    return call


#: What is done after a run → the stages to run again, and whether the metrics are stale.
EDITS: dict[str, tuple[Callable[[GitRepository], None], set[str], bool]] = {
    "nothing": (lambda _: None, set(), False),
    "code": (edit("train.py", "2", "3"), {"train"}, True),
    "shared code": (
        edit("copy_file.py", "shutil, sys", "sys, shutil"),
        {"prepare", "evaluate"},
        True,
    ),
    "parameter": (edit("params.yaml", "depth: 3", "depth: 4"), {"train"}, True),
    "parameter deep inside": (edit("params.yaml", "[1, 2]", "[1, 3]"), {"train"}, True),
    "parameter of no stage": (edit("params.yaml", "other: 1", "other: 2"), set(), False),
    "command": (
        edit("dvc.yaml", "cmd: python train.py", "cmd: python -B train.py"),
        {"train"},
        True,
    ),
    "data": (new_data, {"prepare"}, True),
    "half a run": (half_a_run, {"evaluate"}, True),
    "metrics by hand": (renew_metrics, {"evaluate"}, True),
    "a stage that was never run": (forget("evaluate"), {"evaluate"}, True),
    "a frozen stage": (edit("notes.txt", "notes", "other notes"), set(), False),
    "only a comment in dvc.yaml": (edit("dvc.yaml", "stages:", "# a note\nstages:"), set(), False),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", EDITS)
def test_what_is_stale_is_what_dvc_would_run_again(project: GitRepository, what: str) -> None:
    """The stages that we name are those of `dvc status`, and they spoil what builds on them."""
    change, stages, spoiled = EDITS[what]
    change(project)
    found = read_head(project.root)
    assert set(found.reasons) == stages
    assert set(find_changed(project.root)) - {"raw.csv.dvc"} == stages
    assert ("m.json" in found.outs) == spoiled
    assert "explained.txt" not in found.outs


@pytest.mark.slow
@pytest.mark.parametrize("what", EDITS)
def test_a_verdict_never_rests_on_stale_numbers(
    project: GitRepository, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A judged metric of an older run fails, and says which stage and which command."""
    change, stages, spoiled = EDITS[what]
    change(project)
    code = run(["compare", "--directory", str(project.root), "--format", "markdown"])
    text = capsys.readouterr().out
    assert code == (1 if spoiled else 0)
    assert ("has to run again" in text) == spoiled
    if spoiled:
        assert "`accuracy` is stale: stage `" in text
        assert any(
            f"stage `{stage}` has to run again (`mlgitops train`)" in text for stage in stages
        )


@pytest.mark.slow
def test_a_run_mends_it(project: GitRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """After the pipeline has run, the same change passes."""
    edit("params.yaml", "depth: 3", "depth: 4")(project)
    assert run(["compare", "--directory", str(project.root)]) == 1
    reproduce(project.root)
    assert run(["compare", "--directory", str(project.root)]) == 0
    assert capsys.readouterr().out.count("is stale") == 1
