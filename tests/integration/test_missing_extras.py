"""Commands in an environment that has the core of mlgitops and none of its extras."""

from __future__ import annotations

import re
import subprocess
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

if TYPE_CHECKING:
    from importlib.metadata import Distribution

SRC = Path(__file__).parents[2] / "src" / "mlgitops"


def list_core(name: str) -> dict[str, Distribution]:
    """Return a distribution and all that it needs, without extras."""
    this = distribution(name)
    core = {name: this}
    for line in this.requires or []:
        needed = re.match(r"[\w.-]+", line)
        if needed and ";" not in line:
            core |= list_core(needed[0])
    return core


@pytest.fixture(scope="module")
def core_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with links to the core's packages alone."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name, package in list_core("mlgitops").items():
        parts = {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}
        for part in parts:
            if name != "mlgitops" or part.endswith(".dist-info"):
                (site / part).symlink_to(Path(str(package.locate_file(part))))
    (site / "mlgitops").symlink_to(SRC)
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("line", "package", "extra"),
    [
        (["rehearse"], "werkzeug", "rehearse"),
        (["new", "--name", "demo"], "cookiecutter", "new"),
    ],
)
def test_a_command_without_its_extra_names_the_extra(
    core_python: Path, tmp_path: Path, line: list[str], package: str, extra: str
) -> None:
    """What is missing, and what to type: no lines of code, and no word of a bug."""
    GitRepository(tmp_path)
    command = [str(core_python), "-I", "-m", "mlgitops", *line]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    text = " ".join((done.stdout + done.stderr).split())
    assert f"the package {package} is not installed" in text
    assert f"pip install 'mlgitops[{extra}]'" in text
    assert "Traceback" not in text
    assert "bug" not in text


def test_all_is_every_extra() -> None:
    """What `mlgitops[all]` leaves out would be found missing one command at a time."""
    text = (SRC.parents[1] / "pyproject.toml").read_text("utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    (listed,) = re.findall(r"mlgitops\[(.*)\]", " ".join(extras.pop("all")))
    assert sorted(listed.split(",")) == sorted(extras)


def test_the_demo_names_all_that_it_needs_at_once(core_python: Path, tmp_path: Path) -> None:
    """Before it makes anything; one line installs it, and its help needs none of it."""
    command = [str(core_python), "-I", "-m", "mlgitops", "demo"]
    path = {"PATH": str(core_python.parent)}  # no act and no haproxy of the machine
    done = subprocess.run(
        command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    text = " ".join((done.stdout + done.stderr).split())
    assert "werkzeug, cookiecutter, pandas, numpy, jinja2, act, haproxy" in text
    assert "pip install 'mlgitops[all]'" in text
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run([*command, "--help"], capture_output=True, check=False).returncode == 0
