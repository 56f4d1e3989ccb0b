//! The PGM library of the machine (Pragmatic General Multicast, RFC 3208), loaded when first asked for: OpenPGM 5.3.
//!
//! Nothing of it is needed to build or to start. It has no thread of its own: whoever owns a socket calls it when one
//! of its descriptors has input, and when its time has come. Datagrams that were lost are repaired here, in order, or
//! reported as lost.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::Duration;

use super::EpollSet;
use super::library::{Library, functions};
use crate::base::Error;

/// Where to find it.
const FILE: &CStr = c"libpgm-5.3.so.0";

/// `pgm_tsi_t`: which source a datagram is from.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    identifier: [u8; 6],
    /// In network order.
    port: u16,
}

/// `struct pgm_sockaddr_t`
#[repr(C)]
struct SocketAddress {
    port: u16,
    source: Source,
}

/// `struct pgm_group_source_req`
#[repr(C)]
struct GroupRequest {
    interface: u32,
    group: libc::sockaddr_storage,
    source: libc::sockaddr_storage,
    address: libc::sockaddr_storage,
}

/// `struct pgm_addrinfo_t`
#[repr(C)]
struct AddressInfo {
    family: libc::sa_family_t,
    receive_count: u32,
    receive: *mut GroupRequest,
    send_count: u32,
    send: *mut GroupRequest,
}

/// `struct pgm_interface_req_t`
#[repr(C)]
struct InterfaceRequest {
    interface: u32,
    scope: u32,
    address: libc::sockaddr_storage,
}

/// `struct pgm_error_t`
#[repr(C)]
struct RawError {
    domain: c_int,
    code: c_int,
    message: *mut c_char,
}

// Options, as the library numbers them.
const RECV_SOCK: c_int = 0x2001;
const REPAIR_SOCK: c_int = 0x2002;
const PENDING_SOCK: c_int = 0x2003;
const TIME_REMAIN: c_int = 0x2005;
const RATE_REMAIN: c_int = 0x2006;
const MTU: c_int = 0x2008;
const MSS: c_int = 0x200A;
const MULTICAST_LOOP: c_int = 0x200C;
const MULTICAST_HOPS: c_int = 0x200D;
const TOS: c_int = 0x200E;
const AMBIENT_SPM: c_int = 0x200F;
const HEARTBEAT_SPM: c_int = 0x2010;
const TXW_SQNS: c_int = 0x2012;
const TXW_MAX_RTE: c_int = 0x2014;
const PEER_EXPIRY: c_int = 0x2015;
const SPMR_EXPIRY: c_int = 0x2016;
const RXW_SQNS: c_int = 0x2018;
const NAK_BO_IVL: c_int = 0x201B;
const NAK_RPT_IVL: c_int = 0x201C;
const NAK_RDATA_IVL: c_int = 0x201D;
const NAK_DATA_RETRIES: c_int = 0x201E;
const NAK_NCF_RETRIES: c_int = 0x201F;
const SEND_ONLY: c_int = 0x2023;
const RECV_ONLY: c_int = 0x2024;
const PASSIVE: c_int = 0x2025;
const NOBLOCK: c_int = 0x2027;
const SEND_GROUP: c_int = 0x2028;
const JOIN_GROUP: c_int = 0x2029;
const UDP_ENCAP_UCAST_PORT: c_int = 0x2030;
const UDP_ENCAP_MCAST_PORT: c_int = 0x2031;

/// `IPPROTO_PGM`, which is the level of the options as well.
const PROTOCOL: c_int = 113;

// Answers of sends and receives.
const NORMAL: c_int = 1;
const RESET: c_int = 2;
const FIN: c_int = 3;
const RATE_LIMITED: c_int = 6;
const TIMER_PENDING: c_int = 7;

// Codes of errors.
const OUT_OF_FILES: [c_int; 2] = [13, 14];
const NOT_PERMITTED: c_int = 26;

functions! {
    /// The library's functions.
    Functions;
    init c"pgm_init" (*mut *mut RawError) -> bool;
    error_free c"pgm_error_free" (*mut RawError);
    getaddrinfo c"pgm_getaddrinfo" (
        *const c_char, *const AddressInfo, *mut *mut AddressInfo, *mut *mut RawError
    ) -> bool;
    freeaddrinfo c"pgm_freeaddrinfo" (*mut AddressInfo);
    socket c"pgm_socket" (
        *mut *mut c_void, libc::sa_family_t, c_int, c_int, *mut *mut RawError
    ) -> bool;
    bind3 c"pgm_bind3" (
        *mut c_void, *const SocketAddress, libc::socklen_t, *const InterfaceRequest, libc::socklen_t,
        *const InterfaceRequest, libc::socklen_t, *mut *mut RawError
    ) -> bool;
    connect c"pgm_connect" (*mut c_void, *mut *mut RawError) -> bool;
    close c"pgm_close" (*mut c_void, bool) -> bool;
    setsockopt c"pgm_setsockopt" (*mut c_void, c_int, c_int, *const c_void, libc::socklen_t) -> bool;
    getsockopt c"pgm_getsockopt" (
        *mut c_void, c_int, c_int, *mut c_void, *mut libc::socklen_t
    ) -> bool;
    send c"pgm_send" (*mut c_void, *const c_void, usize, *mut usize) -> c_int;
    recvfrom c"pgm_recvfrom" (
        *mut c_void, *mut c_void, usize, c_int, *mut usize, *mut SocketAddress, *mut libc::socklen_t,
        *mut *mut RawError
    ) -> c_int;
}

/// The loaded library.
#[derive(Clone, Copy)]
pub struct Pgm(&'static Functions);

/// The library, once loaded; `None` where there is none.
pub fn pgm() -> Option<Pgm> {
    static LOADED: OnceLock<Option<Functions>> = OnceLock::new();
    let load = || {
        let functions = Library::open(FILE).and_then(Functions::find)?;
        let mut failure = Failure::none(&functions);
        // SAFETY: a place for the reason, should it fail.
        let ready = unsafe { (functions.init)(&mut failure.error) };
        drop(failure);
        ready.then_some(functions)
    };
    LOADED.get_or_init(load).as_ref().map(Pgm)
}

/// How a socket works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Sends, or else receives.
    pub sender: bool,
    /// Within UDP, at this port.
    pub udp: bool,
    /// The destination port.
    pub port: u16,
    /// The largest datagram with all its headers, in bytes.
    pub max_tpdu: u16,
    /// Bytes a second.
    pub rate: i32,
    /// Datagrams that can be repaired.
    pub window: i32,
    /// Routers that multicast passes.
    pub hops: u8,
    /// How datagrams are marked.
    pub tos: u8,
    /// Those on this machine hear it too.
    pub loopback: bool,
    /// Buffers of the kernel in bytes, below 0 its own.
    pub buffers: (c_int, c_int),
}

/// What a send came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Done,
    /// To be tried again, the same, after a time.
    After(Duration),
}

/// What a receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes from there.
    Datagram(usize, Source),
    /// Something of theirs was lost; `None`: nobody knows whose.
    Lost(Option<Source>),
    /// Nothing at present; look again after this time, if it is one.
    Nothing(Option<Duration>),
}

/// A socket.
pub struct PgmSocket {
    pgm: Pgm,
    socket: *mut c_void,
    sender: bool,
}

// SAFETY: the library guards its sockets and knows nothing of threads; `&mut` sees to it that one at a time uses this.
unsafe impl Send for PgmSocket {}

/// A reason that the library gives, to be given back.
struct Failure<'a> {
    functions: &'a Functions,
    error: *mut RawError,
}

impl<'a> Failure<'a> {
    fn none(functions: &'a Functions) -> Failure<'a> {
        Failure { functions, error: null_mut() }
    }

    fn reason(&self) -> Error {
        if self.error.is_null() {
            return Error::Invalid;
        }
        // SAFETY: the library filled it.
        match unsafe { (*self.error).code } {
            NOT_PERMITTED => Error::Os(libc::EPERM),
            code if OUT_OF_FILES.contains(&code) => Error::TooManyOpen,
            _ => Error::Invalid,
        }
    }
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if !self.error.is_null() {
            // SAFETY: the library's, and used no more.
            unsafe { (self.functions.error_free)(self.error) };
        }
    }
}

/// Addresses that the library found.
struct Found {
    functions: &'static Functions,
    info: *mut AddressInfo,
}

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: the library's, and used no more.
        unsafe { (self.functions.freeaddrinfo)(self.info) };
    }
}

impl Found {
    /// What `network`, `INTERFACE;GROUP`, means: of IPv4 if it can be.
    fn find(functions: &'static Functions, network: &CStr) -> Result<Found, Error> {
        let hint = AddressInfo {
            family: libc::AF_INET as libc::sa_family_t,
            receive_count: 0,
            receive: null_mut(),
            send_count: 0,
            send: null_mut(),
        };
        for hint in [&raw const hint, null()] {
            let (mut failure, mut info) = (Failure::none(functions), null_mut());
            // SAFETY: a text, NULL or a hint, and places for the answer and for the reason.
            let found = unsafe {
                (functions.getaddrinfo)(network.as_ptr(), hint, &mut info, &mut failure.error)
            };
            if found && !info.is_null() {
                return Ok(Found { functions, info });
            }
        }
        Err(Error::Invalid)
    }

    /// Where to receive, and where to send to.
    fn groups(&self) -> (&[GroupRequest], Option<&GroupRequest>) {
        // SAFETY: the library filled it, with lists of these lengths.
        unsafe {
            let info = &*self.info;
            let receive = match info.receive.is_null() {
                true => &[][..],
                false => std::slice::from_raw_parts(info.receive, info.receive_count as usize),
            };
            let send = info.send.as_ref().filter(|_| info.send_count > 0);
            (receive, send)
        }
    }
}

impl PgmSocket {
    /// A socket in the group that `network` names, `INTERFACE;GROUP`. Names are resolved, which may block.
    pub fn open(pgm: Pgm, network: &str, ways: &Ways) -> Result<PgmSocket, Error> {
        let network = CString::new(network).map_err(|_| Error::Invalid)?;
        let found = Found::find(pgm.0, &network)?;
        let (receive, send) = found.groups();
        let (Some(first), Some(send)) = (receive.first(), send) else {
            return Err(Error::Invalid);
        };
        let (mut failure, mut socket) = (Failure::none(pgm.0), null_mut());
        let protocol = if ways.udp { libc::IPPROTO_UDP } else { PROTOCOL };
        // SAFETY: places for the socket and for the reason.
        let made = unsafe {
            let family = send.group.ss_family;
            (pgm.0.socket)(&mut socket, family, libc::SOCK_SEQPACKET, protocol, &mut failure.error)
        };
        if !made || socket.is_null() {
            return Err(failure.reason());
        }
        let mut made = PgmSocket { pgm, socket, sender: ways.sender };
        made.prepare(ways)?;
        made.bind(ways, first)?;
        for group in receive {
            made.set(JOIN_GROUP, group)?;
        }
        made.set(SEND_GROUP, send)?;
        made.set(MULTICAST_LOOP, &c_int::from(ways.loopback))?;
        made.set(MULTICAST_HOPS, &c_int::from(ways.hops))?;
        // Raw sockets may refuse it, and nothing depends on it.
        made.set(TOS, &c_int::from(ways.tos)).ok();
        made.set(NOBLOCK, &1)?;
        let mut failure = Failure::none(pgm.0);
        // SAFETY: a bound socket, and a place for the reason.
        if !unsafe { (pgm.0.connect)(made.socket, &mut failure.error) } {
            return Err(failure.reason());
        }
        Ok(made)
    }

    fn prepare(&mut self, ways: &Ways) -> Result<(), Error> {
        const MILLISECOND: c_int = 1000;
        const SECOND: c_int = 1000 * MILLISECOND;
        if ways.udp {
            self.set(UDP_ENCAP_UCAST_PORT, &c_int::from(ways.port))?;
            self.set(UDP_ENCAP_MCAST_PORT, &c_int::from(ways.port))?;
        }
        for (option, size) in [(libc::SO_SNDBUF, ways.buffers.0), (libc::SO_RCVBUF, ways.buffers.1)]
        {
            if size >= 0 {
                self.set_at(libc::SOL_SOCKET, option, &size)?;
            }
        }
        self.set(MTU, &c_int::from(ways.max_tpdu))?;
        if ways.sender {
            self.set(SEND_ONLY, &1)?;
            self.set(TXW_MAX_RTE, &ways.rate)?;
            self.set(TXW_SQNS, &ways.window)?;
            self.set(AMBIENT_SPM, &(30 * SECOND))?;
            // So receivers soon know what was sent last, and ask for it if they miss it.
            let beats = [100, 100, 100, 100, 1300, 7000, 16_000, 25_000, 30_000];
            self.set(HEARTBEAT_SPM, &beats.map(|ms| ms * MILLISECOND))?;
        } else {
            self.set(RECV_ONLY, &1)?;
            self.set(PASSIVE, &0)?;
            self.set(RXW_SQNS, &ways.window)?;
            self.set(PEER_EXPIRY, &(300 * SECOND))?;
            self.set(SPMR_EXPIRY, &(250 * MILLISECOND))?;
            self.set(NAK_BO_IVL, &(50 * MILLISECOND))?;
            self.set(NAK_RPT_IVL, &(2 * SECOND))?;
            self.set(NAK_RDATA_IVL, &(2 * SECOND))?;
            self.set(NAK_DATA_RETRIES, &50)?;
            self.set(NAK_NCF_RETRIES, &50)?;
        }
        Ok(())
    }

    fn bind(&mut self, ways: &Ways, at: &GroupRequest) -> Result<(), Error> {
        // A name that nobody else has: drawn, as several sockets of a machine may send.
        let identifier = std::array::from_fn(|_| fastrand::u8(..));
        let source = Source { identifier, port: 0 };
        let address = SocketAddress { port: ways.port, source };
        let interface =
            InterfaceRequest { interface: at.interface, scope: scope(at), address: at.address };
        let (length, interface_length) =
            (size_of::<SocketAddress>(), size_of::<InterfaceRequest>());
        let mut failure = Failure::none(self.pgm.0);
        // SAFETY: a socket, structures of their lengths, and a place for the reason.
        let bound = unsafe {
            (self.pgm.0.bind3)(
                self.socket,
                &address,
                length as libc::socklen_t,
                &interface,
                interface_length as libc::socklen_t,
                &interface,
                interface_length as libc::socklen_t,
                &mut failure.error,
            )
        };
        if bound { Ok(()) } else { Err(failure.reason()) }
    }

    fn set<T>(&mut self, option: c_int, value: &T) -> Result<(), Error> {
        self.set_at(PROTOCOL, option, value)
    }

    fn set_at<T>(&mut self, level: c_int, option: c_int, value: &T) -> Result<(), Error> {
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: a socket and a value of its length, which the library checks against the option.
        let set = unsafe {
            let value = (&raw const *value).cast();
            (self.pgm.0.setsockopt)(self.socket, level, option, value, length)
        };
        if set { Ok(()) } else { Err(Error::Invalid) }
    }

    fn get<T>(&self, option: c_int, mut value: T) -> Option<T> {
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: a socket and a place of its length, which the library checks against the option.
        let got = unsafe {
            let value = (&raw mut value).cast();
            (self.pgm.0.getsockopt)(self.socket, PROTOCOL, option, value, &mut length)
        };
        got.then_some(value)
    }

    fn remaining(&self, option: c_int) -> Option<Duration> {
        let time = self.get(option, libc::timeval { tv_sec: 0, tv_usec: 0 })?;
        let micros = u64::try_from(time.tv_usec).ok()?;
        Some(Duration::from_secs(u64::try_from(time.tv_sec).ok()?) + Duration::from_micros(micros))
    }

    /// The most bytes that go out as one datagram.
    pub fn largest(&self) -> usize {
        self.get::<c_int>(MSS, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }

    /// A descriptor that has input when the socket wants to be called. It must not outlive the socket in a poller.
    pub fn descriptors(&self) -> Result<EpollSet, Error> {
        let set = EpollSet::new()?;
        // A receiver repairs nothing; asked for that descriptor it names one that is not its own.
        let repairs = self.sender.then_some(REPAIR_SOCK);
        for option in [RECV_SOCK, PENDING_SOCK].into_iter().chain(repairs) {
            let fd = self.get::<RawFd>(option, -1).filter(|fd| *fd >= 0);
            set.add(fd.ok_or(Error::Invalid)?)?;
        }
        Ok(set)
    }

    /// Sends a datagram.
    pub fn send(&mut self, datagram: &[u8]) -> Sent {
        /// The kernel's buffer is full, or something went wrong for once.
        const SOON: Duration = Duration::from_millis(1);
        let mut size = 0;
        // SAFETY: a socket, so many bytes, and a place for the number of those sent.
        let status = unsafe {
            (self.pgm.0.send)(self.socket, datagram.as_ptr().cast(), datagram.len(), &mut size)
        };
        match status {
            NORMAL => Sent::Done,
            RATE_LIMITED => Sent::After(self.remaining(RATE_REMAIN).unwrap_or(SOON).max(SOON)),
            _ => Sent::After(SOON),
        }
    }

    /// Receives a datagram, and does all that is due: repairs, heartbeats.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Received {
        let mut from = SocketAddress { port: 0, source: Source::default() };
        let mut length = size_of::<SocketAddress>() as libc::socklen_t;
        let (mut size, mut failure) = (0, Failure::none(self.pgm.0));
        // SAFETY: a socket, a buffer of its length, and places for what comes.
        let status = unsafe {
            (self.pgm.0.recvfrom)(
                self.socket,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                &mut size,
                &mut from,
                &mut length,
                &mut failure.error,
            )
        };
        let source = (from.source != Source::default()).then_some(from.source);
        match status {
            NORMAL => Received::Datagram(size.min(buffer.len()), from.source),
            RESET | FIN => Received::Lost(source),
            RATE_LIMITED => Received::Nothing(self.remaining(RATE_REMAIN)),
            TIMER_PENDING => Received::Nothing(self.remaining(TIME_REMAIN)),
            _ => Received::Nothing(None),
        }
    }
}

/// The scope of an interface's address, which IPv6 has.
fn scope(at: &GroupRequest) -> u32 {
    if c_int::from(at.group.ss_family) != libc::AF_INET6 {
        return 0;
    }
    // SAFETY: an address of this family, in a place that is large enough for all.
    unsafe { (*(&raw const at.group).cast::<libc::sockaddr_in6>()).sin6_scope_id }
}

impl Drop for PgmSocket {
    fn drop(&mut self) {
        // SAFETY: the socket is used no more. Receivers are told that nothing follows.
        unsafe { (self.pgm.0.close)(self.socket, true) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::library::ask_headers;
    use std::mem::offset_of;

    #[test]
    fn structures_and_numbers_are_those_of_the_headers() {
        let source = r#"
            #define restrict
            #include <pgm/pgm.h>
            #include <cstddef>
            #include <cstdio>
            int main() {
                printf("%zu %zu %zu %zu %zu %zu ", sizeof(pgm_tsi_t), sizeof(pgm_sockaddr_t),
                    sizeof(pgm_group_source_req), sizeof(pgm_addrinfo_t), sizeof(pgm_interface_req_t),
                    sizeof(pgm_error_t));
                printf("%zu %zu %zu ", offsetof(pgm_sockaddr_t, sa_addr),
                    offsetof(pgm_group_source_req, gsr_group), offsetof(pgm_group_source_req, gsr_addr));
                printf("%zu %zu %zu %zu ", offsetof(pgm_addrinfo_t, ai_recv_addrs_len),
                    offsetof(pgm_addrinfo_t, ai_recv_addrs), offsetof(pgm_addrinfo_t, ai_send_addrs_len),
                    offsetof(pgm_addrinfo_t, ai_send_addrs));
                printf("%zu %zu ", offsetof(pgm_interface_req_t, ir_address), offsetof(pgm_error_t, code));
                printf("%d %d %d %d %d %d %d %d %d %d %d %d ", PGM_RECV_SOCK, PGM_REPAIR_SOCK,
                    PGM_PENDING_SOCK, PGM_TIME_REMAIN, PGM_RATE_REMAIN, PGM_MTU, PGM_MSS,
                    PGM_MULTICAST_LOOP, PGM_MULTICAST_HOPS, PGM_TOS, PGM_AMBIENT_SPM, PGM_HEARTBEAT_SPM);
                printf("%d %d %d %d %d %d %d %d %d %d ", PGM_TXW_SQNS, PGM_TXW_MAX_RTE, PGM_PEER_EXPIRY,
                    PGM_SPMR_EXPIRY, PGM_RXW_SQNS, PGM_NAK_BO_IVL, PGM_NAK_RPT_IVL, PGM_NAK_RDATA_IVL,
                    PGM_NAK_DATA_RETRIES, PGM_NAK_NCF_RETRIES);
                printf("%d %d %d %d %d %d %d %d ", PGM_SEND_ONLY, PGM_RECV_ONLY, PGM_PASSIVE, PGM_NOBLOCK,
                    PGM_SEND_GROUP, PGM_JOIN_GROUP, PGM_UDP_ENCAP_UCAST_PORT, PGM_UDP_ENCAP_MCAST_PORT);
                printf("%d %d %d %d %d %d ", IPPROTO_PGM, PGM_IO_STATUS_NORMAL, PGM_IO_STATUS_RESET,
                    PGM_IO_STATUS_FIN, PGM_IO_STATUS_RATE_LIMITED, PGM_IO_STATUS_TIMER_PENDING);
                printf("%d %d %d", PGM_ERROR_MFILE, PGM_ERROR_NFILE, PGM_ERROR_PERM);
            }"#;
        let flags = ["-I/usr/include/pgm-5.3", "-D__STDC_FORMAT_MACROS"];
        let Some(found) = ask_headers("pgm", &flags, source) else { return };
        let layout = [
            size_of::<Source>(),
            size_of::<SocketAddress>(),
            size_of::<GroupRequest>(),
            size_of::<AddressInfo>(),
            size_of::<InterfaceRequest>(),
            size_of::<RawError>(),
            offset_of!(SocketAddress, source),
            offset_of!(GroupRequest, group),
            offset_of!(GroupRequest, address),
            offset_of!(AddressInfo, receive_count),
            offset_of!(AddressInfo, receive),
            offset_of!(AddressInfo, send_count),
            offset_of!(AddressInfo, send),
            offset_of!(InterfaceRequest, address),
            offset_of!(RawError, code),
        ];
        let numbers = [
            [RECV_SOCK, REPAIR_SOCK, PENDING_SOCK],
            [TIME_REMAIN, RATE_REMAIN, MTU],
            [MSS, MULTICAST_LOOP, MULTICAST_HOPS],
            [TOS, AMBIENT_SPM, HEARTBEAT_SPM],
            [TXW_SQNS, TXW_MAX_RTE, PEER_EXPIRY],
            [SPMR_EXPIRY, RXW_SQNS, NAK_BO_IVL],
            [NAK_RPT_IVL, NAK_RDATA_IVL, NAK_DATA_RETRIES],
            [NAK_NCF_RETRIES, SEND_ONLY, RECV_ONLY],
            [PASSIVE, NOBLOCK, SEND_GROUP],
            [JOIN_GROUP, UDP_ENCAP_UCAST_PORT, UDP_ENCAP_MCAST_PORT],
            [PROTOCOL, NORMAL, RESET],
            [FIN, RATE_LIMITED, TIMER_PENDING],
            [OUT_OF_FILES[0], OUT_OF_FILES[1], NOT_PERMITTED],
        ];
        assert_eq!(found[..15], layout);
        assert_eq!(
            found[15..],
            *numbers.as_flattened().iter().map(|n| *n as usize).collect::<Vec<_>>()
        );
    }
}
