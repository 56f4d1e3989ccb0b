//! Contexts: what their sockets share, how they start threads, and how they end.
//!
//! A context starts no thread until a socket needs one. It ends when every socket was closed and the last
//! of their connections has let go; [`terminate`] waits for that. What it waits for is told in `blockers`.

mod blockers;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use crate::base::{Error, constants as c};
use crate::conn::{Strangers, Worker, Workers};
use crate::options::context::ContextOptions;
use crate::options::{ContextDefaults, SocketType};
use crate::pipe::Notice;
use crate::socket::{self, About, Environment};
use crate::sync::handles::{Stale, Table};
use crate::sync::{Lock, Mailbox};
use crate::sys::{self, futex_wait, futex_wake};

pub use blockers::{Blockers, OpenSocket};

use blockers::Diagnosis;

static CONTEXTS: Table<Arc<Context>> = Table::new(1);

/// A context.
pub struct Context {
    options: Lock<ContextOptions>,
    environment: Lock<Option<Arc<Environment>>>,
    sockets: Arc<Sockets>,
    ending: Lock<bool>,
    /// Who wants to know why it does not end.
    diagnosis: Option<Diagnosis>,
}

/// The sockets of a context that are not gone yet.
#[derive(Default)]
struct Sockets {
    members: Lock<HashMap<u64, Member>>,
    /// How many are left; a futex word for who waits for zero.
    left: AtomicU32,
    /// The most there may be, fixed by the first socket.
    limit: Lock<Option<u32>>,
    serial: Lock<u64>,
}

/// A socket that is not gone yet.
struct Member {
    handle: usize,
    mailbox: Weak<Mailbox<Notice>>,
    about: Arc<About>,
}

/// A socket's place in its context; dropped when nothing of the socket is left.
struct Place {
    sockets: Arc<Sockets>,
    serial: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sockets.members.lock().remove(&self.serial);
        self.sockets.left.fetch_sub(1, Ordering::SeqCst);
        futex_wake(&self.sockets.left);
    }
}

/// Makes a context (zmq_ctx_new(3)): its handle.
pub fn create() -> Result<usize, Error> {
    CONTEXTS.insert(Arc::new(Context {
        options: Lock::new(ContextOptions::default()),
        environment: Lock::new(None),
        sockets: Arc::default(),
        ending: Lock::new(false),
        diagnosis: Diagnosis::wanted(),
    }))
}

/// The context behind a handle; EFAULT when there is none.
pub fn lookup(handle: usize) -> Result<Arc<Context>, Error> {
    match CONTEXTS.lock(handle) {
        Ok(context) => Ok(context.clone()),
        Err(Stale::Unknown) => Err(Error::Fault),
        Err(Stale::Inherited) => Err(Error::Term),
    }
}

/// Ends a context (zmq_ctx_term(3)): waits until its sockets are closed and their messages gone. EINTR on a
/// signal: call again.
pub fn terminate(handle: usize) -> Result<(), Error> {
    let context = match CONTEXTS.lock(handle) {
        Ok(context) => context.clone(),
        Err(Stale::Unknown) => return Err(Error::Fault),
        // A child leaves its parent's context alone.
        Err(Stale::Inherited) => return Ok(()),
    };
    context.shutdown()?;
    context.wait_until_gone()?;
    let environment = context.environment.lock().take();
    if let Some(environment) = environment {
        environment.stop_workers();
    }
    crate::sys::MEMORY.release();
    // Another thread may have ended it at the same time.
    CONTEXTS.remove(handle).map(|_| ()).or(Ok(()))
}

impl Sockets {
    /// A place for a new socket; EMFILE when there is none.
    fn enter(self: &Arc<Self>, limit: u32) -> Result<(u64, Place), Error> {
        let limit = *self.limit.lock().get_or_insert(limit);
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            (left < limit).then_some(left + 1)
        });
        if taken.is_err() {
            return Err(Error::TooManyOpen);
        }
        let mut serial = self.serial.lock();
        *serial += 1;
        Ok((*serial, Place { sockets: self.clone(), serial: *serial }))
    }
}

impl Context {
    fn wait_until_gone(&self) -> Result<(), Error> {
        let word = &self.sockets.left;
        loop {
            let left = word.load(Ordering::SeqCst);
            if left == 0 {
                return Ok(());
            }
            let limit = self.diagnosis.as_ref().map(Diagnosis::due_in);
            match (futex_wait(word, left, limit), &self.diagnosis) {
                (Err(Error::Again), Some(diagnosis)) => diagnosis.report(self),
                (waited, _) => waited?,
            }
        }
    }

    /// Every call but close on every socket fails with ETERM from now on (zmq_ctx_shutdown(3)).
    pub fn shutdown(&self) -> Result<(), Error> {
        *self.ending.lock() = true;
        let environment = self.environment.lock().clone();
        if let Some(environment) = environment {
            environment.stopping.store(true, Ordering::SeqCst);
            environment.hub.abandon_waiting();
        }
        let mailboxes: Vec<_> = {
            let members = self.sockets.members.lock();
            members.values().filter_map(|member| member.mailbox.upgrade()).collect()
        };
        for mailbox in mailboxes {
            mailbox.post(Notice::Nudge);
        }
        Ok(())
    }

    /// Sets an option (zmq_ctx_set(3)).
    pub fn set_option(&self, id: i32, value: &[u8]) -> Result<(), Error> {
        self.options.lock().set(id, value)
    }

    /// Reads an option into `buffer`: the length it has.
    pub fn option(&self, id: i32, buffer: &mut [u8]) -> Result<usize, Error> {
        self.options.lock().get(id, buffer)
    }

    /// Opens a socket (zmq_socket(3)): its handle.
    pub fn create_socket(&self, socket_type: i32) -> Result<usize, Error> {
        let ending = self.ending.lock();
        if *ending {
            return Err(Error::Term);
        }
        let (limit, defaults) = {
            let options = self.options.lock();
            let defaults = ContextDefaults {
                ipv6: options.ipv6,
                blocky: options.blocky,
                zero_copy_recv: options.zero_copy_recv,
            };
            (u32::try_from(options.max_sockets).unwrap_or(1), defaults)
        };
        let (serial, place) = self.sockets.enter(limit)?;
        let socket_type = SocketType::try_from_i32(socket_type).ok_or(Error::Invalid)?;
        let opened = socket::open(self.surroundings(), socket_type, defaults, Box::new(place))?;
        let (handle, mailbox) = (opened.handle, Arc::downgrade(&opened.mailbox));
        let member = Member { handle, mailbox, about: opened.about };
        self.sockets.members.lock().insert(serial, member);
        Ok(handle)
    }

    /// What sockets need, with the number of I/O threads as it is at the first socket.
    fn surroundings(&self) -> Arc<Environment> {
        let mut environment = self.environment.lock();
        environment
            .get_or_insert_with(|| {
                let options = self.options.lock().clone();
                Arc::new(Environment::new(Box::new(move || start_workers(&options))))
            })
            .clone()
    }
}

fn start_workers(options: &ContextOptions) -> Result<Workers, Error> {
    const LONGEST_NAME: usize = 15;
    let prefix = String::from_utf8_lossy(&options.name_prefix).into_owned();
    let count = usize::try_from(options.io_threads).unwrap_or(0);
    let strangers = Arc::<Strangers>::default();
    let mut workers = Vec::new();
    for n in 0..count {
        let mut name = format!("ZMQbg/IO/{n}");
        if !prefix.is_empty() {
            name = format!("{prefix}/{name}");
        }
        while name.len() > LONGEST_NAME {
            name.pop();
        }
        name.retain(|letter| letter != '\0');
        let cpus: Vec<usize> =
            options.affinity.iter().filter_map(|cpu| usize::try_from(*cpu).ok()).collect();
        let (policy, priority) = (options.sched_policy, options.thread_priority);
        let started = Worker::start(name, strangers.clone(), move || {
            // What the kernel refuses stays as it is: the genuine library ends the process here.
            if !cpus.is_empty() {
                sys::thread::set_affinity(&cpus);
            }
            if policy != c::ZMQ_THREAD_SCHED_POLICY_DFLT || priority != c::ZMQ_THREAD_PRIORITY_DFLT
            {
                sys::thread::set_scheduling(policy, priority);
            }
        });
        match started {
            Ok(worker) => workers.push(worker),
            Err(error) => {
                // The next attempt begins anew.
                Workers::new(workers).stop();
                return Err(error);
            }
        }
    }
    Ok(Workers::new(workers))
}
