"""The trusted half: hostile bytes, the base's policy and the event to a verdict."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace
from posting import BASE, HEAD
from waivers import make_waiver

from mlgitops.github.decision import (
    Judged,
    Undecided,
    add_obstacle,
    build_check,
    check_record,
    decide,
    name_check,
    render_body,
    render_decision,
)
from mlgitops.github.event import ComparedRun, Event, Run
from mlgitops.github.jobs import Obstacle, explain_unmeasured
from mlgitops.github.marker import find_marker
from mlgitops.model import Links, Measurement, Verdict, Waiving
from mlgitops.verification.record import Record

RUN = Run(
    repository="octo/model",
    server_url="https://github.example",
    api_url="https://github.example/api/v3",
    graphql_url=None,
    run_id=1,
    run_number=1,
    run_attempt=1,
)
EVENT = Event(
    run=RUN,
    number=1,
    base_sha=BASE,
    base_branch="main",
    default_branch="main",
    head_sha=HEAD,
    head_repository="octo/model",
)
POLICY = b"""\
version: 1
metrics:
  score: {greater_is_better: true, max_worsening: 0.01}
budgets:
  size: {max_value: 10}
"""
MARKER = '<!-- mlgitops:report {"v":1,"key":"model","sha":"%s","run":[1,1]} -->' % HEAD  # noqa: UP031
OBSTACLE = Obstacle(title="Its results were not published", text="Its job says why.")
LINKS = Links(run_url="https://github.example/run", repository_url="https://github.example/o/m")


def make_report(score: float = 0.5, **changes: Any) -> bytes:  # noqa: ANN401
    """Make a report's bytes; ``changes`` replace its fields."""
    metric = {"name": "score", "path": "m.json", "base": 0.5, "head": score, "delta": score - 0.5}
    size = {"name": "size", "path": "m.json", "base": 1.0, "head": 2.0, "delta": 1.0}
    report = {
        "schema": 1,
        "key": "model",
        "base": {"sha": BASE},
        "head": {"sha": HEAD},
        "test_data": "unknown",
        "metrics": [metric, size],
        **changes,
    }
    return json.dumps(report).encode()


@pytest.mark.parametrize(
    ("head", "verdict", "code", "conclusion"),
    [(0.6, "pass", 0, "success"), (0.4, "fail", 1, "failure")],
)
def test_the_bases_policy_decides(head: float, verdict: str, code: int, conclusion: str) -> None:
    """Verdict, exit code and the check's conclusion agree."""
    decision = decide(make_report(head), POLICY, EVENT, key="model", where="policy.yaml")
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.conclusion == conclusion


@pytest.mark.parametrize(
    ("data", "verdict", "code", "conclusion"),
    [
        (make_report(0.4), "waived", 0, "success"),
        (make_report(0.6), "pass", 0, "success"),  # nothing to waive
        (make_report(metrics=[]), "waived", 0, "success"),  # what is gone fails, and is waivable
        (None, "undecided", 2, "failure"),  # nothing is known
        (b"{", "undecided", 2, "failure"),
    ],
)
def test_a_waiver_turns_a_fail_and_nothing_else(
    data: bytes | None, verdict: str, code: int, conclusion: str
) -> None:
    """Verdict, exit code and conclusion of what a waiver of this commit was found for."""
    decision = decide(data, POLICY, EVENT, key="model", where="policy.yaml")
    waived = replace(decision, waiving=Waiving(waiver=make_waiver(sha=HEAD)))
    assert (waived.verdict, waived.exit_code, waived.conclusion) == (verdict, code, conclusion)
    body = render_decision(waived, marker=MARKER, links=LINKS, limit=60_000)
    check = build_check(waived, EVENT, key="model", body=body, policy=POLICY, where="policy.yaml")
    if verdict == "waived":
        assert check.title == "⚠️ Fails, waived by octocat: may merge"
        assert "**Fails:**" in check.summary
        assert {one.annotation_level for one in check.annotations} == {"warning"}
    refused = replace(decision, waiving=Waiving(why_not="nobody knows"))
    assert refused.verdict == decision.verdict
    assert refused.exit_code == decision.exit_code


MEASURED = {"paths": ["m.json"], "model": f"md5:{'0' * 32}", "rows": 100}


@pytest.mark.parametrize("told", [None, MEASURED, {"reason": "it is a model of no known type"}])
@pytest.mark.parametrize(
    ("evaluating", "reason"),
    [(word, explain_unmeasured(word)) for word in ("", "skipped", "failure", "Success")],
)
def test_a_measurement_is_believed_of_no_other_job(
    told: dict[str, Any] | None, evaluating: str, reason: str | None
) -> None:
    """Whatever a report says that its own run may have written, the reason for a claim is ours."""
    data = make_report(measurement=told)
    decision = decide(data, POLICY, EVENT, key="model", where="p", evaluating=evaluating)
    assert isinstance(decision, Judged)
    assert reason
    assert decision.report.measurement == Measurement(reason=reason)


@pytest.mark.parametrize("told", [MEASURED, {"reason": "it is a model of no known type"}])
def test_the_job_that_measures_is_believed(told: dict[str, Any]) -> None:
    """What it measured, or why it could not."""
    data = make_report(measurement=told)
    decision = decide(data, POLICY, EVENT, key="model", where="p", evaluating="success")
    assert isinstance(decision, Judged)
    assert (
        msgspec.to_builtins(decision.report.measurement).items()
        >= ({"paths": ("m.json",), "rows": 100} if told is MEASURED else told).items()
    )


def test_a_report_of_another_job_is_not_taken_for_measured() -> None:
    """Success of the job that measures, and the report of the one that ran the head's code."""
    decision = decide(make_report(), POLICY, EVENT, key="model", where="p", evaluating="success")
    assert isinstance(decision, Undecided)
    assert "the report is not of the job that measures with base's code" in decision.problem
    assert "needs.evaluate.outputs.artifact-id" in decision.problem


@pytest.mark.parametrize("evaluating", ["", "skipped", "failure"])
def test_a_claim_stands_beside_no_claim(evaluating: str) -> None:
    """A report that names a value of the run's own beside another one was made up."""
    claimed = {"base": 0.5, "head": 0.6, "delta": 0.6 - 0.5, "head_claimed": 0.4}
    metric = {"name": "score", "path": "m.json", **claimed}
    data = make_report(metrics=[metric], measurement=MEASURED)
    decision = decide(data, POLICY, EVENT, key="model", where="p", evaluating=evaluating)
    assert isinstance(decision, Undecided)
    assert "`score` has a claimed value at head, and was not measured anew" in decision.problem


def test_a_policy_can_forbid_waivers() -> None:
    """The base's word: nothing turns its fail, and the comment offers no line to copy."""
    strict = POLICY + b"waivers: forbidden\n"
    decision = decide(make_report(0.4), strict, EVENT, key="model", where="policy.yaml")
    assert not decision.waivable
    waived = replace(decision, waiving=Waiving(waiver=make_waiver(sha=HEAD)))
    assert (waived.verdict, waived.exit_code) == ("fail", 1)
    asked = replace(decision, waiving=Waiving(why_not="it is forbidden", allowed=False))
    text = render_decision(asked, marker=MARKER, links=LINKS, limit=60_000)
    assert "**Not waived:** it is forbidden." in text
    assert "Merge it all the same?" not in text


@pytest.mark.parametrize("waivers", ["allowed", "forbidden"])
def test_what_git_contradicts_keeps_nothing_of_the_judgement(waivers: str) -> None:
    """A pass ends undecided; what the policy says of waivers, and what was found, is still said."""
    rules = POLICY + b"waivers: %s\n" % waivers.encode()
    decided = decide(make_report(0.6), rules, EVENT, key="model", where="policy.yaml")
    assert isinstance(decided, Judged)
    assert decided.verdict is Verdict.PASS
    judged = replace(decided, waiving=Waiving(why_not="nothing fails"), obstacle=OBSTACLE)
    assert check_record(judged, Record(problems={"base": "a broken lock"})) == Undecided(
        problem="the report is not what git holds, so nothing of it was judged:\n"
        "  - base could not be read: a broken lock\n  hint: run the workflow again",
        waivable=waivers == "allowed",
        waiving=Waiving(why_not="nothing fails"),
    )


@pytest.mark.parametrize(
    ("score", "waiving", "verdict", "code"),
    [
        (0.6, None, "undecided", 2),
        (0.4, None, "fail", 1),
        (0.4, Waiving(waiver=make_waiver(sha=HEAD)), "undecided", 2),
    ],
)
def test_what_would_merge_is_undecided_without_its_results(
    score: float, waiving: Waiving | None, verdict: str, code: int
) -> None:
    """Publishing failed: the branch's dvc.lock is a claim that nobody verified."""
    decided = decide(make_report(score), POLICY, EVENT, key="model", where="policy.yaml")
    decision = add_obstacle(replace(decided, waiving=waiving), OBSTACLE)
    assert (decision.verdict, decision.exit_code) == (verdict, code)
    assert decision.conclusion == "failure"
    told = verdict == "undecided"
    assert (decision.title == "Its results were not published") is told
    text = render_decision(decision, marker=MARKER, links=LINKS, limit=60_000)
    assert text.startswith(f"{MARKER}\n")
    first = "**⚠️ Not yet: its results were not published.** Its job says why. By its numbers:"
    assert (text.splitlines()[1] == first) is told
    body = render_body(decision, EVENT, key="model", heads=[HEAD], where="policy.yaml")
    check = build_check(decision, EVENT, key="model", body=body, policy=POLICY, where="policy.yaml")
    assert ("Not yet" in check.summary) is told


@pytest.mark.parametrize(
    ("base", "default", "branch", "name"),
    [
        ("main", "main", "", "mlgitops / model"),
        ("lax", "main", "", "mlgitops / model into lax"),
        ("main", "develop", "", "mlgitops / model into main"),
        ("main", "develop", "main", "mlgitops / model"),
        ("develop", "develop", "main", "mlgitops / model into develop"),
        ("", "", "", "mlgitops / model into a branch that the event does not name"),
    ],
)
def test_the_required_name_is_for_one_base_alone(
    base: str, default: str, branch: str, name: str
) -> None:
    """By default that is the repository's default branch; nothing else gets its name."""
    event = replace(EVENT, base_branch=base, default_branch=default)
    assert name_check(event, key="model", branch=branch) == name


def test_the_order_of_a_forks_report_is_that_of_the_run_that_compared() -> None:
    """The run that only reports is started again by any of them, and its own number grows."""
    compared = ComparedRun(id=7, number=3, attempt=2, conclusion="success")
    event = replace(EVENT, compared=compared, run=replace(RUN, run_number=9))
    assert event.order == (3, 2)
    assert replace(event, compared=None).order == (9, 1)


def test_where_none_can_be_asked_for_the_comment_offers_none() -> None:
    """A merge group, a dry run: no waiver, no line to copy."""
    decision = decide(make_report(0.4), POLICY, EVENT, key="model", where="policy.yaml")
    text = render_decision(decision, marker=MARKER, links=LINKS, limit=60_000)
    assert "accept-regression" not in text
    offered = replace(decision, waiving=Waiving())
    text = render_decision(offered, marker=MARKER, links=LINKS, limit=60_000)
    assert f"accept-regression {HEAD}\n" in text


def test_the_reports_own_verdict_is_thrown_away() -> None:
    """A report that calls itself passed fails all the same."""
    claim = {"verdict": "pass", "deciding": "score", "metrics": [], "failures": []}
    data = make_report(0.1, judgement=claim)
    assert decide(data, POLICY, EVENT, key="model", where="p").verdict == "fail"


def test_a_gated_metric_that_the_report_leaves_out_fails() -> None:
    """What the policy judges cannot be dropped."""
    data = make_report(metrics=[])
    assert decide(data, POLICY, EVENT, key="model", where="p").verdict == "fail"


def test_nothing_to_judge_is_not_a_pass() -> None:
    """A policy without metrics gives a check that satisfies no rule, exit code 2."""
    decision = decide(make_report(), b"version: 1\n", EVENT, key="model", where="p")
    assert (decision.verdict, decision.exit_code) == ("skip", 2)
    assert decision.conclusion == "action_required"


HOSTILE: list[bytes | None] = [
    None,
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b"\x00",
    b"[" * 50_000,
    b"{" * 50_000,
    b'{"schema":1}' + b" " * 2**21,
    make_report(schema=2),
    make_report(schema=True),
    make_report(schema="1"),
    make_report(key="other"),
    make_report(key="model\n"),
    make_report(key="../model"),
    make_report(base={"sha": HEAD}),
    make_report(base={"sha": None}),
    make_report(base={}),
    make_report(head={"sha": BASE}),
    make_report(head={"sha": None}),
    make_report(head={"sha": HEAD + "\n"}),
    make_report(head={"sha": "HEAD"}),
    make_report(head={"sha": HEAD, "x": 1}),
    make_report(test_data="equal"),
    make_report(extra=1),
    make_report(metrics={}),
    make_report(metrics=[1]),
    make_report(metrics=[{"name": "score"}]),
    make_report(metrics=[{"name": "score", "path": "m", "head": True}]),
    make_report(metrics=[{"name": "score", "path": "m", "head": "0.9"}]),
    make_report(metrics=[{"name": "score", "path": "m", "head": {"$gt": 0}}]),
    make_report(metrics=[{"name": "s" * 201, "path": "m", "head": 1.0}]),
    make_report(metrics=[{"name": "", "path": "m", "head": 1.0}]),
    make_report(metrics=[{"name": "score", "path": "", "head": 1.0}]),
    make_report(metrics=[{"name": "score", "path": "m", "head": 1.0}] * 2),
    make_report(metrics=[{"name": "score", "path": "m", "base": 0.5, "head": 0.4, "delta": 0.1}]),
    make_report().replace(b"0.5", b"NaN"),
    make_report().replace(b"0.5", b"Infinity"),
    make_report().replace(b"0.5", b"-Infinity"),
    make_report().replace(b"0.5", b"1e999"),
    make_report().replace(b"0.5", b"1" * 5000),
    make_report().replace(b'"key": "model"', b'"key": "model", "key": "model"'),
    make_report().replace(b"score", b"\\ud800"),
    make_report().replace(b"score", b"sc\x00ore"),
    make_report(notices=["x" * 501]),
    make_report(notices="x"),
    make_report(judgement={"verdict": "great"}),
    make_report(judgement={}),
    make_report(policy_changed="no"),
]


@pytest.mark.parametrize("data", HOSTILE)
def test_a_report_that_compare_would_not_write_decides_nothing(data: bytes | None) -> None:
    """Each is undecided, exit code 2, a red check, with a reason of a few lines."""
    decision = decide(data, POLICY, EVENT, key="model", where="policy.yaml")
    assert (decision.verdict, decision.exit_code, decision.conclusion) == (
        Verdict.UNDECIDED,
        2,
        "failure",
    )
    assert isinstance(decision, Undecided)
    assert decision.problem
    assert len(decision.problem) < 1_000
    assert add_obstacle(decision, OBSTACLE) == decision
    text = render_decision(decision, marker=MARKER, links=LINKS, limit=60_000)
    assert text.startswith(MARKER + "\n**⚠️ Could not decide.**")


@pytest.mark.parametrize("policy", [None, b"", b"metrics: [", b"version: 2", b"\xff"])
def test_a_policy_that_cannot_be_read_decides_nothing(policy: bytes | None) -> None:
    """Without a rule there is no verdict, and certainly no pass."""
    assert decide(make_report(), policy, EVENT, key="model", where="p").exit_code == 2


@given(st.binary(max_size=300))
def test_any_bytes_are_undecided(data: bytes) -> None:
    """No exception leaves, whatever the artifact holds."""
    assert decide(data, POLICY, EVENT, key="model", where="p").verdict is Verdict.UNDECIDED


TEXT = st.text(min_size=1, max_size=120) | st.sampled_from(
    [
        "@octocat",
        "fixes #1 GH-2 octo/model#3",
        "<img src=x onerror=y>",
        "<!-- mlgitops:report {} -->",
        "a|b|c",
        "`` ` ``",
        "```\n# title\n```",
        "[x](https://evil.example)",
        "![x](https://evil.example/p.png)",
        "https://evil.example www.evil.example",
        "&#64;octocat &lt;b&gt;",
        "\u202eevil\u2066",
        "::error::x\n::set-output name=verdict::pass",
        ":tada: **bold** ~~x~~ $x^2$",
        "-->",
    ]
)


@given(TEXT, TEXT, TEXT)
def test_no_text_of_a_report_leaves_its_place_in_the_comment(
    name: str, notice: str, value: str
) -> None:
    """No link, image, HTML, mention or second marker comes from a name, sentence or value."""
    try:
        data = make_report(
            metrics=[
                {"name": name[:200], "path": value[:200], "base": 1.0, "head": 2.0, "delta": 1.0}
            ],
            notices=[notice],
            params=[{"path": name, "name": value, "base": notice, "head": None}],
        )
    except UnicodeEncodeError:  # half a surrogate pair cannot be written
        return
    decision = decide(data, POLICY, EVENT, key="model", where="policy.yaml")
    text = render_decision(decision, marker=MARKER, links=LINKS, limit=60_000)
    assert find_marker(text) is not None
    assert text.count("<!--") == 1
    for kind, content in read_tokens(text):
        if kind in ("link_open", "image"):
            assert content.startswith("https://github.example/")
        if kind in ("html_inline", "html_block"):
            assert content.strip("\n") in ALLOWED_HTML or content.startswith(("<!--", "<details>"))
        if kind == "text":
            assert "@octocat" not in content


ALLOWED_HTML = {"<sub>", "</sub>", "</details>", "</summary>"}


def read_tokens(text: str) -> list[tuple[str, str]]:
    """Parse Markdown as GitHub does; return (kind, content or address) of every token."""
    found = []
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        for one in [token, *(token.children or [])]:
            address = one.attrGet("href") or one.attrGet("src")
            found.append((one.type, str(address or one.content)))
    return found


def test_the_check_points_at_the_lines_of_the_policy() -> None:
    """Each failing metric is annotated where the policy names it; the name never changes."""
    data = make_report(0.1, metrics=[])
    decision = decide(data, POLICY, EVENT, key="model", where="policy.yaml")
    body = render_body(decision, EVENT, key="model", heads=[HEAD], where="policy.yaml")
    check = build_check(decision, EVENT, key="model", body=body, policy=POLICY, where="policy.yaml")
    assert check.summary == body.partition("\n")[2].strip()
    assert "score" in check.summary
    assert (check.name, check.head_sha, check.conclusion) == ("mlgitops / model", HEAD, "failure")
    assert [(one.title, one.path, one.start_line) for one in check.annotations] == [
        ("score", "policy.yaml", 3),
        ("size", "policy.yaml", 5),
    ]
    undecided = decide(None, POLICY, EVENT, key="model", where="policy.yaml")
    other = build_check(
        undecided, EVENT, key="model", body=body, policy=POLICY, where="policy.yaml"
    )
    assert other.name == check.name
    assert other.annotations == ()
