"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a busy machine is not a failure. In CI the same examples each time, so that a
# run can be repeated; here new ones, so that properties go on being tried.
settings.register_profile("suite", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("suite")
