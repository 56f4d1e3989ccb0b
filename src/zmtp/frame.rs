//! The frame header of ZMTP 2.0 and 3.x. The pipe needs it as well, so the code lives with messages.

pub use crate::message::frame::*;
