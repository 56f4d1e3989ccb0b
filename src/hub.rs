//! Per context: which inproc names are bound, and who waits for a name that is not bound yet.
//!
//! Only here do two sockets of a context meet; they never hold references to each other. What is let go of here may be
//! the last that holds a socket's place, whose end frees names: so it is let go of without the lock.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use crate::base::Error;
use crate::message::Msg;
use crate::pipe::inproc::{self, Remains};
use crate::pipe::{Identity, NewPipe, Notice, Pipe, Target};
use crate::sync::{Lock, Mailbox};

/// A socket (or monitor) that took a name.
pub struct Bound {
    /// Serial number of the owner, unique in the context.
    pub owner: u64,
    /// Where new pipes go.
    pub mailbox: Arc<Mailbox<Notice>>,
    /// Send and receive marks of the owner.
    pub marks: (i32, i32),
    /// How the owner introduces itself.
    pub identity: Identity,
    /// The owner's endpoint.
    pub endpoint: u64,
    /// What the owner says to everybody first; empty: nothing.
    pub hello: Vec<u8>,
    /// What the owner sees as the last message of everybody (ZMQ_DISCONNECT_MSG); empty: nothing.
    pub last_words: Vec<u8>,
    /// What a peer said means nothing to the owner once that is gone.
    pub forgets: bool,
    /// Called after a pipe was posted, for owners that no thread waits on.
    pub on_attach: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A socket that connects to a name.
pub struct Connecting {
    /// The end that the bound socket will own.
    pub far: inproc::End,
    /// How the connecter introduces itself.
    pub identity: Identity,
    /// Where news about the connecter's own end go.
    pub near: Target,
    /// Keeps the connecting socket's slot in use while it waits for a bind.
    pub token: Arc<dyn Any + Send + Sync>,
}

/// The names of one context.
#[derive(Default)]
pub struct Hub {
    names: Lock<Names>,
}

#[derive(Default)]
struct Names {
    bound: HashMap<String, Bound>,
    waiting: HashMap<String, Vec<Connecting>>,
    /// The context ends: nobody waits any more.
    ended: bool,
}

impl Hub {
    /// Takes a name; EADDRINUSE when it is taken. Everybody who waited for it is connected, in order.
    pub fn bind(&self, name: &str, bound: Bound) -> Result<(), Error> {
        let mut names = self.names.lock();
        if names.bound.contains_key(name) {
            drop(names);
            return Err(Error::AddrInUse);
        }
        let waiting = names.waiting.remove(name).unwrap_or_default();
        let joined: Vec<Joined> = waiting.into_iter().map(|one| join(&bound, one)).collect();
        for Joined { near, .. } in &joined {
            let identity = Box::new(bound.identity.clone());
            near.mailbox.post(Notice::Identified(near.key, identity));
        }
        names.bound.insert(name.to_owned(), bound);
        drop(names);
        drop(joined);
        Ok(())
    }

    /// Frees a name of `owner`; ENOENT when it has no such name. Existing pipes stay.
    pub fn unbind(&self, name: &str, owner: u64) -> Result<(), Error> {
        let mut names = self.names.lock();
        if names.bound.get(name).is_none_or(|bound| bound.owner != owner) {
            return Err(Error::NoEntry);
        }
        let freed = names.bound.remove(name);
        drop(names);
        drop(freed);
        Ok(())
    }

    /// Frees every name of `owner`.
    pub fn unbind_all(&self, owner: u64) {
        let mut names = self.names.lock();
        let freed: Vec<_> = names.bound.extract_if(|_, bound| bound.owner == owner).collect();
        drop(names);
        drop(freed);
    }

    /// Connects to a name, or waits for it. Answers how the bound socket introduces itself, if there is
    /// one already.
    pub fn connect(&self, name: &str, connecting: Connecting) -> Option<Identity> {
        let mut names = self.names.lock();
        let Some(bound) = names.bound.get(name) else {
            if names.ended {
                drop(names);
                drop(connecting);
            } else {
                names.waiting.entry(name.to_owned()).or_default().push(connecting);
            }
            return None;
        };
        let identity = bound.identity.clone();
        let on_attach = bound.on_attach.clone();
        let joined = join(bound, connecting);
        drop(names);
        drop(joined);
        if let Some(call) = on_attach {
            call();
        }
        Some(identity)
    }

    /// As [`Hub::connect`] where somebody is bound to the name; false, and nothing waits, where not.
    pub fn connect_to_bound(&self, name: &str, connecting: Connecting) -> bool {
        let names = self.names.lock();
        let Some(bound) = names.bound.get(name) else {
            drop(names);
            return false;
        };
        let on_attach = bound.on_attach.clone();
        let joined = join(bound, connecting);
        drop(names);
        drop(joined);
        if let Some(call) = on_attach {
            call();
        }
        true
    }

    /// Whether a name is bound.
    pub fn is_bound(&self, name: &str) -> bool {
        self.names.lock().bound.contains_key(name)
    }

    /// Drops whatever waits for names that were never bound, and whatever would from now on: the context
    /// ends.
    pub fn abandon_waiting(&self) {
        let mut names = self.names.lock();
        names.ended = true;
        let waiting = std::mem::take(&mut names.waiting);
        drop(names);
        drop(waiting);
    }
}

/// What is left of a connecter that was joined.
struct Joined {
    near: Target,
    _token: Arc<dyn Any + Send + Sync>,
}

fn join(bound: &Bound, connecting: Connecting) -> Joined {
    let Connecting { mut far, identity, near, token } = connecting;
    far.set_marks(bound.marks.0, bound.marks.1);
    let last_words = (!bound.last_words.is_empty()).then(|| Msg::copy_of(&bound.last_words));
    let remains = match &last_words {
        Some(_) => Remains::Everything,
        None if bound.forgets => Remains::Nothing,
        None => Remains::Words,
    };
    far.set_entrance(bound.mailbox.clone(), remains);
    let mut pipe = Pipe::inproc(far);
    if let Some(Ok(last)) = last_words {
        pipe.set_last_words(last);
    }
    if !bound.hello.is_empty() {
        pipe.greet(&bound.hello);
    }
    bound.mailbox.post(Notice::Attach(Box::new(NewPipe {
        pipe,
        identity: Some(identity),
        endpoint: bound.endpoint,
        initiator: false,
    })));
    Joined { near, _token: token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::{PipeId, PipeKey};

    fn bound(owner: u64, mailbox: &Arc<Mailbox<Notice>>) -> Bound {
        Bound {
            owner,
            mailbox: mailbox.clone(),
            marks: (10, 10),
            identity: Identity::default(),
            endpoint: 1,
            hello: Vec::new(),
            last_words: Vec::new(),
            forgets: false,
            on_attach: None,
        }
    }

    fn connecting(mailbox: &Arc<Mailbox<Notice>>) -> (inproc::End, Connecting) {
        let (near, far) = inproc::pair(false);
        let key = PipeKey { id: PipeId(0), generation: 0 };
        let near_target = Target { mailbox: mailbox.clone(), key };
        let identity = Identity::default();
        (near, Connecting { far, identity, near: near_target, token: Arc::new(()) })
    }

    #[test]
    fn a_name_has_one_owner_until_it_is_freed() {
        let hub = Hub::default();
        let mailbox = Arc::default();
        assert_eq!(hub.bind("a", bound(1, &mailbox)), Ok(()));
        assert_eq!(hub.bind("a", bound(2, &mailbox)), Err(Error::AddrInUse));
        assert_eq!(hub.unbind("a", 2), Err(Error::NoEntry));
        assert_eq!(hub.unbind("a", 1), Ok(()));
        assert_eq!(hub.bind("a", bound(2, &mailbox)), Ok(()));
        hub.unbind_all(2);
        assert!(!hub.is_bound("a"));
    }

    #[test]
    fn nobody_waits_any_more_once_the_context_ends() {
        let hub = Hub::default();
        let connecter = Arc::default();
        let (early_near, early) = connecting(&connecter);
        let (late_near, late) = connecting(&connecter);
        let tokens = [Arc::downgrade(&early.token), Arc::downgrade(&late.token)];
        assert!(hub.connect("a", early).is_none());
        hub.abandon_waiting();
        assert!(hub.connect("a", late).is_none());
        assert!(tokens.iter().all(|token| token.upgrade().is_none()));
        drop((early_near, late_near));
    }

    /// As the end of a socket that is gone, whose monitor has a name.
    struct LastHold(Arc<Hub>);

    impl Drop for LastHold {
        fn drop(&mut self) {
            let _never_bound = self.0.unbind("monitor", 1);
        }
    }

    #[test]
    fn whose_end_frees_a_name_may_end_here() {
        let hub = Arc::new(Hub::default());
        let (binder, connecter) = (Arc::default(), Arc::default());
        let held = |hub: &Arc<Hub>| {
            let (near, waiting) = connecting(&connecter);
            (near, Connecting { token: Arc::new(LastHold(hub.clone())), ..waiting })
        };
        let (_early_near, early) = held(&hub);
        assert!(hub.connect("c", early).is_none());
        assert_eq!(hub.bind("c", bound(1, &binder)), Ok(()));
        let (_late_near, late) = held(&hub);
        assert!(hub.connect("c", late).is_some());
        let (_later_near, later) = held(&hub);
        assert!(hub.connect_to_bound("c", later));
        let (_refused_near, refused) = held(&hub);
        assert!(!hub.connect_to_bound("d", refused));
    }

    #[test]
    fn who_connects_early_is_joined_at_the_bind_with_what_it_sent() {
        let hub = Hub::default();
        let (binder, connecter) = (Arc::default(), Arc::default());
        let (near, waiting) = connecting(&connecter);
        let mut near = Pipe::inproc(near);
        near.set_marks(5, 5);
        assert!(hub.connect("b", waiting).is_none());
        assert!(near.write(Msg::copy_of(b"early").expect("small")).is_ok());
        near.flush();
        assert_eq!(hub.bind("b", bound(1, &binder)), Ok(()));
        let mut notices = Vec::new();
        binder.take(&mut notices);
        let Some(Notice::Attach(mut new)) = notices.pop() else { panic!("no pipe came") };
        assert_eq!(new.pipe.read().map(|m| m.data().to_vec()), Some(b"early".to_vec()));
        assert!(connecter.pending(), "the connecter is told who answered");
    }
}
