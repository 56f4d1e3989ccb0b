//! What is left of secrets in the memory of the process once nobody needs them.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use zmq::base::constants as c;
use zmq::options::SocketType;
use zmq::zmtp::handshake::{Config, Handshake, Peer, Status};
use zmq::zmtp::mechanism::crypto::{Password, Random, SecretKey};
use zmq::zmtp::mechanism::curve::Keys;
use zmq::zmtp::mechanism::plain::Credentials;

use crate::support::alone::alone;
use crate::support::local::{Context, Socket};

/// Text is masked by this wherever it is to be recognised, but not to be found.
const MASK: u8 = 0xA5;

/// The middle of a key: what X25519 does to its ends does not hide it.
const CORE: std::ops::Range<usize> = 1..31;

/// Makes a byte string by `fill`, hands it to `lend`, and leaves nothing of it but what is needed to find it again.
fn lend(len: usize, fill: impl FnOnce(&mut [u8]), lend: impl FnOnce(&[u8])) -> Vec<u8> {
    let mut secret = vec![0; len];
    fill(&mut secret);
    lend(&secret);
    secret.iter_mut().for_each(|byte| *byte ^= MASK);
    black_box(&mut secret).clone()
}

/// In which stretches of this process's memory there is a masked text, and how often.
fn places(masked: &[u8]) -> Vec<(String, usize)> {
    const CHUNK: usize = 1 << 20;
    let memory = File::open("/proc/self/mem").expect("memory");
    let mut buffer = vec![0; CHUNK + masked.len()];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut found = Vec::new();
    for line in fs::read_to_string("/proc/self/maps").expect("maps").lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().expect("a range"), words.next().expect("rights"));
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("two ends");
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, end) = (number(from), number(to));
        let mut count = 0;
        while at < end {
            let len = buffer.len().min((end - at) as usize);
            // The buffer is memory as well: it is not looked at.
            let len = if at < own.start { len.min((own.start - at) as usize) } else { len };
            if own.contains(&at) {
                at = own.end;
                continue;
            }
            let got = memory.read_at(&mut buffer[..len], at).unwrap_or(0);
            count += buffer[..got]
                .windows(masked.len())
                .filter(|window| window.iter().zip(masked).all(|(a, b)| a ^ MASK == *b))
                .count();
            let overlap =
                if len > masked.len() && at + (len as u64) < end { masked.len() - 1 } else { 0 };
            at += (len - overlap) as u64;
        }
        buffer.fill(0);
        if count > 0 {
            found.push((line.split_whitespace().nth(5).unwrap_or(range).to_owned(), count));
        }
    }
    found
}

fn random(bytes: &mut [u8]) {
    let fresh = Random::of_system();
    for chunk in bytes.chunks_mut(1) {
        chunk.copy_from_slice(&fresh.take::<1>().expect("random bytes"));
    }
}

/// A key given as 32 bytes, and the public key that belongs to it.
fn give_key(socket: &Socket) -> (Vec<u8>, [u8; 32]) {
    let mut public = [0; 32];
    let masked = lend(32, random, |key| {
        socket.set_bytes(c::ZMQ_CURVE_SECRETKEY, key);
        public = SecretKey::new(key.try_into().expect("32 bytes")).public();
    });
    (masked[CORE].to_vec(), public)
}

#[test]
fn keys_do_not_outlive_their_sockets() {
    alone(|| {
        let context = Context::new();
        let server = context.socket(c::ZMQ_REP);
        let (server_key, server_public) = give_key(&server);
        server.set(c::ZMQ_CURVE_SERVER, 1);
        let address = server.listen();
        let client = context.socket(c::ZMQ_REQ);
        let (client_key, client_public) = give_key(&client);
        client.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &client_public);
        client.set_bytes(c::ZMQ_CURVE_SERVERKEY, &server_public);
        client.connect(address);
        for _ in 0..3 {
            client.send(&[b"question"]);
            assert_eq!(server.recv(), [b"question"]);
            server.send(&[b"answer"]);
            assert_eq!(client.recv(), [b"answer"]);
        }
        for key in [&server_key, &client_key] {
            assert!(!places(key).is_empty(), "this is how it would be found");
        }
        drop((server, client, context));
        assert_eq!(places(&server_key), [], "the server's");
        assert_eq!(places(&client_key), [], "the client's");
    });
}

/// The text of a key, as applications have it in their configurations.
#[test]
fn neither_do_their_texts() {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+";
    alone(|| {
        let context = Context::new();
        let client = context.socket(c::ZMQ_REQ);
        let fill = |text: &mut [u8]| {
            random(text);
            // No group of five may begin with a high digit, and these are low ones.
            text.iter_mut().for_each(|byte| *byte = DIGITS[usize::from(*byte) % DIGITS.len()]);
        };
        let text = lend(40, fill, |text| client.set_bytes(c::ZMQ_CURVE_SECRETKEY, text));
        client.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &[1; 32]);
        client.set_bytes(c::ZMQ_CURVE_SERVERKEY, &[2; 32]);
        client.api().connect("tcp://127.0.0.1:1").expect("a connect");
        drop((client, context));
        assert_eq!(places(&text), []);
    });
}

/// How many strings of random bytes were drawn.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// The byte at some place of some string that is drawn.
fn foreseen(string: u64, place: u64) -> u8 {
    let mixed = (string << 32 | place).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
}

fn curve(as_server: bool, curve: Keys) -> Config {
    Config {
        socket_type: SocketType::Dealer,
        routing_id: Vec::new(),
        mechanism: c::ZMQ_CURVE,
        as_server,
        plain: Credentials { username: Vec::new(), password: Password::new(b"") },
        curve,
        gssapi: None,
        random: Random::by(|bytes| {
            let string = DRAWN.fetch_add(1, Ordering::Relaxed);
            (0..).zip(bytes).for_each(|(place, byte)| *byte = foreseen(string, place));
            Ok(())
        }),
        zap_domain: Vec::new(),
        zap_enforce_domain: true,
        metadata: Vec::new(),
        max_msg_size: -1,
    }
}

/// Lets two ends talk until both are done.
fn converse(ends: &mut [Handshake; 2]) -> [Box<Peer>; 2] {
    let mut wires = [Vec::new(), Vec::new()];
    let mut peers = [None, None];
    ends.iter_mut().zip(&mut wires).for_each(|(end, wire)| end.start(wire));
    while peers.iter().any(Option::is_none) {
        for n in [0, 1] {
            let mut heard = std::mem::take(&mut wires[1 - n]);
            while !heard.is_empty() {
                let step = ends[n].input(&heard, Instant::now(), &mut wires[n]).expect("agreement");
                heard.drain(..step.consumed);
                if let Status::Done(peer) = step.status {
                    peers[n] = Some(peer);
                }
            }
        }
    }
    peers.map(|peer| peer.expect("done"))
}

/// Keys that are drawn for one connection go with it, most of them with its handshake.
#[test]
fn keys_of_one_connection_do_not_outlive_it() {
    alone(|| {
        let server = SecretKey::generate(Random::of_system()).expect("random bytes");
        let client = SecretKey::generate(Random::of_system()).expect("random bytes");
        let (server_public, client_public) = (server.public(), client.public());
        let keys = [(client, client_public, server_public), (server, server_public, [0; 32])]
            .map(|(secret, public, server)| Keys { public, secret, server });
        let mut as_server = false;
        let mut ends = keys.map(|keys| {
            let config = Arc::new(curve(std::mem::replace(&mut as_server, true), keys));
            Handshake::new(config).expect("a handshake")
        });
        let peers = converse(&mut ends);
        // The short-term secrets of both, the key of the cookie, and nonces, which are no secrets and are 16 bytes.
        let drawn = DRAWN.load(Ordering::Relaxed);
        assert_eq!(drawn, 6);
        let masked = |string| -> Vec<u8> {
            CORE.map(|place| foreseen(string, place as u64) ^ MASK).collect()
        };
        assert_ne!(places(&masked(0)), [], "the client's, which the end of the handshake has");
        drop((ends, peers));
        for string in 0..drawn {
            assert_eq!(places(&masked(string)), [], "the {string}th of {drawn}");
        }
    });
}

/// A password may be told to whoever asks the server's handler, and to nobody else; the handler here forgets it.
#[test]
fn passwords_are_forgotten() {
    alone(|| {
        let context = Context::new();
        let client = context.socket(c::ZMQ_REQ);
        client.set_bytes(c::ZMQ_PLAIN_USERNAME, b"admin");
        let password = lend(40, random_text, |text| client.set_bytes(c::ZMQ_PLAIN_PASSWORD, text));
        let server = context.socket(c::ZMQ_REP);
        server.set(c::ZMQ_PLAIN_SERVER, 1);
        let address = server.listen();
        let handler = context.socket(c::ZMQ_REP);
        handler.api().bind("inproc://zeromq.zap.01").expect("a free name");
        client.connect(address);
        client.send(&[b"question"]);
        let mut request = handler.recv();
        assert_eq!(request.len(), 8);
        request.iter_mut().for_each(|frame| black_box(frame).fill(0));
        handler.send(&[b"1.0", b"1", b"200", b"text", b"", b""]);
        assert_eq!(server.recv(), [b"question"]);
        drop((client, server, handler, context));
        assert_eq!(places(&password), []);
    });
}

/// The password of a SOCKS proxy, which is the only one to be told.
#[test]
fn what_a_proxy_is_told_is_forgotten() {
    alone(|| {
        let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = proxy.local_addr().expect("an address").to_string();
        let context = Context::new();
        let client = context.socket(c::ZMQ_REQ);
        client.set_bytes(c::ZMQ_SOCKS_PROXY, address.as_bytes());
        client.set_bytes(c::ZMQ_SOCKS_USERNAME, b"admin");
        let first = lend(40, random_text, |text| client.set_bytes(c::ZMQ_SOCKS_PASSWORD, text));
        let second = lend(40, random_text, |text| client.set_bytes(c::ZMQ_SOCKS_PASSWORD, text));
        assert_eq!(places(&first), [], "another took its place");
        client.set(c::ZMQ_RECONNECT_IVL, -1);
        client.api().connect("tcp://127.0.0.1:1").expect("a connect");
        let (mut stream, _) = proxy.accept().expect("the client");
        let mut method = [0; 3];
        stream.read_exact(&mut method).expect("its offer");
        assert_eq!(method, [5, 1, 2]);
        stream.write_all(&[5, 2]).expect("log in");
        // On the heap, and wiped: what is left must not be the test's.
        let mut login = vec![0; 2 + 5 + 1 + 40];
        stream.read_exact(&mut login).expect("the login");
        assert!(login[8..].iter().zip(&second).all(|(a, b)| a ^ MASK == *b));
        black_box(&mut login).fill(0);
        assert!(!places(&second).is_empty(), "this is how it would be found");
        stream.write_all(&[1, 1]).expect("refused");
        assert_eq!(stream.read(&mut login).expect("the end"), 0);
        drop((client, context));
        assert_eq!(places(&second), []);
    });
}

/// The texts of a server's private key, as they are given and as they are decoded. What the cryptographic library
/// computes from them is in its own hands.
#[test]
fn the_key_of_a_certificate_is_forgotten() {
    const CERTIFICATE: &[u8] = include_bytes!("../certificates/certificate.pem");
    const KEY: &[u8] = include_bytes!("../certificates/key.pem");
    alone(|| {
        let context = Context::new();
        let server = context.socket(c::ZMQ_REP);
        server.set_bytes(c::ZMQ_WSS_CERT_PEM, CERTIFICATE);
        let fill = |text: &mut [u8]| text.copy_from_slice(KEY);
        let text = lend(KEY.len(), fill, |text| server.set_bytes(c::ZMQ_WSS_KEY_PEM, text));
        let line = text.split(|byte| byte ^ MASK == b'\n').nth(2).expect("lines");
        assert_eq!(line.len(), 64);
        assert!(!places(line).is_empty(), "this is how it would be found");
        server.api().bind("wss://127.0.0.1:0").expect("a free port");
        let decoded = masked_base64(line);
        drop((server, context));
        assert_eq!(places(line), [], "as it was given");
        assert_eq!(places(&decoded), [], "decoded");
    });
}

/// What masked base 64 stands for, masked.
fn masked_base64(digits: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: &u8| {
        ALPHABET.iter().position(|known| known ^ MASK == *digit).expect("a digit") as u8
    };
    let mut out = Vec::new();
    for four in digits.chunks_exact(4) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| value(&four[n]));
        out.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d].map(|byte| byte ^ MASK));
    }
    out
}

fn random_text(bytes: &mut [u8]) {
    random(bytes);
    bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
}
