//! The two-way message queue between a socket and one peer: high- and low-water marks, whole messages
//! only, ends that outlive each other.
//!
//! A pipe has two shapes. [`inproc`] joins two sockets of a context by a ring of messages per direction.
//! [`wire`] joins a socket and a connection: what is sent lies there as frames ready for the kernel, what
//! was received as chunks of frames that the socket takes apart when it reads. Patterns see one type,
//! [`Pipe`], and know neither sockets nor connections.

pub mod feed;
pub mod inproc;
pub mod left;
mod pipes;
mod received;
mod sending;
pub mod turn;
pub mod wire;

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::message::{Metadata, Msg};
use crate::sync::Mailbox;

use pipes::Mood;
pub use pipes::{Dropped, Pipes};
use sending::BY_REFERENCE;
pub use sending::unframed;

/// Which pipe of a socket; reused after the pipe is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct PipeId(pub u32);

/// A pipe as others name it: never reused, so that a late notice for a dead pipe is seen as such.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PipeKey {
    /// The slot in the socket's table.
    pub id: PipeId,
    /// Counts the uses of that slot.
    pub generation: u32,
}

/// What the far side of a pipe tells the socket.
pub enum Notice {
    /// There is input again.
    Readable(PipeKey),
    /// There is room again.
    Writable(PipeKey),
    /// The far side is gone; what it sent before can still be read.
    Ended(PipeKey),
    /// The peer behind the pipe is known (after each handshake).
    Identified(PipeKey, Box<Identity>),
    /// The connection was lost and will be made anew; what was queued for it is gone.
    Hiccup(PipeKey),
    /// A new pipe for this socket.
    Attach(Box<NewPipe>),
    /// The far side wants to know what waits in this pipe; with what it has written itself and this side
    /// has not acknowledged yet.
    CountsWanted(PipeKey, u64),
    /// The answer: what this side has written, and what the far side has.
    Counts(PipeKey, Counts),
    /// A connect endpoint of the socket ended by itself; its address is free again.
    EndpointGone(u64),
    /// Somebody else's news (such as a finished monitor): look again.
    Nudge,
}

/// Messages in a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Written, and not yet taken or acknowledged by the far side.
    pub outgoing: u64,
    /// Waiting to be read.
    pub incoming: u64,
}

/// Who is behind a pipe.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The routing id the peer announced, empty when none.
    pub routing_id: Vec<u8>,
    /// What messages from this peer carry.
    pub metadata: Option<Arc<Metadata>>,
    /// The peer cannot subscribe and gets everything (unversioned ZMTP 1.0).
    pub subscribe_to_all: bool,
    /// There is no one peer but a group, of which nobody says what they want.
    pub is_group: bool,
}

/// A pipe on its way to the socket that will own it.
pub struct NewPipe {
    /// The socket's end.
    pub pipe: Pipe,
    /// The peer, when it is known already.
    pub identity: Option<Identity>,
    /// Which of the socket's endpoints it belongs to.
    pub endpoint: u64,
    /// This socket connected (rather than accepted).
    pub initiator: bool,
}

/// Where notices for one pipe go.
#[derive(Clone)]
pub struct Target {
    /// The socket's mailbox.
    pub mailbox: Arc<Mailbox<Notice>>,
    /// The pipe in that socket.
    pub key: PipeKey,
}

/// When a flush should reach the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Urgency {
    /// The connection decides by the density of sends.
    #[default]
    Auto,
    /// Write now: the caller just waited for the message it answers.
    Now,
    /// More is coming: the caller has further input at hand and will flush before it waits. With much of it this is
    /// written as in any burst.
    Soon,
    /// The same, and the caller has other connections to append to.
    Later,
}

/// What a caller found that read a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulled {
    /// The receive queue got messages.
    Messages,
    /// No whole message came.
    Nothing,
    /// It is not the caller's to read, or not any more: waiting on it tells nothing.
    Over,
}

/// The connection behind a wire pipe, as the socket's thread uses it: it may do the connection's work
/// itself instead of waking the I/O thread.
pub trait Driver: Send + Sync {
    /// Something was appended to the send queue.
    fn flush(&self, urgency: Urgency);
    /// Writes what a thread had in its list of what it left for later, and has there no more.
    fn write_left(&self) {
        self.flush(Urgency::Now);
    }
    /// Looks after what senders are about to append ([`wire::Wire::guarded`]), where that can be.
    fn guard(&self) {}
    /// Where reading was taken over: reads what the kernel has, without waiting.
    fn pull(&self) -> Pulled;
    /// The receive queue has room again (it was paused at its mark); true when it got messages.
    fn resume(&self) -> bool;
    /// Takes reading over from the I/O thread until it is left alone for a while. Answers what to wait
    /// on, None when there is nothing to read from or it cannot be taken.
    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>>;
    /// Gives a connection that was taken over back to the I/O thread.
    fn give_back(&self);
    /// The I/O thread stopped looking after a taken connection: it should look again.
    fn rewatch(&self);
    /// Much waits to be sent and the caller may wait: returns when half of it is gone, or nothing moves.
    fn ease(&self);
    /// Writes a message past the send queue, its last part from where it lies, behind the frames of the others: if the queue
    /// is empty and there is room for it. What the kernel does not take is queued. False, with nothing done, where that
    /// cannot be.
    fn write_past(&self, _frames: &[u8], _body: &[u8]) -> bool {
        false
    }
    /// Takes writing over from the I/O thread while the kernel has no room and the caller waits for some. Answers what to
    /// wait on; None when there is nothing to wait for, or it cannot be taken. Who does not wait for it any more gives it
    /// back, or nobody would write.
    fn attend_room(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }
    /// The kernel has room again: writes.
    fn write_on(&self) {}
    /// Gives back what [`Driver::attend_room`] took.
    fn leave_room(&self) {}
    /// The addresses of this end and the peer's, as the kernel has them; empty where there are none.
    fn addresses(&self) -> (String, String);
    /// The socket lets go: send what is queued within `linger_ms` (-1 for ever), then close.
    fn close(&self, linger_ms: i32);
    /// The peer broke the rules of the socket's pattern: close, and never reconnect.
    fn fail(&self);
}

/// What a [`Driver`] that tests work by hand has no use for.
#[cfg(test)]
macro_rules! nothing_more_to_drive {
    () => {
        fn resume(&self) -> bool {
            false
        }

        fn rewatch(&self) {}

        fn ease(&self) {}

        fn addresses(&self) -> (String, String) {
            Default::default()
        }

        fn close(&self, _linger_ms: i32) {}

        fn fail(&self) {}
    };
}
#[cfg(test)]
pub(crate) use nothing_more_to_drive;

enum End {
    Inproc(Box<inproc::End>),
    Wire(Box<wire::End>),
}

/// One socket's end of a pipe.
pub struct Pipe {
    end: End,
    routing_id: Box<[u8]>,
    terminated: bool,
    /// Which of the socket's endpoints it belongs to.
    endpoint: u64,
    /// What socket and pipes tell each other.
    mood: Arc<Mood>,
    dropping: bool,
    /// What is read as the last message once the far side is gone.
    last_words: Option<Box<Msg>>,
    /// This side connected.
    initiator: bool,
}

impl Pipe {
    /// The end of an inproc pipe.
    pub fn inproc(end: inproc::End) -> Pipe {
        Pipe::new(End::Inproc(Box::new(end)))
    }

    /// The socket's end of a connection.
    pub fn wire(end: wire::End) -> Pipe {
        Pipe::new(End::Wire(Box::new(end)))
    }

    fn new(end: End) -> Pipe {
        Pipe {
            end,
            routing_id: Box::default(),
            terminated: false,
            endpoint: 0,
            mood: Arc::default(),
            dropping: false,
            last_words: None,
            initiator: false,
        }
    }

    /// Whether a part can be read now. When not, the pipe sleeps and its pattern hears of new input.
    #[inline]
    pub fn check_read(&mut self) -> bool {
        !self.terminated
            && match &mut self.end {
                End::Inproc(end) => end.check_read(),
                End::Wire(end) => end.check_read(),
            }
            || self.has_last_words()
    }

    #[cold]
    fn has_last_words(&self) -> bool {
        self.last_words.is_some() && !self.terminated && self.ended()
    }

    /// Writes the message that comes before all others. Where there is no memory for it there is none.
    pub fn greet(&mut self, hello: &[u8]) {
        if let Ok(msg) = Msg::copy_of(hello) {
            self.write_control(msg);
            self.flush();
        }
    }

    /// When the far side goes by itself, this is read as its last message.
    pub fn set_last_words(&mut self, msg: Msg) {
        self.last_words = Some(Box::new(msg));
    }

    /// The next part. Whole messages become visible at once: a part with MORE is followed by the rest.
    #[inline]
    pub fn read(&mut self) -> Option<Msg> {
        let mut msg = Msg::new();
        self.receive(&mut msg).then_some(msg)
    }

    /// As [`Pipe::read`], in place; false, with `msg` left alone, when there is nothing.
    #[inline(always)]
    pub fn receive(&mut self, msg: &mut Msg) -> bool {
        if self.terminated {
            return false;
        }
        match &mut self.end {
            End::Inproc(end) => {
                end.receive(msg) || self.last_words.is_some() && self.receive_at_end(msg)
            }
            End::Wire(_) => self.receive_from_wire(msg),
        }
    }

    /// Gives the bytes of the next part to `take`, with whether more parts follow; that says whether it takes them. False
    /// where it does not, and where the part takes more: it is not but bytes, or is not at hand.
    #[inline(always)]
    pub fn receive_bytes(&mut self, take: impl FnOnce(&[u8], bool) -> bool) -> bool {
        match &mut self.end {
            End::Inproc(end) if !self.terminated => end.receive_bytes(take),
            End::Wire(end) if !self.terminated => end.receive_bytes(take),
            _ => false,
        }
    }

    #[inline(never)]
    fn receive_from_wire(&mut self, msg: &mut Msg) -> bool {
        let End::Wire(end) = &mut self.end else { return false };
        if !end.receive(msg) {
            return false;
        }
        if end.metadata.is_some() && !self.mood.bare.load(Ordering::Relaxed) {
            msg.set_metadata(end.metadata.clone());
        }
        true
    }

    /// The far side may have written and gone since the pipe was found empty.
    #[cold]
    fn receive_at_end(&mut self, msg: &mut Msg) -> bool {
        if !self.ended() {
            return false;
        }
        let End::Inproc(end) = &mut self.end else { return false };
        if end.receive(msg) {
            return true;
        }
        match self.last_words.take() {
            Some(last) => {
                *msg = *last;
                true
            }
            None => false,
        }
    }

    /// Whether a message may be written. When not, the pattern hears when there is room again.
    #[inline]
    pub fn check_write(&mut self) -> bool {
        !self.terminated
            && match &mut self.end {
                End::Inproc(end) => end.check_write(),
                End::Wire(end) => end.check_write(self.mood.hurried.load(Ordering::Relaxed)),
            }
    }

    /// Whether the first part of a message may be written by what the caller knows of the room for it; where that is
    /// used up, one that must not wait may be refused once though there is room again. For those who lose nothing
    /// by it: they come again when the pipe is writable.
    #[inline]
    pub fn admits(&mut self) -> bool {
        match &mut self.end {
            End::Inproc(_) => true,
            End::Wire(end) => end.admits(self.mood.hurried.load(Ordering::Relaxed)),
        }
    }

    /// The room that was just seen is for the next message, even if the far side lowers its mark before that. To a
    /// connection that cannot happen.
    pub fn hold_room(&mut self) {
        if let End::Inproc(end) = &mut self.end {
            end.hold_room();
        }
    }

    /// Until this is taken back the next message has room, whatever the marks say by now: it was seen when it began.
    pub fn grant(&mut self, granted: bool) {
        match &mut self.end {
            End::Inproc(end) if granted => end.hold_room(),
            End::Inproc(end) => end.let_room_go(),
            End::Wire(end) => end.granted = granted,
        }
    }

    /// Appends a part; the mark is checked at the first part of a message only. Gives the part back when
    /// the pipe is full or over.
    #[inline]
    pub fn write(&mut self, mut msg: Msg) -> Result<(), Msg> {
        if self.send(&mut msg) { Ok(()) } else { Err(msg) }
    }

    /// As [`Pipe::write`], in place: a part that was taken is left empty.
    #[inline(always)]
    pub fn send(&mut self, msg: &mut Msg) -> bool {
        if self.terminated {
            return false;
        }
        match &mut self.end {
            End::Inproc(end) => end.send(msg),
            End::Wire(_) => self.send_to_wire(msg),
        }
    }

    #[inline(never)]
    fn send_to_wire(&mut self, msg: &mut Msg) -> bool {
        let End::Wire(end) = &mut self.end else { return false };
        let sent = end.send(msg, self.mood.hurried.load(Ordering::Relaxed));
        if end.heavy {
            self.mood.heavy.store(true, Ordering::Relaxed);
        }
        sent
    }

    /// Appends a copy of a part, as [`Pipe::send`] does; the part stays as it is, for the other pipes.
    #[inline]
    pub fn send_copy(&mut self, msg: &mut Msg) -> bool {
        if let End::Inproc(end) = &mut self.end
            && !self.terminated
            && let Some(sent) = end.send_copy(msg)
        {
            return sent;
        }
        msg.share().is_ok_and(|mut copy| self.send(&mut copy))
    }

    /// Sends a message of one part that is but these bytes, and hands it on; false where that takes more: a
    /// connection, or room.
    #[inline(always)]
    pub fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        match &mut self.end {
            End::Inproc(end) if !self.terminated => end.send_bytes(bytes),
            _ => false,
        }
    }

    /// As [`Pipe::send_bytes`], by a connection as well, and there also parts of longer messages; where the pattern knows
    /// how urgent it is.
    #[inline(always)]
    pub fn send_bytes_with(&mut self, bytes: &[u8], more: bool, urgency: Urgency) -> bool {
        match &mut self.end {
            End::Inproc(end) if !self.terminated && !more => end.send_bytes(bytes),
            End::Wire(end) if !self.terminated => {
                let hurried = self.mood.hurried.load(Ordering::Relaxed);
                if more || end.is_amid_bytes() {
                    end.send_part_bytes(bytes, more, urgency, hurried)
                } else {
                    end.send_bytes(bytes, urgency, hurried)
                }
            }
            _ => false,
        }
    }

    /// How large a part of a message for [`Pipe::send_frames`] may be; 0 where that does not serve.
    pub fn frames_max(&self) -> usize {
        match &self.end {
            End::Inproc(end) if end.takes_frames() => inproc::COPIED_TO_MANY_MAX,
            End::Wire(end) if end.takes_frames() => BY_REFERENCE - 1,
            _ => 0,
        }
    }

    /// Whether there is room for a message that [`Pipe::send_frames`] is given later, with nothing sent in between.
    pub fn admits_frames(&mut self) -> bool {
        !self.terminated
            && match &mut self.end {
                End::Inproc(end) => end.check_write(),
                End::Wire(end) => end.admits_frames(self.mood.hurried.load(Ordering::Relaxed)),
            }
    }

    /// Sends a message in whole frames of ZMTP 2.0 and 3.x, and hands it on; nothing where there is nobody to get it.
    pub fn send_frames(&mut self, frames: &[u8], urgency: Urgency) {
        match &mut self.end {
            _ if self.terminated => {}
            End::Inproc(end) => end.send_frames(frames),
            End::Wire(end) => {
                end.send_frames(frames, urgency, self.mood.hurried.load(Ordering::Relaxed))
            }
        }
    }

    /// As [`Pipe::send_bytes_with`], one of several such messages in a row, in between which nobody did anything with this
    /// pipe; false, too, where it is to be sent like the first again.
    #[inline(always)]
    pub fn send_express(&mut self, bytes: &[u8], hurried: bool) -> bool {
        match &mut self.end {
            End::Inproc(end) if !self.terminated => end.send_bytes(bytes),
            End::Wire(end) if !self.terminated => end.send_express(bytes, hurried),
            _ => false,
        }
    }

    /// Appends a single-part message whatever the mark says: subscriptions and the like.
    pub fn write_control(&mut self, msg: Msg) {
        if self.terminated {
            return;
        }
        match &mut self.end {
            End::Inproc(end) => end.write_control(msg),
            End::Wire(end) => end.write_control(msg),
        }
    }

    /// Joins a feed, or a broadcast, whose messages it then sends: how many it has room for; None where it cannot, or has
    /// little room.
    pub fn join(
        &mut self,
        feed: &Arc<feed::Feed>,
        broadcast: &Arc<inproc::broadcast::Broadcast>,
    ) -> Option<usize> {
        match &mut self.end {
            _ if self.terminated => None,
            End::Wire(end) => end.join(feed),
            End::Inproc(end) => end.join(broadcast),
        }
    }

    /// Hands complete messages on.
    #[inline]
    pub fn flush(&mut self) {
        self.flush_with(Urgency::Auto);
    }

    /// As [`Pipe::flush`], where the pattern knows how urgent it is.
    #[inline]
    pub fn flush_with(&mut self, urgency: Urgency) {
        match &mut self.end {
            End::Inproc(end) => end.flush(),
            End::Wire(end) => end.flush(urgency, self.mood.hurried.load(Ordering::Relaxed)),
        }
    }

    /// Drops the parts of a message that was begun and not finished.
    pub fn rollback(&mut self) {
        match &mut self.end {
            End::Inproc(end) => end.rollback(),
            End::Wire(end) => end.rollback(),
        }
    }

    /// Ends the pipe from this side. With `drain` what has arrived stays readable until the socket is
    /// told of the end; without it is dropped.
    pub fn terminate(&mut self, drain: bool) {
        self.terminated |= !drain;
        self.last_words = None;
        self.close(-1);
        self.raise_sweep();
    }

    /// Another peer has taken this one's place: what has arrived stays readable, and nothing else is read or
    /// written. A connection that was accepted stays open until its peer ends it, who would only make it anew.
    pub fn park(&mut self) {
        match &mut self.end {
            End::Wire(end) if !self.initiator => end.park(),
            // Nobody makes these anew.
            _ => self.terminate(true),
        }
    }

    fn raise_sweep(&mut self) {
        self.dropping = true;
        self.mood.sweep.store(true, Ordering::Relaxed);
    }

    /// Whether the pattern ended this pipe: it goes once it is exhausted.
    pub fn dropping(&self) -> bool {
        self.dropping
    }

    /// What waits in the pipe (zmq_socket_monitor_pipes_stats). Two sockets have to put it together: then
    /// this is None, and a notice brings it.
    pub fn counts(&mut self) -> Option<Counts> {
        match &mut self.end {
            End::Inproc(end) => {
                end.ask_counts();
                None
            }
            End::Wire(end) => Some(end.counts()),
        }
    }

    /// Answers the far side, which asked what waits here and has `theirs` waiting.
    pub fn tell_counts(&mut self, theirs: u64) {
        if let End::Inproc(end) = &mut self.end {
            end.tell_counts(theirs);
        }
    }

    /// Says whether this side connected (rather than accepted).
    pub fn set_initiator(&mut self, initiator: bool) {
        self.initiator = initiator;
    }

    /// Which of the socket's endpoints it belongs to.
    pub fn endpoint(&self) -> u64 {
        self.endpoint
    }

    /// Says which of the socket's endpoints it belongs to.
    pub fn set_endpoint(&mut self, endpoint: u64) {
        self.endpoint = endpoint;
    }

    /// Ends the pipe from this side, giving a connection `linger_ms` to send what is queued.
    pub fn close(&mut self, linger_ms: i32) {
        match &mut self.end {
            End::Inproc(end) => end.close(),
            End::Wire(end) => end.close(linger_ms),
        }
    }

    /// Closes the connection behind this pipe for a breach of the pattern's framing.
    pub fn protocol_error(&mut self) {
        self.terminated = true;
        match &mut self.end {
            End::Inproc(end) => end.close(),
            End::Wire(end) => end.fail(),
        }
        self.raise_sweep();
    }

    /// Writes out what a thread left that may be another one: the caller is about to wait.
    #[inline]
    pub fn flush_left(&mut self) {
        if let End::Wire(end) = &mut self.end {
            end.flush_left();
        }
    }

    /// Whether the far side is gone: writes fail, reads return what is left.
    pub fn ended(&self) -> bool {
        self.terminated
            || match &self.end {
                End::Inproc(end) => end.ended(),
                End::Wire(end) => end.ended(),
            }
    }

    /// Whether what is sent can still reach anybody. A peer that is gone may have left something to read.
    pub fn deaf(&self) -> bool {
        self.ended() || matches!(&self.end, End::Wire(end) if end.deaf())
    }

    /// Whether the far side is gone and nothing is left to read.
    pub fn exhausted(&mut self) -> bool {
        self.ended() && !self.check_read()
    }

    /// Whether the far side is gone and took back what it wrote.
    pub fn retracted(&self) -> bool {
        matches!(&self.end, End::Inproc(end) if end.retracted())
    }

    /// What is left of this end for taking back what it wrote, where another socket reads that.
    pub fn trace(&self) -> Option<inproc::Trace> {
        match &self.end {
            End::Inproc(end) => Some(end.trace()),
            End::Wire(_) => None,
        }
    }

    /// Whether two sockets of one context share this pipe.
    pub fn is_inproc(&self) -> bool {
        matches!(self.end, End::Inproc(_))
    }

    /// The name its pattern gave the peer.
    pub fn routing_id(&self) -> &[u8] {
        &self.routing_id
    }

    /// Names the peer.
    pub fn set_routing_id(&mut self, id: impl Into<Box<[u8]>>) {
        self.routing_id = id.into();
    }

    /// Sets what messages from the present peer carry; those of an inproc peer carry nothing.
    pub fn set_metadata(&mut self, metadata: Option<Arc<Metadata>>) {
        if let End::Wire(end) = &mut self.end {
            end.metadata = metadata;
        }
    }

    /// What messages read from now on carry.
    #[inline]
    pub fn metadata(&self) -> Option<&Arc<Metadata>> {
        match &self.end {
            End::Inproc(_) => None,
            End::Wire(end) => end.metadata.as_ref(),
        }
    }

    /// Says where notices for this end go. Set once, when a socket takes the pipe in.
    pub fn bind_target(&mut self, target: Target) {
        match &mut self.end {
            End::Inproc(end) => end.bind_target(target),
            End::Wire(end) => end.bind_target(target),
        }
    }

    /// New marks of the socket (messages; 0 is unlimited).
    pub fn set_marks(&mut self, send: i32, receive: i32) {
        match &mut self.end {
            End::Inproc(end) => end.set_marks(send, receive),
            End::Wire(end) => end.set_marks(send, receive),
        }
    }

    /// Whether it is the socket's end of this connection.
    pub fn is_end_of(&self, wire: &Arc<wire::Wire>) -> bool {
        matches!(&self.end, End::Wire(end) if end.is_of(wire))
    }

    fn is_inproc_reader_of(&self, direction: &Arc<inproc::Direction>) -> bool {
        matches!(&self.end, End::Inproc(end) if end.reads(direction))
    }

    /// The connection behind this end, if it is one.
    pub fn driver(&self) -> Option<&Arc<dyn Driver>> {
        match &self.end {
            End::Inproc(_) => None,
            End::Wire(end) => Some(end.driver()),
        }
    }
}

/// Two joined ends with marks as two sockets would have them; notices go nowhere unless targets are
/// bound. For unit tests of patterns: (send, receive) marks of each side, 0 is unlimited.
pub fn inproc_pair_for_tests(a: (i32, i32), b: (i32, i32)) -> (Pipe, Pipe) {
    let (mut near, mut far) = inproc::pair(false);
    near.set_marks(a.0, a.1);
    far.set_marks(b.0, b.1);
    (Pipe::inproc(near), Pipe::inproc(far))
}
