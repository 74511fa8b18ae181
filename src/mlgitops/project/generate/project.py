"""Run the template: answers in, a project folder with its first commit out.

Writes files. The result is that of `cookiecutter` with the same answers, byte for byte.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.project.toolkit import read_git_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlgitops.project.generate.answers import Answer

_SOURCE = re.compile(r"(?:.*[/:])([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def check_target(directory: Path, slug: str) -> Path:
    """Return the folder that the project will have; raise when it can't be made there."""
    project = directory.absolute() / slug
    if directory.exists() and not directory.is_dir():
        raise MlgitopsError("this is not a folder", where=str(directory))
    if project.exists() or project.is_symlink():
        raise MlgitopsError(
            "there is something of this name already",
            where=str(project),
            hint="choose another --slug or --directory; nothing was written",
        )
    return project


def generate_project(
    template: Path, answers: Mapping[str, Answer], *, directory: Path, dataset: Path | None
) -> Path:
    """Render the template into a new folder below ``directory`` and return that folder.

    ``dataset`` is a data-set folder that takes the place of the bundled one. What the
    template's hooks print goes to standard error. On failure nothing is left behind.
    """
    from cookiecutter.exceptions import CookiecutterException
    from cookiecutter.main import cookiecutter

    project = check_target(directory, str(answers["project_slug"]))
    is_parquet = dataset is not None and (dataset / "data.parquet").exists()
    extra = {
        **answers,
        "_dataset": str(dataset.absolute()) if dataset else "",
        "_data_format": "parquet" if is_parquet else "csv",
    }
    logging.getLogger("cookiecutter").setLevel(logging.CRITICAL)
    try:
        with _stdout_to_stderr():
            cookiecutter(
                str(template), no_input=True, extra_context=extra, output_dir=str(directory)
            )
    except (CookiecutterException, OSError) as error:
        shutil.rmtree(project, ignore_errors=True)
        raise MlgitopsError(
            f"the project was not generated: {error}", where=str(project)
        ) from error
    except BaseException:
        shutil.rmtree(project, ignore_errors=True)
        raise
    return project


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Let the hooks, which are processes of their own, talk to the person beside the result.

    What they print is kept until they are done, so that a pipe that nobody reads any more
    (`mlgitops new 2>&1 | head`) ends none of them.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as printed:
        try:
            os.dup2(printed.fileno(), 1)
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
            printed.seek(0)
            with suppress(BrokenPipeError):
                os.write(2, printed.read())


def find_toolkit_source(template: Path) -> dict[str, Answer]:
    """Return address and commit that pip installed this package from, if it was git.

    Nothing for a checkout: there the template's own hook looks, as it does for cookiecutter.
    """
    source = None if (template / ".git").exists() else read_git_source()
    match = _SOURCE.fullmatch(source[0]) if source else None
    if not source or not match:
        return {}
    return {"toolkit": match[1], "toolkit_ref": source[1]}
