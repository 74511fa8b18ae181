"""A project with releases, a storage and an origin, without training or DVC: real git alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from git_project import GitRepository, find_tip, git
from released_project import MODEL_NAME, follow, make_lineage, put_model, tag_release

from mlgitops.dvc.stored import locate

if TYPE_CHECKING:
    from pathlib import Path

MODEL_YAML = f"""\
# The desired state of the production environment.
model: {MODEL_NAME}
revision: null # full sha of the commit on main
sha256: null # of the model's file
port: 8080
"""
PATH = "deploy/production/model.yaml"


class PromotedProject:
    """A clone with an origin; v1.0.0 and v1.1.0 are released, and production follows main."""

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin.git"
        self.storage = folder / "storage"
        self.repository = GitRepository(folder / "project")
        self.root = self.repository.root
        self.repository.put(
            ".dvc/config", f"[core]\nremote = s\n['remote \"s\"']\nurl = {self.storage}\n"
        )
        self.repository.put(".gitignore", ".dvc/config.local\n")
        self.repository.put(PATH, MODEL_YAML)
        git(folder, "init", "--quiet", "--bare", str(self.origin))
        self.repository.git("remote", "add", "origin", str(self.origin))
        self.release(b"first", "v1.0.0")
        self.release(b"second", "v1.1.0")
        self.push()

    def release(self, content: bytes, version: str, *, publish: bool = True) -> str:
        """Commit a model of these bytes, publish it and tag it; return the commit."""
        sha = put_model(self.repository, content)
        if publish:
            self.publish(content)
        lineage = make_lineage(sha, content, version=version)
        tag_release(self.repository, lineage if version == "v1.0.0" else follow(lineage, "v1.0.0"))
        return sha

    def publish(self, content: bytes) -> None:
        """Put the object of a model into the storage."""
        file = self.storage / locate(hashlib.md5(content, usedforsecurity=False).hexdigest())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def push(self) -> None:
        """Push main and its tags."""
        self.repository.git("push", "--quiet", "--tags", "origin", "main")
        self.repository.git("remote", "set-head", "origin", "main")

    def merge(self, branch: str) -> str:
        """Merge a branch of origin, as its pull request would; return main's new tip."""
        run = self.repository.git
        run("fetch", "--quiet", "origin")
        run("merge", "--quiet", "--ff-only", "origin/main")
        run("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", f"origin/{branch}")
        run("push", "--quiet", "origin", "main")
        return run("rev-parse", "HEAD")

    def read(self, revision: str) -> str:
        """Read production's file as origin has it."""
        return git(self.origin, "show", f"{revision}:{PATH}") + "\n"

    def find_tip(self, branch: str) -> str | None:
        """Return where a branch of origin stands."""
        return find_tip(self.origin, branch)
