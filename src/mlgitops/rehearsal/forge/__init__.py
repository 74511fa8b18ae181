"""A stand-in for the GitHub API on this machine: stateful, paged, and able to fail.

It knows the requests that the client makes and refuses every other. The tests hold it
against GitHub's OpenAPI description, so what passes here is at least well-formed there.
It proves nothing about permissions, limits or events on GitHub.
"""

from __future__ import annotations

from mlgitops.rehearsal.forge.application import Fault, Forge
from mlgitops.rehearsal.forge.server import Server
from mlgitops.rehearsal.forge.state import (
    Artifact,
    Comment,
    Issue,
    Job,
    Pull,
    State,
    WorkflowRun,
    load_state,
)

__all__ = [
    "Artifact",
    "Comment",
    "Fault",
    "Forge",
    "Issue",
    "Job",
    "Pull",
    "Server",
    "State",
    "WorkflowRun",
    "load_state",
]
