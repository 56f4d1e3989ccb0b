/* What the ends of a conversation share: they end with 1 and a sentence when something goes wrong, and wait for nothing
 * for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

static void *context;
static const char *doing = "starting";

static void die (const char *what)
{
    fprintf (stderr, "%s: %s: %s\n", doing, what, zmq_strerror (zmq_errno ()));
    exit (1);
}

static void wrong (const char *what)
{
    fprintf (stderr, "%s: %s\n", doing, what);
    exit (1);
}

static int check (int result, const char *what)
{
    if (result < 0)
        die (what);
    return result;
}

static void set_int (void *socket, int option, int value)
{
    check (zmq_setsockopt (socket, option, &value, sizeof value), "zmq_setsockopt");
}

static void *patient_socket (int type, int patience_ms)
{
    void *socket = zmq_socket (context, type);
    if (!socket)
        die ("zmq_socket");
    set_int (socket, ZMQ_RCVTIMEO, patience_ms);
    set_int (socket, ZMQ_SNDTIMEO, patience_ms);
    return socket;
}
