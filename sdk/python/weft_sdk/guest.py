"""The plugin inside of the sandbox: what the component exports, and how one request is driven over `exchange`."""

from __future__ import annotations

import _strptime  # noqa: F401 (imported by datetime when it is first needed, and then there are no files)
import contextvars
import gc
import json
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world.imports import backend, cache, config, log, types  # type: ignore[import-not-found]

from . import chance
from .answers import Answer
from .app import App, Identity, Request
from .calls import begin, end
from .host import set_host
from .problem import Problem
from .tasks import FAILED, PENDING, loop, start

#: Requests of one instance between two collections. Most instances serve one, and need none: what they leave behind goes with them.
COLLECT_EVERY = 16
LEVELS = ("trace", "debug", "info", "warn", "error")


class _Host:
    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        number = LEVELS.index(level)
        if number >= log.threshold().value:
            log.write(log.Level(number), str(message), [(name, str(value)) for name, value in fields.items()])

    def config(self, key: str) -> str | None:
        return config.get(key)

    def cache_get(self, key: str, scope: str) -> bytes | None:
        return cache.get(key, cache.Scope[scope.upper()])

    def cache_set(self, key: str, value: bytes, ttl_ms: int, scope: str, tags: list[str]) -> None:
        cache.set(key, value, ttl_ms, cache.Scope[scope.upper()], tags)

    def cache_delete(self, key: str, scope: str) -> None:
        cache.delete(key, cache.Scope[scope.upper()])

    def cache_invalidate_tag(self, tag: str) -> None:
        cache.invalidate_tag(tag)


def world(app: App) -> type:
    """What the component exports, for this app."""
    host, served = _Host(), 0
    set_host(host)  # type: ignore[arg-type]
    # What is there now is there in every instance: nothing of it is looked at again.
    gc.collect()
    gc.disable()
    gc.freeze()

    class WitWorld:
        def handle(self, request: Any) -> Any:
            nonlocal served
            chance.begin_serving()
            try:
                outcome = contextvars.copy_context().run(drive, app, taken(request), host)
            finally:
                served += 1
                end()
                loop.reset()
                if served % COLLECT_EVERY == 0:
                    gc.collect()
            if isinstance(outcome, Problem):
                extensions = list(outcome.extensions.items())
                raise Err(types.Problem(outcome.status, outcome.kind, outcome.title, outcome.detail, extensions))
            return types.Response(outcome.status, outcome.headers, outcome.body, [])

    return WitWorld


def taken(given: Any) -> Request:
    who = given.identity
    identity = who and Identity(who.issuer, who.subject, who.tenant, tuple(who.scopes), json.loads(who.claims or "{}"))
    params, query = tuple(given.params), tuple(given.query)
    return Request(
        given.endpoint, given.path, params, query, dict(given.headers), given.body, given.client, identity, given.request_id, given.deadline_ms
    )


def drive(app: App, request: Request, host: _Host) -> Answer | Problem:
    calls = begin()
    task = start(app.serve(request, host.log))
    while True:
        loop.run()
        if task.state != PENDING:
            break
        if loop.fire_timers():
            continue
        wait = loop.until_timer()
        if calls.is_idle and wait is None:
            host.log("error", "deadlock: the handler waits for something that no call and no timer can bring about", {})
            return Problem.internal("the plugin failed")
        queued, messages = calls.hand_out()
        heads = [backend.CallHead(call.method.number, call.flags, call.timeout_ms, call.offset, call.length) for call in queued]
        calls.deliver(*backend.exchange(heads, messages, [], wait))
    for call in calls.queued:
        host.log("warn", f"{call.method.name} was not called: the handler had returned", {})
    if task.state == FAILED:
        raise task.value
    return task.value
