/* The source of random bytes that the original library opens by hand; ours comes with libsodium. */

#ifndef FERROZMQ_CONFORMANCE_RANDOM_HPP
#define FERROZMQ_CONFORMANCE_RANDOM_HPP

namespace zmq
{
inline void random_open ()
{
}

inline void random_close ()
{
}
}

#endif
