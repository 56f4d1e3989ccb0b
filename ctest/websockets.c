/* ws and wss from outside: addresses, what is told about them, and certificates that cannot be used. */

#include "check.h"

static void *context;

/* Sets a text option of a socket that is there. */
static void set_text (void *socket, int option, const char *text)
{
    GOOD (zmq_setsockopt (socket, option, text, strlen (text)));
}

static int starts_with (const char *text, const char *start)
{
    return !strncmp (text, start, strlen (start));
}

static int ends_with (const char *text, const char *end)
{
    return strlen (text) >= strlen (end) && !strcmp (text + strlen (text) - strlen (end), end);
}

TEST (addresses_to_bind_to)
{
    static const struct { const char *address, *start, *end; } good[] = {
        {"ws://127.0.0.1:*", "ws://127.0.0.1:", "/"},
        {"ws://127.0.0.1:*/", "ws://127.0.0.1:", "/"},
        {"ws://127.0.0.1:0/path", "ws://127.0.0.1:", "/path"},
        {"ws://*:*/path", "ws://0.0.0.0:", "/path"},
        {"ws://lo:*", "ws://127.0.0.1:", "/"},
    };
    static const struct { const char *address; int code; } bad[] = {
        {"ws://127.0.0.1", EINVAL},     {"ws://127.0.0.1/x", EINVAL}, {"ws://127.0.0.1:x", EINVAL},
        {"ws://127.0.0.1:*/a/b", EINVAL}, {"ws://localhost:*", ENODEV}, {"ws://300.1.1.1:*", ENODEV},
    };
    char endpoint[256];
    size_t i;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        void *socket = zmq_socket (context, ZMQ_DEALER);
        GOOD (zmq_bind (socket, good[i].address));
        snprintf (endpoint, sizeof endpoint, "%s", last_endpoint (socket));
        CHECK (starts_with (endpoint, good[i].start) && ends_with (endpoint, good[i].end));
        GOOD (zmq_unbind (socket, endpoint));
        FAILS (zmq_unbind (socket, endpoint), ENOENT);
        zmq_close (socket);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *socket = zmq_socket (context, ZMQ_DEALER);
        errno = 0;
        CHECK (zmq_bind (socket, bad[i].address) == -1 && errno == bad[i].code);
        zmq_close (socket);
    }
}

TEST (addresses_to_connect_to)
{
    static const char *bad[] = {"ws://127.0.0.1", "ws://127.0.0.1/", "ws://127.0.0.1:*/", "ws://*:80/",
                                "ws://no-such-host.invalid:80/"};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    size_t i;
    GOOD (zmq_connect (socket, "ws://127.0.0.1:5999"));
    CHECK (!strcmp (last_endpoint (socket), "ws://127.0.0.1:5999/"));
    GOOD (zmq_disconnect (socket, "ws://127.0.0.1:5999"));
    GOOD (zmq_connect (socket, "ws://127.0.0.1:5999/path"));
    FAILS (zmq_disconnect (socket, "ws://127.0.0.1:5999/other"), ENOENT);
    GOOD (zmq_disconnect (socket, "ws://127.0.0.1:5999/path"));
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS (zmq_connect (socket, bad[i]), EINVAL);
    zmq_close (socket);
}

/* The original library ends the process at a bind without certificate. */
TEST (certificates_that_cannot_be_used)
{
    void *socket = zmq_socket (context, ZMQ_DEALER);
    if (ours ()) {
        FAILS (zmq_bind (socket, "wss://127.0.0.1:*"), EINVAL);
        set_text (socket, ZMQ_WSS_CERT_PEM, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
        set_text (socket, ZMQ_WSS_KEY_PEM, "no key");
        FAILS (zmq_bind (socket, "wss://127.0.0.1:*"), EINVAL);
        set_text (socket, ZMQ_WSS_TRUST_PEM, "no certificate");
        FAILS (zmq_connect (socket, "wss://127.0.0.1:5999/"), EINVAL);
    }
    zmq_close (socket);
}

/* There are no bytes without messages there. */
TEST (streams_of_bytes)
{
    void *socket = zmq_socket (context, ZMQ_STREAM);
    if (ours ()) {
        FAILS (zmq_bind (socket, "ws://127.0.0.1:*"), ENOCOMPATPROTO);
        FAILS (zmq_connect (socket, "ws://127.0.0.1:5999"), ENOCOMPATPROTO);
    }
    zmq_close (socket);
}

/* Where the kernel lacks the family the call says so; addresses are looked at first. */
TEST (families_of_the_kernel)
{
    static const char *bad[] = {"tipc://<1.2.3:123123>", "vsock://1", "vsock://1:x", "vsock://:1"};
    void *socket = zmq_socket (context, ZMQ_DEALER);
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        if (starts_with (bad[i], "tipc") || zmq_has ("vsock"))
            FAILS (zmq_bind (socket, bad[i]), EINVAL);
    FAILS (zmq_connect (socket, "tipc://<*>"), EINVAL);
    errno = 0;
    CHECK (zmq_bind (socket, "tipc://{5560,0,0}") == 0 || errno == EAFNOSUPPORT);
    if (!zmq_has ("vmci"))
        FAILS (zmq_bind (socket, "vmci://*:*"), EPROTONOSUPPORT);
    zmq_close (socket);
}

int main (void)
{
    if (!zmq_has ("WS") || !zmq_has ("WSS")) {
        printf ("this library has no WebSocket\n");
        return 77;
    }
    context = zmq_ctx_new ();
    RUN (addresses_to_bind_to);
    RUN (addresses_to_connect_to);
    RUN (certificates_that_cannot_be_used);
    RUN (streams_of_bytes);
    RUN (families_of_the_kernel);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
