/* What a first program does: it uses a context and a message, and prints the version it runs on. */

#include <stdio.h>
#include <string.h>
#include <zmq.h>

int main(void)
{
    int major, minor, patch;
    void *context;
    zmq_msg_t msg;

    zmq_version(&major, &minor, &patch);
    if (ZMQ_MAKE_VERSION(major, minor, patch) != ZMQ_VERSION)
        return 1;
    context = zmq_ctx_new();
    if (context == NULL || zmq_ctx_get(context, ZMQ_IO_THREADS) != ZMQ_IO_THREADS_DFLT)
        return 2;
    if (zmq_ctx_term(context) != 0)
        return 3;
    if (zmq_msg_init_size(&msg, 5) != 0)
        return 4;
    memcpy(zmq_msg_data(&msg), "hello", 5);
    if (zmq_msg_size(&msg) != 5 || zmq_msg_close(&msg) != 0)
        return 5;
    if (zmq_msg_close(&msg) != -1 || zmq_errno() != EFAULT)
        return 6;
    printf("%d.%d.%d\n", major, minor, patch);
    return 0;
}
