//! Address space that is set aside: whatever lies in it is no address of anything else in this process.

use std::ptr::null_mut;

/// Some of it, for the rest of the process's life. It takes no memory.
#[derive(Debug)]
pub struct Reserved {
    base: usize,
    len: usize,
}

impl Reserved {
    /// So many bytes, none of which can be read so far; None where the process may not have as many.
    pub fn new(len: usize) -> Option<Reserved> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping where the kernel likes takes nothing from anybody.
        let base = unsafe { libc::mmap(null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        (base != libc::MAP_FAILED).then(|| Reserved { base: base.addr(), len })
    }

    /// The first one's address.
    pub fn base(&self) -> usize {
        self.base
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// From now on the first `len` bytes can be read, and are zeros; false if the kernel refuses.
    pub fn show_zeros(&self, len: usize) -> bool {
        let base = std::ptr::without_provenance_mut(self.base);
        // SAFETY: the range is this mapping's own, which is never unmapped nor written.
        len <= self.len && unsafe { libc::mprotect(base, len, libc::PROT_READ) } == 0
    }
}
