"""Print what the seeded tests prove about posting, each figure beside its requirement.

Runs the tests named below, and counts the cases that ran and passed: nothing here is typed
in but the requirements. Where `make test` has passed on the very same files, what it recorded is
counted and nothing runs twice. Exit code 0 when every one is met.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]


class Figure(NamedTuple):
    """One line of the result: which tests, how many cases they must hold."""

    name: str
    required: int
    tests: tuple[str, ...]  # a file, or a file and the start of a test's name


FIGURES = (
    Figure(
        "properties: no text of a pull request leaves its place",
        6,
        (
            "tests/unit/github/test_decision.py::test_no_text_of_a_report",
            "tests/unit/github/test_decision.py::test_any_bytes",
            "tests/unit/github/test_outputs.py",
            "tests/unit/render/test_render.py::test_no_name_changes",
            "tests/unit/render/test_waiver_text.py::test_no_",
        ),
    ),
    Figure("identity: whose pull request a run is", 40, ("tests/unit/github/test_fork.py",)),
    Figure(
        "faults: stories that end with one current comment",
        200,
        ("tests/integration/test_posting_faults.py",),
    ),
    Figure(
        "waivers: who, what and when counts, by table, over HTTP, into git",
        100,
        (
            "tests/unit/github/test_waiver.py",
            "tests/integration/test_waiver.py",
            "tests/integration/test_waived_publish.py",
        ),
    ),
    Figure("contract with GitHub's OpenAPI description", 10, ("tests/contract/test_openapi.py",)),
    Figure(
        "publishing: handovers refused, races, cuts",
        10,
        ("tests/integration/test_handover.py",),
    ),
    Figure(
        "publishing to S3, SSH, Google, Azure: cuts, losses, damage",
        20,
        ("tests/integration/test_handover_remote.py",),
    ),
    Figure(
        ".dvc/config: settings of DVC refused, forms, moves",
        100,
        ("tests/unit/dvc/test_configuration.py",),
    ),
    Figure(
        "who measured: lies to the jobs that measure and judge, some run by act",
        40,
        (
            "tests/trust/lies/test_measured.py",
            "tests/trust/lies/test_measured_handover.py",
            "tests/trust/lies/test_evaluate_job.py",
            "tests/actions/test_measured_rehearsal.py",
        ),
    ),
    Figure(
        "zizmor (auditor): files of ours, every rendered combination",
        3,
        (
            "tests/template/test_workflows.py::test_zizmor",
            "tests/actions/test_definitions.py::test_the_auditor",
        ),
    ),
    Figure(
        "request logs and labels that somebody else wrote",
        80,
        ("tests/trust/test_hostile_logs.py",),
    ),
    Figure(
        "actionlint: our workflows, every rendered combination",
        3,
        ("tests/template/test_workflows.py::test_actionlint",),
    ),
)
#: Input that a parser must refuse, by each way in which it reaches us.
HOSTILE = "tests/trust/test_hostile.py"
REQUIRED_HOSTILE = 300
#: Input that is valid in form and false in content; counted apart from what parsers refuse.
LIES = "tests/trust/lies"
REQUIRED_LIES = 60


class Case(NamedTuple):
    """One test as it ended."""

    test: str  # file::name[id]
    passed: bool
    failed: bool  # neither, where it was left out
    properties: dict[str, str]

    @property
    def weight(self) -> int:
        """Return how many cases it stands for: one, unless it told."""
        return int(self.properties.get("cases", "1"))


def main(words: list[str]) -> int:
    """Count and print; with `--tree`, print what `make test` calls its record by instead."""
    tree = name_tree(ROOT)
    if words == ["--tree"]:
        print(tree or "unknown")
        return 0
    cases = read_record(ROOT, tree)
    if cases is None:
        cases, code = run_tests()
    else:
        print("counted from `make test`, which passed on these files")
        code = 0
    if not cases:
        return code or 1
    met = [show_payloads("hostile inputs refused", HOSTILE, cases, required=REQUIRED_HOSTILE)]
    met.append(show_payloads("well-formed lies refused", LIES, cases, required=REQUIRED_LIES))
    met += [show(figure, cases) for figure in FIGURES]
    show_cost(cases)
    return 0 if all(met) and code == 0 else 1


def name_tree(root: Path) -> str | None:
    """Return git's name of the files in ``root`` as they are, committed or not; None without git.

    Two trees of one name have the same files, to the byte; ignored ones are not in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index"}
        for words in (["add", "--all"], ["write-tree"]):
            done = subprocess.run(
                ["git", *words],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                return None
    return done.stdout.strip()


def read_record(root: Path, tree: str | None) -> list[Case] | None:
    """Return what `make test` recorded of ``tree``; None where it has not passed on it.

    It names its record by the tree that it began with, once every test has passed.
    """
    record = root / "build" / f"tested-{tree}.xml"
    if tree is None or not record.is_file():
        return None
    cases = read_cases(record)
    return None if any(case.failed for case in cases) else cases


def run_tests() -> tuple[list[Case], int]:
    """Run the tests of the figures; return each as it ended, and the exit code of all."""
    named = {test.partition("::")[0] for figure in FIGURES for test in figure.tests}
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.xml"
        command = [
            *(sys.executable, "-m", "pytest", "--numprocesses=2", "--quiet", "--no-header"),
            *(f"--junit-xml={record}", *sorted(named | {HOSTILE, LIES})),
        ]
        done = subprocess.run(command, cwd=ROOT, check=False)
        return read_cases(record) if record.exists() else [], done.returncode


def read_cases(record: Path) -> list[Case]:
    """Read pytest's own record of what ran."""
    cases = []
    for testcase in ET.parse(record).getroot().iter("testcase"):  # noqa: S314 - our own file
        properties = {
            str(node.get("name")): str(node.get("value")) for node in testcase.iter("property")
        }
        failed, left_out = (
            any(testcase.find(kind) is not None for kind in kinds)
            for kinds in (("failure", "error"), ("skipped",))
        )
        cases.append(
            Case(
                test=f"{testcase.get('file')}::{testcase.get('name')}",
                passed=not failed and not left_out,
                failed=failed,
                properties=properties,
            )
        )
    return cases


def show(figure: Figure, cases: list[Case]) -> bool:
    """Print one figure; say whether it holds."""
    belonging = [case for case in cases if case.test.startswith(figure.tests)]
    count = sum(case.weight for case in belonging if case.passed)
    failed = sum(case.weight for case in belonging if not case.passed)
    met = count >= figure.required and not failed
    mark = "ok  " if met else "FAIL"
    print(f"{mark} {figure.name}: {count} (at least {figure.required}), {failed} failed")
    return met


def show_payloads(name: str, tests: str, cases: list[Case], *, required: int) -> bool:
    """Print how many inputs were refused: each once, however many ways it was sent."""
    ran = [case for case in cases if case.test.startswith(tests)]
    sent = [case for case in ran if case.passed and "payload" in case.properties]
    payloads = {case.properties["payload"] for case in sent}
    reasons = {case.properties["reason"] for case in sent}
    failed = sum(not case.passed for case in ran)
    met = len(payloads) >= required and not failed
    print(
        f"{'ok  ' if met else 'FAIL'} {name}: {len(payloads)} distinct payloads (at least "
        f"{required}), {len(reasons)} distinct reasons, {len(sent)} cases, {failed} failed"
    )
    return met


def show_cost(cases: list[Case]) -> None:
    """Print the most processor time and memory of any hostile input; nothing depends on them."""
    for name, unit in (("seconds", "s of processor time"), ("megabytes", "MB")):
        values = [float(case.properties[name]) for case in cases if name in case.properties]
        if values:
            print(f"     worst hostile input: {max(values):g} {unit}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
