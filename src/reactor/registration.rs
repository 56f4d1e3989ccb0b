//! One descriptor in a poller.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use polling::{Event, PollMode, Poller};

use crate::base::Error;

/// What to be told about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Input, or the end of it.
    pub read: bool,
    /// Room for output.
    pub write: bool,
}

/// A descriptor's place in a poller. It keeps the descriptor open while the kernel may report on it, and
/// takes it out of the set when dropped.
pub struct Registration {
    poller: Arc<Poller>,
    key: usize,
    source: Option<Arc<dyn Source>>,
    interest: Interest,
}

/// What can be registered.
pub trait Source: AsFd + Send + Sync {}

impl<T: AsFd + Send + Sync> Source for T {}

impl Registration {
    pub(super) fn new(poller: Arc<Poller>, key: usize) -> Registration {
        Registration { poller, key, source: None, interest: Interest::default() }
    }

    /// Watches `source` from now on, in place of what was watched before, with no interest yet.
    pub fn set_source(&mut self, source: Arc<dyn Source>) {
        self.clear();
        self.source = Some(source);
    }

    /// Stops watching and lets the descriptor go.
    pub fn clear(&mut self) {
        // Taking out a descriptor that the kernel has dropped by itself is no failure.
        let _already_out = self.set(Interest::default());
        self.interest = Interest::default();
        self.source = None;
    }

    /// The key that events come under.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Whether there is something to watch.
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Changes what to be told about.
    pub fn set(&mut self, interest: Interest) -> Result<(), Error> {
        let Some(source) = &self.source else { return Ok(()) };
        if interest == self.interest {
            return Ok(());
        }
        let none = Interest::default();
        let event = Event::new(self.key, interest.read, interest.write);
        if interest == none {
            self.poller.delete(source.as_fd())?;
        } else if self.interest == none {
            // SAFETY: `source` is kept until after it was deleted from the poller (here, in `clear` or
            // in `drop`), so the descriptor stays open while registered.
            unsafe {
                self.poller.add_with_mode(source.as_fd().as_raw_fd(), event, PollMode::Level)?;
            }
        } else {
            self.poller.modify_with_mode(source.as_fd(), event, PollMode::Level)?;
        }
        self.interest = interest;
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.clear();
    }
}
