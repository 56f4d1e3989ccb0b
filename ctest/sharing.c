/* Sockets that wander between threads, and sockets that two threads use at once (which nobody should, and which this
 * library serialises): everything arrives, once and in order, on every transport, watched by monitors, through a proxy,
 * and with ZMQ_FD. Run under ThreadSanitizer by tsan.sh. */
#include "check.h"
#include <poll.h>
#include <pthread.h>

enum { MESSAGES = 4000, HANDS = 3 };

/* ------------------------------------------------------------------------------------------------ from hand to hand */

struct hand {
    void *push, *pull;
    int first, count;
};

/* Uses both sockets for a while; the thread that starts and joins this one is the fence. */
static void *in_hand (void *argument)
{
    struct hand *hand = argument;
    int i;
    for (i = hand->first; i < hand->first + hand->count; i++) {
        int number = -1;
        GOOD (zmq_send (hand->push, &i, sizeof i, 0));
        if (i % 3 == 0)
            poll_one (hand->pull, ZMQ_POLLIN, PATIENCE_MS);
        EQUAL (zmq_recv (hand->pull, &number, sizeof number, 0), sizeof number);
        EQUAL (number, i);
    }
    return NULL;
}

TEST (sockets_wander)
{
    int t, i;
    void *context = zmq_ctx_new ();
    for (t = 0; t < TRANSPORTS; t++) {
        struct hand hand;
        pair_of (context, transports[t], ZMQ_PULL, ZMQ_PUSH, &hand.pull, &hand.push);
        hand.count = 20;
        for (i = 0; i < 100; i++) {
            pthread_t thread;
            hand.first = i * hand.count;
            pthread_create (&thread, NULL, in_hand, &hand);
            pthread_join (thread, NULL);
        }
        GOOD (zmq_close (hand.push));
        GOOD (zmq_close (hand.pull));
    }
    GOOD (zmq_ctx_term (context));
}

/* ----------------------------------------------------------------------------------------------------------- at once */

struct sender {
    void *socket;
    int who;
};

static void *send_numbers (void *argument)
{
    struct sender *sender = argument;
    int i, pair[2];
    for (i = 0; i < MESSAGES; i++) {
        pair[0] = sender->who, pair[1] = i;
        EQUAL (zmq_send (sender->socket, pair, sizeof pair, i % 4 ? 0 : ZMQ_DONTWAIT) == sizeof pair
                 || zmq_send (sender->socket, pair, sizeof pair, 0) == sizeof pair,
               1);
    }
    return NULL;
}

struct receiver {
    void *socket;
    int descriptor; /* ZMQ_FD, or -1 */
    int *left;
    int got[HANDS], disorder;
    pthread_mutex_t *lock;
};

static void *receive_numbers (void *argument)
{
    struct receiver *receiver = argument;
    int last[HANDS] = {-1, -1, -1}, pair[2];
    for (;;) {
        int size, rest;
        pthread_mutex_lock (receiver->lock);
        rest = *receiver->left;
        pthread_mutex_unlock (receiver->lock);
        if (!rest)
            return NULL;
        if (receiver->descriptor >= 0) {
            struct pollfd item = {receiver->descriptor, POLLIN, 0};
            if (!(get_int (receiver->socket, ZMQ_EVENTS) & ZMQ_POLLIN))
                poll (&item, 1, 2);
        }
        size = zmq_recv (receiver->socket, pair, sizeof pair, receiver->descriptor >= 0 ? ZMQ_DONTWAIT : 0);
        if (size < 0) {
            EQUAL (zmq_errno (), EAGAIN);
            continue;
        }
        receiver->got[pair[0]]++;
        receiver->disorder += pair[1] <= last[pair[0]];
        last[pair[0]] = pair[1];
        pthread_mutex_lock (receiver->lock);
        --*receiver->left;
        pthread_mutex_unlock (receiver->lock);
    }
}

static void use_at_once (void *push, void *pull, int with_descriptor)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t senders[HANDS], receivers[HANDS];
    struct sender sender[HANDS];
    struct receiver receiver[HANDS];
    int i, j, left = HANDS * MESSAGES;
    set_int (pull, ZMQ_RCVTIMEO, 20);
    for (i = 0; i < HANDS; i++) {
        struct receiver fresh = {pull, with_descriptor ? get_int (pull, ZMQ_FD) : -1, &left, {0, 0, 0}, 0, &lock};
        receiver[i] = fresh;
        sender[i].socket = push, sender[i].who = i;
        pthread_create (&receivers[i], NULL, receive_numbers, &receiver[i]);
        pthread_create (&senders[i], NULL, send_numbers, &sender[i]);
    }
    for (i = 0; i < HANDS; i++) {
        pthread_join (senders[i], NULL);
        pthread_join (receivers[i], NULL);
    }
    for (i = 0; i < HANDS; i++) {
        int sum = 0;
        for (j = 0; j < HANDS; j++)
            sum += receiver[j].got[i];
        EQUAL (sum, MESSAGES);
        EQUAL (receiver[i].disorder, 0);
    }
}

TEST (several_threads_on_both_sockets)
{
    int t, with_descriptor;
    void *context = zmq_ctx_new ();
    if (!ours ())
        return; /* the original has no such promise */
    for (t = 0; t < TRANSPORTS; t++)
        for (with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
            void *push, *pull;
            pair_of (context, transports[t], ZMQ_PULL, ZMQ_PUSH, &pull, &push);
            use_at_once (push, pull, with_descriptor);
            GOOD (zmq_close (push));
            GOOD (zmq_close (pull));
        }
    GOOD (zmq_ctx_term (context));
}

/* ------------------------------------------------------------------------------------------- monitors and a forwarder */

struct forwarder {
    void *front, *back;
};

static void *forward (void *argument)
{
    struct forwarder *forwarder = argument;
    FAILS (zmq_proxy (forwarder->front, forwarder->back, NULL), ETERM);
    GOOD (zmq_close (forwarder->front));
    GOOD (zmq_close (forwarder->back));
    return NULL;
}

/* Reads events until its monitor is over. */
static void *read_events (void *monitor)
{
    for (;;) {
        char head[6], text[256];
        if (zmq_recv (monitor, head, sizeof head, 0) < 0)
            break;
        zmq_recv (monitor, text, sizeof text, 0);
    }
    EQUAL (zmq_errno (), ETERM);
    GOOD (zmq_close (monitor));
    return NULL;
}

TEST (clients_come_and_go_under_a_monitor)
{
    enum { CLIENTS = 200 };
    int i;
    void *context = zmq_ctx_new (), *monitor, *server;
    struct forwarder forwarder;
    pthread_t forwarding, reading;
    char front[512];
    forwarder.front = open_socket (context, ZMQ_ROUTER);
    GOOD (zmq_socket_monitor (forwarder.front, "inproc://events", ZMQ_EVENT_ALL));
    monitor = zmq_socket (context, ZMQ_PAIR);
    GOOD (zmq_connect (monitor, "inproc://events"));
    GOOD (zmq_bind (forwarder.front, "tcp://127.0.0.1:*"));
    strcpy (front, last_endpoint (forwarder.front));
    forwarder.back = bound (context, ZMQ_DEALER, "inproc://back");
    server = connected (context, ZMQ_DEALER, "inproc://back");
    pthread_create (&reading, NULL, read_events, monitor);
    pthread_create (&forwarding, NULL, forward, &forwarder);
    for (i = 0; i < CLIENTS; i++) {
        void *client = connected (context, ZMQ_REQ, front);
        zmq_msg_t part;
        int is_more;
        GOOD (send_text (client, "question", 0));
        do {
            zmq_msg_init (&part);
            GOOD (zmq_msg_recv (&part, server, 0));
            is_more = zmq_msg_more (&part);
            GOOD (zmq_msg_send (&part, server, is_more ? ZMQ_SNDMORE : 0));
        } while (is_more);
        EXPECT (client, "question");
        GOOD (zmq_close (client));
    }
    GOOD (zmq_close (server));
    GOOD (zmq_ctx_term (context));
    pthread_join (reading, NULL);
    pthread_join (forwarding, NULL);
}

int main (void)
{
    RUN (sockets_wander);
    RUN (several_threads_on_both_sockets);
    RUN (clients_come_and_go_under_a_monitor);
    return finished ();
}
