/* The fixed-width integers that libzmq's test programs use. */

#ifndef FERROZMQ_CONFORMANCE_STDINT_HPP
#define FERROZMQ_CONFORMANCE_STDINT_HPP

#include <stdint.h>

#endif
