"""Where the toolkit's own files stand: the template, the actions, the locks."""

from __future__ import annotations

import json
from pathlib import Path

from mlgitops.errors import MlgitopsError

_PACKAGE = Path(__file__).resolve().parents[1]
_GUIDE = "docs/how-to/read-a-verdict.md"


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


def read_git_source(note: str | None = None) -> tuple[str, str] | None:
    """Return address and commit that pip installed this package from; None if it was not git.

    ``note``: what pip noted beside the package, by default of this installation: PEP 610,
    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    if note is None:
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            note = distribution("mlgitops").read_text("direct_url.json")
        except PackageNotFoundError:  # run from its source
            return None
    source = json.loads(note or "{}")
    commit = source.get("vcs_info", {}).get("commit_id")
    return (source.get("url", ""), commit) if commit else None


def find_guide(root: Path = _PACKAGE.parent.parent, note: str | None = None) -> str | None:
    """Return where the page on reading a verdict stands: in a checkout, or at an https address.

    None where neither is known. ``note`` is that of :func:`read_git_source`.
    """
    if (root / _GUIDE).is_file():
        return str(root / _GUIDE)
    url, commit = read_git_source(note) or ("", "")
    if not url.startswith("https://"):
        return None
    return f"{url.removesuffix('/').removesuffix('.git')}/blob/{commit}/{_GUIDE}"
