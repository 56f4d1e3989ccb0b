//! A network interface that goes away and comes back.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use zmq::base::constants as c;
use zmq::message::Msg;

use crate::support::alone::alone;
use crate::support::local::Context;

/// Gives this process a network of its own, with nothing in it but a loopback interface that is off. False where that
/// is not allowed.
fn own_network() -> bool {
    // SAFETY: takes a number, and concerns this thread and those it starts.
    unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
}

fn turn_loopback(on: bool) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // SAFETY: all zeros are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, letter) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *letter as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = if on { libc::IFF_UP as libc::c_short } else { 0 };
    // SAFETY: an open descriptor, and a request that outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// What the kernel says to connects, sends and datagrams then ends an attempt, at most, and nothing else.
#[test]
fn an_interface_goes_and_comes_back() {
    alone(|| {
        if !own_network() {
            println!("skipped: this process may not have a network of its own");
            return;
        }
        turn_loopback(true);
        let context = Context::new();
        let server = context.socket(c::ZMQ_REP);
        let address = server.listen();
        let client = || {
            let client = context.socket(c::ZMQ_REQ);
            client.set(c::ZMQ_RECONNECT_IVL, 10);
            // The kernel says nothing while the interface is off.
            client.set(c::ZMQ_CONNECT_TIMEOUT, 50);
            client
        };
        // To this address there is no way at all, which the kernel does say.
        let lost = client();
        let lost_events = lost.watch(&context);
        lost.api().connect("tcp://192.0.2.1:9").expect("a connect");
        let old = client();
        old.connect(address);
        let radio = context.socket(c::ZMQ_RADIO);
        radio.api().connect("udp://127.0.0.1:9").expect("a connect");
        let ask = |client: &crate::support::local::Socket| {
            client.send(&[b"question"]);
            assert_eq!(server.recv(), [b"question"]);
            server.send(&[b"answer"]);
            assert_eq!(client.recv(), [b"answer"]);
        };
        ask(&old);
        for _ in 0..3 {
            turn_loopback(false);
            let new = client();
            let events = new.watch(&context);
            new.connect(address);
            new.send(&[b"question"]);
            for _ in 0..5 {
                events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
                lost_events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
                let mut message = Msg::copy_of(b"into the void").expect("memory");
                message.set_group(b"TV").expect("a group");
                radio.api().send(&mut message, 0).expect("a send");
            }
            assert!(server.try_recv().is_none());
            turn_loopback(true);
            assert_eq!(server.recv(), [b"question"]);
            server.send(&[b"answer"]);
            assert_eq!(new.recv(), [b"answer"]);
            ask(&old);
            ask(&new);
        }
    });
}
