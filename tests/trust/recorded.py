"""A pull request in real git: base, head, the commit with the run's results, and its report.

`mlgitops report` is called as the job calls it, with the base checked out; it posts nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from git_project import commit_files, git

from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REPOSITORY = "octo/model"
BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"
#: Only runs reach these; `reports` is a folder that a run fills.
DEFINITION = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [trees]
    outs:
      - reports: {cache: false}
      - model.bin
    metrics:
      - metrics.json: {cache: false}
"""
POLICY = """\
version: 1
files: {test_data: data/test.csv, predictions: predictions.csv, model: model.bin}
metrics:
  score: {greater_is_better: true, max_worsening: 0.01}
budgets:
  cost.model_size_mb: {max_value: 50}
"""
#: The project stands beside another one, whose results a branch may hold too.
PREFIX = "models/a/"
TEST_DATA = "id,target\n1,0\n"
FILES = {
    f"{PREFIX}dvc.yaml": DEFINITION,
    f"{PREFIX}policy.yaml": POLICY,
    f"{PREFIX}params.yaml": "trees: 10\n",
    f"{PREFIX}train.py": "print('trees')\n",
    f"{PREFIX}data/test.csv": TEST_DATA,
    f"{PREFIX}predictions.csv": "id,target,prediction\n1,0,0\n",
    "README.md": "Two models\n",
    ".github/workflows/pull-request.yml": "on: pull_request\n",
    "models/b/dvc.yaml": (
        "stages:\n  train:\n    cmd: x\n    metrics:\n      - metrics.json: {cache: false}\n"
    ),
    "models/b/metrics.json": '{"other": 0.5}\n',
}


def write_results(
    trees: int, score: float, size: int = 2_000_000, *, page_name: str = "page.md"
) -> dict[str, str]:
    """Return what a run writes for git: the metrics, a page, and the lock that fits them."""
    metrics = json.dumps({"score": score, "loss": 0.5}) + "\n"
    page = "fine\n"
    listing = json.dumps([{"md5": _md5(page), "relpath": page_name}])
    lock = f"""\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - {{path: train.py, hash: md5, md5: "{_md5(FILES[PREFIX + "train.py"])}", size: 15}}
    params:
      params.yaml:
        trees: {trees}
    outs:
    - {{path: metrics.json, hash: md5, md5: "{_md5(metrics)}", size: {len(metrics)}}}
    - {{path: model.bin, hash: md5, md5: "{"0" * 32}", size: {size}}}
    - {{path: reports, hash: md5, md5: "{_md5(listing)}.dir", size: {len(page)}, nfiles: 1}}
"""
    written = {"metrics.json": metrics, f"reports/{page_name}": page, "dvc.lock": lock}
    return {PREFIX + name: text for name, text in written.items()}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Recorded:
    """The repository, its three commits, and the honest report of them."""

    def __init__(self, root: Path, *, policy: str = POLICY) -> None:
        self.root = root
        root.mkdir(parents=True)
        git(root, "init", "--quiet", "--initial-branch=main")
        files = {**FILES, f"{PREFIX}policy.yaml": policy, **write_results(10, 0.5, 1_000_000)}
        self.base = commit_files(root, files, "Start")
        git(root, "switch", "--quiet", "--create", "change")
        self.head = commit_files(root, {f"{PREFIX}params.yaml": "trees: 60\n"}, "More trees")
        self.results = self.record(write_results(60, 0.625))

    def record(self, changes: dict[str, str], *, onto: str | None = None) -> str:
        """Commit ``changes`` on top of the head as a run's results are committed."""
        git(self.root, "switch", "--quiet", "--detach", onto or self.head)
        commit_files(self.root, changes, f"Record what was trained at {self.head[:12]}")
        git(self.root, "commit", "--quiet", "--amend", "--no-edit", f"--author={BOT}")
        return git(self.root, "rev-parse", "HEAD")

    def write_report(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the honest report; ``changes`` replace its fields."""
        test = f"git:{git(self.root, 'rev-parse', f'{self.base}:{PREFIX}data/test.csv')}"
        score = {"name": "score", "path": "metrics.json", "base": 0.5, "head": 0.625}
        loss = {"name": "loss", "path": "metrics.json", "base": 0.5, "head": 0.5, "delta": 0.0}
        size = {"name": "cost.model_size_mb", "path": "reports/cost.json", "base": 1.0, "head": 2.0}
        return {
            "schema": 1,
            "key": "model",
            "base": {"sha": self.base, "test_data": test},
            "head": {"sha": self.head, "test_data": test},
            "test_data": "same",
            "metrics": [{**score, "delta": 0.125}, loss],
            "cost": [{**size, "delta": 1.0}],
            **changes,
        }

    def judge(
        self,
        report: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *options: str,
        published: str = "",
    ) -> tuple[int, str]:
        """Run `mlgitops report --dry-run` on the checked-out base; exit code and comment."""
        git(self.root, "switch", "--quiet", "--detach", self.base)
        scratch = self.root.parent
        sides = {"base": report["base"]["sha"], "head": report["head"]["sha"]}
        pull = {
            name: {"sha": sha, "ref": name, "repo": {"full_name": REPOSITORY}}
            for name, sha in sides.items()
        }
        (scratch / "event.json").write_text(json.dumps({"pull_request": {"number": 1, **pull}}))
        (scratch / "report.json").write_text(json.dumps(report))
        for name, value in {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_API_URL": "https://github.example/api/v3",
            "GITHUB_RUN_ID": "77",
            "GITHUB_RUN_NUMBER": "1",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(scratch / "event.json"),
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("GITHUB_TOKEN", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
            monkeypatch.delenv(name, raising=False)
        words = ["report", "--dry-run", "--directory", str(self.root / PREFIX)]
        words += ["--report", str(scratch / "report.json"), "--compute-result", "success", *options]
        words += ["--publish-result", "success"] if published else ["--publish-required", "false"]
        words += ["--results-commit", published] if published else []
        code = run(words)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    def move_test_data(self, pointer: str) -> None:
        """Let DVC keep the test data at head, as ``pointer`` says, and record the run anew."""
        git(self.root, "switch", "--quiet", "--detach", self.base)
        git(self.root, "rm", "--quiet", f"{PREFIX}data/test.csv")
        changes = {"params.yaml": "trees: 60\n", "data/test.csv.dvc": pointer}
        placed = {PREFIX + name: text for name, text in changes.items()}
        self.head = commit_files(self.root, placed, "Move")
        self.results = self.record(write_results(60, 0.625))
