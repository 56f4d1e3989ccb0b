//! Endpoint text: what stands before and after `://`.

use crate::base::Error;

/// Splits `protocol://rest`; both halves must be non-empty (EINVAL otherwise).
pub fn split(text: &str) -> Result<(&str, &str), Error> {
    match text.split_once("://") {
        Some((protocol, rest)) if !protocol.is_empty() && !rest.is_empty() => Ok((protocol, rest)),
        _ => Err(Error::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_needed() {
        assert_eq!(split("tcp://x:1"), Ok(("tcp", "x:1")));
        for bad in ["", "tcp", "tcp:", "://", "tcp://", "://x"] {
            assert_eq!(split(bad), Err(Error::Invalid), "{bad}");
        }
    }
}
