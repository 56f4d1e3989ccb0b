/* REQ, REP, DEALER: states, envelopes, what breaks them. */
#include "record.h"

PROGRAM (unconnected_sockets)
{
    static const int types[] = {ZMQ_PAIR, ZMQ_PUB, ZMQ_SUB, ZMQ_REQ, ZMQ_REP, ZMQ_DEALER,
                                ZMQ_ROUTER, ZMQ_PULL, ZMQ_PUSH, ZMQ_XPUB, ZMQ_XSUB, ZMQ_STREAM};
    int i;
    for (i = 0; i < 12; i++) {
        void *socket = sock (types[i]);
        char bytes[4];
        TRIED (events (socket), "type %d: events", types[i]);
        TRIED (zmq_send (socket, "x", 1, ZMQ_DONTWAIT), "type %d: send", types[i]);
        TRIED (zmq_recv (socket, bytes, 4, ZMQ_DONTWAIT), "type %d: recv", types[i]);
        shut (socket);
        socket = sock (types[i]);
        TRIED (zmq_send (socket, "x", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE), "type %d: send more", types[i]);
        TRIED (zmq_send (socket, "x", 1, ZMQ_DONTWAIT), "type %d: send the rest", types[i]);
        TRIED (zmq_recv (socket, bytes, 4, ZMQ_DONTWAIT), "type %d: recv", types[i]);
        TRIED (events (socket), "type %d: events", types[i]);
        MUST (set (socket, ZMQ_RCVTIMEO, 10) == 0 && set (socket, ZMQ_SNDTIMEO, 10) == 0);
        TRIED (zmq_send (socket, "x", 1, 0), "type %d: send, waiting", types[i]);
        TRIED (zmq_recv (socket, bytes, 4, 0), "type %d: recv, waiting", types[i]);
        TRIED (zmq_send (socket, "x", 1, 64), "type %d: send with a strange flag", types[i]);
        shut (socket);
    }
}

PROGRAM (req_states)
{
    EACH_TRANSPORT (transport) {
        void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ);
        join_by (transport, rep, req);
        say ("%s", transport);
        SEE (events (req));
        SEE (events (rep));
        HEAR_NOW (req);
        TRY (put (rep, "unasked", 0));
        TRY (put (req, "question", 0));
        SEE (events (req));
        TRY (put (req, "another", 0));
        AWAIT_IN (rep);
        SEE (events (rep));
        TRY (put (rep, "too early", 0));
        HEAR (rep);
        SEE (events (rep));
        HEAR_NOW (rep);
        TRY (put (rep, "answer|in two parts", 0));
        SEE (events (rep));
        TRY (put (rep, "a second answer", 0));
        AWAIT_IN (req);
        SEE (events (req));
        TRY (put (req, "too early", 0));
        HEAR (req);
        SEE (events (req));
        HEAR_NOW (req);
        TRY (put (req, "next|with parts", 0));
        HEAR (rep);
        TRY (put (rep, "", 0));
        HEAR (req);
        shut (rep), shut (req);
    }
}

/* In the middle of a message. */
PROGRAM (req_rep_between_parts)
{
    char bytes[16];
    void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ);
    join_by ("tcp", rep, req);
    TRY (zmq_send (req, "one", 3, ZMQ_SNDMORE));
    SEE (events (req));
    TRY (zmq_recv (req, bytes, 16, ZMQ_DONTWAIT));
    TRY (zmq_send (req, "two", 3, 0));
    TRY (zmq_recv (rep, bytes, 16, 0));
    SEE (events (rep));
    TRY (zmq_send (rep, "early", 5, 0));
    TRY (zmq_recv (rep, bytes, 16, 0));
    TRY (zmq_recv (rep, bytes, 16, ZMQ_DONTWAIT));
    TRY (zmq_send (rep, "three", 5, ZMQ_SNDMORE));
    SEE (events (rep));
    TRY (zmq_recv (rep, bytes, 16, ZMQ_DONTWAIT));
    TRY (zmq_send (rep, "four", 4, 0));
    TRY (zmq_recv (req, bytes, 16, 0));
    SEE (events (req));
    TRY (zmq_send (req, "early", 5, 0));
    TRY (zmq_recv (req, bytes, 16, 0));
    SEE (events (req));
}

PROGRAM (req_envelopes)
{
    int correlate;
    for (correlate = 0; correlate < 2; correlate++) {
        void *router = sock (ZMQ_ROUTER), *req = sock (ZMQ_REQ);
        zmq_msg_t id, number, part;
        uint32_t first = 0, second = 0;
        int round;
        MUST (set (req, ZMQ_REQ_CORRELATE, correlate) == 0);
        MUST (set_text (req, ZMQ_ROUTING_ID, "asker") == 0);
        join_by ("tcp", router, req);
        for (round = 0; round < 2; round++) {
            TRY (put (req, "a|b", 0));
            zmq_msg_init (&id), zmq_msg_init (&number), zmq_msg_init (&part);
            MUST (zmq_msg_recv (&id, router, 0) == 5);
            say ("%s", shown (zmq_msg_data (&id), zmq_msg_size (&id)));
            if (correlate) {
                SEE (zmq_msg_recv (&number, router, 0));
                memcpy (round ? &second : &first, zmq_msg_data (&number), 4);
            }
            HEAR (router);
            zmq_msg_send (&id, router, ZMQ_SNDMORE);
            if (correlate)
                zmq_msg_send (&number, router, ZMQ_SNDMORE);
            TRY (put (router, "|reply|with parts", 0));
            HEAR (req);
            zmq_msg_close (&id), zmq_msg_close (&number), zmq_msg_close (&part);
        }
        SEE (second - first);
        shut (router), shut (req);
    }
}

/* Replies that are none, over inproc, where no connection checks them. */
PROGRAM (req_skips_bad_replies)
{
    static const char *const replies[] = {"asker|no delimiter", "asker|no|delimiter", "asker||fine", "asker|", "asker||",
                                          "asker|1234|with a number", "asker|||two"};
    size_t i;
    for (i = 0; i < sizeof replies / sizeof *replies; i++) {
        void *router = sock (ZMQ_ROUTER), *req = sock (ZMQ_REQ);
        MUST (set_text (req, ZMQ_ROUTING_ID, "asker") == 0);
        MUST (set (req, ZMQ_RCVTIMEO, 100) == 0);
        join_by ("inproc", router, req);
        TRY (put (req, "q", 0));
        HEAR (router);
        say ("reply %s", replies[i]);
        TRY (put (router, replies[i], 0));
        HEAR (req);
        TRY (put (req, "q", ZMQ_DONTWAIT));
        shut (router), shut (req);
    }
}

PROGRAM (req_skips_replies_to_others)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *req = sock (ZMQ_REQ), *other = sock (ZMQ_ROUTER);
        MUST (set_text (req, ZMQ_ROUTING_ID, "asker") == 0);
        join_by (transport, router, req);
        join_by (transport, other, req);
        TRY (put (req, "q", 0));
        say ("%s: who got it", transport);
        {
            zmq_pollitem_t items[2] = {{router, 0, ZMQ_POLLIN, 0}, {other, 0, ZMQ_POLLIN, 0}};
            void *asked, *idle;
            MUST (zmq_poll (items, 2, PATIENCE_MS) == 1);
            asked = items[0].revents ? router : other;
            idle = items[0].revents ? other : router;
            SEE (asked == router);
            HEAR (asked);
            TRY (put (idle, "asker||unasked", 0));
            pause_ms (30);
            TRY (put (asked, "asker||asked", 0));
            HEAR (req);
            TRY (put (req, "q2", 0));
            HEAR (idle);
            TRY (put (idle, "asker||second", 0));
            HEAR (req);
        }
        shut (router), shut (req), shut (other);
    }
}

PROGRAM (req_relaxed)
{
    int correlate;
    for (correlate = 0; correlate < 2; correlate++) {
        EACH_TRANSPORT (transport) {
            void *router = sock (ZMQ_ROUTER), *req = sock (ZMQ_REQ);
            zmq_msg_t id, number, later_id, later_number;
            zmq_msg_init (&id), zmq_msg_init (&number), zmq_msg_init (&later_id), zmq_msg_init (&later_number);
            MUST (set (req, ZMQ_REQ_RELAXED, 1) == 0 && set (req, ZMQ_REQ_CORRELATE, correlate) == 0);
            join_by (transport, router, req);
            say ("%s, correlate %d", transport, correlate);
            HEAR_NOW (req);
            TRY (put (req, "first", 0));
            zmq_msg_recv (&id, router, 0);
            if (correlate)
                zmq_msg_recv (&number, router, 0);
            HEAR (router);
            SEE (events (req));
            TRY (put (req, "second", 0));
            zmq_msg_recv (&later_id, router, 0);
            if (correlate)
                zmq_msg_recv (&later_number, router, 0);
            HEAR (router);
            zmq_msg_send (&id, router, ZMQ_SNDMORE);
            if (correlate)
                zmq_msg_send (&number, router, ZMQ_SNDMORE);
            TRY (put (router, "|to the first", 0));
            zmq_msg_send (&later_id, router, ZMQ_SNDMORE);
            if (correlate)
                zmq_msg_send (&later_number, router, ZMQ_SNDMORE);
            TRY (put (router, "|to the second", 0));
            HEAR (req);
            HEAR_NOW (req);
            zmq_msg_close (&id), zmq_msg_close (&number), zmq_msg_close (&later_id), zmq_msg_close (&later_number);
            shut (router), shut (req);
        }
    }
}

/* The peer goes while its answer is awaited, and another comes in its place. */
PROGRAM (req_loses_its_server)
{
    int relaxed;
    for (relaxed = 0; relaxed < 2; relaxed++) {
        void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ), *monitor = watch (req, ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        char address[300];
        MUST (set (req, ZMQ_REQ_RELAXED, relaxed) == 0 && set (req, ZMQ_REQ_CORRELATE, relaxed) == 0);
        MUST (set (req, ZMQ_RECONNECT_IVL, 10) == 0);
        MUST (zmq_bind (rep, "tcp://127.0.0.1:*") == 0);
        strcpy (address, endpoint (rep));
        MUST (zmq_connect (req, address) == 0);
        TRY (put (req, "lost", 0));
        HEAR (rep);
        shut (rep);
        until_event (monitor, ZMQ_EVENT_DISCONNECTED);
        TRIED (put (req, "again", 0), "relaxed %d: again", relaxed);
        SEE (events (req));
        HEAR_NOW (req);
        rep = sock (ZMQ_REP);
        UNTIL (zmq_bind (rep, address) == 0);
        until_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        if (relaxed) {
            HEAR (rep);
            TRY (put (rep, "answer", 0));
            HEAR (req);
        } else {
            TRY (put (req, "again", 0));
            HEAR_NOW (req);
            HEAR_NOW (rep);
        }
        shut (rep), shut (req);
    }
}

/* What a REQ's connection does not take: a raw peer answers wrongly. */
PROGRAM (req_framing)
{
    static const struct {
        const char *name, *bytes;
        int size;
    } answers[] = {{"delimiter and body", "\1\0\0\2ok", 6}, {"body without delimiter", "\0\2no", 4},
                   {"delimiter with content", "\1\3abc\0\2no", 9}, {"delimiter alone", "\0\0", 2},
                   {"four bytes, delimiter, body", "\1\4abcd\1\0\0\2ok", 12},
                   {"four bytes and body", "\1\4abcd\0\2no", 10}};
    size_t i;
    for (i = 0; i < sizeof answers / sizeof *answers; i++) {
        char address[64];
        unsigned char frame[300];
        int flags, listener = raw_listen (address), peer, size;
        void *req = sock (ZMQ_REQ), *monitor = watch (req, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
        MUST (set (req, ZMQ_RCVTIMEO, 150) == 0);
        MUST (zmq_connect (req, address) == 0);
        peer = raw_accept (listener);
        raw_handshake (peer, 0, "REP", NULL);
        EVENT (monitor);
        TRY (put (req, "q", 0));
        while ((size = raw_frame (peer, &flags, frame)) >= 0) {
            say ("frame with flags %d: %s", flags, shown (frame, (size_t) size));
            if (!(flags & 1))
                break;
        }
        say ("answer: %s", answers[i].name);
        raw_write (peer, answers[i].bytes, answers[i].size);
        HEAR (req);
        if (i != 0 && i != 4)
            EVENT (monitor);
        no_events (monitor);
        close (peer), close (listener);
        shut (req);
    }
}

PROGRAM (rep_envelopes)
{
    EACH_TRANSPORT (transport) {
        static const char *const requests[] = {"|plain", "a||one", "a|b|c||deep|and wide", "no delimiter", "a|b", "|", "a|", "||x",
                                               "|marker"};
        size_t i;
        void *rep = sock (ZMQ_REP), *dealer = sock (ZMQ_DEALER);
        join_by (transport, rep, dealer);
        for (i = 0; i < sizeof requests / sizeof *requests; i++) {
            say ("%s: request %s", transport, requests[i]);
            TRY (put (dealer, requests[i], 0));
            ready (rep, ZMQ_POLLIN, 100);
            HEAR_NOW (rep);
            if (events (rep) & ZMQ_POLLOUT) {
                TRY (put (rep, "re|ply", 0));
                HEAR (dealer);
            }
        }
        shut (rep), shut (dealer);
    }
}

/* Several who ask: one after the other, in turn. */
PROGRAM (rep_takes_turns)
{
    EACH_TRANSPORT (transport) {
        void *rep = sock (ZMQ_REP), *one = sock (ZMQ_DEALER), *two = sock (ZMQ_DEALER);
        int i;
        join_by (transport, rep, one);
        MUST (zmq_connect (two, endpoint (rep)) == 0);
        TRY (put (two, "|here", 0));
        HEAR (rep);
        TRY (put (rep, "noted", 0));
        HEAR (two);
        TRY (put (one, "|one 1", 0));
        settle (rep);
        TRY (put (one, "|one 2", 0));
        TRY (put (one, "|one 3", 0));
        TRY (put (two, "|two 1", 0));
        TRY (put (two, "|two 2", 0));
        settle (rep);
        for (i = 0; i < 5; i++) {
            HEAR (rep);
            TRY (put (rep, "answer", 0));
        }
        for (i = 0; i < 3; i++)
            HEAR (one);
        for (i = 0; i < 2; i++)
            HEAR (two);
        SILENT (one);
        shut (rep), shut (one), shut (two);
    }
}

PROGRAM (rep_answers_who_has_gone)
{
    EACH_TRANSPORT (transport) {
        void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ), *next = sock (ZMQ_REQ);
        void *monitor = NULL;
        join_by (transport, rep, req);
        if (strcmp (transport, "inproc"))
            monitor = watch (rep, ZMQ_EVENT_DISCONNECTED);
        TRY (put (req, "gone soon", 0));
        HEAR (rep);
        shut (req);
        if (monitor)
            until_event (monitor, ZMQ_EVENT_DISCONNECTED);
        TRY (put (rep, "for nobody|really", 0));
        SEE (events (rep));
        MUST (zmq_connect (next, endpoint (rep)) == 0);
        TRY (put (next, "hello", 0));
        HEAR (rep);
        TRY (put (rep, "answer", 0));
        HEAR (next);
        shut (rep), shut (next);
    }
}

/* A request that was read in part when its sender goes. */
PROGRAM (rep_in_the_middle_of_a_request)
{
    EACH_TRANSPORT (transport) {
        char bytes[16];
        void *rep = sock (ZMQ_REP), *req = sock (ZMQ_REQ), *monitor = NULL;
        join_by (transport, rep, req);
        if (strcmp (transport, "inproc"))
            monitor = watch (rep, ZMQ_EVENT_DISCONNECTED);
        TRY (put (req, "first|second|third", 0));
        TRY (zmq_recv (rep, bytes, 16, 0));
        shut (req);
        if (monitor)
            until_event (monitor, ZMQ_EVENT_DISCONNECTED);
        TRY (put (rep, "early", 0));
        TRY (zmq_recv (rep, bytes, 16, 0));
        TRY (zmq_recv (rep, bytes, 16, 0));
        TRY (zmq_recv (rep, bytes, 16, ZMQ_DONTWAIT));
        TRY (put (rep, "late", 0));
        TRY (zmq_recv (rep, bytes, 16, ZMQ_DONTWAIT));
        shut (rep);
    }
}

PROGRAM (dealers_share_and_collect)
{
    EACH_TRANSPORT (transport) {
        void *dealer = sock (ZMQ_DEALER), *servers[3];
        int i;
        for (i = 0; i < 3; i++) {
            servers[i] = sock (ZMQ_DEALER);
            MUST (zmq_bind (servers[i], fresh (transport)) == 0);
            MUST (zmq_connect (dealer, endpoint (servers[i])) == 0);
        }
        for (i = 0; i < 7; i++) {
            char text[8];
            sprintf (text, "m%d|x", i);
            TRY (put (dealer, text, 0));
        }
        for (i = 0; i < 3; i++) {
            say ("%s: server %d", transport, i);
            HEAR (servers[i]);
            HEAR (servers[i]);
        }
        HEAR (servers[0]);
        for (i = 0; i < 3; i++)
            HEAR_NOW (servers[i]);
        for (i = 0; i < 3; i++) {
            SEE (put (servers[i], "back|again", 0));
            SEE (put (servers[i], "and more", 0));
        }
        pause_ms (60);
        for (i = 0; i < 6; i++)
            HEAR (dealer);
        shut (dealer);
        for (i = 0; i < 3; i++)
            shut (servers[i]);
    }
}
