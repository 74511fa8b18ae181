"""What the files of a project say of its watching: settings, plan, log, labels. Reads disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.judgement.policy import parse_policy
from mlgitops.model.monitoring import EventSource, FolderSource, MonitorSettings, Redaction
from mlgitops.monitoring.plan import make_plan
from mlgitops.monitoring.settings import MONITOR, parse_settings
from mlgitops.monitoring.sources import list_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlgitops.model import Policy
    from mlgitops.model.monitoring import LogSource
    from mlgitops.monitoring.plan import Plan
    from mlgitops.monitoring.sources import Part


#: File in a log's folder; without it, nobody can tell which id a hashed one was.
SALT = "salt"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is watched of a project, and how."""

    settings: MonitorSettings
    policy: Policy
    plan: Plan


def read_watched(project: Path) -> Watched:
    """Read monitor.yaml, where there is one, and what the plan is made of.

    Raises :class:`MlgitopsError` naming the file that is missing or wrong.
    """
    path = project / MONITOR
    settings = parse_settings(path.read_bytes()) if path.is_file() else MonitorSettings()
    policy = parse_policy(_read(project, "policy.yaml"), where="policy.yaml")
    params, contract = (_read(project, name) for name in ("params.yaml", "contract.yaml"))
    plan = make_plan(policy, params, contract, settings)
    return Watched(settings=settings, policy=policy, plan=plan)


def _read(project: Path, name: str) -> bytes:
    try:
        return (project / name).read_bytes()
    except FileNotFoundError as error:
        hint = "run it in the project's folder, or name that with --directory"
        raise MlgitopsError(
            "there is no such file", where=str(project / name), hint=hint
        ) from error


def list_parts(
    source: LogSource | None, project: Path, folder: Path, since: str, until: str
) -> Sequence[Part]:
    """List the parts of a log from the day ``since`` to before ``until``.

    ``folder`` is that of the local target, for when no source is set.
    """
    if source is None:
        return list_folder(folder, since, until)
    if isinstance(source, FolderSource):
        return list_folder(project / source.folder, since, until)
    from mlgitops.monitoring.adapters import adapt

    return adapt(source, project, since, until)


def read_salt(settings: MonitorSettings, project: Path, folder: Path) -> bytes | None:
    """Return the salt by which a log's ids are hashed, None where they are as they were sent.

    ``folder`` is the one of the local target. Raises :class:`MlgitopsError` where no id of a label
    can be matched: they are dropped, or the salt is not here.
    """
    source, rule = settings.source, settings.requests.ids
    if rule is Redaction.KEEP or isinstance(source, EventSource):  # KServe's logger hashes none
        return None
    if rule is Redaction.DROP:
        hint = "write `ids: hash`: labels to come then fit the rows to come"
        raise MlgitopsError("it drops the ids, so no label fits a row", where=MONITOR, hint=hint)
    path = (project / source.folder if isinstance(source, FolderSource) else folder) / SALT
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "copy it from the folder of the server's log, and let nobody else read it"
        problem = "the ids of the log are hashed with this salt, which is not here"
        raise MlgitopsError(problem, where=str(path), hint=hint) from error
