//! The options of a context: when they act is `ctx`'s business, what they may be is said here.

use std::collections::BTreeSet;

use super::{int_value, value::Value};
use crate::base::{Error, constants as c};

/// What ZMQ_SOCKET_LIMIT answers: the most that ZMQ_MAX_SOCKETS is promised to allow.
const SOCKET_LIMIT: i32 = 65_535;
const MSG_T_SIZE: i32 = 64;
const NAME_PREFIX_MAX: usize = 16;

/// All options of a context.
#[derive(Clone, Debug)]
pub struct ContextOptions {
    /// ZMQ_IO_THREADS.
    pub io_threads: i32,
    /// ZMQ_MAX_SOCKETS.
    pub max_sockets: i32,
    /// ZMQ_THREAD_PRIORITY; -1: the system's.
    pub thread_priority: i32,
    /// ZMQ_THREAD_SCHED_POLICY; -1: the system's.
    pub sched_policy: i32,
    /// Processors that background threads may run on; empty: all.
    pub affinity: BTreeSet<i32>,
    /// ZMQ_THREAD_NAME_PREFIX.
    pub name_prefix: Vec<u8>,
    /// ZMQ_MAX_MSGSZ, which nothing enforces.
    pub max_msgsz: i32,
    /// ZMQ_ZERO_COPY_RECV.
    pub zero_copy_recv: bool,
    /// ZMQ_IPV6 of new sockets.
    pub ipv6: bool,
    /// ZMQ_BLOCKY: new sockets linger for ever.
    pub blocky: bool,
}

impl Default for ContextOptions {
    fn default() -> ContextOptions {
        ContextOptions {
            io_threads: c::ZMQ_IO_THREADS_DFLT,
            max_sockets: c::ZMQ_MAX_SOCKETS_DFLT,
            thread_priority: c::ZMQ_THREAD_PRIORITY_DFLT,
            sched_policy: c::ZMQ_THREAD_SCHED_POLICY_DFLT,
            affinity: BTreeSet::new(),
            name_prefix: Vec::new(),
            max_msgsz: i32::MAX,
            zero_copy_recv: true,
            ipv6: false,
            blocky: true,
        }
    }
}

impl ContextOptions {
    /// Sets option `id`; [`Error::Invalid`] for anything it does not take.
    pub fn set(&mut self, id: i32, value: &[u8]) -> Result<(), Error> {
        if id == c::ZMQ_THREAD_NAME_PREFIX {
            return self.set_name_prefix(value);
        }
        let number = int_value(value)?;
        let least = if id == c::ZMQ_MAX_SOCKETS { 1 } else { 0 };
        if number < least {
            return Err(Error::Invalid);
        }
        match id {
            c::ZMQ_IO_THREADS => self.io_threads = number,
            c::ZMQ_MAX_SOCKETS => self.max_sockets = number,
            // The same id as ZMQ_SOCKET_LIMIT, which can only be read.
            c::ZMQ_THREAD_PRIORITY => self.thread_priority = number,
            c::ZMQ_THREAD_SCHED_POLICY => self.sched_policy = number,
            c::ZMQ_MAX_MSGSZ => self.max_msgsz = number,
            c::ZMQ_THREAD_AFFINITY_CPU_ADD => {
                self.affinity.insert(number);
            }
            c::ZMQ_THREAD_AFFINITY_CPU_REMOVE => {
                if !self.affinity.remove(&number) {
                    return Err(Error::Invalid);
                }
            }
            c::ZMQ_ZERO_COPY_RECV => self.zero_copy_recv = number != 0,
            c::ZMQ_IPV6 => self.ipv6 = number != 0,
            c::ZMQ_BLOCKY => self.blocky = number != 0,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    /// Writes option `id` to `buffer` and answers the length to tell the caller;
    /// [`Error::Invalid`] if it cannot be read or the buffer does not fit.
    pub fn get(&self, id: i32, buffer: &mut [u8]) -> Result<usize, Error> {
        if id == c::ZMQ_THREAD_NAME_PREFIX && buffer.len() != size_of::<i32>() {
            return self.write_name_prefix(buffer);
        }
        Value::Int(self.int(id)?).write(buffer)
    }

    /// Option `id` as a number, as `zmq_ctx_get` answers it.
    pub fn int(&self, id: i32) -> Result<i32, Error> {
        match id {
            c::ZMQ_IO_THREADS => Ok(self.io_threads),
            c::ZMQ_MAX_SOCKETS => Ok(self.max_sockets),
            c::ZMQ_SOCKET_LIMIT => Ok(SOCKET_LIMIT),
            c::ZMQ_THREAD_SCHED_POLICY => Ok(self.sched_policy),
            c::ZMQ_MAX_MSGSZ => Ok(self.max_msgsz),
            c::ZMQ_MSG_T_SIZE => Ok(MSG_T_SIZE),
            c::ZMQ_THREAD_NAME_PREFIX => Ok(leading_number(&self.name_prefix)),
            c::ZMQ_ZERO_COPY_RECV => Ok(self.zero_copy_recv.into()),
            c::ZMQ_IPV6 => Ok(self.ipv6.into()),
            c::ZMQ_BLOCKY => Ok(self.blocky.into()),
            _ => Err(Error::Invalid),
        }
    }

    /// Four bytes are always an int, whose digits become the prefix, even if text was meant.
    fn set_name_prefix(&mut self, value: &[u8]) -> Result<(), Error> {
        self.name_prefix = match int_value(value) {
            Ok(number) => number.to_string().into_bytes(),
            Err(_) if (1..=NAME_PREFIX_MAX).contains(&value.len()) => value.to_vec(),
            Err(_) => return Err(Error::Invalid),
        };
        Ok(())
    }

    /// The one getter that neither ends its text with a NUL nor clears the rest of the buffer nor
    /// tells the length; programs allow for that by clearing the buffer first.
    fn write_name_prefix(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let length = buffer.len();
        let body = buffer.get_mut(..self.name_prefix.len()).ok_or(Error::Invalid)?;
        body.copy_from_slice(&self.name_prefix);
        Ok(length)
    }
}

/// The number that `text` begins with, 0 if none, saturating.
fn leading_number(text: &[u8]) -> i32 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    digits.fold(0, |number: i32, digit| {
        number.saturating_mul(10).saturating_add(sign * i32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(options: &mut ContextOptions, id: i32, number: i32) -> Result<(), Error> {
        options.set(id, &number.to_ne_bytes())
    }

    #[test]
    fn defaults_and_ranges() {
        // id, default, least value that is accepted
        let rows = [
            (c::ZMQ_IO_THREADS, 1, 0),
            (c::ZMQ_MAX_SOCKETS, 1023, 1),
            (c::ZMQ_THREAD_SCHED_POLICY, -1, 0),
            (c::ZMQ_MAX_MSGSZ, i32::MAX, 0),
            (c::ZMQ_ZERO_COPY_RECV, 1, 0),
            (c::ZMQ_IPV6, 0, 0),
            (c::ZMQ_BLOCKY, 1, 0),
        ];
        for (id, default, least) in rows {
            let mut options = ContextOptions::default();
            assert_eq!(options.int(id), Ok(default), "option {id}");
            assert_eq!(set(&mut options, id, least - 1), Err(Error::Invalid), "option {id}");
            assert_eq!(options.int(id), Ok(default), "option {id}");
            assert_eq!(set(&mut options, id, least), Ok(()), "option {id}");
            assert_eq!(options.int(id), Ok(least), "option {id}");
            assert_eq!(set(&mut options, id, 1), Ok(()), "option {id}");
            let mut buffer = [0xFF; 4];
            assert_eq!(options.get(id, &mut buffer), Ok(4));
            assert_eq!(i32::from_ne_bytes(buffer), 1);
            for size in [0, 1, 3, 5, 8] {
                assert_eq!(options.set(id, &vec![0; size]), Err(Error::Invalid));
                assert_eq!(options.get(id, &mut vec![0; size]), Err(Error::Invalid));
            }
        }
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let mut options = ContextOptions::default();
        for id in [-1, 0, 11, 43, 99, c::ZMQ_MSG_T_SIZE] {
            assert_eq!(set(&mut options, id, 1), Err(Error::Invalid), "option {id}");
        }
        for id in [-1, 0, 7, 8, 11, 43, 99] {
            assert_eq!(options.int(id), Err(Error::Invalid), "option {id}");
        }
        assert_eq!(options.int(c::ZMQ_MSG_T_SIZE), Ok(64));
    }

    #[test]
    fn three_is_written_as_priority_and_read_as_limit() {
        let mut options = ContextOptions::default();
        assert_eq!(set(&mut options, c::ZMQ_THREAD_PRIORITY, 7), Ok(()));
        assert_eq!(options.thread_priority, 7);
        assert_eq!(options.int(c::ZMQ_SOCKET_LIMIT), Ok(65_535));
        assert_eq!(set(&mut options, c::ZMQ_THREAD_PRIORITY, -1), Err(Error::Invalid));
    }

    #[test]
    fn processors_are_added_and_removed() {
        let mut options = ContextOptions::default();
        assert_eq!(set(&mut options, c::ZMQ_THREAD_AFFINITY_CPU_ADD, 3), Ok(()));
        assert_eq!(set(&mut options, c::ZMQ_THREAD_AFFINITY_CPU_ADD, -1), Err(Error::Invalid));
        assert_eq!(set(&mut options, c::ZMQ_THREAD_AFFINITY_CPU_REMOVE, 2), Err(Error::Invalid));
        assert_eq!(set(&mut options, c::ZMQ_THREAD_AFFINITY_CPU_REMOVE, 3), Ok(()));
        assert!(options.affinity.is_empty());
    }

    #[test]
    fn the_name_prefix_is_an_int_when_it_has_four_bytes() {
        let id = c::ZMQ_THREAD_NAME_PREFIX;
        let mut options = ContextOptions::default();
        assert_eq!(options.int(id), Ok(0));
        assert_eq!(options.set(id, b"abcd"), Ok(()));
        assert_eq!(options.name_prefix, b"1684234849");
        assert_eq!(options.int(id), Ok(1_684_234_849));
        assert_eq!(set(&mut options, id, i32::MIN), Ok(()));
        assert_eq!(options.int(id), Ok(i32::MIN));

        assert_eq!(options.set(id, b"12worker"), Ok(()));
        assert_eq!(options.int(id), Ok(12));
        let mut buffer = [0xFF; 10];
        assert_eq!(options.get(id, &mut buffer), Ok(10));
        assert_eq!(&buffer, b"12worker\xFF\xFF");
        assert_eq!(options.get(id, &mut [0; 7]), Err(Error::Invalid));

        assert_eq!(options.set(id, &[b'x'; 16]), Ok(()));
        for size in [0, 17] {
            assert_eq!(options.set(id, &vec![b'x'; size]), Err(Error::Invalid));
        }
        assert_eq!(options.name_prefix, [b'x'; 16]);
    }
}
