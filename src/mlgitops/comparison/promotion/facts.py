"""The model that an environment shall serve beside the one that it serves, on the same rows.

Both are merged commits: what they stored is read where their test rows are the same; else the
present model is measured anew on the rows of the other, by base's code. Reads git, disk and DVC's
cache, and fetches what is missing; nothing is trained.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.diff import diff_metrics
from mlgitops.comparison.evidence import add_evidence
from mlgitops.comparison.pairing import Pairing
from mlgitops.comparison.prediction_files import PredictionFiles
from mlgitops.comparison.promotion.resolve import find_targets
from mlgitops.comparison.reference.facts import is_untouched_between, select_judged
from mlgitops.comparison.sides import PROMOTED, SERVED, SideFiles, read_beside
from mlgitops.comparison.staleness import find_stale
from mlgitops.comparison.test_data import align_hashes, compare_hashes, find_test_data, identify
from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted import find_same_bundles
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.promotion import put_promotion, select_promotion_rules
from mlgitops.model import MAX_PROMOTIONS, Promotion, Rescoring, TestData
from mlgitops.model.ledger import find_failure, parse_ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.comparison.promotion.resolve import Target
    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.model import Policy, Report, WantedModel
    from mlgitops.tables.predictions import Predictions

_MAX_TEXT = 500
_LEDGER = "deployments"  # the branch of the ledger


def compare_promotions(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    changed: Iterable[str],
) -> Report:
    """Return ``report`` with each environment for which head wants another model than base.

    ``changed`` are the files that the change edits.
    """
    targets = find_targets(
        base.folder, changed, base=base.sha or "", head=head.sha, model=policy.files.model
    )
    if len(targets) > MAX_PROMOTIONS:
        raise MlgitopsError(
            f"{len(targets)} environments want another model, and {MAX_PROMOTIONS} are compared",
            where="deploy/",
            hint="change fewer at once",
        )
    compared = [_compare(target, report, policy, base, console) for target in targets]
    notices = [notice for _, lines in compared for notice in lines]
    notices += [notice for target in targets for notice in _tell_failure(base.folder, target)]
    return msgspec.structs.replace(
        report,
        promotions=tuple(promotion for promotion, _ in compared),
        notices=(*report.notices, *(notice[:_MAX_TEXT] for notice in notices)),
    )


def _tell_failure(folder: Folder, target: Target) -> list[str]:
    """Say of a way back that the ledger has its model as given up, where this clone has that."""
    repository, environment = folder.repository, target.environment
    tip = repository.find(f"origin/{_LEDGER}") or repository.find(_LEDGER)
    file = repository.read_at(tip, f"{folder.prefix}{environment}.jsonl") if tip else None
    if file is None or target.head is None or not target.is_return:
        return []
    label = target.head.label
    try:
        entries = parse_ledger(file[1], environment, "the ledger")
        revisions = {entry.revision for entry in entries}
        same = find_same_bundles(repository, folder.prefix, target.head.sha, revisions)
        failure = find_failure(same, entries)
    except MlgitopsError as error:
        return [f"Whether {label} was given up in {environment} is not known: {error.what}."]
    if failure is None:
        return []
    why = f": {failure.reason}" if failure.reason else ""
    return [f"{label} was given up in {environment}, by the ledger, and not served since{why}."]


def _compare(
    target: Target, report: Report, policy: Policy, base: SideFiles, console: Console
) -> tuple[Promotion, tuple[str, ...]]:
    """Set both models beside each other; where that cannot be, with the reason."""
    promotion = Promotion(
        environment=target.environment,
        base=target.base,
        head=target.head,
        is_return=target.is_return,
        reason=target.reason,
    )
    if target.head is None:
        return promotion, ()
    try:
        return _measure(promotion, report, policy, base, console)
    except (MlgitopsError, ImportError) as error:
        from mlgitops.comparison.measuring.run import explain_failure

        return msgspec.structs.replace(promotion, reason=explain_failure(error)), ()


def _measure(
    promotion: Promotion, report: Report, policy: Policy, base: SideFiles, console: Console
) -> tuple[Promotion, tuple[str, ...]]:
    sha = promotion.base.sha if promotion.base else None
    scene = _Scene(
        report=report,
        rules=select_promotion_rules(policy),
        base=base,
        served=SideFiles(name=SERVED, sha=sha, folder=base.folder) if sha else None,
        promoted=SideFiles(
            name=PROMOTED, sha=promotion.head.sha if promotion.head else None, folder=base.folder
        ),
        console=console,
    )
    read_beside(scene.promoted, base, console)
    if scene.served is None:
        return _select(_describe_first(promotion, scene), scene.rules), ()
    read_beside(scene.served, base, console)
    promotion, predictions = _set_beside(promotion, scene, scene.served)
    return _add_noise(promotion, scene, scene.served, predictions)


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The commits of one promotion, and by what they are compared."""

    report: Report
    rules: Policy
    base: SideFiles  # whose code measures
    served: SideFiles | None  # None: the environment is new
    promoted: SideFiles
    console: Console

    @property
    def path(self) -> str:
        """Return the policy's test data; "" where it names none."""
        return self.rules.files.test_data or ""


def _describe_first(promotion: Promotion, scene: _Scene) -> Promotion:
    """Return the promotion into an environment that is new: its values stand alone."""
    metrics = find_stale(scene.promoted, doubted=False).mark(
        diff_metrics({}, scene.promoted.metrics)
    )
    test_data = identify(scene.promoted, scene.path) if scene.path else None
    head = _add_test_data(promotion.head, test_data)
    return msgspec.structs.replace(promotion, head=head, metrics=metrics)


def _set_beside(
    promotion: Promotion, scene: _Scene, served: SideFiles
) -> tuple[Promotion, Predictions | None]:
    """Set the metrics beside each other, those of the present model measured anew if needed."""
    promoted, path = scene.promoted, scene.path
    if path:
        find_test_data(path, served, promoted, scene.console)
    before, after = (identify(side, path) if path else None for side in (served, promoted))
    likeness = compare_hashes(
        *align_hashes(path, (served, before), (promoted, after)),
        is_hidden=bool(path) and served.find_broken(path) is not None,
    )
    promotion = msgspec.structs.replace(
        promotion,
        base=_add_test_data(promotion.base, before),
        head=_add_test_data(promotion.head, after),
        rows=likeness,
        metrics=diff_metrics(served.metrics, promoted.metrics),
    )
    untouched = is_untouched_between(put_promotion(scene.report, promotion), served, promoted)
    promotion = msgspec.structs.replace(promotion, untouched=untouched)
    return (
        _measure_served(promotion, scene, served)
        if likeness is TestData.CHANGED
        else (promotion, None)
    )


def _measure_served(
    promotion: Promotion, scene: _Scene, served: SideFiles
) -> tuple[Promotion, Predictions | None]:
    """Measure the present model on the other's test rows, by the code of base."""
    from mlgitops.comparison.measuring.rescore import set_metrics
    from mlgitops.comparison.reference.measure import measure_reference

    start = time.perf_counter()
    measured = measure_reference(
        scene.rules.files, scene.base, served, scene.promoted, scene.console, rows=None
    )
    rescoring = Rescoring(
        paths=tuple(sorted(measured.metrics)),
        rows=None if measured.predictions is None else measured.predictions.rows,
        seconds=round(time.perf_counter() - start, 3),
    )
    metrics = set_metrics(served.metrics, measured.metrics, scene.promoted.metrics)
    promotion = msgspec.structs.replace(promotion, metrics=metrics, rescoring=rescoring)
    return promotion, measured.predictions


def _add_noise(
    promotion: Promotion, scene: _Scene, served: SideFiles, predictions: Predictions | None
) -> tuple[Promotion, tuple[str, ...]]:
    """Add what the predictions of both models say, and how many answers are others."""
    stale = find_stale(scene.promoted, doubted=False)
    absences = Absences(promotion.metrics, served.pipeline, served.metrics)
    metrics = stale.mark(absences.mark(promotion.metrics))
    promotion = msgspec.structs.replace(promotion, metrics=metrics)
    files = PredictionFiles(
        *(scene.rules.files.predictions, served, scene.promoted, scene.console),
        stale=stale,
        rescored=predictions,
    )
    inside = add_evidence(put_promotion(scene.report, promotion), scene.rules, files)
    rows, changed = _count_answers(files, inside)
    promotion = msgspec.structs.replace(
        promotion, metrics=inside.metrics, answers=rows, changed_answers=changed
    )
    notices = [f"{promotion.environment}: {notice}" for notice in inside.notices]
    return _select(promotion, scene.rules), tuple(notices)


def _count_answers(files: PredictionFiles, inside: Report) -> tuple[int | None, int | None]:
    """Count the test rows that both models answered, and those answered differently."""
    is_read = any(change.evidence is not None for change in inside.metrics)
    if not is_read:  # the same model, or no predictions: nothing is read for this alone
        return None, None
    from mlgitops.statistics.flips import count_changed

    try:
        pair = Pairing(files).pair
    except MlgitopsError:
        return None, None  # the evidence says why
    changed = count_changed(pair)
    return (None, None) if changed is None else (pair.rows, changed)


def _add_test_data(model: WantedModel | None, test_data: str | None) -> WantedModel | None:
    return None if model is None else msgspec.structs.replace(model, test_data=test_data)


def _select(promotion: Promotion, rules: Policy) -> Promotion:
    """Keep the metrics that are judged; of one that moved, both of its files."""
    metrics = select_judged(promotion.metrics, rules)
    return msgspec.structs.replace(promotion, metrics=metrics)
