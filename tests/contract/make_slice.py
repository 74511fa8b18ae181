"""Cut the operations that this project uses out of GitHub's OpenAPI description.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
    python tests/contract/make_slice.py package

Keeps the operations and events below and everything their references reach; drops prose and
examples, which validate nothing. Writes github-openapi.json, and the licence beside it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = "npm @octokit/openapi 23.0.2, generated/api.github.com.json (MIT)"
OPERATIONS = {
    "/user": ["get"],
    "/repos/{owner}/{repo}/pulls": ["get", "post"],
    "/repos/{owner}/{repo}/pulls/{pull_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/pulls/{pull_number}/commits": ["get"],
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ["get"],
    "/repos/{owner}/{repo}/issues": ["get", "post"],
    "/repos/{owner}/{repo}/issues/{issue_number}": ["patch"],
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
    "/repos/{owner}/{repo}/issues/{issue_number}/events": ["get"],
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["get", "patch", "delete"],
    "/repos/{owner}/{repo}/commits": ["get"],
    "/repos/{owner}/{repo}/check-runs": ["post"],
    "/repos/{owner}/{repo}/check-runs/{check_run_id}": ["patch"],
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ["get"],
    "/repos/{owner}/{repo}/statuses/{sha}": ["post"],
    "/repos/{owner}/{repo}/commits/{ref}/statuses": ["get"],
    "/repos/{owner}/{repo}/rulesets": ["post"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs": ["get"],
    "/repos/{owner}/{repo}/actions/jobs/{job_id}/rerun": ["post"],
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs": ["get"],
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ["get"],
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}": ["get"],
}
#: Payloads that the rehearsal makes whole; of the others it makes the part that is read.
EVENTS = ["webhook-workflow-run-completed"]
DROP = {"examples", "example", "description", "externalDocs", "x-github", "summary", "tags"}


def main(package: Path) -> None:
    """Write the slice of the description in ``package``."""
    whole = json.loads((package / "generated" / "api.github.com.json").read_text("utf-8"))
    paths = {
        path: {method: whole["paths"][path][method] for method in methods}
        for path, methods in OPERATIONS.items()
    }
    schemas = whole["components"]["schemas"]
    components: dict[str, dict[str, Any]] = {"schemas": {name: schemas[name] for name in EVENTS}}
    todo = [paths, *components["schemas"].values()]
    while todo:
        for reference in find_references(todo.pop()):
            kind, name = reference.removeprefix("#/components/").split("/")
            if kind != "examples" and name not in components.setdefault(kind, {}):
                components[kind][name] = whole["components"][kind][name]
                todo.append(components[kind][name])
    components.pop("examples", None)
    document = {
        "openapi": whole["openapi"],
        "info": {"title": SOURCE, "version": whole["info"]["version"]},
        "servers": [{"url": "https://api.github.com"}],
        "paths": strip(paths),
        "components": strip(components),
    }
    text = json.dumps(document, indent=1, sort_keys=True)
    (HERE / "github-openapi.json").write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(package / "LICENSE", HERE / "github-openapi.LICENSE")


def find_references(node: Any) -> set[str]:  # noqa: ANN401
    """Return every `$ref` below ``node``, prose and examples aside."""
    if isinstance(node, list):
        return set().union(*map(find_references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    below = [find_references(value) for key, value in node.items() if key not in DROP - {"tags"}]
    return own.union(*below)


def strip(node: Any, *, inside: str = "") -> Any:  # noqa: ANN401
    """Drop prose and examples; the names below `properties` are data and stay."""
    if isinstance(node, list):
        return [strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    named = inside in ("properties", "schemas", "headers", "responses", "parameters")
    kept = {
        key: strip(value, inside="" if named else key)
        for key, value in node.items()
        if named or key not in DROP
    }
    if kept.get("nullable") is True and None not in kept.get("enum", [None]):
        kept["enum"] = [*kept["enum"], None]  # the format wants null among the values too
    if inside == "responses":  # the one place where the format demands prose
        for response in kept.values():
            response.setdefault("description", "") if "$ref" not in response else None
    return kept


if __name__ == "__main__":
    main(Path(sys.argv[1]))
