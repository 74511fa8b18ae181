"""Parameters → metrics on folds of the training rows. `mlgitops tune` asks, this answers.

    python -m PACKAGE.folds --count 5

prints the folds, and then answers each line of its input, an object of paths in params.yaml and
values such as {"train.settings.C": 0.1}, with one line: the metrics of each fold, or why there are
none. All that it opens of the data is data/split/train.{{ cookiecutter._data_format }}: the test rows play no part.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .contract import find_text_columns, read_columns
from .metrics import measure
from .params import check_params
from .plumbing import paths
from .plumbing.compute import run_tasks
from .plumbing.documents import read_yaml, round_floats
from .plumbing.errors import ClusterError, StageError, run_stage
from .plumbing.tables import read_table, read_text_parts
from .scoring import score_table
from .split import find_key, find_keys, hash_key, parse_moments
from .train import fit_model

if TYPE_CHECKING:
    from typing import TextIO

    from numpy.typing import NDArray

    from .params import Params

#: What may be tried. The others say what is asked and of which rows: no answer to that is better.
TUNED = ("features", "train")


class Fold(NamedTuple):
    """Which of the training rows a model learns from, and which it is asked about."""

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def main(count: int, output: TextIO) -> None:
    """Answer line by line, until there are no more."""
    content = read_yaml(paths.PARAMS)
    params = check_params(content)
    cells = pd.concat(read_text_parts(paths.TRAIN, [find_key(params)]))
    folds = cut_folds(cells, params, count)
    table = read_table(paths.TRAIN, find_text_columns(read_columns(paths.CONTRACT)))
    _check_folds(table, params, folds)
    sizes = [{"train": int(fold.train.sum()), "test": int(fold.test.sum())} for fold in folds]
    _write_line({"folds": sizes}, output)
    for line in sys.stdin:
        _write_line(answer(json.loads(line), content, table, folds), output)


def answer(
    values: dict[str, Any], content: dict[str, Any], table: pd.DataFrame, folds: list[Fold]
) -> dict[str, Any]:
    """Return the metrics of each fold with these values in params.yaml, or what is wrong.

    What keeps the cluster from answering is no fault of the values, and stops the search.
    """
    try:
        params = check_params(set_values(content, values))
        # Plain tuples: a node knows no class of the module that is `__main__` here.
        parts = [(fold.train, fold.test) for fold in folds]
        return {"metrics": run_tasks(score_fold, parts, params.compute, shared=(table, params))}
    except ClusterError as error:
        return {"stopped": str(error)}
    except StageError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - a library may refuse a value in any way
        return {"error": f"{type(error).__name__}: {error}"}


def score_fold(
    parts: tuple[NDArray[np.bool_], NDArray[np.bool_]], table: pd.DataFrame, params: Params
) -> dict[str, float]:
    """Return the metrics, on the one part of a fold, of a model that learned from the other."""
    train, test = parts
    model = fit_model(table[train], params)
    return measure(score_table(model, table[test], params), params.task)


def set_values(content: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return params.yaml with other values at some paths, which must be there."""
    edited = copy.deepcopy(content)
    for path, value in values.items():
        *blocks, key = path.split(".")
        block: Any = edited
        for name in blocks:
            block = block.get(name) if isinstance(block, dict) else None
        if not isinstance(block, dict) or key not in block:
            raise StageError(f"{path}: params.yaml has no such key; write it there first")
        if blocks[:1] not in [[name] for name in TUNED]:
            raise StageError(f"{path}: only what stands below {' and '.join(TUNED)} is tried")
        block[key] = value
    return edited


def cut_folds(table: pd.DataFrame, params: Params, count: int) -> list[Fold]:
    """Cut training rows, whose cells are texts, as the split stage cut the test rows off.

    By time each fold is asked about rows later than all that it learned from; else a group, or
    rows of equal content, stay together. Raises :class:`StageError` when a part would be empty.
    """
    cells = table[find_key(params)]
    if params.split.method == "time":
        folds = cut_by_time(parse_moments(cells), count)
    else:
        folds = cut_by_key(list(find_keys(cells, params)), count, params.split.seed)
    if any(not fold.train.any() or not fold.test.any() for fold in folds):
        raise StageError(f"the training rows give no {count} folds; ask for fewer in tune.yaml")
    return folds


def cut_by_time(times: NDArray[np.float64], count: int) -> list[Fold]:
    """Cut ``count`` + 1 parts that follow each other: each but the first is asked about once.

    A model of it learned from all parts before. No moment is divided.
    """
    order = np.sort(times)
    borders = [order[len(order) * part // (count + 1)] for part in range(1, count + 1)]
    ends = [*borders[1:], np.inf]
    return [
        Fold(times < begin, (times >= begin) & (times < end))
        for begin, end in zip(borders, ends, strict=True)
    ]


def cut_by_key(keys: list[Any], count: int, seed: int) -> list[Fold]:
    """Cut ``count`` parts by the hash of a key: each is asked about once, all others teach.

    The hash is another one than that of the split, which left only some of its values here.
    """
    parts = np.array([hash_key(f"folds:{seed}:{key}") * count >> 64 for key in keys])
    return [Fold(parts != part, parts == part) for part in range(count)]


def _check_folds(table: pd.DataFrame, params: Params, folds: list[Fold]) -> None:
    """Refuse a fold that is asked about a class which it never saw, or about one class only."""
    if params.task == "regression":
        return
    target = table[params.data.target]
    for number, fold in enumerate(folds, start=1):
        classes = set(target[fold.test])
        if len(classes) < 2 or not classes <= set(target[fold.train]):  # noqa: PLR2004
            raise StageError(
                f"fold {number} holds one class only, or one that it cannot learn; "
                "ask for fewer folds in tune.yaml"
            )


def _write_line(document: dict[str, Any], output: TextIO) -> None:
    output.write(json.dumps(round_floats(document)) + "\n")
    output.flush()


def take_output() -> TextIO:
    """Return what was standard output; whatever a library prints goes to standard error now."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def parse_count(arguments: list[str] | None = None) -> int:
    """Return how many folds the command line asks for."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.folds", description=__doc__)
    parser.add_argument("--count", type=int, required=True, metavar="N", help="of the folds")
    count: int = parser.parse_args(arguments).count
    return count


if __name__ == "__main__":
    run_stage(partial(main, parse_count(), take_output()))
