"""How head's test rows were chosen: `split` of its params.yaml, and the policy's cluster. Pure.

Used by `compare`, and again by `report`, which reads it from git.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from mlgitops.model import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.model import Policy

_PARAMS = "params.yaml"


def find_sampling(params: Mapping[str, Mapping[str, str]], policy: Policy) -> Sampling:
    """Return what is said of the split; ``params`` is file → dotted name → value as JSON.

    What is not one of the three methods, or has a column that is no name, is not said.
    """
    values = params.get(_PARAMS, {})
    said = {
        "method": json.loads(values.get("split.method", "null")),
        "column": json.loads(values.get("split.column", "null")),
        "cluster": policy.cluster,
    }
    try:
        return msgspec.convert(said, Sampling)
    except msgspec.ValidationError:
        return Sampling(cluster=policy.cluster)
