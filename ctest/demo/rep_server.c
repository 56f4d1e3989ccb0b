/* rep_server ENDPOINT COUNT: answers COUNT requests "Hello N" with "World N". */
#include "demo.h"

int main (int argc, char **argv)
{
    char text[256];
    int count, i;
    void *context, *server;

    demo_name = "rep_server";
    if (argc != 3)
        return 2;
    count = atoi (argv[2]);
    context = zmq_ctx_new ();
    server = bound (context, ZMQ_REP, argv[1]);
    for (i = 0; i < count; i++) {
        receive_text (server, text);
        if (strncmp (text, "Hello ", 6))
            wrong ("not a greeting", text);
        send_text (server, "World %s", text + 6);
    }
    say ("%s: %d requests answered, the last was \"%s\"", argv[1], count, text);
    finish (context, server, NULL);
    return 0;
}
