"""What a run may not hand over: lock entries, folders, paths and branches that must be refused."""

from __future__ import annotations

from trust.documents import JSON, YAML, dump


def _entry(**changes: object) -> dict[str, object]:
    entry = {"path": "model.bin", "hash": "md5", "md5": "0" * 32, "size": 1}
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def make_lock(**changes: object) -> bytes:
    """Make a dvc.lock of one stage, sound but for ``changes``."""
    stage = {"cmd": "python train.py", "outs": [_entry()], **changes}
    return dump({"schema": "2.0", "stages": {"train": stage}})


LOCKS: dict[str, bytes] = {
    **YAML,
    "empty": b"",
    "no stages": b"schema: '2.0'\n",
    "stages of nothing": b"schema: '2.0'\nstages: {}\n",
    "an older schema": b"train: {cmd: x}\n",
    "another schema": b"schema: '3.0'\nstages: {a: {cmd: x}}\n",
    "an unknown top": b"schema: '2.0'\nstages: {a: {cmd: x}}\nplots: {}\n",
    "a stage of text": b"schema: '2.0'\nstages: {a: x}\n",
    "a stage without command": dump({"schema": "2.0", "stages": {"a": {"outs": []}}}),
    "an unknown key of a stage": make_lock(always_changed=True),
    "outs of text": make_lock(outs="model.bin"),
    "an out of text": make_lock(outs=["model.bin"]),
    "an unknown key of an out": make_lock(outs=[_entry(remote="elsewhere")]),
    "an address": make_lock(outs=[_entry(path="s3://bucket/model.bin")]),
    "a parent folder": make_lock(outs=[_entry(path="../model.bin")]),
    "a parent within": make_lock(outs=[_entry(path="a/../../model.bin")]),
    "an absolute path": make_lock(outs=[_entry(path="/etc/model.bin")]),
    "git's own folder": make_lock(outs=[_entry(path=".git/config")]),
    "git's own in capitals": make_lock(outs=[_entry(path=".GIT/config")]),
    "a workflow": make_lock(outs=[_entry(path=".github/workflows/x.yml")]),
    "DVC's configuration": make_lock(outs=[_entry(path=".dvc/config")]),
    "a backslash": make_lock(outs=[_entry(path="a\\b")]),
    "a drive": make_lock(outs=[_entry(path="C:/model.bin")]),
    "an empty path": make_lock(outs=[_entry(path="")]),
    "a path of a number": make_lock(outs=[_entry(path=1)]),
    "a path twice": make_lock(outs=[_entry(), _entry()]),
    "no hash": make_lock(outs=[_entry(md5=None)]),
    "a short hash": make_lock(outs=[_entry(md5="00")]),
    "a hash in capitals": make_lock(outs=[_entry(md5="A" * 32)]),
    "a hash that is a path": make_lock(outs=[_entry(md5="../../../../etc/hostname")]),
    "another kind of hash": make_lock(outs=[_entry(hash="sha256")]),
    "a negative size": make_lock(outs=[_entry(size=-1)]),
    "a size of text": make_lock(outs=[_entry(size="1")]),
    "a true size": make_lock(outs=[_entry(size=True)]),
    "a dependency outside": make_lock(deps=[_entry(path="../raw.csv")]),
}


def make_manifest(*paths: str, md5: object = "0" * 32) -> bytes:
    """Make the list of a folder's files, as DVC stores it."""
    return dump([{"md5": md5, "relpath": path} for path in paths])


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
    **{f"path: {name}": make_manifest(path) for name, path in PATHS.items()},
    "a path twice": make_manifest("a", "a"),
    "a path twice but for case": make_manifest("a/B", "A/b"),
    "a file that is a folder": make_manifest("a", "a/b"),
    "no hash": dump([{"relpath": "a"}]),
    "a hash of a number": make_manifest("a", md5=1),
    "a short hash": make_manifest("a", md5="00"),
    "a hash in capitals": make_manifest("a", md5="A" * 32),
    "a hash with a line": make_manifest("a", md5="0" * 32 + "\n"),
    "a hash of a folder": make_manifest("a", md5="0" * 32 + ".dir"),
    "an unknown key": dump([{"md5": "0" * 32, "relpath": "a", "isexec": True}]),
    "entries of text": dump(["a", "b"]),
    "an object": dump({"a": "0" * 32}),
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
