"""What the generated clients are made with."""

from .calls import Call, method, not_granted
from .wire import (
    Malformed, Message, checked, cut, length, merge, more, r_bool, r_bytes, r_double, r_fixed32, r_fixed64, r_float, r_int32, r_int64,
    r_sfixed32, r_sfixed64, r_sint32, r_sint64, r_string, r_uint32, r_uint64, skip, varint, w_bool, w_bytes, w_double, w_fixed32,
    w_fixed64, w_float, w_int32, w_int64, w_message, w_sfixed32, w_sfixed64, w_sint32, w_sint64, w_string, w_uint32, w_uint64, w_varint,
    wrong,
)  # fmt: skip

__all__ = [name for name in dir() if not name.startswith("_")]
