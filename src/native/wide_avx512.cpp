// The loops for processors with AVX-512 that know bfloat16.
//
// No function of a library is part of them: one that is compiled here might serve other processors, too.
#include "layers.h"

#ifdef SEVERAL_WIDTHS
#include <immintrin.h>

// GCC 12 takes what its own header leaves open on purpose for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC optimize("O3")
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")

#define WIDTH avx512
#define AT_ONCE 16
#define BFLOAT16_UNITS
#include "loops.h"
#endif
