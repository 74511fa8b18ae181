"""All checks of an audit, by name, in the order in which they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.audit.checks.desired_state import (
    check_approval,
    check_desired,
    check_request_approvers,
    check_request_signature,
)
from mlgitops.delivery.audit.checks.image import check_image, check_image_files
from mlgitops.delivery.audit.checks.model import (
    check_bundles,
    check_cache,
    check_description,
    check_imported,
    check_lock,
    check_revision,
    check_storage,
)
from mlgitops.delivery.audit.checks.release import (
    check_lineage,
    check_origin,
    check_release,
    check_signature,
)
from mlgitops.delivery.audit.checks.verdict import (
    check_approvers,
    check_given_statement,
    check_verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.delivery.audit.checks.subject import Subject

#: What is checked, by its name, in this order.
CHECKS: dict[str, Callable[[Subject], str]] = {
    "desired state: merged": check_approval,
    "desired state: approvers": check_request_approvers,
    "desired state: model.yaml": check_desired,
    "desired state: signature": check_request_signature,
    "model: merged": check_revision,
    "model: model.json": check_description,
    "model: dvc.lock": check_lock,
    "data: imported": check_imported,
    "model: cache": check_cache,
    "model: storage": check_storage,
    "model: bundles": check_bundles,
    "image: digest": check_image,
    "image: files": check_image_files,
    "release: tag": check_release,
    "release: origin": check_origin,
    "release: signature": check_signature,
    "release: lineage": check_lineage,
    "verdict": check_verdict,
    "verdict: approvers": check_approvers,
    "verdict: statement": check_given_statement,
}
