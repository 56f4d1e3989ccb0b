/* req_client ENDPOINT COUNT: sends COUNT requests "Hello N" and expects "World N" for each. */
#include "demo.h"

int main (int argc, char **argv)
{
    char text[256], expected[32];
    int count, i;
    void *context, *client;

    demo_name = "req_client";
    if (argc != 3)
        return 2;
    count = atoi (argv[2]);
    context = zmq_ctx_new ();
    client = connected (context, ZMQ_REQ, argv[1]);
    for (i = 0; i < count; i++) {
        send_text (client, "Hello %d", i);
        receive_text (client, text);
        sprintf (expected, "World %d", i);
        if (strcmp (text, expected))
            wrong (expected, text);
    }
    say ("%s: %d replies, the last was \"%s\"", argv[1], count, text);
    finish (context, client, NULL);
    return 0;
}
