"""Which revision of a source is the newest by the rule that the imports follow; what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.updating.imports import Followed, Import
from mlgitops.updating.source import (
    check_settings,
    count_commits,
    fetch_source,
    find_named,
    find_newest,
    find_transport,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.updating.source import Newest


@pytest.fixture
def source(tmp_path: Path) -> GitRepository:
    """Return a source with v1.0.0 on main."""
    made = GitRepository(tmp_path / "features")
    made.put("contract.yaml", "columns: {}\n")
    made.commit("First")
    made.git("tag", "v1.0.0")
    return made


def follow(source: GitRepository, revision: str | None, commit: str | None = None) -> Followed:
    """Describe an import that follows a revision, as it was when it is now, or at ``commit``."""
    sha = commit or source.git("rev-parse", f"{revision or 'HEAD'}^{{commit}}")
    item = Import(
        file="data/raw/table.csv.dvc",
        path="data/raw/table.csv",
        origin="table.csv",
        repository=str(source.root),
        revision=revision,
        commit=sha,
    )
    return Followed(repository=str(source.root), revision=revision, imports=(item,))


def find(followed: Followed) -> Newest | None:
    """Ask the source."""
    with fetch_source(followed.repository) as bare:
        return find_newest(bare, followed)


def name(source: GitRepository, revision: str) -> Newest:
    """Ask the source for a revision that somebody names."""
    with fetch_source(str(source.root)) as bare:
        return find_named(bare, revision, str(source.root))


def put_tags(source: GitRepository, *tags: str) -> str:
    """Commit once more, and tag that; return the commit."""
    sha = source.commit(" ".join(tags))
    for tag in tags:
        source.git("tag", tag)
    return sha


def test_the_highest_version_is_taken(source: GitRepository) -> None:
    """By numbers, not by letters or time; and what is no release, or of another form, is none."""
    put_tags(source, "v1.10.0")
    put_tags(source, "v1.9.0", "v0.9.9")
    put_tags(source, "v2.0.0-rc1", "v2.0.0+build", "2.0.0", "other@v3.0.0", "v3.0", "v03.0.0")
    newest = find(follow(source, "v1.0.0"))
    assert newest is not None
    assert (newest.revision, newest.stray) == ("v1.10.0", ())
    assert newest.commit == source.git("rev-parse", "v1.10.0")


def test_an_annotated_tag_is_its_commit(source: GitRepository) -> None:
    """A tag of a tag, too."""
    sha = source.commit("Second")
    source.git("tag", "--annotate", "--message", "Better", "v1.1.0-rc1")
    source.git("tag", "--annotate", "--message", "Release", "v1.1.0", "v1.1.0-rc1")
    followed = follow(source, "v1.0.0")
    newest = find(followed)
    assert newest is not None
    assert (newest.revision, newest.commit) == ("v1.1.0", sha)
    early = find(follow(source, "v1.1.0-rc1"))
    assert early is not None
    assert early.revision == "v1.1.0"


@pytest.mark.parametrize("stem", ["table@v", "features-", ""])
def test_tags_of_the_same_form_count(source: GitRepository, stem: str) -> None:
    """A source may make several tables, each with tags of its own."""
    put_tags(source, f"{stem}1.0.0")
    put_tags(source, f"{stem}1.0.1")
    put_tags(source, "v9.0.0", "another@v9.0.0")
    newest = find(follow(source, f"{stem}1.0.0"))
    assert newest is not None
    assert newest.revision == f"{stem}1.0.1"


def test_a_branch_is_its_tip(source: GitRepository) -> None:
    """The named one, or the default one; tags say nothing then."""
    source.git("branch", "stable")
    first, tip = source.git("rev-parse", "stable"), put_tags(source, "v9.0.0")
    newest = [find(follow(source, revision)) for revision in ("stable", None)]
    assert [(it.revision, it.commit) for it in newest if it] == [("stable", first), (None, tip)]


def test_a_commit_and_a_tag_without_a_version_stay(source: GitRepository) -> None:
    """There is no rule that names a newer one."""
    sha = put_tags(source, "snapshot", "v1.0", "2024.01.01")
    put_tags(source, "v9.0.0", "v1.1", "2024.02.01")
    for revision in (sha, sha[:9], "snapshot", "v1.0", "2024.01.01"):
        assert find(follow(source, revision)) is None


@pytest.mark.parametrize("length", [7, 12, 40])
def test_a_commit_stays_when_a_branch_takes_its_name(source: GitRepository, length: int) -> None:
    """Somebody pinned it by hand; whoever may push to the source cannot move that."""
    sha = source.git("rev-parse", "HEAD")
    tip = source.commit("Another")
    source.git("update-ref", f"refs/heads/{sha[:length]}", tip)
    assert find(follow(source, sha[:length], sha)) is None


def test_a_tag_that_was_moved_is_refused(source: GitRepository) -> None:
    """Whatever else is newer: somebody said one thing and says another."""
    before = source.git("rev-parse", "v1.0.0")
    put_tags(source, "v1.1.0")
    source.git("tag", "--force", "v1.0.0")
    with pytest.raises(MlgitopsError, match=rf"the tag v1\.0\.0 was moved: it was {before[:12]}"):
        find(follow(source, "v1.0.0", before))
    assert name(source, "v1.1.0").revision == "v1.1.0"


def test_a_tag_that_no_branch_holds_is_left_out(source: GitRepository) -> None:
    """Such as one that was made of a fork's commit; it is named, and somebody may take it."""
    first, second = source.git("rev-parse", "HEAD"), put_tags(source, "v1.1.0")
    source.git("checkout", "--quiet", "--detach", first)
    stray = put_tags(source, "v1.2.0")
    source.git("checkout", "--quiet", "main")
    newest = find(follow(source, "v1.0.0"))
    assert newest is not None
    assert (newest.revision, newest.commit, newest.stray) == ("v1.1.0", second, ("v1.2.0",))
    assert name(source, "v1.2.0").commit == stray


def test_a_commit_of_a_fork_is_refused(source: GitRepository) -> None:
    """GitHub shows it under the source's own address; no branch or tag holds it."""
    source.git("checkout", "--quiet", "--detach")
    fork = source.commit("Fork")
    source.git("update-ref", "refs/pull/7/head", fork)
    source.git("checkout", "--quiet", "main")
    with pytest.raises(MlgitopsError, match="no branch or tag of the source holds this commit"):
        name(source, fork)
    assert name(source, source.git("rev-parse", "main")).commit == source.git("rev-parse", "main")


@pytest.mark.parametrize(
    "revision", ["--upload-pack=touch owned", "-x", "v1.0.0^", "main..v1.0.0", "a b", "", "HEAD~1"]
)
def test_what_is_no_name_is_refused(source: GitRepository, revision: str) -> None:
    """Options, ranges, and what git would compute are no names of a branch or a tag."""
    with pytest.raises(MlgitopsError, match="no branch or tag of this name"):
        name(source, revision)


def test_a_branch_with_the_name_of_the_tag_is_refused(source: GitRepository) -> None:
    """Programs differ in which they take."""
    source.git("branch", "v1.0.0")
    with pytest.raises(MlgitopsError, match="it is a branch and a tag there"):
        find(follow(source, "v1.0.0", source.git("rev-parse", "refs/tags/v1.0.0")))


def test_a_revision_that_is_gone(source: GitRepository) -> None:
    """It was deleted there, so nobody knows what is newer."""
    followed = follow(source, "v1.0.0")
    source.git("tag", "--delete", "v1.0.0")
    with pytest.raises(MlgitopsError, match="no branch or tag of this name"):
        find(followed)


@pytest.mark.parametrize(
    ("address", "transport"),
    [
        ("https://github.com/acme/features", "https"),
        ("ssh://git@github.com/acme/features", "ssh"),
        ("git@github.com:acme/features.git", "ssh"),
        ("/srv/features", "file"),
        ("file:///srv/features", "file"),
    ],
)
def test_the_transport_of_an_address(address: str, transport: str) -> None:
    """Each form that git and DVC read."""
    assert find_transport(address) == transport


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c 'touch owned'",
        "fd::17",
        "../features",
        "features",
        "--upload-pack=touch owned",
        "ftp://example.org/features",
        "-oProxyCommand=touch:owned",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    """A helper that git would start, an option, and what is another folder on each machine."""
    with pytest.raises(MlgitopsError, match="no address that everybody has"), fetch_source(address):
        raise AssertionError(address)


def test_a_source_that_is_gone(tmp_path: Path) -> None:
    """Git's own words stand in the message."""
    with (
        pytest.raises(MlgitopsError, match="does not appear to be a git repository"),
        fetch_source(str(tmp_path / "nothing")),
    ):
        raise AssertionError


def test_commits_between(source: GitRepository) -> None:
    """None where the first was rewritten."""
    first = source.git("rev-parse", "HEAD")
    last = [source.commit(str(number)) for number in range(3)][-1]
    with fetch_source(str(source.root)) as bare:
        assert count_commits(bare, first, last) == 3
        assert count_commits(bare, last, first) is None
        assert count_commits(bare, "1" * 40, last) is None


def test_own_settings_may_rewrite_an_address(
    source: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those do that read GitHub by SSH; but to no helper that git would start."""
    address = "https://features.invalid/acme"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", address)
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{source.root}.insteadOf")
    with fetch_source(address) as bare:
        assert find_named(bare, "v1.0.0", address).revision == "v1.0.0"
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.ext::false.insteadOf")
    with pytest.raises(MlgitopsError, match="no address that everybody has"), fetch_source(address):
        raise AssertionError


def test_no_other_transport_than_that_of_the_address(
    source: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever git itself is told in between: each of its programs has the one alone."""
    asked = source.root.parent / "asked"
    asked.write_text('#!/bin/sh\nprintf "%s" "$GIT_ALLOW_PROTOCOL" > "$0.protocol"\nexit 1\n')
    asked.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(asked))
    address = "git@features.invalid:acme/features"
    with pytest.raises(MlgitopsError, match="Could not read"), fetch_source(address):
        raise AssertionError
    assert (source.root.parent / "asked.protocol").read_text() == "ssh"


@pytest.mark.parametrize("folder", ["", "teams/", "teams/flights/"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("url = s3://features\n    credentialpath = keys", "`credentialpath` of the remote `s`"),
        ("url = gs://features\n    endpointurl = https://example.org", "`endpointurl` of the"),
        ("url = https://example.org\n    ssl_verify = false", "`ssl_verify` of the remote `s`"),
        ("url = s3://features\n    profile = 'x # y'", "not a DVC configuration in its plain form"),
        ("url = s3://features\n    endpointurl = https://example.org", None),
        ("url = s3://features\n    profile = features\n    jobs = 4", None),
    ],
)
def test_settings_of_a_source_name_an_address_alone(
    source: GitRepository, folder: str, settings: str, said: str | None
) -> None:
    """DVC obeys them with our own sign-in, in any folder above what is imported."""
    source.put(
        f"{folder}.dvc/config", f"[core]\n    remote = s\n['remote \"s\"']\n    {settings}\n"
    )
    commit = source.commit("Settings")
    address, path = str(source.root), "teams/flights/table.csv"
    with fetch_source(address) as bare:
        if said is None:
            check_settings(bare, commit, [path], address)
            return
        with pytest.raises(MistakesError, match="more than fetch a table") as caught:
            check_settings(bare, commit, [path], address)
    assert said in str(caught.value)
    assert f"{folder}.dvc/config at {commit[:12]}" in str(caught.value)


def test_settings_beside_what_is_imported_do_not_count(source: GitRepository) -> None:
    """Another team's folder is none of ours."""
    source.put("other/.dvc/config", '[remote "s"]\n    url = s3://x\n    configpath = y\n')
    commit = source.commit("Settings")
    with fetch_source(str(source.root)) as bare:
        check_settings(bare, commit, ["teams/table.csv"], str(source.root))


@pytest.mark.parametrize("begin", ["", "file://"])
def test_a_source_that_sends_commits_alone_is_asked_for_its_settings(
    source: GitRepository, begin: str
) -> None:
    """As GitHub does; a repository at a path may be set up to do so, too."""
    source.git("config", "uploadpack.allowFilter", "true")
    source.put(".dvc/config", '[remote "s"]\n    url = s3://x\n    configpath = y\n')
    commit, address = source.commit("Settings"), f"{begin}{source.root}"
    with fetch_source(address) as bare, pytest.raises(MistakesError, match="configpath"):
        check_settings(bare, commit, ["table.csv"], address)
