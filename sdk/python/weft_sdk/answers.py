"""What a handler returns, as the bytes that leave."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import json
from collections.abc import Mapping
from typing import Any, Callable

from .wire import Message


class Answer:
    """An answer with a status, headers, or a body that is no JSON: `Answer("…", headers={"content-type": "text/plain"})`."""

    def __init__(self, body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body, self.status = body, status
        self.headers = [(name.lower(), str(value)) for name, value in (headers or {}).items()]


def encoded(value: Any, status: int | None) -> Answer:
    """With a body of bytes."""
    if isinstance(value, Answer):
        answer = value
    else:
        answer = Answer(value, status=status or (204 if value is None else 200))
    body, is_typed = answer.body, any(name == "content-type" for name, _ in answer.headers)
    if body is None:
        answer.body = b""
        return answer
    if isinstance(body, (bytes, bytearray)):
        answer.body, kind = bytes(body), "application/octet-stream"
    elif isinstance(body, str) and is_typed:
        answer.body, kind = body.encode("utf-8", "replace"), ""
    else:
        answer.body, kind = _ENCODER.encode(body).encode("utf-8", "replace"), "application/json"
    if not is_typed:
        answer.headers.insert(0, ("content-type", kind))
    return answer


_MEMBERS: dict[type, Callable[[Any], Any]] = {}


def _plain(value: Any) -> Any:
    """What JSON has for a value that json does not know."""
    kind = type(value)
    members = _MEMBERS.get(kind)
    if members is None:
        members = _MEMBERS[kind] = _members(kind)
    return members(value)


def _members(kind: type) -> Callable[[Any], Any]:
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        # Written out, it is several times as fast as a loop over the names.
        return eval(f"lambda it: {{{', '.join(f'{name!r}: it.{name}' for name in names)}}}")  # noqa: S307 (names are identifiers)
    if issubclass(kind, Message):
        return lambda value: {name: found for name in kind.__slots__ if (found := getattr(value, name)) is not None}
    if issubclass(kind, enum.Enum):
        return lambda value: value.value
    if issubclass(kind, datetime.datetime):
        return lambda value: value.isoformat().replace("+00:00", "Z")
    if issubclass(kind, datetime.date):
        return lambda value: value.isoformat()
    if issubclass(kind, (bytes, bytearray)):
        return lambda value: base64.b64encode(value).decode()
    if issubclass(kind, (set, frozenset, tuple)):
        return list
    raise TypeError(f"there is no JSON for {kind.__name__}")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
