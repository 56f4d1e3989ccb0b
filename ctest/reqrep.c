/* REQ and REP: whose turn it is, envelopes, what is not an answer. */
#include "check.h"

static void *context;

static void close_both (void *one, void *other)
{
    GOOD (zmq_close (one));
    GOOD (zmq_close (other));
}

TEST (turns)
{
    size_t i;
    for (i = 0; i < TRANSPORTS; i++) {
        void *rep, *req;
        char bytes[8];
        pair_of (context, transports[i], ZMQ_REP, ZMQ_REQ, &rep, &req);
        FAILS (zmq_recv (req, bytes, sizeof bytes, 0), EFSM);
        FAILS (send_text (rep, "x", 0), EFSM);
        WAIT_UNTIL (req, get_int (req, ZMQ_EVENTS) == ZMQ_POLLOUT);
        EQUAL (get_int (rep, ZMQ_EVENTS), 0);
        GOOD (send_text (req, "part", ZMQ_SNDMORE));
        FAILS (zmq_recv (req, bytes, sizeof bytes, 0), EFSM); /* the request is not complete */
        GOOD (send_text (req, "whole", 0));
        FAILS (send_text (req, "x", 0), EFSM);
        EQUAL (get_int (req, ZMQ_EVENTS), 0);
        EQUAL (poll_one (rep, ZMQ_POLLIN | ZMQ_POLLOUT, PATIENCE_MS), ZMQ_POLLIN);
        EXPECT (rep, "part");
        EQUAL (more (rep), 1);
        FAILS (send_text (rep, "x", 0), EFSM); /* not all of it is read */
        EXPECT (rep, "whole");
        FAILS (zmq_recv (rep, bytes, sizeof bytes, 0), EFSM);
        EQUAL (get_int (rep, ZMQ_EVENTS), ZMQ_POLLOUT);
        GOOD (send_text (rep, "answer", ZMQ_SNDMORE));
        GOOD (send_text (rep, "end", 0));
        FAILS (send_text (rep, "x", 0), EFSM);
        EXPECT (req, "answer");
        FAILS (send_text (req, "x", 0), EFSM); /* not all of it is read */
        EXPECT (req, "end");
        FAILS (zmq_recv (req, bytes, sizeof bytes, 0), EFSM);
        GOOD (send_text (req, "again", 0));
        EXPECT (rep, "again");
        GOOD (send_text (rep, "", 0));
        EXPECT (req, "");
        close_both (rep, req);
    }
}

TEST (the_envelope)
{
    void *router, *req;
    char id[32];
    int size;
    pair_of (context, "inproc", ZMQ_ROUTER, ZMQ_REQ, &router, &req);
    GOOD (send_text (req, "question", 0));
    size = (int) GOOD (zmq_recv (router, id, sizeof id, 0));
    EQUAL (size, 5);
    EQUAL (id[0], 0);
    EXPECT (router, "");
    EXPECT (router, "question");
    EQUAL (more (router), 0);
    /* what is no answer is skipped: no delimiter, or a delimiter that is not empty */
    GOOD (zmq_send (router, id, (size_t) size, ZMQ_SNDMORE));
    GOOD (send_text (router, "no delimiter", 0));
    GOOD (zmq_send (router, id, (size_t) size, ZMQ_SNDMORE));
    GOOD (send_text (router, "bad", ZMQ_SNDMORE));
    GOOD (send_text (router, "answer", 0));
    GOOD (zmq_send (router, id, (size_t) size, ZMQ_SNDMORE));
    GOOD (send_text (router, "", ZMQ_SNDMORE));
    GOOD (send_text (router, "right", 0));
    EXPECT (req, "right");
    close_both (router, req);
}

TEST (correlation)
{
    void *router, *req;
    char id[32];
    uint32_t first, second, wrong;
    pair_of (context, "inproc", ZMQ_ROUTER, ZMQ_REQ, &router, &req);
    set_int (req, ZMQ_REQ_CORRELATE, 1);
    GOOD (send_text (req, "question", 0));
    EQUAL (zmq_recv (router, id, sizeof id, 0), 5);
    EQUAL (zmq_recv (router, &first, sizeof first, 0), 4);
    EXPECT (router, "");
    EXPECT (router, "question");
    wrong = first + 1;
    GOOD (zmq_send (router, id, 5, ZMQ_SNDMORE));
    GOOD (zmq_send (router, &wrong, 4, ZMQ_SNDMORE));
    GOOD (send_text (router, "", ZMQ_SNDMORE));
    GOOD (send_text (router, "of another request", 0));
    GOOD (zmq_send (router, id, 5, ZMQ_SNDMORE));
    GOOD (send_text (router, "", ZMQ_SNDMORE));
    GOOD (send_text (router, "of no request", 0));
    GOOD (zmq_send (router, id, 5, ZMQ_SNDMORE));
    GOOD (zmq_send (router, &first, 4, ZMQ_SNDMORE));
    GOOD (send_text (router, "", ZMQ_SNDMORE));
    GOOD (send_text (router, "right", 0));
    EXPECT (req, "right");
    GOOD (send_text (req, "next", 0));
    EQUAL (zmq_recv (router, id, sizeof id, 0), 5);
    EQUAL (zmq_recv (router, &second, sizeof second, 0), 4);
    EQUAL (second, (long long) (uint32_t) (first + 1));
    EXPECT (router, "");
    EXPECT (router, "next");
    close_both (router, req);
}

TEST (relaxation)
{
    void *router, *req;
    char id[32];
    uint32_t number;
    int i;
    pair_of (context, "inproc", ZMQ_ROUTER, ZMQ_REQ, &router, &req);
    set_int (req, ZMQ_REQ_RELAXED, 1);
    set_int (req, ZMQ_REQ_CORRELATE, 1);
    for (i = 0; i < 3; i++)
        GOOD (send_text (req, i == 2 ? "last" : "given up", 0));
    for (i = 0; i < 3; i++) {
        EQUAL (zmq_recv (router, id, sizeof id, 0), 5);
        EQUAL (zmq_recv (router, &number, sizeof number, 0), 4);
        EXPECT (router, "");
        EXPECT (router, i == 2 ? "last" : "given up");
        GOOD (zmq_send (router, id, 5, ZMQ_SNDMORE));
        GOOD (zmq_send (router, &number, 4, ZMQ_SNDMORE));
        GOOD (send_text (router, "", ZMQ_SNDMORE));
        GOOD (send_text (router, i == 2 ? "right" : "too late", 0));
    }
    EXPECT (req, "right");
    close_both (router, req);
}

TEST (rep_keeps_the_envelope)
{
    void *rep, *dealer;
    pair_of (context, "inproc", ZMQ_REP, ZMQ_DEALER, &rep, &dealer);
    GOOD (send_text (dealer, "one", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "two", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "body", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "rest", 0));
    EXPECT (rep, "body");
    EXPECT (rep, "");
    EXPECT (rep, "rest");
    EQUAL (more (rep), 0);
    GOOD (send_text (rep, "answer", 0));
    EXPECT (dealer, "one");
    EXPECT (dealer, "two");
    EXPECT (dealer, "");
    EXPECT (dealer, "answer");
    EQUAL (more (dealer), 0);
    close_both (rep, dealer);
}

TEST (rep_skips_what_is_no_request)
{
    void *rep, *dealer;
    pair_of (context, "inproc", ZMQ_REP, ZMQ_DEALER, &rep, &dealer);
    GOOD (send_text (dealer, "no delimiter", 0));
    GOOD (send_text (dealer, "nothing", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "behind it", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "", 0));
    GOOD (send_text (dealer, "", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "request", 0));
    EXPECT (rep, "request");
    GOOD (send_text (rep, "answer", 0));
    EXPECT (dealer, "");
    EXPECT (dealer, "answer");
    close_both (rep, dealer);
}

TEST (rep_serves_its_clients_in_turn)
{
    void *rep = bound (context, ZMQ_REP, "inproc://in-turn"), *clients[3];
    char text[8];
    int i, round;
    for (i = 0; i < 3; i++) {
        clients[i] = connected (context, ZMQ_REQ, "inproc://in-turn");
        snprintf (text, sizeof text, "%d", i);
        GOOD (send_text (clients[i], text, 0));
    }
    for (round = 0; round < 9; round++) {
        snprintf (text, sizeof text, "%d", round % 3);
        EXPECT (rep, text);
        GOOD (send_text (rep, text, 0));
        EXPECT (clients[round % 3], text);
        GOOD (send_text (clients[round % 3], text, 0));
    }
    for (i = 0; i < 3; i++)
        GOOD (zmq_close (clients[i]));
    GOOD (zmq_close (rep));
}

TEST (req_asks_its_servers_in_turn)
{
    void *req = bound (context, ZMQ_REQ, "inproc://servers"), *servers[3];
    int i, round;
    for (i = 0; i < 3; i++)
        servers[i] = connected (context, ZMQ_REP, "inproc://servers");
    for (round = 0; round < 9; round++) {
        GOOD (send_text (req, "question", 0));
        EXPECT (servers[round % 3], "question");
        GOOD (send_text (servers[round % 3], "answer", 0));
        EXPECT (req, "answer");
    }
    for (i = 0; i < 3; i++)
        GOOD (zmq_close (servers[i]));
    GOOD (zmq_close (req));
}

TEST (the_asker_is_gone)
{
    void *rep, *req, *other;
    pair_of (context, "tcp", ZMQ_REP, ZMQ_REQ, &rep, &req);
    GOOD (send_text (req, "question", 0));
    EXPECT (rep, "question");
    GOOD (zmq_close (req));
    GOOD (send_text (rep, "to nobody", 0));
    other = connected (context, ZMQ_REQ, last_endpoint (rep));
    GOOD (send_text (other, "next", 0));
    EXPECT (rep, "next");
    GOOD (send_text (rep, "answer", 0));
    EXPECT (other, "answer");
    close_both (rep, other);
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (turns);
    RUN (the_envelope);
    RUN (correlation);
    RUN (relaxation);
    RUN (rep_keeps_the_envelope);
    RUN (rep_skips_what_is_no_request);
    RUN (rep_serves_its_clients_in_turn);
    RUN (req_asks_its_servers_in_turn);
    RUN (the_asker_is_gone);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
