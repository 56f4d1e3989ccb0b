/* How much the library reads and writes at a time: the system calls that it makes are counted here, as the linker
 * prefers a program's own functions. */
#include "check.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* The library's threads count as well as the test's. */
static size_t most_read, most_written;
static size_t read_at_most, written_at_most;

static void note (size_t *most, size_t size)
{
    size_t known = __atomic_load_n (most, __ATOMIC_RELAXED);
    while (size > known && !__atomic_compare_exchange_n (most, &known, size, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

ssize_t recv (int fd, void *buffer, size_t size, int flags)
{
    note (&most_read, size);
    return syscall (SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
}

ssize_t send (int fd, const void *buffer, size_t size, int flags)
{
    note (&most_written, size);
    return syscall (SYS_sendto, fd, buffer, size, flags, NULL, 0);
}

ssize_t sendmsg (int fd, const struct msghdr *msg, int flags)
{
    size_t i, size = 0;
    for (i = 0; i < (size_t) msg->msg_iovlen; i++)
        size += msg->msg_iov[i].iov_len;
    note (&most_written, size);
    return syscall (SYS_sendmsg, fd, msg, flags);
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

int main (void)
{
    RUN (system_calls_are_as_large_as_the_options_say);
    return finished ();
}
