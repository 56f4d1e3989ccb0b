//! What goes wrong in the process itself: no descriptors left, calls from many threads at once, sockets and contexts
//! that end while they are used, connections that come and go, forks.

mod support;

mod faults {
    mod descriptors;
    mod diagnosis;
    mod ends;
    mod forks;
    mod interfaces;
    mod order;
    mod stalls;
    mod threads;
    mod turnover;
}
