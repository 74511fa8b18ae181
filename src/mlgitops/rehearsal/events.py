"""The events of GitHub that start a rehearsal's workflow, with what a workflow reads of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.repository import Change


def write_event(scratch: Path, payload: dict[str, object]) -> Path:
    """Write the payload of an event, and return its file."""
    event = scratch / "event.json"
    event.write_text(json.dumps(payload), encoding="utf-8")
    return event


def build_pull_event(repository: str, change: Change, number: int) -> dict[str, object]:
    """Build the part of a `pull_request` payload that a workflow reads."""
    origins = {
        "base": (repository, *change.base),
        "head": (change.fork or repository, *change.head),
    }
    sides = {
        name: {"ref": branch, "sha": sha, "repo": {"full_name": full_name}}
        for name, (full_name, branch, sha) in origins.items()
    }
    return {
        "action": "synchronize",
        "number": number,
        "repository": {"full_name": repository, "default_branch": change.default_branch},
        "pull_request": {
            "number": number,
            "title": change.title,
            "body": change.body,
            "state": "open",
            "draft": False,
            "merged": False,
            "user": {"login": "rehearsal"},
            **sides,
        },
    }


def build_group_event(repository: str, change: Change, ref: str, sha: str) -> dict[str, object]:
    """Build the part of a `merge_group` payload that a workflow reads; ``ref`` is the group's.

    Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#merge_group
    """
    return {
        "action": "checks_requested",
        "repository": {"full_name": repository, "default_branch": change.default_branch},
        "merge_group": {
            "head_sha": sha,
            "head_ref": ref,
            "base_sha": change.base[1],
            "base_ref": f"refs/heads/{change.base[0]}",
        },
    }
