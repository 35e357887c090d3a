//! Messages in JSON, by descriptors.

use bytes::Bytes;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{path::Path, sync::LazyLock};
use weft_core::{
    model::Code,
    protojson::{list_to_json, to_json, to_protobuf},
};

pub(crate) static SHAPE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protos");
    let files = protox::compile(["shapes.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("fuzz.Shape").unwrap()
});

/// Bytes of JSON that a reply may become.
const MOST: usize = 64 << 10;

/// The first byte says which: a `l`ist or a `m`essage on the wire, otherwise JSON. What comes out goes in again, and comes out the same.
pub fn json(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((b'l', rest)) => from_list(Bytes::copy_from_slice(rest)),
        Some((b'm', rest)) => from_wire(&Bytes::copy_from_slice(rest)).is_some(),
        Some((_, rest)) => from_json(rest),
        None => false,
    }
}

/// JSON of any message, or the failure of a backend that sent what is none.
fn from_wire(message: &Bytes) -> Option<Value> {
    let text = match to_json(SHAPE.clone(), message, MOST) {
        Ok(text) => text,
        Err(failure) => {
            assert!(matches!(failure.code, Code::Internal | Code::ResourceExhausted), "{failure:?}");
            return None;
        }
    };
    assert!(text.len() <= MOST);
    let value: Value = serde_json::from_slice(&text).unwrap();
    assert!(value.is_object());
    let again = to_protobuf(SHAPE.clone(), &text).unwrap();
    let same: Value = serde_json::from_slice(&to_json(SHAPE.clone(), &again, MOST).unwrap()).unwrap();
    assert_eq!(value, same);
    Some(value)
}

/// A message, or the failure of a plugin that sent what is none, told with the message's name.
fn from_json(text: &[u8]) -> bool {
    match to_protobuf(SHAPE.clone(), text) {
        Ok(message) => {
            // But for text in what is passed over, which is not looked at.
            let text = String::from_utf8_lossy(text);
            assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "whatever is read is JSON");
            // Where it nests deeper than messages may, it is a failure.
            from_wire(&message);
            true
        }
        Err(failure) => {
            assert_eq!(failure.code, Code::InvalidArgument);
            assert!(failure.message.contains("`fuzz.Shape`"), "{failure:?}");
            text.starts_with(b"{")
        }
    }
}

/// As many items as there are messages, and nothing is lost between them.
fn from_list(list: Bytes) -> bool {
    match list_to_json(SHAPE.clone(), &list, MOST) {
        Ok(text) => {
            assert!(text.len() <= MOST);
            let items: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert!(items.len() * 2 <= list.len() && items.is_empty() == list.is_empty());
            true
        }
        Err(failure) => {
            assert!(matches!(failure.code, Code::Internal | Code::ResourceExhausted), "{failure:?}");
            false
        }
    }
}
