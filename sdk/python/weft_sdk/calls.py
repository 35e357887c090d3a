"""Calls of backend methods. One that is made gathers with all others until nothing in the plugin can go on; then they leave together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Generic, TypeVar

from .call_error import CallError
from .problem import Problem
from .tasks import DONE, FAILED, Future, loop, then
from .wire import Malformed

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

OR_STALE = 1 << 16
OR_DEFAULT = 1 << 17
ORIGINS = ("upstream", "coalesced", "cache", "stale", "fallback")


class Calls:
    """The calls of the request that is served now."""

    def __init__(self) -> None:
        self.queued: list[Call[Any]] = []
        self.sent: list[Call[Any] | None] = []
        self.under_way = 0

    def hand_out(self) -> tuple[list[Call[Any]], bytes]:
        """What leaves now; the tickets of these calls count on from those before."""
        queued, self.queued = self.queued, []
        messages = bytearray()
        for call in queued:
            call.offset = len(messages)
            messages += call.message
            call.length = len(call.message)
        self.sent += queued
        self.under_way += len(queued)
        return queued, bytes(messages)

    @property
    def is_idle(self) -> bool:
        return self.under_way == 0 and not self.queued

    def deliver(self, completions: Any, arena: bytes) -> None:
        decoded: dict[tuple[int, int, int], Any] = {}
        for completion in completions:
            call = self.sent[completion.ticket] if completion.ticket < len(self.sent) else None
            if call is not None:
                self.sent[completion.ticket] = None
                self.under_way -= 1
                call.complete(completion, arena, decoded)


class _Serving:
    calls: Calls | None = None


def begin() -> Calls:
    """A request begins: its calls are its own."""
    _Serving.calls = Calls()
    return _Serving.calls


def end() -> None:
    _Serving.calls = None


class Method:
    """A backend method that this plugin may call; generated code makes them."""

    __slots__ = ("number", "name", "write", "read", "request", "reply", "reverse")

    def __init__(self, number: int, name: str, write: Any, read: Any, request: type, reply: type, reverse: tuple[Any, Any]) -> None:
        self.number, self.name, self.write, self.read = number, name, write, read
        self.request, self.reply = request, reply
        #: For tests: reads requests and writes replies.
        self.reverse = reverse

    def call(self, request: Any) -> Call[Any]:
        calls = _Serving.calls
        if calls is None:
            raise RuntimeError(f"{self.name} is called outside of a request: call it in a handler")
        return Call(self, request, calls)


def method(*given: Any) -> Callable[[F], F]:
    """Says which method a function of the generated code calls."""

    def mark(function: Any) -> Any:
        function.method = Method(*given)
        return function

    return mark


def not_granted(name: str) -> RuntimeError:
    """For a method that exists, and that the manifest does not grant."""
    service, _, plain = name.partition("/")
    return RuntimeError(f'{name} is not granted: add "{service}" = ["{plain}"] to [calls] in plugin.toml')


@dataclass(frozen=True)
class Meta(Generic[T]):
    """A reply, and where it came from: `upstream`, `coalesced`, `cache`, `stale` or `fallback`."""

    message: T
    origin: str
    age_ms: int


class Call(Future[T]):
    """A call on its way. It leaves with all others that were made before anything had to wait. Replies are shared: don't change them."""

    __slots__ = ("method", "message", "flags", "timeout_ms", "offset", "length", "origin", "age_ms")

    def __init__(self, method: Method, request: Any, calls: Calls) -> None:
        Future.__init__(self)
        if not isinstance(request, method.request):
            raise TypeError(f"{method.name}: expected a {method.request.__name__}, got {request!r:.100}")
        message = bytearray()
        method.write(message, request)
        self.method = method
        self.message = message
        self.flags = min(loop.depth + 1, 0xFFFF)
        self.timeout_ms = 0
        self.offset = self.length = 0
        self.origin, self.age_ms = "upstream", 0
        calls.queued.append(self)

    def complete(self, completion: Any, arena: bytes, decoded: dict[tuple[int, int, int], Any]) -> None:
        depth = self.flags & 0xFFFF
        start, end = completion.offset, completion.offset + completion.len
        if completion.code != 0:
            self.settle(CallError.from_status(completion.code, arena[start:end], self.method.name), depth, FAILED)
            return
        self.origin = ORIGINS[completion.origin] if completion.origin < len(ORIGINS) else "other"
        self.age_ms = completion.age_ms
        # Equal calls get one range, and share what was made of it.
        key = (start, end, self.method.number)
        found = decoded.get(key)
        if found is None:
            try:
                found = self.method.read(arena, start, end)
            except (Malformed, IndexError) as error:
                told = "the message is cut off" if isinstance(error, IndexError) else str(error)
                failure = CallError("INTERNAL", f"the reply does not decode: {told}", method=self.method.name)
                self.settle(failure, depth, FAILED)
                return
            decoded[key] = found
        self.settle(found, depth)

    def timeout(self, seconds: float) -> Call[T]:
        """Fails with `DEADLINE_EXCEEDED` if it takes longer. The method's own timeout still holds."""
        self.timeout_ms = max(1, int(seconds * 1000))
        return self

    def or_stale(self) -> Call[T]:
        """If the backend fails, takes an old reply from the host's cache. The host marks the response as degraded."""
        self.flags |= OR_STALE
        return self

    def or_default(self) -> Call[T]:
        """If the backend fails, takes an empty message. The host marks the response as degraded."""
        self.flags |= OR_DEFAULT
        return self

    def if_found(self) -> Future[T | None]:
        """`None` where the backend answers `NOT_FOUND`."""
        return self._unless(lambda error: error.code == "NOT_FOUND")

    def optional(self) -> Future[T | None]:
        """`None` where the backend answers `NOT_FOUND` or can't answer: for what a page can do without."""
        return self._unless(lambda error: error.code == "NOT_FOUND" or error.is_backend_failure)

    def optional_if_denied(self) -> Future[T | None]:
        """As `optional`, and `None` where the backend answers that this caller may not see it."""
        denied = ("NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED")
        return self._unless(lambda error: error.code in denied or error.is_backend_failure)

    def or_not_found(self, what: str, id: object) -> Future[T]:
        """A 404 that names what there is none of, where the backend answers `NOT_FOUND`."""

        def outcome(done: Future[Any]) -> Any:
            if done.state == DONE:
                return done.value
            if isinstance(done.value, CallError) and done.value.code == "NOT_FOUND":
                raise Problem.not_found(what, id)
            raise done.value

        return then(self, outcome)

    def with_meta(self) -> Future[Meta[T]]:
        """The reply, and where it came from."""

        def outcome(done: Future[Any]) -> Any:
            if done.state == FAILED:
                raise done.value
            return Meta(done.value, self.origin, self.age_ms)

        return then(self, outcome)

    def _unless(self, forgives: Callable[[CallError], bool]) -> Future[Any]:
        def outcome(done: Future[Any]) -> Any:
            if done.state == DONE:
                return done.value
            if isinstance(done.value, CallError) and forgives(done.value):
                return None
            raise done.value

        return then(self, outcome)
