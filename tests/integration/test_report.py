"""`mlgitops report` as the workflow runs it: files and variables in, HTTP and files out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from forked import run_forked
from git_project import commit_files, git
from mini_project import branch, make_project
from posting import BASE, BOT, HEAD, NEWER, REPOSITORY, make_body, make_forge, own_comments
from trust.archives import pack

from mlgitops.rehearsal.forge import Artifact, Comment, Fault, Forge, Pull, Server
from mlgitops.rehearsal.forge.repositories import find_repository_id

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "version: 1\nmetrics:\n  score: {greater_is_better: true, max_worsening: 0.01}\n"
SCORE = '{"score": 0.5}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a base's checkout with a policy, an event, and a report that fails."""
    return make_scene(tmp_path)


def make_scene(tmp_path: Path) -> Path:
    """Write that checkout, event and report into ``tmp_path``."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    pull = {
        "number": 1,
        "base": {"sha": BASE, "ref": "main", "repo": {"full_name": REPOSITORY}},
        "head": {"sha": HEAD, "repo": {"full_name": REPOSITORY}},
    }
    payload = {"pull_request": pull, "repository": {"default_branch": "main"}}
    (tmp_path / "event.json").write_text(json.dumps(payload))
    write_report(tmp_path, 0.1)
    return tmp_path


def write_event(path: Path, sides: dict[str, str]) -> None:
    """Write the event of a pull request into main, with a commit for base and for head."""
    repo = {"full_name": REPOSITORY}
    pull = {name: {"sha": sha, "ref": "main", "repo": repo} for name, sha in sides.items()}
    home = {"default_branch": "main"}
    event = {"pull_request": {"number": 1, **pull}, "repository": home}
    path.write_text(json.dumps(event))


def write_report(folder: Path, head: float) -> None:
    """Write a report of one metric that was 0.5 at base."""
    metric = {"name": "score", "path": "m.json", "base": 0.5, "head": head, "delta": head - 0.5}
    report = {
        "schema": 1,
        "key": "model",
        "base": {"sha": BASE},
        "head": {"sha": HEAD},
        "test_data": "unknown",
        "metrics": [metric],
    }
    (folder / "report.json").write_text(json.dumps(report))


def report(
    folder: Path,
    forge: Forge,
    *options: str,
    run: int = 1,
    attempt: int = 1,
    token: str = "x" * 20,
    event: str = "pull_request",
) -> subprocess.CompletedProcess[str]:
    """Run the command against ``forge``, in a runner's environment."""
    with Server(forge) as server:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # the copy in which mutants run
            "HOME": str(folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_API_URL": server.url,
            "GITHUB_GRAPHQL_URL": f"{server.url}/graphql",
            "GITHUB_RUN_ID": "77",
            "GITHUB_RUN_NUMBER": str(run),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_OUTPUT": str(folder / "output.txt"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_TOKEN": token,
        }
        ended = ("--compute-result", "success", "--publish-result", "success")
        return run_forked(
            ["report", "--directory", folder, *ended, *options],
            folder=folder,
            environ={name: value for name, value in environ.items() if value},
        )


def read_verdict(folder: Path) -> str:
    """Return the output `verdict`."""
    lines = (folder / "output.txt").read_text().splitlines()
    return lines[next(at for at, line in enumerate(lines) if line.startswith("verdict<<")) + 1]


def test_a_failing_model_gets_comment_check_summary_output_and_exit_code_1(folder: Path) -> None:
    """Everything that can carry the verdict carries the same one."""
    forge = make_forge()
    done = report(folder, forge)
    assert done.returncode == 1, done.stderr
    (comment,) = own_comments(forge)
    assert "Must not merge" in comment.body
    assert "https://github.example/octo/model/actions/runs/77/attempts/1" in comment.body
    (check,) = forge.state.checks
    assert (check["conclusion"], check["head_sha"]) == ("failure", HEAD)
    assert check["output"]["annotations"][0]["path"] == "policy.yaml"
    assert "Must not merge" in (folder / "summary.md").read_text()
    assert read_verdict(folder) == "fail"
    assert "::error title=" in done.stdout


def test_a_policy_that_leads_out_of_the_checkout_judges_nothing(folder: Path) -> None:
    """A link to rules from elsewhere is refused: undecided, a red check, and the reason in both."""
    (folder / "policy.yaml").unlink()
    (folder / "policy.yaml").symlink_to("../lax.yaml")
    (folder.parent / "lax.yaml").write_text("version: 1\n")
    forge = make_forge()
    done = report(folder, forge)
    assert done.returncode == 2, done.stderr
    assert "this link leads out of the repository" in own_comments(forge)[0].body
    (check,) = forge.state.checks
    assert (check["conclusion"], read_verdict(folder)) == ("failure", "undecided")


def test_a_published_result_carries_the_verdict(tmp_path: Path) -> None:
    """The branch moved to the run's own commit: comment and check are of that one as well."""
    project = make_project(tmp_path / "r", {"policy.yaml": POLICY, "metrics.json": SCORE})
    base = git(project, "rev-parse", "HEAD")
    head = branch(project, "change", {"params.yaml": "trees: 90\n"})
    published = commit_files(project, {"metrics.json": '{"score": 0.9}'}, "Record")
    git(project, "switch", "--quiet", "--detach", base)
    write_event(project / "event.json", {"base": base, "head": head})
    write_report(project, 0.9)
    text = (project / "report.json").read_text().replace(BASE, base).replace(HEAD, head)
    (project / "report.json").write_text(text.replace("m.json", "metrics.json"))
    forge = make_forge()
    forge.state.pulls[1] = msgspec.structs.replace(forge.state.pulls[1], head=("change", head))
    forge._find_head = lambda _branch: published
    done = report(project, forge, "--results-commit", published)
    assert done.returncode == 0, done.stdout + done.stderr
    (comment,) = own_comments(forge)
    assert f"are on the branch: {published}" in comment.body
    assert "only claimed" not in comment.body
    found = [(check["head_sha"], check["conclusion"]) for check in forge.state.checks]
    assert found == [(published, "success"), (head, "success")]


@pytest.mark.parametrize("sha", ["main", "0" * 39, "G" * 40, NEWER + "\n", "@everyone"])
def test_what_is_no_commit_is_refused(folder: Path, sha: str) -> None:
    """An odd value of --results-commit ends with 2 and posts nothing."""
    forge = make_forge()
    assert report(folder, forge, "--results-commit", sha).returncode == 2
    assert own_comments(forge) == []
    assert forge.state.checks == []


def test_the_next_run_updates_the_comment(folder: Path) -> None:
    """A stale alarm does not stay: the comment turns green in place."""
    forge = make_forge()
    report(folder, forge, run=1)
    write_report(folder, 0.9)
    done = report(folder, forge, run=2)
    assert done.returncode == 0
    (comment,) = own_comments(forge)
    assert "May merge" in comment.body


@pytest.mark.parametrize("content", [None, "", "{}", '{"schema": 1, "schema": 1}'])
def test_a_missing_or_broken_report_is_said_aloud_and_is_not_green(
    folder: Path, content: str | None
) -> None:
    """The comment, the check, the summary and the exit code all say: not decided."""
    (folder / "report.json").unlink()
    if content is not None:
        (folder / "report.json").write_text(content)
    forge = make_forge()
    done = report(folder, forge)
    assert done.returncode == 2
    assert "Could not decide" in own_comments(forge)[0].body
    assert forge.state.checks[0]["conclusion"] == "failure"
    assert "Could not decide" in (folder / "summary.md").read_text()
    assert read_verdict(folder) == "undecided"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("head", "code"), [(0.1, 1), (0.9, 0)], ids=["a model that fails", "a model that passes"]
)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401),
        Fault(status=403, message="Resource not accessible by integration"),
        Fault(status=404),
        Fault(status=422, message="Validation Failed"),
    ],
    ids=["401", "403", "404", "422"],
)
def test_a_failure_to_post_never_changes_or_hides_the_verdict(
    folder: Path, fault: Fault, head: float, code: int
) -> None:
    """Exit code, summary and output stand; a warning says what was not posted."""
    write_report(folder, head)
    asks = f"/repos/{REPOSITORY}/commits"  # by which policy: another test's
    done = report(folder, make_forge(fault=lambda _, path: None if path == asks else fault))
    assert done.returncode == code
    assert read_verdict(folder) == ("fail" if code else "pass")
    assert "merge" in (folder / "summary.md").read_text()
    assert "::warning title=mlgitops::" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize(
    "part", ["/pulls/1", "/comments", "/comments/2", "/check-runs", "/graphql", "/permission"]
)
def test_an_answer_that_says_nothing_is_a_failure_to_post_or_to_ask(
    folder: Path, part: str, status: int
) -> None:
    """Success without what was asked for: the verdict stands, nothing is taken for granted."""
    forge = make_forge(fault=lambda _, path: Fault(status=status) if path.endswith(part) else None)
    forge.state.pulls[1].labels = ["accept-regression"]
    forge.state.permissions["writer"] = "write"
    forge.state.comments = [
        Comment(1, 1, "writer", f"accept-regression {HEAD} needed"),
        Comment(2, 1, BOT, make_body(0)),
    ]
    done = report(folder, forge)
    waived = part in ("/comments/2", "/check-runs", "/graphql")
    assert (done.returncode, read_verdict(folder)) == ((0, "waived") if waived else (1, "fail"))
    assert "Traceback" not in done.stderr
    assert "Must not merge" in (folder / "summary.md").read_text() or waived
    if part != "/graphql":
        assert ("not posted" in done.stdout) == (part != "/permission")


def test_without_a_token_the_verdict_stands_and_a_warning_says_so(folder: Path) -> None:
    """A fork's run has no token that may write."""
    forge = make_forge()
    done = report(folder, forge, token="")
    assert done.returncode == 1
    assert "GITHUB_TOKEN is not set" in done.stdout
    assert forge.requests == []


def test_a_dry_run_posts_nothing(folder: Path) -> None:
    """The comment is printed, the API is not asked."""
    forge = make_forge()
    done = report(folder, forge, "--dry-run")
    assert done.returncode == 1
    assert "Must not merge" in done.stdout
    assert forge.requests == []


def test_the_check_is_posted_although_the_comment_is_stale(folder: Path) -> None:
    """A check belongs to its commit; a comment to the pull request's newest."""
    forge = make_forge()
    forge.state.pulls[1].head = ("more-trees", NEWER)
    forge.state.comments.append(Comment(900, 1, BOT, make_body(9, sha=NEWER)))
    done = report(folder, forge)
    assert done.returncode == 1
    assert own_comments(forge)[0].body == make_body(9, sha=NEWER)
    assert forge.state.checks[0]["head_sha"] == HEAD


def test_json_tells_a_script_what_was_decided(folder: Path) -> None:
    """One object, on lines that no runner takes for a command."""
    done = report(folder, make_forge(), "--json")
    text = "\n".join(line[2:] for line in done.stdout.splitlines() if line.startswith("| "))
    found = json.loads(text)
    assert (found["verdict"], found["waiver"]) == ("fail", None)


def test_a_waiver_is_told_to_a_script_too(folder: Path) -> None:
    """Who, when, why and for which commit."""
    forge = make_forge()
    forge.state.pulls[1].labels = ["accept-regression"]
    forge.state.permissions["writer"] = "write"
    line = f"accept-regression {HEAD} needed"
    forge.state.comments.append(Comment(1, 1, "writer", line))
    done = report(folder, forge, "--json")
    assert done.returncode == 0, done.stderr
    text = "\n".join(line[2:] for line in done.stdout.splitlines() if line.startswith("| "))
    found = json.loads(text)
    assert found["verdict"] == "waived"
    assert found["waiver"] == {
        "login": "writer",
        "at": "2026-01-01T00:00:00Z",
        "sha": HEAD,
        "reason": "needed",
        "url": found["waiver"]["url"],
        "by_author": False,
    }
    assert "::warning title=⚠️ Fails%2C waived by writer%3A may merge::" in done.stdout
    assert "::error" not in done.stdout


def test_a_policy_that_forbids_waivers_is_obeyed(folder: Path) -> None:
    """Label, comment and permission are there, and it fails; the comment says why."""
    (folder / "policy.yaml").write_text(POLICY + "waivers: forbidden\n")
    forge = make_forge()
    forge.state.pulls[1].labels = ["accept-regression"]
    forge.state.permissions["writer"] = "admin"
    forge.state.comments.append(Comment(1, 1, "writer", f"accept-regression {HEAD} needed"))
    done = report(folder, forge)
    assert done.returncode == 1, done.stderr
    (comment,) = own_comments(forge)
    assert "**Not waived:** the policy at base forbids waivers." in comment.body
    assert "Merge it all the same?" not in comment.body


def test_without_an_event_the_command_says_where_to_run_it(tmp_path: Path) -> None:
    """On a laptop, `mlgitops rehearse` is the way."""
    done = subprocess.run(
        [sys.executable, "-m", "mlgitops", "report"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "mlgitops rehearse" in done.stderr
    assert list(tmp_path.iterdir()) == []


def make_fork_run(
    folder: Path, forge: Forge, *, shown: str = HEAD, conclusion: str = "success"
) -> None:
    """Set the scene of a fork's run: our default branch, its event, its pull request 5."""
    (folder / "m.json").write_text(SCORE)
    git(folder, "init", "--quiet")
    git(folder, "add", "policy.yaml", "m.json")
    git(folder, "commit", "--quiet", "--message=Start")
    base = git(folder, "rev-parse", "HEAD")
    (folder / "policy.yaml").write_text("version: 1\n")  # the default branch moved on
    ours = {
        "id": find_repository_id(REPOSITORY),
        "full_name": REPOSITORY,
        "default_branch": "main",
    }
    fork = {"id": find_repository_id("fan/model"), "full_name": "fan/model"}
    started = {
        "id": 77,
        "event": "pull_request",
        "path": ".github/workflows/pull-request.yml",
        "run_number": 3,
        "run_attempt": 1,
        "conclusion": conclusion,
        "head_sha": HEAD,
        "head_branch": "patch-1",
        "head_repository": {**fork, "owner": {"login": "fan"}},
        "repository": {**ours, "owner": {"login": "octo"}},
        "pull_requests": [],
    }
    payload = {"workflow_run": started, "repository": started["repository"]}
    (folder / "event.json").write_text(json.dumps(payload))
    forge.state.pulls[5] = Pull(
        number=5, base=("main", base), head=("patch-1", shown), title="x", fork="fan/model"
    )
    told = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text("not what the other run left")
    data = pack(("report.json", json.dumps({**told, "base": {"sha": base}}).encode()))
    forge.state.artifacts = [Artifact(id=8, run_id=77, name="mlgitops-report", data=data)]


@pytest.mark.parametrize("moved", [False, True])
def test_a_forks_report_goes_to_the_pull_request_that_shows_its_commit(
    folder: Path, *, moved: bool
) -> None:
    """`workflow_run`: the API names the pull request; one that moved on gets nothing."""
    forge = make_forge()
    make_fork_run(folder, forge, shown=NEWER if moved else HEAD)
    done = report(folder, forge, event="workflow_run")
    assert done.returncode == (0 if moved else 1), done.stdout + done.stderr
    assert [one.issue for one in own_comments(forge)] == ([] if moved else [5])
    assert len(forge.state.checks) == (0 if moved else 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("none", None),
        ("of another run", {"run_id": 78}),
        ("of another name", {"name": "mlgitops-report-2"}),
        ("expired", {"expired": True}),
        ("with another digest", {"digest": "sha256:" + "0" * 64}),
        ("too large by the API", {"size": 2**21}),
        ("too large by its bytes", {"data": bytes(2**21), "size": 10}),
        ("no archive", {"data": b"{}"}),
        ("with a second file", {"data": pack(("report.json", b"{}"), ("policy.yaml", b"x"))}),
        ("with another file", {"data": pack(("../report.json", b"{}"))}),
        ("with an empty report", {"data": pack(("report.json", b""))}),
    ],
)
def test_an_artifact_that_is_not_the_report_decides_nothing(
    folder: Path, name: str, change: dict[str, Any] | None
) -> None:
    """The right pull request is told that nothing could be decided, and why; never a pass."""
    forge = make_forge()
    make_fork_run(folder, forge)
    if change is None:
        forge.state.artifacts = []
    else:
        fields = msgspec.structs.asdict(forge.state.artifacts[0]) | change
        forge.state.artifacts = [Artifact(**fields)]
    done = report(folder, forge, event="workflow_run")
    assert done.returncode == 2, (name, done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    (comment,) = own_comments(forge)
    assert comment.issue == 5
    assert "Could not decide" in comment.body
    assert [one["conclusion"] for one in forge.state.checks] == ["failure"]


def test_a_run_that_was_started_again_is_known_by_its_newest_artifact(folder: Path) -> None:
    """Each attempt leaves one; an older one is not what the run ended with."""
    forge = make_forge()
    make_fork_run(folder, forge)
    forge.state.artifacts.insert(0, Artifact(id=7, run_id=77, name="mlgitops-report", data=b"x"))
    assert report(folder, forge, event="workflow_run").returncode == 1


def test_two_projects_of_one_repository_do_not_meet(folder: Path) -> None:
    """Each key has its own comment and check; a report of the other's is refused."""
    forge = make_forge()
    told = json.loads((folder / "report.json").read_text())
    for run, (key, head) in enumerate((("prices", 0.1), ("churn", 0.6), ("prices", 0.7)), 1):
        place = folder / key
        place.mkdir(exist_ok=True)
        (place / "policy.yaml").write_text(POLICY)
        (place / "event.json").write_bytes((folder / "event.json").read_bytes())
        metric = told["metrics"][0] | {"head": head, "delta": head - 0.5}
        (place / "report.json").write_text(json.dumps(told | {"key": key, "metrics": [metric]}))
        done = report(place, forge, "--key", key, run=run)
        assert done.returncode == (1 if head < 0.5 else 0), done.stdout + done.stderr
    prices, churn = own_comments(forge, key="prices"), own_comments(forge, key="churn")
    assert (len(prices), len(churn)) == (1, 1)
    assert "0.7" in prices[0].body
    assert "0.7" not in churn[0].body
    names = {one["name"]: one["conclusion"] for one in forge.state.checks}
    assert names == {"mlgitops / prices": "success", "mlgitops / churn": "success"}
    assert report(folder / "churn", forge, "--key", "prices", run=4).returncode == 2


def test_a_merge_group_gets_a_check_and_no_comment(folder: Path) -> None:
    """In a merge queue there is no pull request to comment on; the check decides."""
    group = {"base_sha": BASE, "head_sha": HEAD, "head_ref": "refs/heads/gh-readonly-queue/main/x"}
    group["base_ref"] = "refs/heads/main"
    payload = {"merge_group": group, "repository": {"default_branch": "main"}}
    (folder / "event.json").write_text(json.dumps(payload))
    forge = make_forge()
    done = report(folder, forge, event="merge_group")
    assert done.returncode == 1, done.stdout + done.stderr
    assert not own_comments(forge)
    (check,) = forge.state.checks
    assert (check["head_sha"], check["conclusion"]) == (HEAD, "failure")
    assert check["name"] == "mlgitops / model"


@pytest.mark.parametrize(
    ("changed", "score", "commented"),
    [
        ("models/a/params.yaml", 0.7, True),
        (".github/workflows/pull-request.yml", 0.7, True),
        ("models/b/params.yaml", 0.7, False),
        ("models/ab/params.yaml", 0.7, False),
        ("README.md", 0.7, False),
        ("models/b/params.yaml", 0.1, True),
    ],
)
def test_a_change_of_another_project_starts_no_comment(
    tmp_path: Path, changed: str, score: float, *, commented: bool
) -> None:
    """With `--comment changed`: only for its folder, `.github`, or no pass; always the check."""
    project = (
        make_project(tmp_path / "r", {"models/a/policy.yaml": POLICY, "models/a/m.json": SCORE})
        / "models"
        / "a"
    )
    base = git(project, "rev-parse", "HEAD")
    head = branch(tmp_path / "r", "change", {changed: "x: 1\n"})
    sides = {"base": base, "head": head}
    write_event(project / "event.json", sides)
    write_report(project, score)
    text = (project / "report.json").read_text().replace(BASE, base).replace(HEAD, head)
    (project / "report.json").write_text(text)
    forge = make_forge()
    forge.state.pulls[1] = msgspec.structs.replace(forge.state.pulls[1], head=("change", head))
    done = report(project, forge, "--comment", "changed")
    assert done.returncode == (0 if score > 0.5 else 1), done.stdout + done.stderr
    assert len(own_comments(forge)) == commented
    assert [check["head_sha"] for check in forge.state.checks] == [head]


def test_a_waived_fail_is_told_wherever_the_change_is(tmp_path: Path) -> None:
    """With `--comment changed` too: what is waived is no pass, and people must see by whom."""
    project = (
        make_project(tmp_path / "r", {"models/a/policy.yaml": POLICY, "models/a/m.json": SCORE})
        / "models"
        / "a"
    )
    base = git(project, "rev-parse", "HEAD")
    head = branch(tmp_path / "r", "change", {"models/b/params.yaml": "x: 1\n"})
    sides = {"base": base, "head": head}
    write_event(project / "event.json", sides)
    write_report(project, 0.1)
    text = (project / "report.json").read_text().replace(BASE, base).replace(HEAD, head)
    (project / "report.json").write_text(text)
    forge = make_forge()
    forge.state.pulls[1] = msgspec.structs.replace(forge.state.pulls[1], head=("change", head))
    forge.state.pulls[1].labels = ["accept-regression"]
    forge.state.permissions["writer"] = "write"
    forge.state.comments.append(Comment(1, 1, "writer", f"accept-regression {head} needed"))
    done = report(project, forge, "--comment", "changed")
    assert done.returncode == 0, done.stdout + done.stderr
    (comment,) = own_comments(forge)
    assert "waived by `writer`" in comment.body


def test_where_git_cannot_tell_what_changed_there_is_a_comment(folder: Path) -> None:
    """A checkout without the head's commit is no reason to stay silent."""
    write_report(folder, 0.7)
    forge = make_forge()
    assert report(folder, forge, "--comment", "changed").returncode == 0
    assert len(own_comments(forge)) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--compute-result", "failure", "--publish-result", "skipped"),
            "The job that trains and compares",
        ),
        (
            ("--compute-result", "cancelled"),
            "The job that trains and compares ended with `cancelled`",
        ),
        (("--compute-result", ""), "does not say how the job that trains and compares ended"),
        (("--publish-result", "skipped"), "The job that publishes ended with `skipped`"),
        (
            ("--publish-result", "failure", "--publish-required", "false"),
            "The job that publishes ended with",
        ),
        (("--publish-result", "green"), "gave `'green'` as how the job that publishes ended"),
    ],
)
@pytest.mark.parametrize(("head", "code"), [(0.9, 2), (0.1, 1)])
def test_a_late_failure_of_a_job_is_never_green(
    folder: Path, options: tuple[str, ...], reason: str, head: float, code: int
) -> None:
    """The report was handed over before: what would merge is undecided, what fails stays failed."""
    write_report(folder, head)
    forge = make_forge()
    done = report(folder, forge, *options)
    assert done.returncode == code, done.stdout + done.stderr
    assert [one["conclusion"] for one in forge.state.checks] == ["failure"]
    (comment,) = own_comments(forge)
    assert (reason in comment.body) == (code == 2)


@pytest.mark.parametrize(("head", "conclusion", "code"), [(0.9, "success", 0), (0.9, "failure", 2)])
def test_a_forks_run_that_failed_late_is_never_green(
    folder: Path, head: float, conclusion: str, code: int
) -> None:
    """A model that fails leaves its jobs green, so a red run means that a job broke."""
    write_report(folder, head)
    forge = make_forge()
    make_fork_run(folder, forge, conclusion=conclusion)
    done = report(folder, forge, event="workflow_run")
    assert done.returncode == code, done.stdout + done.stderr
    (check,) = forge.state.checks
    assert check["conclusion"] == ("failure" if code else "success")


def retarget(folder: Path, base: str, *, default: str = "main") -> None:
    """Let the event be of a pull request into ``base``."""
    payload = json.loads((folder / "event.json").read_text())
    payload["pull_request"]["base"]["ref"] = base
    payload["repository"]["default_branch"] = default
    (folder / "event.json").write_text(json.dumps(payload))


@pytest.mark.parametrize(
    ("base", "default", "options", "name"),
    [
        ("main", "main", (), "mlgitops / model"),
        ("lax", "main", (), "mlgitops / model into lax"),
        ("Main", "main", (), "mlgitops / model into Main"),
        ("main", "develop", (), "mlgitops / model into main"),
        ("main", "develop", ("--branch", "main"), "mlgitops / model"),
        ("develop", "develop", ("--branch", "main"), "mlgitops / model into develop"),
        ("lax", "", (), "mlgitops / model into lax"),
    ],
)
def test_only_the_guarded_branch_gets_the_required_name(
    folder: Path, base: str, default: str, options: tuple[str, ...], name: str
) -> None:
    """A pull request may go elsewhere first, by a policy that lets all pass, and then turn."""
    write_report(folder, 0.9)
    retarget(folder, base, default=default)
    forge = make_forge()
    forge.state.pulls[1].base = (base, BASE)
    assert report(folder, forge, *options).returncode == 0
    assert [(one["name"], one["conclusion"]) for one in forge.state.checks] == [(name, "success")]


def test_a_pull_request_that_has_another_base_by_now_gets_no_comment(folder: Path) -> None:
    """Its event is of the base before: the check names that, and the comment is left alone."""
    retarget(folder, "lax")
    forge = make_forge()  # whose pull request goes into main
    forge.state.comments.append(Comment(900, 1, BOT, make_body(0)))
    done = report(folder, forge)
    assert "comment stale" in done.stderr
    assert own_comments(forge)[0].body == make_body(0)
    assert [one["name"] for one in forge.state.checks] == ["mlgitops / model into lax"]


def test_a_policy_that_names_nothing_satisfies_no_required_check(folder: Path) -> None:
    """GitHub takes neutral and skipped for passed, so it is neither; nor is the job green."""
    (folder / "policy.yaml").write_text("version: 1\n")
    forge = make_forge()
    assert report(folder, forge).returncode == 2
    assert read_verdict(folder) == "skip"
    assert [one["conclusion"] for one in forge.state.checks] == ["action_required"]
    older = make_forge(checks=False)
    assert report(folder, older).returncode == 2
    assert [one["state"] for one in older.state.statuses] == ["error"]


def post_newer(folder: Path, forge: Forge, score: float) -> None:
    """Let run 2 report ``score``."""
    write_report(folder, score)
    report(folder, forge, run=2)


@pytest.mark.parametrize("left", ["comment and check", "the comment", "the check"])
def test_an_older_run_that_is_started_again_posts_no_newer_check(folder: Path, left: str) -> None:
    """Its comment is refused, and so is its check, whichever of the newer run's two stands."""
    forge = make_forge()
    post_newer(folder, forge, 0.1)
    if left == "the comment":
        forge.state.checks.clear()
    if left == "the check":
        forge.state.comments.clear()
    write_report(folder, 0.9)
    done = report(folder, forge, run=1)
    assert done.returncode == 2, done.stdout
    assert [one["conclusion"] for one in forge.state.checks] == ["failure"] * (
        left != "the comment"
    )
    assert "a newer run" in done.stdout or "comment superseded" in done.stderr


def test_on_a_server_without_checks_an_older_run_posts_no_newer_status(folder: Path) -> None:
    """The page of the run that a status links gives the order; ids grow with the runs."""
    forge = make_forge(checks=False)
    write_report(folder, 0.1)
    report(folder, forge)
    page = forge.state.statuses[0]["target_url"]
    forge.state.statuses[0]["target_url"] = page.replace("/runs/77/", "/runs/78/")
    forge.state.comments.clear()
    write_report(folder, 0.9)
    assert report(folder, forge).returncode == 2
    assert [one["state"] for one in forge.state.statuses] == ["failure"]


def test_a_policy_that_changed_on_the_base_since_is_never_green(folder: Path) -> None:
    """A run that is started again has its first event's base: the newer policy judges nothing."""
    write_report(folder, 0.9)
    forge = make_forge()
    forge.find_change = lambda rev, _path: NEWER if rev == "refs/heads/main" else HEAD
    done = report(folder, forge)
    assert (done.returncode, read_verdict(folder)) == (2, "undecided")
    (comment,) = own_comments(forge)
    assert "Not yet: judged by an older policy" in comment.body
    assert f"`policy.yaml` changed on `main` in {NEWER[:12]}" in comment.body
    assert [one["conclusion"] for one in forge.state.checks] == ["failure"]


@pytest.mark.parametrize("kind", ["refused", "at no commit", "odd"])
def test_where_the_newest_policy_is_not_known_nothing_is_green(folder: Path, kind: str) -> None:
    """Refused, unknown or not what GitHub sends: it could be another."""
    write_report(folder, 0.9)
    asks = f"/repos/{REPOSITORY}/commits"
    fault = Fault(status=403 if kind == "refused" else 200)
    forge = make_forge(
        fault=lambda _, path: fault if path == asks and kind != "at no commit" else None
    )
    if kind == "at no commit":
        forge.find_change = lambda _rev, _path: None
    assert report(folder, forge).returncode == 2
    assert "whether its policy is current is not known" in own_comments(forge)[0].body


def test_comment_and_check_name_the_policys_commit(folder: Path) -> None:
    """A later policy may say something else, so which one judged is said."""
    forge = make_forge()
    report(folder, forge)
    line = f"Judged by `policy.yaml` of `main` at {BASE}."
    assert line in own_comments(forge)[0].body
    assert line in forge.state.checks[0]["output"]["summary"]
