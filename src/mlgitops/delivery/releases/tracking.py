"""Releases, sent to an MLflow server for people who look there. Git stays the truth.

A release becomes one run with its metrics and their intervals, its lineage and its model, and one
version of a registered model; an environment becomes an alias of the version that git wants there.
Everything is known by the tag's name: what is there is not sent again, and a run that was cut off
is completed. Reads git and the storage; writes to the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mlgitops.delivery.bundle import hash_sha256
from mlgitops.delivery.releases.release import find_model_name, list_releases, read_tip
from mlgitops.dvc.params import parse_params
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.git.wanted import list_environments, read_wanted
from mlgitops.model.lineage import encode_message
from mlgitops.storage import restore_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

    from mlgitops.console import Console
    from mlgitops.delivery.releases.release import Release
    from mlgitops.git.repository import Folder
    from mlgitops.model.lineage import ReleasedMetric

_RELEASE, _SHA256, _LINEAGE = "mlgitops.release", "mlgitops.sha256", "mlgitops.lineage"
_FINISHED = "FINISHED"
_MODEL_FOLDER = "model"
_PARAMETERS = "params.yaml"
#: What MLflow takes in the name of a metric or parameter; anything else is written as `_`.
#: Source: mlflow.utils.validation, version 3.
_ODD = re.compile(r"[^\w. /-]", re.ASCII)
#: Aliases that MLflow keeps for itself.
_RESERVED = re.compile(r"v\d+|latest")
_MOST_PARAMETER = 6000  # characters
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}


class Exported(Struct, frozen=True, kw_only=True):
    """What the server holds now, and what this run sent."""

    server: str
    experiment: str
    versions: dict[str, str]  # tag of a release → number of the version in MLflow
    sent: tuple[str, ...]  # tags that were not there, or not whole
    aliases: dict[str, str]  # environment → version of the very release that git wants there


def export_releases(
    folder: Folder, server: str, console: Console, *, experiment: str | None = None
) -> Exported:
    """Send every release of the project's model to the MLflow server at ``server``.

    ``experiment`` is its name there (default: the model's). Raises :class:`MlgitopsError` when the
    server holds another model under the name of a release, or cannot be reached.
    """
    repository = folder.repository
    tip = read_tip(repository)
    model = find_model_name(repository, folder.prefix, tip)
    releases = list_releases(repository, model)
    try:
        tracker = _Tracker(folder, server, experiment or model, model, console)
        runs = {release.tag: tracker.send(release) for release in releases}
        versions = {
            release.tag: tracker.register(release, runs[release.tag]) for release in releases
        }
        wanted = {
            environment: find_wanted_release(folder, environment, tip, releases)
            for environment in list_environments(folder.repository, folder.prefix, tip)
        }
        aliases = tracker.set_aliases(wanted, versions)
    except _errors() as error:
        raise MlgitopsError(
            f"MLflow answered: {str(error).splitlines()[0][:300]}",
            where=server,
            hint="see whether the server is up and whether you may write to it; then run it again:"
            " what was sent is not sent twice",
        ) from error
    return Exported(
        server=server,
        experiment=experiment or model,
        versions=versions,
        sent=tuple(tracker.sent),
        aliases=aliases,
    )


class _Tracker:
    """An experiment and a registered model on a server, both made where they are missing."""

    def __init__(
        self, folder: Folder, server: str, experiment: str, model: str, console: Console
    ) -> None:
        self._folder, self._console, self._model = folder, console, model
        self._client = _open_client(server)
        with console.step(f"Read what MLflow has of {model}"):
            self._experiment = self._find_experiment(experiment)
            self._versions = self._read_versions(model)
        self.sent: list[str] = []

    def send(self, release: Release) -> str:
        """Return the id of the release's run, which is whole and made of this very release."""
        run = self._find_run(release)
        if run is not None and _is_whole(run, release):
            return str(run.info.run_id)
        with self._console.step(f"Send {release.tag}"):
            run_id = str(run.info.run_id) if run is not None else self._start_run(release)
            self._fill(run_id, release)
            self._client.set_terminated(run_id, _FINISHED, self._read_time(release))
        self.sent.append(release.tag)
        return run_id

    def register(self, release: Release, run_id: str) -> str:
        """Return the number of the release's version in MLflow, made where it is missing."""
        version = self._versions.get(release.tag)
        if version is None:
            tags = _write_tags(release)
            source = f"runs:/{run_id}/{_MODEL_FOLDER}"
            version = self._client.create_model_version(
                self._model, source, run_id, tags=tags, await_creation_for=0
            )
        elif version.tags.get(_SHA256) != release.sha256 or version.run_id != run_id:
            raise MlgitopsError(
                f"version {version.version} says that it is {release.tag}, and is another model",
                where=f"{self._model} in MLflow",
                hint="git stays the truth: delete that version there, then export again",
            )
        return str(version.version)

    def set_aliases(
        self, wanted: dict[str, Release | None], versions: dict[str, str]
    ) -> dict[str, str]:
        """Let each environment's alias name the version that git wants there, or none."""
        present = dict(self._client.get_registered_model(self._model).aliases)
        aliases = {}
        for environment, release in wanted.items():
            if _RESERVED.fullmatch(environment):
                self._console.warn(f"MLflow keeps the alias {environment} for itself: left out")
                continue
            if release is None:
                if environment in present:
                    self._client.delete_registered_model_alias(self._model, environment)
                continue
            number = versions[release.tag]
            if present.get(environment) != number:
                self._client.set_registered_model_alias(self._model, environment, number)
            aliases[environment] = release.version
        return aliases

    def _find_experiment(self, name: str) -> str:
        present = self._client.get_experiment_by_name(name)
        if present is None:
            return str(self._client.create_experiment(name))
        if present.lifecycle_stage != "active":
            raise MlgitopsError(
                f"the experiment {name} was deleted in MLflow", hint="restore it, or name another"
            )
        return str(present.experiment_id)

    def _read_versions(self, model: str) -> dict[str, ModelVersion]:
        """Return tag of a release → its version; the oldest where several say so."""
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)
        versions = _read_pages(
            lambda token: self._client.search_model_versions(f"name = '{model}'", page_token=token)
        )
        ordered = sorted(versions, key=lambda version: -int(version.version))
        return {str(version.tags.get(_RELEASE)): version for version in ordered}

    def _find_run(self, release: Release) -> Run | None:
        """Find the run of a release, the oldest one where several say so."""
        runs = self._client.search_runs(
            [self._experiment],
            f"tags.`{_RELEASE}` = '{release.tag}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        )
        if not runs:
            return None
        if runs[0].data.tags.get(_SHA256) != release.sha256:
            raise MlgitopsError(
                f"a run says that it is {release.tag}, and is of another model",
                where=f"run {runs[0].info.run_id} in MLflow",
                hint="git stays the truth: delete that run there, then export again",
            )
        return runs[0]

    def _start_run(self, release: Release) -> str:
        run = self._client.create_run(
            self._experiment,
            start_time=self._read_time(release),
            tags=_write_tags(release),
            run_name=release.tag,
        )
        return str(run.info.run_id)

    def _fill(self, run_id: str, release: Release) -> None:
        """Send everything; each part is the same when it is sent a second time."""
        from mlflow.entities import Metric, Param, RunTag

        at = self._read_time(release)
        metrics = [Metric(name, number, at, 0) for name, number in _list_metrics(release)]
        params = [Param(name, text) for name, text in self._list_params(release).items()]
        for start in range(0, max(len(metrics), len(params)), 100):  # the most of one request
            part = slice(start, start + 100)
            self._client.log_batch(run_id, metrics[part], params[part])
        self._send_files(run_id, release)
        self._client.log_batch(run_id, tags=[RunTag(_LINEAGE, _hash_lineage(release))])

    def _list_params(self, release: Release) -> dict[str, str]:
        repository = self._folder.repository
        data = repository.read(release.revision, f"{self._folder.prefix}{_PARAMETERS}")
        params = parse_params(data, _PARAMETERS) if data is not None else {}
        texts = {name: _unquote(text) for name, text in params.items()}
        return _name_all(
            (name, text) for name, text in texts.items() if 0 < len(text) <= _MOST_PARAMETER
        )

    def _send_files(self, run_id: str, release: Release) -> None:
        """Send the lineage and the model, which is read from the storage and verified."""
        lineage = release.lineage
        with (
            tempfile.TemporaryDirectory(prefix="mlgitops-") as name,
            restore_published(self._folder.place, lineage.md5, self._console) as stored,
        ):
            model, document = Path(name) / Path(lineage.path).name, Path(name) / "lineage.txt"
            shutil.copyfile(stored, model)
            if hash_sha256(model) != release.sha256:
                raise MlgitopsError(
                    f"the stored model is not the one of {release.tag}", where=lineage.md5
                )
            document.write_bytes(encode_message(lineage))
            self._client.log_artifact(run_id, str(document))
            self._client.log_artifact(run_id, str(model), _MODEL_FOLDER)

    def _read_time(self, release: Release) -> int:
        """Return when the tag was made, in milliseconds: the same whenever it is sent."""
        words = ("for-each-ref", "--format=%(creatordate:unix)", f"refs/tags/{release.tag}")
        return int(run_git(self._folder.repository.root, *words)) * 1000


def _open_client(server: str) -> MlflowClient:
    """Open a client of the library, quiet and with few retries; raises where it is missing."""
    for name, setting in _SETTINGS.items():
        os.environ.setdefault(name, setting)
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise MlgitopsError(
            "MLflow's client is not installed", hint="`pip install 'mlgitops[mlflow]'`"
        ) from error
    return MlflowClient(tracking_uri=server, registry_uri=server)


def _errors() -> tuple[type[Exception], ...]:
    """Return what MLflow's client raises, once it is imported."""
    try:
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError:
        return ()
    return (MlflowException,)


def _is_whole(run: Run, release: Release) -> bool:
    lineage = run.data.tags.get(_LINEAGE)
    return bool(run.info.status == _FINISHED and lineage == _hash_lineage(release))


def _write_tags(release: Release) -> dict[str, str]:
    lineage = release.lineage
    tags = {
        _RELEASE: release.tag,
        _SHA256: release.sha256,
        "mlflow.source.git.commit": release.revision,
        "mlgitops.signature": release.signature,
        "mlgitops.change": lineage.change.value,
        "mlgitops.verdict": lineage.verdict,
        "mlgitops.measured_by": lineage.measured_by and lineage.measured_by.value,
        "mlgitops.pull_request": lineage.pull_request and str(lineage.pull_request),
        "mlgitops.author": lineage.author,
    }
    return {name: text for name, text in tags.items() if text}


def _list_metrics(release: Release) -> Iterator[tuple[str, float]]:
    metrics = (*release.lineage.metrics, *(release.lineage.cost or ()))
    yield from _name_all(pair for metric in metrics for pair in _spread(metric)).items()


def _spread(metric: ReleasedMetric) -> Iterator[tuple[str, float]]:
    """Yield the value, and the difference to its base with the ends of its interval."""
    yield metric.name, metric.value
    if metric.delta is not None:
        yield f"{metric.name}.delta", metric.delta
    if metric.interval is not None:
        yield f"{metric.name}.delta.low", metric.interval.low
        yield f"{metric.name}.delta.high", metric.interval.high


def _name_all(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return name as MLflow takes it → value; raises where two names become one."""
    named: dict[str, Any] = {}
    for name, content in pairs:
        spelled = _ODD.sub("_", name)
        if spelled in named:
            problem = f"{name[:100]!a} and another name are both {spelled[:100]!a} in MLflow"
            raise MlgitopsError(problem)
        named[spelled] = content
    return named


def _unquote(text: str) -> str:
    """Return a JSON text as people write it: a string without its quotes."""
    content = json.loads(text)
    return content if isinstance(content, str) else text


def _hash_lineage(release: Release) -> str:
    return hashlib.sha256(encode_message(release.lineage)).hexdigest()


def find_wanted_release(
    folder: Folder, environment: str, tip: str, releases: Sequence[Release]
) -> Release | None:
    """Find the release that ``environment`` asks for at ``tip``; None where it names another model.

    Its file must name that release's model, version and commit: the version alone may be anybody's.
    """
    wanted = read_wanted(folder.repository, folder.prefix, environment, tip)
    named = (wanted.model, wanted.version, wanted.commit)
    return next((r for r in releases if (r.model, r.version, r.revision) == named), None)


def _read_pages(read: Any) -> list[Any]:  # noqa: ANN401 - MLflow's pages have no types here
    page = read(None)
    entries = list(page)
    while page.token:
        page = read(page.token)
        entries += page
    return entries
