/* Polling, ZMQ_FD and ZMQ_EVENTS, proxies. */
#include "record.h"

PROGRAM (poll_misused)
{
    void *socket = sock (ZMQ_PULL), *closed = zmq_socket (ctx, ZMQ_PULL);
    zmq_pollitem_t items[2] = {{socket, 0, ZMQ_POLLIN, 7}, {NULL, -1, ZMQ_POLLIN, 7}};
    int64_t start;
    MUST (zmq_close (closed) == 0);
    TRY (zmq_poll (NULL, 0, 0));
    start = now_ms ();
    TRY (zmq_poll (NULL, 0, 60));
    say ("%s", took (now_ms () - start, 60));
    TRY (zmq_poll (items, 0, 0));
    TRY (zmq_poll (items, 1, 0));
    SEE (items[0].revents);
    start = now_ms ();
    TRY (zmq_poll (items, 1, 60));
    say ("%s", took (now_ms () - start, 60));
    items[0].socket = closed;
    TRY (zmq_poll (items, 1, 0));
    items[0].socket = socket;
    items[0].events = 0;
    TRY (zmq_poll (items, 1, 10));
    items[0].events = ZMQ_POLLOUT;
    TRY (zmq_poll (items, 1, 10));
    items[0].events = ZMQ_POLLERR | ZMQ_POLLPRI;
    TRY (zmq_poll (items, 1, 10));
    TRY (zmq_poll (items + 1, 1, 10));
    SEE (items[1].revents);
    TRY (zmq_poll (items, 2, 10));
}

PROGRAM (poll_of_descriptors)
{
    int ends[2], out[2], pair[2];
    zmq_pollitem_t items[4];
    char byte = 'x';
    MUST (pipe (ends) == 0 && pipe (out) == 0 && socketpair (AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    memset (items, 0, sizeof items);
    items[0].fd = ends[0], items[0].events = ZMQ_POLLIN;
    items[1].fd = out[1], items[1].events = ZMQ_POLLIN | ZMQ_POLLOUT;
    items[2].fd = pair[0], items[2].events = ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLPRI;
    items[3].fd = 999, items[3].events = ZMQ_POLLIN;
    TRY (zmq_poll (items, 3, 1000));
    SEE (items[0].revents), SEE (items[1].revents), SEE (items[2].revents);
    MUST (write (ends[1], &byte, 1) == 1 && write (pair[1], &byte, 1) == 1);
    TRY (zmq_poll (items, 3, 1000));
    SEE (items[0].revents), SEE (items[1].revents), SEE (items[2].revents);
    TRY (zmq_poll (items, 4, 1000));
    SEE (items[3].revents);
    items[0].events = 0;
    TRY (zmq_poll (items, 1, 10));
    close (ends[1]);
    TRY (zmq_poll (items, 1, 10));
    SEE (items[0].revents);
    items[0].events = ZMQ_POLLIN;
    TRY (zmq_poll (items, 1, 10));
    SEE (items[0].revents);
    MUST (read (ends[0], &byte, 1) == 1);
    TRY (zmq_poll (items, 1, 10));
    SEE (items[0].revents);
    close (out[0]);
    TRY (zmq_poll (items + 1, 1, 10));
    SEE (items[1].revents);
    close (pair[1]);
    TRY (zmq_poll (items + 2, 1, 10));
    SEE (items[2].revents);
    close (ends[0]), close (out[1]), close (pair[0]);
    TRY (zmq_poll (items, 1, 10));
    SEE (items[0].revents);
}

PROGRAM (poll_of_sockets)
{
    EACH_TRANSPORT (transport) {
        zmq_pollitem_t items[3];
        void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ), *other = sock (ZMQ_PULL);
        memset (items, 0, sizeof items);
        items[0].socket = rep, items[0].events = ZMQ_POLLIN | ZMQ_POLLOUT;
        items[1].socket = req, items[1].events = ZMQ_POLLIN | ZMQ_POLLOUT;
        items[2].socket = other, items[2].events = ZMQ_POLLIN | ZMQ_POLLOUT;
#define POLLED say ("%s: %d: %d %d %d", transport, zmq_poll (items, 3, PATIENCE_MS), items[0].revents, items[1].revents, items[2].revents)
        join_by (transport, rep, req);
        POLLED;
        items[1].events = ZMQ_POLLIN;
        TRY (put (req, "q", 0));
        POLLED;
        HEAR (rep);
        POLLED;
        items[0].events = ZMQ_POLLIN;
        TRY (put (rep, "a|b", 0));
        POLLED;
        HEAR (req);
        items[1].events = ZMQ_POLLIN | ZMQ_POLLOUT;
        POLLED;
        shut (rep), shut (req), shut (other);
    }
}

/* A socket listed twice, descriptors and sockets mixed. */
PROGRAM (poll_of_a_mixture)
{
    int ends[2];
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
    zmq_pollitem_t items[5];
    MUST (pipe (ends) == 0);
    join_by ("tcp", pull, push);
    memset (items, 0, sizeof items);
    items[0].socket = pull, items[0].events = ZMQ_POLLIN;
    items[1].fd = ends[0], items[1].events = ZMQ_POLLIN;
    items[2].socket = pull, items[2].events = ZMQ_POLLIN | ZMQ_POLLOUT;
    items[3].socket = push, items[3].events = ZMQ_POLLIN;
    items[4].fd = ends[0], items[4].events = ZMQ_POLLIN;
#define MIXED say ("%d: %d %d %d %d %d", zmq_poll (items, 5, 100), items[0].revents, items[1].revents, items[2].revents,     \
                   items[3].revents, items[4].revents)
    MIXED;
    TRY (put (push, "x", 0));
    AWAIT_IN (pull);
    MIXED;
    MUST (write (ends[1], "y", 1) == 1);
    MIXED;
    HEAR (pull);
    MIXED;
    items[3].events = ZMQ_POLLOUT;
    MIXED;
    close (ends[0]), close (ends[1]);
}

struct later {
    void *socket;
    int descriptor;
};

static void *send_later (void *argument)
{
    struct later *later = argument;
    pause_ms (60);
    if (later->socket)
        put (later->socket, "late", 0);
    else if (write (later->descriptor, "x", 1) != 1)
        say ("nothing written");
    return NULL;
}

PROGRAM (poll_is_woken)
{
    EACH_TRANSPORT (transport) {
        int ends[2], round;
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        zmq_pollitem_t items[2];
        MUST (pipe (ends) == 0);
        join_by (transport, pull, push);
        for (round = 0; round < 4; round++) {
            pthread_t thread;
            struct later later = {round % 2 ? push : NULL, ends[1]};
            char byte;
            memset (items, 0, sizeof items);
            items[0].socket = pull, items[0].events = ZMQ_POLLIN;
            items[1].fd = ends[0], items[1].events = ZMQ_POLLIN;
            pthread_create (&thread, NULL, send_later, &later);
            say ("%s: %d: %d %d", transport, zmq_poll (items, 2, round < 2 ? -1 : PATIENCE_MS), items[0].revents,
                 items[1].revents);
            pthread_join (thread, NULL);
            if (round % 2)
                HEAR (pull);
            else
                MUST (read (ends[0], &byte, 1) == 1);
        }
        shut (pull), shut (push);
        close (ends[0]), close (ends[1]);
    }
}

PROGRAM (poll_of_a_thousand)
{
    enum { COUNT = 600 };
    static zmq_pollitem_t items[2 * COUNT];
    static void *sockets[COUNT];
    int i, descriptors[2], found = 0;
    void *push = sock (ZMQ_PUSH);
    MUST (pipe (descriptors) == 0);
    for (i = 0; i < COUNT; i++) {
        char name[32];
        sockets[i] = sock (ZMQ_PULL);
        sprintf (name, "inproc://many-%d", i);
        MUST (zmq_bind (sockets[i], name) == 0);
        items[2 * i].socket = sockets[i], items[2 * i].events = ZMQ_POLLIN;
        items[2 * i + 1].fd = descriptors[0], items[2 * i + 1].events = ZMQ_POLLIN;
    }
    TRY (zmq_poll (items, 2 * COUNT, 0));
    TRY (zmq_poll (items, 2 * COUNT, 20));
    MUST (zmq_connect (push, "inproc://many-577") == 0);
    TRY (put (push, "you", 0));
    TRY (zmq_poll (items, 2 * COUNT, -1));
    for (i = 0; i < 2 * COUNT; i++)
        if (items[i].revents)
            say ("item %d: %d", i, items[i].revents);
    MUST (write (descriptors[1], "x", 1) == 1);
    TRY (zmq_poll (items, 2 * COUNT, -1));
    for (i = 0; i < 2 * COUNT; i++)
        found += items[i].revents == ZMQ_POLLIN;
    SEE (found);
    close (descriptors[0]), close (descriptors[1]);
}

/* -------------------------------------------------------------------------------------------------- ZMQ_FD, ZMQ_EVENTS */

static int fires (int descriptor, int limit_ms)
{
    struct pollfd item = {descriptor, POLLIN, 0};
    return poll (&item, 1, limit_ms) == 1 ? item.revents : 0;
}

PROGRAM (descriptor_of_a_socket)
{
    static const int types[] = {ZMQ_PAIR, ZMQ_PUB, ZMQ_SUB, ZMQ_REQ, ZMQ_REP, ZMQ_DEALER,
                                ZMQ_ROUTER, ZMQ_PULL, ZMQ_PUSH, ZMQ_XPUB, ZMQ_XSUB, ZMQ_STREAM};
    int i;
    for (i = 0; i < 12; i++) {
        void *socket = sock (types[i]);
        int descriptor = get (socket, ZMQ_FD);
        SEE (descriptor >= 0);
        SEE (descriptor == get (socket, ZMQ_FD));
        events (socket);
        SEE (fires (descriptor, 0));
        shut (socket);
    }
}

/* As a program with a loop of its own uses it: wait for the descriptor, then read until there is nothing. */
PROGRAM (descriptor_tells_of_messages)
{
    EACH_TRANSPORT (transport) {
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        int descriptor, i, j, heard = 0;
        join_by (transport, pull, push);
        descriptor = get (pull, ZMQ_FD);
        SEE (events (pull));
        SEE (fires (descriptor, 0));
        for (i = 0; i < 50; i++) {
            for (j = 0; j <= i % 3; j++)
                MUST (put (push, "m|n", 0) > 0);
            while (heard < (i + 1) * 2 - (i % 3 == 0) * 0 && fires (descriptor, 50)) {
                if (!(events (pull) & ZMQ_POLLIN))
                    continue;
                while (events (pull) & ZMQ_POLLIN) {
                    MUST (*got (pull, ZMQ_DONTWAIT) == '[');
                    heard++;
                }
            }
        }
        UNTIL (heard >= 99 || (events (pull) & ZMQ_POLLIN && *got (pull, ZMQ_DONTWAIT) == '[' && ++heard >= 99));
        SEE (heard);
        SEE (events (pull));
        shut (pull), shut (push);
    }
}

PROGRAM (descriptor_tells_of_room)
{
    EACH_TRANSPORT (transport) {
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        int descriptor;
        MUST (set (push, ZMQ_SNDHWM, 2) == 0 && set (pull, ZMQ_RCVHWM, 2) == 0);
        descriptor = get (push, ZMQ_FD);
        SEE (events (push));
        MUST (zmq_bind (pull, fresh (transport)) == 0);
        MUST (zmq_connect (push, endpoint (pull)) == 0);
        UNTIL (events (push) == ZMQ_POLLOUT);
        if (!strcmp (transport, "inproc")) {
            SEE (filled (push, "x", 100));
            SEE (events (push));
            SEE (fires (descriptor, 0));
            SEE (drained (pull));
            SEE (fires (descriptor, 1000));
            SEE (events (push));
            SEE (fires (descriptor, 0));
        }
        shut (pull), shut (push);
    }
}

PROGRAM (descriptor_tells_of_the_end)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PULL);
    int descriptor = get (socket, ZMQ_FD), value;
    size_t size = sizeof value;
    events (socket);
    SEE (fires (descriptor, 0));
    TRY (zmq_ctx_shutdown (context));
    SEE (fires (descriptor, 1000));
    TRY (zmq_getsockopt (socket, ZMQ_EVENTS, &value, &size));
    TRY (zmq_close (socket));
    TRY (zmq_ctx_term (context));
}

/* ------------------------------------------------------------------------------------------------------------- proxies */

struct proxied {
    void *front, *back, *capture, *control;
    int result, code;
};

static void *proxy_thread (void *argument)
{
    struct proxied *proxied = argument;
    proxied->result = proxied->control ? zmq_proxy_steerable (proxied->front, proxied->back, proxied->capture, proxied->control)
                                       : zmq_proxy (proxied->front, proxied->back, proxied->capture);
    proxied->code = zmq_errno ();
    zmq_close (proxied->front);
    zmq_close (proxied->back);
    if (proxied->capture)
        zmq_close (proxied->capture);
    if (proxied->control)
        zmq_close (proxied->control);
    return NULL;
}

PROGRAM (proxy_misused)
{
    void *socket = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
    TRY (zmq_proxy (NULL, socket, NULL));
    TRY (zmq_proxy (socket, NULL, NULL));
    TRY (zmq_proxy_steerable (NULL, socket, NULL, NULL));
    TRY (zmq_proxy_steerable (socket, NULL, other, NULL));
}

PROGRAM (proxy_forwards)
{
    EACH_TRANSPORT (transport) {
        void *context = zmq_ctx_new (), *client, *server, *watcher;
        struct proxied proxied = {NULL, NULL, NULL, NULL, 0, 0};
        pthread_t thread;
        int i;
        proxied.front = zmq_socket (context, ZMQ_ROUTER), proxied.back = zmq_socket (context, ZMQ_DEALER);
        proxied.capture = zmq_socket (context, ZMQ_PAIR);
        watcher = socket_in (context, ZMQ_PAIR);
        client = socket_in (context, ZMQ_REQ), server = socket_in (context, ZMQ_REP);
        MUST (set_text (client, ZMQ_ROUTING_ID, "client") == 0);
        link_by ("inproc", proxied.capture, watcher);
        link_by (transport, proxied.front, client);
        link_by (transport, proxied.back, server);
        pthread_create (&thread, NULL, proxy_thread, &proxied);
        for (i = 0; i < 3; i++) {
            TRY (put (client, "question|in parts", 0));
            HEAR (server);
            TRY (put (server, "answer|in|parts", 0));
            HEAR (client);
            HEAR (watcher);
            HEAR (watcher);
        }
        shut (client), shut (server), shut (watcher);
        TRY (zmq_ctx_term (context));
        pthread_join (thread, NULL);
        say ("%d %s", proxied.result, error_name (proxied.code));
    }
}

/* Front and back the same socket: what comes goes back. */
PROGRAM (proxy_echoes)
{
    void *context = zmq_ctx_new (), *one;
    struct proxied proxied = {NULL, NULL, NULL, NULL, 0, 0};
    pthread_t thread;
    proxied.front = proxied.back = zmq_socket (context, ZMQ_PAIR);
    one = socket_in (context, ZMQ_PAIR);
    link_by ("tcp", proxied.front, one);
    pthread_create (&thread, NULL, proxy_thread, &proxied);
    TRY (put (one, "a|b", 0));
    HEAR (one);
    TRY (put (one, "c", 0));
    HEAR (one);
    shut (one);
    TRY (zmq_ctx_term (context));
    pthread_join (thread, NULL);
    say ("%d %s", proxied.result, error_name (proxied.code));
}

PROGRAM (proxy_steered)
{
    void *context = zmq_ctx_new (), *push, *pull, *control;
    struct proxied proxied = {NULL, NULL, NULL, NULL, 0, 0};
    pthread_t thread;
    proxied.front = zmq_socket (context, ZMQ_PULL), proxied.back = zmq_socket (context, ZMQ_PUSH);
    proxied.control = zmq_socket (context, ZMQ_PAIR);
    push = socket_in (context, ZMQ_PUSH), pull = socket_in (context, ZMQ_PULL), control = socket_in (context, ZMQ_PAIR);
    link_by ("inproc", proxied.control, control);
    link_by ("tcp", proxied.front, push);
    link_by ("tcp", proxied.back, pull);
    pthread_create (&thread, NULL, proxy_thread, &proxied);
    TRY (put (push, "one|two", 0));
    HEAR (pull);
    TRY (put (control, "PAUSE", 0));
    pause_ms (60);
    TRY (put (push, "while paused", 0));
    SILENT (pull);
    TRY (put (control, "RESUME", 0));
    HEAR (pull);
    TRY (put (control, "TERMINATE", 0));
    pthread_join (thread, NULL);
    SEE (proxied.result);
    shut (push), shut (pull), shut (control);
    TRY (zmq_ctx_term (context));
}

PROGRAM (device_is_a_proxy)
{
    void *context = zmq_ctx_new (), *client, *server;
    struct proxied proxied = {NULL, NULL, NULL, NULL, 0, 0};
    pthread_t thread;
    proxied.front = zmq_socket (context, ZMQ_XSUB), proxied.back = zmq_socket (context, ZMQ_XPUB);
    client = socket_in (context, ZMQ_SUB), server = socket_in (context, ZMQ_XPUB);
    MUST (set_text (client, ZMQ_SUBSCRIBE, "a") == 0);
    link_by ("tcp", proxied.front, server);
    link_by ("tcp", proxied.back, client);
    pthread_create (&thread, NULL, proxy_thread, &proxied);
    HEAR (server);
    TRY (put (server, "b|x", 0));
    TRY (put (server, "a|x", 0));
    HEAR (client);
    shut (client);
    HEAR (server);
    shut (server);
    TRY (zmq_ctx_term (context));
    pthread_join (thread, NULL);
    say ("%d %s", proxied.result, error_name (proxied.code));
}

static void changed (void *socket, const char *what)
{
    struct pollfd waiting = {get (socket, ZMQ_FD), POLLIN, 0};
    int told = poll (&waiting, 1, PATIENCE_MS);
    say ("%s: told %d, events %d", what, told, events (socket));
}

PROGRAM (descriptor_tells_of_changes_of_endpoints)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_SUB, ZMQ_ROUTER, ZMQ_REQ};
    size_t i, n;
    for (i = 0; i < 2; i++)
        for (n = 0; n < sizeof types / sizeof *types; n++) {
            void *socket = sock (types[n]);
            char address[300], second[300];
            strcpy (address, i ? "ipc://absent" : nobody ());
            strcpy (second, i ? "ipc://absent2" : nobody ());
            MUST (set (socket, ZMQ_RECONNECT_IVL, 60000) == 0);
            MUST (zmq_connect (socket, address) == 0);
            changed (socket, "connected");
            MUST (zmq_connect (socket, second) == 0);
            changed (socket, "again");
            MUST (zmq_disconnect (socket, second) == 0);
            changed (socket, "disconnected");
            MUST (zmq_bind (socket, i ? "ipc://here" : "tcp://127.0.0.1:*") == 0);
            changed (socket, "bound");
            MUST (zmq_unbind (socket, endpoint (socket)) == 0);
            changed (socket, "unbound");
            shut (socket);
        }
}
