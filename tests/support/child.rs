//! Running a program with a time limit: its whole process group goes when the time is up.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
    TimedOut,
}

impl End {
    fn from_status(status: ExitStatus) -> End {
        match status.code() {
            Some(code) => End::Code(code),
            None => End::Signal(status.signal().unwrap_or(0)),
        }
    }
}

/// An ended program: how, after how long, and what it printed (both streams, in order).
#[derive(Debug)]
pub struct Run {
    pub end: End,
    pub took: Duration,
    pub output: String,
}

impl Run {
    /// The last `count` lines of what was printed, indented.
    pub fn tail(&self, count: usize) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().map(|line| format!("    {line}\n")).collect()
    }
}

/// Runs `command` to its end or to the `limit`. Both output streams go to the file `log`: a pipe could fill up and
/// block the program, and would be held open by whatever it leaves behind.
pub fn run(command: &mut Command, limit: Duration, log: &Path) -> io::Result<Run> {
    let started = Instant::now();
    let end = Running::start(command, log)?.wait(limit)?;
    let output = fs::read(log)?;
    Ok(Run { end, took: started.elapsed(), output: String::from_utf8_lossy(&output).into_owned() })
}

/// A program on its way, in a process group of its own; dropping it ends the group.
pub struct Running {
    group: libc::pid_t,
    ended: mpsc::Receiver<io::Result<ExitStatus>>,
    over: bool,
}

impl Running {
    /// Starts `command` with no input, printing to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Running> {
        let file = File::create(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command.spawn()?;
        let group = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Running { group, ended: watch(child), over: false })
    }

    /// Waits for the end; past the limit the group is killed.
    pub fn wait(mut self, limit: Duration) -> io::Result<End> {
        match self.ended.recv_timeout(limit) {
            Ok(status) => {
                self.over = true;
                let status = status?;
                kill_group(self.group); // what it may have left behind
                Ok(End::from_status(status))
            }
            Err(_) => {
                self.kill();
                Ok(End::TimedOut)
            }
        }
    }

    /// Ends the whole group at once and waits until the program is gone.
    pub fn kill(&mut self) {
        if !self.over {
            self.over = true;
            kill_group(self.group);
            let _ = self.ended.recv();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for the child on a thread of its own, so that the caller can wait with a limit.
fn watch(mut child: Child) -> mpsc::Receiver<io::Result<ExitStatus>> {
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = tell.send(child.wait());
    });
    ended
}

fn kill_group(group: libc::pid_t) {
    // SAFETY: kill touches no memory. The group is one this module made; a group that is already gone is an error
    // without effect.
    unsafe {
        libc::kill(-group, libc::SIGKILL);
    }
}
