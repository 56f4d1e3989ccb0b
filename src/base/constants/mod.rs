//! The macros of zmq.h 4.3.6 under their own names; build.rs makes the header's macros from these files. And in
//! `own`, which is no part of that header, those of this library.
#![allow(missing_docs, reason = "the names and meanings are those of the man pages")]

mod draft;
mod own;
mod stable;

pub use draft::*;
pub use own::*;
pub use stable::*;
