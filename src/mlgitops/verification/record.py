"""What git holds of the commits that a report speaks of: the facts to hold it against.

Reads git, and fetches a commit from origin where the clone lacks it. Nothing of the pull
request is checked out or run, and DVC is not asked for anything.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mlgitops.comparison.cost.changes import measure_cost
from mlgitops.comparison.diff import diff_data, diff_params
from mlgitops.comparison.looks import count_looks, hash_content
from mlgitops.comparison.promotion.resolve import Target, find_targets, list_edited
from mlgitops.comparison.protected import MAX_PROTECTED, find_protected, find_traces
from mlgitops.comparison.reference.resolve import find_reference
from mlgitops.comparison.sampling import find_sampling
from mlgitops.comparison.sides import (
    PROMOTED,
    REFERENCE,
    SERVED,
    SideFiles,
    read_recorded,
)
from mlgitops.comparison.stale import Staleness
from mlgitops.comparison.staleness import find_stale
from mlgitops.comparison.trend import read_trend
from mlgitops.dvc.metrics import MetricSet  # noqa: TC001 - msgspec reads it while running
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.errors import MlgitopsError, show_bytes
from mlgitops.git.program import find_revision, run_git
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import DataChange, Looks, ParamChange, Sampling, Trend
from mlgitops.model.wire import show_names
from mlgitops.storage.handover.commit import authorize
from mlgitops.storage.handover.results import list_foreign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlgitops.model import Policy, Report, WantedModel


_PARAMS = "params.yaml"
#: Where tasks run, in params.yaml: no stage watches it, since it changes no result.
CLUSTER = "compute."
#: The one cost of head that its lock says.
MODEL_SIZE = "cost.model_size_mb"


class SideRecord(Struct, frozen=True, kw_only=True):
    """What git holds of one commit."""

    sha: str
    pipeline: Pipeline = field(default_factory=Pipeline)
    metrics: dict[str, MetricSet] = {}
    elsewhere: frozenset[str] = frozenset()  # metrics files that DVC keeps and this job has not
    stale: Staleness = Staleness()
    test_data: str | None = None  # identity of its content
    has_hidden_test_data: bool = False  # in a folder of DVC's, of which only the whole is known
    test_data_md5: str | None = None  # DVC's hash of it, where git keeps it too
    has_unread_test_data: bool = False  # what keeps it cannot be read
    has_made_test_data: bool = False  # a stage writes it, so that a run may change it
    has_predictions: bool = False
    model: str | None = None  # DVC's hash of the model's file, "md5:…"
    cost: dict[str, tuple[float, str | None]] = {}  # name → value, and kind of machine
    sampling: Sampling = Sampling()  # how its test rows were chosen


class PromotionRecord(Struct, frozen=True, kw_only=True):
    """What git holds of both models of one promotion."""

    target: Target
    base: SideRecord | None = None  # None: there is none, or it could not be read
    head: SideRecord | None = None


class Record(Struct, frozen=True, kw_only=True):
    """What git holds of all of them; None for what could not be read."""

    base: SideRecord | None = None
    head: SideRecord | None = None  # the commit that was judged, as it was pushed
    results: SideRecord | None = None  # the commit that holds the run's results, if one was named
    data: tuple[DataChange, ...] | None = None  # what DVC keeps otherwise in results than at base
    reference: SideRecord | None = None  # the commit that the policy names as reference
    reference_label: str | None = None  # how people call it: a tag, an environment, a short sha
    promotions: tuple[PromotionRecord, ...] | None = None  # None: git did not say
    trend: Trend | None = None  # the judged metric over the last merges into base
    foreign: tuple[str, ...] = ()  # files that the latter changes and no run writes
    protected: tuple[str, ...] | None = None  # changed files that decide the judgement
    omitted_protected: int = 0  # of them, beyond those that are named
    policy_changed: bool = False
    cluster: tuple[ParamChange, ...] | None = None  # what the change edits of where tasks run
    looks: Looks | None = None  # how often the test rows of results, else of head, were measured on
    problems: dict[str, str] = {}  # base, head, results, reference → why it could not be read
    missing: frozenset[str] = frozenset()  # those of them whose commit is not to be had


def read_record(
    project: Path,
    report: Report,
    policy: Policy,
    *,
    policy_path: str,
    published: str | None = None,
    release: str | None = None,
) -> Record:
    """Read what git holds of the commits in ``report``, which must be the event's.

    ``policy_path`` is from the project; ``published`` the commit with this run's results;
    ``release`` the tag that was the newest release at that time, where that is not now. What
    cannot be read is named in the record, never raised.
    """
    commits = {"base": report.base.sha, "head": report.head.sha, "results": published}
    wanted = {name: sha for name, sha in commits.items() if sha}
    beside = list(report.reference.metrics if report.reference else ())
    beside += [change for promotion in report.promotions for change in promotion.metrics]
    paths = {change.path for change in (*report.metrics, *beside)}
    missing = set(wanted)  # all of them, where there is no repository
    try:
        with Repository(project) as repository:
            folder = Folder(repository, project.resolve())
            reader = _Reader(folder, policy, paths)
            missing = reader.missing
            for name, sha in wanted.items():
                reader.read(name, sha)
            reader.read_reference(report.key, release)
            reader.read_promotions()
            return reader.collect(policy_path)
    except MlgitopsError as error:
        return Record(problems=dict.fromkeys(wanted, _say(error)), missing=frozenset(missing))


class _Reader:
    """Reads one commit after the other, so that none keeps the others from being read."""

    def __init__(self, folder: Folder, policy: Policy, paths: Iterable[str]) -> None:
        self.sides: dict[str, SideFiles] = {}
        self.records: dict[str, SideRecord] = {}
        self.problems: dict[str, str] = {}
        self.fetched: dict[str, str] = {}  # base, head, results → sha, whether or not it was read
        self.missing: set[str] = set()
        self.reference_label: str | None = None
        self.promotions: tuple[PromotionRecord, ...] | None = None
        self._folder, self._policy, self._paths = folder, policy, paths

    def read(self, name: str, sha: str) -> None:
        """Read the commit that is called ``name``: base, head or results."""
        try:
            fetch_commit(self._folder.place, sha)
        except MlgitopsError as error:
            self.problems[name] = _say(error)
            self.missing.add(name)
            return
        self.fetched[name] = sha
        # Lenient as with base: what is malformed at head was an error where it was compared.
        label = {"head": "the head's commit", "reference": REFERENCE}.get(name, name)
        side = SideFiles(name=label, sha=sha, folder=self._folder)
        base = self.sides.get("base")
        try:
            read_recorded(side, self._paths)
            self.records[name] = _summarise(side, base, self._policy)
            if name != "reference":  # it is no part of the change
                self.sides[name] = side
        except MlgitopsError as error:
            self.problems[name] = _say(error)

    def read_reference(self, key: str, release: str | None) -> None:
        """Read the commit that the policy names as reference for project ``key``, if it does.

        ``release``: the tag to take for the newest release.
        """
        base, name = self.sides.get("base"), self._policy.reference
        if base is None or name is None:
            return
        try:
            target = find_reference(
                self._folder, name, base=base.sha or "", key=key, release=release
            )
        except MlgitopsError as error:
            self.problems["reference"] = _say(error)
            return
        self.reference_label = target.label
        self.read("reference", target.sha)

    def read_promotions(self) -> None:
        """Read both models of each environment for which head wants another one than base.

        Also where head is malformed in other files, which must not hide a promotion.
        """
        base, head = self.fetched.get("base"), self.fetched.get("head")
        if base is None or head is None:
            return
        folder, model = self._folder, self._policy.files.model
        changed = list_edited(folder.repository, base, head, None)
        targets = find_targets(folder, changed, base=base, head=head, model=model)
        self.promotions = tuple(
            PromotionRecord(
                target=target,
                base=self._read_model(SERVED, target.base),
                head=self._read_model(PROMOTED, target.head),
            )
            for target in targets
        )

    def _read_model(self, name: str, model: WantedModel | None) -> SideRecord | None:
        """Read the commit that has a model, which stands on the history of base."""
        if model is None:
            return None
        side = SideFiles(name=name, sha=model.sha, folder=self._folder)
        try:
            read_recorded(side, self._paths)
            return _summarise(side, None, self._policy)
        except MlgitopsError:
            return None  # whoever is judged by it is told

    def collect(self, policy_path: str) -> Record:
        """Return all that was read, with the files that decide how the change is judged."""
        base, head = self.sides.get("base"), self.sides.get("head")
        protected: tuple[str, ...] | None = None
        cluster: tuple[ParamChange, ...] | None = None
        listed: list[str] = []
        changed: list[str] = []
        if base is not None and head is not None:
            changed = _list_changed(self._folder.repository, base.sha or "", head.sha or "")
            listed = find_protected(changed, base, head, self._policy, policy_path)
            protected = tuple(listed[:MAX_PROTECTED])
            is_edited = f"{self._folder.prefix}{_PARAMS}" in changed
            cluster = _list_cluster(base, head) if is_edited else ()
        foreign = self._find_foreign()
        traces = find_traces(self.sides.values(), {policy_path})
        record = Record(
            **self.records,
            reference_label=self.reference_label,
            promotions=self.promotions,
            data=self._list_data(),
            trend=read_trend(self._policy, base) if base is not None else None,
            foreign=foreign,
            protected=protected,
            cluster=cluster,
            omitted_protected=max(0, len(listed) - MAX_PROTECTED),
            policy_changed=not traces.isdisjoint(changed),
            looks=self._count_looks(),
            problems=self.problems,
            missing=frozenset(self.missing),
        )
        sides = self.sides.values()
        names = (path for side in sides for path in side.folder.list_files(side.sha))
        odd = any(path != show_bytes(path) for path in names)
        return show_names(record) if odd else record  # named as the report names them

    def _list_data(self) -> tuple[DataChange, ...] | None:
        base, results = self.sides.get("base"), self.sides.get("results")
        if base is None or results is None:
            return None
        tracked = {path for side in (base, results) for path in side.folder.list_files(side.sha)}
        return diff_data(base.pipeline, results.pipeline, tracked)

    def _count_looks(self) -> Looks | None:
        base, head = self.sides.get("base"), self.sides.get("results") or self.sides.get("head")
        if base is None or head is None:
            return None
        return count_looks(self._policy.files.test_data, base, head)

    def _find_foreign(self) -> tuple[str, ...]:
        """List what the results bring beside results; they must stand on the head's commit."""
        head, results = self.sides.get("head"), self.records.get("results")
        if results is None or (head is not None and results.sha == head.sha):
            return ()
        problem = "the commit that they are of cannot be read"
        if head is not None:
            try:
                return tuple(_list_foreign(self._folder.place, head.sha or "", results.sha))
            except MlgitopsError as error:
                problem = _say(error)
        self.problems["results"] = problem
        del self.records["results"]
        return ()


def fetch_commit(project: Path, sha: str) -> None:
    """Fetch a commit that the clone lacks; GitHub gives any that a pull request shows."""
    if find_revision(project, sha):
        return
    authorize(os.environ)
    try:
        run_git(project, "fetch", "--quiet", "--no-tags", "origin", sha)
    except MlgitopsError as error:
        raise MlgitopsError(f"the commit {sha[:12]} is not in this clone") from error


def _list_changed(repository: Repository, base: str, head: str) -> list[str]:
    """List what a pull request changes; against base itself where the history is cut."""
    try:
        parted = repository.merge_base(base, head)
    except MlgitopsError:
        parted = base
    return repository.changed_files(parted, head)


def _list_foreign(project: Path, head: str, results: str) -> list[str]:
    try:
        run_git(project, "merge-base", "--is-ancestor", head, results)
    except MlgitopsError as error:
        raise MlgitopsError(f"{results[:12]} is not on top of {head[:12]}") from error
    return list_foreign(project, head, results)


def _summarise(side: SideFiles, base: SideFiles | None, policy: Policy) -> SideRecord:
    path, predictions = policy.files.test_data, policy.files.predictions
    identity = side.find_hash(path) if path else None
    is_hidden = bool(path) and side.find_manifest(path or "") is not None
    outs = {out for stage in side.pipeline.stages.values() for out in stage.outs}
    return SideRecord(
        sha=side.sha or "",
        pipeline=side.pipeline,
        metrics=dict(side.metrics),
        elsewhere=frozenset(path for path in side.metrics if _is_elsewhere(side, path)),
        stale=find_stale(side, base, doubted=False),  # the storage is not asked here
        test_data=identity if identity and ":" in identity else None,
        has_hidden_test_data=is_hidden,
        test_data_md5=hash_content(side, path) if path else None,
        has_unread_test_data=bool(path) and side.find_broken(path or "") is not None,
        has_made_test_data=any(path == out or (path or "").startswith(f"{out}/") for out in outs),
        has_predictions=bool(predictions) and _has_file(side, predictions or ""),
        model=_find_model(side, policy.files.model),
        cost=measure_cost(side, policy),
        sampling=find_sampling(side.params, policy),
    )


def _find_model(side: SideFiles, path: str | None) -> str | None:
    """Return DVC's hash of the model's file; None without one, or behind a link that leads out."""
    try:
        return hash_content(side, path) if path else None
    except MlgitopsError:
        return None


def _is_elsewhere(side: SideFiles, path: str) -> bool:
    """Tell whether DVC keeps a metrics file that could not be read here."""
    values = side.metrics[path]
    if values.values or values.unusable:
        return False
    try:
        return side.read(path) is None and side.find_version(path) is not None
    except MlgitopsError:
        return False  # a link that leads out: nothing is read there, here or where it was compared


def _has_file(side: SideFiles, path: str) -> bool:
    """Tell whether a side has ``path``, or may have it where that cannot be read."""
    if side.find_version(path) is not None or side.read(path) is not None:
        return True
    return side.find_broken(path) is not None


def _say(error: MlgitopsError) -> str:
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.what}".splitlines()[0].rstrip(".")[:300]


def _list_cluster(base: SideFiles, head: SideFiles) -> tuple[ParamChange, ...]:
    """List what head says otherwise than base of where tasks run."""
    changes = diff_params(base.params, head.params)
    return tuple(
        change for change in changes if change.path == _PARAMS and change.name.startswith(CLUSTER)
    )
