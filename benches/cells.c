/* The plain cells: round trips, one way, one to many, many to one, large messages. The measured side is the parent
 * process; inproc has threads of one context instead. */
#include "common.h"

static const char *transport;
static size_t size;
static long count;

static void arguments (long otherwise)
{
    transport = word ("transport", "tcp");
    size = (size_t) number ("size", 16);
    count = number ("count", otherwise);
}

static int within (void)
{
    return strcmp (transport, "inproc") == 0;
}

static void *context;

/* The other side: a thread for inproc, else a process with a context of its own. */
static void *as_thread (void *body)
{
    ((void (*) (void)) body) ();
    return NULL;
}

static void as_process (void (*body) (void))
{
    context = z.ctx_new ();
    body ();
    TRY (z.ctx_term (context));
}

static void (*other_side) (void);

static void run_other (void)
{
    as_process (other_side);
}

static void begin (void (*other) (void))
{
    other_side = other;
    if (within ())
        context = z.ctx_new ();
    else {
        start_process (run_other);
        context = z.ctx_new ();
    }
}

static pthread_t begin_thread (void)
{
    return within () ? start_thread (as_thread, (void *) other_side) : pthread_self ();
}

static void end (pthread_t thread)
{
    if (within ())
        pthread_join (thread, NULL);
    else
        join_processes ();
}

/* ---- one question at a time ------------------------------------------------------------------------------------- */

static void answer (void)
{
    char *buffer = malloc (size + 1);
    void *socket = open_socket (context, ZMQ_REP);
    secure (socket, 1);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    for (long i = 0; i < count + count / 10; i++) {
        TRY (z.recv (socket, buffer, size, 0));
        TRY (z.send (socket, buffer, size, 0));
    }
    TRY (z.close (socket));
}

void latency (void)
{
    arguments (20000);
    begin (answer);
    pthread_t thread = begin_thread ();
    char *buffer = calloc (size + 1, 1);
    double *times = calloc ((size_t) count, sizeof *times);
    await_mark (0, 1);
    void *socket = open_socket (context, ZMQ_REQ);
    secure (socket, 0);
    TRY (z.connect (socket, shared->endpoint[0]));
    for (long i = -(count / 10); i < count; i++) {
        double began = seconds ();
        TRY (z.send (socket, buffer, size, 0));
        TRY (z.recv (socket, buffer, size, 0));
        if (i >= 0)
            times[i] = seconds () - began;
    }
    TRY (z.close (socket));
    end (thread);
    spread_of ("", times, (size_t) count);
}

/* ---- one way ---------------------------------------------------------------------------------------------------- */

static void push (void)
{
    char *buffer = calloc (size + 1, 1);
    void *socket = open_socket (context, ZMQ_PUSH);
    secure (socket, 0);
    TRY (z.connect (socket, shared->endpoint[0]));
    TRY (z.send (socket, buffer, size, 0));
    await_mark (1, 1);
    for (long i = 0; i < count; i++)
        TRY (z.send (socket, buffer, size, 0));
    TRY (z.close (socket));
}

static void push_later (void)
{
    await_mark (0, 1);
    push ();
}

void throughput (void)
{
    arguments (1000000);
    begin (push_later);
    void *socket = open_socket (context, ZMQ_PULL);
    secure (socket, 1);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    pthread_t thread = begin_thread ();
    char *buffer = malloc (size + 1);
    TRY (z.recv (socket, buffer, size, 0));
    double began = seconds ();
    atomic_store (&shared->mark[1], 1);
    for (long i = 0; i < count; i++)
        TRY (z.recv (socket, buffer, size, 0));
    double took = seconds () - began;
    end (thread);
    figure ("messages_per_s", (double) count / took);
    figure ("cpu_ns_per_message", processor_seconds () * 1e9 / (double) count);
}

/* ---- one to many ------------------------------------------------------------------------------------------------ */

static void subscribe (void)
{
    long subscribers = number ("subscribers", 10);
    void **sockets = calloc ((size_t) subscribers, sizeof *sockets);
    char *buffer = malloc (size + 1);
    await_mark (0, 1);
    for (long i = 0; i < subscribers; i++) {
        sockets[i] = open_socket (context, ZMQ_SUB);
        set (sockets[i], ZMQ_RCVHWM, 0);
        TRY (z.setsockopt (sockets[i], ZMQ_SUBSCRIBE, "", 0));
        TRY (z.connect (sockets[i], shared->endpoint[0]));
    }
    for (long n = 0; n < count * number ("parts", 1); n++)
        for (long i = 0; i < subscribers; i++)
            TRY (z.recv (sockets[i], buffer, size, 0));
    shared->value[0] = seconds ();
    atomic_store (&shared->mark[1], 1);
    for (long i = 0; i < subscribers; i++)
        TRY (z.close (sockets[i]));
}

void fanout (void)
{
    arguments (100000);
    long subscribers = number ("subscribers", 10), parts = number ("parts", 1);
    char *buffer = calloc (size + 1, 1), subscription[8];
    begin (subscribe);
    void *socket = open_socket (context, ZMQ_XPUB);
    set (socket, ZMQ_SNDHWM, 0);
    set (socket, ZMQ_XPUB_VERBOSE, 1);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    pthread_t thread = begin_thread ();
    for (long i = 0; i < subscribers; i++)
        TRY (z.recv (socket, subscription, sizeof subscription, 0));
    double began = seconds ();
    for (long n = 0; n < count; n++) {
        for (long part = 1; part < parts; part++)
            TRY (z.send (socket, buffer, size, ZMQ_SNDMORE));
        TRY (z.send (socket, buffer, size, 0));
    }
    await_mark (1, 1);
    double took = shared->value[0] - began;
    end (thread);
    figure ("deliveries_per_s", (double) (count * subscribers) / took);
    figure ("cpu_ns_per_delivery", processor_seconds () * 1e9 / (double) (count * subscribers));
}

/* ---- many to one ------------------------------------------------------------------------------------------------ */

/* Every client has `window` questions on their way. */
static void ask_all (void)
{
    long clients = number ("clients", 64), window = number ("window", 4);
    void **sockets = calloc ((size_t) clients, sizeof *sockets);
    char *buffer = calloc (size + 1, 1);
    await_mark (0, 1);
    for (long i = 0; i < clients; i++) {
        sockets[i] = open_socket (context, ZMQ_DEALER);
        TRY (z.connect (sockets[i], shared->endpoint[0]));
        TRY (z.send (sockets[i], buffer, size, 0));
    }
    for (long i = 0; i < clients; i++)
        TRY (z.recv (sockets[i], buffer, size, 0));
    double began = seconds ();
    for (long n = 0; n < count; n += clients * window) {
        for (long i = 0; i < clients * window; i++)
            TRY (z.send (sockets[i / window], buffer, size, 0));
        for (long i = 0; i < clients * window; i++)
            TRY (z.recv (sockets[i / window], buffer, size, 0));
    }
    shared->value[0] = seconds () - began;
    for (long i = 0; i < clients; i++)
        TRY (z.close (sockets[i]));
}

void router (void)
{
    arguments (200000);
    long clients = number ("clients", 64), step = clients * number ("window", 4);
    long trips = (count + step - 1) / step * step;
    unsigned char name[256];
    char *buffer = malloc (size + 1);
    begin (ask_all);
    void *socket = open_socket (context, ZMQ_ROUTER);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    pthread_t thread = begin_thread ();
    for (long i = 0; i < trips + clients; i++) {
        int length = z.recv (socket, name, sizeof name, 0);
        TRY (length);
        TRY (z.recv (socket, buffer, size, 0));
        TRY (z.send (socket, name, (size_t) length, ZMQ_SNDMORE));
        TRY (z.send (socket, buffer, size, 0));
    }
    end (thread);
    figure ("trips_per_s", (double) trips / shared->value[0]);
    figure ("cpu_ns_per_trip", processor_seconds () * 1e9 / (double) trips);
}

/* ---- both ways at once ------------------------------------------------------------------------------------------ */

static void echo_back (void)
{
    char *buffer = malloc (size + 1);
    void *socket = open_socket (context, ZMQ_DEALER);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    for (long i = 0; i < count; i++) {
        TRY (z.recv (socket, buffer, size, 0));
        TRY (z.send (socket, buffer, size, 0));
    }
    TRY (z.close (socket));
}

void echo (void)
{
    arguments (200000);
    long window = number ("window", 64);
    begin (echo_back);
    pthread_t thread = begin_thread ();
    char *buffer = calloc (size + 1, 1);
    await_mark (0, 1);
    void *socket = open_socket (context, ZMQ_DEALER);
    TRY (z.connect (socket, shared->endpoint[0]));
    double began = seconds ();
    for (long sent = 0, got = 0; got < count; got++) {
        for (; sent < count && sent < got + window; sent++)
            TRY (z.send (socket, buffer, size, 0));
        TRY (z.recv (socket, buffer, size, 0));
    }
    double took = seconds () - began;
    TRY (z.close (socket));
    end (thread);
    figure ("trips_per_s", (double) count / took);
    figure ("cpu_ns_per_trip", processor_seconds () * 1e9 / (double) count);
}

/* ---- large messages --------------------------------------------------------------------------------------------- */

static void nothing (void *data, void *hint)
{
    (void) data;
    (void) hint;
    atomic_fetch_add (&shared->mark[2], 1);
}

/* Sends the same memory again and again, without giving it away; says how much more memory that took. */
static void push_foreign (void)
{
    /* Memory that is only read stays one page of zeroes to the kernel, however large it is. */
    char *data = mmap (NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        die ("no memory");
    await_mark (0, 1);
    void *socket = open_socket (context, ZMQ_PUSH);
    set (socket, ZMQ_SNDHWM, 2);
    TRY (z.connect (socket, shared->endpoint[0]));
    TRY (z.send (socket, "", 0, 0));
    await_mark (1, 1);
    forget_peak ();
    long before = resident ();
    for (long i = 0; i < count; i++) {
        zmq_msg_t message;
        TRY (z.msg_init_data (&message, data, size, nothing, NULL));
        TRY (z.msg_send (&message, socket, 0));
    }
    while (atomic_load (&shared->mark[2]) < count)
        pause_ms (1);
    shared->value[0] = (double) (peak () - before);
    TRY (z.close (socket));
}

void large (void)
{
    arguments (16);
    begin (push_foreign);
    void *socket = open_socket (context, ZMQ_PULL);
    set (socket, ZMQ_RCVHWM, 2);
    bind_fresh (socket, transport, 0);
    atomic_store (&shared->mark[0], 1);
    pthread_t thread = begin_thread ();
    zmq_msg_t message;
    TRY (z.msg_init (&message));
    TRY (z.msg_recv (&message, socket, 0));
    forget_peak ();
    long before = resident ();
    double began = seconds ();
    atomic_store (&shared->mark[1], 1);
    for (long i = 0; i < count; i++) {
        TRY (z.msg_recv (&message, socket, 0));
        if (z.msg_size (&message) != size)
            die ("a message of %zu bytes", z.msg_size (&message));
    }
    double took = seconds () - began;
    long most = peak () - before;
    TRY (z.msg_close (&message));
    end (thread);
    figure ("megabytes_per_s", (double) size * (double) count / took / 1e6);
    figure ("sender_extra_megabytes", shared->value[0] / 1e6);
    figure ("receiver_sizes", (double) most / (double) size);
}
