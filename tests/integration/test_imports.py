"""Features of another repository by `dvc import`: pinned, moved and trained on, by real DVC."""

from __future__ import annotations

import csv
import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest
from evaluated_project import EvaluatedProject, Run, make_rows
from features_repository import CONTRACT, EXAMPLE, ROOT, TABLE, FeaturesRepository, read_flights
from git_project import commit, git
from integration.setup_project import clone, make_origin, make_project, quiet
from kept_environments import make_locked

from mlgitops.cli import run
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.comparison.staleness import find_stale
from mlgitops.delivery.audit.imported import ImportedData, check_import
from mlgitops.dvc.stored import read_objects, read_work_tree
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.model import ImportSource
from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage, publish_objects
from mlgitops.storage.published import is_published

if TYPE_CHECKING:
    from pathlib import Path

    from dvc_program import DvcProgram

pytestmark = pytest.mark.slow

RAW = "data/raw/table.csv"
POLICY = "version: 1\nmetrics:\n  total: {greater_is_better: true}\n"
LOCK = ROOT / "{{cookiecutter.project_slug}}/requirements/pipeline.txt"


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeaturesRepository:
    """Make the example with two versions of its table; the second has days more."""
    programs = make_locked("pipeline", LOCK, tmp_path_factory)
    made = FeaturesRepository(tmp_path_factory.mktemp("features") / "features", programs)
    rows = read_flights(every=50)
    made.put_source(rows[:400])
    made.put("numbers.txt", "1\n2\n3\n")
    made.publish("v1.0.0")
    made.put_source(rows)
    made.put("numbers.txt", "1\n2\n3\n4\n")
    made.publish("v1.1.0")
    return made


def read_features(features: FeaturesRepository) -> list[dict[str, str]]:
    """Read the table that stands there."""
    with (features.root / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_feature_knows_nothing_of_its_own_day(features: FeaturesRepository) -> None:
    """Whatever the order of the rows, and counted anew from the source."""
    spec = importlib.util.spec_from_file_location("build", EXAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    rows = read_flights(every=50)
    odd_first = [*rows[1::2], *rows[::2]]
    by_id = {row["id"]: row["carrier_late_rate"] for row in build.add_rates(odd_first)}
    made = read_features(features)
    assert {row["id"]: row["carrier_late_rate"] for row in made} == by_id
    for row in made[::40]:
        earlier = [
            int(other["late"])
            for other in rows
            if other["carrier"] == row["carrier"] and other["date"] < row["date"]
        ]
        rate = f"{sum(earlier) / len(earlier):.6f}" if earlier else ""
        assert row["carrier_late_rate"] == rate


def test_a_row_that_breaks_the_promise_stops_the_features(
    features: FeaturesRepository, tmp_path: Path
) -> None:
    """The producer's side of the contract: nothing is made of it, so nothing can be tagged."""
    broken = FeaturesRepository(tmp_path / "features", features.programs)
    rows = read_flights(every=1000)
    broken.put_source([*rows, rows[-1] | {"id": "new", "origin": "PHL"}])
    with pytest.raises(AssertionError, match=r"(?s)breaks contract.yaml.*PHL"):
        broken.run("repro")


@pytest.fixture(scope="module")
def own_table(features: FeaturesRepository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project from the features' table, as the page says, before anything is imported."""
    folder = tmp_path_factory.mktemp("consumer")
    options = ["--data", str(features.root / TABLE), "--target", "late", "--id", "id"]
    options += ["--slug", "delays", "--owner", "octocat", "--storage", "local"]
    options += ["--storage-url", str(folder / "storage"), "--directory", str(folder)]
    assert run(["new", "--no-input", *options]) == 0
    return folder / "delays"


def test_validate_names_the_rule_that_differs(
    features: FeaturesRepository,
    own_table: Path,
    dvc: DvcProgram,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The consumer's side of the contract, with the files that DVC itself writes."""
    address = str(features.root)
    (own_table / RAW).unlink()
    words = ("import", "--force", "--rev", "v1.1.0")
    dvc.run(own_table, *words, address, TABLE, "-o", RAW)
    dvc.run(own_table, *words, address, CONTRACT, "-o", "data/raw/contract.yaml")
    assert (own_table / RAW).read_bytes() == (features.root / TABLE).read_bytes()

    def validate() -> tuple[list[str], list[str]]:
        capsys.readouterr()
        run(["validate", "--json", "--directory", str(own_table)])
        document = json.loads(capsys.readouterr().out)
        kinds = (document["mistakes"], document["warnings"])
        mistakes, warnings = ([str(item["what"]) for item in kind] for kind in kinds)
        return mistakes, [text for text in warnings if "imported contract" in text]

    mistakes, warnings = validate()
    assert mistakes == []
    assert any(text.startswith("`distance`: in_range") for text in warnings)
    contract = own_table / "contract.yaml"
    contract.write_text(contract.read_text().replace("\n  origin:", "\n  airport:"))
    mistakes, _ = validate()
    assert "the column `airport` is not in the imported contract" in mistakes
    dvc.run(own_table, "update", f"{RAW}.dvc", "--rev", "v1.0.0")
    assert any("and its contract of" in text for text in validate()[0])


@pytest.fixture(scope="module")
def imported(
    features: FeaturesRepository, dvc: DvcProgram, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a trained and published project whose raw table is the features' file of numbers."""
    folder = tmp_path_factory.mktemp("imported")
    project = make_project(folder / "project")
    (project / "policy.yaml").write_text(POLICY)
    (project / RAW).unlink()
    source = ("--rev", "v1.0.0", str(features.root), "numbers.txt")
    dvc.run(project, "import", "--force", *source, "-o", RAW)
    commit(project, "Import")
    train(project)
    commit(project, "Train")
    make_origin(project, folder / "origin.git")
    publish_objects(project, quiet())
    return project


def train(project: Path) -> dict[str, str]:
    """Train and return stage name to state."""
    prepare_storage(project, quiet())
    return {stage.name: stage.state for stage in run_pipeline(project, quiet())}


def copy(imported: Path, folder: Path) -> Path:
    """Return a fresh clone, without data and cache."""
    return clone(imported.parent / "origin.git", folder)


def find_stale_stages(project: Path) -> set[str]:
    """Ask which stages of the work tree have to run again."""
    with Repository(project) as repository:
        folder = Folder(repository, project.resolve())
        base = SideFiles(name="base", sha=repository.resolve("main"), folder=folder)
        head = SideFiles(name="head", sha=None, folder=folder)
        read_sides(base, head, quiet())
        return set(find_stale(head, base).reasons)


def test_a_fresh_clone_fetches_from_the_source(imported: Path, tmp_path: Path) -> None:
    """DVC takes the table from where it is made; the storage has it, too, for who must not."""
    (table,) = [stored for stored in read_objects(imported) if stored.path == RAW]
    assert is_published(imported, table.oid, quiet())
    project = copy(imported, tmp_path / "clone")
    (project / "params.yaml").write_text("factor: 3\n")
    assert train(project) == {"double": "ran", "total": "ran"}
    assert (project / "data/double.csv").read_text() == "3\n6\n9\n"


def test_a_release_says_where_the_table_is_from(
    imported: Path, features: FeaturesRepository
) -> None:
    """Repository, commit and path, as DVC wrote them; and the source holds them."""
    source = ImportSource(
        repository=str(features.root),
        commit=features.git("rev-parse", "v1.0.0"),
        path="numbers.txt",
    )
    pipeline = read_work_tree(imported)
    assert pipeline.imports == {RAW: source}
    digest = pipeline.pointers[RAW].hash
    check_import(ImportedData(path=RAW, trained=digest, source=source), [features.root])


def test_an_update_is_a_pull_request_like_any_other(
    imported: Path,
    features: FeaturesRepository,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its branch moves the pin; with the pin alone, all that was made of the old table is stale."""
    project = copy(imported, tmp_path / "clone")
    capsys.readouterr()
    assert run(["update", "--json", "--directory", str(project)]) == 0
    branch = json.loads(capsys.readouterr().out)["branch"]
    git(project, "fetch", "--quiet", "origin", branch)
    git(project, "checkout", "--quiet", "FETCH_HEAD", "--", f"{RAW}.dvc")
    assert features.git("rev-parse", "v1.1.0") in (project / f"{RAW}.dvc").read_text()
    assert "double" in find_stale_stages(project)
    git(project, "switch", "--quiet", "--discard-changes", "--detach", "FETCH_HEAD")
    assert train(project) == {"double": "restored", "total": "restored"}
    assert json.loads((project / "reports/metrics.json").read_text()) == {"total": 20}
    assert find_stale_stages(project) == set()


@pytest.mark.parametrize("tampered", ["commit", "bytes"])
def test_a_tampered_pin_is_refused_by_name(
    imported: Path, features: FeaturesRepository, tmp_path: Path, tampered: str
) -> None:
    """Another commit with the old hash, or another hash: no clone gets such a table."""
    project = copy(imported, tmp_path / "clone")
    (project / "params.yaml").write_text("factor: 3\n")
    first, second = (features.git("rev-parse", tag) for tag in ("v1.0.0", "v1.1.0"))
    pointer = project / f"{RAW}.dvc"
    text = pointer.read_text()
    digest = read_work_tree(project).pointers[RAW].hash.removeprefix("md5:")
    edit = (first, second) if tampered == "commit" else (digest, "f" * 32)
    pointer.write_text(text.replace(*edit))
    with pytest.raises(MlgitopsError, match=f"missing data 'source': {RAW}") as refusal:
        train(project)
    assert "it is imported: its repository cannot be read" in str(refusal.value.hint)
    assert not (project / RAW).exists()


UNPACK = """\
text = open("data/raw.csv").read()
open("data/table.csv", "w").write(text + text.splitlines()[-1].replace("r", "last-") + "\\n")
"""


def point_at_features(run: Run) -> None:
    """Let the raw table be one that `dvc import` brought, pinned to a commit of its own."""
    entry = run.store("data/raw.csv") | {"path": "raw.csv"}
    repo = {"url": "https://features.invalid/f", "rev_lock": str(entry["md5"])[:20] * 2}
    deps = [{"path": "features/raw.csv", "repo": repo}]
    run.write("data/raw.csv.dvc", json.dumps({"frozen": True, "deps": deps, "outs": [entry]}))


def test_a_newer_table_is_measured_by_bases_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job that measures reaches no other repository: the run hands the new table over."""
    project = EvaluatedProject(tmp_path, prepare=point_at_features, files={"unpack.py": UNPACK})

    def update(run: Run) -> None:
        run.write("data/raw.csv", make_rows(1500))
        point_at_features(run)

    ending = project.open(update).evaluate(monkeypatch, capsys)
    assert (ending.code, ending.verdict) == (0, "pass"), ending.words
    assert "made by the base's code from the new data" in ending.words
    assert "could not be read" not in ending.words
