"""Writes typed clients: of what `weft` has read of the protos (a description in JSON) one module for each package.

Each message gets a class, a function that reads it and one that writes it, and nothing else: there are no descriptors at run time.
"""

from __future__ import annotations

import builtins
import keyword
from typing import Any

NUMBERS = ("double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "uint32", "sfixed32", "sfixed64", "sint32", "sint64")
TYPES = {"string": "str", "bytes": "bytes", "bool": "bool", "double": "float", "float": "float"}
ZEROS = {"string": '""', "bytes": 'b""', "bool": "False", "double": "0.0", "float": "0.0"}
WIRES = {"double": 1, "fixed64": 1, "sfixed64": 1, "string": 2, "bytes": 2, "message": 2, "float": 5, "fixed32": 5, "sfixed32": 5}

Json = dict[str, Any]


def clients(protos: Json) -> dict[str, str]:
    """The files, by their paths below the package `protos`: `catalog/v1/__init__.py` for `catalog.v1`."""
    names = _identifiers(protos)
    files = {"__init__.py": HEAD}
    homes = {one["package"] for kind in ("messages", "enums", "services") for one in protos[kind].values()}
    for home in sorted(homes):
        parts = module(home).split(".")[1:]
        for at in range(1, len(parts) + 1):
            files.setdefault("/".join([*parts[:at], "__init__.py"]), HEAD)
        files["/".join([*parts, "__init__.py"])] = _Package(protos, names, home).text()
    return files


HEAD = '"""Written by `weft` from protos: changes are lost."""\n'


def module(home: str) -> str:
    return ".".join(["protos", *(plain(part) for part in home.split(".") if part)])


def plain(name: str) -> str:
    """A name that Python takes, and that nothing of Python's own has."""
    if keyword.iskeyword(name):
        return f"{name}_"
    return f"pb{name}" if name.startswith("__") else name


def snake(name: str) -> str:
    """`GetFilm` is `get_film`, `GetTVShow` is `get_tv_show`."""
    out = ""
    for at, letter in enumerate(name):
        after_lower = at and (name[at - 1].islower() or name[at - 1].isdigit())
        before_lower = at and at + 1 < len(name) and name[at - 1].isupper() and name[at + 1].islower()
        out += "_" + letter.lower() if letter.isupper() and (after_lower or before_lower) else letter.lower()
    return plain(out)


def _identifiers(protos: Json) -> dict[str, str]:
    """What each type is called in its module: `Film.Role` is `Film_Role`, and where two would be one the later gets a number."""
    taken: set[tuple[str, str]] = set()
    names = {}
    reserved = set(dir(builtins)) | {"Call", "Message", "Literal", "Union", "Any"}
    for kind in ("services", "messages", "enums"):
        for full, one in sorted(protos[kind].items()):
            home = one["package"]
            first = plain(full[len(home) + 1 if home else 0 :].replace(".", "_"))
            first = f"{first}_" if first in reserved else first
            name, count = first, 2
            while (home, name) in taken:
                name, count = f"{first}_{count}", count + 1
            taken.add((home, name))
            names[full] = name
    return names


class _Package:
    def __init__(self, protos: Json, names: dict[str, str], home: str) -> None:
        self.protos, self.names, self.home = protos, names, home
        self.imports: set[str] = set()

    def own(self, kind: str) -> list[tuple[str, Json]]:
        return sorted((full, one) for full, one in self.protos[kind].items() if one["package"] == self.home)

    def use(self, full: str, prefix: str = "") -> str:
        """A type, or one of its functions, which may be another package's."""
        home = (self.protos["messages"].get(full) or self.protos["enums"][full])["package"]
        name = prefix + self.names[full]
        if home == self.home:
            return name
        self.imports.add(home)
        return f"_{module(home).replace('.', '_')}.{name}"

    def text(self) -> str:
        parts = [self.enum(full, one) for full, one in self.own("enums")]
        for full, one in self.own("messages"):
            parts += [self.message(full, one), self.reader(full, one), self.writer(full, one)]
        parts += [self.service(full, one) for full, one in self.own("services")]
        imports = "".join(f"import {module(home)} as _{module(home).replace('.', '_')}\n" for home in sorted(self.imports))
        head = "from __future__ import annotations\n\nfrom typing import Any, Literal, Union\n\nimport weft_sdk.client as _c\nfrom weft_sdk.client import Call, Message\n"
        return f"{HEAD}\n{head}{imports}\n\n" + "\n\n".join(parts)

    def enum(self, full: str, one: Json) -> str:
        name, values = self.names[full], one["values"]
        numbers: dict[int, str] = {}
        for value, number in values:
            numbers.setdefault(number, value)
        told = " or ".join(value for value, _ in values)
        literal = ", ".join(dict.fromkeys(repr(value) for value, _ in values))
        return f"""{name} = Union[Literal[{literal}], int]
_names_{name} = {numbers!r}
_numbers_{name} = {dict(values)!r}


def _read_{name}(data: bytes, at: int) -> tuple[Any, int]:
    number, at = _c.r_int32(data, at)
    return _names_{name}.get(number, number), at


def _write_{name}(out: bytearray, value: Any, field: str) -> None:
    number = _numbers_{name}.get(value) if isinstance(value, str) else value
    if number is None:
        raise _c.wrong(field, {told!r}, value)
    _c.w_int32(out, number, field)
"""

    def zero(self, field: Json) -> str | None:
        if field["map"] or field["repeated"]:
            return "{}" if field["map"] else "[]"
        if field["presence"] or field["oneof"] or field["kind"] in ("message", "group"):
            return None
        if field["kind"] == "enum":
            return repr(self.protos["enums"][field["type"]]["values"][0][0])
        return ZEROS.get(field["kind"], "0")

    def type_of(self, field: Json) -> str:
        if field["map"]:
            return f"dict[{self.type_of(field['map'][0])}, {self.type_of(field['map'][1])}]"
        kind = field["kind"]
        one = self.use(field["type"]) if kind in ("message", "enum") else TYPES.get(kind, "int")
        return f"list[{one}]" if field["repeated"] else one

    def argument(self, field: Json) -> str:
        name, zero, kind = plain(field["name"]), self.zero(field), self.type_of(field)
        return f"{name}: {kind} | None = None" if zero is None or zero in ("[]", "{}") else f"{name}: {kind} = {zero}"

    def message(self, full: str, one: Json) -> str:
        name, known = self.names[full], _known(one)
        lines = [f"class {name}(Message):", *_doc(one["doc"], "    ")]
        slots = "".join(f"{plain(field['name'])!r}, " for field in known)
        lines.append(f"    __slots__ = ({slots.rstrip()})")
        for field in known:
            optional = " | None" if self.zero(field) is None else ""
            lines += [f"    {plain(field['name'])}: {self.type_of(field)}{optional}", *_doc(field["doc"], "    ")]
        arguments = "".join(f", {self.argument(field)}" for field in known)
        lines += ["", f"    def __init__(_self, /{', *' + arguments if known else ''}) -> None:"]
        for field in known:
            own, zero = plain(field["name"]), self.zero(field)
            given = f"{zero} if {own} is None else {own}" if zero in ("[]", "{}") else own
            lines.append(f"        _self.{own} = {given}")
        return "\n".join(lines if known else [*lines, "        pass"]) + "\n"

    def reader(self, full: str, one: Json) -> str:
        name, known = self.names[full], _known(one)
        lines = [f"def _read_{name}(data: bytes, at: int, end: int) -> {name}:", f"    m = {name}()", "    while at < end:"]
        lines += ["        tag = data[at]", "        at += 1", "        if tag > 127:", "            tag, at = _c.more(data, at, tag)"]
        word = "if"
        for field in known:
            for tag, body in self.cases(field, known):
                lines += [f"        {word} tag == {tag}:", *(f"            {line}" for line in body)]
                word = "elif"
        skip = "at = _c.skip(data, at, end, tag)"
        lines += [f"        {skip}"] if word == "if" else ["        else:", f"            {skip}"]
        lines += ["    if at != end:", "        raise _c.cut()", "    return m", ""]
        return "\n".join(lines)

    def read(self, field: Json, into: str) -> list[str]:
        """Statements that read one value; the usual ones without a call."""
        kind = field["kind"]
        start = ["v = data[at]", "at += 1", "if v > 127:", "    v, at = _c.more(data, at, v)"]
        if kind == "uint64" or kind == "bool":
            return [*start, into.format("v" if kind == "uint64" else "v != 0")]
        if kind == "uint32":
            return [*start, into.format("v & 0xFFFFFFFF")]
        if kind in ("string", "bytes", "message"):
            value = {
                "string": 'str(data[at:v], "utf-8", "replace")',
                "bytes": "data[at:v]",
            }.get(kind) or f"{self.use(field['type'], '_read_')}(data, at, v)"
            return [*start, "v += at", "if v > end:", "    raise _c.cut()", into.format(value), "at = v"]
        read = self.use(field["type"], "_read_") if kind == "enum" else f"_c.r_{kind}"
        return [f"v, at = {read}(data, at)", into.format("v")]

    def cases(self, field: Json, known: list[Json]) -> list[tuple[int, list[str]]]:
        at = f"m.{plain(field['name'])}"
        wire = WIRES.get(field["kind"], 0)
        number = field["number"] << 3
        if field["map"]:
            return [(number | 2, self.map_case(field, at))]
        if field["repeated"]:
            cases = [(number | wire, self.read(field, f"{at}.append({{}})"))]
            if wire != 2:
                inner = self.read(field, f"{at}.append({{}})")
                cases.append((number | 2, ["stop, at = _c.length(data, at, end)", "while at < stop:", *(f"    {line}" for line in inner)]))
            return cases
        others = [other for other in known if field["oneof"] and other["oneof"] == field["oneof"] and other is not field]
        cleared = [f"m.{plain(other['name'])} = None" for other in others]
        # Pieces of one message that come apart belong together.
        into = f"{at} = _c.merge({at}, {{}}) if {at} is not None else {{}}" if field["kind"] == "message" else f"{at} = {{}}"
        body = self.read(field, "w = {}")
        return [(number | wire, [*body, into.format("w", "w"), *cleared])]

    def map_case(self, field: Json, at: str) -> list[str]:
        key, value = field["map"]
        zero = f"{self.use(value['type'])}()" if value["kind"] == "message" else self.zero({**value, "presence": False})
        cases = []
        for word, tag, part, name in (("if", 8, key, "k"), ("elif", 16, value, "w")):
            cases += [f"{word} inner == {tag | WIRES.get(part['kind'], 0)}:", *(f"    {line}" for line in self.read(part, f"{name} = {{}}"))]
        inner = ["inner, at = _c.varint(data, at)", *cases, "else:", "    at = _c.skip(data, at, stop, inner)"]
        return [
            "stop, at = _c.length(data, at, end)",
            f"k, w = {self.zero({**key, 'presence': False})}, {zero}",
            "while at < stop:",
            *(f"    {line}" for line in inner),
            f"{at}[k] = w",
        ]

    def writer(self, full: str, one: Json) -> str:
        name, known = self.names[full], _known(one)
        lines = [f"def _write_{name}(out: bytearray, m: {name}) -> None:"]
        for field in known:
            lines += [f"    {line}" for line in self.write_field(full, field)]
        return "\n".join(lines if known else [*lines, "    pass"]) + "\n"

    def write(self, field: Json, value: str, place: str, number: int) -> list[str]:
        tag = number << 3 | WIRES.get(field["kind"], 0)
        return [f"out += {_varint(tag)!r}", self.value(field, value, place)]

    def value(self, field: Json, value: str, place: str, out: str = "out") -> str:
        if field["kind"] == "message":
            return f"_c.w_message({out}, {value}, {self.use(field['type'])}, {self.use(field['type'], '_write_')}, {place})"
        write = self.use(field["type"], "_write_") if field["kind"] == "enum" else f"_c.w_{field['kind']}"
        return f"{write}({out}, {value}, {place})"

    def write_field(self, full: str, field: Json) -> list[str]:
        at, place, number = f"m.{plain(field['name'])}", repr(f"{full}.{field['name']}"), field["number"]
        if field["map"]:
            key, value = field["map"]
            inner = [*self.write(key, "k", place, 1), *self.write(value, "w", place, 2)]
            inner = [line.replace("out", "part", 1) if line.startswith("out") else line.replace("(out,", "(part,", 1) for line in inner]
            tag = _varint(number << 3 | 2)
            return [
                f"for k, w in _c.checked({at}, dict, {place}).items():",
                "    part = bytearray()",
                *(f"    {line}" for line in inner),
                f"    out += {tag!r}",
                f"    _c.w_bytes(out, part, {place})",
            ]
        wire = WIRES.get(field["kind"], 0)
        if field["repeated"] and field["packed"] and wire != 2:
            packed = ["    part = bytearray()", f"    for v in _c.checked({at}, list, {place}):", f"        {self.value(field, 'v', place, 'part')}"]
            return [f"if {at}:", *packed, f"    out += {_varint(number << 3 | 2)!r}", f"    _c.w_bytes(out, part, {place})"]
        if field["repeated"]:
            return [f"for v in _c.checked({at}, list, {place}):", *(f"    {line}" for line in self.write(field, "v", place, number))]
        zero = self.zero(field)
        condition = f"if {at} is not None:" if zero is None else f"if {at} != {zero}:"
        return [condition, *(f"    {line}" for line in self.write(field, at, place, number))]

    def service(self, full: str, one: Json) -> str:
        lines = [f"class {self.names[full]}:", *_doc(one["doc"], "    ")]
        for method in one["methods"]:
            lines += ["", *self.method(full, method)] if len(lines) > 1 else self.method(full, method)
        return "\n".join(lines if one["methods"] else [*lines, "    pass"]) + "\n"

    def method(self, full: str, method: Json) -> list[str]:
        name, whole = snake(method["name"]), f"{full}/{method['name']}"
        if method["stream"] or method["number"] is None:
            told = f'RuntimeError("{whole} takes a stream of requests, which no plugin can send")' if method["stream"] else f"_c.not_granted({whole!r})"
            return ["    @staticmethod", f"    def {name}(*_: Any, **__: Any) -> Any:", f"        raise {told}"]
        request, reply = self.use(method["input"]), self.use(method["output"])
        known = _known(self.protos["messages"][method["input"]])
        arguments = "".join(f", {self.argument(field)}" for field in known)
        given = ", ".join(f"{plain(field['name'])}={plain(field['name'])}" for field in known)
        functions = [self.use(method[kind], prefix) for prefix, kind in (("_write_", "input"), ("_read_", "output"), ("_read_", "input"), ("_write_", "output"))]
        made = f"{method['number']}, {whole!r}, {functions[0]}, {functions[1]}, {request}, {reply}, ({functions[2]}, {functions[3]})"
        own = f"{self.names[full]}.{name}"
        return [
            "    @staticmethod",
            f"    @_c.method({made})",
            f"    def {name}(_request: {request} | None = None, /{', *' + arguments if known else ''}) -> Call[{reply}]:",
            *_doc(method["doc"], "        "),
            f"        return {own}.method.call({request}({given}) if _request is None else _request)  # type: ignore",
        ]


def _known(message: Json) -> list[Json]:
    return [field for field in message["fields"] if field["kind"] != "group"]


def _doc(text: str, indent: str) -> list[str]:
    if not text.strip():
        return []
    lines = [line.strip().replace("\\", "\\\\").replace('"""', "'''") for line in text.strip().split("\n")]
    if lines[-1].endswith('"'):
        lines[-1] += " "
    return [f'{indent}"""{lines[0]}', *(f"{indent}{line}".rstrip() for line in lines[1:]), f'{indent}"""'] if len(lines) > 1 else [f'{indent}"""{lines[0]}"""']


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
