"""The DVC pipeline at one side: stages, lock entries, and which files are metrics or params.

In: a reader of files at a revision. Out: :class:`Pipeline`. DVC itself is not used, so
nothing of a pull request runs.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from mlgitops.dvc.ignore import IgnoreRules
from mlgitops.dvc.params import flatten_params
from mlgitops.dvc.paths import join_path, name_input, stage_name
from mlgitops.dvc.pointers import parse_import, parse_pointer, read_version
from mlgitops.dvc.scope import DEFAULT, Scope, Variables
from mlgitops.dvc.templating import Budget, UnresolvedError, as_text, expand, list_stages
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from mlgitops.dvc.scope import Read
    from mlgitops.model import DataVersion, ImportSource


_LONGEST_STORED = 4096  # characters: PATH_MAX of Linux, so no file has a longer one


class Stage(Struct, frozen=True, kw_only=True):
    """One stage as dvc.yaml declares it; paths are from the project's root.

    Dependencies may lie outside of it, see :func:`name_input`; outputs are those within.
    """

    name: str
    file: str  # its dvc.yaml
    folder: str  # where it runs
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]
    params: dict[str, tuple[str, ...]] = {}  # file → dotted names; none: all of the file
    kept: tuple[str, ...] = ()  # outputs that git keeps: `cache: false`
    unsent: tuple[str, ...] = ()  # outputs that the project's storage does not get
    templated: bool = False  # its command holds `${...}`, which DVC may write in other words
    frozen: bool = False  # its inputs may change without a new run
    always: bool = False  # DVC runs it each time, whatever its inputs: `always_changed`


class LockEntry(Struct, frozen=True, kw_only=True):
    """What dvc.lock says a stage was run with, and made."""

    command: str
    deps: dict[str, str]  # path → hash
    params: dict[str, str]  # "file:name" → JSON text
    outs: dict[str, DataVersion]
    values: dict[str, dict[str, Value]] = {}  # file → name as in dvc.yaml → value
    exact: bool = False  # hashes are of the bytes: written by DVC 3 or newer


class StoredOutput(Struct, frozen=True, kw_only=True):
    """One output as a dvc.lock or .dvc file records it."""

    path: str  # from the project's root; "" where the record has none
    file: str  # what records it
    version: DataVersion
    exact: bool  # its hash is of the bytes: written by DVC 3 or newer
    sent: bool = True  # False: the project's storage does not get it, as its .dvc file says


class Pipeline(Struct, kw_only=True):
    """Everything DVC knows at one side."""

    stages: dict[str, Stage] = {}
    locks: dict[str, LockEntry] = {}
    metrics: set[str] = set()
    params: set[str] = set()
    plots: set[str] = set()
    #: `plots` as every dvc.yaml declares them, at its top and in its stages, each with its folder.
    drawn: list[tuple[str, Value]] = []
    pointers: dict[str, DataVersion] = {}  # from .dvc files
    #: Outputs of `dvc import` → where each is from; None: its .dvc file names no commit.
    imports: dict[str, ImportSource | None] = {}
    outputs: list[StoredOutput] = []  # all that locks and .dvc files record
    outside: list[tuple[str, str]] = []  # (file, path) of outputs outside of the repository
    unresolved: dict[str, str] = {}  # stage, or group of them → the `${...}` that is not known
    notices: list[str] = []
    #: What could not be read, so that its metrics are not known: "stage `x` of `dvc.yaml`".
    unread: list[str] = []
    #: Files of DVC that could not be read at all, with the reason; filled when that is allowed.
    broken: dict[str, str] = {}
    budget: Budget = field(default_factory=Budget)  # what its stages may still come to
    recorded: dict[str, DataVersion] | None = None  # of all locks and pointers, once asked for

    def find_version(self, path: str) -> DataVersion | None:
        """Find what dvc.lock or a .dvc file says of ``path``."""
        return self._record().get(path)

    def find_source(self, path: str, digest: str) -> ImportSource | None:
        """Find which repository the data ``path`` of this hash were imported from.

        None where they were not, or where the .dvc file is of other data by now. Of a file in a
        folder that was imported the .dvc file names no hash.
        """
        version = self.pointers.get(path)
        if version is not None and version.hash != digest:
            return None
        return self.locate_import(path)

    def locate_import(self, path: str) -> ImportSource | None:
        """Return where the .dvc file of ``path``, or of the folder that it is in, is from."""
        within = self.find_import(path)
        source = self.imports[within] if within is not None else None
        if source is None or within is None:
            return None
        return replace(source, path=f"{source.path}{path.removeprefix(within)}")

    def find_import(self, path: str) -> str | None:
        """Return ``path``, or the folder around it, if `dvc import` brought that."""
        folder = path
        while folder and folder not in self.imports:
            folder = posixpath.dirname(folder)
        return folder or None

    def is_read(self, path: str) -> bool:
        """Tell whether a stage reads ``path``, a folder around it, or something in it."""
        read = {dep for stage in self.stages.values() for dep in stage.deps}
        return path in read or any(
            path.startswith(f"{dep}/") or dep.startswith(f"{path}/") for dep in read
        )

    def find_folder(self, path: str) -> tuple[str, DataVersion] | None:
        """Find the folder around ``path`` that DVC keeps as a whole, and its version."""
        folder = posixpath.dirname(path)
        while folder:
            version = self.find_version(folder)
            if version is not None:
                return folder, version
            folder = posixpath.dirname(folder)
        return None

    def _record(self) -> dict[str, DataVersion]:
        if self.recorded is None:
            self.recorded = dict(self.pointers)
            for lock in reversed(self.locks.values()):
                self.recorded.update(lock.outs)
        return self.recorded


def read_pipeline(files: dict[str, str], read: Read, *, lenient: bool = False) -> Pipeline:
    """Read every dvc.yaml, dvc.lock and .dvc file among ``files`` (path → blob id).

    Raises :class:`MlgitopsError` when one of them is malformed. When ``lenient``, those are named
    in :attr:`Pipeline.broken` instead, and the others are read.
    """
    pipeline = Pipeline()
    for path in list_dvc_files(files, read):
        try:
            _read_file(path, read, pipeline, _find_adder(posixpath.basename(path)))
        except MlgitopsError as error:
            if not lenient:
                raise
            pipeline.broken[path] = error.what
            pipeline.unread.append(f"`{path[:80]}`")
    return pipeline


def list_dvc_files(files: Collection[str], read: Read) -> list[str]:
    """List the dvc.yaml, dvc.lock and .dvc files among ``files``, definitions first.

    What .dvcignore leaves out is not read, as DVC does not read it either.
    """
    ignored = IgnoreRules(files, read)
    named = [path for path in files if _is_dvc_file(posixpath.basename(path))]
    seen = [path for path in named if not ignored.leaves_out(path)]
    return sorted(seen, key=lambda path: (not path.endswith("dvc.yaml"), path))


def _is_dvc_file(name: str) -> bool:
    return name in ("dvc.yaml", "dvc.lock") or (name.endswith(".dvc") and name != ".dvc")


def _find_adder(name: str) -> Add:
    """Find what takes a file of DVC with this name."""
    if name == "dvc.yaml":
        return _add_definition
    return _add_lock if name == "dvc.lock" else _add_pointer


Add: TypeAlias = "Callable[[dict[str, Value], str, Pipeline, Read], None]"


def _read_file(
    path: str,
    read: Read,
    pipeline: Pipeline,
    add: Add,
) -> None:
    data = read(path)
    if data is None:
        return
    document = parse_yaml(data, path)
    if document is None:
        return
    if not isinstance(document, dict):
        raise MlgitopsError("the top level must be a mapping", where=path)
    add(document, path, pipeline, read)


def _add_definition(
    document: dict[str, Value],
    path: str,
    pipeline: Pipeline,
    read: Read,
) -> None:
    """Take what a dvc.yaml declares."""
    folder = posixpath.dirname(path)
    pipeline.budget.where = path
    variables = Variables(read, pipeline.notices, pipeline.params)
    scope = Scope(path)
    variables.load(scope, [DEFAULT, *_list(document.get("vars"))], folder)
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
        _put_metric(pipeline, path, folder, entry)
    for kind, files in (("params", pipeline.params), ("plots", pipeline.plots)):
        for entry, _ in _entries(_try_expand(document.get(kind), scope.values, pipeline.budget)):
            _put(files, folder, entry)


def _fill_in(
    body: dict[str, Value], scope: Scope, folder: str, variables: Variables, budget: Budget
) -> dict[str, Value]:
    """Fill in the templates of one stage, by ``scope`` and by `vars` of its own."""
    entries = _list(body.get("vars"))
    if entries:
        wdir = expand(body.get("wdir") or ".", scope.values, budget)
        variables.load(scope, entries, posixpath.join(folder, as_text(wdir)))
    rest: Value = {key: value for key, value in body.items() if key != "vars"}
    stage = expand(rest, scope.values, budget)
    return stage if isinstance(stage, dict) else {}


def _put_metric(pipeline: Pipeline, path: str, folder: str, entry: str) -> None:
    """Add a metrics file that the dvc.yaml at ``path`` declares; one that is not read is told."""
    if _put(pipeline.metrics, folder, entry):
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
        _put_metric(pipeline, path, folder, entry)
    for entry in plots:
        _put(pipeline.plots, folder, entry)
    pipeline.drawn.append((folder, body.get("plots")))
    for entry, _ in _param_files(body.get("params")):
        _put(pipeline.params, folder, entry)
    named = [*outs, *metrics, *plots]
    pipeline.outside += [(path, entry) for entry in named if join_path(folder, entry) is None]
    full = stage_name(name, path)
    pipeline.stages[full] = Stage(
        name=full,
        file=path,
        folder=folder,
        command=_join_command(body.get("cmd")),
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
    for item in _list(entries):
        pairs: dict[str, Value] = item if isinstance(item, dict) else {DEFAULT: [item]}
        for path, keys in pairs.items():
            inside = join_path(folder, path) or path
            listed = tuple(str(key) for key in _list(keys))
            names[inside] = (*names.get(inside, ()), *listed)
            if not listed:
                whole.add(inside)
    return {path: () if path in whole else listed for path, listed in names.items()}


def _join_command(command: Value) -> str:
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


def _add_lock(
    document: dict[str, Value],
    path: str,
    pipeline: Pipeline,
    read: Read,
) -> None:
    """Take what a dvc.lock records."""
    del read
    stages = document.get("stages", document if "schema" not in document else {})
    if not isinstance(stages, dict):
        raise MlgitopsError("`stages` must be a mapping", where=path)
    for name, body in stages.items():
        if not isinstance(body, dict):
            raise MlgitopsError(f"stage {name[:80]!r} must be a mapping", where=path)
        full = stage_name(name, path)
        stage = pipeline.stages.get(full)
        folder = stage.folder if stage else posixpath.dirname(path)
        deps = _locked(body.get("deps"), folder, name_input)
        _record_outputs(body.get("outs"), folder, path, pipeline)
        pipeline.locks[full] = LockEntry(
            command=_join_command(body.get("cmd")),
            deps={dep: version.hash for dep, version in deps.items()},
            params=_lock_params(body.get("params"), folder),
            outs=_locked(body.get("outs"), folder, join_path),
            values=_lock_values(body.get("params"), folder),
            exact=_is_exact(body.get("deps")) and _is_exact(body.get("outs")),
        )


def _record_outputs(
    entries: Value, folder: str, file: str, pipeline: Pipeline, *, imported: bool = False
) -> None:
    """Take the outputs that a dvc.lock or .dvc file lists.

    ``imported``: DVC fetches them from the repository that they come from, and sends them nowhere;
    what a stage reads of them is sent by us, so that what a model was made from is all there.
    """
    for item in _list(entries):
        fields = item if isinstance(item, dict) else {}
        entry = str(fields.get("path") or "")  # "": whoever sends it is told
        # However long: what is left out here is not looked for in the storage.
        path = join_path(folder, entry, longest=_LONGEST_STORED) if entry else ""
        if path is None:
            pipeline.outside.append((file, entry))
            continue
        exact = fields.get("hash") == "md5"
        pipeline.outputs.append(
            StoredOutput(
                path=path,
                file=file,
                version=read_version(fields),
                exact=exact,
                sent=(not imported or (exact and pipeline.is_read(path)))
                and False not in (fields.get("cache"), fields.get("push"))
                and fields.get("remote") is None,
            )
        )


def _is_exact(entries: Value) -> bool:
    items = _list(entries)
    return all(isinstance(item, dict) and item.get("hash") == "md5" for item in items)


def _locked(
    entries: Value, folder: str, name: Callable[[str, str], str | None]
) -> dict[str, DataVersion]:
    versions = {}
    for item in _list(entries):
        if isinstance(item, dict) and isinstance(item.get("path"), str):
            path = name(folder, str(item["path"]))
            if path is not None:
                versions[path] = read_version(item)
    return versions


def _lock_params(entries: Value, folder: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    if isinstance(entries, dict):
        for path, values in entries.items():
            inside = join_path(folder, path) or path
            if isinstance(values, dict):
                flat = flatten_params(values, path)
                texts.update({f"{inside}:{name}": text for name, text in flat.items()})
    return texts


def _lock_values(entries: Value, folder: str) -> dict[str, dict[str, Value]]:
    items = entries.items() if isinstance(entries, dict) else ()
    return {
        join_path(folder, path) or path: values
        for path, values in items
        if isinstance(values, dict)
    }


def _add_pointer(
    document: dict[str, Value],
    path: str,
    pipeline: Pipeline,
    read: Read,
) -> None:
    """Take what a .dvc file points at; of a stage of DVC 0 also its metrics and parameters."""
    del read
    folder = posixpath.join(posixpath.dirname(path), str(document.get("wdir") or "."))
    deps = _list(document.get("deps"))
    imported = any(isinstance(item, dict) and "repo" in item for item in deps)
    _record_outputs(document.get("outs"), folder, path, pipeline, imported=imported)
    for entry, version in parse_pointer(document):
        tracked = join_path(folder, entry)
        if tracked is not None:
            pipeline.pointers[tracked] = version
            if imported:
                pipeline.imports[tracked] = parse_import(document)
    for item in _list(document.get("outs")):
        if isinstance(item, dict) and item.get("metric"):
            _put_metric(pipeline, path, folder, str(item.get("path")))
    for item in deps:
        if isinstance(item, dict) and "params" in item:
            _put(pipeline.params, folder, str(item.get("path")))


def _try_expand(value: Value, scope: dict[str, Value], budget: Budget) -> Value:
    try:
        return expand(value, scope, budget)
    except UnresolvedError:
        return value


def _entries(value: Value) -> Iterator[tuple[str, Value]]:
    """Yield path and options of a list such as `[a.json, {b.json: {cache: false}}]`."""
    items: list[Value] = list(value.items()) if isinstance(value, dict) else _list(value)  # type: ignore[arg-type]
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
    for item in _list(value):
        if isinstance(item, str):
            yield DEFAULT, None
        elif isinstance(item, dict):
            yield from item.items()


def _list(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _put(files: set[str], folder: str, entry: str) -> bool:
    """Add a file unless it lies outside of the project, or its name is not known."""
    path = join_path(folder, entry)
    if path is None or "${" in path:
        return False
    files.add(path)
    return True


def _places(folder: str, entries: list[str]) -> tuple[str, ...]:
    joined = [join_path(folder, entry) for entry in entries]
    return tuple(path for path in joined if path is not None)
