"""Hold manifests against Kubernetes' own schemas, unknown keys forbidden; findings out as JSON."""

from __future__ import annotations

import json
import sys

import kubernetes_validate as validator


def find_mistake(content: dict[str, object], version: str) -> str | None:
    """Return what the schema of a version of Kubernetes says against an object, or None."""
    try:
        validator.validate(content, version, strict=True)
    except (validator.ValidationError, validator.SchemaNotFoundError) as error:
        return f"{content['kind']} ({version}): {error}"
    return None


mistakes = (find_mistake(x, version) for x in json.load(sys.stdin) for version in sys.argv[1:])
json.dump([mistake for mistake in mistakes if mistake], sys.stdout)
