"""What generation leaves: the files of the choice, one commit, nothing of the template."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from cookiecutter.environment import StrictEnvironment
from git_project import git
from template.conftest import ROOT, list_template_files

from mlgitops.cli import run
from mlgitops.project.generate.answers import complete_answers, read_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from template.conftest import Generate

BIN = Path(sys.executable).parent
SLUG = "{{cookiecutter.project_slug}}"
SETS = {"binary": "flights", "regression": "wages", "multiclass": "penguins"}
STORAGES = ("repo", "local", "s3", "gcs", "azure", "ssh")
COMBINATIONS = list(itertools.product(SETS, STORAGES))

#: Written beside the template's own files, or kept of several.
MADE = {
    "contract.yaml",
    "data/DATA_CARD.md",
    "data/raw/table.csv",
    "data/raw/table.csv.dvc",
    "params.yaml",
    "policy.yaml",
    "requirements/ci.in",
    "requirements/ci.txt",
}
LEFT_OUT = re.compile(r"data/bundled/|requirements/ci-")
FORKS = ".github/workflows/report-on-forks.yml"
STORAGE_RULES = ".github/rulesets/dvc-storage.json"
AFTERWARDS = {
    f".github/workflows/{name}.yml"
    for name in ("release", "promote", "deploy", "rollback", "retrain", "tune")
}

#: A brace pair that is no GitHub expression, a Jinja statement, or a name of the template's own.
LEFTOVER = re.compile(r"(?<!\$)\{\{|\{%|cookiecutter|__TOOLKIT|_copy_without")


def list_expected(package: str, *, storage: str, fork_reports: bool) -> list[str]:
    """Return the files of a project, from those of the template."""
    names = [name.removeprefix(f"{SLUG}/") for name in list_template_files(ROOT) if SLUG in name]
    dropped = {f"requirements/pipeline-parquet.{ending}" for ending in ("in", "txt")}
    dropped |= {FORKS} if not fork_reports else set()
    dropped |= {STORAGE_RULES} if storage != "repo" else set()
    dropped |= AFTERWARDS if storage == "local" else set()
    names = [name for name in names if not LEFT_OUT.match(name) and name not in dropped]
    return sorted(
        {name.replace("{{cookiecutter.__package_name}}", package) for name in names} | MADE
    )


def list_files(project: Path) -> list[str]:
    """Return every file of a project outside of .git."""
    return sorted(
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and path.relative_to(project).parts[0] != ".git"
    )


def has_fork_reports(task: str, storage: str) -> bool:
    """Answer `fork_reports` in turns: yes and no for every task and for every storage."""
    return (list(SETS).index(task) + STORAGES.index(storage)) % 2 == 1


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def project(
    request: pytest.FixtureRequest,
    generate: Generate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return a generated project, for every task with every storage."""
    task, storage = request.param
    return generate(
        tmp_path_factory.mktemp(f"{task}-{storage}"),
        task=task,
        storage=storage,
        fork_reports=has_fork_reports(task, storage),
    )


def test_exactly_the_expected_files_are_there(
    project: Path, request: pytest.FixtureRequest
) -> None:
    """The template's own files, the chosen data set, lock and workflows: nothing else."""
    package = project.name.replace("-", "_")
    task, storage = request.node.callspec.params["project"]
    fork_reports = has_fork_reports(task, storage)
    expected = list_expected(package, storage=storage, fork_reports=fork_reports)
    assert list_files(project) == expected
    readme = (project / "README.md").read_text("utf-8")
    assert ("report-on-forks.yml" in readme) == fork_reports
    assert (STORAGE_RULES in readme) == (storage == "repo")


def test_one_workflow_and_its_line_are_all_that_forks_change(
    generate: Generate, tmp_path: Path
) -> None:
    """Off by default; with it, one file more, and a paragraph of the README. Not a byte else."""
    off, on = generate(tmp_path / "off"), generate(tmp_path / "on", fork_reports=True)
    assert set(list_files(on)) - set(list_files(off)) == {FORKS}
    changed = {
        name for name in list_files(off) if (off / name).read_bytes() != (on / name).read_bytes()
    }
    assert changed == {"README.md"}
    new = set((on / "README.md").read_text("utf-8").splitlines())
    assert new > set((off / "README.md").read_text("utf-8").splitlines())


def test_nothing_of_the_template_is_left(project: Path) -> None:
    """No answer was left open, no placeholder, no folder without files."""
    for path in project.rglob("*"):
        relative = path.relative_to(project)
        if relative.parts[0] == ".git" or path.suffix == ".csv":
            continue
        assert not LEFTOVER.search(relative.as_posix())
        if path.is_dir():
            assert any(path.iterdir()), relative
        else:
            text = path.read_text(encoding="utf-8")
            found = LEFTOVER.search(text)
            assert not found or "cruft" in text[found.start() - 200 : found.end()], relative
            assert text.endswith("\n") or not text, relative


def test_every_file_can_be_read(project: Path) -> None:
    """YAML, TOML, JSON and Python parse."""
    readers: dict[str, Callable[[str], object]] = {
        ".yml": yaml.safe_load,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".py": lambda text: compile(text, "module", "exec"),
    }
    for name in list_files(project):
        reader = readers.get(Path(name).suffix)
        if reader:
            reader((project / name).read_text(encoding="utf-8"))


def test_the_first_commit_is_the_template(project: Path) -> None:
    """One commit on main holds every file that is not DVC's, and nothing is left to commit."""
    assert git(project, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(project, "rev-list", "--count", "HEAD") == "1"
    assert git(project, "status", "--porcelain") == ""
    kept = git(project, "ls-files").splitlines()
    assert sorted([*kept, "data/raw/table.csv"]) == list_files(project)


def test_the_pointer_names_the_table(project: Path) -> None:
    """The pointer holds the table's hash and size, and the table is the bundled one."""
    table = (project / "data" / "raw" / "table.csv").read_bytes()
    (out,) = yaml.safe_load((project / "data" / "raw" / "table.csv.dvc").read_text("utf-8"))["outs"]
    assert out == {
        "md5": hashlib.md5(table, usedforsecurity=False).hexdigest(),
        "size": len(table),
        "hash": "md5",
        "path": "table.csv",
    }
    task = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))["task"]
    assert table == (ROOT / SLUG / "data" / "bundled" / SETS[task] / "data.csv").read_bytes()


def test_the_toolkit_is_that_of_the_template(project: Path, template: Path) -> None:
    """Every `uses` of ours names the template's repository, its commit and its tag."""
    sha = git(template, "rev-parse", "HEAD")
    for path in sorted((project / ".github" / "workflows").iterdir()):
        ours = [line for line in path.read_text("utf-8").splitlines() if "acme/mlgitops" in line]
        assert ours
        assert all(line.endswith(f"@{sha} # v1.2.3") for line in ours)


@pytest.mark.parametrize(
    ("storage", "url"),
    [
        ("repo", "{project}/.dvc-storage"),
        ("local", "{project}-storage"),
        ("s3", "s3://flight-delays-dvc"),
        ("gcs", "gs://flight-delays-dvc"),
        ("azure", "azure://flight-delays-dvc"),
        ("ssh", "ssh://dvc@storage.example.org/srv/dvc/flight-delays"),
    ],
)
def test_dvc_accepts_the_configuration(
    storage: str, url: str, generate: Generate, tmp_path: Path
) -> None:
    """DVC itself reads the remote, and will verify what it fetches."""
    project = generate(tmp_path, storage=storage)
    listed = run_program(BIN / "dvc", "config", "--list", cwd=project)
    options = dict(line.split("=", 1) for line in listed.split())
    assert options == {
        "core.remote": "storage",
        "core.analytics": "false",
        "core.autostage": "false",
        "remote.storage.url": url.format(project=project),  # DVC shows local ones absolute
        "remote.storage.verify": "true",
    }
    if storage == "repo":  # the table fits its pointer; the cache is empty before the first run
        words = ("status", "--json", "data/raw/table.csv.dvc")
        status = run_program(BIN / "dvc", *words, cwd=project)
        assert json.loads(status) == {
            "data/raw/table.csv.dvc": [{"changed outs": {"data/raw/table.csv": "not in cache"}}]
        }


def list_choices() -> Iterator[dict[str, object]]:
    """Yield every combination of the choices."""
    questions = read_questions(ROOT)
    names = ("task", "storage", "python_version")
    for places in itertools.product(*(range(len(questions[name])) for name in names)):
        answers = {name: questions[name][place] for name, place in zip(names, places, strict=True)}
        yield {**answers, "fork_reports": sum(places) % 2 == 1}  # in turns: pairs are enough


def test_no_combination_leaves_anything_open() -> None:
    """Every template file renders for every combination of the choices, with nothing left."""
    plain = ("data/bundled/", "requirements/")
    files = {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in list_template_files(ROOT)
        if name.startswith(SLUG) and not name.removeprefix(f"{SLUG}/").startswith(plain)
    }
    environment = StrictEnvironment(keep_trailing_newline=True)
    templates = {name: environment.from_string(text) for name, text in files.items()}
    combinations = list(list_choices())
    assert len(combinations) == 3 * 6 * 4
    for answers in combinations:
        complete = complete_answers(ROOT, answers, ask=False)  # type: ignore[arg-type]
        private = {"__package_name": str(complete["project_slug"]).replace("-", "_")}
        private |= {"__toolkit": "acme/mlgitops", "__toolkit_ref": "a" * 40}
        private |= {"_dataset": "", "_data_format": "csv"}
        for name, template in templates.items():
            text = template.render(cookiecutter={**complete, **private})
            found = LEFTOVER.search(text)
            assert not found or "cruft" in text[found.start() - 200 : found.end()], name


def test_the_new_command_gives_what_cookiecutter_gives(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same answers give the same tree, byte for byte, git's included."""
    from cookiecutter.main import cookiecutter

    answers = {
        "task": "multiclass",
        "storage": "s3",
        "owner": "octo-org/data",
        "fork_reports": "yes",
    }
    options = [word for key, value in answers.items() for word in ("--answer", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        one = Path(
            cookiecutter(
                str(ROOT), no_input=True, extra_context=answers, output_dir=str(tmp_path / "one")
            )
        )
        assert run(["new", "--no-input", *options, "--directory", str(tmp_path / "two")]) == 0
    two = tmp_path / "two" / one.name
    assert list_files(one) == list_files(two)
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in list_files(one))
    trees = {git(folder, "rev-parse", "HEAD^{tree}") for folder in (one, two)}
    assert len(trees) == 1
    assert "make setup" in capfd.readouterr().err


def test_a_used_name_is_refused(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what was there stays as it was."""
    used = tmp_path / "flight-delays"
    used.mkdir()
    (used / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        assert run(["new", "--no-input", "--directory", str(tmp_path)]) == 2
    assert "there is something of this name already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["flight-delays", "mine.txt"]


@pytest.mark.slow
def test_the_wheel_carries_the_template(tmp_path: Path, home: Path, generate: Generate) -> None:
    """Installed and compiled as pip does it, `mlgitops new` makes the files of the checkout."""
    run_program(BIN / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    options = ("--quiet", "--no-deps", "--compile-bytecode", "--target", tmp_path / "site")
    run_program(BIN / "uv", "pip", "install", *options, wheel, cwd=tmp_path)
    toolkit = tmp_path / "site" / "mlgitops" / "toolkit"
    assert list(toolkit.rglob("*.pyc")), "compiling left files that no project may get"
    words = ("new", "--no-input", "--json")
    variables = {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(home)}
    printed = run_program(BIN / "python", "-m", "mlgitops", *words, cwd=tmp_path, **variables)
    made = Path(json.loads(printed)["project"])
    same = generate(tmp_path / "checkout")
    assert list_files(made) == list_files(same)
    named = {".devcontainer/devcontainer.json", "README.md", *AFTERWARDS}
    named |= {f".github/workflows/{name}.yml" for name in ("pull-request", "waiver")}
    differing = {
        name
        for name in list_files(made)
        if (made / name).read_bytes() != (same / name).read_bytes()
    }
    assert differing <= named, "only the toolkit's address differs"


def run_program(*words: str | Path, cwd: Path, **variables: str) -> str:
    """Run a program that must succeed, and return its standard output."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
