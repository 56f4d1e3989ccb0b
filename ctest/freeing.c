/* Free functions of zmq_msg_init_data that take a lock which the application also holds around its calls: they run where
 * nobody inside the library, or in such a call, can be in their way; once each, and all of them by zmq_ctx_term. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;
static int freed, twice;

/* What a message has to free: its bytes follow. */
struct load {
    int given;
};

static void give_back (void *data, void *hint)
{
    struct load *load = (struct load *) hint;
    (void) data;
    pthread_mutex_lock (&mine);
    freed++;
    twice += load->given++;
    pthread_mutex_unlock (&mine);
}

static int freed_now (void)
{
    int now;
    pthread_mutex_lock (&mine);
    now = freed;
    pthread_mutex_unlock (&mine);
    return now;
}

/* All loads of a test, which live until it is over. */
static struct load *loads[20000];
static int made;

static void begin (void)
{
    freed = twice = made = 0;
}

static void end_with_all_given_back (void)
{
    int i;
    EQUAL (freed_now (), made);
    EQUAL (twice, 0);
    for (i = 0; i < made; i++)
        free (loads[i]);
}

static void fill (zmq_msg_t *message, size_t size)
{
    struct load *load = (struct load *) calloc (1, sizeof *load + size);
    loads[made++] = load;
    GOOD (zmq_msg_init_data (message, load + 1, size, give_back, load));
}

/* Sends with the lock held; what was not sent is closed without it. */
static int send_locked (void *socket, size_t size, int flags)
{
    zmq_msg_t message;
    int sent;
    fill (&message, size);
    pthread_mutex_lock (&mine);
    sent = zmq_msg_send (&message, socket, flags);
    pthread_mutex_unlock (&mine);
    if (sent < 0)
        GOOD (zmq_msg_close (&message));
    return sent;
}

static void *opened (void *context, int type)
{
    void *socket = open_socket (context, type);
    set_int (socket, ZMQ_SNDHWM, 0);
    set_int (socket, ZMQ_RCVHWM, 0);
    return socket;
}

/* The first binds, the second is on a context of its own where the transport can. */
static void two (const char *transport, int binds, int connects, void **contexts, void **one, void **other)
{
    contexts[0] = zmq_ctx_new ();
    contexts[1] = strcmp (transport, "inproc") ? zmq_ctx_new () : NULL;
    *one = opened (contexts[0], binds);
    GOOD (zmq_bind (*one, address_on (transport)));
    *other = opened (contexts[1] ? contexts[1] : contexts[0], connects);
    GOOD (zmq_connect (*other, last_endpoint (*one)));
}

static void end (void **contexts, void *one, void *other)
{
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (contexts[0]));
    if (contexts[1])
        GOOD (zmq_ctx_term (contexts[1]));
}

/* Counts whole messages until one of a byte comes. */
static void *count_messages (void *socket)
{
    static char bytes[100000];
    intptr_t count = 0;
    for (;;) {
        int size = zmq_recv (socket, bytes, sizeof bytes, 0);
        if (size < 0 || size == 1)
            return (void *) count;
        count += !more (socket);
    }
}

static const size_t sizes[] = {100, 1000, 10000, 60000};
enum { SIZES = 4, MESSAGES = 300 };

TEST (a_lock_that_is_held_while_sending)
{
    size_t i, k, n;
    for (i = 0; i < TRANSPORTS; i++)
        for (k = 0; k < SIZES; k++) {
            void *contexts[2], *push, *pull, *count;
            pthread_t reader;
            begin ();
            two (transports[i], ZMQ_PUSH, ZMQ_PULL, contexts, &push, &pull);
            pthread_create (&reader, NULL, count_messages, pull);
            for (n = 0; n < MESSAGES; n++) {
                EQUAL (send_locked (push, sizes[k], 0), (long long) sizes[k]);
                if (n < 20)
                    usleep (200); /* an idle link, and then a burst */
            }
            GOOD (send_text (push, "x", 0));
            pthread_join (reader, &count);
            EQUAL ((intptr_t) count, MESSAGES);
            end (contexts, push, pull);
            end_with_all_given_back ();
        }
}

TEST (a_lock_that_is_held_while_sending_parts)
{
    size_t i, n, k;
    for (i = 0; i < TRANSPORTS; i++) {
        void *contexts[2], *push, *pull, *count;
        pthread_t reader;
        begin ();
        two (transports[i], ZMQ_PUSH, ZMQ_PULL, contexts, &push, &pull);
        pthread_create (&reader, NULL, count_messages, pull);
        for (n = 0; n < MESSAGES; n++)
            for (k = 0; k < SIZES; k++)
                GOOD (send_locked (push, sizes[(n + k) % SIZES], k + 1 < SIZES ? ZMQ_SNDMORE : 0));
        GOOD (send_text (push, "x", 0));
        pthread_join (reader, &count);
        EQUAL ((intptr_t) count, MESSAGES);
        end (contexts, push, pull);
        end_with_all_given_back ();
    }
}

/* Has shaken hands as a DEALER, and reads nothing more. */
static int raw_peer (int port)
{
    static const unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const unsigned char ready[] = "\4\34\5READY\13Socket-Type\0\0\0\6DEALER";
    unsigned char got[64];
    size_t have = 0;
    struct sockaddr_in address;
    int room = 65536, fd = socket (AF_INET, SOCK_STREAM, 0);
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons ((uint16_t) port);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    GOOD (setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    GOOD (connect (fd, (struct sockaddr *) &address, sizeof address));
    EQUAL (write (fd, greeting, sizeof greeting), sizeof greeting);
    EQUAL (write (fd, ready, sizeof ready - 1), sizeof ready - 1);
    while (have < sizeof got) {
        ssize_t size = read (fd, got, sizeof got - have);
        if (size <= 0)
            break;
        have += (size_t) size;
    }
    EQUAL (have, sizeof got);
    return fd;
}

static int resetting;

static void *reset_again_and_again (void *port)
{
    static const struct linger reset = {1, 0};
    int i;
    for (i = 0; i < 20; i++) {
        int fd = raw_peer ((int) (intptr_t) port);
        usleep (20000);
        setsockopt (fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close (fd);
    }
    __atomic_store_n (&resetting, 0, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST (a_peer_that_resets_with_messages_queued)
{
    static const size_t queued[] = {100, 20000};
    size_t k;
    for (k = 0; k < 2; k++) {
        void *context = zmq_ctx_new (), *dealer = opened (context, ZMQ_DEALER);
        pthread_t peer;
        intptr_t port;
        begin ();
        GOOD (zmq_bind (dealer, "tcp://127.0.0.1:*"));
        port = atoi (strrchr (last_endpoint (dealer), ':') + 1);
        resetting = 1;
        pthread_create (&peer, NULL, reset_again_and_again, (void *) port);
        while (__atomic_load_n (&resetting, __ATOMIC_SEQ_CST) && made < (int) (sizeof loads / sizeof *loads))
            if (send_locked (dealer, queued[k], ZMQ_DONTWAIT) < 0 || made % 4 == 0)
                usleep (100);
        pthread_join (peer, NULL);
        GOOD (zmq_close (dealer));
        GOOD (zmq_ctx_term (context));
        end_with_all_given_back ();
    }
}

TEST (who_waits_for_its_buffer_gets_it)
{
    size_t i, k, n;
    for (i = 1; i < TRANSPORTS; i++)
        for (k = 0; k < SIZES; k++) {
            void *contexts[2], *push, *pull;
            int64_t began;
            begin ();
            two (transports[i], ZMQ_PUSH, ZMQ_PULL, contexts, &push, &pull);
            GOOD (send_text (push, "hello", 0));
            EXPECT (pull, "hello");
            began = now_ms ();
            /* No call helps: the library has to come to it by itself. */
            for (n = 1; n <= 50; n++) {
                int64_t limit = now_ms () + PATIENCE_MS;
                GOOD (send_locked (push, sizes[k], 0));
                while (freed_now () < (int) n && now_ms () < limit)
                    usleep (50);
                EQUAL (freed_now (), (long long) n);
            }
            CHECK (now_ms () - began < 2000);
            end (contexts, push, pull);
            end_with_all_given_back ();
        }
}

TEST (a_lock_that_is_held_while_closing)
{
    size_t i, n;
    for (i = 0; i < TRANSPORTS; i++) {
        void *contexts[2], *push, *pull;
        begin ();
        two (transports[i], ZMQ_PULL, ZMQ_PUSH, contexts, &pull, &push);
        for (n = 0; n < MESSAGES; n++)
            GOOD (send_locked (push, 10000, 0));
        EQUAL (poll_one (pull, ZMQ_POLLIN, PATIENCE_MS), ZMQ_POLLIN);
        pthread_mutex_lock (&mine);
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
        pthread_mutex_unlock (&mine);
        GOOD (zmq_ctx_term (contexts[0]));
        if (contexts[1])
            GOOD (zmq_ctx_term (contexts[1]));
        end_with_all_given_back ();
    }
}

/* Here no lock can be held: the call itself drops the message, in the original too. */
TEST (what_nobody_gets_is_freed_at_once)
{
    void *context = zmq_ctx_new (), *pub = opened (context, ZMQ_PUB), *router = opened (context, ZMQ_ROUTER);
    zmq_msg_t message;
    int n;
    begin ();
    for (n = 0; n < 20; n++) {
        fill (&message, n % 2 ? 100 : 50000);
        CHECK (zmq_msg_send (&message, pub, 0) > 0);
        EQUAL (freed_now (), 2 * n + 1);
        fill (&message, n % 2 ? 100 : 50000);
        EQUAL (send_text (router, "nobody", ZMQ_SNDMORE), 6);
        CHECK (zmq_msg_send (&message, router, 0) > 0);
        EQUAL (freed_now (), 2 * n + 2);
    }
    GOOD (zmq_close (pub));
    GOOD (zmq_close (router));
    GOOD (zmq_ctx_term (context));
    end_with_all_given_back ();
}

/* Of a received message, too, the user's call runs the function. */
TEST (closing_a_message_frees_at_once)
{
    size_t n;
    for (n = 0; n < 3; n++) {
        void *contexts[2], *push, *pull;
        zmq_msg_t message, other;
        begin ();
        two ("inproc", ZMQ_PUSH, ZMQ_PULL, contexts, &push, &pull);
        EQUAL (send_locked (push, 100, 0), 100);
        GOOD (zmq_msg_init (&message));
        GOOD (zmq_msg_init (&other));
        EQUAL (zmq_msg_recv (&message, pull, 0), 100);
        EQUAL (freed_now (), 0);
        if (n == 0)
            GOOD (zmq_msg_close (&message));
        else
            GOOD (n == 1 ? zmq_msg_move (&message, &other) : zmq_msg_copy (&message, &other));
        EQUAL (freed_now (), 1);
        end (contexts, push, pull);
        end_with_all_given_back ();
    }
}

TEST (a_message_that_outlives_its_context)
{
    void *contexts[2], *push, *pull;
    zmq_msg_t message;
    begin ();
    two ("inproc", ZMQ_PUSH, ZMQ_PULL, contexts, &push, &pull);
    EQUAL (send_locked (push, 100, 0), 100);
    GOOD (zmq_msg_init (&message));
    EQUAL (zmq_msg_recv (&message, pull, 0), 100);
    end (contexts, push, pull);
    EQUAL (freed_now (), 0);
    GOOD (zmq_msg_close (&message));
    end_with_all_given_back ();
}

TEST (a_context_without_io_threads)
{
    void *context = zmq_ctx_new (), *push, *pull;
    int n;
    begin ();
    GOOD (zmq_ctx_set (context, ZMQ_IO_THREADS, 0));
    pair_of (context, "inproc", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    for (n = 0; n < 10; n++)
        EQUAL (send_locked (push, 100, 0), 100);
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
    GOOD (zmq_ctx_term (context));
    end_with_all_given_back ();
}

int main (void)
{
    RUN (a_lock_that_is_held_while_sending);
    RUN (a_lock_that_is_held_while_sending_parts);
    RUN (a_peer_that_resets_with_messages_queued);
    RUN (who_waits_for_its_buffer_gets_it);
    RUN (a_lock_that_is_held_while_closing);
    RUN (what_nobody_gets_is_freed_at_once);
    RUN (closing_a_message_frees_at_once);
    RUN (a_message_that_outlives_its_context);
    RUN (a_context_without_io_threads);
    return finished ();
}
