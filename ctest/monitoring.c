/* Socket monitors: which events come, in which order, with which address. */
#include "check.h"

#include <sys/stat.h>

static void *context;

/* Starts to record all events of a socket. */
static void *recorder (void *socket)
{
    static int number;
    char name[64];
    void *monitor;
    snprintf (name, sizeof name, "inproc://recorder-%d", number++);
    GOOD (zmq_socket_monitor (socket, name, ZMQ_EVENT_ALL));
    monitor = open_socket (context, ZMQ_PAIR);
    GOOD (zmq_connect (monitor, name));
    return monitor;
}

struct event {
    int id;
    uint32_t value;
    char address[256];
};

static struct event next (void *monitor)
{
    struct event event;
    unsigned char frame[6];
    uint16_t id;
    int size;
    memset (&event, 0, sizeof event);
    size = zmq_recv (monitor, frame, sizeof frame, 0);
    if (size < 0)
        return event;
    EQUAL (size, 6);
    EQUAL (more (monitor), 1);
    memcpy (&id, frame, 2);
    memcpy (&event.value, frame + 2, 4);
    event.id = id;
    GOOD (zmq_recv (monitor, event.address, sizeof event.address - 1, 0));
    EQUAL (more (monitor), 0);
    return event;
}

#define EXPECT_EVENT(monitor, wanted, address) expect_event (__LINE__, monitor, wanted, address)

static struct event expect_event (int line, void *monitor, int wanted, const char *address)
{
    struct event event = next (monitor);
    char text[700];
    if (event.id != wanted || strcmp (event.address, address)) {
        snprintf (text, sizeof text, "event 0x%x \"%s\" came, not 0x%x \"%s\"", event.id, event.address, wanted, address);
        check_failed (__FILE__, line, text);
    }
    return event;
}

static void nothing_more (void *monitor)
{
    int got = poll_one (monitor, ZMQ_POLLIN, 50);
    EQUAL (got, 0);
    if (got)
        printf ("  event 0x%x came\n", next (monitor).id);
}

TEST (binding_and_connecting)
{
    static const char *both[] = {"tcp", "ipc"};
    size_t i;
    for (i = 0; i < 2; i++) {
        void *server = open_socket (context, ZMQ_DEALER), *client = open_socket (context, ZMQ_DEALER);
        void *at_server = recorder (server), *at_client = recorder (client);
        const char *endpoint;
        GOOD (zmq_bind (server, address_on (both[i])));
        endpoint = last_endpoint (server);
        CHECK (EXPECT_EVENT (at_server, ZMQ_EVENT_LISTENING, endpoint).value > 2);
        GOOD (zmq_connect (client, endpoint));
        if (i == 0)
            EQUAL (EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECT_DELAYED, endpoint).value, EINPROGRESS);
        CHECK (EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECTED, endpoint).value > 2);
        EQUAL (EXPECT_EVENT (at_client, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, endpoint).value, 0);
        CHECK (EXPECT_EVENT (at_server, ZMQ_EVENT_ACCEPTED, endpoint).value > 2);
        EQUAL (EXPECT_EVENT (at_server, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, endpoint).value, 0);
        GOOD (send_text (client, "hello", 0));
        EXPECT (server, "hello");
        nothing_more (at_server);
        /* the client goes: it says nothing of it itself but that its monitor stops */
        GOOD (zmq_close (client));
        CHECK (EXPECT_EVENT (at_server, ZMQ_EVENT_DISCONNECTED, endpoint).value > 2);
        EXPECT_EVENT (at_client, ZMQ_EVENT_MONITOR_STOPPED, "");
        GOOD (zmq_close (server));
        CHECK (EXPECT_EVENT (at_server, ZMQ_EVENT_CLOSED, endpoint).value > 2);
        EXPECT_EVENT (at_server, ZMQ_EVENT_MONITOR_STOPPED, "");
        GOOD (zmq_close (at_client));
        GOOD (zmq_close (at_server));
    }
}

TEST (the_server_goes_and_comes_back)
{
    static const char *both[] = {"tcp", "ipc"};
    size_t i;
    for (i = 0; i < 2; i++) {
        void *server = open_socket (context, ZMQ_DEALER), *client = open_socket (context, ZMQ_DEALER);
        void *at_client = recorder (client);
        char endpoint[256];
        struct event event;
        int round;
        GOOD (zmq_bind (server, address_on (both[i])));
        strcpy (endpoint, last_endpoint (server));
        GOOD (zmq_connect (client, endpoint));
        if (i == 0)
            EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECT_DELAYED, endpoint);
        EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECTED, endpoint);
        EXPECT_EVENT (at_client, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, endpoint);
        GOOD (send_text (client, "hello", 0));
        EXPECT (server, "hello");
        GOOD (zmq_close (server));
        EXPECT_EVENT (at_client, ZMQ_EVENT_DISCONNECTED, endpoint);
        for (round = 0; round < 2; round++) {
            event = EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECT_RETRIED, endpoint);
            CHECK (event.value >= 100 && event.value < 200); /* 100 ms and jitter */
            if (i == 0)
                EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECT_DELAYED, endpoint);
            EXPECT_EVENT (at_client, ZMQ_EVENT_CLOSED, endpoint);
        }
        if (i == 0) { /* the folder of an ipc wildcard is gone with its server */
            server = bound (context, ZMQ_DEALER, endpoint);
            while ((event = next (at_client)).id && event.id != ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
                CHECK (event.id & (ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CLOSED
                                   | ZMQ_EVENT_CONNECTED));
            EQUAL (event.id, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
            GOOD (zmq_close (server));
        }
        GOOD (zmq_close (client));
        GOOD (zmq_close (at_client));
    }
}

TEST (refused_binds)
{
    void *one = bound (context, ZMQ_PAIR, "tcp://127.0.0.1:*"), *other = open_socket (context, ZMQ_PAIR);
    void *monitor = recorder (other);
    const char *endpoint = last_endpoint (one);
    struct event event;
    FAILS (zmq_bind (other, endpoint), EADDRINUSE);
    EXPECT_EVENT (monitor, ZMQ_EVENT_CLOSED, "");
    event = next (monitor);
    EQUAL (event.id, ZMQ_EVENT_BIND_FAILED);
    EQUAL (event.value, EADDRINUSE);
    EQUAL (zmq_bind (other, "tcp://no-such-interface:*"), -1);
    if (ours ()) /* the original's errno is overwritten by the event's delivery */
        EQUAL (zmq_errno (), ENODEV);
    event = next (monitor);
    EQUAL (event.id, ZMQ_EVENT_BIND_FAILED);
    EQUAL (event.value, ENODEV);
    /* these do not get as far as a transport */
    FAILS (zmq_bind (other, "nonsense"), EINVAL);
    FAILS (zmq_bind (other, "foo://bar"), EPROTONOSUPPORT);
    GOOD (zmq_bind (other, "inproc://quiet"));
    nothing_more (monitor);
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_close (monitor));
}

TEST (disconnecting_is_silent_on_this_side)
{
    void *server = open_socket (context, ZMQ_DEALER), *client = open_socket (context, ZMQ_DEALER);
    void *at_server = recorder (server), *at_client = recorder (client);
    const char *endpoint;
    GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
    endpoint = last_endpoint (server);
    EXPECT_EVENT (at_server, ZMQ_EVENT_LISTENING, endpoint);
    GOOD (zmq_connect (client, endpoint));
    EXPECT_EVENT (at_server, ZMQ_EVENT_ACCEPTED, endpoint);
    EXPECT_EVENT (at_server, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, endpoint);
    EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECT_DELAYED, endpoint);
    EXPECT_EVENT (at_client, ZMQ_EVENT_CONNECTED, endpoint);
    EXPECT_EVENT (at_client, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, endpoint);
    GOOD (send_text (client, "hello", 0));
    EXPECT (server, "hello");
    GOOD (zmq_disconnect (client, endpoint));
    WAIT_UNTIL (client, poll_one (at_server, ZMQ_POLLIN, 0));
    EXPECT_EVENT (at_server, ZMQ_EVENT_DISCONNECTED, endpoint);
    nothing_more (at_client);
    GOOD (zmq_unbind (server, endpoint));
    EXPECT_EVENT (at_server, ZMQ_EVENT_CLOSED, endpoint);
    GOOD (zmq_close (server));
    GOOD (zmq_close (client));
    GOOD (zmq_close (at_server));
    GOOD (zmq_close (at_client));
}

TEST (only_what_was_asked_for)
{
    void *server = open_socket (context, ZMQ_PULL), *client, *monitor;
    GOOD (zmq_socket_monitor (server, "inproc://some", ZMQ_EVENT_ACCEPTED));
    monitor = connected (context, ZMQ_PAIR, "inproc://some");
    GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
    client = connected (context, ZMQ_PUSH, last_endpoint (server));
    EXPECT_EVENT (monitor, ZMQ_EVENT_ACCEPTED, last_endpoint (server));
    GOOD (zmq_close (client));
    GOOD (zmq_close (server));
    nothing_more (monitor);
    GOOD (zmq_close (monitor));
}

TEST (events_wait_for_the_listener)
{
    /* raised before anybody is connected to the monitor's address */
    void *server = open_socket (context, ZMQ_PULL), *monitor;
    GOOD (zmq_socket_monitor (server, "inproc://early", ZMQ_EVENT_ALL));
    if (ours ()) /* the original blocks here */
        GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
    monitor = connected (context, ZMQ_PAIR, "inproc://early");
    if (ours ())
        EXPECT_EVENT (monitor, ZMQ_EVENT_LISTENING, last_endpoint (server));
    GOOD (zmq_close (server));
    GOOD (zmq_close (monitor));
}

TEST (replacing_and_stopping)
{
    void *socket = open_socket (context, ZMQ_PULL), *first = recorder (socket), *second;
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    EXPECT_EVENT (first, ZMQ_EVENT_LISTENING, last_endpoint (socket));
    second = recorder (socket);
    EXPECT_EVENT (first, ZMQ_EVENT_MONITOR_STOPPED, "");
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    EXPECT_EVENT (second, ZMQ_EVENT_LISTENING, last_endpoint (socket));
    GOOD (zmq_socket_monitor (socket, NULL, 0));
    EXPECT_EVENT (second, ZMQ_EVENT_MONITOR_STOPPED, "");
    GOOD (zmq_socket_monitor (socket, NULL, 0));
    GOOD (zmq_close (socket));
    GOOD (zmq_close (first));
    GOOD (zmq_close (second));
}

TEST (what_a_monitor_refuses)
{
    void *socket = open_socket (context, ZMQ_PULL), *other = bound (context, ZMQ_PAIR, "inproc://taken");
    FAILS (zmq_socket_monitor (socket, "nonsense", ZMQ_EVENT_ALL), EINVAL);
    FAILS (zmq_socket_monitor (socket, "tcp://127.0.0.1:*", ZMQ_EVENT_ALL), EPROTONOSUPPORT);
    FAILS (zmq_socket_monitor (socket, "foo://bar", ZMQ_EVENT_ALL), EPROTONOSUPPORT);
    FAILS (zmq_socket_monitor (socket, "inproc://taken", ZMQ_EVENT_ALL), EADDRINUSE);
    FAILS (zmq_socket_monitor (socket, "inproc://m", 0x10000), EINVAL);
    FAILS (zmq_socket_monitor_versioned (socket, "inproc://m", ZMQ_EVENT_ALL, 2, ZMQ_PULL), EINVAL);
    FAILS (zmq_socket_monitor_versioned (socket, "inproc://m", ZMQ_EVENT_ALL, 2, ZMQ_SUB), EINVAL);
    GOOD (zmq_close (socket));
    GOOD (zmq_close (other));
}

/* Another transport's client, or none at all. */
TEST (a_peer_that_is_no_peer)
{
    static const int pairs[][2] = {{ZMQ_REP, ZMQ_PULL}, {ZMQ_PUB, ZMQ_PUSH}};
    size_t i;
    for (i = 0; i < 2; i++) {
        void *server = open_socket (context, pairs[i][0]), *client = open_socket (context, pairs[i][1]);
        void *monitor = recorder (server);
        GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
        EXPECT_EVENT (monitor, ZMQ_EVENT_LISTENING, last_endpoint (server));
        GOOD (zmq_connect (client, last_endpoint (server)));
        EXPECT_EVENT (monitor, ZMQ_EVENT_ACCEPTED, last_endpoint (server));
        /* no event tells of the wrong type, or it is one of a failed handshake */
        if (next (monitor).id != ZMQ_EVENT_DISCONNECTED)
            EXPECT_EVENT (monitor, ZMQ_EVENT_DISCONNECTED, last_endpoint (server));
        GOOD (zmq_close (client));
        GOOD (zmq_close (server));
        GOOD (zmq_close (monitor));
    }
}

TEST (version_two)
{
    void *server = open_socket (context, ZMQ_DEALER), *client, *monitor;
    uint64_t id = 0, count = 0, value = 0;
    char local[256] = "", remote[256] = "";
    const char *endpoint;
    if (zmq_socket_monitor_versioned (server, "inproc://two", ZMQ_EVENT_ALL_V2, 2, ZMQ_PAIR) != 0) {
        EQUAL (zmq_errno (), ENOTSUP);
        GOOD (zmq_close (server));
        return;
    }
    monitor = connected (context, ZMQ_PAIR, "inproc://two");
    GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
    endpoint = last_endpoint (server);
    EQUAL (zmq_recv (monitor, &id, sizeof id, 0), 8);
    EQUAL (id, ZMQ_EVENT_LISTENING);
    EQUAL (zmq_recv (monitor, &count, sizeof count, 0), 8);
    EQUAL (count, 1);
    EQUAL (zmq_recv (monitor, &value, sizeof value, 0), 8);
    EXPECT (monitor, endpoint);
    EXPECT (monitor, "");
    EQUAL (more (monitor), 0);
    client = connected (context, ZMQ_DEALER, endpoint);
    EQUAL (zmq_recv (monitor, &id, sizeof id, 0), 8);
    EQUAL (id, ZMQ_EVENT_ACCEPTED);
    GOOD (zmq_recv (monitor, &count, sizeof count, 0));
    GOOD (zmq_recv (monitor, &value, sizeof value, 0));
    GOOD (zmq_recv (monitor, local, sizeof local - 1, 0));
    GOOD (zmq_recv (monitor, remote, sizeof remote - 1, 0));
    CHECK (!strcmp (local, endpoint));
    CHECK (!strncmp (remote, "tcp://127.0.0.1:", 16) && strcmp (remote, local));
    GOOD (zmq_close (client));
    GOOD (zmq_close (server));
    GOOD (zmq_close (monitor));
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (binding_and_connecting);
    RUN (the_server_goes_and_comes_back);
    RUN (refused_binds);
    RUN (disconnecting_is_silent_on_this_side);
    RUN (only_what_was_asked_for);
    RUN (events_wait_for_the_listener);
    RUN (replacing_and_stopping);
    RUN (what_a_monitor_refuses);
    RUN (a_peer_that_is_no_peer);
    RUN (version_two);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
