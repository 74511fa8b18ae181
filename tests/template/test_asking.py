"""`mlgitops new` at a terminal: it asks what was not said, and takes the rest as given."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from git_project import git
from template.decisions import GOLDEN, day, make_table

COMMAND = Path(sys.executable).with_name("mlgitops")


def talk(typed: bytes, *words: str, home: Path, cwd: Path) -> tuple[int, str]:
    """Run `mlgitops new` at a terminal, type, and return exit code and screen."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "new", *words],
        cwd=cwd,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.write(ours, typed + b"\x04\x04\x04")  # a question too many must not wait for ever
        screen = bytearray()
        try:
            while chunk := os.read(ours, 4096):
                screen += chunk
        except OSError:  # Linux ends a terminal whose program has gone this way
            pass
        code = process.wait()
    os.close(ours)
    return code, screen.decode()


def test_what_was_not_said_is_asked(home: Path, tmp_path: Path) -> None:
    """A choice by number, a typed name, defaults for the rest; a given answer is not asked for."""
    typed = b"3\nMy Birds\n" + b"\n" * 3 + b"y\n" + b"\n" * 2
    code, screen = talk(typed, "--owner", "octocat", home=home, cwd=tmp_path)
    assert code == 0, screen
    assert "[1/8] What does the model predict?" in screen
    assert "(my-birds)" in screen
    assert "GitHub user, or" not in screen
    project = tmp_path / "my-birds"
    assert "@octocat" in (project / ".github" / "CODEOWNERS").read_text(encoding="utf-8")
    assert "[6/8] Post the verdict on pull requests from forks too" in screen
    assert (project / ".github" / "workflows" / "report-on-forks.yml").is_file()
    assert "task: multiclass" in (project / "params.yaml").read_text(encoding="utf-8")


def test_the_questions_are_as_a_person_has_read_them(home: Path, tmp_path: Path) -> None:
    """Every question with its choices and default; `tests/golden/README.md` says how to write."""
    code, screen = talk(b"\n" * 9, home=home, cwd=tmp_path)
    assert code == 0, screen
    asked = " ".join(screen.partition("Your project is in")[0].split())
    questions = re.split(r" (?=\[\d+/\d+\] )", f" {asked}")[1:]
    text = "".join(f"{question}\n" for question in questions)
    path = GOLDEN / "questions.txt"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_only_a_storage_elsewhere_is_asked_for_its_address(home: Path, tmp_path: Path) -> None:
    """A branch of the repository has none; a bucket's is asked right after, with a default."""
    code, screen = talk(b"\n" * 4 + b"3\ns3://birds/dvc\n" + b"\n" * 4, home=home, cwd=tmp_path)
    assert code == 0, screen
    asked = " ".join(screen.split())
    address = "Address of that storage ('repo' has none) (s3://flight-delays-dvc):"
    assert asked.index("[5/9] Where do data and models live?") < asked.index(address)
    assert asked.index(address) < asked.index("[6/9] Python version")
    config = (tmp_path / "flight-delays" / ".dvc" / "config").read_text(encoding="utf-8")
    assert "s3://birds/dvc" in config


def test_what_a_table_leaves_open_is_asked(home: Path, tmp_path: Path) -> None:
    """Enter splits by time, `n` does not, and neither is asked where a flag says it."""
    (tmp_path / "calls.csv").write_text(make_table({"day": day}), encoding="utf-8")
    table = ("--data", "calls.csv", "--target", "y", "--owner", "octocat")
    question = (
        "By 'day', the rows run from 2019-12-30 to 2020-04-27, and the latest 30% would be the "
        "test. Does the model predict later rows than it learned from? [y/n] (y)"
    )
    for typed, method in ((b"\n", "time"), (b"n\n", "hash")):
        code, screen = talk(
            typed + b"\n" * 20, *table, "--slug", f"by-{method}", home=home, cwd=tmp_path
        )
        assert code == 0, screen
        assert question in " ".join(screen.split())
        assert f"method: {method} #" in (tmp_path / f"by-{method}" / "params.yaml").read_text(
            "utf-8"
        )
    code, screen = talk(
        b"\n" * 20, *table, "--split", "hash", "--slug", "given", home=home, cwd=tmp_path
    )
    assert code == 0, screen
    assert "predict later rows" not in " ".join(screen.split())


def test_a_pipe_that_nobody_reads_loses_nothing(home: Path, tmp_path: Path) -> None:
    """`mlgitops new 2>&1 | head` makes the whole project, with its first commit."""
    (tmp_path / "calls.csv").write_text(make_table({"day": day}), encoding="utf-8")
    ours, theirs = os.pipe()
    os.close(ours)
    words = ["--no-input", "--data", "calls.csv", "--target", "y", "--slug", "whole"]
    done = subprocess.run(
        [COMMAND, "new", *words],
        cwd=tmp_path,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    assert done.returncode == 0
    history = git(tmp_path / "whole", "log", "--format=%s")
    assert len(history.splitlines()) == 1
    assert (tmp_path / "whole" / "params.yaml").is_file()


def test_a_bad_answer_and_an_early_end_leave_nothing(home: Path, tmp_path: Path) -> None:
    """Exit code 2, the reason, no traceback, no folder."""
    bad = talk(b"1\n{{ name }}\nclass\n" + b"\n" * 7, home=home, cwd=tmp_path)
    ended = talk(b"1\n\x04", home=home, cwd=tmp_path)
    for (code, screen), reason in ((bad, "2 answers cannot be used"), (ended, "the input ended")):
        assert code == 2, screen
        assert reason in screen
        assert "Traceback" not in screen
    assert list(tmp_path.iterdir()) == []
