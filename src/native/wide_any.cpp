// The loops for any processor.
#include "layers.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#define WIDTH any
#define AT_ONCE 4
#include "loops.h"
