"""What is the plugin's to mend."""

from __future__ import annotations

import traceback
from pathlib import Path


class Fault(Exception):
    pass


def told(error: BaseException, folder: Path) -> str:
    """The plugin's part of a trace, with the last place first: `src/main.py:4: NameError: …`."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_short(error.filename, folder)}:{error.lineno}:{error.offset}"
        return f"{place}: {type(error).__name__}: {error.msg}\n  {(error.text or '').strip()}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder / "src")]
    place = f"{_short(frames[-1].filename, folder)}:{frames[-1].lineno}: " if frames else ""
    lines = "".join(f"\n  {_short(frame.filename, folder)}:{frame.lineno}: {frame.line}" for frame in frames)
    return f"{place}{type(error).__name__}: {error}{lines}"


def _short(file: str, folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file
