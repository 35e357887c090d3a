"""What `weft build` has Python do: write the clients, ask the plugin what it is, make a component of it.

    python -m weft_sdk._build clients   FOLDER    .weft/protos.json -> .weft/python/protos
    python -m weft_sdk._build describe  FOLDER    prints what the code says of itself, as JSON
    python -m weft_sdk._build component FOLDER    -> .weft/component.wasm
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from .clients import clients
from .component import component
from .describe import describe
from .fault import Fault


def write_clients(folder: Path) -> None:
    protos = json.loads((folder / ".weft/protos.json").read_text())
    out = folder / ".weft/python/protos"
    files = clients(protos)
    for old in out.glob("**/*.py"):
        if str(old.relative_to(out)) not in files:
            shutil.rmtree(old.parent, ignore_errors=True)
    for name, text in files.items():
        file = out / name
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def main() -> int:
    command, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    try:
        if command == "clients":
            write_clients(folder)
        elif command == "describe":
            print(json.dumps(describe(folder)))
        elif command == "component":
            component(folder)
        else:
            raise Fault(f"weft: expected clients, describe or component, got {command}")
    except Fault as fault:
        # What is wrong with the plugin is told in one piece; only what is wrong here has a trace.
        print(fault, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
