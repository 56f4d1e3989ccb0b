//! What the tests count.

use super::{Counted, Listener};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// A number that counts its users.
#[derive(Clone)]
pub(super) struct Number(pub(super) Arc<u64>);

impl Number {
    pub(super) fn new(number: u64) -> Number {
        Number(number.into())
    }

    pub(super) fn users(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Takes one; zeros are bytes.
    pub(super) fn pop(listener: &mut Listener<Number>) -> Option<u64> {
        let mut place = Number::new(0);
        listener.pop_into(&mut place, |place, _, _| {
            *place = Number::new(0);
            true
        });
        (*place.0 > 0).then_some(*place.0)
    }
}

// SAFETY: every copy has a count of its own.
unsafe impl Counted for Number {
    fn counted(&self, users: u32) -> Option<ManuallyDrop<Number>> {
        let number = Arc::into_raw(self.0.clone());
        // SAFETY: just made from such a pointer; the one count of it is among those that are wanted.
        unsafe {
            (1..users).for_each(|_| Arc::increment_strong_count(number));
            (users > 0).then(|| ManuallyDrop::new(Number(Arc::from_raw(number))))
        }
    }
}
