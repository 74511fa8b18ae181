"""Tests of .dvcignore: the files that DVC leaves out of a folder are those that we leave out."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.dvc.ignore import IgnoreRules

_PIECES = st.sampled_from(["a", "b", "*", "?", "/", ".py", "[ab]", "\\*", "c", " ", "[a-c]"])
_PATTERNS = st.builds(
    lambda negated, pieces: negated + "".join(pieces).strip(),
    st.sampled_from(["", "", "!"]),
    st.one_of(
        st.lists(_PIECES, min_size=1, max_size=6),
        st.lists(st.sampled_from(["**/", "a", "b/", "/c", "/**/", "*"]), min_size=1, max_size=4),
    ),
)
_NAMES = st.sampled_from(["a", "b", "c", "a.py", "ab", "abc", "*", "a b"])


def is_plain(pattern: str) -> bool:
    """Leave out what git itself gives no meaning to: `***`, `//`, nothing but wildcards."""
    odd = "***" in pattern or "//" in pattern or pattern.endswith("**/")
    return not odd and bool(pattern.strip("!/* "))


@given(st.lists(_PATTERNS.filter(is_plain), max_size=4), st.lists(_NAMES, min_size=1, max_size=4))
def test_what_is_left_out_is_what_dvc_leaves_out(patterns: list[str], parts: list[str]) -> None:
    """The same answer as DVC's own reader, for every file."""
    from dvc.ignore import DvcIgnorePatterns

    path, lines = "/".join(parts), [line for line in patterns if not line.startswith("#")]
    theirs = DvcIgnorePatterns(lines, "/root", "/")
    folder, name = posixpath.split(f"/root/{path}")
    ours = IgnoreRules([".dvcignore"], lambda _: "\n".join(lines).encode())
    assert ours.leaves_out(path) == theirs.matches(folder, name)


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("x.tmp", True),
        ("a/x.tmp", True),
        ("a/keep.tmp", False),
        ("a/deep/keep.tmp", False),
        ("b/keep.tmp", True),
        ("a/only/here", True),
        ("only/here", False),
        (".dvc/config", True),
        ("a/.dvc/config", True),
        ("a/x.py", False),
    ],
)
def test_each_folder_adds_its_own_rules(path: str, left_out: bool) -> None:
    """An inner file is asked last and speaks of its own folder; DVC's own files are never seen."""
    texts = {".dvcignore": b"*.tmp\n", "a/.dvcignore": b"# a note\n\n!keep.tmp\n/only/\n"}
    rules = IgnoreRules([*texts, "a/x.py"], texts.get)
    assert rules.leaves_out(path) == left_out


def test_many_wildcards_are_answered() -> None:
    """A pattern that a careless reader would try in every way, for ages, has an answer."""
    rules = IgnoreRules([".dvcignore"], lambda _: b"a*" * 40 + b"b\n" + b"**/a/" * 40 + b"b\n")
    assert not rules.leaves_out("a" * 400)
    assert not rules.leaves_out("/".join("a" * 100))
