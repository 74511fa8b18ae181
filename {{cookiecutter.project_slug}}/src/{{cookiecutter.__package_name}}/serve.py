"""The model behind HTTP: KServe's server, Open Inference Protocol version 2.

Runs in the serving environment, which has another pandas than the pipeline. Input is held
against the contract first; whatever is wrong with it is answered with 400. An exception that
left `predict` would break the client's connection, so none does.

It asks nobody who they are, so it listens on this machine only unless `--host` says otherwise,
and it answers at ANSWERED only: KServe's own routes to load and unload a model are not served.
"""

from __future__ import annotations

import argparse
import re
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kserve import InferRequest, Model, ModelServer
from kserve.constants.constants import FASTAPI_APP_IMPORT_STRING
from kserve.errors import InvalidInput
from kserve.model_server import app
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import get_predict_response
from starlette.responses import JSONResponse

from . import MODEL_NAME
from .contract import (
    find_mistakes,
    read_schema,
    render_mistakes,
    select_columns,
    spell_booleans,
)
from .plumbing import paths
from .plumbing.errors import StageError, run_stage
from .plumbing.storing import read_model, read_trusted_types
from .scoring import predict

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

#: The paths that are answered; everything else is 404, whatever KServe has there.
ANSWERED = re.compile(
    r"/|/metrics|/v1/models|/v1/models/[^/]+"
    r"|/v2|/v2/health/(live|ready)|/v2/models|/v2/models/[^/]+(/versions/[^/]+)?(/ready|/infer)?"
)


class ContractModel(Model):
    """A model that answers only rows that keep the contract."""

    def __init__(self, name: str, model: Pipeline, schema: Any) -> None:  # noqa: ANN401 - untyped
        super().__init__(name)
        self.model = model
        self.columns = list(model.feature_names_in_)
        self.schema = select_columns(schema, self.columns)
        self.load()

    def load(self) -> bool:
        """Say that the model is ready: it was loaded before the server started."""
        self.ready = True
        return True

    def predict(
        self,
        payload: InferRequest | dict[str, Any],
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002 - the same
    ) -> Any:  # noqa: ANN401 - KServe's response
        """Return prediction and scores for each row; raise InvalidInput on anything else."""
        try:
            table = spell_booleans(read_payload(payload), self.schema)
            self._check(table)
            answer = predict(self.model, table)
        except InvalidInput:
            raise
        except (StageError, ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise InvalidInput(f"the rows can't be scored: {error}") from error
        if isinstance(payload, dict):  # KServe's own form of it makes every number a float
            return {"predictions": answer.to_dict("records")}
        return get_predict_response(payload, answer, self.name)

    def _check(self, table: pd.DataFrame) -> None:
        if table.empty:
            raise InvalidInput("there are no rows")
        for name in table.columns.difference(self.columns):
            raise InvalidInput(f"column {name} is not an input; those are: {self.columns}")
        mistakes = find_mistakes(table, self.schema)
        if mistakes:
            raise InvalidInput(f"the rows break the contract:\n{render_mistakes(mistakes)}")


def read_payload(payload: InferRequest | dict[str, Any]) -> pd.DataFrame:
    """Return the rows of a request: version 2 tensors, one a column, or version 1 instances."""
    if isinstance(payload, InferRequest):
        lengths = {len(tensor.data) for tensor in payload.inputs if tensor.data is not None}
        if len(lengths) != 1:
            raise InvalidInput(f"the columns have different numbers of rows: {sorted(lengths)}")
        names = [tensor.name for tensor in payload.inputs]
        if len(set(names)) != len(names):
            raise InvalidInput("a column is given twice")
        return payload.as_dataframe()
    instances = payload.get("instances")
    if not isinstance(instances, list) or not all(isinstance(row, dict) for row in instances):
        raise InvalidInput("`instances` must be a list of rows, each column name → value")
    return pd.DataFrame(instances)


class AnsweredOnly:
    """What stands before KServe's application and lets no other path through."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - an ASGI application
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Hand a request on, or answer it with 404."""
        if scope["type"] == "lifespan" or ANSWERED.fullmatch(scope.get("path", "")):
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"error": "nothing is served here"}, 404)(scope, receive, send)


def main(arguments: list[str] | None = None) -> None:
    """Serve a model until a signal ends the process."""
    options = _parse_options(arguments)
    model = read_model(options.model, read_trusted_types(options.trusted_types))
    served = ContractModel(options.name, model, read_schema(options.contract))
    listener = _listen(options.host, options.port)
    server = ModelServer(http_port=options.port, enable_grpc=False, workers=1)
    server.register_model(served)
    app.add_middleware(AnsweredOnly)
    for number in (signal.SIGINT, signal.SIGTERM):  # raised again once requests are answered
        signal.signal(number, lambda *_: sys.exit(0))
    extension = server.model_repository_extension
    rest = RESTServer(FASTAPI_APP_IMPORT_STRING, server.dataplane, extension, options.port)
    rest.run(sockets=[listener])  # KServe itself would listen on every interface


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
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0, as in a container, lets everybody ask who gets there",
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--name", default=MODEL_NAME, help="name of the model in the address")
    parser.add_argument("--contract", type=Path, default=paths.CONTRACT)
    parser.add_argument("--trusted-types", type=Path, default=paths.TRUSTED_TYPES)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_stage(main)
