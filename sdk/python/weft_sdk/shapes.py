"""What endpoints take and give, from type hints: JSON Schemas (2020-12), values made of what callers send, and what is said where it does
not fit."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from .problem import Problem

Json = dict[str, Any]
Faults = list[tuple[str, str]]

#: Most faults that one body is told of.
MOST_TOLD = 20


class Schema:
    """Narrows a type: `Annotated[str, Schema(max_length=100)]`."""

    def __init__(
        self, *, minimum: float | None = None, maximum: float | None = None, min_length: int | None = None, max_length: int | None = None,
        pattern: str | None = None, min_items: int | None = None, max_items: int | None = None, description: str | None = None,
        format: str | None = None,
    ) -> None:  # fmt: skip
        given = {
            "minimum": minimum, "maximum": maximum, "minLength": min_length, "maxLength": max_length, "pattern": pattern,
            "minItems": min_items, "maxItems": max_items, "description": description, "format": format,
        }  # fmt: skip
        self.keywords: Json = {name: value for name, value in given.items() if value is not None}
        self.pattern = re.compile(pattern) if pattern is not None else None


#: 0 to 2^32-1, as `uint32` in protos.
Uint32 = Annotated[int, Schema(format="uint32", minimum=0, maximum=(1 << 32) - 1)]
#: -2^31 to 2^31-1, as `int32` in protos.
Int32 = Annotated[int, Schema(format="int32", minimum=-(1 << 31), maximum=(1 << 31) - 1)]


class Shape:
    """Of a value: how it is described, and how it is made of what JSON has."""

    word = "a value"
    #: Whether a path or a query can have it.
    is_plain = False

    def schema(self, defs: Json) -> Json:
        return {}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        return value

    def parse(self, text: str, path: str, faults: Faults) -> Any:
        """Of a text in a path or a query."""
        return self.take(text, path, faults)


class Scalar(Shape):
    is_plain = True

    def __init__(self, kind: type, word: str, name: str) -> None:
        self.kind, self.word, self.name = kind, word, name

    def schema(self, defs: Json) -> Json:
        return {"type": self.name}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        kind = self.kind
        if type(value) is kind:
            return value
        if kind is int and type(value) is float and value.is_integer():
            return int(value)
        if kind is float and type(value) is int:
            return float(value) if abs(value) < 1 << 1023 else value
        faults.append((path, f"expected {self.word}, found {shown(value)}"))
        return value

    def parse(self, text: str, path: str, faults: Faults) -> Any:
        if self.kind is str:
            return text
        if self.kind is int and re.fullmatch(r"-?[0-9]{1,20}", text):
            return int(text)
        if self.kind is float and re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", text):
            return float(text)
        if self.kind is bool and text in ("true", "false"):
            return text == "true"
        faults.append((path, f"expected {self.word}, found `{text[:100]}`"))
        return None


class Limited(Shape):
    def __init__(self, inner: Shape, limits: Schema) -> None:
        self.inner, self.limits, self.word, self.is_plain = inner, limits, inner.word, inner.is_plain

    def schema(self, defs: Json) -> Json:
        return {**self.inner.schema(defs), **self.limits.keywords}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        return self.look(self.inner.take, value, path, faults)

    def parse(self, text: str, path: str, faults: Faults) -> Any:
        return self.look(self.inner.parse, text, path, faults)

    def look(self, take: Callable[[Any, str, Faults], Any], given: Any, path: str, faults: Faults) -> Any:
        before = len(faults)
        value, told = take(given, path, faults), self.limits.keywords
        if len(faults) > before:
            return value
        for keyword, word in (("minimum", "less"), ("maximum", "more")):
            bound = told.get(keyword)
            if bound is not None and isinstance(value, (int, float)) and (value < bound if word == "less" else value > bound):
                faults.append((path, f"is {word} than {bound}"))
        for keyword, word, unit in (
            ("minLength", "fewer", "characters"), ("maxLength", "more", "characters"), ("minItems", "fewer", "items"), ("maxItems", "more", "items"),
        ):  # fmt: skip
            bound = told.get(keyword)
            if bound is not None and hasattr(value, "__len__") and (len(value) < bound if word == "fewer" else len(value) > bound):
                faults.append((path, f"has {word} than {bound} {unit}" if unit == "items" or word == "fewer" else f"is longer than {bound} characters"))
        if self.limits.pattern and isinstance(value, str) and not self.limits.pattern.search(value):
            faults.append((path, f"does not fit the pattern {told['pattern']}"))
        return value


class Choice(Shape):
    """One of some values: of a `Literal`, or of an `Enum`."""

    is_plain = True

    def __init__(self, values: Sequence[Any], make: Callable[[Any], Any]) -> None:
        self.values, self.make = list(values), make
        self.word = " or ".join(json.dumps(value) for value in self.values)

    def schema(self, defs: Json) -> Json:
        return {"enum": self.values}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        if any(value == one and type(value) is type(one) for one in self.values):
            return self.make(value)
        faults.append((path, f"expected {self.word}, found {shown(value)}"))
        return value

    def parse(self, text: str, path: str, faults: Faults) -> Any:
        number = int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) and text not in self.values else text
        return self.take(number, path, faults)


class Text(Shape):
    """What JSON has as a string of some form."""

    is_plain = True

    def __init__(self, word: str, form: str, make: Callable[[str], Any]) -> None:
        self.word, self.form, self.make = word, form, make

    def schema(self, defs: Json) -> Json:
        return {"type": "string", "format": self.form}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        try:
            return self.make(value)
        except (TypeError, ValueError, AttributeError):
            faults.append((path, f"expected {self.word}, found {shown(value)}"))
            return value


class Items(Shape):
    word = "a list"

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def schema(self, defs: Json) -> Json:
        return {"type": "array", "items": self.inner.schema(defs)}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, list):
            faults.append((path, f"expected a list, found {shown(value)}"))
            return value
        return [self.inner.take(one, f"{path}[{at}]", faults) for at, one in enumerate(value) if len(faults) < MOST_TOLD]


class Named(Shape):
    """Values by any names."""

    word = "an object"

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def schema(self, defs: Json) -> Json:
        return {"type": "object", "additionalProperties": self.inner.schema(defs)}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.append((path, f"expected an object, found {shown(value)}"))
            return value
        return {name: self.inner.take(one, f"{path}.{name}", faults) for name, one in value.items() if len(faults) < MOST_TOLD}


class Either(Shape):
    word = "another value"

    def __init__(self, parts: Sequence[Shape]) -> None:
        self.parts = list(parts)
        self.is_plain = all(part.is_plain for part in self.parts if part is not NOTHING)

    def schema(self, defs: Json) -> Json:
        return {"anyOf": [part.schema(defs) for part in self.parts]}

    def look(self, take: Callable[[Shape, Faults], Any], faults: Faults) -> Any:
        found: list[Faults] = []
        for part in self.parts:
            inner: Faults = []
            value = take(part, inner)
            if not inner:
                return value
            found.append(inner)
        # What fits best is wrong at the deepest place.
        faults.append(max(found, key=lambda inner: len(inner[0][0]))[0])
        return None

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        return self.look(lambda part, inner: part.take(value, path, inner), faults)

    def parse(self, text: str, path: str, faults: Faults) -> Any:
        return self.look(lambda part, inner: part.parse(text, path, inner), faults)


class Null(Shape):
    word = "null"

    def schema(self, defs: Json) -> Json:
        return {"type": "null"}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        if value is not None:
            faults.append((path, f"expected null, found {shown(value)}"))


class Object(Shape):
    """A dataclass or a TypedDict, which the client's contract knows by its name."""

    word = "an object"

    def __init__(self, kind: type) -> None:
        self.kind = kind
        hints = typing.get_type_hints(kind, include_extras=True)
        if dataclasses.is_dataclass(kind):
            known = [field for field in dataclasses.fields(kind) if field.init]
            missing = dataclasses.MISSING
            self.required = {field.name for field in known if field.default is missing and field.default_factory is missing}
            names = [field.name for field in known]
        else:
            names, self.required = list(hints), set(kind.__required_keys__)  # type: ignore[attr-defined]
        SHAPES[kind] = self
        self.members = {name: shape_of(hints[name], f"{kind.__name__}.{name}") for name in names}

    def schema(self, defs: Json) -> Json:
        name = self.kind.__name__
        there = defs.get(name)
        if there is None:
            defs[name] = {"of": self.kind}
            plain = {member: shape.schema(defs) for member, shape in self.members.items()}
            required = [member for member in self.members if member in self.required or defs.get("", False)]
            defs[name] = {"of": self.kind, "type": "object", "properties": plain, **({"required": required} if required else {})}
        elif there["of"] is not self.kind:
            raise TypeError(f"two types are named `{name}`")
        return {"$ref": f"#/$defs/{name}"}

    def take(self, value: Any, path: str, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.append((path, f"expected an object, found {shown(value)}"))
            return value
        before, made = len(faults), {}
        for name, shape in self.members.items():
            if name in value and len(faults) < MOST_TOLD:
                made[name] = shape.take(value[name], f"{path}.{name}", faults)
            elif name in self.required:
                faults.append((f"{path}.{name}", "is required, but missing"))
        return self.kind(**made) if len(faults) == before else None


NOTHING = Null()
SHAPES: dict[Any, Shape] = {
    str: Scalar(str, "a string", "string"),
    int: Scalar(int, "a whole number", "integer"),
    float: Scalar(float, "a number", "number"),
    bool: Scalar(bool, "true or false", "boolean"),
    None: NOTHING,
    type(None): NOTHING,
    Any: Shape(),
    object: Shape(),
    dict: Named(Shape()),
    list: Items(Shape()),
    datetime.datetime: Text("a time (RFC 3339)", "date-time", lambda text: datetime.datetime.fromisoformat(text)),
    datetime.date: Text("a date (2026-01-31)", "date", lambda text: datetime.date.fromisoformat(text)),
}


def shape_of(hint: Any, place: str) -> Shape:
    """The shape of what a type hint says."""
    try:
        if hint in SHAPES:
            return SHAPES[hint]
    except TypeError:
        pass  # not hashable
    origin, given = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        shape = shape_of(given[0], place)
        for limits in given[1:]:
            shape = Limited(shape, limits) if isinstance(limits, Schema) else shape
        return shape
    if origin in (Union, types.UnionType):
        return Either([shape_of(one, place) for one in given])
    if origin is Literal:
        return Choice(given, lambda value: value)
    if origin in (typing.Required, typing.NotRequired) if hasattr(typing, "Required") else False:
        return shape_of(given[0], place)
    if origin in (list, Sequence):
        return Items(shape_of(given[0], place))
    if origin in (dict, Mapping) and given[0] is str:
        return Named(shape_of(given[1], place))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Choice([one.value for one in hint], hint)
    if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
        return Object(hint)
    raise TypeError(
        f"{place}: there is no JSON for {hint!r}; there is for str, int, float, bool, None, list, dict[str, …], Literal, Enum, datetime, date, "
        "dataclasses and TypedDicts, and for `|` of them"
    )


def document(shape: Shape, is_answer: bool) -> Json:
    """The schema as a document: named types stand in `$defs`, once each. Of an answer all members are there."""
    defs: Json = {"": True} if is_answer else {}
    schema = shape.schema(defs)
    defs.pop("", None)
    for one in defs.values():
        one.pop("of")
    if isinstance(shape, Object):
        name = shape.kind.__name__
        # One that has itself inside stays among the named.
        if json.dumps(schema) not in json.dumps(defs):
            schema = {"title": name, **defs.pop(name)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, **({"$defs": defs} if defs else {})}


def refuse(faults: Faults) -> None:
    """Raises a 400 that names every field at fault."""
    if not faults:
        return
    problem = Problem.bad_request("; ".join(f"{field}: {text}" for field, text in faults)).having("field", faults[0][0])
    raise problem.having("fields", ", ".join(field for field, _ in faults)) if len(faults) > 1 else problem


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"
