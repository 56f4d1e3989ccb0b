//! Thousands who connect and never come to the point: silent ones, some that stop after the greeting, some that say a
//! byte a second. Whoever means it is served meanwhile, nearly as fast as before, and memory stays within bounds.

use std::env;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::constants as c;

use crate::support::alone::{alone, descriptors, memory};
use crate::support::curve::Pair;
use crate::support::local::{Context, PATIENCE, Socket};
use crate::support::raw::{Raw, greeting};

const ATTACK: &str = "FERROZMQ_TEST_ATTACK";

/// Good clients.
const CLIENTS: usize = 100;
/// Of a mechanism's handshake in progress, with everything around it. What the kernel holds is not counted.
const MOST_BYTES_A_STRANGER: usize = 8 * 1024;

/// Lets this process have so many descriptors, or as many as it may. Answers how many that is.
fn allow_descriptors(wanted: usize) -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes to `limit` only.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max.min(wanted as libc::rlim_t);
    // SAFETY: the call reads `limit` only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    limit.rlim_cur as usize
}

/// Attackers in a process of their own; they leave when dropped.
struct Attack {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Attack {
    /// Starts and returns when all have connected.
    fn start(to: SocketAddr, count: usize) -> Attack {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "hostile::strangers::attackers", "--ignored", "--nocapture"])
            .env(ATTACK, format!("{to} {count}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut attack = Attack { process, output };
        let mut lines = attack.output.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "there"), "the attackers failed");
        attack
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // They may have been in the middle of something.
        let _ended = self.process.wait();
    }
}

/// What [`Attack`] runs.
#[test]
#[ignore = "started by the tests of this file, in a process of its own"]
fn attackers() {
    let told = env::var(ATTACK).expect("started by another test");
    let (to, count) = told.split_once(' ').expect("two words");
    let (to, count): (SocketAddr, usize) = (to.parse().expect("one"), count.parse().expect("one"));
    allow_descriptors(count + 100);
    let connect = || TcpStream::connect(to).expect("a connection");
    let mut streams: Vec<TcpStream> = (0..count).map(|_| connect()).collect();
    let hail = greeting(b"CURVE");
    for stream in streams.iter_mut().skip(1).step_by(3) {
        stream.write_all(&hail).expect("a greeting");
    }
    println!("\nthere");
    let (ended, end) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        let _closed = std::io::stdin().read(&mut [0; 1]);
        drop(ended);
    });
    for byte in hail.iter().cycle() {
        let waited = end.recv_timeout(Duration::from_secs(1));
        if waited == Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
        for stream in streams.iter_mut().skip(2).step_by(3) {
            if stream.write_all(&[*byte]).is_err() {
                *stream = connect();
            }
        }
    }
}

/// A CURVE server that echoes, and who may talk to it.
struct Scene {
    // Sockets go before their context.
    stop: Socket,
    _server: Context,
    clients: Context,
    keys: Pair,
    address: SocketAddr,
    echo: Option<thread::JoinHandle<()>>,
}

impl Scene {
    fn new(io_threads: i32) -> Scene {
        let (server, clients, keys) = (Context::new(), Context::new(), Pair::new());
        server.set(c::ZMQ_IO_THREADS, io_threads);
        let socket = server.socket(c::ZMQ_REP);
        socket.set(c::ZMQ_CURVE_SERVER, 1);
        socket.set_bytes(c::ZMQ_CURVE_SECRETKEY, keys.secret.bytes());
        socket.set(c::ZMQ_BACKLOG, 4096);
        // On a busy machine strangers take minutes to come, and nobody says anything meanwhile.
        socket.set(c::ZMQ_HANDSHAKE_IVL, 600_000);
        socket.set(c::ZMQ_RCVTIMEO, -1);
        let address = socket.listen();
        socket.api().bind("inproc://stop").expect("a free name");
        let stop = server.socket(c::ZMQ_REQ);
        stop.api().connect("inproc://stop").expect("a connect");
        let echo = thread::spawn(move || {
            while let Ok(parts) = socket.recv_with(0)
                && parts != [b"stop"]
            {
                socket.send(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
        });
        Scene { stop, _server: server, clients, keys, address, echo: Some(echo) }
    }

    fn client(&self) -> Socket {
        let own = Pair::new();
        let client = self.clients.socket(c::ZMQ_REQ);
        client.set_bytes(c::ZMQ_CURVE_SERVERKEY, &self.keys.public);
        client.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &own.public);
        client.set_bytes(c::ZMQ_CURVE_SECRETKEY, own.secret.bytes());
        client.connect(self.address);
        client
    }

    /// How long a fresh client takes to its first answer.
    fn arrival(&self) -> Duration {
        let began = Instant::now();
        ask(&self.client());
        began.elapsed()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop.send(&[b"stop"]);
            self.echo.take().map(thread::JoinHandle::join);
        }
    }
}

/// One question and its answer.
fn ask(client: &Socket) -> Duration {
    let began = Instant::now();
    client.send(&[b"question"]);
    assert_eq!(client.recv(), [b"question"]);
    began.elapsed()
}

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The best of several rounds' medians: other things that happen on the machine only make it longer.
fn latency(clients: &[Socket]) -> Duration {
    (0..5).map(|_| median(clients.iter().map(ask).collect())).min().expect("rounds")
}

/// As [`latency`], of fresh clients.
fn arrivals(scene: &Scene) -> Duration {
    (0..3).map(|_| median((0..9).map(|_| scene.arrival()).collect())).min().expect("rounds")
}

/// The best of some measurements, of which one below `enough` is the last: the machine may have something else to do
/// for a while, and strangers do not go away.
fn best(enough: Duration, mut measure: impl FnMut() -> Duration) -> Duration {
    const TRIES: usize = 20;
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(measure());
        if best < enough {
            break;
        }
    }
    best
}

/// Until so many descriptors are open.
fn wait_for_descriptors(count: usize) {
    let began = Instant::now();
    while descriptors() < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} descriptors", descriptors());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn good_clients_hardly_notice_thousands_of_strangers() {
    alone(|| {
        const WANTED: usize = 5000;
        let allowed = allow_descriptors(WANTED + 1000);
        let count = WANTED.min(allowed.saturating_sub(1000));
        if count < WANTED {
            println!("only {count} strangers instead of {WANTED}: {allowed} descriptors allowed");
        }
        let scene = Scene::new(1);
        let clients: Vec<Socket> = (0..CLIENTS).map(|_| scene.client()).collect();
        for client in &clients {
            ask(client);
        }
        let (quiet, quiet_arrival) = (latency(&clients), arrivals(&scene));
        let (bytes, open) = (memory(), descriptors());
        let attack = Attack::start(scene.address, count);
        wait_for_descriptors(open + count);
        let each = memory().saturating_sub(bytes) / count;
        let most = 2 * quiet + Duration::from_micros(200);
        let busy = best(most, || latency(&clients));
        let most_arrival = 2 * quiet_arrival + Duration::from_millis(5);
        let busy_arrival = best(most_arrival, || arrivals(&scene));
        println!(
            "{count} strangers, {each} bytes each; round trip {quiet:?} before, {busy:?} among \
             them; first answer {quiet_arrival:?} before, {busy_arrival:?} among them"
        );
        assert!(each < MOST_BYTES_A_STRANGER, "{each} bytes a stranger");
        assert!(busy < most, "{busy:?} after {quiet:?}");
        assert!(busy_arrival < most_arrival, "{busy_arrival:?} after {quiet_arrival:?}");
        drop(attack);
        for client in &clients {
            ask(client);
        }
    });
}

/// More strangers than a context keeps, however many I/O threads serve them: the oldest go, and there is always room
/// for who comes now.
#[test]
fn there_is_a_bound_on_strangers() {
    alone(|| too_many(1));
}

#[test]
fn the_bound_is_one_for_all_io_threads() {
    alone(|| too_many(4));
}

fn too_many(io_threads: i32) {
    const MOST: usize = 16 * 1024;
    const TOO_MANY: usize = MOST + 1000;
    let allowed = allow_descriptors(TOO_MANY + 1000);
    if allowed < TOO_MANY + 1000 {
        println!("skipped: {allowed} descriptors allowed, {} needed", TOO_MANY + 1000);
        return;
    }
    let scene = Scene::new(io_threads);
    let old = scene.client();
    ask(&old);
    let open = descriptors();
    let attack = Attack::start(scene.address, TOO_MANY);
    wait_for_descriptors(open + MOST);
    for _ in 0..20 {
        scene.arrival();
        ask(&old);
    }
    // All who came have been seen by now, as the last of them waited for an answer.
    assert!(descriptors() < open + MOST + 100, "{} descriptors", descriptors() - open);
    drop(attack);
}

/// Strangers have taken all descriptors: the slow among them give way.
#[test]
fn strangers_do_not_use_descriptors_up() {
    alone(|| too_few_descriptors(1));
}

#[test]
fn strangers_of_every_io_thread_give_way() {
    alone(|| too_few_descriptors(4));
}

fn too_few_descriptors(io_threads: i32) {
    let scene = Scene::new(io_threads);
    let old = scene.client();
    ask(&old);
    allow_descriptors(descriptors() + 200);
    let attack = Attack::start(scene.address, 1000);
    // Each of these comes after all the strangers.
    for _ in 0..3 {
        let took = scene.arrival();
        assert!(took < Duration::from_secs(20), "{took:?} to the first answer");
        ask(&old);
    }
    drop(attack);
}

/// Who was turned away can tell.
#[test]
fn a_stranger_that_gives_way_is_closed() {
    alone(|| {
        let scene = Scene::new(1);
        ask(&scene.client());
        let mut stranger = TcpStream::connect(scene.address).expect("a connection");
        stranger.set_read_timeout(Some(PATIENCE)).expect("a limit");
        // It was heard: it is no longer in the kernel's queue.
        stranger.read_exact(&mut [0; 10]).expect("the start of a greeting");
        allow_descriptors(descriptors() + 50);
        let attack = Attack::start(scene.address, 500);
        let end = stranger.read(&mut [0; 1]);
        let closed =
            end.as_ref().map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |n| *n == 0);
        assert!(closed, "{end:?}");
        drop(attack);
    });
}

/// Whoever says nothing, or not enough, holds up neither the end of the context nor of the endpoint; not even where no
/// time limit is set.
#[test]
fn strangers_do_not_hold_up_the_end() {
    for (mechanism, io_threads) in [(c::ZMQ_NULL, 1), (c::ZMQ_CURVE, 3)] {
        let context = Context::new();
        context.set(c::ZMQ_IO_THREADS, io_threads);
        let server = context.socket(c::ZMQ_ROUTER);
        server.set(c::ZMQ_HANDSHAKE_IVL, 0);
        // One who has not said everything is worth no wait, however long others' messages may take.
        server.set(c::ZMQ_LINGER, -1);
        if mechanism == c::ZMQ_CURVE {
            server.set(c::ZMQ_CURVE_SERVER, 1);
        }
        for closes in [false, true] {
            let address = server.listen();
            let name = if mechanism == c::ZMQ_CURVE { &b"CURVE"[..] } else { b"NULL" };
            let hail = greeting(name);
            let mut strangers: Vec<Raw> = (0..9).map(|_| Raw::connect(address)).collect();
            for (n, stranger) in strangers.iter_mut().enumerate() {
                // It was heard: it is no longer in the kernel's queue.
                stranger.take(10);
                stranger.send(&hail[..[0, 5, 64][n % 3]]);
            }
            if closes {
                server.api().close().expect("open until now");
            } else {
                server.api().unbind(&server.last_endpoint()).expect("bound");
            }
            strangers.iter_mut().for_each(Raw::expect_end);
        }
        std::mem::forget(server);
        // Would wait for ever.
        drop(context);
    }
}
