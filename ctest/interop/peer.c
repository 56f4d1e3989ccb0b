/* peer COMMAND...: a process at one end of a conversation, told what to do by its arguments, one word after the other.
 *
 * It is linked with -lzmq like any program; which libzmq it runs on is the loader's choice. It ends with 0 when all
 * went as told, else with 1 and a sentence about what did not.
 *
 *   socket TYPE          opens a socket; what follows is about it (the first is number 0)
 *   use NUMBER           what follows is about that socket
 *   bind ENDPOINT   connect ENDPOINT   unbind ENDPOINT   disconnect ENDPOINT
 *   int OPTION NUMBER    text OPTION TEXT    OPTION is a number of zmq.h
 *   monitor              starts recording this socket's events
 *   event NAME[=VALUE]   waits for connected, handshake, accepted, disconnected, retried, or a handshake that failed:
 *                        no_detail, protocol or auth; its value has to be that one, EPIPE or ECONNRESET for "cut"
 *   calm                 no event so far was disconnected
 *   send MESSAGE         parts separated by '+'; \xHH is a byte; '=' is the part that the last '#' or '*' matched
 *   recv MESSAGE         the next message has to be this one; '*' matches any part, '#N' one of N bytes
 *   about NAME VALUE     the next message has this property, on every part
 *   none MS              nothing arrives within that time
 *   close                closes the socket, while the others go on
 *   echo COUNT           receives and sends back so many messages, all parts
 *   ask COUNT            sends so many numbers and expects each to come back
 *   flood COUNT   drain COUNT      many messages of many sizes and parts; every byte is checked
 *   swap COUNT           the same messages, each sent and expected back before the next
 *   count COUNT   counted COUNT    many small messages, in order
 *   publish              socket 0 publishes a round of a, b and c for each "round" on socket 1, until "end" comes there
 *   await TOPICS         asks for rounds until exactly these topics come, and then five more times
 *   has CAPABILITY       zmq_has affirms it
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include "end.h"

enum { PATIENCE_MS = 20000, SOCKETS = 8, PARTS = 16 };

static void *sockets[SOCKETS], *monitors[SOCKETS];
static int open_sockets, current;

/* The part that the last wildcard matched, for each socket. */
static struct { char bytes[256]; size_t size; } kept[SOCKETS];

/* ------------------------------------------------------------------------------------------------ texts and parts */

/* Turns \xHH into bytes, in place; gives the size. */
static size_t unescape (char *text)
{
    char *in = text, *out = text;
    while (*in) {
        unsigned byte;
        if (in[0] == '\\' && in[1] == 'x' && sscanf (in + 2, "%2x", &byte) == 1) {
            *out++ = (char) byte;
            in += 4;
        } else
            *out++ = *in++;
    }
    *out = 0;
    return (size_t) (out - text);
}

/* Cuts a message text at every '+'; "" is one empty part. */
static int cut (char *text, char *parts[PARTS])
{
    int count = 0;
    for (;;) {
        char *plus = strchr (text, '+');
        if (count == PARTS)
            wrong ("too many parts");
        parts[count++] = text;
        if (!plus)
            return count;
        *plus = 0;
        text = plus + 1;
    }
}

static void show (const char *label, const void *bytes, size_t size)
{
    size_t i;
    fprintf (stderr, "  %s %lu bytes:", label, (unsigned long) size);
    for (i = 0; i < size && i < 48; i++) {
        unsigned char c = ((const unsigned char *) bytes)[i];
        fprintf (stderr, c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
    }
    fputc ('\n', stderr);
}

static void send_message (char *text)
{
    char *parts[PARTS];
    int count = cut (text, parts), i;
    for (i = 0; i < count; i++) {
        const char *bytes = parts[i];
        size_t size;
        if (!strcmp (parts[i], "=")) {
            bytes = kept[current].bytes;
            size = kept[current].size;
        } else
            size = unescape (parts[i]);
        check (zmq_send (sockets[current], bytes, size, i + 1 < count ? ZMQ_SNDMORE : 0), "zmq_send");
    }
}

static void keep (const void *bytes, size_t size)
{
    if (size > sizeof kept[current].bytes)
        wrong ("a matched part is too long to keep");
    memcpy (kept[current].bytes, bytes, size);
    kept[current].size = size;
}

static int matches (char *pattern, const void *bytes, size_t size)
{
    size_t wanted;
    if (!strcmp (pattern, "*") || (pattern[0] == '#' && (size_t) atol (pattern + 1) == size)) {
        keep (bytes, size);
        return 1;
    }
    if (!strcmp (pattern, "="))
        return size == kept[current].size && !memcmp (bytes, kept[current].bytes, size);
    wanted = unescape (pattern);
    return size == wanted && !memcmp (bytes, pattern, size);
}

static void receive_message (char *text)
{
    char *parts[PARTS];
    int count = cut (text, parts), i, more = 1, good = 1;
    for (i = 0; more; i++) {
        zmq_msg_t part;
        zmq_msg_init (&part);
        check (zmq_msg_recv (&part, sockets[current], 0), "zmq_msg_recv");
        more = zmq_msg_more (&part);
        if (i >= count || !matches (parts[i], zmq_msg_data (&part), zmq_msg_size (&part))) {
            show ("unexpected part of", zmq_msg_data (&part), zmq_msg_size (&part));
            good = 0;
        }
        zmq_msg_close (&part);
    }
    if (!good || i != count)
        wrong (i < count ? "parts are missing" : "another message than expected");
}

/* Takes the next message, whatever it is, and looks at what is told about it. */
static void about (const char *name, const char *value)
{
    int more = 1;
    while (more) {
        zmq_msg_t part;
        const char *found;
        zmq_msg_init (&part);
        check (zmq_msg_recv (&part, sockets[current], 0), "zmq_msg_recv");
        more = zmq_msg_more (&part);
        found = zmq_msg_gets (&part, name);
        if (!found || strcmp (found, value)) {
            fprintf (stderr, "  %s is %s\n", name, found ? found : "not there");
            wrong ("another property than expected");
        }
        zmq_msg_close (&part);
    }
}

static int poll_in (void *socket, long timeout_ms)
{
    zmq_pollitem_t item;
    memset (&item, 0, sizeof item);
    item.socket = socket;
    item.events = ZMQ_POLLIN;
    check (zmq_poll (&item, 1, timeout_ms), "zmq_poll");
    return item.revents & ZMQ_POLLIN;
}

/* ------------------------------------------------------------------------------------------------------ exercises */

/* A whole message before the answer begins: a REP insists on it. */
static void echo (long count)
{
    while (count-- > 0) {
        zmq_msg_t parts[PARTS];
        int received = 0, sent = 0, more = 1;
        while (more) {
            if (received == PARTS)
                wrong ("too many parts");
            zmq_msg_init (&parts[received]);
            check (zmq_msg_recv (&parts[received], sockets[current], 0), "zmq_msg_recv");
            more = zmq_msg_more (&parts[received++]);
        }
        for (; sent < received; sent++)
            check (zmq_msg_send (&parts[sent], sockets[current], sent + 1 < received ? ZMQ_SNDMORE : 0), "zmq_msg_send");
    }
}

static void ask (long count)
{
    long i;
    for (i = 0; i < count; i++) {
        char text[32], answer[32];
        int size = sprintf (text, "%ld", i);
        check (zmq_send (sockets[current], text, (size_t) size, 0), "zmq_send");
        if (zmq_recv (sockets[current], answer, sizeof answer, 0) != size || memcmp (text, answer, (size_t) size))
            die ("the question did not come back");
    }
}

/* The sizes around which encodings change: inline messages, short frames, buffers, several reads. */
static const size_t sizes[] = {0, 1, 33, 34, 255, 256, 8192, 70000};

static int parts_of (long message)
{
    return 1 + (int) (message % 3);
}

static size_t size_of (long message, int part)
{
    return part == 0 && message % 100 == 50 ? 3 * 1024 * 1024 : sizes[(size_t) (message + part) % 8];
}

static unsigned char byte_of (long message, int part, size_t offset)
{
    return (unsigned char) ((size_t) message * 31 + (size_t) part * 7 + offset + (offset >> 8));
}

static void flood_one (long message)
{
    int part, parts = parts_of (message);
    for (part = 0; part < parts; part++) {
        zmq_msg_t body;
        size_t size = size_of (message, part), i;
        unsigned char *bytes;
        check (zmq_msg_init_size (&body, size), "zmq_msg_init_size");
        bytes = (unsigned char *) zmq_msg_data (&body);
        for (i = 0; i < size; i++)
            bytes[i] = byte_of (message, part, i);
        check (zmq_msg_send (&body, sockets[current], part + 1 < parts ? ZMQ_SNDMORE : 0), "zmq_msg_send");
    }
}

static void drain_one (long message)
{
    int part, more = 1;
    for (part = 0; more; part++) {
        zmq_msg_t body;
        size_t size, i;
        const unsigned char *bytes;
        zmq_msg_init (&body);
        check (zmq_msg_recv (&body, sockets[current], 0), "zmq_msg_recv");
        size = zmq_msg_size (&body);
        bytes = (const unsigned char *) zmq_msg_data (&body);
        if (size != size_of (message, part)) {
            fprintf (stderr, "  message %ld part %d has %lu bytes\n", message, part, (unsigned long) size);
            wrong ("a part of the wrong size");
        }
        for (i = 0; i < size; i++)
            if (bytes[i] != byte_of (message, part, i)) {
                fprintf (stderr, "  message %ld part %d differs at %lu\n", message, part, (unsigned long) i);
                wrong ("a wrong byte");
            }
        more = zmq_msg_more (&body);
        zmq_msg_close (&body);
    }
    if (part != parts_of (message))
        wrong ("a wrong number of parts");
}

static void flood (long count)
{
    long message;
    for (message = 0; message < count; message++)
        flood_one (message);
}

static void drain (long count)
{
    long message;
    for (message = 0; message < count; message++)
        drain_one (message);
}

static void swap (long count)
{
    long message;
    for (message = 0; message < count; message++) {
        flood_one (message);
        drain_one (message);
    }
}

static void count_up (long count)
{
    uint64_t i;
    for (i = 0; i < (uint64_t) count; i++)
        check (zmq_send (sockets[current], &i, sizeof i, 0), "zmq_send");
}

static void count_in (long count)
{
    uint64_t i, got;
    for (i = 0; i < (uint64_t) count; i++) {
        check (zmq_recv (sockets[current], &got, sizeof got, 0), "zmq_recv");
        if (got != i) {
            fprintf (stderr, "  %lu instead of %lu\n", (unsigned long) got, (unsigned long) i);
            wrong ("lost, doubled or out of order");
        }
    }
}

/* ------------------------------------------------------------------------------------------- publishing in rounds */

static void publish (void)
{
    char word[16];
    struct timespec now;
    long round;
    /* Rounds of a publisher that was started later have greater numbers, and another one than the next. */
    clock_gettime (CLOCK_MONOTONIC, &now);
    round = (long) now.tv_sec * 1000000 + now.tv_nsec / 1000;
    for (;;) {
        int size = zmq_recv (sockets[1], word, sizeof word, 0), topic;
        check (size, "zmq_recv");
        if (size == 3)
            return;
        round++;
        for (topic = 0; topic < 3; topic++) {
            char text[32];
            int length = sprintf (text, "%c %ld", "abc"[topic], round);
            check (zmq_send (sockets[0], text, (size_t) length, 0), "zmq_send");
        }
        /* Whoever asked more often than it needed to may have said "end" and gone. */
        if (zmq_send (sockets[1], &round, sizeof round, ZMQ_DONTWAIT) < 0 && zmq_errno () != EAGAIN)
            die ("zmq_send");
    }
}

/* One round: which topics came of it, in alphabetical order. A topic beyond those wanted is seen at the latest in the
 * next round, as messages stay in order. Returns `good`, the number of rounds before that brought what was wanted, or 0
 * when this one is of another publisher. */
static int round_of (const char *wanted, char *topics, int good)
{
    /* What came of a later round: more than one is under way where the first answers took long. */
    static char ahead[32];
    static long last;
    long round, got, tries, patience_ms;
    size_t count = 0;
    char text[32];
    for (tries = 0;; tries++) {
        if (tries == PATIENCE_MS / 200)
            wrong ("the publisher does not answer");
        check (zmq_send (sockets[1], "round", 5, 0), "zmq_send");
        if (poll_in (sockets[1], 200))
            break;
    }
    check (zmq_recv (sockets[1], &round, sizeof round, 0), "zmq_recv");
    if (round != last + 1)
        good = 0;
    last = round;
    /* Once they have come, so will they in every round; it may only take its time on a busy machine. */
    patience_ms = good > 0 ? PATIENCE_MS : 200;
    while (count < 3) {
        if (ahead[0]) {
            strcpy (text, ahead);
            ahead[0] = 0;
        } else if (poll_in (sockets[0], count < strlen (wanted) ? patience_ms : 0)) {
            int size = zmq_recv (sockets[0], text, sizeof text - 1, 0);
            check (size, "zmq_recv");
            text[size] = 0;
        } else
            break;
        got = atol (text + 2);
        if (got > round) {
            strcpy (ahead, text);
            break;
        }
        if (got == round || !strchr (wanted, text[0]))
            topics[count++] = text[0];
    }
    topics[count] = 0;
    return good;
}

static void await (const char *wanted)
{
    char topics[8] = "";
    int tries, good = 0;
    for (tries = 0; good < 6; tries++) {
        good = round_of (wanted, topics, good);
        if (!strcmp (topics, wanted))
            good++;
        else if (good > 0 || tries > 100) {
            fprintf (stderr, "  a round brought \"%s\"\n", topics);
            wrong ("other topics than expected");
        }
    }
}

/* --------------------------------------------------------------------------------------------------------- events */

static void monitor (void)
{
    char address[32];
    sprintf (address, "inproc://monitor-%d", current);
    check (zmq_socket_monitor (sockets[current], address, ZMQ_EVENT_ALL), "zmq_socket_monitor");
    monitors[current] = zmq_socket (context, ZMQ_PAIR);
    set_int (monitors[current], ZMQ_RCVTIMEO, PATIENCE_MS);
    set_int (monitors[current], ZMQ_LINGER, 0);
    check (zmq_connect (monitors[current], address), "zmq_connect");
}

static uint32_t event_value;

/* The next event, or 0 when none comes within the time. */
static int next_event (long timeout_ms)
{
    unsigned char frame[16];
    char address[256];
    uint16_t event;
    if (!monitors[current])
        wrong ("no monitor");
    if (!poll_in (monitors[current], timeout_ms))
        return 0;
    check (zmq_recv (monitors[current], frame, sizeof frame, 0), "event");
    check (zmq_recv (monitors[current], address, sizeof address, 0), "event address");
    memcpy (&event, frame, sizeof event);
    memcpy (&event_value, frame + sizeof event, sizeof event_value);
    return event;
}

static void await_event (const char *name)
{
    static const struct { const char *name; int event; } names[] = {
        {"connected", ZMQ_EVENT_CONNECTED}, {"handshake", ZMQ_EVENT_HANDSHAKE_SUCCEEDED},
        {"accepted", ZMQ_EVENT_ACCEPTED},   {"disconnected", ZMQ_EVENT_DISCONNECTED},
        {"retried", ZMQ_EVENT_CONNECT_RETRIED},
        {"no_detail", ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL},
        {"protocol", ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL},
        {"auth", ZMQ_EVENT_HANDSHAKE_FAILED_AUTH}};
    size_t i, length = strcspn (name, "=");
    int wanted = 0, event;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen (names[i].name) == length && !strncmp (names[i].name, name, length))
            wanted = names[i].event;
    if (!wanted)
        wrong ("no such event");
    do {
        event = next_event (PATIENCE_MS);
        if (!event)
            wrong ("the event does not come");
    } while (event != wanted);
    if (!strcmp (name + length, "=cut") && (event_value == EPIPE || event_value == ECONNRESET))
        return;
    if (name[length] && event_value != strtoul (name + length + 1, NULL, 0)) {
        fprintf (stderr, "  its value is %#lx\n", (unsigned long) event_value);
        wrong ("another value");
    }
}

static void calm (void)
{
    int event;
    while ((event = next_event (0)) != 0)
        if (event == ZMQ_EVENT_DISCONNECTED)
            wrong ("the connection was lost");
}

/* ------------------------------------------------------------------------------------------------------------ main */

static int type_of (const char *name)
{
    static const char *names[] = {"pair", "pub",    "sub",  "req",  "rep",  "dealer",
                                  "router", "pull", "push", "xpub", "xsub", "stream"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp (names[i], name))
            return (int) i;
    wrong ("no such socket type");
    return -1;
}

static void open_socket (const char *type)
{
    if (open_sockets == SOCKETS)
        wrong ("too many sockets");
    current = open_sockets++;
    sockets[current] = patient_socket (type_of (type), PATIENCE_MS);
    /* Long enough for everything. A subscriber keeps its default of 0: nobody needs its last subscriptions. */
    if (strcmp (type, "sub") && strcmp (type, "xsub"))
        set_int (sockets[current], ZMQ_LINGER, PATIENCE_MS);
}

static char **next;

static char *word (void)
{
    if (!*next)
        wrong ("an argument is missing");
    return *next++;
}

static void command (char *name)
{
    void *socket = sockets[current];
    if (!strcmp (name, "socket"))
        open_socket (word ());
    else if (!strcmp (name, "use"))
        current = atoi (word ());
    else if (!strcmp (name, "bind"))
        check (zmq_bind (socket, word ()), "zmq_bind");
    else if (!strcmp (name, "connect"))
        check (zmq_connect (socket, word ()), "zmq_connect");
    else if (!strcmp (name, "unbind"))
        check (zmq_unbind (socket, word ()), "zmq_unbind");
    else if (!strcmp (name, "disconnect"))
        check (zmq_disconnect (socket, word ()), "zmq_disconnect");
    else if (!strcmp (name, "int")) {
        int option = atoi (word ());
        set_int (socket, option, atoi (word ()));
    } else if (!strcmp (name, "text")) {
        int option = atoi (word ());
        char *text = word ();
        size_t size = unescape (text);
        check (zmq_setsockopt (socket, option, text, size), "zmq_setsockopt");
    } else if (!strcmp (name, "monitor"))
        monitor ();
    else if (!strcmp (name, "event"))
        await_event (word ());
    else if (!strcmp (name, "calm"))
        calm ();
    else if (!strcmp (name, "send"))
        send_message (word ());
    else if (!strcmp (name, "recv"))
        receive_message (word ());
    else if (!strcmp (name, "none")) {
        if (poll_in (socket, atol (word ())))
            wrong ("a message where none is due");
    } else if (!strcmp (name, "about")) {
        const char *property = word ();
        about (property, word ());
    } else if (!strcmp (name, "close")) {
        check (zmq_close (socket), "zmq_close");
        sockets[current] = NULL;
    } else if (!strcmp (name, "echo"))
        echo (atol (word ()));
    else if (!strcmp (name, "ask"))
        ask (atol (word ()));
    else if (!strcmp (name, "flood"))
        flood (atol (word ()));
    else if (!strcmp (name, "drain"))
        drain (atol (word ()));
    else if (!strcmp (name, "swap"))
        swap (atol (word ()));
    else if (!strcmp (name, "count"))
        count_up (atol (word ()));
    else if (!strcmp (name, "counted"))
        count_in (atol (word ()));
    else if (!strcmp (name, "publish"))
        publish ();
    else if (!strcmp (name, "await"))
        await (word ());
    else if (!strcmp (name, "has")) {
        if (!zmq_has (word ()))
            wrong ("it has not");
    } else
        wrong ("no such command");
}

int main (int argc, char **argv)
{
    int i, major, minor, patch;
    zmq_version (&major, &minor, &patch);
    printf ("libzmq %d.%d.%d\n", major, minor, patch);
    context = zmq_ctx_new ();
    if (!context)
        die ("zmq_ctx_new");
    for (next = argv + 1; argc > 1 && *next;) {
        static char line[128];
        sprintf (line, "%.60s %.60s", *next, next[1] ? next[1] : "");
        doing = line;
        command (*next++);
    }
    doing = "closing";
    for (i = 0; i < open_sockets; i++) {
        if (monitors[i])
            check (zmq_close (monitors[i]), "zmq_close");
        if (sockets[i])
            check (zmq_close (sockets[i]), "zmq_close");
    }
    check (zmq_ctx_term (context), "zmq_ctx_term");
    return 0;
}
