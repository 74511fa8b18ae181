"""Write docs/reference/commands.md from the commands' own --help: `make docs`.

A test renders it again and compares, so the page cannot fall behind the program.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mlgitops.cli import VERBS, build_parser

PAGE = Path(__file__).parents[1] / "docs/reference/commands.md"
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


def main() -> int:
    """Write the page, or with --check say whether it is current."""
    page = render_page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
