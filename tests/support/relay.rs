//! Between the two ends of a connection: passes everything on, but makes either end believe that the other speaks
//! ZMTP 3.0, so that libraries of today talk as to one that has not heard of 3.1.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::local::PATIENCE;

/// Where a greeting has the minor version.
const MINOR: usize = 11;

/// Listens at `from`; who connects there talks to whoever listens at `to` by then, or soon after. Ends with the
/// process.
pub fn relay(from: &Path, to: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(from)?;
    let to = to.to_path_buf();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let to = to.clone();
            // Who is gone, or never comes, is seen as a closed connection by the other.
            thread::spawn(move || drop(join(&near, &to)));
        }
    });
    Ok(())
}

fn join(near: &UnixStream, to: &PathBuf) -> io::Result<()> {
    let began = Instant::now();
    let far = loop {
        match UnixStream::connect(to) {
            Ok(far) => break far,
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    };
    let (near_too, far_too) = (near.try_clone()?, far.try_clone()?);
    let back = thread::spawn(move || pass(far_too, near_too));
    pass(near.try_clone()?, far);
    drop(back.join());
    Ok(())
}

/// One direction, to its end.
fn pass(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = vec![0; 1 << 16];
    let mut passed = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        let piece = &mut buffer[..n];
        if let Some(minor) = MINOR.checked_sub(passed).and_then(|at| piece.get_mut(at)) {
            *minor = 0;
        }
        passed += n;
        if to.write_all(piece).is_err() {
            break;
        }
    }
    // An end that is gone already needs no telling.
    let _gone = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
