/* zmq_msg_t: lifetimes, sharing, foreign data and what a message tells about itself. */
#include "check.h"

static int freed;
static void *freed_data, *freed_hint;

static void release (void *data, void *hint)
{
    __atomic_add_fetch (&freed, 1, __ATOMIC_SEQ_CST);
    freed_data = data;
    freed_hint = hint;
}

static int freed_now (void)
{
    return __atomic_load_n (&freed, __ATOMIC_SEQ_CST);
}

TEST (fresh_messages)
{
    zmq_msg_t message;
    EQUAL (sizeof message, 64);
    GOOD (zmq_msg_init (&message));
    EQUAL (zmq_msg_size (&message), 0);
    CHECK (zmq_msg_data (&message) != NULL);
    EQUAL (zmq_msg_more (&message), 0);
    EQUAL (zmq_msg_get (&message, ZMQ_MORE), 0);
    EQUAL (zmq_msg_get (&message, ZMQ_SHARED), 0);
    EQUAL (zmq_msg_routing_id (&message), 0);
    EQUAL (strlen (zmq_msg_group (&message)), 0);
    FAILS (zmq_msg_get (&message, ZMQ_SRCFD), EINVAL);
    FAILS (zmq_msg_get (&message, 0), EINVAL);
    FAILS (zmq_msg_get (&message, 99), EINVAL);
    FAILS (zmq_msg_set (&message, ZMQ_MORE, 1), EINVAL);
    FAILS (zmq_msg_set (&message, 99, 1), EINVAL);
    FAILS (zmq_msg_set_routing_id (&message, 0), EINVAL);
    GOOD (zmq_msg_set_routing_id (&message, 7));
    EQUAL (zmq_msg_routing_id (&message), 7);
    NONE (zmq_msg_gets (&message, "Socket-Type"), EINVAL);
    GOOD (zmq_msg_close (&message));
}

TEST (sizes)
{
    static const size_t sizes[] = {0, 1, 29, 30, 33, 34, 64, 255, 256, 8192, 100000};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zmq_msg_t message;
        unsigned char *data;
        GOOD (zmq_msg_init_size (&message, sizes[i]));
        EQUAL (zmq_msg_size (&message), (long long) sizes[i]);
        data = (unsigned char *) zmq_msg_data (&message);
        memset (data, 0xa5, sizes[i]);
        /* 33 bytes and less are stored in the structure itself */
        EQUAL (data == (unsigned char *) &message + 8, sizes[i] <= 33);
        EQUAL (zmq_msg_get (&message, ZMQ_SHARED), 0);
        GOOD (zmq_msg_close (&message));
    }
}

TEST (impossible_sizes)
{
    zmq_msg_t message;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 64, SIZE_MAX / 2};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        FAILS (zmq_msg_init_size (&message, sizes[i]), ENOMEM);
        if (ours ())
            FAILS (zmq_msg_init_buffer (&message, "x", sizes[i]), ENOMEM);
    }
}

TEST (init_buffer)
{
    zmq_msg_t message;
    char bytes[200];
    memset (bytes, 'b', sizeof bytes);
    GOOD (zmq_msg_init_buffer (&message, bytes, sizeof bytes));
    EQUAL (zmq_msg_size (&message), 200);
    CHECK (zmq_msg_data (&message) != bytes && !memcmp (zmq_msg_data (&message), bytes, 200));
    GOOD (zmq_msg_close (&message));
    GOOD (zmq_msg_init_buffer (&message, NULL, 0));
    EQUAL (zmq_msg_size (&message), 0);
    GOOD (zmq_msg_close (&message));
}

TEST (closing_twice)
{
    zmq_msg_t message, other;
    GOOD (zmq_msg_init_size (&message, 100));
    GOOD (zmq_msg_close (&message));
    FAILS (zmq_msg_close (&message), EFAULT);
    FAILS (zmq_msg_close (&message), EFAULT);
    GOOD (zmq_msg_init (&other));
    FAILS (zmq_msg_move (&other, &message), EFAULT);
    FAILS (zmq_msg_move (&message, &other), EFAULT);
    FAILS (zmq_msg_copy (&other, &message), EFAULT);
    FAILS (zmq_msg_copy (&message, &other), EFAULT);
    EQUAL (zmq_msg_size (&other), 0);
    GOOD (zmq_msg_close (&other));
    if (ours ()) {
        zmq_msg_t never;
        memset (&never, 0, sizeof never);
        FAILS (zmq_msg_close (&never), EFAULT);
        memset (&never, 0xff, sizeof never);
        FAILS (zmq_msg_close (&never), EFAULT);
        EQUAL (zmq_msg_size (&message), 0);
        FAILS (zmq_msg_close (NULL), EFAULT);
    }
}

TEST (moving)
{
    zmq_msg_t from, to;
    void *data;
    GOOD (zmq_msg_init_size (&from, 100));
    memset (zmq_msg_data (&from), 'm', 100);
    data = zmq_msg_data (&from);
    GOOD (zmq_msg_init_size (&to, 50));
    GOOD (zmq_msg_move (&to, &from));
    EQUAL (zmq_msg_size (&to), 100);
    EQUAL (zmq_msg_size (&from), 0);
    CHECK (zmq_msg_data (&to) == data);
    GOOD (zmq_msg_close (&from));
    GOOD (zmq_msg_close (&to));

    GOOD (zmq_msg_init_size (&from, 5));
    memcpy (zmq_msg_data (&from), "small", 5);
    GOOD (zmq_msg_init (&to));
    GOOD (zmq_msg_move (&to, &from));
    CHECK (zmq_msg_size (&to) == 5 && !memcmp (zmq_msg_data (&to), "small", 5));
    EQUAL (zmq_msg_size (&from), 0);
    GOOD (zmq_msg_close (&from));
    GOOD (zmq_msg_close (&to));
    if (ours ()) {
        GOOD (zmq_msg_init_size (&to, 100));
        GOOD (zmq_msg_move (&to, &to));
        GOOD (zmq_msg_close (&to));
    }
}

TEST (copies_share)
{
    zmq_msg_t one, two, three;
    GOOD (zmq_msg_init_size (&one, 100));
    memset (zmq_msg_data (&one), 'c', 100);
    GOOD (zmq_msg_init (&two));
    GOOD (zmq_msg_init (&three));
    EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 0);
    GOOD (zmq_msg_copy (&two, &one));
    EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 1);
    EQUAL (zmq_msg_get (&two, ZMQ_SHARED), 1);
    CHECK (zmq_msg_data (&one) == zmq_msg_data (&two));
    GOOD (zmq_msg_copy (&three, &two));
    GOOD (zmq_msg_close (&one));
    GOOD (zmq_msg_close (&two));
    EQUAL (zmq_msg_get (&three, ZMQ_SHARED), 1);
    EQUAL (zmq_msg_size (&three), 100);
    EQUAL (((char *) zmq_msg_data (&three))[99], 'c');
    GOOD (zmq_msg_close (&three));

    /* inline payloads are copied */
    GOOD (zmq_msg_init_size (&one, 33));
    GOOD (zmq_msg_init (&two));
    GOOD (zmq_msg_copy (&two, &one));
    CHECK (zmq_msg_data (&one) != zmq_msg_data (&two));
    EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 0);
    EQUAL (zmq_msg_get (&two, ZMQ_SHARED), 0);
    GOOD (zmq_msg_close (&one));
    GOOD (zmq_msg_close (&two));

    /* the target's old content goes */
    freed = 0;
    GOOD (zmq_msg_init_size (&one, 40));
    GOOD (zmq_msg_init_data (&two, malloc (1), 1, release, NULL));
    GOOD (zmq_msg_copy (&two, &one));
    EQUAL (freed_now (), 1);
    free (freed_data);
    GOOD (zmq_msg_close (&one));
    GOOD (zmq_msg_close (&two));
}

TEST (foreign_data_is_released_once)
{
    static const size_t sizes[] = {0, 1, 33, 34, 5000};
    char data[5000];
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zmq_msg_t one, two, three;
        freed = 0;
        GOOD (zmq_msg_init_data (&one, data, sizes[i], release, &freed));
        CHECK (zmq_msg_data (&one) == data);
        EQUAL (zmq_msg_size (&one), (long long) sizes[i]);
        EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 0);
        GOOD (zmq_msg_init (&two));
        GOOD (zmq_msg_init (&three));
        GOOD (zmq_msg_copy (&two, &one));
        EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 1);
        CHECK (zmq_msg_data (&two) == data);
        GOOD (zmq_msg_move (&three, &one));
        EQUAL (freed_now (), 0);
        GOOD (zmq_msg_close (&three));
        GOOD (zmq_msg_close (&one));
        EQUAL (freed_now (), 0);
        GOOD (zmq_msg_close (&two));
        EQUAL (freed_now (), 1);
        CHECK (freed_data == data && freed_hint == &freed);
    }
}

TEST (constant_data)
{
    static char text[] = "a constant that nobody releases, longer than what fits in a message";
    zmq_msg_t one, two;
    GOOD (zmq_msg_init_data (&one, text, sizeof text, NULL, NULL));
    CHECK (zmq_msg_data (&one) == text);
    EQUAL (zmq_msg_get (&one, ZMQ_SHARED), 1);
    GOOD (zmq_msg_init (&two));
    GOOD (zmq_msg_copy (&two, &one));
    CHECK (zmq_msg_data (&two) == text);
    GOOD (zmq_msg_close (&one));
    GOOD (zmq_msg_close (&two));
}

TEST (foreign_data_is_released_after_sending)
{
    static const size_t sizes[] = {0, 1, 33, 34, 100000};
    size_t i, k;
    for (i = 0; i < TRANSPORTS; i++)
        for (k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            void *context = zmq_ctx_new (), *from, *to;
            char *data = (char *) calloc (1, sizes[k] + 1);
            zmq_msg_t message;
            pair_of (context, transports[i], ZMQ_PULL, ZMQ_PUSH, &to, &from);
            freed = 0;
            GOOD (zmq_msg_init_data (&message, data, sizes[k], release, NULL));
            EQUAL (zmq_msg_send (&message, from, 0), (long long) sizes[k]);
            EQUAL (zmq_msg_size (&message), 0); /* valid and empty */
            GOOD (zmq_msg_close (&message));
            GOOD (zmq_msg_init (&message));
            EQUAL (zmq_msg_recv (&message, to, 0), (long long) sizes[k]);
            GOOD (zmq_msg_close (&message));
            WAIT_UNTIL (from, freed_now () > 0);
            GOOD (zmq_close (from));
            GOOD (zmq_close (to));
            GOOD (zmq_ctx_term (context));
            EQUAL (freed_now (), 1);
            free (data);
        }
}

TEST (foreign_data_of_failed_and_dropped_messages)
{
    void *context = zmq_ctx_new (), *push = open_socket (context, ZMQ_PUSH), *pub = open_socket (context, ZMQ_PUB);
    char data[100];
    zmq_msg_t message;
    freed = 0;
    GOOD (zmq_msg_init_data (&message, data, sizeof data, release, NULL));
    FAILS (zmq_msg_send (&message, push, ZMQ_DONTWAIT), EAGAIN);
    EQUAL (freed_now (), 0);
    EQUAL (zmq_msg_size (&message), 100); /* still the caller's */
    EQUAL (zmq_msg_send (&message, pub, 0), 100);
    EQUAL (freed_now (), 1); /* nobody subscribed */
    EQUAL (zmq_msg_size (&message), 0);
    GOOD (zmq_msg_close (&message));
    GOOD (zmq_close (push));
    GOOD (zmq_close (pub));
    GOOD (zmq_ctx_term (context));
    EQUAL (freed_now (), 1);
}

TEST (foreign_data_never_delivered)
{
    void *context = zmq_ctx_new (), *push = open_socket (context, ZMQ_PUSH);
    char data[100];
    int i;
    freed = 0;
    GOOD (zmq_connect (push, "tcp://127.0.0.1:1"));
    for (i = 0; i < 10; i++) {
        zmq_msg_t message;
        GOOD (zmq_msg_init_data (&message, data, sizeof data, release, NULL));
        EQUAL (zmq_msg_send (&message, push, 0), 100);
    }
    GOOD (zmq_close (push));
    GOOD (zmq_ctx_term (context));
    EQUAL (freed_now (), 10);
}

TEST (inproc_passes_the_pointer)
{
    void *context = zmq_ctx_new (), *one, *other, *data;
    zmq_msg_t message;
    pair_of (context, "inproc", ZMQ_PAIR, ZMQ_PAIR, &one, &other);
    GOOD (zmq_msg_init_size (&message, 100));
    data = zmq_msg_data (&message);
    GOOD (zmq_msg_send (&message, one, 0));
    GOOD (zmq_msg_init (&message));
    GOOD (zmq_msg_recv (&message, other, 0));
    CHECK (zmq_msg_data (&message) == data);
    NONE (zmq_msg_gets (&message, "Socket-Type"), EINVAL);
    NONE (zmq_msg_gets (&message, "Peer-Address"), EINVAL);
    GOOD (zmq_msg_close (&message));
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (context));
}

TEST (the_flag_alone_decides_about_more)
{
    void *context = zmq_ctx_new (), *one, *other;
    zmq_msg_t message;
    pair_of (context, "inproc", ZMQ_PAIR, ZMQ_PAIR, &one, &other);
    GOOD (send_text (one, "first", ZMQ_SNDMORE));
    GOOD (send_text (one, "second", 0));
    GOOD (zmq_msg_init (&message));
    GOOD (zmq_msg_recv (&message, other, 0));
    EQUAL (zmq_msg_more (&message), 1);
    EQUAL (zmq_msg_get (&message, ZMQ_MORE), 1);
    EXPECT (other, "second");
    GOOD (zmq_msg_send (&message, other, 0));
    GOOD (zmq_msg_init (&message));
    GOOD (zmq_msg_recv (&message, one, 0));
    EQUAL (zmq_msg_more (&message), 0);
    GOOD (zmq_msg_close (&message));
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (context));
}

TEST (metadata)
{
    size_t i;
    for (i = 0; i < 2; i++) {
        void *context = zmq_ctx_new (), *router = open_socket (context, ZMQ_ROUTER), *dealer;
        zmq_msg_t id, body, copy;
        char peer[64];
        GOOD (zmq_bind (router, i ? "ipc://*" : "tcp://127.0.0.1:*"));
        dealer = open_socket (context, ZMQ_DEALER);
        GOOD (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, "me", 2));
        GOOD (zmq_connect (dealer, last_endpoint (router)));
        GOOD (send_text (dealer, "hello", 0));
        GOOD (zmq_msg_init (&id));
        GOOD (zmq_msg_init (&body));
        GOOD (zmq_msg_init (&copy));
        GOOD (zmq_msg_recv (&id, router, 0));
        GOOD (zmq_msg_recv (&body, router, 0));
        CHECK (zmq_msg_gets (&body, "Socket-Type") && !strcmp (zmq_msg_gets (&body, "Socket-Type"), "DEALER"));
        CHECK (zmq_msg_gets (&body, "Identity") && !strcmp (zmq_msg_gets (&body, "Identity"), "me"));
        snprintf (peer, sizeof peer, "localhost:%d:%d:%d", (int) getuid (), (int) getgid (), (int) getpid ());
        CHECK (zmq_msg_gets (&body, "Peer-Address")
               && !strcmp (zmq_msg_gets (&body, "Peer-Address"), i ? peer : "127.0.0.1"));
        CHECK (zmq_msg_gets (&id, "Peer-Address") != NULL);
        NONE (zmq_msg_gets (&body, "socket-type"), EINVAL); /* names are case-sensitive */
        NONE (zmq_msg_gets (&body, "Routing-Id"), EINVAL);
        NONE (zmq_msg_gets (&body, "X-other"), EINVAL);
        CHECK (zmq_msg_get (&body, ZMQ_SRCFD) > 2);
        GOOD (zmq_msg_copy (&copy, &body));
        CHECK (zmq_msg_gets (&copy, "Socket-Type") != NULL);
        GOOD (zmq_msg_close (&body));
        CHECK (zmq_msg_gets (&copy, "Socket-Type") != NULL);
        GOOD (zmq_msg_close (&copy));
        GOOD (zmq_msg_close (&id));
        GOOD (zmq_close (router));
        GOOD (zmq_close (dealer));
        GOOD (zmq_ctx_term (context));
    }
}

TEST (receiving_into_a_buffer)
{
    void *context = zmq_ctx_new (), *one, *other;
    char bytes[8];
    pair_of (context, "inproc", ZMQ_PAIR, ZMQ_PAIR, &one, &other);
    GOOD (send_text (one, "0123456789", 0));
    memset (bytes, 'x', sizeof bytes);
    EQUAL (zmq_recv (other, bytes, 4, 0), 10); /* the size of the message; the rest is lost */
    CHECK (!memcmp (bytes, "0123xxxx", 8));
    GOOD (send_text (one, "gone", 0));
    EQUAL (zmq_recv (other, NULL, 0, 0), 4);
    EQUAL (zmq_send (one, NULL, 0, 0), 0);
    EQUAL (zmq_recv (other, bytes, sizeof bytes, 0), 0);
    EQUAL (zmq_send_const (one, "constant", 8, 0), 8);
    EXPECT (other, "constant");
    FAILS (zmq_recv (other, bytes, sizeof bytes, ZMQ_DONTWAIT), EAGAIN);
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
    GOOD (zmq_ctx_term (context));
}

TEST (groups)
{
    zmq_msg_t message, copy;
    char longest[300];
    memset (longest, 'g', sizeof longest);
    longest[255] = 0;
    GOOD (zmq_msg_init (&message));
    GOOD (zmq_msg_set_group (&message, "short"));
    CHECK (!strcmp (zmq_msg_group (&message), "short"));
    GOOD (zmq_msg_set_group (&message, longest));
    CHECK (!strcmp (zmq_msg_group (&message), longest));
    GOOD (zmq_msg_init (&copy));
    GOOD (zmq_msg_copy (&copy, &message));
    CHECK (!strcmp (zmq_msg_group (&copy), longest));
    GOOD (zmq_msg_close (&message));
    CHECK (!strcmp (zmq_msg_group (&copy), longest));
    GOOD (zmq_msg_close (&copy));
}

/* Whether a part of so many bytes is there, each of which says where it lies. */
static void expect_pattern (void *socket, size_t size, int more)
{
    static unsigned char got[1100000];
    size_t i;
    EQUAL (zmq_recv (socket, got, sizeof got, 0), (int) size);
    EQUAL (get_int (socket, ZMQ_RCVMORE), more);
    for (i = 0; i < size && got[i] == (unsigned char) (i * 7 + size); i++)
        ;
    EQUAL (i, (long long) size);
}

/* Large parts may go to the kernel from where they lie: whole, in part, or not at all while others wait. */
TEST (large_parts_behind_small_ones)
{
    static const size_t sizes[] = {8191, 32767, 32768, 65536, 300000, 1048576, 1048577};
    static unsigned char body[1100000];
    void *context = zmq_ctx_new ();
    size_t t, k, i;
    int parts, round;
    for (t = 0; t < TRANSPORTS; t++) {
        void *router = bound (context, ZMQ_ROUTER, address_on (transports[t]));
        void *dealer = open_socket (context, ZMQ_DEALER);
        GOOD (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, "me", 2));
        GOOD (zmq_connect (dealer, last_endpoint (router)));
        for (parts = 1; parts <= 3; parts++)
            for (round = 0; round < 2; round++) /* the second time several wait at once */
                for (k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                    int copies = round ? 3 : 1, n, part;
                    for (i = 0; i < sizes[k]; i++)
                        body[i] = (unsigned char) (i * 7 + sizes[k]);
                    for (n = 0; n < copies; n++) {
                        for (part = 1; part < parts; part++)
                            GOOD (zmq_send (dealer, "small", 5, ZMQ_SNDMORE));
                        EQUAL (zmq_send (dealer, body, sizes[k], n % 2 ? ZMQ_DONTWAIT : 0), (int) sizes[k]);
                    }
                    for (n = 0; n < copies; n++) {
                        EXPECT (router, "me");
                        for (part = 1; part < parts; part++)
                            EXPECT (router, "small");
                        expect_pattern (router, sizes[k], 0);
                        GOOD (zmq_send (router, "me", 2, ZMQ_SNDMORE));
                        EQUAL (zmq_send (router, body, sizes[k], parts > 1 ? ZMQ_SNDMORE : 0), (int) sizes[k]);
                        if (parts > 1)
                            GOOD (zmq_send (router, "end", 3, 0));
                    }
                    for (n = 0; n < copies; n++) {
                        expect_pattern (dealer, sizes[k], parts > 1);
                        if (parts > 1)
                            EXPECT (dealer, "end");
                    }
                }
        GOOD (zmq_close (dealer));
        GOOD (zmq_close (router));
    }
    GOOD (zmq_ctx_term (context));
}

int main (void)
{
    RUN (fresh_messages);
    RUN (sizes);
    RUN (impossible_sizes);
    RUN (init_buffer);
    RUN (closing_twice);
    RUN (moving);
    RUN (copies_share);
    RUN (foreign_data_is_released_once);
    RUN (constant_data);
    RUN (foreign_data_is_released_after_sending);
    RUN (foreign_data_of_failed_and_dropped_messages);
    RUN (foreign_data_never_delivered);
    RUN (inproc_passes_the_pointer);
    RUN (the_flag_alone_decides_about_more);
    RUN (metadata);
    RUN (receiving_into_a_buffer);
    RUN (groups);
    RUN (large_parts_behind_small_ones);
    return finished ();
}
