"""A project as small as one can be that still has a workflow, a policy and a metric."""

from __future__ import annotations

import os
from pathlib import Path

from git_project import commit_files, git

ROOT = Path(__file__).parents[1]
REF = "0123456789abcdef0123456789abcdef01234567"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
PYTHON = "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97"
UPLOAD = "actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a"
DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"

WORKFLOW = f"""\
name: Pull request
on: pull_request
permissions: {{}}
jobs:
  compute:
    if: ${{{{ github.event.action != 'edited' || github.event.changes.base }}}}
    runs-on: ubuntu-latest
    steps:
      - uses: {CHECKOUT}
        with: {{fetch-depth: 0, persist-credentials: false}}
      - uses: {PYTHON}
      - id: train
        run: python train.py
      - id: compare
        uses: acme/kit/actions/compare@{REF}
      - id: upload
        uses: {UPLOAD}
        with: {{name: mlgitops-report, path: report.json, if-no-files-found: error}}
  report:
    needs: compute
    if: >-
      ${{{{ (github.event.action != 'edited' || github.event.changes.base) && !cancelled() }}}}
    runs-on: ubuntu-latest
    steps:
      - uses: {CHECKOUT}
        with:
          ref: ${{{{ github.event.pull_request.base.sha }}}}
          persist-credentials: false
      - uses: {PYTHON}
      - id: download
        continue-on-error: true
        uses: {DOWNLOAD}
        with: {{name: mlgitops-report}}
      - id: report
        uses: acme/kit/actions/report@{REF}
        with:
          compute-result: ${{{{ needs.compute.result }}}}
          publish-required: false
"""
FILES = {
    ".github/workflows/pull-request.yml": WORKFLOW,
    ".gitignore": ".mlgitops/\nreport.json\n",
    "dvc.yaml": (
        "stages:\n  train:\n    cmd: python train.py\n    params: [trees]\n"
        "    metrics:\n      - metrics.json: {cache: false}\n"
    ),
    "params.yaml": "trees: 10\n",
    "policy.yaml": (
        "version: 1\nmetrics:\n  score: {greater_is_better: true, max_worsening: 0.005}\n"
    ),
    "train.py": (
        "import json\n"
        "trees = int(open('params.yaml').read().split(':')[1])\n"
        "json.dump({'score': trees / 100}, open('metrics.json', 'w'))\n"
    ),
    "metrics.json": '{"score": 0.1}',
}


def make_project(folder: Path, changes: dict[str, str] | None = None) -> Path:
    """Make the project on branch main, with ``changes`` (path to text) over its files."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit_files(folder, {**FILES, **(changes or {})}, "Start")
    return folder


def branch(folder: Path, name: str, changes: dict[str, str], message: str = "Change") -> str:
    """Make a branch off main with one commit."""
    git(folder, "switch", "--quiet", "--create", name, "main")
    return commit_files(folder, changes, message)


def shared_store() -> Path:
    """Return a folder of environments that outlives a test, beside those of the suite."""
    named = os.environ.get("MLGITOPS_TEST_ENVIRONMENTS")
    return Path(named) if named else ROOT / ".venv" / "environments"
