/* What libzmq's test programs want to know about the platform: Linux with everything. */

#ifndef FERROZMQ_CONFORMANCE_PLATFORM_HPP
#define FERROZMQ_CONFORMANCE_PLATFORM_HPP

#define ZMQ_HAVE_LINUX
#define HAVE_FORK
#define HAVE_MKDTEMP
#define HAVE_STRNLEN
#define ZMQ_HAVE_UIO
#define ZMQ_HAVE_PPOLL
#define ZMQ_HAVE_IFADDRS
#define ZMQ_HAVE_SO_PEERCRED
#define ZMQ_HAVE_SO_PRIORITY
#define ZMQ_HAVE_SO_BINDTODEVICE
#define ZMQ_HAVE_BUSY_POLL

#define ZMQ_HAVE_IPC
#define ZMQ_HAVE_TIPC
#define ZMQ_HAVE_WS
#define ZMQ_HAVE_WSS
#define ZMQ_HAVE_CURVE

#endif
