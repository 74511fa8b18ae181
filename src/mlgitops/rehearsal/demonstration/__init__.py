"""The whole loop on this machine, told step by step: what `mlgitops demo` runs."""

from mlgitops.rehearsal.demonstration.story import Demo, tell

__all__ = ["Demo", "tell"]
