//! Borrowing what C hands over: handles, texts, buffers and messages.
//!
//! Every function turns NULL into an error or an empty value; what else may be wrong with a pointer
//! cannot be seen, and is the caller's duty. The lifetimes are as long as the C call.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::slice;

use crate::base::Error;
use crate::message::Msg;

/// The handle in a pointer; never read through.
#[inline(always)]
pub(super) fn handle(pointer: *mut c_void) -> usize {
    pointer.addr()
}

/// The pointer that C sees for a handle; never to be read through.
pub(super) fn from_handle(handle: usize) -> *mut c_void {
    ptr::without_provenance_mut(handle)
}

/// Takes the handle out of `*place`, leaving NULL; EFAULT when there is no place.
///
/// # Safety
/// `place` is NULL or points to a pointer that may be read and written.
pub(super) unsafe fn take_handle(place: *mut *mut c_void) -> Result<usize, Error> {
    if place.is_null() {
        return Err(Error::Fault);
    }
    // SAFETY: not NULL, so the caller promised that it can be read and written.
    Ok(handle(unsafe { place.replace(ptr::null_mut()) }))
}

/// A size as the `int` that C functions return; larger ones are reported as `INT_MAX`.
#[inline(always)]
pub(super) fn length(size: usize) -> c_int {
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

/// A NUL-terminated text; EINVAL for NULL and for what is not UTF-8.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that nobody changes during the call.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: the same promise.
    let text = unsafe { c_str(text) }?;
    text.to_str().map_err(|_| Error::Invalid)
}

/// A NUL-terminated string of any bytes; EINVAL for NULL.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn c_str<'a>(text: *const c_char) -> Result<&'a CStr, Error> {
    if text.is_null() {
        return Err(Error::Invalid);
    }
    // SAFETY: not NULL, so the caller promised a NUL-terminated string.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// A buffer to read; EFAULT for NULL with a length, ENOMEM for a length that no buffer has.
///
/// # Safety
/// `data` is NULL or points to `size` readable bytes that nobody changes during the call.
#[inline(always)]
pub(super) unsafe fn bytes<'a>(data: *const c_void, size: usize) -> Result<&'a [u8], Error> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Error::Fault);
    }
    if size > isize::MAX as usize {
        return Err(Error::NoMemory);
    }
    // SAFETY: not NULL and of a possible size, so the caller promised that it can be read.
    Ok(unsafe { slice::from_raw_parts(data.cast(), size) })
}

/// A buffer to fill; None for NULL with a length.
///
/// # Safety
/// `data` is NULL or points to `size` writable bytes that nobody else uses during the call.
#[inline(always)]
pub(super) unsafe fn bytes_mut<'a>(data: *mut c_void, size: usize) -> Option<&'a mut [u8]> {
    if size == 0 {
        return Some(&mut []);
    }
    if data.is_null() {
        return None;
    }
    // A length beyond all objects says "enough": no message has that much.
    let size = size.min(isize::MAX as usize);
    // SAFETY: not NULL, so the caller promised that many writable bytes; bytes need no initial value.
    Some(unsafe { slice::from_raw_parts_mut(data.cast(), size) })
}

/// An option value: `None` for NULL without a length; EINVAL for NULL with one and for impossible
/// lengths.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn value<'a>(
    data: *const c_void,
    size: usize,
) -> Result<Option<&'a [u8]>, Error> {
    if data.is_null() && size == 0 {
        return Ok(None);
    }
    // SAFETY: the same promise.
    let bytes = unsafe { bytes(data, size) };
    bytes.map(Some).map_err(|_| Error::Invalid)
}

/// A buffer to fill, and the place of its size; EFAULT when either is NULL (the buffer may be with
/// size 0).
///
/// # Safety `size` is NULL or may be read and written; `data` is NULL or points to `*size` writable
/// bytes, apart from `size`, that nobody else uses during the call.
pub(super) unsafe fn room<'a>(
    data: *mut c_void,
    size: *mut usize,
) -> Result<(&'a mut [u8], &'a mut usize), Error> {
    // SAFETY: NULL, or the caller promised that it can be read and written.
    let size = unsafe { size.as_mut() }.ok_or(Error::Fault)?;
    if *size == 0 {
        return Ok((&mut [], size));
    }
    if data.is_null() {
        return Err(Error::Fault);
    }
    // A length beyond all objects says "enough": no function needs that much.
    let bytes = (*size).min(isize::MAX as usize);
    // SAFETY: not NULL, so the caller promised that many writable bytes; bytes need no initial
    // value.
    Ok((unsafe { slice::from_raw_parts_mut(data.cast(), bytes) }, size))
}

/// Copies as many of `bytes` as fit to `data`; EFAULT when some would fit but `data` is NULL.
///
/// # Safety
/// `data` is NULL or points to `size` writable bytes that overlap no memory of the library.
#[inline(always)]
pub(super) unsafe fn copy_out(bytes: &[u8], data: *mut c_void, size: usize) -> Result<(), Error> {
    let count = bytes.len().min(size);
    if count == 0 {
        return Ok(());
    }
    if data.is_null() {
        return Err(Error::Fault);
    }
    // SAFETY: not NULL, so the caller promised room for `size` bytes; `count` is no more than
    // either side has.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), count) };
    Ok(())
}

/// The message at `msg`; EFAULT when there is none (NULL, never initialised, closed).
///
/// # Safety
/// `msg` is NULL or points to a readable `zmq_msg_t` that nobody changes during the call.
#[inline(always)]
pub(super) unsafe fn msg<'a>(msg: *const Msg) -> Result<&'a Msg, Error> {
    // SAFETY: the same promise; a message that is valid can be borrowed.
    unsafe { if Msg::is_valid_raw(msg) { Ok(&*msg) } else { Err(Error::Fault) } }
}

/// The message at `msg`, to be changed; EFAULT when there is none.
///
/// # Safety
/// `msg` is NULL or points to a `zmq_msg_t` that nobody else uses during the call.
#[inline(always)]
pub(super) unsafe fn msg_mut<'a>(msg: *mut Msg) -> Result<&'a mut Msg, Error> {
    // SAFETY: the same promise; a message that is valid can be borrowed.
    unsafe { if Msg::is_valid_raw(msg) { Ok(&mut *msg) } else { Err(Error::Fault) } }
}

/// Puts a new message into memory of C that holds none, or marks that memory as holding none and
/// passes the error on; EFAULT for NULL.
///
/// # Safety
/// `place` is NULL or points to a writable `zmq_msg_t` that nobody else uses during the call.
#[inline(always)]
pub(super) unsafe fn init_msg(
    place: *mut Msg,
    make: impl FnOnce() -> Result<Msg, Error>,
) -> Result<c_int, Error> {
    if place.is_null() {
        return Err(Error::Fault);
    }
    match make() {
        Ok(msg) => {
            // SAFETY: not NULL, so the caller promised that it can be written.
            unsafe { place.write(msg) };
            Ok(0)
        }
        Err(error) => {
            // SAFETY: as above. Whatever was there before must not pass for a message.
            unsafe { place.write_bytes(0, 1) };
            Err(error)
        }
    }
}
