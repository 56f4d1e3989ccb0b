/* DEALER, PUSH and PULL share work out; ROUTER names its peers; PAIR has one. */
#include "check.h"

#include <pthread.h>

static void *context;

static void *named (int type, const char *id, const char *endpoint)
{
    void *socket = open_socket (context, type);
    GOOD (zmq_setsockopt (socket, ZMQ_ROUTING_ID, id, strlen (id)));
    GOOD (zmq_connect (socket, endpoint));
    return socket;
}

/* Sends [id][body]. */
static int route (void *router, const char *id, const char *body)
{
    if (send_text (router, id, ZMQ_SNDMORE) < 0)
        return -1;
    return send_text (router, body, 0);
}

TEST (identities)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *router = bound (context, ZMQ_ROUTER, address_on (transports[i])), *one, *other;
        unsigned char id[8], second[8];
        one = named (ZMQ_DEALER, "named", last_endpoint (router));
        GOOD (send_text (one, "hello", 0));
        EXPECT (router, "named");
        EQUAL (more (router), 1);
        EXPECT (router, "hello");
        other = connected (context, ZMQ_DEALER, last_endpoint (router));
        GOOD (send_text (other, "x", 0));
        EQUAL (zmq_recv (router, id, sizeof id, 0), 5); /* made by the router: 0 and four bytes */
        EQUAL (id[0], 0);
        EXPECT (router, "x");
        GOOD (zmq_close (other));
        other = connected (context, ZMQ_DEALER, last_endpoint (router));
        GOOD (send_text (other, "", 0));
        EQUAL (zmq_recv (router, second, sizeof second, 0), 5);
        EXPECT (router, "");
        CHECK (memcmp (id, second, 5) != 0);
        GOOD (route (router, "named", "answer"));
        EXPECT (one, "answer");
        GOOD (zmq_send (router, second, 5, ZMQ_SNDMORE));
        GOOD (send_text (router, "two", ZMQ_SNDMORE));
        GOOD (send_text (router, "parts", 0));
        EXPECT (other, "two");
        EXPECT (other, "parts");
        GOOD (zmq_close (one));
        GOOD (zmq_close (other));
        GOOD (zmq_close (router));
    }
}

TEST (unknown_peers)
{
    void *router = bound (context, ZMQ_ROUTER, "inproc://unknown"), *dealer;
    dealer = named (ZMQ_DEALER, "known", "inproc://unknown");
    get_int (router, ZMQ_EVENTS);
    GOOD (route (router, "nobody", "dropped"));
    GOOD (send_text (router, "single part, swallowed", 0));
    GOOD (route (router, "known", "first"));
    EXPECT (dealer, "first");
    set_int (router, ZMQ_ROUTER_MANDATORY, 1);
    FAILS (send_text (router, "nobody", ZMQ_SNDMORE), EHOSTUNREACH);
    /* nothing was taken: the next part is an id again */
    GOOD (route (router, "known", "second"));
    EXPECT (dealer, "second");
    GOOD (zmq_close (dealer));
    WAIT_UNTIL (router, route (router, "known", "x") < 0);
    EQUAL (zmq_errno (), EHOSTUNREACH);
    GOOD (zmq_close (router));
}

TEST (the_same_name_twice)
{
    void *router = bound (context, ZMQ_ROUTER, "tcp://127.0.0.1:*"), *first, *second;
    first = named (ZMQ_DEALER, "same", last_endpoint (router));
    GOOD (send_text (first, "from the first", 0));
    EXPECT (router, "same");
    EXPECT (router, "from the first");
    second = named (ZMQ_DEALER, "same", last_endpoint (router));
    GOOD (send_text (second, "never read", 0));
    EQUAL (poll_one (router, ZMQ_POLLIN, 100), 0);
    GOOD (route (router, "same", "to the first"));
    EXPECT (first, "to the first");
    GOOD (zmq_close (first));
    GOOD (zmq_close (second));
    GOOD (zmq_close (router));
}

TEST (handover)
{
    void *router = open_socket (context, ZMQ_ROUTER), *first, *second;
    set_int (router, ZMQ_ROUTER_HANDOVER, 1);
    GOOD (zmq_bind (router, "tcp://127.0.0.1:*"));
    first = named (ZMQ_DEALER, "same", last_endpoint (router));
    GOOD (send_text (first, "from the first", 0));
    EXPECT (router, "same");
    EXPECT (router, "from the first");
    second = named (ZMQ_DEALER, "same", last_endpoint (router));
    GOOD (send_text (second, "from the second", 0));
    EXPECT (router, "same");
    EXPECT (router, "from the second");
    GOOD (route (router, "same", "to the second"));
    EXPECT (second, "to the second");
    GOOD (zmq_close (first));
    GOOD (zmq_close (second));
    GOOD (zmq_close (router));
}

TEST (naming_the_next_connection)
{
    void *one = bound (context, ZMQ_ROUTER, "tcp://127.0.0.1:*"), *other = open_socket (context, ZMQ_ROUTER);
    unsigned char id[16];
    set_int (other, ZMQ_ROUTER_MANDATORY, 1);
    GOOD (zmq_setsockopt (other, ZMQ_CONNECT_ROUTING_ID, "server", 6));
    GOOD (zmq_connect (other, last_endpoint (one)));
    GOOD (route (other, "server", "hello")); /* it has its name before it is connected */
    EQUAL (zmq_recv (one, id, sizeof id, 0), 5);
    EXPECT (one, "hello");
    GOOD (zmq_send (one, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (one, "answer", 0));
    EXPECT (other, "server");
    EXPECT (other, "answer");
    FAILS (zmq_setsockopt (other, ZMQ_CONNECT_ROUTING_ID, "", 0), EINVAL);
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
}

TEST (probes)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *router = bound (context, ZMQ_ROUTER, address_on (transports[i])), *dealer = open_socket (context, ZMQ_DEALER);
        GOOD (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, "me", 2));
        set_int (dealer, ZMQ_PROBE_ROUTER, 1);
        GOOD (zmq_connect (dealer, last_endpoint (router)));
        EXPECT (router, "me");
        EXPECT (router, "");
        EQUAL (more (router), 0);
        GOOD (route (router, "me", "seen"));
        EXPECT (dealer, "seen");
        GOOD (zmq_close (dealer));
        GOOD (zmq_close (router));
    }
}

TEST (notices)
{
    void *router = open_socket (context, ZMQ_ROUTER), *dealer;
    set_int (router, ZMQ_ROUTER_NOTIFY, ZMQ_NOTIFY_CONNECT | ZMQ_NOTIFY_DISCONNECT);
    EQUAL (get_int (router, ZMQ_ROUTER_NOTIFY), 3);
    GOOD (zmq_bind (router, "tcp://127.0.0.1:*"));
    dealer = named (ZMQ_DEALER, "me", last_endpoint (router));
    EXPECT (router, "me");
    EXPECT (router, "");
    GOOD (send_text (dealer, "hello", 0));
    EXPECT (router, "me");
    EXPECT (router, "hello");
    GOOD (zmq_close (dealer));
    EXPECT (router, "me");
    EXPECT (router, "");
    GOOD (zmq_close (router));
}

/* A connection may be complete before zmq_connect is over: the peer's name must not get lost in between. Other threads
 * take the processor away, so that this happens now and then. */
static int busy;

static void keep_busy (void *argument)
{
    (void) argument;
    while (__atomic_load_n (&busy, __ATOMIC_RELAXED))
        ;
}

TEST (hurried_peers)
{
    void *hogs[4], *dealer = open_socket (context, ZMQ_DEALER);
    int i;
    size_t t;
    __atomic_store_n (&busy, 1, __ATOMIC_RELAXED);
    for (i = 0; i < 4; i++)
        hogs[i] = zmq_threadstart (keep_busy, NULL);
    for (t = 1; t < TRANSPORTS; t++) {
        GOOD (zmq_bind (dealer, address_on (transports[t])));
        for (i = 0; i < 200; i++) {
            void *router = connected (context, ZMQ_ROUTER, last_endpoint (dealer));
            GOOD (send_text (dealer, "hello", 0));
            EQUAL (zmq_recv (router, NULL, 0, 0), 5);
            EXPECT (router, "hello");
            GOOD (zmq_close (router));
            WAIT_UNTIL (dealer, !(get_int (dealer, ZMQ_EVENTS) & ZMQ_POLLOUT));
            if (failures > failures_before)
                break;
        }
    }
    __atomic_store_n (&busy, 0, __ATOMIC_RELAXED);
    for (i = 0; i < 4; i++)
        zmq_threadclose (hogs[i]);
    GOOD (zmq_close (dealer));
}

TEST (work_is_shared_out)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *push = bound (context, ZMQ_PUSH, address_on (transports[i])), *pulls[3];
        int k;
        for (k = 0; k < 3; k++) {
            pulls[k] = connected (context, ZMQ_PULL, last_endpoint (push));
            GOOD (send_text (push, "known", 0)); /* the first ones may all go to one */
        }
        /* until all three have joined */
        for (k = 0; k < 3; k++)
            WAIT_UNTIL (push, poll_one (pulls[k], ZMQ_POLLIN, 0) || send_text (push, "known", 0) < 0);
        for (k = 0; k < 3; k++)
            while (poll_one (pulls[k], ZMQ_POLLIN, 20))
                GOOD (zmq_recv (pulls[k], NULL, 0, 0));
        for (k = 0; k < 30; k++) {
            GOOD (send_text (push, "two", ZMQ_SNDMORE));
            GOOD (send_text (push, "parts", 0));
        }
        for (k = 0; k < 3; k++) {
            int count;
            for (count = 0; count < 10; count++) {
                EXPECT (pulls[k], "two");
                EXPECT (pulls[k], "parts");
            }
            FAILS (zmq_recv (pulls[k], NULL, 0, ZMQ_DONTWAIT), EAGAIN);
            GOOD (zmq_close (pulls[k]));
        }
        GOOD (zmq_close (push));
    }
}

enum { UNDER_WAY = 500, TRIPS = 200000 };

static void *answer_all (void *router)
{
    char id[16], body[16];
    long i;
    for (i = 0; i < TRIPS; i++) {
        int size = zmq_recv (router, id, sizeof id, 0);
        if (size < 0 || zmq_recv (router, body, sizeof body, 0) < 0 || zmq_send (router, id, size, ZMQ_SNDMORE) < 0
            || zmq_send (router, body, sizeof body, 0) < 0)
            return "";
    }
    return NULL;
}

/* Half the mark is under way and no more: a ROUTER has room for every answer, however quick its peer is. */
TEST (half_a_mark_is_never_dropped)
{
    void *other = zmq_ctx_new (), *router = bound (context, ZMQ_ROUTER, "tcp://127.0.0.1:*"), *failed;
    void *dealer = connected (other, ZMQ_DEALER, last_endpoint (router));
    char body[16] = "";
    pthread_t thread;
    long sent = 0, got = 0;
    EQUAL (pthread_create (&thread, NULL, answer_all, router), 0);
    for (; sent < UNDER_WAY; sent++)
        GOOD (zmq_send (dealer, body, sizeof body, 0));
    while (got < TRIPS && zmq_recv (dealer, body, sizeof body, 0) >= 0) {
        got++;
        if (sent < TRIPS && ++sent)
            GOOD (zmq_send (dealer, body, sizeof body, 0));
    }
    EQUAL (got, TRIPS);
    EQUAL (pthread_join (thread, &failed), 0);
    CHECK (!failed);
    GOOD (zmq_close (dealer));
    GOOD (zmq_close (router));
    GOOD (zmq_ctx_term (other));
}

TEST (senders_are_heard_in_turn)
{
    void *pull = bound (context, ZMQ_PULL, "inproc://in-turn"), *pushes[3];
    char text[8];
    int i, k;
    for (i = 0; i < 3; i++) {
        pushes[i] = connected (context, ZMQ_PUSH, "inproc://in-turn");
        snprintf (text, sizeof text, "%d", i);
        for (k = 0; k < 5; k++) {
            GOOD (send_text (pushes[i], text, ZMQ_SNDMORE));
            GOOD (send_text (pushes[i], "end", 0));
        }
    }
    for (k = 0; k < 15; k++) {
        snprintf (text, sizeof text, "%d", k % 3);
        EXPECT (pull, text);
        EXPECT (pull, "end"); /* whole messages */
    }
    for (i = 0; i < 3; i++)
        GOOD (zmq_close (pushes[i]));
    GOOD (zmq_close (pull));
}

TEST (half_a_message_is_never_seen)
{
    void *pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*"), *push = connected (context, ZMQ_PUSH, last_endpoint (pull));
    GOOD (send_text (push, "whole", 0));
    GOOD (send_text (push, "half", ZMQ_SNDMORE));
    EXPECT (pull, "whole");
    GOOD (zmq_close (push));
    EQUAL (poll_one (pull, ZMQ_POLLIN, 100), 0);
    GOOD (zmq_close (pull));
}

TEST (what_was_delivered_stays)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *pull, *push;
        int k;
        pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
        set_int (push, ZMQ_LINGER, -1);
        for (k = 0; k < 100; k++)
            GOOD (send_text (push, "delivered", 0));
        GOOD (zmq_close (push));
        for (k = 0; k < 100; k++)
            EXPECT (pull, "delivered");
        GOOD (zmq_close (pull));
    }
}

TEST (a_pair_has_one_peer)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *one, *other, *third;
        pair_of (context, transports[i], ZMQ_PAIR, ZMQ_PAIR, &one, &other);
        GOOD (send_text (other, "hello", 0));
        EXPECT (one, "hello");
        third = connected (context, ZMQ_PAIR, last_endpoint (one));
        zmq_send (third, "never read", 10, ZMQ_DONTWAIT);
        EQUAL (poll_one (one, ZMQ_POLLIN, 50), 0);
        GOOD (send_text (one, "answer", 0));
        EXPECT (other, "answer");
        FAILS (zmq_recv (third, NULL, 0, ZMQ_DONTWAIT), EAGAIN);
        GOOD (zmq_close (third));
        GOOD (zmq_close (other));
        GOOD (zmq_close (one));
    }
}

TEST (a_next_pair_may_come)
{
    void *one = bound (context, ZMQ_PAIR, "tcp://127.0.0.1:*"), *other;
    int round;
    for (round = 0; round < 5; round++) {
        other = connected (context, ZMQ_PAIR, last_endpoint (one));
        GOOD (send_text (other, "hello", 0));
        EXPECT (one, "hello");
        GOOD (zmq_close (other));
        WAIT_UNTIL (one, !(get_int (one, ZMQ_EVENTS) & ZMQ_POLLOUT));
    }
    GOOD (zmq_close (one));
}

TEST (immediate_waits_for_a_connection)
{
    void *push = open_socket (context, ZMQ_PUSH), *pull;
    char endpoint[256];
    pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*");
    strcpy (endpoint, last_endpoint (pull));
    GOOD (zmq_unbind (pull, endpoint));
    set_int (push, ZMQ_IMMEDIATE, 1);
    GOOD (zmq_connect (push, endpoint));
    FAILS (zmq_send (push, "x", 1, ZMQ_DONTWAIT), EAGAIN);
    EQUAL (get_int (push, ZMQ_EVENTS), 0);
    WAIT_UNTIL (pull, zmq_bind (pull, endpoint) == 0 || zmq_errno () != EADDRINUSE);
    GOOD (send_text (push, "x", 0));
    EXPECT (pull, "x");
    GOOD (zmq_close (pull));
    WAIT_UNTIL (push, !(get_int (push, ZMQ_EVENTS) & ZMQ_POLLOUT));
    GOOD (zmq_close (push));
}

TEST (queued_over_a_reconnection)
{
    void *push, *pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*");
    char endpoint[256], text[16];
    int i;
    strcpy (endpoint, last_endpoint (pull));
    push = connected (context, ZMQ_PUSH, endpoint);
    GOOD (send_text (push, "before", 0));
    EXPECT (pull, "before");
    GOOD (zmq_socket_monitor (push, "inproc://reconnection", ZMQ_EVENT_DISCONNECTED));
    {
        void *monitor = connected (context, ZMQ_PAIR, "inproc://reconnection");
        GOOD (zmq_close (pull));
        GOOD (zmq_recv (monitor, NULL, 0, 0)); /* the connection is known to be lost */
        GOOD (zmq_recv (monitor, NULL, 0, 0));
        GOOD (zmq_close (monitor));
    }
    for (i = 0; i < 50; i++) {
        snprintf (text, sizeof text, "%d", i);
        GOOD (send_text (push, text, 0));
    }
    pull = open_socket (context, ZMQ_PULL);
    WAIT_UNTIL (pull, zmq_bind (pull, endpoint) == 0 || zmq_errno () != EADDRINUSE);
    for (i = 0; i < 50; i++) {
        snprintf (text, sizeof text, "%d", i);
        EXPECT (pull, text);
    }
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

TEST (iovecs)
{
    void *push, *pull;
    struct iovec parts[3] = {{(void *) "one", 3}, {(void *) "", 0}, {(void *) "three", 5}}, got[4];
    size_t count = 4, i;
    pair_of (context, "inproc", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    FAILS (zmq_sendiov (push, parts, 0, 0), EINVAL);
    FAILS (zmq_sendiov (push, NULL, 3, 0), EINVAL);
    EQUAL (zmq_sendiov (push, parts, 3, ZMQ_SNDMORE), 5);
    EQUAL (zmq_recviov (pull, got, &count, 0), 3);
    EQUAL (count, 3);
    for (i = 0; i < count; i++) {
        CHECK (got[i].iov_len == parts[i].iov_len && !memcmp (got[i].iov_base, parts[i].iov_base, got[i].iov_len));
        free (got[i].iov_base);
    }
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (identities);
    RUN (unknown_peers);
    RUN (the_same_name_twice);
    RUN (handover);
    RUN (naming_the_next_connection);
    RUN (probes);
    RUN (notices);
    RUN (hurried_peers);
    RUN (work_is_shared_out);
    RUN (half_a_mark_is_never_dropped);
    RUN (senders_are_heard_in_turn);
    RUN (half_a_message_is_never_seen);
    RUN (what_was_delivered_stays);
    RUN (a_pair_has_one_peer);
    RUN (a_next_pair_may_come);
    RUN (immediate_waits_for_a_connection);
    RUN (queued_over_a_reconnection);
    RUN (iovecs);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
