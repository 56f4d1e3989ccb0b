//! What peers may do to us over a plain connection, and what must come of it: the connection dies where it should,
//! the monitor says why, everybody else is served meanwhile and afterwards, memory stays within bounds, and nothing
//! panics.
//!
//! Each file concerns one stretch of a conversation; `floods` those who never stop.

mod support;

mod hostile {
    mod cuts;
    mod datagrams;
    mod floods;
    mod frames;
    mod greetings;
    mod handshakes;
    mod servers;
    mod strangers;
    mod subscribers;
    mod websockets;
}
