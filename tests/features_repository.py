"""The example of a repository of features, made real: its table is made, stored and tagged."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from git_project import GitRepository
from real_dvc import add_data, push_data

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/features"
FLIGHTS = ROOT / "{{cookiecutter.project_slug}}/data/bundled/flights/data.csv"
TABLE, CONTRACT = "features/flights.csv", "contract.yaml"


class FeaturesRepository(GitRepository):
    """A repository with `examples/features`, whose stages run in the environment ``programs``."""

    def __init__(self, root: Path, programs: Path) -> None:
        shutil.copytree(EXAMPLE, root)
        super().__init__(root)
        self.programs = programs
        store = root.parent / "features-store"
        self.put(".dvc/config", f"[core]\n    remote = s\n['remote \"s\"']\n    url = {store}\n")
        self.put(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        self.put(".gitignore", "/features/\n/source/flights.csv\n")

    def run(self, *words: str) -> str:
        """Run `dvc` as its owner does; its output where it fails."""
        paths = [self.programs / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dvc")), *words],
            cwd=self.root,
            env={**os.environ, "PATH": os.pathsep.join(map(str, paths))},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def put_source(self, rows: Sequence[dict[str, str]]) -> None:
        """Write the source's table."""
        file = self.root / "source/flights.csv"
        file.parent.mkdir(exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        add_data(self.root, "source/flights.csv")

    def publish(self, version: str) -> str:
        """Make the features, store and tag them; return the commit."""
        self.run("repro", "--quiet")
        push_data(self.root)
        sha = self.commit(f"Features {version}")
        self.git("tag", version)
        return sha


def read_flights(every: int) -> list[dict[str, str]]:
    """Return each ``every``-th row of the bundled flights, which are in the order of time."""
    with FLIGHTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[::every]
