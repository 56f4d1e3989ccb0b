/* Flow control: high-water marks on inproc, where they are exact; conflation; timeouts; queues while nobody is there. */
#include "record.h"

static void fill_and_drain (int send_mark, int receive_mark, int connecter_sends)
{
    int i, sent;
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
    MUST (set (push, ZMQ_SNDHWM, send_mark) == 0 && set (pull, ZMQ_RCVHWM, receive_mark) == 0);
    if (connecter_sends)
        link_by ("inproc", pull, push);
    else
        link_by ("inproc", push, pull);
    events (push), events (pull);
    sent = filled (push, "a|b|c", 60);
    say ("marks %d and %d, connecter sends %d: %d sent", send_mark, receive_mark, connecter_sends, sent);
    SEE (events (push));
    if (sent == 60)
        SEE (drained (pull));
    else {
        for (i = 1; i < sent; i++) {
            MUST (*got (pull, ZMQ_DONTWAIT) == '[');
            if (events (push) == ZMQ_POLLOUT) {
                say ("writable again after %d read", i);
                break;
            }
        }
        say ("%d more", filled (push, "x", 60));
    }
    shut (push), shut (pull);
}

PROGRAM (marks_on_inproc)
{
    static const int marks[][2] = {{1, 1}, {1, 2}, {2, 3}, {5, 5}, {10, 10}, {3, 4}, {1, 40}, {0, 5}, {5, 0}, {0, 0}};
    size_t i;
    for (i = 0; i < sizeof marks / sizeof *marks; i++) {
        fill_and_drain (marks[i][0], marks[i][1], 1);
        fill_and_drain (marks[i][0], marks[i][1], 0);
    }
}

PROGRAM (marks_before_the_bind)
{
    static const int marks[][2] = {{3, 4}, {1, 1}, {0, 3}, {3, 0}};
    size_t i;
    for (i = 0; i < sizeof marks / sizeof *marks; i++) {
        char name[32];
        void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
        MUST (set (push, ZMQ_SNDHWM, marks[i][0]) == 0 && set (pull, ZMQ_RCVHWM, marks[i][1]) == 0);
        sprintf (name, "inproc://before-%zu", i);
        MUST (zmq_connect (push, name) == 0);
        say ("marks %d and %d: %d before", marks[i][0], marks[i][1], filled (push, "x", 20));
        SEE (events (push));
        MUST (zmq_bind (pull, name) == 0);
        settle (push);
        say ("%d after", filled (push, "x", 20));
        say ("%d received", drained (pull));
        shut (push), shut (pull);
    }
}

/* A mark that is changed acts on pipes that exist. */
PROGRAM (marks_changed_later)
{
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
    MUST (set (push, ZMQ_SNDHWM, 5) == 0 && set (pull, ZMQ_RCVHWM, 5) == 0);
    link_by ("inproc", pull, push);
    SEE (set (push, ZMQ_SNDHWM, 2));
    settle (pull), settle (push);
    SEE (filled (push, "x", 50));
    SEE (drained (pull));
    settle (push);
    SEE (set (push, ZMQ_SNDHWM, 20));
    settle (pull), settle (push);
    SEE (filled (push, "x", 50));
    SEE (drained (pull));
    settle (push);
    SEE (set (pull, ZMQ_RCVHWM, 1));
    settle (pull), settle (push);
    SEE (filled (push, "x", 50));
    SEE (drained (pull));
}

/* Whether a sender that waits is woken by whoever reads. */
struct sending {
    void *socket;
    int count, failed;
};

static void *send_many (void *argument)
{
    struct sending *sending = argument;
    int i;
    for (i = 0; i < sending->count; i++)
        sending->failed += zmq_send (sending->socket, &i, sizeof i, 0) != sizeof i;
    return NULL;
}

PROGRAM (full_senders_are_woken)
{
    EACH_TRANSPORT (transport) {
        static const int marks[] = {1, 2, 3, 10, 1000};
        size_t i;
        for (i = 0; i < sizeof marks / sizeof *marks; i++) {
            pthread_t thread;
            int wrong = 0, j;
            void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
            struct sending sending = {push, 5000, 0};
            MUST (set (push, ZMQ_SNDHWM, marks[i]) == 0 && set (pull, ZMQ_RCVHWM, marks[i]) == 0);
            link_by (transport, pull, push);
            pthread_create (&thread, NULL, send_many, &sending);
            for (j = 0; j < sending.count; j++) {
                int number = -1;
                wrong += zmq_recv (pull, &number, sizeof number, 0) != sizeof number || number != j;
            }
            pthread_join (thread, NULL);
            say ("%s, mark %d: failed %d, wrong %d", transport, marks[i], sending.failed, wrong);
            shut (push), shut (pull);
        }
    }
}

PROGRAM (full_senders_time_out)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}};
    size_t i;
    for (i = 0; i < 3; i++) {
        int64_t start;
        void *one = sock (types[i][0]), *other = sock (types[i][1]);
        MUST (set (one, ZMQ_SNDHWM, 1) == 0 && set (other, ZMQ_RCVHWM, 1) == 0 && set (one, ZMQ_SNDTIMEO, 100) == 0);
        link_by ("inproc", other, one);
        SEE (filled (one, "x|y", 10));
        start = now_ms ();
        TRY (zmq_send (one, "late", 4, 0));
        say ("%s", took (now_ms () - start, 100));
        start = now_ms ();
        SEE (ready (one, ZMQ_POLLOUT, 50));
        say ("%s", took (now_ms () - start, 50));
        HEAR (other);
        AWAIT_OUT (one);
        TRY (zmq_send (one, "first", 5, ZMQ_SNDMORE));
        TRY (zmq_send (one, "second", 6, ZMQ_DONTWAIT));
        HEAR (other);
        HEAR (other);
    }
}

PROGRAM (conflation)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_PUB, ZMQ_SUB}, {ZMQ_DEALER, ZMQ_DEALER}};
    size_t i;
    EACH_TRANSPORT (transport)
        for (i = 0; i < 3; i++) {
            int j, others = 0;
            const char *heard;
            void *one = sock (types[i][0]), *other = sock (types[i][1]);
            MUST (set (other, ZMQ_CONFLATE, 1) == 0);
            if (types[i][1] == ZMQ_SUB)
                MUST (set_text (other, ZMQ_SUBSCRIBE, "") == 0);
            join_by (transport, one, other);
            say ("%s, type %d", transport, types[i][0]);
            /* Until one arrives: the subscription takes its time. */
            UNTIL (put (one, "early", 0) > 0 && ready (other, ZMQ_POLLIN, 20));
            for (j = 0; j < 100; j++)
                put (one, "in between", 0);
            SEE (put (one, "last", 0));
            do {
                heard = got (other, 0);
                others++;
            } while (*heard == '[' && strcmp (heard, "[last]"));
            say ("heard %s, few others %d", heard, others < 90);
            HEAR_NOW (other);
            shut (one), shut (other);
        }
}

PROGRAM (conflation_of_parts)
{
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
    MUST (set (push, ZMQ_CONFLATE, 1) == 0 && set (pull, ZMQ_CONFLATE, 1) == 0);
    link_by ("inproc", pull, push);
    SEE (put (push, "a|b|c", 0));
    SEE (put (push, "d|e", 0));
    HEAR (pull);
    HEAR_NOW (pull);
    SEE (put (push, "one", 0));
    SEE (put (push, "two", 0));
    SEE (events (push));
    HEAR (pull);
    HEAR_NOW (pull);
}

/* What is sent before anybody listens waits for the connection, or is refused. */
PROGRAM (queueing_before_the_connection)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_ROUTER}, {ZMQ_PAIR, ZMQ_PAIR}, {ZMQ_REQ, ZMQ_REP}};
    size_t i;
    int immediate;
    for (immediate = 0; immediate < 2; immediate++)
        for (i = 0; i < 4; i++) {
            char address[64];
            void *one = sock (types[i][0]), *other = sock (types[i][1]);
            strcpy (address, nobody ());
            MUST (set (one, ZMQ_IMMEDIATE, immediate) == 0 && set (one, ZMQ_SNDHWM, 2) == 0);
            MUST (set (one, ZMQ_RECONNECT_IVL, 10) == 0);
            MUST (zmq_connect (one, address) == 0);
            say ("immediate %d, type %d", immediate, types[i][0]);
            SEE (events (one));
            TRY (put (one, "1", ZMQ_DONTWAIT));
            TRY (put (one, "2", ZMQ_DONTWAIT));
            TRY (put (one, "3", ZMQ_DONTWAIT));
            SEE (events (one));
            MUST (zmq_bind (other, address) == 0);
            if (immediate) {
                AWAIT_OUT (one);
                TRY (put (one, "4", ZMQ_DONTWAIT));
            }
            AWAIT_IN (other);
            SEE (*got (other, 0) == '[');
            shut (one), shut (other);
        }
}

PROGRAM (immediate_loses_its_peer)
{
    char address[300];
    void *push = sock (ZMQ_PUSH), *pull = sock (ZMQ_PULL);
    MUST (set (push, ZMQ_IMMEDIATE, 1) == 0 && set (push, ZMQ_RECONNECT_IVL, 10) == 0);
    join_by ("tcp", pull, push);
    strcpy (address, endpoint (pull));
    TRY (put (push, "one", 0));
    HEAR (pull);
    shut (pull);
    UNTIL (events (push) == 0);
    TRY (put (push, "nobody there", ZMQ_DONTWAIT));
    pull = sock (ZMQ_PULL);
    UNTIL (zmq_bind (pull, address) == 0);
    AWAIT_OUT (push);
    TRY (put (push, "two", 0));
    HEAR (pull);
}

/* Messages that are queued while the peer is away arrive when it is back. */
PROGRAM (queueing_while_the_peer_is_away)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}};
    size_t i;
    for (i = 0; i < 3; i++) {
        char address[300];
        void *one = sock (types[i][0]), *other = sock (types[i][1]), *monitor;
        MUST (set (one, ZMQ_RECONNECT_IVL, 10) == 0);
        join_by ("tcp", other, one);
        monitor = watch (one, ZMQ_EVENT_DISCONNECTED);
        strcpy (address, endpoint (other));
        TRY (put (one, "before|it", 0));
        HEAR (other);
        shut (other);
        until_event (monitor, ZMQ_EVENT_DISCONNECTED);
        TRY (put (one, "while|away", 0));
        TRY (put (one, "another", 0));
        other = sock (types[i][1]);
        UNTIL (zmq_bind (other, address) == 0);
        HEAR (other);
        HEAR (other);
        SILENT (other);
        shut (one), shut (other);
    }
}

/* A message begun when the peer goes away. */
PROGRAM (half_a_message_and_a_lost_peer)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}};
    size_t i;
    for (i = 0; i < 3; i++) {
        char address[300];
        void *one = sock (types[i][0]), *other = sock (types[i][1]), *monitor;
        MUST (set (one, ZMQ_RECONNECT_IVL, 10) == 0);
        join_by ("tcp", other, one);
        monitor = watch (one, ZMQ_EVENT_DISCONNECTED);
        strcpy (address, endpoint (other));
        TRY (zmq_send (one, "begun", 5, ZMQ_SNDMORE));
        shut (other);
        until_event (monitor, ZMQ_EVENT_DISCONNECTED);
        TRY (zmq_send (one, "continued", 9, ZMQ_SNDMORE));
        TRY (zmq_send (one, "ended", 5, 0));
        TRY (put (one, "next|message", 0));
        other = sock (types[i][1]);
        UNTIL (zmq_bind (other, address) == 0);
        HEAR (other);
        shut (one), shut (other);
    }
}

/* The bound side: its peer goes in the middle of a message. */
PROGRAM (half_a_message_on_the_bound_side)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}};
    size_t i;
    EACH_TRANSPORT (transport)
        for (i = 0; i < 3; i++) {
            void *one = sock (types[i][0]), *other = sock (types[i][1]), *next = sock (types[i][1]), *monitor = NULL;
            join_by (transport, one, other);
            if (strcmp (transport, "inproc"))
                monitor = watch (one, ZMQ_EVENT_DISCONNECTED);
            say ("%s, type %d", transport, types[i][0]);
            TRY (zmq_send (one, "begun", 5, ZMQ_SNDMORE));
            shut (other);
            if (monitor)
                until_event (monitor, ZMQ_EVENT_DISCONNECTED);
            settle (one);
            SEE (events (one));
            TRY (zmq_send (one, "continued", 9, ZMQ_SNDMORE | ZMQ_DONTWAIT));
            TRY (zmq_send (one, "ended", 5, ZMQ_DONTWAIT));
            SEE (events (one));
            TRY (put (one, "nobody", ZMQ_DONTWAIT));
            MUST (zmq_connect (next, endpoint (one)) == 0);
            AWAIT_OUT (one);
            TRY (put (one, "next|message", 0));
            HEAR (next);
            shut (one), shut (next);
        }
}

/* Closing a socket with messages on their way, read late: everything that was sent arrives. */
PROGRAM (linger_delivers)
{
    static const int lingers[] = {-1, 10000};
    size_t i;
    EACH_TRANSPORT (transport)
        for (i = 0; i < 2; i++) {
            void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
            int j, count = 0;
            char *big = calloc (1, 50000);
            MUST (set (push, ZMQ_LINGER, lingers[i]) == 0);
            join_by (transport, pull, push);
            for (j = 0; j < 300; j++)
                MUST (zmq_send (push, big, 50000, 0) == 50000);
            shut (push);
            while (count < 300 && zmq_recv (pull, big, 50000, 0) == 50000)
                count++;
            say ("%s, linger %d: %d received", transport, lingers[i], count);
            SILENT (pull);
            free (big);
            shut (pull);
        }
}

PROGRAM (linger_waits_for_a_connection)
{
    static const int lingers[] = {-1, 10000};
    size_t i;
    for (i = 0; i < 2; i++) {
        char address[64];
        void *context = zmq_ctx_new (), *push = zmq_socket (context, ZMQ_PUSH), *pull = sock (ZMQ_PULL);
        strcpy (address, nobody ());
        MUST (set (push, ZMQ_LINGER, lingers[i]) == 0 && set (push, ZMQ_RECONNECT_IVL, 10) == 0);
        MUST (zmq_connect (push, address) == 0);
        TRY (put (push, "for|later", 0));
        TRY (zmq_close (push));
        MUST (zmq_bind (pull, address) == 0);
        HEAR (pull);
        TRY (zmq_ctx_term (context));
        shut (pull);
    }
}

PROGRAM (linger_ends)
{
    static const int lingers[] = {0, 1, 200};
    static const int types[] = {ZMQ_PUSH, ZMQ_DEALER, ZMQ_PAIR, ZMQ_REQ, ZMQ_XSUB, ZMQ_PUB};
    size_t i, j;
    for (i = 0; i < 3; i++)
        for (j = 0; j < 6; j++) {
            int64_t start;
            void *context = zmq_ctx_new (), *socket = zmq_socket (context, types[j]);
            MUST (set (socket, ZMQ_LINGER, lingers[i]) == 0);
            MUST (zmq_connect (socket, nobody ()) == 0);
            TRIED (put (socket, "lost", ZMQ_DONTWAIT), "linger %d, type %d", lingers[i], types[j]);
            start = now_ms ();
            TRY (zmq_close (socket));
            TRY (zmq_ctx_term (context));
            say ("%s", took (now_ms () - start, types[j] == ZMQ_PUB || types[j] == ZMQ_XSUB ? 0 : lingers[i]));
        }
}

/* With nothing to send, closing is done at once whatever the linger is. */
PROGRAM (linger_with_nothing_to_send)
{
    static const int types[] = {ZMQ_PUSH, ZMQ_PULL, ZMQ_DEALER, ZMQ_ROUTER, ZMQ_REQ, ZMQ_REP, ZMQ_PUB, ZMQ_SUB, ZMQ_PAIR};
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        void *context = zmq_ctx_new (), *socket = zmq_socket (context, types[i]);
        int64_t start;
        MUST (set (socket, ZMQ_LINGER, -1) == 0);
        MUST (zmq_connect (socket, nobody ()) == 0);
        MUST (zmq_bind (socket, "tcp://127.0.0.1:*") == 0);
        MUST (zmq_connect (socket, "inproc://nobody") == 0);
        start = now_ms ();
        TRY (zmq_close (socket));
        TRY (zmq_ctx_term (context));
        say ("type %d: %s", types[i], took (now_ms () - start, 0));
    }
}

PROGRAM (linger_of_inproc)
{
    void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH), *context;
    MUST (set (push, ZMQ_LINGER, 0) == 0);
    link_by ("inproc", pull, push);
    TRY (put (push, "still|here", 0));
    shut (push);
    HEAR (pull);
    /* Before the bind. */
    push = sock (ZMQ_PUSH);
    MUST (set (push, ZMQ_LINGER, 0) == 0);
    MUST (zmq_connect (push, "inproc://later") == 0);
    TRY (put (push, "one", 0));
    shut (push);
    TRY (zmq_bind (pull, "inproc://later"));
    HEAR (pull);
    /* A bind that never comes does not hold up the end. */
    context = zmq_ctx_new ();
    push = zmq_socket (context, ZMQ_PUSH);
    MUST (set (push, ZMQ_LINGER, -1) == 0);
    MUST (zmq_connect (push, "inproc://never") == 0);
    TRY (put (push, "lost", 0));
    TRY (zmq_close (push));
    TRY (zmq_ctx_term (context));
}

PROGRAM (disconnect_discards_what_was_unread)
{
    EACH_TRANSPORT (transport) {
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        join_by (transport, push, pull);
        TRY (put (push, "one", 0));
        TRY (put (push, "two", 0));
        AWAIT_IN (pull);
        TRY (zmq_disconnect (pull, endpoint (push)));
        SILENT (pull);
        shut (pull), shut (push);
    }
}

PROGRAM (disconnect_sends_what_is_queued)
{
    EACH_TRANSPORT (transport) {
        int i, count = 0;
        void *pull = sock (ZMQ_PULL), *push = sock (ZMQ_PUSH);
        MUST (set (push, ZMQ_LINGER, -1) == 0);
        join_by (transport, pull, push);
        for (i = 0; i < 500; i++)
            MUST (put (push, "number|x", 0) > 0);
        TRY (zmq_disconnect (push, endpoint (pull)));
        TRY (put (push, "too late", ZMQ_DONTWAIT));
        while (count < 500 && *got (pull, 0) == '[')
            count++;
        SEE (count);
        SILENT (pull);
        shut (pull), shut (push);
    }
}

PROGRAM (what_a_gone_peer_sent_stays)
{
    static const int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}, {ZMQ_DEALER, ZMQ_ROUTER}};
    size_t i;
    int bound;
    EACH_TRANSPORT (transport)
        for (i = 0; i < 4; i++)
            for (bound = 0; bound < 2; bound++) {
                void *one = sock (types[i][0]), *other = sock (types[i][1]), *monitor = NULL;
                MUST (set (one, ZMQ_LINGER, -1) == 0);
                join_by (transport, bound ? other : one, bound ? one : other);
                if (strcmp (transport, "inproc"))
                    monitor = watch (other, ZMQ_EVENT_DISCONNECTED);
                say ("%s, type %d, bound %d", transport, types[i][1], bound);
                TRY (put (one, "a|b", 0));
                TRY (put (one, "c", 0));
                shut (one);
                if (monitor)
                    until_event (monitor, ZMQ_EVENT_DISCONNECTED);
                settle (other);
                SEE (*got (other, 0) == '[');
                SEE (*got (other, 0) == '[');
                SILENT (other);
                shut (other);
            }
}

/* A publisher and its subscribers, who have not read so many messages. */
static void *publisher_with (void **subscribers, int count, int no_drop, int unread)
{
    static int number;
    void *publisher = sock (ZMQ_XPUB);
    char address[64];
    int i;
    snprintf (address, sizeof address, "inproc://lowered%d", number++);
    MUST (set (publisher, ZMQ_XPUB_NODROP, no_drop) == 0);
    MUST (set (publisher, ZMQ_SNDHWM, 100) == 0 && set (publisher, ZMQ_SNDTIMEO, 100) == 0);
    MUST (zmq_bind (publisher, address) == 0);
    for (i = 0; i < count; i++) {
        subscribers[i] = sock (ZMQ_SUB);
        MUST (set (subscribers[i], ZMQ_RCVHWM, 100) == 0);
        MUST (set_text (subscribers[i], ZMQ_SUBSCRIBE, "") == 0);
        MUST (zmq_connect (subscribers[i], address) == 0);
    }
    events (publisher);
    for (i = 0; i < unread; i++)
        MUST (zmq_send (publisher, "m", 1, 0) == 1);
    return publisher;
}

PROGRAM (marks_lowered_amid_a_message)
{
    static const int sizes[] = {3, 300, 5000};
    static char bytes[5000];
    size_t last;
    int count, by_message, no_drop, i;
    for (count = 1; count <= 6; count++)
        for (last = 0; last < sizeof sizes / sizeof *sizes; last++)
            for (by_message = 0; by_message < 2; by_message++)
                for (no_drop = 0; no_drop < 2; no_drop++) {
                    void *subscribers[6], *publisher = publisher_with (subscribers, count, no_drop, 50);
                    if (by_message) {
                        zmq_msg_t part;
                        zmq_msg_init_size (&part, 2);
                        memcpy (zmq_msg_data (&part), "ab", 2);
                        MUST (zmq_msg_send (&part, publisher, ZMQ_SNDMORE) == 2);
                    } else
                        MUST (zmq_send (publisher, "ab", 2, ZMQ_SNDMORE) == 2);
                    MUST (set (publisher, ZMQ_SNDHWM, 1) == 0);
                    for (i = 0; i < count; i++) {
                        MUST (set (subscribers[i], ZMQ_RCVHWM, 1) == 0);
                        events (subscribers[i]);
                    }
                    events (publisher);
                    TRIED (zmq_send (publisher, bytes, sizes[last], 0), "%d of %d", sizes[last], count);
                    for (i = 0; i < count; i++) {
                        say ("%d", drained (subscribers[i]));
                        shut (subscribers[i]);
                    }
                    shut (publisher);
                }
}

PROGRAM (a_subscribers_mark_lowered)
{
    static char bytes[5000];
    int count, no_drop, i;
    for (count = 1; count <= 6; count++)
        for (no_drop = 0; no_drop < 2; no_drop++) {
            void *subscribers[6], *publisher = publisher_with (subscribers, count, no_drop, 50);
            int taken = 0, large;
            MUST (set (subscribers[0], ZMQ_RCVHWM, 1) == 0);
            events (subscribers[0]);
            events (publisher);
            while (taken < 120 && zmq_send (publisher, "m", 1, 0) == 1)
                taken++;
            large = zmq_send (publisher, bytes, sizeof bytes, 0);
            say ("%d of %d taken, then %d", taken, count, large);
            for (i = 0; i < count; i++) {
                say ("%d", drained (subscribers[i]));
                shut (subscribers[i]);
            }
            shut (publisher);
        }
}
