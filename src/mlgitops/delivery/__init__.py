"""Bring the model of an environment into service, checked, or keep the old one.

What is wanted stands in git (`desired`); a bundle is that model with its code, verified (`bundle`).
The `loop` decides what to do next and does it until nothing is left, on one `target`: this host
(`local`), or a cluster (`kubernetes`). What came into service stands in the `ledger`, which the
`audit` and the `history` read. `releases` are what may be wanted, `proposals` how it is asked for.
"""

from mlgitops.delivery.local import LocalTarget
from mlgitops.delivery.protocol import CheckFailedError
from mlgitops.delivery.shadow import Shadow
from mlgitops.delivery.target import Deployed, Outcome, Status, Target

__all__ = ["CheckFailedError", "Deployed", "LocalTarget", "Outcome", "Shadow", "Status", "Target"]
