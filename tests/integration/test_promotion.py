"""Promotion and rollback: real branches of a real origin, pull requests at the stand-in API."""

from __future__ import annotations

import io
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from git_project import git
from integration.setup_project import shown
from msgspec import structs
from promoted_project import MODEL_YAML, PATH, PromotedProject

from mlgitops.cli import run
from mlgitops.console import Console
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.loop.observed import ServedModel
from mlgitops.delivery.reports import Reporter
from mlgitops.git.repository import Folder, Repository
from mlgitops.git.wanted import Wanted, read_wanted
from mlgitops.model.ledger import Event, LedgerEntry

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Forge


@pytest.fixture
def project(tmp_path: Path) -> PromotedProject:
    """Make the project."""
    return PromotedProject(tmp_path)


@pytest.fixture
def origin(project: PromotedProject) -> Path:
    """Return the repository that the forge serves."""
    return project.origin


def call(
    project: PromotedProject, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, Any]:
    """Run the command; return what it says that it did."""
    code = run([*words, "--json", "--directory", str(project.root)])
    said = capsys.readouterr()
    assert code == 0, said.err
    document: dict[str, Any] = json.loads(said.out)
    return document


def refuse(project: PromotedProject, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command, which must refuse and leave origin as it was; return what it said."""
    before = git(project.origin, "for-each-ref")
    assert run([*words, "--directory", str(project.root)]) == 2
    assert git(project.origin, "for-each-ref") == before
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.err


def read(project: PromotedProject, revision: str) -> Wanted:
    """Read what production wants at a commit, as everybody else reads it."""
    with Repository(project.root) as repository:
        return read_wanted(repository, "", "production", repository.resolve(revision))


def test_the_newest_release_is_proposed_and_again_without_a_second_one(
    project: PromotedProject,
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One branch, one commit of one file, one pull request; its comments and other keys stay."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    done = call(project, capsys, "promote", "--to", "production")
    outputs = (tmp_path / "outputs").read_text("utf-8").split("\n")
    assert {"promote/production/v1.1.0", "1", done["url"]} <= set(outputs)
    assert done["branch"] == "promote/production/v1.1.0"
    assert done["pull_request"] == 1
    assert call(project, capsys, "promote", "--to", "production", "v1.1.0") == done
    pull = forge.state.pulls[1]
    assert (pull.title, pull.base[0]) == ("Promote flights v1.1.0 to production", "main")
    assert "`production` shall serve" in pull.body
    changed = git(project.origin, "diff", "--name-only", "main", done["branch"])
    assert changed == PATH
    main = git(project.origin, "rev-parse", "main")
    expected = MODEL_YAML.replace("revision: null", f'revision: "{main}"')
    digest = json.loads(git(project.origin, "show", "main:model/model.json"))["sha256"]
    expected = expected.replace("sha256: null", f'sha256: "{digest}"')
    expected = expected.replace("model: flights\n", "model: flights\nversion: v1.1.0\n")
    assert project.read(done["branch"]) == expected
    project.merge(done["branch"])
    wanted = read(project, "HEAD")
    assert (wanted.version, wanted.commit, wanted.sha256) == ("v1.1.0", main, digest)


def test_an_image_is_pinned_by_the_same_pull_request_and_goes_back_with_its_model(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """One commit of two files; the rollback's brings both back, byte for byte."""
    images = ["sha256:" + digit * 64 for digit in "0ab"]
    path = "deploy/production/kustomization.yaml"
    overlay = f"images:\n  - name: model-server # why\n    digest: {images[0]}\n"
    pinned = [overlay.replace(images[0], image) for image in images]
    no_overlay = refuse(project, capsys, "promote", "--to", "production", "--image", images[1])
    assert "nothing there pins an image" in no_overlay
    project.repository.put(path, overlay)
    project.repository.commit("Overlay")
    project.push()
    for text in ("example.org/flights:latest", images[0]):
        tagged = refuse(project, capsys, "promote", "--to", "production", "--image", text)
        assert "no digest names the image" in tagged
    for at, version in ((1, "v1.0.0"), (2, "v1.1.0")):
        image = f"example.org/flights@{images[at]}"
        promotion = ("promote", "--to", "production", version, "--image", image)
        done = call(project, capsys, *promotion)
        assert done == call(project, capsys, *promotion)
        changed = git(project.origin, "diff", "--name-only", "main", done["branch"]).split()
        assert sorted(changed) == sorted([path, PATH])
        assert git(project.origin, "show", f"{done['branch']}:{path}") == pinned[at].strip()
        project.merge(done["branch"])
    for target in ([], ["--to", "v1.0.0"]):
        back = call(project, capsys, "rollback", "production", *target)
        assert git(project.origin, "show", f"{back['branch']}:{path}") == pinned[1].strip()


OVERLAY = "deploy/production/kustomization.yaml"
IMAGES = [f"sha256:{digit * 64}" for digit in "abc"]


def pin_first(project: PromotedProject, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Have production want v1.0.0 in the first image; return the words of the promotion."""
    project.repository.put(OVERLAY, f"images:\n  - name: model-server\n    digest: {IMAGES[2]}\n")
    project.repository.commit("Overlay")
    project.push()
    words = ["promote", "--to", "production", "v1.0.0", "--image", IMAGES[0]]
    project.merge(call(project, capsys, *words)["branch"])
    return words


def show_pinned(project: PromotedProject, branch: str) -> str:
    """Return the digest that a branch of origin pins."""
    return git(project.origin, "show", f"{branch}:{OVERLAY}").rpartition(" ")[2]


def test_a_model_never_moves_into_the_image_of_another_one(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pod would refuse to start; an image that the release had before is named by git."""
    pin_first(project, capsys)
    unknown = refuse(project, capsys, "promote", "--to", "production", "v1.1.0")
    assert "git does not say which one holds that model" in unknown
    assert "`mlgitops promote --image DIGEST`" in unknown
    newer = ("promote", "--to", "production", "v1.1.0", "--image", IMAGES[1])
    project.merge(call(project, capsys, *newer)["branch"])
    older = ("promote", "--to", "production", "v1.0.0", "--allow-older")
    assert show_pinned(project, call(project, capsys, *older)["branch"]) == IMAGES[0]


def test_an_image_that_was_built_anew_is_pinned_alone(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same release in the same image is refused; a later way back takes the newest of both."""
    words = pin_first(project, capsys)
    assert "production wants v1.0.0 already" in refuse(project, capsys, *words)
    assert "production wants v1.0.0 already" in refuse(project, capsys, *words[:4])
    rebuilt = [*words[:-1], IMAGES[1]]
    done = call(project, capsys, *rebuilt)
    assert done == call(project, capsys, *rebuilt)
    assert done["branch"] == f"promote/production/v1.0.0-{'b' * 12}"
    assert done["title"] == "Promote flights v1.0.0 to production in another image"
    assert git(project.origin, "diff", "--name-only", "main", done["branch"]) == OVERLAY
    assert show_pinned(project, done["branch"]) == IMAGES[1]
    message = git(project.origin, "log", "-1", "--format=%b", done["branch"])
    assert "as before, in another image." in message
    assert f"In the image `{IMAGES[1]}`." in message
    project.merge(done["branch"])
    newer = ("promote", "--to", "production", "v1.1.0", "--image", IMAGES[2])
    project.merge(call(project, capsys, *newer)["branch"])
    for target in ([], ["--to", "v1.0.0"]):
        back = call(project, capsys, "rollback", "production", *target)
        assert show_pinned(project, back["branch"]) == IMAGES[1]


def test_without_a_token_the_command_that_opens_it_is_printed(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The branch is pushed, and the rest is one line."""
    assert run(["promote", "--to", "production", "--directory", str(project.root)]) == 0
    out = capsys.readouterr().out
    (line,) = [line.strip() for line in out.splitlines() if "gh pr create" in line]
    shell = ["sh", "-c", f'gh() {{ printf "%s\\n" "$@"; }}; {line}']  # as a shell reads it
    words = subprocess.check_output(shell, cwd=project.root, text=True).splitlines()
    sides = ["--base", "main", "--head", "promote/production/v1.1.0"]
    assert words[:7] == ["pr", "create", *sides, "--title"]
    assert words[7] == "Promote flights v1.1.0 to production"
    assert "`production` shall serve" in words[9]
    assert project.find_tip("promote/production/v1.1.0")


def test_a_project_without_an_origin_gets_the_branch_here(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is pushed, and nothing in the work tree moves."""
    project.repository.git("remote", "remove", "origin")
    before = project.repository.git("rev-parse", "HEAD")
    done = call(project, capsys, "promote", "--to", "production", "v1.0.0")
    assert project.repository.git("rev-parse", done["branch"]) == done["commit"]
    assert project.repository.git("status", "--porcelain") == ""
    assert project.repository.git("rev-parse", "HEAD") == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--to", "production", "v9.9.9"), "has no release 'v9.9.9' here"),
        (("--to", "nowhere"), "the environment nowhere is not described"),
        (("--to", "production", "main"), "has no release 'main' here"),
    ],
)
def test_what_is_no_release_is_not_promoted(
    project: PromotedProject,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    reason: str,
) -> None:
    """Neither a version that was not released, nor a branch, nor an unknown environment."""
    assert reason in refuse(project, capsys, "promote", *words)


def test_what_is_wanted_older_or_not_published_is_refused(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its reason; --allow-older takes the older one all the same."""
    done = call(project, capsys, "promote", "--to", "production")
    project.merge(done["branch"])
    wanted = refuse(project, capsys, "promote", "--to", "production", "v1.1.0")
    assert "production wants v1.1.0 already" in wanted
    older = refuse(project, capsys, "promote", "--to", "production", "v1.0.0")
    assert "v1.0.0 is older than what production wants, v1.1.0" in older
    back = call(project, capsys, "promote", "--to", "production", "v1.0.0", "--allow-older")
    assert back["branch"] == "promote/production/v1.0.0"
    project.release(b"third", "v1.2.0", publish=False)
    project.push()
    lost = refuse(project, capsys, "promote", "--to", "production")
    assert "the model of flights@v1.2.0 is not in the storage" in lost


def test_an_older_one_is_seen_by_its_commit_where_no_version_is_named(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hand-made file names a commit alone."""
    main = project.repository.git("rev-parse", "HEAD")
    project.repository.put(PATH, MODEL_YAML.replace("revision: null", f'revision: "{main}"'))
    project.repository.commit("pin")
    project.push()
    older = refuse(project, capsys, "promote", "--to", "production", "v1.0.0")
    assert f"v1.0.0 is older than what production wants, {main[:12]}" in older


def test_a_branch_that_holds_something_else_is_not_written_over(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody's own commit on that branch stays."""
    run_git = project.repository.git
    run_git("switch", "--quiet", "--create", "promote/production/v1.1.0")
    project.repository.put("other.txt", "mine")
    project.repository.commit("mine")
    run_git("push", "--quiet", "origin", "HEAD")
    run_git("switch", "--quiet", "main")
    said = refuse(project, capsys, "promote", "--to", "production")
    assert "it is there already, and holds another change" in said


@pytest.mark.parametrize("has_remote", [True, False])
def test_a_version_is_promoted_again_though_its_merged_branch_is_still_there(
    project: PromotedProject, capsys: pytest.CaptureFixture[str], has_remote: bool
) -> None:
    """After a way back; what is on the branch is merged, so that it goes on without force."""
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        project.merge(done["branch"])
    project.merge(call(project, capsys, "rollback", "production")["branch"])
    if not has_remote:
        project.repository.git("branch", done["branch"], done["commit"])
        project.repository.git("remote", "remove", "origin")
    again = call(project, capsys, "promote", "--to", "production", "v1.1.0")
    assert (again["branch"], again["commit"] == done["commit"]) == (done["branch"], False)
    assert again == call(project, capsys, "promote", "--to", "production", "v1.1.0")
    assert read(project, again["commit"]).version == "v1.1.0"
    parent = project.repository.git("rev-parse", f"{again['commit']}^")
    assert parent == project.repository.git("rev-parse", "main")


def test_a_tag_that_was_moved_at_origin_is_refused(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clone knows another one: which of them was released cannot be told."""
    git(project.origin, "tag", "--force", "flights@v1.1.0", "main~1")
    said = refuse(project, capsys, "promote", "--to", "production")
    assert "a tag that is another one here was moved" in said


def test_a_release_that_was_never_pushed_is_refused(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who judges the pull request could not tell what the version is; once pushed, it is taken."""
    git(project.origin, "tag", "--delete", "flights@v1.1.0")
    said = refuse(project, capsys, "promote", "--to", "production")
    assert "tag flights@v1.1.0: the release is in this clone alone" in said
    assert "git push origin flights@v1.1.0" in said
    project.repository.git("push", "--quiet", "origin", "flights@v1.1.0")
    done = call(project, capsys, "promote", "--to", "production")
    assert done["branch"] == "promote/production/v1.1.0"


def test_a_rollback_brings_the_old_file_back_byte_for_byte(
    project: PromotedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its pull request, merged, is the state before; a second one asks where to go."""
    first = call(project, capsys, "promote", "--to", "production", "v1.0.0")
    project.merge(first["branch"])
    before = project.read("main")
    second = call(project, capsys, "promote", "--to", "production")
    tip = project.merge(second["branch"])
    back = call(project, capsys, "rollback", "production", "--reason", "slow @all")
    assert back["branch"] == f"rollback/production/{tip[:12]}"
    assert back["title"] == "Roll production back to v1.0.0 from v1.1.0"
    assert back == call(project, capsys, "rollback", "production", "--reason", "slow @all")
    assert "Why: slow @\u200ball" in forge.state.pulls[back["pull_request"]].body
    assert project.read(back["branch"]) == before
    project.merge(back["branch"])
    assert read(project, "HEAD").version == "v1.0.0"
    unclear = refuse(project, capsys, "rollback", "production")
    assert "its last change was a way back itself, and what it left was v1.1.0" in unclear
    forth = call(project, capsys, "rollback", "production", "--to", "v1.1.0")
    assert forth["branch"] == "rollback/production/v1.1.0"


def test_a_rollback_keeps_what_was_changed_beside_the_model(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replicas that were added after the promotion stay."""
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        promoted = project.merge(done["branch"])
    text = (project.root / PATH).read_text()
    project.repository.put(PATH, f"{text}replicas: 3\n")
    project.repository.commit("more replicas")
    project.push()
    back = call(project, capsys, "rollback", "production", "--now")
    assert (back["merged"], back["branch"]) == (True, "main")
    assert project.find_tip("main") == back["commit"]
    project.repository.git("fetch", "--quiet")
    wanted = read(project, "origin/main")
    assert (wanted.version, wanted.replicas) == ("v1.0.0", 3)
    assert project.repository.git("rev-parse", f"{promoted}~0") == promoted


def test_a_default_branch_that_takes_no_push_says_so(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """--now is for whoever the rules allow it; nothing is forced."""
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        project.merge(done["branch"])
    hook = project.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    said = refuse(project, capsys, "rollback", "production", "--now")
    assert "main did not take it" in said
    assert "without --now a pull request is opened" in said


def test_where_nothing_was_before_there_is_no_way_back(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """An environment that follows the branch, and one that wanted one model alone."""
    follows = refuse(project, capsys, "rollback", "production")
    assert "production has no `revision`: it follows the branch" in follows
    said = refuse(project, capsys, "rollback", "production", "--to", "v3.0.0")
    assert "has no release 'v3.0.0' here" in said


def test_a_way_back_to_the_very_same_model_is_refused(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Production followed the branch, whose model is the one that was promoted: nothing is won."""
    done = call(project, capsys, "promote", "--to", "production")
    project.merge(done["branch"])
    for words in ((), ("--now",)):
        said = refuse(project, capsys, "rollback", "production", *words)
        assert "followed the branch, which has this very model now" in said
        assert "mlgitops rollback production --to VERSION" in said
    back = call(project, capsys, "rollback", "production", "--to", "v1.0.0", "--now")
    project.repository.git("fetch", "--quiet")
    assert read(project, back["commit"]).version == "v1.0.0"


def test_a_model_that_the_storage_lost_is_not_gone_back_to(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback that nobody can deploy would be worse than none."""
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        project.merge(done["branch"])
    for file in project.storage.rglob("*"):
        if file.is_file() and file.read_bytes() == b"first":
            file.unlink()
    said = refuse(project, capsys, "rollback", "production")
    assert "the model of v1.0.0 is not in the storage" in said


def record(project: PromotedProject, event: Event, wanted: Wanted) -> None:
    """Record in the ledger at origin what a delivery of ``wanted`` came to."""
    entry = LedgerEntry(
        seq=1,
        environment="production",
        event=event,
        model=wanted.model,
        version=wanted.version,
        sha256=wanted.sha256 or "",
        commit=project.repository.git("rev-parse", "HEAD"),
        revision=wanted.commit,
        previous=None,
        reason="the golden prediction differs" if event is Event.CONDEMNED else None,
        at="2030-01-31T12:00:00.000000Z",
    )
    assert Ledger(project.root, "").append("production", lambda _: entry)


def test_what_a_delivery_gave_up_is_no_way_back(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither unasked nor by name, until it has served; another version is no concern of it."""
    models = []
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        project.merge(done["branch"])
        models.append(read(project, "HEAD"))
    record(project, Event.CONDEMNED, models[1])
    record(project, Event.CONDEMNED, models[0])
    for words in ((), ("--now",), ("--to", "v1.0.0")):
        said = refuse(project, capsys, "rollback", "production", *words)
        assert "v1.0.0 was given up when production wanted it: the golden prediction" in said
        assert "entry 2 of the ledger" in said
    record(project, Event.SWITCHED, models[0])
    back = call(project, capsys, "rollback", "production")
    assert back["title"] == "Roll production back to v1.0.0 from v1.1.0"


def test_a_branch_whose_model_was_given_up_is_not_followed_again(
    project: PromotedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever commit a delivery, or the file, named: it is the same model with the same code."""
    project.merge(call(project, capsys, "promote", "--to", "production", "v1.0.0")["branch"])
    followed = project.repository.git("log", "-1", "--format=%H", "--", "dvc.lock")
    pinned = read(project, "HEAD")
    assert pinned.commit != followed
    record(project, Event.CONDEMNED, structs.replace(pinned, commit=followed, sha256="2" * 64))
    said = refuse(project, capsys, "rollback", "production")
    assert " was given up when production wanted it: the golden prediction" in said


def test_a_delivery_that_returned_proposes_the_way_back_once(
    project: PromotedProject, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told every minute: one issue, one pull request, and one that was closed stays closed."""
    console = Console(out=io.StringIO(), err=io.StringIO())

    def tell() -> None:
        with Repository(project.root) as repository:
            reporter = Reporter(
                environment="production",
                folder=Folder(repository, project.root),
                environ=os.environ,
                console=console,
            )
            served = ServedModel(
                model="flights",
                version="v1.1.0",
                sha256="1" * 64,
                commit="2" * 40,
                revision="3" * 40,
            )
            reporter.open(served, "The golden prediction differs")

    tell()
    assert "production has no `revision`: it follows the branch" in shown(console)
    assert forge.state.pulls == {}
    for version in ("v1.0.0", "v1.1.0"):
        done = call(project, capsys, "promote", "--to", "production", version)
        project.merge(done["branch"])
    for pull in forge.state.pulls.values():
        pull.state = "closed"
    tell()
    number = max(forge.state.pulls)
    assert "Why: The golden prediction differs" in forge.state.pulls[number].body
    (issue,) = forge.state.issues.values()
    assert f"#{number}" in issue.body.replace("\u200b", "")
    forge.state.pulls[number].state = "closed"
    tell()
    assert max(forge.state.pulls) == number
    assert {pull.state for pull in forge.state.pulls.values()} == {"closed"}
    hook = project.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nfalse\n")
    hook.chmod(0o755)
    git(project.origin, "branch", "--delete", "--force", forge.state.pulls[number].head[0])
    tell()
    assert len(forge.state.issues) == 1
    assert "or merge a better model" in issue.body
