/* STREAM: plain TCP connections behind a socket, in both directions. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void *context;

static int dial (const char *endpoint)
{
    struct sockaddr_in address;
    int port, descriptor = socket (AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    EQUAL (sscanf (endpoint, "tcp://127.0.0.1:%d", &port), 1);
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons ((uint16_t) port);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    setsockopt (descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EQUAL (connect (descriptor, (struct sockaddr *) &address, sizeof address), 0);
    return descriptor;
}

static int listening (char *endpoint)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    EQUAL (bind (descriptor, (struct sockaddr *) &address, sizeof address), 0);
    EQUAL (listen (descriptor, 5), 0);
    EQUAL (getsockname (descriptor, (struct sockaddr *) &address, &size), 0);
    sprintf (endpoint, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    return descriptor;
}

static void expect_bytes (int descriptor, const char *bytes)
{
    char got[256];
    size_t size = strlen (bytes), filled = 0;
    while (filled < size) {
        ssize_t count = recv (descriptor, got + filled, size - filled, 0);
        if (count <= 0)
            break;
        filled += (size_t) count;
    }
    CHECK (filled == size && !memcmp (got, bytes, size));
}

TEST (serving_plain_clients)
{
    void *stream = bound (context, ZMQ_STREAM, "tcp://127.0.0.1:*");
    unsigned char id[16], got[16];
    int client = dial (last_endpoint (stream));
    EQUAL (zmq_recv (stream, id, sizeof id, 0), 5);
    EQUAL (more (stream), 1);
    EXPECT (stream, ""); /* notice of the connection */
    EQUAL (more (stream), 0);
    EQUAL (send (client, "GET /", 5, 0), 5);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    CHECK (!memcmp (got, id, 5));
    EXPECT (stream, "GET /");
    GOOD (zmq_send (stream, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (stream, "answer", ZMQ_SNDMORE)); /* the flag is not heeded */
    GOOD (zmq_send (stream, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (stream, " and more", 0));
    expect_bytes (client, "answer and more");
    close (client);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    CHECK (!memcmp (got, id, 5));
    EXPECT (stream, "");
    /* its name is unknown as soon as its end has been dealt with */
    WAIT_UNTIL (stream, zmq_send (stream, id, 5, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ? zmq_errno () == EHOSTUNREACH
                                                                                 : send_text (stream, "x", 0) < 0);
    FAILS (zmq_send (stream, "nobody", 6, ZMQ_SNDMORE), EHOSTUNREACH);
    GOOD (zmq_close (stream));
}

TEST (closing_a_client)
{
    void *stream = bound (context, ZMQ_STREAM, "tcp://127.0.0.1:*");
    unsigned char id[16];
    char byte;
    int client = dial (last_endpoint (stream));
    EQUAL (zmq_recv (stream, id, sizeof id, 0), 5);
    EXPECT (stream, "");
    GOOD (zmq_send (stream, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (stream, "goodbye", 0));
    GOOD (zmq_send (stream, id, 5, ZMQ_SNDMORE));
    GOOD (zmq_send (stream, "", 0, 0));
    expect_bytes (client, "goodbye");
    WAIT_UNTIL (stream, recv (client, &byte, 1, MSG_DONTWAIT) == 0);
    EQUAL (poll_one (stream, ZMQ_POLLIN, 50), 0); /* no notice of what one does oneself */
    close (client);
    GOOD (zmq_close (stream));
}

TEST (being_a_client)
{
    char endpoint[64];
    int listener = listening (endpoint), server;
    void *stream = open_socket (context, ZMQ_STREAM);
    unsigned char id[16], got[16];
    size_t size = sizeof id;
    GOOD (zmq_connect (stream, endpoint));
    GOOD (zmq_getsockopt (stream, ZMQ_ROUTING_ID, id, &size));
    EQUAL (size, 5);
    server = accept (listener, NULL, NULL);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    CHECK (!memcmp (got, id, 5));
    EXPECT (stream, "");
    GOOD (zmq_send (stream, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (stream, "hello", 0));
    expect_bytes (server, "hello");
    EQUAL (send (server, "world", 5, 0), 5);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    EXPECT (stream, "world");
    /* the server goes: a notice; the client comes back under the same name: another */
    close (server);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    EXPECT (stream, "");
    server = accept (listener, NULL, NULL);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    CHECK (!memcmp (got, id, 5));
    EXPECT (stream, "");
    EQUAL (send (server, "again", 5, 0), 5);
    EQUAL (zmq_recv (stream, got, sizeof got, 0), 5);
    EXPECT (stream, "again");
    GOOD (zmq_close (stream));
    close (server);
    close (listener);
}

TEST (without_notices)
{
    void *stream = open_socket (context, ZMQ_STREAM);
    unsigned char id[16];
    int client;
    set_int (stream, ZMQ_STREAM_NOTIFY, 0);
    GOOD (zmq_bind (stream, "tcp://127.0.0.1:*"));
    client = dial (last_endpoint (stream));
    EQUAL (send (client, "data", 4, 0), 4);
    EQUAL (zmq_recv (stream, id, sizeof id, 0), 5);
    EXPECT (stream, "data");
    close (client);
    EQUAL (poll_one (stream, ZMQ_POLLIN, 50), 0);
    GOOD (zmq_close (stream));
}

TEST (naming_a_connection)
{
    char endpoint[64];
    int listener = listening (endpoint), server;
    void *stream = open_socket (context, ZMQ_STREAM);
    GOOD (zmq_setsockopt (stream, ZMQ_CONNECT_ROUTING_ID, "named", 5));
    GOOD (zmq_connect (stream, endpoint));
    server = accept (listener, NULL, NULL);
    EXPECT (stream, "named");
    EXPECT (stream, "");
    GOOD (send_text (stream, "named", ZMQ_SNDMORE));
    GOOD (send_text (stream, "hello", 0));
    expect_bytes (server, "hello");
    GOOD (zmq_close (stream));
    close (server);
    close (listener);
}

TEST (a_lot_of_bytes)
{
    enum { TOTAL = 3000000 };
    void *stream = bound (context, ZMQ_STREAM, "tcp://127.0.0.1:*");
    unsigned char id[16];
    static char chunk[70000];
    long sent = 0, got = 0, largest = 0;
    int client = dial (last_endpoint (stream));
    EQUAL (zmq_recv (stream, id, sizeof id, 0), 5);
    EXPECT (stream, "");
    while (got < TOTAL) {
        int size;
        if (sent < TOTAL) {
            ssize_t count = send (client, chunk, TOTAL - sent < (long) sizeof chunk ? (size_t) (TOTAL - sent) : sizeof chunk,
                                  MSG_DONTWAIT);
            if (count > 0)
                sent += count;
        }
        if (!poll_one (stream, ZMQ_POLLIN, sent < TOTAL ? 1 : PATIENCE_MS) && sent == TOTAL)
            break;
        while (zmq_recv (stream, id, sizeof id, ZMQ_DONTWAIT) == 5) {
            size = zmq_recv (stream, chunk, sizeof chunk, 0);
            CHECK (size > 0);
            got += size;
            largest = size > largest ? size : largest;
        }
    }
    EQUAL (got, TOTAL);
    CHECK (largest <= 8192); /* ZMQ_IN_BATCH_SIZE: programs have buffers of this size */
    close (client);
    GOOD (zmq_close (stream));
}

/* Whatever a stranger sends to a socket that speaks ZMTP, other peers are served. */
TEST (strangers_at_the_door)
{
    static const struct { const char *bytes; size_t size; } openings[] = {
        {"", 0},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16},
        {"\xff\0\0\0\0\0\0\0\1\x7f\3\0BOGUS\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 64},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x7f", 11},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 12},
        {"\xff\0\0\0\0\0\0\0\1\x7f\1\7\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 23},
    };
    void *pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*"), *push;
    size_t i, count = sizeof openings / sizeof *openings;
    int strangers[16];
    for (i = 0; i < count; i++) {
        strangers[i] = dial (last_endpoint (pull));
        EQUAL (send (strangers[i], openings[i].bytes, openings[i].size, 0), (long long) openings[i].size);
    }
    push = connected (context, ZMQ_PUSH, last_endpoint (pull));
    GOOD (send_text (push, "served", 0));
    EXPECT (pull, "served");
    for (i = 0; i < count; i++)
        close (strangers[i]);
    GOOD (send_text (push, "still served", 0));
    EXPECT (pull, "still served");
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (serving_plain_clients);
    RUN (closing_a_client);
    RUN (being_a_client);
    RUN (without_notices);
    RUN (naming_a_connection);
    RUN (a_lot_of_bytes);
    RUN (strangers_at_the_door);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
