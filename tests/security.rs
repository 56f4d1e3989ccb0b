//! Who is let in: the mechanisms between sockets of ours, the authentication handler and its defects, and peers that try
//! to get past both.
//!
//! `attacks` holds what has gone wrong in the original library, sent byte by byte.

mod support;

mod security {
    mod attacks;
    mod curve;
    mod gssapi;
    mod handler;
    mod plain;
    mod secrets;
}
