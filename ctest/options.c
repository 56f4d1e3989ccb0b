/* Socket options: defaults, ranges, sizes, who takes what. */
#include "check.h"

enum { NO = -99999 }; /* ends a list of values */

/* The options that are an int, on every type: what they are at first, what they take and what they refuse. */
static const struct option {
    int id;
    const char *name;
    int initial;
    int takes[6];
    int refuses[4];
} ints[] = {
    {ZMQ_RATE, "RATE", 100, {1, 40000, NO}, {0, -1, NO}},
    {ZMQ_RECOVERY_IVL, "RECOVERY_IVL", 10000, {0, 5, NO}, {-1, NO}},
    {ZMQ_SNDBUF, "SNDBUF", -1, {-1, 0, 65536, NO}, {-2, NO}},
    {ZMQ_RCVBUF, "RCVBUF", -1, {-1, 0, 65536, NO}, {-2, NO}},
    {ZMQ_RECONNECT_IVL, "RECONNECT_IVL", 100, {-1, 0, 1, 100000, NO}, {-2, NO}},
    {ZMQ_RECONNECT_IVL_MAX, "RECONNECT_IVL_MAX", 0, {0, 5000, NO}, {-1, NO}},
    {ZMQ_BACKLOG, "BACKLOG", 100, {0, 1, 4096, NO}, {-1, NO}},
    {ZMQ_SNDHWM, "SNDHWM", 1000, {0, 1, 2000000, NO}, {-1, NO}},
    {ZMQ_RCVHWM, "RCVHWM", 1000, {0, 1, 2000000, NO}, {-1, NO}},
    {ZMQ_MULTICAST_HOPS, "MULTICAST_HOPS", 1, {1, 64, NO}, {0, -1, NO}},
    {ZMQ_MULTICAST_MAXTPDU, "MULTICAST_MAXTPDU", 1500, {1, 9000, NO}, {0, -1, NO}},
    {ZMQ_MULTICAST_LOOP, "MULTICAST_LOOP", 1, {0, 1, NO}, {NO}},
    {ZMQ_RCVTIMEO, "RCVTIMEO", -1, {-1, 0, 100, NO}, {-2, NO}},
    {ZMQ_SNDTIMEO, "SNDTIMEO", -1, {-1, 0, 100, NO}, {-2, NO}},
    {ZMQ_IPV4ONLY, "IPV4ONLY", 1, {0, 1, NO}, {-1, 2, NO}},
    {ZMQ_IPV6, "IPV6", 0, {1, 0, NO}, {-1, 2, NO}},
    {ZMQ_IMMEDIATE, "IMMEDIATE", 0, {1, 0, NO}, {-1, 2, NO}},
    {ZMQ_TCP_KEEPALIVE, "TCP_KEEPALIVE", -1, {0, 1, -1, NO}, {2, -2, NO}},
    {ZMQ_TCP_KEEPALIVE_CNT, "TCP_KEEPALIVE_CNT", -1, {1, 100, -1, NO}, {-2, NO}},
    {ZMQ_TCP_KEEPALIVE_IDLE, "TCP_KEEPALIVE_IDLE", -1, {1, 100, -1, NO}, {-2, NO}},
    {ZMQ_TCP_KEEPALIVE_INTVL, "TCP_KEEPALIVE_INTVL", -1, {1, 100, -1, NO}, {-2, NO}},
    {ZMQ_TCP_MAXRT, "TCP_MAXRT", 0, {0, 1000, NO}, {-1, NO}},
    {ZMQ_CONFLATE, "CONFLATE", 0, {1, 0, NO}, {-1, 2, NO}},
    {ZMQ_TOS, "TOS", 0, {0, 40, 255, NO}, {-1, NO}},
    {ZMQ_HANDSHAKE_IVL, "HANDSHAKE_IVL", 30000, {0, 1, 100000, NO}, {-1, NO}},
    {ZMQ_INVERT_MATCHING, "INVERT_MATCHING", 0, {1, 0, NO}, {NO}},
    {ZMQ_HEARTBEAT_IVL, "HEARTBEAT_IVL", 0, {0, 1, 100000, NO}, {-1, NO}},
    {ZMQ_HEARTBEAT_TTL, "HEARTBEAT_TTL", 0, {0, 100, 2000, NO}, {-100, 6553600, NO}},
    {ZMQ_HEARTBEAT_TIMEOUT, "HEARTBEAT_TIMEOUT", -1, {0, 1, 100000, NO}, {-1, NO}},
    {ZMQ_CONNECT_TIMEOUT, "CONNECT_TIMEOUT", 0, {0, 1000, NO}, {-1, NO}},
    {ZMQ_USE_FD, "USE_FD", -1, {-1, 0, 100, NO}, {-2, NO}},
    {ZMQ_PLAIN_SERVER, "PLAIN_SERVER", 0, {1, 0, NO}, {-1, 2, NO}},
    {ZMQ_GSSAPI_PLAINTEXT, "GSSAPI_PLAINTEXT", 0, {1, 0, NO}, {-1, 2, NO}},
    {ZMQ_ZAP_ENFORCE_DOMAIN, "ZAP_ENFORCE_DOMAIN", 0, {1, 0, NO}, {NO}},
    {ZMQ_LOOPBACK_FASTPATH, "LOOPBACK_FASTPATH", 0, {1, 0, NO}, {NO}},
    {ZMQ_IN_BATCH_SIZE, "IN_BATCH_SIZE", 8192, {1, 100000, NO}, {0, -1, NO}},
    {ZMQ_OUT_BATCH_SIZE, "OUT_BATCH_SIZE", 8192, {1, 100000, NO}, {0, -1, NO}},
    {ZMQ_RECONNECT_STOP, "RECONNECT_STOP", 0, {1, 7, 0, NO}, {NO}},
    {ZMQ_PRIORITY, "PRIORITY", 0, {0, 3, NO}, {-1, NO}},
};

static const int types[] = {ZMQ_PAIR,   ZMQ_PUB,    ZMQ_SUB,    ZMQ_REQ,    ZMQ_REP,   ZMQ_DEALER,
                            ZMQ_ROUTER, ZMQ_PULL,   ZMQ_PUSH,   ZMQ_XPUB,   ZMQ_XSUB,  ZMQ_STREAM,
                            ZMQ_SERVER, ZMQ_CLIENT, ZMQ_RADIO,  ZMQ_DISH,   ZMQ_GATHER, ZMQ_SCATTER,
                            ZMQ_DGRAM,  ZMQ_PEER,   ZMQ_CHANNEL};
enum { TYPES = sizeof types / sizeof *types };

static int thread_safe (int type)
{
    return type >= ZMQ_SERVER && type != ZMQ_DGRAM;
}

static void *context;

/* Whether this library has the type at all. */
static void *try_socket (int type)
{
    void *socket = zmq_socket (context, type);
    if (!socket)
        CHECK (type >= ZMQ_SERVER);
    return socket;
}

static void one_int (void *socket, const struct option *option)
{
    int value, i;
    long long wide = 1;
    char padded[64] = "";
    size_t size = sizeof value;
    int64_t before = failures;
    value = NO;
    GOOD (zmq_getsockopt (socket, option->id, &value, &size));
    EQUAL (value, option->initial);
    EQUAL (size, sizeof value);
    for (i = 0; option->takes[i] != NO; i++) {
        value = option->takes[i];
        GOOD (zmq_setsockopt (socket, option->id, &value, sizeof value));
        value = NO;
        GOOD (zmq_getsockopt (socket, option->id, &value, &size));
        EQUAL (value, option->takes[i]);
    }
    for (i = 0; option->refuses[i] != NO; i++) {
        int kept = value;
        value = option->refuses[i];
        FAILS (zmq_setsockopt (socket, option->id, &value, sizeof value), EINVAL);
        GOOD (zmq_getsockopt (socket, option->id, &value, &size));
        EQUAL (value, kept);
    }
    /* exactly four bytes, both ways */
    FAILS (zmq_setsockopt (socket, option->id, &wide, sizeof wide), EINVAL);
    FAILS (zmq_setsockopt (socket, option->id, &wide, 1), EINVAL);
    FAILS (zmq_setsockopt (socket, option->id, &wide, 0), EINVAL);
    size = 8;
    FAILS (zmq_getsockopt (socket, option->id, padded, &size), EINVAL);
    size = 3;
    FAILS (zmq_getsockopt (socket, option->id, padded, &size), EINVAL);
    if (failures != before)
        printf ("  ... that was %s\n", option->name);
}

TEST (int_options_on_every_type)
{
    size_t i;
    int t;
    for (t = 0; t < TYPES; t++) {
        void *socket = try_socket (types[t]);
        int before = failures;
        for (i = 0; socket && i < sizeof ints / sizeof *ints; i++)
            if (ints[i].id != ZMQ_GSSAPI_PLAINTEXT || ours () || zmq_has ("gssapi"))
                one_int (socket, &ints[i]);
        if (failures != before)
            printf ("  ... on socket type %d\n", types[t]);
        if (socket)
            GOOD (zmq_close (socket));
    }
}

TEST (linger_depends_on_the_type)
{
    int t;
    for (t = 0; t < TYPES; t++) {
        void *socket = try_socket (types[t]);
        int type = types[t], expected = type == ZMQ_SUB || type == ZMQ_XSUB || type == ZMQ_DISH ? 0 : -1;
        if (!socket)
            continue;
        EQUAL (get_int (socket, ZMQ_LINGER), expected);
        set_int (socket, ZMQ_LINGER, 0);
        set_int (socket, ZMQ_LINGER, 500);
        EQUAL (get_int (socket, ZMQ_LINGER), 500);
        set_int (socket, ZMQ_LINGER, -1);
        EQUAL (get_int (socket, ZMQ_LINGER), -1);
        expected = -2;
        FAILS (zmq_setsockopt (socket, ZMQ_LINGER, &expected, sizeof expected), EINVAL);
        GOOD (zmq_close (socket));
    }
}

TEST (read_only_options)
{
    int t, value = 0;
    for (t = 0; t < TYPES; t++) {
        void *socket = try_socket (types[t]);
        char wide[16];
        size_t size = sizeof wide;
        if (!socket)
            continue;
        EQUAL (get_int (socket, ZMQ_TYPE), types[t]);
        EQUAL (get_int (socket, ZMQ_RCVMORE), 0);
        EQUAL (get_int (socket, ZMQ_MECHANISM), ZMQ_NULL);
        EQUAL (get_int (socket, ZMQ_THREAD_SAFE), thread_safe (types[t]));
        FAILS (zmq_setsockopt (socket, ZMQ_TYPE, &value, sizeof value), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_RCVMORE, &value, sizeof value), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_FD, &value, sizeof value), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_EVENTS, &value, sizeof value), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_LAST_ENDPOINT, "tcp://x:1", 9), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_MECHANISM, &value, sizeof value), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_THREAD_SAFE, &value, sizeof value), EINVAL);
        /* these take longer buffers: four bytes of value, the rest zeroed */
        memset (wide, 0x55, sizeof wide);
        GOOD (zmq_getsockopt (socket, ZMQ_RCVMORE, wide, &size));
        EQUAL (size, 4);
        CHECK (!memcmp (wide, "\0\0\0\0\0\0\0\0", 8));
        size = sizeof wide;
        memset (wide, 0x55, sizeof wide);
        GOOD (zmq_getsockopt (socket, ZMQ_EVENTS, wide, &size));
        EQUAL (size, 4);
        EQUAL (wide[15], 0);
        size = 3;
        FAILS (zmq_getsockopt (socket, ZMQ_EVENTS, wide, &size), EINVAL);
        size = 8;
        FAILS (zmq_getsockopt (socket, ZMQ_TYPE, wide, &size), EINVAL);
        if (!thread_safe (types[t]))
            CHECK (get_int (socket, ZMQ_FD) > 2);
        GOOD (zmq_close (socket));
    }
}

TEST (unknown_options)
{
    static const int unknown[] = {0, -1, 1, 2, 3, 10, 20, 26, 29, 30, 67, 70, 82, 83, 1000, INT32_MAX, INT32_MIN};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    size_t i;
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        int value = 1;
        size_t size = sizeof value;
        FAILS (zmq_setsockopt (socket, unknown[i], &value, sizeof value), EINVAL);
        FAILS (zmq_getsockopt (socket, unknown[i], &value, &size), EINVAL);
    }
    GOOD (zmq_close (socket));
}

TEST (wide_integers)
{
    void *socket = zmq_socket (context, ZMQ_DEALER);
    uint64_t affinity = 1;
    int64_t limit = 0;
    int narrow = 1;
    size_t size = sizeof affinity;
    GOOD (zmq_getsockopt (socket, ZMQ_AFFINITY, &affinity, &size));
    EQUAL (affinity, 0);
    affinity = 0x8000000000000001ull;
    GOOD (zmq_setsockopt (socket, ZMQ_AFFINITY, &affinity, sizeof affinity));
    affinity = 0;
    GOOD (zmq_getsockopt (socket, ZMQ_AFFINITY, &affinity, &size));
    CHECK (affinity == 0x8000000000000001ull);
    GOOD (zmq_getsockopt (socket, ZMQ_MAXMSGSIZE, &limit, &size));
    EQUAL (limit, -1);
    for (limit = -5; limit < 5; limit += 5)
        GOOD (zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit));
    FAILS (zmq_setsockopt (socket, ZMQ_AFFINITY, &narrow, sizeof narrow), EINVAL);
    FAILS (zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &narrow, sizeof narrow), EINVAL);
    size = 4;
    FAILS (zmq_getsockopt (socket, ZMQ_AFFINITY, &narrow, &size), EINVAL);
    FAILS (zmq_getsockopt (socket, ZMQ_MAXMSGSIZE, &narrow, &size), EINVAL);
    GOOD (zmq_close (socket));
}

TEST (routing_id)
{
    void *socket = zmq_socket (context, ZMQ_DEALER);
    char id[300], got[300];
    size_t size = sizeof got;
    memset (id, 'i', sizeof id);
    GOOD (zmq_getsockopt (socket, ZMQ_ROUTING_ID, got, &size));
    EQUAL (size, 0);
    GOOD (zmq_setsockopt (socket, ZMQ_ROUTING_ID, id, 255));
    FAILS (zmq_setsockopt (socket, ZMQ_ROUTING_ID, id, 256), EINVAL);
    FAILS (zmq_setsockopt (socket, ZMQ_ROUTING_ID, id, 0), EINVAL);
    size = 254;
    FAILS (zmq_getsockopt (socket, ZMQ_ROUTING_ID, got, &size), EINVAL);
    size = sizeof got;
    memset (got, 0x55, sizeof got);
    GOOD (zmq_getsockopt (socket, ZMQ_ROUTING_ID, got, &size));
    EQUAL (size, 255);
    CHECK (!memcmp (got, id, 255));
    EQUAL (got[255], 0); /* the rest of the buffer is zeroed */
    EQUAL (got[299], 0);
    GOOD (zmq_setsockopt (socket, ZMQ_ROUTING_ID, "\0a", 2));
    size = 2;
    GOOD (zmq_getsockopt (socket, ZMQ_IDENTITY, got, &size));
    CHECK (size == 2 && !memcmp (got, "\0a", 2));
    GOOD (zmq_close (socket));
}

TEST (texts)
{
    static const int both[] = {ZMQ_PLAIN_USERNAME, ZMQ_PLAIN_PASSWORD, ZMQ_ZAP_DOMAIN, ZMQ_SOCKS_PROXY};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    char got[300];
    size_t i, size;
    for (i = 0; i < sizeof both / sizeof *both; i++) {
        size = sizeof got;
        GOOD (zmq_getsockopt (socket, both[i], got, &size));
        EQUAL (size, 1);
        EQUAL (got[0], 0);
        GOOD (zmq_setsockopt (socket, both[i], "value", 5));
        size = sizeof got;
        memset (got, 0x55, sizeof got);
        GOOD (zmq_getsockopt (socket, both[i], got, &size));
        EQUAL (size, 6);
        CHECK (!strcmp (got, "value"));
        EQUAL (got[299], 0);
        size = 5;
        FAILS (zmq_getsockopt (socket, both[i], got, &size), EINVAL);
        size = 6;
        GOOD (zmq_getsockopt (socket, both[i], got, &size));
        FAILS (zmq_setsockopt (socket, both[i], "", 0), EINVAL);
    }
    GOOD (zmq_close (socket));
}

TEST (long_texts)
{
    static const int limited[] = {ZMQ_PLAIN_USERNAME, ZMQ_PLAIN_PASSWORD, ZMQ_ZAP_DOMAIN};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    char text[256];
    size_t i;
    memset (text, 't', sizeof text);
    for (i = 0; i < sizeof limited / sizeof *limited; i++) {
        GOOD (zmq_setsockopt (socket, limited[i], text, 255));
        FAILS (zmq_setsockopt (socket, limited[i], text, 256), EINVAL);
    }
    GOOD (zmq_setsockopt (socket, ZMQ_SOCKS_PROXY, NULL, 0));
    GOOD (zmq_setsockopt (socket, ZMQ_BINDTODEVICE, "lo", 2));
    GOOD (zmq_setsockopt (socket, ZMQ_BINDTODEVICE, NULL, 0));
    GOOD (zmq_close (socket));
}

TEST (the_mechanism_is_the_last_one_named)
{
    void *socket = zmq_socket (context, ZMQ_DEALER);
    set_int (socket, ZMQ_PLAIN_SERVER, 1);
    EQUAL (get_int (socket, ZMQ_MECHANISM), ZMQ_PLAIN);
    set_int (socket, ZMQ_PLAIN_SERVER, 0);
    EQUAL (get_int (socket, ZMQ_MECHANISM), ZMQ_NULL);
    GOOD (zmq_setsockopt (socket, ZMQ_PLAIN_USERNAME, "user", 4));
    EQUAL (get_int (socket, ZMQ_MECHANISM), ZMQ_PLAIN);
    EQUAL (get_int (socket, ZMQ_PLAIN_SERVER), 0);
    GOOD (zmq_setsockopt (socket, ZMQ_PLAIN_USERNAME, NULL, 0));
    EQUAL (get_int (socket, ZMQ_MECHANISM), ZMQ_NULL);
    GOOD (zmq_close (socket));
}

TEST (heartbeat_ttl_is_kept_in_tenths)
{
    void *socket = zmq_socket (context, ZMQ_DEALER);
    set_int (socket, ZMQ_HEARTBEAT_TTL, 199);
    EQUAL (get_int (socket, ZMQ_HEARTBEAT_TTL), 100);
    set_int (socket, ZMQ_HEARTBEAT_TTL, 6553599);
    EQUAL (get_int (socket, ZMQ_HEARTBEAT_TTL), 6553500);
    set_int (socket, ZMQ_HEARTBEAT_TTL, -99);
    EQUAL (get_int (socket, ZMQ_HEARTBEAT_TTL), 0);
    GOOD (zmq_close (socket));
}

TEST (accept_filters)
{
    static const char *good[] = {"127.0.0.1", "127.0.0.1/8", "10.0.0.0/0", "1.2.3.4/32"};
    static const char *bad[] = {"127.0.0.1/33", "localhost", "127.0.0.1/x", "/8", "300.1.1.1"};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    size_t i, size = 4;
    int value = (int) getpid ();
    for (i = 0; i < sizeof good / sizeof *good; i++)
        GOOD (zmq_setsockopt (socket, ZMQ_TCP_ACCEPT_FILTER, good[i], strlen (good[i])));
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS (zmq_setsockopt (socket, ZMQ_TCP_ACCEPT_FILTER, bad[i], strlen (bad[i])), EINVAL);
    GOOD (zmq_setsockopt (socket, ZMQ_TCP_ACCEPT_FILTER, NULL, 0));
    FAILS (zmq_getsockopt (socket, ZMQ_TCP_ACCEPT_FILTER, &value, &size), EINVAL);
    set_int (socket, ZMQ_IPC_FILTER_PID, value);
    set_int (socket, ZMQ_IPC_FILTER_UID, 0);
    set_int (socket, ZMQ_IPC_FILTER_GID, 0);
    GOOD (zmq_setsockopt (socket, ZMQ_IPC_FILTER_PID, NULL, 0));
    FAILS (zmq_setsockopt (socket, ZMQ_IPC_FILTER_UID, "x", 1), EINVAL);
    GOOD (zmq_close (socket));
}

TEST (metadata_option)
{
    static const char *good[] = {"X-key:value", "X-a:b:c", "X-:value"};
    static const char *bad[] = {"X-key", "X-key:", ":value", "key:value", "x-key:value", ""};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    size_t i;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        int before = failures;
        GOOD (zmq_setsockopt (socket, ZMQ_METADATA, good[i], strlen (good[i])));
        if (failures != before)
            printf ("  ... that was %s\n", good[i]);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        int before = failures;
        FAILS (zmq_setsockopt (socket, ZMQ_METADATA, bad[i], strlen (bad[i])), EINVAL);
        if (failures != before)
            printf ("  ... that was %s\n", bad[i]);
    }
    GOOD (zmq_close (socket));
}

/* Options of single types: who takes them. */
static const struct {
    int id;
    const char *name;
    int takers[6];
    int refused; /* a value that its takers refuse, or NO */
} typed[] = {
    {ZMQ_ROUTER_MANDATORY, "ROUTER_MANDATORY", {ZMQ_ROUTER, ZMQ_REP, NO}, -1},
    {ZMQ_ROUTER_HANDOVER, "ROUTER_HANDOVER", {ZMQ_ROUTER, ZMQ_REP, NO}, -1},
    {ZMQ_ROUTER_RAW, "ROUTER_RAW", {ZMQ_ROUTER, ZMQ_REP, NO}, -1},
    {ZMQ_PROBE_ROUTER, "PROBE_ROUTER", {ZMQ_ROUTER, ZMQ_REP, ZMQ_DEALER, ZMQ_REQ, NO}, -1},
    {ZMQ_REQ_CORRELATE, "REQ_CORRELATE", {ZMQ_REQ, NO}, -1},
    {ZMQ_REQ_RELAXED, "REQ_RELAXED", {ZMQ_REQ, NO}, -1},
    {ZMQ_XPUB_VERBOSE, "XPUB_VERBOSE", {ZMQ_XPUB, ZMQ_PUB, NO}, -1},
    {ZMQ_XPUB_VERBOSER, "XPUB_VERBOSER", {ZMQ_XPUB, ZMQ_PUB, NO}, -1},
    {ZMQ_XPUB_NODROP, "XPUB_NODROP", {ZMQ_XPUB, ZMQ_PUB, ZMQ_RADIO, NO}, -1},
    {ZMQ_XPUB_MANUAL, "XPUB_MANUAL", {ZMQ_XPUB, ZMQ_PUB, NO}, -1},
    {ZMQ_STREAM_NOTIFY, "STREAM_NOTIFY", {ZMQ_STREAM, NO}, 2},
    {ZMQ_ONLY_FIRST_SUBSCRIBE, "ONLY_FIRST_SUBSCRIBE", {ZMQ_XPUB, ZMQ_PUB, ZMQ_XSUB, NO}, -1},
    {ZMQ_ROUTER_NOTIFY, "ROUTER_NOTIFY", {ZMQ_ROUTER, ZMQ_REP, NO}, 4},
};

static int takes (const int *takers, int type)
{
    for (; *takers != NO; takers++)
        if (*takers == type)
            return 1;
    return 0;
}

TEST (options_of_single_types)
{
    size_t i;
    int t;
    for (i = 0; i < sizeof typed / sizeof *typed; i++)
        for (t = 0; t < TYPES; t++) {
            void *socket = try_socket (types[t]);
            int value = 1, before = failures;
            size_t size = sizeof value;
            if (!socket)
                continue;
            if (takes (typed[i].takers, types[t])) {
                GOOD (zmq_setsockopt (socket, typed[i].id, &value, sizeof value));
                value = 0;
                GOOD (zmq_setsockopt (socket, typed[i].id, &value, sizeof value));
                FAILS (zmq_setsockopt (socket, typed[i].id, "12345678", 8), EINVAL);
                value = typed[i].refused;
                FAILS (zmq_setsockopt (socket, typed[i].id, &value, sizeof value), EINVAL);
            } else
                FAILS (zmq_setsockopt (socket, typed[i].id, &value, sizeof value), EINVAL);
            if (typed[i].id == ZMQ_ROUTER_NOTIFY)
                EQUAL (get_int (socket, ZMQ_ROUTER_NOTIFY), 0);
            else
                FAILS (zmq_getsockopt (socket, typed[i].id, &value, &size), EINVAL);
            if (failures != before)
                printf ("  ... that was %s on type %d\n", typed[i].name, types[t]);
            GOOD (zmq_close (socket));
        }
}

TEST (subscribing_is_for_subscribers)
{
    int t;
    for (t = 0; t < TYPES; t++) {
        void *socket = try_socket (types[t]);
        int before = failures;
        size_t size = 0;
        if (!socket)
            continue;
        if (types[t] == ZMQ_SUB) {
            GOOD (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "topic", 5));
            GOOD (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "", 0));
            GOOD (zmq_setsockopt (socket, ZMQ_UNSUBSCRIBE, "unknown", 7));
            EQUAL (get_int (socket, ZMQ_TOPICS_COUNT), 2);
            GOOD (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, NULL, 0));
            FAILS (zmq_getsockopt (socket, ZMQ_SUBSCRIBE, NULL, &size), EINVAL);
        } else {
            FAILS (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "topic", 5), EINVAL);
            FAILS (zmq_setsockopt (socket, ZMQ_UNSUBSCRIBE, "topic", 5), EINVAL);
        }
        if (failures != before)
            printf ("  ... on type %d\n", types[t]);
        GOOD (zmq_close (socket));
    }
}

TEST (context_defaults_reach_new_sockets)
{
    void *other = zmq_ctx_new (), *socket;
    GOOD (zmq_ctx_set (other, ZMQ_BLOCKY, 0));
    GOOD (zmq_ctx_set (other, ZMQ_IPV6, 1));
    socket = zmq_socket (other, ZMQ_DEALER);
    EQUAL (get_int (socket, ZMQ_LINGER), 0);
    EQUAL (get_int (socket, ZMQ_IPV6), 1);
    EQUAL (get_int (socket, ZMQ_IPV4ONLY), 0);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (other));
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (int_options_on_every_type);
    RUN (linger_depends_on_the_type);
    RUN (read_only_options);
    RUN (unknown_options);
    RUN (wide_integers);
    RUN (routing_id);
    RUN (texts);
    RUN (long_texts);
    RUN (the_mechanism_is_the_last_one_named);
    RUN (heartbeat_ttl_is_kept_in_tenths);
    RUN (accept_filters);
    RUN (metadata_option);
    RUN (options_of_single_types);
    RUN (subscribing_is_for_subscribers);
    RUN (context_defaults_reach_new_sockets);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
