"""Endpoints, from the request to the answer."""

import unittest
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any, Literal

from weft_sdk import Answer, App, CallError, Fields, Identity, Int32, Problem, Schema, Uint32, cache, config, gather, gather_all, log, sleep, start, wait_for
from weft_sdk.calls import Call, method
from weft_sdk.testing import TestApp
from weft_sdk.wire import Message, r_uint32, w_uint32


class Thing(Message):
    __slots__ = ("id",)

    def __init__(self, *, id: int = 0) -> None:
        self.id = id


def read(data: bytes, at: int, end: int) -> Thing:
    return Thing(id=r_uint32(data, at + 1)[0]) if at < end else Thing()


def write(out: bytearray, thing: Thing) -> None:
    out.append(8)
    w_uint32(out, thing.id, "id")


@method(0, "a.B/Get", write, read, Thing, Thing, (read, write))
def get(id: int) -> Call[Thing]:
    return get.method.call(Thing(id=id))


@method(1, "a.B/List", write, read, Thing, Thing, (read, write))
def list_(id: int) -> Call[Thing]:
    return list_.method.call(Thing(id=id))


@dataclass
class Rating:
    stars: Annotated[int, Schema(minimum=1, maximum=5)]
    note: Annotated[str, Schema(max_length=3)] = ""


class Calls(unittest.TestCase):
    def test_what_is_called_before_anything_waits_leaves_together_and_what_waits_for_it_later(self) -> None:
        app = App()

        async def later(id: int) -> Thing:
            return await list_(id)

        @app.get("/a")
        async def a() -> Any:
            first = await gather(get(1), get(2), list_(3))
            second, _ = await gather(get(4), later(5))
            return [one.id for one in (*first, second)]

        answer = TestApp(app).backend(get, lambda it: Thing(id=it.id * 10)).backend(list_, lambda it: it).get("/a")
        self.assertEqual(answer.json(), [10, 20, 3, 40])
        left = [[f"{name} {request.id}" for name, request in calls] for calls in answer.exchanges]
        self.assertEqual(left, [["a.B/Get 1", "a.B/Get 2", "a.B/List 3"], ["a.B/Get 4", "a.B/List 5"]])

    def test_each_call_knows_what_it_has_waited_for(self) -> None:
        app, depths = App(), {}

        def deep(name: str, call: Call[Any]) -> Call[Any]:
            depths[name] = call.flags & 0xFFFF
            return call

        @app.get("/a")
        async def a() -> None:
            beside = start(two())
            await deep("first", get(1))
            await deep("second", get(2))
            await beside
            deep("after all", get(9))

        async def two() -> None:
            await gather(deep("other", list_(1)), sleep(0.001))
            deep("own", list_(2))

        TestApp(app).backend(get, lambda it: it).backend(list_, lambda it: it).get("/a")
        self.assertEqual(depths, {"other": 1, "first": 1, "own": 2, "second": 2, "after all": 3})

    def test_what_fails_is_what_its_code_says_and_can_be_done_without(self) -> None:
        app = App()

        @app.get("/plain")
        async def plain() -> Any:
            return await get(1)

        @app.get("/named")
        async def named() -> Any:
            return await get(1).or_not_found("film", 1)

        @app.get("/optional")
        async def optional() -> Any:
            return {"found": await get(1).optional()}

        @app.get("/default")
        async def default() -> Any:
            return (await get(1).or_default().with_meta()).message

        @app.get("/all")
        async def everything() -> Any:
            return [type(one).__name__ for one in await gather(get(1), list_(1), return_exceptions=True)]

        def failing(code: str) -> TestApp:
            def fail(_: Any) -> Thing:
                raise CallError(code, "no such film")

            return TestApp(app).backend(get, fail).backend(list_, lambda it: it)

        answer = failing("NOT_FOUND").get("/plain")
        self.assertEqual((answer.status, answer.problem.detail, answer.problem.extensions), (404, "no such film", {"method": "a.B/Get", "code": "NOT_FOUND"}))
        self.assertEqual(failing("NOT_FOUND").get("/named").problem.detail, "there is no film `1`")
        down = failing("UNAVAILABLE").get("/plain")
        self.assertEqual((down.status, down.problem.detail), (503, "`a.B/Get` failed with UNAVAILABLE"))
        self.assertEqual(failing("UNAVAILABLE").get("/optional").json(), {"found": None})
        self.assertEqual(failing("PERMISSION_DENIED").get("/optional").status, 403)
        self.assertEqual(failing("UNAVAILABLE").get("/default").json(), {"id": 0})
        self.assertEqual(failing("UNAVAILABLE").get("/all").json(), ["CallError", "Thing"])

    def test_waiting_has_an_end_and_nothing_waits_for_nothing(self) -> None:
        app = App()

        @app.get("/late")
        async def late() -> Any:
            try:
                await wait_for(sleep(5), 0.001)
            except TimeoutError:
                return "late"

        @app.get("/foreign")
        async def foreign() -> None:
            import asyncio

            await asyncio.sleep(0)

        self.assertEqual(TestApp(app).get("/late").json(), "late")
        serve = TestApp(app)
        self.assertEqual(serve.get("/foreign").status, 500)
        self.assertIn("no event loop of asyncio", serve.logs[-1][1])
        with self.assertRaisesRegex(RuntimeError, "called outside of a request"):
            get(1)


class Requests(unittest.TestCase):
    def test_what_does_not_fit_is_told_by_field(self) -> None:
        app = App()

        @app.post("/films/{id}", status=201)
        async def rate(id: Uint32, body: Rating) -> dict[str, Any]:
            return {"id": id, "stars": body.stars}

        @app.get("/search")
        async def search(q: str, tag: list[str], size: int = 10, order: Literal["up", "down"] | None = None) -> dict[str, Any]:
            return {"q": q, "tag": tag, "size": size, "order": order}

        def send(path: str, body: Any) -> Any:
            return TestApp(app).post(path, body=body)

        good = send("/films/7", {"stars": 5})
        self.assertEqual((good.status, good.json()), (201, {"id": 7, "stars": 5}))
        told = {
            "path.id: expected a whole number, found `x`": send("/films/x", {"stars": 5}),
            "path.id: is more than 4294967295": send("/films/4294967296", {"stars": 5}),
            "body.stars: is required, but missing; body.note: is longer than 3 characters": send("/films/7", {"note": "long"}),
            "body.stars: is more than 5": send("/films/7", {"stars": 9}),
            "body.stars: expected a whole number, found true": send("/films/7", {"stars": True}),
            "query.q: is required, but missing": TestApp(app).get("/search"),
            "query.q: expected one value, found 2": TestApp(app).get("/search?q=a&q=b"),
            'query.order: expected "up" or "down", found "in"': TestApp(app).get("/search?q=a&order=in"),
        }
        for text, answer in told.items():
            self.assertEqual((answer.status, answer.problem.detail), (400, text))
        self.assertTrue(send("/films/7", b"{").problem.detail.startswith("body: not JSON: "))
        for deep in (b"[" * 100_000, b"[" * 300 + b"]" * 300, b'{"stars":' * 300 + b"1" + b"}" * 300):
            self.assertEqual(send("/films/7", deep).problem.detail, "body: is nested deeper than 250")
        wide = b'{"stars": 5, "more": [' + b",".join([b'{"a": "]]}"}'] * 1000) + b"]}"
        self.assertEqual(send("/films/7", wide).status, 201)
        self.assertEqual(TestApp(app).get("/search?q=a&tag=x&tag=y").json(), {"q": "a", "tag": ["x", "y"], "size": 10, "order": None})

    def test_identity_fields_config_and_cache(self) -> None:
        app = App()

        @app.get("/me")
        async def me(who: Identity, fields: Fields) -> dict[str, Any]:
            cache.set("n", (cache.get("n") or 0) + 1, ttl=60)
            log.info("seen", who=who.subject)
            return {"who": who.subject, "cast": fields.has("cast"), "size": config.get("size", "9"), "n": cache.get("n")}

        serve = TestApp(app).set_config("size", "20")
        self.assertEqual(serve.get("/me").status, 401)
        ann = Identity("https://issuer.example", "ann")
        self.assertEqual(serve.get("/me?fields=title", identity=ann).json(), {"who": "ann", "cast": False, "size": "20", "n": 1})
        self.assertEqual(serve.get("/me?fields=cast.actor", identity=ann).json()["cast"], True)
        self.assertEqual(serve.logs[-1], ("info", "seen", {"who": "ann"}))


class Answers(unittest.TestCase):
    def test_they_are_json_or_what_they_say_they_are(self) -> None:
        app = App()

        class Kind(Enum):
            FILM = "film"

        @app.get("/json")
        def json() -> Any:
            return {"big": 2**60, "kind": Kind.FILM, "at": datetime(2026, 1, 2, tzinfo=timezone.utc), "thing": Thing(id=1), "rating": Rating(1), "raw": b"\0"}

        @app.get("/text")
        async def text() -> Answer:
            return Answer("grüße", status=202, headers={"Content-Type": "text/plain"})

        @app.delete("/none")
        async def none() -> None: ...

        @app.get("/raises")
        async def raises() -> Any:
            raise TypeError("secret")

        @app.get("/nan")
        async def nan() -> float:
            return float("nan")

        @app.get("/problem")
        async def problem() -> Any:
            raise Problem.conflict("no").with_kind("https://a.example/no", "No")

        serve = TestApp(app)
        self.assertEqual(
            serve.get("/json").text(),
            '{"big":1152921504606846976,"kind":"film","at":"2026-01-02T00:00:00Z","thing":{"id":1},"rating":{"stars":1,"note":""},"raw":"AA=="}',
        )
        text_ = serve.get("/text")
        self.assertEqual((text_.status, text_.headers, text_.text()), (202, {"content-type": "text/plain"}, "grüße"))
        self.assertEqual((serve.delete("/none").status, serve.delete("/none").body), (204, b""))
        raised = serve.get("/raises")
        self.assertEqual((raised.status, raised.problem.detail), (500, "the plugin failed"))
        self.assertIn("TypeError: secret", serve.logs[-1][1])
        self.assertEqual(serve.get("/nan").status, 500)
        self.assertEqual(serve.get("/problem").problem.kind, "https://a.example/no")


class Film:
    pass


class Description(unittest.TestCase):
    def test_the_plugin_says_what_it_is(self) -> None:
        app = App()

        @dataclass
        class Tree:
            """Has itself inside."""

            id: Int32
            children: "list[Tree] | None" = None

        globals()["Tree"] = Tree

        @app.get("/trees/{id}")
        async def trees(id: Uint32, who: Identity | None, fields: Fields, size: int = 3) -> list[Tree]:
            """Trees.

            As they grow."""
            return []

        [endpoint] = app.describe()["endpoints"]
        self.assertEqual((endpoint["summary"], endpoint["description"]), ("Trees.", "As they grow."))
        self.assertEqual((endpoint["identity"], endpoint["selection"]), ("optional", True))
        self.assertEqual(endpoint["params"], [{"name": "id", "schema": {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1}}])
        self.assertEqual(endpoint["query"]["properties"], {"size": {"type": "integer", "default": 3}})
        self.assertEqual(endpoint["response"]["items"], {"$ref": "#/$defs/Tree"})
        self.assertEqual(endpoint["response"]["$defs"]["Tree"]["required"], ["id", "children"])

    def test_what_disagrees_within_it_is_told(self) -> None:
        app = App()

        @app.get("/a/{id}")
        async def a(ids: int) -> Any: ...

        @app.get("/b/{id}")
        async def b(id: list[str]) -> Any: ...

        @app.get("/c")
        async def c() -> Film: ...

        @app.get("/d")
        async def d(it: Rating) -> Any: ...

        app.get("/d")(d)
        faults = "\n".join(app.describe()["faults"])
        for text in (
            "GET /a/{id}: the path template has `{id}`, and the function takes no `id`",
            "GET /b/{id}: `id`: a path has no lists and no objects",
            "GET /c: the answer: there is no JSON for <class",
            "GET /d: `it`: a query has no objects; what the body has is taken as `body`",
        ):
            self.assertIn(text, faults)
        with self.assertRaisesRegex(ValueError, "`weft build` would refuse this plugin"):
            TestApp(app)
