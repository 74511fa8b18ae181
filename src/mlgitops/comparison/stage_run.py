"""One stage against its run: what dvc.yaml declares, as it stands now, and as dvc.lock has it.

In: a side, read, and one of its stages. Out: what differs, as the words of a reason. Reads git
or disk, only files that git can see: data is known by its hash in dvc.lock and .dvc files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.dvc.hashes import hash_bytes
from mlgitops.dvc.params import diff_run, parse_values
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from mlgitops.comparison.contents import Contents
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.dvc.pipeline import Stage

_MOST = 3
_MAX_REASON = 250
#: Outputs outside git that are read on disk hold at most so many bytes: metrics and predictions,
#: not models.
_LINE_ENDS = " (the same text with other line ends: `* text=auto eol=lf` in .gitattributes)"
_MAX_OUTPUT = 64 * 2**20


class RunDifference(Struct, kw_only=True):
    """How a stage differs from its run, each as it is said."""

    other: list[str] = []  # what the run had otherwise
    new: list[str] = []  # what the run did not have
    doubtful: list[str] = []  # what may be otherwise, and cannot be looked at here

    def differs(self, *, doubted: bool) -> bool:
        """Tell whether there is anything to say; ``doubted``: a doubt is something."""
        return bool(self.other or self.new or (doubted and self.doubtful))

    def write(self) -> str:
        """Say it, after the name of the stage."""
        said = [
            f"{verb} {_list_some(names)}"
            for verb, names in (
                ("was last run with another", self.other),
                ("was last run without", self.new),
                ("may have been run with another", self.doubtful),
            )
            if names
        ]
        return " and ".join(said)


def _list_some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])[:_MAX_REASON]}{more}"


def compare_run(
    side: SideFiles, base: SideFiles | None, stage: Stage, contents: Contents, *, frozen: bool
) -> RunDifference:
    """Hold a stage against its entry in dvc.lock; of a ``frozen`` one only command and outputs."""
    run = _Run(side, base, stage, contents)
    if not stage.templated and stage.command != run.lock.command:
        run.found.other.append("command")
    if not frozen:
        for path in stage.deps:
            run.compare_dependency(path)
        for path, names in stage.params.items():
            run.compare_params(path, names)
    for path in stage.outs:
        run.compare_output(path)
    return run.found


class _Run:
    """One stage, its entry in dvc.lock, what stands around it, and what was found."""

    def __init__(
        self, side: SideFiles, base: SideFiles | None, stage: Stage, contents: Contents
    ) -> None:
        self.side, self.base, self.stage, self.contents = side, base, stage, contents
        self.lock = side.pipeline.locks[stage.name]
        self.found = RunDifference()

    def compare_dependency(self, path: str) -> None:
        expected = self.lock.deps.get(path)
        if expected is None:
            self.found.new.append(f"`{path}`")
            return
        now = self.contents.find_hash(path, exact=self.lock.exact)
        if now is not None:
            if now != expected:
                self.found.other.append(f"`{path}`{self._explain(path, expected)}")
        elif not self.contents.stands(path) and self._is_gone(path):
            self.found.other.append(f"`{path}`, which is not there any more")
        elif self.contents.stands(path) or self._is_in_another_directory(path):
            self.found.doubtful.append(f"`{path}`, whose data is not here (`dvc pull`)")

    def compare_params(self, path: str, names: tuple[str, ...]) -> None:
        try:
            data = self.side.read_anywhere(path)
            if data is None:
                self.found.other.append(f"`{path}`, which is not there")
                return
            run = self.lock.values.get(path, {})
            other, new = diff_run(names, parse_values(data, path), run)
        except MlgitopsError:
            self.found.other.append(f"`{path}`, which cannot be read")
            return
        self.found.other += [f"parameter `{name}`" for name in other]
        self.found.new += [f"parameter `{name}`" for name in new]

    def compare_output(self, path: str) -> None:
        if path not in self.lock.outs:
            self.found.new.append(f"`{path}`")
            return
        now = self.contents.find_standing(path, exact=self.lock.exact, limit=_MAX_OUTPUT)
        expected = self.lock.outs[path].hash
        if now is not None and expected.startswith("md5:") and now != expected:
            self.found.other.append(f"`{path}`{self._explain(path, expected)}")
        elif now is None and path in self.stage.kept and self._is_gone(path):
            self.found.other.append(f"`{path}`, which is not there any more")

    def _explain(self, path: str, expected: str) -> str:
        """Name the usual cause where a folder of code never is what DVC saw, or a text is not."""
        if expected.endswith(".dir") and self.contents.stands(path):
            return " (what git does not keep of it, such as `__pycache__`, belongs in .dvcignore)"
        return _LINE_ENDS if self._differs_by_line_ends(path, expected) else ""

    def _differs_by_line_ends(self, path: str, expected: str) -> bool:
        """Tell whether the run had the same text with Windows' or Unix's line ends."""
        try:
            unix = (self.side.read(path) or b"").replace(b"\r\n", b"\n")
        except MlgitopsError:
            return False
        texts = (unix, unix.replace(b"\n", b"\r\n"))
        return expected in {f"md5:{hash_bytes(text)}" for text in texts}

    def _is_gone(self, path: str) -> bool:
        """Tell whether git had ``path`` at base; it is known not to be there now."""
        if self.base is None:
            return False
        full_path = self.base.folder.locate(path)
        files = self.base.folder.repository.list_files(self.base.sha)
        return any(name == full_path or name.startswith(f"{full_path}/") for name in files)

    def _is_in_another_directory(self, path: str) -> bool:
        """Tell whether DVC keeps a directory around ``path`` that is not the one of base."""
        holder = self.contents.find_holder(path)
        if holder is None:
            return False
        before = self.base.find_version(holder) if self.base is not None else None
        return before is None or before.hash != self.contents.kept[holder].hash
