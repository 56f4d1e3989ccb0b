//! What can be told of a socket without its lock: for the report of why a context does not end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::options::SocketType;
use crate::pipe::Dropped;
use crate::sync::Lock;

/// A socket as others see it. It keeps nothing of the socket alive.
#[derive(Debug)]
pub struct About {
    socket_type: SocketType,
    last_endpoint: Lock<Vec<u8>>,
    closed: AtomicBool,
    dropped: Arc<Dropped>,
}

impl About {
    pub(super) fn new(socket_type: SocketType, dropped: Arc<Dropped>) -> About {
        About {
            socket_type,
            last_endpoint: Lock::default(),
            closed: AtomicBool::new(false),
            dropped,
        }
    }

    pub(super) fn set_last_endpoint(&self, endpoint: &str) {
        *self.last_endpoint.lock() = endpoint.as_bytes().to_vec();
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Its type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// What was bound or connected last (ZMQ_LAST_ENDPOINT); empty: nothing yet.
    pub fn last_endpoint(&self) -> Vec<u8> {
        self.last_endpoint.lock().clone()
    }

    /// Whether the application has closed it.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// What it has dropped.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }
}
