"""The front of the generated project's server, asked in this process: who may ask, and what."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

TEMPLATE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
TOKENS = (b"0123456789abcdef", b"fedcba9876543210")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "data", "shape", "inputs", "id"]), inner)
    ),
    max_leaves=8,
)


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Modules(NamedTuple):
    """Modules of a generated project that need none of its environments."""

    front: ModuleType
    protocol: ModuleType
    files: ModuleType


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modules]:
    """Return the modules as a generated project has them, which is forgotten afterwards.

    They use no answer of the person who generates, so the template's own files are enough.
    """
    source = tmp_path_factory.mktemp("front")
    package = source / "penguins"
    shutil.copytree(TEMPLATE / "src" / "{{cookiecutter.__package_name}}", package)
    (package / "__init__.py").write_text("", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(source))
        yield Modules(
            *(importlib.import_module(f"penguins.serving.{name}") for name in Modules._fields)
        )
        for name in [name for name in sys.modules if name.partition(".")[0] == "penguins"]:
            del sys.modules[name]


async def behind(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001 - ASGI
    """Answer as an application does that has every route there is."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
    await send({"type": "http.response.body", "body": b"behind"})


def make_front(front: ModuleType, *tokens: bytes) -> Any:  # noqa: ANN401 - of a generated project
    """Return a front with one route that returns its body, and one that breaks."""

    async def echo(body: bytes) -> bytes:
        return body

    async def fail(body: bytes) -> bytes:
        raise OSError(f"the password is {body.decode()}")

    routes = {
        ("POST", "/v2/models/birds/infer"): front.guard(echo),
        ("POST", "/v2/models/birds/explain"): front.guard(fail),
    }
    return front.Front(behind, routes, {"Model-Sha256": "abc"}, tokens)


def ask(
    app: Any,  # noqa: ANN401 - ASGI
    method: str,
    path: str,
    *parts: bytes,
    headers: dict[bytes, bytes] | None = None,
) -> Answer:
    """Send a request whose body comes in ``parts``, and return the answer."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": list((headers or {}).items()),
    }
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *bodies = sent
    return Answer(
        start["status"], dict(start["headers"]), b"".join(item["body"] for item in bodies)
    )


PASSED_ON = [
    "/", "/metrics", "/v1/models", "/v1/models/birds", "/v2", "/v2/models",
    "/v2/health/live", "/v2/health/ready", "/v2/models/birds/ready",
]  # fmt: skip
REFUSED = [
    "", "/docs", "/openapi.json", "/v2/repository/index", "/v2/repository/models/birds/unload",
    "//metrics", "/metrics/", "/v2/models/a/b/ready", "/v2/models/birds/ready\n",
    "/v2/health/readyx",
    "/v1/models/birds:explain", "/v2/models/birds/versions/1/infer", "/v2/models/other/infer",
]  # fmt: skip


def test_only_the_listed_paths_reach_what_stands_behind(modules: Modules) -> None:
    """Everything else is 404, and every answer names the model."""
    app = make_front(modules.front)
    for path in PASSED_ON:
        answer = ask(app, "GET", path)
        assert (answer.status, answer.body) == (200, b"behind"), path
        assert answer.headers == {b"x": b"y", b"model-sha256": b"abc"}
    for path in REFUSED:
        for method in ("GET", "POST", "DELETE"):
            answer = ask(app, method, path)
            assert (answer.status, answer.body) == (404, b'{"error":"nothing is served here"}')
            assert answer.headers[b"model-sha256"] == b"abc"


def test_another_method_is_named(modules: Modules) -> None:
    """405 says which method is answered there."""
    answer = ask(make_front(modules.front), "PUT", "/v2/models/birds/infer")
    assert (answer.status, answer.headers[b"allow"]) == (405, b"POST")


@pytest.mark.parametrize(
    "sent", [*(b"Bearer " + token for token in TOKENS), b"BEARER " + TOKENS[1]]
)
def test_each_token_may_ask(sent: bytes, modules: Modules) -> None:
    """Any of the tokens will do, so that one can replace another."""
    app = make_front(modules.front, *TOKENS)
    headers = {b"authorization": sent}
    assert ask(app, "POST", "/v2/models/birds/infer", b"7", headers=headers).body == b"7"
    assert ask(app, "GET", "/metrics", headers=headers).body == b"behind"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer " + TOKENS[0][:-1],
        b"Bearer " + TOKENS[0] + b"0",
        b"Bearer " + TOKENS[0].upper(),
        b"Bearer " + b" ".join(TOKENS),
        b"Basic " + TOKENS[0],
        TOKENS[0],
    ],
)
def test_without_a_token_only_health_is_seen(sent: bytes, modules: Modules) -> None:
    """What is refused has not been read, and a path that is not served does not say so."""
    app = make_front(modules.front, *TOKENS)
    headers = {b"authorization": sent} if sent else {}
    for method, path in [
        ("POST", "/v2/models/birds/infer"),
        ("GET", "/metrics"),
        ("GET", "/v2"),
        ("GET", "/v2/repository/index"),
    ]:
        answer = ask(app, method, path, b"7", headers=headers)
        assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b"Bearer")
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/birds/ready"):
        assert ask(app, "GET", path, headers=headers).body == b"behind"


def test_what_is_too_large_is_not_read(modules: Modules) -> None:
    """Neither where it says its size, nor where it only grows."""
    front = modules.front
    app = make_front(front)
    path, half = "/v2/models/birds/infer", b"0" * (front.MAX_BYTES // 2)
    assert ask(app, "POST", path, half, half).status == 200
    assert ask(app, "POST", path, half, half, b"0").status == 413
    length = str(front.MAX_BYTES + 1).encode()
    assert ask(app, "POST", path, headers={b"content-length": length}).status == 413


def test_a_failure_of_the_server_says_nothing_of_it(
    modules: Modules, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the reason, the answer has not."""
    answer = ask(make_front(modules.front), "POST", "/v2/models/birds/explain", b"swordfish")
    assert (answer.status, answer.body) == (500, b'{"error":"the server failed; its log says why"}')
    assert "swordfish" in caplog.text


@given(body=st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_body_is_rows_or_a_bad_request(body: bytes, modules: Modules) -> None:
    """No body of a request is anything else, in either version of the protocol."""
    for parse in (modules.protocol.parse_tensors, modules.protocol.parse_instances):
        try:
            rows = parse(body, ["a"])
        except modules.protocol.BadRequestError as error:
            assert str(error)  # noqa: PT017 - one of two right ends
        else:
            assert len({len(values) for values in rows.columns.values()}) <= 1


def tensor(
    name: str, *data: object, shape: list[int] | None = None, datatype: str = "FP64"
) -> dict[str, object]:
    """Return a column of a request."""
    lengths = [len(data)] if shape is None else shape
    return {"name": name, "datatype": datatype, "shape": lengths, "data": list(data)}


BAD = [
    ([tensor("a", 1), tensor("a", 1)], "column a is given twice"),
    ([tensor("a", 1), tensor("b", 1, 2)], r"different numbers of rows: \[1, 2\]"),
    ([tensor("a", 1, shape=[2])], r"column a: shape \[2\], and 1 values"),
    ([tensor("a", 1, shape=[])], r"its shape is \[\], not \[rows\]"),
    ([tensor("a", [1, 2], shape=[1, 2])], r"its shape is \[1, 2\], not \[rows\]"),
    ([tensor("a", 1, 2), tensor("id", 7, 1.5)], "column id, row 2: must be a text"),
    ([tensor("a", 1, 2), tensor("id", True, True, datatype="BOOL")], "column id, row 1: must be"),
    ([tensor("a", 1, 2), tensor("id", "x", datatype="BYTES")], "different numbers of rows"),
    (
        [tensor("a", 1), tensor("id", "x" * 201, datatype="BYTES")],
        "column id, row 1: must have 1 to",
    ),
    ([tensor("a", 1), tensor("id", "", datatype="BYTES")], "column id, row 1: must have 1 to 200"),
    ([{**tensor("a", 1), "dtype": "FP64"}], "unknown field `dtype`"),
    ([tensor("a", 1, datatype="FLOAT")], "column a: 'FLOAT' is none of BOOL, BYTES, INT8, "),
    ([tensor("a", 1.5, "1")], "column a, row 2: '1' is no FP64"),
    ([tensor("a", 0, True, datatype="FP32")], "column a, row 2: True is no FP32"),
    ([tensor("a", 1, 1.0, datatype="INT64")], "column a, row 2: 1.0 is no INT64"),
    ([tensor("a", 127, 128, datatype="INT8")], "column a, row 2: 128 is no INT8"),
    ([tensor("a", -128, -129, datatype="INT8")], "column a, row 2: -129 is no INT8"),
    ([tensor("a", 2**63 - 1, 2**63, datatype="INT64")], f"column a, row 2: {2**63} is no INT64"),
    ([tensor("a", 0, -1, datatype="UINT8")], "column a, row 2: -1 is no UINT8"),
    ([tensor("a", 255, 256, datatype="UINT8")], "column a, row 2: 256 is no UINT8"),
    ([tensor("a", True, 1, datatype="BOOL")], "column a, row 2: 1 is no BOOL"),
    ([tensor("a", "1", 1, datatype="BYTES")], "column a, row 2: 1 is no BYTES"),
]


@pytest.mark.parametrize(("inputs", "reason"), BAD)
def test_tensors_that_contradict_themselves_are_refused(
    inputs: list[object], reason: str, modules: Modules
) -> None:
    """The reason names the column."""
    with pytest.raises(modules.protocol.BadRequestError, match=reason):
        modules.protocol.parse_tensors(json.dumps({"inputs": inputs}).encode(), ["a"])


def test_an_id_is_never_cut(modules: Modules) -> None:
    """Two long ones that begin alike would be one in the log, and a label of either of both."""
    parse, refusal = modules.protocol.parse_tensors, modules.protocol.BadRequestError
    longest = tensor("id", "x" * 200, datatype="BYTES")
    document = {"inputs": [tensor("a", 1), longest], "id": "r" * 180}
    rows = parse(json.dumps(document).encode(), ["a"])
    assert (rows.ids, rows.request_id) == (["x" * 200], "r" * 180)
    with pytest.raises(refusal, match="the request's id has more than 180 characters"):
        parse(json.dumps({**document, "id": "r" * 181}).encode(), ["a"])
    for number in ("9" * 201, "9" * 5000):
        with pytest.raises(refusal):
            modules.protocol.parse_instances(
                f'{{"instances": [{{"a": 1, "id": {number}}}]}}'.encode(), ["a"]
            )


def test_a_tensor_may_miss_values_and_be_whole_numbers(modules: Modules) -> None:
    """Null is a value of every datatype, and a whole number one of every kind of number."""
    columns: dict[str, list[object]] = {
        "BOOL": [True, False, None],
        "BYTES": ["", "1", None],
        "INT8": [-128, 127, None],
        "UINT64": [0, 2**64 - 1, None],
        "FP16": [1, 0.5, None],
    }
    inputs = [tensor(name, *data, datatype=name) for name, data in columns.items()]
    rows = modules.protocol.parse_tensors(json.dumps({"inputs": inputs}).encode(), [])
    assert rows.columns == columns


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"instances": [{"a": 1}, {"a": 1, "b": 2, "a": 2}]}', "row 2: column a is given twice"),
        (r'{"instances": [{"a": 1, "\u0061": 2}]}', "row 1: column a is given twice"),
        ('{"instances": [{"a": 1, "a": ":"}]}', "row 1: column a is given twice"),
        ('{"instances": [{"a": 1}], "instances": [{"a": 2}]}', "instances is given twice"),
    ],
)
def test_a_row_names_a_column_once(body: str, reason: str, modules: Modules) -> None:
    """Two readers of one request could take two values for it; the last would count here."""
    with pytest.raises(modules.protocol.BadRequestError, match=reason):
        modules.protocol.parse_instances(body.encode(), ["a", "b"])


TENSOR = '"name": "a", "datatype": "FP64", "shape": [1], "data": [1]'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'{{"inputs": [{{{TENSOR}, "data": [2]}}]}}', "column a: data is given twice"),
        (f'{{"inputs": [{{{TENSOR}, "d\\u0061ta": [2]}}]}}', "column a: data is given twice"),
        (f'{{"inputs": [{{{TENSOR}, "name": "b"}}]}}', "column a: name is given twice"),
        (f'{{"inputs": [{{{TENSOR}, "shape": [1]}}]}}', "column a: shape is given twice"),
        (f'{{"inputs": [], "inputs": [{{{TENSOR}}}]}}', "inputs is given twice"),
        (f'{{"id": null, "id": "r", "inputs": [{{{TENSOR}}}]}}', "id is given twice"),
        (f'{{"inputs": [{{{TENSOR}, "parameters": {{"a": 1, "a": 2}}}}]}}', "a is given twice"),
    ],
)
def test_a_tensor_names_its_members_once(body: str, reason: str, modules: Modules) -> None:
    """The last of two columns of values would count here, and the first for another reader."""
    with pytest.raises(modules.protocol.BadRequestError, match=f"^{reason}"):
        modules.protocol.parse_tensors(body.encode(), ["a", "b"])


def test_a_member_may_be_null_or_hold_colons(modules: Modules) -> None:
    """What only looks like a name given twice, in texts and in members that are not read."""
    times = tensor("a", '":"data": "data":', datatype="BYTES")
    inputs = [{**times, "parameters": {"b": {"name": 1}}}, {**tensor("b", 1), "parameters": None}]
    document = {"id": None, "parameters": {"a": 1}, "inputs": inputs, "outputs": None}
    rows = modules.protocol.parse_tensors(json.dumps(document).encode(), ["a", "b"])
    assert rows.columns == {"a": times["data"], "b": [1]}


def test_a_deep_request_ends_in_an_answer_or_a_refusal(modules: Modules) -> None:
    """The second reader stands some calls deeper than the first: it may give up alone."""
    protocol, limit = modules.protocol, sys.getrecursionlimit()
    for depth in range(limit // 2, limit + 1):
        nested = "[" * depth + "]" * depth
        tensors = f'{{"inputs": [{{{TENSOR}, "parameters": {{"a": ":", "b": {nested}}}}}]}}'
        rows = f'{{"instances": [{{"a": {nested}, "b": ":"}}]}}'
        for parse, text in ((protocol.parse_tensors, tensors), (protocol.parse_instances, rows)):
            with contextlib.suppress(protocol.BadRequestError):
                parse(text.encode(), ["a", "b"])
    with pytest.raises(protocol.BadRequestError, match="is not JSON"):
        protocol.parse_tensors(tensors.encode(), ["a", "b"])


def test_a_text_may_look_like_a_name(modules: Modules) -> None:
    """Colons in texts, nested names and members that are not read are no names given twice."""
    text = '":"a": "a":'
    document = {"instances": [{"a": text, "b": 1}, {"a": text}], "signature_name": {"a": 1}}
    rows = modules.protocol.parse_instances(json.dumps(document).encode(), ["a", "b"])
    assert rows.columns == {"a": [text, text], "b": [1, None]}


def test_a_request_cannot_ask_for_more_than_it_says(modules: Modules) -> None:
    """A small body never becomes a table or an answer of any size: the server must go on."""
    protocol = modules.protocol
    rows = [{f"c{at}": 1} for at in range(3000)]  # a table of these has 9 million cells
    with pytest.raises(protocol.BadRequestError, match="column c0 is not an input; those are"):
        protocol.parse_instances(json.dumps({"instances": rows}).encode(), ["a"])
    inputs = {"inputs": [tensor("a", 1)], "outputs": [{"name": "score"}] * 2}
    with pytest.raises(protocol.BadRequestError, match="output score is asked for twice"):
        protocol.parse_tensors(json.dumps(inputs).encode(), ["a"])


def test_a_request_has_no_more_rows_than_can_be_judged(modules: Modules) -> None:
    """The last allowed number is read, and one more is refused, in both versions."""
    protocol = modules.protocol
    for count in (protocol.MAX_ROWS, protocol.MAX_ROWS + 1):
        bodies = {
            protocol.parse_instances: {"instances": [{"a": 1}] * count},
            protocol.parse_tensors: {"inputs": [tensor("a", *[1] * count)]},
        }
        for parse, document in bodies.items():
            body = json.dumps(document).encode()
            if count == protocol.MAX_ROWS:
                assert len(parse(body, ["a"]).columns["a"]) == count
            else:
                with pytest.raises(protocol.BadRequestError, match="100001 rows are more than"):
                    parse(body, ["a"])


def test_row_ids_are_no_input_unless_the_model_reads_them(modules: Modules) -> None:
    """They are taken out of the columns, and returned first."""
    body = json.dumps({"inputs": [tensor("a", 1, 2), tensor("id", 7, 8)], "id": "r"}).encode()
    parse, render = modules.protocol.parse_tensors, modules.protocol.render_answers
    rows = parse(body, ["a"])
    assert (rows.columns, rows.ids, rows.request_id) == ({"a": [1, 2]}, [7, 8], "r")
    assert parse(body, ["a", "id"]).ids is None
    assert json.loads(render(rows, {}, {"model_name": "m"})) == {
        "model_name": "m",
        "id": "r",
        "outputs": [{"name": "id", "shape": [2], "datatype": "INT64", "data": [7, 8]}],
    }


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("inf"), float("nan")])
def test_what_is_no_value_is_named(value: object, modules: Modules) -> None:
    """A list, an object or an infinite number is refused by column and row."""
    with pytest.raises(modules.protocol.BadRequestError, match="column b, row 2: is no"):
        modules.protocol.refuse_nested({"a": [1, None], "b": ["x", value]})


def test_only_the_named_bytes_are_a_model(modules: Modules, tmp_path: Path) -> None:
    """The digest is of what is returned, and another one ends it before anything reads it."""
    path = tmp_path / "model.skops"
    path.write_bytes(b"model")
    digest = hashlib.sha256(b"model").hexdigest()
    read, refusal = modules.files.read_verified, sys.modules["penguins.plumbing.errors"].StageError
    assert read(path, digest) == read(path, None) == (b"model", digest)
    path.write_bytes(b"another")
    with pytest.raises(refusal, match=f"and {digest} is to be served"):
        read(path, digest)
    with pytest.raises(refusal, match="No such file"):
        read(tmp_path / "none", digest)


def test_a_token_that_can_be_guessed_is_refused(modules: Modules, tmp_path: Path) -> None:
    """Every token of the file is long enough, and there is one."""
    path = tmp_path / "tokens"
    refusal = sys.modules["penguins.plumbing.errors"].StageError
    path.write_bytes(b"\n".join(TOKENS) + b"\n")
    assert modules.files.read_tokens(path) == [*TOKENS]
    for content, reason in [
        (TOKENS[0] + b"\n" + TOKENS[1][:-1], "token 2 is shorter than 16 characters"),
        (b" \n\n", "there is no token"),
        (b"\xff" * 20, "the tokens cannot be read"),
    ]:
        path.write_bytes(content)
        with pytest.raises(refusal, match=reason):
            modules.files.read_tokens(path)
