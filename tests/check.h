// check.h: what a test program needs, and no more.
//
//     int main(void)
//     {
//         CHECK(is_sound(x));               // a failure prints file, line and the expression
//         CHECK_CMP(count(x), ==, 3);       // ... and both sides
//         CHECK_STR(name(x), "person");
//         CHECK_NEAR(score(x), 0.5, 1e-6);
//         return check_done();              // 0 if all held, or 1
//     }
//
// A check that fails does not end the program; each yields whether it held, so that a test can
// leave when going on makes no sense: `if (!CHECK(thing)) return;`. A test that cannot run here
// calls check_skip(), which ends it with 77 and the reason: skipped is never passed.

#pragma once

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_held, check_failed;
static char check_where[512]; // what is being tried, in words

// Names the case that the checks from here on belong to, for tests that walk a table; "" for none.
__attribute__((format(printf, 1, 2))) static inline void check_about(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(check_where, sizeof(check_where), fmt, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void check_skip(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("skipped: ");
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    exit(77);
}

static inline int check_done(void)
{
    if (check_failed)
        printf("%d of %d checks failed\n", check_failed, check_held + check_failed);
    else
        printf("%d checks ok\n", check_held);
    return check_failed ? 1 : 0;
}

// The macros' other half.

__attribute__((format(printf, 4, 5))) static inline bool
check_result(bool held, const char *file, int line, const char *fmt, ...)
{
    if (held) {
        check_held++;
        return true;
    }
    check_failed++;
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    if (*check_where)
        fprintf(stderr, "[%s] ", check_where);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    return false;
}

struct check_text {
    char s[256];
};

static inline struct check_text check_show_signed(long long x)
{
    struct check_text text;
    snprintf(text.s, sizeof(text.s), "%lld", x);
    return text;
}

static inline struct check_text check_show_unsigned(unsigned long long x)
{
    struct check_text text;
    snprintf(text.s, sizeof(text.s), "%llu", x);
    return text;
}

static inline struct check_text check_show_real(double x)
{
    struct check_text text;
    snprintf(text.s, sizeof(text.s), "%.9g", x);
    return text;
}

static inline struct check_text check_show_pointer(const void *x)
{
    struct check_text text;
    snprintf(text.s, sizeof(text.s), "%p", x);
    return text;
}

// Version 14 of the formatter takes _Generic and _Pragma for something else.
// clang-format off

// Integers, real numbers and pointers (not strings: they would be compared by address).
#define CHECK_SHOW(x)                                                                              \
    _Generic((x),                                                                                  \
        _Bool: check_show_signed,                                                                  \
        char: check_show_signed,                                                                   \
        signed char: check_show_signed,                                                            \
        short: check_show_signed,                                                                  \
        int: check_show_signed,                                                                    \
        long: check_show_signed,                                                                   \
        long long: check_show_signed,                                                              \
        unsigned char: check_show_unsigned,                                                        \
        unsigned short: check_show_unsigned,                                                       \
        unsigned: check_show_unsigned,                                                             \
        unsigned long: check_show_unsigned,                                                        \
        unsigned long long: check_show_unsigned,                                                   \
        float: check_show_real,                                                                    \
        double: check_show_real,                                                                   \
        default: check_show_pointer)(x)

#define CHECK(cond) check_result((cond), __FILE__, __LINE__, "%s does not hold", #cond)

// Signed may meet unsigned: enumerators and constants are ints, what they are held against is not.
#define CHECK_CMP(a, op, b)                                                                        \
    __extension__({                                                                                \
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wsign-compare\"")        \
        __typeof__(a) check_a = (a);                                                               \
        __typeof__(b) check_b = (b);                                                               \
        const bool check_held_now = check_a op check_b;                                            \
        _Pragma("GCC diagnostic pop")                                                              \
        check_result(check_held_now, __FILE__, __LINE__, "%s %s %s: left is %s, right is %s", #a,  \
                     #op, #b, CHECK_SHOW(check_a).s, CHECK_SHOW(check_b).s);                       \
    })

// clang-format on

// |a - b| <= tol; never holds for NaN.
#define CHECK_NEAR(a, b, tol)                                                                      \
    __extension__({                                                                                \
        const double check_a = (a), check_b = (b), check_tol = (tol);                              \
        check_result(check_a == check_b || fabs(check_a - check_b) <= check_tol, __FILE__,         \
                     __LINE__, "%s is %.9g, %s is %.9g: apart by %.3g, allowed %.3g", #a,          \
                     check_a, #b, check_b, fabs(check_a - check_b), check_tol);                    \
    })

// Two strings are the same; both may be NULL.
#define CHECK_STR(a, b)                                                                            \
    __extension__({                                                                                \
        const char *check_a = (a), *check_b = (b);                                                 \
        check_result(check_a == check_b ||                                                         \
                         (check_a && check_b && strcmp(check_a, check_b) == 0),                    \
                     __FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a,                           \
                     check_a ? check_a : "(null)", check_b ? check_b : "(null)");                  \
    })

// `part` occurs in `text`.
#define CHECK_HAS(text, part)                                                                      \
    __extension__({                                                                                \
        const char *check_a = (text), *check_b = (part);                                           \
        check_result(check_a && strstr(check_a, check_b), __FILE__, __LINE__,                      \
                     "%s is \"%s\": \"%s\" is not in it", #text, check_a ? check_a : "(null)",     \
                     check_b);                                                                     \
    })
