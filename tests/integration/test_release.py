"""`mlgitops release`: what was merged and published gets a version, once, whoever comes first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit, git, write_files
from integration.deploy_project import make_deployable
from integration.setup_project import make_origin, quiet
from released_project import MergedProject, hash_md5

from mlgitops.cli import run
from mlgitops.delivery.releases import tagging
from mlgitops.rehearsal.forge import WorkflowRun
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.rehearsal.forge import Forge

    Release = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path) -> MergedProject:
    """Make a project whose main has a model that is published and not released."""
    return MergedProject(tmp_path)


@pytest.fixture
def origin(project: MergedProject) -> Path:
    """Return the repository that the forge serves."""
    return project.origin


@pytest.fixture
def release(capsys: pytest.CaptureFixture[str]) -> Release:
    """Return a function that releases and returns the outcome."""

    def call(folder: Path, *words: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
        assert run(["release", "--directory", str(folder), "--json", *words]) == code
        captured = capsys.readouterr()
        return json.loads(captured.out) if code == 0 else captured.err

    return call


MERGED = """\
Merge pull request #7 from fork/topic

Approved-by: Olga <olga@example.org>
Reviewed-by: Paul
"""


def write_hook(project: MergedProject, name: str, text: str) -> Path:
    """Let origin run a script when something is pushed to it."""
    hook = project.origin / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text)
    hook.chmod(0o755)
    return hook


def merge_topic(project: MergedProject, message: str, *, by: str = "mira@example.org") -> str:
    """Train on a branch of its own and merge it as ``by``; return the merge."""
    project.repository.git("switch", "--quiet", "--create", "topic")
    project.train("second")
    project.repository.git("switch", "--quiet", "main")
    project.repository.git("merge", "--quiet", "--no-ff", "--no-commit", "topic")
    named = ("env", f"GIT_COMMITTER_EMAIL={by}")
    words = [*named, "git", "commit", "--quiet", "--no-gpg-sign", "--message", message]
    subprocess.run(words, cwd=project.root, check=True)
    project.repository.git("push", "--quiet", "origin", "main")
    return project.repository.git("rev-parse", "HEAD")


def test_a_merged_model_gets_its_first_version(
    project: MergedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: Release
) -> None:
    """The tag stands on the tip, origin has it, and its lineage names what git holds."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    tip = merge_topic(project, MERGED)
    outcome = release(project.root, "--push")
    assert (outcome["tag"], outcome["made"], outcome["pushed"]) == ("flights@v1.0.0", True, True)
    assert git(project.origin, "rev-parse", "flights@v1.0.0^{commit}") == tip
    lineage = outcome["lineage"]
    outputs = (tmp_path / "outputs").read_text("utf-8").split("\n")
    assert {"flights@v1.0.0", "true", lineage["sha256"]} <= set(outputs)
    assert (lineage["md5"], lineage["size"]) == (hash_md5("second"), 6)
    assert lineage["data"] == [
        {"path": "data/raw.csv", "hash": f"md5:{hash_md5('raw of second')}"},
        {"path": "data/train.csv", "hash": f"md5:{hash_md5('rows of second')}"},
    ]
    assert lineage["test_data"] == f"md5:{hash_md5('test rows')}"
    assert lineage["metrics"] == [
        {"name": "test.r2", "value": 0.9, "delta": None, "interval": None}
    ]
    assert (lineage["pull_request"], lineage["author"]) == (7, "Author")
    assert lineage["approvers"] == ["Olga", "Paul"]
    assert set(lineage["absent"]) == {
        *("serving", "measured_by", "verdict", "statement", "cost"),
    }
    shown = git(project.origin, "tag", "--list", "--format=%(contents:subject)", "flights@v1.0.0")
    assert shown == "flights v1.0.0: the first release"


def test_a_change_does_not_say_who_approved_it(project: MergedProject, release: Release) -> None:
    """What a squash or GitHub's button writes is the pull request's own title and messages."""
    project.train("first again", message="Train (#7)\n\nReviewed-by: Olga\n")
    lineage = release(project.root, "--push")["lineage"]
    assert (lineage["pull_request"], lineage["approvers"]) == (7, [])
    merge_topic(project, MERGED, by="noreply@github.com")
    lineage = release(project.root, "--push")["lineage"]
    assert (lineage["pull_request"], lineage["approvers"]) == (7, [])


def test_nothing_new_is_said_and_changes_nothing(project: MergedProject, release: Release) -> None:
    """Neither a second run, nor an edit that neither trains nor serves, makes a version."""
    release(project.root, "--push")
    assert not release(project.root, "--push")["made"]
    project.edit("README.md", "words")
    again = release(project.root, "--push")
    assert (again["tag"], again["made"], again["pushed"]) == ("flights@v1.0.0", False, True)
    assert project.list_tags() == ["flights@v1.0.0"]


def test_versions_count_on_by_what_changed(project: MergedProject, release: Release) -> None:
    """Data, behaviour, contract; and a revert is a new version, so that the newest is main's."""
    release(project.root, "--push")
    first = project.repository.git("rev-parse", "HEAD")
    project.train("second")
    assert release(project.root, "--push")["tag"] == "flights@v1.0.1"
    project.edit("src/flights/train.py", "TRAIN = 2\n")
    outcome = release(project.root, "--push")
    assert (outcome["tag"], outcome["lineage"]["previous"]) == ("flights@v1.1.0", "v1.0.1")
    assert outcome["lineage"]["changed"] == ["src/flights/train.py"]
    project.edit("contract.yaml", "columns:\n  x: {dtype: int64}\n  y: {dtype: float64}\n")
    assert release(project.root, "--push")["tag"] == "flights@v2.0.0"
    project.repository.git("checkout", "--quiet", first, "--", "dvc.lock", "model/model.json")
    project.merge("Revert")
    outcome = release(project.root, "--push")
    assert (outcome["tag"], outcome["lineage"]["md5"]) == ("flights@v2.0.1", hash_md5("first"))
    # The registry whose form of tags it is reads them, too.
    gto = str(Path(sys.executable).with_name("gto"))
    done = subprocess.run(
        [gto, "show", "flights", "--json", "--repo", str(project.root)],
        capture_output=True,
        check=True,
        timeout=300,
    )
    versions = [entry["version"] for entry in json.loads(done.stdout)]
    assert versions == ["v2.0.1", "v2.0.0", "v1.1.0", "v1.0.1", "v1.0.0"]


WAIVED = """\
Train

Waived-by: olga
Waived-at: 2026-11-27T12:00:00Z
Waived-sha: 1111111111111111111111111111111111111111
Waived-reason: the old rows were wrong
Waived-in: https://github.example/octo/model/pull/7#issuecomment-1
"""


def test_a_waiver_in_the_results_is_said(project: MergedProject, release: Release) -> None:
    """Without a statement, too: a verdict that was waived is never left out."""
    project.train("second", message=WAIVED)
    lineage = release(project.root, "--push")["lineage"]
    assert (lineage["verdict"], lineage["waiver"]["login"]) == ("waived", "olga")
    assert lineage["waiver"]["reason"] == "the old rows were wrong"
    project.train("third", message=WAIVED.replace("Waived-sha: 1", "Waived-sha: x"))
    assert release(project.root, "--push")["lineage"]["verdict"] is None


def test_a_dry_run_tags_nothing(project: MergedProject, release: Release) -> None:
    """It says what would be released."""
    outcome = release(project.root, "--dry-run", "--push")
    assert (outcome["tag"], outcome["made"], outcome["signature"]) == (
        *("flights@v1.0.0", False, None),
    )
    assert (project.list_tags(), project.repository.git("tag")) == ([], "")


def test_without_push_the_tag_waits_here(
    project: MergedProject, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a later run with --push sends that very tag; the text says what is known of where."""
    assert run(["release", "--directory", str(project.root)]) == 0
    said = capsys.readouterr().out
    assert "It is here alone; to send it: git push origin flights@v1.0.0" in said
    absent = "  no cost, measured by, statement, verdict: no statement of a verdict was given"
    assert said.count(absent) == said.count("no statement of a verdict was given") == 1
    assert project.list_tags() == []
    own = project.repository.git("rev-parse", "flights@v1.0.0")
    outcome = release(project.root, "--push")
    assert (outcome["made"], outcome["pushed"]) == (False, True)
    assert git(project.origin, "rev-parse", "flights@v1.0.0") == own
    assert run(["release", "--directory", str(project.root), "--push"]) == 0
    assert capsys.readouterr().out.endswith("; origin has the tag\n")


def test_the_tip_is_released_whatever_is_checked_out(
    project: MergedProject, tmp_path: Path, release: Release
) -> None:
    """A late run of an older commit would give the newest version to an older model."""
    late = project.clone(tmp_path / "late")
    tip = project.train("second")
    outcome = release(late, "--push")
    assert outcome["lineage"]["commit"] == tip
    git(late, "switch", "--quiet", "--create", "topic")
    assert not release(late, "--push")["made"]


def test_a_model_that_is_not_published_is_not_released(
    project: MergedProject, release: Release
) -> None:
    """Even when this machine's cache has it."""
    project.train("second", publish=False)
    oid = hash_md5("second")
    cached = project.root / f".dvc/cache/files/md5/{oid[:2]}/{oid[2:]}"
    cached.parent.mkdir(parents=True)
    cached.write_text("second")
    said = release(project.root, "--push", code=2)
    assert f"{oid} was not published" in said
    assert (project.list_tags(), project.repository.git("tag")) == ([], "")


def test_other_bytes_in_the_storage_are_not_released(
    project: MergedProject, release: Release
) -> None:
    """Under the name of the model, or a model.json that names another."""
    project.publish("other", oid=hash_md5("first"))
    assert "has the content" in release(project.root, "--push", code=2)
    project.publish("first")
    project.edit("model/model.json", json.dumps({"sha256": "0" * 64}))
    assert "model.json names 0000" in release(project.root, "--push", code=2)
    assert project.list_tags() == []


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("reports/golden.json", "{}", "`request` and a list `outputs` were expected"),
        ("reports/golden.json", '{"request": {}, "outputs": []}', "nothing would be checked"),
        ("dvc.yaml", "stages: {}\n", "one name of the model was expected"),
    ],
)
def test_what_could_not_be_served_is_not_released(
    project: MergedProject, release: Release, path: str, text: str, said: str
) -> None:
    """Without a golden prediction no server of it could be checked."""
    project.edit(path, text)
    assert said in release(project.root, "--push", code=2)
    assert project.list_tags() == []


def test_two_projects_release_models_of_two_names(project: MergedProject, release: Release) -> None:
    """Each from its own folder; of one name they would count on from each other's versions."""
    other = project.root / "other"
    for name in (".dvc/config", "dvc.yaml", "dvc.lock", "model/model.json", "reports/golden.json"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.root / name, other / name)
    project.merge("Add another project")
    release(project.root, "--push")
    assert "the project in the root, which gives its model the same name" in release(
        other, "--push", code=2
    )
    pipeline = (other / "dvc.yaml").read_text()
    project.edit("other/dvc.yaml", pipeline.replace("flights: {path", "fraud: {path"))
    outcome = release(other, "--push")
    assert (outcome["tag"], outcome["lineage"]["project"]) == ("fraud@v1.0.0", "other/")
    assert not release(project.root, "--push")["made"]


def test_a_moved_tag_of_origin_ends_the_run(
    project: MergedProject, tmp_path: Path, release: Release
) -> None:
    """What this clone knows as v1.0.0 is not what origin calls so now."""
    release(project.root, "--push")
    other = project.clone(tmp_path / "other")
    git(other, "tag", "--delete", "flights@v1.0.0")
    git(other, "tag", "--annotate", "--message", "mine", "flights@v1.0.0")
    git(other, "push", "--quiet", "--force", "origin", "flights@v1.0.0")
    assert "one of them was moved" in release(project.root, "--push", code=2)
    assert "not JSON" in release(other, "--push", code=2)


def test_of_eight_runs_at_once_one_releases(project: MergedProject, tmp_path: Path) -> None:
    """The others find nothing new, and leave nothing behind; the version is there once."""
    clones = [project.clone(tmp_path / str(number)) for number in range(8)]
    words = [sys.executable, "-m", "mlgitops", "release", "--push", "--json", "--directory"]
    # Of one person in one second their tags would be the same object, and each of them right.
    runs = [
        subprocess.Popen(
            [*words, str(folder)],
            env={**os.environ, "GIT_COMMITTER_NAME": f"Run {number}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number, folder in enumerate(clones)
    ]
    ended = [program.communicate(timeout=300) for program in runs]
    assert [program.returncode for program in runs] == [0] * 8, ended
    outcomes = [json.loads(out) for out, _ in ended]
    assert sum(outcome["made"] for outcome in outcomes) == 1
    assert {outcome["tag"] for outcome in outcomes} == {"flights@v1.0.0"}
    assert project.list_tags() == ["flights@v1.0.0"]
    tags = {git(folder, "rev-parse", "flights@v1.0.0") for folder in clones}
    assert tags == {git(project.origin, "rev-parse", "flights@v1.0.0")}


def test_a_tag_of_another_run_is_not_ours(project: MergedProject, tmp_path: Path) -> None:
    """Both made it before either had pushed; only the first one's is a release."""
    first, second = (project.clone(tmp_path / name) for name in ("first", "second"))
    for folder in (first, second):
        git(folder, "tag", "--annotate", "--message", f"Made in {folder.name}", "flights@v1.0.0")
    assert tagging._push(first, "flights@v1.0.0")
    assert not tagging._push(second, "flights@v1.0.0")


def test_a_push_whose_answer_was_lost_is_a_release(
    project: MergedProject, release: Release
) -> None:
    """Origin took the tag and then failed to say so."""
    write_hook(project, "post-receive", "#!/bin/sh\nkill -9 $PPID\n")
    outcome = release(project.root, "--push")
    assert (outcome["made"], outcome["pushed"]) == (True, True)
    assert project.list_tags() == ["flights@v1.0.0"]


def test_a_refused_push_leaves_the_tag_for_the_next_run(
    project: MergedProject, release: Release
) -> None:
    """The reason is shown; with the right to push it, the same tag is sent."""
    hook = write_hook(project, "pre-receive", "#!/bin/sh\necho tags are protected; exit 1\n")
    assert "tags are protected" in release(project.root, "--push", code=2)
    hook.unlink()
    outcome = release(project.root, "--push")
    assert (outcome["made"], outcome["pushed"]) == (False, True)
    assert project.list_tags() == ["flights@v1.0.0"]


def make_key(folder: Path, name: str) -> Path:
    """Make an SSH key without a passphrase."""
    file = folder / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
    subprocess.run(words, check=True, timeout=60)
    return file


def test_a_signed_release_is_verified_offline(
    project: MergedProject, tmp_path: Path, release: Release
) -> None:
    """By the keys that main allows; another key's, an altered or an unsigned one is refused."""
    key, other = make_key(tmp_path, "releaser"), make_key(tmp_path, "other")
    project.edit(".github/allowed_signers", f"me@example.org {key.with_suffix('.pub').read_text()}")
    settings = project.repository.git
    settings("config", "gpg.format", "ssh")
    settings("config", "user.signingKey", str(key))
    outcome = release(project.root, "--push")
    assert outcome["signature"] == "signed by me@example.org"
    assert not release(project.root)["made"]  # read again, it still is
    raw = settings("cat-file", "tag", "flights@v1.0.0") + "\n"
    altered = raw.replace("tagger A Tester", "tagger Mallory")
    assert altered != raw
    sha = git(project.root, "hash-object", "-t", "tag", "-w", "--stdin", stdin=altered)
    settings("update-ref", "refs/tags/flights@v1.0.0", sha)
    settings("remote", "remove", "origin")
    assert "its signature is of another content" in release(project.root, code=2)
    settings("tag", "--delete", "flights@v1.0.0")
    settings("config", "user.signingKey", str(other))
    assert "it is not verified: " in release(project.root, code=2)
    settings("config", "--unset", "gpg.format")
    assert "it is unsigned, and .github/allowed_signers" in release(project.root, code=2)
    assert settings("tag") == ""  # nothing that is no release is left


#: What another run does while origin receives a tag: it pushes main, and releases that.
OVERTAKE = """\
#!/bin/sh
test -e {folder}/done && exit 0
touch {folder}/done
cd {folder}/newer
env -i PATH="$PATH" HOME="$HOME" git push --quiet origin main || exit 1
env -i PATH="$PATH" HOME="$HOME" {python} -m mlgitops release --push || exit 1
"""


def test_an_older_commit_does_not_stay_the_newest_version(
    project: MergedProject, tmp_path: Path, release: Release
) -> None:
    """Two runs count on from the same release, and the one for the newer commit by less."""
    release(project.root, "--push")
    project.edit("src/flights/train.py", "TRAIN = 2\n")
    newer = project.clone(tmp_path / "newer")
    lock = hash_md5("rows of first")
    write_files(newer, {"src/flights/train.py": "TRAIN = 1\n"})
    (newer / "dvc.lock").write_text(
        (newer / "dvc.lock").read_text().replace(lock, hash_md5("other rows"))
    )
    digest = {"sha256": hashlib.sha256(b"second").hexdigest()}
    write_files(newer, {"model/model.json": json.dumps(digest)})
    (newer / "dvc.lock").write_text(
        (newer / "dvc.lock").read_text().replace(hash_md5("first"), hash_md5("second"))
    )
    project.publish("second")
    tip = commit(newer, "Go back, on other rows")
    write_hook(project, "pre-receive", OVERTAKE.format(folder=tmp_path, python=sys.executable))
    outcome = release(project.root, "--push")
    assert project.list_tags() == [f"flights@v1.{rest}" for rest in ("0.0", "0.1", "1.0", "2.0")]
    assert (outcome["tag"], outcome["lineage"]["commit"]) == ("flights@v1.2.0", tip)


def test_a_project_that_dvc_trained_is_released_from_the_storage_branch(
    tmp_path: Path, release: Release
) -> None:
    """Real objects, in the repository's own storage branch; the name is the environments'."""
    trained = make_deployable(tmp_path / "project")
    make_origin(trained, tmp_path / "origin.git")
    assert "was not published" in release(trained, "--push", code=2)
    publish_objects(trained, quiet())
    outcome = release(trained, "--push")
    assert (outcome["tag"], outcome["pushed"]) == ("demo@v1.0.0", True)
    assert outcome["lineage"]["serving"]


JUDGING = ("--workflow", ".github/workflows/pull-request.yml", "--push")
LEFT_NONE = "run {} of pull-request.yml left no artifact mlgitops-statement"


def show_judged(project: MergedProject, forge: Forge, number: int, subject: str) -> str:
    """Let origin show a pull request's head with a commit above it, and the API its run."""
    write = project.repository.git
    tree = write("rev-parse", "HEAD^{tree}")
    head = write("commit-tree", tree, "-p", "HEAD", "-m", f"Head of {number}")
    above = write("commit-tree", tree, "-p", head, "-m", subject.format(head[:12]))
    write("push", "--quiet", "origin", f"{above}:refs/pull/{number}/head")
    run = WorkflowRun(id=number, number=number, head=("topic", head), jobs=[])
    forge.state.workflow_runs.append(run)
    return head


def test_the_run_of_what_was_merged_is_looked_for(
    project: MergedProject, tmp_path: Path, forge: Forge, release: Release
) -> None:
    """After a squash too, by the head that origin shows, below the results that were recorded."""
    show_judged(project, forge, 7, "Record what was trained at {}")
    project.train("second", message="Train again (#7)")
    clone = project.clone(tmp_path / "clone")
    lineage = release(clone, *JUDGING)["lineage"]
    assert lineage["pull_request"] == 7
    assert lineage["absent"]["verdict"] == LEFT_NONE.format(7)
    assert {method for method, _ in forge.requests} == {"GET"}
    show_judged(project, forge, 8, "Record what was trained at {}")
    project.repository.put("src/flights/serve.py", "SERVE = 2\n")
    project.merge("Serve it better (#8)")
    outcome = release(clone, *JUDGING)
    assert (outcome["tag"], outcome["lineage"]["pull_request"]) == ("flights@v1.1.0", 7)
    assert outcome["lineage"]["absent"]["verdict"] == LEFT_NONE.format(8)


def test_a_head_with_more_above_it_than_results_was_not_judged(
    project: MergedProject, forge: Forge, release: Release
) -> None:
    """Somebody pushed to the branch after its run."""
    head = show_judged(project, forge, 7, "One more thing")
    project.train("second", message="Train again (#7)")
    reason = release(project.root, *JUDGING)["lineage"]["absent"]["verdict"]
    assert reason.startswith("no run of pull-request.yml in this repository judged ")
    assert head[:12] not in reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [("Train again", "names no pull request"), ("Again (#9)", "origin has no refs/pull/9/head")],
)
def test_without_a_pull_request_no_run_is_looked_for(
    project: MergedProject, forge: Forge, release: Release, *, message: str, reason: str
) -> None:
    """A push without one, and a number that somebody made up."""
    project.train("second", message=message)
    assert reason in release(project.root, *JUDGING)["lineage"]["absent"]["verdict"]
    assert forge.requests == []


def test_a_statement_comes_from_one_place(
    project: MergedProject, forge: Forge, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file and a workflow at once, or a workflow without a token, tag nothing."""
    printed = release(project.root, *JUDGING, "--statement", "x.json", code=2)
    assert "--workflow: --statement is a statement, and --workflow asks for one" in printed
    monkeypatch.delenv("GITHUB_TOKEN")
    printed = release(project.root, *JUDGING, code=2)
    assert "set GITHUB_TOKEN, which may read actions, and GITHUB_REPOSITORY" in printed
    assert (project.list_tags(), forge.requests) == ([], [])
