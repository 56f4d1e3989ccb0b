//! Option values as they cross the C face: reading what a setter was given, writing what a getter
//! answers. No option is known by name here.

use crate::base::{Error, z85};
use zeroize::Zeroizing;

/// Length of a CURVE key as Z85 text with its NUL.
const KEY_TEXT: usize = 41;

/// What an option's getter answers; [`Value::write`] knows how long the caller's buffer must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// An int; the buffer must have exactly its size.
    Int(i32),
    /// An int that may go into a larger buffer.
    LooseInt(i32),
    /// An unsigned 64-bit number; the buffer must have exactly its size.
    U64(u64),
    /// A signed 64-bit number; the buffer must have exactly its size.
    I64(i64),
    /// A text, without the NUL that is written after it.
    Text(Vec<u8>),
    /// Plain bytes.
    Blob(Vec<u8>),
    /// A CURVE key: 32 raw bytes, or 40 characters and a NUL, as the size of the buffer asks.
    Key([u8; 32]),
}

impl Value {
    /// Writes the value and answers its size. What is left of the buffer is zeroed. A buffer of
    /// the wrong size is [`Error::Invalid`] and stays as it was: values are never cut.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self {
            Value::Int(number) => put(buffer, &number.to_ne_bytes(), true),
            Value::LooseInt(number) => put(buffer, &number.to_ne_bytes(), false),
            Value::U64(number) => put(buffer, &number.to_ne_bytes(), true),
            Value::I64(number) => put(buffer, &number.to_ne_bytes(), true),
            Value::Text(text) => {
                let (body, rest) = buffer.split_at_mut_checked(text.len()).ok_or(Error::Invalid)?;
                if rest.is_empty() {
                    return Err(Error::Invalid);
                }
                rest.fill(0);
                body.copy_from_slice(text);
                Ok(text.len() + 1)
            }
            Value::Blob(bytes) => put(buffer, bytes, false),
            Value::Key(key) if buffer.len() == KEY_TEXT => {
                let text = z85::encode(key).ok_or(Error::Invalid)?;
                Value::Text(text.into_bytes()).write(buffer)
            }
            Value::Key(key) => put(buffer, key, true),
        }
    }
}

/// Copies `bytes` to the front of `buffer` and zeroes the rest; `exact`: there may be no rest.
fn put(buffer: &mut [u8], bytes: &[u8], exact: bool) -> Result<usize, Error> {
    let (body, rest) = buffer.split_at_mut_checked(bytes.len()).ok_or(Error::Invalid)?;
    if exact && !rest.is_empty() {
        return Err(Error::Invalid);
    }
    body.copy_from_slice(bytes);
    rest.fill(0);
    Ok(bytes.len())
}

/// An int: exactly four bytes in the machine's order.
pub fn int_value(value: &[u8]) -> Result<i32, Error> {
    value.try_into().map(i32::from_ne_bytes).map_err(|_| Error::Invalid)
}

/// An int that must be 0 or 1.
pub fn flag(value: &[u8]) -> Result<bool, Error> {
    match int_value(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Invalid),
    }
}

/// An int that must not be negative.
pub fn non_negative(value: &[u8]) -> Result<i32, Error> {
    int_value(value).and_then(|number| if number < 0 { Err(Error::Invalid) } else { Ok(number) })
}

/// A CURVE key: 32 raw bytes, or 40 characters of Z85 with or without a NUL after them.
pub(super) fn key_value(value: &[u8]) -> Result<[u8; 32], Error> {
    let raw = match value.len() {
        32 => return value.try_into().map_err(|_| Error::Invalid),
        40 => z85::decode(value),
        KEY_TEXT => value.strip_suffix(&[0]).and_then(z85::decode),
        _ => None,
    };
    // It may be a secret one.
    let raw = Zeroizing::new(raw.ok_or(Error::Invalid)?);
    raw[..].try_into().map_err(|_| Error::Invalid)
}
