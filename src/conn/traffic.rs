//! An established connection as its I/O thread sees it: presenting the peer to the socket, heartbeats.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Codec, Loss};
use super::session::{Kind, Phase, Session, pipe_of};
use super::worker::Context;
use crate::base::constants as c;
use crate::message::{Metadata, Msg};
use crate::pipe::wire::Item;
use crate::pipe::{Identity, NewPipe, Urgency};
use crate::transport::Stream;
use crate::zmtp::command;
use crate::zmtp::handshake::Peer;
use crate::zmtp::heartbeat::{Action, Heartbeat};
use crate::zmtp::zws::Link;

/// Heartbeats are looked at this often at least, while any are due.
const FARTHEST_LOOK: Duration = Duration::from_secs(5);

impl Session {
    pub(super) fn open(
        &mut self,
        stream: Arc<Stream>,
        peer: Peer,
        link: Option<Link>,
        early: &[u8],
        unsent: Vec<u8>,
        context: &mut Context<'_>,
    ) -> bool {
        let protocol = peer.protocol;
        let identity = Identity {
            metadata: Some(self.metadata(&stream, &peer)),
            subscribe_to_all: peer.assume_subscribed_to_all(),
            is_group: false,
            routing_id: peer.routing_id,
        };
        let max_size = self.connection.shared.options.maxmsgsize;
        let beats = protocol.has_commands() || link.is_some();
        let mut codec = Codec::zmtp(protocol, peer.framer, link, max_size, early);
        if peer.name_follows {
            codec.skip_name();
        }
        self.say_first(&codec, unsent);
        self.go(stream, codec, identity, beats, context)
    }

    pub(super) fn open_raw(&mut self, stream: Arc<Stream>, context: &mut Context<'_>) -> bool {
        let mut metadata = Metadata::new(stream.as_raw_fd());
        if let Some(address) = self.peer_address(&stream) {
            metadata.push(b"Peer-Address", address.as_bytes());
        }
        metadata.seal();
        let identity = Identity { metadata: Some(Arc::new(metadata)), ..Identity::default() };
        let piece = usize::try_from(self.connection.shared.options.in_batch_size).unwrap_or(1);
        let codec = Codec::raw(piece, self.connection.shared.options.maxmsgsize);
        self.go(stream, codec, identity, false, context)
    }

    pub(super) fn go(
        &mut self,
        stream: Arc<Stream>,
        codec: Codec,
        identity: Identity,
        beats: bool,
        context: &mut Context<'_>,
    ) -> bool {
        if self.connection.shared.ended.load(Ordering::SeqCst) && !self.attached {
            return self.finish();
        }
        if let Kind::Dialing(dialing) = &mut self.kind {
            dialing.untried = Box::default();
        }
        {
            let mut gate = self.connection.gate.lock();
            if !gate.registration.has_source() {
                gate.registration.set_source(stream.clone());
            }
        }
        // The socket hears who the peer is before it can read anything from it.
        if self.attached {
            self.connection.wire.identified(identity, self.connection.shared.style.names_peers);
        } else {
            self.attached = true;
            self.connection.shared.owner.attach(NewPipe {
                pipe: pipe_of(&self.connection),
                identity: Some(identity),
                endpoint: self.connection.shared.endpoint,
                initiator: matches!(self.kind, Kind::Dialing(_)),
            });
        }
        // Only now: who hears of it may send to the peer by its name at once.
        if beats {
            self.tell(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, Some(&stream));
        }
        self.notify(c::ZMQ_NOTIFY_CONNECT);
        let heartbeat = (beats && self.connection.shared.options.heartbeat_ivl_ms > 0).then(|| {
            let mut heartbeat = self.heartbeat();
            heartbeat.on_established(context.now);
            heartbeat
        });
        self.phase = Phase::Open { stream: stream.clone(), heartbeat };
        let early = codec.has_input();
        self.connection.open(&stream, codec);
        if early {
            self.connection.read(false);
        }
        self.connection.flush_out(Urgency::Now);
        // Many have no more to say for long.
        self.connection.wire.send.lock().shrink();
        self.plan_heartbeat(context);
        self.settle(context)
    }

    /// Puts what the handshake left unsent, and then the user's greeting, before everything else.
    fn say_first(&self, codec: &Codec, unsent: Vec<u8>) {
        let hello = &self.connection.shared.options.hello_msg;
        let mut queue = self.connection.wire.send.lock();
        if self.connection.shared.style.says_hello
            && !hello.is_empty()
            && let Ok(frame) = codec.whole(hello)
        {
            queue.push_raw_front(frame);
        }
        if !unsent.is_empty() {
            queue.push_raw_front(unsent);
        }
    }

    /// The connection is lost: shows the socket what its user wants to see in its place.
    pub(super) fn show_loss(&self, for_good: bool) {
        let (options, style) = (&self.connection.shared.options, &self.connection.shared.style);
        let shown = match self.kind {
            Kind::Accepted(_) if style.misses_peers => &options.disconnect_msg,
            Kind::Dialing(_) if style.misses_connections && !for_good => &options.hiccup_msg,
            _ => return,
        };
        // Who closes knows of it.
        if shown.is_empty() || self.linger.is_some() {
            return;
        }
        if let Ok(msg) = Msg::copy_of(shown) {
            self.connection.wire.received(&mut vec![Item::Message(msg)], 1, false);
        }
    }

    /// Shows the socket the beginning or end of the connection, where its type wants to see it.
    pub(super) fn notify(&self, what: i32) {
        if self.connection.shared.style.notifies & what != 0 {
            let mut empty = vec![Item::Message(Msg::new())];
            self.connection.wire.received(&mut empty, 1, false);
        }
    }

    pub(super) fn metadata(&self, stream: &Stream, peer: &Peer) -> Arc<Metadata> {
        let mut metadata = Metadata::new(stream.as_raw_fd());
        if let Some(address) = self.peer_address(stream) {
            metadata.push(b"Peer-Address", address.as_bytes());
        }
        if let Some(grant) = &peer.grant {
            metadata.push(b"User-Id", &grant.user_id);
            for (name, value) in &grant.properties {
                metadata.push(name, value);
            }
        }
        for (name, value) in &peer.properties {
            metadata.push(name, value);
        }
        metadata.seal();
        Arc::new(metadata)
    }

    pub(super) fn peer_address(&self, stream: &Stream) -> Option<String> {
        match &self.kind {
            Kind::Accepted(accepted) => accepted.peer_address.clone(),
            Kind::Dialing(_) => stream.peer_address(),
        }
    }

    pub(super) fn plan_heartbeat(&mut self, context: &mut Context<'_>) {
        let Phase::Open { heartbeat: Some(heartbeat), .. } = &self.phase else { return };
        let Some(deadline) = heartbeat.next_deadline() else { return };
        // Timers cannot be taken back, and the peer moves this one as often as it likes: so there is one
        // that comes first, and none that stays for long.
        let at = deadline.min(context.now + FARTHEST_LOOK);
        if self.next_look.is_none_or(|next| at < next || next <= context.now) {
            self.next_look = Some(at);
            context.timers.schedule(at, self.connection.key());
        }
    }

    /// What the options say of heartbeats, before anything was sent or heard.
    fn heartbeat(&self) -> Box<Heartbeat> {
        let o = &self.connection.shared.options;
        let ttl_ms = i32::from(o.heartbeat_ttl_ds) * 100;
        Box::new(Heartbeat::new(o.heartbeat_ivl_ms, ttl_ms, o.heartbeat_timeout_ms))
    }

    pub(super) fn beat(&mut self, context: &mut Context<'_>) -> bool {
        if let Phase::Open { heartbeat: None, .. } = &self.phase
            && self.connection.ping_ttl.load(Ordering::Relaxed) > 0
        {
            // The peer promised to be heard again.
            let begun = self.heartbeat();
            if let Phase::Open { heartbeat, .. } = &mut self.phase {
                *heartbeat = Some(begun);
            }
        }
        let Phase::Open { heartbeat: Some(heartbeat), .. } = &mut self.phase else { return true };
        let connection = &self.connection;
        // What the kernel holds counts as heard; while our own application does not read, nothing can
        // be said about the peer.
        connection.read(false);
        if connection.heard.swap(false, Ordering::Relaxed) {
            heartbeat.on_received(context.now);
        }
        match connection.ping_ttl.swap(0, Ordering::Relaxed) {
            0 => {}
            ttl => heartbeat.on_ping(context.now, u16::try_from(ttl).unwrap_or(u16::MAX)),
        }
        if connection.gate.lock().paused {
            heartbeat.pause(context.now);
        } else {
            heartbeat.resume(context.now);
        }
        match heartbeat.on_timer(context.now) {
            Action::Expired => return self.lost(Loss::Broken(libc::ETIMEDOUT), context),
            Action::SendPing => {
                let mut ping = Vec::new();
                command::push_ping(&mut ping, heartbeat.ttl_tenths());
                connection.send_heartbeat(ping);
            }
            Action::None => {}
        }
        self.plan_heartbeat(context);
        true
    }
}
