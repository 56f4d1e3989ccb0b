#include "common.h"
#include "raw.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

size_t opening (unsigned char *to, const char *socket_type)
{
    const char property[] = "Socket-Type";
    size_t type = strlen (socket_type), body = 6 + 1 + sizeof property - 1 + 4 + type;
    unsigned char *at = to + GREETING;
    memset (to, 0, GREETING);
    to[0] = 0xff;
    to[9] = 0x7f;
    to[10] = 3;
    memcpy (to + 12, "NULL", 4);
    *at++ = 4;
    *at++ = (unsigned char) body;
    memcpy (at, "\5READY", 6);
    at += 6;
    *at++ = sizeof property - 1;
    memcpy (at, property, sizeof property - 1);
    at += sizeof property - 1;
    memset (at, 0, 3);
    at[3] = (unsigned char) type;
    memcpy (at + 4, socket_type, type);
    return (size_t) (at + 4 + type - to);
}

size_t frame_length (const unsigned char *from, size_t have)
{
    if (have < 2)
        return 0;
    if (!(from[0] & 2))
        return 2 + (size_t) from[1];
    if (have < 9)
        return 0;
    size_t body = 0;
    for (int i = 1; i <= 8; i++)
        body = body << 8 | from[i];
    return 9 + body;
}

int raw_source;

/* Every loopback address has ports of its own to connect from. */
static void come_from (int descriptor, int last)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK + (uint32_t) last)};
    int yes = 1;
    setsockopt (descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    TRY (bind (descriptor, (struct sockaddr *) &address, sizeof address));
}

int raw_connect (int which, int nonblocking)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *text = shared->endpoint[which] + strlen ("tcp://");
    const char *colon = strrchr (text, ':');
    char host[64];
    int yes = 1, descriptor = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    TRY (descriptor);
    snprintf (host, sizeof host, "%.*s", (int) (colon - text), text);
    inet_pton (AF_INET, host, &address.sin_addr);
    address.sin_port = htons ((uint16_t) strtol (colon + 1, NULL, 10));
    setsockopt (descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (raw_source)
        come_from (descriptor, raw_source);
    if (connect (descriptor, (struct sockaddr *) &address, sizeof address) < 0 && errno != EINPROGRESS)
        die ("connect: %s", strerror (errno));
    return descriptor;
}

void raw_write (int descriptor, const void *bytes, size_t size)
{
    for (const char *at = bytes; size > 0;) {
        ssize_t done = send (descriptor, at, size, MSG_NOSIGNAL);
        TRY (done);
        at += done;
        size -= (size_t) done;
    }
}

void raw_read (int descriptor, void *bytes, size_t size)
{
    ssize_t done = recv (descriptor, bytes, size, MSG_WAITALL);
    if (done != (ssize_t) size)
        die ("the connection ended: %s", strerror (errno));
}

size_t raw_message (int descriptor, unsigned char *body, size_t size)
{
    for (;;) {
        unsigned char head[9];
        raw_read (descriptor, head, 2);
        if (head[0] & 2)
            raw_read (descriptor, head + 2, 7);
        size_t length = frame_length (head, sizeof head) - (head[0] & 2 ? 9 : 2);
        if (length > size)
            die ("a frame of %zu bytes", length);
        raw_read (descriptor, body, length);
        if (!(head[0] & 5))
            return length;
    }
}

int raw_peer (int which, const char *socket_type)
{
    unsigned char bytes[512];
    int descriptor = raw_connect (which, 0);
    size_t length = opening (bytes, socket_type);
    raw_write (descriptor, bytes, length);
    raw_read (descriptor, bytes, GREETING);
    raw_read (descriptor, bytes, 2);
    raw_read (descriptor, bytes + 2, frame_length (bytes, 2) - 2);
    return descriptor;
}
