//! An authentication handler (RFC 27) of the test's own, in a thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use zmq::base::constants as c;

use super::local::{Context, PATIENCE, Socket};

const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// What a server asks, and the frames it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub domain: Vec<u8>,
    pub address: String,
    pub routing_id: Vec<u8>,
    pub mechanism: String,
    pub credentials: Vec<Vec<u8>>,
}

/// The frames of an answer, without the delimiter.
pub fn answer(status: &str, user: &str, metadata: &[u8]) -> Vec<Vec<u8>> {
    let fields = ["1.0", "1", status, "text", user].map(|field| field.as_bytes().to_vec());
    [&fields[..], &[metadata.to_vec()]].concat()
}

/// A bound handler; it ends when dropped.
pub struct Handler {
    requests: Receiver<Request>,
    stop: Socket,
    thread: Option<JoinHandle<()>>,
}

impl Handler {
    /// One on a REP; it answers what `judge` says, and nothing where that says nothing.
    pub fn start(
        context: &Context,
        judge: impl FnMut(&Request) -> Option<Vec<Vec<u8>>> + Send + 'static,
    ) -> Handler {
        Handler::of_type(context, c::ZMQ_REP, judge)
    }

    /// One that always answers the same.
    pub fn that_says(context: &Context, frames: Vec<Vec<u8>>) -> Handler {
        Handler::start(context, move |_| Some(frames.clone()))
    }

    /// One on a REP or a ROUTER.
    pub fn of_type(
        context: &Context,
        socket_type: i32,
        judge: impl FnMut(&Request) -> Option<Vec<Vec<u8>>> + Send + 'static,
    ) -> Handler {
        let socket = context.socket(socket_type);
        socket.api().bind(ENDPOINT).expect("a free name");
        let stop = context.socket(c::ZMQ_DEALER);
        stop.api().connect(ENDPOINT).expect("a connect");
        let (sender, requests) = channel();
        let thread = std::thread::spawn(move || serve(&socket, judge, &sender));
        Handler { requests, stop, thread: Some(thread) }
    }

    /// The next request.
    pub fn request(&self) -> Request {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }

    /// How many requests came that nobody has looked at.
    pub fn unseen(&self) -> usize {
        self.requests.try_iter().count()
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // One that has gone by itself hears nothing.
        let _gone = self.stop.try_send(&[b"", b"stop"], c::ZMQ_DONTWAIT);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    socket: &Socket,
    mut judge: impl FnMut(&Request) -> Option<Vec<Vec<u8>>>,
    requests: &Sender<Request>,
) {
    while let Ok(parts) = socket.recv_with(0) {
        // A ROUTER shows the way back and the delimiter.
        let way = parts.iter().position(Vec::is_empty).filter(|at| *at == 1).map_or(0, |at| at + 1);
        let (way, frames) = parts.split_at(way);
        if frames == [b"stop"] {
            return;
        }
        assert!(frames.len() >= 6, "{frames:?}");
        assert_eq!(frames[..2], [&b"1.0"[..], b"1"]);
        let text = |n: usize| String::from_utf8_lossy(&frames[n]).into_owned();
        let request = Request {
            domain: frames[2].clone(),
            address: text(3),
            routing_id: frames[4].clone(),
            mechanism: text(5),
            credentials: frames[6..].to_vec(),
        };
        let judgement = judge(&request);
        // Nobody has to look.
        let _unseen = requests.send(request);
        let Some(answer) = judgement else { return };
        let parts: Vec<&[u8]> = way.iter().chain(&answer).map(Vec::as_slice).collect();
        socket.send(&parts);
    }
}
