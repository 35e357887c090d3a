//! A stream on its way out of the house.

use crate::sync::lock;
use bytes::Bytes;
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;

/// The events of one stream, for whoever takes them first.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Option<mpsc::Receiver<Bytes>>>>);

impl Stream {
    pub(super) fn new(events: mpsc::Receiver<Bytes>) -> Self {
        Self(Arc::new(Mutex::new(Some(events))))
    }

    /// Its events, once. When the receiver is dropped, its guest is ended.
    pub fn take(&self) -> Option<mpsc::Receiver<Bytes>> {
        lock(&self.0).take()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
