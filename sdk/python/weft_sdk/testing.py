"""A plugin as its clients see it, natively: backends are functions, and nothing is built. For unittest, pytest, or any other runner."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Callable, TypeVar
from urllib.parse import parse_qsl, unquote

from .app import App, Endpoint, Identity, Request
from .answers import Answer
from .call_error import CODES, CallError
from .calls import OR_DEFAULT, Call, begin, end
from .host import set_host
from .problem import Problem
from .tasks import FAILED, PENDING, loop, start
from .wire import w_string, w_varint

R = TypeVar("R")


class TestApp:
    """A plugin together with the backends of a test."""

    __test__ = False  # pytest takes what is named Test… for tests

    def __init__(self, app: App) -> None:
        faults = app.describe()["faults"]
        if faults:
            raise ValueError(f"`weft build` would refuse this plugin: {'; '.join(faults)}")
        self.app = app
        self.logs: list[tuple[str, str, dict[str, Any]]] = []
        self._backends: dict[str, tuple[Any, Callable[[Any], Any]]] = {}
        self._config: dict[str, str] = {}
        self._cache: dict[tuple[str, str], tuple[bytes, list[str]]] = {}

    def backend(self, call: Callable[..., Call[R]], answer: Callable[[Any], R | Mapping[str, Any]]) -> TestApp:
        """Answers calls of this method: `app.backend(Films.get_film, lambda request: Film(id=request.id, title="Alien"))`."""
        method = getattr(call, "method", None)
        if method is None:
            raise TypeError("backend() takes a method that plugin.toml grants, as in `Films.get_film`")
        self._backends[method.name] = (method, answer)
        return self

    def set_config(self, key: str, value: str) -> TestApp:
        """Sets a value of `[config]`."""
        self._config[key] = value
        return self

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> TestResponse:
        return self.request("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> TestResponse:
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.request("DELETE", path, **more)

    def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, identity: Identity | None = None
    ) -> TestResponse:
        """Sends a request. What is no bytes is sent as JSON."""
        plain, _, search = path.partition("?")
        endpoint, params = self._find(method, plain)
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        query = tuple(parse_qsl(search, keep_blank_values=True))
        request = Request(endpoint.name, plain, params, query, lowered, sent, "test", identity, "test", 10_000)
        set_host(self)  # type: ignore[arg-type]
        loop.reset()
        try:
            return self._drive(request)
        finally:
            end()
            loop.reset()

    def _find(self, method: str, path: str) -> tuple[Endpoint, tuple[tuple[str, str], ...]]:
        for endpoint in self.app.endpoints.values():
            parts = [
                "(.+)" if part.startswith("{*") else "([^/]+)" if part.startswith("{") else re.escape(part)
                for part in endpoint.path.split("/")
            ]
            found = re.fullmatch("/".join(parts), path) if endpoint.method == method else None
            if found:
                return endpoint, tuple(zip(endpoint.names, map(unquote, found.groups())))
        raise LookupError(f"the plugin has no endpoint for {method} {path}, only {', '.join(self.app.endpoints)}")

    def _drive(self, request: Request) -> TestResponse:
        calls, exchanges = begin(), []
        task = start(self.app.serve(request, self.log))  # type: ignore[arg-type]
        while True:
            loop.run()
            if task.state == FAILED:
                raise task.value
            if task.state != PENDING:
                return TestResponse(task.value, exchanges)
            if loop.fire_timers():
                continue
            wait = loop.until_timer()
            if calls.queued:
                exchanges.append(self._exchange(calls))
            elif wait is None:
                raise RuntimeError(f"{request.endpoint}: the handler waits for something that no call can bring about")
            else:
                time.sleep(wait / 1000)

    def _exchange(self, calls: Any) -> list[tuple[str, Any]]:
        first, (queued, messages) = len(calls.sent), calls.hand_out()
        arena, completions, sent = bytearray(), [], []
        for at, call in enumerate(queued):
            name, (read, _) = call.method.name, call.method.reverse
            request = read(messages, call.offset, call.offset + call.length)
            sent.append((name, request))
            if name not in self._backends:
                raise LookupError(f"no backend answers {name}: give the test one with backend()")
            code, reply = self._answer(call, request)
            completions.append(_Completion(first + at, code, len(arena), len(reply)))
            arena += reply
        calls.deliver(completions, bytes(arena))
        return sent

    def _answer(self, call: Any, request: Any) -> tuple[int, bytes]:
        method, answer = self._backends[call.method.name]
        out = bytearray()
        try:
            reply = answer(request)
        except CallError as error:
            if call.flags & OR_DEFAULT and error.is_backend_failure:
                return 0, b""
            # google.rpc.Status
            w_varint(out, 8)
            w_varint(out, CODES.index(error.code))
            w_varint(out, 18)
            w_string(out, error.message, "message")
            return CODES.index(error.code), bytes(out)
        if not isinstance(reply, (method.reply, Mapping)):
            raise TypeError(f"the test's backend answers {method.name} with {reply!r:.100}, and not with a {method.reply.__name__}")
        method.reverse[1](out, method.reply(**reply) if isinstance(reply, Mapping) else reply)
        return 0, bytes(out)

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self.logs.append((level, message, fields))

    def config(self, key: str) -> str | None:
        return self._config.get(key)

    def cache_get(self, key: str, scope: str) -> bytes | None:
        return self._cache.get((key, scope), (None, []))[0]

    def cache_set(self, key: str, value: bytes, ttl_ms: int, scope: str, tags: list[str]) -> None:
        self._cache[key, scope] = (value, tags)

    def cache_delete(self, key: str, scope: str) -> None:
        self._cache.pop((key, scope), None)

    def cache_invalidate_tag(self, tag: str) -> None:
        self._cache = {key: entry for key, entry in self._cache.items() if tag not in entry[1]}


class _Completion:
    def __init__(self, ticket: int, code: int, offset: int, length: int) -> None:
        self.ticket, self.code, self.offset, self.len = ticket, code, offset, length
        self.origin = self.age_ms = 0


class TestResponse:
    """What came of a request."""

    __test__ = False

    def __init__(self, outcome: Answer | Problem, exchanges: list[list[tuple[str, Any]]]) -> None:
        self.status = outcome.status
        #: Where it is one.
        self.problem = outcome if isinstance(outcome, Problem) else None
        self.headers = dict(outcome.headers) if isinstance(outcome, Answer) else {"content-type": "application/problem+json"}
        self.body: bytes = outcome.body if isinstance(outcome, Answer) else b""
        #: For each crossing to the host the calls that left together: their methods and requests.
        self.exchanges = exchanges

    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        if self.problem:
            raise ValueError(f"the answer is a problem: {self.status} {self.problem.detail}")
        return json.loads(self.body)
