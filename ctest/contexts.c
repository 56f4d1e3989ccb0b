/* Contexts: their options, how many sockets they hold, how they end. */
#include "check.h"

#include <pthread.h>
#include <signal.h>

TEST (options)
{
    static const struct { int id, initial, good, bad; } rows[] = {
        {ZMQ_IO_THREADS, 1, 3, -1},   {ZMQ_MAX_SOCKETS, 1023, 1000000, 0}, {ZMQ_MAX_MSGSZ, INT32_MAX, 0, -1},
        {ZMQ_IPV6, 0, 1, -1},         {ZMQ_BLOCKY, 1, 0, -1},              {ZMQ_ZERO_COPY_RECV, 1, 0, -1},
    };
    void *context = zmq_ctx_new ();
    size_t i, size;
    int value;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        EQUAL (zmq_ctx_get (context, rows[i].id), rows[i].initial);
        GOOD (zmq_ctx_set (context, rows[i].id, rows[i].good));
        EQUAL (zmq_ctx_get (context, rows[i].id), rows[i].good);
        FAILS (zmq_ctx_set (context, rows[i].id, rows[i].bad), EINVAL);
        EQUAL (zmq_ctx_get (context, rows[i].id), rows[i].good);
        value = rows[i].initial;
        GOOD (zmq_ctx_set_ext (context, rows[i].id, &value, sizeof value));
        size = sizeof value;
        GOOD (zmq_ctx_get_ext (context, rows[i].id, &value, &size));
        EQUAL (value, rows[i].initial);
    }
    EQUAL (zmq_ctx_get (context, ZMQ_SOCKET_LIMIT), 65535);
    EQUAL (zmq_ctx_get (context, ZMQ_MSG_T_SIZE), 64);
    EQUAL (zmq_ctx_get (context, ZMQ_THREAD_SCHED_POLICY), -1);
    FAILS (zmq_ctx_set (context, ZMQ_MSG_T_SIZE, 64), EINVAL);
    FAILS (zmq_ctx_set (context, ZMQ_THREAD_AFFINITY_CPU_REMOVE, 0), EINVAL);
    GOOD (zmq_ctx_set (context, ZMQ_THREAD_AFFINITY_CPU_ADD, 0));
    GOOD (zmq_ctx_set (context, ZMQ_THREAD_AFFINITY_CPU_REMOVE, 0));
    FAILS (zmq_ctx_set (context, ZMQ_THREAD_AFFINITY_CPU_ADD, -1), EINVAL);
    FAILS (zmq_ctx_set (context, ZMQ_THREAD_PRIORITY, -1), EINVAL);
    FAILS (zmq_ctx_set (context, 0, 1), EINVAL);
    FAILS (zmq_ctx_set (context, 999, 1), EINVAL);
    FAILS (zmq_ctx_get (context, 999), EINVAL);
    GOOD (zmq_ctx_term (context));
}

TEST (thread_name_prefix)
{
    void *context = zmq_ctx_new ();
    char text[32];
    size_t size = sizeof text;
    int number = 7;
    memset (text, 0x55, sizeof text);
    GOOD (zmq_ctx_set_ext (context, ZMQ_THREAD_NAME_PREFIX, "prefix", 6));
    GOOD (zmq_ctx_get_ext (context, ZMQ_THREAD_NAME_PREFIX, text, &size));
    CHECK (!memcmp (text, "prefix", 6));
    GOOD (zmq_ctx_set_ext (context, ZMQ_THREAD_NAME_PREFIX, &number, sizeof number));
    EQUAL (zmq_ctx_get (context, ZMQ_THREAD_NAME_PREFIX), 7);
    FAILS (zmq_ctx_set_ext (context, ZMQ_THREAD_NAME_PREFIX, "12345678901234567", 17), EINVAL);
    FAILS (zmq_ctx_set_ext (context, ZMQ_THREAD_NAME_PREFIX, "", 0), EINVAL);
    GOOD (zmq_ctx_term (context));
}

TEST (older_names)
{
    void *context = zmq_init (2);
    EQUAL (zmq_ctx_get (context, ZMQ_IO_THREADS), 2);
    GOOD (zmq_term (context));
    NONE (zmq_init (-1), EINVAL);
    context = zmq_ctx_new ();
    GOOD (zmq_ctx_destroy (context));
}

TEST (too_many_sockets)
{
    void *context = zmq_ctx_new (), *sockets[3], *late;
    int i;
    GOOD (zmq_ctx_set (context, ZMQ_MAX_SOCKETS, 3));
    NONE (zmq_socket (context, 99), EINVAL);
    NONE (zmq_socket (context, -1), EINVAL);
    for (i = 0; i < 3; i++)
        CHECK ((sockets[i] = zmq_socket (context, ZMQ_PAIR)) != NULL);
    NONE (zmq_socket (context, ZMQ_PAIR), EMFILE);
    NONE (zmq_socket (context, 99), EMFILE);
    /* read once: raising it now changes nothing */
    GOOD (zmq_ctx_set (context, ZMQ_MAX_SOCKETS, 100));
    NONE (zmq_socket (context, ZMQ_PAIR), EMFILE);
    GOOD (zmq_close (sockets[0]));
    WAIT_UNTIL (sockets[1], (late = zmq_socket (context, ZMQ_PAIR)) != NULL);
    GOOD (zmq_close (late));
    GOOD (zmq_close (sockets[1]));
    GOOD (zmq_close (sockets[2]));
    GOOD (zmq_ctx_term (context));
}

TEST (shutdown_ends_everything_but_close)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_DEALER);
    char bytes[256];
    int value = 0;
    size_t size = sizeof value;
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    GOOD (zmq_ctx_shutdown (context));
    GOOD (zmq_ctx_shutdown (context));
    FAILS (zmq_send (socket, "x", 1, 0), ETERM);
    FAILS (zmq_recv (socket, bytes, sizeof bytes, 0), ETERM);
    FAILS (zmq_setsockopt (socket, ZMQ_LINGER, &value, sizeof value), ETERM);
    FAILS (zmq_getsockopt (socket, ZMQ_TYPE, &value, &size), ETERM);
    FAILS (zmq_getsockopt (socket, ZMQ_EVENTS, &value, &size), ETERM);
    FAILS (zmq_getsockopt (socket, ZMQ_FD, &value, &size), ETERM);
    FAILS (zmq_bind (socket, "inproc://x"), ETERM);
    FAILS (zmq_connect (socket, "inproc://x"), ETERM);
    FAILS (zmq_unbind (socket, "inproc://x"), ETERM);
    FAILS (zmq_disconnect (socket, "inproc://x"), ETERM);
    FAILS (zmq_socket_monitor (socket, "inproc://m", ZMQ_EVENT_ALL), ETERM);
    FAILS (zmq_socket_monitor (socket, NULL, 0), ETERM);
    item.socket = socket;
    FAILS (zmq_poll (&item, 1, 0), ETERM);
    FAILS (zmq_poll (&item, 1, -1), ETERM);
    NONE (zmq_socket (context, ZMQ_PAIR), ETERM);
    /* the context itself still answers */
    GOOD (zmq_ctx_set (context, ZMQ_BLOCKY, 0));
    EQUAL (zmq_ctx_get (context, ZMQ_BLOCKY), 0);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
}

static void *terminate (void *context)
{
    while (zmq_ctx_term (context) != 0 && zmq_errno () == EINTR)
        ;
    return NULL;
}

static void *shut_down (void *context)
{
    GOOD (zmq_ctx_shutdown (context));
    return NULL;
}

/* A call that blocks for ever is woken up by the context's end. */
static void woken (int type, int what, void *(*end) (void *))
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, type);
    char bytes[8];
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    pthread_t thread;
    item.socket = socket;
    pthread_create (&thread, NULL, end, context);
    if (what == 0)
        FAILS (zmq_recv (socket, bytes, sizeof bytes, 0), ETERM);
    else if (what == 1)
        FAILS (zmq_send (socket, "x", 1, 0), ETERM);
    else
        FAILS (zmq_poll (&item, 1, -1), ETERM);
    GOOD (zmq_close (socket));
    pthread_join (thread, NULL);
    if (end == shut_down)
        GOOD (zmq_ctx_term (context));
}

TEST (blocked_calls_wake_up)
{
    int what, round;
    for (round = 0; round < 50; round++)
        for (what = 0; what < 3; what++) {
            woken (ZMQ_DEALER, what, terminate);
            woken (ZMQ_PAIR, what, shut_down);
        }
}

TEST (term_without_sockets)
{
    void *context = zmq_ctx_new ();
    int64_t before = now_ms ();
    GOOD (zmq_ctx_term (context));
    CHECK (now_ms () - before < 1000);
}

static void on_signal (int number)
{
    (void) number;
}

static int waiting;

static void *interrupt (void *thread)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    while (__atomic_load_n (&waiting, __ATOMIC_SEQ_CST)) { /* again and again, as the first may come before the call blocks */
        pthread_kill (*(pthread_t *) thread, SIGUSR1);
        poll_one (socket, 0, 5);
    }
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (context));
    return NULL;
}

TEST (signals_interrupt)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    struct sigaction action;
    pthread_t self = pthread_self (), thread;
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    char bytes[8];
    memset (&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction (SIGUSR1, &action, NULL);
    __atomic_store_n (&waiting, 1, __ATOMIC_SEQ_CST);
    pthread_create (&thread, NULL, interrupt, &self);
    FAILS (zmq_recv (socket, bytes, sizeof bytes, 0), EINTR);
    FAILS (zmq_send (socket, "x", 1, 0), EINTR);
    item.socket = socket;
    FAILS (zmq_poll (&item, 1, -1), EINTR);
    FAILS (zmq_ctx_term (context), EINTR); /* the socket is still open; the context is ending now */
    FAILS (zmq_recv (socket, bytes, sizeof bytes, 0), ETERM);
    GOOD (zmq_close (socket));
    __atomic_store_n (&waiting, 0, __ATOMIC_SEQ_CST);
    pthread_join (thread, NULL);
    GOOD (zmq_ctx_term (context));
}

TEST (pending_inproc_connects_do_not_hold_up_the_end)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PUSH);
    GOOD (zmq_connect (socket, "inproc://never-bound"));
    GOOD (send_text (socket, "lost", 0));
    GOOD (zmq_close (socket)); /* with infinite linger */
    GOOD (zmq_ctx_term (context));
}

TEST (many_contexts)
{
    int i;
    for (i = 0; i < 200; i++) {
        void *context = zmq_ctx_new (), *one, *other;
        pair_of (context, i % 2 ? "tcp" : "inproc", ZMQ_PULL, ZMQ_PUSH, &one, &other);
        GOOD (send_text (other, "x", 0));
        EXPECT (one, "x");
        GOOD (zmq_close (one));
        GOOD (zmq_close (other));
        GOOD (zmq_ctx_term (context));
    }
}

TEST (several_io_threads)
{
    void *context = zmq_ctx_new (), *pull, *pushes[8];
    int i;
    GOOD (zmq_ctx_set (context, ZMQ_IO_THREADS, 4));
    pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*");
    for (i = 0; i < 8; i++) {
        uint64_t affinity = 1ull << (i % 4);
        pushes[i] = open_socket (context, ZMQ_PUSH);
        GOOD (zmq_setsockopt (pushes[i], ZMQ_AFFINITY, &affinity, sizeof affinity));
        GOOD (zmq_connect (pushes[i], last_endpoint (pull)));
        GOOD (send_text (pushes[i], "x", 0));
    }
    for (i = 0; i < 8; i++)
        EXPECT (pull, "x");
    for (i = 0; i < 8; i++)
        GOOD (zmq_close (pushes[i]));
    GOOD (zmq_close (pull));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (options);
    RUN (thread_name_prefix);
    RUN (older_names);
    RUN (too_many_sockets);
    RUN (shutdown_ends_everything_but_close);
    RUN (blocked_calls_wake_up);
    RUN (term_without_sockets);
    RUN (signals_interrupt);
    RUN (pending_inproc_connects_do_not_hold_up_the_end);
    RUN (many_contexts);
    RUN (several_io_threads);
    return finished ();
}
