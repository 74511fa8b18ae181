"""Refuse every bad answer at once, each with its reason, before a file is written.

cookiecutter renders this script and runs it in the empty project folder. `mlgitops new`
imports it as it stands and calls :func:`find_mistakes` before anything exists.
Standard library only: it runs on whatever Python the person has.
"""

import json
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

#: tojson writes every quote of an answer as an escape, so no answer can leave the string.
ANSWERS = r"""{{ cookiecutter | tojson }}"""

#: Files that make a data-set folder, beside the table.
DATASET_FILES = ("DATA_CARD.md", "contract.yaml", "params.yaml", "policy.yaml")

#: Modules of the three locked environments that a project package would hide.
TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
    adlfs aiobotocore aiohappyeyeballs aiohttp aiohttp_retry aioitertools aiosignal amqp
    annotated_doc annotated_types antlr4 antlr4_python3_runtime anyio appdirs argcomplete
    ast_serialize asyncssh atpublic attr attrs azure azure_core azure_identity azure_storage_blob
    bcrypt billiard botocore celery certifi cffi charset_normalizer click click_didyoumean
    click_plugins click_repl cloudevents cloudpickle colorama configobj cpuinfo crypto cryptography
    dask dateutil decorator deprecation dictdiffer diskcache distributed distro dotenv dpath dulwich
    durationpy dvc dvc_azure dvc_data dvc_gs dvc_http dvc_objects dvc_render dvc_s3 dvc_ssh
    dvc_studio_client dvc_task entrypoints fairlearn fastapi filelock flatten_dict flufl flufl_lock
    frozenlist fs fsspec funcy gcsfs git gitdb gitpython google google_api_core google_auth
    google_auth_oauthlib google_cloud_core google_cloud_storage google_cloud_storage_control
    google_crc32c google_resumable_media googleapis_common_protos grandalf grpc grpc_google_iam_v1
    grpc_interceptor grpcio grpcio_status grpcio_tools gto h11 httpcore httptools httpx hydra_core
    hypothesis idna importlib_metadata iniconfig isodate iterative_telemetry jinja2 jmespath joblib
    jose jsonschema jsonschema_specifications jwt knack kombu kserve kubernetes lazy_importer librt
    locket magic markdown_it_py markupsafe mdurl mlgitops msal msal_extensions msgpack msgspec
    multidict mypy mypy_extensions nacl narwhals networkx numpy oauthlib omegaconf openssl
    opentelemetry_api orjson packaging pandas pandera paramiko partd pathspec pillow pip
    pkg_resources platformdirs pluggy prettytable prometheus_client prompt_toolkit propcache
    proto_plus protobuf psutil pyarrow pyasn1 pyasn1_modules pycparser pydantic pydantic_core
    pydantic_settings pydot pygit2 pygments pygtrie pyjwt pyparsing pytest python_dateutil
    python_dotenv python_multipart pytz pywin32 pyyaml ray referencing requests requests_oauthlib
    rich rpds_py ruamel ruamel_yaml ruff s3fs scikit_learn scipy scmrepo semver setuptools shortuuid
    shtab six sklearn skops smmap sortedcontainers sqltrie sshfs starlette tabulate tblib test tests
    threadpoolctl timing_asgi tlz tomlkit toolz tornado tqdm typeguard typer typing_extensions
    typing_inspect typing_inspection tzdata tzlocal urllib3 uv uvicorn uvloop vine voluptuous
    watchfiles wcwidth websocket_client websockets werkzeug wheel wrapt yaml yarl zc zc_lockfile
    zict zipp
    """,
    )
)

SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
SLUG_LENGTH = 50
NAME_LENGTH = 60
OWNER = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?")
REPOSITORY = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9_.-]{1,100}")
COMMIT = re.compile(r"[0-9a-f]{40}")

#: Storage to the form of its address and an example; "repo" has none.
STORAGE_URLS = {
    "local": (r"(?:/|~/|\.\./)[\w ./+@-]*[\w+-]", "../storage or /srv/storage"),
    "s3": (r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/\w[\w.+-]*)*", "s3://bucket/folder"),
    "gcs": (r"gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](?:/\w[\w.+-]*)*", "gs://bucket/folder"),
    "azure": (
        r"azure://[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?:/\w[\w.+-]*)*",
        "azure://container/folder",
    ),
    "ssh": (
        r"ssh://(?:[\w.-]+@)?[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/\w[\w.+-]*)+",
        "ssh://user@host/folder",
    ),
}


def find_name_mistakes(name: str) -> Iterator[str]:
    if not 1 <= len(name) <= NAME_LENGTH or name != name.strip():
        yield f"project_name: give it 1 to {NAME_LENGTH} characters, none a space at either end"
    bad = sorted({sign for sign in name if not (sign.isalnum() or sign in " -_.,()+&/")})
    if bad:
        yield (
            f"project_name: {' '.join(ascii(sign) for sign in bad)} would need quoting in the files"
            " it goes into; use letters, digits, spaces and - _ . , ( ) + & /"
        )
    elif name.strip() and not name.strip()[0].isalnum():
        yield "project_name: start it with a letter or a digit"


def find_slug_mistakes(slug: str) -> Iterator[str]:
    if not SLUG.fullmatch(slug):
        yield (
            f"project_slug: {slug!a} is no good as folder, model and package name; use"
            " lower-case letters, digits and single hyphens, a letter first: 'flight-delays'"
        )
        return
    if len(slug) > SLUG_LENGTH:
        yield f"project_slug: {len(slug)} characters are too many; {SLUG_LENGTH} are the limit"
    package = slug.replace("-", "_")
    if keyword.iskeyword(package):
        yield f"project_slug: the package {package!r} could not be imported, it is a Python keyword"
    elif package in sys.stdlib_module_names:
        yield f"project_slug: the package {package!r} would hide Python's own module of that name"
    elif package in TAKEN:
        yield f"project_slug: the package {package!r} would hide a library that the project imports"


def find_owner_mistakes(owner: str) -> Iterator[str]:
    if not OWNER.fullmatch(owner):
        yield (
            f"owner: {owner!a} is not a GitHub user (octocat) or team (octo-org/data-science);"
            " write it without @"
        )


def find_storage_mistakes(storage: str, url: str) -> Iterator[str]:
    if storage == "repo":
        if url:
            yield "storage_url: storage 'repo' lives in this repository and has no address"
        return
    form, example = STORAGE_URLS[storage]
    if storage == "ssh" and re.match(r"ssh://[^/@]*:[^/@]*@", url):
        yield "storage_url: leave the password out, the address is committed; SSH keys are used"
    elif not re.fullmatch(form, url, re.ASCII):
        yield f"storage_url: {url!a} does not fit storage {storage!r}; write it as {example}"


def find_fork_mistakes(answer: object) -> Iterator[str]:
    if not isinstance(answer, bool):
        yield f"fork_reports: {answer!a} is neither true nor false"


def find_toolkit_mistakes(toolkit: str, ref: str) -> Iterator[str]:
    if toolkit != "auto" and not REPOSITORY.fullmatch(toolkit):
        yield f"toolkit: {toolkit!a} is neither 'auto' nor OWNER/REPO"
    if ref != "auto" and not COMMIT.fullmatch(ref):
        yield (
            f"toolkit_ref: {ref!a} is neither 'auto' nor a full commit (40 hex digits); a tag"
            " or branch can be moved to other code: find its commit with `git rev-parse TAG^{}`"
        )


def find_dataset_mistakes(folder: str, data_format: str) -> Iterator[str]:
    if data_format not in ("csv", "parquet"):
        yield f"_data_format: {data_format!a} is neither csv nor parquet"
    if not folder:
        if data_format != "csv":
            yield "_data_format: the bundled tables are csv"
        return
    needed = (f"data.{data_format}", *DATASET_FILES)
    missing = [name for name in needed if not (Path(folder) / name).is_file()]
    if missing:
        yield f"_dataset: {folder!a} lacks {', '.join(missing)}"


def find_mistakes(answers: Mapping[str, object]) -> list[str]:
    """Return every reason to refuse the answers, in the order of the questions."""
    text = {key: str(value) for key, value in answers.items()}
    return [
        *find_name_mistakes(text["project_name"]),
        *find_slug_mistakes(text["project_slug"]),
        *find_owner_mistakes(text["owner"]),
        *find_storage_mistakes(text["storage"], text["storage_url"]),
        *find_fork_mistakes(answers["fork_reports"]),
        *find_toolkit_mistakes(text["toolkit"], text["toolkit_ref"]),
        *find_dataset_mistakes(text.get("_dataset", ""), text.get("_data_format", "csv")),
    ]


def main() -> int:
    """Print the mistakes, if any, and return the exit code."""
    mistakes = find_mistakes(json.loads(ANSWERS))
    for mistake in mistakes:
        print(f"error: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
