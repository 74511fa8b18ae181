"""params.yaml → checked, frozen values. Reads one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml

from .plumbing.documents import parse_yaml
from .plumbing.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

Task = Literal["binary", "regression", "multiclass"]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]

#: Short names that older projects wrote → class for classes, class for numbers.
_SHORT_NAMES = {
    "logistic_regression": ("sklearn.linear_model.LogisticRegression", None),
    "ridge": (None, "sklearn.linear_model.Ridge"),
    "hist_gradient_boosting": (
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
    ),
    "random_forest": (
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.ensemble.RandomForestRegressor",
    ),
}


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of params.yaml; a key that is not listed is a mistake."""


class Data(_Section, frozen=True):
    """Which column is what."""

    target: str
    positive: str | int | float | bool | None = None
    id: str | None = None


class Features(_Section, frozen=True):
    """What the model sees."""

    numeric: list[str] = []
    categorical: list[str] = []
    min_category_rows: Count = 10

    @property
    def names(self) -> list[str]:
        """All feature columns, numeric first."""
        return [*self.numeric, *self.categorical]


class Split(_Section, frozen=True):
    """How the test rows are chosen."""

    method: Literal["time", "hash", "group"]
    test_fraction: Fraction
    column: str | None = None
    seed: Seed = 0


class Train(_Section, frozen=True):
    """The dotted path of the estimator's class, and its settings."""

    estimator: str
    settings: dict[str, Any] = {}
    decision_boundary: Fraction | None = None


class Evaluate(_Section, frozen=True):
    """What else is written beside the metrics."""

    slices: list[str] = []
    cluster: str | None = None
    golden: Literal["synthetic", "real"] = "synthetic"


class Explain(_Section, frozen=True):
    """How permutation importance is measured."""

    repeats: Count = 3
    max_rows: Count = 2000


class Compute(_Section, frozen=True):
    """Where many tasks of one kind run: in the stage itself, or on a cluster."""

    backend: Literal["local", "dask", "ray"] = "local"
    address: str | None = None


class Params(_Section, frozen=True):
    """The whole of params.yaml."""

    task: Task
    seed: Seed
    data: Data
    features: Features
    split: Split
    train: Train
    evaluate: Evaluate
    explain: Explain
    other_seeds: list[Seed] = []
    compute: Compute = Compute()


def read_params(path: Path) -> Params:
    """Return the parameters in ``path``; raise :class:`StageError` naming the wrong key."""
    try:
        return parse_params(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run in the project's root folder") from None
    except StageError as error:
        raise StageError(f"{path}: {error}") from None


def parse_params(text: str) -> Params:
    """Return checked parameters.

    Raises :class:`StageError` on YAML that can't be read, and as :func:`check_params`.
    """
    return check_params(parse_yaml(text))


def check_params(content: object) -> Params:
    """Return the parameters that a document holds.

    Raises :class:`StageError` on an unknown or missing key, a value of the wrong type, or
    settings that contradict each other.
    """
    try:
        refuse_short_names(content)
        params = msgspec.convert(content, Params)
    except msgspec.ValidationError as error:
        raise StageError(str(error)) from None
    mistakes = find_contradictions(params)
    if mistakes:
        raise StageError("; ".join(mistakes))
    return params


def refuse_short_names(content: object) -> None:
    """Raise :class:`StageError` with the lines to write where an estimator has no dotted path."""
    train = content.get("train") if isinstance(content, dict) else None
    if not isinstance(train, dict):
        return
    short = train.get("estimator")
    blocks = sorted(train.keys() & _SHORT_NAMES.keys())
    if short in _SHORT_NAMES:
        regression = isinstance(content, dict) and content.get("task") == "regression"
        path = _SHORT_NAMES[str(short)][int(regression)] or "the dotted path of another class"
        new = {
            "estimator": path,
            "settings": train.get(short) or {},
            "decision_boundary": train.get("decision_boundary"),
        }
        text = yaml.safe_dump({"train": new}, sort_keys=False, default_flow_style=None, width=1000)
        raise StageError(
            f"train.estimator: {short} is now named by the dotted path of its class; in place of "
            f"the whole block `train:` write\n\n{text}"
        )
    if blocks:
        raise StageError(
            f"train.{blocks[0]}: the settings of the estimator stand in `settings:` of `train:`; "
            f"remove {', '.join(blocks)}"
        )


def find_contradictions(params: Params) -> list[str]:
    """Return what no single value shows to be wrong, one sentence each."""
    data, features, split = params.data, params.features, params.split
    binary = params.task == "binary"
    seeds = [params.seed, *params.other_seeds]
    repeated = sorted({name for name in features.names if features.names.count(name) > 1})
    checks = [
        (not features.names, "features: name at least one column"),
        (bool(repeated), f"features: {', '.join(repeated)} is listed twice"),
        (data.target in features.names, f"features: {data.target} is the target"),
        (data.id in features.names, f"features: {data.id} is the id"),
        (binary and data.positive is None, "data.positive: say which value counts as positive"),
        (len(set(seeds)) < len(seeds), "other_seeds: each is another one, and none is `seed`"),
        (
            bool(params.other_seeds) and "random_state" in params.train.settings,
            "other_seeds: `random_state` in train.settings gives every seed the same model",
        ),
        (
            params.compute.backend == "local" and params.compute.address is not None,
            "compute.address: local has none; choose dask or ray as compute.backend",
        ),
        (split.method != "hash" and not split.column, f"split.column: {split.method} needs one"),
        (
            binary != (params.train.decision_boundary is not None),
            "train.decision_boundary: a probability for task binary, null for the others",
        ),
    ]
    return [message for wrong, message in checks if wrong]
