/* The checks of the C programs in this folder: each says what failed and where, and goes on.
 *
 * A program is a main() that calls RUN for each of its TESTs and returns finished(). Where the original library is
 * known to abort or to be wrong, a check is made with ours() only; all others hold on both. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef ZMQ_BUILD_DRAFT_API
#define ZMQ_BUILD_DRAFT_API 1
#endif

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/uio.h>
#include <zmq.h>

#define HELPER __attribute__ ((unused)) static

/* A program that is not done by then is killed by SIGALRM, in seconds; one event never takes longer, in ms. */
enum { PROGRAM_LIMIT = 90, PATIENCE_MS = 10000 };

static int failures, failures_before;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check_failed (__FILE__, __LINE__, #condition);                                                                   \
    } while (0)

/* The value of an int expression. */
#define EQUAL(expression, expected) check_equal (__FILE__, __LINE__, #expression, (long long) (expression), (expected))

/* A call that gives 0 or more. */
#define GOOD(call) check_good (__FILE__, __LINE__, #call, (call))

/* A call that gives -1 and sets errno. */
#define FAILS(call, code) (errno = 0, check_fails (__FILE__, __LINE__, #call, (call), -1, (code), #code))

/* A call that gives NULL and sets errno. */
#define NONE(call, code) (errno = 0, check_fails (__FILE__, __LINE__, #call, (call) ? 1 : -1, -1, (code), #code))

#define TEST(name) static void name (void)
#define RUN(name) run (#name, name)

HELPER void check_failed (const char *file, int line, const char *what)
{
    failures++;
    printf ("%s:%d: %s\n", file, line, what);
    fflush (stdout);
}

HELPER void check_equal (const char *file, int line, const char *what, long long got, long long expected)
{
    char text[512];
    if (got == expected)
        return;
    snprintf (text, sizeof text, "%s is %lld, not %lld", what, got, expected);
    check_failed (file, line, text);
}

HELPER long long check_good (const char *file, int line, const char *what, long long got)
{
    char text[512];
    if (got < 0) {
        snprintf (text, sizeof text, "%s failed: %s", what, zmq_strerror (zmq_errno ()));
        check_failed (file, line, text);
    }
    return got;
}

HELPER void check_fails (const char *file, int line, const char *what, long long got, long long bad, int code, const char *name)
{
    char text[512];
    int was = zmq_errno ();
    if (got == bad && was == code)
        return;
    snprintf (text, sizeof text, "%s gave %lld with errno %d (%s), not %lld with %s", what, got, was, zmq_strerror (was),
              bad, name);
    check_failed (file, line, text);
}

HELPER void run (const char *name, void (*test) (void))
{
    failures_before = failures;
    test ();
    printf ("%s %s\n", failures == failures_before ? "ok    " : "FAILED", name);
    fflush (stdout);
}

HELPER int finished (void)
{
    return failures ? 1 : 0;
}

__attribute__ ((constructor)) static void limit_program (void)
{
    alarm (PROGRAM_LIMIT);
}

/* Whether this is the library of this project: it answers where the original aborts. */
HELPER int ours (void)
{
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    return patch == 6;
}

/* --------------------------------------------------------------------------------------------- contexts and sockets */

HELPER void set_int (void *socket, int option, int value)
{
    GOOD (zmq_setsockopt (socket, option, &value, sizeof value));
}

HELPER int get_int (void *socket, int option)
{
    int value = -12345;
    size_t size = sizeof value;
    GOOD (zmq_getsockopt (socket, option, &value, &size));
    return value;
}

/* A socket that gives up after PATIENCE_MS instead of hanging, and does not linger. */
HELPER void *open_socket (void *context, int type)
{
    void *socket = zmq_socket (context, type);
    CHECK (socket != NULL);
    set_int (socket, ZMQ_RCVTIMEO, PATIENCE_MS);
    set_int (socket, ZMQ_SNDTIMEO, PATIENCE_MS);
    set_int (socket, ZMQ_LINGER, 0);
    return socket;
}

/* The address that a wildcard became. */
HELPER const char *last_endpoint (void *socket)
{
    static char text[8][512];
    static int slot;
    size_t size = sizeof text[0];
    char *given = text[slot++ % 8];
    GOOD (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, given, &size));
    return given;
}

HELPER void *bound (void *context, int type, const char *endpoint)
{
    void *socket = open_socket (context, type);
    GOOD (zmq_bind (socket, endpoint));
    return socket;
}

HELPER void *connected (void *context, int type, const char *endpoint)
{
    void *socket = open_socket (context, type);
    GOOD (zmq_connect (socket, endpoint));
    return socket;
}

__attribute__ ((unused)) static const char *const transports[] = {"inproc", "tcp", "ipc"};
enum { TRANSPORTS = 3 };

/* An address that nobody uses yet, to bind to. */
HELPER const char *address_on (const char *transport)
{
    static char name[8][64];
    static int number;
    if (strcmp (transport, "inproc"))
        return strcmp (transport, "tcp") ? "ipc://*" : "tcp://127.0.0.1:*";
    snprintf (name[number % 8], sizeof name[0], "inproc://number-%d", number);
    return name[number++ % 8];
}

/* Two sockets; the first binds. */
HELPER void pair_of (void *context, const char *transport, int binds, int connects, void **one, void **other)
{
    *one = bound (context, binds, address_on (transport));
    *other = connected (context, connects, last_endpoint (*one));
}

/* --------------------------------------------------------------------------------------------------------- messages */

HELPER int send_text (void *socket, const char *text, int flags)
{
    return zmq_send (socket, text, strlen (text), flags);
}

/* Receives one part and compares it. */
#define EXPECT(socket, text) expect_part (__FILE__, __LINE__, socket, text, strlen (text))
#define EXPECT_BYTES(socket, bytes, size) expect_part (__FILE__, __LINE__, socket, bytes, size)

HELPER void expect_part (const char *file, int line, void *socket, const void *bytes, size_t size)
{
    char got[1024], text[1200];
    int length = zmq_recv (socket, got, sizeof got, 0);
    if (length == (int) size && !memcmp (got, bytes, size))
        return;
    if (length < 0)
        snprintf (text, sizeof text, "expected \"%.*s\", got %s", (int) size, (const char *) bytes,
                  zmq_strerror (zmq_errno ()));
    else
        snprintf (text, sizeof text, "expected \"%.*s\" (%d bytes), got \"%.*s\" (%d bytes)", (int) size,
                  (const char *) bytes, (int) size, length > 900 ? 900 : length, got, length);
    check_failed (file, line, text);
}

/* Whether the last part received has others behind it. */
HELPER int more (void *socket)
{
    return get_int (socket, ZMQ_RCVMORE);
}

HELPER int poll_one (void *socket, short events, long timeout_ms)
{
    zmq_pollitem_t item;
    memset (&item, 0, sizeof item);
    item.socket = socket;
    item.events = events;
    GOOD (zmq_poll (&item, 1, timeout_ms));
    return item.revents;
}

/* Waits until a condition holds that changes when the library gets its turn, such as the other thread's news: between
 * two looks the socket's commands are processed. */
#define WAIT_UNTIL(socket, condition)                                                                                  \
    do {                                                                                                               \
        int64_t limit_ = now_ms () + PATIENCE_MS;                                                                      \
        int met_;                                                                                                      \
        while (!(met_ = (condition)) && now_ms () < limit_)                                                            \
            poll_one (socket, 0, 1);                                                                                   \
        if (!met_)                                                                                                     \
            check_failed (__FILE__, __LINE__, "in time: " #condition);                                                 \
    } while (0)

HELPER int64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
