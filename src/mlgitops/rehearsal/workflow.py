"""A workflow file to what a rehearsal must know of it: jobs, runner labels, actions used.

Pure parsing. act is lenient where a rehearsal must not be: it skips a job whose label it
does not know and stays green, so all of that is settled here, before the run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from mlgitops.errors import MistakesError, MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


#: A variable of the repository, or a label where it has none: a rehearsal sets no variable.
_DEFAULTED = re.compile(r"\$\{\{ (?:\([^()]*\) && |[^()|]* && )?vars\.\w+ \|\| '([\w.-]+)' \}\}")

_HEAD_REPOSITORY = "github.event.pull_request.head.repo."


class Use(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One `uses:` of a step: an action, pinned, with the inputs it is given."""

    repository: str  # "actions/checkout"
    path: str  # below the repository, "" at its top
    ref: str  # the text after "@"
    inputs: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """Return the action without its pin."""
        return f"{self.repository}/{self.path}".rstrip("/")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step as the file writes it."""

    job: str
    id: str  # its own, else its position: what act reports
    use: Use | None
    inputs: Mapping[str, Any]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job as the file writes it."""

    name: str  # as GitHub shows it
    steps: tuple[Step, ...]
    needs: tuple[str, ...]
    condition: str | None  # its `if:`
    labels: tuple[str, ...]


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    jobs: Mapping[str, Job]
    name: str

    @property
    def labels(self) -> list[str]:
        """Return every runner label, sorted, each once."""
        return sorted({label for job in self.jobs.values() for label in job.labels})

    @property
    def uses(self) -> list[Use]:
        """Return every action used, sorted, each once."""
        return sorted({step.use for step in self._steps() if step.use is not None})

    def find_steps(self, path: str) -> list[Step]:
        """Return the steps that use the action at ``path`` of any repository, in order."""
        return [step for step in self._steps() if step.use is not None and step.use.path == path]

    def find_missing(self, results: Mapping[str, str], *, fork: bool = False) -> list[str]:
        """Return the jobs that should have run and have no result (job → result).

        A job may be missing when its own condition can be false, or when one that it needs
        did not succeed; `always()` and `!cancelled()` hold in a rehearsal. For a ``fork`` a
        condition that asks for the head's repository can be false.
        """
        return [
            name
            for name in self.jobs
            if name not in results and self._must_run(name, results, fork=fork)
        ]

    def _steps(self) -> list[Step]:
        return [step for job in self.jobs.values() for step in job.steps]

    def _must_run(self, name: str, results: Mapping[str, str], *, fork: bool) -> bool:
        job = self.jobs[name]
        if job.condition is not None:
            if fork and _HEAD_REPOSITORY in job.condition:
                return False
            return any(word in job.condition for word in ("always()", "cancelled()"))
        return all(results.get(other) == "success" for other in job.needs)


def parse_workflow(text: str, *, where: str) -> Workflow:
    """Read a workflow file.

    Raises :class:`MistakesError` naming everything that a rehearsal cannot run: another
    workflow called, a container, a runner label computed by an expression.
    """
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise MlgitopsError(f"not YAML: {error}", where=where) from error
    jobs = document.get("jobs") if isinstance(document, dict) else None
    if not isinstance(jobs, dict) or not jobs:
        raise MlgitopsError("the workflow has no jobs", where=where)
    mistakes: list[MlgitopsError] = []
    described = {}
    for name, job in jobs.items():
        in_job = f"{where}, job {name}"
        problem = _find_problem(job)
        if problem:
            mistakes.append(MlgitopsError(problem, where=in_job))
            continue
        needs = job.get("needs", [])
        described[str(name)] = Job(
            name=str(job.get("name") or name),
            steps=tuple(_parse_steps(str(name), job, in_job, mistakes)),
            needs=tuple(needs if isinstance(needs, list) else [needs]),
            condition=str(job["if"]) if "if" in job else None,
            labels=tuple(_labels(job)),
        )
    if mistakes:
        raise MistakesError("this workflow cannot be rehearsed:", mistakes)
    return Workflow(jobs=described, name=str(document.get("name") or where))


def parse_use(text: str, inputs: Mapping[str, Any], *, where: str) -> Use | None:
    """Read the value of `uses:`; None for an action of the repository itself (`./...`).

    >>> parse_use("acme/kit/actions/train@v1", {}, where="x").action
    'acme/kit/actions/train'
    """
    if text.startswith("./"):
        return None
    action, at, ref = text.partition("@")
    parts = action.split("/")
    if not at or len(parts) < 2 or text.startswith(("docker://", "$/")):  # noqa: PLR2004
        raise MlgitopsError(f"a rehearsal cannot run `uses: {text}`", where=where)
    return Use(
        repository="/".join(parts[:2]),
        path="/".join(parts[2:]),
        ref=ref,
        inputs=tuple(sorted(str(name) for name in inputs)),
    )


def find_followed(text: str) -> list[str]:
    """Return the names of the workflows whose end starts this one; none of an odd file.

    >>> find_followed("on: {workflow_run: {workflows: [Pull request]}}")
    ['Pull request']
    """
    try:
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return []
    for name in (True, "workflow_run", "workflows"):  # YAML 1.1 reads `on` as true
        value = value.get(name) if isinstance(value, dict) else None
    return [str(name) for name in value] if isinstance(value, list) else []


def _parse_steps(
    name: str, job: dict[str, Any], where: str, mistakes: list[MlgitopsError]
) -> Iterator[Step]:
    for position, step in enumerate(job.get("steps") or ()):
        inputs = step.get("with") or {}
        use = None
        if "uses" in step:
            try:
                use = parse_use(str(step["uses"]), inputs, where=where)
            except MlgitopsError as error:
                mistakes.append(error)
        yield Step(job=name, id=str(step.get("id", position)), use=use, inputs=inputs)


def _find_problem(job: object) -> str | None:
    if not isinstance(job, dict):
        return "not a job"
    if "uses" in job:
        return "it calls another workflow; a rehearsal runs plain jobs"
    if "container" in job or "services" in job:
        return "it wants a container; a rehearsal runs on this machine"
    if any("${{" in label for label in _labels(job)):
        return "its runner is chosen by an expression; name the label"
    return None


def _labels(job: dict[str, Any]) -> list[str]:
    wanted = job.get("runs-on", [])
    if isinstance(wanted, dict):
        wanted = wanted.get("labels", [])
    labels = [str(label) for label in (wanted if isinstance(wanted, list) else [wanted])]
    defaults = [_DEFAULTED.fullmatch(label) for label in labels]
    return [
        default[1] if default else label for label, default in zip(labels, defaults, strict=True)
    ]
