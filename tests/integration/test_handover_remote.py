"""What a run trained, into a storage on another machine: real servers, real DVC, real faults."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fault_proxy import FaultProxy, pass_on, run_proxy
from git_project import git
from integration.handover_scene import Scene, make_scene
from integration.setup_project import clone, quiet
from storage_servers import Server, start

from mlgitops.cli import run
from mlgitops.delivery.bundle import find_model
from mlgitops.dvc.stored import hash_file, locate
from mlgitops.errors import MlgitopsError
from mlgitops.project.training import run_pipeline
from mlgitops.storage import is_published, prepare_storage, restore_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.slow
#: Requests can be made to fail where they are HTTP; only SSH has host keys.
on_s3 = pytest.mark.parametrize("pristine", ["s3"], indirect=True, scope="module")
on_ssh = pytest.mark.parametrize("pristine", ["ssh"], indirect=True, scope="module")


class Remote:
    """A scene, the server of its storage, and a proxy that may fail, where there is one."""

    def __init__(self, scene: Scene, server: Server, proxy: FaultProxy | None) -> None:
        self.scene, self.server, self.proxy = scene, server, proxy

    def objects(self) -> dict[str, bytes]:
        """Return place → bytes of everything that the server holds."""
        root = self.server.root
        assert root is not None
        files = (file for file in root.rglob("*") if file.is_file())
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}

    def forget(self, places: Iterable[str]) -> None:
        """Remove objects from the server's disk."""
        assert self.server.root is not None
        for place in places:
            (self.server.root / place).unlink()

    def fails(self, name: str, match: str) -> str:
        """Take the handover, which must end with this message and without a commit; return all."""
        before = self.scene.refs()
        with pytest.raises(MlgitopsError, match=re.escape(match)) as caught:
            self.scene.take(self.scene.open_job(name))
        assert "complete, " not in str(caught.value)
        assert self.scene.refs() == before
        return str(caught.value)


def make(
    kind: str, folder: Path, trained: Path, stack: ExitStack, patch: pytest.MonkeyPatch
) -> Remote:
    """Start the server of a kind, sign in, and make the scene of a trained project on it."""
    server = start(kind, folder / "server", stack)
    for name, value in server.environment.items():
        patch.setenv(name, value)
    proxy = stack.enter_context(run_proxy(server.port)) if kind == "s3" else None
    settings = dict(server.settings)
    if proxy is not None:
        settings["endpointurl"] = f"http://127.0.0.1:{proxy.port}"
    make_scene(folder / "scene", trained, settings)
    return Remote(Scene(folder / "scene"), server, proxy)


@pytest.fixture(scope="module", params=["s3", "ssh"])
def pristine(
    request: pytest.FixtureRequest, trained_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remote]:
    """Make the scene once for each kind of storage that keeps its objects on this disk."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp(request.param)
        yield make(request.param, folder, trained_project, stack, patch)


@pytest.fixture
def remote(pristine: Remote, tmp_path: Path) -> Iterator[Remote]:
    """Return the scene with an origin and a handover of its own; the server is as before after."""
    root = pristine.server.root
    assert root is not None
    kept = shutil.copytree(root, tmp_path / "kept")
    yield Remote(pristine.scene.copy(tmp_path), pristine.server, pristine.proxy)
    if pristine.proxy is not None:
        pristine.proxy.fault = pass_on
    shutil.rmtree(root)
    shutil.copytree(kept, root)


def list_files(folder: Path) -> list[str]:
    """Return the path of every file below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file.relative_to(folder).as_posix() for file in files)


def pull(clone_: Path) -> None:
    """Run the plain `dvc pull` of a person."""
    dvc = Path(sys.executable).parent / "dvc"
    subprocess.run([dvc, "pull", "--quiet"], cwd=clone_, check=True, timeout=120)


@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_an_emulated_storage_takes_results(
    trained_project: Path, tmp_path: Path, kind: str
) -> None:
    """What the emulator of a cloud lets through: stored, proved, committed, and pulled again."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        scene = make(kind, tmp_path, trained_project, stack, patch).scene
        taken = scene.take(scene.open_job())
        assert (taken.outcome, taken.added) == ("committed", 4)
        fresh = clone(scene.origin, tmp_path / "fresh")
        git(fresh, "switch", "--quiet", "change")
        pull(fresh)
        assert (fresh / "data/double.csv").read_text() == "3\n6\n9\n"


def test_the_result_is_stored_and_committed(remote: Remote) -> None:
    """New objects are on the server, the branch gains one commit, a fresh clone pulls them."""
    scene, before = remote.scene, remote.objects()
    new = {file.name for file in (scene.handover / "files").rglob("*") if file.is_file()}
    taken = scene.take(scene.open_job())
    after = remote.objects()
    assert (taken.outcome, taken.results, taken.added) == ("committed", 2, len(new))
    assert before.items() < after.items()
    assert {Path(place).name for place in after.keys() - before.keys()} == new
    assert git(scene.origin, "rev-parse", "change") == taken.sha
    changed = git(scene.origin, "diff", "--name-only", scene.head, taken.sha).split()
    assert changed == ["dvc.lock", "reports/metrics.json"]
    fresh = clone(scene.origin, scene.folder / "fresh")
    git(fresh, "switch", "--quiet", "change")
    double = hash_file(scene.compute / "data/double.csv")
    with restore_published(fresh, double, quiet()) as file:
        assert file.read_text() == "3\n6\n9\n"
    assert not (fresh / ".dvc/cache").exists()
    assert not is_published(fresh, "0" * 32, quiet())
    # Who deploys has it in the cache from then on, and no copy of it anywhere else.
    fetched = find_model(fresh, double, taken.sha, quiet())
    assert fetched == fresh / ".dvc/cache" / locate(double)
    assert hash_file(fetched) == double
    with pytest.raises(MlgitopsError, match="neither in the cache nor in the storage"):
        find_model(fresh, "0" * 32, taken.sha, quiet())
    pull(fresh)
    assert (fresh / "data/double.csv").read_text() == "3\n6\n9\n"
    prepare_storage(fresh, quiet())
    assert {stage.state for stage in run_pipeline(fresh, quiet())} == {"skipped"}
    assert git(fresh, "status", "--porcelain") == ""
    # Once more, and as a team that commits its own results: nothing changes.
    again = scene.take(scene.open_job("again"))
    assert (again.sha, again.added, remote.objects()) == (taken.sha, 0, after)
    scene.head = taken.sha
    assert scene.take(scene.open_job("verify"), commit=False).outcome == "current"


def test_only_what_the_storage_lacks_is_handed_over(remote: Remote) -> None:
    """The raw table, which the base has, is neither in the artifact nor sent again."""
    files = [file for file in (remote.scene.handover / "files").rglob("*") if file.is_file()]
    assert len(files) == 4  # double.csv, the manifest of parts/, and two of its three files


@on_s3
def test_packing_asks_the_bases_storage(remote: Remote, tmp_path: Path) -> None:
    """The command compares with the storage that --base names, whatever the head says."""
    scene = remote.scene
    job = shutil.copytree(scene.compute, tmp_path / "compute")
    config = job / ".dvc/config"
    config.write_text(config.read_text().replace("s3://bucket/dvc", "s3://nowhere/at-all"))
    words = ["publish", "--directory", str(job), "--export"]
    assert run([*words, str(tmp_path / "own"), "--base", scene.base]) == 0
    assert list_files(tmp_path / "own") == list_files(scene.handover)
    assert "s3://nowhere" in config.read_text()


def test_verify_needs_every_object(remote: Remote) -> None:
    """A head that holds its results is not current while the storage lacks one of them."""
    scene, before = remote.scene, remote.objects()
    scene.head = scene.take(scene.open_job()).sha
    stored = remote.objects()
    assert remote.server.root is not None
    for number, place in enumerate(sorted(stored.keys() - before.keys())):
        (remote.server.root / place).unlink()
        with pytest.raises(MlgitopsError, match="neither the storage nor the run has this object"):
            scene.take(scene.open_job(f"verify-{number}"), commit=False)
        (remote.server.root / place).write_bytes(stored[place])


def test_an_object_of_other_content_is_never_sent(remote: Remote) -> None:
    """Whatever one object of the handover holds instead: refused, and the server as before."""
    before = remote.objects()
    files = sorted(file for file in (remote.scene.handover / "files").rglob("*") if file.is_file())
    for number, file in enumerate(files):
        data = file.read_bytes()
        file.write_bytes(b"!" + data[1:])
        remote.fails(f"job-{number}", "the object's content is not that of its name")
        file.write_bytes(data)
    assert remote.objects() == before


@on_s3
def test_a_cut_at_each_object_is_never_complete(remote: Remote) -> None:
    """Whichever object the server refuses: no commit; and the next run sends what is missing."""
    proxy, scene, before = remote.proxy, remote.scene, remote.objects()
    assert proxy is not None
    new = [file for file in (scene.handover / "files").rglob("*") if file.is_file()]
    for number, file in enumerate(sorted(new)):
        victim = f"{file.parent.name}/{file.name}"
        proxy.fault = lambda method, path, end=victim: (  # type: ignore[misc]
            403 if method == "PUT" and path.partition("?")[0].endswith(end) else None
        )
        remote.fails(f"job-{number}", "the storage could not be reached")
        arrived = remote.objects().keys() - before.keys()
        assert not any(place.endswith(victim) for place in arrived)
        # A manifest shows only after all of its members.
        in_directory = file.stat().st_size < 3  # the texts "3", "6" and "9" of parts/
        assert not (in_directory and any(place.endswith(".dir") for place in arrived))
        if number < len(new) - 1:  # the last cut is mended by the run after it
            remote.forget(arrived)
    proxy.fault = pass_on
    assert scene.take(scene.open_job()).outcome == "committed"


@on_s3
def test_a_server_that_loses_what_it_took_is_found_out(remote: Remote) -> None:
    """DVC ends with 0, and the listing shows that an object did not arrive."""
    proxy = remote.proxy
    assert proxy is not None
    proxy.fault = lambda method, _path: 200 if method == "PUT" else None
    remote.fails("job", "the storage is not complete")


@on_s3
def test_an_identity_that_may_only_read_publishes_nothing(remote: Remote) -> None:
    """That of the compute job: every writing request is refused."""
    proxy, before = remote.proxy, remote.objects()
    assert proxy is not None
    proxy.fault = lambda method, _path: 403 if method in {"PUT", "POST", "DELETE"} else None
    remote.fails("job", "the storage could not be reached")
    assert remote.objects() == before


@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_each_damaged_object_is_said_and_left_alone(remote: Remote, how: str) -> None:
    """What somebody else put under new objects' names is read back: each is named, exit code 2."""
    root = remote.server.root
    assert root is not None
    damaged = {}
    for file in (remote.scene.handover / "files").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            wrong = {"flipped": b"!" + data[1:], "cut": data[:-1] or b"!!", "empty": b""}[how]
            damaged[file.relative_to(remote.scene.handover).as_posix()] = wrong
    for place, wrong in damaged.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(wrong)
    text = remote.fails("job", "the storage is damaged, and nothing is written over")
    assert len(damaged) == 4
    for place, wrong in damaged.items():
        assert f"other content at {place}" in text
        assert (root / place).read_bytes() == wrong


def test_a_damaged_object_of_the_base_is_said(remote: Remote) -> None:
    """The raw table, cut short in the storage, fits no lock any more."""
    root = remote.server.root
    assert root is not None
    table = next(root / place for place, data in remote.objects().items() if data == b"1\n2\n3\n")
    table.write_bytes(b"1\n2")
    remote.fails("job", "data/raw/table.csv: 3 bytes, and the lock says 6")


def test_a_flipped_byte_is_never_read(remote: Remote, capsys: pytest.CaptureFixture[str]) -> None:
    """Data of the same size and other content than its name: exit code 2, and no such file."""
    root = remote.server.root
    assert root is not None
    table = next(root / place for place, data in remote.objects().items() if data == b"1\n2\n3\n")
    table.write_bytes(b"7\n2\n3\n")
    fresh = clone(remote.scene.origin, remote.scene.folder / "fresh")
    (fresh / "params.yaml").write_text("factor: 5\n")
    assert run(["train", "--directory", str(fresh)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (fresh / "data/raw/table.csv").exists()
    assert not (fresh / "data/double.csv").exists()
    assert git(fresh, "diff", "--name-only") == "params.yaml"


def test_publishing_by_hand_is_proved_by_sizes(
    remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mlgitops publish` lists every object, a directory's members too, with its bytes."""
    root = remote.server.root
    assert root is not None
    project = remote.scene.folder / "mine"
    git(remote.scene.origin, "clone", "--quiet", str(remote.scene.origin), str(project))
    pull(project)
    assert run(["publish", "--directory", str(project)]) == 0
    assert "complete, 6 objects" in capsys.readouterr().out
    member = next(root / place for place, data in remote.objects().items() if data == b"4")
    member.write_bytes(b"4444")
    assert run(["publish", "--directory", str(project)]) == 2
    assert "parts/4.txt: 4 bytes, not 1" in capsys.readouterr().err


@on_ssh
def test_a_server_of_another_key_is_not_talked_to(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's key must be the one in known_hosts."""
    home = shutil.copytree(Path(remote.server.environment["HOME"]), tmp_path / "home")
    own = (home / ".ssh" / "id_ed25519.pub").read_text().split()[:2]
    (home / ".ssh" / "known_hosts").write_text(
        f"[127.0.0.1]:{remote.server.port} {' '.join(own)}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    remote.fails("job", "the storage could not be reached")
