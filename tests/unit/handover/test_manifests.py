"""Directory manifests from a pull request: plain ones are read, every odd one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.handover import manifests
from mlgitops.handover.claims import check_result_path, hash_directory
from mlgitops.handover.commit import authorize
from mlgitops.handover.manifests import parse_manifest

OID = "0123456789abcdef0123456789abcdef"


def entry(path: object = "a.txt", oid: object = OID) -> dict[str, object]:
    """Make one entry."""
    return {"md5": oid, "relpath": path}


def encode(*entries: object) -> bytes:
    """Write a manifest."""
    return json.dumps(entries).encode()


#: Paths that no directory may list.
BAD_PATHS: list[str] = [
    *("", "/", "/etc/passwd", "..", "../a", "a/..", "a/../b", "a/../../b", ".", "./a", "a/."),
    *("a//b", "a/", "//a", "a\\b", "..\\a", "C:/a", "C:a", "a\0b", "a\nb", "a\tb", "a\x7fb"),
    *(".git/config", "a/.git/hooks/x", ".GIT/config", ".Git", ".github/workflows/x.yml"),
    *(".dvc/config", "a/.DVC/x", ".gitattributes", ".gitmodules", "x/.gitignore"),
    *("a ", " a", "a./b", "a.", "a /b", "e\u0301.txt", "a\u202eb", "a\u200bb", "a\ufeff"),
    *("a*b", "a?b", "a|b", 'a"b', "a<b", "a>b", "a" * 501, "\ud800"),
]
_NO_PATHS: list[object] = [None, 1, True, [], {}]
#: Whole manifests that are refused for their form.
BAD_MANIFESTS = [
    *(b"", b"{}", b"null", b"1", b'"a"', b"[", b"[1]", b"[null]", b"[[]]", b"\xff", b"[NaN]"),
    b"[" * 100 + b"]" * 100,
    b'[{"md5": "' + OID.encode() + b'"}]',
    b'[{"relpath": "a"}]',
    b'[{"md5": "' + OID.encode() + b'", "md5": "' + OID.encode() + b'", "relpath": "a"}]',
    encode({**entry(), "size": 1}),
    *(encode(entry(oid=oid)) for oid in (None, 1, "", "x", OID[:-1], OID + "0", OID.upper())),
    *(encode(entry(oid=oid)) for oid in (f"{OID}.dir", f"{OID}\n", f"../{OID[3:]}")),
    *(encode(entry(path)) for path in _NO_PATHS),
    encode(entry("a"), entry("a")),
    encode(entry("a"), entry("A")),
    encode(entry("stra\u00dfe"), entry("strasse")),
    encode(entry("a"), entry("a/b")),
    encode(entry("A/b"), entry("a")),
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    """Nothing that leaves the directory, or means something to git, DVC or a file system."""
    with pytest.raises(MlgitopsError):
        parse_manifest(encode(entry("fine.txt"), entry(path)), "parts")


@pytest.mark.parametrize("data", BAD_MANIFESTS, ids=range(len(BAD_MANIFESTS)))
def test_a_manifest_of_another_form_is_refused(data: bytes) -> None:
    """Exactly a list of `md5` and `relpath`, each file once."""
    with pytest.raises(MlgitopsError):
        parse_manifest(data, "parts")


def test_sizes_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many entries, or too many bytes, are refused before anything is built from them."""
    many = encode(*(entry(f"{number}.txt") for number in range(4)))
    assert len(parse_manifest(many, "parts")) == 4
    monkeypatch.setattr(manifests, "MAX_ENTRIES", 3)
    with pytest.raises(MlgitopsError, match="over 3 files"):
        parse_manifest(many, "parts")
    with pytest.raises(MlgitopsError, match="bytes are more than"):
        parse_manifest(b" " * (manifests.MAX_MANIFEST_BYTES + 1), "parts")


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda path: encode(entry(path))))
def test_anything_is_read_or_refused(data: bytes) -> None:
    """No traceback; what is read stays inside."""
    try:
        found = parse_manifest(data, "parts")
    except MlgitopsError:
        return
    for path, _ in found:
        assert not path.startswith("/")
        assert ".." not in path.split("/")


@pytest.mark.parametrize(
    "path",
    [
        *("dvc.yaml", "dvc.lock", "policy.yaml", "params.yaml", "a/policy.yaml", "contract.yaml"),
        *(
            "src/x.json",
            "SRC/x.json",
            "tests/x.csv",
            "deploy/staging/x.json",
            "requirements/ci.txt",
        ),
        *(".github/workflows/x.yml", ".gitignore", ".dvc/config", "a/.hidden", "x.py", "a/x.PY"),
        *("run.sh", "Makefile", "Dockerfile", "CODEOWNERS", "docs/CODEOWNERS", "x.toml", "x.dvc"),
        *("trusted_types.txt", "../x.json", "/x.json", "uv.lock", "a/x.yml"),
    ],
)
def test_code_and_rules_never_enter_the_commit(path: str) -> None:
    """Whatever dvc.yaml declares."""
    with pytest.raises(MlgitopsError):
        check_result_path(path)


@pytest.mark.parametrize(
    "path", ["MODEL_CARD.md", "reports/metrics.json", "reports/plots", "model/model.json"]
)
def test_results_may(path: str) -> None:
    """What the generated project declares."""
    check_result_path(path)


def test_a_directory_is_named_as_dvc_names_it() -> None:
    """Against dvc-data's own tree."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    entries = [
        ("b/a.csv", OID),
        ("a.csv", OID[::-1]),
        ("b.csv", OID),
        ("b-c/a.csv", OID),
        ("\u00e9.csv", OID),
    ]
    tree: Any = Tree()  # type: ignore[no-untyped-call]
    for path, oid in entries:
        tree.add(tuple(path.split("/")), None, HashInfo("md5", oid))
    tree.digest()
    assert hash_directory(entries) == tree.hash_info.value


def test_the_token_goes_to_its_own_server_alone() -> None:
    """By variables of git, beside those that were there; never to a server without TLS."""
    environ = {"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.com"}
    authorize(environ)
    assert environ["GIT_CONFIG_COUNT"] == "1"
    assert environ["GIT_CONFIG_KEY_0"] == "http.https://github.com/.extraheader"
    authorize(environ)
    assert environ["GIT_CONFIG_COUNT"] == "2"
    for other in ({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "http://github.com"}, {}):
        before = dict(other)
        authorize(other)
        assert other == before
