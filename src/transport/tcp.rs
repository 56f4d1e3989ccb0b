//! Kernel sockets for TCP: creation and every option that acts on them.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::options::Options;

/// The options that also act on accepted sockets, copied out when the listener starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    tos: u32,
    priority: u32,
    keepalive: i32,
    keepalive_count: i32,
    keepalive_idle_s: i32,
    keepalive_interval_s: i32,
    max_retransmit_ms: i32,
}

impl Tuning {
    pub(super) fn of(options: &Options) -> Tuning {
        Tuning {
            tos: u32::try_from(options.tos).unwrap_or(0),
            priority: u32::try_from(options.priority).unwrap_or(0),
            keepalive: options.tcp_keepalive,
            keepalive_count: options.tcp_keepalive_cnt,
            keepalive_idle_s: options.tcp_keepalive_idle_s,
            keepalive_interval_s: options.tcp_keepalive_intvl_s,
            max_retransmit_ms: options.tcp_maxrt_ms,
        }
    }

    /// The same for WebSocket, whose pings take the place of keepalives.
    pub(super) fn without_keepalive(self) -> Tuning {
        Tuning { keepalive: -1, ..self }
    }

    /// Marks the traffic of a socket. The kernel refuses high priorities to ordinary users.
    pub(super) fn mark_traffic(&self, socket: &SockRef<'_>, ipv6: bool) -> io::Result<()> {
        if self.tos != 0 {
            // On a dual-stack socket the IPv4 option covers its v4-mapped peers.
            socket.set_tos_v4(self.tos)?;
            if ipv6 {
                socket.set_tclass_v6(self.tos)?;
            }
        }
        if self.priority != 0 {
            socket.set_priority(self.priority)?;
        }
        Ok(())
    }

    /// Sets what a connected socket needs. Failures are left for the first read or write to
    /// report: the kernel refuses these only on a connection that is already dead.
    pub(super) fn apply_connected(&self, socket: &SockRef<'_>) {
        let _ = socket.set_tcp_nodelay(true);
        match self.keepalive {
            -1 => {}
            0 => {
                let _ = socket.set_keepalive(false);
            }
            _ => {
                let _ = socket.set_tcp_keepalive(&self.keepalive_times());
            }
        }
    }

    /// Limits how long sent data may stay without acknowledgement.
    pub(super) fn limit_retransmit(&self, socket: &SockRef<'_>) {
        if let Some(limit) = positive(self.max_retransmit_ms) {
            let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(limit)));
        }
    }

    fn keepalive_times(&self) -> TcpKeepalive {
        let mut times = TcpKeepalive::new();
        if let Some(seconds) = positive(self.keepalive_idle_s) {
            times = times.with_time(Duration::from_secs(seconds));
        }
        if let Some(seconds) = positive(self.keepalive_interval_s) {
            times = times.with_interval(Duration::from_secs(seconds));
        }
        if let Ok(count @ 1..) = u32::try_from(self.keepalive_count) {
            times = times.with_retries(count);
        }
        times
    }
}

/// A new non-blocking socket of the address's family.
pub(super) fn open(address: &SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(*address);
    Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// Sets everything that has to precede bind or connect.
pub(super) fn prepare(socket: &Socket, ipv6: bool, options: &Options) -> io::Result<()> {
    if ipv6 {
        socket.set_only_v6(false)?;
    }
    if let Ok(size) = usize::try_from(options.sndbuf) {
        socket.set_send_buffer_size(size)?;
    }
    if let Ok(size) = usize::try_from(options.rcvbuf) {
        socket.set_recv_buffer_size(size)?;
    }
    if !options.bind_to_device.is_empty() {
        socket.bind_device(Some(&options.bind_to_device))?;
    }
    if let Ok(microseconds @ 1..) = u32::try_from(options.busy_poll) {
        // Advice to the kernel that it may refuse; the traffic works without.
        let _ = socket.set_busy_poll(microseconds);
    }
    Tuning::of(options).mark_traffic(&SockRef::from(socket), ipv6)
}

/// Whether sockets shall be IPv6: asked for, and known to the kernel. Without IPv6 in the kernel
/// everything goes on as if only IPv4 had been asked for.
pub(super) fn wants_ipv6(options: &Options) -> bool {
    static KERNEL_HAS_IPV6: OnceLock<bool> = OnceLock::new();
    options.ipv6
        && *KERNEL_HAS_IPV6.get_or_init(|| {
            match Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)) {
                Ok(_) => true,
                Err(error) => error.raw_os_error() != Some(libc::EAFNOSUPPORT),
            }
        })
}

fn positive(value: i32) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}
