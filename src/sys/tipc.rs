//! Addresses of AF_TIPC (linux/tipc.h), which no crate spells.

use socket2::{SockAddr, SockAddrStorage};

/// `sockaddr_tipc`; what the words mean depends on the kind.
#[repr(C)]
#[derive(Clone, Copy)]
struct Raw {
    family: libc::sa_family_t,
    kind: u8,
    scope: i8,
    words: [u32; 3],
}

const LEN: libc::socklen_t = size_of::<Raw>() as libc::socklen_t;

/// An address of the given kind (`TIPC_ADDR_*`), scope and words.
pub fn tipc_address(kind: u8, scope: i8, words: [u32; 3]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    let raw = Raw { family: libc::AF_TIPC as libc::sa_family_t, kind, scope, words };
    // SAFETY: the storage is larger than `Raw` and aligned for every kind of address, and `Raw` begins
    // with the family like all of them.
    unsafe { *storage.view_as::<Raw>() = raw };
    // SAFETY: the first `LEN` bytes have just been written as an address of their family.
    unsafe { SockAddr::new(storage, LEN) }
}

/// Kind and words of an address that the kernel gave; None for other families.
pub fn tipc_parts(address: &SockAddr) -> Option<(u8, [u32; 3])> {
    if i32::from(address.family()) != libc::AF_TIPC || address.len() < LEN {
        return None;
    }
    // SAFETY: the address is at least as long as `Raw`, all of whose bit patterns are valid.
    let raw = unsafe { address.as_ptr().cast::<Raw>().read_unaligned() };
    Some((raw.kind, raw.words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let address = tipc_address(2, 0, [1, 2, 3]);
        assert_eq!(address.len(), 16);
        assert_eq!(tipc_parts(&address), Some((2, [1, 2, 3])));
        let other: SockAddr = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        assert_eq!(tipc_parts(&other), None);
    }
}
