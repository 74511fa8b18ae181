"""Bring the model of an environment into service, checked, or keep the old one.

What is wanted stands in git (`wanted`); a release is that model with its code, verified
(`release`); a server runs it beside the present one (`server`, `protocol`); one file says
which server answers the public port (`state`, `router`); `local` is the order of the steps.
"""

from mlgitops.delivery.local import Outcome, deploy_environment, read_status, stop_environment
from mlgitops.delivery.protocol import CheckFailedError

__all__ = [
    "CheckFailedError",
    "Outcome",
    "deploy_environment",
    "read_status",
    "stop_environment",
]
