"""From the plugin's modules to a component: CPython, started with the plugin, as it is when all modules have been imported."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

from .fault import Fault

SDK = Path(__file__).resolve().parents[2]
ENTRY = '''"""Written by `weft`: what the component begins with."""
from weft_sdk import chance
chance.install()
from main import app
from weft_sdk.guest import world
WitWorld = world(app)
'''
#: What the trace of a plugin that can't be started has of the tools, and nobody wants to see.
NOISE = ("Caused by:", "Stack backtrace:", "weft_entry.py")


def component(folder: Path) -> None:
    made = folder / ".weft/component"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    (made / "weft_entry.py").write_text(ENTRY)
    paths = [made, folder / "src", folder / ".weft/python", SDK, *map(Path, site.getsitepackages())]
    where = [flag for path in paths if path.is_dir() for flag in ("-p", str(path))]
    out, part = folder / ".weft/component.wasm", folder / ".weft/component.part"
    command = [Path(sys.executable).with_name("componentize-py"), "-q", "-d", SDK / "wit", "-w", "guest", "componentize"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run([*command, *where, "-o", part, "weft_entry"], cwd=made, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise Fault(f"the plugin can't be started in the sandbox: {_told(ended.stderr or ended.stdout, folder)}")
    part.replace(out)


def _told(text: str, folder: Path) -> str:
    lines = [line for line in text.strip().splitlines() if not any(noise in line for noise in NOISE)]
    return "\n".join(lines[-20:]).replace(f"{folder}/", "")
