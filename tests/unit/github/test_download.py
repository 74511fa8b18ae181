"""Downloads of artifacts: to the address that GitHub signs, encrypted, within a limit, no token."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import requests

from mlgitops.github.client import MAX_TRIES, GitHubClient, GitHubError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGES = "/repos/octo/model/pulls"
ARTIFACT = "/repos/octo/model/actions/artifacts/1/zip"
CONTENT = b"an archive"


class Server:
    """An API whose artifact leads to ``location``, and a store that answers with ``answer``."""

    def __init__(self) -> None:
        self.location = "/store"
        self.pages = "{path}"  # address of the next one; `{count}` is how many were seen
        self.answer: tuple[int, dict[str, str]] = (200, {})
        self.seen: list[tuple[str, str | None]] = []  # path, and the token that was shown

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.seen.append((handler.path, handler.headers["authorization"]))
        signed = handler.path == "/store"
        status, headers = self.answer if signed else (302, {"location": self.location})
        body = CONTENT if signed and status == 200 else b""
        if handler.path.startswith(PAGES):
            following = self.pages.format(path=handler.path, count=len(self.seen))
            url = self.location.removesuffix("/store") + following
            status, headers, body = 200, {"link": f'<{url}>; rel="next"'}, b"[]"
        handler.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def server() -> Server:
    """Make the server's answers."""
    return Server()


@pytest.fixture
def download(client: GitHubClient) -> Callable[..., bytes]:
    """Return what fetches the artifact."""
    return lambda limit=100: client.download(ARTIFACT, limit=limit)


@pytest.fixture
def client(server: Server) -> Iterator[GitHubClient]:
    """Serve; return a client that never waits."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            server.reply(self)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener, requests.Session() as session:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{listener.server_port}"
        if server.location.startswith("/"):
            server.location = url + server.location
        yield GitHubClient(session, url, token="the-token", sleep=lambda _: None)  # noqa: S106
        listener.shutdown()
        thread.join()


def test_the_token_is_not_shown_to_the_store(
    server: Server, download: Callable[..., bytes]
) -> None:
    """GitHub signs the address; our token stays with GitHub."""
    assert download() == CONTENT
    assert server.seen == [(ARTIFACT, "Bearer the-token"), ("/store", None)]


@pytest.mark.parametrize(
    "location", ["http://elsewhere.example/store", "http://127.0.0.1:9/store", "ftp://127.0.0.1/x"]
)
def test_an_address_that_is_not_encrypted_is_not_followed(
    server: Server, download: Callable[..., bytes], location: str
) -> None:
    """But for a server that is asked without encryption itself, at the very same address."""
    server.location = location
    with pytest.raises(GitHubError, match="the download is not encrypted; not followed"):
        download()
    assert [path for path, _ in server.seen] == [ARTIFACT]


def test_a_download_over_the_limit_is_refused(download: Callable[..., bytes]) -> None:
    """Whatever length the server declares, bytes are counted as they come."""
    assert download(limit=len(CONTENT)) == CONTENT
    with pytest.raises(GitHubError, match="the download has over 9 bytes"):
        download(limit=len(CONTENT) - 1)


@pytest.mark.parametrize(
    "answer", [(302, {"location": "http://elsewhere.example/"}), (404, {}), (500, {})]
)
def test_a_store_that_does_not_answer_is_asked_again_and_then_an_error(
    server: Server, download: Callable[..., bytes], answer: tuple[int, dict[str, str]]
) -> None:
    """A second redirect is not followed, and an error page is never taken for the artifact."""
    server.answer = answer
    with pytest.raises(GitHubError, match=f"no answer: {answer[0]} for the download"):
        download()
    assert len(server.seen) == 2 * MAX_TRIES


@pytest.mark.parametrize("pages", ["{path}", PAGES + "?page={count}"], ids=["circle", "endless"])
def test_a_list_without_end_is_an_error(
    server: Server, client: GitHubClient, monkeypatch: pytest.MonkeyPatch, pages: str
) -> None:
    """A page that was read already, and a number of pages that no list has."""
    monkeypatch.setattr("mlgitops.github.client.MAX_PAGES", 5)
    server.pages = pages
    with pytest.raises(GitHubError, match="the list of pages does not end"):
        list(islice(client.fetch_pages(PAGES), 20))
    assert len(server.seen) <= 5
