"""A small project of two stages, made by hand: real git, real DVC, no template."""

from __future__ import annotations

import hashlib
import io
import shutil
from typing import TYPE_CHECKING

from git_project import commit, commit_files, git, write_files

from mlgitops.console import Console
from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[core]
    analytics = false
    remote = storage
['remote "storage"']
    url = {url}
    verify = true
"""

PIPELINE = """\
stages:
  double:
    cmd: python3 -m demo.double
    deps: [data/raw/table.csv, src/demo/double.py]
    params: [factor]
    outs: [data/double.csv]
  total:
    cmd: python3 -m demo.total
    deps: [data/double.csv, src/demo/total.py]
    outs: [parts]
    metrics:
      - reports/metrics.json: {cache: false}
"""

DOUBLE = """\
from pathlib import Path

factor = int(Path("params.yaml").read_text().split(":")[1])
rows = [int(row) for row in Path("data/raw/table.csv").read_text().split()]
if factor == 0:
    raise SystemExit("a factor of 0 loses every row")
Path("data/double.csv").write_text("".join(f"{factor * row}\\n" for row in rows))
"""

TOTAL = """\
import json
from pathlib import Path

rows = [int(row) for row in Path("data/double.csv").read_text().split()]
Path("parts").mkdir(exist_ok=True)
Path("reports").mkdir(exist_ok=True)
for row in rows:
    Path(f"parts/{row}.txt").write_text(str(row))
Path("reports/metrics.json").write_text(json.dumps({"total": sum(rows)}))
"""

IGNORED = "/.dvc-storage/\n/.mlgitops/\n/.venv*\n__pycache__/\n/data/raw/table.csv\n"


def quiet() -> Console:
    """Return a console whose output stays in memory."""
    return Console(out=io.StringIO(), err=io.StringIO())


def shown(console: Console) -> str:
    """Return everything that a console of :func:`quiet` was told."""
    streams = (console.out, console.err)
    return "".join(stream.getvalue() for stream in streams if isinstance(stream, io.StringIO))


def write_config(url: str, **settings: str) -> str:
    """Return a configuration of DVC with one remote."""
    lines = (f"    {key} = {value}\n" for key, value in settings.items())
    return CONFIG.format(url=url) + "".join(lines)


def make_project(
    folder: Path, *, url: str = "../.dvc-storage", rows: str = "1\n2\n3\n", **settings: str
) -> Path:
    """Write the project, with its raw table beside the pointer, and commit it.

    ``settings`` are further ones of the remote.
    """
    digest = hashlib.md5(rows.encode(), usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- md5: {digest}\n  size: {len(rows)}\n  hash: md5\n  path: table.csv\n"
    files = {
        ".dvc/config": write_config(url, **settings),
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".dvcignore": "/.dvc-storage\n",
        ".gitignore": IGNORED,
        "dvc.yaml": PIPELINE,
        "params.yaml": "factor: 2\n",
        "src/demo/__init__.py": "",
        "src/demo/double.py": DOUBLE,
        "src/demo/total.py": TOTAL,
        "data/raw/table.csv": rows,
        "data/raw/table.csv.dvc": pointer,
    }
    write_files(folder, files)
    git(folder, "init", "--quiet")
    commit(folder, "Start")
    return folder


def make_trained(folder: Path, **settings: str) -> Path:
    """Make the project as :func:`make_project` does, train it, and commit that."""
    project = make_project(folder, **settings)
    prepare_storage(project, quiet())
    run_pipeline(project, quiet())
    commit(project, "Train")
    return project


def copy_trained(trained: Path, folder: Path, **settings: str) -> Path:
    """Copy a trained project with its cache; the copy has a storage of its own.

    ``settings`` of its remote, its url among them, replace those of the project.
    """
    shutil.copytree(trained, folder, symlinks=True)
    if settings:  # nothing of the storage in the repository is left
        (folder / ".dvc/config.local").unlink()
        shutil.rmtree(folder / ".dvc-storage")
        shutil.rmtree(folder / ".git/worktrees")
        git(folder, "branch", "--quiet", "--delete", "--force", "dvc-storage")
        commit_files(folder, {".dvc/config": write_config(**settings)}, "Store elsewhere")
    prepare_storage(folder, quiet())
    return folder


def make_origin(project: Path, folder: Path) -> Path:
    """Make a bare repository, the origin of ``project``, and push main to it."""
    git(project, "init", "--quiet", "--bare", str(folder))
    git(project, "remote", "add", "origin", str(folder))
    git(project, "push", "--quiet", "origin", "main")
    return folder


def clone(origin: Path, folder: Path) -> Path:
    """Clone ``origin`` into ``folder``."""
    git(origin, "clone", "--quiet", "--branch", "main", str(origin), str(folder))
    return folder
