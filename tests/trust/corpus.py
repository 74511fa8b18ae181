"""What a pull request may send and we must refuse, by the way it reaches us.

Each entry is a name and bytes. They say what a careful reader must refuse; the ones that
break size, depth or form stand for any parser, the others for one format.
"""

from __future__ import annotations

from typing import Any

from trust.archives import ARCHIVES
from trust.documents import JSON, YAML, dump
from trust.handover import BRANCHES, LOCKS, MANIFESTS, RESULT_PATHS
from trust.ways import BASE, HEAD

_METRIC = {"name": "score", "path": "m.json", "base": 0.5, "head": 0.5, "delta": 0.0}
_LONG = "x" * 600


def _report(**changes: Any) -> bytes:  # noqa: ANN401
    report = {
        "schema": 1,
        "key": "default",
        "base": {"sha": BASE},
        "head": {"sha": HEAD},
        "test_data": "unknown",
        "metrics": [_METRIC],
    }
    return dump({**report, **changes})


def _metric(**changes: Any) -> bytes:  # noqa: ANN401
    return _report(metrics=[{**_METRIC, **changes}])


GOOD_REPORT = _report()

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
    "a slice of nothing": _policy(
        "slices: [{by: [], metric: accuracy, statistic: difference, max_value: 1}]"
    ),
    "a slice without limit": _policy("slices: [{by: [a], metric: accuracy}]"),
    "a slice of an unknown metric": _policy(
        "slices: [{by: [a], metric: magic, statistic: difference, max_value: 1}]"
    ),
    "a minimum of no rows": _policy(
        "slices: [{by: [a], metric: accuracy, statistic: difference, max_value: 1, min_rows: 0}]"
    ),
    "an unknown answer to noise": _policy("inconclusive: ignore"),
}


def _event(**changes: Any) -> bytes:  # noqa: ANN401
    pull = {"number": 1, "base": {"sha": BASE}, "head": {"sha": HEAD}}
    return dump({"pull_request": {**pull, **changes}})


EVENTS: dict[str, bytes] = {
    **{name: data for name, data in JSON.items() if name not in ("a key twice", "too large")},
    "no event": b"{}",
    "a push": dump({"ref": "refs/heads/main", "after": HEAD}),
    "a pull request of text": dump({"pull_request": "1"}),
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
    "a merge group without sides": dump({"merge_group": {}}),
    "a merge group of names": dump({"merge_group": {"base_sha": "main", "head_sha": "x"}}),
}

METRICS: dict[str, bytes] = {
    **{name: data for name, data in JSON.items() if name != "a number"},  # one value: DVC allows it
    "a list of objects": b'[{"score": 1}]',
    "an empty name": b'{"": 1}',
    "a long name": dump({"x" * 201: 1}),
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
