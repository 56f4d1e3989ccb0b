//! The one place where an error becomes the calling thread's `errno`.

use std::ffi::c_int;

use crate::base::Error;

/// What `errno` says after the library caught a defect of its own (see `guard`). No documented
/// failure uses this code, so it cannot be taken for one.
pub(super) const DEFECT: Error = Error::Os(libc::ENOTRECOVERABLE);

/// Sets `errno` of the calling thread.
#[cold]
pub(super) fn set(error: Error) {
    errno::set_errno(errno::Errno(error.errno()));
}

/// The `errno` of the calling thread.
pub(super) fn current() -> c_int {
    errno::errno().0
}
