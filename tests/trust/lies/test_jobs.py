"""Runs, events and checks that are valid in form and false in what they let one believe.

Each is told to `mlgitops report` as a workflow runs it, with a report whose numbers would merge.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from integration.test_report import make_fork_run, make_scene, report, write_report
from posting import BASE, BOT, HEAD, NEWER, REPOSITORY, make_body, make_forge, own_comments
from trust.lie import check_lie

from mlgitops.rehearsal.forge import Comment, Fault, Forge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Record = Callable[[str, object], None]

_GREEN = {"success", "neutral", "skipped"}  # what GitHub takes for a required check that passed
_NAME = "mlgitops / model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the base's checkout, and a report that would merge."""
    make_scene(tmp_path)
    write_report(tmp_path, 0.9)
    return tmp_path


def edit_event(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the event's payload in place."""
    payload = json.loads((folder / "event.json").read_text())
    change(payload)
    (folder / "event.json").write_text(json.dumps(payload))


def tell(folder: Path, forge: Forge, *options: str, **how: Any) -> tuple[int, str]:  # noqa: ANN401
    """Run the command; return its exit code and all that it said, posted or printed."""
    done = report(folder, forge, *options, **how)
    bodies = [one.body for one in forge.state.comments]
    checks = [f"{one['name']}: {one['conclusion']}" for one in forge.state.checks]
    return done.returncode, "\n".join([done.stdout, done.stderr, *bodies, *checks])


def list_green(forge: Forge) -> list[str]:
    """Return the names of the checks that GitHub would take for passed."""
    return [one["name"] for one in forge.state.checks if one["conclusion"] in _GREEN]


def describe(folder: Path, *more: object) -> bytes:
    """Return the bytes that lie: the event, the report, and what else was told."""
    files = [(folder / name).read_bytes() for name in ("event.json", "report.json", "policy.yaml")]
    return b"\n".join([*files, json.dumps(more).encode()])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--compute-result", "failure"),
            "trains and compares ended with `failure` after its report",
        ),
        (("--compute-result", "cancelled"), "trains and compares ended with `cancelled`"),
        (("--compute-result", "skipped"), "trains and compares ended with `skipped`"),
        (("--compute-result", ""), "does not say how the job that trains and compares ended"),
        (("--compute-result", "Success"), "`'Success'` as how the job that trains and compares"),
        (("--publish-result", "skipped"), "The job that publishes ended with `skipped`"),
        (("--publish-result", "failure"), "The job that publishes ended with `failure`"),
        (("--publish-result", "cancelled"), "The job that publishes ended with `cancelled`"),
        (("--publish-result", ""), "does not say how the job that publishes ended"),
        (("--publish-result", "neutral"), "`'neutral'` as how the job that publishes"),
        (
            ("--publish-result", "failure", "--publish-required", "false"),
            "not known to be what this run trained",
        ),
    ],
)
def test_a_report_of_a_run_that_broke(
    folder: Path, record_property: Record, options: tuple[str, ...], reason: str
) -> None:
    """The report was handed over while all was well."""
    forge = make_forge()
    code, text = tell(folder, forge, *options)
    assert (code, list_green(forge)) == (2, [])
    check_lie(record_property, describe(folder, options), reason=reason, text=text)


def test_a_waiver_of_a_run_that_broke(folder: Path, record_property: Record) -> None:
    """What fails was waived; what broke was not."""
    write_report(folder, 0.1)
    forge = make_forge()
    forge.state.pulls[1].labels = ["accept-regression"]
    forge.state.permissions["writer"] = "write"
    forge.state.comments.append(Comment(1, 1, "writer", f"accept-regression {HEAD} needed"))
    code, text = tell(folder, forge, "--compute-result", "failure")
    assert (code, list_green(forge)) == (2, [])
    reason = "Not yet: the job that compared did not succeed"
    check_lie(record_property, describe(folder, "waived"), reason=reason, text=text)


def test_a_waiver_for_another_base(folder: Path, record_property: Record) -> None:
    """It was given for what fails on the branch that the pull request went into before."""
    write_report(folder, 0.1)
    forge = make_forge()
    pull = forge.state.pulls[1]
    pull.labels, pull.turns = ["accept-regression"], ["2026-01-01T00:00:01Z"]
    forge.state.permissions["writer"] = "write"
    forge.state.comments.append(Comment(1, 1, "writer", f"accept-regression {HEAD} needed"))
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (1, [])
    reason = "the base branch was changed after the reason was given"
    check_lie(record_property, describe(folder, "turned"), reason=reason, text=text)


def test_a_forks_run_that_broke(folder: Path, record_property: Record) -> None:
    """A model that fails leaves a run green, so a red one is not known to have judged."""
    forge = make_forge()
    make_fork_run(folder, forge, conclusion="failure")
    code, text = tell(folder, forge, event="workflow_run")
    assert (code, list_green(forge)) == (2, [])
    reason = "trains and compares ended with `failure`"
    check_lie(record_property, describe(folder, "fork"), reason=reason, text=text)


@pytest.mark.parametrize(
    ("base", "default", "name"),
    [
        ("lax", "main", f"{_NAME} into lax"),
        ("MAIN", "main", f"{_NAME} into MAIN"),
        ("refs/heads/main", "main", f"{_NAME} into refs/heads/main"),
        ("main", "develop", f"{_NAME} into main"),
        ("main2", "main", f"{_NAME} into main2"),
    ],
)
def test_a_pass_for_another_base(
    folder: Path, record_property: Record, base: str, default: str, name: str
) -> None:
    """It passes there, and its name says so; the one that the default branch requires is absent."""
    edit_event(folder, lambda payload: payload["pull_request"]["base"].update(ref=base))
    edit_event(folder, lambda payload: payload["repository"].update(default_branch=default))
    forge = make_forge()
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (0, [name])
    check_lie(record_property, describe(folder), reason=f"{name}: success", text=text)


def test_a_merge_group_of_another_branch(folder: Path, record_property: Record) -> None:
    """A queue may stand before any branch."""
    group = {"base_sha": BASE, "head_sha": HEAD, "base_ref": "refs/heads/release"}
    home = {"default_branch": "main"}
    (folder / "event.json").write_text(json.dumps({"merge_group": group, "repository": home}))
    forge = make_forge()
    code, text = tell(folder, forge, event="merge_group")
    assert (code, list_green(forge)) == (0, [f"{_NAME} into release"])
    check_lie(record_property, describe(folder), reason="into release: success", text=text)


def test_the_event_of_a_base_that_was_changed(folder: Path, record_property: Record) -> None:
    """The run was started before the pull request turned to main, and ends after it."""
    edit_event(folder, lambda payload: payload["pull_request"]["base"].update(ref="lax"))
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(0, "Must not merge")))
    _, text = tell(folder, forge)
    assert own_comments(forge)[0].body == make_body(0, "Must not merge")
    check_lie(record_property, describe(folder, "turned"), reason="comment stale", text=text)


def test_a_policy_that_asks_for_nothing(folder: Path, record_property: Record) -> None:
    """Whatever the numbers, nothing of them was judged."""
    (folder / "policy.yaml").write_text("version: 1\n")
    forge = make_forge()
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    reason = f"{_NAME}: action_required"
    check_lie(record_property, describe(folder), reason=reason, text=text)


@pytest.mark.parametrize(
    ("newer", "older", "left", "reason"),
    [
        ((2, 1), (1, 1), "both", "comment superseded"),
        ((2, 1), (1, 2), "check", "a newer run than 1 has reported on aaaaaaaaaaaa"),
        ((2, 2), (2, 1), "check", "a newer run than 2 has reported on aaaaaaaaaaaa"),
        ((10, 1), (9, 1), "comment", "comment superseded"),
    ],
)
def test_an_older_run_that_is_started_again(
    folder: Path,
    record_property: Record,
    *,
    newer: tuple[int, int],
    older: tuple[int, int],
    left: str,
    reason: str,
) -> None:
    """Its numbers were true once; a newer run has found worse ones since."""
    forge = make_forge()
    write_report(folder, 0.1)
    tell(folder, forge, run=newer[0], attempt=newer[1])
    if left == "check":
        forge.state.comments.clear()
    if left == "comment":
        forge.state.checks.clear()
    write_report(folder, 0.9)
    code, text = tell(folder, forge, run=older[0], attempt=older[1])
    assert (code, list_green(forge)) == (2, [])
    check_lie(record_property, describe(folder, newer, older, left), reason=reason, text=text)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NEWER, f"`policy.yaml` changed on `main` in {NEWER[:12]} since {BASE[:12]}"),
        (None, f"`policy.yaml` changed on `main` since {BASE[:12]}"),
    ],
)
def test_a_pass_by_a_policy_of_the_past(
    folder: Path, record_property: Record, now: str | None, reason: str
) -> None:
    """The base's commit had this policy; its branch has another, or none."""
    forge = make_forge()
    forge.find_change = lambda rev, _path: now if rev == "refs/heads/main" else HEAD
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    check_lie(record_property, describe(folder, now), reason=reason, text=text)


def test_a_pass_by_a_policy_that_its_link_left(folder: Path, record_property: Record) -> None:
    """On the base branch the link leads to other rules by now; those that judged stayed."""
    (folder / "rules.yaml").write_text((folder / "policy.yaml").read_text())
    (folder / "policy.yaml").unlink()
    (folder / "policy.yaml").symlink_to("rules.yaml")
    forge, anew = make_forge(), ("refs/heads/main", "policy.yaml")
    forge.find_change = lambda *asked: NEWER if asked == anew else HEAD
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    reason = f"`policy.yaml` changed on `main` in {NEWER[:12]} since {BASE[:12]}"
    check_lie(record_property, describe(folder, "link"), reason=reason, text=text)


def test_a_policy_that_no_commit_holds(folder: Path, record_property: Record) -> None:
    """It lies in the checkout, and the repository does not know of it."""
    forge = make_forge()
    forge.find_change = lambda _rev, _path: None
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    reason = f"the repository has no `policy.yaml` at {BASE[:12]}"
    check_lie(record_property, describe(folder, "no commit"), reason=reason, text=text)


def test_an_answer_that_names_no_commit(folder: Path, record_property: Record) -> None:
    """The list of commits is there, and what it lists is none."""
    forge = make_forge()
    forge.find_change = lambda _rev, _path: "main"
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    reason = "the list of commits is not what GitHub sends"
    check_lie(record_property, describe(folder, "main"), reason=reason, text=text)


def test_an_api_that_will_not_say(folder: Path, record_property: Record) -> None:
    """Refused is not the same as unchanged."""
    asks = f"/repos/{REPOSITORY}/commits"
    forge = make_forge(fault=lambda _, path: Fault(status=403) if path == asks else None)
    code, text = tell(folder, forge)
    assert (code, list_green(forge)) == (2, [])
    reason = "GitHub was asked for the newest policy of the base, and did not tell: 403 injected"
    check_lie(record_property, describe(folder, 403), reason=reason, text=text)
