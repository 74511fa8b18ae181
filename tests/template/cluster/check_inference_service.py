"""Hold an InferenceService against the types of KServe's own client, unknown keys forbidden."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import kserve.models
import kubernetes.client.models
import pydantic

PRIMITIVES = {"str": str, "int": int, "bool": bool, "float": float, "object": object}


def find_mistakes(content: Any, kind: str, path: str) -> list[str]:  # noqa: ANN401 - JSON
    """Return what is not of the type called ``kind``, as KServe's client names types."""
    if nested := re.fullmatch(r"list\[(.+)\]", kind):
        return [
            problem
            for at, value in enumerate(content)
            for problem in find_mistakes(value, nested[1], f"{path}[{at}]")
        ]
    if nested := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return [
            problem
            for key, value in content.items()
            for problem in find_mistakes(value, nested[1], f"{path}.{key}")
        ]
    if kind in PRIMITIVES:
        return [] if isinstance(content, PRIMITIVES[kind]) else [f"{path} is no {kind}"]
    if model := getattr(kubernetes.client.models, kind, None):
        return find_by_pydantic(content, model, path)
    return find_by_names(content, getattr(kserve.models, kind), path)


def find_by_pydantic(content: Any, model: type[pydantic.BaseModel], path: str) -> list[str]:  # noqa: ANN401 - JSON
    """Return what Kubernetes' own client refuses; it forbids unknown keys."""
    try:
        model.model_validate(content)
    except pydantic.ValidationError as error:
        return [f"{path}.{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in error.errors()]
    return []


def find_by_names(content: dict[str, Any], model: Any, path: str) -> list[str]:  # noqa: ANN401 - generated class
    """Return the keys that a class of KServe's client does not have, and what is below the rest."""
    kinds = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
    return [
        problem
        for key, value in content.items()
        for problem in (
            find_mistakes(value, kinds[key], f"{path}.{key}")
            if key in kinds
            else [f"{path}.{key}: unknown key"]
        )
    ]


json.dump(
    [find_mistakes(x, "V1beta1InferenceService", "InferenceService") for x in json.load(sys.stdin)],
    sys.stdout,
)
