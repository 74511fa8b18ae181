"""What dvc.yaml calls an artifact: a name for a file, by which registries know it. Pure.

Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#artifacts
"""

from __future__ import annotations

import posixpath

from mlgitops.parsing import parse_yaml


def parse_artifacts(data: bytes, where: str) -> dict[str, str]:
    """Parse the `artifacts:` of a dvc.yaml: name → path, from the folder of that file.

    What has no path as a text is left out, as DVC itself refuses it.

    >>> parse_artifacts(b"artifacts: {flights: {path: ./model/m.skops, type: model}}", "dvc.yaml")
    {'flights': 'model/m.skops'}
    """
    document = parse_yaml(data, where)
    blocks = document.get("artifacts") if isinstance(document, dict) else None
    if not isinstance(blocks, dict):
        return {}
    paths = {name: block.get("path") for name, block in blocks.items() if isinstance(block, dict)}
    return {name: posixpath.normpath(path) for name, path in paths.items() if isinstance(path, str)}
