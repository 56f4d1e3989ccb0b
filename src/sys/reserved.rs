//! Address space that is set aside: whatever lies in it is no address of anything else in this process.

use std::ptr::null_mut;

/// Some of it, for the rest of the process's life. It takes no memory.
#[derive(Debug)]
pub struct Reserved {
    base: usize,
    span: usize,
}

impl Reserved {
    /// So many bytes, none of which can be read so far; None where the process may not have as many.
    pub fn new(span: usize) -> Option<Reserved> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping where the kernel likes takes nothing from anybody.
        let base = unsafe { libc::mmap(null_mut(), span, libc::PROT_NONE, flags, -1, 0) };
        (base != libc::MAP_FAILED).then(|| Reserved { base: base.addr(), span })
    }

    /// How many bytes a process may well set aside that has no use for them: a small share of what it may have at all.
    pub fn most() -> usize {
        const SHARE: usize = 64;
        /// Who may lock less of its memory cannot lock all of it anyway.
        const LITTLE: usize = 64 << 20;
        let limit = |resource| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: writes one struct that lives.
            let known = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
            let finite = known && limit.rlim_cur != libc::RLIM_INFINITY;
            if finite { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { usize::MAX }
        };
        let locked = match limit(libc::RLIMIT_MEMLOCK) {
            ..=LITTLE => usize::MAX,
            most => most,
        };
        match limit(libc::RLIMIT_AS).min(locked) {
            usize::MAX => usize::MAX,
            most => most / SHARE,
        }
    }

    /// The first one's address.
    pub fn base(&self) -> usize {
        self.base
    }

    /// How many there are.
    pub fn span(&self) -> usize {
        self.span
    }

    /// From now on the first `len` bytes can be read, and are zeros; false if the kernel refuses.
    pub fn show_zeros(&self, len: usize) -> bool {
        let base = std::ptr::without_provenance_mut(self.base);
        // SAFETY: the range is this mapping's own, which is never unmapped nor written.
        len <= self.span && unsafe { libc::mprotect(base, len, libc::PROT_READ) } == 0
    }
}
