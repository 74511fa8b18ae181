"""What a pull request may send and we must refuse, by the way it reaches us.

Each entry is a name and bytes. They say what a careful reader must refuse; the ones that
break size, depth or form stand for any parser, the others for one format.
"""

from __future__ import annotations

import json
from typing import Any

from trust.archives import ARCHIVES
from trust.ways import BASE, HEAD

DEEP = 50_000
_METRIC = {"name": "score", "path": "m.json", "base": 0.5, "head": 0.5, "delta": 0.0}
_LONG = "x" * 600


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


def _report(**changes: Any) -> bytes:  # noqa: ANN401
    report = {
        "schema": 1,
        "key": "default",
        "base": {"sha": BASE},
        "head": {"sha": HEAD},
        "test_data": "same",
        "metrics": [_METRIC],
    }
    return _dump({**report, **changes})


def _metric(**changes: Any) -> bytes:  # noqa: ANN401
    return _report(metrics=[{**_METRIC, **changes}])


GOOD_REPORT = _report()

#: Breaks any JSON reader that is not careful.
JSON: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t",
    "null": b"null",
    "a number": b"1",
    "text": b'"text"',
    "a list": b"[]",
    "cut": b'{"a": ',
    "two values": b"{} {}",
    "a comment": b'{"a": 1} // x',
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "latin-1": '{"é": 1}'.encode("latin-1"),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL bytes": b"\x00" * 64,
    "a NUL in text": b'{"a\x00": 1}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a huge integer": b'{"a": ' + b"9" * 6_000 + b"}",
    "a key twice": b'{"a": 1, "a": 2}',
    "a lone surrogate": b'{"a\\ud800": 1}',
    "too large": b'{"a": "' + b"x" * (2**24 + 2**20) + b'"}',
}
#: Breaks any YAML reader that is not careful.
YAML: dict[str, bytes] = {
    "a list": b"- a\n- b\n",
    "cut": b"a: [1, 2",
    "tabs": b"a:\n\t- b: c",
    "a key twice": b"a: 1\na: 2\n",
    "a tag of Python": b"a: !!python/name:builtins.list\n",
    "a tag of its own": b"a: !custom x\n",
    "binary": b"a: !!binary aGVsbG8=\n",
    "a set": b"a: !!set {b, c}\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "an alias of nothing": b"a: *b\n",
    "an alias of itself": b"a: &a [*a]\n",
    "aliases of aliases": b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"a%d: &a%d [%s]\n" % (at, at, b",".join([b"*a%d" % (at - 1)] * 10)) for at in range(1, 12)
    ),
    "deep lists": b"[" * DEEP,
    "deep dashes": b"- " * 2_000 + b"1",
    "deep mappings": b"{a: " * DEEP,
    "a list as key": b"? [a, b]\n: 1\n",
    "a merge of text": b"<<: text\n",
    "not UTF-8": b"a: \xff\xfe\n",
    "a control character": b"a: \x07\n",
    "NUL bytes": b"\x00" * 64,
    "a directive from another version": b"%YAML 9.9\n---\na: 1\n",
    "too large": b"a: " + b"x" * (2**24 + 2**20),
    "a huge integer": b"a: " + b"9" * 6_000 + b"\n",
}  # fmt: skip

REPORTS: dict[str, bytes] = {
    **JSON,
    "another schema": _report(schema=2),
    "a true schema": _report(schema=True),
    "another project": _report(key="other"),
    "a key with a line": _report(key="default\n"),
    "a key that is a path": _report(key="../default"),
    "an unknown field": _report(surprise=1),
    "another base": _report(base={"sha": "c" * 40}),
    "another head": _report(head={"sha": "c" * 40}),
    "sides swapped": _report(base={"sha": HEAD}, head={"sha": BASE}),
    "no head": _report(head={}),
    "a head in capitals": _report(head={"sha": HEAD.upper()}),
    "a head that is a name": _report(head={"sha": "refs/heads/main"}),
    "a head with a line": _report(head={"sha": HEAD + "\n"}),
    "a head of 39 digits": _report(head={"sha": HEAD[:39]}),
    "unknown test data": _report(test_data="equal"),
    "metrics as object": _report(metrics={"score": 1}),
    "metrics of numbers": _report(metrics=[1, 2]),
    "a metric twice": _report(metrics=[_METRIC, _METRIC]),
    "a nameless metric": _metric(name=""),
    "a long name": _metric(name=_LONG),
    "a value of text": _metric(head="0.9"),
    "a true value": _metric(head=True),
    "a value in an object": _metric(head={"value": 1}),
    "a value in a list": _metric(head=[1]),
    "NaN": GOOD_REPORT.replace(b"0.5", b"NaN"),
    "Infinity": GOOD_REPORT.replace(b"0.5", b"Infinity"),
    "minus Infinity": GOOD_REPORT.replace(b"0.5", b"-Infinity"),
    "a number beyond range": GOOD_REPORT.replace(b"0.5", b"1e999"),
    "a delta that is wrong": _metric(delta=0.4),
    "a delta without sides": _metric(base=None, head=None, delta=0.4),
    "an empty path": _metric(path=""),
    "a long notice": _report(notices=["x" * 5_000]),
    "notices of numbers": _report(notices=[1]),
    "a verdict of its own kind": _report(judgement={"verdict": "great"}),
    "policy_changed of text": _report(policy_changed="no"),
    "a byte-order mark": b"\xef\xbb\xbf" + GOOD_REPORT,
    "a field twice": GOOD_REPORT.replace(b'"schema": 1', b'"schema": 1, "schema": 1'),
}


def _policy(text: str) -> bytes:
    return f"version: 1\n{text}\n".encode()


POLICIES: dict[str, bytes] = {
    **YAML,
    "empty": b"",
    "no version": b"metrics: {}\n",
    "another version": b"version: 2\n",
    "a true version": b"version: true\n",
    "a version of text": b'version: "1"\n',
    "an unknown key": _policy("metric: {}"),
    "metrics as list": _policy("metrics: [a]"),
    "a rule of text": _policy("metrics: {score: high}"),
    "an unknown rule": _policy("metrics: {score: {greater_is_better: true, minimum: 1}}"),
    "a bound of text": _policy("metrics: {score: {greater_is_better: true, min_value: '1'}}"),
    "a bound of NaN": _policy("metrics: {score: {greater_is_better: true, min_value: .nan}}"),
    "an infinite bound": _policy("metrics: {score: {greater_is_better: true, min_value: -.inf}}"),
    "a true bound": _policy("metrics: {score: {greater_is_better: true, min_value: true}}"),
    "a negative loss": _policy("metrics: {score: {greater_is_better: true, max_worsening: -1}}"),
    "an infinite loss": _policy("metrics: {score: {greater_is_better: true, max_worsening: .inf}}"),
    "bounds that exclude all": _policy(
        "metrics: {score: {greater_is_better: true, min_value: 2, max_value: 1}}"
    ),
    "a direction of text": _policy("metrics: {score: {greater_is_better: 'yes', min_value: 1}}"),
    "a confidence in percent": _policy("confidence: 95"),
    "a confidence of one": _policy("confidence: 1"),
    "a confidence of NaN": _policy("confidence: .nan"),
    "a file outside": _policy("files: {model: ../model.skops}"),
    "an absolute file": _policy("files: {predictions: /etc/hostname}"),
    "a file of numbers": _policy("files: {test_data: 1}"),
    "slices as mapping": _policy("slices: {}"),
    "a slice of nothing": _policy("slices: [{by: [], metric: accuracy, max_value: 1}]"),
    "a slice without limit": _policy("slices: [{by: [a], metric: accuracy}]"),
    "a slice of an unknown metric": _policy("slices: [{by: [a], metric: magic, max_value: 1}]"),
    "a minimum of no rows": _policy(
        "slices: [{by: [a], metric: accuracy, statistic: difference, max_value: 1, min_rows: 0}]"
    ),
    "an unknown answer to noise": _policy("inconclusive: ignore"),
}


def _event(**changes: Any) -> bytes:  # noqa: ANN401
    pull = {"number": 1, "base": {"sha": BASE}, "head": {"sha": HEAD}}
    return _dump({"pull_request": {**pull, **changes}})


EVENTS: dict[str, bytes] = {
    **{name: data for name, data in JSON.items() if name not in ("a key twice", "too large")},
    "no event": b"{}",
    "a push": _dump({"ref": "refs/heads/main", "after": HEAD}),
    "a pull request of text": _dump({"pull_request": "1"}),
    "a number of text": _event(number="1"),
    "number zero": _event(number=0),
    "a negative number": _event(number=-1),
    "a fraction": _event(number=1.5),
    "a true number": _event(number=True),
    "a number beyond range": _event(number=2**60),
    "no base": _event(base=None),
    "a base without sha": _event(base={}),
    "a base that is a name": _event(base={"sha": "main"}),
    "a base with an option": _event(base={"sha": "--upload-pack=x"}),
    "a base of 41 digits": _event(base={"sha": "b" * 41}),
    "a base with a line": _event(base={"sha": BASE + "\n"}),
    "a head in capitals": _event(head={"sha": HEAD.upper()}),
    "a head of other digits": _event(head={"sha": "\u0661" * 40}),
    "a repository of numbers": _event(head={"sha": HEAD, "repo": {"full_name": 1}}),
    "a repository as list": _event(head={"sha": HEAD, "repo": []}),
    "a merge group without sides": _dump({"merge_group": {}}),
    "a merge group of names": _dump({"merge_group": {"base_sha": "main", "head_sha": "x"}}),
}

METRICS: dict[str, bytes] = {
    **{name: data for name, data in JSON.items() if name != "a number"},  # one value: DVC allows it
    "a list of objects": b'[{"score": 1}]',
    "an empty name": b'{"": 1}',
    "a long name": _dump({"x" * 201: 1}),
    "a key twice below": b'{"a": {"b": 1, "b": 2}}',
    "nested over the limit": b'{"a":' * 40 + b"1" + b"}" * 40,
    "a form that is YAML": b"score: 1\n",
    "a form that is TOML": b"score = 1\n",
}

#: Digits beyond what a number holds stay text there: nothing is computed with them.
_NO_NUMBERS = {name: data for name, data in YAML.items() if name != "a huge integer"}
PARAMS: dict[str, bytes] = _NO_NUMBERS

DEFINITIONS: dict[str, bytes] = {
    **_NO_NUMBERS,
    "stages of text": b"stages: train\n",
    "stages as list": b"stages: [train]\n",
    "a stage of a number": b"stages: {train: 3}\n",
    "a stage twice": b"stages: {a: {cmd: x}, a: {cmd: y}}\n",
}


def _entry(**changes: object) -> dict[str, object]:
    entry = {"path": "model.bin", "hash": "md5", "md5": "0" * 32, "size": 1}
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def _lock(**changes: object) -> bytes:
    stage = {"cmd": "python train.py", "outs": [_entry()], **changes}
    return _dump({"schema": "2.0", "stages": {"train": stage}})


LOCKS: dict[str, bytes] = {
    **YAML,
    "empty": b"",
    "no stages": b"schema: '2.0'\n",
    "stages of nothing": b"schema: '2.0'\nstages: {}\n",
    "an older schema": b"train: {cmd: x}\n",
    "another schema": b"schema: '3.0'\nstages: {a: {cmd: x}}\n",
    "an unknown top": b"schema: '2.0'\nstages: {a: {cmd: x}}\nplots: {}\n",
    "a stage of text": b"schema: '2.0'\nstages: {a: x}\n",
    "a stage without command": _dump({"schema": "2.0", "stages": {"a": {"outs": []}}}),
    "an unknown key of a stage": _lock(always_changed=True),
    "outs of text": _lock(outs="model.bin"),
    "an out of text": _lock(outs=["model.bin"]),
    "an unknown key of an out": _lock(outs=[_entry(remote="elsewhere")]),
    "an address": _lock(outs=[_entry(path="s3://bucket/model.bin")]),
    "a parent folder": _lock(outs=[_entry(path="../model.bin")]),
    "a parent within": _lock(outs=[_entry(path="a/../../model.bin")]),
    "an absolute path": _lock(outs=[_entry(path="/etc/model.bin")]),
    "git's own folder": _lock(outs=[_entry(path=".git/config")]),
    "git's own in capitals": _lock(outs=[_entry(path=".GIT/config")]),
    "a workflow": _lock(outs=[_entry(path=".github/workflows/x.yml")]),
    "DVC's configuration": _lock(outs=[_entry(path=".dvc/config")]),
    "a backslash": _lock(outs=[_entry(path="a\\b")]),
    "a drive": _lock(outs=[_entry(path="C:/model.bin")]),
    "an empty path": _lock(outs=[_entry(path="")]),
    "a path of a number": _lock(outs=[_entry(path=1)]),
    "a path twice": _lock(outs=[_entry(), _entry()]),
    "no hash": _lock(outs=[_entry(md5=None)]),
    "a short hash": _lock(outs=[_entry(md5="00")]),
    "a hash in capitals": _lock(outs=[_entry(md5="A" * 32)]),
    "a hash that is a path": _lock(outs=[_entry(md5="../../../../etc/hostname")]),
    "another kind of hash": _lock(outs=[_entry(hash="sha256")]),
    "a negative size": _lock(outs=[_entry(size=-1)]),
    "a size of text": _lock(outs=[_entry(size="1")]),
    "a true size": _lock(outs=[_entry(size=True)]),
    "a dependency outside": _lock(deps=[_entry(path="../raw.csv")]),
}


def _manifest(*paths: str, md5: object = "0" * 32) -> bytes:
    return _dump([{"md5": md5, "relpath": path} for path in paths])


PATHS: dict[str, str] = {
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "a parent": "../a",
    "a parent within": "a/../../b",
    "a dot within": "a/./b",
    "two slashes": "a//b",
    "a trailing slash": "a/",
    "absolute": "/a",
    "a drive": "C:a",
    "a backslash": "a\\b",
    "a network path": "\\\\host\\a",
    "git's folder": ".git/hooks/pre-commit",
    "git's in capitals": "a/.GIT/config",
    "GitHub's folder": ".github/workflows/a.yml",
    "DVC's folder": ".dvc/config",
    "git's attributes": "a/.gitattributes",
    "git's modules": ".gitmodules",
    "a line": "a\nb",
    "a carriage return": "a\rb",
    "a NUL": "a\x00b",
    "an escape": "a\x1b[2Jb",
    "an invisible character": "a\u200bb",
    "text that runs backwards": "a\u202egnp.exe",
    "a decomposed letter": "e\u0301",
    "a trailing dot": "a.",
    "a trailing blank": "a ",
    "a leading blank": " a",
    "a star": "a*",
    "a question mark": "a?",
    "a pipe": "a|b",
    "angle brackets": "<a>",
    "far too long": "a" * 5_000,
}
MANIFESTS: dict[str, bytes] = {
    **JSON,
    **{f"path: {name}": _manifest(path) for name, path in PATHS.items()},
    "a path twice": _manifest("a", "a"),
    "a path twice but for case": _manifest("a/B", "A/b"),
    "a file that is a folder": _manifest("a", "a/b"),
    "no hash": _dump([{"relpath": "a"}]),
    "a hash of a number": _manifest("a", md5=1),
    "a short hash": _manifest("a", md5="00"),
    "a hash in capitals": _manifest("a", md5="A" * 32),
    "a hash with a line": _manifest("a", md5="0" * 32 + "\n"),
    "a hash of a folder": _manifest("a", md5="0" * 32 + ".dir"),
    "an unknown key": _dump([{"md5": "0" * 32, "relpath": "a", "isexec": True}]),
    "entries of text": _dump(["a", "b"]),
    "an object": _dump({"a": "0" * 32}),
}
del MANIFESTS["a list"]  # an empty folder is one

RESULT_PATHS: dict[str, bytes] = {
    **{name: path.encode() for name, path in PATHS.items()},
    "the policy": b"policy.yaml",
    "the policy in capitals": b"POLICY.yaml",
    "the pipeline": b"dvc.yaml",
    "parameters": b"params.yaml",
    "code": b"src/model/train.py",
    "code elsewhere": b"reports/tool.py",
    "a shell script": b"reports/run.sh",
    "requirements": b"requirements/ci.txt",
    "a hidden file": b"reports/.hidden",
    "the state of an environment": b"deploy/production/model.yaml",
    "not UTF-8": b"reports/\xff.json",
}

BRANCHES: dict[str, bytes] = {
    "empty": b"",
    "the storage": b"dvc-storage",
    "an option": b"--force",
    "a short option": b"-f",
    "two dots": b"a..b",
    "a blank": b"a b",
    "a tilde": b"a~1",
    "a caret": b"a^",
    "a colon": b"a:refs/heads/main",
    "a star": b"a*",
    "a question mark": b"a?",
    "a bracket": b"a[b",
    "a backslash": b"a\\b",
    "a line": b"a\nb",
    "a NUL": b"a\x00b",
    "an escape": b"a\x1bb",
    "a leading slash": b"/a",
    "a trailing slash": b"a/",
    "two slashes": b"a//b",
    "a hidden part": b"a/.b",
    "a lock's ending": b"a.lock",
    "a trailing dot": b"a.",
    "a reflog": b"a@{0}",
}

PREDICTIONS: dict[str, bytes] = {
    "empty": b"",
    "no rows": b"id,target,prediction\n",
    "no target": b"id,prediction\n1,0\n",
    "no id": b"target,prediction\n1,0\n",
    "a column twice": b"id,target,prediction,target\n1,0,0,1\n",
    "a short row": b"id,target,prediction\n1,0\n",
    "a long row": b"id,target,prediction\n1,0,0,9\n",
    "a score of text": b"id,target,prediction,score\n1,0,0,high\n",
    "UTF-16": "id,target,prediction\n1,0,0\n".encode("utf-16"),
    "an open quote": b'id,target,prediction\n1,"0,0\n',
    "a page": b"<!doctype html><title>no</title>",
    "JSON": b'{"id": 1}',
    "a broken Parquet file": b"PAR1" + b"\x00" * 64 + b"PAR1",
    "a name without end": b"id,target,prediction," + b"x" * 2**20 + b"\n1,0,0,1\n",
    "far too many columns": b",".join(b"c%d" % i for i in range(200_000)) + b"\n1\n",
}

CORPUS: dict[str, dict[str, bytes]] = {
    "report": REPORTS,
    "archive": ARCHIVES,
    "metrics": METRICS,
    "params": PARAMS,
    "definition": DEFINITIONS,
    "lock": LOCKS,
    "manifest": MANIFESTS,
    "policy": POLICIES,
    "event": EVENTS,
    "branch": BRANCHES,
    "path": RESULT_PATHS,
    "predictions": PREDICTIONS,
}
