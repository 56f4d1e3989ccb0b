//! What a message promises, whatever holds its bytes. Meant to run under valgrind as well.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Metadata, Msg, Returns};
use crate::base::Error;

const SIZES: [usize; 14] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 33, 34, 5000];

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + 1) as u8).collect()
}

/// Memory that a free function gives back, and how often it was asked to.
struct Lender {
    bytes: Vec<u8>,
    constant: Vec<u8>,
    returned: AtomicUsize,
}

impl Lender {
    fn new(size: usize) -> Box<Lender> {
        Box::new(Lender {
            bytes: pattern(size),
            constant: pattern(size),
            returned: AtomicUsize::new(0),
        })
    }

    #[allow(unsafe_code, reason = "the lender outlives every message of these tests")]
    fn lend(&mut self) -> Msg {
        let hint = ptr::from_ref(&self.returned).cast_mut().cast();
        let data = self.bytes.as_mut_ptr().cast();
        // SAFETY: the bytes and the counter live until the end of the test, after all messages.
        unsafe { Msg::foreign(data, self.bytes.len(), Some(give_back), hint).unwrap() }
    }

    #[allow(unsafe_code, reason = "the lender outlives every message of these tests")]
    fn lend_constant(&self) -> Msg {
        let data = self.constant.as_ptr().cast_mut().cast();
        // SAFETY: the bytes live until the end of the test and are never written.
        unsafe { Msg::foreign(data, self.constant.len(), None, ptr::null_mut()).unwrap() }
    }

    fn returned(&self) -> usize {
        self.returned.load(Ordering::SeqCst)
    }
}

#[allow(unsafe_code, reason = "the form of a free function")]
unsafe extern "C" fn give_back(data: *mut c_void, hint: *mut c_void) {
    assert!(!data.is_null());
    // SAFETY: `Lender::lend` passes its counter.
    let returned = unsafe { &*hint.cast::<AtomicUsize>() };
    returned.fetch_add(1, Ordering::SeqCst);
}

#[allow(unsafe_code, reason = "the address is only looked at")]
fn address(msg: &Msg) -> usize {
    // SAFETY: the pointer is not used.
    unsafe { msg.raw_data_ptr() as usize }
}

/// One message of every kind, each with the same `size` bytes; and, first so that it is dropped
/// last, what must outlive them.
fn every_kind(size: usize) -> (Box<Lender>, Vec<(&'static str, Msg)>) {
    let mut lender = Lender::new(size);
    let bytes = pattern(size);
    let chunk: Arc<Vec<u8>> = Arc::new([b"head", &*bytes, b"tail"].concat());
    let mut written = Msg::with_size(size).unwrap();
    written.data_mut().copy_from_slice(&bytes);
    let kinds = vec![
        ("written", written),
        ("copied", Msg::copy_of(&bytes).unwrap()),
        ("vector", Msg::from_vec(bytes.clone())),
        ("slice", Msg::slice_of(&chunk, 4..4 + size)),
        ("foreign", lender.lend()),
        ("constant", lender.lend_constant()),
    ];
    (lender, kinds)
}

#[test]
fn every_kind_holds_its_bytes() {
    for size in SIZES {
        let expected = pattern(size);
        let (_lender, kinds) = every_kind(size);
        for (kind, mut msg) in kinds {
            assert_eq!(msg.size(), size, "{kind}");
            assert_eq!(msg.is_empty(), size == 0, "{kind}");
            assert_eq!(msg.data(), expected, "{kind} {size}");
            assert_eq!(msg.data_mut(), expected, "{kind} {size}");
            let moved = Box::new(msg);
            assert_eq!(moved.data(), expected, "{kind} {size}");
        }
    }
}

#[test]
fn small_payloads_lie_eight_bytes_into_the_message() {
    for size in SIZES {
        let (_lender, kinds) = every_kind(size);
        for (kind, msg) in &kinds {
            let inline = address(msg) == ptr::from_ref(msg) as usize + 8;
            let lent = matches!(*kind, "foreign" | "constant");
            assert_eq!(inline, size <= Msg::INLINE_MAX && !lent, "{kind} {size}");
        }
    }
}

#[test]
fn large_payloads_stay_where_they_are_when_moved() {
    let (_lender, kinds) = every_kind(34);
    for (kind, mut msg) in kinds {
        let before = address(&msg);
        let moved = msg.take();
        assert_eq!(address(&moved), before, "{kind}");
        assert!(msg.is_empty() && !msg.more(), "{kind}");
    }
}

#[test]
fn a_sized_message_reads_as_zeros() {
    for size in SIZES {
        assert!(Msg::with_size(size).unwrap().data().iter().all(|&byte| byte == 0));
        assert!(Msg::with_size(size).unwrap().data_mut().iter().all(|&byte| byte == 0));
        let copy = Msg::with_size(size).unwrap().share().unwrap();
        assert!(copy.data().iter().all(|&byte| byte == 0));
        let mut msg = Msg::with_size(size).unwrap();
        msg.data_mut().fill(9);
        assert!(msg.take().data().iter().all(|&byte| byte == 9));
    }
}

#[test]
#[allow(unsafe_code, reason = "plays the C program that fills a message")]
fn what_c_writes_is_not_overwritten_by_zeros() {
    let msg = Msg::with_size(100).unwrap();
    // SAFETY: the message has 100 bytes and no other user.
    unsafe { msg.raw_data_ptr().write_bytes(5, 100) };
    assert_eq!(msg.data(), [5; 100]);
}

#[test]
fn impossible_sizes_are_refused() {
    for size in [usize::MAX, usize::MAX - 8, isize::MAX as usize, 1 << 60] {
        assert_eq!(Msg::with_size(size).unwrap_err(), Error::NoMemory);
    }
}

#[test]
fn vectors_and_slices_are_not_copied() {
    let bytes = pattern(1000);
    let start = bytes.as_ptr() as usize;
    let msg = Msg::from_vec(bytes);
    assert_eq!(address(&msg), start);

    let chunk = Arc::new(pattern(1000));
    let slice = Msg::slice_of(&chunk, 100..200);
    assert_eq!(address(&slice), chunk.as_ptr() as usize + 100);
    assert_eq!(Arc::strong_count(&chunk), 2);
    let small = Msg::slice_of(&chunk, 100..133);
    assert_eq!(small.data(), &chunk[100..133]);
    assert_eq!(Arc::strong_count(&chunk), 2);
    drop(slice);
    assert_eq!(Arc::strong_count(&chunk), 1);
}

#[test]
fn slices_keep_their_chunk_alive() {
    let chunk = Arc::new(pattern(1000));
    let mut slice = Msg::slice_of(&chunk, 0..500);
    let weak = Arc::downgrade(&chunk);
    drop(chunk);
    let copy = slice.share().unwrap();
    drop(slice);
    assert_eq!(copy.data(), &pattern(1000)[..500]);
    drop(copy);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_free_function_runs_once_when_the_last_user_goes() {
    for size in [0, 1, 33, 34, 5000] {
        let mut lender = Lender::new(size);
        drop(lender.lend());
        assert_eq!(lender.returned(), 1, "{size}");

        let mut msg = lender.lend();
        assert!(!msg.is_shared());
        let copies: Vec<Msg> = (0..5).map(|_| msg.share().unwrap()).collect();
        drop(msg);
        assert_eq!(lender.returned(), 1, "{size}");
        thread::scope(|scope| {
            for copy in copies {
                scope.spawn(move || assert_eq!(copy.data(), pattern(size)));
            }
        });
        assert_eq!(lender.returned(), 2, "{size}");

        let mut over = lender.lend();
        assert_eq!((over.size(), lender.returned()), (size, 2));
        over = Msg::new();
        assert_eq!((over.size(), lender.returned()), (0, 3));
    }
}

#[test]
#[allow(unsafe_code, reason = "the refusal happens before anything is read")]
fn null_needs_size_zero() {
    let null = ptr::null_mut();
    // SAFETY: null is allowed for size 0, and refused else.
    unsafe {
        assert_eq!(Msg::foreign(null, 0, None, null).unwrap().data(), b"");
        assert_eq!(Msg::foreign(null, 1, None, null).unwrap_err(), Error::Fault);
    }
}

#[test]
fn being_shared_follows_the_rules_of_the_property() {
    for size in [0, 33, 34, 5000] {
        let (_lender, kinds) = every_kind(size);
        for (kind, mut msg) in kinds {
            assert_eq!(msg.is_shared(), kind == "constant", "{kind} {size}");
            let copy = msg.share().unwrap();
            let counted = size > Msg::INLINE_MAX || matches!(kind, "foreign" | "constant");
            assert_eq!(msg.is_shared(), counted, "{kind} {size}");
            assert_eq!(copy.is_shared(), counted, "{kind} {size}");
            drop(msg);
            assert_eq!(copy.is_shared(), counted, "{kind} {size}");
        }
    }
}

#[test]
fn writing_to_one_copy_does_not_change_the_other() {
    for size in [1, 33, 34, 5000] {
        let (lender, kinds) = every_kind(size);
        for (kind, mut msg) in kinds {
            let mut copy = msg.share().unwrap();
            copy.data_mut().fill(0);
            assert_eq!(msg.data(), pattern(size), "{kind} {size}");
            assert!(copy.data().iter().all(|&byte| byte == 0), "{kind} {size}");
            let (before, constant) = (address(&msg), kind == "constant");
            msg.data_mut().fill(1);
            assert_eq!(address(&msg) == before, !constant, "{kind} {size}: sole users stay");
        }
        assert_eq!(lender.bytes, vec![1; size], "foreign memory of a sole user is written");
        assert_eq!(lender.returned(), 1);
    }
}

#[test]
fn writing_to_a_slice_leaves_the_chunk_alone() {
    let chunk = Arc::new(pattern(100));
    let mut slice = Msg::slice_of(&chunk, 10..60);
    slice.data_mut().fill(0);
    assert_eq!(*chunk, pattern(100));
    let mut last = Msg::slice_of(&chunk, 10..60);
    let place = chunk.as_ptr() as usize + 10;
    drop(chunk);
    last.data_mut().fill(0);
    assert_eq!(address(&last), place, "nobody else is left to see it");
}

#[test]
fn everything_goes_along_with_a_copy() {
    for (size, group) in [(3, "news"), (100, "a group beyond fourteen characters")] {
        let metadata = Arc::new(Metadata::new(-1));
        let mut msg = Msg::copy_of(&pattern(size)).unwrap();
        msg.set_more(true);
        msg.set_routing_id(77);
        msg.set_group(group.as_bytes()).unwrap();
        msg.set_metadata(Some(Arc::clone(&metadata)));
        assert_eq!(Arc::strong_count(&metadata), 2);
        let copy = msg.share().unwrap();
        drop(msg);
        assert!(copy.more() && !copy.is_command() && !copy.is_routing_id());
        assert_eq!(copy.routing_id(), 77);
        assert_eq!(copy.group().to_bytes(), group.as_bytes());
        assert!(Arc::ptr_eq(copy.metadata().unwrap(), &metadata));
        assert_eq!(Arc::strong_count(&metadata), 2);
        drop(copy);
        assert_eq!(Arc::strong_count(&metadata), 1);
    }
}

#[test]
fn metadata_can_be_replaced_and_removed() {
    let (one, two) = (Arc::new(Metadata::new(1)), Arc::new(Metadata::new(2)));
    let mut msg = Msg::new();
    assert!(msg.metadata().is_none());
    msg.set_metadata(Some(Arc::clone(&one)));
    msg.set_metadata(Some(Arc::clone(&two)));
    assert_eq!(msg.metadata().map(|metadata| metadata.fd()), Some(2));
    assert_eq!(Arc::strong_count(&one), 1);
    msg.set_metadata(None);
    assert_eq!(Arc::strong_count(&two), 1);
    assert!(msg.metadata().is_none());
}

#[test]
fn flags_are_independent() {
    let mut msg = Msg::new();
    msg.set_more(true);
    msg.set_command(true);
    msg.set_routing_id_frame(true);
    assert!(msg.more() && msg.is_command() && msg.is_routing_id());
    msg.set_command(false);
    assert!(msg.more() && !msg.is_command() && msg.is_routing_id());
    let taken = msg.take();
    assert!(taken.more() && !msg.more() && !msg.is_routing_id());
}

#[test]
fn groups_have_at_most_255_bytes() {
    let mut msg = Msg::new();
    assert_eq!(msg.group(), c"");
    for size in [1, 13, 14, 15, 16, 255, 14, 255, 1, 0] {
        let name = vec![b'g'; size];
        msg.set_group(&name).unwrap();
        assert_eq!(msg.group().to_bytes(), name);
    }
    msg.set_group(b"kept").unwrap();
    assert_eq!(msg.set_group(&[b'g'; 256]), Err(Error::Invalid));
    assert_eq!(msg.group(), c"kept");
    msg.set_group(b"cut\0off").unwrap();
    assert_eq!(msg.group(), c"cut");
}

#[test]
#[allow(unsafe_code, reason = "plays the C program that holds a zmq_msg_t")]
fn a_closed_message_is_recognised() {
    let mut lender = Lender::new(50);
    let mut memory = MaybeUninit::<Msg>::zeroed();
    let place = memory.as_mut_ptr();
    // SAFETY: `place` is 64 readable and writable bytes throughout, and written to by nobody else.
    unsafe {
        assert!(!Msg::is_valid_raw(ptr::null()));
        assert!(!Msg::is_valid_raw(place.cast::<u8>().wrapping_add(1).cast()));
        assert!(!Msg::is_valid_raw(place));
        assert_eq!(Msg::close_raw(place), Err(Error::Fault));
        for make in [|_: &mut Lender| Msg::new(), |lender: &mut Lender| lender.lend()] {
            place.write(make(&mut lender));
            assert!(Msg::is_valid_raw(place));
            assert_eq!(Msg::close_raw(place), Ok(()));
            assert!(!Msg::is_valid_raw(place));
            assert_eq!(Msg::close_raw(place), Err(Error::Fault));
        }
    }
    assert_eq!(lender.returned(), 1);
    let (_lender, kinds) = every_kind(100);
    for (kind, mut msg) in kinds {
        msg.set_metadata(Some(Arc::new(Metadata::new(-1))));
        msg.set_group(b"a group beyond fourteen characters").unwrap();
        // SAFETY: a live message.
        assert!(unsafe { Msg::is_valid_raw(&raw const msg) }, "{kind}");
    }
}

#[test]
fn debug_shows_no_payload() {
    let text = format!("{:?}", Msg::copy_of(b"secret").unwrap());
    assert!(text.contains("size: 6") && !text.contains("secret"), "{text}");
}

#[test]
fn shares_are_counted_at_once_and_each_given_back() {
    let bytes = pattern(5000);
    for (count, taken) in [(3, 3), (3, 1), (3, 0), (0, 0)] {
        let mut part = Msg::copy_of(&bytes).unwrap();
        part.set_more(true);
        let mut other = part.share().unwrap();
        let mut shares = part.into_shares(count).unwrap_or_else(|_| panic!("a block"));
        let got: Vec<Msg> = shares.by_ref().take(taken).collect();
        assert_eq!((got.len(), shares.by_ref().count()), (taken, count - taken));
        drop(shares);
        for share in &got {
            assert!(share.data() == bytes && share.more() && share.is_shared());
            assert_eq!(share.data().as_ptr(), other.data().as_ptr());
        }
        let before = other.data().as_ptr();
        let alone = got.is_empty();
        other.data_mut()[0] ^= 1;
        assert_eq!(other.data().as_ptr() == before, alone, "copied only where others would see it");
        assert!(got.iter().all(|share| share.data() == bytes));
    }
    for part in [Msg::copy_of(b"small").unwrap(), Msg::from_vec(bytes.clone())] {
        let size = part.size();
        assert!(part.into_shares(2).is_err_and(|part| part.size() == size));
    }
}

/// With a count of its calls for somebody to come.
fn returns() -> (Arc<Returns>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let wake = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    (Arc::new(Returns::new(Box::new(wake))), calls)
}

#[test]
fn what_was_sent_is_given_back_by_others() {
    let (returns, calls) = returns();
    let mut lenders: Vec<_> = (0..3).map(|_| Lender::new(100)).collect();
    let messages: Vec<Msg> = lenders.iter_mut().map(|lender| lender.lend()).collect();
    for mut message in messages {
        message.give_back_by(&returns);
        let second = message.share().unwrap();
        drop(message);
        drop(second);
    }
    assert!(lenders.iter().all(|lender| lender.returned() == 0));
    assert_eq!(calls.load(Ordering::SeqCst), 1, "one wake-up for many");
    returns.give_back();
    assert!(lenders.iter().all(|lender| lender.returned() == 1));
    let mut message = lenders[0].lend();
    message.give_back_by(&returns);
    message.data_mut();
    message.clear();
    assert_eq!((lenders[0].returned(), calls.load(Ordering::SeqCst)), (1, 2));
    returns.close();
    assert_eq!(lenders[0].returned(), 2);
    let message = lenders[1].lend();
    message.give_back_by(&returns);
    drop(message);
    assert_eq!(lenders[1].returned(), 2, "nobody would come for it any more");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn its_user_gives_back_at_once() {
    let (returns, calls) = returns();
    let mut lender = Lender::new(100);
    let mut message = lender.lend();
    message.give_back_by(&returns);
    let second = message.share().unwrap();
    message.close();
    assert_eq!(lender.returned(), 0);
    second.close();
    assert_eq!((lender.returned(), calls.load(Ordering::SeqCst)), (1, 0));
    // Others have no function to call.
    for message in [Msg::copy_of(&[1; 100]).unwrap(), Msg::new(), lender.lend_constant()] {
        assert!(!message.is_foreign());
        message.give_back_by(&returns);
        message.close();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
