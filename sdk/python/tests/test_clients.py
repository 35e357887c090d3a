"""Clients that are written from a description of protos: what they write is protobuf, and what they read is what was written."""

import importlib
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from weft_sdk._build.clients import clients, snake
from weft_sdk.wire import Malformed

SCALARS = "double float int64 uint64 int32 fixed64 fixed32 bool string bytes uint32 sfixed32 sfixed64 sint32 sint64".split()


def field(name: str, number: int, kind: str, **more: Any) -> dict[str, Any]:
    plain = {"repeated": False, "packed": False, "presence": kind == "message", "map": None, "oneof": None, "type": None, "doc": ""}
    return {"name": name, "number": number, "kind": kind, **plain, **more}


def message(home: str, *fields: Any) -> dict[str, Any]:
    return {"package": home, "fields": list(fields), "doc": ""}


PROTOS: dict[str, Any] = {
    "messages": {
        "a.v1.All": message(
            "a.v1",
            *(field(kind, at + 1, kind) for at, kind in enumerate(SCALARS)),
            *(field(f"{kind}s", at + 101, kind, repeated=True, packed=kind not in ("string", "bytes")) for at, kind in enumerate(SCALARS)),
        ),
        "a.v1.Mixed": message(
            "a.v1",
            field("one", 1, "string", oneof="which"), field("two", 2, "message", type="b.Other", oneof="which"),
            field("maybe", 3, "uint32", presence=True),
            field("by_name", 4, "message", map=[field("key", 1, "string"), field("value", 2, "message", type="b.Other")]),
            field("by_id", 5, "message", map=[field("key", 1, "int64"), field("value", 2, "enum", type="b.Kind")]),
            field("kind", 6, "enum", type="b.Kind"), field("kinds", 7, "enum", type="b.Kind", repeated=True, packed=True),
            field("mine", 8, "message", type="a.v1.Mixed"), field("class", 9, "bool"), field("self", 10, "int32"),
            field("others", 11, "message", type="b.Other", repeated=True),
        ),
        "a.v1.Mixed.Inner": message("a.v1"),
        "a.v1.Mixed_Inner": message("a.v1"),
        "b.Other": message("b", field("x", 1, "int32"), field("list", 2, "string", repeated=True)),
    },
    "enums": {"b.Kind": {"package": "b", "doc": "", "values": [["KIND_UNKNOWN", 0], ["KIND_FILM", 1], ["KIND_MOVIE", 1], ["KIND_NEGATIVE", -1]]}},
    "services": {
        "a.v1.S": {"package": "a.v1", "doc": 'Says "no"', "methods": [
            {"name": "Get", "number": 0, "input": "a.v1.All", "output": "a.v1.Mixed", "stream": False, "doc": ""},
            {"name": "Other", "number": None, "input": "a.v1.All", "output": "a.v1.All", "stream": False, "doc": ""},
            {"name": "Send", "number": None, "input": "a.v1.All", "output": "a.v1.All", "stream": True, "doc": ""},
        ]},
    },
}  # fmt: skip


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        for name, text in clients(PROTOS).items():
            file = Path(folder.name, "protos", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        sys.path.insert(0, folder.name)
        cls.addClassCleanup(sys.path.remove, folder.name)
        cls.a, cls.b = importlib.import_module("protos.a.v1"), importlib.import_module("protos.b")

    def bytes_of(self, value: Any) -> bytes:
        out = bytearray()
        getattr(self.a, f"_write_{type(value).__name__}")(out, value)
        return bytes(out)

    def there(self, value: Any) -> Any:
        data = self.bytes_of(value)
        return getattr(self.a, f"_read_{type(value).__name__}")(data, 0, len(data))

    def test_every_scalar_comes_back_alone_and_in_lists_at_its_bounds(self) -> None:
        least = {"double": -1.5, "float": 0.5, "int64": -(2**63), "uint64": 0, "int32": -(2**31), "fixed64": 1, "fixed32": 1, "bool": True,
                 "string": "grüße 🎬", "bytes": b"\0\xff", "uint32": 0, "sfixed32": -1, "sfixed64": -1, "sint32": -(2**31), "sint64": -(2**63)}  # fmt: skip
        most = {"double": 1.7976931348623157e308, "float": -2.0, "int64": 2**63 - 1, "uint64": 2**64 - 1, "int32": 2**31 - 1, "fixed64": 2**64 - 1,
                "fixed32": 2**32 - 1, "bool": False, "string": "", "bytes": b"", "uint32": 2**32 - 1, "sfixed32": 2**31 - 1, "sfixed64": 2**63 - 1,
                "sint32": 2**31 - 1, "sint64": 2**63 - 1}  # fmt: skip
        for value in (least, most):
            whole = self.a.All(**value, **{f"{kind}s": [least[kind], most[kind]] for kind in SCALARS})
            self.assertEqual(self.there(whole), whole)
        self.assertEqual(self.bytes_of(self.a.All()), b"", "what is zero is not written")

    def test_what_is_written_is_what_protobuf_writes(self) -> None:
        def written(**value: Any) -> str:
            return self.bytes_of(self.a.All(**value)).hex()

        self.assertEqual(written(int32=-1), "28ffffffffffffffffff01")
        self.assertEqual(written(sint32=-2, sint64=2), "70037804")
        self.assertEqual(written(uint32s=[1, 300]), "fa060301ac02")
        self.assertEqual(written(string="a" * 200)[:8], "4ac80161")

    def test_oneofs_maps_enums_presence_and_names_that_are_words(self) -> None:
        other = self.b.Other
        value = self.a.Mixed(
            maybe=0, by_name={"a": other(x=1, list=["b"])}, by_id={-5: "KIND_FILM", 7: 99}, kind="KIND_MOVIE", kinds=["KIND_NEGATIVE", 5],
            mine=self.a.Mixed(class_=True, self=-3), others=[other(x=2), {"x": 3}],
        )  # fmt: skip
        found = self.there(value)
        self.assertEqual((found.maybe, found.one, found.two), (0, None, None))
        self.assertEqual(found.by_name, {"a": other(x=1, list=["b"])})
        self.assertEqual(found.by_id, {-5: "KIND_FILM", 7: 99})
        self.assertEqual((found.kind, found.kinds), ("KIND_FILM", ["KIND_NEGATIVE", 5]))
        self.assertEqual((found.mine.class_, found.mine.self, [one.x for one in found.others]), (True, -3, [2, 3]))
        # The last one of a oneof counts, and pieces of one message belong together.
        both = self.bytes_of(self.a.Mixed(one="x")) + self.bytes_of(self.a.Mixed(two=other(x=1))) + self.bytes_of(self.a.Mixed(two=other(list=["y"])))
        last = self.a._read_Mixed(both, 0, len(both))
        self.assertEqual((last.one, last.two), (None, other(x=1, list=["y"])))

    def test_what_comes_otherwise_is_read_and_what_is_cut_off_is_not(self) -> None:
        def read(*data: int) -> Any:
            return self.a._read_All(bytes(data), 0, len(data))

        self.assertEqual(read(0xF8, 0x06, 1, 0xF8, 0x06, 2).uint32s, [1, 2])
        self.assertEqual(read(0xC2, 0x3E, 1, 7, 0xC3, 0x3E, 8, 1, 0xC4, 0x3E, 0x58, 5).uint32, 5, "a group is passed over")
        for data in ([0x4A, 5, 65], [0x58], [0x58, 0x80], [0x09, 1], [0x58, *[255] * 10, 1], [0x0F]):
            with self.assertRaises((Malformed, IndexError), msg=str(data)):
                read(*data)

    def test_requests_that_do_not_fit_are_told_by_field(self) -> None:
        for given, text in (
            ({"uint32": -1}, r"a\.v1\.All\.uint32: expected a whole number \(uint32\), got -1"),
            ({"string": 5}, r"a\.v1\.All\.string: expected a str, got 5"),
            ({"strings": "x"}, r"a\.v1\.All\.strings: expected a list, got 'x'"),
            ({"bool": 1}, r"a\.v1\.All\.bool: expected True or False, got 1"),
        ):
            with self.assertRaisesRegex(TypeError, text):
                self.bytes_of(self.a.All(**given))
        with self.assertRaisesRegex(TypeError, "expected KIND_UNKNOWN or KIND_FILM"):
            self.bytes_of(self.a.Mixed(kind="KIND_FLIM"))

    def test_methods_that_are_not_granted_say_what_to_do(self) -> None:
        with self.assertRaisesRegex(RuntimeError, r'a\.v1\.S/Other is not granted: add "a\.v1\.S" = \["Other"\] to \[calls\] in plugin\.toml'):
            self.a.S.other()
        with self.assertRaisesRegex(RuntimeError, "takes a stream of requests"):
            self.a.S.send()
        with self.assertRaisesRegex(RuntimeError, "called outside of a request"):
            self.a.S.get(uint32=1)
        with self.assertRaises(TypeError):
            self.a.S.get(uint23=1)
        self.assertTrue(hasattr(self.a, "Mixed_Inner_2"))
        self.assertEqual([snake(name) for name in ("GetFilm", "GetTVShow", "List2", "Import")], ["get_film", "get_tv_show", "list2", "import_"])
