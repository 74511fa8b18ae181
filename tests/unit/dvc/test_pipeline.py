"""Tests of reading dvc.yaml, dvc.lock and .dvc files, templates among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlgitops.dvc.paths import join_path
from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.templating import MAX_STAGES, UnresolvedError, expand
from mlgitops.errors import MlgitopsError
from mlgitops.model import DataVersion

if TYPE_CHECKING:
    from mlgitops.dvc.pipeline import Pipeline


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


def test_metrics_of_dvc_0_are_flags_of_outputs() -> None:
    """A stage of DVC 0 is a .dvc file: its metrics are flagged, its parameters are in `deps`."""
    pipeline = read(
        sub__evaluate_dvc=(
            "cmd: x\nwdir: ..\ndeps: [{path: q.yaml, params: {lr: 1}}, {path: model.pkl}]\n"
            "outs: [{path: auc.metric, md5: '0f', metric: true}, {path: o, md5: '1f'},"
            " {path: m.json, metric: {type: json, xpath: auc}}, {path: n.json, metric: false}]"
        )
    )
    assert pipeline.metrics == {"auc.metric", "m.json"}
    assert pipeline.params == {"q.yaml"}


@pytest.mark.parametrize(
    ("live", "metrics"),
    [
        ("logs", {"logs.json"}),
        ("{logs: {html: true}}", {"logs.json"}),
        ("{logs: {summary: true}, run/x: {summary: false}}", {"logs.json"}),
    ],
)
def test_the_summary_of_live_is_a_metric(live: str, metrics: set[str]) -> None:
    """`live` of DVC 2 wrote its last numbers beside its folder, unless it was told not to."""
    pipeline = read(sub__dvc_yaml=f"stages: {{a: {{cmd: x, live: {live}}}}}")
    assert pipeline.metrics == {f"sub/{path}" for path in metrics}


def test_what_templates_take_their_values_from_is_parameters() -> None:
    """The files of `vars`, and the params.yaml beside a dvc.yaml."""
    pipeline = read(
        q_yaml="a: 1",
        sub__params_yaml="b: 1",
        own_yaml="c: 1",
        dvc_yaml="vars: [q.yaml, lost.yaml, {d: 1}]\nstages: {a: {cmd: x, vars: [own.yaml:c]}}",
        sub__dvc_yaml="metrics: [m.json]",
    )
    assert pipeline.params == {"q.yaml", "own.yaml", "sub/params.yaml"}


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
    ("text", "reason"),
    [
        ("- a", "the top level must be a mapping"),
        ("stages: [a]", "`stages` must be a mapping"),
        ("stages: {a: 3}", "stage 'a' must be a mapping"),
        ("stages: {a: {cmd: x}, a: {cmd: y}}", "the key 'a' stands there twice"),
        ("a: !!set {}", "the tag .* is not allowed"),
    ],
)
def test_malformed_definitions_are_refused(text: str, reason: str) -> None:
    """What is no pipeline is a clear error that names the file."""
    with pytest.raises(MlgitopsError, match=f"^dvc.yaml.*{reason}"):
        read(dvc_yaml=text)


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


LIST = f"[{', '.join(f'i{at}' for at in range(MAX_STAGES))}]"


def test_as_many_stages_as_the_limit_are_all_read() -> None:
    """Each of 20,000 items of foreach is a stage with its metrics file."""
    found = read(
        dvc_yaml=f"stages: {{g: {{foreach: {LIST}, do: {{cmd: x, metrics: ['${{item}}']}}}}}}"
    )
    assert len(found.stages) == len(found.metrics) == MAX_STAGES
    assert f"i{MAX_STAGES - 1}" in found.metrics


@pytest.mark.parametrize(
    "files",
    [
        {"dvc_yaml": f"stages: {{g: {{foreach: {LIST[:-1]}, more], do: {{cmd: x}}}}}}"},
        {"dvc_yaml": f"stages: {{a: {{cmd: x}}, g: {{foreach: {LIST}, do: {{cmd: x}}}}}}"},
        {
            "a__dvc_yaml": f"stages: {{g: {{foreach: {LIST}, do: {{cmd: x}}}}}}",
            "b__dvc_yaml": "stages: {a: {cmd: x}}",
        },
        {"dvc_yaml": "stages: {g: {matrix: {a: &a [" + "1, " * 100 + "], b: *a, c: *a}, cmd: x}}"},
    ],
)
def test_more_stages_than_the_limit_are_refused(files: dict[str, str]) -> None:
    """None are dropped: half of a pipeline would pass for all of it."""
    with pytest.raises(MlgitopsError, match="its pipeline has over 20,000 stages"):
        read(**files)


@pytest.mark.parametrize(
    "stage",
    [
        f"{{foreach: {LIST}, do: {{cmd: x, deps: '${{many}}'}}}}",  # a list of a thousand each
        f"{{foreach: {LIST}, do: {{cmd: '${{long}}'}}}}",  # a text of 10,000 characters each
        f"{{foreach: {LIST}, do: {{cmd: x, outs: [{{'${{long}}': {{cache: false}}}}]}}}}",
    ],
)
def test_stages_that_come_to_too_much_are_refused(stage: str) -> None:
    """A small file that stands for more than memory holds ends with one message."""
    with pytest.raises(MlgitopsError, match="its stages come to over 2,000,000 values or"):
        read(
            dvc_yaml=f"stages: {{g: {stage}}}",
            params_yaml=f"many: [{'x, ' * 1_000}]\nlong: {'x' * 10_000}\n",
        )


def test_long_hashes_stay_distinct() -> None:
    """Two that differ after ninety characters are two, in a report that holds a hundred."""
    texts = [f"outs: [{{path: d, etag: {'x' * 95}{end}}}]" for end in "abb"]
    versions = [read(d_dvc=text).find_version("d") for text in texts]
    assert versions[0] != versions[1] == versions[2]
    assert versions[0] is not None
    assert len(versions[0].hash) <= 100
    assert versions[0].hash.startswith("etag:sha256-")


def test_a_stage_that_is_no_mapping_is_refused() -> None:
    """What foreach makes is a stage or a mistake, never nothing."""
    with pytest.raises(MlgitopsError, match="stage 'g@a' must be a mapping"):
        read(dvc_yaml="stages: {g: {foreach: [a]}}")


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("stages: {a: {cmd: x, metrics: ['${no}.json']}}", "stage `a` of `dvc.yaml`"),
        ("metrics: ['${no}.json']", "`${no}.json`, which `dvc.yaml` declares,"),
        ("stages: {a: {cmd: x, metrics: [../m.json]}}", "`../m.json`, which `dvc.yaml` declares,"),
        (f"metrics: [{'x' * 501}]", f"`{'x' * 80}`, which `dvc.yaml` declares,"),
    ],
)
def test_metrics_that_are_not_read_are_told(text: str, unread: str) -> None:
    """A metrics file of unknown name, or one elsewhere, is named, and a notice says so."""
    found = read(dvc_yaml=text)
    assert found.unread == [unread]
    assert "was not read" in found.notices[0]


@pytest.mark.parametrize(
    ("stages", "labels"),
    [
        ("{foreach: [true, 1.0, x], do: {cmd: x}}", ["true", "1.0", "x"]),
        ("{foreach: '${flags}', do: {cmd: x}}", ["True", "False"]),  # as DVC writes them
        ("{foreach: [a, {b: 1}], do: {cmd: x}}", ["0", "1"]),
        ("{foreach: [a, a], do: {cmd: x}}", ["a"]),
        (
            "{matrix: {a: [[1], true], b: ['${flags.0}', z]}, cmd: x}",
            ["a0-True", "a0-z", "true-True", "true-z"],
        ),
    ],
)
def test_a_group_names_its_stages_as_dvc_does(stages: str, labels: list[str]) -> None:
    """After the items, or their places where one of them is no scalar."""
    pipeline = read(params_yaml="flags: [true, false]", dvc_yaml=f"stages: {{g: {stages}}}")
    assert list(pipeline.stages) == [f"g@{label}" for label in labels]


def test_each_stage_of_a_group_has_variables_of_its_own() -> None:
    """The folder that they are read from may depend on the item; params.yaml there is no `vars`."""
    pipeline = read(
        a__v_yaml="size: 1",
        b__v_yaml="size: 2",
        a__params_yaml="only: there",
        dvc_yaml="""
stages:
  g: {foreach: [a, b], do: {wdir: "${item}", vars: [v.yaml], cmd: "x ${size}"}}
  h: {wdir: a, vars: [{own: 1}], cmd: "x ${only}"}
""",
    )
    assert {name: stage.command for name, stage in pipeline.stages.items()} == {
        "g@a": "x 1",
        "g@b": "x 2",
    }
    assert pipeline.notices == ["`dvc.yaml`: stage `h` was not read, `${only}` is not known."]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vars: [{lr: 2}]", "`vars` sets `lr`, which has a value already"),
        ("vars: [{net: {depth: 2}}]", "`vars` sets `net.depth`, which has a value already"),
        ("vars: [{net: 2}]", "`vars` sets `net`, which has a value already"),
        ("vars: ['params.yaml:lr']", "`vars` loads 'params.yaml', some of which is loaded"),
        ("vars: ['more.yaml:a', 'more.yaml:a']", "`vars` loads 'more.yaml', some of which"),
        ("stages: {s: {vars: [{lr: 2}], cmd: x}}", "`vars` sets `lr`, which has a value"),
        (
            "stages: {s: {foreach: [a], do: {vars: [{item: 2}], cmd: x}}}",
            "`vars` sets `item`, which `foreach` and `matrix` set",
        ),
    ],
)
def test_a_name_has_one_value(text: str, reason: str) -> None:
    """Two values for one name are refused, as DVC refuses them: neither is the right one."""
    with pytest.raises(MlgitopsError, match=f"^dvc.yaml: {reason}"):
        read(params_yaml="{lr: 1, net: {depth: 1}}", more_yaml="{a: 1, b: 2}", dvc_yaml=text)


def test_mappings_of_variables_are_merged() -> None:
    """Deep within, and a whole file may be named again."""
    pipeline = read(
        params_yaml="net: {depth: {min: 1}}",
        more_yaml="{a: 1, b: 2}",
        dvc_yaml="""
vars: [{net: {depth: {max: 2}}}, params.yaml, "more.yaml:a", "more.yaml:b"]
stages: {s: {cmd: "x ${net.depth.min} ${net[depth][max]} ${a} ${ b }"}}
""",
    )
    assert pipeline.stages["s"].command == "x 1 2 1 2"


def test_references_reach_into_lists() -> None:
    """A reference walks mappings and lists, and a whole one keeps its type."""
    scope = {"a": [{"b": [1, 2]}]}
    assert expand("${a[0].b[1]}", scope) == 2  # type: ignore[arg-type]
    assert expand("x${ a[0].b[1] }", scope) == "x2"  # type: ignore[arg-type]
    assert expand("${a.0.b.-1}", scope) == 2  # type: ignore[arg-type]
    with pytest.raises(UnresolvedError, match=r"^a\.0\.b$"):
        expand("x${a.0.b}", scope)  # type: ignore[arg-type]
    with pytest.raises(UnresolvedError, match=r"a\[7\]"):
        expand("${a[7]}", scope)  # type: ignore[arg-type]
