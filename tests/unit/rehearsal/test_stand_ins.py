"""The stand-in for artifacts: names are taken once, numbers stay those of their upload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlgitops.rehearsal

PROGRAM = Path(mlgitops.rehearsal.__file__).parent / "stand_ins" / "stand_in.py"


class Job:
    """A job of a run: its folder, and what its steps say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "artifacts").mkdir()

    def act(self, verb: str, **inputs: str) -> tuple[int, str, str]:
        """Run a stand-in; its exit code, what it printed, and its outputs."""
        output = self.folder / "output.txt"
        output.write_text("")
        environ = {
            "PATH": os.environ["PATH"],
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_OUTPUT": str(output),
            "MLGITOPS_REHEARSAL_ARTIFACTS": str(self.folder / "artifacts"),
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        }
        command = [sys.executable, "-I", str(PROGRAM), f"{verb}-artifact"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
        return done.returncode, done.stdout, output.read_text().strip()

    def upload(self, text: str, *, name: str = "measured", overwrite: str = "false") -> str:
        """Upload a file under a name; return the output."""
        (self.folder / "report.json").write_text(text)
        given = {"name": name, "path": "report.json", "missing": "error"}
        code, printed, output = self.act("upload", **given, overwrite=overwrite)
        return output if code == 0 else printed


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Make an empty run."""
    return Job(tmp_path)


def test_a_name_is_taken_once_and_written_over_on_request(job: Job) -> None:
    """As upload-artifact does since its version 4."""
    assert job.upload("forged") == "artifact-id=1"
    assert "an artifact named measured exists already" in job.upload("true")
    assert job.upload("true", overwrite="true") == "artifact-id=2"


def test_a_number_names_one_upload_for_good(job: Job) -> None:
    """What was written over is gone: its number leads nowhere, least of all to its successor."""
    job.upload("forged")
    job.upload("true", overwrite="true")
    assert job.act("download", ids="2", path="taken")[0] == 0
    assert (job.folder / "taken" / "report.json").read_text() == "true"
    for number in ("1", "3", "0", "measured", "02"):
        code, printed, _ = job.act("download", ids=number, path="other")
        assert code == 1
        assert f"this run has no artifact with the number {number}" in printed
    assert not (job.folder / "other").exists()
    assert job.act("download", name="measured", path="named")[0] == 0


def test_without_any_upload_no_number_leads_anywhere(job: Job) -> None:
    """The word that stands for no number, too."""
    assert job.act("download", ids="0", path="taken")[0] == 1


def test_a_pattern_names_all_whose_name_it_fits(job: Job) -> None:
    """Each in a folder of its name, or all in one; that it fits none is no error, as there."""
    for number in ("1", "2"):
        job.upload(number, name=f"part-{number}")
    job.upload("other")
    assert job.act("download", pattern="part-*", path="taken")[0] == 0
    taken = {path.parent.name: path.read_text() for path in (job.folder / "taken").rglob("*.json")}
    assert taken == {"part-1": "1", "part-2": "2"}
    assert job.act("download", pattern="part-1", merge="true", path="merged")[0] == 0
    assert (job.folder / "merged" / "report.json").read_text() == "1"
    code, printed, _ = job.act("download", pattern="none-*", path="empty")
    assert (code, printed.strip()) == (0, "0 artifacts")
