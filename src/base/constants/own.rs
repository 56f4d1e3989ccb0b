//! What only this library has, far from libzmq's numbers; `include/ferrozmq.h` says the same to C.

/// How many messages the socket has dropped because a peer's queue was at its mark, one for each peer that missed
/// it. For `zmq_getsockopt`: a `uint64_t`, on every type.
pub const ZMQ_FERRO_DROPPED_FULL: i32 = 0x4645_5201;
/// How many messages the socket has dropped because nobody was there by the name they were for, or went before they
/// were complete (ROUTER, REP). For `zmq_getsockopt`: a `uint64_t`, on every type.
pub const ZMQ_FERRO_DROPPED_UNROUTABLE: i32 = 0x4645_5202;
