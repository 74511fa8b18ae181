"""A workflow as its how-to page shows it, that for several projects first of all."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[1] / "docs/how-to"
#: Folder below models/ to the task of the project in it.
PROJECTS = {"wages": "regression", "birds": "multiclass"}


def read_workflow(page: str = "several-projects.md", name: str = "pull-request") -> str:
    """Return the workflow ``name`` of a page, with an address for the placeholders."""
    pattern = rf"```yaml\n(# \.github/workflows/{name}\.yml\n.*?)```"
    (text,) = re.findall(pattern, (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)
    return str(text).replace("OWNER/mlgitops", "acme/mlgitops").replace("@SHA", f"@{'a' * 40}")
