import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from mlgitops.git.wanted import Wanted

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "actions/**/*.md", "tests/README.md")
    for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
CALL = re.compile(r"\bmlgitops ([a-z]+)((?: [^`\n#|&]*)?)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
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


def test_the_index_leads_to_every_page() -> None:
    """docs/README.md links each page and schema below docs, so that none is found by luck alone."""
    index = ROOT / "docs/README.md"
    linked = {(index.parent / path).resolve() for path, _ in LINK.findall(index.read_text())}
    pages = {path for suffix in ("md", "json") for path in index.parent.rglob(f"*.{suffix}")}
    assert pages - linked == {index}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_gives_a_command_only_options_that_it_has(page: Path) -> None:
    """Each `mlgitops COMMAND --option` is of a command that takes it, by the page of commands."""
    taken = list_options()
    for command, words in CALL.findall(page.read_text(encoding="utf-8")):
        options = set(OPTION.findall(words))
        assert options <= taken.get(command, set()), f"mlgitops {command} {words}"


def list_options() -> dict[str, set[str]]:
    """List the options of each command, as docs/reference/commands.md has them."""
    page = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^## `?(?:mlgitops )?([a-z]+)`?\n(.*?)(?=^## |\Z)", page)
    assert {"new", "deploy", "export"} <= {command for command, _ in sections}
    return {command: set(OPTION.findall(text)) for command, text in sections}


def test_the_page_on_deploying_lists_every_key_of_model_yaml() -> None:
    """The table names each key once, and its defaults are those of the program."""
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    table = page.partition("## All keys of model.yaml")[2].partition("\n## ")[0]
    keys = re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \| `?(\w+)", table)
    fields = {field.name: field for field in msgspec.structs.fields(Wanted)}
    assert sorted(key for key, _ in keys) == sorted(
        {*fields, "revision"} - {"environment", "commit"}
    )
    for key, default in keys:
        if key in {"target", "bake", "canary", "replicas"}:
            assert default == str(fields[key].default)


def test_the_page_on_incidents_lists_every_alert() -> None:
    """An operator finds each alert of the generated rules by its name, with its severity."""
    page = (ROOT / "docs/how-to/incident.md").read_text(encoding="utf-8")
    rules = ROOT / "{{cookiecutter.project_slug}}/deploy/monitoring/rules.yaml"
    alerts = re.findall(
        r"(?s)- alert: (\w+)\n.*?severity: (\w+)", rules.read_text(encoding="utf-8")
    )
    assert re.findall(r"(?m)^\| `(\w+)` \| (page|ticket) \|", page) == alerts


def test_the_page_on_security_names_every_workflow_of_a_project() -> None:
    """Whoever approves the template reads there what each of its workflows may do."""
    page = (ROOT / "docs/explanation/security.md").read_text(encoding="utf-8")
    jobs = page.partition("## Who is trusted with what")[2].partition("\n## ")[0]
    workflows = (ROOT / "{{cookiecutter.project_slug}}/.github/workflows").glob("*.yml")
    names = {path.name for path in workflows} - {"pull-request.yml"}  # job by job, in its table
    assert names <= set(re.findall(r"`([a-z-]+\.yml)`", jobs))
