"""Compile the helper below the folder named on the command line; the byte code needs no check.

A program of its own, run by the interpreter that will run the steps: byte code is of one
version of Python. The template of the page is compiled too.
"""

from __future__ import annotations

import compileall
import sys
from py_compile import PycInvalidationMode


def main(source: str) -> None:
    """Compile all below ``source``."""
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(source, quiet=2, stripdir=source, invalidation_mode=mode)
    sys.path.insert(0, source)
    from mlgitops.render.html import load_template

    load_template()


if __name__ == "__main__":
    main(sys.argv[1])
