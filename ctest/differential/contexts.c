/* Contexts: options, limits, shutdown, termination, forks. */
#include "record.h"

PROGRAM (context_options)
{
    static const int numbers[] = {ZMQ_IO_THREADS, ZMQ_MAX_SOCKETS, ZMQ_SOCKET_LIMIT, ZMQ_THREAD_SCHED_POLICY,
                                  ZMQ_MAX_MSGSZ, ZMQ_MSG_T_SIZE, ZMQ_THREAD_AFFINITY_CPU_ADD,
                                  ZMQ_THREAD_AFFINITY_CPU_REMOVE, ZMQ_IPV6, ZMQ_BLOCKY, 0, 11, 71, -1};
    static const int values[] = {-2, -1, 0, 1, 2, 100000};
    size_t i, j;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        TRIED (zmq_ctx_get (ctx, numbers[i]), "at first, option %d", numbers[i]);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (j = 0; j < sizeof values / sizeof *values; j++) {
            TRIED (zmq_ctx_set (ctx, numbers[i], values[j]), "option %d set to %d", numbers[i], values[j]);
            TRIED (zmq_ctx_get (ctx, numbers[i]), "option %d is now", numbers[i]);
        }
}

PROGRAM (context_misuse)
{
    int value = 1;
    TRY (zmq_ctx_get (NULL, ZMQ_IO_THREADS));
    TRY (zmq_ctx_set (NULL, ZMQ_IO_THREADS, 1));
    TRY (zmq_ctx_shutdown (NULL));
    TRY (zmq_ctx_term (NULL));
    TRY (zmq_ctx_destroy (NULL));
    TRY (zmq_term (NULL));
    PTR (zmq_socket (NULL, ZMQ_PAIR));
    PTR (zmq_socket (ctx, -1));
    PTR (zmq_socket (ctx, 99));
    PTR (zmq_init (-1));
    TRY (zmq_ctx_get (&value, ZMQ_IO_THREADS));
}

PROGRAM (context_old_names)
{
    void *old = PTR (zmq_init (3));
    TRY (zmq_ctx_get (old, ZMQ_IO_THREADS));
    TRY (zmq_term (old));
    old = PTR (zmq_init (0));
    TRY (zmq_ctx_get (old, ZMQ_IO_THREADS));
    TRY (zmq_ctx_destroy (old));
}

PROGRAM (context_without_io_threads)
{
    void *socket, *other;
    TRY (zmq_ctx_set (ctx, ZMQ_IO_THREADS, 0));
    socket = sock (ZMQ_PAIR);
    other = sock (ZMQ_PAIR);
    TRY (zmq_bind (socket, "tcp://127.0.0.1:*"));
    TRY (zmq_bind (socket, "ipc://without"));
    TRY (zmq_connect (socket, "tcp://127.0.0.1:1"));
    TRY (zmq_connect (socket, "tcp://junk"));
    TRY (zmq_connect (socket, "foo://junk"));
    TRY (zmq_bind (socket, "inproc://within"));
    TRY (zmq_connect (other, "inproc://within"));
    SEE (put (other, "hello", 0));
    HEAR (socket);
}

PROGRAM (context_affinity_without_thread)
{
    uint64_t mask = 2;
    void *socket = sock (ZMQ_PULL);
    TRY (zmq_setsockopt (socket, ZMQ_AFFINITY, &mask, sizeof mask));
    TRY (zmq_bind (socket, "tcp://127.0.0.1:*"));
    TRY (zmq_connect (socket, "tcp://127.0.0.1:1"));
    TRY (zmq_bind (socket, "inproc://affinity"));
    mask = 3;
    TRY (zmq_setsockopt (socket, ZMQ_AFFINITY, &mask, sizeof mask));
    TRY (zmq_bind (socket, "tcp://127.0.0.1:*"));
}

PROGRAM (context_socket_limit)
{
    void *one, *two;
    TRY (zmq_ctx_set (ctx, ZMQ_MAX_SOCKETS, 2));
    one = PTR (sock (ZMQ_PAIR));
    two = PTR (sock (ZMQ_PAIR));
    PTR (zmq_socket (ctx, ZMQ_PAIR));
    PTR (zmq_socket (ctx, 99));
    TRY (zmq_ctx_set (ctx, ZMQ_MAX_SOCKETS, 10));
    PTR (zmq_socket (ctx, ZMQ_PAIR));
    TRY (zmq_socket_monitor (one, "inproc://no-room", ZMQ_EVENT_ALL));
    shut (two);
    UNTIL ((two = zmq_socket (ctx, ZMQ_PAIR)) != NULL);
    PTR (zmq_socket (ctx, ZMQ_PAIR));
    TRY (zmq_close (two));
}

PROGRAM (context_blocky)
{
    static const int types[] = {ZMQ_PAIR, ZMQ_PUB, ZMQ_SUB, ZMQ_REQ, ZMQ_REP, ZMQ_DEALER,
                                ZMQ_ROUTER, ZMQ_PULL, ZMQ_PUSH, ZMQ_XPUB, ZMQ_XSUB, ZMQ_STREAM};
    int blocky, i;
    for (blocky = 1; blocky >= 0; blocky--) {
        TRY (zmq_ctx_set (ctx, ZMQ_BLOCKY, blocky));
        for (i = 0; i < 12; i++) {
            void *socket = zmq_socket (ctx, types[i]);
            TRIED (get (socket, ZMQ_LINGER) + 10, "blocky %d: linger of type %d, plus 10", blocky, types[i]);
            zmq_close (socket);
        }
    }
}

PROGRAM (context_ipv6_default)
{
    void *socket;
    TRY (zmq_ctx_set (ctx, ZMQ_IPV6, 1));
    socket = sock (ZMQ_PAIR);
    SEE (get (socket, ZMQ_IPV6));
    SEE (get (socket, ZMQ_IPV4ONLY));
    TRY (zmq_ctx_set (ctx, ZMQ_IPV6, 0));
    SEE (get (socket, ZMQ_IPV6));
    socket = sock (ZMQ_PAIR);
    SEE (get (socket, ZMQ_IPV6));
}

/* Everything but closing fails on the sockets of a context that was shut down. */
PROGRAM (shutdown_of_everything)
{
    char bytes[8];
    size_t size = 4;
    int value;
    zmq_msg_t message;
    void *pair = sock (ZMQ_PAIR), *sub = sock (ZMQ_SUB), *req = sock (ZMQ_REQ), *router = sock (ZMQ_ROUTER);
    zmq_pollitem_t item = {pair, 0, ZMQ_POLLIN, 0};
    TRY (zmq_bind (pair, "inproc://pair"));
    TRY (zmq_ctx_shutdown (ctx));
    TRY (zmq_ctx_shutdown (ctx));
    PTR (zmq_socket (ctx, ZMQ_PAIR));
    PTR (zmq_socket (ctx, 99));
    TRY (zmq_send (pair, "x", 1, ZMQ_DONTWAIT));
    TRY (zmq_send (router, "x", 1, ZMQ_DONTWAIT));
    TRY (zmq_recv (pair, bytes, sizeof bytes, ZMQ_DONTWAIT));
    TRY (zmq_recv (pair, bytes, sizeof bytes, 0));
    TRY (zmq_recv (req, bytes, sizeof bytes, 0));
    TRY (zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "", 0));
    TRY (set (pair, ZMQ_LINGER, 0));
    TRY (zmq_getsockopt (pair, ZMQ_TYPE, &value, &size));
    TRY (zmq_getsockopt (pair, ZMQ_EVENTS, &value, &size));
    TRY (zmq_getsockopt (pair, ZMQ_FD, &value, &size));
    TRY (zmq_getsockopt (pair, ZMQ_RCVMORE, &value, &size));
    TRY (zmq_bind (pair, "inproc://other"));
    TRY (zmq_bind (pair, "rubbish"));
    TRY (zmq_connect (pair, "inproc://other"));
    TRY (zmq_unbind (pair, "inproc://pair"));
    TRY (zmq_disconnect (pair, "inproc://pair"));
    TRY (zmq_disconnect (pair, NULL));
    TRY (zmq_socket_monitor (pair, NULL, 0));
    TRY (zmq_socket_monitor (pair, "inproc://monitor", ZMQ_EVENT_ALL));
    TRY (zmq_poll (&item, 1, 0));
    TRY (zmq_poll (&item, 1, -1));
    item.events = ZMQ_POLLOUT;
    TRY (zmq_poll (&item, 1, 0));
    TRY (zmq_proxy (pair, sub, NULL));
    zmq_msg_init (&message);
    TRY (zmq_msg_recv (&message, pair, ZMQ_DONTWAIT));
    TRY (zmq_msg_send (&message, pair, ZMQ_DONTWAIT));
    TRY (zmq_msg_close (&message));
    TRY (zmq_ctx_get (ctx, ZMQ_IO_THREADS));
    TRY (zmq_ctx_set (ctx, ZMQ_MAX_SOCKETS, 7));
}

/* --------------------------------------------------------------------------------------- other threads end the context */

struct waiting {
    void *socket;
    int how, result, code;
    volatile int inside;
};

static void *wait_for_end (void *argument)
{
    struct waiting *waiting = argument;
    zmq_pollitem_t item = {waiting->socket, 0, ZMQ_POLLIN, 0};
    int unlimited = -1;
    char bytes[8];
    zmq_setsockopt (waiting->socket, ZMQ_RCVTIMEO, &unlimited, sizeof unlimited);
    zmq_setsockopt (waiting->socket, ZMQ_SNDTIMEO, &unlimited, sizeof unlimited);
    waiting->inside = 1;
    if (waiting->how == 0)
        waiting->result = zmq_recv (waiting->socket, bytes, sizeof bytes, 0);
    else if (waiting->how == 1)
        waiting->result = zmq_send (waiting->socket, bytes, sizeof bytes, 0);
    else if (waiting->how == 2)
        waiting->result = zmq_poll (&item, 1, -1);
    else
        waiting->result = zmq_proxy (waiting->socket, waiting->socket, NULL);
    waiting->code = zmq_errno ();
    zmq_close (waiting->socket);
    return NULL;
}

static void end_under_threads (int shutdown_only)
{
    static const char *const names[] = {"recv", "send", "poll", "proxy"};
    void *context = zmq_ctx_new ();
    struct waiting waiting[4];
    pthread_t threads[4];
    int i;
    for (i = 0; i < 4; i++) {
        waiting[i].socket = zmq_socket (context, i == 1 ? ZMQ_PUSH : ZMQ_DEALER);
        waiting[i].how = i;
        waiting[i].inside = 0;
        pthread_create (&threads[i], NULL, wait_for_end, &waiting[i]);
    }
    for (i = 0; i < 4; i++)
        UNTIL (waiting[i].inside);
    pause_ms (20);
    TRIED (shutdown_only ? zmq_ctx_shutdown (context) : zmq_ctx_term (context), "ended");
    for (i = 0; i < 4; i++) {
        pthread_join (threads[i], NULL);
        say ("%s gave %d %s", names[i], waiting[i].result, error_name (waiting[i].code));
    }
    if (shutdown_only)
        TRY (zmq_ctx_term (context));
}

PROGRAM (term_under_waiting_threads)
{
    end_under_threads (0);
}

PROGRAM (shutdown_under_waiting_threads)
{
    end_under_threads (1);
}

static void *term_it (void *context)
{
    return (void *) (intptr_t) zmq_ctx_term (context);
}

/* Termination waits for the last socket; what is used in between says ETERM. */
PROGRAM (term_waits_for_sockets)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR), *answer;
    pthread_t thread;
    char bytes[4];
    pthread_create (&thread, NULL, term_it, context);
    TRY (zmq_recv (socket, bytes, sizeof bytes, 0));
    TRY (zmq_recv (socket, bytes, sizeof bytes, 0));
    PTR (zmq_socket (context, ZMQ_PAIR));
    TRY (zmq_close (socket));
    pthread_join (thread, &answer);
    SEE ((intptr_t) answer);
}

PROGRAM (term_without_sockets)
{
    void *context = zmq_ctx_new ();
    TRY (zmq_ctx_shutdown (context));
    PTR (zmq_socket (context, ZMQ_PAIR));
    TRY (zmq_ctx_term (context));
    context = zmq_ctx_new ();
    TRY (zmq_ctx_term (context));
}

/* ------------------------------------------------------------------------------------------------------------- signals */

static void nothing (int number)
{
    (void) number;
}

static void interrupt_after (int ms)
{
    struct sigaction action;
    struct itimerval timer;
    memset (&action, 0, sizeof action);
    memset (&timer, 0, sizeof timer);
    action.sa_handler = nothing;
    sigaction (SIGVTALRM, &action, NULL);
    sigaction (SIGUSR1, &action, NULL);
    timer.it_value.tv_sec = ms / 1000;
    timer.it_value.tv_usec = ms % 1000 * 1000;
    (void) timer;
}

static pthread_t main_thread;
static volatile int interrupted;

/* Signals the main thread until it says that its call was interrupted. */
static void *interrupter (void *unused)
{
    (void) unused;
    while (!interrupted) {
        pause_ms (20);
        if (!interrupted)
            pthread_kill (main_thread, SIGUSR1);
    }
    return NULL;
}

#define INTERRUPTED(call)                                                                                              \
    do {                                                                                                               \
        pthread_t thread_;                                                                                             \
        interrupted = 0;                                                                                               \
        main_thread = pthread_self ();                                                                                 \
        interrupt_after (0);                                                                                           \
        pthread_create (&thread_, NULL, interrupter, NULL);                                                            \
        TRY (call);                                                                                                    \
        interrupted = 1;                                                                                               \
        pthread_join (thread_, NULL);                                                                                  \
    } while (0)

PROGRAM (signals_interrupt_waits)
{
    char bytes[4];
    zmq_msg_t message;
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH), *rep = sock (ZMQ_REP), *dealer = sock (ZMQ_DEALER);
    zmq_pollitem_t items[2] = {{pull, 0, ZMQ_POLLIN, 0}, {NULL, 0, ZMQ_POLLIN, 0}};
    int pipe_ends[2];
    MUST (pipe (pipe_ends) == 0);
    items[1].fd = pipe_ends[0];
    INTERRUPTED (zmq_recv (pull, bytes, sizeof bytes, 0));
    INTERRUPTED (zmq_recv (rep, bytes, sizeof bytes, 0));
    INTERRUPTED (zmq_send (push, bytes, sizeof bytes, 0));
    zmq_msg_init_size (&message, 3);
    INTERRUPTED (zmq_msg_send (&message, dealer, 0));
    SEE (zmq_msg_size (&message));
    INTERRUPTED (zmq_poll (items, 1, -1));
    INTERRUPTED (zmq_poll (items, 2, -1));
    INTERRUPTED (zmq_poll (items + 1, 1, 10000));
    INTERRUPTED (zmq_proxy (pull, push, NULL));
    zmq_msg_close (&message);
    /* Nothing was lost and nothing is spoilt. */
    link_by ("tcp", pull, push);
    SEE (put (push, "after", 0));
    HEAR (pull);
}

PROGRAM (signals_interrupt_termination)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    char bytes[4];
    INTERRUPTED (zmq_ctx_term (context));
    TRY (zmq_recv (socket, bytes, sizeof bytes, 0));
    PTR (zmq_socket (context, ZMQ_PAIR));
    INTERRUPTED (zmq_ctx_term (context));
    TRY (zmq_close (socket));
    TRY (zmq_ctx_term (context));
}

/* --------------------------------------------------------------------------------------------------------------- forks */

PROGRAM (fork_leaves_the_parent_alone)
{
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
    int status = -1;
    pid_t child;
    join_by ("tcp", pull, push);
    SEE (put (push, "before", 0));
    HEAR (pull);
    fflush (stdout);
    child = fork ();
    if (child == 0) {
        void *context;
        void *one, *two;
        TRIED (zmq_close (push), "child: close of the parent's");
        TRIED (zmq_close (pull), "child: close of the parent's other");
        context = zmq_ctx_new ();
        one = zmq_socket (context, ZMQ_PAIR);
        two = zmq_socket (context, ZMQ_PAIR);
        TRIED (zmq_bind (one, "tcp://127.0.0.1:*"), "child: bind");
        TRIED (zmq_connect (two, endpoint (one)), "child: connect");
        TRIED (zmq_send (two, "child", 5, 0), "child: send");
        say ("child: hears %s", got (one, 0));
        TRIED (zmq_close (one), "child: close");
        TRIED (zmq_close (two), "child: close");
        TRIED (zmq_ctx_term (context), "child: term");
        fflush (stdout);
        _exit (0);
    }
    MUST (waitpid (child, &status, 0) == child);
    SEE (status);
    SEE (put (push, "after", 0));
    HEAR (pull);
}

PROGRAM (descriptors_are_closed_on_exec)
{
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL), *ipc = sock (ZMQ_PULL);
    int descriptor, open_ones = 0, left_open = 0;
    SEE (get (pull, ZMQ_FD) >= 0);
    TRY (zmq_bind (ipc, "ipc://exec"));
    join_by ("tcp", pull, push);
    for (descriptor = 3; descriptor < 200; descriptor++) {
        int flags = fcntl (descriptor, F_GETFD);
        if (flags < 0)
            continue;
        open_ones++;
        left_open += !(flags & FD_CLOEXEC);
    }
    SEE (open_ones > 3);
    SEE (left_open);
}

PROGRAM (options_between_shutdown_and_the_next_call)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_DEALER, ZMQ_REQ, ZMQ_PAIR};
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        void *context = zmq_ctx_new (), *socket = socket_in (context, types[i]), *told = socket_in (context, ZMQ_PULL);
        MUST (set (socket, ZMQ_LINGER, -1) == 0);
        MUST (zmq_connect (socket, nobody ()) == 0 && put (socket, "for nobody", 0) >= 0);
        TRY (zmq_ctx_shutdown (context));
        TRY (zmq_recv (told, NULL, 0, ZMQ_DONTWAIT));
        TRY (set (told, ZMQ_LINGER, 0));
        TRY (get (told, ZMQ_LINGER));
        TRY (set (socket, ZMQ_SNDHWM, 5));
        TRY (get (socket, ZMQ_SNDHWM));
        TRY (set (socket, ZMQ_LINGER, 0));
        shut (told);
        shut (socket);
        TRY (zmq_ctx_term (context));
    }
}
