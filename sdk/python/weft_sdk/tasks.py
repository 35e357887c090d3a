"""Coroutines, driven by the SDK itself.

The contract with the host is synchronous: a handler's calls leave by `exchange` while `handle` runs. So `async` functions are driven by `send`:
each runs as far as it can, and when none can go on, all calls that have gathered leave together. No part of asyncio is needed.

Every task knows its depth: how long the chain of calls is that it has waited for. It follows from what is awaited, so no author ever sees it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator, Iterable
from typing import Any, Callable, Generic, TypeVar, overload

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


class Loop:
    """What runs now, what can go on, and what waits for the clock."""

    __slots__ = ("depth", "ready", "timers")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing of one request is left for the next one."""
        self.depth = 0
        self.ready: deque[Task[Any]] = deque()
        self.timers: list[tuple[float, Future[None]]] = []

    def run(self) -> None:
        """Runs tasks until none can go on."""
        ready = self.ready
        while ready:
            ready.popleft().step()

    def until_timer(self) -> int | None:
        """Milliseconds until the next timer is due; none where there is none."""
        if not self.timers:
            return None
        due = min(due for due, _ in self.timers)
        return max(0, int((due - time.monotonic()) * 1000 + 0.999))

    def fire_timers(self) -> bool:
        """Ends the waits that are over; says whether there were any."""
        if not self.timers:
            return False
        now = time.monotonic()
        due = sorted((timer for timer in self.timers if timer[0] <= now), key=lambda timer: timer[0])
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for _, future in due:
            future.settle(None, future.depth)
        return bool(due)


loop = Loop()

PENDING, DONE, FAILED = 0, 1, 2


class Future(Generic[T]):
    """Something that is there later. It may be awaited more than once."""

    __slots__ = ("state", "value", "depth", "waiting")

    def __init__(self) -> None:
        self.state = PENDING
        self.value: Any = None
        self.depth = 0
        self.waiting: list[Any] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        if self.state == PENDING:
            yield self
        if self.depth > loop.depth:
            loop.depth = self.depth
        if self.state == FAILED:
            raise self.value
        return self.value

    def settle(self, value: Any, depth: int, state: int = DONE) -> None:
        if self.state != PENDING:
            return
        self.state = state
        self.value = value
        self.depth = depth
        waiting = self.waiting
        if waiting is not None:
            self.waiting = None
            for one in waiting:
                one.wake(self)

    def when_done(self, one: Any) -> None:
        """`one.wake(future)` is called when it is there."""
        if self.state != PENDING:
            one.wake(self)
        elif self.waiting is None:
            self.waiting = [one]
        else:
            self.waiting.append(one)


class Task(Future[T]):
    """A coroutine under way."""

    __slots__ = ("coroutine", "own_depth")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        Future.__init__(self)
        self.coroutine = coroutine
        self.own_depth = loop.depth

    def wake(self, _future: Future[Any]) -> None:
        loop.ready.append(self)

    def step(self) -> None:
        if self.state != PENDING:
            return
        outside = loop.depth
        loop.depth = self.own_depth
        try:
            awaited = self.coroutine.send(None)
            while not isinstance(awaited, Future):
                awaited = self.coroutine.throw(
                    RuntimeError("a handler can await calls, and what weft_sdk has (gather, start, sleep, wait_for); there is no event loop of asyncio")
                )
        except StopIteration as stop:
            self.settle(stop.value, loop.depth)
        except BaseException as error:  # whatever it is, it is the outcome for whoever waits
            self.settle(error, loop.depth, FAILED)
        else:
            self.own_depth = loop.depth
            awaited.when_done(self)
        loop.depth = outside


def start(coroutine: Coroutine[Any, Any, T]) -> Task[T]:
    """Runs a coroutine up to where it first waits; await what it gives for its outcome."""
    task: Task[T] = Task(coroutine)
    task.step()
    return task


def future_of(awaitable: Awaitable[T]) -> Future[T]:
    if isinstance(awaitable, Future):
        return awaitable
    if hasattr(awaitable, "send"):
        return start(awaitable)  # type: ignore[arg-type]
    return start(_awaited(awaitable))


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


class _Gather(Future[Any]):
    """Waits for all; what it gives is as deep as the deepest of them."""

    __slots__ = ("parts", "left", "keeps_errors")

    def __init__(self, parts: list[Future[Any]], keeps_errors: bool) -> None:
        Future.__init__(self)
        self.parts = parts
        self.left = len(parts)
        self.keeps_errors = keeps_errors
        if not parts:
            self.settle([], loop.depth)
        for part in parts:
            part.when_done(self)

    def wake(self, part: Future[Any]) -> None:
        self.left -= 1
        if part.state == FAILED and not self.keeps_errors:
            self.settle(part.value, part.depth, FAILED)
        elif self.left == 0:
            self.settle([part.value for part in self.parts], max(part.depth for part in self.parts))


@overload
def gather(one: Awaitable[A], /) -> Future[tuple[A]]: ...
@overload
def gather(one: Awaitable[A], two: Awaitable[B], /) -> Future[tuple[A, B]]: ...
@overload
def gather(one: Awaitable[A], two: Awaitable[B], three: Awaitable[C], /) -> Future[tuple[A, B, C]]: ...
@overload
def gather(one: Awaitable[A], two: Awaitable[B], three: Awaitable[C], four: Awaitable[D], /) -> Future[tuple[A, B, C, D]]: ...
@overload
def gather(
    one: Awaitable[A], two: Awaitable[B], three: Awaitable[C], four: Awaitable[D], five: Awaitable[E], /
) -> Future[tuple[A, B, C, D, E]]: ...
@overload
def gather(*awaitables: Awaitable[T], return_exceptions: bool = False) -> Future[list[T]]: ...
def gather(*awaitables: Awaitable[Any], return_exceptions: bool = False) -> Future[Any]:
    """Runs all of them, and gives what they give, in their order. The first that fails is the failure of the whole, unless
    `return_exceptions` is set: then failures stand in the list."""
    return _Gather([future_of(one) for one in awaitables], return_exceptions)


def gather_all(awaitables: Iterable[Awaitable[T]]) -> Future[list[T]]:
    """`gather`, of any iterable: `await gather_all(card(film) for film in films)`."""
    return _Gather([future_of(one) for one in awaitables], False)


def sleep(seconds: float) -> Future[None]:
    """Waits, at no cost of CPU time."""
    future: Future[None] = Future()
    future.depth = loop.depth
    loop.timers.append((time.monotonic() + max(0.0, seconds), future))
    return future


class _Either(Future[Any]):
    """What is there first: the outcome, or the end of the time for it."""

    __slots__ = ("part",)

    def __init__(self, part: Future[Any], timer: Future[None]) -> None:
        Future.__init__(self)
        self.part = part
        part.when_done(self)
        timer.when_done(self)

    def wake(self, part: Future[Any]) -> None:
        if part is self.part:
            self.settle(part.value, part.depth, part.state)
        else:
            self.settle(TimeoutError(), part.depth, FAILED)


def wait_for(awaitable: Awaitable[T], seconds: float) -> Future[T]:
    """Raises `TimeoutError` where it takes longer. A single call has `.timeout()`, which the host keeps."""
    return _Either(future_of(awaitable), sleep(seconds))


def then(future: Future[A], outcome: Callable[[Future[A]], B]) -> Future[B]:
    """What `outcome` makes of a future that is done: a value, or what it raises."""
    return _Then(future, outcome)


class _Then(Future[Any]):
    __slots__ = ("outcome",)

    def __init__(self, future: Future[Any], outcome: Callable[[Future[Any]], Any]) -> None:
        Future.__init__(self)
        self.outcome = outcome
        future.when_done(self)

    def wake(self, future: Future[Any]) -> None:
        try:
            value = self.outcome(future)
        except Exception as error:
            self.settle(error, future.depth, FAILED)
        else:
            self.settle(value, future.depth)
