"""Which stage makes what, and which stages build on which. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.git.paths import list_parents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.dvc.pipeline import Pipeline


class Graph:
    """Which stage makes what, a folder or what is in it, and which builds on which."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.stages = pipeline.stages
        self.makers = {out: name for name, stage in self.stages.items() for out in stage.outs}
        self._inside: dict[str, list[str]] = {}
        for out, name in self.makers.items():
            for folder in list_parents(out):
                self._inside.setdefault(folder, []).append(name)

    def list_makers(self, path: str) -> list[str]:
        """List the stages that make ``path``, a folder that holds it, or something in it."""
        above = [self.makers[at] for at in (path, *list_parents(path)) if at in self.makers]
        return above + self._inside.get(path, [])

    def walk_back(self, *names: str) -> Iterator[str]:
        """Yield each stage of ``names`` and every stage that it builds on, once."""
        seen: set[str] = set()
        waiting = list(names)
        while waiting:
            stage = waiting.pop()
            if stage in seen or stage not in self.stages:
                continue
            seen.add(stage)
            yield stage
            for dep in (*self.stages[stage].deps, *self.stages[stage].params):
                waiting += self.list_makers(dep)

    def find_first(self, name: str, reasons: dict[str, str]) -> str | None:
        """Find a stage with a reason among ``name`` and those it builds on, the deepest first."""
        deepest = None
        for stage in self.walk_back(name):
            deepest = stage if stage in reasons else deepest
        return deepest
