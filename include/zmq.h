/* The API of libzmq 4.3.6, as this library provides it.
 *
 * Generated from the Rust sources (see ARCHITECTURE.md); do not edit.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Functions that fail return -1 (or NULL, or 0 where said) and set errno; see zmq_errno.
 * Handles of contexts, sockets and other objects may be used by any thread. What is no handle, or
 * no longer one, is recognised and refused.
 * Define ZMQ_BUILD_DRAFT_API before including this file to see the draft API. */

#ifndef __ZMQ_H_INCLUDED__
#define __ZMQ_H_INCLUDED__

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#if !defined _WIN32
#include <signal.h>
#endif

#if defined ZMQ_NO_EXPORT
#define ZMQ_EXPORT
#elif defined _WIN32
#if defined ZMQ_STATIC
#define ZMQ_EXPORT
#elif defined DLL_EXPORT
#define ZMQ_EXPORT __declspec(dllexport)
#else
#define ZMQ_EXPORT __declspec(dllimport)
#endif
#elif defined __GNUC__
#define ZMQ_EXPORT __attribute__((visibility("default")))
#else
#define ZMQ_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif


/** A version as one number, and that of this header. */
#define ZMQ_MAKE_VERSION(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define ZMQ_VERSION ZMQ_MAKE_VERSION(ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH)

/** Error numbers that a system may lack. */
#ifndef ENOTSUP
#define ENOTSUP (ZMQ_HAUSNUMERO + 1)
#endif
#ifndef EPROTONOSUPPORT
#define EPROTONOSUPPORT (ZMQ_HAUSNUMERO + 2)
#endif
#ifndef ENOBUFS
#define ENOBUFS (ZMQ_HAUSNUMERO + 3)
#endif
#ifndef ENETDOWN
#define ENETDOWN (ZMQ_HAUSNUMERO + 4)
#endif
#ifndef EADDRINUSE
#define EADDRINUSE (ZMQ_HAUSNUMERO + 5)
#endif
#ifndef EADDRNOTAVAIL
#define EADDRNOTAVAIL (ZMQ_HAUSNUMERO + 6)
#endif
#ifndef ECONNREFUSED
#define ECONNREFUSED (ZMQ_HAUSNUMERO + 7)
#endif
#ifndef EINPROGRESS
#define EINPROGRESS (ZMQ_HAUSNUMERO + 8)
#endif
#ifndef ENOTSOCK
#define ENOTSOCK (ZMQ_HAUSNUMERO + 9)
#endif
#ifndef EMSGSIZE
#define EMSGSIZE (ZMQ_HAUSNUMERO + 10)
#endif
#ifndef EAFNOSUPPORT
#define EAFNOSUPPORT (ZMQ_HAUSNUMERO + 11)
#endif
#ifndef ENETUNREACH
#define ENETUNREACH (ZMQ_HAUSNUMERO + 12)
#endif
#ifndef ECONNABORTED
#define ECONNABORTED (ZMQ_HAUSNUMERO + 13)
#endif
#ifndef ECONNRESET
#define ECONNRESET (ZMQ_HAUSNUMERO + 14)
#endif
#ifndef ENOTCONN
#define ENOTCONN (ZMQ_HAUSNUMERO + 15)
#endif
#ifndef ETIMEDOUT
#define ETIMEDOUT (ZMQ_HAUSNUMERO + 16)
#endif
#ifndef EHOSTUNREACH
#define EHOSTUNREACH (ZMQ_HAUSNUMERO + 17)
#endif
#ifndef ENETRESET
#define ENETRESET (ZMQ_HAUSNUMERO + 18)
#endif

/** A descriptor of the operating system. */
#if defined _WIN32
typedef uintptr_t zmq_fd_t;
#else
typedef int zmq_fd_t;
#endif

/** One part of a message; opaque, and to be used by the zmq_msg_ functions only. */
#if defined _MSC_VER
typedef struct __declspec(align(8)) zmq_msg_t
{
    unsigned char _[64];
} zmq_msg_t;
#elif defined __GNUC__
typedef struct zmq_msg_t
{
    unsigned char _[64];
} __attribute__((aligned(sizeof(void *)))) zmq_msg_t;
#else
typedef struct zmq_msg_t
{
    unsigned char _[64];
} zmq_msg_t;
#endif

/** Gives back the memory of a message made by zmq_msg_init_data. */
typedef void(zmq_free_fn)(void *data, void *hint);

/** What a timer calls. */
typedef void(zmq_timer_fn)(int timer_id, void *arg);

/** What a thread of zmq_threadstart runs. */
typedef void(zmq_thread_fn)(void *arg);

/** The element of zmq_sendiov and zmq_recviov, from <sys/uio.h>. */
struct iovec;

/** The timers API is there. */
#define ZMQ_HAVE_TIMERS
#define ZMQ_VERSION_MAJOR 4
#define ZMQ_VERSION_MINOR 3
#define ZMQ_VERSION_PATCH 6
#define ZMQ_HAUSNUMERO 156384712
#define ZMQ_IO_THREADS 1
#define ZMQ_MAX_SOCKETS 2
#define ZMQ_SOCKET_LIMIT 3
#define ZMQ_THREAD_PRIORITY 3
#define ZMQ_THREAD_SCHED_POLICY 4
#define ZMQ_MAX_MSGSZ 5
#define ZMQ_MSG_T_SIZE 6
#define ZMQ_THREAD_AFFINITY_CPU_ADD 7
#define ZMQ_THREAD_AFFINITY_CPU_REMOVE 8
#define ZMQ_THREAD_NAME_PREFIX 9
#define ZMQ_IO_THREADS_DFLT 1
#define ZMQ_MAX_SOCKETS_DFLT 1023
#define ZMQ_THREAD_PRIORITY_DFLT -1
#define ZMQ_THREAD_SCHED_POLICY_DFLT -1
#define ZMQ_PAIR 0
#define ZMQ_PUB 1
#define ZMQ_SUB 2
#define ZMQ_REQ 3
#define ZMQ_REP 4
#define ZMQ_DEALER 5
#define ZMQ_ROUTER 6
#define ZMQ_PULL 7
#define ZMQ_PUSH 8
#define ZMQ_XPUB 9
#define ZMQ_XSUB 10
#define ZMQ_STREAM 11
#define ZMQ_XREQ 5
#define ZMQ_XREP 6
#define ZMQ_AFFINITY 4
#define ZMQ_ROUTING_ID 5
#define ZMQ_SUBSCRIBE 6
#define ZMQ_UNSUBSCRIBE 7
#define ZMQ_RATE 8
#define ZMQ_RECOVERY_IVL 9
#define ZMQ_SNDBUF 11
#define ZMQ_RCVBUF 12
#define ZMQ_RCVMORE 13
#define ZMQ_FD 14
#define ZMQ_EVENTS 15
#define ZMQ_TYPE 16
#define ZMQ_LINGER 17
#define ZMQ_RECONNECT_IVL 18
#define ZMQ_BACKLOG 19
#define ZMQ_RECONNECT_IVL_MAX 21
#define ZMQ_MAXMSGSIZE 22
#define ZMQ_SNDHWM 23
#define ZMQ_RCVHWM 24
#define ZMQ_MULTICAST_HOPS 25
#define ZMQ_RCVTIMEO 27
#define ZMQ_SNDTIMEO 28
#define ZMQ_LAST_ENDPOINT 32
#define ZMQ_ROUTER_MANDATORY 33
#define ZMQ_TCP_KEEPALIVE 34
#define ZMQ_TCP_KEEPALIVE_CNT 35
#define ZMQ_TCP_KEEPALIVE_IDLE 36
#define ZMQ_TCP_KEEPALIVE_INTVL 37
#define ZMQ_IMMEDIATE 39
#define ZMQ_XPUB_VERBOSE 40
#define ZMQ_ROUTER_RAW 41
#define ZMQ_IPV6 42
#define ZMQ_MECHANISM 43
#define ZMQ_PLAIN_SERVER 44
#define ZMQ_PLAIN_USERNAME 45
#define ZMQ_PLAIN_PASSWORD 46
#define ZMQ_CURVE_SERVER 47
#define ZMQ_CURVE_PUBLICKEY 48
#define ZMQ_CURVE_SECRETKEY 49
#define ZMQ_CURVE_SERVERKEY 50
#define ZMQ_PROBE_ROUTER 51
#define ZMQ_REQ_CORRELATE 52
#define ZMQ_REQ_RELAXED 53
#define ZMQ_CONFLATE 54
#define ZMQ_ZAP_DOMAIN 55
#define ZMQ_ROUTER_HANDOVER 56
#define ZMQ_TOS 57
#define ZMQ_CONNECT_ROUTING_ID 61
#define ZMQ_GSSAPI_SERVER 62
#define ZMQ_GSSAPI_PRINCIPAL 63
#define ZMQ_GSSAPI_SERVICE_PRINCIPAL 64
#define ZMQ_GSSAPI_PLAINTEXT 65
#define ZMQ_HANDSHAKE_IVL 66
#define ZMQ_SOCKS_PROXY 68
#define ZMQ_XPUB_NODROP 69
#define ZMQ_BLOCKY 70
#define ZMQ_XPUB_MANUAL 71
#define ZMQ_XPUB_WELCOME_MSG 72
#define ZMQ_STREAM_NOTIFY 73
#define ZMQ_INVERT_MATCHING 74
#define ZMQ_HEARTBEAT_IVL 75
#define ZMQ_HEARTBEAT_TTL 76
#define ZMQ_HEARTBEAT_TIMEOUT 77
#define ZMQ_XPUB_VERBOSER 78
#define ZMQ_CONNECT_TIMEOUT 79
#define ZMQ_TCP_MAXRT 80
#define ZMQ_THREAD_SAFE 81
#define ZMQ_MULTICAST_MAXTPDU 84
#define ZMQ_VMCI_BUFFER_SIZE 85
#define ZMQ_VMCI_BUFFER_MIN_SIZE 86
#define ZMQ_VMCI_BUFFER_MAX_SIZE 87
#define ZMQ_VMCI_CONNECT_TIMEOUT 88
#define ZMQ_USE_FD 89
#define ZMQ_GSSAPI_PRINCIPAL_NAMETYPE 90
#define ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE 91
#define ZMQ_BINDTODEVICE 92
#define ZMQ_MORE 1
#define ZMQ_SHARED 3
#define ZMQ_DONTWAIT 1
#define ZMQ_SNDMORE 2
#define ZMQ_NULL 0
#define ZMQ_PLAIN 1
#define ZMQ_CURVE 2
#define ZMQ_GSSAPI 3
#define ZMQ_GROUP_MAX_LENGTH 255
#define ZMQ_IDENTITY 5
#define ZMQ_CONNECT_RID 61
#define ZMQ_TCP_ACCEPT_FILTER 38
#define ZMQ_IPC_FILTER_PID 58
#define ZMQ_IPC_FILTER_UID 59
#define ZMQ_IPC_FILTER_GID 60
#define ZMQ_IPV4ONLY 31
#define ZMQ_DELAY_ATTACH_ON_CONNECT 39
#define ZMQ_NOBLOCK 1
#define ZMQ_FAIL_UNROUTABLE 33
#define ZMQ_ROUTER_BEHAVIOR 33
#define ZMQ_SRCFD 2
#define ZMQ_GSSAPI_NT_HOSTBASED 0
#define ZMQ_GSSAPI_NT_USER_NAME 1
#define ZMQ_GSSAPI_NT_KRB5_PRINCIPAL 2
#define ZMQ_EVENT_CONNECTED 1
#define ZMQ_EVENT_CONNECT_DELAYED 2
#define ZMQ_EVENT_CONNECT_RETRIED 4
#define ZMQ_EVENT_LISTENING 8
#define ZMQ_EVENT_BIND_FAILED 16
#define ZMQ_EVENT_ACCEPTED 32
#define ZMQ_EVENT_ACCEPT_FAILED 64
#define ZMQ_EVENT_CLOSED 128
#define ZMQ_EVENT_CLOSE_FAILED 256
#define ZMQ_EVENT_DISCONNECTED 512
#define ZMQ_EVENT_MONITOR_STOPPED 1024
#define ZMQ_EVENT_ALL 65535
#define ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL 2048
#define ZMQ_EVENT_HANDSHAKE_SUCCEEDED 4096
#define ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL 8192
#define ZMQ_EVENT_HANDSHAKE_FAILED_AUTH 16384
#define ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED 268435456
#define ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND 268435457
#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE 268435458
#define ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE 268435459
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED 268435473
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE 268435474
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO 268435475
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE 268435476
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR 268435477
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY 268435478
#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME 268435479
#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA 268435480
#define ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC 285212673
#define ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH 285212674
#define ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED 536870912
#define ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY 536870913
#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID 536870914
#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION 536870915
#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE 536870916
#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA 536870917
#define ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED 805306368
#define ZMQ_POLLIN 1
#define ZMQ_POLLOUT 2
#define ZMQ_POLLERR 4
#define ZMQ_POLLPRI 8
#define ZMQ_POLLITEMS_DFLT 16
#define ZMQ_HAS_CAPABILITIES 1
#define ZMQ_STREAMER 1
#define ZMQ_FORWARDER 2
#define ZMQ_QUEUE 3

#define EFSM 156384763

#define ENOCOMPATPROTO 156384764

#define ETERM 156384765

#define EMTHREAD 156384766

/**
 * One thing to wait for: a socket, or, when that is NULL, a descriptor.
 */
typedef struct zmq_pollitem_t
{
    /**
     * The socket, or NULL.
     */
    void *socket;
    /**
     * The descriptor; ignored when there is a socket.
     */
    zmq_fd_t fd;
    /**
     * What to wait for: ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI.
     */
    short events;
    /**
     * Which of them hold; written by the call.
     */
    short revents;
} zmq_pollitem_t;

/**
 * The errno of the calling thread.
 *
 * Returns a code of the system or of the library (ZMQ_HAUSNUMERO and above).
 *
 * Cannot fail.
 *
 * Man page: zmq_errno.
 */
ZMQ_EXPORT int zmq_errno(void);

/**
 * A text for an errno, the library's own codes included.
 *
 * Returns a text that is never to be freed; for codes of the system it may change with the next
 * call.
 *
 * Cannot fail.
 *
 * Man page: zmq_strerror.
 */
ZMQ_EXPORT const char *zmq_strerror(int errnum);

/**
 * The version of the library.
 *
 * Cannot fail.
 *
 * Man page: zmq_version.
 *
 * # Safety
 * Each pointer is NULL or may be written.
 */
ZMQ_EXPORT void zmq_version(int *major, int *minor, int *patch);

/**
 * Was the library built with a capability, such as "ipc" or "curve"? Names are case-sensitive.
 *
 * Returns 1 or 0; 0 also for NULL.
 *
 * Cannot fail.
 *
 * Man page: zmq_has.
 *
 * # Safety
 * `capability` is NULL or a NUL-terminated string.
 */
ZMQ_EXPORT int zmq_has(const char *capability);

/**
 * Writes bytes as Z85 text: five characters for four bytes, and a NUL.
 *
 * Returns `dest`, or NULL.
 *
 * Errors: EINVAL when the size is not a multiple of 4, or for NULL.
 *
 * Man page: zmq_z85_encode.
 *
 * # Safety `data` is NULL or points to `size` readable bytes; `dest` is NULL or has room for size
 * * 5 / 4 + 1 characters.
 */
ZMQ_EXPORT char *zmq_z85_encode(char *dest, const uint8_t *data, size_t size);

/**
 * Reads Z85 text: four bytes for five characters.
 *
 * Returns `dest`, or NULL with nothing written.
 *
 * Errors: EINVAL when the length is not a multiple of 5 or is 0, when the text is no Z85, or for
 * NULL.
 *
 * Man page: zmq_z85_decode.
 *
 * # Safety `string` is NULL or a NUL-terminated string; `dest` is NULL or has room for four bytes
 * for every five characters.
 */
ZMQ_EXPORT uint8_t *zmq_z85_decode(uint8_t *dest, const char *string);

/**
 * Makes a CURVE key pair, as two Z85 texts of 40 characters and a NUL.
 *
 * Returns 0, or -1.
 *
 * Errors: EINVAL for NULL, or what the system says when it has no random bytes.
 *
 * Man page: zmq_curve_keypair.
 *
 * # Safety
 * Each pointer is NULL or has room for 41 characters.
 */
ZMQ_EXPORT int zmq_curve_keypair(char *z85_public_key, char *z85_secret_key);

/**
 * Derives the public key of a CURVE secret key, both as Z85 texts of 40 characters and a NUL.
 *
 * Returns 0, or -1 with nothing written.
 *
 * Errors: EINVAL when the secret key is no Z85 text of 40 characters, or for NULL.
 *
 * Man page: zmq_curve_public.
 *
 * # Safety `z85_public_key` is NULL or has room for 41 characters; `z85_secret_key` is NULL or a
 * NUL-terminated string.
 */
ZMQ_EXPORT int zmq_curve_public(char *z85_public_key, const char *z85_secret_key);

/**
 * Creates a context. No thread is started before the first socket.
 *
 * Returns the context, or NULL.
 *
 * Errors: EMFILE when no more contexts can exist, ENOMEM when memory is exhausted.
 *
 * Man page: zmq_ctx_new.
 */
ZMQ_EXPORT void *zmq_ctx_new(void);

/**
 * Ends a context: its sockets answer ETERM from now on, and the call waits until all of them are
 * closed and their lingering messages are delivered or given up. Afterwards the handle is invalid.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no context, EINTR when a signal came while waiting (call again).
 *
 * Man page: zmq_ctx_term.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_term(void *context);

/**
 * Makes every call on the context's sockets fail with ETERM, except zmq_close, and wakes those
 * that wait. Does not wait itself; calling it again changes nothing. New sockets are refused.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no context.
 *
 * Man page: zmq_ctx_shutdown.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_shutdown(void *context);

/**
 * Sets an option of the context (ZMQ_IO_THREADS and those after it).
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no context, EINVAL for an unknown option or a value out of range.
 *
 * Man page: zmq_ctx_set.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_set(void *context, int option, int optval);

/**
 * The value of an option of the context.
 *
 * Returns the value, or -1. Some options are -1 by default, which cannot be told from an error by
 * the value alone.
 *
 * Errors: EFAULT when it is no context, EINVAL for an unknown option.
 *
 * Man page: zmq_ctx_get.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_get(void *context, int option);

/**
 * Creates a context with that many I/O threads: zmq_ctx_new and zmq_ctx_set in one. Deprecated.
 *
 * Returns the context, or NULL.
 *
 * Errors: EINVAL for a negative number, otherwise as zmq_ctx_new.
 *
 * Man page: zmq_init.
 */
ZMQ_EXPORT void *zmq_init(int io_threads);

/**
 * The same as zmq_ctx_term. Deprecated.
 *
 * Errors: as zmq_ctx_term.
 *
 * Man page: zmq_term.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_term(void *context);

/**
 * The same as zmq_ctx_term. Deprecated.
 *
 * Errors: as zmq_ctx_term.
 *
 * Man page: zmq_ctx_destroy.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_destroy(void *context);

/**
 * Makes an empty message. The memory must not hold an open message: that one would leak.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT for NULL.
 *
 * Man page: zmq_msg_init.
 *
 * # Safety
 * `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile.
 */
ZMQ_EXPORT int zmq_msg_init(zmq_msg_t *msg);

/**
 * Makes a message of `size` bytes, to be filled through zmq_msg_data. Small messages are kept in
 * the zmq_msg_t itself.
 *
 * Returns 0, or -1 (the message is not valid then).
 *
 * Errors: ENOMEM when memory is exhausted, EFAULT for NULL.
 *
 * Man page: zmq_msg_init_size.
 *
 * # Safety
 * `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile.
 */
ZMQ_EXPORT int zmq_msg_init_size(zmq_msg_t *msg, size_t size);

/**
 * Makes a message out of the caller's memory, without a copy. When the library needs the memory no
 * longer, which may be before the message was sent and may be on another thread, it calls
 * `ffn(data, hint)` exactly once. Without `ffn` the memory must stay as it is for ever.
 *
 * Returns 0, or -1 (the message is not valid then, `ffn` is not called).
 *
 * Errors: ENOMEM when memory is exhausted, EFAULT for NULL data with a size and for a NULL
 * message.
 *
 * Man page: zmq_msg_init_data.
 *
 * # Safety `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile. `data`
 * points to `size` bytes that stay readable and unchanged until `ffn` is called (then writable
 * too), or for ever without it; `ffn` may be called from any thread.
 */
ZMQ_EXPORT int zmq_msg_init_data(zmq_msg_t *msg, void *data, size_t size, zmq_free_fn *ffn, void *hint);

/**
 * Sends a message. Afterwards it is empty and valid, and owned by the caller again; closing it is
 * optional. ZMQ_SNDMORE in `flags` says that more parts follow, ZMQ_DONTWAIT that the call must
 * not wait.
 *
 * Returns the size of the part in bytes (INT_MAX for larger ones), or -1 with the message
 * unchanged.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EFAULT when it is no valid message, ETERM
 * when the context was shut down or terminated, EAGAIN when it would have to wait and may not, or
 * the time is over, EINTR when a signal came while waiting, EFSM when it is not the turn of this
 * call (REQ, REP), ENOTSUP when sockets of this type cannot do it, EHOSTUNREACH when the peer that
 * is named cannot be reached, EINVAL for an argument out of range.
 *
 * Man page: zmq_msg_send.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_msg_send(zmq_msg_t *msg, void *s, int flags);

/**
 * Receives a message into an initialised one, whose old contents are released: also where there is none to
 * receive (EAGAIN), but with ZMQ_XPUB and ZMQ_STREAM, as in libzmq.
 *
 * Returns the size of the part in bytes (INT_MAX for larger ones), or -1. On errors other than those after
 * waiting the message is unchanged.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EFAULT when it is no valid message, ETERM
 * when the context was shut down or terminated, EAGAIN when it would have to wait and may not, or
 * the time is over, EINTR when a signal came while waiting, EFSM when it is not the turn of this
 * call (REQ, REP), ENOTSUP when sockets of this type cannot do it.
 *
 * Man page: zmq_msg_recv.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_msg_recv(zmq_msg_t *msg, void *s, int flags);

/**
 * The same as zmq_msg_send, with the arguments in another order. Deprecated.
 *
 * Errors: as zmq_msg_send.
 *
 * Man page: zmq_sendmsg.
 *
 * # Safety
 * As for zmq_msg_send.
 */
ZMQ_EXPORT int zmq_sendmsg(void *s, zmq_msg_t *msg, int flags);

/**
 * The same as zmq_msg_recv, with the arguments in another order. Deprecated.
 *
 * Errors: as zmq_msg_recv.
 *
 * Man page: zmq_recvmsg.
 *
 * # Safety
 * As for zmq_msg_recv.
 */
ZMQ_EXPORT int zmq_recvmsg(void *s, zmq_msg_t *msg, int flags);

/**
 * Releases a message. The memory may then be initialised again.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no valid message (NULL, closed before).
 *
 * Man page: zmq_msg_close.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
 */
ZMQ_EXPORT int zmq_msg_close(zmq_msg_t *msg);

/**
 * Moves the contents of `src` to `dest`: what `dest` held is released, `src` is empty afterwards.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when either is no valid message.
 *
 * Man page: zmq_msg_move.
 *
 * # Safety
 * Each is NULL or points to a zmq_msg_t that nobody else uses meanwhile. They may be the same.
 */
ZMQ_EXPORT int zmq_msg_move(zmq_msg_t *dest, zmq_msg_t *src);

/**
 * Makes `dest` a second message with the contents of `src`; what `dest` held is released. Large
 * contents are shared by both and must not be changed afterwards, small ones are copied.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when either is no valid message, ENOMEM when memory is exhausted.
 *
 * Man page: zmq_msg_copy.
 *
 * # Safety
 * Each is NULL or points to a zmq_msg_t that nobody else uses meanwhile. They may be the same.
 */
ZMQ_EXPORT int zmq_msg_copy(zmq_msg_t *dest, zmq_msg_t *src);

/**
 * Where the bytes of a message are; valid until the message is changed or moved.
 *
 * Returns the address, or NULL.
 *
 * Errors: EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_data.
 *
 * # Safety `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile. The bytes of a
 * message of zmq_msg_init_size are to be written before they are read or sent; those of a shared
 * message must not be written at all.
 */
ZMQ_EXPORT void *zmq_msg_data(zmq_msg_t *msg);

/**
 * The size of a message in bytes.
 *
 * Returns the size, or 0.
 *
 * Errors: EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_size.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
 */
ZMQ_EXPORT size_t zmq_msg_size(const zmq_msg_t *msg);

/**
 * Do more parts of the same multi-part message follow this one?
 *
 * Returns 1 or 0.
 *
 * Errors: 0 with EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_more.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
 */
ZMQ_EXPORT int zmq_msg_more(const zmq_msg_t *msg);

/**
 * A property of a message: ZMQ_MORE, ZMQ_SRCFD (the descriptor of the connection it came by) or
 * ZMQ_SHARED (its bytes may be in use by other messages).
 *
 * Returns the value, or -1.
 *
 * Errors: EINVAL for any other property, and for ZMQ_SRCFD when there is no connection; EFAULT
 * when it is no valid message.
 *
 * Man page: zmq_msg_get.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
 */
ZMQ_EXPORT int zmq_msg_get(const zmq_msg_t *msg, int property);

/**
 * Sets a property of a message. No property can be set today.
 *
 * Returns -1.
 *
 * Errors: EINVAL always, EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_set.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
 */
ZMQ_EXPORT int zmq_msg_set(zmq_msg_t *msg, int property, int optval);

/**
 * A named property of the connection that a message came by, such as "Peer-Address" or
 * "Socket-Type". Names are case-sensitive. Messages that came over inproc have none.
 *
 * Returns a text that lives as long as the message, or NULL.
 *
 * Errors: EINVAL when there is no such property or no name, EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_gets.
 *
 * # Safety `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile; `property` is
 * NULL or a NUL-terminated string.
 */
ZMQ_EXPORT const char *zmq_msg_gets(const zmq_msg_t *msg, const char *property);

/**
 * Creates a socket of one of the types ZMQ_PAIR and following.
 *
 * Returns the socket, or NULL.
 *
 * Errors: EFAULT when it is no context, ETERM after zmq_ctx_shutdown, EMFILE when ZMQ_MAX_SOCKETS
 * are open, EINVAL for an unknown type.
 *
 * Man page: zmq_socket.
 *
 * # Safety
 * Always safe: `context` is only looked up.
 */
ZMQ_EXPORT void *zmq_socket(void *context, int type);

/**
 * Closes a socket. Returns at once; messages not yet sent are tried for ZMQ_LINGER milliseconds
 * more. The handle is invalid from now on.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket.
 *
 * Man page: zmq_close.
 *
 * # Safety
 * Always safe: `s` is only looked up.
 */
ZMQ_EXPORT int zmq_close(void *s);

/**
 * Accepts connections on an endpoint such as "tcp://127.0.0.1:5555", "ipc://name" or
 * "inproc://name".
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a malformed endpoint or NULL, EPROTONOSUPPORT when the transport is
 * unknown or absent here, ENOCOMPATPROTO when the transport does not carry this socket type,
 * EADDRINUSE when the address is taken, EADDRNOTAVAIL when the address is not of this machine,
 * ENODEV when there is no such host or interface, EMTHREAD when there is no I/O thread.
 *
 * Man page: zmq_bind.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_bind(void *s, const char *addr);

/**
 * Connects to an endpoint. The connection is made, and made again when it is lost, in the
 * background.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a malformed endpoint or NULL, EPROTONOSUPPORT when the transport is
 * unknown or absent here, ENOCOMPATPROTO when the transport does not carry this socket type,
 * EMTHREAD when there is no I/O thread.
 *
 * Man page: zmq_connect.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_connect(void *s, const char *addr);

/**
 * Stops accepting connections on an endpoint, named as ZMQ_LAST_ENDPOINT told it, and ends those
 * accepted.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a malformed endpoint or NULL, ENOENT when it is not bound.
 *
 * Man page: zmq_unbind.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_unbind(void *s, const char *addr);

/**
 * Ends the connections made by zmq_connect to an endpoint; messages not yet sent are tried for
 * ZMQ_LINGER milliseconds more.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a malformed endpoint or NULL, ENOENT when it is not connected.
 *
 * Man page: zmq_disconnect.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_disconnect(void *s, const char *addr);

/**
 * Sends a copy of `len` bytes as one part. ZMQ_SNDMORE in `flags` says that more parts follow,
 * ZMQ_DONTWAIT that the call must not wait.
 *
 * Returns `len` (INT_MAX for larger ones), or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EFAULT for NULL with a length, ENOMEM, and
 * as zmq_msg_send.
 *
 * Man page: zmq_send.
 *
 * # Safety
 * `buf` is NULL or points to `len` readable bytes; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_send(void *s, const void *buf, size_t len, int flags);

/**
 * Sends `len` bytes as one part, without a copy: they must stay as they are for ever.
 *
 * Returns the size of the part in bytes, or -1.
 *
 * Errors: as zmq_send.
 *
 * Man page: zmq_send_const.
 *
 * # Safety `buf` is NULL or points to `len` bytes that stay readable and unchanged for ever; `s`
 * is only looked up.
 */
ZMQ_EXPORT int zmq_send_const(void *s, const void *buf, size_t len, int flags);

/**
 * Receives one part and copies what fits to `buf`; the rest of the part is lost.
 *
 * Returns the full size of the part in bytes (INT_MAX for larger ones), or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EFAULT when `buf` is NULL while something
 * was to be copied, and as zmq_msg_recv.
 *
 * Man page: zmq_recv.
 *
 * # Safety
 * `buf` is NULL or points to `len` writable bytes; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_recv(void *s, void *buf, size_t len, int flags);

/**
 * Sets a socket option. The size must be that of the option's type; NULL without a size unsets the
 * few options that can be unset.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for an unknown option, or a size or value that does not fit.
 *
 * Man page: zmq_setsockopt.
 *
 * # Safety
 * `optval` is NULL or points to `optvallen` readable bytes; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_setsockopt(void *s, int option, const void *optval, size_t optvallen);

/**
 * Copies the value of a socket option to `optval` and its size to `*optvallen`, which says how
 * much room there is. Numbers need room of exactly their size, with few exceptions; texts count
 * their final NUL.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EFAULT for NULL, EINVAL for an unknown option or a size that does not fit.
 *
 * Man page: zmq_getsockopt.
 *
 * # Safety `optvallen` is NULL or may be read and written; `optval` is NULL or points to
 * `*optvallen` writable bytes; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_getsockopt(void *s, int option, void *optval, size_t *optvallen);

/**
 * Reports what happens to the connections of a socket (the ZMQ_EVENT_ bits of `events`) on a PAIR
 * socket that the library binds to the inproc endpoint `addr`. A second call replaces the first;
 * NULL ends the monitor.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a malformed endpoint or unknown events, EPROTONOSUPPORT when it is not
 * inproc, EADDRINUSE when the address is taken, EMFILE when no more can exist.
 *
 * Man page: zmq_socket_monitor.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_socket_monitor(void *s, const char *addr, int events);

/**
 * Waits until an item is ready, or `timeout` milliseconds have passed (negative: for ever), and
 * writes the `revents` of every item. Without items it only waits.
 *
 * Returns how many items are ready, or -1 with the items unchanged.
 *
 * Errors: EINVAL for a negative number of items, EFAULT for NULL items, ENOTSOCK when the handle
 * is no open socket, ETERM when the context was shut down or terminated, EINTR when a signal came
 * while waiting, ENOMEM when memory is exhausted.
 *
 * Man page: zmq_poll.
 *
 * # Safety `items` is NULL or points to `nitems` elements that may be written and that nobody else
 * uses meanwhile; the sockets in them are only looked up.
 */
ZMQ_EXPORT int zmq_poll(zmq_pollitem_t *items, int nitems, long timeout);

/**
 * Moves messages between two sockets in both directions, with a copy of each part to `capture`
 * unless that is NULL, until the context ends.
 *
 * Returns -1.
 *
 * Errors: ETERM when a context was shut down or terminated, EINTR when a signal came, EFAULT when
 * a socket is NULL, ENOTSOCK when one is no open socket.
 *
 * Man page: zmq_proxy.
 *
 * # Safety
 * Always safe: the sockets are only looked up.
 */
ZMQ_EXPORT int zmq_proxy(void *frontend, void *backend, void *capture);

/**
 * As zmq_proxy, and obeys PAUSE, RESUME, STATISTICS and TERMINATE, received by the socket
 * `control` unless that is NULL.
 *
 * Returns 0 after TERMINATE, otherwise -1.
 *
 * Errors: as zmq_proxy.
 *
 * Man page: zmq_proxy_steerable.
 *
 * # Safety
 * Always safe: the sockets are only looked up.
 */
ZMQ_EXPORT int zmq_proxy_steerable(void *frontend, void *backend, void *capture, void *control);

/**
 * The same as zmq_proxy without a capture socket; the type is ignored. Deprecated.
 *
 * Errors: as zmq_proxy.
 *
 * Man page: zmq_device.
 *
 * # Safety
 * Always safe: the sockets are only looked up.
 */
ZMQ_EXPORT int zmq_device(int type, void *frontend, void *backend);

/**
 * Sends each element as one part. All but the last are sent with `flags` as they are, so without
 * ZMQ_SNDMORE each is a message of its own; the last is sent without ZMQ_SNDMORE.
 *
 * Returns the size of the last part, or -1. Parts before the one that failed have been sent.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EINVAL for NULL or no elements, EFAULT for
 * an element that is NULL with a length, and as zmq_msg_send.
 *
 * Man page: zmq_sendiov.
 *
 * # Safety `iov` is NULL or points to `count` elements, each NULL or pointing to as many readable
 * bytes as it says; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_sendiov(void *s, struct iovec *iov, size_t count, int flags);

/**
 * Receives the parts of one message into memory of malloc, one element each, up to `*count` of
 * them. The caller frees each `iov_base`.
 *
 * Returns the number of parts, which is also in `*count`, or -1. After a failure no element holds
 * memory and `*count` is 0.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EINVAL for NULL or no elements, ENOMEM when
 * memory is exhausted, and as zmq_msg_recv.
 *
 * Man page: zmq_recviov.
 *
 * # Safety `count` is NULL or may be read and written; `iov` is NULL or points to `*count`
 * elements that may be written and that nobody else uses meanwhile; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_recviov(void *s, struct iovec *iov, size_t *count, int flags);

/**
 * Creates an object that holds timers.
 *
 * Returns the object, or NULL.
 *
 * Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
 *
 * Man page: zmq_timers.
 */
ZMQ_EXPORT void *zmq_timers_new(void);

/**
 * Ends the object in `*timers_p` with its timers, and leaves NULL there.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is none.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * `timers_p` is NULL or points to a pointer that may be read and written.
 */
ZMQ_EXPORT int zmq_timers_destroy(void **timers_p);

/**
 * Adds a timer that calls `handler(id, arg)` every `interval` milliseconds, from
 * zmq_timers_execute.
 *
 * Returns the timer's id, or -1.
 *
 * Errors: EFAULT when there is no such object or no handler.
 *
 * Man page: zmq_timers.
 *
 * # Safety `handler` may be called with `arg` from any thread that calls zmq_timers_execute, until
 * the timer is cancelled or the object destroyed. `timers` is only looked up.
 */
ZMQ_EXPORT int zmq_timers_add(void *timers, size_t interval, zmq_timer_fn *handler, void *arg);

/**
 * Ends a timer.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such object, EINVAL for an unknown timer or one cancelled
 * before.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * Always safe: `timers` is only looked up.
 */
ZMQ_EXPORT int zmq_timers_cancel(void *timers, int timer_id);

/**
 * Changes a timer's interval (milliseconds) and starts it anew.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such object, EINVAL for an unknown timer.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * Always safe: `timers` is only looked up.
 */
ZMQ_EXPORT int zmq_timers_set_interval(void *timers, int timer_id, size_t interval);

/**
 * Starts a timer's interval anew.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such object, EINVAL for an unknown timer.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * Always safe: `timers` is only looked up.
 */
ZMQ_EXPORT int zmq_timers_reset(void *timers, int timer_id);

/**
 * How long to wait until the next timer is due.
 *
 * Returns milliseconds, 0 when one is due, -1 when there are no timers.
 *
 * Errors: -1 with EFAULT when there is no such object.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * Always safe: `timers` is only looked up.
 */
ZMQ_EXPORT long zmq_timers_timeout(void *timers);

/**
 * Calls the handlers of all timers that are due, once each, in order of time. Handlers may add,
 * change and cancel timers of the same object.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such object.
 *
 * Man page: zmq_timers.
 *
 * # Safety
 * Always safe: `timers` is only looked up. What handlers need was promised to zmq_timers_add.
 */
ZMQ_EXPORT int zmq_timers_execute(void *timers);

/**
 * Runs `func(arg)` on a new thread, named ZMQapp, with all signals blocked.
 *
 * Returns a handle for zmq_threadclose, or NULL.
 *
 * Errors: EFAULT without a function, EAGAIN when it would have to wait and may not, or the time is
 * over, ENOMEM when memory is exhausted, EMFILE when no more can exist.
 *
 * Man page: none; used by test programs and bindings.
 *
 * # Safety
 * `func` may be called with `arg` on another thread.
 */
ZMQ_EXPORT void *zmq_threadstart(zmq_thread_fn *func, void *arg);

/**
 * Waits until a thread of zmq_threadstart ends, and gives up its handle. With anything else it
 * does nothing (EFAULT).
 *
 * Errors: EFAULT when there is no such thread.
 *
 * Man page: none; used by test programs and bindings.
 *
 * # Safety
 * Always safe: `thread` is only looked up.
 */
ZMQ_EXPORT void zmq_threadclose(void *thread);

/**
 * Sleeps for whole seconds, or until a signal comes.
 *
 * Cannot fail.
 *
 * Man page: none; used by test programs and bindings.
 */
ZMQ_EXPORT void zmq_sleep(int seconds);

/**
 * Creates a counter that several threads may use at once; it begins at 0.
 *
 * Returns the counter, or NULL.
 *
 * Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
 *
 * Man page: zmq_atomic_counter_new.
 */
ZMQ_EXPORT void *zmq_atomic_counter_new(void);

/**
 * Sets a counter. Without a counter it does nothing (EFAULT).
 *
 * Errors: EFAULT when there is no such counter.
 *
 * Man page: zmq_atomic_counter_set.
 *
 * # Safety
 * Always safe: `counter` is only looked up.
 */
ZMQ_EXPORT void zmq_atomic_counter_set(void *counter, int value);

/**
 * Adds one to a counter.
 *
 * Returns the value before, or -1.
 *
 * Errors: EFAULT when there is no such counter.
 *
 * Man page: zmq_atomic_counter_inc.
 *
 * # Safety
 * Always safe: `counter` is only looked up.
 */
ZMQ_EXPORT int zmq_atomic_counter_inc(void *counter);

/**
 * Takes one from a counter.
 *
 * Returns 1, or 0 when the counter has reached 0 by that, or -1.
 *
 * Errors: EFAULT when there is no such counter.
 *
 * Man page: zmq_atomic_counter_dec.
 *
 * # Safety
 * Always safe: `counter` is only looked up.
 */
ZMQ_EXPORT int zmq_atomic_counter_dec(void *counter);

/**
 * The value of a counter.
 *
 * Returns the value, or -1.
 *
 * Errors: EFAULT when there is no such counter.
 *
 * Man page: zmq_atomic_counter_value.
 *
 * # Safety
 * Always safe: `counter` is only looked up.
 */
ZMQ_EXPORT int zmq_atomic_counter_value(void *counter);

/**
 * Ends the counter in `*counter_p` and leaves NULL there. Without a counter it does nothing
 * (EFAULT).
 *
 * Errors: EFAULT when there is no such counter.
 *
 * Man page: zmq_atomic_counter_destroy.
 *
 * # Safety
 * `counter_p` is NULL or points to a pointer that may be read and written.
 */
ZMQ_EXPORT void zmq_atomic_counter_destroy(void **counter_p);

/**
 * Starts a stopwatch.
 *
 * Returns the stopwatch, or NULL.
 *
 * Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
 *
 * Man page: none; used by test programs and bindings.
 */
ZMQ_EXPORT void *zmq_stopwatch_start(void);

/**
 * The time since the start, without stopping.
 *
 * Returns microseconds.
 *
 * Errors: 0 with EFAULT when there is no such stopwatch.
 *
 * Man page: none; used by test programs and bindings.
 *
 * # Safety
 * Always safe: `watch` is only looked up.
 */
ZMQ_EXPORT unsigned long zmq_stopwatch_intermediate(void *watch);

/**
 * Stops and ends a stopwatch.
 *
 * Returns the microseconds since its start.
 *
 * Errors: 0 with EFAULT when there is no such stopwatch.
 *
 * Man page: none; used by test programs and bindings.
 *
 * # Safety
 * Always safe: `watch` is only looked up.
 */
ZMQ_EXPORT unsigned long zmq_stopwatch_stop(void *watch);

#ifdef ZMQ_BUILD_DRAFT_API

#if !defined _WIN32
#include <sys/select.h>
#endif

/** The pollers API is there. */
#define ZMQ_HAVE_POLLER
#define ZMQ_MSG_PROPERTY_ROUTING_ID "Routing-Id"
#define ZMQ_MSG_PROPERTY_SOCKET_TYPE "Socket-Type"
#define ZMQ_MSG_PROPERTY_USER_ID "User-Id"
#define ZMQ_MSG_PROPERTY_PEER_ADDRESS "Peer-Address"
#define ZMQ_SERVER 12
#define ZMQ_CLIENT 13
#define ZMQ_RADIO 14
#define ZMQ_DISH 15
#define ZMQ_GATHER 16
#define ZMQ_SCATTER 17
#define ZMQ_DGRAM 18
#define ZMQ_PEER 19
#define ZMQ_CHANNEL 20
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#define ZMQ_LOOPBACK_FASTPATH 94
#define ZMQ_METADATA 95
#define ZMQ_MULTICAST_LOOP 96
#define ZMQ_ROUTER_NOTIFY 97
#define ZMQ_XPUB_MANUAL_LAST_VALUE 98
#define ZMQ_SOCKS_USERNAME 99
#define ZMQ_SOCKS_PASSWORD 100
#define ZMQ_IN_BATCH_SIZE 101
#define ZMQ_OUT_BATCH_SIZE 102
#define ZMQ_WSS_KEY_PEM 103
#define ZMQ_WSS_CERT_PEM 104
#define ZMQ_WSS_TRUST_PEM 105
#define ZMQ_WSS_HOSTNAME 106
#define ZMQ_WSS_TRUST_SYSTEM 107
#define ZMQ_ONLY_FIRST_SUBSCRIBE 108
#define ZMQ_RECONNECT_STOP 109
#define ZMQ_HELLO_MSG 110
#define ZMQ_DISCONNECT_MSG 111
#define ZMQ_PRIORITY 112
#define ZMQ_BUSY_POLL 113
#define ZMQ_HICCUP_MSG 114
#define ZMQ_XSUB_VERBOSE_UNSUBSCRIBE 115
#define ZMQ_TOPICS_COUNT 116
#define ZMQ_NORM_MODE 117
#define ZMQ_NORM_UNICAST_NACK 118
#define ZMQ_NORM_BUFFER_SIZE 119
#define ZMQ_NORM_SEGMENT_SIZE 120
#define ZMQ_NORM_BLOCK_SIZE 121
#define ZMQ_NORM_NUM_PARITY 122
#define ZMQ_NORM_NUM_AUTOPARITY 123
#define ZMQ_NORM_PUSH 124
#define ZMQ_NORM_FIXED 0
#define ZMQ_NORM_CC 1
#define ZMQ_NORM_CCL 2
#define ZMQ_NORM_CCE 3
#define ZMQ_NORM_CCE_ECNONLY 4
#define ZMQ_RECONNECT_STOP_CONN_REFUSED 1
#define ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED 2
#define ZMQ_RECONNECT_STOP_AFTER_DISCONNECT 4
#define ZMQ_ZERO_COPY_RECV 10
#define ZMQ_NOTIFY_CONNECT 1
#define ZMQ_NOTIFY_DISCONNECT 2
#define ZMQ_EVENT_PIPES_STATS 65536
#define ZMQ_CURRENT_EVENT_VERSION 1
#define ZMQ_CURRENT_EVENT_VERSION_DRAFT 2
#define ZMQ_EVENT_ALL_V1 65535
#define ZMQ_EVENT_ALL_V2 131071

/**
 * What a poller found ready.
 */
typedef struct zmq_poller_event_t
{
    /**
     * The socket, or NULL for a descriptor.
     */
    void *socket;
    /**
     * The descriptor, or -1 for a socket.
     */
    zmq_fd_t fd;
    /**
     * What was given when it was added.
     */
    void *user_data;
    /**
     * Which of the events asked for hold; ZMQ_POLLERR may come unasked on a descriptor.
     */
    short events;
} zmq_poller_event_t;

/**
 * Sets an option of the context from bytes, for options that are no numbers.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no context, EINVAL for an unknown option, or a size or value that does
 * not fit.
 *
 * Man page: zmq_ctx_set_ext.
 *
 * # Safety
 * `optval` is NULL or points to `optvallen` readable bytes; `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_set_ext(void *context, int option, const void *optval, size_t optvallen);

/**
 * Copies the value of a context option to `optval` and its size to `*optvallen`, which says how
 * much room there is.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when it is no context or for NULL, EINVAL for an unknown option or a size that
 * does not fit.
 *
 * Man page: zmq_ctx_get_ext.
 *
 * # Safety `optvallen` is NULL or may be read and written; `optval` is NULL or points to
 * `*optvallen` writable bytes; `context` is only looked up.
 */
ZMQ_EXPORT int zmq_ctx_get_ext(void *context, int option, void *optval, size_t *optvallen);

/**
 * Makes a message with a copy of `size` bytes.
 *
 * Returns 0, or -1 (the message is not valid then).
 *
 * Errors: ENOMEM when memory is exhausted, EFAULT for NULL with a size and for a NULL message.
 *
 * Man page: zmq_msg_init_buffer.
 *
 * # Safety `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile; `buf`
 * is NULL or points to `size` readable bytes.
 */
ZMQ_EXPORT int zmq_msg_init_buffer(zmq_msg_t *msg, const void *buf, size_t size);

/**
 * The routing id of a message: which peer it came from or goes to, on SERVER and PEER sockets.
 *
 * Returns the id, or 0.
 *
 * Errors: EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_routing_id.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
 */
ZMQ_EXPORT uint32_t zmq_msg_routing_id(zmq_msg_t *msg);

/**
 * Sets which peer a message goes to.
 *
 * Returns 0, or -1.
 *
 * Errors: EINVAL for 0, EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_set_routing_id.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
 */
ZMQ_EXPORT int zmq_msg_set_routing_id(zmq_msg_t *msg, uint32_t routing_id);

/**
 * The group of a message, on RADIO and DISH sockets.
 *
 * Returns a text that lives until the group or the message changes ("" without a group), or NULL.
 *
 * Errors: EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_group.
 *
 * # Safety
 * `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
 */
ZMQ_EXPORT const char *zmq_msg_group(zmq_msg_t *msg);

/**
 * Sets the group of a message, at most 255 characters.
 *
 * Returns 0, or -1.
 *
 * Errors: EINVAL for a longer name or NULL, EFAULT when it is no valid message.
 *
 * Man page: zmq_msg_set_group.
 *
 * # Safety `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `group` is NULL
 * or a NUL-terminated string.
 */
ZMQ_EXPORT int zmq_msg_set_group(zmq_msg_t *msg, const char *group);

/**
 * Joins a group, at most 255 characters, on a DISH socket.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a longer name, NULL, or a group joined before, ENOTSUP on other types.
 *
 * Man page: zmq_join.
 *
 * # Safety
 * `group` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_join(void *s, const char *group);

/**
 * Leaves a group on a DISH socket.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL for a long name, NULL, or a group that was not joined, ENOTSUP on other
 * types.
 *
 * Man page: zmq_leave.
 *
 * # Safety
 * `group` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_leave(void *s, const char *group);

/**
 * Connects a PEER socket, and tells the routing id of the new peer.
 *
 * Returns the id, or 0.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ENOTSUP on other types, and as zmq_connect.
 *
 * Man page: zmq_connect_peer.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT uint32_t zmq_connect_peer(void *s, const char *addr);

/**
 * Ends the connection to one peer of a SERVER or PEER socket.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EHOSTUNREACH for an unknown peer, ENOTSUP on other types.
 *
 * Man page: zmq_disconnect_peer.
 *
 * # Safety
 * Always safe: `s` is only looked up.
 */
ZMQ_EXPORT int zmq_disconnect_peer(void *s, uint32_t routing_id);

/**
 * Could a ROUTER socket send to, and receive from, one of its peers now?
 *
 * Returns ZMQ_POLLIN and ZMQ_POLLOUT bits, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, EHOSTUNREACH for an unknown peer, EFAULT for
 * NULL with a size, ENOTSUP on other types.
 *
 * Man page: zmq_socket_get_peer_state.
 *
 * # Safety
 * `routing_id` is NULL or points to `routing_id_size` readable bytes; `socket` is only looked up.
 */
ZMQ_EXPORT int zmq_socket_get_peer_state(void *socket, const void *routing_id, size_t routing_id_size);

/**
 * As zmq_socket_monitor, with 64 bits of events, a version of the event format (1 or 2), and the
 * type of the monitor's socket: PAIR, PUB or PUSH.
 *
 * Returns 0, or -1.
 *
 * Errors: as zmq_socket_monitor, EINVAL for another type.
 *
 * Man page: zmq_socket_monitor_versioned.
 *
 * # Safety
 * `addr` is NULL or a NUL-terminated string; `s` is only looked up.
 */
ZMQ_EXPORT int zmq_socket_monitor_versioned(void *s, const char *addr, uint64_t events, int event_version, int type);

/**
 * Asks for ZMQ_EVENT_PIPES_STATS events, one per connection, on the socket's monitor.
 *
 * Returns 0, or -1.
 *
 * Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
 * terminated, EINVAL without a monitor for them, EAGAIN without connections.
 *
 * Man page: zmq_socket_monitor_versioned.
 *
 * # Safety
 * Always safe: `s` is only looked up.
 */
ZMQ_EXPORT int zmq_socket_monitor_pipes_stats(void *s);

/**
 * As zmq_poll; while the call waits the signals in `sigmask` are blocked and no others, from the
 * moment it begins to wait to the moment it ends (ppoll of the operating system). NULL leaves the
 * signals as they are.
 *
 * Returns how many items are ready, or -1.
 *
 * Errors: as zmq_poll, so EINTR when a signal was handled.
 *
 * Man page: zmq_ppoll.
 *
 * # Safety
 * `items` as for zmq_poll; `sigmask` is NULL or points to a readable sigset_t.
 */
ZMQ_EXPORT int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout, const sigset_t *sigmask);

/**
 * Creates a poller.
 *
 * Returns the poller, or NULL.
 *
 * Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
 *
 * Man page: zmq_poller.
 */
ZMQ_EXPORT void *zmq_poller_new(void);

/**
 * Ends the poller in `*poller_p` and leaves NULL there.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is none.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * `poller_p` is NULL or points to a pointer that may be read and written.
 */
ZMQ_EXPORT int zmq_poller_destroy(void **poller_p);

/**
 * How many sockets and descriptors are in a poller.
 *
 * Returns the number, or -1.
 *
 * Errors: EFAULT when there is no such poller.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_size(void *poller);

/**
 * Adds a socket, to wait for `events` (ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI).
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
 * for unknown events or a socket that is in it already, ENOMEM when memory is exhausted.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: the handles are only looked up, and `user_data` is only handed back.
 */
ZMQ_EXPORT int zmq_poller_add(void *poller, void *socket, void *user_data, short events);

/**
 * Changes the events of a socket.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
 * for unknown events or a socket that is not in it.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: the handles are only looked up.
 */
ZMQ_EXPORT int zmq_poller_modify(void *poller, void *socket, short events);

/**
 * Removes a socket, which must still be open.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
 * for a socket that is not in it.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: the handles are only looked up.
 */
ZMQ_EXPORT int zmq_poller_remove(void *poller, void *socket);

/**
 * Adds a descriptor, to wait for `events` (ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI).
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for unknown events or a
 * descriptor that is in it already, ENOMEM when memory is exhausted.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: `poller` is only looked up, and `user_data` is only handed back.
 */
ZMQ_EXPORT int zmq_poller_add_fd(void *poller, zmq_fd_t fd, void *user_data, short events);

/**
 * Changes the events of a descriptor.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for unknown events or a
 * descriptor that is not in it.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_modify_fd(void *poller, zmq_fd_t fd, short events);

/**
 * Removes a descriptor.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for a descriptor that is not
 * in it.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * Always safe: `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_remove_fd(void *poller, zmq_fd_t fd);

/**
 * Waits until something is ready, or `timeout` milliseconds have passed (negative: for ever), and
 * tells the first thing that is.
 *
 * Returns 0, or -1 with an empty event.
 *
 * Errors: EAGAIN when the time is over, EFAULT when there is no such poller or no `event`, or when
 * nothing could ever end the wait, ENOTSOCK when the handle is no open socket, ETERM when the
 * context was shut down or terminated, EINTR when a signal came while waiting.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * `event` is NULL or may be written; `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_wait(void *poller, zmq_poller_event_t *event, long timeout);

/**
 * As zmq_poller_wait, telling up to `n_events` things that are ready; the rest of the array is
 * filled with empty events.
 *
 * Returns how many are ready, or -1 with empty events.
 *
 * Errors: as zmq_poller_wait, EINVAL for a negative `n_events`, EAGAIN for none.
 *
 * Man page: zmq_poller.
 *
 * # Safety `events` is NULL or points to `n_events` elements that may be written and that nobody
 * else uses meanwhile; `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_wait_all(void *poller, zmq_poller_event_t *events, int n_events, long timeout);

/**
 * A descriptor that becomes readable when there is news for the thread-safe sockets in the poller,
 * which should be asked again then without waiting. Other sockets and descriptors do not show there.
 * It is valid until the poller is destroyed, and must only be polled.
 *
 * Returns 0, or -1.
 *
 * Errors: EFAULT when there is no such poller or no place for the descriptor, EINVAL as long as no
 * thread-safe socket was added, EMFILE when no more can exist.
 *
 * Man page: zmq_poller.
 *
 * # Safety
 * `fd` is NULL or may be written; `poller` is only looked up.
 */
ZMQ_EXPORT int zmq_poller_fd(void *poller, zmq_fd_t *fd);

#endif

#undef ZMQ_EXPORT

#ifdef __cplusplus
}
#endif

#endif
