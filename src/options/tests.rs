//! The rules of the option table, seen from outside: every row by its id alone.

use super::*;

const ANY: i32 = i32::MIN;
const BIG: i32 = i32::MAX;

fn options(socket_type: SocketType) -> Options {
    let context = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
    Options::new(socket_type, context)
}

fn fresh() -> Options {
    options(SocketType::Dealer)
}

fn set_int(options: &mut Options, id: i32, number: i32) -> Result<(), Error> {
    options.set(id, Some(&number.to_ne_bytes()))
}

/// id, default, least and largest value; what is read is what was set.
const INTS: [(i32, i32, i32, i32); 45] = [
    (c::ZMQ_RATE, 100, 1, BIG),
    (c::ZMQ_RECOVERY_IVL, 10_000, 0, BIG),
    (c::ZMQ_SNDBUF, -1, -1, BIG),
    (c::ZMQ_RCVBUF, -1, -1, BIG),
    (c::ZMQ_LINGER, -1, -1, BIG),
    (c::ZMQ_RECONNECT_IVL, 100, -1, BIG),
    (c::ZMQ_BACKLOG, 100, 0, BIG),
    (c::ZMQ_RECONNECT_IVL_MAX, 0, 0, BIG),
    (c::ZMQ_SNDHWM, 1000, 0, BIG),
    (c::ZMQ_RCVHWM, 1000, 0, BIG),
    (c::ZMQ_MULTICAST_HOPS, 1, 1, BIG),
    (c::ZMQ_RCVTIMEO, -1, -1, BIG),
    (c::ZMQ_SNDTIMEO, -1, -1, BIG),
    (c::ZMQ_IPV4ONLY, 1, 0, 1),
    (c::ZMQ_TCP_KEEPALIVE, -1, -1, 1),
    (c::ZMQ_TCP_KEEPALIVE_CNT, -1, -1, BIG),
    (c::ZMQ_TCP_KEEPALIVE_IDLE, -1, -1, BIG),
    (c::ZMQ_TCP_KEEPALIVE_INTVL, -1, -1, BIG),
    (c::ZMQ_IMMEDIATE, 0, 0, 1),
    (c::ZMQ_IPV6, 0, 0, 1),
    (c::ZMQ_PLAIN_SERVER, 0, 0, 1),
    (c::ZMQ_CURVE_SERVER, 0, 0, 1),
    (c::ZMQ_CONFLATE, 0, 0, 1),
    (c::ZMQ_TOS, 0, 0, BIG),
    (c::ZMQ_GSSAPI_SERVER, 0, 0, 1),
    (c::ZMQ_GSSAPI_PLAINTEXT, 0, 0, 1),
    (c::ZMQ_HANDSHAKE_IVL, 30_000, 0, BIG),
    (c::ZMQ_HEARTBEAT_IVL, 0, 0, BIG),
    (c::ZMQ_CONNECT_TIMEOUT, 0, 0, BIG),
    (c::ZMQ_TCP_MAXRT, 0, 0, BIG),
    (c::ZMQ_MULTICAST_MAXTPDU, 1500, 1, BIG),
    (c::ZMQ_USE_FD, -1, -1, BIG),
    (c::ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, 0, 0, 2),
    (c::ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE, 0, 0, 2),
    (c::ZMQ_IN_BATCH_SIZE, 8192, 1, BIG),
    (c::ZMQ_OUT_BATCH_SIZE, 8192, 1, BIG),
    (c::ZMQ_PRIORITY, 0, 0, BIG),
    (c::ZMQ_NORM_MODE, 1, 0, 4),
    (c::ZMQ_NORM_UNICAST_NACK, 0, 0, 1),
    (c::ZMQ_NORM_BUFFER_SIZE, 2048, 1, BIG),
    (c::ZMQ_NORM_SEGMENT_SIZE, 1400, 1, BIG),
    (c::ZMQ_NORM_BLOCK_SIZE, 16, 1, 255),
    (c::ZMQ_NORM_NUM_PARITY, 4, 0, 254),
    (c::ZMQ_NORM_NUM_AUTOPARITY, 0, 0, 254),
    (c::ZMQ_NORM_PUSH, 0, 0, 1),
];

/// Ints that take every value: id, default.
const UNBOUNDED: [(i32, i32); 2] = [(c::ZMQ_RECONNECT_STOP, 0), (c::ZMQ_BUSY_POLL, 0)];

/// Ints of which only zero or not is kept: id, default.
const TRUTHS: [(i32, i32); 4] = [
    (c::ZMQ_INVERT_MATCHING, 0),
    (c::ZMQ_ZAP_ENFORCE_DOMAIN, 0),
    (c::ZMQ_LOOPBACK_FASTPATH, 0),
    (c::ZMQ_MULTICAST_LOOP, 1),
];

#[test]
fn ints_have_defaults_and_ranges() {
    let unbounded = UNBOUNDED.map(|(id, default)| (id, default, ANY, BIG));
    for (id, default, least, most) in INTS.into_iter().chain(unbounded) {
        let mut options = fresh();
        assert_eq!(options.get(id), Ok(Value::Int(default)), "option {id}");
        for bad in [least.checked_sub(1), most.checked_add(1), Some(ANY)] {
            let Some(bad) = bad.filter(|bad| *bad < least || *bad > most) else {
                continue;
            };
            assert_eq!(set_int(&mut options, id, bad), Err(Error::Invalid), "option {id}");
            assert_eq!(options.get(id), Ok(Value::Int(default)), "option {id}");
        }
        for good in [least, most, least.max(1)] {
            assert_eq!(set_int(&mut options, id, good), Ok(()), "option {id}");
            assert_eq!(options.get(id), Ok(Value::Int(good)), "option {id}");
        }
    }
}

#[test]
fn ints_are_four_bytes_both_ways() {
    let ids = INTS.map(|row| row.0).into_iter().chain(TRUTHS.map(|row| row.0));
    for id in ids.chain(UNBOUNDED.map(|row| row.0)) {
        let mut options = fresh();
        let before = options.get(id).unwrap();
        for size in [0, 1, 3, 5, 8] {
            assert_eq!(options.set(id, Some(&vec![0; size])), Err(Error::Invalid), "option {id}");
            assert_eq!(before.write(&mut vec![0; size]), Err(Error::Invalid), "option {id}");
        }
        assert_eq!(options.set(id, None), Err(Error::Invalid), "option {id}");
        assert_eq!(options.get(id).unwrap(), before, "option {id}");
        assert_eq!(before.write(&mut [0; 4]), Ok(4), "option {id}");
    }
}

#[test]
fn truths_take_any_int() {
    for (id, default) in TRUTHS {
        let mut options = fresh();
        assert_eq!(options.get(id), Ok(Value::Int(default)));
        for (number, kept) in [(1, 1), (0, 0), (-1, 1), (0, 0), (BIG, 1), (ANY, 1)] {
            assert_eq!(set_int(&mut options, id, number), Ok(()), "option {id}");
            assert_eq!(options.get(id), Ok(Value::Int(kept)), "option {id}");
        }
    }
}

#[test]
fn wide_numbers_are_eight_bytes() {
    let mut options = fresh();
    assert_eq!(options.get(c::ZMQ_AFFINITY), Ok(Value::U64(0)));
    assert_eq!(options.get(c::ZMQ_MAXMSGSIZE), Ok(Value::I64(-1)));
    for id in [c::ZMQ_AFFINITY, c::ZMQ_MAXMSGSIZE] {
        for size in [0, 4, 7, 9] {
            assert_eq!(options.set(id, Some(&vec![0; size])), Err(Error::Invalid));
            assert_eq!(options.get(id).unwrap().write(&mut vec![0; size]), Err(Error::Invalid));
        }
        assert_eq!(options.set(id, Some(&[0xFF; 8])), Ok(()));
    }
    assert_eq!((options.affinity, options.maxmsgsize), (u64::MAX, -1));
    let mut buffer = [0; 8];
    assert_eq!(options.get(c::ZMQ_AFFINITY).unwrap().write(&mut buffer), Ok(8));
    assert_eq!(buffer, [0xFF; 8]);
}

#[test]
fn linger_depends_on_type_and_context() {
    for number in 0..=20 {
        let socket_type = SocketType::try_from_i32(number).unwrap();
        use SocketType::{Dish, Sub, XSub};
        let expected = if matches!(socket_type, Sub | XSub | Dish) { 0 } else { -1 };
        assert_eq!(options(socket_type).linger_ms, expected, "{socket_type:?}");
        let context = ContextDefaults { ipv6: true, blocky: false, zero_copy_recv: false };
        let options = Options::new(socket_type, context);
        assert_eq!(options.linger_ms, 0);
        assert!(options.ipv6 && !options.zero_copy_recv);
    }
}

#[test]
fn byte_strings_have_limits_and_ways_to_clear() {
    /// What a length of 0 does, without and with a pointer.
    #[derive(Clone, Copy, PartialEq)]
    enum Zero {
        Refused,
        Null,
        Both,
    }
    use Zero::{Both, Null, Refused};
    // id, longest, what 0 does, readable
    let rows = [
        (c::ZMQ_ROUTING_ID, 255, Refused, true),
        (c::ZMQ_ZAP_DOMAIN, 255, Refused, true),
        (c::ZMQ_SOCKS_PROXY, 4000, Null, true),
        (c::ZMQ_BINDTODEVICE, 16, Null, true),
        (c::ZMQ_SOCKS_USERNAME, 255, Both, true),
        (c::ZMQ_SOCKS_PASSWORD, 255, Both, true),
        (c::ZMQ_GSSAPI_PRINCIPAL, 255, Refused, true),
        (c::ZMQ_GSSAPI_SERVICE_PRINCIPAL, 255, Refused, true),
        (c::ZMQ_WSS_KEY_PEM, 4000, Both, false),
        (c::ZMQ_WSS_CERT_PEM, 4000, Both, false),
        (c::ZMQ_WSS_TRUST_PEM, 4000, Both, false),
        (c::ZMQ_WSS_HOSTNAME, 4000, Both, false),
        (c::ZMQ_HELLO_MSG, 4000, Both, false),
        (c::ZMQ_DISCONNECT_MSG, 4000, Both, false),
        (c::ZMQ_HICCUP_MSG, 4000, Both, false),
    ];
    for (id, longest, zero, readable) in rows {
        let mut options = fresh();
        let wrap = if id == c::ZMQ_ROUTING_ID { Value::Blob } else { Value::Text };
        let expect = |options: &Options, bytes: &[u8]| {
            let expected = if readable { Ok(wrap(bytes.to_vec())) } else { Err(Error::Invalid) };
            assert_eq!(options.get(id), expected, "option {id}");
        };
        expect(&options, b"");
        let full = vec![b'x'; longest];
        assert_eq!(options.set(id, Some(&full)), Ok(()), "option {id}");
        expect(&options, &full);
        if longest < 4000 {
            assert_eq!(options.set(id, Some(&vec![b'x'; longest + 1])), Err(Error::Invalid));
        }
        for (value, clears) in [(None, zero != Refused), (Some([].as_slice()), zero == Both)] {
            options.set(id, Some(b"\0a\0")).unwrap();
            expect(&options, b"\0a\0");
            let result = if clears { Ok(()) } else { Err(Error::Invalid) };
            assert_eq!(options.set(id, value), result, "option {id}");
            expect(&options, if clears { b"" } else { b"\0a\0" });
        }
    }
}

#[test]
fn texts_are_written_with_a_nul_and_zeros() {
    let text = Value::Text(b"abc".to_vec());
    for size in 0..4 {
        let mut buffer = vec![0xFF; size];
        assert_eq!(text.write(&mut buffer), Err(Error::Invalid));
        assert_eq!(buffer, vec![0xFF; size]);
    }
    let mut buffer = [0xFF; 7];
    assert_eq!(text.write(&mut buffer), Ok(4));
    assert_eq!(&buffer, b"abc\0\0\0\0");
    assert_eq!(Value::Text(Vec::new()).write(&mut [1]), Ok(1));
    assert_eq!(Value::Text(Vec::new()).write(&mut []), Err(Error::Invalid));
}

#[test]
fn blobs_are_written_without_a_nul() {
    let blob = Value::Blob(b"ab".to_vec());
    assert_eq!(blob.write(&mut [0]), Err(Error::Invalid));
    let mut buffer = [0xFF; 4];
    assert_eq!(blob.write(&mut buffer), Ok(2));
    assert_eq!(&buffer, b"ab\0\0");
    assert_eq!(Value::Blob(Vec::new()).write(&mut []), Ok(0));
}

#[test]
fn loose_ints_take_larger_buffers() {
    let mut buffer = [0xFF; 9];
    assert_eq!(Value::LooseInt(1).write(&mut buffer), Ok(4));
    assert_eq!(buffer[..4], 1i32.to_ne_bytes());
    assert_eq!(buffer[4..], [0; 5]);
    assert_eq!(Value::LooseInt(1).write(&mut [0; 3]), Err(Error::Invalid));
}

#[test]
fn the_last_security_option_chooses_the_mechanism() {
    let one = 1i32.to_ne_bytes();
    let zero = 0i32.to_ne_bytes();
    let key = [7; 32];
    type Step<'a> = (i32, Option<&'a [u8]>, i32, bool);
    // option, value, mechanism afterwards, server afterwards
    let steps: [Step; 16] = [
        (c::ZMQ_PLAIN_SERVER, Some(&one), c::ZMQ_PLAIN, true),
        (c::ZMQ_CURVE_PUBLICKEY, Some(&key), c::ZMQ_CURVE, true),
        (c::ZMQ_CURVE_SERVERKEY, Some(&key), c::ZMQ_CURVE, false),
        (c::ZMQ_CURVE_SERVER, Some(&one), c::ZMQ_CURVE, true),
        (c::ZMQ_CURVE_SECRETKEY, Some(&key), c::ZMQ_CURVE, true),
        (c::ZMQ_PLAIN_USERNAME, Some(b"u"), c::ZMQ_PLAIN, false),
        (c::ZMQ_PLAIN_USERNAME, None, c::ZMQ_NULL, false),
        (c::ZMQ_GSSAPI_SERVER, Some(&one), c::ZMQ_GSSAPI, true),
        (c::ZMQ_GSSAPI_PRINCIPAL, Some(b"p"), c::ZMQ_GSSAPI, true),
        (c::ZMQ_GSSAPI_SERVICE_PRINCIPAL, Some(b"s"), c::ZMQ_GSSAPI, false),
        (c::ZMQ_PLAIN_PASSWORD, Some(b"p"), c::ZMQ_PLAIN, false),
        (c::ZMQ_GSSAPI_SERVER, Some(&zero), c::ZMQ_GSSAPI, false),
        (c::ZMQ_CURVE_SERVER, Some(&zero), c::ZMQ_NULL, false),
        (c::ZMQ_CURVE_SERVER, Some(&one), c::ZMQ_CURVE, true),
        (c::ZMQ_PLAIN_SERVER, Some(&zero), c::ZMQ_NULL, false),
        (c::ZMQ_PLAIN_PASSWORD, None, c::ZMQ_NULL, false),
    ];
    let mut options = fresh();
    for (index, (id, value, mechanism, server)) in steps.into_iter().enumerate() {
        assert_eq!(options.set(id, value), Ok(()), "step {index}");
        assert_eq!((options.mechanism, options.as_server), (mechanism, server), "step {index}");
        assert_eq!(options.get(c::ZMQ_MECHANISM), Ok(Value::Int(mechanism)));
        let serves = Value::Int((server && mechanism == c::ZMQ_CURVE).into());
        assert_eq!(options.get(c::ZMQ_CURVE_SERVER), Ok(serves), "step {index}");
    }
    assert_eq!(options.plain_username, b"u");
    assert_eq!(options.get(c::ZMQ_PLAIN_PASSWORD), Ok(Value::Text(b"p".to_vec())));
    assert_eq!(set_int(&mut options, c::ZMQ_MECHANISM, 1), Err(Error::Invalid));
}

#[test]
fn a_refused_security_option_changes_nothing() {
    let mut options = fresh();
    for id in [c::ZMQ_PLAIN_USERNAME, c::ZMQ_PLAIN_PASSWORD] {
        assert_eq!(options.set(id, Some(b"")), Err(Error::Invalid));
        assert_eq!(options.set(id, Some(&[b'x'; 256])), Err(Error::Invalid));
    }
    assert_eq!(options.set(c::ZMQ_CURVE_PUBLICKEY, None), Err(Error::Invalid));
    assert_eq!(set_int(&mut options, c::ZMQ_PLAIN_SERVER, 2), Err(Error::Invalid));
    assert_eq!((options.mechanism, options.as_server), (c::ZMQ_NULL, false));
}

#[test]
fn keys_are_raw_or_text() {
    const TEXT: &[u8; 41] = b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\0";
    let mut options = fresh();
    for id in [c::ZMQ_CURVE_PUBLICKEY, c::ZMQ_CURVE_SECRETKEY, c::ZMQ_CURVE_SERVERKEY] {
        assert_eq!(options.get(id), Ok(Value::Key([0; 32])));
        options.set(id, Some(TEXT)).unwrap();
        let key = options.get(id).unwrap();
        options.set(id, Some(&[9; 32])).unwrap();
        assert_eq!(options.get(id), Ok(Value::Key([9; 32])));
        options.set(id, Some(&TEXT[..40])).unwrap();
        assert_eq!(options.get(id).as_ref(), Ok(&key));

        let mut raw = [0; 32];
        assert_eq!(key.write(&mut raw), Ok(32));
        options.set(id, Some(&raw)).unwrap();
        assert_eq!(options.get(id).as_ref(), Ok(&key));
        let mut text = [0xFF; 41];
        assert_eq!(key.write(&mut text), Ok(41));
        assert_eq!(&text, TEXT);
        for size in [0, 31, 33, 40, 42, 100] {
            assert_eq!(key.write(&mut vec![0; size]), Err(Error::Invalid), "{size}");
            assert_eq!(options.set(id, Some(&vec![b'1'; size])).is_ok(), size == 40, "{size}");
        }
        let mut bad = *TEXT;
        bad[7] = b'~';
        assert_eq!(options.set(id, Some(&bad)), Err(Error::Invalid));
        assert_eq!(options.set(id, Some(&[b'1'; 41])), Err(Error::Invalid));
    }
}

#[test]
fn the_heartbeat_ttl_is_kept_in_tenths() {
    let id = c::ZMQ_HEARTBEAT_TTL;
    let mut options = fresh();
    assert_eq!(options.get(id), Ok(Value::Int(0)));
    let good = [(199, 100), (100, 100), (99, 0), (-99, 0), (1234, 1200), (6_553_599, 6_553_500)];
    for (number, kept) in good {
        assert_eq!(set_int(&mut options, id, number), Ok(()), "{number}");
        assert_eq!(options.get(id), Ok(Value::Int(kept)), "{number}");
    }
    assert_eq!(options.heartbeat_ttl_ds, u16::MAX);
    for bad in [-100, 6_553_600, ANY, BIG] {
        assert_eq!(set_int(&mut options, id, bad), Err(Error::Invalid), "{bad}");
    }
}

#[test]
fn the_heartbeat_timeout_cannot_be_unset() {
    let id = c::ZMQ_HEARTBEAT_TIMEOUT;
    let mut options = fresh();
    assert_eq!(options.get(id), Ok(Value::Int(-1)));
    assert_eq!(set_int(&mut options, id, 0), Ok(()));
    assert_eq!(set_int(&mut options, id, -1), Err(Error::Invalid));
}

#[test]
fn ipv6_and_ipv4only_are_one_switch() {
    let mut options = fresh();
    set_int(&mut options, c::ZMQ_IPV4ONLY, 0).unwrap();
    assert_eq!(options.get(c::ZMQ_IPV6), Ok(Value::Int(1)));
    set_int(&mut options, c::ZMQ_IPV6, 0).unwrap();
    assert_eq!(options.get(c::ZMQ_IPV4ONLY), Ok(Value::Int(1)));
}

#[test]
fn filters_are_added_and_cleared() {
    let mut options = fresh();
    let id = c::ZMQ_TCP_ACCEPT_FILTER;
    assert_eq!(options.set(id, Some(b"10.0.0.0/8")), Ok(()));
    assert_eq!(options.set(id, Some(b"127.0.0.1\0")), Ok(()));
    assert_eq!(options.set(id, Some(b"::1")), Err(Error::Invalid));
    options.ipv6 = true;
    assert_eq!(options.set(id, Some(b"::1")), Ok(()));
    for bad in [b"".as_slice(), b"\0", b"example", b"1.2.3.4/40", b"\xFF", &[b'1'; 256]] {
        assert_eq!(options.set(id, Some(bad)), Err(Error::Invalid));
    }
    assert_eq!(options.tcp_accept_filters.len(), 3);
    assert_eq!(options.get(id), Err(Error::Invalid));
    assert_eq!(options.set(id, None), Ok(()));
    assert!(options.tcp_accept_filters.is_empty());

    for id in [c::ZMQ_IPC_FILTER_PID, c::ZMQ_IPC_FILTER_UID, c::ZMQ_IPC_FILTER_GID] {
        for number in [5, 6, 5, -1] {
            assert_eq!(set_int(&mut options, id, number), Ok(()));
        }
        assert_eq!(options.set(id, Some(b"")), Err(Error::Invalid));
        assert_eq!(options.get(id), Err(Error::Invalid));
    }
    assert_eq!(options.ipc_pid_filters, [5, 6, -1]);
    assert_eq!(options.ipc_uid_filters, [5, 6, u32::MAX]);
    assert_eq!(options.ipc_gid_filters, [5, 6, u32::MAX]);
    assert_eq!(options.set(c::ZMQ_IPC_FILTER_UID, None), Ok(()));
    assert!(options.ipc_uid_filters.is_empty() && !options.ipc_gid_filters.is_empty());
}

#[test]
fn metadata_is_named_sorted_and_unique() {
    let id = c::ZMQ_METADATA;
    let mut options = fresh();
    for text in ["X-zoo:1", "X-bar:two:three", "X-zoo:2", "X-:nameless", "X-nul:a\0b"] {
        assert_eq!(options.set(id, Some(text.as_bytes())), Ok(()), "{text}");
    }
    let expected = [("X-", "nameless"), ("X-bar", "two:three"), ("X-nul", "a"), ("X-zoo", "1")];
    let expected = expected.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(options.metadata, expected);
    let long = format!("X-{}:v", "n".repeat(254));
    let bad =
        ["", "X-:a", "X-aa", "X-name", "X-name:", ":value", "Y-name:value", "x-name:v", &long];
    for text in bad {
        assert_eq!(options.set(id, Some(text.as_bytes())), Err(Error::Invalid), "{text}");
    }
    assert_eq!(options.set(id, None), Err(Error::Invalid));
    assert_eq!(options.get(id), Err(Error::Invalid));
    assert_eq!(options.metadata.len(), 4);
}

#[test]
fn what_can_only_be_asked() {
    let mut options = options(SocketType::Radio);
    assert_eq!(options.get(c::ZMQ_TYPE), Ok(Value::Int(14)));
    assert_eq!(options.get(c::ZMQ_THREAD_SAFE), Ok(Value::LooseInt(1)));
    assert_eq!(fresh().get(c::ZMQ_THREAD_SAFE), Ok(Value::LooseInt(0)));
    assert_eq!(options.get(c::ZMQ_ROUTER_NOTIFY), Ok(Value::Int(0)));
    for id in [c::ZMQ_TYPE, c::ZMQ_THREAD_SAFE, c::ZMQ_ROUTER_NOTIFY] {
        assert_eq!(set_int(&mut options, id, 1), Err(Error::Invalid));
    }
}

#[test]
fn what_can_only_be_set() {
    let mut options = fresh();
    assert_eq!(set_int(&mut options, c::ZMQ_WSS_TRUST_SYSTEM, 1), Ok(()));
    assert!(options.wss_trust_system);
    assert_eq!(set_int(&mut options, c::ZMQ_WSS_TRUST_SYSTEM, 2), Err(Error::Invalid));
    assert_eq!(options.get(c::ZMQ_WSS_TRUST_SYSTEM), Err(Error::Invalid));
}

#[test]
fn others_are_not_ours() {
    let mut options = fresh();
    let pattern = [6, 7, 33, 40, 41, 51, 52, 53, 56, 61, 69, 71, 72, 73, 78, 98, 108, 115];
    let socket = [13, 14, 15, 32, 116];
    let absent = [-1, 0, 1, 10, 70, 85, 86, 87, 88, 125, 1000, BIG, ANY];
    for id in pattern.into_iter().chain(socket).chain(absent) {
        assert_eq!(set_int(&mut options, id, 1), Err(Error::Invalid), "option {id}");
        assert_eq!(options.get(id), Err(Error::Invalid), "option {id}");
    }
}

#[test]
fn conflation_acts_on_five_types() {
    use SocketType::{Dealer, Pub, Pull, Push, Sub};
    for number in 0..=20 {
        let socket_type = SocketType::try_from_i32(number).unwrap();
        let mut options = options(socket_type);
        assert!(!options.conflates());
        set_int(&mut options, c::ZMQ_CONFLATE, 1).unwrap();
        let expected = matches!(socket_type, Dealer | Pull | Push | Pub | Sub);
        assert_eq!(options.conflates(), expected, "{socket_type:?}");
    }
}

#[test]
fn helpers_for_patterns() {
    assert_eq!(int_value(&(-5i32).to_ne_bytes()), Ok(-5));
    assert_eq!(int_value(&[0; 3]), Err(Error::Invalid));
    assert_eq!(flag(&1i32.to_ne_bytes()), Ok(true));
    assert_eq!(flag(&(-1i32).to_ne_bytes()), Err(Error::Invalid));
    assert_eq!(non_negative(&0i32.to_ne_bytes()), Ok(0));
    assert_eq!(non_negative(&(-1i32).to_ne_bytes()), Err(Error::Invalid));
}
