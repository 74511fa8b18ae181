"""Hold manifests against rules.rego: JSON lists of objects on standard input, broken rules out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from regopy import Interpreter

RULES = Path(__file__).with_name("rules.rego")


def find_broken(objects: list[dict[str, object]]) -> list[str]:
    """Return the names of the rules that the objects of an environment break, sorted."""
    rego = Interpreter()
    rego.add_module("manifests", RULES.read_text(encoding="utf-8"))
    rego.set_input({"objects": objects})
    answer = json.loads(str(rego.query("x := data.manifests.broken")))
    return sorted({entry["rule"] for entry in answer["bindings"]["x"]})


json.dump([find_broken(objects) for objects in json.load(sys.stdin)], sys.stdout)
