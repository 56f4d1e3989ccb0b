/* What ferrozmq has beyond libzmq 4.3.6. zmq.h is libzmq's to the letter, so this is a file of its own.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libzmq answers EINVAL to these options. */

#ifndef FERROZMQ_H_INCLUDED
#define FERROZMQ_H_INCLUDED

/** For zmq_getsockopt, a uint64_t, on every socket type: messages that the socket took and dropped because a peer's
 *  queue was at its mark, one for each peer that missed it (PUB, XPUB, RADIO, XSUB, and ROUTER and REP without an
 *  error). */
#define ZMQ_FERRO_DROPPED_FULL 0x46455201

/** For zmq_getsockopt, a uint64_t, on every socket type: messages that the socket took and dropped because nobody was
 *  there by the name they were for, or went before they were complete (ROUTER, REP). */
#define ZMQ_FERRO_DROPPED_UNROUTABLE 0x46455202

#endif
