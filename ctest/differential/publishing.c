/* PUB, SUB, XPUB, XSUB: subscriptions, what is told to the publisher, manual mode, welcome, filters. */
#include "record.h"

PROGRAM (sub_filters)
{
    EACH_TRANSPORT (transport) {
        static const char *const sent[] = {"a", "ab", "abc", "b", "", "ba|ab", "c|x", "A", "end"};
        size_t i;
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "ab"));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "c"));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "end"));
        link_by (transport, pub, sub);
        for (i = 0; i < 3; i++)
            MUST (*got (pub, 0) == '[');
        for (i = 0; i < sizeof sent / sizeof *sent; i++)
            SEE (put (pub, sent[i], 0));
        for (i = 0; i < 4; i++)
            HEAR (sub);
        SILENT (sub);
        shut (pub), shut (sub);
    }
}

/* Counts of subscriptions, and what of them the publisher is told. */
PROGRAM (sub_counts)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB);
        link_by (transport, pub, sub);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
        HEAR (pub);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, ""));
        HEAR (pub);
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "unknown"));
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "a"));
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, ""));
        HEAR (pub);
        SEE (put (pub, "abc", 0));
        HEAR (sub);
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "a"));
        HEAR (pub);
        SEE (put (pub, "abc", 0));
        SILENT (sub);
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "a"));
        SILENT (pub);
        shut (pub), shut (sub);
    }
}

static void two_subscribers (const char *transport, int option)
{
    void *pub = sock (ZMQ_XPUB), *one = sock (ZMQ_XSUB), *two = sock (ZMQ_XSUB);
    if (option)
        MUST (set (pub, option, 1) == 0);
    join_by (transport, pub, one);
    MUST (zmq_connect (two, endpoint (pub)) == 0);
    say ("%s, option %d", transport, option);
    SEE (put (one, "\1A", 0));
    HEAR (pub);
    SEE (put (two, "\1B", 0));
    HEAR (pub);
    SEE (put (two, "\1A", 0));
    SEE (put (two, "\1A", 0));
    SEE (put (two, "\1C", 0));
    for (;;) {
        const char *heard = got (pub, 0);
        say ("pub hears %s", heard);
        if (!strcmp (heard, "[\\x01C]") || *heard != '[')
            break;
    }
    SEE (zmq_send (two, "\0A", 2, 0));
    SEE (zmq_send (two, "\0A", 2, 0));
    SEE (zmq_send (two, "\0C", 2, 0));
    for (;;) {
        const char *heard = got (pub, 0);
        say ("pub hears %s", heard);
        if (!strcmp (heard, "[\\x00C]") || *heard != '[')
            break;
    }
    SEE (put (pub, "A", 0));
    HEAR (one);
    SILENT (two);
    SEE (zmq_send (one, "\0A", 2, 0));
    HEAR (pub);
    SEE (zmq_send (one, "\0X", 2, 0));
    SEE (put (one, "\1end", 0));
    for (;;) {
        const char *heard = got (pub, 0);
        say ("pub hears %s", heard);
        if (!strcmp (heard, "[\\x01end]") || *heard != '[')
            break;
    }
    shut (one);
    HEAR (pub);
    shut (two);
    HEAR (pub);
    SILENT (pub);
    shut (pub);
}

PROGRAM (xpub_tells_what_is_new)
{
    EACH_TRANSPORT (transport)
        two_subscribers (transport, 0);
}

PROGRAM (xpub_verbose)
{
    EACH_TRANSPORT (transport)
        two_subscribers (transport, ZMQ_XPUB_VERBOSE);
}

PROGRAM (xpub_verboser)
{
    EACH_TRANSPORT (transport)
        two_subscribers (transport, ZMQ_XPUB_VERBOSER);
}

PROGRAM (xpub_manual)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *other = sock (ZMQ_SUB);
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "early"));
        SEE (set (pub, ZMQ_XPUB_MANUAL, 1));
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "to nobody"));
        join_by (transport, pub, sub);
        MUST (zmq_connect (other, endpoint (pub)) == 0);
        say ("%s", transport);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "A"));
        HEAR (pub);
        /* Not applied yet. */
        SEE (put (pub, "A1", 0));
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "XA"));
        SEE (put (pub, "A2", 0));
        SEE (put (pub, "XA2", 0));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "XA"));
        HEAR (pub);
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "A"));
        SEE (put (pub, "A3", 0));
        HEAR (sub);
        HEAR (sub);
        SILENT (sub);
        SEE (set_text (other, ZMQ_SUBSCRIBE, "A"));
        HEAR (pub);
        SEE (put (pub, "A4", 0));
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "A"));
        SEE (put (pub, "A5", 0));
        HEAR (sub);
        HEAR (sub);
        HEAR (other);
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "A"));
        HEAR (pub);
        SEE (put (pub, "A6", 0));
        SEE (set_text (pub, ZMQ_UNSUBSCRIBE, "A"));
        SEE (put (pub, "A7", 0));
        HEAR (other);
        HEAR (other);
        SILENT (sub);
        shut (sub);
        HEAR (pub);
        SILENT (pub);
        SEE (set_text (pub, ZMQ_SUBSCRIBE, "gone"));
        shut (other);
        HEAR (pub);
        SILENT (pub);
        shut (pub);
    }
}

PROGRAM (xpub_welcome)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *other = sock (ZMQ_SUB), *raw = sock (ZMQ_XSUB);
        SEE (set_text (pub, ZMQ_XPUB_WELCOME_MSG, "Welcome"));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "W"));
        SEE (set_text (other, ZMQ_SUBSCRIBE, "X"));
        join_by (transport, pub, sub);
        HEAR (pub);
        HEAR (sub);
        MUST (zmq_connect (other, endpoint (pub)) == 0);
        HEAR (pub);
        MUST (zmq_connect (raw, endpoint (pub)) == 0);
        if (!strcmp (transport, "inproc"))
            events (pub);
        HEAR (raw);
        SILENT (other);
        SILENT (sub);
        SEE (zmq_setsockopt (pub, ZMQ_XPUB_WELCOME_MSG, NULL, 0));
        shut (pub), shut (sub), shut (other), shut (raw);
    }
}

/* Data that go up from subscribers, among subscriptions. */
PROGRAM (xsub_sends_data)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_XSUB);
        join_by (transport, pub, sub);
        say ("%s", transport);
        SEE (put (sub, "data", 0));
        HEAR (pub);
        SEE (put (sub, "", 0));
        HEAR (pub);
        SEE (put (sub, "\2data|with|parts", 0));
        HEAR (pub);
        SEE (put (sub, "\1A|data|\1B", 0));
        SEE (put (sub, "data|\1C|data", 0));
        SEE (put (sub, "\1end", 0));
        for (;;) {
            const char *heard = got (pub, 0);
            say ("pub hears %s", heard);
            if (*heard != '[' || strstr (heard, "end"))
                break;
        }
        SEE (put (pub, "A", 0));
        SEE (put (pub, "B", 0));
        SEE (put (pub, "C", 0));
        SEE (put (pub, "end", 0));
        for (;;) {
            const char *heard = got (sub, 0);
            say ("sub hears %s", heard);
            if (*heard != '[' || strstr (heard, "end"))
                break;
        }
        shut (pub), shut (sub);
    }
}

/* PUB ignores what XPUB tells. */
PROGRAM (pub_ignores_data)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_PUB), *sub = sock (ZMQ_XSUB);
        join_by (transport, pub, sub);
        SEE (put (sub, "data", 0));
        SEE (put (sub, "\1A", 0));
        UNTIL (put (pub, "A", 0) > 0 && ready (sub, ZMQ_POLLIN, 20));
        HEAR (sub);
        HEAR_NOW (pub);
        SEE (events (pub));
        shut (pub), shut (sub);
    }
}

PROGRAM (sub_inverted)
{
    EACH_TRANSPORT (transport) {
        static const char *const sent[] = {"a", "ab", "b", "", "z|a"};
        size_t i;
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB);
        SEE (set (pub, ZMQ_INVERT_MATCHING, 1));
        SEE (set (sub, ZMQ_INVERT_MATCHING, 1));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
        link_by (transport, pub, sub);
        HEAR (pub);
        for (i = 0; i < sizeof sent / sizeof *sent; i++)
            SEE (put (pub, sent[i], 0));
        for (i = 0; i < 3; i++)
            HEAR (sub);
        SILENT (sub);
        shut (pub), shut (sub);
    }
}

PROGRAM (subscriptions_of_all_lengths)
{
    EACH_TRANSPORT (transport) {
        /* 246 to 255 are left out: there 4.3.4 spoils its own connections. */
        static const size_t lengths[] = {0, 1, 33, 34, 244, 245, 256, 257, 1000, 100000};
        size_t i;
        char *topic = malloc (100001);
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB);
        memset (topic, 't', 100001);
        link_by (transport, pub, sub);
        for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            zmq_msg_t part;
            zmq_msg_init (&part);
            SEE (zmq_setsockopt (sub, ZMQ_SUBSCRIBE, topic, lengths[i]));
            TRIED (zmq_msg_recv (&part, pub, 0), "%s, %zu bytes", transport, lengths[i]);
            SEE (*(char *) zmq_msg_data (&part));
            SEE (zmq_send (pub, topic, lengths[i], 0));
            SEE (zmq_msg_recv (&part, sub, 0));
            SEE (zmq_setsockopt (sub, ZMQ_UNSUBSCRIBE, topic, lengths[i]));
            TRIED (zmq_msg_recv (&part, pub, 0), "%s, %zu bytes", transport, lengths[i]);
            SEE (*(char *) zmq_msg_data (&part));
            zmq_msg_close (&part);
        }
        free (topic);
        shut (pub), shut (sub);
    }
}

/* Subscriptions that were made before, while and after a publisher is away. */
PROGRAM (subscriptions_outlive_the_publisher)
{
    void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *monitor = watch (sub, ZMQ_EVENT_DISCONNECTED);
    char address[300];
    MUST (set (sub, ZMQ_RECONNECT_IVL, 10) == 0);
    MUST (zmq_bind (pub, "tcp://127.0.0.1:*") == 0);
    strcpy (address, endpoint (pub));
    MUST (zmq_connect (sub, address) == 0);
    SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
    HEAR (pub);
    SEE (set_text (sub, ZMQ_SUBSCRIBE, "b"));
    HEAR (pub);
    SEE (put (pub, "a, unread", 0));
    AWAIT_IN (sub);
    shut (pub);
    until_event (monitor, ZMQ_EVENT_DISCONNECTED);
    settle (sub);
    SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "b"));
    SEE (set_text (sub, ZMQ_SUBSCRIBE, "c"));
    SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "c"));
    pub = sock (ZMQ_XPUB);
    UNTIL (zmq_bind (pub, address) == 0);
    HEAR (pub);
    SILENT (pub);
    SEE (put (pub, "b2", 0));
    SEE (put (pub, "a2", 0));
    HEAR (sub);
    HEAR (sub);
    SILENT (sub);
}

PROGRAM (publisher_connects)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *other = sock (ZMQ_SUB);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
        SEE (set_text (other, ZMQ_SUBSCRIBE, "b"));
        link_by (transport, sub, pub);
        link_by (transport, other, pub);
        say ("%s", transport);
        /* The order is that of the connections: sorted for the comparison. */
        {
            char first[100], second[100];
            /* Who binds learns of a new peer, and subscribes, when it is called. */
            UNTIL (events (sub) >= 0 && events (other) >= 0 && ready (pub, ZMQ_POLLIN, 20) == ZMQ_POLLIN);
            strcpy (first, got (pub, 0));
            UNTIL (events (sub) >= 0 && events (other) >= 0 && ready (pub, ZMQ_POLLIN, 20) == ZMQ_POLLIN);
            strcpy (second, got (pub, 0));
            say ("%s %s", strcmp (first, second) < 0 ? first : second, strcmp (first, second) < 0 ? second : first);
        }
        SEE (put (pub, "a|b", 0));
        SEE (put (pub, "b|a", 0));
        HEAR (sub);
        HEAR (other);
        shut (pub);
        HEAR_NOW (sub);
        shut (sub), shut (other);
    }
}

/* Parts of one message go to the same subscribers, also when subscriptions change in between. */
PROGRAM (pub_between_parts)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB), *other = sock (ZMQ_SUB);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "a"));
        link_by (transport, pub, sub);
        HEAR (pub);
        SEE (zmq_send (pub, "abc", 3, ZMQ_SNDMORE));
        SEE (set_text (other, ZMQ_SUBSCRIBE, "a"));
        SEE (set_text (other, ZMQ_SUBSCRIBE, "b"));
        MUST (zmq_connect (other, endpoint (pub)) == 0);
        HEAR (pub);
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "a"));
        SILENT (pub);
        SEE (zmq_send (pub, "b", 1, ZMQ_SNDMORE));
        SEE (zmq_send (pub, "c", 1, 0));
        SEE (put (pub, "a|next", 0));
        HEAR (other);
        SILENT (sub);
        shut (pub), shut (sub), shut (other);
    }
}

PROGRAM (xpub_nodrop)
{
    int i;
    char bytes[16];
    void *pub = sock (ZMQ_XPUB), *slow = sock (ZMQ_SUB), *quick = sock (ZMQ_SUB);
    MUST (set (pub, ZMQ_SNDHWM, 2) == 0 && set (slow, ZMQ_RCVHWM, 2) == 0 && set (quick, ZMQ_RCVHWM, 100) == 0);
    SEE (set (pub, ZMQ_XPUB_NODROP, 1));
    SEE (set (pub, ZMQ_SNDTIMEO, 40));
    SEE (set_text (slow, ZMQ_SUBSCRIBE, "a"));
    SEE (set_text (quick, ZMQ_SUBSCRIBE, ""));
    link_by ("inproc", pub, slow);
    HEAR (pub);
    MUST (zmq_connect (quick, endpoint (pub)) == 0);
    HEAR (pub);
    for (i = 0; i < 6; i++)
        TRIED (put (pub, "a|part", ZMQ_DONTWAIT), "message %d", i);
    TRY (put (pub, "a", 0));
    TRY (put (pub, "b", 0));
    for (i = 0; i < 5; i++)
        HEAR (quick);
    SILENT (quick);
    SEE (zmq_recv (slow, bytes, 16, 0));
    SEE (zmq_recv (slow, bytes, 16, 0));
    HEAR (slow);
    UNTIL (put (pub, "a again", ZMQ_DONTWAIT) > 0);
    HEAR (quick);
    HEAR (slow);
    HEAR (slow);
    HEAR (slow);
    SILENT (slow);
}

PROGRAM (pub_drops_at_the_mark)
{
    int i;
    void *pub = sock (ZMQ_XPUB), *slow = sock (ZMQ_SUB);
    MUST (set (pub, ZMQ_SNDHWM, 2) == 0 && set (slow, ZMQ_RCVHWM, 2) == 0);
    SEE (set_text (slow, ZMQ_SUBSCRIBE, ""));
    link_by ("inproc", pub, slow);
    HEAR (pub);
    for (i = 0; i < 8; i++) {
        char text[16];
        sprintf (text, "%d|part", i);
        TRY (put (pub, text, ZMQ_DONTWAIT));
    }
    SEE (events (pub));
    for (i = 0; i < 4; i++)
        HEAR (slow);
    SILENT (slow);
    settle (pub);
    TRY (put (pub, "after", 0));
    HEAR (slow);
}

/* Connected twice, and a forwarding device in the middle. */
PROGRAM (subscriptions_through_a_forwarder)
{
    EACH_TRANSPORT (transport) {
        void *pub = sock (ZMQ_XPUB), *xsub = sock (ZMQ_XSUB), *xpub = sock (ZMQ_XPUB), *sub = sock (ZMQ_SUB);
        zmq_msg_t part;
        zmq_msg_init (&part);
        join_by (transport, pub, xsub);
        join_by (transport, xpub, sub);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "topic"));
        SEE (zmq_msg_recv (&part, xpub, 0));
        SEE (zmq_msg_send (&part, xsub, 0));
        HEAR (pub);
        SEE (put (pub, "topic|data", 0));
        SEE (zmq_msg_recv (&part, xsub, 0));
        SEE (zmq_msg_send (&part, xpub, ZMQ_SNDMORE));
        SEE (zmq_msg_recv (&part, xsub, 0));
        SEE (zmq_msg_send (&part, xpub, 0));
        HEAR (sub);
        shut (sub);
        SEE (zmq_msg_recv (&part, xpub, 0));
        SEE (zmq_msg_send (&part, xsub, 0));
        HEAR (pub);
        zmq_msg_close (&part);
        shut (pub), shut (xsub), shut (xpub);
    }
}

/* Subscriptions as raw peers send them: old style as data, new style as commands. */
PROGRAM (subscriptions_of_raw_peers)
{
    int raw;
    void *pub = sock (ZMQ_XPUB);
    unsigned char frame[256];
    int flags = 0, size;
    MUST (zmq_bind (pub, "tcp://127.0.0.1:*") == 0);
    raw = raw_connect (endpoint (pub));
    raw_handshake (raw, 0, "SUB", NULL);
    raw_write (raw, "\0\2\1a", 4);
    HEAR (pub);
    raw_write (raw, "\4\13\11SUBSCRIBEb", 13);
    HEAR (pub);
    SEE (put (pub, "a1|x", 0));
    size = raw_frame (raw, &flags, frame);
    say ("flags %d: %s", flags, shown (frame, (size_t) size));
    size = raw_frame (raw, &flags, frame);
    say ("flags %d: %s", flags, shown (frame, (size_t) size));
    raw_write (raw, "\4\10\6CANCELa", 10);
    HEAR (pub);
    raw_write (raw, "\0\2\0b", 4);
    HEAR (pub);
    raw_write (raw, "\0\0", 2);
    HEAR (pub);
    raw_write (raw, "\1\2\1c\0\3xyz", 9);
    HEAR (pub);
    HEAR (pub);
    raw_write (raw, "\4\5\4NOPE", 7);
    raw_write (raw, "\0\1z", 3);
    HEAR (pub);
    close (raw);
    HEAR (pub);
}

/* What subscribers send, as a raw publisher sees it. */
PROGRAM (subscriptions_on_the_wire)
{
    int minor;
    for (minor = 0; minor < 2; minor++) {
        char address[64];
        unsigned char frame[300];
        int listener = raw_listen (address), raw, flags = 0, size, i;
        void *sub = sock (ZMQ_SUB), *xsub = sock (ZMQ_XSUB);
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "first"));
        MUST (zmq_connect (sub, address) == 0);
        raw = raw_accept (listener);
        raw_handshake (raw, minor, "PUB", NULL);
        size = raw_frame (raw, &flags, frame);
        say ("3.%d, flags %d: %s", minor, flags, shown (frame, (size_t) size));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, "first"));
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "first"));
        SEE (set_text (sub, ZMQ_UNSUBSCRIBE, "first"));
        SEE (set_text (sub, ZMQ_SUBSCRIBE, ""));
        for (i = 0; i < 3; i++) {
            size = raw_frame (raw, &flags, frame);
            say ("3.%d, flags %d: %s", minor, flags, shown (frame, (size_t) size));
        }
        close (raw);
        shut (sub);
        MUST (zmq_connect (xsub, address) == 0);
        raw = raw_accept (listener);
        raw_handshake (raw, minor, "PUB", NULL);
        SEE (put (xsub, "\1A", 0));
        SEE (zmq_send (xsub, "\0A", 2, 0));
        SEE (put (xsub, "\1A|\1B|data", 0));
        SEE (put (xsub, "data|\1C", 0));
        for (i = 0; i < 7; i++) {
            size = raw_frame (raw, &flags, frame);
            say ("3.%d, flags %d: %s", minor, flags, shown (frame, (size_t) size));
        }
        close (raw), close (listener);
        shut (xsub);
    }
}
