"""numpy for one thread, and what it leaves for the programs that are started later."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.numeric import sort_distinct

CODE = """\
import os, sys, threading
from mlgitops.numeric import load_numpy
before = dict(os.environ)
load_numpy()
assert "numpy" in sys.modules
assert dict(os.environ) == before
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_numpy_is_loaded_for_one_thread_and_the_environment_stays() -> None:
    """What a project's own stages may use is not what our sums use."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True, env={}
    )
    assert done.stdout == "1\n"


@given(st.lists(st.integers(-5, 5) | st.floats(allow_nan=False)))
def test_distinct_values_are_those_of_numpy(values: list[float]) -> None:
    """Sorted, each once; nothing makes nothing."""
    assert np.array_equal(sort_distinct(values), np.unique(np.asarray(values)))
