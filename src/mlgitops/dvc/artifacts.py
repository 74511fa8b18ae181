"""The models that dvc.yaml names as artifacts: a name, by which registries know a file. Pure.

Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#artifacts
"""

from __future__ import annotations

import posixpath

from mlgitops.parsing import parse_yaml


def parse_models(data: bytes, where: str) -> dict[str, str]:
    """Parse those `artifacts:` of a dvc.yaml that are models: name → path, from that file's folder.

    One without a type counts. What has no path as a text is left out, as DVC itself refuses it.

    >>> parse_models(b"artifacts: {flights: {path: ./model/m.skops, type: model}}", "dvc.yaml")
    {'flights': 'model/m.skops'}
    """
    document = parse_yaml(data, where)
    blocks = document.get("artifacts") if isinstance(document, dict) else None
    if not isinstance(blocks, dict):
        return {}
    paths = {
        name: block.get("path")
        for name, block in blocks.items()
        if isinstance(block, dict) and block.get("type") in (None, "model")
    }
    return {name: posixpath.normpath(path) for name, path in paths.items() if isinstance(path, str)}
