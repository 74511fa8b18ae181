from mlgitops.errors import MistakesError, MlgitopsError


def test_an_error_says_what_where_and_what_to_do() -> None:
    """A message holds the place, the event and the next step."""
    error = MlgitopsError("no such key", where="policy.yaml:3", hint="remove it")
    assert str(error) == "policy.yaml:3: no such key\n  hint: remove it"


def test_many_errors_are_all_listed() -> None:
    """Mistakes found together are reported together."""
    error = MistakesError("2 mistakes", [MlgitopsError("a", where="x:1"), MlgitopsError("b")])
    assert str(error) == "2 mistakes\n  - x:1: a\n  - b"
