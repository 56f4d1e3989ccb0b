/* drafts left|right SCENARIO bind|connect ENDPOINT OTHER: one end of a conversation between two processes over the
 * draft socket types. Both ends of every scenario are in this file; which libzmq a process runs on is the loader's
 * choice. OTHER is a second endpoint, which the end that binds binds as well. Ends with 0 when all went as it should,
 * else with 1 and a sentence.
 *
 *   client_server    questions of many sizes, each with its answer
 *   scatter_gather   many small messages, in order; the end that scatters stays until all are there
 *   channel          as client_server, between equals
 *   peer             as client_server, by the number that connecting gave
 *   radio_dish       only the groups that were joined, and only while they are
 *   udp_radio_dish   the same, where the radio does not hear of it (the right end binds, OTHER is not udp)
 *   dgram            datagrams there and back; ENDPOINT is the own address, OTHER the far one
 */
#ifndef ZMQ_BUILD_DRAFT_API
#define ZMQ_BUILD_DRAFT_API 1
#endif
#include <stdint.h>
#include <string.h>
#include "end.h"

enum { PATIENCE_MS = 20000, QUESTIONS = 120, NUMBERS = 20000 };

static int binds;
static const char *endpoint, *other;

static void *joined (int type, const char *where)
{
    void *socket = patient_socket (type, PATIENCE_MS);
    check (binds ? zmq_bind (socket, where) : zmq_connect (socket, where), where);
    return socket;
}

/* ------------------------------------------------------------------------------------------- questions and answers */

static size_t size_of (int question)
{
    static const size_t sizes[] = {0, 1, 33, 34, 255, 256, 8191, 8192, 70000, 1000000};
    return sizes[question % 10];
}

static void fill (zmq_msg_t *msg, int question)
{
    check (zmq_msg_init_size (msg, size_of (question)), "zmq_msg_init_size");
    memset (zmq_msg_data (msg), question & 0xff, zmq_msg_size (msg));
}

static void ask (void *socket, uint32_t peer)
{
    int question;
    for (question = 0; question < QUESTIONS; question++) {
        zmq_msg_t msg;
        size_t i, size = size_of (question);
        fill (&msg, question);
        if (peer)
            check (zmq_msg_set_routing_id (&msg, peer), "zmq_msg_set_routing_id");
        check (zmq_msg_send (&msg, socket, 0), "zmq_msg_send");
        check (zmq_msg_init (&msg), "zmq_msg_init");
        check (zmq_msg_recv (&msg, socket, 0), "zmq_msg_recv");
        if (zmq_msg_size (&msg) != size || zmq_msg_more (&msg) || zmq_msg_routing_id (&msg) != peer)
            wrong ("another answer than expected");
        for (i = 0; i < size; i++)
            if (((unsigned char *) zmq_msg_data (&msg))[i] != (question & 0xff))
                wrong ("a wrong byte in the answer");
        zmq_msg_close (&msg);
    }
}

static void answer (void *socket, int numbered)
{
    int question;
    for (question = 0; question < QUESTIONS; question++) {
        zmq_msg_t msg;
        check (zmq_msg_init (&msg), "zmq_msg_init");
        check (zmq_msg_recv (&msg, socket, 0), "zmq_msg_recv");
        if (zmq_msg_more (&msg) || (zmq_msg_routing_id (&msg) != 0) != numbered)
            wrong ("another question than expected");
        check (zmq_msg_send (&msg, socket, 0), "zmq_msg_send");
    }
}

static void peer (int left)
{
    void *socket = patient_socket (ZMQ_PEER, PATIENCE_MS);
    uint32_t number = 0;
    (void) left;
    if (binds)
        check (zmq_bind (socket, endpoint), endpoint);
    else if (!(number = zmq_connect_peer (socket, endpoint)))
        die ("zmq_connect_peer");
    if (number)
        ask (socket, number);
    else
        answer (socket, 1);
    check (zmq_close (socket), "zmq_close");
}

/* ------------------------------------------------------------------------------------------------- numbers, groups */

static void scatter (void *socket)
{
    uint32_t i;
    for (i = 0; i < NUMBERS; i++)
        check (zmq_send (socket, &i, sizeof i, 0), "zmq_send");
}

static void gather (void *socket)
{
    uint32_t i, got;
    for (i = 0; i < NUMBERS; i++) {
        check (zmq_recv (socket, &got, sizeof got, 0), "zmq_recv");
        if (got != i)
            wrong ("lost, doubled or out of order");
    }
}

static void send_to_group (void *radio, const char *group, const char *text)
{
    zmq_msg_t msg;
    check (zmq_msg_init_buffer (&msg, text, strlen (text)), "zmq_msg_init_buffer");
    check (zmq_msg_set_group (&msg, group), "zmq_msg_set_group");
    check (zmq_msg_send (&msg, radio, 0), "zmq_msg_send");
}

/* Sends to three groups, round after round, until the other end has had enough. */
static void radio (void *socket, void *control)
{
    char end[8];
    int pause = 5, tries;
    check (zmq_setsockopt (control, ZMQ_RCVTIMEO, &pause, sizeof pause), "zmq_setsockopt");
    for (tries = 0; tries < PATIENCE_MS / pause; tries++) {
        send_to_group (socket, "a", "to a");
        send_to_group (socket, "ab", "to ab");
        send_to_group (socket, "a group with a name of some length", "to all");
        if (zmq_recv (control, end, sizeof end, 0) == 3)
            return;
    }
    wrong ("the dish has not had enough");
}

static void expect_group (void *dish, const char *group, const char *text)
{
    zmq_msg_t msg;
    int tries;
    for (tries = 0; tries < 10000; tries++) {
        check (zmq_msg_init (&msg), "zmq_msg_init");
        check (zmq_msg_recv (&msg, dish, 0), "zmq_msg_recv");
        if (!strcmp (zmq_msg_group (&msg), group)) {
            if (zmq_msg_size (&msg) != strlen (text) || memcmp (zmq_msg_data (&msg), text, strlen (text)))
                wrong ("a wrong text");
            zmq_msg_close (&msg);
            return;
        }
        /* What was under way when the group was left. */
        if (strcmp (zmq_msg_group (&msg), "a"))
            wrong ("a group that was not joined");
        zmq_msg_close (&msg);
    }
    wrong ("messages of a group that was left long ago");
}

static void dish (void *socket, void *control)
{
    int i;
    check (zmq_join (socket, "a"), "zmq_join");
    for (i = 0; i < 20; i++)
        expect_group (socket, "a", "to a");
    check (zmq_leave (socket, "a"), "zmq_leave");
    check (zmq_join (socket, "a group with a name of some length"), "zmq_join");
    for (i = 0; i < 20; i++)
        expect_group (socket, "a group with a name of some length", "to all");
    check (zmq_send (control, "end", 3, 0), "zmq_send");
}

/* ------------------------------------------------------------------------------------------------------- datagrams */

/* Datagrams may be lost, so each question is repeated until its answer is here. */
static void dgram (int left)
{
    void *socket = patient_socket (ZMQ_DGRAM, PATIENCE_MS);
    char address[64], body[64], text[64];
    const char *far = strstr (other, "://") + 3;
    int pause = 100, questions = 20, tries, size;
    check (zmq_bind (socket, endpoint), endpoint);
    if (left)
        check (zmq_setsockopt (socket, ZMQ_RCVTIMEO, &pause, sizeof pause), "zmq_setsockopt");
    for (tries = 0; tries < PATIENCE_MS / pause && questions > 0; tries++) {
        if (left) {
            sprintf (text, "question %d", questions);
            check (zmq_send (socket, far, strlen (far), ZMQ_SNDMORE), "zmq_send address");
            check (zmq_send (socket, text, strlen (text), 0), "zmq_send body");
        }
        size = zmq_recv (socket, address, sizeof address, 0);
        if (size < 0 && left)
            continue;
        check (size, "zmq_recv address");
        if (size != (int) strlen (far) + 1 || strcmp (address, far))
            wrong ("another address than expected");
        size = check (zmq_recv (socket, body, sizeof body, 0), "zmq_recv body");
        if (left)
            questions -= size == (int) strlen (text) && !memcmp (body, text, (size_t) size);
        else {
            check (zmq_send (socket, address, strlen (address) + 1, ZMQ_SNDMORE), "zmq_send address");
            check (zmq_send (socket, body, (size_t) size, 0), "zmq_send body");
            if (size == 10 && !memcmp (body, "question 1", 10))
                questions = 0;
        }
    }
    if (questions > 0)
        wrong ("no answers");
    check (zmq_close (socket), "zmq_close");
}

/* ------------------------------------------------------------------------------------------------------------ main */

int main (int argc, char *argv[])
{
    const char *scenario = argc > 2 ? argv[2] : "";
    int left;
    void *socket, *control;
    if (argc != 6)
        wrong ("usage: drafts left|right SCENARIO bind|connect ENDPOINT OTHER");
    left = !strcmp (argv[1], "left");
    binds = !strcmp (argv[3], "bind");
    endpoint = argv[4];
    other = argv[5];
    context = zmq_ctx_new ();
    if (!strcmp (scenario, "dgram"))
        dgram (left);
    else if (!strcmp (scenario, "peer"))
        peer (left);
    else if (!strcmp (scenario, "client_server") || !strcmp (scenario, "channel")) {
        int server = !left && !strcmp (scenario, "client_server");
        int type = !strcmp (scenario, "channel") ? ZMQ_CHANNEL : left ? ZMQ_CLIENT : ZMQ_SERVER;
        socket = joined (type, endpoint);
        if (left)
            ask (socket, 0);
        else
            answer (socket, server);
        check (zmq_close (socket), "zmq_close");
    } else if (!strcmp (scenario, "scatter_gather")) {
        char end[8];
        socket = joined (left ? ZMQ_SCATTER : ZMQ_GATHER, endpoint);
        control = joined (ZMQ_CHANNEL, other);
        if (left) {
            scatter (socket);
            check (zmq_recv (control, end, sizeof end, 0), "zmq_recv");
        } else {
            gather (socket);
            check (zmq_send (control, "end", 3, 0), "zmq_send");
        }
        check (zmq_close (socket), "zmq_close");
        check (zmq_close (control), "zmq_close");
    } else if (!strcmp (scenario, "radio_dish") || !strcmp (scenario, "udp_radio_dish")) {
        socket = joined (left ? ZMQ_RADIO : ZMQ_DISH, endpoint);
        control = joined (ZMQ_CHANNEL, other);
        if (left)
            radio (socket, control);
        else
            dish (socket, control);
        check (zmq_close (socket), "zmq_close");
        check (zmq_close (control), "zmq_close");
    } else
        wrong ("no such scenario");
    check (zmq_ctx_term (context), "zmq_ctx_term");
    return 0;
}
