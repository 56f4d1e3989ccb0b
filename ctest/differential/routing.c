/* ROUTER and STREAM: ids, unknown and full peers, handover, probes, raw connections. */
#include "record.h"

PROGRAM (router_basics)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *named = sock (ZMQ_DEALER), *unnamed = sock (ZMQ_DEALER);
        zmq_msg_t id;
        MUST (set_text (named, ZMQ_ROUTING_ID, "named") == 0);
        join_by (transport, router, named);
        MUST (zmq_connect (unnamed, endpoint (router)) == 0);
        TRY (put (named, "hello|you", 0));
        HEAR (router);
        TRY (put (named, "", 0));
        HEAR (router);
        TRY (put (unnamed, "who am I?", 0));
        zmq_msg_init (&id);
        SEE (zmq_msg_recv (&id, router, 0));
        say ("%s, more %d", shown (zmq_msg_data (&id), zmq_msg_size (&id)), zmq_msg_more (&id));
        HEAR (router);
        zmq_msg_send (&id, router, ZMQ_SNDMORE);
        TRY (put (router, "somebody", 0));
        HEAR (unnamed);
        TRY (put (router, "named|to|you", 0));
        HEAR (named);
        TRY (put (router, "named|", 0));
        HEAR (named);
        TRY (put (router, "named", 0));
        TRY (put (router, "nobody|lost", 0));
        TRY (put (router, "|lost", 0));
        TRY (put (router, "named|marker", 0));
        HEAR (named);
        SILENT (unnamed);
        zmq_msg_close (&id);
        shut (router), shut (named), shut (unnamed);
    }
}

PROGRAM (router_mandatory)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER);
        SEE (set (router, ZMQ_ROUTER_MANDATORY, 1));
        MUST (set_text (dealer, ZMQ_ROUTING_ID, "peer") == 0);
        say ("%s", transport);
        SEE (events (router));
        TRY (put (router, "peer|too early", 0));
        TRY (zmq_send (router, "peer", 4, 0));
        TRY (zmq_send (router, "peer", 4, ZMQ_SNDMORE));
        SEE (events (router));
        join_by (transport, router, dealer);
        SEE (events (router));
        TRY (put (router, "peer|hello", 0));
        HEAR (dealer);
        TRY (put (router, "other|hello", 0));
        TRY (zmq_send (router, "peer", 4, ZMQ_SNDMORE));
        SEE (events (router));
        TRY (put (router, "after the failure", 0));
        HEAR (dealer);
        TRY (zmq_send (router, "peer", 4, 0));
        SEE (set (router, ZMQ_ROUTER_MANDATORY, 0));
        TRY (put (router, "other|hello", 0));
        SEE (set (router, ZMQ_ROUTER_MANDATORY, 1));
        shut (dealer);
        UNTIL (put (router, "peer|gone", 0) < 0);
        TRY (put (router, "peer|gone", 0));
        settle (router);
        SEE (events (router));
        shut (router);
    }
}

/* Full peers: inproc, where the number is exact. */
PROGRAM (router_full_peer)
{
    int mandatory;
    for (mandatory = 0; mandatory < 2; mandatory++) {
        int i;
        void *router = sock (ZMQ_ROUTER), *slow = sock (ZMQ_DEALER), *quick = sock (ZMQ_DEALER);
        MUST (set (router, ZMQ_SNDHWM, 2) == 0 && set (slow, ZMQ_RCVHWM, 2) == 0 && set (quick, ZMQ_RCVHWM, 2) == 0);
        MUST (set (router, ZMQ_SNDTIMEO, 30) == 0);
        MUST (set (router, ZMQ_ROUTER_MANDATORY, mandatory) == 0);
        MUST (set_text (slow, ZMQ_ROUTING_ID, "slow") == 0 && set_text (quick, ZMQ_ROUTING_ID, "quick") == 0);
        join_by ("inproc", router, slow);
        MUST (zmq_connect (quick, endpoint (router)) == 0);
        events (router);
        for (i = 0; i < 6; i++)
            TRIED (put (router, "slow|x", ZMQ_DONTWAIT), "mandatory %d, message %d", mandatory, i);
        SEE (events (router));
        TRY (put (router, "slow|x", 0));
        TRY (put (router, "quick|free", 0));
        HEAR (quick);
        SEE (drained (slow));
        settle (router);
        TRY (put (router, "slow|again", 0));
        HEAR (slow);
        for (i = 0; i < 3; i++)
            TRY (put (router, "slow|a|b|c", ZMQ_DONTWAIT));
        for (i = 0; i < 3; i++)
            TRY (put (router, "quick|a|b|c", ZMQ_DONTWAIT));
        TRY (put (router, "unknown|x", ZMQ_DONTWAIT));
        shut (router), shut (slow), shut (quick);
    }
}

PROGRAM (router_ids)
{
    static const struct {
        const char *bytes;
        int size;
    } ids[] = {{"a", 1}, {"\0zero first", 11}, {"\1\2\3\4\5", 5}, {"with spaces and \xff", 17}, {"\0", 1}, {"\0abcd", 5}};
    size_t i;
    EACH_TRANSPORT (transport) {
        for (i = 0; i < sizeof ids / sizeof *ids; i++) {
            zmq_msg_t id;
            char buffer[300];
            size_t size = sizeof buffer;
            void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER);
            TRIED (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, ids[i].bytes, (size_t) ids[i].size), "%s: id %zu", transport, i);
            TRY (zmq_getsockopt (dealer, ZMQ_ROUTING_ID, buffer, &size));
            SEE (size);
            join_by (transport, router, dealer);
            TRY (put (dealer, "hello", 0));
            zmq_msg_init (&id);
            SEE (zmq_msg_recv (&id, router, 0));
            SEE (memcmp (zmq_msg_data (&id), ids[i].bytes, (size_t) ids[i].size));
            HEAR (router);
            TRY (zmq_msg_send (&id, router, ZMQ_SNDMORE));
            TRY (put (router, "you", 0));
            HEAR (dealer);
            shut (router), shut (dealer);
        }
    }
}

PROGRAM (router_longest_id)
{
    EACH_TRANSPORT (transport) {
        char long_id[256];
        void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER);
        memset (long_id, 'i', sizeof long_id);
        TRY (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, long_id, 256));
        TRY (zmq_setsockopt (dealer, ZMQ_ROUTING_ID, long_id, 255));
        join_by (transport, router, dealer);
        TRY (put (dealer, "hello", 0));
        HEAR (router);
        TRY (zmq_send (router, long_id, 255, ZMQ_SNDMORE));
        TRY (put (router, "you", 0));
        HEAR (dealer);
        shut (router), shut (dealer);
    }
}

/* Two peers by the same name, without and with handover. */
PROGRAM (router_same_name_twice)
{
    int handover;
    for (handover = 0; handover < 2; handover++) {
        EACH_TRANSPORT (transport) {
            void *router = sock (ZMQ_ROUTER), *one = sock (ZMQ_DEALER), *two = sock (ZMQ_DEALER);
            MUST (set (router, ZMQ_ROUTER_HANDOVER, handover) == 0);
            MUST (set_text (one, ZMQ_ROUTING_ID, "name") == 0 && set_text (two, ZMQ_ROUTING_ID, "name") == 0);
            say ("%s, handover %d", transport, handover);
            join_by (transport, router, one);
            TRY (put (one, "from one", 0));
            HEAR (router);
            if (!handover)
                TRY (put (one, "from one, unread", 0));
            MUST (zmq_connect (two, endpoint (router)) == 0);
            if (handover) {
                TRY (put (two, "from two", 0));
                HEAR (router);
                TRY (put (router, "name|to the second", 0));
                HEAR (two);
            } else {
                HEAR (router);
                TRY (put (two, "from two", ZMQ_DONTWAIT));
                SILENT (router);
                TRY (put (router, "name|to the first", 0));
                HEAR (one);
                SILENT (two);
            }
            shut (router), shut (one), shut (two);
        }
    }
}

/* The name is free again when its owner has gone. */
PROGRAM (router_name_after_its_owner)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *one = sock (ZMQ_DEALER), *two = sock (ZMQ_DEALER);
        MUST (set (router, ZMQ_ROUTER_MANDATORY, 1) == 0);
        MUST (set_text (one, ZMQ_ROUTING_ID, "name") == 0 && set_text (two, ZMQ_ROUTING_ID, "name") == 0);
        join_by (transport, router, one);
        TRY (put (one, "last words", 0));
        AWAIT_IN (router);
        shut (one);
        HEAR (router);
        UNTIL (put (router, "name|x", ZMQ_DONTWAIT) < 0 && zmq_errno () == EHOSTUNREACH);
        settle (router);
        MUST (zmq_connect (two, endpoint (router)) == 0);
        TRY (put (two, "my name now", 0));
        HEAR (router);
        TRY (put (router, "name|yes", 0));
        HEAR (two);
        shut (router), shut (two);
    }
}

PROGRAM (router_probes)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER), *req = sock (ZMQ_REQ), *other = sock (ZMQ_ROUTER);
        MUST (set (dealer, ZMQ_PROBE_ROUTER, 1) == 0 && set (req, ZMQ_PROBE_ROUTER, 1) == 0);
        MUST (set (other, ZMQ_PROBE_ROUTER, 1) == 0 && set_text (dealer, ZMQ_ROUTING_ID, "dealer") == 0);
        MUST (set_text (req, ZMQ_ROUTING_ID, "req") == 0 && set_text (other, ZMQ_ROUTING_ID, "other") == 0);
        say ("%s", transport);
        link_by (transport, router, dealer);
        HEAR (router);
        MUST (zmq_connect (req, endpoint (router)) == 0);
        HEAR (router);
        MUST (zmq_connect (other, endpoint (router)) == 0);
        HEAR (router);
        TRY (put (router, "other|hello", 0));
        HEAR (other);
        SILENT (router);
        shut (router), shut (dealer), shut (req), shut (other);
    }
}

/* A name given to the next connection. */
PROGRAM (router_connect_routing_id)
{
    EACH_TRANSPORT (transport) {
        void *router = sock (ZMQ_ROUTER), *one = sock (ZMQ_DEALER), *two = sock (ZMQ_DEALER);
        char address[300];
        MUST (set (router, ZMQ_ROUTER_MANDATORY, 1) == 0);
        MUST (set_text (one, ZMQ_ROUTING_ID, "its own") == 0);
        MUST (zmq_bind (one, fresh (transport)) == 0);
        MUST (zmq_bind (two, fresh (transport)) == 0);
        strcpy (address, endpoint (two));
        say ("%s", transport);
        SEE (set_text (router, ZMQ_CONNECT_ROUTING_ID, "first"));
        SEE (zmq_setsockopt (router, ZMQ_CONNECT_ROUTING_ID, "", 0));
        MUST (zmq_connect (router, endpoint (one)) == 0);
        TRY (put (router, "first|at once", 0));
        HEAR (one);
        TRY (put (one, "back", 0));
        HEAR (router);
        TRY (put (router, "its own|x", 0));
        /* It was for one connection only. */
        MUST (zmq_connect (router, address) == 0);
        TRY (put (router, "first|again", 0));
        HEAR (one);
        TRY (put (two, "who am I?", 0));
        HEAR (router);
        shut (router), shut (one), shut (two);
    }
}

PROGRAM (router_connect_routing_id_before_the_peer)
{
    char address[300];
    void *router = sock (ZMQ_ROUTER), *dealer;
    strcpy (address, nobody ());
    MUST (set (router, ZMQ_ROUTER_MANDATORY, 1) == 0 && set (router, ZMQ_SNDHWM, 3) == 0);
    MUST (set (router, ZMQ_RECONNECT_IVL, 10) == 0);
    MUST (set_text (router, ZMQ_CONNECT_ROUTING_ID, "later") == 0);
    MUST (zmq_connect (router, address) == 0);
    SEE (events (router));
    TRY (put (router, "later|one", ZMQ_DONTWAIT));
    TRY (put (router, "later|two", ZMQ_DONTWAIT));
    TRY (put (router, "later|three", ZMQ_DONTWAIT));
    TRY (put (router, "later|four", ZMQ_DONTWAIT));
    SEE (events (router));
    dealer = sock (ZMQ_DEALER);
    MUST (zmq_bind (dealer, address) == 0);
    HEAR (dealer);
    HEAR (dealer);
    HEAR (dealer);
    TRY (put (dealer, "hello", 0));
    HEAR (router);
}

/* With IMMEDIATE the name waits for the handshake. */
PROGRAM (router_connect_routing_id_immediate)
{
    void *router = sock (ZMQ_ROUTER), *dealer = sock (ZMQ_DEALER), *monitor = watch (router, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    MUST (set (router, ZMQ_ROUTER_MANDATORY, 1) == 0 && set (router, ZMQ_IMMEDIATE, 1) == 0);
    MUST (zmq_bind (dealer, "tcp://127.0.0.1:*") == 0);
    MUST (set_text (router, ZMQ_CONNECT_ROUTING_ID, "given") == 0);
    MUST (zmq_connect (router, endpoint (dealer)) == 0);
    until_event (monitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    TRY (put (dealer, "hello", 0));
    HEAR (router);
    TRY (put (router, "given|you", 0));
    HEAR_NOW (dealer);
}

/* In the middle of a message the peer goes. */
PROGRAM (router_loses_a_peer_between_parts)
{
    EACH_TRANSPORT (transport) {
        int mandatory;
        for (mandatory = 0; mandatory < 2; mandatory++) {
            char bytes[16];
            void *router = sock (ZMQ_ROUTER), *one = sock (ZMQ_DEALER), *two = sock (ZMQ_DEALER), *monitor = NULL;
            MUST (set (router, ZMQ_ROUTER_MANDATORY, mandatory) == 0);
            MUST (set_text (one, ZMQ_ROUTING_ID, "one") == 0 && set_text (two, ZMQ_ROUTING_ID, "two") == 0);
            join_by (transport, router, one);
            MUST (zmq_connect (two, endpoint (router)) == 0);
            TRY (put (two, "here", 0));
            HEAR (router);
            if (strcmp (transport, "inproc"))
                monitor = watch (router, ZMQ_EVENT_DISCONNECTED);
            say ("%s, mandatory %d", transport, mandatory);
            TRY (put (one, "a|b|c", 0));
            SEE (zmq_recv (router, bytes, 16, 0));
            SEE (zmq_recv (router, bytes, 16, 0));
            TRY (zmq_send (router, "one", 3, ZMQ_SNDMORE));
            TRY (zmq_send (router, "part", 4, ZMQ_SNDMORE));
            shut (one);
            if (monitor)
                until_event (monitor, ZMQ_EVENT_DISCONNECTED);
            SEE (zmq_recv (router, bytes, 16, 0));
            SEE (zmq_recv (router, bytes, 16, 0));
            SEE (get (router, ZMQ_RCVMORE));
            SEE (events (router));
            TRY (zmq_send (router, "part", 4, ZMQ_SNDMORE));
            TRY (zmq_send (router, "last", 4, 0));
            TRY (put (router, "two|hello", 0));
            HEAR (two);
            shut (router), shut (two);
        }
    }
}

PROGRAM (router_to_router)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_ROUTER), *two = sock (ZMQ_ROUTER);
        MUST (set_text (one, ZMQ_ROUTING_ID, "one") == 0 && set_text (two, ZMQ_ROUTING_ID, "two") == 0);
        join_by (transport, one, two);
        UNTIL (put (two, "one|hello", 0) > 0 && ready (one, ZMQ_POLLIN, 30));
        HEAR (one);
        UNTIL (put (one, "two|back", 0) > 0 && ready (two, ZMQ_POLLIN, 30));
        HEAR (two);
        shut (one), shut (two);
    }
}

/* ------------------------------------------------------------------------------------------------------------- STREAM */

PROGRAM (stream_server)
{
    zmq_msg_t id;
    void *stream = sock (ZMQ_STREAM);
    char bytes[16];
    int raw;
    MUST (zmq_bind (stream, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (stream));
    zmq_msg_init (&id);
    SEE (zmq_msg_recv (&id, stream, 0));
    say ("%s, more %d", shown (zmq_msg_data (&id), zmq_msg_size (&id)), zmq_msg_more (&id));
    HEAR (stream);
    raw_write (raw, "hello", 5);
    HEAR (stream);
    TRY (zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    TRY (zmq_send (stream, "answer", 6, ZMQ_SNDMORE));
    SEE (raw_read (raw, bytes, 6));
    say ("%s", shown (bytes, 6));
    TRY (zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    TRY (zmq_send (stream, "more", 4, 0));
    SEE (raw_read (raw, bytes, 4));
    TRY (zmq_send (stream, "wrong", 5, ZMQ_SNDMORE));
    TRY (zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    TRY (zmq_send (stream, "", 0, 0));
    UNTIL (events (stream) >= 0 && recv (raw, bytes, 1, MSG_DONTWAIT) == 0);
    SILENT (stream);
    TRY (zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    close (raw);
    zmq_msg_close (&id);
}

/* A part that nothing follows, where an id and data belong together. */
PROGRAM (stream_lone_part)
{
    void *stream = sock (ZMQ_STREAM);
    char address[64], bytes[16];
    int listener = raw_listen (address), raw;
    MUST (set_text (stream, ZMQ_CONNECT_ROUTING_ID, "peer") == 0);
    MUST (zmq_connect (stream, address) == 0);
    raw = raw_accept (listener);
    HEAR (stream);
    TRY (put (stream, "peer|one", 0));
    SEE (raw_read (raw, bytes, 3));
    TRY (put (stream, "peer", 0));
    TRY (put (stream, "peer|two", 0));
    TRY (put (stream, "peer|end", 0));
    SEE (raw_read (raw, bytes, 3));
    say ("%s", shown (bytes, 3));
    close (raw), close (listener);
}

PROGRAM (stream_peer_closes)
{
    int notify;
    for (notify = 1; notify >= 0; notify--) {
        zmq_msg_t id;
        void *stream = sock (ZMQ_STREAM);
        int raw;
        SEE (set (stream, ZMQ_STREAM_NOTIFY, notify));
        MUST (zmq_bind (stream, "tcp://127.0.0.1:*") == 0);
        raw = raw_connect (endpoint (stream));
        zmq_msg_init (&id);
        if (notify) {
            SEE (zmq_msg_recv (&id, stream, 0));
            HEAR (stream);
        }
        raw_write (raw, "last words", 10);
        SEE (zmq_msg_recv (&id, stream, 0));
        HEAR (stream);
        close (raw);
        if (notify)
            HEAR (stream);
        else
            SILENT (stream);
        UNTIL (events (stream) >= 0 && zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0);
        TRY (zmq_send (stream, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
        zmq_msg_close (&id);
        shut (stream);
    }
}

PROGRAM (stream_client)
{
    char address[64], bytes[16], id[32];
    size_t size = sizeof id;
    int listener = raw_listen (address), raw;
    void *stream = sock (ZMQ_STREAM);
    TRY (zmq_getsockopt (stream, ZMQ_ROUTING_ID, id, &size));
    SEE (size);
    MUST (set (stream, ZMQ_RECONNECT_IVL, 10) == 0);
    MUST (zmq_connect (stream, address) == 0);
    size = sizeof id;
    TRY (zmq_getsockopt (stream, ZMQ_ROUTING_ID, id, &size));
    say ("%s", shown (id, size));
    raw = raw_accept (listener);
    HEAR (stream);
    TRY (zmq_send (stream, id, size, ZMQ_SNDMORE));
    TRY (zmq_send (stream, "GET /", 5, 0));
    SEE (raw_read (raw, bytes, 5));
    raw_write (raw, "200 OK", 6);
    HEAR (stream);
    /* The other end goes: the connection comes back by itself, by the same id. */
    close (raw);
    HEAR (stream);
    raw = raw_accept (listener);
    HEAR (stream);
    TRY (zmq_send (stream, id, size, ZMQ_SNDMORE));
    TRY (zmq_send (stream, "again", 5, 0));
    SEE (raw_read (raw, bytes, 5));
    close (raw);
    close (listener);
}

PROGRAM (stream_named_connections)
{
    char address[64], bytes[16];
    int listener = raw_listen (address), one, two;
    void *stream = sock (ZMQ_STREAM);
    TRY (set_text (stream, ZMQ_CONNECT_ROUTING_ID, "first"));
    MUST (zmq_connect (stream, address) == 0);
    one = raw_accept (listener);
    HEAR (stream);
    TRY (set_text (stream, ZMQ_CONNECT_ROUTING_ID, "second"));
    MUST (zmq_connect (stream, address) == 0);
    two = raw_accept (listener);
    HEAR (stream);
    TRY (put (stream, "second|to two", 0));
    SEE (raw_read (two, bytes, 6));
    TRY (put (stream, "first|to one", 0));
    SEE (raw_read (one, bytes, 6));
    raw_write (one, "1", 1);
    HEAR (stream);
    raw_write (two, "2", 1);
    HEAR (stream);
    TRY (put (stream, "third|nobody", 0));
    close (one), close (two), close (listener);
}

PROGRAM (stream_to_stream)
{
    zmq_msg_t id, other_id;
    void *server = sock (ZMQ_STREAM), *client = sock (ZMQ_STREAM);
    link_by ("tcp", server, client);
    zmq_msg_init (&id), zmq_msg_init (&other_id);
    SEE (zmq_msg_recv (&id, server, 0));
    HEAR (server);
    SEE (zmq_msg_recv (&other_id, client, 0));
    HEAR (client);
    zmq_msg_send (&id, server, ZMQ_SNDMORE);
    TRY (put (server, "hello", 0));
    HEAR (client);
    zmq_msg_send (&other_id, client, ZMQ_SNDMORE);
    TRY (put (client, "back", 0));
    HEAR (server);
    shut (client);
    HEAR (server);
    zmq_msg_close (&id), zmq_msg_close (&other_id);
}

PROGRAM (router_raw)
{
    zmq_msg_t id;
    char bytes[16];
    int raw;
    void *router = sock (ZMQ_ROUTER);
    TRY (set (router, ZMQ_ROUTER_RAW, 1));
    MUST (zmq_bind (router, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (router));
    raw_write (raw, "hello", 5);
    zmq_msg_init (&id);
    SEE (zmq_msg_recv (&id, router, 0));
    HEAR (router);
    HEAR (router);
    TRY (zmq_send (router, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    TRY (zmq_send (router, "answer", 6, 0));
    SEE (raw_read (raw, bytes, 6));
    TRY (zmq_send (router, zmq_msg_data (&id), 5, ZMQ_SNDMORE));
    TRY (zmq_send (router, "", 0, 0));
    UNTIL (events (router) >= 0 && recv (raw, bytes, 1, MSG_DONTWAIT) == 0);
    SILENT (router);
    close (raw);
    raw = raw_connect (endpoint (router));
    HEAR (router);
    raw_write (raw, "bye", 3);
    HEAR (router);
    close (raw);
    SILENT (router);
    zmq_msg_close (&id);
}

/* ------------------------------------------------------------------------------------------------- PAIR, PUSH and PULL */

PROGRAM (pair_takes_one_peer)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR), *third = sock (ZMQ_PAIR);
        join_by (transport, one, other);
        MUST (zmq_connect (third, endpoint (one)) == 0);
        TRY (put (other, "hello", 0));
        HEAR (one);
        TRY (put (one, "to the first", 0));
        HEAR (other);
        SILENT (third);
        SILENT (one);
        shut (one), shut (other), shut (third);
    }
}

PROGRAM (pair_after_its_peer)
{
    EACH_TRANSPORT (transport) {
        void *one = sock (ZMQ_PAIR), *other = sock (ZMQ_PAIR), *next = sock (ZMQ_PAIR);
        join_by (transport, one, other);
        say ("%s", transport);
        TRY (put (other, "last|words", 0));
        AWAIT_IN (one);
        shut (other);
        HEAR (one);
        settle (one);
        SEE (events (one));
        TRY (put (one, "to nobody", ZMQ_DONTWAIT));
        MUST (zmq_connect (next, endpoint (one)) == 0);
        AWAIT_OUT (one);
        TRY (put (one, "to the next", 0));
        HEAR (next);
        shut (one), shut (next);
    }
}

PROGRAM (push_to_several)
{
    EACH_TRANSPORT (transport) {
        void *push = sock (ZMQ_PUSH), *pulls[3];
        int i;
        for (i = 0; i < 3; i++) {
            pulls[i] = sock (ZMQ_PULL);
            MUST (zmq_bind (pulls[i], fresh (transport)) == 0);
            MUST (zmq_connect (push, endpoint (pulls[i])) == 0);
        }
        for (i = 0; i < 9; i++) {
            char text[16];
            sprintf (text, "%d|part", i);
            TRY (put (push, text, 0));
        }
        for (i = 0; i < 9; i++)
            HEAR (pulls[i % 3]);
        TRY (zmq_recv (push, NULL, 0, ZMQ_DONTWAIT));
        TRY (zmq_send (pulls[0], "", 0, ZMQ_DONTWAIT));
        /* One goes: the others share what comes. */
        MUST (zmq_disconnect (push, endpoint (pulls[1])) == 0);
        for (i = 0; i < 4; i++)
            TRY (put (push, "shared", 0));
        for (i = 0; i < 2; i++) {
            HEAR (pulls[0]);
            HEAR (pulls[2]);
        }
        SILENT (pulls[1]);
        shut (push);
        for (i = 0; i < 3; i++)
            shut (pulls[i]);
    }
}

PROGRAM (pull_from_several)
{
    EACH_TRANSPORT (transport) {
        void *pull = sock (ZMQ_PULL), *pushes[3];
        int i, j;
        MUST (zmq_bind (pull, fresh (transport)) == 0);
        for (i = 0; i < 3; i++) {
            pushes[i] = sock (ZMQ_PUSH);
            MUST (zmq_connect (pushes[i], endpoint (pull)) == 0);
        }
        for (i = 0; i < 3; i++) {
            TRY (put (pushes[i], "first", 0));
            HEAR (pull);
        }
        for (i = 0; i < 3; i++)
            for (j = 0; j < 3; j++) {
                char text[32];
                sprintf (text, "from %d|number %d", i, j);
                MUST (put (pushes[i], text, 0) > 0);
                settle (pull);
            }
        for (i = 0; i < 9; i++)
            HEAR (pull);
        SILENT (pull);
        shut (pull);
        for (i = 0; i < 3; i++)
            shut (pushes[i]);
    }
}
