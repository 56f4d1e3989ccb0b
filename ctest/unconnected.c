/* What a socket without any peer answers: the table of all types. */
#include "check.h"

enum { OK = 0 };

static const struct row {
    int type;
    const char *name;
    int send, send_more, receive, events;
} rows[] = {
    {ZMQ_PAIR, "PAIR", EAGAIN, EAGAIN, EAGAIN, 0},
    {ZMQ_DEALER, "DEALER", EAGAIN, EAGAIN, EAGAIN, 0},
    {ZMQ_PUSH, "PUSH", EAGAIN, EAGAIN, ENOTSUP, 0},
    {ZMQ_PULL, "PULL", ENOTSUP, ENOTSUP, EAGAIN, 0},
    {ZMQ_PUB, "PUB", OK, OK, ENOTSUP, ZMQ_POLLOUT},
    {ZMQ_SUB, "SUB", ENOTSUP, ENOTSUP, EAGAIN, 0},
    {ZMQ_XPUB, "XPUB", OK, OK, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_XSUB, "XSUB", OK, OK, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_REQ, "REQ", EAGAIN, EAGAIN, EFSM, 0},
    {ZMQ_REP, "REP", EFSM, EFSM, EAGAIN, 0},
    {ZMQ_ROUTER, "ROUTER", OK, OK, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_STREAM, "STREAM", OK, EHOSTUNREACH, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_SERVER, "SERVER", EHOSTUNREACH, EINVAL, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_PEER, "PEER", EHOSTUNREACH, EINVAL, EAGAIN, ZMQ_POLLOUT},
    {ZMQ_CLIENT, "CLIENT", EAGAIN, EINVAL, EAGAIN, 0},
    {ZMQ_CHANNEL, "CHANNEL", EAGAIN, EINVAL, EAGAIN, 0},
    {ZMQ_SCATTER, "SCATTER", EAGAIN, EINVAL, ENOTSUP, 0},
    {ZMQ_GATHER, "GATHER", ENOTSUP, ENOTSUP, EAGAIN, 0},
    {ZMQ_RADIO, "RADIO", OK, EINVAL, ENOTSUP, ZMQ_POLLOUT},
    {ZMQ_DISH, "DISH", ENOTSUP, ENOTSUP, EAGAIN, ZMQ_POLLOUT},
};

static void *context;

static void *fresh (const struct row *row)
{
    void *socket = zmq_socket (context, row->type);
    if (!socket) {
        /* A library without the drafts. */
        printf ("       (no %s here)\n", row->name);
        CHECK (row->type >= ZMQ_SERVER && zmq_errno () == EINVAL && !zmq_has ("draft"));
    }
    return socket;
}

static void expect_code (const struct row *row, const char *what, int result, int code)
{
    int got = result >= 0 ? OK : zmq_errno ();
    if (got != code) {
        printf ("  %s, %s: ", row->name, what);
        EQUAL (got, code);
    }
}

TEST (without_waiting)
{
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *socket = fresh (&rows[i]);
        char bytes[8];
        if (!socket)
            continue;
        EQUAL (get_int (socket, ZMQ_EVENTS), rows[i].events);
        EQUAL (poll_one (socket, ZMQ_POLLIN | ZMQ_POLLOUT, 0), rows[i].events);
        expect_code (&rows[i], "recv", zmq_recv (socket, bytes, sizeof bytes, ZMQ_DONTWAIT), rows[i].receive);
        expect_code (&rows[i], "send", zmq_send (socket, "x", 1, ZMQ_DONTWAIT), rows[i].send);
        GOOD (zmq_close (socket));
        socket = fresh (&rows[i]);
        expect_code (&rows[i], "send more", zmq_send (socket, "x", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE), rows[i].send_more);
        GOOD (zmq_close (socket));
    }
}

/* With a timeout the same, where the answer was EAGAIN after waiting so long. */
TEST (with_a_timeout)
{
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *socket = fresh (&rows[i]);
        char bytes[8];
        int64_t before;
        if (!socket)
            continue;
        set_int (socket, ZMQ_RCVTIMEO, 20);
        set_int (socket, ZMQ_SNDTIMEO, 20);
        before = now_ms ();
        expect_code (&rows[i], "recv", zmq_recv (socket, bytes, sizeof bytes, 0), rows[i].receive);
        CHECK (rows[i].receive != EAGAIN || now_ms () - before >= 19);
        before = now_ms ();
        expect_code (&rows[i], "send", zmq_send (socket, "x", 1, 0), rows[i].send);
        CHECK (rows[i].send != EAGAIN || now_ms () - before >= 19);
        GOOD (zmq_close (socket));
    }
}

TEST (a_mandatory_router)
{
    void *socket = zmq_socket (context, ZMQ_ROUTER);
    set_int (socket, ZMQ_ROUTER_MANDATORY, 1);
    EQUAL (get_int (socket, ZMQ_EVENTS), 0);
    FAILS (zmq_send (socket, "id", 2, ZMQ_SNDMORE), EHOSTUNREACH);
    FAILS (zmq_send (socket, "id", 2, ZMQ_SNDMORE | ZMQ_DONTWAIT), EHOSTUNREACH);
    GOOD (zmq_close (socket));
}

TEST (calls_of_other_types)
{
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *socket = fresh (&rows[i]);
        if (!socket)
            continue;
        if (rows[i].type != ZMQ_DISH) {
            FAILS (zmq_join (socket, "group"), ENOTSUP);
            FAILS (zmq_leave (socket, "group"), ENOTSUP);
        }
        if (rows[i].type != ZMQ_PEER) {
            errno = 0;
            EQUAL (zmq_connect_peer (socket, "inproc://x"), 0);
            EQUAL (errno, ENOTSUP);
        }
        FAILS (zmq_socket_get_peer_state (socket, "x", 1),
               rows[i].type == ZMQ_ROUTER || rows[i].type == ZMQ_REP ? EHOSTUNREACH : ENOTSUP);
        GOOD (zmq_close (socket));
    }
}

int main (void)
{
    context = zmq_ctx_new ();
    GOOD (zmq_ctx_set (context, ZMQ_BLOCKY, 0));
    RUN (without_waiting);
    RUN (with_a_timeout);
    RUN (a_mandatory_router);
    RUN (calls_of_other_types);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
