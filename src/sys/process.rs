//! Which process this is, for the price of one load: the kernel wipes a page in every child, so a child
//! sees zero there and asks for its id anew. And what each process has for itself.

use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The id of the calling process, right also in the child of a fork.
pub fn process_id() -> u32 {
    let Some(word) = wiped_word() else {
        return std::process::id();
    };
    match word.load(Ordering::Relaxed) {
        0 => {
            let id = std::process::id();
            word.store(id, Ordering::Relaxed);
            id
        }
        id => id,
    }
}

/// Whether this process has rights that whoever started it may lack: then its environment is not to be trusted.
pub fn is_privileged() -> bool {
    // SAFETY: looks a number up that the kernel gave the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A value that every process has for itself; made for statics.
///
/// The child of a fork begins with a new one: a thread that stayed in the parent may hold a lock in the
/// old one for ever, or have left half of a change there.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(AtomicPtr<Owned<T>>);

#[derive(Debug)]
struct Owned<T> {
    owner: u32,
    value: T,
}

impl<T: Default + Sync> PerProcess<T> {
    /// Nothing yet.
    pub const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(null_mut()))
    }

    /// The value of this process, made on first use.
    #[inline]
    pub fn get(&'static self) -> &'static T {
        let here = process_id();
        loop {
            let found = self.0.load(Ordering::Acquire);
            // SAFETY: the pointer is null or leads to a leaked box that is never freed.
            match unsafe { found.as_ref() } {
                Some(owned) if owned.owner == here => return &owned.value,
                _ => self.replace(found, here),
            }
        }
    }

    #[cold]
    fn replace(&'static self, found: *mut Owned<T>, here: u32) {
        let fresh = Box::into_raw(Box::new(Owned { owner: here, value: T::default() }));
        let swapped = self.0.compare_exchange(found, fresh, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_err() {
            // SAFETY: another thread was faster; this box was never shared.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

impl<T: Default + Sync> Default for PerProcess<T> {
    fn default() -> PerProcess<T> {
        PerProcess::new()
    }
}

/// A word in a page of its own that a fork zeroes; None where the kernel cannot do that.
fn wiped_word() -> Option<&'static AtomicU32> {
    static WORD: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    *WORD.get_or_init(|| {
        const PAGE: usize = 4096;
        // SAFETY: an anonymous private mapping of our own; it is never unmapped, and a fresh page is
        // zero, which is a valid AtomicU32.
        unsafe {
            let page = libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if page == libc::MAP_FAILED {
                return None;
            }
            if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
                libc::munmap(page, PAGE);
                return None;
            }
            Some(&*page.cast::<AtomicU32>())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_values_of_its_own() {
        static VALUE: PerProcess<std::sync::Mutex<u32>> = PerProcess::new();
        let mut held = VALUE.get().lock().expect("no panic");
        *held = 1;
        assert!(std::ptr::eq(VALUE.get(), VALUE.get()));
        // SAFETY: the child only allocates, which the C library allows there, and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let fresh = VALUE.get().try_lock().is_ok_and(|value| *value == 0);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!fresh)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 0);
        drop(held);
        assert_eq!(*VALUE.get().lock().expect("no panic"), 1);
    }

    #[test]
    fn a_child_knows_its_own_id() {
        let parent = process_id();
        assert_eq!(parent, std::process::id());
        // SAFETY: the child only calls async-signal-safe functions and our load, then leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let right = process_id() != parent && process_id() == std::process::id();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 0);
    }
}
