"""A plugin: endpoints, declared in code. How they are treated (who may call, for how long, from which cache) stands in plugin.toml."""

from __future__ import annotations

import inspect
import json
import re
import traceback
import typing
from dataclasses import dataclass, field
from typing import Any, Callable, TypeVar

from .answers import Answer, encoded
from .call_error import CallError, Log
from .problem import Problem
from .selection import Fields
from .shapes import NOTHING, Either, Items, Limited, Object, Shape, document, refuse, shape_of

CONTRACT = "0.1.0"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Identity:
    """The verified caller."""

    issuer: str
    #: Empty where the response is kept for a whole tenant.
    subject: str
    tenant: str | None = None
    scopes: tuple[str, ...] = ()
    #: Those that plugin.toml names in `claims`.
    claims: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request as the host gives it."""

    #: Method and template, as declared: `GET /films/{id}`.
    endpoint: str
    path: str
    params: tuple[tuple[str, str], ...]
    query: tuple[tuple[str, str], ...]
    #: Those that plugin.toml names in `headers`, by their names in lower case.
    headers: dict[str, str]
    body: bytes
    client: str
    identity: Identity | None
    request_id: str
    deadline_ms: int


@dataclass(frozen=True)
class DeclaredProblem:
    """A problem that an endpoint answers with, for the client's contract."""

    status: int
    kind: str = ""
    title: str = ""
    description: str = ""


#: Levels of a body: the stack of WebAssembly ends before json notices that it does.
DEEPEST = 250
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_ALL_ELSE = bytes(set(range(256)) - set(b"[]{}"))

Taker = Callable[[Request, "dict[str, str]", "list[tuple[str, str]]"], Any]


def is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    brackets = _TEXTS.sub(b"", body).translate(None, _ALL_ELSE)
    # Each turn takes the innermost level away.
    for _ in range(DEEPEST):
        outer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(outer) == len(brackets):
            return len(outer) > DEEPEST
        brackets = outer
    return bool(brackets)


class Endpoint:
    """What is declared, and how its handler's arguments are made of a request."""

    def __init__(self, method: str, path: str, handler: Callable[..., Any], options: dict[str, Any]) -> None:
        self.method, self.path, self.handler, self.options = method, path, handler, options
        self.name = f"{method} {path}"
        self.names = re.findall(r"\{\*?([^}]*)\}", path)
        self.takers: dict[str, Taker] = {}
        self.params: dict[str, Shape] = {}
        self.query: dict[str, tuple[Shape, Any]] = {}
        self.body: Shape | None = None
        self.identity: str | None = None
        self.selects = False
        hints = typing.get_type_hints(handler, include_extras=True)
        signature = inspect.signature(handler)
        for parameter in signature.parameters.values():
            self.parameter(parameter, hints.get(parameter.name, Any if parameter.annotation is parameter.empty else parameter.annotation))
        for name in self.names:
            if name not in self.takers:
                raise TypeError(f"the path template has `{{{name}}}`, and the function takes no `{name}`")
        answer = options["response"] or hints.get("return")
        is_plain = answer in (None, type(None), Answer) or Answer in typing.get_args(answer)
        self.response = None if is_plain else shape_of(answer, "the answer")

    def parameter(self, parameter: inspect.Parameter, hint: Any) -> None:
        name, hints = parameter.name, {hint, *typing.get_args(hint)} if typing.get_origin(hint) is not typing.Annotated else {id(hint)}
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"`{name}`: arguments are given by their names")
        if Request in hints:
            self.takers[name] = lambda request, params, faults: request
        elif Identity in hints:
            self.identity = "optional" if type(None) in hints else "required"
            self.takers[name] = _required if self.identity == "required" else lambda request, params, faults: request.identity
        elif Fields in hints:
            self.selects = True
            self.takers[name] = lambda request, params, faults: Fields.of(request.query)
        elif name in self.names:
            shape = self.params[name] = shape_of(str if hint is Any else hint, f"`{name}`")
            if not shape.is_plain:
                raise TypeError(f"`{name}`: a path has no lists and no objects")
            self.takers[name] = lambda request, params, faults: shape.parse(params[name], f"path.{name}", faults)
        elif name == "body":
            self.body = shape_of(hint, "`body`")
            self.takers[name] = self.take_body
        else:
            self.query_parameter(name, shape_of(str if hint is Any else hint, f"`{name}`"), parameter.default)

    def query_parameter(self, name: str, shape: Shape, default: Any) -> None:
        inner = shape.inner if isinstance(shape, Limited) else shape
        if isinstance(inner, (Object,)) or not (shape.is_plain or isinstance(inner, Items)):
            raise TypeError(f"`{name}`: a query has no objects; what the body has is taken as `body`")
        if default is inspect.Parameter.empty and isinstance(shape, Either) and NOTHING in shape.parts:
            default = None
        self.query[name] = (shape, default)

        def take(request: Request, params: dict[str, str], faults: list[tuple[str, str]]) -> Any:
            values, path = [value for key, value in request.query if key == name], f"query.{name}"
            if isinstance(inner, Items):
                parsed = [inner.inner.parse(value, f"{path}[{at}]", faults) for at, value in enumerate(values)]
                return shape.take(parsed, path, faults) if not faults else None
            if len(values) > 1:
                faults.append((path, f"expected one value, found {len(values)}"))
            elif values:
                return shape.parse(values[0], path, faults)
            elif default is inspect.Parameter.empty:
                faults.append((path, "is required, but missing"))
            return default

        self.takers[name] = take

    def take_body(self, request: Request, params: dict[str, str], faults: list[tuple[str, str]]) -> Any:
        if is_too_deep(request.body):
            raise Problem.bad_request(f"body: is nested deeper than {DEEPEST}").having("field", "body")
        try:
            value = json.loads(request.body)
        except ValueError as error:
            raise Problem.bad_request(f"body: not JSON: {error}").having("field", "body") from None
        assert self.body is not None
        return self.body.take(value, "body", faults)

    def given(self, request: Request) -> dict[str, Any]:
        params, faults = dict(request.params), []
        arguments = {name: take(request, params, faults) for name, take in self.takers.items()}
        refuse(faults)
        return arguments

    def describe(self) -> dict[str, Any]:
        def plain(shape: Shape) -> Any:
            return shape.schema({})

        def query() -> dict[str, Any]:
            properties, required = {}, []
            for name, (shape, default) in self.query.items():
                parts = [part for part in shape.parts if part is not NOTHING] if isinstance(shape, Either) else []
                schema = plain(parts[0] if len(parts) == 1 else shape)
                if default is inspect.Parameter.empty and schema.get("type") != "array":
                    required.append(name)
                elif default not in (None, inspect.Parameter.empty):
                    schema = {**schema, "default": default}
                properties[name] = schema
            return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": properties, "required": required}

        summary, _, description = inspect.cleandoc(self.handler.__doc__ or "").partition("\n")
        options = self.options
        return {
            "method": self.method,
            "path": self.path,
            "summary": summary,
            "description": description.strip(),
            "params": [{"name": name, "schema": plain(self.params[name])} for name in self.names],
            "query": query() if self.query else None,
            "request": document(self.body, False) if self.body else None,
            "response": document(self.response, True) if self.response else None,
            "stream": False,
            "status": options["status"] or 200,
            "identity": self.identity,
            **({"problems": [_declared(one) for one in options["problems"]]} if options["problems"] else {}),
            **({"selection": True} if self.selects else {}),
        }


def _declared(problem: DeclaredProblem) -> dict[str, Any]:
    return {"status": problem.status, "type": problem.kind, "title": problem.title, "description": problem.description}


def _required(request: Request, params: dict[str, str], faults: list[tuple[str, str]]) -> Identity:
    if request.identity is None:
        raise Problem.unauthorized("the caller has to be known: send a token")
    return request.identity


class App:
    """The endpoints of a plugin: `app = App()` in `src/main.py` is the plugin."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.faults: list[str] = []

    def endpoint(
        self, method: str, path: str, *, status: int | None = None, response: Any = None, problems: list[DeclaredProblem] | None = None
    ) -> Callable[[F], F]:
        """Declares an endpoint: the arguments of the function that answers are its path's parameters, its query and its `body`."""

        def declare(handler: F) -> F:
            name = f"{method} {path}"
            if name in self.endpoints:
                self.faults.append(f"{name} is declared twice")
            try:
                self.endpoints[name] = Endpoint(method, path, handler, {"status": status, "response": response, "problems": problems})
            except (TypeError, NameError) as error:
                self.faults.append(f"{name}: {error}")
            return handler

        return declare

    def get(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.endpoint("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.endpoint("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.endpoint("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.endpoint("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[F], F]:
        return self.endpoint("DELETE", path, **options)

    def describe(self) -> dict[str, Any]:
        """What `weft build` asks: endpoints with their schemas."""
        faults, endpoints = list(self.faults), []
        for name, endpoint in self.endpoints.items():
            try:
                endpoints.append(endpoint.describe())
            except TypeError as error:
                faults.append(f"{name}: {error}")
        return {"contract": CONTRACT, "endpoints": endpoints, "faults": faults}

    async def serve(self, request: Request, log: Log) -> Answer | Problem:
        """Answers one request as the contract has it. `log` takes what is not for the caller."""
        try:
            endpoint = self.endpoints.get(request.endpoint)
            if endpoint is None:
                raise Problem.internal(f"the plugin has no endpoint `{request.endpoint}`")
            answer = endpoint.handler(**endpoint.given(request))
            if inspect.isawaitable(answer):
                answer = await answer
            return encoded(answer, endpoint.options["status"])
        except Problem as problem:
            return problem
        except CallError as error:
            return error.to_problem(log)
        except MemoryError:
            raise  # Nothing that goes on from there can be relied on.
        except BaseException as error:
            log("error", _told(error), {})
            return Problem.internal("the plugin failed")


def _told(error: BaseException) -> str:
    trace = "".join(traceback.format_exception(error)).strip()
    hint = ""
    if isinstance(error, ImportError):
        hint = "; there are no files in the sandbox, so what is imported within a function has to be imported at the top of the module as well"
    return f"the handler raised {type(error).__name__}: {error}{hint}\n{trace}"
