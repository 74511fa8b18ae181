"""A project on disk to its mistakes and warnings, all of them in one pass.

Reads the work tree; runs nothing of it. Whether dvc.lock is up to date is not asked here:
`mlgitops train` sees to that.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from mlgitops.comparison.cost.changes import COST_NAMES
from mlgitops.dvc.configuration import CONFIG, check_config, check_tracked
from mlgitops.dvc.metrics import parse_metrics
from mlgitops.dvc.reader import list_dvc_files, read_pipeline
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.wanted import check_wanted, list_environments
from mlgitops.hints import nearest_name
from mlgitops.judgement.policy import parse_policy
from mlgitops.parsing import Place, parse_yaml
from mlgitops.pickles import LOOK, find_pickle
from mlgitops.project.imports import check_imported_contract, check_pins
from mlgitops.render.escape import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.dvc.metrics import MetricSet
    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.git.repository import Folder
    from mlgitops.model import Policy
    from mlgitops.project.foresight import Foresight

POLICY = "policy.yaml"
CONTRACT = "contract.yaml"
VALIDATION = "reports/validation.json"
PLACEHOLDER = "your-org/mlgitops"
OWNERS = ".github/CODEOWNERS"
UNNAMED = "@your-name"
_FEW = 5
_MOST_CHECKS = 20
_MAX_VALIDATION = 2**24
_MAX_HEADER = 2**16
#: Columns of predictions that are nothing to slice by.
_ROLES = ("id", "target", "prediction", "score")


class Refusals(Struct, frozen=True, kw_only=True):
    """What the validate stage of a generated project wrote when it ran last."""

    passed: bool
    rows: Annotated[int, Meta(ge=0)]
    refused: dict[Annotated[str, Meta(max_length=1000)], Annotated[int, Meta(ge=0)]] = {}


class Findings(Struct, kw_only=True):
    """What validation found."""

    mistakes: list[MlgitopsError] = []
    warnings: list[MlgitopsError] = []
    foresights: list[Foresight] = []  # what the test rows would stop, where predictions are here
    refusals: Refusals | None = None  # what the contract refused in the last run


def validate_project(folder: Folder, base: str | None = None) -> Findings:
    """Check everything that can be checked without running the project.

    With ``base``, a sha, a change that moves the storage's address is a mistake too.
    """
    findings = Findings()
    pipeline = _check_pipeline(folder, findings)
    policy = _check_policy(folder, findings)
    metrics = _check_metrics(folder, pipeline, findings)
    if policy is not None:
        findings.mistakes += check_names(policy, metrics, _read_lines(folder))
        findings.mistakes += _check_files(policy, folder, pipeline)
        findings.mistakes += _check_columns(policy, folder)
        _foresee(policy, folder, findings)
    findings.mistakes += check_config(
        folder.read(None, CONFIG), folder.read(base, CONFIG) if base else None
    )
    findings.mistakes += check_tracked(folder.list_files(None))
    findings.mistakes += _check_models(folder, pipeline, policy)
    findings.mistakes += _check_environments(folder)
    findings.mistakes += [*_check_contract(folder, pipeline), *check_pins(pipeline)]
    mistakes, warnings = check_imported_contract(folder, pipeline)
    findings.mistakes += mistakes
    findings.warnings += warnings
    _read_refusals(folder, findings)
    findings.warnings += [
        *_check_toolkit(folder),
        *_check_owners(folder),
        *_check_new_storage(folder, base),
    ]
    return findings


def _check_environments(folder: Folder) -> Iterator[MlgitopsError]:
    """Yield the mistakes of each environment's file: nobody deploys it before it is merged."""
    for environment in list_environments(folder.repository, folder.prefix, None):
        path = f"deploy/{environment}/model.yaml"
        data = folder.read(None, path) or b""
        if not is_manifest(data):
            yield from check_wanted(data, path)


def is_manifest(data: bytes) -> bool:
    """Tell whether a file of a name that we use, too, is a manifest of Kubernetes."""
    return re.search(rb"(?m)^apiVersion:", data) is not None


def _check_policy(folder: Folder, findings: Findings) -> Policy | None:
    data = folder.read(None, POLICY)
    if data is None:
        hint = "write one: what must a model satisfy to merge? See docs, Reference, policy.yaml"
        findings.mistakes.append(MlgitopsError("there is no policy", where=POLICY, hint=hint))
        return None
    try:
        policy = parse_policy(data, where=POLICY)
    except MistakesError as error:
        findings.mistakes += error.errors
        return None
    except MlgitopsError as error:
        findings.mistakes.append(error)
        return None
    if not policy.metrics and not policy.budgets:
        hint = "name a metric below `metrics:`"
        findings.warnings.append(MlgitopsError("judges nothing", where=POLICY, hint=hint))
    return policy


def _foresee(policy: Policy, folder: Folder, findings: Findings) -> None:
    """Say what the policy would stop on the test rows of the predictions that are here."""
    path = policy.files.predictions
    table = folder.place / path if path else None
    if table is None or not table.is_file() or not _is_inside(table, folder.place):
        return
    from mlgitops.project.foresight import foresee
    from mlgitops.tables.predictions import read_predictions

    try:
        findings.foresights += foresee(read_predictions(table, where=path), policy)
    except MlgitopsError as error:
        findings.warnings.append(error)


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _read_lines(folder: Folder) -> dict[Place, int]:
    lines: dict[Place, int] = {}
    parse_yaml(folder.read(None, POLICY) or b"", POLICY, lines=lines)
    return lines


def _check_pipeline(folder: Folder, findings: Findings) -> Pipeline:
    """Read each DVC file on its own, so that one broken file does not hide the others."""
    files = folder.list_files(None)
    paths = sorted(list_dvc_files(files, lambda name: folder.read(None, name)))
    sound = {}
    for path in paths:
        try:
            alone = read_pipeline({path: files[path]}, lambda name: folder.read(None, name))
            sound[path] = files[path]
        except MlgitopsError as error:
            findings.mistakes.append(error)
            continue
        findings.mistakes += [
            MlgitopsError(f"the output {entry[:100]!r} is outside the repository", where=file)
            for file, entry in alone.outside
        ]
    if not any(path.rpartition("/")[2] == "dvc.yaml" for path in paths):
        hint = "run it in a project's folder, or make one with `mlgitops new`"
        findings.mistakes.append(MlgitopsError("there is no dvc.yaml", hint=hint))
    pipeline = read_pipeline(sound, lambda name: folder.read(None, name))
    findings.warnings += [MlgitopsError(notice) for notice in pipeline.notices]
    return pipeline


def _check_metrics(
    folder: Folder, pipeline: Pipeline, findings: Findings
) -> dict[str, MetricSet] | None:
    """Read the metrics that are here; None when there are none yet."""
    parsed = {}
    for path in sorted(pipeline.metrics):
        data = folder.read(None, path)
        if data is None:
            continue
        try:
            parsed[path] = parse_metrics(data, path)
        except MlgitopsError as error:
            findings.mistakes.append(error)
    if not parsed:
        hint = "`mlgitops train` makes them; then the policy's names can be checked"
        findings.warnings.append(MlgitopsError("there are no metrics yet", hint=hint))
        return None
    for path, metrics in parsed.items():
        findings.warnings += [
            MlgitopsError(f"`{name}` {reason}", where=path)
            for name, reason in sorted(metrics.unusable.items())[:_FEW]
        ]
    return parsed


def check_names(
    policy: Policy, metrics: dict[str, MetricSet] | None, lines: dict[Place, int]
) -> list[MlgitopsError]:
    """Refuse judged names that stand in no metrics file, with the nearest one that does."""
    if metrics is None:
        return []
    names = [
        name
        for metric_set in metrics.values()
        for name in (*metric_set.values, *metric_set.unusable)
    ]
    names += COST_NAMES
    full = [f"{path}:{name}" for path, metric_set in metrics.items() for name in metric_set.values]
    mistakes = []
    for section, rules in (("metrics", policy.metrics), ("budgets", policy.budgets)):
        for name in rules:
            where = f"{POLICY}:{lines.get((section, name), 1)}"
            if name not in names and name not in full:
                near = nearest_name(name, names)
                listed = ", ".join(sorted(names)[:_FEW])
                hint = f"did you mean `{near}`?" if near else f"there are: {listed}"
                mistakes.append(
                    MlgitopsError(f"no metric is named `{name}`", where=where, hint=hint)
                )
            elif names.count(name) > 1:
                hint = "write it as `path:name`"
                problem = f"several files have a metric `{name}`"
                mistakes.append(MlgitopsError(problem, where=where, hint=hint))
    return mistakes


def _check_files(policy: Policy, folder: Folder, pipeline: Pipeline) -> list[MlgitopsError]:
    """Refuse paths in `files:` that neither git nor DVC knows."""
    outputs = {out for stage in pipeline.stages.values() for out in stage.outs}
    paths = {*folder.list_files(None), *outputs, *pipeline.pointers}
    mistakes = []
    for name in type(policy.files).__struct_fields__:
        path = getattr(policy.files, name)
        # A project that tries no other seed has none of these files.
        if path is not None and path not in paths and name != "seeds":
            near = nearest_name(path, outputs or paths)
            hint = f"did you mean `{near}`?" if near else "name an output of dvc.yaml"
            problem = f"files.{name}: `{path}` is neither in git nor made by the pipeline"
            mistakes.append(MlgitopsError(problem, where=POLICY, hint=hint))
    return mistakes


def _check_columns(policy: Policy, folder: Folder) -> list[MlgitopsError]:
    """Refuse slice and cluster columns that the predictions, where they are here, do not have."""
    path = policy.files.predictions
    wanted: list[tuple[Place, str]] = [
        (("slices", at), name) for at, rule in enumerate(policy.slices) for name in rule.by
    ]
    wanted += [(("cluster",), policy.cluster)] if policy.cluster else []
    if wanted and path is None:
        hint = "add `files: {predictions: reports/predictions.csv}`"
        problem = "slices and cluster need `files.predictions`"
        return [MlgitopsError(problem, where=POLICY, hint=hint)]
    columns = _read_header(folder.place / path, folder.place) if path else None
    if columns is None:
        return []
    return check_columns(wanted, columns, path or "", _read_lines(folder))


def check_columns(
    wanted: list[tuple[Place, str]], columns: list[str], path: str, lines: dict[Place, int]
) -> list[MlgitopsError]:
    """Refuse names that are not among ``columns``, with the nearest one that is."""
    mistakes = []
    for key, name in wanted:
        if name in columns:
            continue
        near = nearest_name(name, columns)
        listed = ", ".join(columns[:_FEW]) or "none to slice by"
        hint = f"did you mean `{near}`?" if near else f"there are: {listed}"
        where = f"{POLICY}:{lines.get(key, 1)}"
        mistakes.append(MlgitopsError(f"`{path}` has no column `{name}`", where=where, hint=hint))
    return mistakes


def _read_header(table: Path, root: Path) -> list[str] | None:
    """Return the columns to slice by of a CSV that is here; None when there is none to read."""
    if table.suffix != ".csv" or not table.is_file():
        return None
    if not _is_inside(table, root):
        return None
    with table.open("rb") as file:
        line = file.readline(_MAX_HEADER)
    names = next(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
    return [name.strip() for name in names if name.strip() not in _ROLES and name[:6] != "score_"]


def _check_new_storage(folder: Folder, base: str | None) -> Iterator[MlgitopsError]:
    """Warn of a first `.dvc/config`: the jobs of a pull request take the base's."""
    first = base is not None and folder.read(base, CONFIG) is None
    if first and folder.read(None, CONFIG) is not None:
        problem = "the base has none yet: this pull request's runs reach no storage"
        yield MlgitopsError(problem, where=CONFIG, hint="merge it on its own first")


def _check_models(
    folder: Folder, pipeline: Pipeline, policy: Policy | None
) -> Iterator[MlgitopsError]:
    """Refuse files that run code when they are loaded, whatever they are called."""
    paths = {*folder.list_files(None), *pipeline.pointers}
    paths |= {out for stage in pipeline.stages.values() for out in stage.outs}
    if policy is not None and policy.files.model:
        paths.add(policy.files.model)
    for path in sorted(paths):
        for candidate in _list_plain(folder.place / path, folder.place):
            with candidate.open("rb") as file:
                kind = find_pickle(file.read(LOOK), size=candidate.stat().st_size)
            if kind is not None:
                where = candidate.relative_to(folder.place).as_posix()
                problem = f"{kind}: loading it runs whatever code is in it"
                yield MlgitopsError(problem, where=where, hint="store the model with skops")


def _list_plain(path: Path, root: Path) -> list[Path]:
    """List the plain files at or below a path, within the project."""
    paths = sorted(path.rglob("*")) if path.is_dir() else [path]
    inside = root.resolve()
    return [file for file in paths if file.is_file() and file.resolve().is_relative_to(inside)]


def _check_contract(folder: Folder, pipeline: Pipeline) -> list[MlgitopsError]:
    """Check the data contract, where a stage or the file itself says that there is one."""
    data = folder.read(None, CONTRACT)
    wanted = any(CONTRACT in stage.deps for stage in pipeline.stages.values())
    if data is None:
        hint = "it says which columns the data has; `mlgitops new` writes one"
        problem = "a stage reads it, and it is not there"
        return [MlgitopsError(problem, where=CONTRACT, hint=hint)] if wanted else []
    try:
        document = parse_yaml(data, CONTRACT)
    except MlgitopsError as error:
        return [error]
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict) or not columns:
        hint = "name each column with its type below `columns:`"
        return [MlgitopsError("it names no columns", where=CONTRACT, hint=hint)]
    return []


def _read_refusals(folder: Folder, findings: Findings) -> None:
    """Say how many rows each check of the contract refused when the pipeline ran last."""
    data = folder.read(None, VALIDATION)
    if data is None or len(data) > _MAX_VALIDATION:
        return
    try:
        refusals = msgspec.json.decode(data, type=Refusals)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # a stage of one's own may write what it likes there
    findings.refusals = refusals
    hint = "mend the data or contract.yaml, then `mlgitops train`"
    findings.warnings += [
        MlgitopsError(
            f"{clean_text(check)} refused {count:,} of {refusals.rows:,} rows in the last run",
            where=CONTRACT,
            hint=hint,
        )
        for check, count in list(refusals.refused.items())[:_MOST_CHECKS]
    ]


def _check_owners(folder: Folder) -> Iterator[MlgitopsError]:
    """Warn of a project whose reviewers are still those that the template could not know."""
    text = (folder.read(None, OWNERS) or b"").decode(errors="replace")
    lines = [at for at, line in enumerate(text.splitlines(), 1) if UNNAMED in line.split()]
    if lines:
        hint = f"replace {UNNAMED} by a GitHub user or an organisation/team, also below src/"
        problem = f"nobody is named who reviews changes of the policy, in {len(lines)} line(s)"
        yield MlgitopsError(problem, where=f"{OWNERS}:{lines[0]}", hint=hint)


def _check_toolkit(folder: Folder) -> Iterator[MlgitopsError]:
    """Warn of workflows whose actions still have the address that the template could not know."""
    for path in sorted(folder.list_files(None)):
        if not path.startswith(".github/workflows/"):
            continue
        text = (folder.read(None, path) or b"").decode(errors="replace")
        lines = [at for at, line in enumerate(text.splitlines(), 1) if PLACEHOLDER in line]
        if lines:
            hint = f"replace {PLACEHOLDER} by where your actions are, OWNER/mlgitops"
            problem = f"the actions' address is not set, in {len(lines)} line(s)"
            yield MlgitopsError(problem, where=f"{path}:{lines[0]}", hint=hint)
