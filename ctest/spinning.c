/* Looking for input again and again instead of sleeping: who does, for how long, and who never does. Between two looks
 * a thread gives way, which is counted here in place of the C library's sched_yield. */
#include "check.h"
#include <pthread.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static atomic_long looks;

int sched_yield (void)
{
    atomic_fetch_add (&looks, 1);
    return (int) syscall (SYS_sched_yield);
}

/* A thread that finds a lock held gives way as well, now and then. */
enum { TRIPS = 3000, FEW = TRIPS / 50 };

static void *open_pair (void *context, int busy_poll)
{
    void *socket = zmq_socket (context, ZMQ_PAIR);
    int limit = PATIENCE_MS;
    GOOD (zmq_setsockopt (socket, ZMQ_BUSY_POLL, &busy_poll, sizeof busy_poll));
    GOOD (zmq_setsockopt (socket, ZMQ_RCVTIMEO, &limit, sizeof limit));
    return socket;
}

static void *answer (void *socket)
{
    char byte;
    for (int i = 0; i < TRIPS; i++) {
        if (zmq_recv (socket, &byte, 1, 0) != 1 || zmq_send (socket, &byte, 1, 0) != 1)
            return "no";
    }
    return NULL;
}

/* How often two threads looked in vain that sent a message to and fro. */
static long looks_in_ping_pong (int busy_poll)
{
    void *context = zmq_ctx_new (), *a = open_pair (context, busy_poll), *b = open_pair (context, busy_poll), *failed;
    pthread_t other;
    char byte = 'x';
    GOOD (zmq_bind (a, "inproc://to-and-fro"));
    GOOD (zmq_connect (b, "inproc://to-and-fro"));
    long before = atomic_load (&looks);
    EQUAL (pthread_create (&other, NULL, answer, b), 0);
    for (int i = 0; i < TRIPS; i++) {
        if (zmq_send (a, &byte, 1, 0) != 1 || zmq_recv (a, &byte, 1, 0) != 1) {
            CHECK (!"an answer");
            break;
        }
    }
    pthread_join (other, &failed);
    CHECK (!failed);
    long result = atomic_load (&looks) - before;
    zmq_close (a);
    zmq_close (b);
    GOOD (zmq_ctx_term (context));
    return result;
}

static int processors (void)
{
    cpu_set_t set;
    sched_getaffinity (0, sizeof set, &set);
    return CPU_COUNT (&set);
}

TEST (by_itself_where_there_is_a_processor_to_spare)
{
    /* Where others keep all processors busy it may not pay for a while. */
    int tries = 20;
    while (processors () > 1 && looks_in_ping_pong (0) <= FEW && --tries > 0)
        ;
    CHECK (tries > 0);
}

TEST (never_where_it_is_turned_off)
{
    CHECK (looks_in_ping_pong (-1) <= FEW);
}

TEST (never_on_one_processor)
{
    pid_t child = fork ();
    if (child == 0) {
        cpu_set_t all, one;
        int cpu = 0;
        sched_getaffinity (0, sizeof all, &all);
        while (!CPU_ISSET (cpu, &all))
            cpu++;
        CPU_ZERO (&one);
        CPU_SET (cpu, &one);
        EQUAL (sched_setaffinity (0, sizeof one, &one), 0);
        CHECK (looks_in_ping_pong (0) <= FEW);
        CHECK (looks_in_ping_pong (500) <= FEW);
        _exit (failures != failures_before);
    }
    int status = 0;
    EQUAL (waitpid (child, &status, 0), child);
    EQUAL (status, 0);
}

/* In how many of `waits` waits for nothing somebody looked more than once. */
static int waits_with_looks (int busy_poll, int waits)
{
    void *context = zmq_ctx_new (), *socket = open_pair (context, busy_poll);
    int found = 0, limit = 1;
    char byte;
    GOOD (zmq_setsockopt (socket, ZMQ_RCVTIMEO, &limit, sizeof limit));
    GOOD (zmq_bind (socket, "inproc://nobody"));
    for (int i = 0; i < waits; i++) {
        long before = atomic_load (&looks);
        FAILS (zmq_recv (socket, &byte, 1, 0), EAGAIN);
        found += atomic_load (&looks) > before;
    }
    zmq_close (socket);
    GOOD (zmq_ctx_term (context));
    return found;
}

TEST (hardly_where_it_does_not_pay)
{
    CHECK (waits_with_looks (0, 256) <= 8);
}

TEST (always_where_it_is_asked_for)
{
    if (processors () > 1)
        EQUAL (waits_with_looks (200, 100), 100);
    CHECK (waits_with_looks (-1, 200) <= FEW);
}

TEST (the_option_reads_as_it_was_set)
{
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PAIR);
    int value = 7;
    size_t size = sizeof value;
    GOOD (zmq_getsockopt (socket, ZMQ_BUSY_POLL, &value, &size));
    EQUAL (value, 0);
    value = -1;
    GOOD (zmq_setsockopt (socket, ZMQ_BUSY_POLL, &value, sizeof value));
    value = 7;
    GOOD (zmq_getsockopt (socket, ZMQ_BUSY_POLL, &value, &size));
    EQUAL (value, -1);
    zmq_close (socket);
    GOOD (zmq_ctx_term (context));
}

/* How many of this process's listening descriptors have that time set. */
static int listeners_polling_for (int microseconds)
{
    int found = 0;
    for (int fd = 3; fd < 256; fd++) {
        int listening = 0, time = 0;
        socklen_t size = sizeof (int);
        getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
        size = sizeof (int);
        getsockopt (fd, SOL_SOCKET, SO_BUSY_POLL, &time, &size);
        found += listening && time == microseconds;
    }
    return found;
}

/* The kernel lets only some processes do that. */
TEST (the_kernel_is_told_as_well)
{
    int time = 37, probe = socket (AF_INET, SOCK_STREAM, 0);
    int allowed = setsockopt (probe, SOL_SOCKET, SO_BUSY_POLL, &time, sizeof time) == 0;
    void *context = zmq_ctx_new (), *socket = open_pair (context, time);
    GOOD (zmq_bind (socket, "tcp://127.0.0.1:*"));
    EQUAL (listeners_polling_for (time), allowed);
    zmq_close (socket);
    GOOD (zmq_ctx_term (context));
    close (probe);
}

int main (void)
{
    RUN (by_itself_where_there_is_a_processor_to_spare);
    RUN (never_where_it_is_turned_off);
    RUN (never_on_one_processor);
    RUN (hardly_where_it_does_not_pay);
    RUN (always_where_it_is_asked_for);
    RUN (the_option_reads_as_it_was_set);
    RUN (the_kernel_is_told_as_well);
    return finished ();
}
