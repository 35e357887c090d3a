"""What a plugin says of itself, run by the Python that is installed."""

from __future__ import annotations

import importlib
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from .. import chance
from ..app import App
from .fault import Fault, told

VERSION = "0.1.0"


def describe(folder: Path) -> dict[str, Any]:
    return {"sdk": f"python/{VERSION}", **loaded(folder).describe()}


def loaded(folder: Path) -> App:
    """The app of `src/main.py`. What it prints is none of the description."""
    main = folder / "src/main.py"
    if not main.is_file():
        raise Fault(f"{folder} has no src/main.py: that module has the plugin, as in `app = App()`")
    sys.path[:0] = [str(folder / "src"), str(folder / ".weft/python")]
    sys.dont_write_bytecode = True
    chance.install()
    try:
        with redirect_stdout(io.StringIO()):
            module = importlib.import_module("main")
    except BaseException as error:
        raise Fault(f"src/main.py can't be loaded: {told(error, folder)}") from error
    app = getattr(module, "app", None)
    if not isinstance(app, App):
        raise Fault(f"{main}: there is no App in it: begin it with `app = App()`")
    return app
