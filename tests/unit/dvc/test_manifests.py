"""Directory manifests from a pull request: plain ones are read, every odd one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.dvc import manifests
from mlgitops.dvc.hashes import hash_directory
from mlgitops.dvc.manifests import parse_manifest
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.claims import check_result_path
from mlgitops.storage.handover.commit import authorize

OID = "0123456789abcdef0123456789abcdef"


def entry(path: object = "a.txt", oid: object = OID) -> dict[str, object]:
    """Make one entry."""
    return {"md5": oid, "relpath": path}


def encode(*entries: object) -> bytes:
    """Write a manifest."""
    return json.dumps(entries).encode()


#: Why no directory may list a path, and such paths.
BAD_PATHS: dict[str, list[str]] = {
    "is empty or too long": ["", "a" * 501],
    "is not relative, or leaves its folder": [
        *("/", "/etc/passwd", "..", "../a", "a/..", "a/../b", "a/../../b", ".", "./a", "a/."),
        *("a//b", "a/", "//a"),
    ],
    "holds a character that not every file system takes": [
        *("a\\b", "..\\a", "C:/a", "C:a", "a*b", "a?b", "a|b", 'a"b', "a<b", "a>b"),
    ],
    "holds a control or invisible character": [
        *("a\0b", "a\nb", "a\tb", "a\x7fb", "a\u202eb", "a\u200bb", "a\ufeff"),
    ],
    "leads into git's or DVC's own files": [
        *(".git/config", "a/.git/hooks/x", ".GIT/config", ".Git", ".github/workflows/x.yml"),
        *(".dvc/config", "a/.DVC/x", ".gitattributes", ".gitmodules", "x/.gitignore"),
    ],
    "has a part that ends in a dot or a blank": ["a ", " a", "a./b", "a.", "a /b"],
    "is not in Unicode's composed form": ["e\u0301.txt"],
    "text that is not Unicode: half a pair": ["\ud800"],
}
_NO_PATHS: list[object] = [None, 1, True, [], {}]
_ODD_HASHES = [None, 1, "", "x", OID[:-1], OID + "0", OID.upper(), f"{OID}.dir", f"{OID}\n"]
#: Why a whole manifest is refused for its form, and such manifests.
BAD_MANIFESTS: dict[str, list[bytes]] = {
    "not JSON: Expecting value": [b"", b"["],
    "a directory manifest is a list": [b"{}", b"null", b"1", b'"a"'],
    "an entry is not exactly `md5` and `relpath`": [
        *(b"[1]", b"[null]", b"[[]]", b"[NaN]"),
        b'[{"md5": "' + OID.encode() + b'"}]',
        b'[{"relpath": "a"}]',
        encode({**entry(), "size": 1}),
    ],
    "not UTF-8 text": [b"\xff"],
    "nested over 32 levels deep": [b"[" * 100 + b"]" * 100],
    "the key 'md5' stands there twice": [
        b'[{"md5": "' + OID.encode() + b'", "md5": "' + OID.encode() + b'", "relpath": "a"}]'
    ],
    "an entry's md5 is not 32 hex digits": [
        encode(entry(oid=oid)) for oid in [*_ODD_HASHES, f"../{OID[3:]}"]
    ],
    "an entry's relpath is not text": [encode(entry(path)) for path in _NO_PATHS],
    "two entries name the same file": [
        encode(entry("a"), entry("a")),
        encode(entry("a"), entry("A")),
        encode(entry("stra\u00dfe"), entry("strasse")),
    ],
    "one entry is a file and a folder": [
        encode(entry("a"), entry("a/b")),
        encode(entry("A/b"), entry("a")),
    ],
}


@pytest.mark.parametrize(
    ("reason", "path"),
    [(reason, path) for reason, paths in BAD_PATHS.items() for path in paths],
    ids=ascii,
)
def test_a_path_that_is_not_plain_is_refused(reason: str, path: str) -> None:
    """Nothing that leaves the directory, or means something to git, DVC or a file system."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_manifest(encode(entry("fine.txt"), entry(path)), "parts")


@pytest.mark.parametrize("reason", BAD_MANIFESTS)
def test_a_manifest_of_another_form_is_refused(reason: str) -> None:
    """Exactly a list of `md5` and `relpath`, each file once."""
    for data in BAD_MANIFESTS[reason]:
        with pytest.raises(MlgitopsError, match=reason):
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
    reason = "never committed for a run|leaves its folder|git's or DVC's own files"
    with pytest.raises(MlgitopsError, match=reason):
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
