/* What happens to messages that are not sent yet when a socket closes, and how long the context waits for them. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

/* How long zmq_ctx_term took. */
static int64_t ends (void *context)
{
    int64_t before = now_ms ();
    GOOD (zmq_ctx_term (context));
    return now_ms () - before;
}

static void *waiting_push (void *context, const char *endpoint, int linger)
{
    void *push = zmq_socket (context, ZMQ_PUSH);
    set_int (push, ZMQ_LINGER, linger);
    GOOD (zmq_connect (push, endpoint));
    return push;
}

TEST (nothing_to_send)
{
    static const char *nowhere[] = {"tcp://127.0.0.1:1", "ipc://nobody", "inproc://nobody"};
    size_t i;
    for (i = 0; i < 3; i++) {
        void *context = zmq_ctx_new (), *push = waiting_push (context, nowhere[i], -1);
        GOOD (zmq_close (push));
        CHECK (ends (context) < 1000);
    }
}

TEST (no_linger)
{
    static const char *nowhere[] = {"tcp://127.0.0.1:1", "ipc://nobody", "inproc://nobody"};
    size_t i;
    for (i = 0; i < 3; i++) {
        void *context = zmq_ctx_new (), *push = waiting_push (context, nowhere[i], 0);
        GOOD (send_text (push, "dropped", 0));
        GOOD (zmq_close (push));
        CHECK (ends (context) < 1000);
    }
}

TEST (some_linger)
{
    static const char *nowhere[] = {"tcp://127.0.0.1:1", "ipc://nobody"};
    size_t i;
    for (i = 0; i < 2; i++) {
        void *context = zmq_ctx_new (), *push = waiting_push (context, nowhere[i], 200);
        int64_t took;
        GOOD (send_text (push, "dropped after a while", 0));
        GOOD (zmq_close (push));
        took = ends (context);
        CHECK (took >= 150 && took < 3000);
    }
}

static void *end_it (void *context)
{
    GOOD (zmq_ctx_term (context));
    return NULL;
}

TEST (endless_linger)
{
    /* the end waits until the receiver is there and has got everything */
    size_t i;
    for (i = 1; i < TRANSPORTS; i++) {
        void *context = zmq_ctx_new (), *later = zmq_ctx_new (), *push, *pull;
        char endpoint[256], text[16];
        pthread_t thread;
        int k;
        pull = bound (later, ZMQ_PULL, address_on (transports[i]));
        strcpy (endpoint, i == 1 ? last_endpoint (pull) : "ipc://comes-later");
        if (i == 1)
            GOOD (zmq_unbind (pull, endpoint));
        push = waiting_push (context, endpoint, -1);
        for (k = 0; k < 100; k++) {
            snprintf (text, sizeof text, "%d", k);
            GOOD (send_text (push, text, 0));
        }
        GOOD (zmq_close (push));
        pthread_create (&thread, NULL, end_it, context);
        EQUAL (poll_one (pull, ZMQ_POLLIN, 50), 0);
        WAIT_UNTIL (pull, zmq_bind (pull, endpoint) == 0 || zmq_errno () != EADDRINUSE);
        for (k = 0; k < 100; k++) {
            snprintf (text, sizeof text, "%d", k);
            EXPECT (pull, text);
        }
        pthread_join (thread, NULL);
        GOOD (zmq_close (pull));
        GOOD (zmq_ctx_term (later));
    }
}

TEST (delivered_before_the_end)
{
    /* a sender that ends at once loses nothing, however much it is */
    size_t i;
    for (i = 1; i < TRANSPORTS; i++) {
        void *context = zmq_ctx_new (), *pull = bound (context, ZMQ_PULL, address_on (transports[i]));
        void *sender = zmq_ctx_new (), *push = waiting_push (sender, last_endpoint (pull), -1);
        pthread_t thread;
        int k;
        set_int (push, ZMQ_SNDHWM, 0);
        GOOD (zmq_disconnect (push, last_endpoint (pull)));
        GOOD (zmq_connect (push, last_endpoint (pull)));
        for (k = 0; k < 20000; k++)
            GOOD (send_text (push, "a message of some bytes", 0));
        GOOD (zmq_close (push));
        pthread_create (&thread, NULL, end_it, sender);
        for (k = 0; k < 20000; k++)
            if (zmq_recv (pull, NULL, 0, 0) < 0)
                break;
        if (ours () || i == 1) /* the original loses the end of it over ipc */
            EQUAL (k, 20000);
        pthread_join (thread, NULL);
        GOOD (zmq_close (pull));
        GOOD (zmq_ctx_term (context));
    }
}

#ifndef UNDER_TSAN
/* The sender is a process of its own, which exits as soon as its context has ended; the receiver is at its mark. */
TEST (the_tail_of_a_process_that_exits)
{
    size_t i;
    for (i = 1; i < TRANSPORTS; i++) {
        enum { COUNT = 20000 };
        int ends_of_pipe[2], k, status;
        char endpoint[256] = "";
        pid_t child;
        void *context, *pull;
        EQUAL (pipe (ends_of_pipe), 0);
        fflush (stdout);
        child = fork (); /* before any context exists in this process */
        if (child == 0) {
            void *own = zmq_ctx_new (), *push = zmq_socket (own, ZMQ_PUSH);
            if (read (ends_of_pipe[0], endpoint, sizeof endpoint) <= 0)
                _exit (1);
            set_int (push, ZMQ_SNDHWM, 0);
            GOOD (zmq_connect (push, endpoint));
            for (k = 0; k < COUNT; k++)
                GOOD (send_text (push, "a message of some bytes", 0));
            GOOD (zmq_close (push));
            GOOD (zmq_ctx_term (own));
            _exit (failures ? 1 : 0);
        }
        context = zmq_ctx_new ();
        pull = open_socket (context, ZMQ_PULL);
        set_int (pull, ZMQ_RCVHWM, 10);
        GOOD (zmq_bind (pull, address_on (transports[i])));
        snprintf (endpoint, sizeof endpoint, "%s", last_endpoint (pull));
        EQUAL (write (ends_of_pipe[1], endpoint, sizeof endpoint), (long long) sizeof endpoint);
        EQUAL (poll_one (pull, ZMQ_POLLIN, PATIENCE_MS), ZMQ_POLLIN);
        set_int (pull, ZMQ_RCVTIMEO, 2000);
        for (k = 0; k < COUNT; k++)
            if (zmq_recv (pull, NULL, 0, 0) < 0)
                break;
        if (ours () || i == 1) /* the original loses the end of it over ipc */
            EQUAL (k, COUNT);
        GOOD (zmq_close (pull));
        GOOD (zmq_ctx_term (context));
        EQUAL (waitpid (child, &status, 0), child);
        EQUAL (status, 0);
        close (ends_of_pipe[0]);
        close (ends_of_pipe[1]);
    }
}
#endif

TEST (inproc_ignores_it)
{
    void *context = zmq_ctx_new (), *pull, *push;
    pair_of (context, "inproc", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    GOOD (send_text (push, "stays", 0)); /* linger is 0 */
    GOOD (zmq_close (push));
    EXPECT (pull, "stays");
    GOOD (zmq_close (pull));
    GOOD (zmq_ctx_term (context));
}

TEST (disconnecting_sends_first)
{
    void *context = zmq_ctx_new (), *pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*");
    void *push = waiting_push (context, last_endpoint (pull), -1);
    int k;
    for (k = 0; k < 100; k++)
        GOOD (send_text (push, "sent", 0));
    GOOD (zmq_disconnect (push, last_endpoint (pull)));
    FAILS (zmq_send (push, "x", 1, ZMQ_DONTWAIT), EAGAIN);
    for (k = 0; k < 100; k++)
        EXPECT (pull, "sent");
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
#ifndef UNDER_TSAN /* which does not follow a child: one that reports waits for ever for its parent's symbolizer */
    RUN (the_tail_of_a_process_that_exits);
#endif
    RUN (nothing_to_send);
    RUN (no_linger);
    RUN (some_linger);
    RUN (endless_linger);
    RUN (delivered_before_the_end);
    RUN (inproc_ignores_it);
    RUN (disconnecting_sends_first);
    return finished ();
}
