"""A statement of a verdict: a judged pull request in git, the model, and what is asked of both."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from trust.recorded import Recorded, write_results

from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


MODEL = b"sixty trees\n"
MD5 = hashlib.md5(MODEL, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(MODEL).hexdigest()
MEASURED = {
    "paths": ["metrics.json"],
    "model": f"md5:{MD5}",
    "sha256": SHA256,
    "rows": 1,
    "seconds": 1.0,
}
RESULTS = {path: text.replace("0" * 32, MD5) for path, text in write_results(60, 0.625).items()}


class Evidence:
    """A judged pull request in git, the model's file, and the statement of its verdict."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.results = recorded.record(RESULTS)
        self.folder = recorded.root.parent
        self.model = self.folder / "model.bin"
        self.model.write_bytes(MODEL)

    def state(
        self,
        report: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        *options: str,
        published: str = "",
    ) -> tuple[int, str, Path]:
        """Judge ``report`` with `--statement`; return exit code, text and the file's path."""
        path = self.folder / "evidence/statement.json"
        shutil.rmtree(path.parent, ignore_errors=True)
        words = ("--statement", str(path), "--evaluate-result", "success", *options)
        code, text = self.recorded.judge(report, monkeypatch, capsys, *words, published=published)
        return code, text, path

    def write_report(
        self, measurement: dict[str, Any], head: float = 0.625, *, claimed: float = 0.625
    ) -> dict[str, Any]:
        """Return the report of the job `evaluate`: base's code measured `score` as ``head``.

        ``claimed`` is what the run committed.
        """
        sizes = (("base", "0" * 32, 1_000_000), ("head", MD5, 2_000_000))
        model = {name: {"hash": f"md5:{md5}", "size": size} for name, md5, size in sizes}
        data = [{"path": "model.bin", **model}]
        report = self.recorded.write_report(measurement=measurement, data=data)
        is_measured = bool(measurement.get("paths"))
        for metric, value in zip(report["metrics"], (claimed, 0.5), strict=True):
            metric["head_claimed"] = value if is_measured else None
        report["metrics"][0].update(head=head, delta=head - 0.5)
        return report

    def verify(
        self,
        statement: bytes,
        capsys: pytest.CaptureFixture[str],
        *options: str,
        model: Path | None = None,
        repository: Path | None = None,
    ) -> tuple[int, str]:
        """Run `mlgitops verify`; return its exit code and what it said."""
        path = self.folder / "stated.json"
        path.write_bytes(statement)
        words = ["verify", str(path), "--repository", str(repository or self.recorded.root)]
        code = run([*words, "--model", str(model or self.model), *options])
        captured = capsys.readouterr()
        return code, captured.out + captured.err


class Silent:
    """Stands where a session's fixture cannot ask for `capsys`."""

    def readouterr(self) -> Any:  # noqa: ANN401 - only two attributes are looked at
        """Return empty texts."""
        return type("Captured", (), {"out": "", "err": ""})


def encode(document: dict[str, Any]) -> bytes:
    """Encode a statement as a file."""
    return json.dumps(document).encode()
