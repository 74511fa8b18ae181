"""The workflow for several projects, as its how-to page shows it."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/how-to/several-projects.md"
#: Folder below models/ to the task of the project in it.
PROJECTS = {"wages": "regression", "birds": "multiclass"}


def read_workflow() -> str:
    """Return the page's workflow, with an address for the placeholders."""
    pattern = r"```yaml\n(# \.github/workflows/pull-request\.yml\n.*?)```"
    (text,) = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text).replace("OWNER/mlgitops", "acme/mlgitops").replace("@SHA", f"@{'a' * 40}")
