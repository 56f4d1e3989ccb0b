/* High-water marks: how many messages fit where, and when a full pipe takes messages again. */
#include <pthread.h>

#include "check.h"

static void *context;

static void with_marks (int type, int mark, int option, void **socket)
{
    *socket = open_socket (context, type);
    set_int (*socket, option, mark);
}

/* A PUSH and a PULL over inproc with these marks. */
static void inproc_pair (int send_mark, int receive_mark, void **push, void **pull)
{
    static int number;
    char name[64];
    snprintf (name, sizeof name, "inproc://marks-%d", number++);
    with_marks (ZMQ_PULL, receive_mark, ZMQ_RCVHWM, pull);
    with_marks (ZMQ_PUSH, send_mark, ZMQ_SNDHWM, push);
    GOOD (zmq_bind (*pull, name));
    GOOD (zmq_connect (*push, name));
}

/* How many messages a socket takes before it would block, up to a limit. */
static int accepted (void *socket, int limit)
{
    int count = 0;
    while (count < limit && zmq_send (socket, "x", 1, ZMQ_DONTWAIT) == 1)
        count++;
    return count;
}

static int received (void *socket)
{
    int count = 0;
    while (zmq_recv (socket, NULL, 0, ZMQ_DONTWAIT) >= 0)
        count++;
    EQUAL (zmq_errno (), EAGAIN);
    return count;
}

static void close_both (void *one, void *other)
{
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
}

TEST (inproc_adds_both_marks)
{
    static const struct { int send, receive, room; } rows[] = {{3, 4, 7}, {1, 1, 2}, {10, 20, 30}, {1000, 1000, 2000}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *push, *pull;
        inproc_pair (rows[i].send, rows[i].receive, &push, &pull);
        EQUAL (accepted (push, 5000), rows[i].room);
        FAILS (zmq_send (push, "x", 1, ZMQ_DONTWAIT), EAGAIN);
        EQUAL (get_int (push, ZMQ_EVENTS), 0);
        EQUAL (received (pull), rows[i].room);
        close_both (push, pull);
    }
}

TEST (a_mark_of_zero_is_no_limit)
{
    static const struct { int send, receive; } rows[] = {{0, 0}, {0, 5}, {5, 0}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *push, *pull;
        inproc_pair (rows[i].send, rows[i].receive, &push, &pull);
        EQUAL (accepted (push, 20000), 20000);
        EQUAL (received (pull), 20000);
        close_both (push, pull);
    }
}

TEST (parts_do_not_count)
{
    void *push, *pull;
    int i, part;
    inproc_pair (1, 1, &push, &pull);
    for (i = 0; i < 2; i++) {
        for (part = 0; part < 100; part++)
            GOOD (zmq_send (push, "x", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE));
        GOOD (zmq_send (push, "x", 1, ZMQ_DONTWAIT));
    }
    FAILS (zmq_send (push, "x", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE), EAGAIN);
    EQUAL (received (pull), 202);
    close_both (push, pull);
}

/* A full pipe becomes writable when the reader has passed a multiple of half the limit. */
TEST (the_low_water_mark)
{
    static const struct { int send, receive, reads; } rows[] = {{10, 10, 10}, {3, 4, 4}, {1, 1, 1}, {4, 1, 3}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *push, *pull;
        int limit = rows[i].send + rows[i].receive, k;
        inproc_pair (rows[i].send, rows[i].receive, &push, &pull);
        EQUAL (accepted (push, 5000), limit);
        for (k = 0; k < rows[i].reads; k++) {
            EQUAL (get_int (push, ZMQ_EVENTS), 0);
            GOOD (zmq_recv (pull, NULL, 0, 0));
        }
        EQUAL (get_int (push, ZMQ_EVENTS), ZMQ_POLLOUT);
        EQUAL (accepted (push, 5000), rows[i].reads);
        close_both (push, pull);
    }
}

TEST (connect_before_bind)
{
    void *push, *pull;
    with_marks (ZMQ_PUSH, 3, ZMQ_SNDHWM, &push);
    GOOD (zmq_connect (push, "inproc://later"));
    EQUAL (accepted (push, 100), 3); /* its own mark at first */
    with_marks (ZMQ_PULL, 4, ZMQ_RCVHWM, &pull);
    GOOD (zmq_bind (pull, "inproc://later"));
    EQUAL (get_int (push, ZMQ_EVENTS), ZMQ_POLLOUT);
    EQUAL (accepted (push, 100), 4); /* now the sum */
    EQUAL (received (pull), 7);
    close_both (push, pull);
}

TEST (several_wait_for_one_name)
{
    void *pushes[3], *pull;
    char text[2] = "0";
    int i;
    for (i = 0; i < 3; i++) {
        pushes[i] = connected (context, ZMQ_PUSH, "inproc://late-binder");
        text[0] = (char) ('0' + i);
        GOOD (send_text (pushes[i], text, 0));
    }
    GOOD (zmq_close (pushes[0])); /* its message is delivered all the same */
    pull = bound (context, ZMQ_PULL, "inproc://late-binder");
    EXPECT (pull, "0"); /* attached in the order of connecting */
    EXPECT (pull, "1");
    EXPECT (pull, "2");
    GOOD (zmq_close (pull));
    close_both (pushes[1], pushes[2]);
}

TEST (lowering_and_raising_the_mark)
{
    void *push, *pull;
    inproc_pair (2, 2, &push, &pull);
    EQUAL (accepted (push, 100), 4);
    set_int (push, ZMQ_SNDHWM, 1);
    EQUAL (received (pull), 4); /* nothing is lost */
    EQUAL (get_int (push, ZMQ_EVENTS), ZMQ_POLLOUT);
    EQUAL (accepted (push, 100), 3);
    EQUAL (received (pull), 3);
    close_both (push, pull);

    inproc_pair (2, 2, &push, &pull);
    set_int (push, ZMQ_SNDHWM, 10);
    EQUAL (accepted (push, 100), 12);
    close_both (push, pull);
}

TEST (a_blocked_sender_goes_on)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *push, *pull;
        char body[1000] = "";
        int sent = 0, k;
        with_marks (ZMQ_PULL, 5, ZMQ_RCVHWM, &pull);
        with_marks (ZMQ_PUSH, 5, ZMQ_SNDHWM, &push);
        GOOD (zmq_bind (pull, address_on (transports[i])));
        GOOD (zmq_connect (push, last_endpoint (pull)));
        /* until it is full all the way: kernel buffers included */
        while (zmq_send (push, body, sizeof body, ZMQ_DONTWAIT) >= 0 || poll_one (push, ZMQ_POLLOUT, 100))
            sent++;
        CHECK (sent >= 10);
        set_int (push, ZMQ_SNDTIMEO, 20);
        FAILS (zmq_send (push, body, sizeof body, 0), EAGAIN);
        set_int (push, ZMQ_SNDTIMEO, PATIENCE_MS);
        /* Everything may have arrived a moment before the sender hears of its room: so only what is there is read. */
        for (k = 0; k < 20000 && !(get_int (push, ZMQ_EVENTS) & ZMQ_POLLOUT); k++)
            if (poll_one (pull, ZMQ_POLLIN, 20))
                GOOD (zmq_recv (pull, NULL, 0, 0));
        GOOD (zmq_send (push, "last", 4, 0));
        for (k = 0; k < 40000; k++) {
            int size = zmq_recv (pull, NULL, 0, 0);
            if (size == 4 || size < 0) {
                EQUAL (size, 4);
                break;
            }
        }
        close_both (push, pull);
    }
}

enum { BULK = 512 * 1024, MANY = 300 };

/* Sends MANY large messages with their numbers, in large pieces of memory that are used again. */
static void *send_bulk (void *push)
{
    static char body[BULK];
    int i;
    for (i = 0; i < MANY; i++) {
        memcpy (body, &i, sizeof i);
        GOOD (zmq_send (push, body, sizeof body, 0));
    }
    return NULL;
}

/* The number of the next one; -1 where there is none. */
static int next_bulk (void *pull)
{
    static char body[BULK];
    int number = -1, size = zmq_recv (pull, body, sizeof body, 0);
    if (size == BULK)
        memcpy (&number, body, sizeof number);
    return number;
}

/* Who waits for room writes by itself what the kernel takes; the I/O thread writes what is left when it waits no more. */
TEST (bulk_flows_at_small_marks)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        int mark, k;
        for (mark = 1; mark <= 3; mark++) {
            void *push, *pull;
            pthread_t sender;
            with_marks (ZMQ_PULL, 1, ZMQ_RCVHWM, &pull);
            with_marks (ZMQ_PUSH, mark, ZMQ_SNDHWM, &push);
            GOOD (zmq_bind (pull, address_on (transports[i])));
            GOOD (zmq_connect (push, last_endpoint (pull)));
            pthread_create (&sender, NULL, send_bulk, push);
            for (k = 0; k < MANY; k++) {
                int number = next_bulk (pull);
                EQUAL (number, k);
                if (number != k)
                    break;
                if (k % 64 == 63)
                    usleep (3000); /* so that everything on the way is full */
            }
            pthread_join (sender, NULL);
            close_both (push, pull);
        }
    }
}

/* Binds to an address that the socket which had it may still hold. */
static void bind_again (void *socket, const char *address)
{
    int tries, bound = -1;
    for (tries = 0; tries < PATIENCE_MS && bound < 0; tries++) {
        bound = zmq_bind (socket, address);
        if (bound < 0)
            usleep (1000);
    }
    GOOD (bound);
}

/* A sender waits for a peer that does not read; that peer goes, and the next one gets the rest. */
TEST (bulk_goes_on_with_the_next_peer)
{
    char path[64];
    const char *const given[] = {"tcp://127.0.0.1:*", path};
    size_t i;
    snprintf (path, sizeof path, "ipc:///tmp/ferrozmq-marks-%d", (int) getpid ());
    for (i = 0; i < 2; i++) {
        void *push, *pull;
        char address[256];
        pthread_t sender;
        int number, before, round;
        with_marks (ZMQ_PULL, 1, ZMQ_RCVHWM, &pull);
        GOOD (zmq_bind (pull, given[i]));
        snprintf (address, sizeof address, "%s", last_endpoint (pull));
        with_marks (ZMQ_PUSH, 2, ZMQ_SNDHWM, &push);
        set_int (push, ZMQ_RECONNECT_IVL, 10);
        GOOD (zmq_connect (push, address));
        pthread_create (&sender, NULL, send_bulk, push);
        for (round = 0, before = -1; round < 4; round++) {
            number = next_bulk (pull);
            CHECK (number > before);
            before = number;
            usleep (5000); /* the sender waits by then; it holds in any case */
            GOOD (zmq_close (pull));
            with_marks (ZMQ_PULL, 1, ZMQ_RCVHWM, &pull);
            bind_again (pull, address);
        }
        while (number >= 0 && number < MANY - 1) {
            number = next_bulk (pull);
            CHECK (number > before);
            before = number;
        }
        pthread_join (sender, NULL);
        close_both (push, pull);
    }
    unlink (path + strlen ("ipc://"));
}

TEST (pub_drops_the_newest)
{
    void *pub, *sub;
    char text[16];
    int i;
    with_marks (ZMQ_XPUB, 5, ZMQ_SNDHWM, &pub);
    with_marks (ZMQ_SUB, 5, ZMQ_RCVHWM, &sub);
    GOOD (zmq_bind (pub, "inproc://drops"));
    GOOD (zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "", 0));
    GOOD (zmq_connect (sub, "inproc://drops"));
    EXPECT_BYTES (pub, "\1", 1);
    for (i = 0; i < 20; i++) {
        snprintf (text, sizeof text, "%d", i);
        GOOD (send_text (pub, text, 0)); /* always taken */
    }
    for (i = 0; i < 10; i++) {
        snprintf (text, sizeof text, "%d", i);
        EXPECT (sub, text);
    }
    FAILS (zmq_recv (sub, text, sizeof text, ZMQ_DONTWAIT), EAGAIN);
    close_both (pub, sub);
}

TEST (nodrop_says_so)
{
    void *pub, *full, *other;
    with_marks (ZMQ_XPUB, 2, ZMQ_SNDHWM, &pub);
    set_int (pub, ZMQ_XPUB_NODROP, 1);
    with_marks (ZMQ_SUB, 2, ZMQ_RCVHWM, &full);
    with_marks (ZMQ_SUB, 100, ZMQ_RCVHWM, &other);
    GOOD (zmq_bind (pub, "inproc://nodrop"));
    GOOD (zmq_setsockopt (full, ZMQ_SUBSCRIBE, "", 0));
    GOOD (zmq_setsockopt (other, ZMQ_SUBSCRIBE, "", 0));
    GOOD (zmq_connect (full, "inproc://nodrop"));
    GOOD (zmq_connect (other, "inproc://nodrop"));
    EXPECT_BYTES (pub, "\1", 1);
    get_int (pub, ZMQ_EVENTS); /* the second one's subscription is no news, but it has to be read */
    EQUAL (accepted (pub, 100), 4);
    FAILS (zmq_send (pub, "x", 1, ZMQ_DONTWAIT), EAGAIN);
    EQUAL (received (other), 4); /* nobody got the one that did not fit */
    EQUAL (received (full), 4);
    get_int (pub, ZMQ_EVENTS);
    EQUAL (accepted (pub, 100), 4);
    GOOD (zmq_close (other));
    close_both (pub, full);
}

TEST (a_full_peer_of_a_router)
{
    void *router, *slow, *quick;
    int i, taken = 0;
    with_marks (ZMQ_ROUTER, 3, ZMQ_SNDHWM, &router);
    set_int (router, ZMQ_ROUTER_MANDATORY, 1);
    GOOD (zmq_bind (router, "inproc://full-router"));
    with_marks (ZMQ_DEALER, 3, ZMQ_RCVHWM, &slow);
    GOOD (zmq_setsockopt (slow, ZMQ_ROUTING_ID, "slow", 4));
    GOOD (zmq_connect (slow, "inproc://full-router"));
    with_marks (ZMQ_DEALER, 3, ZMQ_RCVHWM, &quick);
    GOOD (zmq_setsockopt (quick, ZMQ_ROUTING_ID, "quick", 5));
    GOOD (zmq_connect (quick, "inproc://full-router"));
    get_int (router, ZMQ_EVENTS);
    for (i = 0; i < 20; i++)
        if (zmq_send (router, "slow", 4, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) {
            GOOD (zmq_send (router, "x", 1, ZMQ_DONTWAIT));
            taken++;
        } else
            EQUAL (zmq_errno (), EAGAIN);
    EQUAL (taken, 6);
    EQUAL (get_int (router, ZMQ_EVENTS), ZMQ_POLLOUT); /* the other one has room */
    GOOD (zmq_send (router, "quick", 5, ZMQ_SNDMORE | ZMQ_DONTWAIT));
    GOOD (zmq_send (router, "y", 1, ZMQ_DONTWAIT));
    EXPECT (quick, "y");
    EQUAL (zmq_socket_get_peer_state (router, "slow", 4), 0);
    EQUAL (zmq_socket_get_peer_state (router, "quick", 5), ZMQ_POLLOUT);
    FAILS (zmq_socket_get_peer_state (router, "other", 5), EHOSTUNREACH);
    GOOD (zmq_close (slow));
    close_both (router, quick);
}

TEST (conflation_keeps_the_last)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *push = open_socket (context, ZMQ_PUSH), *pull = open_socket (context, ZMQ_PULL);
        char text[16] = "";
        int k;
        GOOD (zmq_bind (push, address_on (transports[i])));
        set_int (pull, ZMQ_CONFLATE, 1);
        GOOD (zmq_connect (pull, last_endpoint (push)));
        for (k = 0; k <= 500; k++) {
            snprintf (text, sizeof text, "%d", k);
            GOOD (send_text (push, text, 0));
        }
        /* whatever comes in between, the last one comes last, and a good many do not come at all */
        for (k = 0; k <= 500; k++) {
            memset (text, 0, sizeof text);
            GOOD (zmq_recv (pull, text, sizeof text, 0));
            if (atoi (text) == 500)
                break;
        }
        EQUAL (atoi (text), 500);
        CHECK (i > 0 || k == 0);
        close_both (push, pull);
    }
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (inproc_adds_both_marks);
    RUN (a_mark_of_zero_is_no_limit);
    RUN (parts_do_not_count);
    RUN (the_low_water_mark);
    RUN (connect_before_bind);
    RUN (several_wait_for_one_name);
    RUN (lowering_and_raising_the_mark);
    RUN (a_blocked_sender_goes_on);
    RUN (bulk_flows_at_small_marks);
    RUN (bulk_goes_on_with_the_next_peer);
    RUN (pub_drops_the_newest);
    RUN (nodrop_says_so);
    RUN (a_full_peer_of_a_router);
    RUN (conflation_keeps_the_last);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
