//! What the library tells of itself: why a context does not end, and how many messages were dropped.

use std::env;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::ctx;
use zmq::message::Msg;

use crate::support::alone::alone;
use crate::support::local::{Context, PATIENCE, Socket};
use crate::support::raw::Raw;

const VARIABLE: &str = "FERROZMQ_DIAGNOSE";

/// For contexts made from now on.
fn diagnose(value: &str) {
    // SAFETY: this process has no other thread that reads the environment.
    unsafe { env::set_var(VARIABLE, value) };
}

/// Waits until a file has something in it that `wanted` picks: all of the file.
fn await_text(file: &str, wanted: impl Fn(&str) -> bool) -> String {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if wanted(&text) {
            return text;
        }
        assert!(started.elapsed() < PATIENCE, "in {file}:\n{text}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the context in another thread while `meanwhile` runs.
fn end_while(context: Context, meanwhile: impl FnOnce(&ctx::Context)) {
    let watched = ctx::lookup(context.handle).expect("a live context");
    thread::scope(|scope| {
        let ending = scope.spawn(move || drop(context));
        meanwhile(&watched);
        ending.join().expect("an end");
    });
}

/// Makes standard error go to a file; what it was can be put back.
struct Redirected(i32);

impl Redirected {
    fn to(file: &str) -> Redirected {
        let file = fs::File::create(file).expect("a file");
        // SAFETY: these only move descriptors, of which 2 belongs to nobody in particular.
        unsafe {
            let before = libc::dup(2);
            assert_eq!(libc::dup2(file.as_raw_fd(), 2), 2);
            Redirected(before)
        }
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // SAFETY: as above; the copy is this object's.
        unsafe {
            libc::dup2(self.0, 2);
            libc::close(self.0);
        }
    }
}

#[test]
fn sockets_that_were_left_open_are_named() {
    alone(|| {
        diagnose("report");
        let context = Context::new();
        let (bound, fresh) = (context.socket(c::ZMQ_XPUB), context.socket(c::ZMQ_DEALER));
        bound.api().bind("inproc://somewhere").expect("a free name");
        let (one, other) = (format!("{:#x}", bound.handle), format!("{:#x}", fresh.handle));
        end_while(context, |context| {
            let text = await_text("report", |text| text.contains("DEALER"));
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines[0].contains("zmq_ctx_term has waited 1."), "{text}");
            assert!(lines[0].contains(&format!("process {}:", std::process::id())), "{text}");
            let left = "not closed by the application";
            assert_eq!(
                lines[1],
                format!("  XPUB socket {one}, last endpoint inproc://somewhere: {left}")
            );
            assert_eq!(
                lines[2],
                format!("  DEALER socket {other}, never bound or connected: {left}")
            );
            assert_eq!(lines.len(), 3, "{text}");
            drop(bound);
            // The second report has what is left.
            let text = await_text("report", |text| text.matches("zmq_ctx_term").count() == 2);
            assert_eq!(text.matches(&one).count(), 1, "{text}");
            assert_eq!(text.matches(&other).count(), 2, "{text}");
            assert_eq!(context.blockers().open_count, 1);
            drop(fresh);
        });
    });
}

#[test]
fn messages_that_nobody_takes_are_named_with_their_peer() {
    alone(|| {
        diagnose("report");
        let context = Context::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // Nobody listens there, before the end of the test.
        let nowhere = TcpListener::bind("127.0.0.1:0").and_then(|unused| unused.local_addr());
        let nowhere = nowhere.expect("a port");
        let push = context.socket(c::ZMQ_PUSH);
        push.set(c::ZMQ_LINGER, -1);
        push.set(c::ZMQ_SNDHWM, 4);
        push.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.greet("PULL");
        let body = vec![b'm'; 1 << 20];
        while push.try_send(&[&body], c::ZMQ_DONTWAIT).is_ok() {}
        drop(push);
        // This one will not wait for long, and there is nobody.
        let brief = context.socket(c::ZMQ_DEALER);
        brief.set(c::ZMQ_LINGER, 600_000);
        brief.connect(nowhere);
        brief.send(&[b"nobody hears"]);
        drop(brief);
        end_while(context, |context| {
            let text =
                await_text("report", |text| text.contains("closed PUSH") && text.ends_with('\n'));
            let of = |word: &str| text.lines().find(|line| line.contains(word)).expect(word);
            let line = of("closed PUSH");
            let start = format!(
                "  connection of a closed PUSH, tcp://{address} (connected, peer tcp://{address}): "
            );
            let rest = line.strip_prefix(&start).expect(line);
            assert!(rest.ends_with(" bytes not sent, waits for ever (ZMQ_LINGER -1)"), "{line}");
            let messages: usize =
                rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
            assert!((1..=4).contains(&messages), "{line}");
            let line = of("closed DEALER");
            assert!(line.contains(&format!("tcp://{nowhere} (")), "{line}");
            assert!(line.contains("): 1 messages, "), "{line}");
            assert!(line.contains("waits for 59"), "{line}");
            assert!(!text.contains("mmm") && !text.contains("nobody hears"), "{text}");
            assert!(!text.contains("not closed by the application"), "{text}");
            let blockers = context.blockers();
            assert_eq!((blockers.lingering.connections, blockers.closing_count), (2, 2));
            assert_eq!(blockers.lingering.messages, messages + 1);
            // The peer wakes up, and who had nobody finds somebody.
            peer.0.read_to_end(&mut Vec::new()).expect("everything");
            let late = TcpListener::bind(nowhere).expect("still free");
            let mut late = Raw::accept(&late);
            late.greet("ROUTER");
            assert_eq!(late.frame().1, b"nobody hears");
        });
    });
}

#[test]
fn nothing_is_told_to_who_did_not_ask() {
    alone(|| {
        let stay = |file: &str, wanted: fn(&str) -> bool| {
            let redirected = Redirected::to(file);
            let context = Context::new();
            let socket = context.socket(c::ZMQ_REP);
            end_while(context, |_| {
                thread::sleep(Duration::from_millis(1300));
                let _text = await_text(file, wanted);
                drop(socket);
            });
            drop(redirected);
            fs::read_to_string(file).expect("a file")
        };
        assert_eq!(stay("unset", str::is_empty), "");
        diagnose("");
        assert_eq!(stay("empty", str::is_empty), "");
        diagnose("stderr");
        let text = stay("stderr.txt", |text| text.contains("REP socket"));
        assert!(text.starts_with("ferrozmq: process "), "{text}");
        // What cannot be written where it should is told where it can.
        diagnose("no/such/folder");
        let text = stay("instead", |text| text.contains("REP socket"));
        assert!(text.starts_with("ferrozmq: no/such/folder: No such file"), "{text}");
    });
}

/// What a socket has dropped at marks, and for want of a receiver.
fn dropped(socket: &Socket) -> (u64, u64) {
    let [full, unroutable] =
        [c::ZMQ_FERRO_DROPPED_FULL, c::ZMQ_FERRO_DROPPED_UNROUTABLE].map(|option| {
            let mut buffer = [0; 8];
            assert_eq!(socket.api().option(option, &mut buffer), Ok(8));
            assert_eq!(socket.api().option(option, &mut [0; 4]), Err(Error::Invalid));
            assert_eq!(socket.api().set_option(option, Some(&buffer)), Err(Error::Invalid));
            u64::from_ne_bytes(buffer)
        });
    (full, unroutable)
}

/// Receives until there were `count` messages at all of these together, and then no more.
fn expect_messages(receivers: &[Socket], count: u64) {
    let started = Instant::now();
    let mut got = 0;
    while got < count {
        let new = receivers.iter().filter_map(Socket::try_recv).count() as u64;
        got += new;
        if new == 0 {
            assert!(started.elapsed() < PATIENCE, "{got} of {count} messages");
            thread::yield_now();
        }
    }
    assert_eq!(got, count);
    assert!(receivers.iter().all(|receiver| receiver.try_recv().is_none()), "more than {count}");
}

/// Subscribers that do not read: what each missed is counted, to the message.
#[test]
fn a_slow_subscriber_misses_what_is_counted() {
    const MESSAGES: u64 = 3_000;
    for endpoint in ["tcp://127.0.0.1:*", "ipc://@ferrozmq-dropped", "inproc://dropped"] {
        let context = Context::new();
        let publisher = context.socket(c::ZMQ_XPUB);
        publisher.set(c::ZMQ_XPUB_VERBOSER, 1);
        publisher.set(c::ZMQ_SNDHWM, 5);
        publisher.set(c::ZMQ_SNDBUF, 4096);
        publisher.api().bind(endpoint).expect("a free endpoint");
        let address = publisher.last_endpoint();
        let subscribers: Vec<Socket> = (0..3).map(|_| context.socket(c::ZMQ_SUB)).collect();
        for (n, subscriber) in subscribers.iter().enumerate() {
            subscriber.set(c::ZMQ_RCVHWM, 5);
            subscriber.set(c::ZMQ_RCVBUF, 4096);
            subscriber.set_bytes(c::ZMQ_SUBSCRIBE, &[b'a'][..usize::from(n < 2)]);
            subscriber.api().connect(&address).expect("a connect");
            publisher.recv();
        }
        assert_eq!(dropped(&publisher), (0, 0));
        publisher.send(&[b"b"]);
        publisher.send(&[b"a", b"part"]);
        expect_messages(&subscribers, 4);
        assert_eq!(dropped(&publisher), (0, 0), "who did not want it has missed nothing");
        let body = [b'a'; 1000];
        for n in 0..MESSAGES {
            let parts: &[&[u8]] = if n % 2 == 0 { &[&body] } else { &[&body, b"more"] };
            publisher.send(parts);
        }
        let (full, unroutable) = dropped(&publisher);
        assert!(full > 0 && full < 3 * MESSAGES && unroutable == 0, "{endpoint}: {full}");
        expect_messages(&subscribers, 3 * MESSAGES - full);
        // A subscriber that went has missed nothing.
        drop(subscribers);
        for _ in 0..3 {
            publisher.recv();
        }
        publisher.send(&[&body]);
        assert_eq!(dropped(&publisher), (full, 0));
    }
}

#[test]
fn a_router_counts_what_it_cannot_deliver() {
    const MESSAGES: u64 = 50;
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_SNDHWM, 2);
    router.api().bind("inproc://router").expect("a free name");
    let dealer = context.socket(c::ZMQ_DEALER);
    dealer.set(c::ZMQ_RCVHWM, 2);
    dealer.set_bytes(c::ZMQ_ROUTING_ID, b"slow");
    dealer.api().connect("inproc://router").expect("a connect");
    dealer.send(&[b"here"]);
    router.recv();
    for n in 0..7 {
        router.send(&[b"nobody", b"a", b"b"]);
        assert_eq!(dropped(&router), (0, n + 1));
    }
    for _ in 0..MESSAGES {
        router.send(&[b"slow", b"", b"m"]);
    }
    let (full, unroutable) = dropped(&router);
    assert!(full > 0 && unroutable == 7, "{full}");
    // Who is told of it can count by himself.
    router.set(c::ZMQ_ROUTER_MANDATORY, 1);
    assert_eq!(router.try_send(&[b"slow", b"m"], c::ZMQ_DONTWAIT), Err(Error::Again));
    assert_eq!(router.try_send(&[b"nobody", b"m"], 0), Err(Error::HostUnreachable));
    assert_eq!(dropped(&router), (full, 7));
    expect_messages(&[dealer], MESSAGES - full);
}

#[test]
fn a_radio_and_an_xsub_count_as_well() {
    const MESSAGES: u64 = 50;
    let context = Context::new();
    let (radio, dish) = (context.socket(c::ZMQ_RADIO), context.socket(c::ZMQ_DISH));
    radio.set(c::ZMQ_SNDHWM, 2);
    radio.api().bind("inproc://radio").expect("a free name");
    dish.set(c::ZMQ_RCVHWM, 2);
    dish.api().join(b"group").expect("a group");
    dish.api().connect("inproc://radio").expect("a connect");
    for n in 0..MESSAGES {
        for (group, counts) in [(&b"group"[..], n >= 4), (b"other", false)] {
            let before = dropped(&radio).0;
            let mut msg = Msg::copy_of(b"body").expect("small");
            msg.set_group(group).expect("short");
            radio.api().send(&mut msg, 0).expect("a send");
            assert_eq!(dropped(&radio).0, before + u64::from(counts), "{n}");
        }
    }
    expect_messages(&[dish], 4);

    let (publisher, subscriber) = (context.socket(c::ZMQ_XPUB), context.socket(c::ZMQ_XSUB));
    publisher.set(c::ZMQ_RCVHWM, 2);
    publisher.api().bind("inproc://xpub").expect("a free name");
    subscriber.set(c::ZMQ_SNDHWM, 2);
    subscriber.api().connect("inproc://xpub").expect("a connect");
    for _ in 0..MESSAGES {
        subscriber.send(&[b"upstream"]);
    }
    let (full, unroutable) = dropped(&subscriber);
    assert!(full > 0 && unroutable == 0, "{full}");
    expect_messages(&[publisher], MESSAGES - full);
}
