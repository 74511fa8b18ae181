"""Turn the rendered folder into the chosen project, and make its first commit.

cookiecutter renders this script and runs it in the project folder; cruft does the same in
temporary folders whenever it updates or compares a project. No network, no DVC, and the
standard library only: it runs on whatever Python the person has.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

#: tojson writes every quote of an answer as an escape, so no answer can leave the string.
ANSWERS = r"""{{ cookiecutter | tojson }}"""

BUNDLED = {"binary": "flights", "regression": "wages", "multiclass": "penguins"}

#: File of a data-set folder to its place in the project.
PLACES = {
    "DATA_CARD.md": "data/DATA_CARD.md",
    "contract.yaml": "contract.yaml",
    "params.yaml": "params.yaml",
    "policy.yaml": "policy.yaml",
}

#: What stands in the files until the template's own address and commit are known.
TOOLKIT, TOOLKIT_REF = "__TOOLKIT__", "__TOOLKIT_REF__"

#: Written where they can't be known; `mlgitops validate` says what to put there.
UNKNOWN_TOOLKIT, UNKNOWN_REF = "your-org/mlgitops", "0" * 40

#: Used for the first commit alone, when git does not know the person yet.
FALLBACK_IDENTITY = ("-c", "user.name=mlgitops", "-c", "user.email=mlgitops@localhost")

#: The first commit holds the template alone: no signing prompt, none of the person's git hooks.
PLAIN_COMMIT = ("-c", "commit.gpgsign=false", "-c", f"core.hooksPath={os.devnull}")


class Toolkit(NamedTuple):
    """Where the workflows find the actions: ``OWNER/REPO``, full commit, tag if it has one."""

    repository: str
    ref: str
    tag: str


def run_git(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run git in ``folder``, out of reach of a repository that the caller is working on."""
    local = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"}
    env = {key: value for key, value in os.environ.items() if key not in local}
    command = ["git", *words]
    try:
        return subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "git is not installed")


def read_git(*words: str, folder: Path) -> str:
    """Return what git prints, or nothing when it fails."""
    done = run_git(*words, folder=folder)
    return done.stdout.strip() if done.returncode == 0 else ""


def place_dataset(project: Path, source: Path, data_format: str) -> None:
    """Put the files of a data-set folder where the project reads them."""
    table = {f"data.{data_format}": f"data/raw/table.{data_format}"}
    for name, place in {**PLACES, **table}.items():
        target = project / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    shutil.rmtree(project / "data" / "bundled")


def write_pointer(table: Path) -> None:
    """Write what `dvc add` would write for the table: its hash and size, kept by git."""
    data = table.read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- md5: {digest}\n  size: {len(data)}\n  hash: md5\n  path: {table.name}\n"
    Path(f"{table}.dvc").write_text(pointer, encoding="utf-8", newline="\n")


def remove_caches(project: Path) -> None:
    """Drop what Python and its tools left in the template: pip compiles an installed one."""
    for name in ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"):
        for folder in sorted(project.rglob(name)):
            shutil.rmtree(folder)


def choose_ci_lock(project: Path, storage: str) -> None:
    """Keep the ``ci`` lock that has the storage's DVC plugin, and drop the others."""
    folder = project / "requirements"
    for path in sorted(folder.glob("ci-*.*")):
        if path.stem == f"ci-{storage}":
            path.rename(folder / f"ci{path.suffix}")
        else:
            path.unlink()


def choose_pipeline_lock(project: Path, data_format: str) -> None:
    """Keep the lock of the pipeline that reads tables in this format, and drop the other."""
    for path in sorted((project / "requirements").glob("pipeline-parquet.*")):
        if data_format == "parquet":
            path.replace(path.with_stem("pipeline"))
        else:
            path.unlink()


def choose_workflows(project: Path, *, fork_reports: bool, storage: str) -> None:
    """Drop the workflow that may write for a fork's pull request, unless it was asked for.

    With storage in a folder of this machine, drop what reads it after a merge, too: GitHub's
    runners cannot, and nobody rehearses it.
    """
    workflows = project / ".github" / "workflows"
    if not fork_reports:
        (workflows / "report-on-forks.yml").unlink()
    if storage == "local":
        for name in ("release", "promote", "deploy", "rollback", "retrain", "tune"):
            (workflows / f"{name}.yml").unlink()


def choose_rulesets(project: Path, storage: str) -> None:
    """Drop the rules of the storage branch where there is none."""
    if storage != "repo":
        (project / ".github" / "rulesets" / "dvc-storage.json").unlink()


def parse_repository(url: str) -> str:
    """Return ``OWNER/REPO`` of a git address on a server, or nothing for a local one.

    User, password, host and port are dropped: only the last two parts of the path count.
    """
    match = re.fullmatch(
        r"(?:(?:https?|ssh|git)://[^/]+/|[\w.-]+@[\w.-]+:)(?:.*/)?([\w.-]+/[\w.-]+?)(?:\.git)?/?",
        url,
    )
    return match[1] if match else ""


def find_checkout(answers: Mapping[str, object]) -> Path | None:
    """Return the git checkout that this template was rendered from, if there is one.

    cookiecutter hands over the folder as it was typed: a relative one starts where the
    person stood, which is in PWD, or else is taken to be where the project goes.
    """
    starts = (os.environ.get("PWD", ""), str(answers.get("_output_dir", "")))
    places = (answers.get("_repo_dir"), answers.get("_template"))  # cookiecutter's; cruft's
    for folder in (Path(start, str(place)) for place in places if place for start in starts):
        if not (folder / "cookiecutter.json").is_file():
            continue
        top = read_git("rev-parse", "--show-toplevel", folder=folder)
        if top and Path(top).resolve() == folder.resolve():
            return folder
    return None


def find_address(checkout: Path) -> str:
    """Return ``OWNER/REPO`` of the checkout's origin, else of its only remote."""
    remotes = read_git("remote", folder=checkout).split()
    name = "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else ""
    return parse_repository(read_git("remote", "get-url", name, folder=checkout)) if name else ""


def find_toolkit(answers: Mapping[str, object]) -> Toolkit:
    """Return the address and commit to write, from the answers or from the checkout."""
    repository, ref = str(answers["toolkit"]), str(answers["toolkit_ref"])
    checkout = find_checkout(answers)
    if repository == "auto":
        repository = parse_repository(str(answers.get("_template") or ""))
        repository = repository or (find_address(checkout) if checkout else "")
    if ref == "auto":
        ref = str(answers.get("_commit") or "")  # cruft says which commit it renders
        ref = ref or (read_git("rev-parse", "HEAD", folder=checkout) if checkout else "")
    tags = "tag", "--points-at", ref, "--sort=-version:refname", "--list", "v*"
    tag = read_git(*tags, folder=checkout) if checkout and ref else ""
    return Toolkit(repository or UNKNOWN_TOOLKIT, ref or UNKNOWN_REF, tag.partition("\n")[0])


def write_toolkit(project: Path, toolkit: Toolkit) -> None:
    """Write address and commit into every file that waits for them."""
    waiting = (TOOLKIT.encode(), TOOLKIT_REF.encode())
    note = f" # {toolkit.tag}" if toolkit.tag else ""
    for path in sorted(project.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.suffix == ".csv":
            continue
        data = path.read_bytes()
        if not any(token in data for token in waiting):
            continue
        text = data.decode("utf-8").replace(f"@{TOOLKIT_REF}\n", f"@{TOOLKIT_REF}{note}\n")
        text = text.replace(TOOLKIT_REF, toolkit.ref).replace(TOOLKIT, toolkit.repository)
        path.write_text(text, encoding="utf-8", newline="\n")


def find_outer_repository(project: Path) -> Path | None:
    """Return the repository that the project would be nested in; one that ignores it is none."""
    top = read_git("rev-parse", "--show-toplevel", folder=project)
    if not top or run_git("check-ignore", "--quiet", ".", folder=project).returncode == 0:
        return None
    return Path(top)


def find_identity(project: Path) -> Sequence[str]:
    """Return the options of the fallback identity, none when git knows the person."""
    known = all(
        run_git("var", name, folder=project).returncode == 0
        for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
    )
    named = os.environ.get("GIT_AUTHOR_EMAIL") or read_git("config", "user.email", folder=project)
    return () if known and named else FALLBACK_IDENTITY


def make_first_commit(project: Path, message: str) -> str:
    """Make the repository and commit everything; return what the person should know of it."""
    steps: list[tuple[str, ...]] = [
        ("init", "--quiet"),
        ("symbolic-ref", "HEAD", "refs/heads/main"),
    ]
    identity = find_identity(project)
    steps.append(("add", "--all"))
    steps.append((*PLAIN_COMMIT, *identity, "commit", "--quiet", "--message", message))
    for words in steps:
        done = run_git(*words, folder=project)
        if done.returncode:
            return f"git could not make the first commit ({done.stderr.strip()}); make it yourself."
    if identity:
        return (
            "git does not know you: the first commit names 'mlgitops' as its author. Tell it\n"
            '  git config --global user.name "Your Name"\n'
            "  git config --global user.email you@example.org"
        )
    return ""


def start_history(project: Path, answers: Mapping[str, object]) -> str:
    """Make the first commit where that is right, else return why it was not made."""
    by_hand = "git init --initial-branch main && git add --all && git commit --message 'Start'"
    if shutil.which("git") is None:
        return f"git is not installed: the project is whole, but not a repository yet.\n  {by_hand}"
    if "_commit" in answers:  # cruft writes .cruft.json afterwards: it belongs in there
        return f"Make the first commit, with .cruft.json in it:\n  {by_hand}"
    outer = find_outer_repository(project)
    if outer is not None:
        return (
            f"The project lies inside the git repository {outer}, so it got none of its own.\n"
            "With other projects beside it, one workflow at the top serves them all: see the\n"
            "toolkit's docs/how-to/several-projects.md. Alone, move it out, then\n"
            f"  {by_hand}"
        )
    return make_first_commit(project, f"Start {answers['project_name']} from the mlgitops template")


def is_rendered_for_comparison(project: Path, answers: Mapping[str, object]) -> bool:
    """Tell whether cruft renders into a temporary folder, where nobody reads next steps."""
    folder = project.resolve().parent
    temporary = folder.parent == Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and temporary and folder.name.startswith(tempfile.gettempprefix())


def print_next_steps(project: Path, notes: Sequence[str]) -> None:
    print(f"\nYour project is in {project}\n")
    for note in notes:
        print(f"{note}\n")
    print("Next:")
    print(f"  cd {project.name}")
    print("  make setup     # install what it needs, from the locks")
    print("  make train     # run the pipeline, see what the model reaches")
    print('  git add -A && git commit -m "Train the first model"')
    print("  make publish   # data and model into the storage")
    print("Then change something, such as params.yaml, and see a pull request's verdict:")
    print("  git switch -c try-something")
    print('  git commit -am "Try something"')
    print("  make rehearse  # that pull request's workflow, on this machine")
    print("README.md says what else there is.")


def main() -> None:
    """Finish the project in the current folder."""
    answers: dict[str, object] = json.loads(ANSWERS)
    project = Path.cwd()
    remove_caches(project)
    bundled = project / "data" / "bundled" / BUNDLED[str(answers["task"])]
    data_format = str(answers["_data_format"])
    place_dataset(project, Path(str(answers["_dataset"] or bundled)), data_format)
    write_pointer(project / "data" / "raw" / f"table.{data_format}")
    choose_pipeline_lock(project, data_format)
    choose_ci_lock(project, str(answers["storage"]))
    storage = str(answers["storage"])
    choose_workflows(project, fork_reports=bool(answers["fork_reports"]), storage=storage)
    choose_rulesets(project, storage)
    toolkit = find_toolkit(answers)
    write_toolkit(project, toolkit)
    notes = [start_history(project, answers)]
    if toolkit.repository == UNKNOWN_TOOLKIT or toolkit.ref == UNKNOWN_REF:
        notes.append(
            "Before you push to GitHub: the workflows name the actions as\n"
            f"  {toolkit.repository}/actions/...@{toolkit.ref}\n"
            "Write the address of your copy of the toolkit there, and its commit; until then\n"
            "`mlgitops validate` warns. On this machine all works as it is."
        )
    if not is_rendered_for_comparison(project, answers):
        print_next_steps(project, [note for note in notes if note])


if __name__ == "__main__":
    main()
