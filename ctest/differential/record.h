/* What the programs of this folder are made of. They check nothing: they do something and print what came of it, one line
 * an outcome. tests/differential.rs runs each on the genuine library and on ours and compares the lines.
 *
 * So what is printed must not depend on chance: ports, descriptors, process numbers and generated ids are masked, and a
 * program waits for events, not for time. A file holds several PROGRAMs; one of them is run by giving its name, and
 * without an argument the names are listed. Each has a context of its own in `ctx`; the sockets it made and left open
 * are closed for it at its end, without lingering, and the context is terminated. */
#ifndef RECORD_H
#define RECORD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define HELPER __attribute__ ((unused)) static

/* A program that hangs is killed after the first, in s; no single wait takes longer than the second, in ms. */
enum { PROGRAM_LIMIT = 40, PATIENCE_MS = 12000 };

/* ----------------------------------------------------------------------------------------------------------- programs */

struct program {
    const char *name;
    void (*body) (void);
    struct program *next;
};

static struct program *programs, **last_program = &programs;
static void *ctx;

#define PROGRAM(title)                                                                                                 \
    static void title (void);                                                                                          \
    __attribute__ ((constructor)) static void register_##title (void)                                                  \
    {                                                                                                                  \
        static struct program self = {#title, title, NULL};                                                            \
        *last_program = &self;                                                                                         \
        last_program = &self.next;                                                                                     \
    }                                                                                                                  \
    static void title (void)

/* ------------------------------------------------------------------------------------------------------------- saying */

__attribute__ ((format (printf, 1, 2))) HELPER void say (const char *format, ...)
{
    va_list values;
    va_start (values, format);
    vprintf (format, values);
    va_end (values);
    putchar ('\n');
    fflush (stdout);
}

HELPER const char *error_name (int code)
{
    static char number[32];
    static const struct {
        int code;
        const char *name;
    } names[] = {{0, "no errno"},           {EAGAIN, "EAGAIN"},
                 {EINVAL, "EINVAL"},        {EFAULT, "EFAULT"},
                 {ENOTSUP, "ENOTSUP"},      {ENOTSOCK, "ENOTSOCK"},
                 {ENOENT, "ENOENT"},        {ENODEV, "ENODEV"},
                 {EMFILE, "EMFILE"},        {EINTR, "EINTR"},
                 {ENOMEM, "ENOMEM"},        {EADDRINUSE, "EADDRINUSE"},
                 {EFSM, "EFSM"},            {ETERM, "ETERM"},
                 {EMTHREAD, "EMTHREAD"},    {ENOCOMPATPROTO, "ENOCOMPATPROTO"},
                 {EPIPE, "EPIPE"},          {EPROTO, "EPROTO"},
                 {EACCES, "EACCES"},        {EBADF, "EBADF"},
                 {EHOSTUNREACH, "EHOSTUNREACH"}, {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
                 {ECONNREFUSED, "ECONNREFUSED"}, {ENAMETOOLONG, "ENAMETOOLONG"},
                 {ECONNRESET, "ECONNRESET"},     {EINPROGRESS, "EINPROGRESS"},
                 {EADDRNOTAVAIL, "EADDRNOTAVAIL"}, {ENOTDIR, "ENOTDIR"},
                 {EAFNOSUPPORT, "EAFNOSUPPORT"}, {EPERM, "EPERM"},
                 {EMSGSIZE, "EMSGSIZE"},    {ETIMEDOUT, "ETIMEDOUT"}};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    snprintf (number, sizeof number, "errno %d", code);
    return number;
}

/* Does it and prints what it returned, and for -1 the errno. */
#define TRY(call) (errno = 0, tried (#call, (long long) (call)))

HELPER long long tried (const char *what, long long result)
{
    int code = zmq_errno ();
    if (result == -1)
        say ("%s = -1 %s", what, error_name (code));
    else
        say ("%s = %lld", what, result);
    return result;
}

/* As TRY with a text of one's own instead of the source. */
#define TRIED(call, ...) (errno = 0, tried_as ((long long) (call), __VA_ARGS__))

__attribute__ ((format (printf, 2, 3))) HELPER long long tried_as (long long result, const char *format, ...)
{
    char text[512];
    int code = errno;
    va_list values;
    va_start (values, format);
    vsnprintf (text, sizeof text, format, values);
    va_end (values);
    errno = code;
    return tried (text, result);
}

/* Does it and prints whether it gave a pointer. */
#define PTR(call) (errno = 0, pointed (#call, (void *) (call)))

HELPER void *pointed (const char *what, void *result)
{
    int code = zmq_errno ();
    if (result)
        say ("%s = a pointer", what);
    else
        say ("%s = NULL %s", what, error_name (code));
    return result;
}

#define SEE(value) say ("%s = %lld", #value, (long long) (value))

/* Only says something when it does not hold: for steps that lead to what is looked at. */
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        if (!(condition))                                                                                              \
            say ("line %d: %s does not hold (%s)", __LINE__, #condition, error_name (zmq_errno ()));                   \
    } while (0)

HELPER int64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

HELPER void pause_ms (int ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep (&span, &span) && errno == EINTR)
        continue;
}

/* Waits until it holds, by looking again and again. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        int64_t limit_ = now_ms () + PATIENCE_MS;                                                                      \
        int met_;                                                                                                      \
        while (!(met_ = (condition) ? 1 : 0) && now_ms () < limit_)                                                    \
            pause_ms (1);                                                                                              \
        if (!met_)                                                                                                     \
            say ("line %d: not in time: %s", __LINE__, #condition);                                                    \
    } while (0)

/* How long something took, roughly: printed as one of a few words, with room for a busy machine. */
HELPER const char *took (int64_t ms, int64_t expected_ms)
{
    if (ms < expected_ms - 5 - expected_ms / 50)
        return "too short";
    return ms < expected_ms + 4000 ? "as long as expected" : "too long";
}

/* ------------------------------------------------------------------------------------------------------------ sockets */

enum { MOST_SOCKETS = 4096 };
static void *opened[MOST_SOCKETS];
static int open_count;

/* A socket that never hangs and does not linger, closed at the end of the program unless it is shut before. */
HELPER void *socket_in (void *context, int type)
{
    int patience = PATIENCE_MS, none = 0;
    void *socket = zmq_socket (context, type);
    MUST (socket != NULL);
    if (!socket)
        return NULL;
    MUST (zmq_setsockopt (socket, ZMQ_RCVTIMEO, &patience, sizeof patience) == 0);
    MUST (zmq_setsockopt (socket, ZMQ_SNDTIMEO, &patience, sizeof patience) == 0);
    MUST (zmq_setsockopt (socket, ZMQ_LINGER, &none, sizeof none) == 0);
    opened[open_count++] = socket;
    return socket;
}

HELPER void *sock (int type)
{
    return socket_in (ctx, type);
}

HELPER void shut (void *socket)
{
    int i;
    for (i = 0; i < open_count; i++)
        if (opened[i] == socket)
            opened[i] = opened[--open_count];
    MUST (zmq_close (socket) == 0);
}

HELPER int set (void *socket, int option, int value)
{
    return zmq_setsockopt (socket, option, &value, sizeof value);
}

HELPER int set_text (void *socket, int option, const char *text)
{
    return zmq_setsockopt (socket, option, text, strlen (text));
}

HELPER int get (void *socket, int option)
{
    int value = -12345;
    size_t size = sizeof value;
    if (zmq_getsockopt (socket, option, &value, &size))
        return -1;
    return value;
}

HELPER int events (void *socket)
{
    return get (socket, ZMQ_EVENTS);
}

/* The address a wildcard became. */
HELPER const char *endpoint (void *socket)
{
    static char text[16][512];
    static int slot;
    char *given = text[slot++ % 16];
    size_t size = sizeof text[0];
    *given = 0;
    MUST (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, given, &size) == 0);
    return given;
}

/* An address of that transport nobody uses, to bind to. */
HELPER const char *fresh (const char *transport)
{
    static char text[16][64];
    static int number;
    char *given = text[number % 16];
    if (!strcmp (transport, "inproc"))
        snprintf (given, sizeof text[0], "inproc://name-%d", number);
    else if (!strcmp (transport, "ipc"))
        snprintf (given, sizeof text[0], "ipc://file-%d", number);
    else
        snprintf (given, sizeof text[0], "%s://127.0.0.1:*", transport);
    number++;
    return given;
}

/* `one` binds, `other` connects. */
HELPER void link_by (const char *transport, void *one, void *other)
{
    MUST (zmq_bind (one, fresh (transport)) == 0);
    MUST (zmq_connect (other, endpoint (one)) == 0);
}

/* A tcp address where nobody listens at present. */
HELPER const char *nobody (void)
{
    static char text[64];
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    MUST (bind (descriptor, (struct sockaddr *) &address, sizeof address) == 0);
    MUST (getsockname (descriptor, (struct sockaddr *) &address, &size) == 0);
    close (descriptor);
    snprintf (text, sizeof text, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    return text;
}

static const char *const transports[] = {"inproc", "tcp", "ipc"};
#define EACH_TRANSPORT(name)                                                                                           \
    const char *name;                                                                                                  \
    int name##_index;                                                                                                  \
    for (name##_index = 0; name##_index < 3 && (name = transports[name##_index]); name##_index++)

/* ----------------------------------------------------------------------------------------------------------- messages */

/* Bytes as text: what is not printable as \xNN, ids that the library made up as <id>, ports as PORT, long ones cut. */
HELPER const char *shown (const void *bytes, size_t size)
{
    static char text[8][1024];
    static int slot;
    char *given = text[slot++ % 8], *at = given;
    const unsigned char *from = bytes;
    size_t i;
    if (size == 5 && from[0] == 0)
        return "<id>";
    for (i = 0; i < size && i < 150; i++) {
        if (isprint (from[i]) && from[i] != '\\')
            *at++ = (char) from[i];
        else
            at += sprintf (at, "\\x%02x", from[i]);
    }
    *at = 0;
    if (size > 150)
        sprintf (at, "... (%zu bytes)", size);
    return given;
}

/* An address with what differs from run to run masked: ports, and names made up for ipc. */
HELPER const char *masked (const char *address)
{
    static char text[8][600];
    static int slot;
    char *given = text[slot++ % 8], *to = given;
    const char *from = address;
    while (*from && to < given + 500) {
        if (*from == ':' && isdigit ((unsigned char) from[1])) {
            to += sprintf (to, ":PORT");
            for (from++; isdigit ((unsigned char) *from); from++)
                continue;
        } else if (!strncmp (from, "tmp", 3) && strlen (from) >= 9) {
            to += sprintf (to, "tmpXXXXXX");
            from += 9;
        } else
            *to++ = *from++;
    }
    *to = 0;
    return given;
}

/* Sends the parts between the bars; gives the result of the part that failed or of the last one. */
HELPER int put (void *socket, const char *parts, int flags)
{
    int result;
    for (;;) {
        size_t size = strcspn (parts, "|");
        int last = parts[size] == 0;
        result = zmq_send (socket, parts, size, last ? flags : flags | ZMQ_SNDMORE);
        if (result < 0 || last)
            return result;
        parts += size + 1;
    }
}

/* Receives a whole message into the text "[part][part]", or the name of the error. */
HELPER const char *got (void *socket, int flags)
{
    static char text[8][4096];
    static int slot;
    char *given = text[slot++ % 8], *at = given;
    int more = 1;
    *at = 0;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init (&part);
        if (zmq_msg_recv (&part, socket, flags) < 0) {
            sprintf (at, "%s", error_name (zmq_errno ()));
            zmq_msg_close (&part);
            break;
        }
        at += snprintf (at, given + sizeof text[0] - at, "[%s]", shown (zmq_msg_data (&part), zmq_msg_size (&part)));
        more = zmq_msg_more (&part);
        zmq_msg_close (&part);
        if (at > given + 3000)
            break;
    }
    return given;
}

/* Receives a message, waiting for it, and prints it; HEAR_NOW does not wait. */
#define HEAR(socket) say ("%s hears %s", #socket, got (socket, 0))
#define HEAR_NOW(socket) say ("%s hears %s", #socket, got (socket, ZMQ_DONTWAIT))

/* Prints what can be received within a short time, which should be nothing. */
#define SILENT(socket) say ("%s hears %s", #socket, silence (socket))

HELPER const char *silence (void *socket)
{
    zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
    int answer = zmq_poll (&item, 1, 120);
    if (answer < 0)
        return error_name (zmq_errno ());
    return answer ? got (socket, ZMQ_DONTWAIT) : "nothing";
}

/* Receives all that is there now, and says how many messages. */
HELPER int drained (void *socket)
{
    int count = 0;
    while (*got (socket, ZMQ_DONTWAIT) == '[')
        count++;
    return count;
}

/* How many messages can be sent without waiting, up to a bound. */
HELPER int filled (void *socket, const char *parts, int most)
{
    int count = 0;
    while (count < most && put (socket, parts, ZMQ_DONTWAIT) >= 0)
        count++;
    return count;
}

/* Lets what is under way between the library's threads and this socket come to rest: the end of a pipe takes several
 * steps there and back, and no event tells of the last. */
HELPER void settle (void *socket)
{
    int i;
    for (i = 0; i < 8; i++) {
        events (socket);
        pause_ms (10);
    }
    events (socket);
}

/* Waits for a socket; gives what it is ready for. */
HELPER int ready (void *socket, short wanted, long limit_ms)
{
    zmq_pollitem_t item = {socket, 0, wanted, 0};
    if (zmq_poll (&item, 1, limit_ms) < 0)
        return -1;
    return item.revents;
}

#define AWAIT_IN(socket) MUST (ready (socket, ZMQ_POLLIN, PATIENCE_MS) == ZMQ_POLLIN)
#define AWAIT_OUT(socket) MUST (ready (socket, ZMQ_POLLOUT, PATIENCE_MS) == ZMQ_POLLOUT)

/* ----------------------------------------------------------------------------------------------------------- monitors */

/* Watches the socket: the other end of its monitor. */
HELPER void *watch (void *socket, int wanted)
{
    static int number;
    char address[32];
    void *other;
    snprintf (address, sizeof address, "inproc://monitor-%d", number++);
    MUST (zmq_socket_monitor (socket, address, wanted) == 0);
    other = sock (ZMQ_PAIR);
    MUST (zmq_connect (other, address) == 0);
    return other;
}

HELPER const char *event_name (int event)
{
    static const char *const names[] = {"CONNECTED",     "CONNECT_DELAYED", "CONNECT_RETRIED",
                                        "LISTENING",     "BIND_FAILED",     "ACCEPTED",
                                        "ACCEPT_FAILED", "CLOSED",          "CLOSE_FAILED",
                                        "DISCONNECTED",  "MONITOR_STOPPED", "HANDSHAKE_FAILED_NO_DETAIL",
                                        "HANDSHAKE_SUCCEEDED", "HANDSHAKE_FAILED_PROTOCOL",
                                        "HANDSHAKE_FAILED_AUTH"};
    int bit;
    for (bit = 0; bit < 15; bit++)
        if (event == 1 << bit)
            return names[bit];
    return "an unknown event";
}

struct event {
    int event;
    uint32_t value;
    char address[512];
};

/* The next event; 0 when there is none in time or the message is not one. */
HELPER int next_event (void *monitor, struct event *event, int flags)
{
    unsigned char head[6];
    uint16_t number;
    int size;
    memset (event, 0, sizeof *event);
    size = zmq_recv (monitor, head, sizeof head, flags);
    if (size < 0)
        return 0;
    if (size != 6 || !get (monitor, ZMQ_RCVMORE)) {
        say ("an event of %d bytes", size);
        return 0;
    }
    memcpy (&number, head, 2);
    memcpy (&event->value, head + 2, 4);
    event->event = number;
    size = zmq_recv (monitor, event->address, sizeof event->address - 1, 0);
    event->address[size < 0 ? 0 : size] = 0;
    return number;
}

/* An event as text; descriptors and stale numbers are masked. */
HELPER const char *told (const struct event *event)
{
    static char text[700];
    switch (event->event) {
    case ZMQ_EVENT_CONNECTED:
    case ZMQ_EVENT_LISTENING:
    case ZMQ_EVENT_ACCEPTED:
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_DISCONNECTED:
        snprintf (text, sizeof text, "%s %s at \"%s\"", event_name (event->event),
                  (int) event->value > 2 ? "fd" : "no fd", masked (event->address));
        break;
    case ZMQ_EVENT_CONNECT_DELAYED:
    case ZMQ_EVENT_BIND_FAILED:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        snprintf (text, sizeof text, "%s %s at \"%s\"", event_name (event->event), error_name ((int) event->value),
                  masked (event->address));
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        snprintf (text, sizeof text, "%s 0x%x at \"%s\"", event_name (event->event), event->value,
                  masked (event->address));
        break;
    case ZMQ_EVENT_CONNECT_RETRIED:
        snprintf (text, sizeof text, "CONNECT_RETRIED at \"%s\"", masked (event->address));
        break;
    default:
        snprintf (text, sizeof text, "%s %u at \"%s\"", event_name (event->event), event->value,
                  masked (event->address));
    }
    return text;
}

/* Waits for the next event and prints it. */
#define EVENT(monitor) say_event (#monitor, monitor)

HELPER void say_event (const char *name, void *monitor)
{
    struct event event;
    if (next_event (monitor, &event, 0))
        say ("%s: %s", name, told (&event));
    else
        say ("%s: no event in time (%s)", name, error_name (zmq_errno ()));
}

/* Skips events until this one has come; gives its value. */
HELPER uint32_t until_event (void *monitor, int wanted)
{
    struct event event;
    do {
        if (!next_event (monitor, &event, 0)) {
            say ("never %s", event_name (wanted));
            return 0;
        }
    } while (event.event != wanted);
    return event.value;
}

/* Prints that no event comes within a short time, or those that do. */
HELPER void no_events (void *monitor)
{
    struct event event;
    while (ready (monitor, ZMQ_POLLIN, 120) == ZMQ_POLLIN)
        if (next_event (monitor, &event, 0))
            say ("unasked: %s", told (&event));
}

/* Two connected sockets that know of each other: the connecter's and the listener's handshakes are over. */
HELPER void join_by (const char *transport, void *one, void *other)
{
    void *first, *second;
    if (!strcmp (transport, "inproc")) {
        link_by (transport, one, other);
        events (one);
        return;
    }
    first = watch (one, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    second = watch (other, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    link_by (transport, one, other);
    until_event (first, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    until_event (second, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    MUST (zmq_socket_monitor (one, NULL, 0) == 0);
    MUST (zmq_socket_monitor (other, NULL, 0) == 0);
    shut (first);
    shut (second);
    events (one);
    events (other);
}

/* -------------------------------------------------------------------------------------------------- peers without zmq */

/* The port in an address such as tcp://127.0.0.1:5555. */
HELPER int port_of (const char *address)
{
    const char *colon = strrchr (address, ':');
    return colon ? atoi (colon + 1) : 0;
}

HELPER void limit_waits (int descriptor)
{
    struct timeval limit = {PATIENCE_MS / 1000, 0};
    setsockopt (descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

HELPER int raw_connect (const char *address)
{
    struct sockaddr_in to;
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    memset (&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    to.sin_port = htons ((uint16_t) port_of (address));
    MUST (connect (descriptor, (struct sockaddr *) &to, sizeof to) == 0);
    limit_waits (descriptor);
    return descriptor;
}

/* Listens on a port of the system's choice and writes its address. */
HELPER int raw_listen (char *address)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    memset (&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    MUST (bind (descriptor, (struct sockaddr *) &at, sizeof at) == 0);
    MUST (listen (descriptor, 10) == 0);
    MUST (getsockname (descriptor, (struct sockaddr *) &at, &size) == 0);
    sprintf (address, "tcp://127.0.0.1:%d", ntohs (at.sin_port));
    return descriptor;
}

HELPER int raw_accept (int listener)
{
    struct pollfd item = {listener, POLLIN, 0};
    int descriptor;
    MUST (poll (&item, 1, PATIENCE_MS) == 1);
    descriptor = accept (listener, NULL, NULL);
    MUST (descriptor >= 0);
    limit_waits (descriptor);
    return descriptor;
}

/* Reads exactly that many bytes; gives how many came before the end. */
HELPER int raw_read (int descriptor, void *buffer, int size)
{
    int had = 0;
    while (had < size) {
        ssize_t more = recv (descriptor, (char *) buffer + had, (size_t) (size - had), 0);
        if (more <= 0)
            break;
        had += (int) more;
    }
    return had;
}

HELPER void raw_write (int descriptor, const void *bytes, int size)
{
    MUST (send (descriptor, bytes, (size_t) size, MSG_NOSIGNAL) == size);
}

/* Greets as ZMTP 3.`minor` with mechanism NULL and reads the other's greeting. */
HELPER void raw_greet (int descriptor, int minor)
{
    unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3};
    unsigned char theirs[64];
    greeting[11] = (unsigned char) minor;
    memcpy (greeting + 12, "NULL", 4);
    raw_write (descriptor, greeting, 64);
    MUST (raw_read (descriptor, theirs, 64) == 64);
}

/* Reads a frame with a short size; gives the payload's size, or -1 at the end. */
HELPER int raw_frame (int descriptor, int *flags, unsigned char *payload)
{
    unsigned char head[2];
    if (raw_read (descriptor, head, 2) != 2)
        return -1;
    *flags = head[0];
    return raw_read (descriptor, payload, head[1]) == head[1] ? head[1] : -1;
}

/* The whole NULL handshake of a peer of that type (and identity, when not NULL). */
HELPER void raw_handshake (int descriptor, int minor, const char *type, const char *identity)
{
    unsigned char ready_command[256], theirs[256];
    int flags, size = 0;
    raw_greet (descriptor, minor);
    ready_command[size++] = 4;
    size++;
    size += sprintf ((char *) ready_command + size, "\5READY\13Socket-Type");
    memset (ready_command + size, 0, 3);
    ready_command[size + 3] = (unsigned char) strlen (type);
    size += 4;
    size += sprintf ((char *) ready_command + size, "%s", type);
    if (identity) {
        size += sprintf ((char *) ready_command + size, "\10Identity");
        memset (ready_command + size, 0, 3);
        ready_command[size + 3] = (unsigned char) strlen (identity);
        size += 4;
        size += sprintf ((char *) ready_command + size, "%s", identity);
    }
    ready_command[1] = (unsigned char) (size - 2);
    raw_write (descriptor, ready_command, size);
    MUST (raw_frame (descriptor, &flags, theirs) > 0);
}

/* ---------------------------------------------------------------------------------------------------------------- main */

HELPER void too_long (int signal_number)
{
    static const char text[] = "the program did not end in time\n";
    (void) signal_number;
    if (write (1, text, sizeof text - 1) < 0)
        _exit (98);
    _exit (99);
}

int main (int count, char **words)
{
    struct program *program;
    if (count < 2) {
        for (program = programs; program; program = program->next)
            puts (program->name);
        return 0;
    }
    signal (SIGALRM, too_long);
    alarm (PROGRAM_LIMIT);
    setenv ("TMPDIR", ".", 1); /* where ipc wildcards make their folders */
    for (program = programs; program; program = program->next) {
        if (strcmp (program->name, words[1]))
            continue;
        ctx = zmq_ctx_new ();
        program->body ();
        while (open_count)
            shut (opened[open_count - 1]);
        if (ctx)
            MUST (zmq_ctx_term (ctx) == 0);
        say ("done");
        return 0;
    }
    return 1;
}

#endif
