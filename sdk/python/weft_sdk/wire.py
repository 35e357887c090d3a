"""Protobuf on the wire, for the code that `_build/clients.py` writes: one function a message, no descriptors at run time."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Callable


class Malformed(ValueError):
    """The bytes are no message."""


def cut() -> Malformed:
    return Malformed("the message is cut off")


def more(data: bytes, at: int, value: int) -> tuple[int, int]:
    """The rest of a number whose first byte has been read, and says that more follow."""
    value &= 0x7F
    shift = 7
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Malformed("a number has more than ten bytes")


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    return (value, at) if value < 0x80 else more(data, at, value)


def length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The end of the message or of the list that begins here, and its beginning."""
    value, at = varint(data, at)
    if at + value > end:
        raise cut()
    return at + value, at


def skip(data: bytes, at: int, end: int, tag: int) -> int:
    """Passes over a field that the code does not know."""
    open_groups = 0
    while True:
        kind = tag & 7
        if kind == 0:
            _, at = varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 2:
            at, _ = length(data, at, end)
        elif kind == 3:
            open_groups += 1
        elif kind == 4 and open_groups:
            open_groups -= 1
        elif kind == 5:
            at += 4
        else:
            raise Malformed(f"field {tag >> 3} has no type that protobuf has")
        if at > end:
            raise cut()
        if not open_groups:
            return at
        tag, at = varint(data, at)


def _fixed(form: str) -> Callable[[bytes, int], tuple[Any, int]]:
    one = struct.Struct(form)
    size, unpack = one.size, one.unpack_from

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if at + size > len(data):
            raise cut()
        return unpack(data, at)[0], at + size

    return read


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _number(make: Callable[[int], Any]) -> Callable[[bytes, int], tuple[Any, int]]:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        value, at = varint(data, at)
        return make(value), at

    return read


r_uint64 = varint
r_uint32 = _number(lambda value: value & 0xFFFFFFFF)
r_int32 = _number(lambda value: _signed(value, 32))
r_int64 = _number(lambda value: _signed(value, 64))
r_sint32 = _number(lambda value: ((value & 0xFFFFFFFF) >> 1) ^ -(value & 1))
r_sint64 = _number(lambda value: (value >> 1) ^ -(value & 1))
r_bool = _number(bool)
r_fixed32, r_sfixed32, r_float = _fixed("<I"), _fixed("<i"), _fixed("<f")
r_fixed64, r_sfixed64, r_double = _fixed("<Q"), _fixed("<q"), _fixed("<d")


def r_string(data: bytes, at: int) -> tuple[str, int]:
    stop, at = length(data, at, len(data))
    return str(data[at:stop], "utf-8", "replace"), stop


def r_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    stop, at = length(data, at, len(data))
    return data[at:stop], stop


def merge(first: Any, second: Any) -> Any:
    """A message that comes in pieces: lists are joined, of all else the later piece counts."""
    if first is None:
        return second
    for name in type(second).__slots__:
        value = getattr(second, name)
        if isinstance(value, list):
            getattr(first, name).extend(value)
        elif isinstance(value, dict):
            getattr(first, name).update(value)
        elif value is not None and value != getattr(type(second)(), name):
            setattr(first, name, value)
    return first


def wrong(field: str, expected: str, value: Any) -> TypeError:
    shown = repr(value)
    return TypeError(f"{field}: expected {expected}, got {shown if len(shown) < 100 else shown[:100] + '…'}")


def w_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _integer(kind: str, low: int, high: int, put: Callable[[bytearray, int], None]) -> Callable[[bytearray, Any, str], None]:
    def write(out: bytearray, value: Any, field: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise wrong(field, f"a whole number ({kind})", value)
        put(out, value)

    return write


def _packed(form: str) -> Callable[[bytearray, int], None]:
    pack = struct.Struct(form).pack
    return lambda out, value: out.extend(pack(value))


def _real(form: str) -> Callable[[bytearray, Any, str], None]:
    pack = struct.Struct(form).pack

    def write(out: bytearray, value: Any, field: str) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise wrong(field, "a number", value)
        try:
            out.extend(pack(value))
        except (OverflowError, struct.error):
            raise wrong(field, "a number that fits", value) from None

    return write


_S32, _S64, _U32, _U64 = (-(1 << 31), (1 << 31) - 1), (-(1 << 63), (1 << 63) - 1), (0, (1 << 32) - 1), (0, (1 << 64) - 1)
w_int32 = _integer("int32", *_S32, lambda out, value: w_varint(out, value & 0xFFFFFFFFFFFFFFFF))
w_int64 = _integer("int64", *_S64, lambda out, value: w_varint(out, value & 0xFFFFFFFFFFFFFFFF))
w_uint32 = _integer("uint32", *_U32, w_varint)
w_uint64 = _integer("uint64", *_U64, w_varint)
w_sint32 = _integer("sint32", *_S32, lambda out, value: w_varint(out, value << 1 if value >= 0 else (-value << 1) - 1))
w_sint64 = _integer("sint64", *_S64, lambda out, value: w_varint(out, value << 1 if value >= 0 else (-value << 1) - 1))
w_fixed32, w_sfixed32 = _integer("fixed32", *_U32, _packed("<I")), _integer("sfixed32", *_S32, _packed("<i"))
w_fixed64, w_sfixed64 = _integer("fixed64", *_U64, _packed("<Q")), _integer("sfixed64", *_S64, _packed("<q"))
w_float, w_double = _real("<f"), _real("<d")


def w_bool(out: bytearray, value: Any, field: str) -> None:
    if not isinstance(value, bool):
        raise wrong(field, "True or False", value)
    out.append(value)


def w_string(out: bytearray, value: Any, field: str) -> None:
    if not isinstance(value, str):
        raise wrong(field, "a str", value)
    data = value.encode("utf-8", "replace")
    w_varint(out, len(data))
    out += data


def w_bytes(out: bytearray, value: Any, field: str) -> None:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise wrong(field, "bytes", value)
    w_varint(out, len(value))
    out += value


def w_message(out: bytearray, value: Any, kind: type, write: Callable[[bytearray, Any], None], field: str) -> None:
    """With its length before it. A plain dict stands for the message of its members."""
    if isinstance(value, Mapping):
        value = kind(**value)
    if not isinstance(value, kind):
        raise wrong(field, kind.__name__, value)
    inner = bytearray()
    write(inner, value)
    w_varint(out, len(inner))
    out += inner


def checked(value: Any, kind: type, field: str) -> Any:
    if not isinstance(value, kind):
        raise wrong(field, f"a {kind.__name__}", value)
    return value


class Message:
    """What the generated messages are: members by name, equal where their members are."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"
