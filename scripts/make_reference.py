"""Write the reference pages that are made from the code: `make docs`.

The commands' own --help, the policy's schema (as a page, and as JSON Schema for editors), and the
schema of a verdict's statement.
A test renders them again and compares, so they cannot fall behind the program.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mlgitops.cli import VERBS, build_parser
from mlgitops.judgement.policy_reference import encode_policy_schema, render_policy_page
from mlgitops.model.statement import encode_statement_schema

FOLDER = Path(__file__).parents[1] / "docs/reference"
HEAD = """# Commands

Made from the program's own `--help` by `make docs`. Exit codes everywhere: **0** passed,
**1** the verdict is fail, **2** could not decide (bad input, missing data, network).
"""


def render_help(verb: str) -> str:
    """Return what `mlgitops VERB --help` prints, at 88 columns and without colours.

    Without the usage lines: Python's versions fold them differently.
    """
    parser = build_parser(verb)
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way in
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            command = action.choices[verb]
            command.usage = argparse.SUPPRESS
            return str(command.format_help()).lstrip("\n")
    raise LookupError(verb)


def render_page() -> str:
    """Return the whole page."""
    os.environ["COLUMNS"] = "88"
    os.environ["NO_COLOR"] = "1"
    parts = [HEAD]
    parts += [f"\n## {verb}\n\n```text\n{render_help(verb)}```\n" for verb in VERBS]
    return "".join(parts)


def render_all() -> dict[Path, str]:
    """Return every page with its place."""
    return {
        FOLDER / "commands.md": render_page(),
        FOLDER / "policy.md": render_policy_page(),
        FOLDER / "policy.schema.json": encode_policy_schema().decode(),
        FOLDER / "verdict/v1.schema.json": encode_statement_schema().decode(),
    }


def main() -> int:
    """Write the pages, or with --check say whether they are current."""
    pages = render_all()
    if "--check" in sys.argv:
        return int(
            any(
                not page.exists() or page.read_text(encoding="utf-8") != text
                for page, text in pages.items()
            )
        )
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
