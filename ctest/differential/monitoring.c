/* Monitors: what is reported, in which order, with which values and addresses; connections that fail. */
#include "record.h"

PROGRAM (monitor_calls_misused)
{
    void *socket = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
    TRY (zmq_socket_monitor (NULL, "inproc://m", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, "m", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, "", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, "tcp://127.0.0.1:*", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, "foo://m", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, "inproc://", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, NULL, 0));
    TRY (zmq_socket_monitor (socket, "inproc://m", 0));
    TRY (zmq_socket_monitor (other, "inproc://m", ZMQ_EVENT_ALL));
    TRY (zmq_socket_monitor (socket, NULL, ZMQ_EVENT_ALL));
    UNTIL (zmq_socket_monitor (other, "inproc://m", ZMQ_EVENT_ALL) == 0);
    TRY (zmq_bind (socket, "inproc://m"));
    TRY (zmq_socket_monitor (other, "inproc://n", 0x10000));
}

PROGRAM (monitor_tcp)
{
    void *server = sock (ZMQ_REP), *client = sock (ZMQ_REQ);
    void *one = watch (server, ZMQ_EVENT_ALL), *other = watch (client, ZMQ_EVENT_ALL);
    char address[300];
    TRY (zmq_bind (server, "tcp://127.0.0.1:*"));
    EVENT (one);
    strcpy (address, endpoint (server));
    TRIED (zmq_connect (client, address), "connect");
    EVENT (other);
    EVENT (other);
    EVENT (other);
    EVENT (one);
    EVENT (one);
    no_events (one);
    no_events (other);
    shut (server);
    EVENT (one);
    EVENT (one);
    until_event (other, ZMQ_EVENT_DISCONNECTED);
    EVENT (other);
    shut (client);
    until_event (other, ZMQ_EVENT_MONITOR_STOPPED);
}

PROGRAM (monitor_ipc)
{
    void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH);
    void *one = watch (server, ZMQ_EVENT_ALL), *other = watch (client, ZMQ_EVENT_ALL);
    TRY (zmq_bind (server, "ipc://file"));
    EVENT (one);
    TRY (zmq_connect (client, "ipc://file"));
    EVENT (other);
    EVENT (other);
    EVENT (one);
    EVENT (one);
    shut (client);
    EVENT (other);
    EVENT (one);
    no_events (one);
    TRY (zmq_unbind (server, "ipc://file"));
    EVENT (one);
    no_events (one);
}

PROGRAM (monitor_of_inproc_is_silent)
{
    void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH);
    void *one = watch (server, ZMQ_EVENT_ALL), *other = watch (client, ZMQ_EVENT_ALL);
    link_by ("inproc", server, client);
    TRY (put (client, "hello", 0));
    HEAR (server);
    TRY (zmq_disconnect (client, endpoint (server)));
    no_events (one);
    no_events (other);
}

PROGRAM (monitor_failed_binds)
{
    static const char *const addresses[] = {"tcp://nowhere.invalid:*", "tcp://192.0.2.1:*", "ipc://no/such/folder/x", "tcp://junk",
                                            "rubbish", "foo://x", "ipc://@"};
    size_t i;
    void *other = sock (ZMQ_PULL);
    char address[300];
    for (i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        void *server = sock (ZMQ_PULL), *one = watch (server, ZMQ_EVENT_ALL);
        TRIED (zmq_bind (server, addresses[i]), "%s", addresses[i]);
        no_events (one);
        shut (server);
        EVENT (one);
    }
    MUST (zmq_bind (other, "tcp://127.0.0.1:*") == 0);
    strcpy (address, endpoint (other));
    {
        void *server = sock (ZMQ_PULL), *one = watch (server, ZMQ_EVENT_ALL);
        TRIED (zmq_bind (server, address), "in use");
        no_events (one);
    }
}

PROGRAM (monitor_refused)
{
    void *client = sock (ZMQ_PUSH), *other = watch (client, ZMQ_EVENT_ALL);
    int i;
    MUST (set (client, ZMQ_RECONNECT_IVL, 20) == 0);
    TRIED (zmq_connect (client, nobody ()), "tcp");
    for (i = 0; i < 6; i++)
        EVENT (other);
    shut (client);
    client = sock (ZMQ_PUSH), other = watch (client, ZMQ_EVENT_ALL);
    MUST (set (client, ZMQ_RECONNECT_IVL, 20) == 0);
    TRIED (zmq_connect (client, "ipc://nobody"), "ipc");
    for (i = 0; i < 4; i++)
        EVENT (other);
    shut (client);
    client = sock (ZMQ_PUSH), other = watch (client, ZMQ_EVENT_ALL);
    MUST (set (client, ZMQ_RECONNECT_IVL, -1) == 0);
    TRIED (zmq_connect (client, nobody ()), "tcp, never again");
    EVENT (other);
    EVENT (other);
    no_events (other);
    TRIED (zmq_disconnect (client, endpoint (client)), "disconnect");
}

/* Without a longest interval; with one, 4.3.4 still varies it. */
PROGRAM (monitor_intervals)
{
    void *client = sock (ZMQ_PUSH), *other = watch (client, ZMQ_EVENT_CONNECT_RETRIED);
    int i;
    MUST (set (client, ZMQ_RECONNECT_IVL, 20) == 0);
    MUST (zmq_connect (client, nobody ()) == 0);
    for (i = 0; i < 20; i++) {
        int value = (int) until_event (other, ZMQ_EVENT_CONNECT_RETRIED);
        say ("within twice the interval %d", value >= 20 && value < 40);
    }
}

PROGRAM (monitor_peer_closes)
{
    static const int closing[] = {0, 1};
    size_t i;
    for (i = 0; i < 2; i++) {
        char address[64];
        int listener = raw_listen (address), raw;
        void *client = sock (ZMQ_DEALER), *other = watch (client, ZMQ_EVENT_ALL);
        MUST (set (client, ZMQ_RECONNECT_IVL, 10) == 0);
        MUST (zmq_connect (client, address) == 0);
        raw = raw_accept (listener);
        if (closing[i])
            raw_handshake (raw, 1, "ROUTER", NULL);
        else {
            /* All that it has to say so far: closed over unread bytes, a connection is reset. */
            char signature[10];
            MUST (raw_read (raw, signature, 10) == 10);
        }
        EVENT (other);
        EVENT (other);
        if (closing[i])
            EVENT (other);
        close (raw);
        EVENT (other);
        EVENT (other);
        if (!closing[i])
            EVENT (other);
        until_event (other, ZMQ_EVENT_CONNECTED);
        shut (client);
        close (listener);
    }
}

/* A peer of the accepting side that goes before, and after the handshake. */
PROGRAM (monitor_client_goes)
{
    void *server = sock (ZMQ_ROUTER), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
    int raw;
    MUST (zmq_bind (server, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (server));
    EVENT (one);
    close (raw);
    EVENT (one);
    EVENT (one);
    raw = raw_connect (endpoint (server));
    raw_greet (raw, 0);
    EVENT (one);
    close (raw);
    /* Cut off with what it had not read, or at its end. */
    until_event (one, ZMQ_EVENT_DISCONNECTED);
    raw = raw_connect (endpoint (server));
    raw_handshake (raw, 0, "DEALER", NULL);
    EVENT (one);
    EVENT (one);
    close (raw);
    EVENT (one);
    no_events (one);
}

PROGRAM (monitor_wrong_peers)
{
    static const char *const types[] = {"PUSH", "ROUTER", "NONSENSE", "", "dealer"};
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        void *server = sock (ZMQ_ROUTER), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
        int raw;
        MUST (zmq_bind (server, "tcp://127.0.0.1:*") == 0);
        raw = raw_connect (endpoint (server));
        say ("peer \"%s\"", types[i]);
        raw_handshake (raw, 0, types[i], NULL);
        EVENT (one);
        EVENT (one);
        no_events (one);
        close (raw);
        shut (server);
    }
}

PROGRAM (monitor_bad_handshakes)
{
    static const struct {
        const char *name, *bytes;
        int size;
    } commands[] = {{"unknown command", "\4\5\4NOPE", 7}, {"a message", "\0\5hello", 7}, {"an empty frame", "\0\0", 2},
                    {"READY cut short", "\4\12\5READY\13Soc", 12}, {"READY with a bad length", "\4\17\5READY\4name\0\0\1\0", 17},
                    {"READY alone", "\4\6\5READY", 8}, {"READY as a message", "\0\6\5READY", 8},
                    {"ERROR", "\4\7\5ERROR\0", 9}, {"ERROR with a reason", "\4\12\5ERROR\003400", 12},
                    {"ERROR without length", "\4\6\5ERROR", 8}};
    size_t i;
    for (i = 0; i < sizeof commands / sizeof *commands; i++) {
        void *server = sock (ZMQ_DEALER), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
        int raw;
        MUST (zmq_bind (server, "tcp://127.0.0.1:*") == 0);
        raw = raw_connect (endpoint (server));
        raw_greet (raw, 0);
        EVENT (one);
        say ("%s", commands[i].name);
        raw_write (raw, commands[i].bytes, commands[i].size);
        EVENT (one);
        no_events (one);
        close (raw);
        shut (server);
    }
}

PROGRAM (monitor_other_mechanism)
{
    void *server = sock (ZMQ_DEALER), *client = sock (ZMQ_DEALER);
    void *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING), *other = watch (client, ZMQ_EVENT_ALL);
    MUST (set (server, ZMQ_PLAIN_SERVER, 1) == 0);
    link_by ("tcp", server, client);
    EVENT (one);
    EVENT (one);
    EVENT (one);
    EVENT (other);
    EVENT (other);
    EVENT (other);
    EVENT (other);
    no_events (other);
    TRIED (zmq_disconnect (client, endpoint (client)), "disconnect");
}

PROGRAM (monitor_garbage)
{
    static const struct {
        const char *name, *bytes;
        int size;
    } garbage[] = {{"http", "GET / HTTP/1.0\r\n\r\n", 18}, {"zeros", "\0\0\0\0\0\0\0\0\0\0\0\0", 12}, {"one byte", "\xff", 1}};
    size_t i;
    for (i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        void *server = sock (ZMQ_ROUTER), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
        int raw;
        MUST (zmq_bind (server, "tcp://127.0.0.1:*") == 0);
        raw = raw_connect (endpoint (server));
        say ("%s", garbage[i].name);
        EVENT (one);
        raw_write (raw, garbage[i].bytes, garbage[i].size);
        shutdown (raw, SHUT_WR);
        until_event (one, ZMQ_EVENT_DISCONNECTED);
        no_events (one);
        close (raw);
        shut (server);
    }
}

PROGRAM (monitor_handshake_times_out)
{
    void *server = sock (ZMQ_ROUTER), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
    struct event event;
    int raw;
    int64_t start;
    MUST (set (server, ZMQ_HANDSHAKE_IVL, 200) == 0);
    MUST (zmq_bind (server, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (server));
    start = now_ms ();
    EVENT (one);
    MUST (next_event (one, &event, 0));
    say ("%s", event_name (event.event));
    EVENT (one);
    say ("%s", took (now_ms () - start, 200));
    close (raw);
}

/* Replaced, stopped, and ended with its socket. */
PROGRAM (monitor_stops)
{
    void *server = sock (ZMQ_PULL), *first = watch (server, ZMQ_EVENT_ALL), *second, *third;
    second = watch (server, ZMQ_EVENT_ALL);
    EVENT (first);
    TRY (zmq_bind (server, "tcp://127.0.0.1:*"));
    EVENT (second);
    no_events (first);
    TRY (zmq_socket_monitor (server, NULL, 0));
    EVENT (second);
    TRY (zmq_socket_monitor (server, NULL, 0));
    TRY (zmq_bind (server, "ipc://file"));
    no_events (second);
    third = watch (server, ZMQ_EVENT_MONITOR_STOPPED | ZMQ_EVENT_CLOSED);
    shut (server);
    EVENT (third);
    EVENT (third);
    EVENT (third);
    no_events (third);
}

/* A monitor that failed to be set up has replaced the one before. */
PROGRAM (monitor_replaced_by_a_failure)
{
    void *server = sock (ZMQ_PULL), *taken = sock (ZMQ_PAIR), *first = watch (server, ZMQ_EVENT_ALL);
    MUST (zmq_bind (taken, "inproc://taken") == 0);
    TRY (zmq_socket_monitor (server, "inproc://taken", ZMQ_EVENT_ALL));
    EVENT (first);
    TRY (zmq_bind (server, "tcp://127.0.0.1:*"));
    no_events (first);
}

PROGRAM (monitor_only_what_was_asked)
{
    void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH);
    void *one = watch (server, ZMQ_EVENT_ACCEPTED), *other = watch (client, ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_DISCONNECTED);
    link_by ("tcp", server, client);
    EVENT (one);
    EVENT (other);
    TRY (put (client, "hello", 0));
    HEAR (server);
    no_events (one);
    shut (server);
    EVENT (other);
}

/* Own disconnect raises nothing here, and the peer sees it. */
PROGRAM (monitor_own_disconnect)
{
    void *server = sock (ZMQ_PAIR), *client = sock (ZMQ_PAIR), *one, *other;
    join_by ("tcp", server, client);
    one = watch (server, ZMQ_EVENT_ALL), other = watch (client, ZMQ_EVENT_ALL);
    TRIED (zmq_disconnect (client, endpoint (client)), "disconnect");
    settle (client);
    EVENT (one);
    no_events (one);
    no_events (other);
}

PROGRAM (monitor_disconnect_while_retrying)
{
    void *client = sock (ZMQ_PUSH), *other = watch (client, ZMQ_EVENT_ALL);
    MUST (set (client, ZMQ_RECONNECT_IVL, 60000) == 0);
    MUST (zmq_connect (client, nobody ()) == 0);
    until_event (other, ZMQ_EVENT_CONNECT_RETRIED);
    TRIED (zmq_disconnect (client, endpoint (client)), "disconnect");
    settle (client);
    no_events (other);
    shut (client);
    EVENT (other);
}

PROGRAM (monitor_filtered)
{
    void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
    struct event event;
    MUST (set_text (server, ZMQ_TCP_ACCEPT_FILTER, "192.0.2.1") == 0);
    MUST (set (client, ZMQ_RECONNECT_IVL, -1) == 0);
    link_by ("tcp", server, client);
    MUST (next_event (one, &event, 0));
    say ("%s", event_name (event.event));
    no_events (one);
}

/* Frames above the limit end the connection. */
PROGRAM (monitor_oversized_frame)
{
    static const int64_t limits[] = {0, 5, 1000};
    size_t i;
    for (i = 1; i < 3; i++) {
        void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH), *one = watch (server, ZMQ_EVENT_ALL & ~ZMQ_EVENT_LISTENING);
        char *bytes = calloc (1, 2000);
        MUST (zmq_setsockopt (server, ZMQ_MAXMSGSIZE, i == 1 ? &limits[2] : &limits[2], 8) == 0);
        MUST (set (client, ZMQ_RECONNECT_IVL, -1) == 0);
        link_by ("tcp", server, client);
        EVENT (one);
        EVENT (one);
        TRY (zmq_send (client, bytes, 1000, 0));
        TRY (zmq_recv (server, bytes, 2000, 0));
        TRY (zmq_send (client, bytes, 1001, 0));
        EVENT (one);
        no_events (one);
        free (bytes);
        shut (server), shut (client);
    }
}

/* Who was watched, connected before anybody had the name, and is gone when somebody takes it. */
PROGRAM (monitor_of_who_came_early_and_left)
{
    void *early = sock (ZMQ_PUSH), *late = sock (ZMQ_PULL), *one = watch (early, ZMQ_EVENT_ALL);
    MUST (set (early, ZMQ_LINGER, -1) == 0);
    TRY (zmq_connect (early, "inproc://early"));
    MUST (put (early, "left behind", 0) >= 0);
    shut (early);
    TRY (zmq_bind (late, "inproc://early"));
    HEAR (late);
    shut (one);
}

PROGRAM (monitor_of_a_wildcard)
{
    static const char *const addresses[] = {"tcp://*:*", "tcp://0.0.0.0:*", "tcp://[*]:*"};
    size_t i;
    for (i = 0; i < 2 * sizeof addresses / sizeof *addresses; i++) {
        void *server = sock (ZMQ_PULL), *client = sock (ZMQ_PUSH), *one = watch (server, ZMQ_EVENT_ALL);
        char address[300];
        MUST (set (server, ZMQ_IPV6, i % 2) == 0);
        TRIED (zmq_bind (server, addresses[i / 2]), "%s", addresses[i / 2]);
        EVENT (one);
        snprintf (address, sizeof address, "tcp://127.0.0.2:%d", port_of (endpoint (server)));
        MUST (zmq_connect (client, address) == 0);
        EVENT (one);
        EVENT (one);
        no_events (one);
        shut (client);
        shut (server);
    }
}
