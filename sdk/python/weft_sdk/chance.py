"""Random numbers in the sandbox. A plugin is started once, when it is built, and every instance goes on from a copy of that moment: what was
drawn by then would be the same in each of them. So nothing may be drawn before, and each instance seeds anew."""

from __future__ import annotations

import os
import random
from typing import Any

_is_serving = False

_DRAWN = (
    "betavariate", "binomialvariate", "choice", "choices", "expovariate", "gammavariate", "gauss", "getrandbits", "lognormvariate",
    "normalvariate", "paretovariate", "randbytes", "randint", "random", "randrange", "sample", "shuffle", "triangular", "uniform",
    "vonmisesvariate", "weibullvariate",
)  # fmt: skip


_is_seeded = False


def begin_serving() -> None:
    """From here on the instance is one of its own."""
    global _is_serving
    _is_serving = True


def _drawn(function: Any, name: str) -> Any:
    checked = _guarded(function, name)

    def guard(*given: Any, **named: Any) -> Any:
        global _is_seeded
        # Most requests draw nothing, and a seed is work.
        if not _is_seeded and _is_serving:
            _is_seeded = True
            random.seed()
        return checked(*given, **named)

    return guard


def _guarded(function: Any, name: str) -> Any:
    def guard(*given: Any, **named: Any) -> Any:
        if not _is_serving:
            raise RuntimeError(f"{name}() outside of a handler would give every instance the same value: call it while a request is served")
        return function(*given, **named)

    return guard


def install() -> None:
    """Before the plugin is imported."""
    for name in _DRAWN:
        if hasattr(random, name):
            setattr(random, name, _drawn(getattr(random, name), f"random.{name}"))
    seed = random.seed

    def seeded(*given: Any, **named: Any) -> None:
        global _is_seeded
        seed(*given, **named)
        _is_seeded = _is_seeded or _is_serving

    random.seed = seeded
    os.urandom = _guarded(os.urandom, "os.urandom")
    random._urandom = os.urandom  # type: ignore[attr-defined]

    class Random(random.Random):
        def __init__(self, *seed: Any) -> None:
            if not seed and not _is_serving:
                raise RuntimeError("random.Random() outside of a handler would be the same in every instance: make it in a handler, or give it a seed")
            super().__init__(*seed)

    random.Random = Random  # type: ignore[misc]
