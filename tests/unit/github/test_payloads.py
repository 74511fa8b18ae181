"""What GitHub sends is read in one module, and only what is needed of it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlgitops.github
from mlgitops.errors import MlgitopsError
from mlgitops.github import payloads
from mlgitops.github.client import GitHubError
from mlgitops.github.payloads import (
    Comment,
    Pull,
    PullEvent,
    parse_answer,
    parse_event_payload,
)

if TYPE_CHECKING:
    import msgspec

FOLDER = Path(mlgitops.github.__file__).parent
SIDE = {"sha": "4ead" * 10, "ref": "change", "repo": None, "label": "octo:change"}
FORMS = [
    form
    for form in vars(payloads).values()
    if isinstance(form, type) and issubclass(form, payloads.Payload)
]


def test_no_other_module_parses_what_github_sends() -> None:
    """One form for each thing, and one sentence for what is wrong with it."""
    texts = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.py")}
    assert {name for name, text in texts.items() if "not what GitHub sends" in text} == {
        "payloads.py"
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_field_that_github_adds_is_ignored(form: type[msgspec.Struct]) -> None:
    """A new field breaks no form."""
    assert not form.__struct_config__.forbid_unknown_fields
    assert len(FORMS) > 20


@pytest.mark.parametrize("field", ["state", "number", "base", "head"])
def test_the_api_describes_a_pull_request_in_full(field: str) -> None:
    """A server that does not say "open" must not be taken for one that does."""
    answer = {"number": 7, "state": "open", "base": SIDE, "head": SIDE}
    assert parse_answer(answer, Pull).head.ref == "change"
    del answer[field]
    with pytest.raises(GitHubError, match=f"the answer is not what GitHub sends: .*`{field}`"):
        parse_answer(answer, Pull)


def test_a_comment_of_an_account_without_a_number_is_read() -> None:
    """Gitea lists comments of deleted accounts by the number -1."""
    answer = {"id": 3, "user": {"id": -1, "login": "Ghost"}, "body": "x"}
    comment = parse_answer(answer, Comment)
    assert comment.user is not None
    assert comment.user.login == "Ghost"


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"pull_request": 1}', b"[" * 100_000])
def test_an_event_that_is_none_is_an_error_to_act_on(data: bytes) -> None:
    """Never a traceback."""
    with pytest.raises(MlgitopsError, match="the event is not what GitHub sends: "):
        parse_event_payload(data, PullEvent)
