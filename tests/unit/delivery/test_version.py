"""Tests of the version rule: a table of edits, each with the version that comes next."""

from __future__ import annotations

import pytest
from git_project import GitRepository
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.delivery.releases.version import find_change, next_version
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Repository
from mlgitops.model.lineage import Change

CONTRACT = """\
strict: true
columns:
  id: {dtype: str}
  distance: # miles
    dtype: float64
    in_range: {min_value: 50, max_value: 6000}
  carrier: {dtype: str, isin: [AA, UA]}
  note: {dtype: str}
  late: {dtype: int64, isin: [0, 1]}
"""
PARAMS = """\
task: binary
data: {target: late, positive: 1, id: id}
features: {numeric: [distance], categorical: [carrier]}
train: {settings: {C: 1.0}}
"""
FILES = {
    "contract.yaml": CONTRACT,
    "params.yaml": PARAMS,
    "dvc.yaml": "stages:\n  train: {cmd: python -m p.train}\nplots: []\n",
    "src/p/serve.py": "SERVE = 1\n",
    "requirements/serving.txt": "kserve==1\n",
    "dvc.lock": "one",
    "data/raw/table.csv.dvc": "one",
    "README.md": "text",
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[GitRepository, str]:
    """Return a repository with the files in a project's folder, and its first commit."""
    repository = GitRepository(tmp_path_factory.mktemp("versions") / "r")
    for path, text in FILES.items():
        repository.put(f"flights/{path}", text)
    repository.put("other/contract.yaml", CONTRACT)
    repository.put("other/train.py", "TRAIN = 1\n")
    return repository, repository.commit("Start")


@pytest.mark.parametrize(
    ("path", "old", "new", "change"),
    [
        ("contract.yaml", "carrier: {dtype: str", "carrier: {dtype: int64", Change.CONTRACT),
        ("contract.yaml", "[AA, UA]", "[AA, UA, WN]", Change.CONTRACT),
        ("contract.yaml", "min_value: 50", "min_value: 10", Change.CONTRACT),
        ("contract.yaml", "isin: [0, 1]", "isin: [0, 1, 2]", Change.CONTRACT),
        ("contract.yaml", "strict: true", "strict: false", Change.CONTRACT),
        ("params.yaml", "numeric: [distance]", "numeric: []", Change.CONTRACT),
        ("params.yaml", "task: binary", "task: multiclass", Change.CONTRACT),
        ("params.yaml", "target: late", "target: carrier", Change.CONTRACT),
        ("params.yaml", "positive: 1", "positive: 0", Change.CONTRACT),
        ("contract.yaml", "note: {dtype: str}", "note: {dtype: int64}", Change.BEHAVIOUR),
        ("params.yaml", "C: 1.0", "C: 0.5", Change.BEHAVIOUR),
        ("src/p/serve.py", "SERVE = 1", "SERVE = 2", Change.BEHAVIOUR),
        ("requirements/serving.txt", "kserve==1", "kserve==2", Change.BEHAVIOUR),
        ("dvc.yaml", "p.train", "p.fit", Change.BEHAVIOUR),
        ("dvc.yaml", "plots: []", "plots: [a.csv]", Change.DATA),
        ("contract.yaml", "# miles", "# statute miles", Change.DATA),
        (
            "contract.yaml",
            "{dtype: str, isin: [AA, UA]}",
            "{isin: [AA, UA], dtype: str}",
            Change.DATA,
        ),
        ("params.yaml", "task: binary\n", "# the task\ntask: binary\n", Change.DATA),
        ("dvc.lock", "one", "two", Change.DATA),
        ("data/raw/table.csv.dvc", "one", "two", Change.DATA),
        ("README.md", "text", "words", Change.DATA),
        ("../other/contract.yaml", "[AA, UA]", "[AA]", Change.DATA),
        ("../other/train.py", "TRAIN = 1", "TRAIN = 2", Change.DATA),
    ],
)
def test_an_edit_decides_the_change(
    pristine: tuple[GitRepository, str], path: str, old: str, new: str, change: Change
) -> None:
    """Contract before behaviour before data, and of this project alone."""
    made, before = pristine
    file = made.root / "flights" / path
    text = file.read_text()
    assert old in text
    made.git("reset", "--quiet", "--hard", before)
    file.write_text(text.replace(old, new))
    after = made.commit("Edit")
    with Repository(made.root) as repository:
        decided, changed = find_change(repository, "flights/", before, after)
    made.git("reset", "--quiet", "--hard", before)
    assert decided is change
    assert changed == (() if change is Change.DATA else (path,))


def test_the_larger_change_decides(pristine: tuple[GitRepository, str]) -> None:
    """With code and contract both edited, the contract counts."""
    made, before = pristine
    made.put("flights/src/p/serve.py", "SERVE = 3\n")
    made.put("flights/contract.yaml", CONTRACT.replace("[AA, UA]", "[AA]"))
    after = made.commit("Edit")
    with Repository(made.root) as repository:
        decided, changed = find_change(repository, "flights/", before, after)
    made.git("reset", "--quiet", "--hard", before)
    assert (decided, changed) == (Change.CONTRACT, ("contract.yaml",))


@given(
    st.tuples(*[st.integers(0, 10**9)] * 3),
    st.sampled_from([Change.CONTRACT, Change.BEHAVIOUR, Change.DATA]),
)
def test_the_next_version_is_higher(numbers: tuple[int, int, int], change: Change) -> None:
    """By one in its place, and the places after it begin anew."""
    raised = next_version("v{}.{}.{}".format(*numbers), change)
    following = tuple(map(int, raised.removeprefix("v").split(".")))
    at = [Change.CONTRACT, Change.BEHAVIOUR, Change.DATA].index(change)
    assert following > numbers
    assert following == (*numbers[:at], numbers[at] + 1, *(0,) * (2 - at))


def test_what_is_no_version_has_no_next() -> None:
    """A tag of another form would be counted on from nothing."""
    with pytest.raises(MlgitopsError, match="is no version"):
        next_version("1.0", Change.DATA)
