"""Which files of a stranger may be given to base's code: those that run nothing when loaded.

Base's code is reviewed, and so is how it loads a model; whose model it loads is not. The name
that base's dvc.yaml gives the file says how it is loaded, its content whether that is so.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from mlgitops.errors import MlgitopsError
from mlgitops.pickles import find_pickle

#: Kinds that hold data alone. skops has a loader that runs nothing but the types base trusts; the
#: others are of trees (XGBoost, LightGBM, CatBoost), networks (ONNX, safetensors) and tables.
_OF_DATA = {
    *(".skops", ".onnx", ".safetensors", ".ubj", ".cbm"),
    *(".json", ".yaml", ".yml", ".toml", ".txt", ".csv", ".tsv", ".parquet"),
    *(".jsonl", ".ndjson", ".feather", ".arrow", ".npy"),
}


def refuse_code(path: str, data: bytes) -> None:
    """Raise :class:`MlgitopsError` for a file that may run code when it is loaded."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _OF_DATA:
        raise MlgitopsError(
            f"`{path}` is of a kind that may run code when it is loaded, so the pull request's is"
            " not given to base's code (skops, ONNX and tables hold data alone)"
        )
    kind = find_pickle(data)
    if kind is not None:
        raise MlgitopsError(f"`{path}` of the pull request is {kind}, which runs code when loaded")
