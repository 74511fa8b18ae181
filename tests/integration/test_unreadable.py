"""What cannot be read of base or head: the rest is judged, and what is not known never passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository
from integration.compared import kinds

from mlgitops.dvc.hashes import hash_bytes

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "version: 1\nmetrics: {accuracy: {max_worsening: 0.05}}\n"
STAGE = "stages: {ev: {cmd: python ev.py, deps: [ev.py], metrics: [m.json: {cache: false}]}}\n"
CONFLICT = "<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17\n"


def digest(text: str) -> str:
    """Hash as DVC does."""
    return hash_bytes(text.encode())


def write_lock(code: str, metrics: str) -> str:
    """Write the lock of a run of ``code`` that wrote ``metrics``."""
    entry = "{path: %s, hash: md5, md5: %s}"
    dep, out = entry % ("ev.py", digest(code)), entry % ("m.json", digest(metrics))
    return f"schema: '2.0'\nstages:\n  ev: {{cmd: python ev.py, deps: [{dep}], outs: [{out}]}}\n"


GOOD = '{"accuracy": 0.9}'
SOUND = {
    "policy.yaml": POLICY,
    "dvc.yaml": STAGE,
    "dvc.lock": write_lock("1\n", GOOD),
    "raw.csv.dvc": f"outs: [{{path: raw.csv, hash: md5, md5: {'0' * 32}}}]\n",
    "ev.py": "1\n",
    "m.json": GOOD,
}


def make(root: Path, **base: str) -> GitRepository:
    """Make a project with ``base`` in the place of sound files, and then mend it."""
    made = GitRepository(root)
    for path, text in {**SOUND, **base}.items():
        made.put(path, text)
    made.commit()
    for path, text in SOUND.items():
        made.put(path, text)
    return made


@pytest.mark.parametrize("path", ["dvc.lock", "raw.csv.dvc", "dvc.yaml"])
@pytest.mark.parametrize(("value", "verdict"), [(0.88, "pass"), (0.4, "fail")])
def test_a_broken_base_is_mended(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    path: str,
    value: float,
    verdict: str,
) -> None:
    """The case base-broken: base's numbers are in git, so the change that mends it is judged."""
    made = make(tmp_path / "p", **{path: CONFLICT})
    metrics = json.dumps({"accuracy": value})
    made.put("m.json", metrics)
    made.put("dvc.lock", write_lock("1\n", metrics))
    report = compare(made, "--json").report
    assert report["judgement"]["verdict"] == verdict
    assert f"`{path}` at base cannot be read" in report["notices"][0]


def test_a_broken_policy_at_base_shows_the_facts_and_decides_nothing(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
) -> None:
    """The policy of the change must not judge in its place, however sound it is."""
    made = make(tmp_path / "p", **{"policy.yaml": POLICY + CONFLICT})
    found = compare(made, "--json")
    assert found.code == 2
    assert found.report["judgement"]["verdict"] == "undecided"
    assert found.report["metrics"][0]["delta"] == 0
    assert "nothing was judged:" in found.err
    assert "policy.yaml at base:3: holds a conflict of a merge" in found.err
    assert "**⚠️ Could not decide**" in compare(made, "--format", "markdown").out
    assert "Could not decide" in compare(made).out


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("policy.yaml/rules.yaml", "the policy is a folder"),
        ("policy.yaml.dvc", "DVC keeps the policy, and git has its pointer alone"),
        ("policy.yaml", "the policy lies in a submodule, whose files are not read"),
    ],
)
def test_a_policy_that_is_no_file_at_base_is_not_replaced_by_heads(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    path: str,
    reason: str,
) -> None:
    """The change makes it a file with bounds of its own, and is not judged by them."""
    made = make(tmp_path / "p")
    made.git("rm", "--quiet", "--force", "policy.yaml")
    if path == "policy.yaml":  # git keeps a commit of another repository there
        module = f"160000,{made.git('rev-parse', 'HEAD')},{path}"
        made.git("update-index", "--add", "--cacheinfo", module)
        made.git("commit", "--quiet", "--message", "A submodule")
        made.git("rm", "--quiet", "--cached", path)
    else:
        made.put(path, POLICY)
        made.commit("Another form")
        made.git("rm", "--quiet", "--force", path)
    base = made.git("rev-parse", "HEAD")
    made.put("policy.yaml", POLICY)
    made.commit("A file")
    found = compare(made, "--json", "--base", base)
    assert found.code == 2
    assert found.report["judgement"]["verdict"] == "undecided"
    assert f"policy.yaml at base: {reason}" in found.err


@pytest.mark.parametrize(("text", "reason"), [("{", "not JSON"), ("", "the file is empty")])
def test_one_metrics_file_that_cannot_be_read_spoils_its_own_metrics(
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
    text: str,
    reason: str,
) -> None:
    """Others are judged as ever; what is judged in that file fails."""
    made = make(tmp_path / "p")
    made.put("dvc.yaml", STAGE + "metrics: [more.json]\n")
    made.put("more.json", '{"loss": 0.5}')
    made.commit()
    made.put("more.json", text)
    found = compare(made, "--json")
    assert (found.code, kinds(found.report)) == (0, {"accuracy": "unchanged"})
    (loss,) = [metric for metric in found.report["metrics"] if metric["name"] == "loss"]
    assert reason in loss["reason"]
    made.put("more.json", '{"loss": 0.5}')
    made.put("policy.yaml", POLICY.replace("}}", "}, loss: {greater_is_better: false}}"))
    made.commit()
    made.put("more.json", text)
    judged = compare(made, "--json")
    assert (judged.code, kinds(judged.report)["loss"]) == (1, "incomparable")


def test_a_long_name_spoils_itself_alone(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The case long-name: a class of 210 characters in a file with a judged metric."""
    made = make(tmp_path / "p")
    metrics = json.dumps({"accuracy": 0.91, "x" * 210: {"recall": 0.5}})
    made.put("m.json", metrics)
    made.put("dvc.lock", write_lock("1\n", metrics))
    report = compare(made, "--json").report
    assert kinds(report) == {"accuracy": "improved"}
    assert report["metrics"][1]["reason"] == "head has a name of over 200 characters"


def test_a_folder_of_metrics_is_read(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """As DVC reads it: each file in it, and none of the pictures."""
    made = GitRepository(tmp_path / "p")
    made.put("policy.yaml", POLICY)
    made.put("dvc.yaml", "stages: {ev: {cmd: x, metrics: [out: {cache: false}]}}\n")
    made.put("out/a.json", GOOD)
    made.put("out/plots/roc.png", b"\x89PNG")
    made.commit()
    made.put("out/a.json", '{"accuracy": 0.4}')
    made.put("out/deep/b.yaml", "loss: 1\n")
    found = compare(made, "--json")
    assert (found.code, kinds(found.report)) == (1, {"accuracy": "worsened"})
    assert [metric["path"] for metric in found.report["metrics"]] == [
        "out/a.json",
        "out/deep/b.yaml",
    ]


def test_other_line_ends_are_named(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """A lock with Windows' line ends is read; code that has others than in its run is told so."""
    made = make(tmp_path / "p")
    made.put("dvc.lock", SOUND["dvc.lock"].replace("\n", "\r\n"))
    made.commit()
    made.put("note", "x")
    assert compare(made, "--json").code == 0
    made.put("dvc.lock", write_lock("1\r\n", GOOD))
    found = compare(made, "--json")
    assert found.code == 1
    assert "another `ev.py` (the same text with other line ends:" in found.report["notices"][0]


@pytest.mark.parametrize("path", ["pred.csv", "params.yaml"])
def test_a_pointer_of_lfs_is_named(tmp_path: Path, compare: Any, path: str) -> None:  # noqa: ANN401
    """The case pointer-messages: not columns that lack, or a mapping that is none."""
    made = make(tmp_path / "p")
    made.put("policy.yaml", f"{POLICY}files: {{predictions: pred.csv}}\n")
    made.put(path, LFS)
    made.commit()
    metrics = '{"accuracy": 0.91}'
    made.put("m.json", metrics)
    made.put("dvc.lock", write_lock("1\n", metrics))
    notices = " ".join(compare(made, "--json").report["notices"])
    assert "only a pointer of Git LFS, not the file itself" in notices


def test_margins_do_not_vanish_with_bases_lock(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """Slices cannot be held against predictions, nor a size against one, that only it names."""
    made = GitRepository(tmp_path / "p")
    made.put(
        "policy.yaml",
        "version: 1\nfiles: {predictions: pred.csv, model: model.bin}\n"
        "budgets: {cost.model_size_mb: {max_relative_worsening: 0.1, greater_is_better: false}}\n"
        "slices: [{by: [group], metric: accuracy, max_worsening: 0.1}]\n",
    )
    made.put("dvc.yaml", "stages: {ev: {cmd: x, outs: [pred.csv, model.bin]}}\nmetrics: [m.json]\n")
    made.put("dvc.lock", CONFLICT)
    made.put("m.json", GOOD)
    made.put(".gitignore", "pred.csv\nmodel.bin\n")
    made.commit()
    rows = "".join(f"{at},1,1,{'ab'[at % 2]}\n" for at in range(60))
    table = f"id,target,prediction,group\n{rows}"
    made.put("pred.csv", table)
    outs = f"{{path: pred.csv, hash: md5, md5: {digest(table)}}}, "
    outs += f"{{path: model.bin, hash: md5, md5: {'0' * 32}, size: 9000000}}"
    made.put("dvc.lock", f"schema: '2.0'\nstages: {{ev: {{cmd: x, outs: [{outs}]}}}}\n")
    found = compare(made, "--json")
    assert found.code == 1
    judgement = found.report["judgement"]
    assert "`dvc.lock` could not be read at base" in judgement["slices"][0]["reasons"][0]
    assert judgement["metrics"][0]["unproven"] == (
        "is not held to its margin of 10%: `dvc.lock` could not be read at base"
    )


def test_a_change_without_metrics_shows_its_facts(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The pointers and parameters that changed, and the two lines that would declare metrics."""
    made = GitRepository(tmp_path / "p")
    made.put("raw.csv.dvc", SOUND["raw.csv.dvc"])
    made.put("params.yaml", "rate: 1\n")
    made.commit()
    made.put("raw.csv.dvc", SOUND["raw.csv.dvc"].replace("0" * 32, "1" * 32))
    made.put("params.yaml", "rate: 2\n")
    found = compare(made, "--json")
    assert found.code == 0
    assert found.report["judgement"]["verdict"] == "skip"
    assert [item["path"] for item in found.report["data"]] == ["raw.csv"]
    assert [item["name"] for item in found.report["params"]] == ["rate"]
    assert "`metrics:` and `  - metrics.json`" in " ".join(found.report["notices"])
    assert "There is no metric to judge." in compare(made).out
    made.put("policy.yaml", POLICY)
    judged = compare(made, "--json")
    assert judged.code == 1
    assert "is in no metrics file" in judged.report["judgement"]["failures"][0]


def test_no_verdict_has_its_own_reason(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """The same on both sides, nothing that can be read, and nothing that is judged."""
    made = make(tmp_path / "p", **{"policy.yaml": "version: 1\n"})
    made.put("policy.yaml", "version: 1\n")
    made.put("m.json", json.dumps({"accuracy": 0.9, "loss": float("nan"), "log": None}))
    made.put("dvc.lock", "schema: '2.0'\nstages: {}\n")
    made.put("dvc.yaml", "metrics: [m.json]\n")
    made.commit()
    same = compare(made, "--base", "HEAD", "--head", "HEAD")
    assert same.code == 0
    assert "Base and head are the same in all that is compared." in same.out
    assert "Other metrics, 0 of 3 changed, 2 not comparable" in same.out
    made.put("m.json", '{"accuracy": 0.4}')
    assert "No policy names a metric to judge." in compare(made).out
    made.put("m.json", "{")
    made.commit()
    unread = compare(made, "--base", "HEAD")
    assert unread.code == 2
    assert "`m.json` at head cannot be read: not JSON" in unread.err
    assert "Could not decide" in unread.out
