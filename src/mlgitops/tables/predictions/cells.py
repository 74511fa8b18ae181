"""Texts that only look like numbers: `007`, `-01`, `+7`, which numpy reads as 7, -1 and 7.

The rule stands in docs/reference/predictions.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]

_BLOCK = 2**18  # bytes that are looked at together: they stay in the processor's cache
_OVERLAP = 3  # characters that identify such a number: separator, sign, zero, digit
_SEPARATORS = b',\n\r" '
_PADDED = re.compile(rb"\s*([-+]?0[0-9]|\+[0-9]+\s*$)")
_PLUS = re.compile(rb"[,\n\r\" ]\+[0-9]")


def is_padded(text: bytes) -> bool:
    """Tell whether zeros stand before a number's first digit, or a plus before a whole number.

    >>> is_padded(b"007"), is_padded(b"-01"), is_padded(b"0.5"), is_padded(b"0")
    (True, True, False, False)
    """
    return _PADDED.match(text) is not None


def has_odd_numbers(stream: BinaryIO) -> bool:
    """Tell whether some cell of a CSV file may be a number with zeros or a plus before it."""
    stream.seek(0)
    rest = b""
    try:
        while block := stream.read(_BLOCK):
            data = rest + block
            if _has_padded(data) or (b"+" in data and _PLUS.search(data)):
                return True
            rest = data[-_OVERLAP:]
    finally:
        stream.seek(0)
    return False


def _has_padded(text: bytes) -> bool:
    """Look for a zero before a digit, after a separator and perhaps a sign."""
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    last = data[2:]
    pairs = (data[:-2] < ord(".")) & (data[1:-1] == ord("0"))  # separators and signs are below
    pairs &= last >= ord("0")
    pairs &= last <= ord("9")
    zeros = np.flatnonzero(pairs) + 1
    begins = np.zeros(256, dtype=bool)
    begins[list(_SEPARATORS)] = True
    signed = zeros[(data[zeros - 1] == ord("-")) & (zeros > 1)]
    return bool(begins[data[zeros - 1]].any() or begins[data[signed - 2]].any())


def restore_numbers(texts: Column, kind: str) -> Column:
    """Return a column read as text as numbers of ``kind``, unless a cell only looks like one."""
    import numpy as np

    odd = any(map(is_padded, np.unique(texts).tolist()))
    return texts if odd else texts.astype(kind)
