"""Tests of `mlgitops validate` on real projects: every mistake at once, exit code 2."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from dvc_project import DVC_YAML, DvcProject
from git_project import GitRepository

from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(project: DvcProject) -> DvcProject:
    """Let the project's pipeline declare all that its policy names."""
    project.put("dvc.yaml", DVC_YAML)
    project.commit("declare")
    return project


def validate(project: GitRepository, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, Any]:
    """Run the command and return its exit code, mistakes and warnings."""
    capsys.readouterr()
    code = run(["validate", "--json", "--directory", str(project.root)])
    found = json.loads(capsys.readouterr().out)
    return code, found["mistakes"], found["warnings"]


def test_a_sound_project_has_no_mistakes(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing wrong: exit code 0 and nothing listed."""
    assert validate(project, capsys) == (0, [], [])


@pytest.mark.parametrize(
    ("path", "text", "what", "hint"),
    [
        ("policy.yaml", "version: 1\nconfidence: 7\n", "confidence must be", None),
        (
            "policy.yaml",
            "version: 1\nmetrics: {test.acuracy: {max_worsening: 0}}\n",
            "no metric is named `test.acuracy`",
            "did you mean `test.accuracy`?",
        ),
        (
            "policy.yaml",
            "version: 1\nfiles: {test_data: data/tset.csv}\nmetrics: {test.accuracy: {}}\n",
            "`data/tset.csv` is neither in git nor made by the pipeline",
            None,
        ),
        ("dvc.yaml", "stages: [", "not YAML", None),
        ("dvc.lock", "stages: {a: {outs: [{path: ../../x, md5: '0'}]}}", "is outside", None),
        ("raw.csv.dvc", "outs: [{path: /etc/hosts, md5: '0'}]", "is outside", None),
        ("reports/metrics.json", "{", "not JSON", None),
        (".dvc/config", "[core]\nhardlink_lock = true\n", "`hardlink_lock` in [core]", None),
        ("contract.yaml", "columns: [", "not YAML", None),
        ("contract.yaml", "strict: true", "it names no columns", None),
        ("monitor.yaml", "alerts: {refused: 7}", "refused must be from 0 to 1", "write 0.07"),
        ("monitor.yaml", "alerts: [", "not YAML", None),
        ("deploy/staging/model.yaml", "model: [", "not YAML", None),
        ("deploy/staging/model.yaml", "model: demo\nport: 0\n", "`port` must be a number", None),
        (
            "deploy/production/model.yaml",
            "model: demo\nport: 80\nreplicas: 2\n",
            "`replicas: 2` cannot be done on a host",
            "remove it, or serve on a cluster: `target: kubernetes`",
        ),
        (
            "deploy/production/model.yaml",
            "model: demo\nport: 80\ntarget: kubernetes\ncanary: 5\n",
            "`canary: 5` cannot be done on Kubernetes",
            None,
        ),
    ],
)
def test_each_mistake_is_found(  # noqa: PLR0917 - a row of the table
    project: DvcProject,
    capsys: pytest.CaptureFixture[str],
    path: str,
    text: str,
    what: str,
    hint: str | None,
) -> None:
    """Each broken file is one mistake with its place and the next step."""
    project.put(path, text)
    project.git("add", "--force", path)
    code, mistakes, _ = validate(project, capsys)
    assert code == 2
    (mistake,) = [each for each in mistakes if what in each["what"]]
    assert mistake["where"].startswith(path)
    assert hint is None or mistake["hint"] == hint


@pytest.mark.parametrize("path", ["monitor.yaml", "deploy/base/model.yaml"])
def test_a_manifest_under_a_name_of_ours_is_left_alone(
    project: DvcProject, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    """Who adopts the toolkit may have had one."""
    project.put(path, "# Ours\napiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n")
    project.git("add", path)
    assert validate(project, capsys) == (0, [], [])


def test_all_mistakes_are_listed_together(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mistakes in several files come in one run, in plain words on standard error too."""
    project.put("policy.yaml", "version: 1\nconfidence: 7\nmetric: {}\n")
    project.put("dvc.lock", "stages: [")
    project.put(".dvc/config", "[core]\nhardlink_lock = true\n")
    code, mistakes, _ = validate(project, capsys)
    assert (code, len(mistakes)) == (2, 4)
    assert run(["validate", "--directory", str(project.root)]) == 2
    printed = capsys.readouterr().err
    assert "4 mistakes found" in printed
    assert "Traceback" not in printed


def test_no_policy_and_no_pipeline_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty repository is told what is missing."""
    empty = GitRepository(tmp_path / "p")
    empty.put("README.md", "x")
    empty.commit()
    code, mistakes, _ = validate(empty, capsys)
    assert code == 2
    assert {each["what"] for each in mistakes} == {"there is no policy", "there is no dvc.yaml"}


def test_a_placeholder_address_is_a_warning(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address that the template could not know is a warning that says what to set."""
    project.put(
        ".github/workflows/a.yml", "on: push\n# x\n#  uses: your-org/mlgitops/actions/a@1\n"
    )
    code, mistakes, warnings = validate(project, capsys)
    assert (code, mistakes) == (0, [])
    assert warnings[0]["where"] == ".github/workflows/a.yml:3"
    assert "OWNER/mlgitops" in warnings[0]["hint"]


def test_an_owner_who_was_not_named_is_a_warning(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The template's place for a reviewer is nobody: GitHub would ask no one."""
    project.put(".github/CODEOWNERS", "# who\n/policy.yaml @your-name\n/Makefile @your-name2\n")
    code, mistakes, warnings = validate(project, capsys)
    assert (code, mistakes) == (0, [])
    assert warnings[0]["where"] == ".github/CODEOWNERS:2"
    assert "in 1 line(s)" in warnings[0]["what"]
    assert "replace @your-name by a GitHub user" in warnings[0]["hint"]


def test_without_metrics_names_are_not_checked(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first run the policy's names cannot be checked, which is said."""
    (project.root / "reports/metrics.json").unlink()
    code, mistakes, warnings = validate(project, capsys)
    assert (code, mistakes) == (0, [])
    assert warnings[0]["what"] == "there are no metrics yet"


@pytest.mark.parametrize("path", ["model.bin", "data/model.skops", "notes.txt"])
def test_a_pickle_is_refused_whatever_its_name(
    project: DvcProject, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    """A model file that runs code when loaded is found by content, ignored by git or not."""
    project.put(path, pickle.dumps({"a": [1, 2, 3]}))
    project.git("add", "--force", path)
    code, mistakes, _ = validate(project, capsys)
    assert code == 2
    assert mistakes[0]["where"] == path
    assert "skops" in mistakes[0]["hint"]


def test_a_pull_request_does_not_move_the_storage(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --base, another address is a mistake that names both and the way in two steps."""
    remote = "['remote \"s\"']\nurl = s3://b\nverify = true\n"
    project.put(".dvc/config", "[core]\nremote = s\n" + remote)
    base = project.commit()
    project.put(".dvc/config", "[core]\nremote = s\n" + remote.replace("s3://b", "s3://other"))
    words = ["validate", "--directory", str(project.root), "--json"]
    assert run([*words]) == 0
    capsys.readouterr()
    assert run([*words, "--base", base]) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert mistake["what"] == "`url` of the remote `s` is s3://other, and at the base s3://b"
    assert "merge that, then make it the default" in mistake["hint"]


def test_a_first_configuration_is_a_warning(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the base has no storage, the pull request that brings it is told what that means."""
    project.git("rm", "--quiet", ".dvc/config")
    base = project.commit()
    project.put(".dvc/config", "[core]\nanalytics = false\n")
    assert run(["validate", "--directory", str(project.root), "--base", base]) == 0
    assert "the base has none yet" in capsys.readouterr().err


@pytest.mark.parametrize("path", [".dvc/config.local", ".dvc/cache/files/md5/00/0", ".DVC/tmp/x"])
def test_what_is_dvcs_own_is_not_committed(
    project: DvcProject, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    """A local configuration in git would win over the reviewed one."""
    project.put(path, "x")
    project.git("add", "--force", path)
    code, mistakes, _ = validate(project, capsys)
    assert code == 2
    assert [each["where"] for each in mistakes] == [path]


@pytest.mark.parametrize(
    ("policy", "line", "what", "hint"),
    [
        (
            "slices:\n  - {by: [carier], metric: accuracy, max_worsening: 0.1}",
            4,
            "`reports/predictions.csv` has no column `carier`",
            "did you mean `carrier`?",
        ),
        (
            "cluster: zzz",
            3,
            "`reports/predictions.csv` has no column `zzz`",
            "there are: carrier, day",
        ),
        (
            "slices:\n  - {by: [carrier], metric: recal, max_worsening: 0.1}",
            4,
            "no slice metric is named `recal`",
            "did you mean `recall`?",
        ),
    ],
)
def test_columns_that_predictions_lack_are_mistakes(  # noqa: PLR0917 - a row of the table
    project: DvcProject,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    line: int,
    what: str,
    hint: str,
) -> None:
    """A slice or cluster column that matches nothing is a mistake with the nearest name."""
    files = "files: {predictions: reports/predictions.csv}"
    project.train(
        accuracy=0.8, predictions=b"id,target,prediction,score,carrier,day\n1,1,1,1,A,1\n"
    )
    project.put("policy.yaml", f"version: 1\n{files}\n{policy}\n")
    code, mistakes, _ = validate(project, capsys)
    assert code == 2
    (mistake,) = [each for each in mistakes if each["what"] == what]
    assert mistake["where"] == f"policy.yaml:{line}"
    assert mistake["hint"] == hint


def test_a_sound_project_says_what_its_test_rows_stop(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the predictions that are here, by metric: as JSON and as a sentence."""
    rows = "".join(f"{at},{at % 2},{(at + (at % 5 == 0)) % 2}\n" for at in range(500))
    project.put("reports/predictions.csv", f"id,target,prediction\n{rows}")
    policy = (
        "version: 1\nfiles: {predictions: reports/predictions.csv}\n"
        "metrics: {test.accuracy: {max_worsening: 0.01}}\n"
    )
    project.put("policy.yaml", policy)
    project.commit("predictions")
    capsys.readouterr()
    assert run(["validate", "--json", "--directory", str(project.root)]) == 0
    (foresight,) = json.loads(capsys.readouterr().out)["foresights"]
    assert (foresight["metric"], foresight["rows"]) == ("test.accuracy", 500)
    alike, apart = foresight["stopped"]
    assert 0.01 < alike < apart < 0.1
    assert run(["validate", "--directory", str(project.root)]) == 0
    assert "These 500 test rows stop, with 80 % probability" in capsys.readouterr().out


def test_predictions_that_cannot_be_read_are_a_warning(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline writes them anew, so they are no mistake of the project."""
    project.put("reports/predictions.csv", "id,target\n1,2\n")
    policy = (
        "version: 1\nfiles: {predictions: reports/predictions.csv}\n"
        "metrics: {test.accuracy: {max_worsening: 0.01}}\n"
    )
    project.put("policy.yaml", policy)
    project.commit("predictions")
    code, mistakes, warnings = validate(project, capsys)
    assert (code, mistakes) == (0, [])
    assert [warning["where"] for warning in warnings] == ["reports/predictions.csv"]


def test_what_the_contract_refused_is_said(
    project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each check of the last run stands with its rows; without refusals it says that, too."""
    report = {"passed": True, "rows": 600, "columns": 3, "refused": {}}
    project.put("reports/validation.json", json.dumps(report))
    assert run(["validate", "--directory", str(project.root)]) == 0
    assert "The last run's 600 rows keep contract.yaml." in capsys.readouterr().out
    report |= {"passed": False, "refused": {"age: in_range(0, 120)": 12, "\x1b[2J": 1}}
    project.put("reports/validation.json", json.dumps(report))
    assert run(["validate", "--directory", str(project.root)]) == 0
    printed = capsys.readouterr()
    assert "age: in_range(0, 120) refused 12 of 600 rows in the last run" in printed.err
    assert "\x1b" not in printed.err
    assert "keep contract.yaml" not in printed.out
    assert run(["validate", "--json", "--directory", str(project.root)]) == 0
    assert json.loads(capsys.readouterr().out)["refused"] == {
        "rows": 600,
        "checks": report["refused"],
    }


@pytest.mark.parametrize("content", ["[]", "{", '{"passed": true, "rows": -1}', "\udcff"])
def test_another_stages_report_is_left_alone(
    content: str, project: DvcProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of that name that is no report of ours is nobody's mistake."""
    project.put("reports/validation.json", content.encode("utf-8", "surrogateescape"))
    assert run(["validate", "--directory", str(project.root)]) == 0
    assert "in the last run" not in capsys.readouterr().err
