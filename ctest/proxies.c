/* zmq_proxy and zmq_proxy_steerable: what passes, what is captured, what the controls do. */
#include "check.h"

#include <pthread.h>

static void *context;

struct proxy {
    void *front, *back, *capture, *control;
    int result, code;
    pthread_t thread;
};

static void *run_proxy (void *argument)
{
    struct proxy *proxy = (struct proxy *) argument;
    proxy->result = proxy->control ? zmq_proxy_steerable (proxy->front, proxy->back, proxy->capture, proxy->control)
                                   : zmq_proxy (proxy->front, proxy->back, proxy->capture);
    proxy->code = zmq_errno ();
    GOOD (zmq_close (proxy->front));
    if (proxy->back != proxy->front)
        GOOD (zmq_close (proxy->back));
    if (proxy->capture)
        GOOD (zmq_close (proxy->capture));
    if (proxy->control)
        GOOD (zmq_close (proxy->control));
    return NULL;
}

static void start (struct proxy *proxy)
{
    pthread_create (&proxy->thread, NULL, run_proxy, proxy);
}

TEST (requests_pass_through)
{
    void *own = zmq_ctx_new (), *req, *rep;
    struct proxy proxy;
    int i;
    memset (&proxy, 0, sizeof proxy);
    proxy.front = bound (own, ZMQ_ROUTER, "inproc://front");
    proxy.back = bound (own, ZMQ_DEALER, "inproc://back");
    req = connected (own, ZMQ_REQ, "inproc://front");
    rep = connected (own, ZMQ_REP, "inproc://back");
    start (&proxy);
    for (i = 0; i < 200; i++) {
        GOOD (send_text (req, "two", ZMQ_SNDMORE));
        GOOD (send_text (req, "parts", 0));
        EXPECT (rep, "two");
        EXPECT (rep, "parts");
        GOOD (send_text (rep, "answer", 0));
        EXPECT (req, "answer");
    }
    GOOD (zmq_ctx_shutdown (own));
    pthread_join (proxy.thread, NULL);
    EQUAL (proxy.result, -1);
    EQUAL (proxy.code, ETERM);
    GOOD (zmq_close (req));
    GOOD (zmq_close (rep));
    GOOD (zmq_ctx_term (own));
}

TEST (everything_is_captured)
{
    void *own = zmq_ctx_new (), *push, *pull, *captured;
    struct proxy proxy;
    memset (&proxy, 0, sizeof proxy);
    proxy.front = bound (own, ZMQ_PULL, "inproc://front");
    proxy.back = bound (own, ZMQ_PUSH, "inproc://back");
    proxy.capture = bound (own, ZMQ_PUSH, "inproc://capture");
    push = connected (own, ZMQ_PUSH, "inproc://front");
    pull = connected (own, ZMQ_PULL, "inproc://back");
    captured = connected (own, ZMQ_PULL, "inproc://capture");
    start (&proxy);
    GOOD (send_text (push, "two", ZMQ_SNDMORE));
    GOOD (send_text (push, "parts", 0));
    EXPECT (pull, "two");
    EQUAL (more (pull), 1);
    EXPECT (pull, "parts");
    EQUAL (more (pull), 0);
    EXPECT (captured, "two");
    EQUAL (more (captured), 1);
    EXPECT (captured, "parts");
    GOOD (zmq_ctx_shutdown (own));
    pthread_join (proxy.thread, NULL);
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
    GOOD (zmq_close (captured));
    GOOD (zmq_ctx_term (own));
}

TEST (subscriptions_pass_upstream)
{
    void *own = zmq_ctx_new (), *pub, *sub;
    struct proxy proxy;
    memset (&proxy, 0, sizeof proxy);
    proxy.front = bound (own, ZMQ_XSUB, "tcp://127.0.0.1:*");
    proxy.back = bound (own, ZMQ_XPUB, "tcp://127.0.0.1:*");
    pub = connected (own, ZMQ_XPUB, last_endpoint (proxy.front));
    sub = connected (own, ZMQ_SUB, last_endpoint (proxy.back));
    start (&proxy);
    GOOD (zmq_setsockopt (sub, ZMQ_SUBSCRIBE, "a", 1));
    EXPECT_BYTES (pub, "\1a", 2);
    GOOD (send_text (pub, "b", 0));
    GOOD (send_text (pub, "a1", 0));
    EXPECT (sub, "a1");
    GOOD (zmq_setsockopt (sub, ZMQ_UNSUBSCRIBE, "a", 1));
    EXPECT_BYTES (pub, "\0a", 2);
    GOOD (zmq_ctx_shutdown (own));
    pthread_join (proxy.thread, NULL);
    GOOD (zmq_close (pub));
    GOOD (zmq_close (sub));
    GOOD (zmq_ctx_term (own));
}

TEST (one_socket_on_both_sides)
{
    void *own = zmq_ctx_new (), *dealer;
    struct proxy proxy;
    memset (&proxy, 0, sizeof proxy);
    proxy.front = proxy.back = bound (own, ZMQ_DEALER, "inproc://both");
    dealer = connected (own, ZMQ_DEALER, "inproc://both");
    start (&proxy);
    GOOD (send_text (dealer, "there", ZMQ_SNDMORE));
    GOOD (send_text (dealer, "and back", 0));
    EXPECT (dealer, "there");
    EXPECT (dealer, "and back");
    GOOD (zmq_ctx_shutdown (own));
    pthread_join (proxy.thread, NULL);
    GOOD (zmq_close (dealer));
    GOOD (zmq_ctx_term (own));
}

static void hold_back (void *push, void *pull, void *control, int answered)
{
    GOOD (send_text (control, "PAUSE", 0));
    if (answered)
        EXPECT (control, "");
    GOOD (send_text (push, "held back", 0));
    if (answered) /* so the proxy is known to have paused */
        EQUAL (poll_one (pull, ZMQ_POLLIN, 50), 0);
    GOOD (send_text (control, "RESUME", 0));
    if (answered)
        EXPECT (control, "");
    EXPECT (pull, "held back");
}

/* A steerable PULL -> PUSH proxy, with a controlling socket of a type. */
static void steer (int type, int own_type)
{
    struct proxy proxy;
    void *push, *pull, *control;
    uint64_t count;
    int i;
    static const uint64_t expected[8] = {4, 16, 0, 0, 0, 0, 4, 16};
    memset (&proxy, 0, sizeof proxy);
    proxy.front = bound (context, ZMQ_PULL, "inproc://front");
    proxy.back = bound (context, ZMQ_PUSH, "inproc://back");
    proxy.control = bound (context, type, "inproc://control");
    push = connected (context, ZMQ_PUSH, "inproc://front");
    pull = connected (context, ZMQ_PULL, "inproc://back");
    control = connected (context, own_type, "inproc://control");
    start (&proxy);
    for (i = 0; i < 2; i++) {
        GOOD (send_text (push, "two", ZMQ_SNDMORE));
        GOOD (send_text (push, "parts", 0));
        EXPECT (pull, "two");
        EXPECT (pull, "parts");
    }
    GOOD (send_text (control, "STATISTICS", 0));
    for (i = 0; i < 8; i++) {
        EQUAL (zmq_recv (control, &count, sizeof count, 0), 8);
        EQUAL (count, (long long) expected[i]); /* parts and bytes: in and out in front, in and out at the back */
        EQUAL (more (control), i < 7);
    }
    if (ours () || type != ZMQ_REP) /* the original did not do this right until 4.3.6 */
        hold_back (push, pull, control, type == ZMQ_REP);
    GOOD (send_text (control, "TERMINATE", 0));
    if (type == ZMQ_REP)
        EXPECT (control, "");
    pthread_join (proxy.thread, NULL);
    EQUAL (proxy.result, 0);
    GOOD (zmq_close (push));
    GOOD (zmq_close (pull));
    GOOD (zmq_close (control));
}

TEST (steered_by_pair)
{
    void *own = zmq_ctx_new ();
    context = own;
    steer (ZMQ_PAIR, ZMQ_PAIR);
    GOOD (zmq_ctx_term (own));
}

TEST (steered_by_requests)
{
    context = zmq_ctx_new ();
    steer (ZMQ_REP, ZMQ_REQ);
    GOOD (zmq_ctx_term (context));
}

TEST (no_proxy_without_sockets)
{
    void *own = zmq_ctx_new (), *socket = open_socket (own, ZMQ_PULL);
    FAILS (zmq_proxy (socket, NULL, NULL), EFAULT);
    FAILS (zmq_proxy (NULL, socket, NULL), EFAULT);
    FAILS (zmq_proxy_steerable (NULL, socket, NULL, NULL), EFAULT);
    GOOD (zmq_close (socket));
    GOOD (zmq_ctx_term (own));
}

int main (void)
{
    RUN (requests_pass_through);
    RUN (everything_is_captured);
    RUN (subscriptions_pass_upstream);
    RUN (one_socket_on_both_sides);
    RUN (steered_by_pair);
    RUN (steered_by_requests);
    RUN (no_proxy_without_sockets);
    return finished ();
}
