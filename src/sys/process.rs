//! Which process this is, for the price of one load: the kernel wipes a page in every child, so a child
//! sees zero there and asks for its id anew.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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
