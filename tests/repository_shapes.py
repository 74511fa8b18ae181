"""Shapes of public repositories that use DVC, one function each, written twice with changes.

What a version of DVC wrote is written as that version did, or made by DVC itself where the DVC
of the tests still makes that form. Sources: iterative/example-get-started and its history,
iterative/example-get-started-experiments, iterative/vscode-dvc (demo), iterative/dvclive.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from dvc_program import DvcProgram
    from git_project import GitRepository

    Build = Callable[[GitRepository, int, DvcProgram], None]

CONFIG = "[core]\n    analytics = false\n"


class Difference(NamedTuple):
    """Where our numbers are not those of DVC, and why that is right."""

    reason: str
    metrics: tuple[str, ...] = ()  # patterns of "file:name"
    params: tuple[str, ...] = ()


class Shape(NamedTuple):
    """One form of repository."""

    title: str
    read: str  # which numbers are read, in the words of the page
    build: Build
    folder: str = "."  # the project's, in the repository
    differences: tuple[Difference, ...] = ()
    dvc: str = "The same"  # what the page says of DVC where no number differs
    notices: tuple[str, ...] = ()  # what the report says of what it could not read
    refusal: str | None = None  # what compare says instead of a report


SHAPES: dict[str, Shape] = {}

DVC_REFUSES = "Refuses this form: shows nothing, with exit code 0"
TEXT = "Shows text; here it is named as unusable"
WHOLE_FILE = "Shows the keys that a stage names; here every key of the file, as any may matter"


def shape(
    title: str,
    read: str,
    *,
    into: dict[str, Shape] = SHAPES,
    **options: Any,  # noqa: ANN401
) -> Callable[[Build], Build]:
    """Enter a function that writes the files of step 0 (base) or 1 (head)."""

    def enter(build: Build) -> Build:
        into[build.__name__] = Shape(title, read, build, **options)
        return build

    return enter


def put_json(project: GitRepository, path: str, value: object) -> None:
    """Write a file as JSON."""
    project.put(path, json.dumps(value, indent=2) + "\n")


def start(project: GitRepository) -> None:
    """Write what `dvc init` writes, as every version of it did."""
    project.put(".dvc/config", CONFIG)
    project.put(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")


def entry(project: GitRepository, path: str, **options: object) -> dict[str, object]:
    """Make the entry of a file that stands there, in the order of DVC before version 3."""
    data = (project.root / path).read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {"path": path, "md5": digest, **options}


def score(step: int) -> dict[str, float]:
    """Make the metrics of one step: one better, one worse, one that stays."""
    return {"accuracy": 0.8 + 0.05 * step, "loss": 0.3 + 0.125 * step, "rows": 1000}


def measured(project: GitRepository, step: int) -> None:
    """Write what a stage of `cp` will measure."""
    put_json(project, "measured.json", score(step))


@shape(
    "DVC 0: stage files `evaluate.dvc`",
    "outputs with `metric: true`, and parameters named in `deps`",
    differences=(Difference(DVC_REFUSES, ("*",), ("params.yaml:train.depth",)),),
)
def dvc_0(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write each stage as a .dvc file, in which a metric is a flag of its output.

    As example-get-started had it: https://github.com/treeverse/example-get-started/blob/
    ca2c488c428319d7b8bd26d2f296f42da7048eee/evaluate.dvc
    """
    del dvc
    start(project)
    project.put("params.yaml", f"train:\n  depth: {6 + step}\n  seed: 1\n")
    project.put("src/evaluate.py", "print(1)\n")
    project.put("auc.metric", f"0.60281{8 + step}\n")
    put_json(project, "eval.json", score(step))
    options = {"cache": False, "metric": True, "persist": False}
    stage = {
        "md5": "9fa4ec9776dd8daa3f48c12108b0dccb",
        "cmd": "python src/evaluate.py model.pkl auc.metric",
        "wdir": ".",
        "deps": [
            entry(project, "src/evaluate.py"),
            {"path": "params.yaml", "params": {"train.depth": 6 + step}},
        ],
        "outs": [entry(project, "auc.metric", **options), entry(project, "eval.json", **options)],
    }
    put_json(project, "evaluate.dvc", stage)
    project.put("other/loss.txt", f"{0.5 - step / 8}\n")
    below = {**entry(project, "other/loss.txt", **options), "path": "loss.txt"}
    put_json(project, "other/loss.dvc", {"cmd": "python loss.py", "outs": [below]})


@shape(
    "DVC 1: `dvc.lock` without a schema",
    "metrics of stages, parameters",
    differences=(Difference(DVC_REFUSES, ("scores.json:*",), ("params.yaml:prepare.split",)),),
)
def dvc_1(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write the first dvc.yaml, whose lock names the stages at the top."""
    del dvc
    start(project)
    project.put("params.yaml", f"prepare:\n  split: 0.{2 + step}\n  seed: 20170428\n")
    project.put("src/evaluate.py", "print(1)\n")
    put_json(project, "scores.json", {"auc": 0.54 + step / 16})
    project.put("prc.json", '{"prc": [{"precision": 0.2, "recall": 1.0}]}\n')
    project.put(
        "dvc.yaml",
        "stages:\n  evaluate:\n    cmd: python src/evaluate.py scores.json prc.json\n"
        "    deps:\n    - src/evaluate.py\n    params:\n    - prepare.split\n"
        "    metrics:\n    - scores.json:\n        cache: false\n"
        "    plots:\n    - prc.json:\n        cache: false\n        x: recall\n",
    )
    stage = {
        "cmd": "python src/evaluate.py scores.json prc.json",
        "deps": [entry(project, "src/evaluate.py")],
        "params": {"params.yaml": {"prepare.split": (2 + step) / 10}},
        "outs": [entry(project, "prc.json"), entry(project, "scores.json")],
    }
    put_json(project, "dvc.lock", {"evaluate": stage})


@shape("DVC 2: `schema: '2.0'`, hashes without their kind", "cached metrics of the old cache")
def dvc_2(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Keep metrics in the cache where version 2 put them."""
    del dvc
    start(project)
    project.put(".gitignore", "/scores.json\n")
    project.put("params.yaml", f"train:\n  n_est: {50 + step}\n  min_split: 0.01\n")
    project.put("train.py", "print(1)\n")
    put_json(project, "scores.json", {"avg_prec": 0.51 + step / 32, "roc_auc": 0.94})
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: python train.py\n    deps:\n    - train.py\n"
        "    params:\n    - train.n_est\n    - train.min_split\n    metrics:\n    - scores.json\n",
    )
    size = (project.root / "scores.json").stat().st_size
    scores = entry(project, "scores.json", size=size)
    stage = {
        "cmd": "python train.py",
        "deps": [entry(project, "train.py", size=9)],
        "params": {"params.yaml": {"train.min_split": 0.01, "train.n_est": 50 + step}},
        "outs": [scores],
    }
    put_json(project, "dvc.lock", {"schema": "2.0", "stages": {"train": stage}})
    digest = str(scores["md5"])
    project.put(
        f".dvc/cache/{digest[:2]}/{digest[2:]}", (project.root / "scores.json").read_bytes()
    )


@shape("DVC 3: `hash: md5`", "metrics in git and in the cache, parameters of each stage")
def dvc_3(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Let DVC run a pipeline of two stages."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    measured(project, step)
    project.put("params.yaml", f"train: {{depth: {6 + step}, rates: [1, {step}]}}\nseed: 1e-3\n")
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: cp params.yaml model.bin\n    params: [train, seed]\n"
        "    outs: [model.bin]\n  evaluate:\n    cmd: cp measured.json metrics.json && "
        "cp measured.json cached.json\n    deps: [measured.json, model.bin]\n    metrics:\n"
        "    - metrics.json: {cache: false}\n    - cached.json\n",
    )
    dvc.run(project.root, "repro", "-q")


@shape(
    "DVC 2 with `live:`",
    "the summary `dvclive.json` that the section stands for",
    differences=(Difference(DVC_REFUSES, ("training.json:*",), ("params.yaml:lr",)),),
)
def dvc_2_live(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write `live`, as the demo of the editor's extension has it."""
    del dvc
    start(project)
    project.put("params.yaml", f"lr: 1e-{3 + step}\nseed: 473987\n")
    project.put("train.py", "print(1)\n")
    put_json(project, "training.json", {"step": 14, "loss": 0.3 - step / 8, "acc": 0.9 + step / 16})
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: python train.py\n    deps:\n    - train.py\n"
        "    params:\n    - lr\n    - seed\n    live:\n      training:\n"
        "        summary: true\n        html: true\n",
    )


@shape(
    "A monorepo of four `dvc.yaml` with `foreach`",
    "every stage's metrics; each project's parameters",
)
def monorepo(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write one project of DVC in four folders, its stages made by templates."""
    del dvc
    start(project)
    project.put("params.yaml", f"shared: {step}\n")
    for at, team in enumerate(("ads", "churn", "fraud")):
        countries = "[de, fr]" if at else "{de: {rows: 10}, fr: {rows: 20}}"
        name = "${item}" if at else "${key}"
        project.put(f"{team}/params.yaml", f"depth: {at + step}\ncountries: {countries}\n")
        project.put(
            f"{team}/dvc.yaml",
            "stages:\n  train:\n    foreach: ${countries}\n    do:\n"
            f"      cmd: python train.py {name}\n      params: [params.yaml: [depth]]\n"
            f"      metrics:\n      - out/{name}.json: {{cache: false}}\n",
        )
        for country in ("de", "fr"):
            put_json(project, f"{team}/out/{country}.json", {country: score(step), "team": at})
    project.put(
        "ranking/dvc.yaml",
        "stages:\n  train:\n    matrix:\n      size: [small, large]\n      lang: [en]\n"
        "    wdir: runs\n    cmd: python ../train.py ${item.size}\n"
        "    metrics: [{'${item.size}-${item.lang}.yaml': {cache: false}}]\n",
    )
    for size in ("small", "large"):
        project.put(f"ranking/runs/{size}-en.yaml", f"ndcg: {0.5 + step / 4}\n")


@shape("dvclive, one folder a fold", "each fold's metrics.json and params.yaml")
def dvclive_folds(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Leave what `Live("dvclive/fold0")` does: metrics, parameters, plots, a dvc.yaml each."""
    del dvc
    start(project)
    for fold in range(3):
        folder = f"dvclive/fold{fold}"
        put_json(
            project,
            f"{folder}/metrics.json",
            {"train": {"loss": 0.5 - step / 8, "acc": 0.75 + fold / 64}, "step": 10 + step},
        )
        project.put(f"{folder}/params.yaml", f"lr: 0.0{1 + step}\nlayers: [64, 32]\n")
        project.put(f"{folder}/plots/metrics/train/loss.tsv", "step\tloss\n0\t0.9\n1\t0.5\n")
        project.put(
            f"{folder}/dvc.yaml",
            "params:\n- params.yaml\nmetrics:\n- metrics.json\nplots:\n- plots/metrics:\n"
            "    x: step\n",
        )


@shape(
    "Metrics in a folder that DVC keeps",
    "the file that top-level `metrics:` names, in the folder that a stage makes",
)
def tracked_folder(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Name files of `outs: results/train` in top-level `metrics` and `params`."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    measured(project, step)
    project.put("params.yaml", f"train: {{epochs: {8 + step}}}\n")
    project.put(
        "dvc.yaml",
        "params:\n- results/train/params.yaml\nmetrics:\n- results/train/metrics.json\n"
        "plots:\n- results/train/plots/metrics:\n    x: step\nstages:\n  train:\n"
        "    cmd: mkdir -p results/train && cp measured.json results/train/metrics.json && "
        "cp params.yaml results/train/params.yaml\n"
        "    deps: [measured.json]\n    params: [train]\n    outs:\n    - results/train\n",
    )
    dvc.run(project.root, "repro", "-q")


@shape("`metrics:` names a folder in git", "every file of the folder")
def metrics_folder(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Keep a folder of reports in git, a new one in the second commit."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    measured(project, step)
    project.put(
        "dvc.yaml",
        "stages:\n  evaluate:\n    cmd: mkdir -p reports/deep && cp measured.json "
        "reports/deep/a.json && cp measured.json reports/b.json\n    deps: [measured.json]\n"
        "    metrics:\n    - reports: {cache: false}\n",
    )
    if step:
        text = (project.root / "dvc.yaml").read_text().replace("reports/b", "reports/c")
        project.put("dvc.yaml", text)
    dvc.run(project.root, "repro", "-q")


@shape("`metrics:` names a folder in the cache", "every file of the folder")
def metrics_folder_cached(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Keep such a folder in the cache."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    measured(project, step)
    project.put(
        "dvc.yaml",
        "stages:\n  evaluate:\n    cmd: mkdir -p reports/deep && cp measured.json "
        "reports/deep/a.json && cp measured.json reports/b.json\n    deps: [measured.json]\n"
        "    metrics:\n    - reports\n",
    )
    dvc.run(project.root, "repro", "-q")


@shape(
    "YAML metrics and parameters in several files",
    "every value of each file",
    differences=(
        Difference(TEXT, ("metrics.yaml:test.quoted",)),
        Difference(WHOLE_FILE, params=("conf/model.yaml:unused",)),
    ),
)
def yaml_files(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write numbers in every way of YAML 1.2, and parameters in three files."""
    del dvc
    start(project)
    project.put(
        "metrics.yaml",
        f"test:\n  rate: {1.5 + step}e-3\n  big: 1_000\n  hex: 0x1F\n  plain: {step}\n"
        "  quoted: 'text'\n",
    )
    project.put("params.yaml", f"lr: 1e-{3 + step}\nyes: yes\nnone: null\n")
    project.put("conf/model.yaml", f"net: {{depth: {step}, act: relu}}\nunused: {step}\n")
    put_json(project, "conf/data.json", {"rows": 100 + step, "names": ["a", "b"]})
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: python train.py\n    params:\n    - lr\n"
        "    - conf/model.yaml: [net.depth]\n    - conf/data.json:\n"
        "    metrics: [{metrics.yaml: {cache: false}}]\n",
    )


@shape("TOML metrics and parameters", "tables as nested names")
def toml_files(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Take pyproject.toml as the file of parameters, as templates do."""
    del dvc
    start(project)
    project.put(
        "metrics.toml", f"[test]\nauc = {0.7 + step / 8}\nrows = 1_000\n[test.by]\nde = 1\n"
    )
    project.put("pyproject.toml", f"[tool.train]\ndepth = {step}\nrates = [0.1, 0.{step}]\n")
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: python train.py\n    params: [pyproject.toml: [tool.train]]\n"
        "    metrics: [{metrics.toml: {cache: false}}]\n",
    )


@shape(
    "A bare number",
    "the number, under the name of its file",
    differences=(Difference("Shows a bare 0 as absent; here it is a number", ("n.json:n",)),),
)
def bare_number(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write metrics of one number each, in files of any suffix."""
    del dvc
    start(project)
    project.put("auc.metric", f"0.60281{8 + step}\n")
    project.put("reports/rmse.txt", f"{32 - step}")
    project.put("n.json", f"{step}")
    project.put("dvc.yaml", "metrics:\n- auc.metric\n- reports/rmse.txt\n- n.json\n")


@shape(
    "Cached metrics that are not available",
    "that they are not here; never “no change”",
    dvc="Shows nothing, with exit code 0",
    notices=("`cached.json` at base is kept by DVC and is not available here",),
)
def not_available(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Leave what a clone has: no cache, and no storage."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    measured(project, step)
    project.put(
        "dvc.yaml",
        "stages:\n  evaluate:\n    cmd: cp measured.json cached.json && "
        "cp measured.json metrics.json\n    deps: [measured.json]\n"
        "    metrics: [cached.json, metrics.json: {cache: false}]\n",
    )
    dvc.run(project.root, "repro", "-q")
    shutil.rmtree(project.root / ".dvc/cache")
    (project.root / "cached.json").unlink()


@shape("Parameters in Python files", "assignments, classes and `self.` names; nothing runs")
def python_params(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write a module of constants and a class, named by a stage."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    project.put(
        "src/config.py",
        f"import os\n\nLR = 1e-{3 + step}\nLAYERS = [64, {step}]\nNAME: str = 'net'\n"
        f"OPTIONS = {{'depth': {step}, 'drop': 0.5}}\nHOME = os.environ.get('HOME')\n\n\n"
        f"class Train:\n    epochs = {10 + step}\n\n    def __init__(self):\n"
        f"        self.seed = {step}\n        self.data = load()\n",
    )
    project.put(
        "dvc.yaml",
        "stages:\n  train:\n    cmd: python src/train.py\n    params:\n    - src/config.py:\n"
        "    metrics: [{metrics.json: {cache: false}}]\n",
    )


@shape("Plots beside metrics", "the metrics; a plot's values are drawn, not judged")
def plots(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write plots of stages and at the top level, one of them a JSON file of numbers."""
    del dvc
    start(project)
    put_json(project, "eval/metrics.json", {"test": score(step)})
    put_json(project, "eval/roc.json", {"roc": [{"fpr": 0.0, "tpr": step}, {"fpr": 1, "tpr": 1}]})
    project.put("eval/loss.csv", f"step,loss\n0,0.9\n1,0.{5 + step}\n")
    project.put(
        "dvc.yaml",
        "stages:\n  evaluate:\n    cmd: python eval.py\n    outs: [{eval/loss.csv: {cache: false}}]"
        "\n    metrics: [{eval/metrics.json: {cache: false}}]\n"
        "plots:\n- ROC: {template: simple, x: fpr, y: {eval/roc.json: tpr}}\n"
        "- eval/loss.csv: {x: step, y: loss}\n",
    )


@shape("`dvc init --subdir`", "the project in its folder, its paths from there", folder="models/a")
def subdir(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Make a project below the root of the repository, beside other things."""
    folder = project.root / "models/a"
    folder.mkdir(parents=True, exist_ok=True)
    if step == 0:
        dvc.run(folder, "init", "--subdir", "-q")
    put_json(project, "models/a/measured.json", score(step))
    put_json(project, "metrics.json", {"other": step})
    project.put("params.yaml", f"other: {step}\n")
    project.put("models/a/params.yaml", f"depth: {step}\n")
    project.put(
        "models/a/dvc.yaml",
        "stages:\n  evaluate:\n    cmd: cp measured.json out/metrics.json\n"
        "    deps: [measured.json]\n    params: [depth]\n"
        "    metrics: [{out/metrics.json: {cache: false}}]\n",
    )
    project.put("models/a/out/.keep", "")
    dvc.run(folder, "repro", "-q")


@shape(
    "A project in a project",
    "at the root, both",
    differences=(
        Difference(
            "Leaves out the project below; here its changes are shown too",
            ("demo/scores.json:*",),
        ),
    ),
)
def nested_project(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write a folder with a `.dvc` of its own, below a project."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    project.put("dvc.yaml", "metrics: [metrics.json]\n")
    project.put("demo/.dvc/config", CONFIG)
    put_json(project, "demo/scores.json", {"demo": step})
    project.put("demo/dvc.yaml", "metrics: [scores.json]\n")


@shape(
    "Templates, `vars` and `wdir`",
    "paths filled in; the files of `vars` as parameters",
    differences=(Difference(WHOLE_FILE, params=("config/eval.yaml:unused",)),),
)
def templates(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Take variables of several files, merged, and run a stage in a folder."""
    del dvc
    start(project)
    project.put("params.yaml", f"model: {{name: net, depth: {step}}}\n")
    project.put("config/eval.yaml", f"out: {{dir: reports, digits: {step}}}\nunused: {step}\n")
    put_json(project, "work/reports/net.json", score(step))
    project.put(
        "dvc.yaml",
        "vars:\n- config/eval.yaml\n- model: {suffix: json}\nstages:\n  evaluate:\n    wdir: work\n"
        "    cmd: python eval.py --digits ${out.digits} --depth ${model.depth}\n"
        "    metrics:\n    - ${out.dir}/${model.name}.${model.suffix}: {cache: false}\n",
    )


@shape("A template folder in `.dvcignore`", "only what DVC sees")
def ignored_template(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Leave aside the dvc.yaml of a cookiecutter, which is no pipeline."""
    del dvc
    start(project)
    project.put(".dvcignore", "template/\n")
    project.put("template/dvc.yaml", "stages: {train: {cmd: x, metrics: ['m.json']}}\n")
    put_json(project, "template/m.json", {"no": step})
    put_json(project, "metrics.json", score(step))
    project.put("dvc.yaml", "metrics: [metrics.json]\n")


@shape(
    "Names of `classification_report`",
    "names with spaces and digits, as they stand; text and lists named as unusable",
    differences=(
        Difference(TEXT, ("report.json:model",)),
        Difference("Leaves out lists and nulls; here they are named as unusable", ("*:confusion",)),
        Difference("Takes true for 1; here it is named as unusable", ("*:converged",)),
    ),
)
def reports(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write a report of scikit-learn, with what people add to it."""
    del dvc
    start(project)
    put_json(
        project,
        "report.json",
        {
            "0": {"recall": 0.5 + step / 4, "support": 10},
            "macro avg": {"f1-score": 0.6 + step / 8},
            "accuracy": 0.7,
            "model": f"forest {step}",
            "confusion": [[5, 1], [2, step]],
            "converged": bool(step),
        },
    )
    project.put("dvc.yaml", "metrics: [report.json]\n")


@shape(
    "DVC arrives with the change",
    "head's metrics and parameters, base's where the same file is in git",
)
def arriving(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Bring dvc.yaml and a metric with the second commit."""
    del dvc
    start(project)
    project.put("params.yaml", f"depth: {step}\n")
    if step:
        put_json(project, "metrics.json", score(step))
        project.put("dvc.yaml", "metrics: [metrics.json]\n")
    else:
        project.put("data.dvc", "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: data\n")


@shape(
    "No DVC at all",
    "nothing",
    dvc="Refused",
    refusal="there is no dvc.yaml, neither at base nor at head",
)
def no_dvc(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write a file of numbers, and nothing that says what they are."""
    del dvc
    project.put("train.py", "print(1)\n")
    project.put("params.yaml", f"depth: {step}\n")
    put_json(project, "metrics.json", score(step))
