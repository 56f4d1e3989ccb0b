/* A signal ends every call that waits, with EINTR, whatever its handler was installed with: signal(3) asks for restarted
 * system calls (SA_RESTART), sigaction(2) mostly not. */
#include "check.h"

#include <pthread.h>
#include <signal.h>

static int waiting;

static void on_signal (int number)
{
    (void) number;
}

/* Again and again, as the first may come before the call waits. */
static void *interrupt (void *thread)
{
    struct timespec pause = {0, 2000000};
    while (__atomic_load_n (&waiting, __ATOMIC_SEQ_CST)) {
        pthread_kill (*(pthread_t *) thread, SIGUSR1);
        nanosleep (&pause, NULL);
    }
    return NULL;
}

static void *context;

/* A call that waits for ever, as far as it is concerned; a and b are sockets. */
typedef int call_fn (void *a, void *b);

static int receives (void *a, void *b)
{
    char bytes[8];
    (void) b;
    return zmq_recv (a, bytes, sizeof bytes, 0);
}

static int receives_message (void *a, void *b)
{
    zmq_msg_t part;
    int size;
    (void) b;
    zmq_msg_init (&part);
    size = zmq_msg_recv (&part, a, 0);
    zmq_msg_close (&part);
    return size;
}

static int receives_pieces (void *a, void *b)
{
    struct iovec pieces[2];
    size_t count = 2;
    (void) b;
    return zmq_recviov (a, pieces, &count, 0);
}

static int sends (void *a, void *b)
{
    (void) a;
    return zmq_send (b, "x", 1, 0);
}

static int polls_socket (void *a, void *b)
{
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    (void) b;
    item.socket = a;
    return zmq_poll (&item, 1, -1);
}

static int polls_for_a_while (void *a, void *b)
{
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    (void) b;
    item.socket = a;
    return zmq_poll (&item, 1, PATIENCE_MS);
}

static int pipe_ends[2];

static int polls_descriptor (void *a, void *b)
{
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    (void) a, (void) b;
    item.fd = pipe_ends[0];
    return zmq_poll (&item, 1, -1);
}

static int polls_both (void *a, void *b)
{
    zmq_pollitem_t items[2] = {{NULL, 0, ZMQ_POLLIN, 0}, {NULL, 0, ZMQ_POLLIN, 0}};
    (void) b;
    items[0].socket = a;
    items[1].fd = pipe_ends[0];
    return zmq_poll (items, 2, -1);
}

static int ppolls (void *a, void *b)
{
    zmq_pollitem_t item = {NULL, 0, ZMQ_POLLIN, 0};
    (void) b;
    item.socket = a;
    return zmq_ppoll (&item, 1, -1, NULL);
}

static int waits (void *a, void *b)
{
    void *poller = zmq_poller_new ();
    zmq_poller_event_t event;
    int result, code;
    (void) b;
    GOOD (zmq_poller_add (poller, a, NULL, ZMQ_POLLIN));
    result = zmq_poller_wait (poller, &event, -1);
    code = zmq_errno ();
    GOOD (zmq_poller_destroy (&poller));
    errno = code;
    return result;
}

static int waits_for_all (void *a, void *b)
{
    void *poller = zmq_poller_new ();
    zmq_poller_event_t events[2];
    int result, code;
    (void) b;
    GOOD (zmq_poller_add (poller, a, NULL, ZMQ_POLLIN));
    GOOD (zmq_poller_add_fd (poller, pipe_ends[0], NULL, ZMQ_POLLIN));
    result = zmq_poller_wait_all (poller, events, 2, -1);
    code = zmq_errno ();
    GOOD (zmq_poller_destroy (&poller));
    errno = code;
    return result;
}

static int forwards (void *a, void *b)
{
    return zmq_proxy (a, b, NULL);
}

static int forwards_and_obeys (void *a, void *b)
{
    void *control = bound (context, ZMQ_PAIR, address_on ("inproc"));
    int result = zmq_proxy_steerable (a, b, NULL, control), code = zmq_errno ();
    GOOD (zmq_close (control));
    errno = code;
    return result;
}

static int is_a_device (void *a, void *b)
{
    return zmq_device (ZMQ_STREAMER, a, b);
}

static const struct { const char *name; call_fn *call; } calls[] = {
    {"zmq_recv", receives},
    {"zmq_msg_recv", receives_message},
    {"zmq_recviov", receives_pieces},
    {"zmq_send", sends},
    {"zmq_poll of a socket", polls_socket},
    {"zmq_poll with a time limit", polls_for_a_while},
    {"zmq_poll of a descriptor", polls_descriptor},
    {"zmq_poll of both", polls_both},
    {"zmq_ppoll", ppolls},
    {"zmq_poller_wait", waits},
    {"zmq_poller_wait_all", waits_for_all},
    {"zmq_proxy", forwards},
    {"zmq_proxy_steerable", forwards_and_obeys},
    {"zmq_device", is_a_device},
};

static void interrupted (const char *setting, call_fn *call, const char *name, void *a, void *b)
{
    char text[256];
    int times, result, code;
    for (times = 0; times < 3; times++) {
        errno = 0;
        result = call (a, b);
        code = zmq_errno ();
        if (result == -1 && code == EINTR)
            continue;
        snprintf (text, sizeof text, "%s, %s: %d, %s", setting, name, result, zmq_strerror (code));
        check_failed (__FILE__, __LINE__, text);
    }
}

/* The first receives nothing, the second has nobody who takes more of it. */
static void all_calls (const char *setting, void *a, void *b)
{
    size_t i;
    int no_limit = -1;
    GOOD (zmq_setsockopt (a, ZMQ_RCVTIMEO, &no_limit, sizeof no_limit));
    GOOD (zmq_setsockopt (b, ZMQ_SNDTIMEO, &no_limit, sizeof no_limit));
    for (i = 0; i < sizeof calls / sizeof *calls; i++)
        interrupted (setting, calls[i].call, calls[i].name, a, b);
}

static pthread_t begin (int flags)
{
    static pthread_t self;
    pthread_t thread;
    struct sigaction action;
    memset (&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    EQUAL (sigaction (SIGUSR1, &action, NULL), 0);
    self = pthread_self ();
    __atomic_store_n (&waiting, 1, __ATOMIC_SEQ_CST);
    pthread_create (&thread, NULL, interrupt, &self);
    return thread;
}

static void end (pthread_t thread)
{
    __atomic_store_n (&waiting, 0, __ATOMIC_SEQ_CST);
    pthread_join (thread, NULL);
}

static void all_settings (int flags)
{
    size_t i;
    pthread_t thread;
    void *a, *b;
    context = zmq_ctx_new ();
    a = open_socket (context, ZMQ_PULL);
    b = open_socket (context, ZMQ_PUSH);
    thread = begin (flags);
    all_calls ("unconnected", a, b);
    end (thread);
    GOOD (zmq_close (a));
    GOOD (zmq_close (b));
    for (i = 0; i < TRANSPORTS; i++) {
        void *peer_of_a, *peer_of_b;
        int with_descriptor;
        pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &a, &peer_of_a);
        GOOD (send_text (peer_of_a, "x", 0));
        EXPECT (a, "x");
        peer_of_b = open_socket (context, ZMQ_PULL);
        b = open_socket (context, ZMQ_PUSH);
        set_int (peer_of_b, ZMQ_RCVHWM, 1);
        set_int (b, ZMQ_SNDHWM, 1);
        GOOD (zmq_bind (peer_of_b, address_on (transports[i])));
        GOOD (zmq_connect (b, last_endpoint (peer_of_b)));
        set_int (b, ZMQ_SNDTIMEO, 200);
        {
            /* So that the kernel is full, too, which over tcp may find a little more room later, when it probes. */
            static char large[1 << 20];
            int refusals = 0;
            while (refusals < 4) {
                if (zmq_send (b, large, sizeof large, 0) > 0) {
                    refusals = 0;
                    continue;
                }
                EQUAL (zmq_errno (), EAGAIN);
                refusals++;
            }
        }
        for (with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
            if (with_descriptor) {
                get_int (a, ZMQ_FD);
                get_int (b, ZMQ_FD);
            }
            thread = begin (flags);
            all_calls (transports[i], a, b);
            end (thread);
        }
        GOOD (send_text (peer_of_a, "y", 0));
        EXPECT (a, "y");
        GOOD (zmq_close (a));
        GOOD (zmq_close (b));
        GOOD (zmq_close (peer_of_a));
        GOOD (zmq_close (peer_of_b));
    }
    a = open_socket (context, ZMQ_PAIR);
    thread = begin (flags);
    FAILS (zmq_ctx_term (context), EINTR);
    FAILS (zmq_ctx_term (context), EINTR);
    end (thread);
    GOOD (zmq_close (a));
    GOOD (zmq_ctx_term (context));
}

TEST (plain_handlers)
{
    all_settings (0);
}

TEST (handlers_that_restart_system_calls)
{
    all_settings (SA_RESTART);
}

int main (void)
{
    EQUAL (pipe (pipe_ends), 0);
    RUN (plain_handlers);
    RUN (handlers_that_restart_system_calls);
    return finished ();
}
