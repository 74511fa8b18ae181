from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from sklearn.ensemble import RandomForestClassifier

from {{ cookiecutter.__package_name }} import metrics
from {{ cookiecutter.__package_name }}.estimators import make_model
from {{ cookiecutter.__package_name }}.params import Params, parse_params
from {{ cookiecutter.__package_name }}.plumbing import paths
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "{{ cookiecutter.__package_name }}"


def read_stages() -> dict[str, Any]:
    """Return the stages of dvc.yaml."""
    stages: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    return stages


def find_file(module: str) -> Path | None:
    """Find the file of a module of the package, "" being the package itself."""
    path = SOURCE.joinpath(*module.split(".")) if module else SOURCE
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def read_imports(module: str, file: Path) -> set[str]:
    """Return the package's modules that the text of one module imports, by a relative name."""
    parts = module.split(".") if module else []
    within = parts if file.stem == "__init__" else parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = within[: len(within) - node.level + 1]
            named = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{named}.{item.name}".removeprefix(".") for item in node.names]
            found |= {name if find_file(name) else named for name in names}
    return found


def find_imports(module: str) -> set[Path]:
    """Return the package's files that a module imports, at once or through others."""
    found, open_modules = dict[str, Path](), {module}
    while open_modules:
        name = open_modules.pop()
        file = find_file(name)
        assert file, name
        found[name] = file
        open_modules |= read_imports(name, file) - found.keys()
    return set(found.values())


@pytest.mark.parametrize("stage", list(read_stages()))
def test_stage_depends_on_all_its_code(stage: str) -> None:
    """A change of any module that a stage imports makes the stage run again."""
    body = read_stages()[stage]
    module = body["cmd"].split()[2].removeprefix(f"{SOURCE.name}.")
    watched = [ROOT / path for path in body["deps"]]
    missing = {
        file.relative_to(ROOT).as_posix()
        for file in find_imports(module)
        if not any(file.is_relative_to(path) for path in watched)
    }
    assert not missing


def test_parameters_of_the_stages_exist() -> None:
    """Each key that dvc.yaml watches is in params.yaml."""
    params = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    watched = {key for stage in read_stages().values() for key in stage.get("params", [])}
    assert watched <= set(params)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("test_fraction: 0", "test_fraction: 7", "split.test_fraction"),
        ("\nsplit:", "\nspilt:", "spilt"),
        ("method: ", "method: by_", "split.method"),
        ("seed: ", "seed: x", "seed"),
    ],
)
def test_wrong_parameters_are_named(old: str, new: str, said: str) -> None:
    """A mistake in params.yaml is reported with the key that holds it."""
    text = (ROOT / paths.PARAMS).read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(StageError, match=said):
        parse_params(text.replace(old, new, 1))


def test_target_among_the_features_is_refused(params: Params) -> None:
    """A model that could read the answer is never trained."""
    document = msgspec.to_builtins(params)
    document["features"]["numeric"].append(params.data.target)
    with pytest.raises(StageError, match="is the target"):
        parse_params(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("seeds", "settings", "said"),
    [
        ([1, 1], {}, "each is another one"),
        ([1], {"random_state": 5}, "every seed the same model"),
        ([-1], {}, "other_seeds"),
    ],
)
def test_seeds_that_give_no_other_model_are_refused(
    seeds: list[int], settings: dict[str, Any], said: str, params: Params
) -> None:
    """Another seed is another model, or the noise of training would be none."""
    document = msgspec.to_builtins(params)
    document["other_seeds"], document["train"]["settings"] = seeds, settings
    with pytest.raises(StageError, match=said):
        parse_params(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"estimator": "oracle"}, "there is no oracle"),
        ({"estimator": "sklearn.ensemble.RandomForrest"}, "has no attribute"),
        ({"estimator": "sklearn.base.clone"}, "is no class with fit"),
        ({"estimator": "sklearn.mixture.GaussianMixture", "settings": {}}, "needs a (class|regr)"),
        (
            {"estimator": "sklearn.ensemble.VotingClassifier", "settings": {}},
            "not made from settings alone",
        ),
        ({"settings": {"x": 1}}, "no setting x"),
    ],
)
def test_estimator_that_does_not_exist_is_named(
    changes: dict[str, Any], said: str, params: Params
) -> None:
    """A wrong estimator, or an unknown setting of one, is reported by name."""
    wrong = msgspec.structs.replace(params, train=msgspec.structs.replace(params.train, **changes))
    with pytest.raises(StageError, match=said):
        make_model(wrong, [0, 1])


def test_class_in_a_module_that_no_stage_watches_is_refused(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class of one's own stands where an edit of it makes the train stage run again."""
    monkeypatch.setattr(metrics, "Forest", RandomForestClassifier, raising=False)
    path = f"{metrics.__name__}.Forest"
    train = msgspec.structs.replace(params.train, estimator=path, settings={})
    with pytest.raises(StageError, match=r"no stage of dvc\.yaml watches"):
        make_model(msgspec.structs.replace(params, train=train), [0, 1])


@pytest.mark.parametrize(("task", "kind"), [("binary", "Classifier"), ("regression", "Regressor")])
def test_short_name_is_answered_with_the_lines_to_write(task: str, kind: str) -> None:
    """The lines that the error shows are YAML, and keep the settings of the older form."""
    old = {
        "estimator": "random_forest",
        "decision_boundary": 0.4,
        "ridge": {"alpha": 2},
        "random_forest": {"n_estimators": 7},
    }
    document = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    with pytest.raises(StageError, match="dotted path") as caught:
        parse_params(yaml.safe_dump({**document, "task": task, "train": old}))
    shown = yaml.safe_load(str(caught.value).partition("write\n\n")[2])
    assert shown["train"] == {
        "estimator": f"sklearn.ensemble.RandomForest{kind}",
        "settings": {"n_estimators": 7},
        "decision_boundary": 0.4,
    }


@pytest.mark.parametrize(
    ("estimator", "reads_missing"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier", True),
        ("sklearn.linear_model.LogisticRegression", False),
    ],
)
def test_numbers_are_left_alone_for_who_reads_missing_ones(
    estimator: str, *, reads_missing: bool, params: Params
) -> None:
    """The class itself says whether missing numbers are filled in before it."""
    train = msgspec.structs.replace(params.train, estimator=estimator, settings={})
    model = make_model(msgspec.structs.replace(params, task="multiclass", train=train), [])
    assert (model["columns"].transformers[0][1] == "passthrough") is reads_missing
