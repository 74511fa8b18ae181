"""`actions/run.py`: inputs to a command line, and an environment that nothing outside bends."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mini_project import shared_store

from mlgitops.environments import has_certificates, install_variables

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "actions" / "run.py"


def load() -> ModuleType:
    """Import the script as a module."""
    spec = importlib.util.spec_from_file_location("actions_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = load()


@pytest.mark.parametrize(("inside", "expected"), [([], False), (["authority.pem"], True)])
def test_the_certificates_of_the_machine_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: list[str], *, expected: bool
) -> None:
    """A company's own authority is unknown to uv unless it is told; without any, uv has its own."""
    for name in inside:
        (tmp_path / name).write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    monkeypatch.delenv("UV_NATIVE_TLS", raising=False)
    assert ("UV_SYSTEM_CERTS" in RUN.trust_machine()) is expected
    assert has_certificates() is expected
    assert ("UV_SYSTEM_CERTS" in install_variables()) is expected
    monkeypatch.setenv("UV_SYSTEM_CERTS", "0")
    assert install_variables()["UV_SYSTEM_CERTS"] == "0"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "--base", ""], ["train"]),
        (["train", "--base", "main"], ["train", "--base=main"]),
        (["report", "--dry-run=true"], ["report", "--dry-run"]),
        (["report", "--dry-run=false"], ["report"]),
        (["report", "--dry-run="], ["report"]),
        (["train", "--base", "--help"], ["train", "--base=--help"]),
        (["deploy", "--port", "", "--", "staging"], ["deploy", "--", "staging"]),
        (["promote", "--to", "staging", "--", ""], ["promote", "--to=staging", "--"]),
        (
            ["promote", "--image", "--allow-older", "--", ""],
            ["promote", "--image=--allow-older", "--"],
        ),
        (["--version"], ["--version"]),
        (["-h"], ["-h"]),
        (["--version", "report", "--key", ""], ["--version", "report"]),
        (["report", "--help"], ["report", "--help"]),
        (["deploy", "--", "--help"], ["deploy", "--", "--help"]),
    ],
)
def test_inputs_become_options(words: list[str], expected: list[str]) -> None:
    """An empty input is left out; a value can never become another option."""
    assert RUN.drop_empty(words) == expected


@given(st.text(min_size=1))
def test_any_value_stays_one_word_behind_its_option(value: str) -> None:
    """Whatever an input holds, it is the value of its own option."""
    assert RUN.drop_empty(["x", "--base", value]) == ["x", f"--base={value}"]


@pytest.mark.slow
def test_an_action_runs_this_checkouts_helper_whatever_the_workspace_holds(
    tmp_path: Path,
) -> None:
    """A hostile workspace, PYTHONPATH and BASH_ENV change nothing; nor do spaces in paths."""
    workspace = tmp_path / "a workspace, ünicode"
    (workspace / "mlgitops").mkdir(parents=True)
    for name in ("mlgitops/__init__.py", "requests.py", "sitecustomize.py", "json.py"):
        (workspace / name).write_text("raise SystemExit('hijacked')\n")
    (workspace / "env.sh").write_text("echo hijacked\n")
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "PYTHONPATH": str(workspace),
        "PYTHONSTARTUP": str(workspace / "json.py"),
        "BASH_ENV": str(workspace / "env.sh"),
        "MLGITOPS_ENVIRONMENTS": str(shared_store()),
        "GITHUB_WORKSPACE": str(workspace),
        # Where a machine's own network has an authority of its own, no package comes without.
        **{name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if name in os.environ},
    }
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, "--version"],
        check=False,
        capture_output=True,
        text=True,
        cwd=workspace,
        env=environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("mlgitops ")
    assert "hijacked" not in done.stdout + done.stderr


@pytest.mark.slow
def test_an_action_has_what_its_command_imports(tmp_path: Path) -> None:
    """Searching needs a library that no other action installs, from a lock of its own."""
    environ = {**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())}
    words = ["tune", "--merge", str(tmp_path / "none.jsonl"), "--directory", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
    )
    assert (done.returncode, "tune.yaml: there is no such file" in done.stderr) == (2, True)
    python = Path(RUN.ensure_environment(str(find_environment("tune")), RUN.LOCKS["tune"]))
    assert subprocess.run([python, "-I", "-c", "import optuna"], check=False).returncode == 0
    assert find_environment("tune") != find_environment("report")
    printed = subprocess.check_output(
        [sys.executable, "-I", SCRIPT, "--prepare", "report", "tune", "checkout"],
        text=True,
        env=environ,
    )
    assert printed.splitlines()[-1] == str(find_environment("report") / "bin" / "python")


def find_environment(verb: str) -> Path:
    """Return the folder of a verb's environment in the shared store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
        return Path(RUN.environment_folder(RUN.LOCKS.get(verb, RUN.LOCK)))


def test_a_lock_that_cannot_be_installed_is_an_annotation_and_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A half-made environment is not used, and the step says why."""
    lock = tmp_path / "helper.txt"
    lock.write_text("not-hashed==1.0\n")
    folder = tmp_path / "helper-x"
    with pytest.raises(SystemExit, match=r"^2$") as ended:
        RUN.ensure_environment(str(folder), str(lock))
    assert ended.value.code == 2
    assert "::error title=mlgitops::" in capfd.readouterr().out
    assert not (folder / ".mlgitops-ready").exists()
