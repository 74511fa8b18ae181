"""Target `kubernetes`: each environment in the cluster of kubectl's current context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import structs

from mlgitops.delivery.desired import Request, read_requested, refuse_unmerged
from mlgitops.delivery.kubernetes.driver import KubernetesDriver, Parts
from mlgitops.delivery.kubernetes.kubectl import Kubectl
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.loop.outcomes import describe_served, refuse_failed
from mlgitops.delivery.loop.reconcile import Ending, reconcile
from mlgitops.delivery.proposals.promotion import refuse_unpublished
from mlgitops.delivery.reports import Reporter
from mlgitops.delivery.target import Outcome, Status
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.loop.observed import Desired, ServedModel


class KubernetesTarget:
    """The target `kubernetes`: :class:`~mlgitops.delivery.target.Target` says what it can do."""

    def __init__(self, project: Path, console: Console) -> None:
        self._project = project.resolve()
        self._console = console

    def deploy(
        self,
        environment: str,
        *,
        revision: str | None = None,
        force: bool = False,
        port: int | None = None,
        patient: bool = True,
    ) -> Outcome:
        """Roll out what the environment's file wants, and undo it where it fails."""
        if port is not None:
            raise MlgitopsError(
                "--port is for the target `local`",
                where=f"deploy/{environment}/model.yaml",
                hint="the Service of the environment's manifests says its port",
            )
        with Repository(self._project) as repository:
            folder = Folder(repository, self._project)
            request = Request(
                project=self._project,
                prefix=folder.prefix,
                environment=environment,
                revision=revision,
                force=force,
                target="kubernetes",
            )
            parts = self._make_parts(request, folder)
            before = parts.ledger.read(environment)
            reconciled = reconcile(KubernetesDriver(parts), self._console, patient=patient)
            entries = parts.ledger.read(environment)
        context = f"cluster of kubectl's context, environment {environment}"
        refuse_failed(reconciled, context)
        served = reconciled.served or reconciled.desired.served
        return Outcome(
            environment=environment,
            deployed=describe_served(served, since=entries[-1].at, url=context),
            previous=before[-1].sha256 if before else None,
            changed=bool(reconciled.effects),
            baking=reconciled.ending is Ending.BAKING,
            logs="`kubectl logs`",
        )

    def read_status(self, environment: str) -> Status:
        """Refuse: the cluster says that itself."""
        raise _refer(environment, "kubectl get deployments,pods")

    def stop(self, environment: str) -> bool:
        """Refuse: what the cluster should not run is git's to say."""
        raise _refer(environment, "kubectl delete --kustomize")

    def _make_parts(self, request: Request, folder: Folder) -> Parts:
        repository, console = folder.repository, self._console

        def check_available(served: ServedModel) -> None:
            if not served.forced:
                if request.is_gated:
                    refuse_unmerged(repository, served)
                refuse_unpublished(folder, served.revision, served.sha256[:12], console)

        def read_desired() -> Desired:
            """Read the desired state, by the newest commit that changed its manifests."""
            desired = read_requested(request, repository, console)[0]
            paths = [f"{request.prefix}deploy/{name}" for name in ("base", request.environment)]
            tip = repository.resolve(repository.find_default_branch() or "HEAD")
            changes = repository.list_changes(tip, *paths, most=1)
            served = structs.replace(desired.served, commit=[*changes, desired.served.commit][0])
            return desired if desired.served.forced else structs.replace(desired, served=served)

        return Parts(
            kubectl=Kubectl().pin(),
            repository=repository,
            prefix=folder.prefix,
            environment=request.environment,
            read_desired=read_desired,
            check_available=check_available,
            ledger=Ledger(repository.root, folder.prefix, console),
            reporter=Reporter(
                environment=request.environment,
                folder=folder,
                environ=os.environ,
                console=console,
            ),
            lock=self._project / ".mlgitops" / "deploy" / request.environment / "lock",
            console=console,
        )


def _refer(environment: str, command: str) -> MlgitopsError:
    return MlgitopsError(
        "this environment runs on Kubernetes, which is asked with kubectl",
        where=f"deploy/{environment}/model.yaml",
        hint=f"`{command} deploy/{environment}`",
    )
