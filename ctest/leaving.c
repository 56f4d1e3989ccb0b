/* Processes that leave with everything open: contexts, threads that wait, connections, encrypted and not, messages that
 * nobody takes, a name that is being asked for. Nothing of the library's may run then: it would meet an environment that
 * the program has given back (which getenv of a destructor or atexit handler would read) and threads half gone. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

enum { ROUNDS = 10, ENVIRONMENT_READ = 99 };

static volatile int leaving;

/* This one is found before the C library's, by every shared object as well. */
char *getenv (const char *name)
{
    static char *(*original) (const char *);
    if (leaving)
        _exit (ENVIRONMENT_READ);
    if (!original)
        *(void **) &original = dlsym (RTLD_NEXT, "getenv");
    return original (name);
}

/* Registered last, and so called first. */
static void empty_environment (void)
{
    leaving = 1;
    /* Whoever reads it any other way dies of this. */
    environ = (char **) 16;
}

static void *receive (void *socket)
{
    char buffer[16];
    zmq_recv (socket, buffer, sizeof buffer, 0);
    return NULL;
}

static void *leave (void *unused)
{
    (void) unused;
    exit (0);
}

/* Starts a thread that nobody waits for. */
static void start (void *(*body) (void *), void *argument)
{
    pthread_t thread;
    EQUAL (pthread_create (&thread, NULL, body, argument), 0);
    pthread_detach (thread);
}

/* A pair that has talked, with this mechanism, and of which one end is being waited on. */
static void *talk (void *context, int curve)
{
    char address[256], public_key[41], secret_key[41], buffer[16];
    size_t size = sizeof address;
    void *server = zmq_socket (context, ZMQ_DEALER), *client = zmq_socket (context, ZMQ_DEALER);
    if (curve) {
        int one = 1;
        GOOD (zmq_curve_keypair (public_key, secret_key));
        GOOD (zmq_setsockopt (server, ZMQ_CURVE_SERVER, &one, sizeof one));
        GOOD (zmq_setsockopt (server, ZMQ_CURVE_SECRETKEY, secret_key, 41));
        GOOD (zmq_setsockopt (client, ZMQ_CURVE_SERVERKEY, public_key, 41));
        GOOD (zmq_curve_keypair (public_key, secret_key));
        GOOD (zmq_setsockopt (client, ZMQ_CURVE_PUBLICKEY, public_key, 41));
        GOOD (zmq_setsockopt (client, ZMQ_CURVE_SECRETKEY, secret_key, 41));
    }
    GOOD (zmq_bind (server, "tcp://127.0.0.1:*"));
    GOOD (zmq_getsockopt (server, ZMQ_LAST_ENDPOINT, address, &size));
    GOOD (zmq_connect (client, address));
    GOOD (zmq_send (client, "question", 8, 0));
    EQUAL (zmq_recv (server, buffer, sizeof buffer, 0), 8);
    GOOD (zmq_send (server, "answer", 6, 0));
    EQUAL (zmq_recv (client, buffer, sizeof buffer, 0), 6);
    start (receive, server);
    return client;
}

/* The child: opens all this and leaves by the way of that number. */
static int live_and_leave (int way)
{
    void *context = zmq_ctx_new (), *push = zmq_socket (context, ZMQ_PUSH), *asking = zmq_socket (context, ZMQ_PUSH);
    void *monitor = zmq_socket (context, ZMQ_PAIR), *closed = zmq_socket (context, ZMQ_PUSH);
    alarm (30);
    GOOD (zmq_socket_monitor (push, "inproc://monitor", ZMQ_EVENT_ALL));
    GOOD (zmq_connect (monitor, "inproc://monitor"));
    GOOD (zmq_connect (push, "tcp://127.0.0.1:9"));
    GOOD (zmq_send (push, "never sent", 10, 0));
    GOOD (zmq_connect (asking, "tcp://nobody.invalid:9"));
    GOOD (zmq_connect (closed, "tcp://127.0.0.1:9"));
    GOOD (zmq_send (closed, "lingers", 7, 0));
    GOOD (zmq_close (closed));
    talk (context, 0);
    if (zmq_has ("curve"))
        talk (context, 1);
    atexit (empty_environment);
    if (failures)
        _exit (1);
    if (way == 1)
        exit (0);
    if (way == 2) {
        start (leave, NULL);
        for (;;)
            pause ();
    }
    return 0;
}

TEST (whoever_leaves_with_everything_open_leaves)
{
    int round;
    for (round = 0; round < ROUNDS; round++) {
        int way, status = 0;
        for (way = 0; way < 3; way++) {
            char number[16];
            pid_t child = fork ();
            if (child == 0) {
                snprintf (number, sizeof number, "%d", way);
                execl ("/proc/self/exe", "leaving", number, (char *) NULL);
                _exit (98);
            }
            EQUAL (waitpid (child, &status, 0), child);
            EQUAL (status, 0);
        }
    }
}

int main (int count, char **words)
{
    if (count > 1)
        return live_and_leave (atoi (words[1]));
    RUN (whoever_leaves_with_everything_open_leaves);
    return finished ();
}
