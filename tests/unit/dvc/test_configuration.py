"""`.dvc/config` from a pull request: an allow-list, read as DVC reads it, held against the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from configobj import ConfigObj
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.dvc.configuration import (
    ALLOWED_CORE,
    ALLOWED_REMOTE,
    check_config,
    check_tracked,
    parse_config,
)
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REMOTE = "['remote \"s\"']\nurl = s3://b\nverify = true\n"
CORE = "[core]\nremote = s\n"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[core]\nremote = s\nanalytics = false\nautostage = true\n" + REMOTE, 0),
        ("# said\n\n" + REMOTE.replace("\n", "\r\n"), 0),
        (REMOTE + "region = eu-central-1\nversion_aware = true\n", 0),
        (REMOTE.replace("verify = true\n", ""), 1),
        (REMOTE.replace("true", "false"), 1),
        (REMOTE + "password = x\n", 1),
        (REMOTE + "ask_password = true\nkeyfile = /x\ncredentialpath = y\n", 3),
        ("[cache]\ndir = /x\ntype = symlink\n", 2),
        ("[core]\nsite_cache_dir = /x\nno_scm = true\n", 2),
        ("[db]\nurl = x\n", 1),
        ("[exp]\ncode = x\n", 1),
        ("[hydra]\nenabled = true\nplugins_path = x\n", 2),
        ("[plots]\nhtml_template = x\n", 1),
        ("nonsense", 1),
        ("[core]\n[core]\n", 1),
        ("[core]\n[CORE]\n", 1),
        (REMOTE + "url = s3://c\n", 1),
        (REMOTE + "URL = s3://c\n", 1),
        ("analytics = true\n", 1),
        (REMOTE.replace("s3://b", "s3://b # c"), 1),
        (REMOTE.replace("s3://b", "'s3://b'"), 1),
        (REMOTE.replace("s3://b", "s3://b, s3://c"), 1),
        (REMOTE.replace("s3://b", "%(verify)s"), 1),
        ("[remote]\n[[s]]\nurl = x\n", 1),
        (REMOTE + "\x0bpassword = x\n", 1),
        ("\ufeff" + REMOTE, 3),
        (REMOTE + "region = eu\u200b\n", 1),
    ],
)
def test_a_committed_configuration_has_an_allow_list(text: str, count: int) -> None:
    """Only settings that start no program and read nowhere else, in a form that hides nothing."""
    assert len(check_config(text.encode())) == count


@pytest.mark.parametrize("data", [b"\xff", b"# " + b"x" * 70_000])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    """Bytes that are not UTF-8, and a file that is far too large, are one mistake."""
    assert len(check_config(data)) == 1


def list_settings() -> Iterator[tuple[str, str]]:
    """Yield (section, key) of everything that DVC's own schema knows."""
    from dvc.config_schema import (
        REMOTE_SCHEMAS,
        SCHEMA,
    )

    def names(schema: Any) -> set[str]:  # noqa: ANN401 - voluptuous takes anything
        return {str(getattr(key, "schema", key)) for key in schema}

    for section, schema in SCHEMA.items():
        if section == "remote":
            kinds = [kind for kind in REMOTE_SCHEMAS if kind != "remote"]
            keys = set().union(*(names(REMOTE_SCHEMAS[kind]) for kind in kinds))
            yield from (("'remote \"s\"'", key) for key in keys)
        elif section in {"machine", "db"}:
            inner = next(iter(schema.values()))
            yield from ((f"'{section} \"x\"'", key) for key in names(inner))
        else:
            known = getattr(schema, "schema", schema)
            yield from ((section, key) for key in names(known))


def test_every_other_setting_of_dvc_is_refused(
    record_property: Callable[[str, object], None],
) -> None:
    """Of all that DVC's schema knows, exactly the allow-list passes."""
    settings = sorted(set(list_settings()))
    record_property("cases", len(settings))
    assert len(settings) > 120
    passed = {
        (section, key)
        for section, key in settings
        if not any(
            f"`{key}` in" in error.what
            for error in check_config(f"[{section}]\n{key} = 1\n".encode())
        )
    }
    allowed = {("core", key) for key in ALLOWED_CORE}
    allowed |= {("'remote \"s\"'", key) for key in ALLOWED_REMOTE}
    assert passed == allowed


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (CORE + REMOTE, None),
        (CORE + REMOTE + "region = eu-west-1\n", None),
        ("[core]\nremote = s\nautostage = true\n" + REMOTE, None),
        (CORE + REMOTE + "['remote \"t\"']\nurl = gs://t\nverify = true\n", None),
        (CORE + REMOTE.replace("s3://b", "s3://c"), "`url` of the remote `s` is s3://c"),
        (CORE + REMOTE + "endpointurl = http://x\n", "`endpointurl` of the remote `s`"),
        (CORE + REMOTE + "user = x\n", "`user` of the remote `s`"),
        (CORE + REMOTE + "port = 2222\n", "`port` of the remote `s`"),
        (CORE + "['remote \"S\"']\nurl = s3://c\nverify = true\n", "`url` of the remote `s`"),
        (
            "[core]\nremote = t\n" + REMOTE + "['remote \"t\"']\nurl = gs://t\nverify = true\n",
            "the default remote is `t`",
        ),
    ],
)
def test_the_address_is_that_of_the_base(head: str, what: str | None) -> None:
    """A remote that moves, or a default that the base does not have, is a mistake."""
    found = check_config(head.encode(), (CORE + REMOTE).encode())
    assert [what or ""] * len(found) == [error.what[: len(what or "")] for error in found]
    assert len(found) == (what is not None)


@pytest.mark.parametrize(
    "path", [".dvc/config.local", ".dvc/cache/files/md5/00/11", ".DVC/Config.Local", ".dvc/tmp/x"]
)
def test_files_of_one_machine_are_not_committed(path: str) -> None:
    """DVC would take them for settings of the machine that runs; case does not hide them."""
    (mistake,) = check_tracked([".dvc/config", ".dvc/.gitignore", path, "src/.dvc/config"])
    assert mistake.where == path
    assert "DVC's own files of one machine are not committed" in mistake.what


def test_a_storage_moves_in_two_steps() -> None:
    """First a remote beside the old one; once that is the base, it may become the default."""
    both = REMOTE + "['remote \"t\"']\nurl = gs://t\nverify = true\n"
    first, second = CORE + both, "[core]\nremote = t\n" + both
    assert check_config(first.encode(), (CORE + REMOTE).encode()) == []
    assert check_config(second.encode(), first.encode()) == []
    assert check_config(second.encode(), (CORE + REMOTE).encode())


_PARTS = ["[core]", "['remote \"s\"']", "url = s3://b", "remote = s", "  verify = true", "# x"]
_PARTS += [
    "",
    "[cache]",
    "dir = /x",
    "\turl = y",
    "url = 'a'",
    "url = a, b",
    "x",
    "[[s]]",
    "a = '''",
]
_LINES = st.one_of(st.sampled_from(_PARTS), st.text(st.characters(codec="utf-8"), max_size=20))


@given(st.lists(_LINES, max_size=8))
def test_what_passes_is_read_alike_by_dvc(lines: list[str]) -> None:
    """Where our reader takes a text, ConfigObj, which DVC uses, finds exactly the same in it."""
    text = "\n".join(lines)
    try:
        ours = parse_config(text.encode())
    except MlgitopsError:
        return
    theirs = ConfigObj(text.split("\n")).dict()
    assert {
        section.lower(): {key.lower(): value for key, value in keys.items()}
        for section, keys in theirs.items()
    } == ours
