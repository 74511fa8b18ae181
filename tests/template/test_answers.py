"""Bad answers: each refused with its reason, all together, before anything is written."""

from __future__ import annotations

import ast
import json
import keyword
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from cookiecutter.environment import StrictEnvironment
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from mlgitops.errors import MistakesError
from mlgitops.project.generate.answers import check_given, complete_answers, read_questions

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "hooks" / "pre_gen_project.py"

GOOD = {
    "task": "binary",
    "project_name": "Flight Delays",
    "project_slug": "flight-delays",
    "owner": "octocat",
    "storage": "repo",
    "storage_url": "",
    "python_version": "3.12",
    "fork_reports": False,
    "toolkit": "auto",
    "toolkit_ref": "auto",
    "_dataset": "",
}


def load_hook() -> ModuleType:
    """Import the hook as it stands, as `mlgitops new` does."""
    hook = ModuleType("pre_gen_project")
    exec(compile(HOOK.read_text(encoding="utf-8"), str(HOOK), "exec"), hook.__dict__)  # noqa: S102
    return hook


find_mistakes: Callable[[dict[str, object]], list[str]] = load_hook().find_mistakes

BAD = [
    ({"project_name": ""}, "1 to 60 characters"),
    ({"project_name": "x" * 61}, "1 to 60 characters"),
    ({"project_name": " Delays"}, "1 to 60 characters"),
    ({"project_name": 'Delays "now"'}, "would need quoting"),
    ({"project_name": "Anna's delays"}, "would need quoting"),
    ({"project_name": "a\\b"}, "would need quoting"),
    ({"project_name": "{% x %}"}, "would need quoting"),
    ({"project_name": "a\nb"}, r"'\n' would need quoting"),
    ({"project_name": "a\x1b[31mb"}, r"'\x1b'"),
    ({"project_name": "a\u202eb"}, r"'\u202e'"),
    ({"project_name": "# Delays"}, "would need quoting"),
    ({"project_name": "-delays"}, "start it with a letter or a digit"),
    ({"project_slug": ""}, "is no good"),
    ({"project_slug": "Flight-Delays"}, "is no good"),
    ({"project_slug": "flight_delays"}, "is no good"),
    ({"project_slug": "flight--delays"}, "is no good"),
    ({"project_slug": "-flights"}, "is no good"),
    ({"project_slug": "flights-"}, "is no good"),
    ({"project_slug": "2flights"}, "is no good"),
    ({"project_slug": "../flights"}, "is no good"),
    ({"project_slug": "flügel"}, "is no good"),
    ({"project_slug": "flights\n"}, "is no good"),
    ({"project_slug": "f" * 51}, "51 characters are too many"),
    ({"project_slug": "class"}, "Python keyword"),
    ({"project_slug": "json"}, "Python's own module"),
    ({"project_slug": "sklearn"}, "would hide a library"),
    ({"project_slug": "dvc-data"}, "would hide a library"),
    ({"project_slug": "tests"}, "would hide a library"),
    ({"owner": ""}, "is not a GitHub user"),
    ({"owner": "@octocat"}, "without @"),
    ({"owner": "octo--cat"}, "is not a GitHub user"),
    ({"owner": "octocat/team/x"}, "is not a GitHub user"),
    ({"owner": "a" * 40}, "is not a GitHub user"),
    ({"owner": "octo cat"}, "is not a GitHub user"),
    ({"storage_url": "s3://bucket"}, "storage 'repo' lives in this repository"),
    ({"storage": "s3", "storage_url": ""}, "s3://bucket/folder"),
    ({"storage": "s3", "storage_url": "gs://bucket"}, "s3://bucket/folder"),
    ({"storage": "s3", "storage_url": "s3://Bucket"}, "s3://bucket/folder"),
    ({"storage": "s3", "storage_url": "s3://b/x\n[core]"}, "s3://bucket/folder"),
    ({"storage": "s3", "storage_url": "s3://bucket/../other"}, "s3://bucket/folder"),
    ({"storage": "gcs", "storage_url": "s3://bucket"}, "gs://bucket/folder"),
    ({"storage": "azure", "storage_url": "azure://c_d"}, "azure://container/folder"),
    ({"storage": "ssh", "storage_url": "ssh://host"}, "ssh://user@host/folder"),
    ({"storage": "ssh", "storage_url": "ssh://me:secret@host/x"}, "leave the password out"),
    ({"storage": "local", "storage_url": "storage"}, "../storage or /srv/storage"),
    ({"storage": "local", "storage_url": "../a/../../b\t"}, "../storage or /srv/storage"),
    ({"fork_reports": "maybe"}, "fork_reports: 'maybe' is neither true nor false"),
    ({"fork_reports": 1}, "neither true nor false"),
    ({"toolkit": "mlgitops"}, "neither 'auto' nor OWNER/REPO"),
    ({"toolkit": "https://github.com/acme/mlgitops"}, "neither 'auto' nor OWNER/REPO"),
    ({"toolkit_ref": "v1"}, "a tag or branch can be moved"),
    ({"toolkit_ref": "A" * 40}, "a tag or branch can be moved"),
    ({"_dataset": "/nowhere"}, "lacks data.csv"),
]


@pytest.mark.parametrize(("answer", "reason"), BAD, ids=lambda value: str(value)[:50])
def test_a_bad_answer_is_refused_with_its_reason(answer: dict[str, object], reason: str) -> None:
    """One bad answer among good ones gives one mistake, which says why."""
    (mistake,) = find_mistakes({**GOOD, **answer})
    assert reason in mistake


@pytest.mark.parametrize(
    "answer",
    [
        {"project_name": "Zugverspätung (Köln) & Umgebung, 2.0"},
        {"project_name": "列車の遅れ", "project_slug": "trains"},
        {"project_slug": "a"},
        {"project_slug": "f" * 50},
        {"owner": "octo-org/data_science.team"},
        {"storage": "local", "storage_url": "../x-storage"},
        {"storage": "local", "storage_url": "~/dvc storage/x"},
        {"storage": "s3", "storage_url": "s3://my.bucket/dvc/x"},
        {"storage": "ssh", "storage_url": "ssh://me@host.example.org:2222/srv/dvc"},
        {"toolkit": "acme/mlgitops", "toolkit_ref": "a" * 40},
    ],
    ids=str,
)
def test_a_good_answer_is_taken(answer: dict[str, object]) -> None:
    """Nothing is refused without need."""
    assert find_mistakes({**GOOD, **answer}) == []


def test_all_bad_answers_are_refused_together() -> None:
    """One run names every mistake."""
    bad = {
        "project_name": "{}",
        "project_slug": "None",
        "owner": "@",
        "storage_url": "x",
        "toolkit": "x",
        "toolkit_ref": "x",
    }
    assert [text.partition(":")[0] for text in find_mistakes({**GOOD, **bad})] == list(bad)


def test_unknown_questions_and_choices_are_named_together() -> None:
    """`mlgitops new` checks names, choices and yes-or-no answers before anything else."""
    bad = {"task": "ranking", "storage": "ftp", "python_version": "2.7", "colour": "red"}
    with pytest.raises(MistakesError, match="4 answers cannot be used") as caught:
        check_given(read_questions(ROOT), bad)
    assert all(name in str(caught.value) for name in bad)


@given(st.fixed_dictionaries({name: st.text(max_size=30) for name in GOOD}))
def test_no_answer_leaves_the_string_it_is_written_in(answers: dict[str, str]) -> None:
    """Rendered into the hook, any answers come back as they were: they are data, never code."""
    source = StrictEnvironment().from_string(HOOK.read_text(encoding="utf-8"))
    tree = ast.parse(source.render(cookiecutter=answers))
    (value,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [getattr(name, "id", "") for name in node.targets] == ["ANSWERS"]
    )
    assert json.loads(str(value)) == answers


def test_every_locked_library_is_a_name_a_project_cannot_take() -> None:
    """No project package can hide a library of its own environments."""
    locks = sorted((ROOT / "{{cookiecutter.project_slug}}" / "requirements").glob("*.txt"))
    text = "".join(lock.read_text(encoding="utf-8") for lock in locks)
    names = {canonicalize_name(name) for name in re.findall(r"(?m)^([A-Za-z0-9._-]+)==", text)}
    assert len(names) > 100, "the locks were found"
    free = [name for name in sorted(names) if name[0].isalpha() and not is_refused(name)]
    assert free == []


def is_refused(name: str) -> bool:
    """Tell whether a project of this name is refused."""
    return keyword.iskeyword(name) or bool(find_mistakes({**GOOD, "project_slug": name}))


def test_defaults_need_no_input_and_are_good(home: Path) -> None:
    """Every question has a default that works, for every task and storage."""
    questions = read_questions(ROOT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for task in questions["task"]:
            for storage in questions["storage"]:
                given_answers = {"task": task, "storage": storage}
                answers = complete_answers(ROOT, given_answers, ask=False)
                assert find_mistakes(dict(answers)) == []


def test_every_question_is_put_in_plain_words() -> None:
    """At most ten questions, each with a prompt, each choice with a label."""
    questions = read_questions(ROOT)
    prompts = questions["__prompts__"]
    asked = [name for name in questions if not name.startswith("_")]
    assert len(asked) <= 10
    assert sorted(prompts) == sorted(asked)
    for name in asked:
        if isinstance(questions[name], list):
            assert set(prompts[name]) == {"__prompt__", *questions[name]}


def test_cookiecutter_leaves_nothing_behind_after_a_refusal(
    template: Path, home: Path, tmp_path: Path
) -> None:
    """The command line says why, exits non-zero, and removes the folder that it made."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", "--no-input", str(template)),
            *("owner=@me", "project_slug=json", "--output-dir", str(tmp_path / "out")),
        ],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "error: owner: '@me'" in done.stderr
    assert "error: project_slug: the package 'json'" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
