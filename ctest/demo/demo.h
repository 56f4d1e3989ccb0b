/* What the demonstration programs share: giving up loudly, and texts in and out of a socket. */
#ifndef DEMO_H
#define DEMO_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Nothing here takes longer than this, in milliseconds; a program that waits in vain says so. */
enum { PATIENCE_MS = 30000 };

/* While waiting for others to join, how long to wait between two probes. */
enum { PROBE_MS = 10 };

/* A program need not use everything that is here. */
#define HELPER __attribute__ ((unused)) static

static const char *demo_name = "?";

HELPER void say (const char *format, ...)
{
    va_list arguments;
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    printf ("%-12s [libzmq %d.%d.%d] ", demo_name, major, minor, patch);
    va_start (arguments, format);
    vprintf (format, arguments);
    va_end (arguments);
    putchar ('\n');
    fflush (stdout);
}

HELPER void die (const char *what)
{
    fprintf (stderr, "%s: %s: %s\n", demo_name, what, zmq_strerror (zmq_errno ()));
    exit (1);
}

HELPER void wrong (const char *what, const char *got)
{
    fprintf (stderr, "%s: %s: got \"%s\"\n", demo_name, what, got);
    exit (1);
}

HELPER void *open_socket (void *context, int type)
{
    int patience = PATIENCE_MS;
    void *socket = zmq_socket (context, type);
    if (!socket)
        die ("zmq_socket");
    if (zmq_setsockopt (socket, ZMQ_RCVTIMEO, &patience, sizeof patience))
        die ("ZMQ_RCVTIMEO");
    if (zmq_setsockopt (socket, ZMQ_SNDTIMEO, &patience, sizeof patience))
        die ("ZMQ_SNDTIMEO");
    return socket;
}

HELPER void *bound (void *context, int type, const char *endpoint)
{
    void *socket = open_socket (context, type);
    if (zmq_bind (socket, endpoint))
        die (endpoint);
    return socket;
}

HELPER void *connected (void *context, int type, const char *endpoint)
{
    void *socket = open_socket (context, type);
    if (zmq_connect (socket, endpoint))
        die (endpoint);
    return socket;
}

HELPER void send_text (void *socket, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    if (zmq_send (socket, text, strlen (text), 0) < 0)
        die ("zmq_send");
}

HELPER void receive_text (void *socket, char text[256])
{
    int size = zmq_recv (socket, text, 255, 0);
    if (size < 0)
        die ("zmq_recv");
    text[size < 255 ? size : 255] = 0;
}

/* Waits a moment for a message; 0 when none came. */
HELPER int waiting (void *socket, long timeout_ms)
{
    zmq_pollitem_t item;
    memset (&item, 0, sizeof item);
    item.socket = socket;
    item.events = ZMQ_POLLIN;
    if (zmq_poll (&item, 1, timeout_ms) < 0)
        die ("zmq_poll");
    return item.revents & ZMQ_POLLIN;
}

HELPER void finish (void *context, void *first, void *second)
{
    if (zmq_close (first) || (second && zmq_close (second)))
        die ("zmq_close");
    if (zmq_ctx_term (context))
        die ("zmq_ctx_term");
}

#endif
