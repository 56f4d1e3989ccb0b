/* fork() in the middle of it: the child's inherited context is inert, its own one works, the parent goes on. */
#include "check.h"

#include <sys/wait.h>

/* Runs a test in a child, gives its exit status. */
static int in_child (void (*test) (void *, void *), void *context, void *socket)
{
    pid_t child;
    int status;
    fflush (stdout);
    child = fork ();
    if (child == 0) {
        failures = 0;
        alarm (30); /* alarms are not inherited */
        test (context, socket);
        fflush (stdout);
        _exit (failures ? 1 : 0);
    }
    EQUAL (waitpid (child, &status, 0), child);
    return status;
}

static void close_all (void *context, void *socket)
{
    EQUAL (zmq_close (socket), 0);
    if (ours ()) {
        EQUAL (zmq_ctx_term (context), 0);
    } else {
        FAILS (zmq_ctx_term (context), EINTR);
    }
}

static void end_first (void *context, void *socket)
{
    (void) socket;
    if (ours ())
        EQUAL (zmq_ctx_term (context), 0);
    else
        FAILS (zmq_ctx_term (context), EINTR);
}

static void fresh_one (void *context, void *socket)
{
    size_t i;
    (void) context;
    GOOD (zmq_close (socket));
    for (i = 0; i < TRANSPORTS; i++) {
        void *own = zmq_ctx_new (), *one, *other;
        pair_of (own, transports[i], ZMQ_REP, ZMQ_REQ, &one, &other);
        GOOD (send_text (other, "question", 0));
        EXPECT (one, "question");
        GOOD (send_text (one, "answer", 0));
        EXPECT (other, "answer");
        GOOD (zmq_close (one));
        GOOD (zmq_close (other));
        GOOD (zmq_ctx_term (own));
    }
}

static void just_exit (void *context, void *socket)
{
    (void) context;
    (void) socket;
}

TEST (the_parent_goes_on)
{
    static void (*const children[]) (void *, void *) = {close_all, end_first, fresh_one, just_exit};
    size_t i, k;
    for (i = 0; i < TRANSPORTS; i++)
        for (k = 0; k < 4; k++) {
            void *context = zmq_ctx_new (), *pull, *push;
            pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
            GOOD (send_text (push, "before", 0));
            EXPECT (pull, "before");
            EQUAL (in_child (children[k], context, pull), 0);
            GOOD (send_text (push, "after", 0));
            EXPECT (pull, "after");
            GOOD (zmq_close (pull));
            GOOD (zmq_close (push));
            GOOD (zmq_ctx_term (context));
        }
}

TEST (nothing_of_the_child_reaches_the_parents_peers)
{
    void *context = zmq_ctx_new (), *pull = bound (context, ZMQ_PULL, "tcp://127.0.0.1:*"), *push;
    int status;
    push = connected (context, ZMQ_PUSH, last_endpoint (pull));
    GOOD (send_text (push, "before", 0));
    EXPECT (pull, "before");
    status = in_child (close_all, context, push);
    EQUAL (status, 0);
    /* the connection is still there, and still the parent's */
    EQUAL (poll_one (pull, ZMQ_POLLIN, 50), 0);
    GOOD (send_text (push, "after", 0));
    EXPECT (pull, "after");
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
    GOOD (zmq_ctx_term (context));
}

/* The child talks to its parent. */
static char endpoint[256];

static void talk (void *context, void *socket)
{
    void *own = zmq_ctx_new (), *req = connected (own, ZMQ_REQ, endpoint);
    (void) context;
    GOOD (zmq_close (socket));
    GOOD (send_text (req, "from the child", 0));
    EXPECT (req, "to the child");
    GOOD (zmq_close (req));
    GOOD (zmq_ctx_term (own));
}

TEST (child_and_parent_talk)
{
    size_t i;
    for (i = 1; i < TRANSPORTS; i++) {
        void *context = zmq_ctx_new (), *rep = bound (context, ZMQ_REP, address_on (transports[i]));
        pid_t child;
        int status;
        strcpy (endpoint, last_endpoint (rep));
        fflush (stdout);
        child = fork ();
        if (child == 0) {
            failures = 0;
            talk (context, rep);
            fflush (stdout);
            _exit (failures ? 1 : 0);
        }
        EXPECT (rep, "from the child");
        GOOD (send_text (rep, "to the child", 0));
        EQUAL (waitpid (child, &status, 0), child);
        EQUAL (status, 0);
        GOOD (zmq_close (rep));
        GOOD (zmq_ctx_term (context));
    }
}

/* exit() with everything open neither hangs nor crashes. */
TEST (leaving_without_closing)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        pid_t child;
        int status;
        fflush (stdout);
        child = fork ();
        if (child == 0) {
            void *context = zmq_ctx_new (), *pull, *push;
            alarm (30);
            pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
            GOOD (send_text (push, "x", 0));
            EXPECT (pull, "x");
            GOOD (send_text (push, "unread", 0));
            exit (failures ? 1 : 0);
        }
        EQUAL (waitpid (child, &status, 0), child);
        EQUAL (status, 0);
    }
}

int main (void)
{
    RUN (leaving_without_closing);
    RUN (the_parent_goes_on);
    RUN (nothing_of_the_child_reaches_the_parents_peers);
    RUN (child_and_parent_talk);
    return finished ();
}
