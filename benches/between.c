/* Who stands between others, and who deals work out: a proxy of the library or a loop of the user's own, and a PUSH
 * with several workers. The measured side is the parent process. */
#include "common.h"

static size_t size;
static long count, workers;
static const char *transport;
static void *context;
static char *buffer;

static void begin (void (*one) (void), void (*other) (void))
{
    transport = word ("transport", "tcp");
    size = (size_t) number ("size", 32);
    count = number ("count", 200000);
    workers = number ("workers", 4);
    buffer = calloc (size + 1, 1);
    start_process (one);
    if (other)
        start_process (other);
    context = z.ctx_new ();
}

/* ---- in the middle ---------------------------------------------------------------------------------------------- */

static void feed (void)
{
    context = z.ctx_new ();
    void *socket = open_socket (context, ZMQ_PUSH);
    await_mark (0, 1);
    TRY (z.connect (socket, shared->endpoint[0]));
    await_mark (1, 1);
    for (long i = 0; i < count; i++)
        TRY (z.send (socket, buffer, size, 0));
    TRY (z.close (socket));
    TRY (z.ctx_term (context));
}

static void drain (void)
{
    context = z.ctx_new ();
    void *socket = open_socket (context, ZMQ_PULL);
    await_mark (0, 1);
    TRY (z.connect (socket, shared->endpoint[1]));
    atomic_store (&shared->mark[1], 1);
    double began = 0;
    for (long i = 0; i < count; i++) {
        TRY (z.recv (socket, buffer, size, 0));
        if (i == 0)
            began = seconds ();
    }
    shared->value[0] = seconds () - began;
    atomic_store (&shared->mark[2], 1);
    TRY (z.close (socket));
}

/* What programs write that do not know of zmq_proxy: one message each time that there are some. */
static void forward_by_hand (void **sockets)
{
    zmq_msg_t message;
    TRY (z.msg_init (&message));
    for (;;) {
        zmq_pollitem_t items[] = {{sockets[0], 0, ZMQ_POLLIN, 0}, {sockets[1], 0, ZMQ_POLLIN, 0}};
        TRY (z.poll (items, 2, -1));
        if (items[0].revents) {
            TRY (z.msg_recv (&message, sockets[0], 0));
            TRY (z.msg_send (&message, sockets[1], 0));
        }
    }
}

static void *forward (void *sockets)
{
    if (number ("by_hand", 0))
        forward_by_hand (sockets);
    z.proxy (((void **) sockets)[0], ((void **) sockets)[1], NULL);
    return NULL;
}

void between (void)
{
    begin (feed, drain);
    void *sockets[] = {open_socket (context, ZMQ_PULL), open_socket (context, ZMQ_PUSH)};
    bind_fresh (sockets[0], transport, 0);
    bind_fresh (sockets[1], transport, 1);
    atomic_store (&shared->mark[0], 1);
    start_thread (forward, sockets);
    await_mark (2, 1);
    figure ("messages_per_s", (double) (count - 1) / shared->value[0]);
    figure ("cpu_ns_per_message", processor_seconds () * 1e9 / (double) count);
    fflush (stdout);
    _exit (0);
}

/* ---- to several workers ----------------------------------------------------------------------------------------- */

/* Which of them gets how many is for the library to say: they stop when all have been taken. */
static void *work (void *unused)
{
    (void) unused;
    char *own = malloc (size + 1);
    void *socket = open_socket (context, ZMQ_PULL);
    set (socket, ZMQ_RCVTIMEO, 100);
    TRY (z.connect (socket, shared->endpoint[0]));
    atomic_fetch_add (&shared->mark[1], 1);
    while (atomic_load (&shared->mark[2]) < count)
        if (z.recv (socket, own, size, 0) >= 0 && atomic_fetch_add (&shared->mark[2], 1) == count - 1)
            shared->value[0] = seconds ();
    TRY (z.close (socket));
    return NULL;
}

static void work_all (void)
{
    context = z.ctx_new ();
    await_mark (0, 1);
    pthread_t threads[64];
    for (long i = 0; i < workers; i++)
        threads[i] = start_thread (work, NULL);
    for (long i = 0; i < workers; i++)
        pthread_join (threads[i], NULL);
}

void deal (void)
{
    begin (work_all, NULL);
    void *socket = open_socket (context, ZMQ_PUSH);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    await_mark (1, workers);
    pause_ms (100);
    double began = seconds ();
    for (long i = 0; i < count; i++)
        TRY (z.send (socket, buffer, size, 0));
    await_mark (2, count);
    join_processes ();
    figure ("messages_per_s", (double) count / (shared->value[0] - began));
    figure ("cpu_ns_per_message", processor_seconds () * 1e9 / (double) count);
}
