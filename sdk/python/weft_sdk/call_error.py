"""How a call fails: a gRPC status, and what becomes of it where nobody catches it."""

from __future__ import annotations

from typing import Any, Callable

from .problem import Problem
from .wire import Malformed, length, skip, varint

#: The status codes of gRPC by their numbers.
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    "UNAUTHENTICATED",
)  # fmt: skip

#: What a backend says of its caller is passed on; what went wrong behind us is a 502, 503 or 504.
STATUS = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 503, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
OWN = frozenset(
    ("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)

#: Kinds of problems for calls that a bound kept from being made.
LIMITS = {
    "PLUGIN_LIMIT": ("urn:weft:problem:plugin-limit", 500),
    "HOST_LIMIT": ("urn:weft:problem:host-limit", 503),
}

Log = Callable[[str, str, "dict[str, Any]"], None]


class CallError(Exception):
    """Why a call failed. Where nobody catches it, the caller gets the status that belongs to its code."""

    def __init__(self, code: str, message: str = "", *, method: str = "", limit: str | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        if code not in CODES[1:]:
            raise TypeError(f"{code} is no status code of gRPC")
        self.code = code
        self.message = message
        self.method = method
        self.limit = limit

    @property
    def is_backend_failure(self) -> bool:
        """Whether the backend could not answer, as opposed to having said no."""
        return self.code in OWN

    @staticmethod
    def from_status(number: int, status: bytes, method: str) -> CallError:
        """As it crosses the boundary: a number, and a serialized `google.rpc.Status`."""
        code = CODES[number] if 0 < number < len(CODES) else "UNKNOWN"
        message, limit = "", None
        try:
            for field, value in fields(status):
                if field == 2:
                    message = str(value, "utf-8", "replace")
                elif field == 3:
                    limit = _limit(value) or limit
        except (Malformed, IndexError):
            pass  # What can't be read says nothing more than its code.
        return CallError(code, message, method=method, limit=limit)

    def to_problem(self, log: Log) -> Problem:
        """What the caller gets: a 4xx has the backend's words, a 5xx does not. `log` is told what is left out."""
        method, code = self.method, self.code
        limit = LIMITS.get(self.limit or "")
        if limit:
            log("warn", f"`{method}` failed with {code}: {self.message}", {"method": method})
            return Problem(limit[1], self.message).with_kind(limit[0]).having("method", method)
        status = STATUS.get(code, 502)
        detail = self.message or f"`{method}` answered {code}"
        if status >= 500:
            log("warn", f"`{method}` failed with {code}: {self.message}", {"method": method, "code": code})
            detail = f"`{method}` failed with {code}"
        return Problem(status, detail).having("method", method).having("code", code)


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """The fields of a message that have a length."""
    found, at, end = [], 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        if tag & 7 == 2:
            stop, at = length(data, at, end)
            found.append((tag >> 3, data[at:stop]))
            at = stop
        else:
            at = skip(data, at, end, tag)
    return found


def _limit(detail: bytes) -> str | None:
    """The reason, where the detail is the host's own `google.rpc.ErrorInfo`."""
    any_fields = dict(fields(detail))
    if not any_fields.get(1, b"").endswith(b"/google.rpc.ErrorInfo"):
        return None
    info = dict(fields(any_fields.get(2, b"")))
    return str(info.get(1, b""), "utf-8", "replace") if info.get(2) == b"weft" else None
