//! The NORM library of the machine (NACK-oriented reliable multicast, RFC 5740), loaded when first asked for.
//!
//! Nothing of it is needed to build or to start. It works in a thread of its own and tells through a descriptor when
//! there is news; what is sent and received here are streams of bytes with marks where messages begin.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::null;
use std::sync::OnceLock;

use super::library::{Library, functions};
use super::thread;

/// Where to find it.
const FILE: &CStr = c"libnorm.so.1";

/// A thing of the library's: an instance, a session, an object or a node.
type Handle = *const c_void;

/// `NormEvent`
#[repr(C)]
struct RawEvent {
    kind: c_int,
    session: Handle,
    sender: Handle,
    object: Handle,
}

// Kinds of events, as libnorm 1.5 numbers them.
const TX_QUEUE_VACANCY: c_int = 1;
const TX_QUEUE_EMPTY: c_int = 2;
const TX_FLUSH_COMPLETED: c_int = 3;
const REMOTE_SENDER_INACTIVE: c_int = 14;
const RX_OBJECT_NEW: c_int = 17;
const RX_OBJECT_UPDATED: c_int = 19;
const RX_OBJECT_COMPLETED: c_int = 20;
const RX_OBJECT_ABORTED: c_int = 21;

/// `NORM_OBJECT_STREAM`
const STREAM: c_int = 3;
/// `NORM_SYNC_CURRENT`: who comes late hears what is sent from then on.
const SYNC_CURRENT: c_int = 0;

functions! {
    /// The library's functions.
    Functions;
    get_version c"NormGetVersion" (*mut c_int, *mut c_int, *mut c_int) -> c_int;
    create_instance c"NormCreateInstance" (bool) -> Handle;
    destroy_instance c"NormDestroyInstance" (Handle);
    get_descriptor c"NormGetDescriptor" (Handle) -> c_int;
    get_next_event c"NormGetNextEvent" (Handle, *mut RawEvent, bool) -> bool;
    create_session c"NormCreateSession" (Handle, *const c_char, u16, u32) -> Handle;
    destroy_session c"NormDestroySession" (Handle);
    set_rx_port_reuse c"NormSetRxPortReuse" (Handle, bool, *const c_char, *const c_char, u16);
    set_multicast_interface c"NormSetMulticastInterface" (Handle, *const c_char) -> bool;
    set_multicast_loopback c"NormSetMulticastLoopback" (Handle, bool) -> bool;
    set_ttl c"NormSetTTL" (Handle, u8) -> bool;
    set_tos c"NormSetTOS" (Handle, u8) -> bool;
    set_tx_rate c"NormSetTxRate" (Handle, f64);
    set_congestion_control c"NormSetCongestionControl" (Handle, bool, bool);
    set_ecn_support c"NormSetEcnSupport" (Handle, bool, bool, bool);
    set_auto_parity c"NormSetAutoParity" (Handle, u8);
    set_default_unicast_nack c"NormSetDefaultUnicastNack" (Handle, bool);
    set_default_sync_policy c"NormSetDefaultSyncPolicy" (Handle, c_int);
    start_sender c"NormStartSender" (Handle, u16, u32, u16, u16, u16, u8) -> bool;
    stream_open c"NormStreamOpen" (Handle, u32, *const c_char, c_uint) -> Handle;
    stream_close c"NormStreamClose" (Handle, bool);
    stream_set_push_enable c"NormStreamSetPushEnable" (Handle, bool);
    stream_write c"NormStreamWrite" (Handle, *const c_char, c_uint) -> c_uint;
    stream_mark_eom c"NormStreamMarkEom" (Handle);
    stream_flush c"NormStreamFlush" (Handle, bool, c_int);
    start_receiver c"NormStartReceiver" (Handle, u32) -> bool;
    stream_read c"NormStreamRead" (Handle, *mut c_char, *mut c_uint) -> bool;
    stream_seek_msg_start c"NormStreamSeekMsgStart" (Handle) -> bool;
    object_get_type c"NormObjectGetType" (Handle) -> c_int;
    object_retain c"NormObjectRetain" (Handle);
    object_release c"NormObjectRelease" (Handle);
    object_cancel c"NormObjectCancel" (Handle);
    node_free_buffers c"NormNodeFreeBuffers" (Handle);
}

/// The loaded library.
#[derive(Clone, Copy)]
pub struct Norm(&'static Functions);

/// The library, once loaded; `None` where there is none, or one of another age than 1.5 and later.
pub fn norm() -> Option<Norm> {
    static LOADED: OnceLock<Option<Functions>> = OnceLock::new();
    let load = || {
        let functions = Library::open(FILE).and_then(Functions::find)?;
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        // SAFETY: three places for three numbers.
        unsafe { (functions.get_version)(&mut major, &mut minor, &mut patch) };
        (major == 1 && minor >= 5).then_some(functions)
    };
    LOADED.get_or_init(load).as_ref().map(Norm)
}

/// How a sender sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sending {
    /// Bits a second; `None`: as congestion allows.
    pub fixed_rate: Option<f64>,
    /// What tells of congestion, where the rate is not fixed.
    pub congestion: Congestion,
    /// Bytes kept for repair.
    pub buffer: u32,
    /// Bytes of payload in a datagram.
    pub segment: u16,
    /// Datagrams in a block.
    pub block: u16,
    /// Datagrams of parity in a block, at most.
    pub parity: u16,
    /// Those sent without being asked for.
    pub auto_parity: u8,
    /// What is new is sent, and what is old forgotten, when the buffer is full.
    pub push: bool,
}

/// Signs of congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// Loss, as with TCP.
    Loss,
    /// Loss, of which some is tolerated.
    HeavyLoss,
    /// Loss and ECN.
    LossAndMarks,
    /// ECN alone.
    Marks,
}

/// What happened in a session. Streams have numbers, which may be used again after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream may take more.
    Room,
    /// Everything was sent once.
    Sent,
    /// There is something to read.
    Data(usize),
    /// A stream is over; what it has can be read until it is let go.
    Over(usize),
    /// A stream is gone.
    Gone(usize),
    /// Nothing of interest.
    Other,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes; with 0 there is nothing at present.
    Bytes(usize),
    /// Something was lost.
    Gap,
}

/// A session: a sender with one stream, or a receiver of everybody's.
pub struct Session {
    norm: Norm,
    instance: Handle,
    session: Handle,
    sending: Option<Handle>,
    streams: HashSet<usize>,
}

// SAFETY: the library guards itself against its own thread and knows nothing of ours; `&mut` sees to it that one
// thread uses a session at a time.
unsafe impl Send for Session {}

/// Streams of others that are received at a time; each of them may have a buffer.
const MOST_STREAMS: usize = 256;

impl Session {
    /// A session at `address` (numeric) and `port`, which others on this machine may share. `None` where the library
    /// refuses.
    pub fn new(norm: Norm, address: &str, port: u16, node: u32) -> Option<Session> {
        let address = CString::new(address).ok()?;
        // Its thread is none that may run handlers of the application's.
        // SAFETY: takes no pointers.
        let instance = thread::without_signals(|| unsafe { (norm.0.create_instance)(false) });
        if instance.is_null() {
            return None;
        }
        // SAFETY: an instance that was just made, and a NUL-terminated text.
        let session = unsafe { (norm.0.create_session)(instance, address.as_ptr(), port, node) };
        let made = Session { norm, instance, session, sending: None, streams: HashSet::new() };
        (!session.is_null()).then_some(made)
    }

    /// Lets others share the port. With `at` only what is sent to that address comes in.
    pub fn share_port(&mut self, at: Option<&str>) {
        let at = at.and_then(|at| CString::new(at).ok());
        let at = at.as_ref().map_or(null(), |at| at.as_ptr());
        // SAFETY: a session, and NULL or a NUL-terminated text.
        unsafe { (self.norm.0.set_rx_port_reuse)(self.session, true, at, null(), 0) };
    }

    /// Chooses the interface by name or address; false where there is none.
    pub fn set_interface(&mut self, name: &str) -> bool {
        let Ok(name) = CString::new(name) else { return false };
        // SAFETY: a session and a NUL-terminated text.
        unsafe { (self.norm.0.set_multicast_interface)(self.session, name.as_ptr()) }
    }

    /// How many routers multicast passes, how datagrams are marked, and whether those on this machine hear it.
    /// What the kernel refuses stays as it is.
    pub fn set_ways(&mut self, hops: Option<u8>, tos: u8, loopback: bool) {
        // SAFETY: a session.
        unsafe {
            if let Some(hops) = hops {
                (self.norm.0.set_ttl)(self.session, hops);
            }
            if tos != 0 {
                (self.norm.0.set_tos)(self.session, tos);
            }
            (self.norm.0.set_multicast_loopback)(self.session, loopback);
        }
    }

    /// Becomes a sender.
    pub fn send_as(&mut self, instance: u16, how: &Sending) -> bool {
        let (lib, session) = (self.norm.0, self.session);
        // SAFETY: a session, and the stream that is made of it.
        unsafe {
            match how.fixed_rate {
                Some(rate) => (lib.set_tx_rate)(session, rate),
                None => (lib.set_congestion_control)(session, true, true),
            }
            match how.congestion {
                _ if how.fixed_rate.is_some() => {}
                Congestion::Loss => {}
                Congestion::HeavyLoss => (lib.set_ecn_support)(session, false, false, true),
                Congestion::LossAndMarks => (lib.set_ecn_support)(session, true, false, false),
                Congestion::Marks => (lib.set_ecn_support)(session, true, true, false),
            }
            let Sending { buffer, segment, block, parity, .. } = *how;
            if !(lib.start_sender)(session, instance, buffer, segment, block, parity, 0) {
                return false;
            }
            (lib.set_auto_parity)(session, how.auto_parity);
            let stream = (lib.stream_open)(session, buffer, null(), 0);
            if stream.is_null() {
                return false;
            }
            (lib.stream_set_push_enable)(stream, how.push);
            self.sending = Some(stream);
        }
        true
    }

    /// Becomes a receiver, with a buffer of so many bytes for each sender.
    pub fn receive(&mut self, buffer: u32, unicast_nacks: bool) -> bool {
        // SAFETY: a session.
        unsafe {
            (self.norm.0.set_default_unicast_nack)(self.session, unicast_nacks);
            (self.norm.0.set_default_sync_policy)(self.session, SYNC_CURRENT);
            (self.norm.0.start_receiver)(self.session, buffer)
        }
    }

    /// A descriptor of its own that can be read while there are events.
    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        // SAFETY: an instance; its descriptor is open while it lives.
        let fd = unsafe { BorrowedFd::borrow_raw((self.norm.0.get_descriptor)(self.instance)) };
        fd.try_clone_to_owned()
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Event> {
        let mut event = RawEvent { kind: 0, session: null(), sender: null(), object: null() };
        // SAFETY: an instance, and a place for the event.
        if !unsafe { (self.norm.0.get_next_event)(self.instance, &mut event, false) } {
            return None;
        }
        let stream = event.object as usize;
        Some(match event.kind {
            TX_QUEUE_VACANCY => Event::Room,
            TX_QUEUE_EMPTY | TX_FLUSH_COMPLETED => Event::Sent,
            RX_OBJECT_NEW => self.take_in(event.object),
            RX_OBJECT_UPDATED if self.streams.contains(&stream) => Event::Data(stream),
            RX_OBJECT_COMPLETED if self.streams.contains(&stream) => Event::Over(stream),
            RX_OBJECT_ABORTED if self.let_go(stream) => Event::Gone(stream),
            REMOTE_SENDER_INACTIVE => {
                // SAFETY: the node of this event.
                unsafe { (self.norm.0.node_free_buffers)(event.sender) };
                Event::Other
            }
            _ => Event::Other,
        })
    }

    /// A new object. Files and the like are of no use, and there is a limit to everything.
    fn take_in(&mut self, object: Handle) -> Event {
        // SAFETY: the object of an event that was just taken; it is kept for as long as it is in the set.
        unsafe {
            let is_stream = (self.norm.0.object_get_type)(object) == STREAM;
            if !is_stream || self.streams.len() >= MOST_STREAMS {
                (self.norm.0.object_cancel)(object);
                return Event::Other;
            }
            if self.streams.insert(object as usize) {
                (self.norm.0.object_retain)(object);
            }
        }
        Event::Data(object as usize)
    }

    /// Nothing more is read from a stream; false where there is no such stream.
    pub fn let_go(&mut self, stream: usize) -> bool {
        let known = self.streams.remove(&stream);
        if known {
            // SAFETY: it was kept when it came into the set.
            unsafe { (self.norm.0.object_release)(stream as Handle) };
        }
        known
    }

    /// Goes on to where the next message of a stream begins; false while none is known.
    pub fn seek(&mut self, stream: usize) -> bool {
        // SAFETY: a stream that is kept.
        self.streams.contains(&stream)
            && unsafe { (self.norm.0.stream_seek_msg_start)(stream as Handle) }
    }

    /// Reads what a stream has.
    pub fn read(&mut self, stream: usize, buffer: &mut [u8]) -> Got {
        if !self.streams.contains(&stream) {
            return Got::Bytes(0);
        }
        let mut size = c_uint::try_from(buffer.len()).unwrap_or(c_uint::MAX);
        // SAFETY: a stream that is kept, and a buffer of that size.
        let whole = unsafe {
            (self.norm.0.stream_read)(stream as Handle, buffer.as_mut_ptr().cast(), &mut size)
        };
        if whole { Got::Bytes((size as usize).min(buffer.len())) } else { Got::Gap }
    }

    /// Appends to the own stream: how many bytes it took.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(stream) = self.sending else { return bytes.len() };
        let size = c_uint::try_from(bytes.len()).unwrap_or(c_uint::MAX);
        // SAFETY: the own stream, and so many bytes.
        unsafe { (self.norm.0.stream_write)(stream, bytes.as_ptr().cast(), size) as usize }
    }

    /// What is written next is a place where receivers may begin.
    pub fn mark(&mut self) {
        if let Some(stream) = self.sending {
            // SAFETY: the own stream.
            unsafe { (self.norm.0.stream_mark_eom)(stream) };
        }
    }

    /// What was written need not wait for more.
    pub fn flush(&mut self) {
        /// `NORM_FLUSH_PASSIVE`
        const PASSIVE: c_int = 1;
        if let Some(stream) = self.sending {
            // SAFETY: the own stream.
            unsafe { (self.norm.0.stream_flush)(stream, false, PASSIVE) };
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for stream in std::mem::take(&mut self.streams) {
            // SAFETY: it was kept when it came into the set.
            unsafe { (self.norm.0.object_release)(stream as Handle) };
        }
        // SAFETY: all of them are this session's, and used no more.
        unsafe {
            if let Some(stream) = self.sending {
                (self.norm.0.stream_close)(stream, false);
            }
            if !self.session.is_null() {
                (self.norm.0.destroy_session)(self.session);
            }
            (self.norm.0.destroy_instance)(self.instance);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::library::ask_headers;
    use std::mem::offset_of;

    #[test]
    fn events_look_as_the_header_has_them() {
        let source = r#"
            #include <normApi.h>
            #include <cstddef>
            #include <cstdio>
            int main() {
                printf("%zu %zu %zu %zu ", sizeof(NormEvent), offsetof(NormEvent, session),
                    offsetof(NormEvent, sender), offsetof(NormEvent, object));
                printf("%d %d %d %d %d %d %d %d ", NORM_TX_QUEUE_VACANCY, NORM_TX_QUEUE_EMPTY,
                    NORM_TX_FLUSH_COMPLETED, NORM_REMOTE_SENDER_INACTIVE, NORM_RX_OBJECT_NEW,
                    NORM_RX_OBJECT_UPDATED, NORM_RX_OBJECT_COMPLETED, NORM_RX_OBJECT_ABORTED);
                printf("%d %d", NORM_OBJECT_STREAM, NORM_SYNC_CURRENT);
            }"#;
        let Some(found) = ask_headers("norm", &[], source) else { return };
        let layout = [
            size_of::<RawEvent>(),
            offset_of!(RawEvent, session),
            offset_of!(RawEvent, sender),
            offset_of!(RawEvent, object),
        ];
        let numbers = [
            TX_QUEUE_VACANCY,
            TX_QUEUE_EMPTY,
            TX_FLUSH_COMPLETED,
            REMOTE_SENDER_INACTIVE,
            RX_OBJECT_NEW,
            RX_OBJECT_UPDATED,
            RX_OBJECT_COMPLETED,
            RX_OBJECT_ABORTED,
            STREAM,
            SYNC_CURRENT,
        ];
        assert_eq!(found[..4], layout);
        assert_eq!(found[4..], numbers.map(|number| number as usize));
    }
}
