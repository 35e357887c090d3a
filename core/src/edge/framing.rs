//! How far the bytes of an HTTP/2 connection have come: whether something that has to arrive at once has only begun to.
//!
//! The HTTP library waits for the rest of a frame, and for the CONTINUATION behind a HEADERS, for as long as the client likes. Frames are
//! looked at by their heads alone (RFC 9113, section 4.1).

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What a connection has said so far.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// So much of the preface.
    preface: usize,
    /// The first frame, which has to be SETTINGS, is whole.
    is_open: bool,
    head: [u8; HEAD],
    /// So much of a frame's head.
    have: usize,
    /// So much is to come of its payload.
    left: usize,
    is_data: bool,
    /// The frame is the last one of a header block.
    ends_block: bool,
    in_block: bool,
}

/// After some more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// This is no HTTP/2.
    Other,
    /// Nothing is unfinished but perhaps a piece of a body.
    Whole,
    /// A frame or a header block is unfinished that began with these bytes.
    Begun,
    /// What was unfinished before still is.
    Unfinished,
}

impl Framing {
    pub(super) fn is_http2(&self) -> bool {
        self.preface == PREFACE.len()
    }

    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Came {
        let was_unfinished = self.is_unfinished();
        let mut has_ended = false;
        while let Some((&first, rest)) = bytes.split_first() {
            if !self.is_http2() {
                if PREFACE.get(self.preface) != Some(&first) {
                    return Came::Other;
                }
                self.preface += 1;
                bytes = rest;
            } else if self.left > 0 {
                let some = self.left.min(bytes.len());
                self.left -= some;
                bytes = bytes.get(some..).unwrap_or_default();
                has_ended |= self.left == 0 && self.frame_ended();
            } else {
                if let Some(place) = self.head.get_mut(self.have) {
                    *place = first;
                }
                self.have += 1;
                bytes = rest;
                has_ended |= self.have == HEAD && self.head_ended();
            }
        }
        match self.is_unfinished() {
            false => Came::Whole,
            true if was_unfinished && !has_ended => Came::Unfinished,
            true => Came::Begun,
        }
    }

    fn is_unfinished(&self) -> bool {
        let has_said_something = self.preface > 0;
        let in_frame = self.have > 0 || (self.left > 0 && !self.is_data);
        has_said_something && (!self.is_open || self.in_block || in_frame)
    }

    /// Whether that was all of the frame, and of the block that it belongs to.
    fn head_ended(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.have = 0;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.is_data = kind == DATA;
        let is_block = kind == HEADERS || kind == CONTINUATION;
        self.in_block |= is_block;
        self.ends_block = is_block && flags & END_HEADERS != 0;
        // The head of a piece of a body is whole, and the rest of it may take its time.
        (self.left == 0 && self.frame_ended()) || (self.is_data && !self.in_block)
    }

    fn frame_ended(&mut self) -> bool {
        self.is_open = true;
        self.in_block &= !self.ends_block;
        !self.in_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; payload]].concat()
    }

    fn open() -> Framing {
        let mut framing = Framing::default();
        assert_eq!(framing.follow(&[PREFACE, &frame(4, 0, 6)].concat()), Came::Whole);
        framing
    }

    #[test]
    fn a_connection_opens_with_its_preface_and_a_frame() {
        let mut framing = Framing::default();
        assert_eq!(framing.follow(b"PRI * HT"), Came::Begun);
        assert_eq!(framing.follow(b"TP/2.0\r\n\r\nSM\r\n\r\n"), Came::Unfinished);
        assert!(framing.is_http2());
        assert_eq!(framing.follow(&frame(4, 0, 6)[..8]), Came::Unfinished);
        assert_eq!(framing.follow(&frame(4, 0, 6)[8..]), Came::Whole);
        for other in ["GET / HTTP/1.1\r\n", "PRI * HTTP/1.1", "POST / HTTP/1.1"] {
            assert_eq!(Framing::default().follow(other.as_bytes()), Came::Other);
        }
        let mut post = Framing::default();
        assert_eq!((post.follow(b"P"), post.follow(b"OST")), (Came::Begun, Came::Other), "however it is cut");
    }

    #[test]
    fn a_header_is_whole_with_the_end_of_its_block() {
        let mut framing = open();
        assert_eq!(framing.follow(&frame(HEADERS, 1, 20)), Came::Begun);
        for _ in 0..3 {
            assert_eq!(framing.follow(&frame(CONTINUATION, 0, 1)), Came::Unfinished, "going on is not the end");
        }
        assert_eq!(framing.follow(&frame(CONTINUATION, END_HEADERS, 1)), Came::Whole);
        let whole = frame(HEADERS, END_HEADERS, 20);
        assert_eq!(framing.follow(&whole[..1]), Came::Begun);
        for byte in &whole[1..28] {
            assert_eq!(framing.follow(&[*byte]), Came::Unfinished, "byte by byte");
        }
        assert_eq!(framing.follow(&whole[28..]), Came::Whole);
        assert_eq!(framing.follow(&frame(CONTINUATION, END_HEADERS, 0)), Came::Whole);
    }

    #[test]
    fn whoever_is_always_in_the_middle_of_another_frame_is_well() {
        let mut framing = open();
        let two = [frame(HEADERS, END_HEADERS, 20), frame(HEADERS, END_HEADERS, 20)].concat();
        assert_eq!(framing.follow(&two[..10]), Came::Begun);
        assert_eq!(framing.follow(&two[10..40]), Came::Begun);
        assert_eq!(framing.follow(&two[40..]), Came::Whole);
    }

    #[test]
    fn a_piece_of_a_body_may_take_its_time() {
        let mut framing = open();
        let data = frame(DATA, 0, 100);
        assert_eq!(framing.follow(&data[..5]), Came::Begun, "but its head may not");
        assert_eq!(framing.follow(&data[5..50]), Came::Whole);
        assert_eq!(framing.follow(&data[50..]), Came::Whole);
        assert_eq!(framing.follow(&frame(6, 0, 8)[..12]), Came::Begun, "and nothing else may");
    }
}
