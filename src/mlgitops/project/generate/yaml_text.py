"""Values as YAML text, written by a YAML library: no cell and no name can be anything else.

Pure.
"""

from __future__ import annotations

from typing import Any

import yaml


def flow(value: Any) -> str:  # noqa: ANN401 - any YAML value
    """Return a value on one line, as it may stand after a key.

    >>> flow(["a", "no", "x, y"])
    "[a, 'no', 'x, y']"
    >>> flow("yes: # no")
    "'yes: # no'"
    """
    text = yaml.safe_dump(
        [value], default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.strip()[1:-1]
