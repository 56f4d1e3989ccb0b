//! Writing a short frame behind others, which is most of what sending a short message takes.
//!
//! What a frame looks like is said in `frame`; this is only the one place where its bytes go into memory that was
//! reserved, without a check and a call for each piece.

use std::ptr;

/// Appends two bytes and `body`; false, with nothing done, where there is no memory for these yet.
#[inline(always)]
pub(super) fn append(out: &mut Vec<u8>, head: [u8; 2], body: &[u8]) -> bool {
    let (before, size) = (out.len(), body.len());
    let room = out.capacity() - before;
    if room < head.len() || room - head.len() < size {
        return false;
    }
    // SAFETY: capacity beyond the length is writable, and there is enough of it for both; it is no part of `body`, which is
    // borrowed apart from `out`. All bytes up to the new length are written.
    unsafe {
        let place = out.as_mut_ptr().add(before);
        place.cast::<[u8; 2]>().write(head);
        copy(body.as_ptr(), place.add(head.len()), size);
        out.set_len(before + head.len() + size);
    }
    true
}

/// Copies `size` bytes; few of them by moves of fixed width that may overlap each other, as a call costs more.
///
/// # Safety
/// `from` is readable and `to` writable for `size` bytes, and they do not overlap.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, size: usize) {
    let last = size.wrapping_sub(16);
    // SAFETY: every move lies within the `size` bytes, by the comparison around it.
    unsafe {
        match size {
            16..=64 => {
                ptr::copy_nonoverlapping(from, to, 16);
                if size > 32 {
                    ptr::copy_nonoverlapping(from.add(16), to.add(16), 16);
                    ptr::copy_nonoverlapping(from.add(last - 16), to.add(last - 16), 16);
                }
                ptr::copy_nonoverlapping(from.add(last), to.add(last), 16);
            }
            8..=15 => {
                ptr::copy_nonoverlapping(from, to, 8);
                ptr::copy_nonoverlapping(from.add(size - 8), to.add(size - 8), 8);
            }
            4..=7 => {
                ptr::copy_nonoverlapping(from, to, 4);
                ptr::copy_nonoverlapping(from.add(size - 4), to.add(size - 4), 4);
            }
            1 => to.write(from.read()),
            _ => ptr::copy_nonoverlapping(from, to, size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_copied_whole_and_nothing_else_is_written() {
        let body: Vec<u8> = (0..300u32).map(|n| n as u8).collect();
        for size in 0..body.len() {
            let body = &body[..size];
            let mut out = Vec::with_capacity(3 + 2 + size);
            out.extend_from_slice(b"old");
            let room = out.capacity();
            assert!(append(&mut out, [1, 2], body));
            assert_eq!((&out[..3], &out[3..5], &out[5..]), (&b"old"[..], &[1, 2][..], body));
            out.resize(room, 0);
            out.truncate(room - 1 - size);
            assert!(!append(&mut out, [1, 2], body), "{size} bytes and two do not fit");
            assert_eq!((out.len(), out.capacity()), (room - 1 - size, room));
        }
    }
}
