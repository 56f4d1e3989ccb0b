/* Pointers that are no socket, no context, no message: every call gives its errno, every time. */
#include "check.h"

/* Calls each function that takes a socket with something that is none. */
static void no_socket (void *bad, int code)
{
    char bytes[256] = "";
    int value = 0;
    size_t size = sizeof value;
    zmq_msg_t message;
    GOOD (zmq_msg_init (&message));
    FAILS (zmq_close (bad), code);
    FAILS (zmq_setsockopt (bad, ZMQ_LINGER, &value, sizeof value), code);
    FAILS (zmq_getsockopt (bad, ZMQ_LINGER, &value, &size), code);
    FAILS (zmq_bind (bad, "inproc://a"), code);
    FAILS (zmq_connect (bad, "inproc://a"), code);
    FAILS (zmq_unbind (bad, "inproc://a"), code);
    FAILS (zmq_disconnect (bad, "inproc://a"), code);
    FAILS (zmq_send (bad, bytes, 1, 0), code);
    FAILS (zmq_send_const (bad, bytes, 1, 0), code);
    FAILS (zmq_recv (bad, bytes, sizeof bytes, 0), code);
    FAILS (zmq_msg_send (&message, bad, 0), code);
    FAILS (zmq_msg_recv (&message, bad, 0), code);
    FAILS (zmq_sendmsg (bad, &message, 0), code);
    FAILS (zmq_recvmsg (bad, &message, 0), code);
    FAILS (zmq_socket_monitor (bad, "inproc://m", ZMQ_EVENT_ALL), code);
    FAILS (zmq_socket_monitor_versioned (bad, "inproc://m", ZMQ_EVENT_ALL, 2, ZMQ_PAIR), code);
    FAILS (zmq_socket_monitor_pipes_stats (bad), code);
    FAILS (zmq_join (bad, "group"), code);
    FAILS (zmq_leave (bad, "group"), code);
    FAILS (zmq_socket_get_peer_state (bad, "id", 2), code);
    errno = 0;
    EQUAL (zmq_connect_peer (bad, "inproc://a"), 0);
    EQUAL (errno, code);
    GOOD (zmq_msg_close (&message));
}

static void no_context (void *bad)
{
    int value = 1;
    size_t size = sizeof value;
    FAILS (zmq_ctx_set (bad, ZMQ_IO_THREADS, 1), EFAULT);
    FAILS (zmq_ctx_get (bad, ZMQ_IO_THREADS), EFAULT);
    FAILS (zmq_ctx_set_ext (bad, ZMQ_IO_THREADS, &value, sizeof value), EFAULT);
    FAILS (zmq_ctx_get_ext (bad, ZMQ_IO_THREADS, &value, &size), EFAULT);
    FAILS (zmq_ctx_shutdown (bad), EFAULT);
    FAILS (zmq_ctx_term (bad), EFAULT);
    FAILS (zmq_ctx_destroy (bad), EFAULT);
    FAILS (zmq_term (bad), EFAULT);
    NONE (zmq_socket (bad, ZMQ_PAIR), EFAULT);
}

TEST (null_pointers)
{
    no_socket (NULL, ENOTSOCK);
    no_context (NULL);
}

TEST (closed_sockets)
{
    void *context = zmq_ctx_new (), *socket, *others[20];
    int i;
    socket = zmq_socket (context, ZMQ_DEALER);
    GOOD (zmq_close (socket));
    no_socket (socket, ENOTSOCK);
    if (ours ()) {
        /* The memory is not given to anybody else, however many sockets come after. */
        for (i = 0; i < 20; i++)
            others[i] = zmq_socket (context, ZMQ_DEALER);
        no_socket (socket, ENOTSOCK);
        for (i = 0; i < 20; i++)
            GOOD (zmq_close (others[i]));
    }
    GOOD (zmq_ctx_term (context));
    if (ours ())
        no_socket (socket, ENOTSOCK);
}

TEST (ended_contexts)
{
    void *context = zmq_ctx_new (), *next;
    GOOD (zmq_ctx_term (context));
    if (!ours ())
        return; /* the original reads freed memory */
    no_context (context);
    next = zmq_ctx_new ();
    CHECK (next != NULL);
    no_context (context);
    GOOD (zmq_ctx_term (next));
    no_context (context);
}

TEST (one_for_the_other)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    if (ours ()) {
        no_socket (context, ENOTSOCK);
        no_context (socket);
    }
    /* Both still work. */
    EQUAL (zmq_ctx_get (context, ZMQ_IO_THREADS), 1);
    EQUAL (get_int (socket, ZMQ_TYPE), ZMQ_PAIR);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
}

TEST (foreign_memory)
{
    static char data[4096];
    char stack[4096];
    char *heap = (char *) malloc (4096), *code;
    if (ours ()) {
        memset (stack, 0x5a, sizeof stack);
        memset (heap, 0xff, 4096);
        no_socket (data, ENOTSOCK);
        no_socket (stack, ENOTSOCK);
        no_socket (stack + 1, ENOTSOCK);
        no_socket (heap, ENOTSOCK);
        no_socket (heap + 16, ENOTSOCK);
        no_context (data);
        no_context (stack);
        no_context (heap);
        /* numbers that are no address at all */
        for (code = (char *) 1; code < (char *) 70000; code += 4099) {
            no_socket (code, ENOTSOCK);
            no_context (code);
        }
        no_socket ((void *) -1, ENOTSOCK);
        no_socket ((void *) (intptr_t) INTPTR_MIN, ENOTSOCK);
        no_context ((void *) -1);
    }
    free (heap);
}

TEST (pollers_and_timers)
{
    void *poller = zmq_poller_new (), *timers = zmq_timers_new (), *gone;
    zmq_poller_event_t event;
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    gone = poller;
    CHECK (poller != NULL && timers != NULL);
    FAILS (zmq_poller_add (poller, NULL, NULL, ZMQ_POLLIN), ENOTSOCK);
    FAILS (zmq_poller_add (NULL, socket, NULL, ZMQ_POLLIN), EFAULT);
    FAILS (zmq_poller_wait (NULL, &event, 0), EFAULT);
    FAILS (zmq_poller_size (NULL), EFAULT);
    GOOD (zmq_poller_destroy (&poller));
    CHECK (poller == NULL);
    FAILS (zmq_poller_destroy (&poller), EFAULT);
    FAILS (zmq_poller_destroy (NULL), EFAULT);
    if (ours ()) {
        FAILS (zmq_poller_size (gone), EFAULT);
        FAILS (zmq_poller_destroy (&gone), EFAULT);
    }
    FAILS (zmq_timers_timeout (NULL), EFAULT);
    FAILS (zmq_timers_execute (NULL), EFAULT);
    FAILS (zmq_timers_cancel (NULL, 1), EFAULT);
    FAILS (zmq_timers_add (timers, 10, NULL, NULL), EFAULT);
    gone = timers;
    GOOD (zmq_timers_destroy (&timers));
    CHECK (timers == NULL);
    FAILS (zmq_timers_destroy (&timers), EFAULT);
    if (ours ()) {
        FAILS (zmq_timers_destroy (NULL), EFAULT);
        FAILS (zmq_timers_timeout (gone), EFAULT);
    }
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
}

TEST (null_arguments)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    int value = 1;
    size_t size = sizeof value;
    FAILS (zmq_unbind (socket, NULL), EINVAL);
    FAILS (zmq_disconnect (socket, NULL), EINVAL);
    if (ours ()) {
        FAILS (zmq_bind (socket, NULL), EINVAL);
        FAILS (zmq_connect (socket, NULL), EINVAL);
        FAILS (zmq_setsockopt (socket, ZMQ_LINGER, NULL, sizeof value), EINVAL);
        FAILS (zmq_getsockopt (socket, ZMQ_LINGER, NULL, &size), EFAULT);
        FAILS (zmq_getsockopt (socket, ZMQ_LINGER, &value, NULL), EFAULT);
        FAILS (zmq_msg_send (NULL, socket, 0), EFAULT);
        FAILS (zmq_msg_recv (NULL, socket, 0), EFAULT);
        FAILS (zmq_send (socket, NULL, 5, ZMQ_DONTWAIT), EFAULT);
        FAILS (zmq_poll (NULL, 1, 0), EFAULT);
        FAILS (zmq_poll (NULL, -1, 0), EINVAL);
    }
    EQUAL (zmq_poll (NULL, 0, 0), 0);
    FAILS (zmq_proxy (NULL, socket, NULL), EFAULT);
    FAILS (zmq_proxy (socket, NULL, NULL), EFAULT);
    FAILS (zmq_proxy_steerable (NULL, NULL, NULL, NULL), EFAULT);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
}

/* czmq reads the first word of whatever it is given, to tell its own things from sockets. */
TEST (a_socket_can_be_read_through)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    if (ours ())
        EQUAL (*(volatile unsigned *) socket, 0);
    for (int n = 0; n < 3000; n++) {
        void *other = zmq_socket (context, ZMQ_PAIR);
        if (ours ())
            EQUAL (*(volatile unsigned *) other, 0);
        GOOD (zmq_close (other));
        FAILS (zmq_getsockopt (ours () ? other : NULL, ZMQ_TYPE, NULL, NULL), ENOTSOCK);
    }
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (a_socket_can_be_read_through);
    RUN (null_pointers);
    RUN (closed_sockets);
    RUN (ended_contexts);
    RUN (one_for_the_other);
    RUN (foreign_memory);
    RUN (pollers_and_timers);
    RUN (null_arguments);
    return finished ();
}
