//! Answers in parts, read as they come.

use crate::{wait::soon, web::Request};

/// An answer of server-sent events.
#[derive(Debug)]
pub struct Sse {
    pub status: u16,
    pub headers: http::HeaderMap,
    response: reqwest::Response,
    unread: String,
}

impl Request {
    /// Sends it, and waits for the head of the answer only.
    ///
    /// # Panics
    /// If there is none.
    pub async fn listen(self) -> Sse {
        let response = soon("the head of an answer", self.0.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Sse { status, headers, response, unread: String::new() }
    }
}

impl Sse {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What comes next without its empty line: an event or a comment; `None`: it has come to its end.
    ///
    /// # Panics
    /// If it breaks off.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                return Some(block);
            }
            match soon("the next event", self.response.chunk()).await.unwrap() {
                Some(bytes) => self.unread.push_str(std::str::from_utf8(&bytes).unwrap()),
                None => {
                    assert_eq!(self.unread, "", "the last event is whole");
                    return None;
                }
            }
        }
    }

    /// The next event, without comments.
    pub async fn event(&mut self) -> Option<String> {
        loop {
            let block = self.block().await?;
            if !block.starts_with(':') {
                return Some(block);
            }
        }
    }

    /// All events up to the end.
    pub async fn rest(mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}
