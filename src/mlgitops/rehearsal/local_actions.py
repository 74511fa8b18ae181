"""A local folder for every action that a workflow uses: the toolkit's own, or a stand-in.

Copies files into the rehearsal's scratch folder; nothing is downloaded. An action that is neither
is an error before the run.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.project.toolkit import toolkit_root

if TYPE_CHECKING:
    from mlgitops.rehearsal.workflow import Use, Workflow


def place_actions(workflow: Workflow, scratch: Path) -> dict[str, Path]:
    """Find a folder for every action the workflow uses: our toolkit, or a stand-in.

    Raises :class:`MistakesError` naming every action, and every input, that has none.
    """
    mistakes: list[MlgitopsError] = []
    placed = {}
    toolkit: Path | None = None
    for use in workflow.uses:
        key = f"{use.repository}@{use.ref}"
        stand_in = find_stand_in(use)
        if stand_in is not None:
            mistakes += _find_unknown_inputs(use, stand_in)
            placed[key] = _copy_stand_ins(use.repository, scratch / "stand-ins")
        elif (toolkit_root() / use.path / "action.yml").is_file() and use.path:
            toolkit = toolkit or copy_toolkit(scratch / "toolkit")
            placed[key] = toolkit
        else:
            hint = "a rehearsal runs the toolkit's own actions and a few stand-ins, nothing else"
            mistakes.append(MlgitopsError(f"no stand-in for {use.action}", hint=hint))
    if mistakes:
        raise MistakesError("this workflow uses what a rehearsal does not have:", mistakes)
    return placed


def _stand_ins() -> Path:
    return Path(str(resources.files("mlgitops.rehearsal"))) / "stand_ins"


def find_stand_in(use: Use) -> Path | None:
    """Return the folder of the stand-in for ``use``; None when there is none."""
    folder = _stand_ins() / use.repository / use.path
    return folder if (folder / "action.yml").is_file() else None


def _find_unknown_inputs(use: Use, stand_in: Path) -> list[MlgitopsError]:
    inputs = yaml.safe_load((stand_in / "action.yml").read_text(encoding="utf-8"))["inputs"]
    unknown = [name for name in use.inputs if name not in inputs]
    return [
        MlgitopsError(f"the stand-in for {use.action} does not know the input `{name}`")
        for name in unknown
    ]


def _copy_stand_ins(repository: str, target: Path) -> Path:
    folder = target / repository
    if not folder.exists():
        shutil.copytree(_stand_ins() / repository, folder)
        for action in list(folder.rglob("action.yml")):
            shutil.copy2(_stand_ins() / "stand_in.py", action.parent)
    return folder


def copy_toolkit(target: Path) -> Path:
    """Copy the actions, their locks and this very helper; return the folder that act is given.

    act copies such a folder twice for every step. Actions are copied, code and locks are links to
    the one copy: the files of both are a thousand, and took a third of a rehearsal's time.
    """
    if target.exists():  # another workflow of this rehearsal uses it too
        return target
    root, shared = toolkit_root(), target.with_name(f"{target.name}-files").absolute()
    package = Path(str(resources.files("mlgitops")))
    ignore = shutil.ignore_patterns("__pycache__", "toolkit")
    shutil.copytree(root / "actions", target / "actions", ignore=ignore)
    shutil.copytree(root / "requirements", shared / "requirements", ignore=ignore)
    shutil.copytree(package, shared / "src" / "mlgitops", ignore=ignore)
    for name in ("requirements", "src"):
        (target / name).symlink_to(shared / name, target_is_directory=True)
    return target
