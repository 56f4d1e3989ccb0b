//! A note for a human, on standard error or in a file, without waiting for anybody and without a lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::poll::{PollFd, poll};

/// A pipe that says it is writable takes this at once.
pub const LONGEST_NOTE: usize = 4096;

/// Appends `text` to a file that is made if there is none (mode 0600). Where it cannot be a line on standard error says
/// so, and the note follows there.
pub fn note_in(file: &Path, text: &str) {
    // Whatever it is (a FIFO that nobody reads): nobody waits for it.
    let how = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(file);
    if let Err(error) = how.and_then(|mut file: File| file.write_all(text.as_bytes())) {
        note(&format!("ferrozmq: {}: {error}\n{text}", file.display()));
    }
}

/// Writes `text`, as far as [`LONGEST_NOTE`] goes, to standard error if somebody takes it at once.
pub fn note(text: &str) {
    let fd = io::stderr().as_raw_fd();
    if takes_output(fd) {
        let bytes = text.as_bytes();
        let bytes = bytes.get(..LONGEST_NOTE).unwrap_or(bytes);
        // SAFETY: the pointer and the length are those of one slice. What cannot be written is lost: there is no other
        // place to say so.
        let _written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    }
}

/// Whether writing would neither wait nor raise SIGPIPE.
fn takes_output(fd: RawFd) -> bool {
    let mut polled = [PollFd::new(fd, libc::POLLOUT)];
    poll(&mut polled, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
        && polled[0].revents() == libc::POLLOUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::FromRawFd;

    #[test]
    fn a_full_pipe_and_a_broken_one_are_left_alone() {
        let mut ends = [0; 2];
        // SAFETY: the array has room for both.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) }, 0);
        // SAFETY: both were made just now and belong to nobody else.
        let [reader, mut writer] = ends.map(|fd| unsafe { File::from_raw_fd(fd) });
        assert!(takes_output(writer.as_raw_fd()));
        while writer.write(&[0; LONGEST_NOTE]).is_ok() {}
        assert!(!takes_output(writer.as_raw_fd()), "full");
        drop(reader);
        assert!(!takes_output(writer.as_raw_fd()), "broken");
        assert!(!takes_output(-1));
    }
}
