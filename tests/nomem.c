/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nomem.h"

static _Thread_local unsigned n_left; /* until one fails; 0: none does */
static _Thread_local bool fails_on;
static _Thread_local bool has_failed;

void pn_nomem_begin(unsigned nth)
{
    n_left = nth;
    fails_on = false;
    has_failed = false;
}

void pn_nomem_begin_all(unsigned nth)
{
    pn_nomem_begin(nth);
    fails_on = true;
}

bool pn_nomem_end(void)
{
    n_left = 0;
    fails_on = false;
    return has_failed;
}

static bool fails_now(void)
{
    if (n_left > 0 && --n_left == 0) {
        has_failed = true;
        return true;
    }
    return has_failed && fails_on;
}

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_asprintf(char **ret_text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t n)
{
    return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails_now() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails_now() ? NULL : __real_strndup(text, n);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;
    int n;

    if (fails_now()) {
        return -1;
    }
    va_start(args, format);
    n = vasprintf(ret_text, format, args);
    va_end(args);
    return n;
}
