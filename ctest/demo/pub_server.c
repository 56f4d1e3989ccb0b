/* pub_server ENDPOINT READY_ENDPOINT SUBSCRIBERS COUNT: publishes COUNT readings for each of two towns.
 *
 * What is published before a subscriber has joined is lost to it, so the first messages are probes: they are repeated
 * until every subscriber has said on the second endpoint that one has reached it. */
#include "demo.h"

static const char *towns[] = {"Berlin", "Lisbon"};

int main (int argc, char **argv)
{
    char text[256] = "";
    int subscribers, count, i, probes = 0, town;
    void *context, *publisher, *ready;

    demo_name = "pub_server";
    if (argc != 5)
        return 2;
    subscribers = atoi (argv[3]);
    count = atoi (argv[4]);
    context = zmq_ctx_new ();
    publisher = bound (context, ZMQ_PUB, argv[1]);
    ready = bound (context, ZMQ_PULL, argv[2]);
    for (i = 0; i < subscribers;) {
        if (++probes > PATIENCE_MS / PROBE_MS)
            wrong ("subscribers are missing", text);
        for (town = 0; town < 2; town++)
            send_text (publisher, "%s probe", towns[town]);
        while (waiting (ready, i < subscribers ? PROBE_MS : 0)) {
            receive_text (ready, text);
            i++;
        }
    }
    for (i = 0; i < count; i++)
        for (town = 0; town < 2; town++)
            send_text (publisher, "%s %d", towns[town], i);
    for (town = 0; town < 2; town++)
        send_text (publisher, "%s end", towns[town]);
    say ("%s: %d readings for each of 2 towns published to %d subscribers", argv[1], count, subscribers);
    finish (context, publisher, ready);
    return 0;
}
