// How a loop is compiled for several kinds of processor; the widest that is there is chosen when the
// program starts. Include it before the loops: it also asks for the compiler's best.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#if defined(__x86_64__) && defined(__GLIBC__)
#if __GNUC__ >= 12
#define EVERY_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#endif
#ifndef EVERY_WIDTH
#define EVERY_WIDTH
#endif

// What such a loop is made of must become part of it, or it would be compiled for the oldest processor.
#if defined(__GNUC__)
#define INLINE inline __attribute__((always_inline))
#define INLINE_HERE __attribute__((always_inline))
#else
#define INLINE inline
#define INLINE_HERE
#endif
