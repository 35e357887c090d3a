"""Which members of an answer a request asks for: `?fields=title,cast.actor.name`. The host has checked it, and cuts the answer by it."""

from __future__ import annotations

from collections.abc import Iterable


class Fields:
    """The members that are asked for; by default all."""

    __slots__ = ("paths",)

    def __init__(self, paths: tuple[str, ...] | None = None) -> None:
        self.paths = paths

    @staticmethod
    def of(query: Iterable[tuple[str, str]]) -> Fields:
        values = [value for name, value in query if name == "fields"]
        return Fields(tuple(path.strip() for path in ",".join(values).split(","))) if values else Fields()

    def has(self, path: str) -> bool:
        """Whether something of this member is asked for, so that a handler need not make what nobody wants."""
        if self.paths is None:
            return True
        return any(one == path or one.startswith(f"{path}.") or path.startswith(f"{one}.") for one in self.paths)
