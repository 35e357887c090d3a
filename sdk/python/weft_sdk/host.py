"""What a plugin may ask of its host beside calls. In the sandbox `guest.py` puts the host's own functions here, in tests `testing.py` its own."""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol

Scope = Literal["principal", "tenant", "public"]
Level = Literal["trace", "debug", "info", "warn", "error"]


class Host(Protocol):
    def log(self, level: Level, message: str, fields: dict[str, Any]) -> None: ...
    def config(self, key: str) -> str | None: ...
    def cache_get(self, key: str, scope: Scope) -> bytes | None: ...
    def cache_set(self, key: str, value: bytes, ttl_ms: int, scope: Scope, tags: list[str]) -> None: ...
    def cache_delete(self, key: str, scope: Scope) -> None: ...
    def cache_invalidate_tag(self, tag: str) -> None: ...


_host: Host | None = None


def set_host(host: Host | None) -> None:
    global _host
    _host = host


def the_host() -> Host:
    if _host is None:
        raise RuntimeError("config, cache and log are the host's: use them while a request is served")
    return _host


class _Log:
    """Lines of the host's log."""

    def trace(self, message: str, **fields: Any) -> None:
        the_host().log("trace", message, fields)

    def debug(self, message: str, **fields: Any) -> None:
        the_host().log("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        the_host().log("info", message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        the_host().log("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        the_host().log("error", message, fields)


class _Config:
    """Values of `[config]` in plugin.toml, or what the operator has set instead."""

    def get(self, key: str, default: str | None = None) -> str | None:
        found = the_host().config(key)
        return default if found is None else found


class _Cache:
    """The plugin's own cache, kept by the host; values are anything that JSON has."""

    def get(self, key: str, *, scope: Scope = "principal") -> Any:
        found = the_host().cache_get(key, scope)
        return None if found is None else json.loads(found)

    def set(self, key: str, value: Any, *, ttl: float, scope: Scope = "principal", tags: tuple[str, ...] | list[str] = ()) -> None:
        """Keeps it for `ttl` seconds, for callers of this scope."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        the_host().cache_set(key, text.encode(), max(1, int(ttl * 1000)), scope, list(tags))

    def delete(self, key: str, *, scope: Scope = "principal") -> None:
        the_host().cache_delete(key, scope)

    def invalidate_tag(self, tag: str) -> None:
        """Removes all entries of this plugin that carry the tag, in every scope."""
        the_host().cache_invalidate_tag(tag)


log = _Log()
config = _Config()
cache = _Cache()
