/* Event loops that wait for the descriptors of ZMQ_FD and nothing else, as libuv (epoll, a level), Tokio (epoll, an edge)
 * and asyncio (poll) do it. One thread drives all sockets of both sides, at marks so low that every socket waits for room
 * as often as for messages: a wake-up that is lost stops everything. */
#include "check.h"

#include <poll.h>
#include <sys/epoll.h>

enum { CLIENTS = 20, ROUNDS = 300, MARK = 3, MOST = 2 * CLIENTS + 2 };

/* What a handler of a socket does when there may be something to do. */
typedef struct watched watched;
struct watched {
    void *socket;
    void (*work) (watched *);
    int descriptor;
    int sent, received;
};

typedef struct {
    const char *name;
    int is_poll;
    uint32_t flags;
} style;

static const style styles[] = {{"poll", 1, 0}, {"epoll", 0, EPOLLIN}, {"epoll, edges", 0, EPOLLIN | EPOLLET}};

static watched all[MOST];
static int number, epoll;
static const style *loop;

static watched *watch (void *socket, void (*work) (watched *))
{
    watched *new = &all[number++];
    struct epoll_event event;
    memset (new, 0, sizeof *new);
    new->socket = socket;
    new->work = work;
    new->descriptor = get_int (socket, ZMQ_FD);
    event.events = loop->flags;
    event.data.ptr = new;
    if (!loop->is_poll)
        EQUAL (epoll_ctl (epoll, EPOLL_CTL_ADD, new->descriptor, &event), 0);
    return new;
}

/* One turn of the loop: waits, and calls the handlers of those whose descriptors are ready. */
static int turn (void)
{
    int ready, i;
    if (loop->is_poll) {
        struct pollfd items[MOST];
        for (i = 0; i < number; i++) {
            items[i].fd = all[i].descriptor;
            items[i].events = POLLIN;
        }
        ready = poll (items, (nfds_t) number, PATIENCE_MS);
        for (i = 0; i < number; i++)
            if (items[i].revents)
                all[i].work (&all[i]);
    } else {
        struct epoll_event events[8];
        ready = epoll_wait (epoll, events, 8, PATIENCE_MS);
        for (i = 0; i < ready; i++) {
            watched *one = (watched *) events[i].data.ptr;
            one->work (one);
        }
    }
    return ready;
}

static int events_of (watched *one)
{
    return get_int (one->socket, ZMQ_EVENTS);
}

/* ------------------------------------------------------------------------------------- questions and their answers */

/* Sends its questions as there is room, and takes the answers in as they come. */
static void asks (watched *one)
{
    for (;;) {
        int events = events_of (one);
        char text[32], expected[32];
        if (events & ZMQ_POLLIN) {
            int size = zmq_recv (one->socket, text, sizeof text, ZMQ_DONTWAIT);
            int length = snprintf (expected, sizeof expected, "%d", one->received++);
            if (size != length || memcmp (text, expected, (size_t) length))
                CHECK (!"answers come in order");
        } else if ((events & ZMQ_POLLOUT) && one->sent < ROUNDS) {
            int length = snprintf (text, sizeof text, "%d", one->sent);
            if (zmq_send (one->socket, text, (size_t) length, ZMQ_DONTWAIT) == length)
                one->sent++;
            else
                EQUAL (zmq_errno (), EAGAIN);
        } else
            return;
    }
}

static void answers (watched *one)
{
    while (events_of (one) & ZMQ_POLLIN) {
        char name[8], body[32];
        int name_size = zmq_recv (one->socket, name, sizeof name, ZMQ_DONTWAIT);
        int body_size = zmq_recv (one->socket, body, sizeof body, ZMQ_DONTWAIT);
        CHECK (name_size == 5 && body_size > 0);
        GOOD (zmq_send (one->socket, name, (size_t) name_size, ZMQ_SNDMORE | ZMQ_DONTWAIT));
        GOOD (zmq_send (one->socket, body, (size_t) body_size, ZMQ_DONTWAIT));
        one->received++;
    }
}

static void begin (const style *which)
{
    loop = which;
    number = 0;
    epoll = epoll_create1 (EPOLL_CLOEXEC);
}

static void finish (void *context)
{
    int i;
    for (i = 0; i < number; i++)
        GOOD (zmq_close (all[i].socket));
    close (epoll);
    GOOD (zmq_ctx_term (context));
}

static void stuck (const char *transport, int done, int due)
{
    char text[128];
    snprintf (text, sizeof text, "%s over %s: no descriptor became ready, %d of %d done", loop->name, transport, done, due);
    check_failed (__FILE__, __LINE__, text);
}

TEST (dealers_and_a_router)
{
    size_t s, t;
    for (s = 0; s < 3; s++)
        for (t = 0; t < TRANSPORTS; t++) {
            void *context = zmq_ctx_new (), *router;
            int i, done = 0;
            watched *server;
            begin (&styles[s]);
            router = bound (context, ZMQ_ROUTER, address_on (transports[t]));
            server = watch (router, answers);
            for (i = 0; i < CLIENTS; i++) {
                void *dealer = open_socket (context, ZMQ_DEALER);
                set_int (dealer, ZMQ_SNDHWM, MARK);
                GOOD (zmq_connect (dealer, last_endpoint (router)));
                watch (dealer, asks);
            }
            /* Nothing has become ready of those that may send: a loop looks at each socket when it is added. */
            for (i = 0; i < number; i++)
                all[i].work (&all[i]);
            while (done < CLIENTS * ROUNDS && turn () > 0)
                for (done = 0, i = 1; i < number; i++)
                    done += all[i].received;
            if (done < CLIENTS * ROUNDS)
                stuck (transports[t], done, CLIENTS * ROUNDS);
            EQUAL (server->received, CLIENTS * ROUNDS);
            finish (context);
        }
}

/* --------------------------------------------------------------------------------------------- streams at their mark */

enum { MANY = 3000 };

static void pushes (watched *one)
{
    while (one->sent < MANY && (events_of (one) & ZMQ_POLLOUT)) {
        if (zmq_send (one->socket, &one->sent, sizeof one->sent, ZMQ_DONTWAIT) < 0) {
            EQUAL (zmq_errno (), EAGAIN);
            continue;
        }
        one->sent++;
    }
}

static void pulls (watched *one)
{
    int got;
    while (events_of (one) & ZMQ_POLLIN) {
        EQUAL (zmq_recv (one->socket, &got, sizeof got, ZMQ_DONTWAIT), sizeof got);
        EQUAL (got, one->received++);
    }
}

TEST (pushes_and_pulls)
{
    size_t s, t;
    for (s = 0; s < 3; s++)
        for (t = 0; t < TRANSPORTS; t++) {
            void *context = zmq_ctx_new ();
            int i, done = 0;
            begin (&styles[s]);
            for (i = 0; i < CLIENTS / 4; i++) {
                void *pull = open_socket (context, ZMQ_PULL), *push = open_socket (context, ZMQ_PUSH);
                set_int (pull, ZMQ_RCVHWM, MARK);
                set_int (push, ZMQ_SNDHWM, MARK);
                GOOD (zmq_bind (pull, address_on (transports[t])));
                GOOD (zmq_connect (push, last_endpoint (pull)));
                watch (pull, pulls);
                watch (push, pushes);
            }
            for (i = 0; i < number; i++)
                all[i].work (&all[i]);
            while (done < CLIENTS / 4 * MANY && turn () > 0)
                for (done = 0, i = 0; i < number; i += 2)
                    done += all[i].received;
            if (done < CLIENTS / 4 * MANY)
                stuck (transports[t], done, CLIENTS / 4 * MANY);
            finish (context);
        }
}

/* ------------------------------------------------------------------------------------------ what comes from outside */

/* A connection that is made, and one that is lost and made anew, are news as well. */
TEST (peers_that_come_and_go)
{
    size_t s, t;
    for (s = 0; s < 3; s++)
        for (t = 0; t < TRANSPORTS; t++) {
            void *context = zmq_ctx_new (), *push;
            watched *sender;
            int round;
            const char *address;
            begin (&styles[s]);
            push = bound (context, ZMQ_PUSH, address_on (transports[t]));
            address = last_endpoint (push);
            sender = watch (push, pushes);
            sender->sent = MANY;
            EQUAL (events_of (sender), 0);
            for (round = 0; round < 20; round++) {
                void *pull = connected (context, ZMQ_PULL, address);
                int got = -1;
                sender->sent = MANY - 1; /* one message, to whoever comes */
                pushes (sender);
                while (sender->sent < MANY && turn () > 0)
                    continue;
                if (sender->sent < MANY)
                    stuck (transports[t], round, 20);
                EQUAL (zmq_recv (pull, &got, sizeof got, 0), sizeof got);
                EQUAL (got, MANY - 1);
                GOOD (zmq_close (pull));
                while ((events_of (sender) & ZMQ_POLLOUT) && turn () > 0)
                    continue;
                EQUAL (events_of (sender), 0);
            }
            finish (context);
        }
}

int main (void)
{
    RUN (dealers_and_a_router);
    RUN (pushes_and_pulls);
    RUN (peers_that_come_and_go);
    return finished ();
}
