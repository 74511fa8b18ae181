"""Many runs, many faults: at the end one comment stands, and it shows the newest report.

The same for the issue and the pull request that delivery opens. Each seed is one story: one to
three runs post at the same time, over HTTP,
to one forge that fails as the seed says; some runs are killed between two requests. Time is
simulated: one run moves at a time, the one whose clock is furthest behind, and every request
takes its share of a tenth of a second. So the same seed is always the same story.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
from posting import BOT, REPOSITORY, make_body, make_forge, make_pull_forge, own_comments

from mlgitops.errors import MlgitopsError
from mlgitops.github.client import GitHubClient
from mlgitops.github.comment import CommentPoster, Outcome
from mlgitops.github.issues import keep_issue
from mlgitops.github.pull_requests import open_pull_request
from mlgitops.rehearsal.forge import Comment, Fault, Forge, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds that one request takes, there and back.
LONGEST_REQUEST = 0.1
FAULTS = (
    Fault(),
    Fault(after=True),
    Fault(cut=True),
    Fault(status=500),
    Fault(status=502, after=True),
    Fault(status=503),
    Fault(status=504, after=True),
    Fault(status=429, headers={"retry-after": "1"}),
    Fault(status=403, message="secondary rate limit", headers={"retry-after": "2"}),
)
#: Refusals that waiting does not change: the run ends with an error.
HARD_FAULTS = (
    Fault(status=403, message="Resource not accessible by integration"),
    Fault(status=404),
    Fault(status=409),
    Fault(status=422),
)


class Killed(BaseException):
    """The run's machine is gone."""


class World:
    """Simulated time for several threads, of which one moves at a time."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._wake: dict[int, float] = {}
        self._expected = 0

    def start(self, runs: list[Callable[[], None]]) -> None:
        """Run all of ``runs`` to their end."""
        self._expected = len(runs)
        threads = [
            threading.Thread(target=self._live, args=(number, run))
            for number, run in enumerate(runs)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def sleep(self, number: int, seconds: float) -> None:
        """Let time pass for one thread, then wait until it is the one furthest behind."""
        with self._condition:
            self._wake[number] += seconds
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_next(number))

    def _live(self, number: int, run: Callable[[], None]) -> None:
        with self._condition:
            self._wake[number] = number / 1000
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_next(number))
        try:
            run()
        finally:
            with self._condition:
                self._wake[number] = float("inf")
                self._condition.notify_all()

    def _is_next(self, number: int) -> bool:
        if len(self._wake) < self._expected:
            return False
        return min(self._wake, key=lambda one: (self._wake[one], one)) == number


class Session(requests.Session):
    """A session in simulated time, whose process may be killed before or after a request."""

    def __init__(self, world: World, number: int, dice: random.Random, kill_at: int) -> None:
        super().__init__()
        self.trust_env = False
        self._world, self._number, self._dice = world, number, dice
        self._left, self._before = kill_at, dice.random() < 0.5

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401
        """Travel, be carried out, travel back."""
        self._left -= 1
        half = LONGEST_REQUEST / 2 * self._dice.random()
        self._world.sleep(self._number, half)
        if self._left == 0 and self._before:
            raise Killed
        try:
            return super().send(request, **options)
        finally:
            self._world.sleep(self._number, half)
            if self._left == 0:
                raise Killed


def run_all(
    url: str, jobs: Sequence[Callable[[GitHubClient], str]], dice: random.Random, kill: int
) -> list[str]:
    """Let one run for each job post; return how each ended."""
    world = World()
    ends = [""] * len(jobs)

    def make(number: int) -> Callable[[], None]:
        own = random.Random(dice.random())  # noqa: S311 - a story, not a secret
        kill_at = own.randint(1, 8) if number < kill else 0

        def run() -> None:
            with Session(world, number, own, kill_at) as session:
                client = GitHubClient(
                    session,
                    url,
                    sleep=lambda seconds: world.sleep(number, seconds),
                    random_=own.random,
                )
                try:
                    ends[number] = jobs[number](client)
                except MlgitopsError:
                    ends[number] = "error"
                except Killed:
                    ends[number] = "killed"

        return run

    world.start([make(number) for number in range(len(jobs))])
    return ends


def post_all(url: str, bodies: list[str], dice: random.Random, kill: int) -> list[str]:
    """Let one run for each body post the comment; return how each ended."""

    def make(body: str) -> Callable[[GitHubClient], str]:
        def post(client: GitHubClient) -> str:
            poster = CommentPoster(client, repository=REPOSITORY, number=1, login=BOT)
            return poster.post(body).outcome.value

        return post

    return run_all(url, [make(body) for body in bodies], dice, kill)


def tell(seed: int) -> tuple[Forge, list[str], list[str]]:
    """Tell one story; return the forge, what was to be posted, and how each run ended."""
    dice = random.Random(seed)  # noqa: S311
    forge = make_forge(comments=dice.choice((0, 0, 99, 130)))
    if dice.random() < 0.5:
        forge.state.comments.insert(0, Comment(1000, 1, BOT, make_body(1)))
    chance = dice.choice((0, 0.1, 0.3))
    faults = (*FAULTS, *(HARD_FAULTS if seed % 4 == 0 else ()))
    forge.fault = lambda _method, _path: dice.choice(faults) if dice.random() < chance else None
    numbers = dice.sample(range(2, 9), k=dice.randint(1, 3))
    bodies = [make_body(number) for number in numbers]
    kill = dice.randint(0, len(bodies)) if seed % 3 == 0 else 0
    with Server(forge) as server:
        ends = post_all(server.url, bodies, dice, kill)
        stands = [one.body for one in own_comments(forge)]
        forge.fault = lambda _method, _path: None
        if not {"error", "killed"} & set(ends):
            assert stands == [max(bodies, key=bodies_run)], (seed, ends)
        last = make_body(99)
        again = post_all(server.url, [last], dice, 0)
        assert again[0] in (Outcome.CREATED, Outcome.UPDATED), (seed, again)
    return forge, [last], ends


def bodies_run(body: str) -> int:
    """Return the run that wrote ``body``."""
    return int(body.rpartition(" ")[2])


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 60, 120, 180])
def test_whatever_fails_one_current_comment_stands_at_the_end(
    start: int, record_property: Callable[[str, object], None]
) -> None:
    """Runs without error agree on the newest report; after trouble, the next run mends all."""
    ends: list[str] = []
    told = 0
    for seed in range(start, start + 60):
        forge, expected, how = tell(seed)
        ends += how
        assert [one.body for one in own_comments(forge)] == expected, seed
        others = [one for one in forge.state.comments if one.login != BOT]
        assert len(others) in (0, 99, 130), seed
        told += 1
    record_property("cases", told)
    assert {"created", "updated", "error", "killed"} <= set(ends)
    assert "superseded" in ends


BRANCH = "rollback/production/v1.0.0"


def propose(client: GitHubClient) -> str:
    """Open the pull request that takes a change back, and the issue that says why."""
    issue = keep_issue(
        client, REPOSITORY, marker="x", title="Returned", body="Why", open_=True, login=BOT
    )
    pull = open_pull_request(
        client, REPOSITORY, branch=BRANCH, base="main", title="Return", body="Why", again=False
    )
    return f"{issue} {pull}"


def tell_of_return(seed: int) -> tuple[Forge, list[str]]:
    """Tell one story of runs that all find the same trouble; return the forge and the ends."""
    dice = random.Random(seed)  # noqa: S311
    forge = make_pull_forge(BRANCH)
    chance = dice.choice((0, 0.1, 0.3))
    faults = (*FAULTS, *(HARD_FAULTS if seed % 4 == 0 else ()))
    forge.fault = lambda _method, _path: dice.choice(faults) if dice.random() < chance else None
    runs = dice.randint(1, 3)
    kill = dice.randint(0, runs) if seed % 3 == 0 else 0
    with Server(forge) as server:
        ends = run_all(server.url, [propose] * runs, dice, kill)
        if not {"error", "killed"} & set(ends):
            assert count_open(forge) == (1, 1), (seed, ends)
        forge.fault = lambda _method, _path: None
        run_all(server.url, [propose], dice, 0)
    return forge, ends


def count_open(forge: Forge) -> tuple[int, int]:
    """Count the open issues and the open pull requests."""
    issues = [issue for issue in forge.state.issues.values() if issue.state == "open"]
    return len(issues), sum(pull.state == "open" for pull in forge.state.pulls.values())


@pytest.mark.slow
def test_whatever_fails_one_issue_and_one_pull_request_are_open_at_the_end(
    record_property: Callable[[str, object], None],
) -> None:
    """Runs without error leave one of each; after trouble, the next run mends all."""
    ends: list[str] = []
    for seed in range(60):
        forge, how = tell_of_return(seed)
        ends += how
        assert count_open(forge) == (1, 1), seed
    record_property("cases", 60)
    assert {"error", "killed"} < set(ends)
