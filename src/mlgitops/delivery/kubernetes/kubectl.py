"""Ask a cluster through kubectl: whatever credentials and context that has are ours.

Nothing here imports a client of the API: kubectl is on the machine of whoever may deploy, and it
knows every way to sign in.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import decode_text
from mlgitops.process import run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

Object = dict[str, Any]

#: Who owns the fields that we apply; another manager's fields stay as they are.
MANAGER = "mlgitops"
_SECONDS = 120.0  # for one request, with its retries
_LIMIT = 16 * 2**20  # bytes of one answer
_HINT = "kubectl (1.30 or newer) must be on PATH, and `kubectl auth whoami` must name you"
_MISSING = "(NotFound)"
_UNSET = "current-context is not set"


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """The cluster of kubectl's current context."""

    program: str = "kubectl"
    context: str = ""  # empty: the one that is current at each request

    def pin(self) -> Kubectl:
        """Return a kubectl that stays with what is current now, whatever is switched to later."""
        try:
            context = self._run("config", "current-context").strip()
        except MlgitopsError as error:
            if _UNSET in error.what:  # a job within a cluster asks that cluster
                return self
            raise
        return replace(self, context=context)

    def build(self, folder: Path) -> list[Object]:
        """Return the objects that kustomize makes of a folder; asks no cluster."""
        import yaml

        text = self._run("kustomize", str(folder))
        try:
            objects = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        except yaml.YAMLError as error:
            raise MlgitopsError(f"kustomize made no YAML: {error}", where=folder.name) from error
        return [content for content in objects if isinstance(content, dict)]

    def apply(self, objects: Sequence[Object]) -> None:
        """Make the objects what they should be: created, or changed where they differ."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
            file = Path(name) / "objects.json"
            file.write_text(json.dumps(document), encoding="utf-8")
            options = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}")
            self._run("apply", *options, "--validate=ignore", "--filename", str(file))

    def read(self, path: str) -> bytes | None:
        """Return what the API has at ``path``, None where there is no such object."""
        try:
            text = self._run("get", "--raw", path)
        except MlgitopsError as error:
            if _MISSING in error.what:
                return None
            raise
        return decode_text(text.encode(), f"the cluster's {path}", limit=_LIMIT).encode()

    def annotate(self, namespace: str, name: str, notes: dict[str, str | None]) -> None:
        """Write notes on a Deployment; None removes one."""
        words = [f"{key}-" if text is None else f"{key}={text}" for key, text in notes.items()]
        options = ("--overwrite", f"--namespace={namespace}", f"--field-manager={MANAGER}-notes")
        self._run("annotate", "deployment", name, *options, *words)

    def _run(self, *words: str) -> str:
        context = [f"--context={self.context}"] if self.context else []
        return run_program([self.program, *context, *words], timeout=_SECONDS, hint=_HINT)
