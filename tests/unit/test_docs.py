import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "actions/**/*.md", "tests/README.md")
    for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def test_the_page_of_commands_is_what_the_program_says() -> None:
    """docs/reference/commands.md is the programs' own --help; `make docs` writes it."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_reference.py", "--check"], check=False
    )
    assert done.returncode == 0, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    """A page links only to files, and to headings in them, that exist."""
    for path, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not heading or heading in list_anchors(target), f"{path}#{heading}"


def list_anchors(page: Path) -> set[str]:
    """List what GitHub calls the headings of a page: small letters, words joined by hyphens."""
    titles = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_make_target_that_a_page_names_exists() -> None:
    """A page names no `make` target of ours that the Makefile lacks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    project = (ROOT / "{{cookiecutter.project_slug}}/Makefile").read_text(encoding="utf-8")
    targets |= set(re.findall(r"^([a-z-]+):", project, re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", page.read_text())}
    assert named <= targets
