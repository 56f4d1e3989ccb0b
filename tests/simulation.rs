//! A simulation: our sockets talk through a network that a seeded generator steps. It passes bytes on in pieces of any
//! size, lets them wait, stalls, cuts connections gently or hard at any byte, and turns callers away; the applications
//! are slow or fast as the same generator says.
//!
//! What has to hold: no message is duplicated, changed, torn or out of order within a connection's life; none is lost
//! there, and across a cut only as many bytes as may have been under way; marks bound what piles up; everybody gets on
//! within a time limit; nothing is left behind when a world ends.
//!
//! A failure prints the seed of its world. `FERROZMQ_SIM_SEED=n` runs that world alone, `FERROZMQ_SIM_STEPS=n` sets how
//! many steps all worlds take together, `FERROZMQ_SIM_FIRST=n` begins the series elsewhere.

mod support;

mod simulation {
    mod games;
    mod ledger;
    mod network;
    mod series;
    mod threads;
}
