//! What every floor may use: the error type, constants of the ABI, endpoint text.
//!
//! Nothing here touches a descriptor, a thread or a clock.
#![forbid(unsafe_code)]

pub mod constants;
pub mod endpoint;
mod error;
pub mod gssapi;
pub mod z85;

pub use error::Error;
