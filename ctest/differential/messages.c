/* Messages: life, sizes, sharing, properties, metadata. */
#include "record.h"

static int freed;

static void count_freed (void *data, void *hint)
{
    (void) data;
    freed += hint ? *(int *) hint : 1;
}

PROGRAM (message_life)
{
    zmq_msg_t a, b;
    TRY (zmq_msg_init (&a));
    SEE (zmq_msg_size (&a));
    SEE (zmq_msg_data (&a) != NULL);
    SEE (zmq_msg_more (&a));
    TRY (zmq_msg_close (&a));
    TRY (zmq_msg_close (&a));
    TRY (zmq_msg_init_size (&a, 0));
    SEE (zmq_msg_size (&a));
    TRY (zmq_msg_close (&a));
    TRY (zmq_msg_init_size (&a, 1000));
    SEE (zmq_msg_size (&a));
    memset (zmq_msg_data (&a), 'x', 1000);
    TRY (zmq_msg_init (&b));
    TRY (zmq_msg_move (&b, &a));
    SEE (zmq_msg_size (&a));
    SEE (zmq_msg_size (&b));
    SEE (((char *) zmq_msg_data (&b))[999]);
    TRY (zmq_msg_close (&a));
    TRY (zmq_msg_move (&b, &a));
    TRY (zmq_msg_move (&a, &b));
    TRY (zmq_msg_copy (&a, &b));
    TRY (zmq_msg_copy (&b, &a));
    SEE (zmq_msg_size (&b));
    TRY (zmq_msg_close (&b));
}

PROGRAM (message_sizes_kept)
{
    static const size_t sizes[] = {0, 1, 8, 31, 32, 33, 34, 64, 255, 256, 8191, 8192, 8193, 65535, 65536, 1000000};
    size_t i, j;
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
        link_by (transport, one, other);
        for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            zmq_msg_t out, in;
            int wrong = 0;
            zmq_msg_init_size (&out, sizes[i]);
            for (j = 0; j < sizes[i]; j++)
                ((unsigned char *) zmq_msg_data (&out))[j] = (unsigned char) (j * 7 + i);
            TRIED (zmq_msg_send (&out, other, 0), "%s: sent", transport);
            zmq_msg_init (&in);
            TRIED (zmq_msg_recv (&in, one, 0), "%s: received", transport);
            for (j = 0; j < zmq_msg_size (&in); j++)
                wrong += ((unsigned char *) zmq_msg_data (&in))[j] != (unsigned char) (j * 7 + i);
            say ("%s: left in the sender's %zu, wrong %d, shared %d", transport, zmq_msg_size (&out), wrong,
                 zmq_msg_get (&in, ZMQ_SHARED));
            zmq_msg_close (&out);
            zmq_msg_close (&in);
        }
        shut (one);
        shut (other);
    }
}

PROGRAM (message_of_impossible_size)
{
    zmq_msg_t a;
    TRY (zmq_msg_init_size (&a, SIZE_MAX));
    TRY (zmq_msg_init_size (&a, SIZE_MAX / 2));
    TRY (zmq_msg_init_size (&a, (size_t) 1 << 50));
}

/* Where the bytes lie: small messages in the structure, larger ones stay where they are. */
PROGRAM (message_places)
{
    static const size_t sizes[] = {0, 1, 32, 33, 34, 1000};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zmq_msg_t a, b, c;
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
        void *at;
        link_by ("inproc", one, other);
        zmq_msg_init_size (&a, sizes[i]);
        at = zmq_msg_data (&a);
        say ("%zu bytes: inside %d", sizes[i], (char *) at >= (char *) &a && (char *) at < (char *) (&a + 1));
        zmq_msg_init (&b);
        zmq_msg_move (&b, &a);
        say ("moved: same place %d", zmq_msg_data (&b) == at);
        zmq_msg_init (&c);
        zmq_msg_copy (&c, &b);
        say ("copied: same place %d, shared %d %d", zmq_msg_data (&c) == at, zmq_msg_get (&b, ZMQ_SHARED),
             zmq_msg_get (&c, ZMQ_SHARED));
        zmq_msg_close (&b);
        say ("the other closed: shared %d", zmq_msg_get (&c, ZMQ_SHARED));
        zmq_msg_send (&c, other, 0);
        zmq_msg_init (&b);
        zmq_msg_recv (&b, one, 0);
        say ("through inproc: same place %d, shared %d", zmq_msg_data (&b) == at, zmq_msg_get (&b, ZMQ_SHARED));
        zmq_msg_close (&b);
        zmq_msg_close (&c);
        zmq_msg_close (&a);
    }
}

PROGRAM (message_foreign_data)
{
    static char bytes[5000];
    static const size_t sizes[] = {0, 10, 33, 34, 5000};
    size_t i;
    int ten = 10;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zmq_msg_t a, b;
        freed = 0;
        TRIED (zmq_msg_init_data (&a, bytes, sizes[i], count_freed, NULL), "%zu bytes", sizes[i]);
        say ("same place %d, shared %d", zmq_msg_data (&a) == (void *) bytes, zmq_msg_get (&a, ZMQ_SHARED));
        zmq_msg_init (&b);
        zmq_msg_copy (&b, &a);
        say ("copy: same place %d, shared %d %d", zmq_msg_data (&b) == (void *) bytes, zmq_msg_get (&a, ZMQ_SHARED),
             zmq_msg_get (&b, ZMQ_SHARED));
        zmq_msg_close (&a);
        SEE (freed);
        zmq_msg_close (&b);
        SEE (freed);
        zmq_msg_init_data (&a, bytes, sizes[i], count_freed, &ten);
        zmq_msg_init (&b);
        zmq_msg_move (&a, &b);
        SEE (freed);
        zmq_msg_close (&a);
        zmq_msg_close (&b);
        SEE (freed);
        zmq_msg_init_data (&a, bytes, sizes[i], NULL, NULL);
        say ("without a function: shared %d", zmq_msg_get (&a, ZMQ_SHARED));
        zmq_msg_close (&a);
    }
}

PROGRAM (message_foreign_data_on_the_way)
{
    static char bytes[100000];
    int round;
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
        zmq_msg_t out, in;
        zmq_msg_init_data (&out, bytes, sizeof bytes, count_freed, NULL);
        freed = 0;
        TRIED (zmq_msg_send (&out, other, ZMQ_DONTWAIT), "%s: nobody there", transport);
        say ("size %zu, freed %d", zmq_msg_size (&out), freed);
        link_by (transport, one, other);
        for (round = 0; round < 2; round++) {
            TRIED (zmq_msg_send (&out, other, 0), "%s: sent", transport);
            zmq_msg_close (&out);
            zmq_msg_init (&in);
            TRIED (zmq_msg_recv (&in, one, 0), "%s: received", transport);
            zmq_msg_close (&in);
            UNTIL (freed == round + 1);
            zmq_msg_init_data (&out, bytes, round ? 10 : 1, count_freed, NULL);
        }
        zmq_msg_close (&out);
        SEE (freed);
        shut (one);
        shut (other);
    }
}

PROGRAM (message_dropped_is_freed)
{
    static char bytes[100];
    zmq_msg_t out;
    void *pub = sock (ZMQ_PUB), *router = sock (ZMQ_ROUTER), *sub = sock (ZMQ_SUB), *late = sock (ZMQ_PUSH);
    freed = 0;
    zmq_msg_init_data (&out, bytes, sizeof bytes, count_freed, NULL);
    TRY (zmq_msg_send (&out, pub, 0));
    SEE (freed);
    SEE (zmq_msg_size (&out));
    zmq_msg_close (&out);
    zmq_msg_init_data (&out, bytes, sizeof bytes, count_freed, NULL);
    TRY (zmq_send (router, "nobody", 6, ZMQ_SNDMORE));
    TRY (zmq_msg_send (&out, router, 0));
    SEE (freed);
    zmq_msg_close (&out);
    zmq_msg_init_data (&out, bytes, sizeof bytes, count_freed, NULL);
    TRY (zmq_msg_send (&out, sub, 0));
    SEE (freed);
    TRY (zmq_msg_close (&out));
    SEE (freed);
    zmq_msg_init_data (&out, bytes, sizeof bytes, count_freed, NULL);
    TRY (zmq_connect (late, nobody ()));
    TRY (zmq_msg_send (&out, late, 0));
    SEE (freed);
    shut (late);
    UNTIL (freed == 4);
    zmq_msg_close (&out);
}

PROGRAM (message_properties)
{
    static const int unknown[] = {-1, 0, 2, 4, 99};
    size_t i;
    zmq_msg_t a;
    zmq_msg_init_size (&a, 3);
    TRY (zmq_msg_get (&a, ZMQ_MORE));
    TRY (zmq_msg_get (&a, ZMQ_SHARED));
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++)
        TRIED (zmq_msg_get (&a, unknown[i]), "property %d", unknown[i]);
    TRY (zmq_msg_set (&a, ZMQ_MORE, 1));
    TRY (zmq_msg_set (&a, 99, 0));
    PTR (zmq_msg_gets (&a, "Socket-Type"));
    PTR (zmq_msg_gets (&a, ""));
    zmq_msg_close (&a);
    TRY (zmq_msg_recv (&a, sock (ZMQ_PULL), ZMQ_DONTWAIT));
    TRY (zmq_msg_copy (&a, &a));
    TRY (zmq_msg_move (&a, &a));
}

PROGRAM (send_and_receive_buffers)
{
    char buffer[16];
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
        link_by (transport, one, other);
        TRY (zmq_send (other, NULL, 0, 0));
        TRY (zmq_recv (one, NULL, 0, 0));
        TRY (zmq_send (other, "hello world", 11, 0));
        memset (buffer, '.', sizeof buffer);
        TRY (zmq_recv (one, buffer, 5, 0));
        say ("%.16s", buffer);
        TRY (zmq_send (other, "hello world", 11, 0));
        TRY (zmq_recv (one, NULL, 0, 0));
        TRY (zmq_send (other, "hello", 5, 0));
        memset (buffer, '.', sizeof buffer);
        TRY (zmq_recv (one, buffer, 16, 0));
        say ("%.16s", buffer);
        TRY (zmq_send_const (other, "constant", 8, 0));
        HEAR (one);
        TRY (zmq_send_const (other, "", 0, 0));
        HEAR (one);
        TRY (zmq_recv (one, buffer, sizeof buffer, ZMQ_DONTWAIT));
        TRY (zmq_recv (one, NULL, 0, ZMQ_DONTWAIT));
        shut (one);
        shut (other);
    }
    TRY (zmq_send (NULL, "x", 1, 0));
    TRY (zmq_send_const (NULL, "x", 1, 0));
    TRY (zmq_recv (NULL, buffer, 1, 0));
}

/* The flag of the call alone decides whether more follows. */
PROGRAM (more_is_decided_by_the_flag)
{
    EACH_TRANSPORT (transport) {
        zmq_msg_t part;
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR), *third = sock (ZMQ_PAIR), *fourth = sock (ZMQ_PAIR);
        link_by (transport, one, other);
        link_by (transport, third, fourth);
        SEE (put (other, "a|b", 0));
        SEE (get (one, ZMQ_RCVMORE));
        zmq_msg_init (&part);
        TRY (zmq_msg_recv (&part, one, 0));
        SEE (get (one, ZMQ_RCVMORE));
        SEE (zmq_msg_more (&part));
        SEE (zmq_msg_get (&part, ZMQ_MORE));
        /* A part that had more behind it goes out alone. */
        TRY (zmq_msg_send (&part, fourth, 0));
        HEAR (third);
        TRY (zmq_msg_recv (&part, one, 0));
        SEE (get (one, ZMQ_RCVMORE));
        SEE (zmq_msg_more (&part));
        TRY (zmq_msg_send (&part, fourth, ZMQ_SNDMORE));
        TRY (zmq_send (fourth, "", 0, ZMQ_SNDMORE));
        TRY (zmq_send (fourth, "last", 4, 0));
        HEAR (third);
        TRY (zmq_msg_recv (&part, one, ZMQ_DONTWAIT));
        SEE (get (one, ZMQ_RCVMORE));
        zmq_msg_close (&part);
        shut (one), shut (other), shut (third), shut (fourth);
    }
}

PROGRAM (many_parts)
{
    EACH_TRANSPORT (transport) {
        int i, wrong = 0, parts = 0;
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH);
        link_by (transport, one, other);
        for (i = 0; i < 3000; i++)
            wrong += zmq_send (other, &i, sizeof i, i == 2999 ? 0 : ZMQ_SNDMORE) != sizeof i;
        do {
            int number = -1;
            if (zmq_recv (one, &number, sizeof number, 0) < 0)
                break;
            wrong += number != parts++;
        } while (get (one, ZMQ_RCVMORE));
        say ("%s: %d parts, wrong %d", transport, parts, wrong);
        shut (one);
        shut (other);
    }
}

PROGRAM (unfinished_message_is_not_seen)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PULL), *other = sock (ZMQ_PUSH), *third = sock (ZMQ_PUSH);
        join_by (transport, one, other);
        MUST (zmq_connect (third, endpoint (one)) == 0);
        SEE (zmq_send (other, "begun", 5, ZMQ_SNDMORE));
        SEE (put (third, "whole", 0));
        HEAR (one);
        HEAR_NOW (one);
        SEE (put (other, "ended", 0));
        HEAR (one);
        SEE (zmq_send (other, "begun again", 11, ZMQ_SNDMORE));
        shut (other);
        SEE (put (third, "marker", 0));
        HEAR (one);
        SILENT (one);
        shut (one), shut (third);
    }
}

static void properties (const char *name, zmq_msg_t *part)
{
    static const char *const keys[] = {"Socket-Type", "socket-type", "Identity", "Routing-Id", "User-Id", "X-Own",
                                       "Peer-Address", "", "__fd", "Resource"};
    size_t i;
    for (i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = (errno = 0, zmq_msg_gets (part, keys[i]));
        if (!value)
            say ("%s: %s: %s", name, keys[i], error_name (errno));
        else if (!strncmp (value, "localhost:", 10))
            say ("%s: %s: localhost and numbers", name, keys[i]);
        else if (!strcmp (keys[i], "__fd"))
            say ("%s: %s: a number %d", name, keys[i], atoi (value) > 2);
        else
            say ("%s: %s: \"%s\"", name, keys[i], value);
    }
    say ("%s: descriptor %d", name, zmq_msg_get (part, 2) > 2);
}

/* What was fetched while somebody received bytes only. */
PROGRAM (metadata_after_plain_receives)
{
    static const int types[][2] = {{ZMQ_ROUTER, ZMQ_DEALER}, {ZMQ_ROUTER, ZMQ_REQ}, {ZMQ_REP, ZMQ_REQ}, {ZMQ_XPUB, ZMQ_XSUB},
                                   {ZMQ_PULL, ZMQ_PUSH}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}};
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        char bytes[16];
        zmq_msg_t part;
        void *one = sock (types[i][0]), *other = sock (types[i][1]);
        say ("type %d", types[i][0]);
        join_by ("tcp", one, other);
        zmq_msg_init (&part);
        TRY (zmq_recv (one, bytes, sizeof bytes, ZMQ_DONTWAIT));
        MUST (put (other, "first", 0) >= 0);
        AWAIT_IN (one);
        if (types[i][0] == ZMQ_ROUTER)
            MUST (zmq_recv (one, bytes, sizeof bytes, 0) == 5);
        MUST (zmq_msg_recv (&part, one, 0) >= 0);
        properties ("the first", &part);
        MUST (zmq_msg_close (&part) == 0);
        shut (one), shut (other);
    }
}

PROGRAM (metadata_of_messages)
{
    EACH_TRANSPORT (transport) {
        zmq_msg_t part, copy;
        void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER);
        set_text (dealer, ZMQ_ROUTING_ID, "me");
        join_by (transport, router, dealer);
        SEE (put (dealer, "one|two", 0));
        zmq_msg_init (&part);
        zmq_msg_init (&copy);
        MUST (zmq_msg_recv (&part, router, 0) == 2);
        properties (transport, &part);
        MUST (zmq_msg_recv (&part, router, 0) == 3);
        zmq_msg_copy (&copy, &part);
        properties (transport, &copy);
        MUST (zmq_msg_recv (&part, router, 0) == 3);
        properties (transport, &part);
        /* Sending takes them away. */
        SEE (zmq_send (router, "me", 2, ZMQ_SNDMORE));
        SEE (zmq_msg_send (&part, router, 0));
        properties (transport, &part);
        MUST (zmq_msg_recv (&part, dealer, 0) == 3);
        properties (transport, &part);
        zmq_msg_close (&part);
        zmq_msg_close (&copy);
        shut (router), shut (dealer);
    }
}

PROGRAM (metadata_of_subscriptions)
{
    zmq_msg_t part;
    void *xpub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *stream = sock (ZMQ_STREAM);
    int raw;
    MUST (set_text (sub, ZMQ_SUBSCRIBE, "topic") == 0);
    link_by ("tcp", xpub, sub);
    zmq_msg_init (&part);
    SEE (zmq_msg_recv (&part, xpub, 0));
    properties ("subscription", &part);
    SEE (put (xpub, "topic|body", 0));
    SEE (zmq_msg_recv (&part, sub, 0));
    properties ("topic", &part);
    SEE (zmq_msg_recv (&part, sub, 0));
    shut (sub);
    SEE (zmq_msg_recv (&part, xpub, 0));
    properties ("unsubscription", &part);
    MUST (zmq_bind (stream, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (stream));
    SEE (zmq_msg_recv (&part, stream, 0));
    properties ("stream id", &part);
    SEE (zmq_msg_recv (&part, stream, 0));
    properties ("stream notice", &part);
    raw_write (raw, "abc", 3);
    SEE (zmq_msg_recv (&part, stream, 0));
    properties ("stream id again", &part);
    SEE (zmq_msg_recv (&part, stream, 0));
    properties ("stream data", &part);
    close (raw);
    zmq_msg_close (&part);
}

PROGRAM (old_send_and_receive)
{
    struct iovec given[3] = {{"one", 3}, {"two!", 4}, {"three", 5}}, taken[5];
    size_t count, i;
    zmq_msg_t part;
    void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR);
    link_by ("tcp", one, other);
    zmq_msg_init_size (&part, 4);
    memcpy (zmq_msg_data (&part), "four", 4);
    TRY (zmq_sendmsg (other, &part, 0));
    TRY (zmq_recvmsg (one, &part, 0));
    SEE (zmq_msg_size (&part));
    zmq_msg_close (&part);
    TRY (zmq_sendiov (other, given, 3, ZMQ_SNDMORE));
    HEAR (one);
    TRY (zmq_sendiov (other, given, 2, 0));
    HEAR (one);
    HEAR (one);
    TRY (zmq_sendiov (other, given, 0, 0));
    TRY (zmq_sendiov (other, NULL, 1, 0));
    TRY (zmq_sendiov (NULL, given, 1, 0));
    SEE (put (other, "a|bc|def", 0));
    count = 5;
    TRY (zmq_recviov (one, taken, &count, 0));
    SEE (count);
    for (i = 0; i < count; i++) {
        say ("%s", shown (taken[i].iov_base, taken[i].iov_len));
        free (taken[i].iov_base);
    }
    SEE (put (other, "a|bc|def", 0));
    count = 2;
    TRY (zmq_recviov (one, taken, &count, 0));
    SEE (count);
    for (i = 0; i < count; i++) {
        say ("%s", shown (taken[i].iov_base, taken[i].iov_len));
        free (taken[i].iov_base);
    }
    HEAR (one);
    count = 0;
    TRY (zmq_recviov (one, taken, &count, 0));
    TRY (zmq_recviov (one, NULL, &count, 0));
    count = 2;
    TRY (zmq_recviov (one, taken, &count, ZMQ_DONTWAIT));
    TRY (zmq_recviov (NULL, taken, &count, ZMQ_DONTWAIT));
}
