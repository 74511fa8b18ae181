"""Tests of telling pickles by content. The pickles here hold plain values only."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
import zlib
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.project.pickles import find_pickle

VALUE = OrderedDict(a=[1, 2.5, "x"], b=None)


def _zip(name: str, data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, data)
    return target.getvalue()


def _array(values: object, *, objects: bool) -> bytes:
    target = io.BytesIO()
    np.save(target, np.array(values, dtype=object if objects else float), allow_pickle=objects)
    return target.getvalue()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_found(protocol: int) -> None:
    """Old and new pickles are found, plain and compressed."""
    data = pickle.dumps(VALUE, protocol=protocol)
    assert find_pickle(data) == "a pickle"
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        assert str(find_pickle(pack(data))).startswith("a pickle compressed with")
    alone = lzma.compress(data, format=lzma.FORMAT_ALONE)
    assert find_pickle(alone) == "a pickle compressed with lzma"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_array([{}, None], objects=True), "a numpy array of objects"),
        (_zip("archive/data.pkl", b"x"), "an archive with a pickle inside"),
        (_zip("archive/data.pkl", b"x")[:-20], "an archive with a pickle inside"),
    ],
)
def test_what_hides_a_pickle_is_found(data: bytes, kind: str) -> None:
    """Object arrays and archives with a pickle inside are of the family."""
    assert find_pickle(data) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"id,target\n1,2\n",
        b"# A title\n\nSome text.",
        b"import os\n",
        b"(a)\n.",
        b"I am text.\n",
        b"N.",
        b"\x80",
        b"\x80\x04",
        b'{"a": 1}',
        b"stages:\n  a: 1\n",
        _array([1.0, 2.0], objects=False),
        _zip("schema.json", b"{}"),
        gzip.compress(b"id,target\n1,2\n", mtime=0),
        b"x\x9c broken",
        b"BZh broken",
        b"PAR1" + bytes(100),
    ],
)
def test_other_files_are_not_taken_for_pickles(data: bytes) -> None:
    """Text, tables, number arrays and skops archives are left alone."""
    assert find_pickle(data) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_looked_at_without_an_error(data: bytes) -> None:
    """No content makes the look fail."""
    find_pickle(data)
