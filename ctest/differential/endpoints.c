/* Endpoints: grammar, errors, LAST_ENDPOINT, unbinding, disconnecting, binding again. */
#include "record.h"

/* An address as it was given, and what binding and connecting to it say. */
static void try_both (const char *address)
{
    static const char *const names[] = {"bind", "connect"};
    int connects;
    for (connects = 0; connects < 2; connects++) {
        void *socket = sock (ZMQ_DEALER);
        int result = (errno = 0, connects ? zmq_connect (socket, address) : zmq_bind (socket, address));
        int code = zmq_errno ();
        if (result)
            say ("%s %s: %s, last endpoint \"%s\"", names[connects], address, error_name (code), endpoint (socket));
        else
            say ("%s %s: done, last endpoint \"%s\"", names[connects], address, masked (endpoint (socket)));
        shut (socket);
    }
}

PROGRAM (address_grammar)
{
    static const char *const addresses[] = {"", ":", "://", "tcp", "tcp:", "tcp:/", "tcp://", "://127.0.0.1:5555", "inproc://",
                                            "ipc://", "TCP://127.0.0.1:*", "foo://bar", " tcp://127.0.0.1:*", "tcp//x",
                                            "inproc:/x", "tcp:///", "x://",
                                            "vmci://x", "ipc", "IPC://x", "inproc://a b c", "inproc:///x/y", "inproc://*"};
    size_t i;
    for (i = 0; i < sizeof addresses / sizeof *addresses; i++)
        try_both (addresses[i]);
}

PROGRAM (address_grammar_tcp)
{
    static const char *const addresses[] = {
      "tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "tcp://*:*", "tcp://*:0", "tcp://lo:*", "tcp://127.0.0.1",
      "tcp://127.0.0.1:", "tcp://127.0.0.1:abc", "tcp://:*", "tcp://:0", "tcp://*", "tcp://300.1.1.1:*",
      "tcp://127.0.0.1 :*", "tcp:// 127.0.0.1:*", "tcp://[::1]:*", "tcp://::1:*", "tcp://[127.0.0.1]:*",
      "tcp://no-such-interface:*", "tcp://[]:*", "tcp://[:*", "tcp://]:*", "tcp://192.0.2.1:*", "tcp://1.2.3.4.5:*",
      "tcp://127.0.0.1:*x", "tcp://127.0.0.1:**", "tcp://127.1:*", "tcp://0x7f000001:*", "tcp://2130706433:*",
      "tcp://0.0.0.0:*", "tcp://255.255.255.255:*", "tcp://local host:*", "tcp://a_b.c-d:1", "tcp://ex!ample:1",
      "tcp://host/path:1", "tcp://user@host:1", "tcp://127.0.0.1:1;127.0.0.1:2", "tcp://;127.0.0.1:2",
      "tcp://127.0.0.1:1;", "tcp://-host:1", "tcp://_host:1", "tcp://.host:1", "tcp://%lo:1", "tcp://127.0.0.1:1 "};
    size_t i;
    for (i = 0; i < sizeof addresses / sizeof *addresses; i++)
        try_both (addresses[i]);
}

PROGRAM (address_grammar_tcp_ipv6)
{
    static const char *const addresses[] = {"tcp://[::1]:*", "tcp://::1:*", "tcp://*:*", "tcp://127.0.0.1:*", "tcp://[::]:*",
                                            "tcp://[::1%lo]:*", "tcp://[::1%1]:*", "tcp://[::1%]:*", "tcp://[::1%0]:*",
                                            "tcp://[::1%nothing]:*", "tcp://[::ffff:127.0.0.1]:*",
                                            "tcp://lo:*", "tcp://[127.0.0.1]:*", "tcp://[::g]:*", "tcp://[:::1]:*"};
    size_t i;
    for (i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
        MUST (set (one, ZMQ_IPV6, 1) == 0 && set (other, ZMQ_IPV6, 1) == 0);
        TRIED (zmq_bind (one, addresses[i]), "bind %s", addresses[i]);
        say ("last endpoint \"%s\"", masked (endpoint (one)));
        TRIED (zmq_connect (other, addresses[i]), "connect %s", addresses[i]);
        shut (one);
        shut (other);
    }
}

PROGRAM (address_grammar_ipc)
{
    char longest[200];
    static const char *const addresses[] = {"ipc://a", "ipc://./a", "ipc://no/such/folder/a", "ipc://@",
                                            "ipc://*", "ipc://*x", "ipc://a b", "ipc:///", "ipc://.", "ipc:///dev/null/x"};
    size_t i, length;
    for (i = 0; i < sizeof addresses / sizeof *addresses; i++)
        try_both (addresses[i]);
    for (length = 106; length < 110; length++) {
        memset (longest, 0, sizeof longest);
        strcpy (longest, "ipc://");
        memset (longest + 6, 'n', length);
        TRIED (zmq_bind (sock (ZMQ_PULL), longest), "bind a name of %zu", length);
        TRIED (zmq_connect (sock (ZMQ_PULL), longest), "connect to a name of %zu", length);
        longest[6] = '@';
        longest[7] = (char) ('0' + getpid () % 10);
        longest[8] = (char) ('0' + getpid () / 10 % 10);
        longest[9] = (char) ('0' + getpid () / 100 % 10);
        TRIED (zmq_bind (sock (ZMQ_PULL), longest), "bind an abstract name of %zu", length);
        TRIED (zmq_connect (sock (ZMQ_PULL), longest), "connect to an abstract name of %zu", length);
    }
}

PROGRAM (address_in_use)
{
    void *one = sock (ZMQ_PULL), *two = sock (ZMQ_PULL), *three = sock (ZMQ_PULL);
    char address[300];
    MUST (zmq_bind (one, "tcp://127.0.0.1:*") == 0);
    strcpy (address, endpoint (one));
    TRIED (zmq_bind (two, address), "the same port");
    TRIED (zmq_bind (one, address), "the same port by the same socket");
    say ("last endpoint \"%s\"", endpoint (two));
    TRY (zmq_bind (one, "inproc://used"));
    TRY (zmq_bind (one, "inproc://used"));
    TRY (zmq_bind (two, "inproc://used"));
    TRY (zmq_bind (two, "ipc://file"));
    TRY (zmq_bind (three, "ipc://file"));
    sprintf (address, "ipc://@differential-%d", (int) getpid ()); /* one name space for all processes */
    TRIED (zmq_bind (two, address), "an abstract name");
    TRIED (zmq_bind (three, address), "the same abstract name");
    TRY (zmq_unbind (one, "inproc://used"));
    TRY (zmq_bind (two, "inproc://used"));
    shut (two);
    UNTIL (zmq_bind (three, "inproc://used") == 0);
}

PROGRAM (last_endpoint_follows)
{
    char buffer[300], address[300];
    size_t size;
    void *socket = sock (ZMQ_DEALER);
    say ("at first \"%s\"", endpoint (socket));
    MUST (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
    strcpy (address, endpoint (socket));
    say ("bound \"%s\"", masked (address));
    size = strlen (address);
    TRIED (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, buffer, &size), "one byte short");
    size = strlen (address) + 1;
    TRIED (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, buffer, &size), "just enough");
    SEE (size == strlen (address) + 1);
    TRY (zmq_bind (socket, "inproc://endpoint"));
    say ("%s", endpoint (socket));
    TRY (zmq_connect (socket, "tcp://localhost:12345"));
    say ("%s", endpoint (socket));
    TRY (zmq_bind (socket, "tcp://nowhere:*"));
    TRY (zmq_connect (socket, "tcp://nowhere"));
    say ("%s", endpoint (socket));
    TRY (zmq_connect (socket, "ipc://file"));
    say ("%s", endpoint (socket));
    TRIED (zmq_unbind (socket, address), "unbound");
    say ("%s", endpoint (socket));
    TRY (zmq_connect (socket, "tcp://localhost:12345"));
    say ("%s", endpoint (socket));
    TRY (zmq_bind (socket, "ipc://*"));
    say ("%s", masked (endpoint (socket)));
}

PROGRAM (unbind_and_disconnect_errors)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
        char address[300];
        link_by (transport, one, other);
        strcpy (address, endpoint (one));
        TRIED (zmq_unbind (other, address), "%s: unbind what was connected", transport);
        TRIED (zmq_disconnect (other, address), "%s: disconnect again", transport);
        TRIED (zmq_disconnect (one, address), "%s: disconnect what was bound", transport);
        TRIED (zmq_unbind (one, address), "%s: unbind again", transport);
        shut (one);
        shut (other);
    }
    {
        static const char *const addresses[] = {"", "x", "tcp://", "foo://x", "tcp://127.0.0.1:1", "tcp://127.0.0.1", "inproc://no",
                                                "ipc://no", "tcp://nowhere", "tcp://*:1"};
        size_t i;
        void *socket = sock (ZMQ_DEALER);
        TRY (zmq_unbind (socket, NULL));
        TRY (zmq_disconnect (socket, NULL));
        TRY (zmq_unbind (NULL, "inproc://x"));
        TRY (zmq_disconnect (NULL, "inproc://x"));
        TRY (zmq_bind (NULL, "inproc://x"));
        TRY (zmq_connect (NULL, "inproc://x"));
        for (i = 0; i < sizeof addresses / sizeof *addresses; i++) {
            TRIED (zmq_unbind (socket, addresses[i]), "unbind \"%s\"", addresses[i]);
            TRIED (zmq_disconnect (socket, addresses[i]), "disconnect \"%s\"", addresses[i]);
        }
    }
}

/* Its connections end with the endpoint, and what they delivered is still read. */
PROGRAM (unbinding_keeps_what_has_come)
{
    EACH_TRANSPORT (transport) {
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH), *rep, *req;
        join_by (transport, pull, push);
        MUST (put (push, "one|of several parts|", 0) >= 0);
        AWAIT_IN (pull);
        TRIED (zmq_unbind (pull, endpoint (pull)), "%s: unbind", transport);
        HEAR (pull);
        HEAR_NOW (pull);
        rep = sock (ZMQ_REP), req = sock (ZMQ_REQ);
        join_by (transport, rep, req);
        MUST (put (req, "question", 0) >= 0);
        AWAIT_IN (rep);
        TRIED (zmq_unbind (rep, endpoint (rep)), "%s: unbind", transport);
        HEAR (rep);
        TRY (put (rep, "answer", 0));
        shut (pull), shut (push), shut (rep), shut (req);
    }
}

PROGRAM (unbind_by_other_names)
{
    void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
    char address[300];
    int port;
    MUST (zmq_bind (one, "tcp://127.0.0.1:*") == 0);
    port = port_of (endpoint (one));
    sprintf (address, "tcp://localhost:%d", port);
    TRIED (zmq_unbind (one, address), "bound to 127.0.0.1, unbind localhost");
    MUST (zmq_bind (one, "tcp://*:*") == 0);
    port = port_of (endpoint (one));
    sprintf (address, "tcp://*:%d", port);
    TRIED (zmq_unbind (one, address), "bound to *, unbind *");
    sprintf (address, "tcp://127.0.0.1:%d", port);
    TRIED (zmq_unbind (one, address), "bound to *, unbind 127.0.0.1");
    sprintf (address, "tcp://0.0.0.0:%d", port);
    TRIED (zmq_unbind (one, address), "bound to *, unbind 0.0.0.0");
    TRY (zmq_connect (other, "tcp://localhost:4321"));
    TRY (zmq_disconnect (other, "tcp://127.0.0.1:4321"));
    TRY (zmq_disconnect (other, "tcp://localhost:4321"));
    TRY (zmq_connect (other, "tcp://127.0.0.1:4321"));
    TRY (zmq_disconnect (other, "tcp://localhost:4321"));
    TRY (zmq_disconnect (other, "tcp://127.0.0.1:4321"));
}

/* Twice the same address: some types make one connection of it. */
PROGRAM (connect_twice)
{
    static const struct {
        const char *name;
        int type, other;
    } pairs[] = {{"PAIR", ZMQ_PAIR, ZMQ_PAIR}, {"PUB", ZMQ_PUB, ZMQ_SUB}, {"SUB", ZMQ_SUB, ZMQ_PUB}, {"REQ", ZMQ_REQ, ZMQ_REP},
                 {"REP", ZMQ_REP, ZMQ_REQ}, {"DEALER", ZMQ_DEALER, ZMQ_ROUTER}, {"ROUTER", ZMQ_ROUTER, ZMQ_DEALER},
                 {"PULL", ZMQ_PULL, ZMQ_PUSH}, {"PUSH", ZMQ_PUSH, ZMQ_PULL}, {"XPUB", ZMQ_XPUB, ZMQ_SUB},
                 {"XSUB", ZMQ_XSUB, ZMQ_XPUB}};
    size_t i;
    EACH_TRANSPORT (transport) {
        for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            void *one = sock (pairs[i].other), *other = sock (pairs[i].type);
            char address[300];
            MUST (zmq_bind (one, fresh (transport)) == 0);
            strcpy (address, endpoint (one));
            say ("%s %s", transport, pairs[i].name);
            TRIED (zmq_connect (other, address), "once");
            TRIED (zmq_connect (other, address), "twice");
            TRIED (zmq_disconnect (other, address), "disconnected once");
            TRIED (zmq_disconnect (other, address), "disconnected twice");
            shut (one);
            shut (other);
        }
    }
}

PROGRAM (connect_twice_gives_connections)
{
    void *router = sock (ZMQ_ROUTER), *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL), *dealer = sock (ZMQ_DEALER);
    void *monitor = watch (pull, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    void *other = watch (router, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    MUST (zmq_bind (pull, "tcp://127.0.0.1:*") == 0);
    MUST (zmq_connect (push, endpoint (pull)) == 0);
    MUST (zmq_connect (push, endpoint (pull)) == 0);
    until_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    until_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    no_events (monitor);
    MUST (zmq_bind (router, "tcp://127.0.0.1:*") == 0);
    MUST (zmq_connect (dealer, endpoint (router)) == 0);
    MUST (zmq_connect (dealer, endpoint (router)) == 0);
    until_event (other, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    no_events (other);
}

/* What becomes of the accepted connections when the listener goes. */
PROGRAM (unbind_and_connections)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR), *watcher = NULL;
        char address[300];
        join_by (transport, one, other);
        if (strcmp (transport, "inproc"))
            watcher = watch (other, ZMQ_EVENT_DISCONNECTED);
        strcpy (address, endpoint (one));
        SEE (put (one, "sent before", 0));
        TRIED (zmq_unbind (one, address), "%s: unbound", transport);
        HEAR (other);
        if (watcher) {
            /* Whoever unbound has to be called once more for it. */
            UNTIL (events (one) >= 0 && ready (watcher, ZMQ_POLLIN, 20));
            EVENT (watcher);
        } else {
            SEE (put (other, "still there", 0));
            HEAR (one);
        }
        TRIED (zmq_unbind (one, address), "%s: unbound again", transport);
        shut (one), shut (other);
    }
}

/* After unbinding nobody gets in, though the closing takes its time. */
PROGRAM (unbind_closes_the_door)
{
    static const char *const kinds[] = {"tcp", "ipc"};
    int i;
    for (i = 0; i < 2; i++) {
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH), *watcher = watch (one, ZMQ_EVENT_CLOSED);
        void *monitor = watch (other, ZMQ_EVENT_ALL);
        char address[300];
        MUST (zmq_bind (one, fresh (kinds[i])) == 0);
        strcpy (address, endpoint (one));
        MUST (zmq_unbind (one, address) == 0);
        EVENT (watcher);
        SEE (set (other, ZMQ_RECONNECT_IVL, -1));
        MUST (zmq_connect (other, address) == 0);
        until_event (monitor, ZMQ_EVENT_CLOSED);
        no_events (monitor);
        shut (one), shut (other);
    }
}

PROGRAM (bind_again_after_unbind)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PULL), *two = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        char address[300];
        MUST (zmq_bind (one, fresh (transport)) == 0);
        strcpy (address, endpoint (one));
        TRIED (zmq_unbind (one, address), "%s: unbound", transport);
        UNTIL (zmq_bind (two, address) == 0);
        MUST (zmq_connect (push, address) == 0);
        SEE (put (push, "to the second", 0));
        HEAR (two);
        HEAR_NOW (one);
        shut (two);
        UNTIL (zmq_bind (one, address) == 0);
        if (!strcmp (transport, "inproc"))
            MUST (zmq_connect (push, address) == 0);
        AWAIT_OUT (push);
        UNTIL (put (push, "to the first", ZMQ_DONTWAIT) > 0 && ready (one, ZMQ_POLLIN, 50));
        HEAR (one);
        shut (one), shut (push);
    }
}

PROGRAM (ipc_files)
{
    struct stat status;
    void *one = sock (ZMQ_PULL), *two = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
    char address[300], folder[300];
    MUST (zmq_bind (one, "ipc://plain") == 0);
    SEE (stat ("plain", &status) == 0 && S_ISSOCK (status.st_mode));
    /* A second bind takes the path over. */
    TRY (zmq_bind (two, "ipc://plain"));
    MUST (zmq_connect (push, "ipc://plain") == 0);
    SEE (put (push, "who has it?", 0));
    HEAR (two);
    HEAR_NOW (one);
    TRY (zmq_unbind (two, "ipc://plain"));
    SEE (stat ("plain", &status));
    shut (one);
    shut (two);
    SEE (stat ("plain", &status));
    one = sock (ZMQ_PULL);
    setenv ("TMPDIR", ".", 1);
    MUST (zmq_bind (one, "ipc://*") == 0);
    strcpy (address, endpoint (one));
    say ("%s", masked (address));
    SEE (stat (address + 6, &status) == 0 && S_ISSOCK (status.st_mode));
    strcpy (folder, address + 6);
    *strrchr (folder, '/') = 0;
    SEE (stat (folder, &status) == 0 && S_ISDIR (status.st_mode));
    say ("mode %o", (unsigned) status.st_mode & 07777);
    TRIED (zmq_unbind (one, address), "unbound");
    UNTIL (stat (address + 6, &status) != 0);
    UNTIL (stat (folder, &status) != 0);
    unsetenv ("TMPDIR");
    MUST (zmq_bind (one, "ipc://*") == 0);
    say ("%s", masked (endpoint (one)));
    setenv ("TMPDIR", "/no/such/folder", 1);
    setenv ("TMP", "here", 1);
    MUST (mkdir ("here", 0700) == 0);
    MUST (zmq_bind (one, "ipc://*") == 0);
    say ("%s", masked (endpoint (one)));
}

PROGRAM (inproc_names)
{
    char name[2000];
    void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
    memset (name, 'n', sizeof name);
    memcpy (name, "inproc://", 9);
    name[1999] = 0;
    TRIED (zmq_bind (one, name), "a long name");
    TRIED (zmq_connect (other, name), "connect to it");
    SEE (put (other, "hello", 0));
    HEAR (one);
    TRIED (zmq_connect (other, "inproc://nobody-yet"), "to nobody");
    TRIED (zmq_disconnect (other, "inproc://nobody-yet"), "disconnect it");
    TRIED (zmq_disconnect (other, "inproc://nobody-yet"), "disconnect it again");
    TRIED (zmq_bind (one, "inproc://Case"), "bind Case");
    TRIED (zmq_unbind (one, "inproc://case"), "unbind case");
    TRIED (zmq_unbind (one, "inproc://Case"), "unbind Case");
    TRIED (zmq_unbind (one, name), "unbind the long name");
    SEE (put (other, "still linked", 0));
    HEAR (one);
}

PROGRAM (listening_descriptor_given)
{
    char address[64];
    int listener = raw_listen (address);
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
    SEE (set (pull, ZMQ_USE_FD, listener));
    TRY (zmq_bind (pull, "tcp://127.0.0.1:*"));
    SEE (!strcmp (endpoint (pull), address));
    MUST (zmq_connect (push, address) == 0);
    SEE (put (push, "through a given one", 0));
    HEAR (pull);
    TRIED (zmq_unbind (pull, address), "unbound");
    UNTIL (fcntl (listener, F_GETFD) < 0);
}

PROGRAM (source_addresses)
{
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
    char address[300];
    zmq_msg_t part;
    MUST (zmq_bind (pull, "tcp://127.0.0.1:*") == 0);
    sprintf (address, "tcp://127.0.0.2:0;127.0.0.1:%d", port_of (endpoint (pull)));
    TRIED (zmq_connect (push, address), "from 127.0.0.2");
    SEE (put (push, "from there", 0));
    zmq_msg_init (&part);
    SEE (zmq_msg_recv (&part, pull, 0));
    say ("%s", zmq_msg_gets (&part, "Peer-Address"));
    TRIED (zmq_disconnect (push, address), "disconnected");
    zmq_msg_close (&part);
}
