//! Memory of the user's that the library needs no more, until an I/O thread gives it back.
//!
//! Wherever a message is dropped in the library, the thread may hold locks, and be inside a call of the user's, who
//! may hold some as well: a free function that takes one of these would wait for itself, or two threads for each
//! other. So only a thread that holds nothing calls it.

use super::memory::Gift;
use crate::sync::Lock;

/// What is to be given back.
pub struct Returns {
    /// None once nobody comes for it any more.
    left: Lock<Option<Vec<Gift>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Returns {
    /// With nothing in it yet. `wake` has somebody call [`Returns::give_back`] soon; it may be called under any lock.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Returns {
        Returns { left: Lock::new(Some(Vec::new())), wake }
    }

    pub(super) fn leave(&self, gift: Gift) {
        let mut left = self.left.lock();
        let Some(list) = &mut *left else {
            drop(left);
            gift.give();
            return;
        };
        list.push(gift);
        let first = list.len() == 1;
        drop(left);
        if first {
            (self.wake)();
        }
    }

    /// Gives back what was left. Not to be called under a lock.
    pub fn give_back(&self) {
        let list = self.left.lock().as_mut().map(std::mem::take);
        list.into_iter().flatten().for_each(Gift::give);
    }

    /// As [`Returns::give_back`]; what is left from now on is given back at once.
    pub fn close(&self) {
        let list = self.left.lock().take();
        list.into_iter().flatten().for_each(Gift::give);
    }
}
