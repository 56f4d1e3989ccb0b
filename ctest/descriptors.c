/* Running out of file descriptors: calls give an error code, the process lives, and all goes on when there are some
 * again. The original aborts in several of these places, so this is for our library alone. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

static int open_descriptors (void)
{
    DIR *folder = opendir ("/proc/self/fd");
    int count = -3; /* itself, and two entries that are none */
    while (readdir (folder))
        count++;
    closedir (folder);
    return count;
}

/* Leaves room for so many more descriptors. */
static void leave (int count)
{
    struct rlimit limit;
    int highest = dup (0);
    close (highest);
    getrlimit (RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t) (highest + count);
    EQUAL (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

static void leave_plenty (void)
{
    struct rlimit limit;
    getrlimit (RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 1024;
    EQUAL (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

TEST (none_at_all)
{
    int room;
    for (room = 0; room < 12; room++) {
        void *context = zmq_ctx_new (), *socket;
        int before = open_descriptors ();
        leave (room);
        errno = 0;
        socket = zmq_socket (context, ZMQ_PULL);
        if (socket) {
            int value;
            size_t size = sizeof value;
            if (zmq_bind (socket, "tcp://127.0.0.1:*") < 0)
                EQUAL (zmq_errno (), EMFILE);
            if (zmq_bind (socket, "ipc://some-file") < 0)
                EQUAL (zmq_errno (), EMFILE);
            if (zmq_getsockopt (socket, ZMQ_FD, &value, &size) < 0)
                EQUAL (zmq_errno (), EMFILE);
            zmq_connect (socket, "tcp://127.0.0.1:1");
            FAILS (zmq_recv (socket, NULL, 0, ZMQ_DONTWAIT), EAGAIN);
            poll_one (socket, ZMQ_POLLIN, 1);
            leave_plenty ();
            GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
            GOOD (zmq_close (socket));
        } else {
            EQUAL (zmq_errno (), EMFILE);
            leave_plenty ();
            CHECK ((socket = zmq_socket (context, ZMQ_PULL)) != NULL); /* the next try succeeds */
            GOOD (zmq_close (socket));
        }
        GOOD (zmq_ctx_term (context));
        EQUAL (open_descriptors (), before);
    }
}

TEST (accepting_pauses_and_resumes)
{
    size_t i;
    for (i = 1; i < TRANSPORTS; i++) {
        void *context = zmq_ctx_new (), *pull = bound (context, ZMQ_PULL, address_on (transports[i])), *push;
        void *clients = zmq_ctx_new ();
        char byte[8];
        push = connected (clients, ZMQ_PUSH, last_endpoint (pull));
        GOOD (send_text (push, "before", 0));
        EXPECT (pull, "before");
        {
            void *more_clients[20];
            int k, sent = 0;
            for (k = 0; k < 20; k++) {
                more_clients[k] = open_socket (clients, ZMQ_PUSH);
                poll_one (more_clients[k], ZMQ_POLLOUT, 0);
            }
            leave (5); /* for connections there are some, for accepting them too few */
            for (k = 0; k < 20; k++)
                zmq_connect (more_clients[k], last_endpoint (pull));
            /* those that are connected are served meanwhile */
            for (k = 0; k < 50; k++) {
                GOOD (send_text (push, "served", 0));
                EXPECT (pull, "served");
            }
            leave_plenty ();
            for (k = 0; k < 20; k++)
                if (send_text (more_clients[k], "after", 0) >= 0)
                    sent++;
            EQUAL (sent, 20);
            for (k = 0; k < sent; k++)
                EXPECT (pull, "after");
            for (k = 0; k < 20; k++)
                GOOD (zmq_close (more_clients[k]));
        }
        FAILS (zmq_recv (pull, byte, sizeof byte, ZMQ_DONTWAIT), EAGAIN);
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
        GOOD (zmq_ctx_term (clients));
        GOOD (zmq_ctx_term (context));
    }
}

TEST (none_is_left_open)
{
    int before = open_descriptors (), i;
    size_t k;
    for (i = 0; i < 20; i++)
        for (k = 0; k < TRANSPORTS; k++) {
            void *context = zmq_ctx_new (), *one, *other;
            pair_of (context, transports[k], ZMQ_PULL, ZMQ_PUSH, &one, &other);
            get_int (one, ZMQ_FD);
            GOOD (send_text (other, "x", 0));
            EXPECT (one, "x");
            GOOD (zmq_close (one));
            GOOD (zmq_close (other));
            GOOD (zmq_ctx_term (context));
        }
    EQUAL (open_descriptors (), before);
}

TEST (all_close_on_exec)
{
    void *context = zmq_ctx_new (), *one, *other;
    int descriptor;
    pair_of (context, "tcp", ZMQ_PULL, ZMQ_PUSH, &one, &other);
    get_int (one, ZMQ_FD);
    GOOD (send_text (other, "x", 0));
    EXPECT (one, "x");
    for (descriptor = 3; descriptor < 64; descriptor++) {
        int flags = fcntl (descriptor, F_GETFD);
        CHECK (flags < 0 || flags & FD_CLOEXEC);
    }
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    int descriptor;
    for (descriptor = 3; descriptor < 64; descriptor++)
        close (descriptor); /* what a test runner may have left open */
    RUN (none_is_left_open);
    RUN (all_close_on_exec);
    if (ours ()) {
        RUN (none_at_all);
        RUN (accepting_pauses_and_resumes);
    }
    return finished ();
}
