//! bind, connect, unbind, disconnect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Socket;
use super::core::Core;
use crate::base::gssapi::{self, Name, NameKind};
use crate::base::{Error, constants as c, endpoint};
use crate::conn::{self, EndpointRef, Shared, Style};
use crate::hub::{Bound, Connecting};
use crate::options::SocketType;
use crate::pipe::{Counts, Identity, NewPipe, Notice, Pipe, PipeId, Target, inproc};
use crate::sys;
use crate::transport::{self, Datagrams, Direction, Scheme};
use crate::zmtp::handshake;
use crate::zmtp::mechanism::crypto::{Password, Random, SecretKey};
use crate::zmtp::mechanism::curve::Keys;
use crate::zmtp::mechanism::plain::Credentials;

/// One bind or connect.
pub(super) struct Endpoint {
    pub(super) id: u64,
    /// The text that finds it again.
    text: Arc<str>,
    place: Place,
}

enum Place {
    Listening(Box<Listening>),
    /// A connecter, or a datagram endpoint that sends.
    Dialing(EndpointRef),
    Receiving(Box<Receiving>),
    /// A name in the context.
    Bound,
    /// A pipe to such a name.
    Joined,
}

/// A datagram endpoint that was bound.
struct Receiving {
    place: EndpointRef,
    /// The text it was made with, which finds it as well.
    given: Box<str>,
}

/// A listener.
struct Listening {
    place: EndpointRef,
    shared: Arc<Shared>,
}

impl Endpoint {
    /// Ends what runs in the background.
    pub(super) fn stop(&self, linger_ms: i32) {
        match &self.place {
            Place::Listening(listening) => listening.place.stop(linger_ms),
            Place::Dialing(place) => place.stop(linger_ms),
            Place::Receiving(receiving) => receiving.place.stop(linger_ms),
            Place::Bound | Place::Joined => {}
        }
    }
}

impl Socket {
    /// Accepts connections at `address` (zmq_bind(3)).
    pub fn bind(self, address: &str) -> Result<(), Error> {
        let mut core = self.enter()?;
        core.process();
        let (scheme, rest) = core.parse(address, Direction::Bind)?;
        core.check_mechanism()?;
        let id = core.take_endpoint_id();
        let (place, resolved) = if scheme == Scheme::Inproc {
            core.bind_inproc(address, id)?;
            (Place::Bound, address.to_owned())
        } else if scheme == Scheme::Udp {
            let datagrams = Datagrams::bind(rest, &core.options)?;
            let resolved = datagrams.endpoint().to_owned();
            let (place, _) = core.open_datagrams(datagrams, id)?;
            (Place::Receiving(Box::new(Receiving { place, given: address.into() })), resolved)
        } else if scheme.is_multicast() {
            // In a group nobody waits for anybody: it makes no difference.
            return core.connect(address).map(|_| ());
        } else {
            let workers = core.environment.workers()?;
            let shared = core.shared(id);
            let (place, resolved) = conn::listen(&workers, shared.clone(), scheme, rest)?;
            (Place::Listening(Box::new(Listening { place, shared })), resolved)
        };
        core.about.set_last_endpoint(&resolved);
        core.add_endpoint(id, resolved, place);
        // Who waited for this name is a peer from now on, not only from the next call on.
        core.process();
        core.signal_change(scheme);
        Ok(())
    }

    /// Connects to `address` in the background (zmq_connect(3)).
    pub fn connect(self, address: &str) -> Result<(), Error> {
        self.enter()?.connect(address).map(|_| ())
    }

    /// As [`Socket::connect`], and tells what messages of the peer are numbered by (zmq_connect_peer).
    pub fn connect_peer(self, address: &str) -> Result<u32, Error> {
        let mut core = self.enter()?;
        if !core.pattern.names_connects() {
            return Err(Error::NotSupported);
        }
        if core.options.immediate {
            // There is no pipe, and so no number, before the connection stands.
            return Err(Error::Fault);
        }
        let pipe = core.connect(address)?;
        pipe.and_then(|id| core.pattern.peer_number(id)).ok_or(Error::Fault)
    }

    /// Stops accepting at `address` (zmq_unbind(3)). Also ends connecters to it, as the genuine library does.
    pub fn unbind(self, address: &str) -> Result<(), Error> {
        self.end_endpoint(address)
    }

    /// Ends connections to `address` (zmq_disconnect(3)). Also unbinds it, as the genuine library does.
    pub fn disconnect(self, address: &str) -> Result<(), Error> {
        self.end_endpoint(address)
    }

    fn end_endpoint(self, address: &str) -> Result<(), Error> {
        let mut core = self.enter()?;
        core.process();
        let (protocol, rest) = endpoint::split(address)?;
        let scheme = transport::scheme_of(protocol)?;
        if core.options.reconnect_stop & c::ZMQ_RECONNECT_STOP_AFTER_DISCONNECT != 0 {
            core.owner.stops_when_refused.store(true, Ordering::Relaxed);
        }
        if core.end_all(address) {
            core.signal_change(scheme);
            return Ok(());
        }
        if matches!(scheme, Scheme::Tcp | Scheme::Ws | Scheme::Wss) {
            for candidate in transport::canonical(scheme, rest, &core.options) {
                if core.end_all(&candidate) {
                    core.signal_change(scheme);
                    return Ok(());
                }
            }
        }
        Err(Error::NoEntry)
    }
}

impl Endpoint {
    fn is_dialing(&self, address: &str) -> bool {
        matches!(self.place, Place::Dialing(_)) && *self.text == *address
    }
}

impl Core {
    /// Connects; the new pipe, where there is one at once.
    fn connect(&mut self, address: &str) -> Result<Option<PipeId>, Error> {
        self.process();
        let (scheme, rest) = self.parse(address, Direction::Connect)?;
        self.check_mechanism()?;
        let address = &*transport::full_text(scheme, rest);
        let pipe = if scheme == Scheme::Inproc {
            self.connect_inproc(address)
        } else if scheme == Scheme::Udp {
            Some(self.connect_datagrams(address, rest)?)
        } else {
            if self.connects_once() && self.endpoints.iter().any(|known| known.is_dialing(address))
            {
                return Ok(None);
            }
            if scheme.is_multicast() {
                Some(self.join_group(scheme, address, rest)?)
            } else {
                self.connect_stream(scheme, address, rest)?
            }
        };
        self.about.set_last_endpoint(address);
        self.signal_change(scheme);
        Ok(pipe)
    }

    /// Who waits on ZMQ_FD alone asks for ZMQ_EVENTS when that says so: after a change of endpoints, too, as in libzmq,
    /// since the socket may be writable now.
    fn signal_change(&self, scheme: Scheme) {
        if scheme != Scheme::Inproc {
            self.mailbox.post(Notice::Nudge);
        }
    }

    fn parse<'a>(&self, address: &'a str, way: Direction) -> Result<(Scheme, &'a str), Error> {
        let (protocol, rest) = endpoint::split(address)?;
        let scheme = transport::scheme_of(protocol)?;
        transport::check(scheme, self.options.socket_type, way)?;
        if self.pattern.is_raw() && matches!(scheme, Scheme::Ws | Scheme::Wss) {
            return Err(Error::NoCompatProto);
        }
        Ok((scheme, rest))
    }

    /// Refuses what would otherwise run without the protection that was asked for.
    fn check_mechanism(&self) -> Result<(), Error> {
        match self.options.mechanism {
            c::ZMQ_NULL | c::ZMQ_PLAIN | c::ZMQ_CURVE => Ok(()),
            c::ZMQ_GSSAPI if sys::gssapi().is_some() => Ok(()),
            _ => Err(Error::NotSupported),
        }
    }

    /// Types on which a second connect to the same address is ignored.
    fn connects_once(&self) -> bool {
        use SocketType::{Dealer, Pub, Req, Sub};
        matches!(self.options.socket_type, Dealer | Sub | Pub | Req)
    }

    fn take_endpoint_id(&mut self) -> u64 {
        self.next_endpoint += 1;
        self.next_endpoint - 1
    }

    /// How this socket introduces itself on inproc.
    fn identity(&self) -> Identity {
        Identity { routing_id: self.options.routing_id.clone(), ..Identity::default() }
    }

    fn bind_inproc(&mut self, address: &str, endpoint: u64) -> Result<(), Error> {
        let bound = Bound {
            owner: self.serial,
            mailbox: self.mailbox.clone(),
            marks: (self.options.sndhwm, self.options.rcvhwm),
            identity: self.identity(),
            endpoint,
            hello: self.hello_inproc().to_vec(),
            last_words: self.last_words_inproc().to_vec(),
            forgets: !self.options.socket_type.ever_receives(),
            on_attach: None,
        };
        self.environment.hub.bind(address, bound)
    }

    fn connect_inproc(&mut self, address: &str) -> Option<PipeId> {
        let (near, far) = inproc::pair(self.options.conflates());
        let id = self.take_endpoint_id();
        let new =
            NewPipe { pipe: Pipe::inproc(near), identity: None, endpoint: id, initiator: true };
        let assigned = self.pattern.connect_routing_id();
        let connecting_identity = self.identity();
        let hub = self.environment.hub.clone();
        let pipe = self.attach(new, assigned);
        // Also when the pattern has no use for the pipe (a second one of a PAIR): the address is connected to.
        self.add_endpoint(id, address, Place::Joined);
        let key = self.pipes.key(pipe)?;
        let connecting = Connecting {
            far,
            identity: connecting_identity,
            near: Target { mailbox: self.mailbox.clone(), key },
            token: self.owner.clone(),
        };
        if let Some(binder) = hub.connect(address, connecting) {
            self.pattern.identify(&mut self.pipes, pipe, &binder.routing_id);
        }
        Some(pipe)
    }

    fn connect_stream(
        &mut self,
        scheme: Scheme,
        address: &str,
        rest: &str,
    ) -> Result<Option<PipeId>, Error> {
        let workers = self.environment.workers()?;
        if workers.choose(self.options.affinity).is_none() {
            return Err(Error::NoThread);
        }
        let dial = transport::parse_connect(scheme, rest, &self.options)?;
        let id = self.take_endpoint_id();
        let text = Arc::<str>::from(address);
        let mut dialer = conn::dial(&workers, self.shared(id), dial, &text)?;
        let pipe = dialer.take_pipe().map(|pipe| {
            let assigned = self.pattern.connect_routing_id();
            let new = NewPipe { pipe, identity: None, endpoint: id, initiator: true };
            self.attach(new, assigned)
        });
        // Not before: what a fast peer says would find nobody to hear it.
        let place = dialer.start();
        self.add_endpoint(id, text, Place::Dialing(place));
        Ok(pipe)
    }

    fn join_group(&mut self, scheme: Scheme, address: &str, rest: &str) -> Result<PipeId, Error> {
        let workers = self.environment.workers()?;
        let id = self.take_endpoint_id();
        let joining = conn::join(&workers, self.shared(id), scheme, rest)?;
        let pipe = self.attach(joining.pipe(), None);
        self.add_endpoint(id, address, Place::Dialing(joining.start()));
        Ok(pipe)
    }

    fn connect_datagrams(&mut self, address: &str, rest: &str) -> Result<PipeId, Error> {
        let datagrams = Datagrams::connect(rest, &self.options)?;
        let id = self.take_endpoint_id();
        let (place, pipe) = self.open_datagrams(datagrams, id)?;
        self.add_endpoint(id, address, Place::Dialing(place));
        Ok(pipe)
    }

    /// Starts a datagram endpoint.
    fn open_datagrams(
        &mut self,
        datagrams: Datagrams,
        endpoint: u64,
    ) -> Result<(EndpointRef, PipeId), Error> {
        let workers = self.environment.workers()?;
        let opening = conn::open_datagrams(&workers, self.shared(endpoint), datagrams)?;
        let pipe = self.attach(opening.pipe(), None);
        Ok((opening.start(), pipe))
    }

    fn add_endpoint(&mut self, id: u64, address: impl Into<Arc<str>>, place: Place) {
        self.endpoints.push(Endpoint { id, text: address.into(), place });
    }

    /// What the connections of a new endpoint share.
    fn shared(&mut self, endpoint: u64) -> Arc<Shared> {
        let ty = self.options.socket_type;
        let raw = self.pattern.is_raw();
        let style = style(ty, raw, self.pattern.notifies());
        let handshake = (!raw).then(|| self.handshake());
        Arc::new(Shared {
            owner: self.owner.clone(),
            options: self.options.clone(),
            style,
            endpoint,
            handshake,
            hub: self.environment.hub.clone(),
            ended: AtomicBool::new(false),
        })
    }

    /// What GSSAPI needs to know; None on sockets of other mechanisms, and without the library.
    /// What handshakes go by as the options are now.
    fn handshake(&mut self) -> Arc<handshake::Config> {
        if let Some((made_of, config)) = &self.handshake
            && Arc::ptr_eq(made_of, &self.options)
        {
            return config.clone();
        }
        let ty = self.options.socket_type;
        let config = Arc::new(handshake::Config {
            socket_type: ty,
            routing_id: self.options.routing_id.clone(),
            mechanism: self.options.mechanism,
            as_server: self.options.as_server,
            plain: Credentials {
                username: self.options.plain_username.clone(),
                password: Password::new(&self.options.plain_password),
            },
            curve: Keys {
                public: self.options.curve_public_key,
                secret: SecretKey::new(&self.options.curve_secret_key),
                server: self.options.curve_server_key,
            },
            random: Random::of_system(),
            gssapi: self.gssapi_settings(),
            zap_domain: self.options.zap_domain.clone(),
            zap_enforce_domain: self.options.zap_enforce_domain,
            metadata: self.options.metadata.clone(),
            max_msg_size: self.options.maxmsgsize,
        });
        self.handshake = Some((self.options.clone(), config.clone()));
        config
    }

    fn gssapi_settings(&self) -> Option<gssapi::Settings> {
        let options = &self.options;
        if options.mechanism != c::ZMQ_GSSAPI {
            return None;
        }
        let name = |text: &[u8], kind| Name {
            // Applications count the end of their text or not.
            text: text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
            kind: match kind {
                c::ZMQ_GSSAPI_NT_USER_NAME => NameKind::User,
                c::ZMQ_GSSAPI_NT_KRB5_PRINCIPAL => NameKind::Principal,
                _ => NameKind::HostBased,
            },
        };
        let own = name(&options.gssapi_principal, options.gssapi_principal_nametype);
        let kind = options.gssapi_service_principal_nametype;
        Some(gssapi::Settings {
            library: sys::gssapi()?,
            own: (!own.text.is_empty()).then_some(own),
            service: name(&options.gssapi_service_principal, kind),
            plaintext: options.gssapi_plaintext,
        })
    }

    /// Tells the monitor what waits in each pipe; where two sockets share one, once the other has answered.
    pub(super) fn tell_stats(&mut self) -> Result<(), Error> {
        if self.pipes.is_empty() {
            return Err(Error::Again);
        }
        for id in self.pipes.ids() {
            if let Some(counts) = self.pipes.get(id).and_then(Pipe::counts) {
                self.tell_counts(id, counts);
            }
        }
        Ok(())
    }

    /// Tells the monitor what waits in one pipe.
    pub(super) fn tell_counts(&mut self, id: PipeId, counts: Counts) {
        let Some(pipe) = self.pipes.get(id) else { return };
        let endpoint = self.endpoints.iter().find(|known| known.id == pipe.endpoint());
        let text = endpoint.map(|known| known.text.to_string()).unwrap_or_default();
        let (own, peer) = pipe.driver().map(|driver| driver.addresses()).unwrap_or_default();
        let (local, remote) = match endpoint.map(|known| &known.place) {
            Some(Place::Listening(_)) => (conn::local_of(&text, || own).into_owned(), peer),
            Some(Place::Dialing(_) | Place::Receiving(_)) => (own, text),
            Some(Place::Bound | Place::Joined) => (text.clone(), text),
            // The endpoint was given up, and its connections live on.
            None => (own, peer),
        };
        self.monitor.tell_counts(counts, &local, &remote);
    }

    /// Ends every endpoint of this text; false when there is none.
    fn end_all(&mut self, text: &str) -> bool {
        let (found, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.endpoints).into_iter().partition(|known| {
                *known.text == *text
                    || matches!(&known.place, Place::Receiving(it) if *it.given == *text)
            });
        self.endpoints = kept;
        for endpoint in &found {
            self.end_one(endpoint);
        }
        !found.is_empty()
    }

    fn end_one(&mut self, endpoint: &Endpoint) {
        let linger_ms = self.options.linger_ms;
        match &endpoint.place {
            Place::Listening(listening) => {
                let Listening { place, shared } = &**listening;
                // Connections that are still shaking hands find this when they are done.
                shared.ended.store(true, Ordering::SeqCst);
                place.stop(0);
                self.process();
                // What they delivered by now is still read.
                for id in self.pipes_of(endpoint.id) {
                    if let Some(pipe) = self.pipes.get(id) {
                        pipe.park();
                        pipe.close(linger_ms);
                        self.ended(id);
                    }
                }
            }
            Place::Bound => {
                // It was bound by this socket, or it would not be in the table.
                let _freed = self.environment.hub.unbind(&endpoint.text, self.serial);
            }
            Place::Dialing(place) => {
                self.end_pipes(endpoint.id, linger_ms);
                place.stop(linger_ms);
            }
            Place::Receiving(receiving) => {
                self.end_pipes(endpoint.id, linger_ms);
                receiving.place.stop(linger_ms);
            }
            Place::Joined => self.end_pipes(endpoint.id, linger_ms),
        }
    }

    fn end_pipes(&mut self, endpoint: u64, linger_ms: i32) {
        for id in self.pipes_of(endpoint) {
            if let Some(pipe) = self.pipes.get(id) {
                pipe.close(linger_ms);
                self.remove(id);
            }
        }
    }

    fn pipes_of(&mut self, endpoint: u64) -> Vec<PipeId> {
        let mut ids = self.pipes.ids();
        ids.retain(|id| self.pipes.get(*id).is_some_and(|pipe| pipe.endpoint() == endpoint));
        ids
    }
}

/// What connections need to know of a socket's type.
fn style(ty: SocketType, raw: bool, notifies: i32) -> Style {
    use SocketType::{
        Client, Dealer, Dish, Peer, Pub, Radio, Rep, Router, Server, Sub, XPub, XSub,
    };
    Style {
        raw,
        notifies,
        publisher: matches!(ty, Pub | XPub),
        has_members: ty == Radio,
        hiccups: matches!(ty, Sub | XSub | Dish),
        // Who never receives never waits for input.
        attendable: ty.ever_receives(),
        forgets: !ty.ever_receives(),
        says_hello: !raw && matches!(ty, Router | Rep | Dealer | Server | Client | Peer),
        misses_peers: !raw && matches!(ty, Router | Rep | Server | Peer),
        misses_connections: matches!(ty, Dealer | Client | Peer),
        names_peers: matches!(ty, Router | Rep),
    }
}
