"""Where the toolkit's own files stand: the template, the actions, the locks."""

from __future__ import annotations

from pathlib import Path

from mlgitops.errors import MlgitopsError

_PACKAGE = Path(__file__).resolve().parents[1]


def toolkit_root() -> Path:
    """Return the folder that holds `cookiecutter.json`, `hooks/` and `actions/`.

    The checkout when the package runs from one, else the copy inside the wheel.
    """
    for root in (_PACKAGE.parent.parent, _PACKAGE / "toolkit"):
        if (root / "cookiecutter.json").is_file() and (root / "actions").is_dir():
            return root
    raise MlgitopsError(
        "the template and the actions are missing from this installation",
        where=str(_PACKAGE),
        hint="install mlgitops again from its wheel, or run it from a checkout",
    )
