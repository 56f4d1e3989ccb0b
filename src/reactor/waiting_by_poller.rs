//! The wait itself, by the poller, where there is no epoll.

use std::time::Duration;

use polling::Poller;

use super::Ready;
use crate::base::Error;

/// Wakes the thread that waits.
pub(super) struct Bell;

impl Bell {
    pub(super) fn new(_poller: &Poller) -> Result<Bell, Error> {
        Ok(Bell)
    }

    pub(super) fn ring(&self, poller: &Poller) {
        // Fails only when the poller's own descriptor is broken, which a wait would report.
        let _gone = poller.notify();
    }
}

/// Room for what a wait finds.
#[derive(Default)]
pub struct Events(polling::Events);

impl Events {
    pub(super) fn wait(
        &mut self,
        poller: &Poller,
        limit: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Error> {
        self.0.clear();
        poller.wait(&mut self.0, limit)?;
        ready.extend(self.0.iter().map(|event| {
            let broken = event.is_interrupt() || event.is_err().unwrap_or(false);
            Ready {
                key: event.key,
                readable: event.readable || broken,
                writable: event.writable || broken,
            }
        }));
        Ok(())
    }
}
