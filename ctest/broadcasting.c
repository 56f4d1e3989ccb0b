/* One publisher and several subscribers in the same context, each of which reads in its own way, while others come and go:
 * whoever stays gets every message, once, whole and in order. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { MESSAGES = 60000, SUBSCRIBERS = 5, LARGE = 5000, MEDIUM = 2000, PARTS = 3 };

static int over;
/* Of bytes that were lent to the library. */
static int lent, returned;

static void take_back (void *bytes, void *hint)
{
    (void) hint;
    free (bytes);
    __atomic_add_fetch (&returned, 1, __ATOMIC_RELAXED);
}

/* What a message says is its number, in each of its parts. */
static size_t size_of (uint64_t number)
{
    return number % 97 == 0 ? LARGE : number % 23 == 0 ? MEDIUM : sizeof number + number % 60;
}

static int parts_of (uint64_t number)
{
    return number % 31 == 0 ? PARTS : 1;
}

static void publish (void *socket, uint64_t number)
{
    char bytes[LARGE] = {0};
    int part, parts = parts_of (number);
    memcpy (bytes, &number, sizeof number);
    if (size_of (number) >= 2 * sizeof number)
        memcpy (bytes + size_of (number) - sizeof number, &number, sizeof number);
    for (part = 1; part <= parts; part++) {
        int flags = part < parts ? ZMQ_SNDMORE : 0;
        if (number / 500 % 3 == 0) {
            zmq_msg_t msg;
            if (number % 97 == 0 && number % 2) {
                void *own = memcpy (malloc (LARGE), bytes, LARGE);
                zmq_msg_init_data (&msg, own, LARGE, take_back, NULL);
                lent++;
            } else {
                zmq_msg_init_size (&msg, size_of (number));
                memcpy (zmq_msg_data (&msg), bytes, size_of (number));
            }
            EQUAL (zmq_msg_send (&msg, socket, flags), (int) size_of (number));
        } else if (number / 500 % 3 == 1 && part == 1) {
            while (zmq_send (socket, bytes, size_of (number), flags | ZMQ_DONTWAIT) < 0) {
                EQUAL (zmq_errno (), EAGAIN);
                sched_yield ();
            }
        } else
            EQUAL (zmq_send (socket, bytes, size_of (number), flags), (int) size_of (number));
    }
}

struct subscriber {
    void *socket;
    int way;
    /* Between a mark of 1 and this one, if any. */
    int changing_mark;
    /* What it finds out. */
    uint64_t next, wrong;
};

/* Notes a part; 0 when it is of the last message. */
static int note (struct subscriber *self, const void *bytes, size_t size)
{
    static __thread int part;
    uint64_t number, last;
    int more = 0;
    size_t more_size = sizeof more;
    memcpy (&number, bytes, sizeof number);
    memcpy (&last, (const char *) bytes + size - sizeof last, sizeof last);
    zmq_getsockopt (self->socket, ZMQ_RCVMORE, &more, &more_size);
    part++;
    if (number != self->next || size != size_of (number) || more != (part < parts_of (number)))
        self->wrong++;
    if (size >= 2 * sizeof last && last != number)
        self->wrong++;
    if (!more) {
        part = 0;
        self->next = number + 1;
    }
    return self->next < MESSAGES;
}

static int read_part (struct subscriber *self, int flags)
{
    char bytes[LARGE];
    int size = zmq_recv (self->socket, bytes, sizeof bytes, flags);
    return size < 0 ? -1 : note (self, bytes, (size_t) size);
}

static int read_message (struct subscriber *self)
{
    zmq_msg_t msg;
    int goes_on = -1;
    zmq_msg_init (&msg);
    if (zmq_msg_recv (&msg, self->socket, 0) >= 0)
        goes_on = note (self, zmq_msg_data (&msg), zmq_msg_size (&msg));
    zmq_msg_close (&msg);
    return goes_on;
}

static void *subscribe (void *argument)
{
    struct subscriber *self = argument;
    int goes_on = 1, fd, events;
    size_t size = sizeof fd;
    zmq_getsockopt (self->socket, ZMQ_FD, &fd, &size);
    while (goes_on > 0) {
        if (self->changing_mark && self->next % 16 == 0) {
            int mark = self->next % 32 ? self->changing_mark : 1;
            GOOD (zmq_setsockopt (self->socket, ZMQ_RCVHWM, &mark, sizeof mark));
        }
        zmq_pollitem_t item = {self->socket, 0, ZMQ_POLLIN, 0}, bare = {NULL, fd, ZMQ_POLLIN, 0};
        switch (self->way) {
        case 0:
            goes_on = read_part (self, 0);
            break;
        case 1:
            goes_on = read_message (self);
            break;
        case 2:
            EQUAL (zmq_poll (&item, 1, 20000), 1);
            goes_on = read_part (self, ZMQ_DONTWAIT);
            break;
        case 3:
            size = sizeof events;
            zmq_getsockopt (self->socket, ZMQ_EVENTS, &events, &size);
            if (events & ZMQ_POLLIN)
                goes_on = read_part (self, ZMQ_DONTWAIT);
            else
                EQUAL (zmq_poll (&bare, 1, 20000), 1);
            break;
        default:
            goes_on = read_part (self, ZMQ_DONTWAIT);
            if (goes_on < 0 && zmq_errno () == EAGAIN) {
                sched_yield ();
                goes_on = 1;
            }
        }
    }
    EQUAL (goes_on, 0);
    return NULL;
}

/* Somebody who comes, reads for a while and goes, time and again. */
static void *pass_by (void *context)
{
    while (!__atomic_load_n (&over, __ATOMIC_RELAXED)) {
        void *socket = open_socket (context, ZMQ_SUB);
        char bytes[LARGE];
        uint64_t number, last = 0;
        int i, limit = 100;
        zmq_setsockopt (socket, ZMQ_RCVTIMEO, &limit, sizeof limit);
        zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "", 0);
        GOOD (zmq_connect (socket, "inproc://news"));
        for (i = 0; i < 700 && zmq_recv (socket, bytes, sizeof bytes, 0) >= 0; i++) {
            memcpy (&number, bytes, sizeof number);
            if (i > 0)
                CHECK (number >= last && number <= last + 1);
            last = number;
        }
        GOOD (zmq_close (socket));
    }
    return NULL;
}

static void broadcast (int mark, int passers, int marks_change)
{
    void *context = zmq_ctx_new (), *publisher = open_socket (context, ZMQ_XPUB);
    struct subscriber subscribers[SUBSCRIBERS];
    pthread_t threads[SUBSCRIBERS], passer;
    uint64_t number;
    int i, no_drop = 1;
    zmq_setsockopt (publisher, ZMQ_XPUB_NODROP, &no_drop, sizeof no_drop);
    zmq_setsockopt (publisher, ZMQ_SNDHWM, &mark, sizeof mark);
    GOOD (zmq_bind (publisher, "inproc://news"));
    __atomic_store_n (&over, 0, __ATOMIC_RELAXED);
    for (i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber one = {open_socket (context, ZMQ_SUB), i, marks_change ? mark : 0, 0, 0};
        subscribers[i] = one;
        zmq_setsockopt (one.socket, ZMQ_RCVHWM, &mark, sizeof mark);
        zmq_setsockopt (one.socket, ZMQ_SUBSCRIBE, "", 0);
        GOOD (zmq_connect (one.socket, "inproc://news"));
        pthread_create (&threads[i], NULL, subscribe, &subscribers[i]);
    }
    if (passers)
        pthread_create (&passer, NULL, pass_by, context);
    for (number = 0; number < MESSAGES; number++) {
        publish (publisher, number);
        /* Who reads falls asleep. */
        if (number % 5000 == 0)
            usleep (3000);
    }
    for (i = 0; i < SUBSCRIBERS; i++) {
        pthread_join (threads[i], NULL);
        EQUAL (subscribers[i].next, MESSAGES);
        EQUAL (subscribers[i].wrong, 0);
        GOOD (zmq_close (subscribers[i].socket));
    }
    __atomic_store_n (&over, 1, __ATOMIC_RELAXED);
    if (passers)
        pthread_join (passer, NULL);
    GOOD (zmq_close (publisher));
    GOOD (zmq_ctx_term (context));
    CHECK (lent > 0);
    EQUAL (returned, lent);
}

TEST (with_room_for_all)
{
    broadcast (0, 0, 0);
}

TEST (with_marks)
{
    broadcast (500, 0, 0);
}

TEST (with_little_room)
{
    broadcast (20, 0, 0);
}

TEST (while_others_come_and_go)
{
    broadcast (500, 1, 0);
}

TEST (while_marks_change)
{
    broadcast (100, 0, 1);
}

int main (void)
{
    RUN (with_room_for_all);
    RUN (with_marks);
    RUN (with_little_room);
    RUN (while_others_come_and_go);
    RUN (while_marks_change);
    return finished ();
}
