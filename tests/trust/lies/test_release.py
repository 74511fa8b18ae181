"""Tags that have the form of a release, and name what was not released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from git_project import GitRepository
from released_project import MODEL_NAME, follow, make_lineage, put_model, tag_release

from mlgitops.delivery.releases.release import find_release, list_releases
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.model.lineage import Change, encode_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, SECOND = b"first", b"second"


class Scene:
    """Main with two models, a branch that was merged and one that was not."""

    def __init__(self, root: Path) -> None:
        self.repository = GitRepository(root)
        self.first = put_model(self.repository, FIRST)
        git = self.repository.git
        git("switch", "--quiet", "--create", "topic")
        self.inside = put_model(self.repository, b"tried")
        put_model(self.repository, FIRST)
        git("switch", "--quiet", "main")
        git("merge", "--quiet", "--no-ff", "--message", "merge", "topic")
        self.second = put_model(self.repository, SECOND)
        git("switch", "--quiet", "--create", "unmerged")
        self.unmerged = put_model(self.repository, b"mine")
        git("switch", "--quiet", "main")

    def refuse(self, reason: str, *, name: str = f"{MODEL_NAME}@v1.0.0") -> None:
        """Expect that both readers refuse the tag ``name``, for this reason."""
        with Repository(self.repository.root) as repository:
            with pytest.raises(MlgitopsError, match=reason) as listed:
                list_releases(repository, MODEL_NAME)
            with pytest.raises(MlgitopsError, match=reason):
                find_release(repository, MODEL_NAME, name.partition("@")[2])
        assert (listed.value.where or "").startswith(f"tag {name}")


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Make the commits once."""
    return Scene(tmp_path_factory.mktemp("released") / "r")


@pytest.fixture
def scene(commits: Scene) -> Iterator[Scene]:
    """Return the commits without any tag."""
    yield commits
    git = commits.repository.git
    git("tag", "--delete", *git("tag", "--list").split())


def test_releases_that_hold_are_listed_by_version(scene: Scene) -> None:
    """Honest ones are read, whatever the order in which they were put there."""
    later = follow(make_lineage(scene.second, SECOND, version="v1.0.1"), "v1.0.0")
    tag_release(scene.repository, later)
    tag_release(scene.repository, make_lineage(scene.first, FIRST))
    with Repository(scene.repository.root) as repository:
        releases = list_releases(repository, MODEL_NAME)
        assert find_release(repository, MODEL_NAME, "v1.0.1") == releases[1]
        with pytest.raises(MlgitopsError, match=r"no release 'v9\.0\.0' here"):
            find_release(repository, MODEL_NAME, "v9.0.0")
        with pytest.raises(MlgitopsError, match="no name of a model"):
            list_releases(repository, "*")
    assert [release.version for release in releases] == ["v1.0.0", "v1.0.1"]
    assert [release.revision for release in releases] == [scene.first, scene.second]
    assert {release.signature for release in releases} == {"unsigned"}
    assert releases[1].lineage == later


def test_a_tag_moved_to_another_commit_is_refused(scene: Scene) -> None:
    """The lineage says where it was put."""
    tag_release(scene.repository, make_lineage(scene.first, FIRST), target=scene.second)
    scene.refuse(f"its lineage is of {scene.first[:12]}, and it stands on {scene.second[:12]}")


def test_a_release_under_another_version_is_refused(scene: Scene) -> None:
    """An old release copied to a newer version would bring the old model back."""
    tag_release(scene.repository, make_lineage(scene.first, FIRST))
    scene.repository.git("update-ref", f"refs/tags/{MODEL_NAME}@v2.0.0", f"{MODEL_NAME}@v1.0.0")
    scene.refuse("was written as 'flights@v1.0.0'", name=f"{MODEL_NAME}@v2.0.0")


def test_a_lineage_of_another_version_is_refused(scene: Scene) -> None:
    """The same, written anew under the other name."""
    tag_release(scene.repository, make_lineage(scene.first, FIRST), name=f"{MODEL_NAME}@v2.0.0")
    scene.refuse(r"its lineage is that of flights@v1\.0\.0", name=f"{MODEL_NAME}@v2.0.0")


def test_a_lineage_of_another_model_is_refused(scene: Scene) -> None:
    """Two models may stand in one repository."""
    lineage = msgspec.structs.replace(make_lineage(scene.first, FIRST), model="fraud")
    tag_release(scene.repository, lineage, name=f"{MODEL_NAME}@v1.0.0")
    scene.refuse(r"its lineage is that of fraud@v1\.0\.0")


def test_a_plain_tag_of_that_form_is_refused(scene: Scene) -> None:
    """It says nothing of what it is."""
    scene.repository.git("tag", f"{MODEL_NAME}@v1.0.0", scene.first)
    scene.refuse("a plain name for a commit")


def test_a_tag_of_a_file_is_refused(scene: Scene) -> None:
    """A release is a commit, so that its code is known too."""
    blob = scene.repository.git("rev-parse", f"{scene.first}:dvc.lock")
    lineage = msgspec.structs.replace(make_lineage(scene.first, FIRST), commit=blob)
    tag_release(scene.repository, lineage)
    scene.refuse("it stands on a blob, not on a commit")


@pytest.mark.parametrize(("attribute", "content"), [("unmerged", b"mine"), ("inside", b"tried")])
def test_a_commit_that_was_never_the_tip_of_main_is_refused(
    scene: Scene, attribute: str, content: bytes
) -> None:
    """Not merged at all, or in the middle of a branch that was: nobody approved that model."""
    commit = getattr(scene, attribute)
    tag_release(scene.repository, make_lineage(commit, content))
    scene.refuse(f"{commit[:12]} never was the tip of the default branch")


@pytest.mark.parametrize("name", ["sha256", "md5"])
def test_the_hash_of_another_model_is_refused(scene: Scene, name: str) -> None:
    """Either of the two hashes: the commit says what its model is."""
    lineage = make_lineage(scene.first, FIRST)
    other = getattr(make_lineage(scene.second, SECOND), name)
    tag_release(scene.repository, msgspec.structs.replace(lineage, **{name: other}))
    scene.refuse(f"its model has the {name} {other}")


def test_a_message_with_another_first_line_is_refused(scene: Scene) -> None:
    """What people read there is what the document says, and no markup."""
    message = encode_message(make_lineage(scene.first, FIRST))
    _, _, document = message.partition(b"\n\n")
    lineage = make_lineage(scene.first, FIRST)
    title = b"<img src=x onerror=alert(1)> flights v1.0.0: the first release"
    tag_release(scene.repository, lineage, message=title + b"\n\n" + document)
    scene.refuse("its first line is b'<img")


def test_a_second_document_is_refused(scene: Scene) -> None:
    """A reader that takes the last would see another lineage than one that takes the first."""
    lineage = make_lineage(scene.first, FIRST)
    message = encode_message(lineage)
    document = message.partition(b"\n\n")[2]
    tag_release(scene.repository, lineage, message=message + document)
    scene.refuse("not JSON: Extra data")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"schema": 1', b'"schema": 1, "schema": 1', "the key 'schema' stands there twice"),
        (b'"schema": 1', b'"schema": 2', "no lineage of a release"),
        (b'"schema": 1', b'"schema": 1, "note": "x"', "unknown field `note`"),
        (b'"size": 5', b'"size": -5', "no lineage of a release"),
        (b'"version": "v1.0.0"', b'"version": "v1.0.0\\n"', "no lineage of a release"),
        (b'"cost": "not known here"', b'"costs": "not known here"', "`cost` is not there, without"),
        (b'"verdict": null', b'"verdict": "pass"', "`verdict` is named absent, and is not"),
        (b'"waiver": null', b'"waiver": {}', "no lineage of a release"),
        (b'"sources": {}', b'"sources": {"cost": "me"}', "a source of what is not there"),
        (b'"previous": null', b'"previous": "v0.9.0"', "previous version contradict"),
    ],
)
def test_a_document_of_another_form_is_refused(
    scene: Scene, old: bytes, new: bytes, reason: str
) -> None:
    """Every field as we write it, once, and a reason for each that is not known."""
    lineage = make_lineage(scene.first, FIRST)
    message = encode_message(lineage)
    assert message.count(old) == 1
    tag_release(scene.repository, lineage, message=message.replace(old, new))
    scene.refuse(reason)


def test_a_waived_verdict_without_its_waiver_is_refused(scene: Scene) -> None:
    """Somebody answered for it, and the tag says who."""
    lineage = make_lineage(scene.first, FIRST)
    absent = {name: reason for name, reason in lineage.absent.items() if name != "verdict"}
    lied = msgspec.structs.replace(lineage, verdict="waived", absent=absent)
    tag_release(scene.repository, lied)
    scene.refuse("its verdict and its waiver contradict")


def test_a_pass_of_no_statement_is_refused(scene: Scene) -> None:
    """Git holds no verdict: who says pass names the statement that says it."""
    lineage = make_lineage(scene.first, FIRST)
    absent = {name: reason for name, reason in lineage.absent.items() if name != "verdict"}
    tag_release(scene.repository, msgspec.structs.replace(lineage, verdict="pass", absent=absent))
    scene.refuse("its verdict is a pass, and of no statement")


def test_a_message_that_is_too_large_is_refused(scene: Scene) -> None:
    """Before it is parsed."""
    lineage = make_lineage(scene.first, FIRST)
    message = encode_message(lineage) + b" " * 2**18
    tag_release(scene.repository, lineage, message=message)
    scene.refuse("larger than|bytes")


def test_one_lie_ends_the_listing(scene: Scene) -> None:
    """With it left out, another release would be the newest."""
    tag_release(scene.repository, make_lineage(scene.first, FIRST))
    later = make_lineage(scene.second, SECOND, version="v1.1.0")
    lied = follow(later, "v1.0.0", Change.BEHAVIOUR)
    tag_release(scene.repository, lied, target=scene.first)
    with Repository(scene.repository.root) as repository:
        assert find_release(repository, MODEL_NAME, "v1.0.0").sha256
        with pytest.raises(MlgitopsError, match="its lineage is of"):
            list_releases(repository, MODEL_NAME)
