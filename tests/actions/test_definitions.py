"""Every action: its inputs are described, used, equal to a command's option, and in its README."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgitops.cli import load_command

ROOT = Path(__file__).parents[2]
ACTIONS = sorted((ROOT / "actions").glob("*/action.yml"))
VERBS = [path.parent.name for path in ACTIONS]
BIN = Path(sys.executable).parent
#: Secrets are no options: a command line can be read by every process of the machine.
BY_ENVIRONMENT = {"token": "GITHUB_TOKEN"}
RENAMED = {"working-directory": "directory"}


def read_action(verb: str) -> dict[str, Any]:
    """Read an action's definition."""
    text = (ROOT / "actions" / verb / "action.yml").read_text("utf-8")
    action: dict[str, Any] = yaml.safe_load(text)
    return action


def read_step(verb: str) -> dict[str, Any]:
    """Return the one step of an action."""
    (step,) = read_action(verb)["runs"]["steps"]
    return dict(step)


def read_rows(text: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the README's table whose first column is ``heading``."""
    rows = {}
    inside = False
    for line in text.splitlines():
        if line.startswith(f"| {heading} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
            rows[cells[0].strip("`")] = cells[1:]
    return rows


def test_there_are_the_actions_that_the_overview_lists() -> None:
    """The table tests below are not empty."""
    listed = read_rows((ROOT / "actions" / "README.md").read_text("utf-8"), "action")
    assert sorted(name[1:].partition("]")[0] for name in listed) == VERBS
    assert {"deploy", "promote", "publish", "release", "report", "rollback"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_input_is_described_and_reaches_the_step_through_its_environment(verb: str) -> None:
    """One variable an input, and no expression inside the script."""
    action, step = read_action(verb), read_step(verb)
    names = action["inputs"]
    assert all(len(one["description"]) > 10 for one in names.values())
    expected = {
        BY_ENVIRONMENT.get(name, f"INPUT_{name.upper().replace('-', '_')}"): (
            f"${{{{ inputs.{name} }}}}"
        )
        for name in names
    }
    assert step["env"] == expected
    assert "${{" not in step["run"]
    assert step["shell"] == "bash"


@pytest.mark.parametrize("verb", VERBS)
def test_each_input_is_an_option_of_the_command(verb: str) -> None:
    """What an action accepts, the command accepts under the same name."""
    parser = argparse.ArgumentParser(add_help=False)
    load_command(verb).add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    positional = {action.dest for action in parser._actions if not action.option_strings}
    words = shlex.split(read_step(verb)["run"])
    assert words[:4] == ["python3", "-I", "$GITHUB_ACTION_PATH/../run.py", verb]
    used = dict(re.findall(r'(?:--([a-z-]+)|--)[ =]"\$(INPUT_[A-Z_]+)"', read_step(verb)["run"]))
    for name in read_action(verb)["inputs"]:
        variable = f"INPUT_{name.upper().replace('-', '_')}"
        option = RENAMED.get(name, name)
        if name in BY_ENVIRONMENT:
            continue
        if name in positional:
            assert used[""] == variable
        else:
            assert f"--{option}" in known
            assert used[option] == variable


@pytest.mark.parametrize("verb", VERBS)
def test_the_readme_lists_every_input_and_output(verb: str) -> None:
    """Names, options, defaults and descriptions agree with the definition."""
    action = read_action(verb)
    text = (ROOT / "actions" / verb / "README.md").read_text("utf-8")
    rows = read_rows(text, "input")
    assert list(rows) == list(action["inputs"])
    for name, entry in action["inputs"].items():
        same, default, what = rows[name]
        option = RENAMED.get(name, name)
        assert option in same.lower() or BY_ENVIRONMENT.get(name, "?") in same
        assert what == entry["description"]
        shown = (
            "required" if entry.get("required") else entry["default"] and f"`{entry['default']}`"
        )
        assert default == shown.replace("|", "\\|")
    assert list(read_rows(text, "output")) == list(action.get("outputs", {}))


def test_the_definitions_follow_githubs_schema() -> None:
    """check-jsonschema finds nothing."""
    program = BIN / "check-jsonschema"
    command: list[str | Path] = [program, "--builtin-schema", "vendor.github-actions", *ACTIONS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_auditor_finds_nothing() -> None:
    """zizmor, auditor persona, offline, over the actions and our workflows: no finding."""
    done = subprocess.run(
        [
            *(BIN / "zizmor", "--offline", "--persona=auditor", "--collect=all"),
            *("--strict-collection", "--no-progress", "--config", ROOT / "zizmor.yml"),
            *(ROOT / "actions", ROOT / ".github"),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings to report" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_script_of_each_action_passes_shellcheck(verb: str, tmp_path: Path) -> None:
    """Nothing unquoted, nothing unset."""
    script = tmp_path / "run.sh"
    script.write_text("#!/usr/bin/env bash\nset -eo pipefail\n" + read_step(verb)["run"])
    done = subprocess.run([BIN / "shellcheck", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
