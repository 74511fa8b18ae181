"""What the posting tests share: a forge over HTTP, clients whose every exchange is checked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from github_api import CheckedSession

from mlgitops.github.client import GitHubClient
from mlgitops.github.comment import CommentPoster
from mlgitops.github.marker import Marker, render_marker
from mlgitops.rehearsal.forge import Comment, Forge, Pull, Server, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from mlgitops.rehearsal.forge import Fault

REPOSITORY = "octo/model"
BASE, HEAD, NEWER = "b" * 40, "a" * 40, "c" * 40
BOT = "github-actions[bot]"
TOKEN = "test-token-of-the-forge"  # noqa: S105 - opens nothing


def make_forge(
    *,
    comments: int = 0,
    login: str = BOT,
    checks: bool = True,
    fault: Callable[[str, str], Fault | None] | None = None,
) -> Forge:
    """Make a forge with one open pull request and ``comments`` of other people."""
    pull = Pull(number=1, base=("main", BASE), head=("more-trees", HEAD), title="More trees")
    others = [Comment(number, 1, "octocat", "nice") for number in range(1, comments + 1)]
    state = State(repository=REPOSITORY, pulls={1: pull}, comments=others)
    return Forge(state, login=login, checks=checks, fault=fault)


def make_pull_forge(branch: str) -> Forge:
    """Make a forge without pull requests, to which ``branch`` was pushed."""
    tips = {"main": BASE, "lax": BASE, branch: HEAD}
    return Forge(State(repository=REPOSITORY), login=BOT, find_head=tips.get)


def make_body(run: int = 1, text: str = "verdict", *, key: str = "model", sha: str = HEAD) -> str:
    """Make a comment's text, with its marker."""
    return f"{render_marker(Marker(key=key, sha=sha, run=(run, 1)))}\n{text} {run}"


class Clock:
    """Time that passes only when someone sleeps; remembers every sleep, in seconds."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.slept.append(seconds)

    def now(self) -> float:
        """Return seconds since some start."""
        return 1_000_000 + sum(self.slept)


@contextmanager
def connect(forge: Forge, clock: Clock | None = None) -> Iterator[GitHubClient]:
    """Serve ``forge`` and hand out a client of it."""
    clock = clock or Clock()
    with Server(forge) as server, CheckedSession() as session:
        yield GitHubClient(
            session,
            server.url,
            token=TOKEN,
            sleep=clock.sleep,
            now=clock.now,
            random_=lambda: 0.5,
        )


@contextmanager
def serve_in_environment(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """Serve ``forge``; the environment names it and holds a token for it, as a workflow's does."""
    with Server(forge) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", forge.state.repository)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield forge


def make_poster(client: GitHubClient) -> CommentPoster:
    """Make a poster for the forge's pull request."""
    return CommentPoster(client, repository=REPOSITORY, number=1, login=BOT)


def own_comments(forge: Forge, *, key: str = "model") -> list[Comment]:
    """Return the comments of ours with ``key``, lowest number first."""
    mark = f'"key":"{key}"'
    found = [one for one in forge.state.comments if one.login == BOT and mark in one.body]
    return sorted(found, key=lambda one: one.id)
