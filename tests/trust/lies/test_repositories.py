"""Repositories that look ordinary, and hide a loss from a reader that is not careful.

In each the accuracy fell, or nobody can know that it did not: `mlgitops compare` must not pass,
and must give the very reason.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from git_project import GitRepository
from kept_folder import KeptFolder, digest, metrics
from trust.lie import check_lie

from mlgitops.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLICY = "version: 1\nmetrics:\n  {}: {{greater_is_better: true, max_worsening: 0.05}}\n"
STAGE = "stages:\n  ev:\n    cmd: python ev.py\n    metrics: [{{{}: {{cache: false}}}}]\n"
GOOD, BAD = '{"accuracy": 0.9}', '{"accuracy": 0.4}'
LOST = "accuracy` lost more than the 0.05 that it may lose"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17\n"
TEXT = "x" * 10_000
CONFLICT = "<<<<<<< ours\ncmd: a\n=======\ncmd: b\n>>>>>>> theirs\n"
STRICT = f"{POLICY.format('accuracy')}inconclusive: fail\n"
UNPROVEN = "`accuracy` is not shown to have lost at most 0.05: noise was not estimated"
TESTED = f"{POLICY.format('accuracy')}files: {{test_data: test.csv}}\n"


class Link(str):
    """What a symbolic link says."""

    __slots__ = ()


Files: TypeAlias = "dict[str, str | None]"  # None: there is no such file
START: Files = {
    "policy.yaml": POLICY.format("accuracy"),
    "dvc.yaml": STAGE.format("m.json"),
    "m.json": GOOD,
}


def lock(text: str, more: str = "") -> str:
    """Return the lock of a run that wrote ``text`` as its metrics, with ``more`` of its entry."""
    out = f"{{path: m.json, hash: md5, md5: {digest(text.encode())}, size: {len(text)}}}"
    return f"schema: '2.0'\nstages:\n  ev: {{cmd: python ev.py, {more} outs: [{out}]}}\n"


def foreach(count: int, command: str = "python ev.py") -> str:
    """Return a pipeline of one stage for each of so many items."""
    items = ", ".join(f"i{at}" for at in range(count))
    do = f"{{cmd: '{command}', metrics: [{{'${{item}}.json': {{cache: false}}}}]}}"
    return f"vars: [{{long: {TEXT}}}]\nstages:\n  ev: {{foreach: [{items}], do: {do}}}\n"


#: What the repository is called → base's files, what head changes, and the reason.
LIES: dict[str, tuple[Files, Files, str]] = {
    # Links.
    "the newest run is a linked folder": (
        {
            "m.json": None,
            "runs/1/m.json": GOOD,
            "runs/last": Link("1"),
            "dvc.yaml": STAGE.format("runs/last/m.json"),
        },
        {"runs/2/m.json": BAD, "runs/last": Link("2")},
        LOST,
    ),
    "the metrics are linked to where they are made": (
        {"m.json": Link("out/m.json"), "out/m.json": GOOD},
        {"out/m.json": BAD},
        LOST,
    ),
    "links lead to links": (
        {"m.json": Link("a/b"), "a": Link("c"), "c/b": Link("../d.json"), "d.json": GOOD},
        {"d.json": BAD},
        LOST,
    ),
    "the metrics are on a shared disk": (
        {},
        {"m.json": Link("/mnt/runs/m.json")},
        "head cannot be read: this link is absolute: it leads to another place on every machine",
    ),
    "base's metrics were beside the repository": (
        {"m.json": Link("../m.json")},
        {"m.json": '{"accuracy": 0.95}'},
        "base cannot be read: this link leads out of the repository",
    ),
    "base's metrics lead to a file that was never committed": (
        {"m.json": Link("out/m.json")},
        {"m.json": BAD},
        "base cannot be read: this link leads to nothing that is there",
    ),
    "the pipeline is read from git's own files": (
        {},
        {"dvc.yaml": Link(".git/config")},
        "dvc.yaml: this link leads into git's own files",
    ),
    "the policy is the team's, and is edited there": (
        {"policy.yaml": Link("team.yaml"), "team.yaml": POLICY.format("accuracy")},
        {"team.yaml": "version: 1\nmetrics: {accuracy: {max_worsening: 0.9}}\n", "m.json": BAD},
        LOST,
    ),
    "the policy's link is set to another team's": (
        {
            "policy.yaml": Link("a.yaml"),
            "a.yaml": POLICY.format("accuracy"),
            "b.yaml": "version: 1",
        },
        {"policy.yaml": Link("b.yaml"), "m.json": BAD},
        LOST,
    ),
    "the policy leads to itself": (
        {"policy.yaml": None},
        {"policy.yaml": Link("policy.yaml"), "m.json": BAD},
        "policy.yaml: this link passes over 40 links: it may go in a circle",
    ),
    "base's policy leads nowhere, so head's would judge": (
        {"policy.yaml": Link("team.yaml")},
        {"policy.yaml": "version: 1\nmetrics: {accuracy: {}}\n", "m.json": BAD},
        "policy.yaml: this link leads to nothing that is there",
    ),
    # Added.
    "the metric is renamed": (
        {"policy.yaml": POLICY.format("acc")},
        {"m.json": '{"acc": 0.4}'},
        "`acc` is new, and `accuracy` is gone, which may be what base calls it",
    ),
    "the metric moves into a group of its own": (
        {"policy.yaml": POLICY.format("test.accuracy")},
        {"m.json": '{"test": {"accuracy": 0.4}}'},
        "`test.accuracy` is new, and `accuracy` is gone, which may be what base calls it",
    ),
    "the metrics file moves": (
        {},
        {"m.json": None, "new/m.json": BAD, "dvc.yaml": STAGE.format("new/m.json")},
        LOST,
    ),
    "the metrics file moves to where the policy waits": (
        {"policy.yaml": POLICY.format("new/m.json:accuracy")},
        {"m.json": None, "new/m.json": BAD, "dvc.yaml": STAGE.format("new/m.json")},
        LOST,
    ),
    "the metrics file moves from where the policy knows it": (
        {"policy.yaml": POLICY.format("m.json:accuracy")},
        {"m.json": None, "new/m.json": BAD, "dvc.yaml": STAGE.format("new/m.json")},
        LOST,
    ),
    "the metrics move to a file that no stage makes": (
        {"dvc.lock": lock(GOOD)},
        {"m.json": None, "dvc.lock": None, "new.json": GOOD, "dvc.yaml": "metrics: [new.json]\n"},
        "is stale: stage `ev` made it, and no stage makes it any more",
    ),
    "the metrics file stays and is declared no more, and another has its metric": (
        {},
        {"m.json": BAD, "new.json": GOOD, "dvc.yaml": STAGE.format("new.json")},
        "`accuracy` is in several files, `m.json` and `new.json`",
    ),
    "the metric is in another file, and its own says nothing": (
        {},
        {
            "m.json": '{"accuracy": null}',
            "a.json": '{"accuracy": 1}',
            "dvc.yaml": STAGE.format("m.json, a.json"),
        },
        "`accuracy` is in several files, `a.json` and `m.json`",
    ),
    "the metrics are never stored": (
        {"m.json": None, ".gitignore": "/m.json\n"},
        {"m.json": BAD},
        "base declares `m.json` and does not hold it, perhaps as its pipeline never ran",
    ),
    "the metrics were forgotten in one commit": (
        {"m.json": None, "dvc.lock": lock(GOOD)},
        {"m.json": BAD, "dvc.lock": lock(BAD)},
        "base is not available: DVC keeps it, and neither cache nor storage has it",
    ),
    "the metrics were forgotten, and so was their run": (
        {"m.json": None, "dvc.lock": "schema: '2.0'\nstages: {other: {cmd: x}}\n"},
        {"m.json": BAD, "dvc.lock": lock(BAD)},
        "base declares `m.json` and does not hold it: what it lost is not known",
    ),
    "the stage writes a folder, and base has not got it": (
        {"m.json": None, "dvc.yaml": "stages: {ev: {cmd: x, outs: [o]}}\nmetrics: [o/m.json]\n"},
        {"o/m.json": BAD},
        "base declares `o/m.json` and does not hold it",
    ),
    "base wrote something else into the file": (
        {"m.json": '{"loss": 0.1}'},
        {"m.json": '{"loss": 0.1, "accuracy": 0.4}'},
        "base's `m.json` does not have it: what it lost is not known",
    ),
    "base's stage is named by an unknown word": (
        {"dvc.yaml": STAGE.format("'${set}.json'"), "m.json": None},
        {"dvc.yaml": STAGE.format("m.json"), "m.json": BAD},
        "is new, and stage `ev` of `dvc.yaml` could not be read at base",
    ),
    "base's metrics lie outside of the repository": (
        {"dvc.yaml": STAGE.format("../m.json"), "m.json": None},
        {"dvc.yaml": STAGE.format("m.json"), "m.json": BAD},
        "is new, and `../m.json`, which `dvc.yaml` declares, could not be read at base",
    ),
    # What base holds is no number.
    "base's metrics are in Git LFS": (
        {"m.json": LFS},
        {"m.json": BAD},
        "base cannot be read: only a pointer of Git LFS, not the file itself",
    ),
    "head's metrics are in Git LFS": (
        {},
        {"m.json": LFS},
        "head cannot be read: only a pointer of Git LFS, not the file itself",
    ),
    "head was committed with a conflict": (
        {},
        {"m.json": f"<<<<<<< ours\n{GOOD}\n=======\n{BAD}\n>>>>>>> theirs\n"},
        "head cannot be read: holds a conflict of a merge",
    ),
    "a metric is new in a file that cannot be read": (
        {"policy.yaml": POLICY.format("recall")},
        {"m.json": '{"recall": 0.4, "recall": 0.9}'},
        "`recall` is in no metrics file",
    ),
    # What base's pipeline says cannot be read, and the change mends it.
    "base's lock has a conflict, and the metrics are kept by DVC": (
        {"m.json": None, ".gitignore": "/m.json\n", "dvc.lock": CONFLICT},
        {"m.json": BAD, "dvc.lock": lock(BAD), ".gitignore": None},
        "is new, and `dvc.lock` could not be read at base: what it lost is not known",
    ),
    "base's lock has a conflict, and the change has none": (
        {"dvc.lock": CONFLICT},
        {"dvc.lock": "schema: '2.0'\nstages: {}\n", "m.json": '{"accuracy": 0.99}'},
        "is stale: stage `ev` has to run again",
    ),
    "base's pipeline has a conflict, and the change freezes its stage": (
        {
            "dvc.yaml": CONFLICT,
            "dvc.lock": lock(GOOD, "deps: [{path: a.py, hash: md5, md5: %s}]," % ("0" * 32)),
            "a.py": "1",
        },
        {
            "dvc.yaml": "stages: {ev: {cmd: python ev.py, frozen: true, deps: [a.py],"
            " metrics: [{m.json: {cache: false}}]}}\n",
            "a.py": "2",
        },
        "is stale: stage `ev` has to run again",
    ),
    "base's pipeline has a conflict, and the change takes its stage away": (
        {"dvc.yaml": CONFLICT, "dvc.lock": lock(GOOD)},
        {"dvc.yaml": "metrics: [m.json]\n", "m.json": '{"accuracy": 0.99}'},
        "is stale: stage `ev` made it, and no stage makes it any more",
    ),
    "base's pointer has a conflict, and the change exchanges the test data": (
        {"policy.yaml": TESTED, "test.csv.dvc": CONFLICT},
        {"test.csv.dvc": f"outs: [{{path: test.csv, hash: md5, md5: {'1' * 32}}}]\n"},
        "was measured on other test data",
    ),
    "a folder of metrics": (
        {"m.json": None, "dvc.yaml": STAGE.format("out"), "out/a.json": GOOD},
        {"out/a.json": BAD},
        LOST,
    ),
    "the stage that wrote a folder of metrics is taken away": (
        {
            "m.json": None,
            "dvc.yaml": STAGE.format("out"),
            "out/a.json": GOOD,
        },
        {"dvc.yaml": "metrics: [out]\n", "out/a.json": '{"accuracy": 0.99}'},
        "is stale: stage `ev` made it, and no stage makes it any more",
    ),
    "base was committed with a conflict": (
        {"m.json": f"<<<<<<< ours\n{GOOD}\n=======\n{BAD}\n>>>>>>> theirs\n"},
        {"m.json": BAD},
        "base cannot be read: holds a conflict of a merge",
    ),
    "base's metrics are empty": (
        {"m.json": ""},
        {"m.json": BAD},
        "base cannot be read: the file is empty",
    ),
    "base's metrics are broken, and head has others": (
        {"m.json": "{"},
        {"m.json": None, "dvc.yaml": STAGE.format("new.json"), "new.json": BAD},
        "is new, and `m.json` could not be read at base, and may have had it",
    ),
    "base's metrics are in no storage, and head has others": (
        {"m.json": None, "dvc.lock": lock(GOOD)},
        {"dvc.lock": None, "dvc.yaml": "metrics: [new.json]\n", "new.json": BAD},
        "is new, and `m.json` could not be read at base, and may have had it",
    ),
    "the first number is not what the predictions give": (
        {
            "m.json": None,
            "dvc.yaml": "metrics: [loss.json]\n",
            "loss.json": '{"loss": 1}',
            "policy.yaml": f"{POLICY.format('accuracy')}files: {{predictions: p.csv}}\n",
        },
        {
            "dvc.yaml": "metrics: [loss.json, m.json]\n",
            "m.json": GOOD,
            "p.csv": "id,target,prediction\na,0,0\nb,0,1\nc,1,0\nd,1,1\n",
        },
        "head's predictions give 0.5 and its metrics file says 0.9",
    ),
    "base has no number yet": ({"m.json": '{"accuracy": null}'}, {"m.json": BAD}, "base is empty"),
    "base has not a number": ({"m.json": '{"accuracy": NaN}'}, {"m.json": BAD}, "base is NaN"),
    "base has a list of folds": (
        {"m.json": '{"accuracy": [0.9, 0.91]}'},
        {"m.json": BAD},
        "base is a list, not a number",
    ),
    "base has it twice": (
        {
            "m.json": '{"test.accuracy": 0.9, "test": {"accuracy": 0.3}}',
            "policy.yaml": POLICY.format("test.accuracy"),
        },
        {"m.json": '{"test": {"accuracy": 0.3}}'},
        "base is written twice, once with dots and once nested",
    ),
    # Many stages.
    "the stage that lost is the last of many": (
        {"dvc.yaml": foreach(1_200), "i1199.json": GOOD, "m.json": None},
        {"i1199.json": BAD},
        LOST,
    ),
    # The same value, of which nothing says that the same model has it: no lock, no predictions.
    "the command is another one, and the value is not": (
        {"policy.yaml": STRICT},
        {"dvc.yaml": STAGE.format("m.json").replace("ev.py", "other.py")},
        UNPROVEN,
    ),
    "the code is another one, and the value is not": (
        {
            "policy.yaml": STRICT,
            "dvc.yaml": STAGE.format("m.json") + "    deps: [ev.py]\n",
            "ev.py": "print(1)\n",
        },
        {"ev.py": "print(2)\n"},
        UNPROVEN,
    ),
    "the metric moved, and its value did not": (
        {"policy.yaml": STRICT},
        {"m.json": None, "new/m.json": GOOD, "dvc.yaml": STAGE.format("new/m.json")},
        UNPROVEN,
    ),
    "there are more stages than are read": (
        {},
        {"dvc.yaml": foreach(20_001), "i20000.json": BAD},
        "dvc.yaml: its pipeline has over 20,000 stages",
    ),
    "the stages come to more than memory holds": (
        {},
        {"dvc.yaml": foreach(10_000, "echo ${long}")},
        "dvc.yaml: its stages come to over 2,000,000 values or 67,108,864 characters",
    ),
}


def put(repository: GitRepository, files: Files) -> None:
    """Write, link and remove files."""
    for path, text in files.items():
        place = repository.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if isinstance(text, Link):
            place.symlink_to(text)
        elif text is not None:
            repository.put(path, text)


def compare(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Compare, which must not pass, and return why: the failures, or the error."""
    code = run(["compare", "--directory", str(root), "--json", *words])
    printed = capsys.readouterr()
    if code == 2:
        return printed.err
    assert code == 1, printed.out
    return "\n".join(json.loads(printed.out)["judgement"]["failures"])


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("committed", [False, True])
def test_an_ordinary_repository_hides_no_loss(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    name: str,
    *,
    committed: bool,
) -> None:
    """Neither the work tree nor a revision passes, and both for the same reason."""
    base, head, reason = LIES[name]
    repository = GitRepository(tmp_path / "repository")
    (tmp_path / "m.json").write_text('{"accuracy": 0.95}')  # what links out would find
    put(repository, {**START, **base})
    repository.commit("base")
    put(repository, head)
    words: tuple[str, ...] = ("--base", "main")
    if committed and ".gitignore" not in base:
        repository.commit("head")
        words = ("--base", "HEAD~1", "--head", "HEAD")
    payload = json.dumps([{**START, **base}, head]).encode()
    check_lie(
        record_property, payload, reason=reason, text=compare(repository.root, capsys, *words)
    )


def test_what_git_ignores_is_left_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of an older run that git does not see is no second place of a metric that moved."""
    repository = GitRepository(tmp_path / "repository")
    put(repository, START)
    repository.commit("base")
    put(repository, {"new.json": GOOD, "dvc.yaml": STAGE.format("new.json")})
    repository.git("rm", "--quiet", "--cached", "m.json")
    repository.put(".gitignore", "/m.json\n")
    repository.commit("head")
    code = run(["compare", "--directory", str(repository.root), "--base", "HEAD~1"])
    assert code == 0, capsys.readouterr().out


UNDECLARED: dict[str, Files] = {
    "its stage is taken away": {"dvc.yaml": "stages: {other: {cmd: x}}\n"},
    "its stage stays and makes nothing": {"dvc.yaml": "stages: {ev: {cmd: python ev.py}}\n"},
    "the pipeline is taken away": {"dvc.yaml": None, "dvc.lock": None},
    "the pipeline is ignored": {".dvcignore": "dvc.yaml\n"},
}


@pytest.mark.parametrize("name", UNDECLARED)
def test_metrics_that_are_declared_no_more_are_stale(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    """Base's file is left in git, so head has base's very value, which no stage made there."""
    repository = GitRepository(tmp_path / "repository")
    put(repository, {**START, "dvc.lock": lock(GOOD), "ev.py": "1"})
    repository.commit("base")
    put(repository, {**UNDECLARED[name], "ev.py": "2"})
    repository.commit("head")
    text = compare(repository.root, capsys, "--base", "HEAD~1", "--head", "HEAD")
    reason = "is stale: stage `ev` made it, and no stage makes it any more"
    payload = json.dumps(UNDECLARED[name]).encode()
    check_lie(record_property, payload, reason=reason, text=text)


def test_metrics_in_a_submodule_are_not_new(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """At base they stand in another repository, of which this one has the commit alone."""
    repository = GitRepository(tmp_path / "repository")
    put(repository, {**START, "m.json": None, "dvc.yaml": STAGE.format("sub/m.json")})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    repository.git("add", "policy.yaml", "dvc.yaml")
    repository.git("commit", "--quiet", "--message", "base")
    repository.put("sub/m.json", BAD)
    reason = "is new, and base declares `sub/m.json` and does not hold it"
    text = compare(repository.root, capsys, "--base", "main")
    check_lie(record_property, b"submodule" + BAD.encode(), reason=reason, text=text)


def _lose_manifest(project: KeptFolder, name: str) -> None:
    project.place(name).unlink()


def _lose_member(project: KeptFolder, name: str) -> None:
    del name
    project.place(digest(metrics(0.9))).unlink()


def _exchange_manifest(project: KeptFolder, name: str) -> None:
    listed = [{"md5": digest(metrics(0.4)), "relpath": "metrics.json"}]
    project.store(name, json.dumps(listed).encode())


def _exchange_member(project: KeptFolder, name: str) -> None:
    del name
    project.store(digest(metrics(0.9)), metrics(0.4))


def _lead_out(project: KeptFolder, name: str) -> None:
    listed = [{"md5": digest(metrics(0.9)), "relpath": "../metrics.json"}]
    _set_manifest(project, name, json.dumps(listed).encode())


def _list_twice(project: KeptFolder, name: str) -> None:
    listed = [
        {"md5": digest(metrics(accuracy)), "relpath": path}
        for accuracy, path in ((0.9, "metrics.json"), (0.4, "Metrics.json"))
    ]
    _set_manifest(project, name, json.dumps(listed).encode())


def _version_in_cloud(project: KeptFolder, name: str) -> None:
    lock = (project.root / "dvc.lock").read_text()
    project.put("dvc.lock", lock.replace(f"md5: {name}", "etag: '0x8D'"))


def _set_manifest(project: KeptFolder, name: str, data: bytes) -> None:
    """Put another manifest, under its true hash, in the place of one in dvc.lock."""
    other = f"{digest(data)}.dir"
    project.store(other, data)
    lock = (project.root / "dvc.lock").read_text()
    project.put("dvc.lock", lock.replace(name, other))


def _do_nothing(project: KeptFolder, name: str) -> None:
    del project, name


AWAY = "base is not available: DVC keeps it, and neither cache nor storage has it"
KEPT: dict[str, tuple[Callable[[KeptFolder, str], None], str]] = {
    "the metrics are in a folder that DVC keeps": (_do_nothing, "lost more than the 0.02"),
    "the folder's list was pruned from the cache": (_lose_manifest, AWAY),
    "the file was pruned from the cache": (_lose_member, AWAY),
    "the folder is versioned by a cloud": (_version_in_cloud, AWAY),
    "the folder's list is another's": (
        _exchange_manifest,
        "the stored list of a folder is damaged",
    ),
    "the file is another's": (_exchange_member, "the stored file is damaged"),
    "the folder's list leads out of it": (_lead_out, "is not relative, or leaves its folder"),
    "the folder's list has two of one name": (_list_twice, "two entries name the same file"),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_folder_that_dvc_keeps_hides_no_loss(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    """What base holds in it is read, or the judged metric fails with the reason."""
    change, reason = KEPT[name]
    project = KeptFolder(tmp_path / "project")
    manifest = project.evaluate({"metrics.json": metrics(0.9)})
    change(project, manifest)
    project.commit("base")
    project.evaluate({"metrics.json": metrics(0.4), "other": b""})
    payload = b"".join(path.read_bytes() for path in sorted(project.cache.rglob("*/*")))
    payload += (project.root / "dvc.lock").read_bytes() + name.encode()
    check_lie(
        record_property,
        payload,
        reason=reason,
        text=compare(project.root, capsys, "--base", "HEAD"),
    )


def test_other_test_rows_in_a_kept_folder_are_seen(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Easier rows in the same folder are other test data, and the better value is no gain."""
    project = KeptFolder(tmp_path / "project")
    project.put("policy.yaml", f"{POLICY.format('accuracy')}files: {{test_data: eval/test.csv}}\n")
    project.evaluate({"metrics.json": metrics(0.9), "test.csv": b"id\n1\n2\n"})
    project.commit("base")
    project.evaluate({"metrics.json": metrics(0.95), "test.csv": b"id\n1\n"})
    project.commit("head")
    shutil.rmtree(project.root / "eval")
    text = compare(project.root, capsys, "--base", "HEAD~1", "--head", "HEAD")
    payload = (project.root / "dvc.lock").read_bytes()
    reason = "was measured on other test data than at base"
    check_lie(record_property, payload, reason=reason, text=text)


def test_the_list_that_was_cut_still_fails(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """A name in two files is unclear, also where a report of many metrics has no room for both."""
    repository = GitRepository(tmp_path / "repository")
    many = {f"m{at:05}": 1.0 for at in range(12_000)}
    both = "stages: {a: {cmd: x, metrics: [a.json]}, b: {cmd: x, metrics: [b.json, c.json]}}\n"
    put(repository, {**START, "m.json": None, "dvc.yaml": both, "a.json": GOOD, "b.json": GOOD})
    repository.put("c.json", json.dumps(many))
    repository.commit("base")
    repository.put("c.json", json.dumps(dict.fromkeys(many, 1.5)))
    repository.put("b.json", BAD)
    path = tmp_path / "report.json"
    text = compare(repository.root, capsys, "--base", "main", "--output", str(path))
    report: dict[str, Any] = json.loads(path.read_bytes())
    assert report["omitted"]["metrics"] > 0
    names = [(item["path"], item["name"]) for item in report["metrics"]]
    assert {("a.json", "accuracy"), ("b.json", "accuracy")} <= set(names)
    reason = "`accuracy` is in several files, `a.json` and `b.json`"
    check_lie(record_property, path.read_bytes(), reason=reason, text=text)


def test_a_hook_of_git_judges_the_project_it_stands_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Git tells its hooks where the repository is, and so takes any folder for its root.

    The project in a folder must not be held against the weaker one at the root.
    """
    repository = GitRepository(tmp_path / "repository")
    put(repository, {**START, "m.json": BAD})
    put(repository, {f"model/{path}": text for path, text in START.items()})
    repository.commit("base")
    repository.put("model/m.json", '{"accuracy": 0.5}')
    payload = repository.git("diff").encode()
    monkeypatch.setenv("GIT_DIR", str(repository.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository.root / ".git/index"))
    text = compare(repository.root / "model", capsys, "--base", "main")
    check_lie(record_property, payload, reason=LOST, text=text)
