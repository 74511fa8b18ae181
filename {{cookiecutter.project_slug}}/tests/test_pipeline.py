from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

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
    module = body["cmd"].split()[-1].removeprefix(f"{SOURCE.name}.")
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
    ("changes", "said"),
    [({"estimator": "oracle"}, "'oracle' can't do"), ({"random_forest": {"x": 1}}, "no setting x")],
)
def test_estimator_that_does_not_exist_is_named(
    changes: dict[str, Any], said: str, params: Params
) -> None:
    """An unknown estimator, or an unknown setting of one, is reported by name."""
    settings = {"estimator": "random_forest", **changes}
    wrong = msgspec.structs.replace(params, train=msgspec.structs.replace(params.train, **settings))
    with pytest.raises(StageError, match=said):
        make_model(wrong, [0, 1])
