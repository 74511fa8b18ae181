"""What stands before KServe's application: who may ask, at which address, and how much.

The model is asked here, so that a request is read once, in one way, and every refusal is a
sentence; health, metrics and the list of models are KServe's. Every answer says which model
gave it, in the header `Model-Sha256`.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from .protocol import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

#: What KServe answers; every other path of its application is 404.
PASSED_ON = re.compile(
    r"/|/metrics|/v1/models(/[^/:]+)?|/v2(/health/(live|ready)|/models)?"
    r"|/v2/models/[^/]+/ready"
)
#: Never asks for a token: whoever starts and stops servers must see their health.
OPEN = re.compile(r"/v2/health/(live|ready)|/v2/models/[^/]+/ready")

#: Bytes of a request; a hundred thousand rows of the bundled tables are smaller.
MAX_BYTES = 20_000_000

#: Where a request's state says when all of it had arrived, by the clock of `time.perf_counter`.
ARRIVED = "arrived"

_JSON = (b"content-type", b"application/json")
_log = logging.getLogger("serve")

#: Body of a request → body of the answer.
Answer = Callable[[bytes], "Awaitable[bytes]"]
#: Told of every answer that is given here: path, status, seconds since the request had arrived.
Observe = Callable[[str, int, float], None]


class RefusedError(Exception):
    """A refusal with its status, and headers of its own."""

    def __init__(
        self, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class Front:
    """An ASGI application: ours at ``routes`` (method and path), ``behind`` for the rest.

    ``headers`` go with every answer. ``tokens`` are those that may ask; none: anybody may.
    ``observe`` is told of what is answered here.
    """

    def __init__(
        self,
        behind: Any,  # noqa: ANN401 - an ASGI application
        routes: Mapping[tuple[str, str], Answer],
        headers: Mapping[str, str],
        tokens: Sequence[bytes] = (),
        observe: Observe | None = None,
    ) -> None:
        self._behind = behind
        self._observe = observe
        self._routes = routes
        self._headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
        self._tokens = tokens

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer a request."""
        if scope["type"] != "http":
            await self._behind(scope, receive, send)
            return

        async def send_signed(message: Any) -> None:  # noqa: ANN401 - ASGI
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        status, start = 200, time.perf_counter()
        try:
            self._check_token(scope)
            route = self._routes.get((scope["method"], scope["path"]))
            if route is not None:
                body = await _read_body(scope, receive)
                # A slow sender makes no slow answer, and one that had to wait its turn does.
                start = scope.get("state", {}).get(ARRIVED, time.perf_counter())
                await _respond(send_signed, status, await route(body))
            elif PASSED_ON.fullmatch(scope["path"]):
                await self._behind(scope, receive, send_signed)
                return
            else:
                self._refuse_path(scope)
        except RefusedError as refusal:
            status, body = refusal.status, msgspec.json.encode({"error": str(refusal)})
            await _respond(send_signed, status, body, refusal.headers)
        if self._observe is not None:
            self._observe(scope["path"], status, time.perf_counter() - start)

    def _check_token(self, scope: Any) -> None:  # noqa: ANN401 - ASGI
        if not self._tokens or OPEN.fullmatch(scope["path"]):
            return
        sent = next((text for name, text in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = sent.partition(b" ")
        # Every token is compared in full: how long it takes says nothing of any.
        matches = [hmac.compare_digest(token.strip(), valid) for valid in self._tokens]
        if kind.lower() != b"bearer" or not any(matches):
            reason = "a token is needed: send `Authorization: Bearer <token>`"
            raise RefusedError(401, reason, [(b"www-authenticate", b"Bearer")])

    def _refuse_path(self, scope: Any) -> None:  # noqa: ANN401 - ASGI
        methods = sorted(method for method, path in self._routes if path == scope["path"])
        if methods:
            allowed = ", ".join(methods)
            reason = f"{scope['method']} is not answered here; {allowed} is"
            raise RefusedError(405, reason, [(b"allow", allowed.encode())])
        raise RefusedError(404, "nothing is served here")


async def _read_body(scope: Any, receive: Any) -> bytes:  # noqa: ANN401 - ASGI
    length = next((text for name, text in scope["headers"] if name == b"content-length"), b"0")
    parts, size = [], int(length) if length.isdigit() else 0
    too_large = RefusedError(413, f"the request is larger than {MAX_BYTES} bytes; send fewer rows")
    if size > MAX_BYTES:
        raise too_large
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the request ended early")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return b"".join(parts)


async def _respond(
    send: Any,  # noqa: ANN401 - ASGI
    status: int,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    head = [_JSON, (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def guard(answer: Answer) -> Answer:
    """Return an answer that refuses with 400 what is wrong, and hides what we broke ourselves."""

    async def answer_or_refuse(body: bytes) -> bytes:
        try:
            return await answer(body)
        except RefusedError:
            raise
        except BadRequestError as error:
            raise RefusedError(400, str(error)) from error
        except Exception as error:
            _log.exception("a request could not be answered")
            raise RefusedError(500, "the server failed; its log says why") from error

    return answer_or_refuse
