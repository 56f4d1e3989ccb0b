/* PUB, SUB, XPUB, XSUB: who gets what, and what the publisher is told. */
#include "check.h"

static void *context;

static void subscribe (void *socket, const char *topic)
{
    GOOD (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, topic, strlen (topic)));
}

static void unsubscribe (void *socket, const char *topic)
{
    GOOD (zmq_setsockopt (socket, ZMQ_UNSUBSCRIBE, topic, strlen (topic)));
}

/* The publisher hears of a subscription (1) or its end (0). */
#define HEARS(xpub, flag, topic) expect_part (__FILE__, __LINE__, xpub, flag ? "\1" topic : "\0" topic, sizeof topic)

static void nothing (void *socket)
{
    EQUAL (poll_one (socket, ZMQ_POLLIN, 50), 0);
}

static void close_three (void *one, void *two, void *three)
{
    GOOD (zmq_close (one));
    GOOD (zmq_close (two));
    if (three)
        GOOD (zmq_close (three));
}

TEST (filters)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *xpub, *sub;
        pair_of (context, transports[i], ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
        subscribe (sub, "ab");
        HEARS (xpub, 1, "ab");
        GOOD (send_text (xpub, "a", 0));
        GOOD (send_text (xpub, "b", 0));
        GOOD (send_text (xpub, "ab", 0));
        GOOD (send_text (xpub, "abc", ZMQ_SNDMORE));
        GOOD (send_text (xpub, "any second part", 0));
        GOOD (send_text (xpub, "b", ZMQ_SNDMORE));
        GOOD (send_text (xpub, "ab", 0));
        EXPECT (sub, "ab");
        EXPECT (sub, "abc");
        EXPECT (sub, "any second part");
        subscribe (sub, "");
        HEARS (xpub, 1, "");
        GOOD (send_text (xpub, "", 0));
        EXPECT (sub, "");
        unsubscribe (sub, "");
        HEARS (xpub, 0, "");
        GOOD (send_text (xpub, "x", 0));
        GOOD (send_text (xpub, "abx", 0));
        EXPECT (sub, "abx");
        close_three (xpub, sub, NULL);
    }
}

TEST (subscriptions_are_counted)
{
    void *xpub, *sub;
    pair_of (context, "tcp", ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
    subscribe (sub, "a");
    subscribe (sub, "a");
    HEARS (xpub, 1, "a");
    unsubscribe (sub, "a");
    subscribe (sub, "b");
    HEARS (xpub, 1, "b");
    GOOD (send_text (xpub, "a", 0)); /* one of the two is left */
    EXPECT (sub, "a");
    unsubscribe (sub, "a");
    HEARS (xpub, 0, "a");
    close_three (xpub, sub, NULL);
}

TEST (only_the_first_and_the_last_are_told)
{
    void *xpub = bound (context, ZMQ_XPUB, "inproc://told"), *one, *other;
    one = connected (context, ZMQ_SUB, "inproc://told");
    other = connected (context, ZMQ_SUB, "inproc://told");
    subscribe (one, "a");
    HEARS (xpub, 1, "a");
    subscribe (other, "a");
    nothing (xpub);
    unsubscribe (one, "a");
    nothing (xpub);
    GOOD (send_text (xpub, "a", 0));
    EXPECT (other, "a");
    nothing (one);
    unsubscribe (other, "a");
    HEARS (xpub, 0, "a");
    EQUAL (get_int (xpub, ZMQ_TOPICS_COUNT), 0);
    close_three (one, other, xpub);
}

TEST (verbose_publishers)
{
    void *xpub = bound (context, ZMQ_XPUB, "inproc://verbose"), *one, *other;
    set_int (xpub, ZMQ_XPUB_VERBOSE, 1);
    one = connected (context, ZMQ_SUB, "inproc://verbose");
    other = connected (context, ZMQ_SUB, "inproc://verbose");
    subscribe (one, "a");
    HEARS (xpub, 1, "a");
    subscribe (other, "a");
    HEARS (xpub, 1, "a");
    unsubscribe (one, "a");
    nothing (xpub);
    subscribe (one, "a");
    HEARS (xpub, 1, "a");
    set_int (xpub, ZMQ_XPUB_VERBOSER, 1);
    unsubscribe (one, "a");
    HEARS (xpub, 0, "a");
    unsubscribe (other, "a");
    HEARS (xpub, 0, "a");
    close_three (one, other, xpub);
}

TEST (a_lost_subscriber)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *xpub, *sub;
        pair_of (context, transports[i], ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
        subscribe (sub, "a");
        HEARS (xpub, 1, "a");
        GOOD (zmq_close (sub));
        HEARS (xpub, 0, "a");
        GOOD (zmq_close (xpub));
    }
}

TEST (metadata_of_subscriptions)
{
    void *xpub, *sub;
    zmq_msg_t message;
    pair_of (context, "tcp", ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
    subscribe (sub, "a");
    GOOD (zmq_msg_init (&message));
    EQUAL (zmq_msg_recv (&message, xpub, 0), 2);
    CHECK (zmq_msg_gets (&message, "Socket-Type") && !strcmp (zmq_msg_gets (&message, "Socket-Type"), "SUB"));
    GOOD (zmq_msg_close (&message));
    close_three (xpub, sub, NULL);
}

TEST (data_from_subscribers)
{
    void *xpub, *xsub;
    pair_of (context, "tcp", ZMQ_XPUB, ZMQ_XSUB, &xpub, &xsub);
    GOOD (send_text (xsub, "user data", ZMQ_SNDMORE));
    GOOD (send_text (xsub, "second", 0));
    GOOD (zmq_send (xsub, "\1a", 2, 0));
    GOOD (zmq_send (xsub, "", 0, 0));
    EXPECT (xpub, "user data");
    EQUAL (more (xpub), 1);
    EXPECT (xpub, "second");
    HEARS (xpub, 1, "a");
    EXPECT (xpub, "");
    /* XSUB does not filter by itself: what it is sent it gets */
    GOOD (send_text (xpub, "a1", 0));
    EXPECT (xsub, "a1");
    close_three (xpub, xsub, NULL);
}

TEST (manual_publishers)
{
    void *xpub = bound (context, ZMQ_XPUB, "inproc://manual"), *one, *other;
    set_int (xpub, ZMQ_XPUB_MANUAL, 1);
    subscribe (xpub, "nobody is meant yet");
    one = connected (context, ZMQ_SUB, "inproc://manual");
    subscribe (one, "a");
    HEARS (xpub, 1, "a");
    subscribe (xpub, "A");
    other = connected (context, ZMQ_SUB, "inproc://manual");
    subscribe (other, "b");
    HEARS (xpub, 1, "b");
    subscribe (xpub, "B");
    GOOD (send_text (xpub, "a", 0));
    GOOD (send_text (xpub, "A1", 0));
    GOOD (send_text (xpub, "B1", 0));
    /* SUB filters what comes in as well, so neither sees anything until it asks for it */
    nothing (one);
    nothing (other);
    subscribe (other, "B");
    HEARS (xpub, 1, "B");
    GOOD (send_text (xpub, "B2", 0));
    EXPECT (other, "B2");
    unsubscribe (xpub, "B");
    GOOD (send_text (xpub, "B3", 0));
    nothing (other);
    GOOD (zmq_close (one));
    HEARS (xpub, 0, "a"); /* what it had asked for */
    close_three (other, xpub, NULL);
}

TEST (welcome)
{
    void *xpub = open_socket (context, ZMQ_XPUB), *sub = open_socket (context, ZMQ_SUB);
    GOOD (zmq_setsockopt (xpub, ZMQ_XPUB_WELCOME_MSG, "W hello", 7));
    GOOD (zmq_bind (xpub, "tcp://127.0.0.1:*"));
    subscribe (sub, "W");
    GOOD (zmq_connect (sub, last_endpoint (xpub)));
    HEARS (xpub, 1, "W");
    EXPECT (sub, "W hello");
    GOOD (send_text (xpub, "W1", 0));
    EXPECT (sub, "W1");
    close_three (xpub, sub, NULL);
}

TEST (inverted_matching)
{
    void *xpub = open_socket (context, ZMQ_XPUB), *sub = open_socket (context, ZMQ_SUB);
    set_int (xpub, ZMQ_INVERT_MATCHING, 1);
    set_int (sub, ZMQ_INVERT_MATCHING, 1);
    GOOD (zmq_bind (xpub, "inproc://inverted"));
    subscribe (sub, "a");
    GOOD (zmq_connect (sub, "inproc://inverted"));
    HEARS (xpub, 1, "a");
    GOOD (send_text (xpub, "a1", 0));
    GOOD (send_text (xpub, "b1", 0));
    EXPECT (sub, "b1");
    nothing (sub);
    close_three (xpub, sub, NULL);
}

TEST (thousands_of_topics)
{
    enum { COUNT = 5000 };
    void *xpub = open_socket (context, ZMQ_XPUB), *sub = open_socket (context, ZMQ_SUB);
    char topic[32];
    int i;
    set_int (xpub, ZMQ_RCVHWM, 0);
    set_int (xpub, ZMQ_SNDHWM, 0);
    set_int (sub, ZMQ_SNDHWM, 0);
    set_int (sub, ZMQ_RCVHWM, 0);
    GOOD (zmq_bind (xpub, "tcp://127.0.0.1:*"));
    GOOD (zmq_connect (sub, last_endpoint (xpub)));
    for (i = 0; i < COUNT; i++) {
        snprintf (topic, sizeof topic, "topic-%d-", i);
        subscribe (sub, topic);
    }
    EQUAL (get_int (sub, ZMQ_TOPICS_COUNT), COUNT);
    for (i = 0; i < COUNT; i++)
        GOOD (zmq_recv (xpub, NULL, 0, 0));
    EQUAL (get_int (xpub, ZMQ_TOPICS_COUNT), COUNT);
    for (i = 0; i < COUNT; i++) {
        snprintf (topic, sizeof topic, "topic-%d-data", i);
        GOOD (send_text (xpub, topic, 0));
        GOOD (send_text (xpub, "topic-none", 0));
    }
    for (i = 0; i < COUNT; i++) {
        snprintf (topic, sizeof topic, "topic-%d-data", i);
        EXPECT (sub, topic);
    }
    close_three (xpub, sub, NULL);
}

TEST (long_topics)
{
    static const size_t sizes[] = {244, 245, 246, 254, 255, 256, 300, 10000};
    static char topic[10001], got[10001];
    size_t i;
    memset (topic, 't', sizeof topic);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *xpub, *sub;
        pair_of (context, "tcp", ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
        GOOD (zmq_setsockopt (sub, ZMQ_SUBSCRIBE, topic, sizes[i]));
        EQUAL (zmq_recv (xpub, got, sizeof got, 0), (long long) sizes[i] + 1);
        EQUAL (got[0], 1);
        GOOD (zmq_send (xpub, topic, sizes[i] - 1, 0));
        GOOD (zmq_send (xpub, topic, sizes[i] + 1 <= sizeof topic ? sizes[i] + 1 : sizes[i], 0));
        CHECK (zmq_recv (sub, got, sizeof got, 0) >= (int) sizes[i]);
        GOOD (zmq_setsockopt (sub, ZMQ_UNSUBSCRIBE, topic, sizes[i]));
        EQUAL (zmq_recv (xpub, got, sizeof got, 0), (long long) sizes[i] + 1);
        EQUAL (got[0], 0);
        close_three (xpub, sub, NULL);
    }
}

TEST (subscriptions_survive_a_reconnection)
{
    void *xpub = bound (context, ZMQ_XPUB, "tcp://127.0.0.1:*"), *sub;
    char endpoint[256];
    strcpy (endpoint, last_endpoint (xpub));
    sub = connected (context, ZMQ_SUB, endpoint);
    subscribe (sub, "a");
    HEARS (xpub, 1, "a");
    GOOD (zmq_close (xpub));
    xpub = open_socket (context, ZMQ_XPUB);
    WAIT_UNTIL (xpub, zmq_bind (xpub, endpoint) == 0 || zmq_errno () != EADDRINUSE);
    WAIT_UNTIL (sub, poll_one (xpub, ZMQ_POLLIN, 0)); /* the subscriber gets its turn, too */
    HEARS (xpub, 1, "a");
    GOOD (send_text (xpub, "a1", 0));
    EXPECT (sub, "a1");
    close_three (xpub, sub, NULL);
}

TEST (a_publisher_may_connect)
{
    void *sub = bound (context, ZMQ_SUB, "tcp://127.0.0.1:*"), *one, *other;
    subscribe (sub, "");
    one = connected (context, ZMQ_XPUB, last_endpoint (sub));
    other = connected (context, ZMQ_XPUB, last_endpoint (sub));
    WAIT_UNTIL (sub, poll_one (one, ZMQ_POLLIN, 0) && poll_one (other, ZMQ_POLLIN, 0));
    HEARS (one, 1, "");
    HEARS (other, 1, "");
    GOOD (send_text (one, "one", 0));
    EXPECT (sub, "one");
    GOOD (send_text (other, "other", 0));
    EXPECT (sub, "other");
    close_three (sub, one, other);
}

enum { FIRST = 1500, ALL = 3000, PEERS = 14 };

/* The n-th message of many: of several sizes, some of two parts. */
static size_t size_of (int n)
{
    return n % 101 == 0 ? 10000 : n % 11 == 0 ? 300 : sizeof n;
}

static void send_numbered (void *socket, int from, int to)
{
    static char body[10000];
    int n;
    for (n = from; n < to; n++) {
        if (n % 7 == 0)
            GOOD (zmq_send (socket, "first part", 10, ZMQ_SNDMORE));
        memcpy (body, &n, sizeof n);
        GOOD (zmq_send (socket, body, size_of (n), 0));
    }
}

/* Whether the socket receives exactly these, in order. */
static int hears_numbered (void *socket, int from, int to)
{
    static char body[10001];
    int n;
    for (n = from; n < to; n++) {
        if (n % 7 == 0 && (zmq_recv (socket, body, sizeof body, 0) != 10 || memcmp (body, "first part", 10) != 0))
            return 0;
        if (zmq_recv (socket, body, sizeof body, 0) != (int) size_of (n) || memcmp (body, &n, sizeof n) != 0)
            return 0;
    }
    return 1;
}

/* Over connections and within the context; some go and some come; the publisher ends before anybody has read. */
TEST (many_subscribers)
{
    void *xpub = open_socket (context, ZMQ_XPUB), *subs[PEERS];
    char endpoint[256];
    int i;
    set_int (xpub, ZMQ_SNDHWM, 0);
    set_int (xpub, ZMQ_LINGER, -1);
    set_int (xpub, ZMQ_XPUB_VERBOSE, 1);
    GOOD (zmq_bind (xpub, "tcp://127.0.0.1:*"));
    strcpy (endpoint, last_endpoint (xpub));
    GOOD (zmq_bind (xpub, "inproc://many"));
    for (i = 0; i < PEERS; i++) {
        if (i == PEERS - 2) {
            send_numbered (xpub, 0, FIRST);
            GOOD (zmq_close (subs[0]));
        }
        subs[i] = open_socket (context, ZMQ_SUB);
        set_int (subs[i], ZMQ_RCVHWM, 0);
        subscribe (subs[i], "");
        GOOD (zmq_connect (subs[i], i % 6 == 1 ? "inproc://many" : endpoint));
        HEARS (xpub, 1, "");
    }
    send_numbered (xpub, FIRST, ALL);
    GOOD (zmq_close (xpub));
    for (i = 1; i < PEERS; i++) {
        CHECK (hears_numbered (subs[i], i < PEERS - 2 ? 0 : FIRST, ALL));
        GOOD (zmq_close (subs[i]));
    }
}

/* Two topics by turns, then one; everybody gets what they asked for. */
TEST (many_subscribers_of_few_topics)
{
    void *xpub = bound (context, ZMQ_XPUB, "tcp://127.0.0.1:*"), *subs[PEERS];
    int i, n;
    set_int (xpub, ZMQ_XPUB_VERBOSE, 1);
    for (i = 0; i < PEERS; i++) {
        subs[i] = connected (context, ZMQ_SUB, last_endpoint (xpub));
        set_int (subs[i], ZMQ_RCVHWM, 0);
        subscribe (subs[i], i % 2 ? "odd" : "even");
        CHECK (poll_one (xpub, ZMQ_POLLIN, PATIENCE_MS) > 0);
        expect_part (__FILE__, __LINE__, xpub, i % 2 ? "\1odd" : "\1even", i % 2 ? 4 : 5);
    }
    for (n = 0; n < 600; n++) {
        GOOD (send_text (xpub, n >= 400 || n / 10 % 2 ? "odd" : "even", n % 3 ? 0 : ZMQ_SNDMORE));
        if (n % 3 == 0)
            GOOD (send_text (xpub, "more", 0));
    }
    for (i = 0; i < PEERS; i++) {
        for (n = 0; n < 600; n++) {
            int odd = n >= 400 || n / 10 % 2;
            if (odd != i % 2)
                continue;
            expect_part (__FILE__, __LINE__, subs[i], odd ? "odd" : "even", odd ? 3 : 4);
            if (n % 3 == 0)
                EXPECT (subs[i], "more");
        }
        nothing (subs[i]);
        GOOD (zmq_close (subs[i]));
    }
    GOOD (zmq_close (xpub));
}

/* Parts that are small, large for some of the ways they go, and large for all. */
TEST (parts_of_all_sizes)
{
    static const size_t messages[][3] = {
        {5, 40000, 3}, {40000, 40000, 40000}, {100, 8192, 8193}, {32767, 32768, 1}, {1, 1048577, 0}, {257, 4096, 32768}};
    static unsigned char body[1100000], got[1100000];
    size_t t, m, part, i;
    for (i = 0; i < sizeof body; i++)
        body[i] = (unsigned char) (i * 7);
    for (t = 0; t < TRANSPORTS; t++) {
        void *xpub, *sub, *other;
        int round;
        pair_of (context, transports[t], ZMQ_XPUB, ZMQ_SUB, &xpub, &sub);
        subscribe (sub, "");
        HEARS (xpub, 1, "");
        other = open_socket (context, ZMQ_SUB);
        subscribe (other, "");
        set_int (xpub, ZMQ_XPUB_VERBOSE, 1);
        GOOD (zmq_connect (other, last_endpoint (xpub)));
        HEARS (xpub, 1, "");
        for (round = 0; round < 20; round++)
            for (m = 0; m < sizeof messages / sizeof *messages; m++)
                for (part = 0; part < 3; part++)
                    EQUAL (zmq_send (xpub, body + m, messages[m][part], part < 2 ? ZMQ_SNDMORE : 0), (int) messages[m][part]);
        for (round = 0; round < 20; round++)
            for (m = 0; m < sizeof messages / sizeof *messages; m++)
                for (part = 0; part < 3; part++)
                    for (i = 0; i < 2; i++) {
                        void *socket = i ? other : sub;
                        EQUAL (zmq_recv (socket, got, sizeof got, 0), (int) messages[m][part]);
                        CHECK (!memcmp (got, body + m, messages[m][part]));
                        EQUAL (more (socket), part < 2);
                    }
        close_three (xpub, sub, other);
    }
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (filters);
    RUN (subscriptions_are_counted);
    RUN (only_the_first_and_the_last_are_told);
    RUN (verbose_publishers);
    RUN (a_lost_subscriber);
    RUN (metadata_of_subscriptions);
    RUN (data_from_subscribers);
    RUN (manual_publishers);
    RUN (welcome);
    RUN (inverted_matching);
    RUN (thousands_of_topics);
    RUN (long_topics);
    RUN (subscriptions_survive_a_reconnection);
    RUN (a_publisher_may_connect);
    RUN (many_subscribers);
    RUN (many_subscribers_of_few_topics);
    RUN (parts_of_all_sizes);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
