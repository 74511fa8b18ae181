"""Results of two projects in one repository, added to one branch: real git, real DVC."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from git_project import commit, git
from integration.setup_project import clone, make_origin, make_project, quiet

from mlgitops.errors import MlgitopsError
from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage, publish_objects
from mlgitops.storage.handover import HandoverRequest, Taken, export_handover, take_handover

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("models/a", "models/b")
#: The author of a workflow's commits, whose name anybody can write.
BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"


class Scene:
    """Origin, a pull request's branch `change` that changes both projects, and both handovers."""

    def __init__(self, folder: Path) -> None:
        """Train and publish main, then change and train both on a branch."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        root = folder / "root"
        root.mkdir()
        git(root, "init", "--quiet")
        for name, rows in zip(NAMES, ("1\n2\n", "3\n4\n"), strict=True):
            shutil.rmtree(make_project(root / name, rows=rows) / ".git")
            prepare_storage(root / name, quiet())
            run_pipeline(root / name, quiet())
        self.base = commit(root, "Train")
        self.origin = make_origin(root, folder / "origin.git")
        for name in NAMES:
            publish_objects(root / name, quiet())
        git(root, "switch", "--quiet", "--create", "change")
        for name in NAMES:
            (root / name / "params.yaml").write_text("factor: 3\n")
        self.head = commit(root, "Triple")
        git(root, "push", "--quiet", "origin", "change")
        for name in NAMES:
            compute = clone(self.origin, folder / f"compute-{name[-1]}") / name
            git(compute, "switch", "--quiet", "change")
            prepare_storage(compute, quiet())
            run_pipeline(compute, quiet(), base=self.base)
            export_handover(compute, self.find_handover(name))

    def find_handover(self, name: str) -> Path:
        """Return the folder that the run of a project left."""
        return self.folder / f"handover-{name[-1]}"

    def take(self, name: str, job: str, *, commit: bool = True) -> Taken:
        """Take the handover of one project in a fresh checkout of the base."""
        checkout = clone(self.origin, self.folder / job)
        return take_handover(
            HandoverRequest(
                project=checkout / name,
                handover=self.find_handover(name),
                base=self.base,
                head=self.head,
                branch="change",
                commit=commit,
            ),
            quiet(),
        )

    def find_tip(self) -> str:
        """Return where the branch stands at origin."""
        return git(self.origin, "rev-parse", "change")

    def list_changes(self, old: str, new: str) -> set[str]:
        """Return the projects that differ between two commits."""
        paths = git(self.origin, "diff", "--name-only", old, new).split()
        return {"/".join(path.split("/")[:2]) for path in paths}

    def push(self, changes: dict[str, str], message: str, *, author: str) -> str:
        """Push a commit to the branch, as a person would."""
        place = clone(self.origin, self.folder / "person")
        git(place, "switch", "--quiet", "change")
        for path, text in changes.items():
            (place / path).write_text(text)
        git(place, "commit", "--quiet", "--all", "-m", message, f"--author={author}")
        git(place, "push", "--quiet", "origin", "change")
        return self.find_tip()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Make the scene once."""
    return Scene(tmp_path_factory.mktemp("several"))


@pytest.fixture
def scene(pristine: Scene, tmp_path: Path) -> Scene:
    """Return a copy of the scene with an origin and handovers of its own."""
    copy = object.__new__(Scene)
    copy.__dict__.update(pristine.__dict__)
    copy.folder = tmp_path
    copy.origin = shutil.copytree(pristine.origin, tmp_path / "origin.git")
    for name in NAMES:
        shutil.copytree(pristine.find_handover(name), copy.find_handover(name))
    return copy


@pytest.mark.slow
def test_two_projects_racing_for_a_branch_both_land(scene: Scene) -> None:
    """Each adds one commit with its own results; a second run of either finds its own."""
    taken: dict[str, Taken] = {}

    def take(name: str) -> None:
        taken[name] = scene.take(name, f"job-{name[-1]}")

    threads = [threading.Thread(target=take, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: one.outcome for name, one in taken.items()} == dict.fromkeys(NAMES, "committed")
    commits = git(scene.origin, "rev-list", f"{scene.head}..change").split()
    assert {one.sha for one in taken.values()} == set(commits)
    for name, one in taken.items():
        assert scene.list_changes(f"{one.sha}^", one.sha) == {name}
    for name in NAMES:
        again = scene.take(name, f"again-{name[-1]}", commit=False)
        assert (again.outcome, again.sha) == ("current", scene.find_tip())
        assert git(scene.origin, "show", f"change:{name}/dvc.lock").count("factor: 3") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "author", "message", "reason"),
    [
        ("models/b/src/demo/total.py", BOT, "Record what was trained at {}", "no run writes"),
        ("models/a/params.yaml", BOT, "Record what was trained at {}", "no run writes"),
        ("models/b/reports/metrics.json", BOT, "Record what was trained at {}", "moved on"),
        ("models/a/params.yaml", "Author <author@example.org>", "Go on", "moved on"),
        ("models/a/params.yaml", BOT, "Go on", "moved on"),
    ],
)
def test_a_branch_that_moved_on_otherwise_is_left_alone(
    scene: Scene, path: str, author: str, message: str, reason: str
) -> None:
    """Another state of this project, or a commit that is no results, is not built upon."""
    tip = scene.push({path: "1\n"}, message.format(scene.head[:12]), author=author)
    with pytest.raises(MlgitopsError, match=reason):
        scene.take("models/b", "job")
    assert scene.find_tip() == tip


@pytest.mark.slow
def test_results_with_something_else_of_the_project_are_not_its_results(scene: Scene) -> None:
    """The right results on top of code that was not judged get no verdict of ours."""
    taken = scene.take("models/b", "job")
    assert taken.outcome == "committed"
    message = f"Record what was trained at {scene.head[:12]}"
    tip = scene.push({"models/b/src/demo/total.py": "1\n"}, message, author=BOT)
    for write in (True, False):
        with pytest.raises(MlgitopsError, match="no run writes"):
            scene.take("models/b", f"again-{write}", commit=write)
    assert scene.find_tip() == tip
