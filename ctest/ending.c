/* Contexts that end at any moment: while their sockets connect, send, receive, poll and forward in other threads, by
 * termination or shutdown from yet another thread. Every call answers, and ETERM is the only surprise. */
#include "check.h"
#include <pthread.h>

enum { ROUNDS = 3000, WORKERS = 4 };

static char address[256];
static unsigned seed = 1;

/* A number below `limit`, for one thread. */
static unsigned any (unsigned *state, unsigned limit)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 16) % limit;
}

/* What may come of a call while the context ends. */
static int ended (int result, const char *what)
{
    int code = zmq_errno ();
    if (result >= 0 || code == EAGAIN)
        return 0;
    if (code != ETERM) {
        printf ("%s: %s\n", what, zmq_strerror (code));
        CHECK (code == ETERM);
    }
    return 1;
}

struct worker {
    int type;
    unsigned seed;
    void *context, *socket;
};

/* Uses a socket of its own until the context is over, and closes it. */
static void *work (void *argument)
{
    struct worker *worker = argument;
    void *socket = worker->socket, *other = NULL;
    char bytes[64] = "", name[32];
    int over = 0;
    unsigned state = worker->seed;
    if (any (&state, 3) == 0) {
        snprintf (name, sizeof name, "inproc://monitor-%u", worker->seed);
        over = ended (zmq_socket_monitor (socket, name, ZMQ_EVENT_ALL), "monitor");
    }
    if (!over)
        over = ended (zmq_connect (socket, any (&state, 2) ? address : any (&state, 2) ? "inproc://one" : "inproc://none"), "connect");
    if (!over && any (&state, 4) == 0) {
        other = zmq_socket (worker->context, ZMQ_DEALER);
        if (!other)
            EQUAL (zmq_errno (), ETERM);
        over = !other || ended (zmq_connect (other, address), "another connect");
        if (!over)
            over = ended (zmq_proxy (socket, other, NULL), "proxy");
    }
    while (!over) {
        zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
        int events;
        size_t size = sizeof events;
        switch (any (&state, 6)) {
        case 0:
            over = ended (zmq_poll (&item, 1, 1), "poll");
            break;
        case 1:
            over = ended (zmq_getsockopt (socket, ZMQ_EVENTS, &events, &size), "events");
            break;
        case 2:
            size = sizeof events;
            over = any (&state, 20) == 0 && ended (zmq_getsockopt (socket, ZMQ_FD, &events, &size), "descriptor");
            break;
        default:
            if (worker->type != ZMQ_PULL)
                over = ended (zmq_send (socket, bytes, any (&state, sizeof bytes), 0), "send");
            if (worker->type != ZMQ_PUSH && !over)
                over = ended (zmq_recv (socket, bytes, sizeof bytes, any (&state, 2) ? ZMQ_DONTWAIT : 0), "recv");
        }
    }
    GOOD (zmq_close (socket));
    if (other)
        GOOD (zmq_close (other));
    return NULL;
}

static void wait_a_little (unsigned *state)
{
    struct timespec span = {0, (long) any (state, 3000) * 1000};
    if (any (state, 4))
        nanosleep (&span, NULL);
}

TEST (contexts_end_at_any_moment)
{
    int round, i;
    int64_t limit = now_ms () + PROGRAM_LIMIT * 1000 / 2;
    for (round = 0; round < ROUNDS && now_ms () < limit; round++) {
        static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_DEALER, ZMQ_DEALER};
        struct worker workers[WORKERS];
        pthread_t threads[WORKERS];
        void *context = zmq_ctx_new (), *server;
        size_t size = sizeof address;
        /* Nobody answers what is on its way: it must not hold up the end. */
        GOOD (zmq_ctx_set (context, ZMQ_BLOCKY, 0));
        server = open_socket (context, ZMQ_DEALER);
        GOOD (zmq_bind (server, any (&seed, 2) ? "tcp://127.0.0.1:*" : "ipc://*"));
        GOOD (zmq_getsockopt (server, ZMQ_LAST_ENDPOINT, address, &size));
        GOOD (zmq_bind (server, "inproc://one"));
        for (i = 0; i < WORKERS; i++) {
            workers[i].type = types[i];
            workers[i].seed = seed + (unsigned) i * 7919u;
            workers[i].context = context;
            workers[i].socket = open_socket (context, types[i]);
            set_int (workers[i].socket, ZMQ_RCVTIMEO, 5);
            set_int (workers[i].socket, ZMQ_SNDTIMEO, 5);
            pthread_create (&threads[i], NULL, work, &workers[i]);
        }
        wait_a_little (&seed);
        if (any (&seed, 2)) {
            GOOD (zmq_ctx_shutdown (context));
            wait_a_little (&seed);
        }
        GOOD (zmq_close (server));
        wait_a_little (&seed);
        /* The workers are still at it: this waits until each has seen the end and closed its sockets. */
        GOOD (zmq_ctx_term (context));
        for (i = 0; i < WORKERS; i++)
            pthread_join (threads[i], NULL);
    }
    printf ("       %d contexts\n", round);
}

int main (void)
{
    RUN (contexts_end_at_any_moment);
    return finished ();
}
