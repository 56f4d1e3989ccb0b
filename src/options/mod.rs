//! Socket and context options: what they are called, what values they take, what they are at first.
//!
//! [`Options`] holds what every socket type has in common, one public field each; `table` says for
//! each option how it is set and read. Options that act on one kind of socket only belong to
//! `pattern`, those about a socket's present state to `socket`. Nothing here acts on an option.
#![forbid(unsafe_code)]

mod address_filter;
pub mod context;
mod setters;
mod socket_type;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use address_filter::AddressFilter;
pub use socket_type::SocketType;
pub use value::{Value, flag, int_value, non_negative};

use crate::base::{Error, constants as c};
use table::{Empty, Rule};
use zeroize::Zeroizing;

/// What a new socket takes over from its context.
#[derive(Clone, Copy, Debug)]
pub struct ContextDefaults {
    /// Sockets use IPv6 as well.
    pub ipv6: bool,
    /// Sockets linger for ever at first.
    pub blocky: bool,
    /// Received messages may refer to the buffer they were read into.
    pub zero_copy_recv: bool,
}

/// How the norm transport works (ZMQ_NORM_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormOptions {
    /// ZMQ_NORM_MODE.
    pub mode: i32,
    /// ZMQ_NORM_UNICAST_NACK.
    pub unicast_nack: bool,
    /// ZMQ_NORM_BUFFER_SIZE, in kilobytes.
    pub buffer_kb: i32,
    /// ZMQ_NORM_SEGMENT_SIZE, in bytes.
    pub segment_size: i32,
    /// ZMQ_NORM_BLOCK_SIZE, in segments.
    pub block_size: i32,
    /// ZMQ_NORM_NUM_PARITY, in segments.
    pub parity: i32,
    /// ZMQ_NORM_NUM_AUTOPARITY, in segments.
    pub auto_parity: i32,
    /// ZMQ_NORM_PUSH.
    pub push: bool,
}

impl Default for NormOptions {
    fn default() -> NormOptions {
        NormOptions {
            mode: c::ZMQ_NORM_CC,
            unicast_nack: false,
            buffer_kb: 2048,
            segment_size: 1400,
            block_size: 16,
            parity: 4,
            auto_parity: 0,
            push: false,
        }
    }
}

/// The options that every socket type accepts and stores, whether or not they act there.
///
/// Times in milliseconds say so in their names; -1 there, and in buffer sizes, means "no limit" or
/// "leave it to the system" as the man pages have it.
#[derive(Clone)]
pub struct Options {
    /// The type given at creation.
    pub socket_type: SocketType,
    /// ZMQ_AFFINITY: which I/O threads may serve it, one bit each; 0 means all.
    pub affinity: u64,
    /// ZMQ_ROUTING_ID.
    pub routing_id: Vec<u8>,
    /// ZMQ_RATE.
    pub rate: i32,
    /// ZMQ_RECOVERY_IVL.
    pub recovery_ivl_ms: i32,
    /// ZMQ_SNDBUF.
    pub sndbuf: i32,
    /// ZMQ_RCVBUF.
    pub rcvbuf: i32,
    /// ZMQ_LINGER.
    pub linger_ms: i32,
    /// ZMQ_RECONNECT_IVL; 0 and -1: never reconnect.
    pub reconnect_ivl_ms: i32,
    /// ZMQ_RECONNECT_IVL_MAX; 0: the interval does not grow.
    pub reconnect_ivl_max_ms: i32,
    /// ZMQ_BACKLOG.
    pub backlog: i32,
    /// ZMQ_MAXMSGSIZE; negative: no limit.
    pub maxmsgsize: i64,
    /// ZMQ_SNDHWM; 0: no limit.
    pub sndhwm: i32,
    /// ZMQ_RCVHWM; 0: no limit.
    pub rcvhwm: i32,
    /// ZMQ_MULTICAST_HOPS.
    pub multicast_hops: i32,
    /// ZMQ_RCVTIMEO.
    pub rcvtimeo_ms: i32,
    /// ZMQ_SNDTIMEO.
    pub sndtimeo_ms: i32,
    /// ZMQ_IPV6, and the reverse of ZMQ_IPV4ONLY.
    pub ipv6: bool,
    /// ZMQ_TCP_KEEPALIVE.
    pub tcp_keepalive: i32,
    /// ZMQ_TCP_KEEPALIVE_CNT.
    pub tcp_keepalive_cnt: i32,
    /// ZMQ_TCP_KEEPALIVE_IDLE, in seconds.
    pub tcp_keepalive_idle_s: i32,
    /// ZMQ_TCP_KEEPALIVE_INTVL, in seconds.
    pub tcp_keepalive_intvl_s: i32,
    /// ZMQ_TCP_ACCEPT_FILTER; empty: everybody.
    pub tcp_accept_filters: Vec<AddressFilter>,
    /// ZMQ_IPC_FILTER_PID; all three empty: everybody.
    pub ipc_pid_filters: Vec<i32>,
    /// ZMQ_IPC_FILTER_UID.
    pub ipc_uid_filters: Vec<u32>,
    /// ZMQ_IPC_FILTER_GID.
    pub ipc_gid_filters: Vec<u32>,
    /// ZMQ_IMMEDIATE: queue only to connections that stand.
    pub immediate: bool,
    /// ZMQ_MECHANISM: `ZMQ_NULL`, `ZMQ_PLAIN`, `ZMQ_CURVE` or `ZMQ_GSSAPI`, by the security option
    /// set last.
    pub mechanism: i32,
    /// The server's side of the mechanism is ours.
    pub as_server: bool,
    /// ZMQ_PLAIN_USERNAME.
    pub plain_username: Vec<u8>,
    /// ZMQ_PLAIN_PASSWORD.
    pub plain_password: Zeroizing<Vec<u8>>,
    /// ZMQ_CURVE_PUBLICKEY.
    pub curve_public_key: [u8; 32],
    /// ZMQ_CURVE_SECRETKEY.
    pub curve_secret_key: Zeroizing<[u8; 32]>,
    /// ZMQ_CURVE_SERVERKEY.
    pub curve_server_key: [u8; 32],
    /// ZMQ_CONFLATE as it was set; see [`Options::conflates`].
    pub conflate: bool,
    /// ZMQ_ZAP_DOMAIN.
    pub zap_domain: Vec<u8>,
    /// ZMQ_ZAP_ENFORCE_DOMAIN.
    pub zap_enforce_domain: bool,
    /// ZMQ_TOS.
    pub tos: i32,
    /// ZMQ_PRIORITY.
    pub priority: i32,
    /// ZMQ_GSSAPI_PRINCIPAL.
    pub gssapi_principal: Vec<u8>,
    /// ZMQ_GSSAPI_SERVICE_PRINCIPAL.
    pub gssapi_service_principal: Vec<u8>,
    /// ZMQ_GSSAPI_PRINCIPAL_NAMETYPE.
    pub gssapi_principal_nametype: i32,
    /// ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE.
    pub gssapi_service_principal_nametype: i32,
    /// ZMQ_GSSAPI_PLAINTEXT.
    pub gssapi_plaintext: bool,
    /// ZMQ_HANDSHAKE_IVL; 0: no limit.
    pub handshake_ivl_ms: i32,
    /// ZMQ_SOCKS_PROXY; empty: none.
    pub socks_proxy: Vec<u8>,
    /// ZMQ_SOCKS_USERNAME.
    pub socks_username: Vec<u8>,
    /// ZMQ_SOCKS_PASSWORD.
    pub socks_password: Zeroizing<Vec<u8>>,
    /// ZMQ_INVERT_MATCHING.
    pub invert_matching: bool,
    /// ZMQ_HEARTBEAT_IVL; 0: none.
    pub heartbeat_ivl_ms: i32,
    /// ZMQ_HEARTBEAT_TTL, in tenths of a second as the wire has it.
    pub heartbeat_ttl_ds: u16,
    /// ZMQ_HEARTBEAT_TIMEOUT; -1: as `heartbeat_ivl_ms`.
    pub heartbeat_timeout_ms: i32,
    /// ZMQ_CONNECT_TIMEOUT; 0: the system's.
    pub connect_timeout_ms: i32,
    /// ZMQ_TCP_MAXRT; 0: the system's.
    pub tcp_maxrt_ms: i32,
    /// ZMQ_MULTICAST_MAXTPDU.
    pub multicast_maxtpdu: i32,
    /// ZMQ_NORM_*: how the norm transport works.
    pub norm: NormOptions,
    /// ZMQ_MULTICAST_LOOP.
    pub multicast_loop: bool,
    /// ZMQ_USE_FD; -1: none.
    pub use_fd: i32,
    /// ZMQ_BINDTODEVICE; empty: none.
    pub bind_to_device: Vec<u8>,
    /// ZMQ_LOOPBACK_FASTPATH.
    pub loopback_fastpath: bool,
    /// ZMQ_METADATA: names and values to tell the peer, sorted by name.
    pub metadata: Vec<(Vec<u8>, Vec<u8>)>,
    /// ZMQ_IN_BATCH_SIZE.
    pub in_batch_size: i32,
    /// ZMQ_OUT_BATCH_SIZE.
    pub out_batch_size: i32,
    /// ZMQ_WSS_KEY_PEM.
    pub wss_key_pem: Zeroizing<Vec<u8>>,
    /// ZMQ_WSS_CERT_PEM.
    pub wss_cert_pem: Vec<u8>,
    /// ZMQ_WSS_TRUST_PEM.
    pub wss_trust_pem: Vec<u8>,
    /// ZMQ_WSS_HOSTNAME.
    pub wss_hostname: Vec<u8>,
    /// ZMQ_WSS_TRUST_SYSTEM.
    pub wss_trust_system: bool,
    /// ZMQ_RECONNECT_STOP: the `ZMQ_RECONNECT_STOP_*` bits.
    pub reconnect_stop: i32,
    /// ZMQ_HELLO_MSG; empty: none.
    pub hello_msg: Vec<u8>,
    /// ZMQ_DISCONNECT_MSG; empty: none.
    pub disconnect_msg: Vec<u8>,
    /// ZMQ_HICCUP_MSG; empty: none.
    pub hiccup_msg: Vec<u8>,
    /// ZMQ_BUSY_POLL: microseconds for which the kernel, and callers that wait, look for input before they sleep;
    /// 0: the kernel's default, and callers where it pays; below 0: callers never.
    pub busy_poll: i32,
    /// ZMQ_ZERO_COPY_RECV of the context.
    pub zero_copy_recv: bool,
}

impl Options {
    /// What a new socket of this type starts with.
    pub fn new(socket_type: SocketType, context: ContextDefaults) -> Options {
        let lingers = match socket_type {
            // Subscribers have nothing of worth to send when they close.
            SocketType::Sub | SocketType::XSub | SocketType::Dish => false,
            _ => context.blocky,
        };
        Options {
            socket_type,
            affinity: 0,
            routing_id: Vec::new(),
            rate: 100,
            recovery_ivl_ms: 10_000,
            sndbuf: -1,
            rcvbuf: -1,
            linger_ms: if lingers { -1 } else { 0 },
            reconnect_ivl_ms: 100,
            reconnect_ivl_max_ms: 0,
            backlog: 100,
            maxmsgsize: -1,
            sndhwm: 1000,
            rcvhwm: 1000,
            multicast_hops: 1,
            rcvtimeo_ms: -1,
            sndtimeo_ms: -1,
            ipv6: context.ipv6,
            tcp_keepalive: -1,
            tcp_keepalive_cnt: -1,
            tcp_keepalive_idle_s: -1,
            tcp_keepalive_intvl_s: -1,
            tcp_accept_filters: Vec::new(),
            ipc_pid_filters: Vec::new(),
            ipc_uid_filters: Vec::new(),
            ipc_gid_filters: Vec::new(),
            immediate: false,
            mechanism: c::ZMQ_NULL,
            as_server: false,
            plain_username: Vec::new(),
            plain_password: Zeroizing::default(),
            curve_public_key: [0; 32],
            curve_secret_key: Zeroizing::default(),
            curve_server_key: [0; 32],
            conflate: false,
            zap_domain: Vec::new(),
            zap_enforce_domain: false,
            tos: 0,
            priority: 0,
            gssapi_principal: Vec::new(),
            gssapi_service_principal: Vec::new(),
            gssapi_principal_nametype: c::ZMQ_GSSAPI_NT_HOSTBASED,
            gssapi_service_principal_nametype: c::ZMQ_GSSAPI_NT_HOSTBASED,
            gssapi_plaintext: false,
            handshake_ivl_ms: 30_000,
            socks_proxy: Vec::new(),
            socks_username: Vec::new(),
            socks_password: Zeroizing::default(),
            invert_matching: false,
            heartbeat_ivl_ms: 0,
            heartbeat_ttl_ds: 0,
            heartbeat_timeout_ms: -1,
            connect_timeout_ms: 0,
            tcp_maxrt_ms: 0,
            multicast_maxtpdu: 1500,
            multicast_loop: true,
            norm: NormOptions::default(),
            use_fd: -1,
            bind_to_device: Vec::new(),
            loopback_fastpath: false,
            metadata: Vec::new(),
            in_batch_size: 8192,
            out_batch_size: 8192,
            wss_key_pem: Zeroizing::default(),
            wss_cert_pem: Vec::new(),
            wss_trust_pem: Vec::new(),
            wss_hostname: Vec::new(),
            wss_trust_system: false,
            reconnect_stop: 0,
            hello_msg: Vec::new(),
            disconnect_msg: Vec::new(),
            hiccup_msg: Vec::new(),
            busy_poll: 0,
            zero_copy_recv: context.zero_copy_recv,
        }
    }

    /// Sets option `id`. `None` is a NULL pointer with length 0, which some options take as
    /// "clear". [`Error::Invalid`] for everything the option does not take, and for options that
    /// are unknown here; nothing has changed then.
    pub fn set(&mut self, id: i32, value: Option<&[u8]>) -> Result<(), Error> {
        let row = table::find(id).ok_or(Error::Invalid)?;
        let bytes = value.unwrap_or_default();
        match &row.1 {
            Rule::Int(at, valid) => {
                let number = int_value(bytes)?;
                if !valid.contains(&number) {
                    return Err(Error::Invalid);
                }
                *(at.write)(self) = number;
            }
            Rule::Flag(at) => *(at.write)(self) = flag(bytes)?,
            Rule::Truth(at) => *(at.write)(self) = int_value(bytes)? != 0,
            Rule::U64(at) => {
                let number = bytes.try_into().map_err(|_| Error::Invalid)?;
                *(at.write)(self) = u64::from_ne_bytes(number);
            }
            Rule::I64(at) => {
                let number = bytes.try_into().map_err(|_| Error::Invalid)?;
                *(at.write)(self) = i64::from_ne_bytes(number);
            }
            Rule::Bytes { at, max, empty, .. } => {
                let cleared = match empty {
                    Empty::Refused => false,
                    Empty::NullClears => value.is_none(),
                    Empty::Clears => true,
                };
                if bytes.len() > *max || bytes.is_empty() && !cleared {
                    return Err(Error::Invalid);
                }
                *(at.write)(self) = bytes.to_vec();
            }
            Rule::Own { set, .. } => set(self, value)?,
            Rule::ReadOnly(_) => return Err(Error::Invalid),
        }
        Ok(())
    }

    /// The value of option `id`; [`Error::Invalid`] if it is unknown here or cannot be read.
    pub fn get(&self, id: i32) -> Result<Value, Error> {
        let row = table::find(id).ok_or(Error::Invalid)?;
        match &row.1 {
            Rule::Int(at, _) => Ok(Value::Int(*(at.read)(self))),
            Rule::Flag(at) => Ok(Value::Int((*(at.read)(self)).into())),
            Rule::Truth(at) => Ok(Value::Int((*(at.read)(self)).into())),
            Rule::U64(at) => Ok(Value::U64(*(at.read)(self))),
            Rule::I64(at) => Ok(Value::I64(*(at.read)(self))),
            Rule::Bytes { at, get: Some(wrap), .. } => Ok(wrap((at.read)(self).clone())),
            Rule::Own { get: Some(get), .. } | Rule::ReadOnly(get) => Ok(get(self)),
            Rule::Own { get: None, .. } | Rule::Bytes { get: None, .. } => Err(Error::Invalid),
        }
    }

    /// Does ZMQ_CONFLATE act, that is: is it set, on a type that knows it?
    pub fn conflates(&self) -> bool {
        use SocketType::{Dealer, Pub, Pull, Push, Sub};
        self.conflate && matches!(self.socket_type, Dealer | Pull | Push | Pub | Sub)
    }
}
