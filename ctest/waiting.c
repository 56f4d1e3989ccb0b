/* Two threads wait on one socket (which nobody should do, and which this library serialises) while its connections come
 * and go: whatever one of them took over is read, also when it leaves and the other one stays. */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { LOOKS = 5 };

struct sleeper {
    void *socket;
    int polls; /* waits in zmq_poll, not in zmq_recv */
    pid_t id;  /* under the lock, 0 until it runs */
    int outcome;
    pthread_t thread;
    pthread_mutex_t lock;
};

static void pause_ms (long ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};
    nanosleep (&span, NULL);
}

static void *sleep_inside (void *argument)
{
    struct sleeper *sleeper = argument;
    char text[16];
    pthread_mutex_lock (&sleeper->lock);
    sleeper->id = (pid_t) syscall (SYS_gettid);
    pthread_mutex_unlock (&sleeper->lock);
    if (sleeper->polls && !(poll_one (sleeper->socket, ZMQ_POLLIN, PATIENCE_MS) & ZMQ_POLLIN))
        return NULL;
    sleeper->outcome = zmq_recv (sleeper->socket, text, sizeof text, sleeper->polls ? ZMQ_DONTWAIT : 0);
    return NULL;
}

/* Whether the kernel says that the thread waits for something. */
static int asleep (pid_t id)
{
    char path[64], line[256];
    FILE *file;
    size_t size;
    char *end;
    snprintf (path, sizeof path, "/proc/self/task/%d/stat", (int) id);
    file = fopen (path, "r");
    if (!file)
        return 0;
    size = fread (line, 1, sizeof line - 1, file);
    fclose (file);
    line[size] = 0;
    end = strrchr (line, ')');
    return end && end[1] && end[2] == 'S';
}

/* Until the thread has gone to sleep in its call and nothing wakes it up any more. */
static void until_asleep (struct sleeper *sleeper)
{
    int seen = 0;
    int64_t limit = now_ms () + PATIENCE_MS;
    while (seen < LOOKS && now_ms () < limit) {
        pid_t id;
        pthread_mutex_lock (&sleeper->lock);
        id = sleeper->id;
        pthread_mutex_unlock (&sleeper->lock);
        seen = id && asleep (id) ? seen + 1 : 0;
        pause_ms (2);
    }
    CHECK (seen == LOOKS);
}

static void start (struct sleeper *sleeper, void *socket, int polls)
{
    memset (sleeper, 0, sizeof *sleeper);
    sleeper->socket = socket;
    sleeper->polls = polls;
    sleeper->outcome = -2;
    pthread_mutex_init (&sleeper->lock, NULL);
    pthread_create (&sleeper->thread, NULL, sleep_inside, sleeper);
    until_asleep (sleeper);
}

/* The message that was sent last has to end the sleeper's wait, long before its time is over. */
static void expect_woken (struct sleeper *sleeper, int size)
{
    int64_t begin = now_ms ();
    pthread_join (sleeper->thread, NULL);
    EQUAL (sleeper->outcome, size);
    CHECK (now_ms () - begin < PATIENCE_MS / 2);
    pthread_mutex_destroy (&sleeper->lock);
}

/* Another thread waits for a moment and leaves. The I/O threads look after one and after two milliseconds what became
 * of that; they tell nobody when they have. */
static void wait_and_leave (void *socket)
{
    EQUAL (poll_one (socket, ZMQ_POLLIN, 20), 0);
    pause_ms (20);
}

static void *watch_over (void *context, void *socket, const char *name, int events)
{
    GOOD (zmq_socket_monitor (socket, name, events));
    return connected (context, ZMQ_PAIR, name);
}

static void expect_event (void *monitor, int event)
{
    unsigned char head[6] = {0};
    char text[256];
    EQUAL (zmq_recv (monitor, head, sizeof head, 0), 6);
    GOOD (zmq_recv (monitor, text, sizeof text, 0));
    EQUAL (head[0] | head[1] << 8, event);
}

/* Binds to an address that was just given up. */
static void *bound_again (void *context, int type, const char *endpoint)
{
    void *socket = open_socket (context, type);
    int64_t limit = now_ms () + PATIENCE_MS;
    while (zmq_bind (socket, endpoint) && now_ms () < limit)
        pause_ms (1);
    CHECK (!strcmp (last_endpoint (socket), endpoint));
    return socket;
}

/* A connection is made anew under a thread that waits for it; the other thread finds the new one, and leaves. */
TEST (a_new_connection_outlives_who_took_it_over)
{
    int polls;
    if (!ours ())
        return;
    for (polls = 0; polls < 2; polls++) {
        void *context = zmq_ctx_new (), *pull = open_socket (context, ZMQ_PULL), *push, *monitor;
        struct sleeper sleeper;
        char endpoint[512];
        monitor = watch_over (context, pull, "inproc://watch", ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
        set_int (pull, ZMQ_RECONNECT_IVL, 1);
        push = bound (context, ZMQ_PUSH, "tcp://127.0.0.1:*");
        strcpy (endpoint, last_endpoint (push));
        GOOD (zmq_connect (pull, endpoint));
        expect_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        start (&sleeper, pull, polls);
        GOOD (zmq_close (push));
        expect_event (monitor, ZMQ_EVENT_DISCONNECTED);
        push = bound_again (context, ZMQ_PUSH, endpoint);
        expect_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        until_asleep (&sleeper);
        wait_and_leave (pull);
        GOOD (send_text (push, "news", 0));
        expect_woken (&sleeper, 4);
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
        GOOD (zmq_close (monitor));
        GOOD (zmq_ctx_term (context));
    }
}

/* The same with a peer that comes while a thread waits for those that were there before. */
TEST (a_new_peer_outlives_who_took_it_over)
{
    int polls;
    if (!ours ())
        return;
    for (polls = 0; polls < 2; polls++) {
        void *context = zmq_ctx_new (), *pull = open_socket (context, ZMQ_PULL), *first, *second, *monitor;
        struct sleeper sleeper;
        monitor = watch_over (context, pull, "inproc://watch", ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        GOOD (zmq_bind (pull, "tcp://127.0.0.1:*"));
        first = connected (context, ZMQ_PUSH, last_endpoint (pull));
        expect_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        start (&sleeper, pull, polls);
        second = connected (context, ZMQ_PUSH, last_endpoint (pull));
        expect_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        until_asleep (&sleeper);
        wait_and_leave (pull);
        GOOD (send_text (second, "news", 0));
        expect_woken (&sleeper, 4);
        GOOD (zmq_close (first));
        GOOD (zmq_close (second));
        GOOD (zmq_close (pull));
        GOOD (zmq_close (monitor));
        GOOD (zmq_ctx_term (context));
    }
}

/* Milliseconds of processor time that this thread used for a wait in which nothing came. */
static int64_t cost_of_waiting (void *socket, int polls)
{
    struct timespec before, after;
    char text[16];
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &before);
    if (polls)
        EQUAL (poll_one (socket, ZMQ_POLLIN, 300), 0);
    else
        FAILS (zmq_recv (socket, text, sizeof text, 0), EAGAIN);
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &after);
    return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
}

/* A ROUTER does not read a second peer of a known name: what that one sends is no reason to wake up. */
TEST (a_peer_that_is_not_read_does_not_disturb)
{
    void *context = zmq_ctx_new (), *router = open_socket (context, ZMQ_ROUTER), *peers[2];
    char body[1000] = {0};
    int i, sent = 0, polls;
    set_int (router, ZMQ_RCVHWM, 10);
    set_int (router, ZMQ_RCVTIMEO, 300);
    GOOD (zmq_bind (router, "tcp://127.0.0.1:*"));
    for (i = 0; i < 2; i++) {
        peers[i] = open_socket (context, ZMQ_DEALER);
        GOOD (zmq_setsockopt (peers[i], ZMQ_ROUTING_ID, "same", 4));
        GOOD (zmq_connect (peers[i], last_endpoint (router)));
        GOOD (send_text (peers[i], "hello", 0));
        if (i == 0) {
            set_int (router, ZMQ_RCVTIMEO, PATIENCE_MS);
            EXPECT (router, "same");
            EXPECT (router, "hello");
            set_int (router, ZMQ_RCVTIMEO, 300);
        }
    }
    cost_of_waiting (router, 1);
    set_int (peers[1], ZMQ_SNDTIMEO, 100);
    while (sent < 100000 && zmq_send (peers[1], body, sizeof body, 0) >= 0)
        sent++;
    CHECK (sent < 100000);
    for (polls = 0; polls < 2; polls++)
        CHECK (cost_of_waiting (router, polls) < 20);
    GOOD (zmq_close (peers[0]));
    GOOD (zmq_close (peers[1]));
    GOOD (zmq_close (router));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (a_new_connection_outlives_who_took_it_over);
    RUN (a_new_peer_outlives_who_took_it_over);
    RUN (a_peer_that_is_not_read_does_not_disturb);
    return finished ();
}
