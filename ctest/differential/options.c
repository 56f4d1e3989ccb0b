/* Socket options: every stable one on every type, with good and bad sizes and values. */
#include "record.h"

enum kind { INT, U64, I64, TEXT, BYTES, ONLY_GET, ONLY_SET };

static const struct option {
    const char *name;
    int id;
    enum kind kind;
} options[] = {
#define O(name, kind) {#name, ZMQ_##name, kind}
    O (AFFINITY, U64), O (ROUTING_ID, BYTES), O (SUBSCRIBE, ONLY_SET), O (UNSUBSCRIBE, ONLY_SET), O (RATE, INT),
    O (RECOVERY_IVL, INT), O (SNDBUF, INT), O (RCVBUF, INT), O (RCVMORE, ONLY_GET), O (FD, ONLY_GET),
    O (EVENTS, ONLY_GET), O (TYPE, ONLY_GET), O (LINGER, INT), O (RECONNECT_IVL, INT), O (BACKLOG, INT),
    O (RECONNECT_IVL_MAX, INT), O (MAXMSGSIZE, I64), O (SNDHWM, INT), O (RCVHWM, INT), O (MULTICAST_HOPS, INT),
    O (RCVTIMEO, INT), O (SNDTIMEO, INT), O (LAST_ENDPOINT, TEXT), O (ROUTER_MANDATORY, INT), O (TCP_KEEPALIVE, INT),
    O (TCP_KEEPALIVE_CNT, INT), O (TCP_KEEPALIVE_IDLE, INT), O (TCP_KEEPALIVE_INTVL, INT),
    O (TCP_ACCEPT_FILTER, TEXT), O (IMMEDIATE, INT), O (XPUB_VERBOSE, INT), O (ROUTER_RAW, INT), O (IPV6, INT),
    O (MECHANISM, ONLY_GET), O (PLAIN_SERVER, INT), O (PLAIN_USERNAME, TEXT), O (PLAIN_PASSWORD, TEXT),
    O (CURVE_SERVER, INT), O (CURVE_PUBLICKEY, BYTES), O (CURVE_SECRETKEY, BYTES), O (CURVE_SERVERKEY, BYTES),
    O (PROBE_ROUTER, INT), O (REQ_CORRELATE, INT), O (REQ_RELAXED, INT), O (CONFLATE, INT), O (ZAP_DOMAIN, TEXT),
    O (ROUTER_HANDOVER, INT), O (TOS, INT), O (IPC_FILTER_PID, INT), O (IPC_FILTER_UID, INT), O (IPC_FILTER_GID, INT),
    O (CONNECT_ROUTING_ID, BYTES), O (GSSAPI_SERVER, INT), O (GSSAPI_PRINCIPAL, TEXT),
    O (GSSAPI_SERVICE_PRINCIPAL, TEXT), O (GSSAPI_PLAINTEXT, INT), O (HANDSHAKE_IVL, INT), O (SOCKS_PROXY, TEXT),
    O (XPUB_NODROP, INT), O (BLOCKY, INT), O (XPUB_MANUAL, INT), O (XPUB_WELCOME_MSG, BYTES), O (STREAM_NOTIFY, INT),
    O (INVERT_MATCHING, INT), O (HEARTBEAT_IVL, INT), O (HEARTBEAT_TTL, INT), O (HEARTBEAT_TIMEOUT, INT),
    O (XPUB_VERBOSER, INT), O (CONNECT_TIMEOUT, INT), O (TCP_MAXRT, INT), O (THREAD_SAFE, ONLY_GET),
    O (MULTICAST_MAXTPDU, INT), O (VMCI_BUFFER_SIZE, U64), O (VMCI_CONNECT_TIMEOUT, INT), O (USE_FD, INT),
    O (GSSAPI_PRINCIPAL_NAMETYPE, INT), O (GSSAPI_SERVICE_PRINCIPAL_NAMETYPE, INT), O (BINDTODEVICE, TEXT),
    O (IPV4ONLY, INT),
#undef O
    {"number 0", 0, INT}, {"number 1", 1, INT}, {"number 3", 3, INT}, {"number 20", 20, INT}, {"number 26", 26, INT},
    {"number 30", 30, INT}, {"number 67", 67, INT}, {"number 999", 999, INT}, {"number -1", -1, INT},
};
enum { OPTIONS = sizeof options / sizeof *options };

static const struct {
    const char *name;
    int id;
} types[] = {{"PAIR", ZMQ_PAIR}, {"PUB", ZMQ_PUB}, {"SUB", ZMQ_SUB}, {"REQ", ZMQ_REQ}, {"REP", ZMQ_REP},
             {"DEALER", ZMQ_DEALER}, {"ROUTER", ZMQ_ROUTER}, {"PULL", ZMQ_PULL}, {"PUSH", ZMQ_PUSH},
             {"XPUB", ZMQ_XPUB}, {"XSUB", ZMQ_XSUB}, {"STREAM", ZMQ_STREAM}};
enum { TYPES = sizeof types / sizeof *types };

/* Prints what a getter gives into a buffer of that size, and how much of the buffer it wrote. */
static void look (void *socket, const char *type, const struct option *option, size_t given)
{
    unsigned char buffer[300];
    size_t size = given, i, touched = 0;
    int result;
    memset (buffer, 0xee, sizeof buffer);
    errno = 0;
    result = zmq_getsockopt (socket, option->id, buffer, &size);
    if (result) {
        say ("%s %s, %zu bytes: %s, size %zu", type, option->name, given, error_name (zmq_errno ()), size);
        return;
    }
    for (i = 0; i < sizeof buffer; i++)
        if (buffer[i] != 0xee)
            touched = i + 1;
    if (option->id == ZMQ_FD)
        memset (buffer, 'f', 4);
    say ("%s %s, %zu bytes: %s, size %zu, written %zu", type, option->name, given,
         shown (buffer, size < 300 ? size : 300), size, touched);
}

static void defaults_of (int type)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 8, 32, 40, 41, 255, 256};
    size_t i, j;
    void *socket = sock (types[type].id);
    MUST (set (socket, ZMQ_RCVTIMEO, -1) == 0 && set (socket, ZMQ_SNDTIMEO, -1) == 0);
    for (i = 0; i < OPTIONS; i++)
        for (j = 0; j < sizeof sizes / sizeof *sizes; j++)
            look (socket, types[type].name, &options[i], sizes[j]);
}

/* Sets ints of all kinds, and looks what became of it. */
static void ints_of (int type)
{
    static const int values[] = {-100000, -100, -99, -2, -1, 0, 1, 2, 3, 4, 9, 199, 65536, 6553599, 6553600, INT32_MAX};
    size_t i, j;
    for (i = 0; i < OPTIONS; i++) {
        void *socket = sock (types[type].id);
        if (options[i].id == ZMQ_FD)
            continue;
        for (j = 0; j < sizeof values / sizeof *values; j++) {
            int value = -7;
            size_t size = sizeof value;
            const char *set_to = set (socket, options[i].id, values[j]) ? error_name (zmq_errno ()) : "done";
            char text[40];
            snprintf (text, sizeof text, "%s", set_to);
            if (zmq_getsockopt (socket, options[i].id, &value, &size))
                say ("%s %s := %d: %s", types[type].name, options[i].name, values[j], text);
            else
                say ("%s %s := %d: %s, then %d", types[type].name, options[i].name, values[j], text, value);
        }
        shut (socket);
    }
}

/* Sets bytes of all lengths. */
static void bytes_of (int type)
{
    static const size_t sizes[] = {0, 1, 2, 3, 5, 8, 16, 17, 31, 32, 33, 40, 41, 42, 255, 256, 1000};
    char bytes[1001];
    size_t i, j;
    memset (bytes, 'a', sizeof bytes);
    for (i = 0; i < OPTIONS; i++) {
        void *socket = sock (types[type].id);
        if (options[i].id == ZMQ_FD)
            continue;
        for (j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            char buffer[300];
            size_t size = options[i].id >= ZMQ_CURVE_PUBLICKEY && options[i].id <= ZMQ_CURVE_SERVERKEY ? 41 : 300;
            const char *set_to = zmq_setsockopt (socket, options[i].id, bytes, sizes[j]) ? error_name (zmq_errno ()) : "done";
            char text[40];
            snprintf (text, sizeof text, "%s", set_to);
            if (zmq_getsockopt (socket, options[i].id, buffer, &size))
                say ("%s %s with %zu bytes: %s", types[type].name, options[i].name, sizes[j], text);
            else
                say ("%s %s with %zu bytes: %s, then %s", types[type].name, options[i].name, sizes[j], text,
                     shown (buffer, size));
        }
        TRIED (zmq_setsockopt (socket, options[i].id, NULL, 0), "%s %s with nothing", types[type].name, options[i].name);
        shut (socket);
    }
}

#define FOR_TYPE(number, name)                                                                                         \
    PROGRAM (option_defaults_##name)                                                                                   \
    {                                                                                                                  \
        defaults_of (number);                                                                                          \
    }                                                                                                                  \
    PROGRAM (option_ints_##name)                                                                                       \
    {                                                                                                                  \
        ints_of (number);                                                                                              \
    }                                                                                                                  \
    PROGRAM (option_bytes_##name)                                                                                      \
    {                                                                                                                  \
        bytes_of (number);                                                                                             \
    }

FOR_TYPE (0, pair)
FOR_TYPE (1, pub)
FOR_TYPE (2, sub)
FOR_TYPE (3, req)
FOR_TYPE (4, rep)
FOR_TYPE (5, dealer)
FOR_TYPE (6, router)
FOR_TYPE (7, pull)
FOR_TYPE (8, push)
FOR_TYPE (9, xpub)
FOR_TYPE (10, xsub)
FOR_TYPE (11, stream)

PROGRAM (option_calls_misused)
{
    int value = 0;
    size_t size = sizeof value;
    void *socket = sock (ZMQ_PAIR);
    TRY (zmq_setsockopt (NULL, ZMQ_LINGER, &value, sizeof value));
    TRY (zmq_getsockopt (NULL, ZMQ_LINGER, &value, &size));
    TRY (zmq_setsockopt (socket, ZMQ_LINGER, NULL, 0));
    TRY (zmq_setsockopt (socket, ZMQ_ROUTING_ID, NULL, 0));
    TRY (zmq_setsockopt (socket, ZMQ_LAST_ENDPOINT, "x", 1));
    TRY (zmq_setsockopt (socket, ZMQ_TYPE, &value, sizeof value));
    TRY (zmq_setsockopt (socket, ZMQ_EVENTS, &value, sizeof value));
}

PROGRAM (option_security_last_writer_wins)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    void *socket = sock (ZMQ_DEALER);
#define MECHANISM_AFTER(call) say ("%s = %d: mechanism %d, plain server %d, curve server %d", #call, call,             \
                                   get (socket, ZMQ_MECHANISM), get (socket, ZMQ_PLAIN_SERVER), get (socket, ZMQ_CURVE_SERVER))
    MECHANISM_AFTER (set (socket, ZMQ_PLAIN_SERVER, 1));
    MECHANISM_AFTER (set_text (socket, ZMQ_PLAIN_USERNAME, "me"));
    MECHANISM_AFTER (set_text (socket, ZMQ_PLAIN_PASSWORD, "you"));
    MECHANISM_AFTER (set (socket, ZMQ_CURVE_SERVER, 1));
    MECHANISM_AFTER (set (socket, ZMQ_PLAIN_SERVER, 0));
    MECHANISM_AFTER (set_text (socket, ZMQ_CURVE_SERVERKEY, key));
    MECHANISM_AFTER (set (socket, ZMQ_CURVE_SERVER, 1));
    MECHANISM_AFTER (set_text (socket, ZMQ_CURVE_PUBLICKEY, key));
    MECHANISM_AFTER (set_text (socket, ZMQ_PLAIN_USERNAME, "me"));
    MECHANISM_AFTER (zmq_setsockopt (socket, ZMQ_PLAIN_USERNAME, NULL, 0));
    MECHANISM_AFTER (set_text (socket, ZMQ_CURVE_SECRETKEY, key));
    MECHANISM_AFTER (set (socket, ZMQ_CURVE_SERVER, 0));
    MECHANISM_AFTER (zmq_setsockopt (socket, ZMQ_PLAIN_PASSWORD, "", 0));
}

PROGRAM (option_curve_keys)
{
    static const char *const keys[] = {"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf",
                                       "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf77", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\"",
                                       "#########################################"};
    unsigned char buffer[64];
    size_t i, j, size;
    for (i = 0; i < sizeof keys / sizeof *keys; i++) {
        void *socket = sock (ZMQ_DEALER);
        for (j = 38; j < 43 && j <= strlen (keys[i]) + 1; j++) {
            TRIED (zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, keys[i], j), "key %zu, %zu bytes", i, j);
            memset (buffer, 0, sizeof buffer);
            size = 41;
            TRIED (zmq_getsockopt (socket, ZMQ_CURVE_PUBLICKEY, buffer, &size), "as text");
            say ("%s", shown (buffer, size));
            size = 32;
            TRIED (zmq_getsockopt (socket, ZMQ_CURVE_PUBLICKEY, buffer, &size), "as bytes");
            say ("%s", shown (buffer, size));
        }
        TRIED (zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, keys[i], 32), "secret, raw");
        size = 41;
        TRIED (zmq_getsockopt (socket, ZMQ_CURVE_SECRETKEY, buffer, &size), "as text");
        say ("%s", shown (buffer, size));
        shut (socket);
    }
}

PROGRAM (option_accept_filters)
{
    static const char *const filters[] = {"127.0.0.1", "127.0.0.1/8", "127.0.0.1/0", "127.0.0.1/32", "127.0.0.1/33",
                                          "127.0.0.1/", "127.0.0.1/-1", "127.0.0.1/x", "localhost", "lo", "*", "",
                                          "::1", "[::1]", "300.1.1.1", "127.0.0.1:80", "127.0.0", " 127.0.0.1"};
    size_t i;
    int six;
    for (six = 0; six < 2; six++) {
        void *socket = sock (ZMQ_PULL);
        MUST (set (socket, ZMQ_IPV6, six) == 0);
        for (i = 0; i < sizeof filters / sizeof *filters; i++)
            TRIED (set_text (socket, ZMQ_TCP_ACCEPT_FILTER, filters[i]), "ipv6 %d: filter \"%s\"", six, filters[i]);
        TRY (zmq_setsockopt (socket, ZMQ_TCP_ACCEPT_FILTER, NULL, 0));
    }
}

PROGRAM (option_texts_with_zeros)
{
    static const int ids[] = {ZMQ_PLAIN_USERNAME, ZMQ_PLAIN_PASSWORD, ZMQ_ZAP_DOMAIN, ZMQ_SOCKS_PROXY, ZMQ_GSSAPI_PRINCIPAL,
                              ZMQ_ROUTING_ID, ZMQ_BINDTODEVICE};
    size_t i;
    for (i = 0; i < sizeof ids / sizeof *ids; i++) {
        char buffer[300];
        size_t size = sizeof buffer;
        void *socket = sock (ZMQ_DEALER);
        TRIED (zmq_setsockopt (socket, ids[i], "a\0b", 3), "option %d", ids[i]);
        TRIED (zmq_getsockopt (socket, ids[i], buffer, &size), "got");
        say ("%s", shown (buffer, size));
        TRIED (zmq_setsockopt (socket, ids[i], "abc", 4), "option %d with its end", ids[i]);
        size = sizeof buffer;
        TRIED (zmq_getsockopt (socket, ids[i], buffer, &size), "got");
        say ("%s", shown (buffer, size));
        size = 4;
        TRIED (zmq_getsockopt (socket, ids[i], buffer, &size), "got into 4");
        size = 3;
        TRIED (zmq_getsockopt (socket, ids[i], buffer, &size), "got into 3");
        shut (socket);
    }
}

/* Options are copied when an endpoint is made. */
PROGRAM (option_changed_after_bind)
{
    void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER), *other = sock (ZMQ_DEALER);
    int64_t limit = 5;
    MUST (zmq_bind (router, "tcp://127.0.0.1:*") == 0);
    SEE (zmq_setsockopt (router, ZMQ_MAXMSGSIZE, &limit, sizeof limit));
    SEE (set_text (dealer, ZMQ_ROUTING_ID, "early"));
    MUST (zmq_connect (dealer, endpoint (router)) == 0);
    SEE (set_text (dealer, ZMQ_ROUTING_ID, "late"));
    SEE (put (dealer, "longer than five", 0));
    HEAR (router);
    SEE (set_text (other, ZMQ_ROUTING_ID, "other"));
    MUST (zmq_connect (other, endpoint (router)) == 0);
    SEE (put (other, "again longer", 0));
    HEAR (router);
}

PROGRAM (option_timeouts_act_at_once)
{
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
    char bytes[4];
    int64_t start;
    static const int spans[] = {0, 1, 50, 300};
    size_t i;
    for (i = 0; i < 4; i++) {
        SEE (set (pull, ZMQ_RCVTIMEO, spans[i]));
        start = now_ms ();
        TRY (zmq_recv (pull, bytes, 4, 0));
        say ("%d ms: %s", spans[i], took (now_ms () - start, spans[i]));
        SEE (set (push, ZMQ_SNDTIMEO, spans[i]));
        start = now_ms ();
        TRY (zmq_send (push, bytes, 4, 0));
        say ("%d ms: %s", spans[i], took (now_ms () - start, spans[i]));
        TRY (zmq_recv (pull, bytes, 4, ZMQ_DONTWAIT));
    }
}
