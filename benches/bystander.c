/* How promptly a socket is served while another socket of the same context is busy. A bystander speaks raw ZMTP from a
 * process of its own and asks every millisecond; its partner in the measured process is a thread in zmq_recv
 * (who=thread), an epoll loop on ZMQ_FD (who=loop), or nobody, as a heartbeat's PING is answered by the library
 * (who=heartbeat). The busy socket receives as much as comes (busy=flood), sends as much as goes (busy=send), echoes
 * one message to and fro (busy=pingpong), or there is none (busy=none). */
#include "common.h"
#include "raw.h"

#include <sys/epoll.h>

enum { BOUND, READY, STOP, FLOWING };

static const char *busy, *who;
static void *context;

static int is (const char *what, const char *value)
{
    return strcmp (what, value) == 0;
}

/* The far end of the busy socket. */
static void far_end (void)
{
    char buffer[64] = "";
    void *mine = z.ctx_new (), *socket = open_socket (mine, is (busy, "flood") ? ZMQ_PUSH : is (busy, "send") ? ZMQ_PULL : ZMQ_DEALER);
    await_mark (BOUND, 1);
    set (socket, ZMQ_SNDTIMEO, 500);
    set (socket, ZMQ_RCVTIMEO, 500);
    TRY (z.connect (socket, shared->endpoint[0]));
    while (!atomic_load (&shared->mark[STOP])) {
        if (!is (busy, "send") && z.send (socket, buffer, sizeof buffer, 0) < 0)
            break;
        if (!is (busy, "flood") && z.recv (socket, buffer, sizeof buffer, 0) < 0)
            break;
        atomic_store_explicit (&shared->mark[FLOWING], 1, memory_order_relaxed);
    }
    /* What is left unsaid to a partner that still waits ends with this process. */
    _exit (0);
}

static void *keep_busy (void *socket)
{
    char buffer[64] = "";
    long done = 0;
    while (!atomic_load (&shared->mark[STOP])) {
        if (!is (busy, "send") && z.recv (socket, buffer, sizeof buffer, 0) < 0)
            break;
        if (!is (busy, "flood") && z.send (socket, buffer, sizeof buffer, 0) < 0)
            break;
        done++;
    }
    shared->value[0] = (double) done;
    return NULL;
}

/* One question: the frames of a REQ, or a heartbeat. */
static void ask (int descriptor)
{
    static const unsigned char question[] = {1, 0, 0, 1, 'q'}, ping[] = {4, 7, 4, 'P', 'I', 'N', 'G', 0, 0};
    unsigned char answer[64];
    if (!is (who, "heartbeat")) {
        raw_write (descriptor, question, sizeof question);
        raw_message (descriptor, answer, sizeof answer);
    } else {
        raw_write (descriptor, ping, sizeof ping);
        raw_read (descriptor, answer, 2);
        raw_read (descriptor, answer + 2, answer[1]);
    }
}

static void stand_by (void)
{
    long count = number ("count", 2000);
    double *times = calloc ((size_t) count, sizeof *times);
    await_mark (READY, 1);
    int descriptor = raw_peer (1, "REQ");
    for (long i = -50; i < count; i++) {
        pause_ms (1);
        double began = seconds ();
        ask (descriptor);
        if (i >= 0)
            times[i] = seconds () - began;
    }
    spread_of ("", times, (size_t) count);
    fflush (stdout);
    atomic_store (&shared->mark[STOP], 1);
}

static void serve_in_thread (void *socket)
{
    char buffer[64];
    set (socket, ZMQ_RCVTIMEO, 100);
    while (!atomic_load (&shared->mark[STOP]))
        if (z.recv (socket, buffer, sizeof buffer, 0) >= 0)
            TRY (z.send (socket, "a", 1, 0));
}

/* As the event loops of other languages do: after each edge everything there is, until EAGAIN. */
static void serve_in_loop (void *socket)
{
    char buffer[64];
    int descriptor = get (socket, ZMQ_FD), loop = epoll_create1 (EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    TRY (loop);
    TRY (epoll_ctl (loop, EPOLL_CTL_ADD, descriptor, &event));
    while (!atomic_load (&shared->mark[STOP])) {
        while (get (socket, ZMQ_EVENTS) & ZMQ_POLLIN) {
            TRY (z.recv (socket, buffer, sizeof buffer, ZMQ_DONTWAIT));
            TRY (z.send (socket, "a", 1, 0));
        }
        if (epoll_wait (loop, &event, 1, 100) < 0 && errno != EINTR)
            die ("epoll_wait: %s", strerror (errno));
    }
}

void bystander (void)
{
    pthread_t thread = 0;
    busy = word ("busy", "flood");
    who = word ("who", "thread");
    if (!is (busy, "none"))
        start_process (far_end);
    start_process (stand_by);
    context = z.ctx_new ();
    if (!is (busy, "none")) {
        void *socket = open_socket (context, is (busy, "flood") ? ZMQ_PULL : is (busy, "send") ? ZMQ_PUSH : ZMQ_DEALER);
        set (socket, ZMQ_RCVTIMEO, 3000);
        set (socket, ZMQ_SNDTIMEO, 3000);
        bind_fresh (socket, "tcp", 0);
        thread = start_thread (keep_busy, socket);
    }
    void *socket = open_socket (context, ZMQ_REP);
    bind_fresh (socket, "tcp", 1);
    double began = seconds ();
    atomic_store (&shared->mark[BOUND], 1);
    if (thread)
        await_mark (FLOWING, 1);
    atomic_store (&shared->mark[READY], 1);
    if (is (who, "thread"))
        serve_in_thread (socket);
    else if (is (who, "loop"))
        serve_in_loop (socket);
    else
        await_mark (STOP, 1);
    if (thread) {
        pthread_join (thread, NULL);
        figure ("busy_messages_per_s", shared->value[0] / (seconds () - began));
    }
}
