//! An answer that leaves in parts (`wit/emit.wit`): what the guest hands over, and what is wrong with it.

use super::message::Fields;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// What an answer in parts begins with.
#[derive(Debug)]
pub struct StreamHead {
    pub status: u16,
    pub headers: Fields,
}

/// The guest's end of a stream.
#[derive(Debug)]
pub struct Emitter {
    head: Option<oneshot::Sender<StreamHead>>,
    events: mpsc::Sender<Bytes>,
    most: usize,
}

/// The other end.
#[derive(Debug)]
pub struct Emitted {
    pub head: oneshot::Receiver<StreamHead>,
    /// Each is one or more whole events.
    pub events: mpsc::Receiver<Bytes>,
}

/// What no SDK does, and the guest is stopped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("emit.begin: the code does not declare this endpoint as a stream")]
    NoStream,
    #[error("emit.begin: the answer has begun already")]
    Twice,
    #[error("emit.write: the answer has not begun")]
    NotBegun,
    #[error("emit.write: an event ends with two line feeds, and this does not")]
    NotWhole,
    #[error("emit.write: {size} bytes at once, and event = \"{most}\" in [streams] of weft.toml is the most")]
    TooLarge { size: usize, most: usize },
}

/// Both ends. One write, of `most` bytes at most, waits until it is taken.
pub fn emission(most: usize) -> (Emitter, Emitted) {
    let (head, its_head) = oneshot::channel();
    let (events, its_events) = mpsc::channel(1);
    (Emitter { head: Some(head), events, most }, Emitted { head: its_head, events: its_events })
}

impl Emitter {
    pub fn begin(&mut self, head: StreamHead) -> Result<(), Misuse> {
        // That nobody is there any more, the first write tells.
        let _ = self.head.take().ok_or(Misuse::Twice)?.send(head);
        Ok(())
    }

    /// Waits for room. `false`: nobody takes any more.
    pub async fn write(&self, events: Vec<u8>) -> Result<bool, Misuse> {
        if self.head.is_some() {
            return Err(Misuse::NotBegun);
        }
        if events.len() > self.most {
            return Err(Misuse::TooLarge { size: events.len(), most: self.most });
        }
        if !events.ends_with(b"\n\n") {
            return Err(Misuse::NotWhole);
        }
        Ok(self.events.send(events.into()).await.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_stream_of_whole_events_is_misuse() {
        let (mut emitter, mut emitted) = emission(16);
        assert_eq!(emitter.write(b"data: 1\n\n".to_vec()).await, Err(Misuse::NotBegun));
        emitter.begin(StreamHead { status: 200, headers: vec![] }).unwrap();
        assert_eq!(emitted.head.try_recv().unwrap().status, 200);
        assert_eq!(emitter.begin(StreamHead { status: 200, headers: vec![] }), Err(Misuse::Twice));
        assert_eq!(emitter.write(b"data: 1\n".to_vec()).await, Err(Misuse::NotWhole));
        assert_eq!(emitter.write(vec![b'\n'; 17]).await, Err(Misuse::TooLarge { size: 17, most: 16 }));
        assert_eq!(emitter.write(b"data: 1\n\n".to_vec()).await, Ok(true));
        assert_eq!(emitted.events.recv().await.unwrap(), "data: 1\n\n");
        drop(emitted);
        assert_eq!(emitter.write(b"data: 2\n\n".to_vec()).await, Ok(false));
    }
}
