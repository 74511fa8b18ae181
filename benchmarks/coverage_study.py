"""How often intervals and words hold what they promise: `make coverage-study`.

Runs the designs below `benchmarks/coverage/` and writes the page that the documentation shows.
A part that is not run keeps what the page has of it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.coverage.design import find_designs

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "coverage.md"
_HEAD = """# Coverage of the intervals

Written by `make coverage-study`; do not edit. Each part is a module of `benchmarks/coverage/`,
and can be written alone: `python -m benchmarks.coverage_study --only intervals`.
"""


def run_designs(names: Sequence[str], share: float, workers: int) -> dict[str, str]:
    """Run the designs called ``names``; return the section of each. Seeds are fixed."""
    designs = find_designs()
    tasks = [(name, task) for name in names for task in designs[name].list_tasks(share)]
    results: list[Any] = []
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for done in pool.imap(_run_task, tasks):
            results.append(done)
            print(f"\r  {len(results)}/{len(tasks)} tasks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    sections = {}
    for name in names:
        own = [at for at, (owner, _) in enumerate(tasks) if owner == name]
        rendered = designs[name].render([tasks[at][1] for at in own], [results[at] for at in own])
        sections[name] = rendered.strip()
    return sections


def _run_task(task: tuple[str, Any]) -> object:
    name, own = task
    return find_designs()[name].run_task(own)


def split_page(page: str) -> dict[str, str]:
    """Return the sections of a written page by the names of their designs."""
    parts = re.split(r"^<!-- part: (\w+) -->\n", page, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def join_page(sections: dict[str, str]) -> str:
    """Return the page of these sections, in the order of the designs."""
    parts = [f"<!-- part: {name} -->\n{sections[name]}\n" for name in find_designs()
             if name in sections]  # fmt: skip
    return "\n".join([_HEAD, *parts])


def main(arguments: list[str] | None = None) -> int:
    """Run the study, print what was run and write the page."""
    names = list(find_designs())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="part of the full number of runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    fresh = run_designs(options.only, options.share, options.workers)
    print("\n\n".join(fresh.values()))
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.output:
        kept = split_page(options.output.read_text()) if options.output.exists() else {}
        options.output.write_text(join_page({**kept, **fresh}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
