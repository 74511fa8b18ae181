"""Tests of reading dvc.yaml, dvc.lock and .dvc files, templates among them."""

from __future__ import annotations

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.model import DataVersion
from mlgitops.pipeline import Pipeline, join_path, read_pipeline
from mlgitops.templating import MAX_STAGES, UnresolvedError, expand, expand_stages


def read(**files: str) -> Pipeline:
    """Read a pipeline from texts; `__` in a name stands for a slash."""
    named = {name.replace("__", "/"): text.encode() for name, text in files.items()}
    texts = {
        path.replace("_yaml", ".yaml").replace("_lock", ".lock"): t for path, t in named.items()
    }
    texts = {path.replace("_dvc", ".dvc"): text for path, text in texts.items()}
    return read_pipeline(dict.fromkeys(texts, "blob"), texts.get)


def test_every_way_to_declare_metrics_is_read() -> None:
    """Bare paths, options, top-level lists and several dvc.yaml files."""
    found = read(
        dvc_yaml="""
stages:
  a:
    cmd: x
    metrics: [m1.json, {m2.json: {cache: false}}]
    plots: [p.csv]
    params: [lr, q.yaml: [z]]
metrics: [m3.toml]
params: [r.json]
plots: [{p2.csv: {x: a}}]
""",
        sub__dvc_yaml=(
            "stages: {a: {wdir: deep, cmd: x, metrics: [m.json], outs: [o], deps: [../d]}}"
        ),
    )
    assert found.metrics == {"m1.json", "m2.json", "m3.toml", "sub/deep/m.json"}
    assert found.params == {"params.yaml", "q.yaml", "r.json"}
    assert found.plots == {"p.csv", "p2.csv"}
    assert set(found.stages) == {"a", "sub/dvc.yaml:a"}
    stage = found.stages["sub/dvc.yaml:a"]
    assert (stage.deps, stage.outs) == (("sub/d",), ("sub/deep/o", "sub/deep/m.json"))


def test_locks_and_pointers_give_versions() -> None:
    """What dvc.lock and .dvc files record, with paths from the repository's root."""
    found = read(
        sub__dvc_yaml="stages: {a: {wdir: deep, cmd: x, outs: [o]}}",
        sub__dvc_lock="""
schema: '2.0'
stages:
  a:
    cmd: x
    deps: [{path: ../d, md5: '00'}]
    params: {../params.yaml: {lr: 1e-3, net: {depth: 2}}}
    outs: [{path: o, hash: md5, md5: '11', size: 5, nfiles: 2}]
""",
        raw_dvc="outs: [{path: raw, md5: 22.dir, size: 7}]",
        cloud_dvc="outs: [{path: cloud, etag: e1}]",
    )
    lock = found.locks["sub/dvc.yaml:a"]
    assert lock.deps == {"sub/d": "md5:00"}
    assert lock.params == {"sub/params.yaml:lr": "0.001", "sub/params.yaml:net.depth": "2"}
    assert found.find_version("sub/deep/o") == DataVersion(hash="md5:11", size=5, files=2)
    assert found.find_version("raw") == DataVersion(hash="md5:22.dir", size=7)
    assert found.find_version("cloud") == DataVersion(hash="etag:e1")
    assert found.find_version("none") is None


def test_templates_are_filled_in() -> None:
    """`${...}` from params.yaml and vars, foreach and matrix."""
    found = read(
        params_yaml="out: reports\nlist: [x, y]",
        more_yaml="name: n1",
        dvc_yaml="""
vars: [more.yaml, {extra: e1}]
stages:
  one: {cmd: x, metrics: ["${out}/${name}-${extra}.json"]}
  each: {foreach: "${list}", do: {cmd: x, metrics: ["${item}.json"]}}
  named: {foreach: {k: {v: 1}}, do: {cmd: x, metrics: ["${key}-${item.v}.json"]}}
  grid: {matrix: {a: [1, 2], b: [true]}, cmd: x, metrics: ["${item.a}${item.b}.json"]}
""",
    )
    assert found.metrics == {
        "reports/n1-e1.json",
        "x.json",
        "y.json",
        "k-1.json",
        "1true.json",
        "2true.json",
    }
    assert set(found.stages) == {"one", "each@x", "each@y", "named@k", "grid@1-true", "grid@2-true"}
    assert found.notices == []


def test_an_unknown_reference_is_said() -> None:
    """A stage whose template cannot be filled in is a notice, the others are read."""
    found = read(
        dvc_yaml="stages: {a: {cmd: '${no.such}', metrics: [m]}, b: {cmd: x, metrics: [n]}}"
    )
    assert found.metrics == {"n"}
    assert "stage `a` was not read, `${no.such}` is not known" in found.notices[0]


@pytest.mark.parametrize(
    "text",
    ["- a", "stages: [a]", "stages: {a: 3}", "stages: {a: {cmd: x}, a: {cmd: y}}", "a: !!set {}"],
)
def test_malformed_definitions_are_refused(text: str) -> None:
    """What is no pipeline is a clear error that names the file."""
    with pytest.raises(MlgitopsError) as caught:
        read(dvc_yaml=text)
    assert str(caught.value.where).startswith("dvc.yaml")


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        ("", "a", "a"),
        ("a", "../b", "b"),
        ("a/b", "./c", "a/b/c"),
        ("", "../x", None),
        ("a", "../../x", None),
        ("", "/etc/passwd", None),
        ("", "s3://bucket/x", None),
        ("", "x" * 501, None),
    ],
)
def test_paths_stay_inside(folder: str, path: str, joined: str | None) -> None:
    """A path that leads out of the repository is none."""
    assert join_path(folder, path) == joined


def test_a_grid_has_an_end() -> None:
    """A matrix of a million combinations makes a bounded number of stages."""
    axes = {name: list(range(100)) for name in "abc"}
    found = list(expand_stages("g", {"matrix": axes, "cmd": "x"}, {}))  # type: ignore[dict-item]
    assert len(found) == MAX_STAGES


def test_references_reach_into_lists() -> None:
    """A reference walks mappings and lists, and a whole one keeps its type."""
    scope = {"a": [{"b": [1, 2]}]}
    assert expand("${a[0].b[1]}", scope) == 2  # type: ignore[arg-type]
    assert expand("x${ a[0].b[1] }", scope) == "x2"  # type: ignore[arg-type]
    with pytest.raises(UnresolvedError):
        expand("${a[7]}", scope)  # type: ignore[arg-type]
