/* zmq_poll, ZMQ_FD with ZMQ_EVENTS, and the poller. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

static void *context;

TEST (nothing_to_poll)
{
    int64_t before = now_ms ();
    EQUAL (zmq_poll (NULL, 0, 0), 0);
    EQUAL (zmq_poll (NULL, 0, 30), 0);
    CHECK (now_ms () - before >= 29);
}

TEST (sockets)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *pull, *push;
        zmq_pollitem_t items[2] = {{NULL, -1, ZMQ_POLLIN, 77}, {NULL, -1, ZMQ_POLLOUT, 77}};
        int64_t before = now_ms ();
        pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
        items[0].socket = pull;
        items[1].socket = push;
        EQUAL (zmq_poll (items, 1, 20), 0); /* nothing within the time */
        CHECK (now_ms () - before >= 19);
        EQUAL (items[0].revents, 0); /* overwritten */
        EQUAL (zmq_poll (items, 2, -1), 1);
        EQUAL (items[1].revents, ZMQ_POLLOUT);
        GOOD (send_text (push, "x", 0));
        EQUAL (zmq_poll (items, 1, -1), 1);
        EQUAL (items[0].revents, ZMQ_POLLIN);
        EQUAL (zmq_poll (items, 2, 0), 2);
        items[0].events = 0;
        items[1].events = ZMQ_POLLIN; /* a PUSH never receives */
        EQUAL (zmq_poll (items, 2, 10), 0);
        items[0].events = ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLERR | ZMQ_POLLPRI;
        EQUAL (zmq_poll (items, 1, 10), 1);
        EQUAL (items[0].revents, ZMQ_POLLIN);
        EXPECT (pull, "x");
        EQUAL (zmq_poll (items, 1, 0), 0);
        GOOD (zmq_close (pull));
        GOOD (zmq_close (push));
    }
}

TEST (the_same_socket_twice)
{
    void *pull, *push;
    zmq_pollitem_t items[3];
    pair_of (context, "inproc", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    memset (items, 0, sizeof items);
    items[0].socket = items[1].socket = items[2].socket = pull;
    items[0].events = items[1].events = ZMQ_POLLIN;
    items[2].events = ZMQ_POLLOUT;
    GOOD (send_text (push, "x", 0));
    EQUAL (zmq_poll (items, 3, 1000), 2);
    EQUAL (items[0].revents, ZMQ_POLLIN);
    EQUAL (items[1].revents, ZMQ_POLLIN);
    EQUAL (items[2].revents, 0);
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

TEST (plain_descriptors)
{
    int pipe_ends[2], twins[2];
    zmq_pollitem_t item = {NULL, -1, ZMQ_POLLIN | ZMQ_POLLOUT, 0};
    EQUAL (pipe (pipe_ends), 0);
    EQUAL (zmq_poll (&item, 1, 10), 0); /* -1 is ignored */
    item.fd = pipe_ends[0];
    EQUAL (zmq_poll (&item, 1, 10), 0);
    EQUAL (write (pipe_ends[1], "x", 1), 1);
    EQUAL (zmq_poll (&item, 1, -1), 1);
    EQUAL (item.revents, ZMQ_POLLIN);
    item.fd = pipe_ends[1];
    EQUAL (zmq_poll (&item, 1, -1), 1);
    EQUAL (item.revents, ZMQ_POLLOUT);
    close (pipe_ends[0]);
    item.events = 0; /* errors are reported unasked */
    EQUAL (zmq_poll (&item, 1, 1000), 1);
    EQUAL (item.revents, ZMQ_POLLERR);
    close (pipe_ends[1]);
    item.events = ZMQ_POLLIN;
    EQUAL (zmq_poll (&item, 1, 1000), 1); /* not open */
    EQUAL (item.revents, ZMQ_POLLERR);
    EQUAL (socketpair (AF_UNIX, SOCK_STREAM, 0, twins), 0);
    close (twins[1]);
    item.fd = twins[0];
    EQUAL (zmq_poll (&item, 1, 1000), 1);
    CHECK (item.revents & ZMQ_POLLIN);
    close (twins[0]);
}

TEST (sockets_and_descriptors_together)
{
    void *pull, *push;
    int ends[2];
    char byte;
    zmq_pollitem_t items[2];
    pair_of (context, "tcp", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    EQUAL (pipe (ends), 0);
    memset (items, 0, sizeof items);
    items[0].socket = pull;
    items[0].fd = 12345; /* is not looked at */
    items[0].events = ZMQ_POLLIN;
    items[1].fd = ends[0];
    items[1].events = ZMQ_POLLIN;
    EQUAL (zmq_poll (items, 2, 10), 0);
    EQUAL (write (ends[1], "x", 1), 1);
    EQUAL (zmq_poll (items, 2, -1), 1);
    EQUAL (items[1].revents, ZMQ_POLLIN);
    EQUAL (read (ends[0], &byte, 1), 1);
    GOOD (send_text (push, "x", 0));
    EQUAL (zmq_poll (items, 2, -1), 1);
    EQUAL (items[0].revents, ZMQ_POLLIN);
    EQUAL (items[1].revents, 0);
    close (ends[0]);
    close (ends[1]);
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

TEST (a_closed_socket)
{
    void *socket = open_socket (context, ZMQ_PULL);
    zmq_pollitem_t item = {NULL, -1, ZMQ_POLLIN, 0};
    GOOD (zmq_close (socket));
    item.socket = socket;
    FAILS (zmq_poll (&item, 1, 0), ENOTSOCK);
    FAILS (zmq_poll (&item, 1, 10), ENOTSOCK);
}

/* Thousands, every fourth of them a plain descriptor. */
TEST (many_items)
{
    enum { COUNT = 4000, READY_EACH = 101 };
    static zmq_pollitem_t items[COUNT];
    static void *pushes[COUNT];
    static int ends[COUNT][2];
    int i, ready = 0;
    void *other = zmq_ctx_new ();
    struct rlimit limit;
    getrlimit (RLIMIT_NOFILE, &limit); /* the original needs a descriptor for each socket */
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
    GOOD (zmq_ctx_set (other, ZMQ_MAX_SOCKETS, 2 * COUNT));
    for (i = 0; i < COUNT; i++) {
        if (i % 4 == 3) {
            GOOD (pipe (ends[i]));
            items[i].fd = ends[i][0];
        } else
            pair_of (other, "inproc", ZMQ_PULL, ZMQ_PUSH, &items[i].socket, &pushes[i]);
        items[i].events = ZMQ_POLLIN;
    }
    EQUAL (zmq_poll (items, COUNT, 0), 0);
    for (i = 0; i < COUNT; i += READY_EACH, ready++) {
        if (i % 4 == 3)
            EQUAL ((int) write (ends[i][1], "x", 1), 1);
        else
            GOOD (send_text (pushes[i], "x", 0));
    }
    EQUAL (zmq_poll (items, COUNT, -1), ready);
    for (i = 0; i < COUNT; i++) {
        EQUAL (items[i].revents, i % READY_EACH ? 0 : ZMQ_POLLIN);
        if (i % 4 == 3) {
            close (ends[i][0]);
            close (ends[i][1]);
        } else {
            GOOD (zmq_close (items[i].socket));
            GOOD (zmq_close (pushes[i]));
        }
    }
    GOOD (zmq_ctx_term (other));
}

static void *send_one (void *push)
{
    GOOD (send_text (push, "woken", 0));
    return NULL;
}

TEST (another_thread_wakes_it)
{
    size_t i;
    int round;
    for (i = 0; i < TRANSPORTS; i++)
        for (round = 0; round < 100; round++) {
            void *pull, *push;
            pthread_t thread;
            pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
            pthread_create (&thread, NULL, send_one, push);
            EQUAL (poll_one (pull, ZMQ_POLLIN, PATIENCE_MS), ZMQ_POLLIN);
            EXPECT (pull, "woken");
            pthread_join (thread, NULL);
            GOOD (zmq_close (pull));
            GOOD (zmq_close (push));
        }
}

/* ------------------------------------------------------------------------------------------- ZMQ_FD and ZMQ_EVENTS */

static int readable (int descriptor, int timeout_ms)
{
    struct pollfd item = {0, POLLIN, 0};
    item.fd = descriptor;
    return poll (&item, 1, timeout_ms);
}

TEST (the_descriptor_is_an_edge)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *pull, *push;
        int descriptor, round, count;
        pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
        descriptor = get_int (pull, ZMQ_FD);
        EQUAL (get_int (pull, ZMQ_FD), descriptor);
        for (round = 0; round < 200; round++) {
            int64_t limit = now_ms () + PATIENCE_MS;
            GOOD (send_text (push, "x", 0));
            /* The contract: wait for the descriptor only after EVENTS has shown that there is nothing. */
            while (!(get_int (pull, ZMQ_EVENTS) & ZMQ_POLLIN) && now_ms () < limit)
                CHECK (readable (descriptor, PATIENCE_MS) == 1);
            EXPECT (pull, "x");
            EQUAL (get_int (pull, ZMQ_EVENTS), 0);
        }
        /* several at once: one wake-up may stand for all of them */
        for (round = 0; round < 20; round++) {
            for (count = 0; count < 10; count++)
                GOOD (send_text (push, "x", 0));
            for (count = 0; count < 10;) {
                if (!(get_int (pull, ZMQ_EVENTS) & ZMQ_POLLIN)) {
                    CHECK (readable (descriptor, PATIENCE_MS) == 1);
                    continue;
                }
                while (zmq_recv (pull, NULL, 0, ZMQ_DONTWAIT) >= 0)
                    count++;
            }
        }
        GOOD (zmq_close (pull));
        GOOD (zmq_close (push));
    }
}

/* The loop of a program that waits in poll() only, in the manner of asyncio. */
static void *serve (void *argument)
{
    void *socket = bound (context, ZMQ_REP, "inproc://by-descriptor");
    int descriptor = get_int (socket, ZMQ_FD), served = 0, total = *(int *) argument;
    while (served < total) {
        int events = get_int (socket, ZMQ_EVENTS);
        if (events & ZMQ_POLLIN) {
            char text[64];
            int size = (int) GOOD (zmq_recv (socket, text, sizeof text, ZMQ_DONTWAIT));
            GOOD (zmq_send (socket, text, (size_t) size, 0));
            served++;
        } else if (readable (descriptor, PATIENCE_MS) != 1) {
            CHECK (!"the descriptor becomes readable");
            break;
        }
    }
    GOOD (zmq_close (socket));
    return NULL;
}

/* Who waits for a socket and for its descriptor hears of what is nothing to read, too. */
TEST (a_socket_beside_its_descriptor)
{
    int round;
    for (round = 0; round < 3; round++) {
        void *context = zmq_ctx_new (), *push = bound (context, ZMQ_PUSH, "tcp://127.0.0.1:*"), *poller = zmq_poller_new ();
        void *pull = connected (context, ZMQ_PULL, last_endpoint (push));
        int descriptor = get_int (pull, ZMQ_FD);
        struct pollfd connected_by_now = {descriptor, POLLIN, 0};
        zmq_pollitem_t items[] = {{pull, 0, ZMQ_POLLIN, 0}, {NULL, 0, ZMQ_POLLIN, 0}};
        zmq_poller_event_t event;
        items[1].fd = descriptor;
        EQUAL (poll (&connected_by_now, 1, PATIENCE_MS), 1);
        GOOD (zmq_poller_add (poller, pull, NULL, ZMQ_POLLIN));
        GOOD (zmq_poller_add_fd (poller, descriptor, NULL, ZMQ_POLLIN));
        if (round == 0)
            EQUAL (zmq_poll (items, 2, 0), 1);
        else if (round == 1)
            EQUAL (zmq_poll (items, 2, PATIENCE_MS), 1);
        else
            GOOD (zmq_poller_wait (poller, &event, PATIENCE_MS));
        if (round < 2)
            CHECK (!items[0].revents && items[1].revents == ZMQ_POLLIN);
        else
            CHECK (!event.socket && event.fd == descriptor);
        GOOD (zmq_poller_destroy (&poller));
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
        GOOD (zmq_ctx_term (context));
    }
}

TEST (serving_by_descriptor)
{
    int total = 2000, i;
    pthread_t thread;
    void *one, *other;
    pthread_create (&thread, NULL, serve, &total);
    one = connected (context, ZMQ_REQ, "inproc://by-descriptor");
    other = connected (context, ZMQ_REQ, "inproc://by-descriptor");
    for (i = 0; i < total / 2; i++) {
        GOOD (send_text (one, "one", 0));
        GOOD (send_text (other, "other", 0));
        EXPECT (one, "one");
        EXPECT (other, "other");
    }
    pthread_join (thread, NULL);
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
}

TEST (writing_by_descriptor)
{
    void *pull, *push;
    int descriptor, sent = 0, got = 0;
    pull = open_socket (context, ZMQ_PULL);
    push = open_socket (context, ZMQ_PUSH);
    set_int (pull, ZMQ_RCVHWM, 10);
    set_int (push, ZMQ_SNDHWM, 10);
    GOOD (zmq_bind (pull, "inproc://written"));
    GOOD (zmq_connect (push, "inproc://written"));
    descriptor = get_int (push, ZMQ_FD);
    while (got < 500) {
        while (sent < 500 && get_int (push, ZMQ_EVENTS) & ZMQ_POLLOUT) {
            GOOD (zmq_send (push, "x", 1, ZMQ_DONTWAIT));
            sent++;
        }
        while (zmq_recv (pull, NULL, 0, ZMQ_DONTWAIT) >= 0)
            got++;
        if (sent < 500 && !(get_int (push, ZMQ_EVENTS) & ZMQ_POLLOUT) && readable (descriptor, PATIENCE_MS) != 1) {
            CHECK (!"the descriptor tells of room");
            break;
        }
    }
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

TEST (a_descriptor_wakes_at_the_end)
{
    void *other = zmq_ctx_new (), *socket = zmq_socket (other, ZMQ_PULL);
    int descriptor = get_int (socket, ZMQ_FD);
    GOOD (zmq_ctx_shutdown (other));
    EQUAL (readable (descriptor, PATIENCE_MS), 1);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (other));
}

/* ------------------------------------------------------------------------------------------------------ the poller */

TEST (pollers)
{
    void *poller = zmq_poller_new (), *pull, *push, *other = open_socket (context, ZMQ_PULL);
    zmq_poller_event_t events[4];
    int ends[2], tag = 0;
    pair_of (context, "inproc", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    EQUAL (pipe (ends), 0);
    EQUAL (zmq_poller_size (poller), 0);
    FAILS (zmq_poller_wait (poller, events, 0), EAGAIN);
    FAILS (zmq_poller_wait (poller, events, -1), EFAULT);
    GOOD (zmq_poller_add (poller, pull, &tag, ZMQ_POLLIN));
    FAILS (zmq_poller_add (poller, pull, NULL, ZMQ_POLLIN), EINVAL);
    FAILS (zmq_poller_add (poller, push, NULL, 16), EINVAL);
    FAILS (zmq_poller_modify (poller, other, ZMQ_POLLIN), EINVAL);
    FAILS (zmq_poller_remove (poller, other), EINVAL);
    FAILS (zmq_poller_add_fd (poller, -1, NULL, ZMQ_POLLIN), EBADF);
    FAILS (zmq_poller_wait (poller, NULL, 0), EFAULT);
    FAILS (zmq_poller_wait_all (poller, events, -1, 0), EINVAL);
    memset (events, 0x55, sizeof events);
    FAILS (zmq_poller_wait (poller, events, 10), EAGAIN);
    CHECK (events[0].socket == NULL && events[0].user_data == NULL && events[0].events == 0);
    EQUAL (events[0].fd, -1);
    GOOD (send_text (push, "x", 0));
    GOOD (zmq_poller_wait (poller, events, -1));
    CHECK (events[0].socket == pull && events[0].user_data == &tag);
    EQUAL (events[0].events, ZMQ_POLLIN);
    EQUAL (events[0].fd, -1);
    GOOD (zmq_poller_add_fd (poller, ends[0], ends, ZMQ_POLLIN));
    EQUAL (zmq_poller_size (poller), 2);
    EQUAL (write (ends[1], "x", 1), 1);
    EQUAL (zmq_poller_wait_all (poller, events, 4, -1), 2);
    CHECK (events[1].socket == NULL && events[1].user_data == ends);
    EQUAL (events[1].fd, ends[0]);
    GOOD (zmq_poller_modify (poller, pull, 0));
    EQUAL (zmq_poller_wait_all (poller, events, 4, -1), 1);
    EQUAL (events[0].fd, ends[0]);
    GOOD (zmq_poller_remove_fd (poller, ends[0]));
    FAILS (zmq_poller_remove_fd (poller, ends[0]), EINVAL);
    GOOD (zmq_poller_remove (poller, pull));
    EQUAL (zmq_poller_size (poller), 0);
    GOOD (zmq_poller_destroy (&poller));
    close (ends[0]);
    close (ends[1]);
    GOOD (zmq_close (other));
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

int main (void)
{
    void *poller;
    context = zmq_ctx_new ();
    RUN (nothing_to_poll);
    RUN (sockets);
    RUN (the_same_socket_twice);
    RUN (plain_descriptors);
    RUN (sockets_and_descriptors_together);
    RUN (a_closed_socket);
    RUN (many_items);
    RUN (another_thread_wakes_it);
    RUN (the_descriptor_is_an_edge);
    RUN (a_socket_beside_its_descriptor);
    RUN (serving_by_descriptor);
    RUN (writing_by_descriptor);
    RUN (a_descriptor_wakes_at_the_end);
    poller = zmq_poller_new ();
    if (poller) {
        GOOD (zmq_poller_destroy (&poller));
        RUN (pollers);
    }
    GOOD (zmq_ctx_term (context));
    return finished ();
}
