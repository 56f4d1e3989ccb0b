//! The table of the common socket options: one row each, in the order of their ids.

use std::ops::RangeInclusive;

use super::{Options, Value, setters as set};
use crate::base::{Error, constants as c};

/// One option: its id, and what it takes and answers.
pub(super) struct Row(i32, pub(super) Rule);

/// What an option takes and answers.
pub(super) enum Rule {
    /// An int within a range.
    Int(Field<i32>, RangeInclusive<i32>),
    /// An int that is 0 or 1.
    Flag(Field<bool>),
    /// Any int; all but 0 mean yes.
    Truth(Field<bool>),
    /// An unsigned 64-bit number.
    U64(Field<u64>),
    /// A signed 64-bit number.
    I64(Field<i64>),
    /// Bytes, stored as they are given, a counted NUL included.
    Bytes { at: Field<Vec<u8>>, max: usize, empty: Empty, get: Option<fn(Vec<u8>) -> Value> },
    /// An option with functions of its own.
    Own {
        set: fn(&mut Options, Option<&[u8]>) -> Result<(), Error>,
        get: Option<fn(&Options) -> Value>,
    },
    /// Something that can only be asked.
    ReadOnly(fn(&Options) -> Value),
}

/// What a length of 0 does.
pub(super) enum Empty {
    Refused,
    /// With a NULL pointer it clears, else it is refused.
    NullClears,
    Clears,
}

/// Where an option is kept.
pub(super) struct Field<T> {
    pub(super) read: fn(&Options) -> &T,
    pub(super) write: fn(&mut Options) -> &mut T,
}

/// The row of option `id`.
pub(super) fn find(id: i32) -> Option<&'static Row> {
    let index = TABLE.binary_search_by_key(&id, |row| row.0).ok()?;
    TABLE.get(index)
}

macro_rules! field {
    ($($name:ident).+) => {
        Field { read: |options| &options.$($name).+, write: |options| &mut options.$($name).+ }
    };
}

macro_rules! bytes {
    ($name:ident, $max:expr, $empty:ident, $get:expr) => {
        Rule::Bytes { at: field!($name), max: $max, empty: Empty::$empty, get: $get }
    };
}

const ANY: RangeInclusive<i32> = i32::MIN..=i32::MAX;
const NATURAL: RangeInclusive<i32> = 0..=i32::MAX;
const POSITIVE: RangeInclusive<i32> = 1..=i32::MAX;
const OR_DEFAULT: RangeInclusive<i32> = -1..=i32::MAX;

const TEXT: Option<fn(Vec<u8>) -> Value> = Some(Value::Text);
const BLOB: Option<fn(Vec<u8>) -> Value> = Some(Value::Blob);
const UNREADABLE: Option<fn(Vec<u8>) -> Value> = None;
const ANY_SIZE: usize = usize::MAX;

static TABLE: &[Row] = &[
    Row(c::ZMQ_AFFINITY, Rule::U64(field!(affinity))),
    Row(c::ZMQ_ROUTING_ID, bytes!(routing_id, 255, Refused, BLOB)),
    Row(c::ZMQ_RATE, Rule::Int(field!(rate), POSITIVE)),
    Row(c::ZMQ_RECOVERY_IVL, Rule::Int(field!(recovery_ivl_ms), NATURAL)),
    Row(c::ZMQ_SNDBUF, Rule::Int(field!(sndbuf), OR_DEFAULT)),
    Row(c::ZMQ_RCVBUF, Rule::Int(field!(rcvbuf), OR_DEFAULT)),
    Row(c::ZMQ_TYPE, Rule::ReadOnly(|options| Value::Int(options.socket_type as i32))),
    Row(c::ZMQ_LINGER, Rule::Int(field!(linger_ms), OR_DEFAULT)),
    Row(c::ZMQ_RECONNECT_IVL, Rule::Int(field!(reconnect_ivl_ms), OR_DEFAULT)),
    Row(c::ZMQ_BACKLOG, Rule::Int(field!(backlog), NATURAL)),
    Row(c::ZMQ_RECONNECT_IVL_MAX, Rule::Int(field!(reconnect_ivl_max_ms), NATURAL)),
    Row(c::ZMQ_MAXMSGSIZE, Rule::I64(field!(maxmsgsize))),
    Row(c::ZMQ_SNDHWM, Rule::Int(field!(sndhwm), NATURAL)),
    Row(c::ZMQ_RCVHWM, Rule::Int(field!(rcvhwm), NATURAL)),
    Row(c::ZMQ_MULTICAST_HOPS, Rule::Int(field!(multicast_hops), POSITIVE)),
    Row(c::ZMQ_RCVTIMEO, Rule::Int(field!(rcvtimeo_ms), OR_DEFAULT)),
    Row(c::ZMQ_SNDTIMEO, Rule::Int(field!(sndtimeo_ms), OR_DEFAULT)),
    Row(
        c::ZMQ_IPV4ONLY,
        Rule::Own { set: set::ipv4_only, get: Some(|options| Value::Int((!options.ipv6).into())) },
    ),
    Row(c::ZMQ_TCP_KEEPALIVE, Rule::Int(field!(tcp_keepalive), -1..=1)),
    Row(c::ZMQ_TCP_KEEPALIVE_CNT, Rule::Int(field!(tcp_keepalive_cnt), OR_DEFAULT)),
    Row(c::ZMQ_TCP_KEEPALIVE_IDLE, Rule::Int(field!(tcp_keepalive_idle_s), OR_DEFAULT)),
    Row(c::ZMQ_TCP_KEEPALIVE_INTVL, Rule::Int(field!(tcp_keepalive_intvl_s), OR_DEFAULT)),
    Row(c::ZMQ_TCP_ACCEPT_FILTER, Rule::Own { set: set::tcp_accept_filter, get: None }),
    Row(c::ZMQ_IMMEDIATE, Rule::Flag(field!(immediate))),
    Row(c::ZMQ_IPV6, Rule::Flag(field!(ipv6))),
    Row(c::ZMQ_MECHANISM, Rule::ReadOnly(|options| Value::Int(options.mechanism))),
    Row(
        c::ZMQ_PLAIN_SERVER,
        Rule::Own { set: set::plain_server, get: Some(|options| serves(options, c::ZMQ_PLAIN)) },
    ),
    Row(
        c::ZMQ_PLAIN_USERNAME,
        Rule::Own {
            set: set::plain_username,
            get: Some(|options| Value::Text(options.plain_username.clone())),
        },
    ),
    Row(
        c::ZMQ_PLAIN_PASSWORD,
        Rule::Own {
            set: set::plain_password,
            get: Some(|options| Value::Text(options.plain_password.to_vec())),
        },
    ),
    Row(
        c::ZMQ_CURVE_SERVER,
        Rule::Own { set: set::curve_server, get: Some(|options| serves(options, c::ZMQ_CURVE)) },
    ),
    Row(
        c::ZMQ_CURVE_PUBLICKEY,
        Rule::Own {
            set: set::curve_public_key,
            get: Some(|options| Value::Key(options.curve_public_key)),
        },
    ),
    Row(
        c::ZMQ_CURVE_SECRETKEY,
        Rule::Own {
            set: set::curve_secret_key,
            get: Some(|options| Value::Key(*options.curve_secret_key)),
        },
    ),
    Row(
        c::ZMQ_CURVE_SERVERKEY,
        Rule::Own {
            set: set::curve_server_key,
            get: Some(|options| Value::Key(options.curve_server_key)),
        },
    ),
    Row(c::ZMQ_CONFLATE, Rule::Flag(field!(conflate))),
    Row(c::ZMQ_ZAP_DOMAIN, bytes!(zap_domain, 255, Refused, TEXT)),
    Row(c::ZMQ_TOS, Rule::Int(field!(tos), NATURAL)),
    Row(c::ZMQ_IPC_FILTER_PID, Rule::Own { set: set::ipc_filter_pid, get: None }),
    Row(c::ZMQ_IPC_FILTER_UID, Rule::Own { set: set::ipc_filter_uid, get: None }),
    Row(c::ZMQ_IPC_FILTER_GID, Rule::Own { set: set::ipc_filter_gid, get: None }),
    Row(
        c::ZMQ_GSSAPI_SERVER,
        Rule::Own { set: set::gssapi_server, get: Some(|options| serves(options, c::ZMQ_GSSAPI)) },
    ),
    Row(
        c::ZMQ_GSSAPI_PRINCIPAL,
        Rule::Own {
            set: set::gssapi_principal,
            get: Some(|options| Value::Text(options.gssapi_principal.clone())),
        },
    ),
    Row(
        c::ZMQ_GSSAPI_SERVICE_PRINCIPAL,
        Rule::Own {
            set: set::gssapi_service,
            get: Some(|options| Value::Text(options.gssapi_service_principal.clone())),
        },
    ),
    Row(c::ZMQ_GSSAPI_PLAINTEXT, Rule::Flag(field!(gssapi_plaintext))),
    Row(c::ZMQ_HANDSHAKE_IVL, Rule::Int(field!(handshake_ivl_ms), NATURAL)),
    Row(c::ZMQ_SOCKS_PROXY, bytes!(socks_proxy, ANY_SIZE, NullClears, TEXT)),
    Row(c::ZMQ_INVERT_MATCHING, Rule::Truth(field!(invert_matching))),
    Row(c::ZMQ_HEARTBEAT_IVL, Rule::Int(field!(heartbeat_ivl_ms), NATURAL)),
    Row(
        c::ZMQ_HEARTBEAT_TTL,
        Rule::Own {
            set: set::heartbeat_ttl,
            get: Some(|options| Value::Int(i32::from(options.heartbeat_ttl_ds) * 100)),
        },
    ),
    Row(c::ZMQ_HEARTBEAT_TIMEOUT, Rule::Int(field!(heartbeat_timeout_ms), NATURAL)),
    Row(c::ZMQ_CONNECT_TIMEOUT, Rule::Int(field!(connect_timeout_ms), NATURAL)),
    Row(c::ZMQ_TCP_MAXRT, Rule::Int(field!(tcp_maxrt_ms), NATURAL)),
    Row(
        c::ZMQ_THREAD_SAFE,
        Rule::ReadOnly(|options| Value::LooseInt(options.socket_type.is_thread_safe().into())),
    ),
    Row(c::ZMQ_MULTICAST_MAXTPDU, Rule::Int(field!(multicast_maxtpdu), POSITIVE)),
    Row(c::ZMQ_USE_FD, Rule::Int(field!(use_fd), OR_DEFAULT)),
    Row(c::ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, Rule::Int(field!(gssapi_principal_nametype), 0..=2)),
    Row(
        c::ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE,
        Rule::Int(field!(gssapi_service_principal_nametype), 0..=2),
    ),
    Row(c::ZMQ_BINDTODEVICE, bytes!(bind_to_device, 16, NullClears, TEXT)),
    Row(c::ZMQ_ZAP_ENFORCE_DOMAIN, Rule::Truth(field!(zap_enforce_domain))),
    Row(c::ZMQ_LOOPBACK_FASTPATH, Rule::Truth(field!(loopback_fastpath))),
    Row(c::ZMQ_METADATA, Rule::Own { set: set::metadata, get: None }),
    Row(c::ZMQ_MULTICAST_LOOP, Rule::Truth(field!(multicast_loop))),
    // Every type answers; the types that can set it answer before this table is asked.
    Row(c::ZMQ_ROUTER_NOTIFY, Rule::ReadOnly(|_| Value::Int(0))),
    Row(c::ZMQ_SOCKS_USERNAME, bytes!(socks_username, 255, Clears, TEXT)),
    Row(
        c::ZMQ_SOCKS_PASSWORD,
        Rule::Own {
            set: set::socks_password,
            get: Some(|options| Value::Text(options.socks_password.to_vec())),
        },
    ),
    Row(c::ZMQ_IN_BATCH_SIZE, Rule::Int(field!(in_batch_size), POSITIVE)),
    Row(c::ZMQ_OUT_BATCH_SIZE, Rule::Int(field!(out_batch_size), POSITIVE)),
    Row(c::ZMQ_WSS_KEY_PEM, Rule::Own { set: set::wss_key_pem, get: None }),
    Row(c::ZMQ_WSS_CERT_PEM, bytes!(wss_cert_pem, ANY_SIZE, Clears, UNREADABLE)),
    Row(c::ZMQ_WSS_TRUST_PEM, bytes!(wss_trust_pem, ANY_SIZE, Clears, UNREADABLE)),
    Row(c::ZMQ_WSS_HOSTNAME, bytes!(wss_hostname, ANY_SIZE, Clears, UNREADABLE)),
    Row(c::ZMQ_WSS_TRUST_SYSTEM, Rule::Own { set: set::wss_trust_system, get: None }),
    Row(c::ZMQ_RECONNECT_STOP, Rule::Int(field!(reconnect_stop), ANY)),
    Row(c::ZMQ_HELLO_MSG, bytes!(hello_msg, ANY_SIZE, Clears, UNREADABLE)),
    Row(c::ZMQ_DISCONNECT_MSG, bytes!(disconnect_msg, ANY_SIZE, Clears, UNREADABLE)),
    Row(c::ZMQ_PRIORITY, Rule::Int(field!(priority), NATURAL)),
    Row(c::ZMQ_BUSY_POLL, Rule::Int(field!(busy_poll), ANY)),
    Row(c::ZMQ_HICCUP_MSG, bytes!(hiccup_msg, ANY_SIZE, Clears, UNREADABLE)),
    Row(
        c::ZMQ_NORM_MODE,
        Rule::Int(field!(norm.mode), c::ZMQ_NORM_FIXED..=c::ZMQ_NORM_CCE_ECNONLY),
    ),
    Row(c::ZMQ_NORM_UNICAST_NACK, Rule::Flag(field!(norm.unicast_nack))),
    Row(c::ZMQ_NORM_BUFFER_SIZE, Rule::Int(field!(norm.buffer_kb), POSITIVE)),
    Row(c::ZMQ_NORM_SEGMENT_SIZE, Rule::Int(field!(norm.segment_size), POSITIVE)),
    Row(c::ZMQ_NORM_BLOCK_SIZE, Rule::Int(field!(norm.block_size), 1..=255)),
    Row(c::ZMQ_NORM_NUM_PARITY, Rule::Int(field!(norm.parity), 0..=254)),
    Row(c::ZMQ_NORM_NUM_AUTOPARITY, Rule::Int(field!(norm.auto_parity), 0..=254)),
    Row(c::ZMQ_NORM_PUSH, Rule::Flag(field!(norm.push))),
];

/// Is this socket the server of that mechanism?
fn serves(options: &Options, mechanism: i32) -> Value {
    Value::Int((options.as_server && options.mechanism == mechanism).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_the_order_of_their_ids() {
        assert!(TABLE.is_sorted_by(|one, next| one.0 < next.0));
    }
}
