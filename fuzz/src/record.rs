//! What a store that hosts share says of repeated writes, which anybody may have written who can write there.

use bytes::Bytes;
use weft_core::store::record::{Content, MOST, Record, State};

/// A record is whole and within its bounds, or none: what is read can be written, and says the same again. A time is a number, texts are
/// texts, and a status is one that a response can have.
pub fn record(bytes: &[u8]) -> bool {
    let bytes = Bytes::copy_from_slice(bytes);
    let Some(record) = Record::read(&bytes) else {
        // Far enough to be told from noise: the version, a state, an owner and a fingerprint.
        return bytes.len() >= 50 && bytes[0] == 1 && b"rau".contains(&bytes[1]);
    };
    assert!(bytes.len() <= MOST);
    let written = record.write().unwrap();
    // Names that stand in several places are written beside one another.
    assert_eq!(written.len(), bytes.len());
    assert_eq!(written[..50], bytes[..50]);
    match &record.state {
        State::Running { .. } | State::Unknown(_) => assert_eq!(written, bytes),
        State::Answered(answer) => {
            assert!((200..600).contains(&answer.status.as_u16()));
            for (name, value) in &answer.headers {
                assert!(!name.as_str().is_empty() && !name.as_str().bytes().any(|byte| byte.is_ascii_uppercase()));
                assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)), "a header ends where it ends");
            }
            if let Content::Plain(body) = &answer.content {
                assert!(bytes.ends_with(body));
            }
        }
    }
    assert_eq!(Record::read(&Bytes::from(written)), Some(record));
    if !bytes.is_empty() {
        let mut other = bytes.to_vec();
        other[0] = other[0].wrapping_add(1);
        assert_eq!(Record::read(&Bytes::from(other)), None, "another version is another form");
    }
    true
}
