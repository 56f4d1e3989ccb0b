/* groups publish|subscribe TYPE bind|connect ENDPOINT RATE LARGEST BACK: one end of a conversation over a multicast
 * group. Which libzmq a process runs on is the loader's choice. BACK is an endpoint of another transport over which
 * the subscriber says what it has heard. RATE is in kilobits a second, LARGEST the size of the largest part in bytes.
 * Ends with 0 when all went as it should, else with 1 and a sentence.
 *
 * The publisher says "a beacon" until the subscriber has heard it, then a number of messages of one and of several
 * parts, each after one of another topic, and waits for the word that all came. */
#include <string.h>
#include "end.h"

enum { PATIENCE_MS = 40000, BEACON_MS = 20, MESSAGES = 40 };

/* What is wrong with a message, by its number. */
static void amiss (const char *what, int number)
{
    char place[32];
    sprintf (place, "message %d", number);
    doing = place;
    wrong (what);
}

static size_t size_of (int number, size_t largest)
{
    static const size_t sizes[] = {1, 252, 253, 254, 255, 256, 1370, 1399, 1400};
    size_t size = number == MESSAGES / 2 ? largest : sizes[number % 9];
    return size < largest ? size : largest;
}

static void say (void *socket, const char *text, size_t size, int flags)
{
    check (zmq_send (socket, text, size, flags), "zmq_send");
}

static void publish (void *socket, void *back, size_t largest)
{
    char word[16], *body = malloc (largest + 1);
    int number;
    zmq_pollitem_t item = {back, 0, ZMQ_POLLIN, 0};
    for (number = 0; !check (zmq_poll (&item, 1, BEACON_MS), "zmq_poll"); number++) {
        if (number > PATIENCE_MS / BEACON_MS)
            wrong ("nobody hears");
        say (socket, "a beacon", 8, 0);
    }
    check (zmq_recv (back, word, sizeof word, 0), "the first word");
    for (number = 0; number < MESSAGES; number++) {
        size_t size = size_of (number, largest);
        say (socket, "another topic", 13, 0);
        memset (body, number, size);
        sprintf (word, "amessage%02d", number);
        say (socket, word, 10, ZMQ_SNDMORE);
        if (number % 3 == 0)
            say (socket, "", 0, ZMQ_SNDMORE);
        say (socket, body, size, 0);
    }
    check (zmq_recv (back, word, sizeof word, 0), "the last word");
    free (body);
}

/* Receives a part; whether there are more of its message. */
static int part (void *socket, char *into, size_t room, int *size)
{
    int more;
    size_t length = sizeof more;
    *size = check (zmq_recv (socket, into, room, 0), "zmq_recv");
    check (zmq_getsockopt (socket, ZMQ_RCVMORE, &more, &length), "ZMQ_RCVMORE");
    return more;
}

static void subscribe (void *socket, void *back, size_t largest)
{
    char expected[16], *body = malloc (largest + 64);
    int number, size, i;
    do {
        if (part (socket, body, largest + 64, &size))
            wrong ("a beacon of several parts");
    } while (size != 8 || memcmp (body, "a beacon", 8));
    say (back, "heard", 5, 0);
    for (number = 0; number < MESSAGES; number++) {
        int more = part (socket, body, largest + 64, &size);
        if (size == 8 && !memcmp (body, "a beacon", 8)) {
            number--;
            continue;
        }
        sprintf (expected, "amessage%02d", number);
        if (!more || size != 10 || memcmp (body, expected, 10))
            amiss ("not what comes next", number);
        if (number % 3 == 0 && (!part (socket, body, largest + 64, &size) || size != 0))
            amiss ("not an empty part", number);
        if (part (socket, body, largest + 64, &size) || size != (int) size_of (number, largest))
            amiss ("not the last part", number);
        for (i = 0; i < size; i++)
            if (body[i] != (char) number)
                amiss ("not the body", number);
    }
    say (back, "done", 4, 0);
    free (body);
}

static int type_of (const char *name)
{
    static const char *const names[] = {"pub", "sub", "xpub", "xsub"};
    static const int types[] = {ZMQ_PUB, ZMQ_SUB, ZMQ_XPUB, ZMQ_XSUB};
    int i;
    for (i = 0; i < 4; i++)
        if (!strcmp (name, names[i]))
            return types[i];
    wrong ("no such socket type");
    return -1;
}

int main (int argc, char **argv)
{
    int publishes, rate, type;
    void *socket, *back;
    if (argc == 3 && !strcmp (argv[1], "has"))
        return !zmq_has (argv[2]);
    if (argc != 8)
        wrong ("see the head of groups.c");
    publishes = !strcmp (argv[1], "publish");
    type = type_of (argv[2]);
    rate = atoi (argv[5]);
    context = zmq_ctx_new ();
    back = patient_socket (ZMQ_PAIR, PATIENCE_MS);
    check (publishes ? zmq_bind (back, argv[7]) : zmq_connect (back, argv[7]), argv[7]);
    socket = patient_socket (type, PATIENCE_MS);
    set_int (socket, ZMQ_RATE, rate);
    if (type == ZMQ_SUB)
        check (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "a ", 2), "ZMQ_SUBSCRIBE");
    if (type == ZMQ_SUB)
        check (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "am", 2), "ZMQ_SUBSCRIBE");
    check (!strcmp (argv[3], "bind") ? zmq_bind (socket, argv[4]) : zmq_connect (socket, argv[4]), argv[4]);
    if (publishes)
        publish (socket, back, (size_t) atol (argv[6]));
    else
        subscribe (socket, back, (size_t) atol (argv[6]));
    check (zmq_close (socket), "zmq_close");
    check (zmq_close (back), "zmq_close");
    check (zmq_ctx_term (context), "zmq_ctx_term");
    return 0;
}
