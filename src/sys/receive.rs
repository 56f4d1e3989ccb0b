//! Reading into memory that nobody has to zero first.

use std::io;
use std::os::fd::AsRawFd;

/// One recv(2) into the spare capacity of `buffer`, which grows by what came; 0 at the end of the stream.
pub fn receive_append(source: &impl AsRawFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    receive_at_most(source, buffer, usize::MAX)
}

/// As [`receive_append`], of no more than `most` bytes.
pub fn receive_at_most(
    source: &impl AsRawFd,
    buffer: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    let spare = buffer.spare_capacity_mut();
    let (start, room) = (spare.as_mut_ptr(), spare.len().min(most));
    // SAFETY: the kernel writes at most `room` bytes into the spare capacity that starts there.
    let got = unsafe { libc::recv(source.as_raw_fd(), start.cast(), room, 0) };
    let Ok(got) = usize::try_from(got) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: the kernel has initialised `got` bytes, no more than the capacity.
    unsafe { buffer.set_len(buffer.len() + got) };
    Ok(got)
}
