"""What GitHub's runner would give the steps: environments, programs and variables.

Everything a step can see is made here; nothing is inherited from the caller.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mlgitops.dvc.remote import read_remote
from mlgitops.environments import ensure_environment, find_python
from mlgitops.process import run_program

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.rehearsal.forge import State
    from mlgitops.rehearsal.workflow import Workflow

#: Where links in the comment point, and git's address of the repository in a step; git is
#: told to look into the bare clone instead, so nothing is ever fetched from there.
SERVER = "https://github.com"
_VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"


def prepare_environments(
    workflow: Workflow, workspace: Path, toolkit: Path, store: Path, console: Console
) -> Path:
    """Make every environment before the run, which then needs no network.

    Returns the interpreter that the steps find as `python3`: that of `.python-version`.
    """
    python = find_python(workspace, "pipeline").resolve()
    script = toolkit / "actions" / "run.py"
    if script.is_file():
        variables = {**os.environ, "MLGITOPS_ENVIRONMENTS": str(store)}
        with console.step("The helper's environment"):
            verbs = sorted({use.path.removeprefix("actions/") for use in workflow.uses})
            printed = run_program([python, "-I", script, "--prepare", *verbs], env=variables)
            compile_helper(Path(printed.splitlines()[-1]), toolkit / "src")
    for step in workflow.find_steps("actions/setup"):
        text = (toolkit / "actions" / "setup" / "action.yml").read_text("utf-8")
        defaults = {
            name: settings["default"] for name, settings in yaml.safe_load(text)["inputs"].items()
        }
        wanted = {**defaults, **step.inputs}
        project = workspace / str(wanted["working-directory"])
        for name in filter(None, str(wanted["only"] or "").split(",")):
            ensure_environment(project, name.strip(), console)
    return python


def compile_helper(python: Path, source: Path) -> None:
    """Compile the helper at ``source`` for every step at once, with the steps' interpreter.

    act copies an action for each job and gives the copies new dates; byte code that is
    checked by date, or is of another Python, would be made again by every step.
    """
    if not (source / "mlgitops" / "__pycache__").exists():  # for another workflow of this rehearsal
        run_program([python, "-I", source / "mlgitops" / "rehearsal" / "byte_code.py", source])


def find_local_storage(root: Path, workspace: Path) -> str:
    """Name a storage folder of this machine that the project reaches by a relative path.

    Returns "RELATIVE:ABSOLUTE" for the stand-in of checkout, which links it; "" otherwise.
    """
    remote = read_remote(workspace) if (workspace / ".dvc" / "config").is_file() else None
    if remote is None or remote.kind != "local" or Path(remote.url).is_absolute():
        return ""
    relative = os.path.relpath(remote.path or root, workspace)
    return f"{relative}:{os.path.normpath(root / relative)}"


def build_variables(
    state: State, url: str, *, scratch: Path, origin: Path, store: Path
) -> dict[str, str]:
    """Build what every step finds in its environment, beside what act itself sets."""
    artifacts = scratch / "artifacts"
    artifacts.mkdir()
    _write_git_config(scratch, origin, f"{SERVER}/{state.repository}")
    return {
        "GITHUB_REPOSITORY": state.repository,
        "GITHUB_SERVER_URL": SERVER,
        "GITHUB_API_URL": url,
        "GITHUB_GRAPHQL_URL": f"{url}/graphql",
        "GITHUB_RUN_ID": str(state.runs),
        "GITHUB_RUN_NUMBER": str(state.runs),
        "MLGITOPS_ENVIRONMENTS": str(store),
        "MLGITOPS_REHEARSAL_ARTIFACTS": str(artifacts),
        "UV_OFFLINE": "1",
        "NO_COLOR": "1",
    }


def _write_git_config(scratch: Path, origin: Path, address: str) -> None:
    """Let git reach the bare clone under the repository's address, and nothing else."""
    home = scratch / "act" / "home"
    home.mkdir(parents=True)
    text = f'[url "{origin.as_uri()}"]\n' + "".join(
        f"\tinsteadOf = {spelling}\n" for spelling in (f"{address}.git", address)
    )
    (home / ".gitconfig").write_text(text, encoding="utf-8")


def make_path(folder: Path, python: Path) -> list[Path]:
    """Link the few programs that steps may use beside the system's own."""
    folder.mkdir()
    version = run_program([python, "-I", "-c", _VERSION]).strip()
    links = dict.fromkeys(("python", "python3", f"python{version}"), python)
    for name in ("uv", "git", "bash"):
        beside = Path(sys.executable).parent / name
        program = str(beside) if beside.exists() else shutil.which(name)
        if program:
            links[name] = Path(program)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return [folder, *map(Path, ("/usr/local/bin", "/usr/bin", "/bin"))]
