/* How much the library reads and writes at a time, from where, and in which thread: the system calls that it makes are
 * counted here, as the linker prefers a program's own functions. */
#include "check.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The library's threads count as well as the test's. */
static size_t most_read, most_written;
static size_t read_at_most, written_at_most;
/* Whether anything was written from here, and the bytes of large writes: of the thread that says so, and of others. */
static const void *watched;
static int from_there;
static __thread int is_sender;
static size_t by_sender, by_others;

static void note (size_t *most, size_t size)
{
    size_t known = __atomic_load_n (most, __ATOMIC_RELAXED);
    while (size > known && !__atomic_compare_exchange_n (most, &known, size, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static ssize_t written_by (ssize_t written)
{
    if (written > 0)
        __atomic_fetch_add (is_sender ? &by_sender : &by_others, (size_t) written, __ATOMIC_RELAXED);
    return written;
}

ssize_t recv (int fd, void *buffer, size_t size, int flags)
{
    note (&most_read, size);
    return syscall (SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
}

ssize_t send (int fd, const void *buffer, size_t size, int flags)
{
    note (&most_written, size);
    return written_by (syscall (SYS_sendto, fd, buffer, size, flags, NULL, 0));
}

ssize_t sendmsg (int fd, const struct msghdr *msg, int flags)
{
    size_t i, size = 0;
    for (i = 0; i < (size_t) msg->msg_iovlen; i++)
        size += msg->msg_iov[i].iov_len;
    note (&most_written, size);
    for (i = 0; i < (size_t) msg->msg_iovlen; i++)
        if (msg->msg_iov[i].iov_base == __atomic_load_n (&watched, __ATOMIC_RELAXED))
            __atomic_store_n (&from_there, 1, __ATOMIC_RELAXED);
    return written_by (syscall (SYS_sendmsg, fd, msg, flags));
}

/* Small and large messages arrive whole, however they are cut on the way. */
static void exchange (void *context, const char *transport, int in, int out)
{
    static unsigned char bytes[50000], got[50000];
    void *push = open_socket (context, ZMQ_PUSH), *pull = open_socket (context, ZMQ_PULL);
    size_t i;
    int n;
    set_int (push, ZMQ_OUT_BATCH_SIZE, out);
    set_int (pull, ZMQ_OUT_BATCH_SIZE, out);
    set_int (push, ZMQ_IN_BATCH_SIZE, in);
    set_int (pull, ZMQ_IN_BATCH_SIZE, in);
    GOOD (zmq_bind (pull, address_on (transport)));
    GOOD (zmq_connect (push, last_endpoint (pull)));
    GOOD (send_text (push, "first", 0));
    EXPECT (pull, "first");
    __atomic_store_n (&most_read, 0, __ATOMIC_RELAXED);
    __atomic_store_n (&most_written, 0, __ATOMIC_RELAXED);
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char) (i * 7 + i / 256);
    for (n = 0; n < 40; n++)
        GOOD (zmq_send (push, bytes, n % 4 ? 300 : sizeof bytes, 0));
    for (n = 0; n < 40; n++) {
        int size = n % 4 ? 300 : (int) sizeof bytes;
        EQUAL (zmq_recv (pull, got, sizeof got, 0), size);
        CHECK (!memcmp (got, bytes, (size_t) size));
    }
    /* Closing reads what is left, in pieces of its own. */
    read_at_most = __atomic_load_n (&most_read, __ATOMIC_RELAXED);
    written_at_most = __atomic_load_n (&most_written, __ATOMIC_RELAXED);
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
}

TEST (system_calls_are_as_large_as_the_options_say)
{
    void *context = zmq_ctx_new ();
    int t;
    for (t = 1; t < TRANSPORTS; t++) {
        exchange (context, transports[t], 100, 70);
        if (ours ()) {
            CHECK (read_at_most > 0 && read_at_most <= 100);
            CHECK (written_at_most > 0 && written_at_most <= 70);
        }
        exchange (context, transports[t], 8192, 8192);
        if (ours ())
            CHECK (read_at_most > 8192 && written_at_most > 8192);
    }
    GOOD (zmq_ctx_term (context));
}

/* Where nothing waits before it a large message is copied by the kernel only, alone or behind a small part. */
TEST (large_messages_are_written_from_where_they_lie)
{
    static char body[40000];
    void *context = zmq_ctx_new ();
    int t, parts;
    for (t = 1; t < TRANSPORTS; t++)
        for (parts = 1; parts <= 2; parts++) {
            void *push, *pull;
            int n;
            pair_of (context, transports[t], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
            __atomic_store_n (&watched, body, __ATOMIC_RELAXED);
            __atomic_store_n (&from_there, 0, __ATOMIC_RELAXED);
            /* Whoever wrote the one before may still be about to say so. */
            for (n = 0; n < 1000 && !__atomic_load_n (&from_there, __ATOMIC_RELAXED); n++) {
                if (parts == 2)
                    GOOD (send_text (push, "small", ZMQ_SNDMORE));
                GOOD (zmq_send (push, body, sizeof body, 0));
                if (parts == 2)
                    EXPECT (pull, "small");
                EQUAL (zmq_recv (pull, NULL, 0, 0), (int) sizeof body);
            }
            if (ours ())
                CHECK (__atomic_load_n (&from_there, __ATOMIC_RELAXED));
            __atomic_store_n (&watched, NULL, __ATOMIC_RELAXED);
            GOOD (zmq_close (push));
            GOOD (zmq_close (pull));
        }
    GOOD (zmq_ctx_term (context));
}

enum { HUGE = 4 * 1024 * 1024, SOME = 60 };

static void *send_huge (void *push)
{
    static char body[HUGE];
    int i;
    is_sender = 1;
    for (i = 0; i < SOME; i++)
        GOOD (zmq_send (push, body, sizeof body, 0));
    return NULL;
}

/* No other thread is woken for each piece that the kernel has room for. */
TEST (who_waits_at_the_mark_writes_by_itself)
{
    void *context = zmq_ctx_new ();
    int t, n;
    for (t = 1; t < TRANSPORTS; t++) {
        void *push = open_socket (context, ZMQ_PUSH), *pull = open_socket (context, ZMQ_PULL);
        pthread_t sender;
        set_int (push, ZMQ_SNDHWM, 1);
        set_int (pull, ZMQ_RCVHWM, 1);
        GOOD (zmq_bind (pull, address_on (transports[t])));
        GOOD (zmq_connect (push, last_endpoint (pull)));
        GOOD (send_text (push, "first", 0));
        EXPECT (pull, "first");
        __atomic_store_n (&by_sender, 0, __ATOMIC_RELAXED);
        __atomic_store_n (&by_others, 0, __ATOMIC_RELAXED);
        pthread_create (&sender, NULL, send_huge, push);
        for (n = 0; n < SOME; n++)
            EQUAL (zmq_recv (pull, NULL, 0, 0), HUGE);
        pthread_join (sender, NULL);
        if (ours ())
            CHECK (__atomic_load_n (&by_sender, __ATOMIC_RELAXED) > 2 * __atomic_load_n (&by_others, __ATOMIC_RELAXED));
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
    }
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (system_calls_are_as_large_as_the_options_say);
    RUN (large_messages_are_written_from_where_they_lie);
    RUN (who_waits_at_the_mark_writes_by_itself);
    return finished ();
}
