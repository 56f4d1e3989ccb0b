/* Messages of one part to or from the same peer, one after the other, go a shorter way than others. Here such rows are
 * broken off: by parts, by other calls, by peers that come and go, by the end of the context. */
#include "check.h"

enum { ROW = 300 };

static void *context;

static void begin (int server_type, int client_type, const char *transport, void **server, void **client)
{
    context = zmq_ctx_new ();
    pair_of (context, transport, server_type, client_type, server, client);
}

static void end (void *server, void *client)
{
    GOOD (zmq_close (server));
    GOOD (zmq_close (client));
    GOOD (zmq_ctx_term (context));
}

/* The n-th message: of one part or several, short or long, in an order that mixes all of them after some of each. */
static int parts_of (int n)
{
    return n % 50 < 30 ? 1 : n % 3 + 1;
}

static size_t size_of (int n, int part)
{
    static const size_t sizes[] = {0, 1, 16, 33, 34, 200, 255, 256, 1023, 1024, 5000, 8191, 8192, 20000};
    return n % 70 < 40 ? 16 : sizes[(n + part) % (int) (sizeof sizes / sizeof *sizes)];
}

static void fill (char *bytes, int n, int part)
{
    size_t i;
    for (i = 0; i < size_of (n, part); i++)
        bytes[i] = (char) (n + 31 * part + (int) i);
}

static void send_nth (void *socket, int n, int with_msg)
{
    static char bytes[20000];
    int part;
    for (part = 0; part < parts_of (n); part++) {
        int flags = part + 1 < parts_of (n) ? ZMQ_SNDMORE : 0;
        fill (bytes, n, part);
        if (with_msg) {
            zmq_msg_t msg;
            GOOD (zmq_msg_init_size (&msg, size_of (n, part)));
            memcpy (zmq_msg_data (&msg), bytes, size_of (n, part));
            EQUAL (zmq_msg_send (&msg, socket, flags), size_of (n, part));
            EQUAL (zmq_msg_size (&msg), 0);
        } else
            EQUAL (zmq_send (socket, bytes, size_of (n, part), flags), size_of (n, part));
    }
}

static void receive_nth (void *socket, int n, int with_msg)
{
    static char bytes[20000], expected[20000];
    int part;
    for (part = 0; part < parts_of (n); part++) {
        int more = part + 1 < parts_of (n);
        fill (expected, n, part);
        if (with_msg) {
            zmq_msg_t msg;
            GOOD (zmq_msg_init (&msg));
            EQUAL (zmq_msg_recv (&msg, socket, 0), size_of (n, part));
            CHECK (!memcmp (zmq_msg_data (&msg), expected, size_of (n, part)));
            EQUAL (zmq_msg_more (&msg), more);
            GOOD (zmq_msg_close (&msg));
        } else {
            EQUAL (zmq_recv (socket, bytes, sizeof bytes, 0), size_of (n, part));
            CHECK (!memcmp (bytes, expected, size_of (n, part)));
        }
        if (n % 7 == 0 || more)
            EQUAL (get_int (socket, ZMQ_RCVMORE), more);
    }
}

TEST (whatever_they_are_and_however_they_are_sent_they_arrive_in_order)
{
    static const int types[][2] = {{ZMQ_PULL, ZMQ_PUSH}, {ZMQ_PAIR, ZMQ_PAIR}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_SUB, ZMQ_PUB}};
    int transport, type, n;
    for (transport = 0; transport < TRANSPORTS; transport++)
        for (type = 0; type < 4; type++) {
            void *server, *client;
            begin (types[type][0], types[type][1], transports[transport], &server, &client);
            if (types[type][0] == ZMQ_SUB) {
                /* Until the subscription has arrived. */
                char byte;
                int tries = PATIENCE_MS / 20;
                GOOD (zmq_setsockopt (server, ZMQ_SUBSCRIBE, "", 0));
                set_int (server, ZMQ_RCVTIMEO, 20);
                do
                    GOOD (zmq_send (client, "?", 1, 0));
                while (zmq_recv (server, &byte, 1, 0) < 0 && --tries > 0);
                CHECK (tries > 0);
                GOOD (zmq_send (client, "!", 1, 0));
                set_int (server, ZMQ_RCVTIMEO, PATIENCE_MS);
                while (zmq_recv (server, &byte, 1, 0) == 1 && byte == '?')
                    ;
            }
            for (n = 0; n < ROW; n++)
                send_nth (client, n, n / 10 % 2);
            for (n = 0; n < ROW; n++)
                receive_nth (server, n, n / 15 % 2);
            EQUAL (get_int (server, ZMQ_RCVMORE), 0);
            end (server, client);
        }
}

TEST (a_router_and_its_peers_exchange_what_they_like)
{
    int transport, n;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        void *server, *client;
        begin (ZMQ_ROUTER, ZMQ_DEALER, transports[transport], &server, &client);
        for (n = 0; n < ROW; n++)
            send_nth (client, n, n % 2);
        for (n = 0; n < ROW; n++) {
            char name[8];
            int size = (int) GOOD (zmq_recv (server, name, sizeof name, 0));
            EQUAL (size, 5);
            EQUAL (get_int (server, ZMQ_RCVMORE), 1);
            receive_nth (server, n, n / 4 % 2);
            GOOD (zmq_send (server, name, 5, ZMQ_SNDMORE));
            send_nth (server, n, n / 8 % 2);
            GOOD (zmq_send (server, "nobody", 6, ZMQ_SNDMORE));
            send_nth (server, n, 0);
        }
        for (n = 0; n < ROW; n++)
            receive_nth (client, n, n % 2);
        end (server, client);
    }
}

TEST (who_comes_later_gets_a_share)
{
    int transport, n;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        void *server, *client, *another;
        char byte;
        begin (ZMQ_PUSH, ZMQ_PULL, transports[transport], &server, &client);
        for (n = 0; n < ROW; n++)
            GOOD (zmq_send (server, "1", 1, 0));
        for (n = 0; n < ROW; n++)
            EQUAL (zmq_recv (client, &byte, 1, 0), 1);
        another = connected (context, ZMQ_PULL, last_endpoint (server));
        set_int (another, ZMQ_RCVTIMEO, 1);
        for (n = 0; n < PATIENCE_MS; n++) {
            GOOD (zmq_send (server, "2", 1, 0));
            if (zmq_recv (another, &byte, 1, 0) == 1)
                break;
        }
        CHECK (n < PATIENCE_MS);
        GOOD (zmq_close (another));
        end (server, client);
    }
}

TEST (who_has_unsubscribed_gets_no_more_of_what_waits)
{
    void *server, *client;
    char byte;
    int n;
    begin (ZMQ_PUB, ZMQ_SUB, "inproc", &server, &client);
    GOOD (zmq_setsockopt (client, ZMQ_SUBSCRIBE, "", 0));
    for (n = 0; n < ROW; n++)
        GOOD (zmq_send (server, n % 3 ? "a" : "b", 1, 0));
    for (n = 0; n < 30; n++)
        EQUAL (zmq_recv (client, &byte, 1, 0), 1);
    GOOD (zmq_setsockopt (client, ZMQ_SUBSCRIBE, "b", 1));
    GOOD (zmq_setsockopt (client, ZMQ_UNSUBSCRIBE, "", 0));
    set_int (client, ZMQ_RCVTIMEO, 100);
    for (n = 0; zmq_recv (client, &byte, 1, 0) == 1; n++)
        EQUAL (byte, 'b');
    EQUAL (n, (ROW - 30) / 3);
    end (server, client);
}

TEST (every_message_says_whom_it_is_from)
{
    void *server, *client;
    int n;
    begin (ZMQ_PULL, ZMQ_PUSH, "tcp", &server, &client);
    for (n = 0; n < ROW; n++)
        GOOD (zmq_send (client, "message", 7, 0));
    for (n = 0; n < ROW; n++) {
        zmq_msg_t msg;
        const char *from;
        if (n % 5 == 4) {
            char bytes[7];
            EQUAL (zmq_recv (server, bytes, sizeof bytes, 0), 7);
            continue;
        }
        GOOD (zmq_msg_init (&msg));
        EQUAL (zmq_msg_recv (&msg, server, 0), 7);
        from = zmq_msg_gets (&msg, "Peer-Address");
        CHECK (from && !strcmp (from, "127.0.0.1"));
        GOOD (zmq_msg_close (&msg));
    }
    end (server, client);
}

TEST (a_row_ends_with_its_context)
{
    int transport, n;
    for (transport = 0; transport < TRANSPORTS; transport++) {
        void *server, *client;
        char byte;
        begin (ZMQ_PULL, ZMQ_PUSH, transports[transport], &server, &client);
        for (n = 0; n < ROW; n++)
            GOOD (zmq_send (client, "m", 1, 0));
        for (n = 0; n < ROW / 2; n++)
            EQUAL (zmq_recv (server, &byte, 1, 0), 1);
        GOOD (zmq_ctx_shutdown (context));
        if (ours ()) {
            FAILS (zmq_send (client, "m", 1, 0), ETERM);
            FAILS (zmq_recv (server, &byte, 1, 0), ETERM);
        }
        GOOD (zmq_close (client));
        FAILS (zmq_send (client, "m", 1, 0), ENOTSOCK);
        GOOD (zmq_close (server));
        GOOD (zmq_ctx_term (context));
    }
}

int main (void)
{
    RUN (whatever_they_are_and_however_they_are_sent_they_arrive_in_order);
    RUN (a_router_and_its_peers_exchange_what_they_like);
    RUN (who_comes_later_gets_a_share);
    RUN (who_has_unsubscribed_gets_no_more_of_what_waits);
    RUN (every_message_says_whom_it_is_from);
    RUN (a_row_ends_with_its_context);
    return finished ();
}
