"""Bring the model of an environment into service, checked, or keep the old one.

What is wanted stands in git (`git.wanted`); a bundle is that model with its code, verified
(`bundle`); a server runs it beside the present one (`server`, `protocol`); one file says
which server answers the public port (`state`, `router`); `local` is the order of the steps on
this host, one `target` of those that may come.
"""

from mlgitops.delivery.local import LocalTarget
from mlgitops.delivery.protocol import CheckFailedError
from mlgitops.delivery.target import Deployed, Outcome, Status, Target

__all__ = ["CheckFailedError", "Deployed", "LocalTarget", "Outcome", "Status", "Target"]
