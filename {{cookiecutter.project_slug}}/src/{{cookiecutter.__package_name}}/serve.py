"""The model behind HTTP: KServe's server, Open Inference Protocol version 2.

Runs in the serving environment, which has another pandas than the pipeline. Input is held
against the contract first; whatever is wrong with it is answered with 400. The model is the one
that `--sha256` names, or nothing is served.

It listens on this machine only unless `--host` says otherwise, and asks nobody who they are
unless `--token-file` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
from kserve import Model, ModelServer
from kserve.model import InferenceVerb
from kserve.model_server import app
from kserve.protocol.rest.server import RESTServer
from prometheus_client import REGISTRY

from . import MODEL_NAME
from .contract import (
    find_mistakes,
    read_quoted,
    read_schema,
    render_mistakes,
    select_columns,
    spell_booleans,
)
from .estimators import read_columns, select_features
from .plumbing import paths
from .plumbing.errors import StageError, run_stage
from .plumbing.storing import load_model, read_trusted_types
from .scoring import answer_numbers
from .serving.compiled import CompiledContract
from .serving.counters import Counters
from .serving.explaining import MOST_SCORED, Explainer
from .serving.files import read_tokens, read_verified
from .serving.front import Front, RefusedError, guard
from .serving.log import RequestLog
from .serving.observing import Observer
from .serving.protocol import (
    COLUMN,
    CONTRACT,
    SCORING,
    TOO_LARGE,
    BadRequestError,
    Rows,
    describe_tensor,
    parse_instances,
    parse_reference,
    parse_tensors,
    refuse_nested,
    render_answers,
)
from .serving.redaction import read_log_settings
from .serving.transform import Transform
from .serving.writing import WholeAnswers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sklearn.pipeline import Pipeline

    Parse = Callable[[bytes, Collection[str]], Rows]

#: What a header can say of a version.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@/-]{0,99}")


class ContractModel(Model):
    """A model that answers only rows that keep the contract."""

    def __init__(
        self,
        name: str,
        model: Pipeline,
        schema: Any,  # noqa: ANN401 - pandera has no types
        *,
        sha256: str = "",
        version: str | None = None,
    ) -> None:
        super().__init__(name)
        self.model = model
        self.sha256, self.version = sha256, version
        numeric, categorical = read_columns(model)
        self.columns = [*numeric, *categorical]
        self.schema = select_columns(schema, self.columns)
        self.compiled = CompiledContract(self.schema, numeric, categorical)
        self.transform = Transform(model, numeric, categorical)
        self.explainer: Explainer | None = None
        self.observer: Observer | None = None
        self.ready = True

    async def predict(
        self,
        payload: Rows,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002 - the same
    ) -> dict[str, Any]:
        """Return name → one value for each row; raise BadRequestError for rows that are wrong."""
        features = self.read_features(payload.columns)
        try:
            return answer_numbers(self.model["estimator"], self.transform(features))
        except (StageError, ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise BadRequestError(f"the rows can't be scored: {error}", SCORING) from error

    def explain(
        self,
        payload: Rows,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> dict[str, Any]:
        """Return the answers and the reasons for them; a thread of its own may run it."""
        if self.explainer is None:
            raise RefusedError(501, "nothing to compare with: start the server with --reference")
        features = self.read_features(payload.columns)
        scored = self.explainer.count_scored(len(next(iter(features.values()))))
        if scored > MOST_SCORED:
            limit = f"{scored} must be scored, and {MOST_SCORED} are the limit"
            problem = f"to explain these rows {limit}; send fewer rows"
            raise BadRequestError(problem, TOO_LARGE)
        return self.explainer.explain(features)

    def compare_with(self, rows: Rows) -> None:
        """Explain answers from now on, by these reference rows."""
        self.explainer = Explainer(self.model, self.transform, self.read_features(rows.columns))

    def read_features(self, columns: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        """Return name → what the model reads of rows that keep the contract.

        Rows of which the compiled contract is not sure are pandera's to judge.
        """
        if not any(columns.values()):
            raise BadRequestError("there are no rows", CONTRACT)
        features = self.compiled.read(columns)
        return self._judge(columns) if features is None else features

    def _judge(self, columns: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        for name in sorted(columns.keys() - set(self.columns)):
            problem = f"column {name} is not an input; those are: {self.columns}"
            raise BadRequestError(problem, COLUMN)
        refuse_nested(columns)
        try:
            table = spell_booleans(pd.DataFrame(columns), self.schema)
            mistakes = find_mistakes(table, self.schema)
            if not mistakes:
                features = select_features(read_quoted(table, self.schema), self.model)
                return {name: features[name].to_numpy() for name in features}
        except (StageError, ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise BadRequestError(f"the rows can't be read: {error}", CONTRACT) from error
        problem = f"the rows break the contract:\n{render_mistakes(mistakes)}"
        raise BadRequestError(problem, CONTRACT, mistakes[0].column)

    def describe(self) -> dict[str, Any]:
        """Return the model's description: what it reads and answers, and which one it is."""
        dtypes = {name: column.dtype for name, column in self.schema.columns.items()}
        inputs = [describe_tensor(name, _find_dtype(dtypes[name])) for name in self.columns]
        estimator = self.model["estimator"]
        classes = getattr(estimator, "classes_", None)
        outputs = {"prediction": np.float64 if classes is None else classes.dtype}
        if hasattr(estimator, "pos_label"):
            outputs["score"] = np.float64
        elif classes is not None:
            outputs |= {f"score_{name}": np.float64 for name in classes}
        return {
            "name": self.name,
            "versions": [self.version] if self.version else [],
            "platform": "scikit-learn",
            "inputs": inputs,
            "outputs": [describe_tensor(name, dtype) for name, dtype in outputs.items()],
            "sha256": self.sha256,
            "version": self.version,
        }

    def make_routes(self) -> dict[tuple[str, str], Any]:
        """Return method and path → what answers there."""

        async def describe(_: bytes) -> bytes:
            return msgspec.json.encode(self.describe())

        async def infer(body: bytes) -> bytes:
            return await self._answer(parse_tensors, body)

        async def predict(body: bytes) -> bytes:
            return await self._answer(parse_instances, body)

        return {
            ("GET", f"/v2/models/{self.name}"): guard(describe),
            ("POST", f"/v2/models/{self.name}/infer"): guard(infer),
            ("POST", f"/v2/models/{self.name}/explain"): guard(self._explain_request),
            ("POST", f"/v1/models/{self.name}:predict"): guard(predict),
        }

    async def _answer(self, parse: Parse, body: bytes) -> bytes:
        rows = None
        try:
            rows = parse(body, self.columns)
            answers, _ = await self(rows)  # by KServe, which counts and times it
            content = render_answers(rows, answers, self._facts if rows.version > 1 else {})
        except BadRequestError as refusal:
            if self.observer is not None:
                self.observer.note_refusal(refusal, rows)
            raise
        if self.observer is not None:
            self.observer.note_answer(rows, answers)
        return content

    async def _explain_request(self, body: bytes) -> bytes:
        rows = parse_tensors(body, self.columns)
        # Beside the server's own thread, which goes on answering: an explanation can take longer.
        answers, _ = await asyncio.to_thread(
            lambda: asyncio.run(self(rows, verb=InferenceVerb.EXPLAIN))
        )
        facts = {**self._facts, "parameters": self.explainer.describe() if self.explainer else {}}
        return render_answers(rows, answers, facts)

    def list_classes(self) -> list[str] | None:
        """Return the classes that the model answers with, None for regression."""
        classes = getattr(self.model["estimator"], "classes_", None)
        return None if classes is None else [str(name) for name in classes.tolist()]

    @property
    def _facts(self) -> dict[str, Any]:
        """What each answer of version 2 says of the model."""
        version = {"model_version": self.version} if self.version else {}
        return {"model_name": self.name, **version}


def _find_dtype(dtype: Any) -> Any:  # noqa: ANN401 - pandera's
    """Return numpy's type of a contract's column; a text, or what numpy does not know: object."""
    try:
        return np.dtype(str(dtype))
    except TypeError:
        return np.dtype(object)


def main(arguments: list[str] | None = None) -> None:
    """Serve a model until a signal ends the process."""
    options = _parse_options(arguments)
    served = read_served(options)
    tokens = read_tokens(options.token_file) if options.token_file else []
    listener = _listen(options.host, options.port)
    server = ModelServer(http_port=options.port, enable_grpc=False, workers=1)
    server.register_model(served)
    headers = {"Model-Sha256": served.sha256}
    if served.version:
        headers["Model-Version"] = served.version
    routes = served.make_routes()
    asked = [path for method, path in routes if method == "POST"]
    served.observer = make_observer(served, options, asked)
    front = Front(app, routes, headers, tokens, served.observer.note_response)
    for number in (signal.SIGINT, signal.SIGTERM):  # raised again once requests are answered
        signal.signal(number, lambda *_: sys.exit(0))
    extension = server.model_repository_extension
    rest = RESTServer(front, server.dataplane, extension, options.port)
    rest.config.http = WholeAnswers
    rest.run(sockets=[listener])  # KServe itself would listen on every interface


def read_served(options: Any) -> ContractModel:  # noqa: ANN401 - argparse
    """Return the model that the options name, and let it explain itself where it can."""
    data, digest = read_verified(options.model, options.sha256)
    model = load_model(data, read_trusted_types(options.trusted_types), name=str(options.model))
    schema = read_schema(options.contract)
    served = ContractModel(options.name, model, schema, sha256=digest, version=options.version)
    if options.reference is not None:
        set_reference(served, options.reference)
    elif paths.GOLDEN.is_file():
        try:
            set_reference(served, paths.GOLDEN)
        except StageError as error:  # nobody asked for explanations
            print(f"nothing will be explained: {error}")
    if served.compiled.slow:
        print(f"slower: pandera decides every request ({', '.join(served.compiled.slow)})")
    return served


def make_observer(
    served: ContractModel,
    options: Any,  # noqa: ANN401 - argparse
    asked: Sequence[str],  # paths that rows are sent to
) -> Observer:
    """Return what counts for Prometheus, and logs requests where the options name a folder."""
    log = None
    if options.requests is not None:
        if options.monitor != paths.MONITOR and not options.monitor.is_file():
            raise StageError(f"{options.monitor}: there is no such file, which says what is logged")
        settings = read_log_settings(options.monitor, served.columns)
        log = RequestLog(
            options.requests,
            served.sha256,
            settings,
            inputs=served.columns,
            classes=served.list_classes(),
        )
    counters = Counters(served.sha256, served.list_classes(), log)
    REGISTRY.register(counters)  # KServe shows it at /metrics
    names = {path: re.split("[/:]", path)[-1] for path in asked}
    golden = read_golden_columns(served.columns)
    return Observer(counters, log, inputs=served.columns, routes=names, golden=golden)


def read_golden_columns(inputs: Collection[str]) -> dict[str, list[Any]] | None:
    """Return the rows that whoever deploys asks for, None where there are none."""
    try:
        return parse_reference(paths.GOLDEN.read_bytes(), inputs).columns
    except (OSError, BadRequestError):
        return None


def set_reference(served: ContractModel, path: Path) -> None:
    """Let a model explain its answers by the rows in a file, which must keep the contract."""
    try:
        served.compare_with(parse_reference(path.read_bytes(), served.columns))
    except (OSError, BadRequestError) as error:
        raise StageError(f"{path}: these are no reference rows: {error}") from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --port"
        ) from error


def _parse_options(arguments: list[str] | None) -> Any:  # noqa: ANN401 - argparse
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.serve",
        description="Serve a model over HTTP (Open Inference Protocol, version 2).",
    )
    parser.add_argument("--model", type=Path, default=paths.MODEL)
    parser.add_argument(
        "--sha256", type=_parse_sha256, help="serve only the model whose file has this sha256"
    )
    parser.add_argument(
        "--version", type=_parse_version, help="version of the model, said in its description"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0, as in a container, lets everybody ask who gets there",
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--name", default=MODEL_NAME, help="name of the model in the address")
    parser.add_argument("--contract", type=Path, default=paths.CONTRACT)
    parser.add_argument("--trusted-types", type=Path, default=paths.TRUSTED_TYPES)
    parser.add_argument(
        "--reference",
        type=Path,
        help="rows to compare with in explanations: a request, or a golden prediction "
        f"(default: {paths.GOLDEN}, where it is there)",
    )
    parser.add_argument(
        "--requests",
        type=Path,
        metavar="DIR",
        help="log each row that is answered, and each refusal, in this folder",
    )
    parser.add_argument(
        "--monitor",
        type=Path,
        default=paths.MONITOR,
        help="what is logged of a row, in the block `requests` (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        help="answer only who sends one of the tokens in this file, one a line",
    )
    return parser.parse_args(arguments)


def _parse_sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r:.80} is no sha256: 64 of 0 to 9, a to f")
    return text


def _parse_version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r:.120} is no version, such as v1.2.0")
    return text


if __name__ == "__main__":
    run_stage(main)
