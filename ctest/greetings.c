/* How few segments a connection begins with: whoever waits for what the other has to say anyway, says it all at once. */
#include "check.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIGNATURE "\xff\0\0\0\0\0\0\0\x01\x7f"
#define READY(type) "\4\x1a\5READY\x0bSocket-Type\0\0\0\4" type

enum {
    SIGNATURE_SIZE = 10,
    GREETING_SIZE = 64,
    READY_SIZE = 28,
    REST_SIZE = GREETING_SIZE - SIGNATURE_SIZE - 1 + READY_SIZE
};

/* A whole greeting with NULL. */
static const char greeting[GREETING_SIZE] = SIGNATURE "\3\1NULL";

/* A listener of the kernel's, and how it is called. */
static int listening (struct sockaddr_in *address, char endpoint[64])
{
    socklen_t size = sizeof *address;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    memset (address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    EQUAL (bind (fd, (struct sockaddr *) address, size), 0);
    EQUAL (listen (fd, 5), 0);
    EQUAL (getsockname (fd, (struct sockaddr *) address, &size), 0);
    snprintf (endpoint, 64, "tcp://127.0.0.1:%d", ntohs (address->sin_port));
    return fd;
}

static void say (int fd, const void *bytes, size_t size)
{
    EQUAL (send (fd, bytes, size, MSG_NOSIGNAL), (long long) size);
}

/* A peer of the server's that has said so much before anybody looked. */
static int calling (void *server, size_t said)
{
    struct sockaddr_in address;
    char endpoint[64];
    int listener = listening (&address, endpoint), peer = socket (AF_INET, SOCK_STREAM, 0);
    EQUAL (connect (peer, (struct sockaddr *) &address, sizeof address), 0);
    say (peer, greeting, said);
    set_int (server, ZMQ_USE_FD, listener);
    GOOD (zmq_bind (server, endpoint));
    return peer;
}

/* The last part of a greeting, and what a PULL says next. */
static const char *rest_of_pull (void)
{
    static char bytes[REST_SIZE];
    memcpy (bytes, greeting + SIGNATURE_SIZE + 1, REST_SIZE - READY_SIZE);
    memcpy (bytes + REST_SIZE - READY_SIZE, READY ("PULL"), READY_SIZE);
    return bytes;
}

/* What comes next, and that it comes in so many segments. */
static void hear (int fd, const char *expected, size_t size, unsigned segments)
{
    char bytes[256];
    struct tcp_info after;
    socklen_t info = sizeof after;
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    memset (&after, 0, sizeof after);
    EQUAL (setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    EQUAL (recv (fd, bytes, size, MSG_WAITALL), (long long) size);
    EQUAL (memcmp (bytes, expected, size), 0);
    EQUAL (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &after, &info), 0);
    if (ours ())
        EQUAL (after.tcpi_data_segs_in, segments);
}

TEST (who_is_called_hears_first)
{
    void *context = zmq_ctx_new (), *server = open_socket (context, ZMQ_PULL);
    int peer = calling (server, SIGNATURE_SIZE);
    hear (peer, greeting, SIGNATURE_SIZE + 1, 1);
    say (peer, greeting + SIGNATURE_SIZE, GREETING_SIZE - SIGNATURE_SIZE);
    hear (peer, rest_of_pull (), REST_SIZE, 2);
    say (peer, READY ("PUSH") "\0\2hi", READY_SIZE + 4);
    EXPECT (server, "hi");
    close (peer);
    GOOD (zmq_close (server));
    GOOD (zmq_ctx_term (context));
}

TEST (who_waits_to_be_addressed_is)
{
    void *context = zmq_ctx_new (), *server = open_socket (context, ZMQ_PULL);
    int peer = calling (server, 0);
    hear (peer, greeting, SIGNATURE_SIZE, 1);
    close (peer);
    GOOD (zmq_close (server));
    GOOD (zmq_ctx_term (context));
}

TEST (who_calls_says_the_rest_in_two)
{
    void *context = zmq_ctx_new (), *client = open_socket (context, ZMQ_PUSH);
    struct sockaddr_in address;
    char endpoint[64];
    int listener = listening (&address, endpoint), peer;
    GOOD (zmq_connect (client, endpoint));
    GOOD (send_text (client, "hi", 0));
    peer = accept (listener, NULL, NULL);
    hear (peer, greeting, SIGNATURE_SIZE, 1);
    say (peer, greeting, SIGNATURE_SIZE + 1);
    hear (peer, greeting + SIGNATURE_SIZE, GREETING_SIZE - SIGNATURE_SIZE, 2);
    say (peer, rest_of_pull (), REST_SIZE);
    hear (peer, READY ("PUSH") "\0\2hi", READY_SIZE + 4, 3);
    close (peer);
    close (listener);
    GOOD (zmq_close (client));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (who_is_called_hears_first);
    RUN (who_waits_to_be_addressed_is);
    RUN (who_calls_says_the_rest_in_two);
    return finished ();
}
