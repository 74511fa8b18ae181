"""Odd but ordinary contents of repositories, beside the shapes of `repository_shapes.py`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from git_project import GitRepository
from repository_shapes import Difference, Shape, entry, put_json, score, shape, start

if TYPE_CHECKING:
    from dvc_program import DvcProgram


ODD: dict[str, Shape] = {}
odd = partial(shape, into=ODD)

REFUSES = "Refuses it: shows nothing of the pipeline, with exit code 0"
LISTS = "Leaves out lists and nulls; here they are named as unusable"


@odd("CRLF in every file", "the same as without")
def crlf(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write what Windows writes, hashed as DVC 2 hashed text: with the ends of Linux."""
    del dvc
    start(project)
    text = json.dumps(score(step), indent=1) + "\n"
    files = {
        "params.yaml": f"lr: 0.{step}\nnote: |\n  first\n  second {step}\n",
        "metrics.json": text,
        "dvc.yaml": "stages:\n  train:\n    cmd: x\n    params:\n    - lr\n"
        "    metrics:\n    - metrics.json:\n        cache: false\n",
    }
    for path, content in files.items():
        project.put(path, content)
    lock: dict[str, object] = {"cmd": "x", "params": {"params.yaml": {"lr": step / 10}}}
    lock["outs"] = [entry(project, "metrics.json", size=len(text))]
    files["dvc.lock"] = json.dumps({"schema": "2.0", "stages": {"train": lock}}, indent=1)
    for path, content in files.items():
        project.put(path, content.replace("\n", "\r\n"))


@odd(
    "A byte order mark",
    "the text after it",
    differences=(
        Difference(
            "Reads none in JSON and TOML, and shows nothing of them, with exit code 0",
            ("metrics.json:*",),
            ("conf.json:rows", "conf.toml:depth"),
        ),
    ),
)
def byte_order_mark(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write what editors of Windows put before a text."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    for path, text in {
        "metrics.json": json.dumps(score(step)),
        "metrics.yaml": f"auc: 0.{5 + step}\n",
        "params.yaml": f"lr: {step}\n",
        "conf.json": f'{{"rows": {step}}}',
        "conf.toml": f"depth = {step}\n",
        "dvc.yaml": "metrics: [metrics.json, metrics.yaml]\nparams: [conf.json, conf.toml]\n",
    }.items():
        project.put(path, "\ufeff" + text)


@odd(
    "NaN and infinite numbers",
    "that they are no numbers, with the side",
    differences=(
        Difference(
            "Shows them as they stand, in JSON that is not strict; here they are named as unusable",
            ("metrics.json:[abcd]", "metrics.yaml:[xy]", "metrics.toml:[xy]"),
        ),
    ),
)
def not_finite(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write what a training that diverged leaves."""
    del dvc
    start(project)
    loss = "0.5" if step else "NaN"
    text = f'{{"a": NaN, "b": Infinity, "c": 1e400, "d": {loss}, "e": 0.{step}}}'
    project.put("metrics.json", text)
    project.put("metrics.yaml", f"x: .nan\ny: -.inf\nz: {step}\n")
    project.put("metrics.toml", f"x = nan\ny = +inf\nz = {step}\n")
    project.put("dvc.yaml", "metrics: [metrics.json, metrics.yaml, metrics.toml]\n")


@odd(
    "Very large whole numbers",
    "as doubles, as every number",
    differences=(
        Difference(
            "Keeps whole numbers above 2^53 to the last digit",
            ("metrics.json:odd", "metrics.json:exact"),
        ),
    ),
)
def large(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Count tokens and bytes."""
    del dvc
    start(project)
    values = {"tokens": 2**40 + step, "power": 2**70, "odd": 2**53 + 1 + 2 * step}
    put_json(project, "metrics.json", {**values, "exact": 10**30, "tiny": 10 ** (-300 - step)})
    project.put("dvc.yaml", "metrics: [metrics.json]\n")


@odd(
    "Lists in metrics",
    "that they are no numbers; the numbers beside them",
    differences=(Difference(LISTS, ("metrics.json:*", "table.toml:*")),),
)
def lists(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write folds and confusion matrices as lists."""
    del dvc
    start(project)
    folds = [{"acc": 0.5}, {"acc": step}]
    values = {"folds": folds, "by": {"class": [1, [2, step]]}, "single": [step], "none": None}
    put_json(project, "metrics.json", {**values, "empty": {}, "acc": step})
    project.put("table.toml", f"acc = {step}\n[[fold]]\nacc = {step}\n")
    project.put("dvc.yaml", "metrics: [metrics.json, table.toml]\n")


@odd("Names in any script, with spaces", "as they stand")
def unicode_names(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Name files and metrics in French, Chinese and pictures."""
    del dvc
    start(project)
    text = json.dumps({"précision": step, "é": {"精度": step}}, ensure_ascii=False)
    project.put("métriques.json", text)
    put_json(project, "指标/a b/m.json", {"😀": step, "loss (%)": step, "x/y": step, "a.b": step})
    project.put("params.yaml", f"tiefe größe: {step}\n名: {{a b: {step}}}\n")
    project.put("dvc.yaml", "metrics: [métriques.json, './指标/a b/m.json']\n")


@odd(
    "Links to metrics and parameters",
    "what they lead to, inside of the repository",
    differences=(
        Difference(
            "Reads the text of a link at a revision, not what it leads to",
            ("metrics.json:*", "latest/*"),
            ("config.yaml:*",),
        ),
    ),
)
def links(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Let `latest` lead to the folder of the last run."""
    del dvc
    start(project)
    put_json(project, f"runs/{step}/m.json", score(step))
    project.put(f"conf/{step}.yaml", f"lr: {step}\n")
    targets = {"metrics.json": "runs/{}/m.json", "latest": "runs/{}", "config.yaml": "conf/{}.yaml"}
    for name, target in targets.items():
        (project.root / name).unlink(missing_ok=True)
        (project.root / name).symlink_to(target.format(step))
    project.put("dvc.yaml", "metrics: [metrics.json, latest/m.json]\nparams: [config.yaml]\n")


@odd("Keys that are numbers", "as text, as they are written")
def number_keys(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Name classes by their number, and options by a word that YAML 1.1 took for true."""
    del dvc
    start(project)
    project.put("metrics.yaml", f"0: {{recall: {step}}}\n10: {step}\nby: {{0.5: {step}}}\n")
    project.put("params.yaml", f"classes: {{0: cat, 1: {step}, on: {step}}}\n")
    project.put("dvc.yaml", "metrics: [metrics.yaml]\n")


@odd(
    "Dates among the parameters",
    "as text",
    differences=(Difference(REFUSES, ("metrics.json:*",), ("params.yaml:*",)),),
)
def dates(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Split the data by a day."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    project.put("params.yaml", f"until: 2024-01-0{1 + step}\nlr: {step}\n")
    project.put("dvc.yaml", "metrics: [metrics.json]\n")


@odd("Numbers of YAML in every spelling", "by YAML 1.2, with `_` and `0b`, as DVC does")
def spellings(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Write numbers as people do."""
    del dvc
    start(project)
    texts = ["1e-3", "1E+3", "+1", "-0", ".5", "5.", "017", "0o17", "0x1F", "0b101", "1_000.5"]
    lines = "".join(f"m{at}: {text}\n" for at, text in enumerate(texts))
    project.put("metrics.yaml", f"{lines}changed: {step}\n")
    project.put("params.yaml", f"switch: {'yes' if step else 'no'}\nclock: 12:3{step}\n")
    project.put("dvc.yaml", "metrics: [metrics.yaml]\n")


@odd("Anchors and merges", "filled in")
def anchors(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Share the options of stages and parameters."""
    del dvc
    start(project)
    put_json(project, "a.json", score(step))
    put_json(project, "b.json", score(step))
    project.put("params.yaml", f"base: &base {{lr: {step}}}\nown: {{<<: *base, depth: 2}}\n")
    project.put(
        "dvc.yaml",
        "stages:\n  a: &stage\n    cmd: x\n    params: [own]\n    metrics: [a.json: {cache: false}]"
        "\n  b:\n    <<: *stage\n    metrics: [b.json: {cache: false}]\n",
    )


@odd("Upper-case suffixes, `.yml`", "by the suffix, whatever its case")
def suffixes(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Name files as old systems do."""
    del dvc
    start(project)
    put_json(project, "METRICS.JSON", score(step))
    project.put("scores.YML", f"auc: 0.{5 + step}\n")
    project.put("CONF.TOML", f"depth = {step}\n")
    project.put("conf.yml", f"lr: {step}\n")
    project.put("dvc.yaml", "metrics: [METRICS.JSON, scores.YML]\nparams: [CONF.TOML, conf.yml]\n")


@odd("A metrics file that `dvc add` keeps", "from the cache")
def added(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Keep metrics by a pointer, and name them at the top level."""
    if step == 0:
        dvc.run(project.root, "init", "-q")
    put_json(project, "results/metrics.json", score(step))
    dvc.run(project.root, "add", "-q", "results")
    project.put("dvc.yaml", "metrics: [results/metrics.json]\n")


@odd("A metrics file that is gone", "base's numbers, and none at head")
def gone(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Take one of two metrics files away."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    if step:
        (project.root / "old.json").unlink()
    else:
        put_json(project, "old.json", score(step))
    project.put("dvc.yaml", "metrics: [metrics.json, old.json]\n")


@odd(
    "A dvc.yaml that is gone",
    "base's metrics on both sides, where the files still stand",
    differences=(Difference("Shows none at head", ("metrics.json:*",)),),
)
def undeclared(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Take the pipeline away and leave its metrics."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    if step:
        (project.root / "dvc.yaml").unlink()
    else:
        project.put("dvc.yaml", "metrics: [metrics.json]\n")


@odd(
    "Files that hold no metrics",
    "why, of each; the numbers of the others",
    notices=(
        "`log.csv` at head cannot be read: holds no metrics",
        "`twice.json` at head cannot be read: the key 'acc' stands there twice",
        "`latin.json` at head cannot be read: not UTF-8 text",
        "`lines.json` at head cannot be read: not JSON: Extra data",
        "`top.json` at head cannot be read: the top level is a list",
        "`empty.json` at head cannot be read: the file is empty",
        "`merge.yaml` at head cannot be read: holds a conflict of a merge",
    ),
    differences=(
        Difference("Shows the text of a table", ("log.csv:*",)),
        Difference("Takes the last of two values of one name", ("twice.json:*",)),
    ),
)
def no_metrics(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Declare files of other kinds, and broken ones, beside one that is sound."""
    del dvc
    start(project)
    put_json(project, "sound.json", score(step))
    files: dict[str, str | bytes] = {
        "log.csv": f"epoch,loss\n0,0.{step}\n",
        "twice.json": f'{{"acc": 1, "acc": {step}}}',
        "latin.json": f'{{"précision": {step}}}'.encode("latin-1"),
        "lines.json": f'{{"acc": 1}}\n{{"acc": {step}}}\n',
        "top.json": f'[{{"acc": {step}}}]',
        "empty.json": "",
        "merge.yaml": f"<<<<<<< HEAD\nacc: 1\n=======\nacc: {step}\n>>>>>>> topic\n",
    }
    for path, content in files.items():
        project.put(path, content)
    put_json(project, "dvc.yaml", {"metrics": ["sound.json", *files]})


@odd(
    "Metrics in a submodule, or nowhere",
    "that they are not there",
    dvc="Shows nothing of them, with exit code 0",
    notices=(
        "`sub/m.json` is in the submodule `sub`: what a submodule holds is not read",
        "Neither side has the metrics that dvc.yaml declares in `typo.json`, `typos.json`",
    ),
)
def elsewhere(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Declare what another repository holds, and a file that no one wrote."""
    del dvc
    start(project)
    put_json(project, "metrics.json", score(step))
    project.put("dvc.yaml", "metrics: [metrics.json, sub/m.json, typo.json, typos.json]\n")
    inner = GitRepository(project.root.parent / "elsewhere-inner")
    put_json(inner, "m.json", score(step))
    inner.commit()
    allow = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    if step == 0:
        project.git(*allow, "add", str(inner.root), "sub")
    project.git(*allow, "update", "--remote")


@odd("Paths with `\\`, as on Windows", "the same files as with `/`")
def windows_paths(project: GitRepository, step: int, dvc: DvcProgram) -> None:
    """Name files as Windows does, in a repository that Linux reads."""
    del dvc
    start(project)
    put_json(project, "reports/m.json", score(step))
    put_json(project, "runs/out/n.json", score(step))
    project.put("conf/p.yaml", f"lr: {step}\n")
    project.put(
        "dvc.yaml",
        "metrics:\n- reports\\m.json\nparams:\n- conf\\p.yaml\nstages:\n  train:\n    cmd: x\n"
        "    wdir: runs\n    metrics: ['out\\n.json': {cache: false}]\n",
    )
