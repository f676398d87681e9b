// The loops for processors with AVX2.
//
// No function of a library is part of them: one that is compiled here might serve other processors, too.
#include "layers.h"

#ifdef SEVERAL_WIDTHS
#include <immintrin.h>

#pragma GCC optimize("O3")
#pragma GCC target("avx2,fma")

#define WIDTH avx2
#define AT_ONCE 8
#include "loops.h"
#endif
