/* Addresses: what bind and connect accept, what they answer otherwise, and how endpoints are taken away again. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static void *context;

/* What bind or connect gives for an address: 0 or errno. */
static int answer (int (*call) (void *, const char *), int type, const char *address)
{
    void *socket = zmq_socket (context, type);
    int code;
    set_int (socket, ZMQ_LINGER, 0);
    errno = 0;
    code = call (socket, address) == 0 ? 0 : zmq_errno ();
    GOOD (zmq_close (socket));
    return code;
}

static void expect_answers (int type, const char *address, int bind, int connect)
{
    int got, before = failures;
    got = bind < 0 ? bind : answer (zmq_bind, type, address);
    if (got != bind)
        EQUAL (got, bind);
    got = answer (zmq_connect, type, address);
    if (got != connect)
        EQUAL (got, connect);
    if (failures != before)
        printf ("  ... bind, then connect, of \"%s\"\n", address);
}

TEST (what_is_no_address)
{
    static const char *bad[] = {"", "tcp", "tcp:", "tcp:/", "tcp://", "://", "://127.0.0.1:1", "127.0.0.1:5555", "foo"};
    static const char *unknown[] = {"TCP://127.0.0.1:5555", "foo://bar", "Inproc://x", "http://localhost", " tcp://*:*"};
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *socket = zmq_socket (context, ZMQ_PAIR);
        expect_answers (ZMQ_PAIR, bad[i], EINVAL, EINVAL);
        FAILS (zmq_unbind (socket, bad[i]), EINVAL);
        FAILS (zmq_disconnect (socket, bad[i]), EINVAL);
        GOOD (zmq_close (socket));
    }
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        void *socket = zmq_socket (context, ZMQ_PAIR);
        expect_answers (ZMQ_PAIR, unknown[i], EPROTONOSUPPORT, EPROTONOSUPPORT);
        FAILS (zmq_unbind (socket, unknown[i]), EPROTONOSUPPORT);
        GOOD (zmq_close (socket));
    }
}

TEST (transports_for_some_types_only)
{
    expect_answers (ZMQ_PAIR, "udp://127.0.0.1:5555", ENOCOMPATPROTO, ENOCOMPATPROTO);
    expect_answers (ZMQ_PUB, "udp://127.0.0.1:5555", ENOCOMPATPROTO, ENOCOMPATPROTO);
}

TEST (tcp_addresses)
{
    /* -1: the original takes what it should not, or what it answers depends on the machine */
    static const struct { const char *address; int bind, connect; } rows[] = {
        {"tcp://127.0.0.1:*", 0, EINVAL},
        {"tcp://127.0.0.1:0", 0, 0},
        {"tcp://*:*", 0, EINVAL},
        {"tcp://*:0", 0, EINVAL},
        {"tcp://lo:*", 0, EINVAL},
        {"tcp://localhost:*", 0, EINVAL},
        {"tcp://:*", ENODEV, EINVAL},
        {"tcp://300.1.1.1:*", ENODEV, EINVAL},
        {"tcp://no-such-interface:*", ENODEV, EINVAL},
        {"tcp://with space:*", ENODEV, EINVAL},
        {"tcp://no-such-interface:1", ENODEV, 0},
        {"tcp://with space:1", ENODEV, EINVAL},
        {"tcp://*", EINVAL, EINVAL},
        {"tcp://127.0.0.1", EINVAL, EINVAL},
        {"tcp://127.0.0.1:", EINVAL, EINVAL},
        {"tcp://127.0.0.1:abc", EINVAL, EINVAL},
        {"tcp://*:abc", EINVAL, EINVAL},
        {"tcp://127.0.0.1:5555/path", -1, EINVAL},
        {"tcp://127.0.0.1:-1", -1, EINVAL},
        {"tcp://[::1]:*", ENODEV, EINVAL}, /* IPv6 is off */
        {"tcp://[::1]:1", ENODEV, 0},
        {"tcp://8.8.8.8:*", EADDRNOTAVAIL, EINVAL},
        {"tcp://[127.0.0.1]:*", 0, EINVAL},
        {"tcp://127.0.0.1:1;127.0.0.1:2", -1, 0},
        {"tcp://_x:1", ENODEV, EINVAL},
        {"tcp://#:1", ENODEV, EINVAL},
    };
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_answers (ZMQ_PAIR, rows[i].address, rows[i].bind, rows[i].connect);
}

TEST (tcp_in_use)
{
    void *one = bound (context, ZMQ_PAIR, "tcp://127.0.0.1:*"), *other = open_socket (context, ZMQ_PAIR);
    const char *endpoint = last_endpoint (one);
    FAILS (zmq_bind (other, endpoint), EADDRINUSE);
    FAILS (zmq_bind (one, endpoint), EADDRINUSE);
    EQUAL (strlen (last_endpoint (other)), 0); /* a failure sets none */
    CHECK (!strcmp (last_endpoint (one), endpoint));
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
}

TEST (ipv6)
{
    void *socket = open_socket (context, ZMQ_PAIR);
    int port;
    set_int (socket, ZMQ_IPV6, 1);
    if (zmq_bind (socket, "tcp://[::1]:*") != 0) {
        printf ("       (no IPv6 here)\n");
        GOOD (zmq_close (socket));
        return;
    }
    EQUAL (sscanf (last_endpoint (socket), "tcp://[::1]:%d", &port), 1);
    GOOD (zmq_bind (socket, "tcp://::1:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://[::1]:%d", &port), 1);
    GOOD (zmq_bind (socket, "tcp://*:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://[::]:%d", &port), 1);
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://[::ffff:127.0.0.1]:%d", &port), 1);
    GOOD (zmq_bind (socket, "tcp://[::1%lo]:*"));
    FAILS (zmq_bind (socket, "tcp://[::1%]:*"), EINVAL);
    FAILS (zmq_bind (socket, "tcp://[::1%no-such-interface]:*"), EINVAL);
    GOOD (zmq_close (socket));
}

TEST (last_endpoints_of_tcp)
{
    void *socket = open_socket (context, ZMQ_PAIR);
    char text[256], small[4];
    size_t size = sizeof small;
    int port, first;
    EQUAL (strlen (last_endpoint (socket)), 0);
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://127.0.0.1:%d", &first), 1);
    CHECK (first > 0);
    GOOD (zmq_bind (socket, "tcp://*:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://0.0.0.0:%d", &port), 1);
    GOOD (zmq_bind (socket, "tcp://lo:*"));
    EQUAL (sscanf (last_endpoint (socket), "tcp://127.0.0.1:%d", &port), 1);
    /* a connect counts as well, with its text as it is */
    snprintf (text, sizeof text, "tcp://localhost:%d", first);
    GOOD (zmq_connect (socket, text));
    CHECK (!strcmp (last_endpoint (socket), text));
    FAILS (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, small, &size), EINVAL);
    size = strlen (text);
    FAILS (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, text, &size), EINVAL);
    size = sizeof text;
    GOOD (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, text, &size));
    EQUAL (size, (long long) strlen (text) + 1);
    GOOD (zmq_disconnect (socket, text));
    CHECK (!strcmp (last_endpoint (socket), text)); /* never cleared */
    GOOD (zmq_close (socket));
}

TEST (ipc_addresses)
{
    char longest[256] = "ipc://", too_long[256] = "ipc://";
    int i;
    for (i = 0; i < 107; i++)
        strcat (longest, "p");
    for (i = 0; i < 108; i++)
        strcat (too_long, "p");
    expect_answers (ZMQ_PAIR, longest, 0, 0);
    expect_answers (ZMQ_PAIR, too_long, ENAMETOOLONG, ENAMETOOLONG);
    expect_answers (ZMQ_PAIR, "ipc://@", EINVAL, EINVAL);
    expect_answers (ZMQ_PAIR, "ipc://@abstract-name-of-this-test", 0, 0);
    expect_answers (ZMQ_PAIR, "ipc://no/such/folder", ENOENT, 0);
    expect_answers (ZMQ_PAIR, "ipc://relative", 0, 0);
    expect_answers (ZMQ_PAIR, "ipc://*", 0, 0);
}

TEST (ipc_files)
{
    void *one = bound (context, ZMQ_PULL, "ipc://file"), *other, *push;
    struct stat status;
    EQUAL (stat ("file", &status), 0);
    CHECK (S_ISSOCK (status.st_mode));
    CHECK (!strcmp (last_endpoint (one), "ipc://file"));
    /* a second bind takes the path over */
    other = bound (context, ZMQ_PULL, "ipc://file");
    push = connected (context, ZMQ_PUSH, "ipc://file");
    GOOD (send_text (push, "to the second", 0));
    EXPECT (other, "to the second");
    GOOD (zmq_unbind (other, "ipc://file"));
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_close (push));
    EQUAL (stat ("file", &status), 0); /* it stays */
    EQUAL (unlink ("file"), 0);
}

TEST (ipc_wildcards)
{
    void *other = zmq_ctx_new (), *socket = bound (other, ZMQ_PULL, "ipc://*"), *push;
    struct stat status;
    char folder[512];
    const char *endpoint = last_endpoint (socket);
    CHECK (!strncmp (endpoint, "ipc://", 6));
    snprintf (folder, sizeof folder, "%s", endpoint + 6);
    EQUAL (stat (folder, &status), 0);
    CHECK (S_ISSOCK (status.st_mode));
    CHECK (strrchr (folder, '/') && !strcmp (strrchr (folder, '/'), "/socket"));
    *strrchr (folder, '/') = 0;
    EQUAL (stat (folder, &status), 0);
    EQUAL (status.st_mode & 0777, 0700);
    push = connected (other, ZMQ_PUSH, endpoint);
    GOOD (send_text (push, "hello", 0));
    EXPECT (socket, "hello");
    GOOD (zmq_close (socket));
    GOOD (zmq_close (push));
    GOOD (zmq_ctx_term (other));
    EQUAL (stat (folder, &status), -1); /* gone with the socket */
}

TEST (inproc_names)
{
    void *one = bound (context, ZMQ_PAIR, "inproc://name"), *other = open_socket (context, ZMQ_PAIR);
    char name[3000] = "inproc://";
    memset (name + 9, 'n', sizeof name - 10);
    FAILS (zmq_bind (other, "inproc://name"), EADDRINUSE);
    GOOD (zmq_bind (other, name));
    CHECK (!strcmp (last_endpoint (one), "inproc://name"));
    GOOD (zmq_unbind (one, "inproc://name"));
    FAILS (zmq_unbind (one, "inproc://name"), ENOENT);
    GOOD (zmq_bind (other, "inproc://name"));
    GOOD (zmq_close (other));
    GOOD (zmq_connect (one, "inproc://nobody-there"));
    GOOD (zmq_disconnect (one, "inproc://nobody-there"));
    FAILS (zmq_disconnect (one, "inproc://nobody-there"), ENOENT);
    /* closing frees the name, though not before the call is over */
    GOOD (zmq_close (one));
    one = open_socket (context, ZMQ_PAIR);
    WAIT_UNTIL (one, zmq_bind (one, "inproc://name") == 0 || zmq_errno () != EADDRINUSE);
    GOOD (zmq_close (one));
}

TEST (unbinding)
{
    void *socket = bound (context, ZMQ_PAIR, "tcp://127.0.0.1:*");
    char first[256], text[256];
    int port;
    strcpy (first, last_endpoint (socket));
    EQUAL (sscanf (first, "tcp://127.0.0.1:%d", &port), 1);
    FAILS (zmq_unbind (socket, "tcp://127.0.0.1:1"), ENOENT);
    snprintf (text, sizeof text, "tcp://localhost:%d", port); /* is found as 127.0.0.1 */
    GOOD (zmq_unbind (socket, text));
    FAILS (zmq_unbind (socket, first), ENOENT);
    GOOD (zmq_bind (socket, "tcp://*:*"));
    strcpy (first, last_endpoint (socket));
    EQUAL (sscanf (first, "tcp://0.0.0.0:%d", &port), 1);
    snprintf (text, sizeof text, "tcp://*:%d", port);
    FAILS (zmq_unbind (socket, text), ENOENT);
    GOOD (zmq_disconnect (socket, first)); /* the two calls are one */
    GOOD (zmq_bind (socket, "ipc://*"));
    GOOD (zmq_unbind (socket, last_endpoint (socket)));
    GOOD (zmq_close (socket));
}

TEST (disconnecting)
{
    void *socket = open_socket (context, ZMQ_PUSH), *dealer = open_socket (context, ZMQ_DEALER);
    GOOD (zmq_connect (socket, "tcp://localhost:1"));
    GOOD (zmq_connect (socket, "tcp://localhost:1"));
    FAILS (zmq_disconnect (socket, "tcp://127.0.0.1:1"), ENOENT); /* the text as it was given */
    GOOD (zmq_disconnect (socket, "tcp://localhost:1"));          /* both at once */
    FAILS (zmq_disconnect (socket, "tcp://localhost:1"), ENOENT);
    /* these types do not connect twice to one address */
    GOOD (zmq_connect (dealer, "tcp://localhost:1"));
    GOOD (zmq_connect (dealer, "tcp://localhost:2"));
    GOOD (zmq_connect (dealer, "tcp://localhost:1"));
    CHECK (!strcmp (last_endpoint (dealer), "tcp://localhost:2"));
    GOOD (zmq_disconnect (dealer, "tcp://localhost:1"));
    FAILS (zmq_disconnect (dealer, "tcp://localhost:1"), ENOENT);
    GOOD (zmq_close (socket));
    GOOD (zmq_close (dealer));
}

TEST (no_io_thread)
{
    void *other = zmq_ctx_new (), *socket;
    uint64_t affinity = 1 << 5;
    GOOD (zmq_ctx_set (other, ZMQ_IO_THREADS, 0));
    socket = zmq_socket (other, ZMQ_PAIR);
    FAILS (zmq_bind (socket, "tcp://127.0.0.1:*"), EMTHREAD);
    FAILS (zmq_connect (socket, "tcp://127.0.0.1:1"), EMTHREAD);
    FAILS (zmq_bind (socket, "ipc://*"), EMTHREAD);
    GOOD (zmq_bind (socket, "inproc://works"));
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (other));
    socket = zmq_socket (context, ZMQ_PAIR);
    GOOD (zmq_setsockopt (socket, ZMQ_AFFINITY, &affinity, sizeof affinity)); /* a thread that does not exist */
    FAILS (zmq_bind (socket, "tcp://127.0.0.1:*"), EMTHREAD);
    GOOD (zmq_close (socket));
}

TEST (rebinding_after_unbinding)
{
    void *socket = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*"), *push = open_socket (context, ZMQ_PUSH);
    char endpoint[256];
    int round;
    strcpy (endpoint, last_endpoint (socket));
    GOOD (zmq_connect (push, endpoint));
    for (round = 0; round < 5; round++) {
        /* Whether the connection outlives the listener differs between versions; the peer comes back anyway. */
        WAIT_UNTIL (push, send_text (push, "hello", 0) == 5 && poll_one (socket, ZMQ_POLLIN, 50));
        EXPECT (socket, "hello");
        while (zmq_recv (socket, NULL, 0, ZMQ_DONTWAIT) >= 0)
            ;
        GOOD (zmq_unbind (socket, endpoint));
        WAIT_UNTIL (socket, zmq_bind (socket, endpoint) == 0 || zmq_errno () != EADDRINUSE);
    }
    GOOD (zmq_close (socket));
    GOOD (zmq_close (push));
}

TEST (source_addresses)
{
    void *server = bound (context, ZMQ_ROUTER, "tcp://127.0.0.1:*"), *client = open_socket (context, ZMQ_DEALER);
    char text[256];
    zmq_msg_t part;
    snprintf (text, sizeof text, "tcp://127.0.0.1:0;%s", last_endpoint (server) + 6);
    GOOD (zmq_connect (client, text));
    GOOD (send_text (client, "hello", 0));
    GOOD (zmq_msg_init (&part));
    GOOD (zmq_msg_recv (&part, server, 0));
    GOOD (zmq_msg_recv (&part, server, 0));
    CHECK (!strcmp (zmq_msg_gets (&part, "Peer-Address"), "127.0.0.1"));
    GOOD (zmq_msg_close (&part));
    GOOD (zmq_disconnect (client, text));
    GOOD (zmq_close (server));
    GOOD (zmq_close (client));
}

/* The rest of a message begun for who is not there any more is dropped, and no other one with it. */
TEST (unbinding_amid_a_message)
{
    void *context = zmq_ctx_new (), *one, *other;
    pair_of (context, "tcp", ZMQ_PAIR, ZMQ_PAIR, &one, &other);
    GOOD (send_text (other, "unread", 0));
    EQUAL (poll_one (one, ZMQ_POLLIN, PATIENCE_MS), ZMQ_POLLIN);
    if (ours ()) {
        GOOD (send_text (one, "begun", ZMQ_SNDMORE));
        GOOD (zmq_unbind (one, last_endpoint (one)));
        GOOD (send_text (one, "its end", ZMQ_DONTWAIT));
        EXPECT (one, "unread");
        FAILS (zmq_recv (one, NULL, 0, ZMQ_DONTWAIT), EAGAIN);
        FAILS (send_text (one, "another", ZMQ_DONTWAIT), EAGAIN);
    }
    set_int (one, ZMQ_LINGER, 0);
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (what_is_no_address);
    RUN (transports_for_some_types_only);
    RUN (tcp_addresses);
    RUN (tcp_in_use);
    RUN (ipv6);
    RUN (last_endpoints_of_tcp);
    RUN (ipc_addresses);
    RUN (ipc_files);
    RUN (ipc_wildcards);
    RUN (inproc_names);
    RUN (unbinding);
    RUN (disconnecting);
    RUN (no_io_thread);
    RUN (rebinding_after_unbinding);
    RUN (source_addresses);
    GOOD (zmq_ctx_term (context));
    RUN (unbinding_amid_a_message);
    return finished ();
}
