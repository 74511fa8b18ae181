"""What a dvc.yaml declares, into a pipeline: stages, with their templates filled in.

The files that its `vars` name are read by the reader that is handed in.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.dvc.paths import join_path, name_input, stage_name
from mlgitops.dvc.pipeline import Pipeline, Stage
from mlgitops.dvc.scope import DEFAULT, Scope, Variables
from mlgitops.dvc.templating import Budget, UnresolvedError, as_text, expand, list_stages
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.dvc.scope import Read
    from mlgitops.parsing import Value


def add_definition(document: dict[str, Value], path: str, pipeline: Pipeline, read: Read) -> None:
    """Take what a dvc.yaml declares."""
    folder = posixpath.dirname(path)
    pipeline.budget.where = path
    variables = Variables(read, pipeline.notices, pipeline.params)
    scope = Scope(path)
    variables.load(scope, [DEFAULT, *as_list(document.get("vars"))], folder)
    stages = document.get("stages") or {}
    if not isinstance(stages, dict):
        raise MlgitopsError("`stages` must be a mapping", where=path)
    pipeline.drawn.append(
        (folder, _try_expand(document.get("plots"), scope.values, pipeline.budget))
    )
    options = b"[parsing]" in (read(".dvc/config") or b"")  # how a mapping becomes options
    for name, body in stages.items():
        if not isinstance(body, dict):
            raise MlgitopsError(f"stage {name[:80]!r} must be a mapping", where=path)
        templated = options and "${" in str(body)
        try:
            for full, inner, names in list_stages(name, body, scope.values, pipeline.budget):
                if not isinstance(inner, dict):
                    raise MlgitopsError(f"stage {full[:80]!r} must be a mapping", where=path)
                stage = _fill_in(inner, scope.extend(names), folder, variables, pipeline.budget)
                _add_stage(full, stage, path, pipeline, templated=templated)
        except UnresolvedError as error:
            pipeline.unread.append(f"stage `{name[:80]}` of `{path}`")
            pipeline.unresolved[stage_name(name, path)] = str(error)
            pipeline.notices.append(
                f"`{path}`: stage `{name}` was not read, `${{{error}}}` is not known."
            )
    for entry, _ in _entries(_try_expand(document.get("metrics"), scope.values, pipeline.budget)):
        add_metric(pipeline, path, folder, entry)
    for kind, files in (("params", pipeline.params), ("plots", pipeline.plots)):
        for entry, _ in _entries(_try_expand(document.get(kind), scope.values, pipeline.budget)):
            add_file(files, folder, entry)


def _fill_in(
    body: dict[str, Value], scope: Scope, folder: str, variables: Variables, budget: Budget
) -> dict[str, Value]:
    """Fill in the templates of one stage, by ``scope`` and by `vars` of its own."""
    entries = as_list(body.get("vars"))
    if entries:
        wdir = expand(body.get("wdir") or ".", scope.values, budget)
        variables.load(scope, entries, posixpath.join(folder, as_text(wdir)))
    rest: Value = {key: value for key, value in body.items() if key != "vars"}
    stage = expand(rest, scope.values, budget)
    return stage if isinstance(stage, dict) else {}


def add_metric(pipeline: Pipeline, path: str, folder: str, entry: str) -> None:
    """Add a metrics file that ``path`` declares; one that is not read becomes a notice."""
    if add_file(pipeline.metrics, folder, entry):
        return
    pipeline.unread.append(f"`{entry[:80]}`, which `{path}` declares,")
    problem = "it is not known what `${...}` in it is" if "${" in entry else "it leads elsewhere"
    pipeline.notices.append(f"`{path}`: the metrics file `{entry[:80]}` was not read, {problem}.")


def _add_stage(
    name: str, body: dict[str, Value], path: str, pipeline: Pipeline, *, templated: bool
) -> None:
    folder = posixpath.join(posixpath.dirname(path), str(body.get("wdir") or "."))
    metrics = [entry for entry, _ in _entries(body.get("metrics"))]
    plots = [entry for entry, _ in _entries(body.get("plots"))]
    outs = [entry for entry, _ in _entries(body.get("outs"))]
    for entry in [*metrics, *_list_summaries(body.get("live"))]:
        add_metric(pipeline, path, folder, entry)
    for entry in plots:
        add_file(pipeline.plots, folder, entry)
    pipeline.drawn.append((folder, body.get("plots")))
    for entry, _ in _param_files(body.get("params")):
        add_file(pipeline.params, folder, entry)
    named = [*outs, *metrics, *plots]
    pipeline.outside += [(path, entry) for entry in named if join_path(folder, entry) is None]
    full = stage_name(name, path)
    pipeline.stages[full] = Stage(
        name=full,
        file=path,
        folder=folder,
        command=join_command(body.get("cmd")),
        deps=tuple(name_input(folder, entry) for entry, _ in _entries(body.get("deps"))),
        outs=_places(folder, named),
        metrics=_places(folder, metrics),
        kept=_places(folder, [*_find_refusing(body, "cache")]),
        unsent=_places(folder, [*_find_refusing(body, "push"), *_find_elsewhere(body)]),
        params=_declared_params(body.get("params"), folder),
        templated=templated,
        frozen=body.get("frozen") is True,
        always=body.get("always_changed") is True,
    )


def _declared_params(entries: Value, folder: str) -> dict[str, tuple[str, ...]]:
    """Read the parameters of a stage: a file named without keys is meant whole."""
    names: dict[str, tuple[str, ...]] = {}
    whole = set()
    for item in as_list(entries):
        pairs: dict[str, Value] = item if isinstance(item, dict) else {DEFAULT: [item]}
        for path, keys in pairs.items():
            inside = join_path(folder, path) or path
            listed = tuple(str(key) for key in as_list(keys))
            names[inside] = (*names.get(inside, ()), *listed)
            if not listed:
                whole.add(inside)
    return {path: () if path in whole else listed for path, listed in names.items()}


def join_command(command: Value) -> str:
    """Return `cmd` of a stage as one text: the commands of a list on a line each."""
    return "\n".join(map(as_text, command)) if isinstance(command, list) else as_text(command)


def _find_elsewhere(body: dict[str, Value]) -> Iterator[str]:
    """Yield the outputs of a stage that go to a remote of their own."""
    for kind in ("outs", "metrics", "plots"):
        for path, options in _entries(body.get(kind)):
            if isinstance(options, dict) and options.get("remote") is not None:
                yield path


def _find_refusing(body: dict[str, Value], option: str) -> Iterator[str]:
    """Yield the outputs of a stage that are declared with this option as false."""
    for kind in ("outs", "metrics", "plots"):
        for path, options in _entries(body.get(kind)):
            if isinstance(options, dict) and options.get(option) is False:
                yield path


def _try_expand(value: Value, scope: dict[str, Value], budget: Budget) -> Value:
    try:
        return expand(value, scope, budget)
    except UnresolvedError:
        return value


def _entries(value: Value) -> Iterator[tuple[str, Value]]:
    """Yield path and options of a list such as `[a.json, {b.json: {cache: false}}]`."""
    items: list[Value] = list(value.items()) if isinstance(value, dict) else as_list(value)  # type: ignore[arg-type]
    for item in items:
        if isinstance(item, str):
            yield item, None
        elif isinstance(item, dict):
            yield from item.items()
        elif isinstance(item, tuple):
            yield item


def _list_summaries(live: Value) -> Iterator[str]:
    """Yield the metrics files that the section `live` of DVC 2 stands for: `logs.json` for logs.

    Source: https://github.com/treeverse/dvc/blob/2.58.2/dvc/output.py
    """
    for path, options in _entries(live):
        if not (isinstance(options, dict) and options.get("summary") is False):
            yield f"{path}.json"


def _param_files(value: Value) -> Iterator[tuple[str, Value]]:
    """Yield the files of a stage's `params`: a bare name means params.yaml."""
    for item in as_list(value):
        if isinstance(item, str):
            yield DEFAULT, None
        elif isinstance(item, dict):
            yield from item.items()


def as_list(value: Value) -> list[Value]:
    """Return a list as it is, nothing as an empty one, and anything else as a list of it alone."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def add_file(files: set[str], folder: str, entry: str) -> bool:
    """Add a file and return True; False if it lies outside of the project or has no known name."""
    path = join_path(folder, entry)
    if path is None or "${" in path:
        return False
    files.add(path)
    return True


def _places(folder: str, entries: list[str]) -> tuple[str, ...]:
    joined = [join_path(folder, entry) for entry in entries]
    return tuple(path for path in joined if path is not None)
