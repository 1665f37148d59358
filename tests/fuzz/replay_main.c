/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target once over every file of the folders given, as tests: one
 * file, one TAP line. A file that crashed a fuzzer once joins the corpus and
 * stays a test for good.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (4u << 20)

/* The whole file in memory of exactly its size, so that a sanitizer sees one
 * byte too many. */
static uint8_t *read_file(const char *path, size_t *ret_len)
{
    static uint8_t buf[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    uint8_t *copy;

    if (f == NULL) {
        return NULL;
    }
    *ret_len = fread(buf, 1, sizeof(buf), f);
    (void)fclose(f);
    copy = malloc(*ret_len == 0 ? 1 : *ret_len);
    if (copy != NULL) {
        memcpy(copy, buf, *ret_len);
    }
    return copy;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted; the caller frees each and the list. */
static char **list_folder(const char *folder, size_t *ret_n)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    char **names = NULL;
    size_t n = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        names = realloc(names, (n + 1) * sizeof(*names));
        if (names == NULL) {
            abort();
        }
        names[n++] = strdup(entry->d_name);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (n > 0) {
        qsort(names, n, sizeof(*names), compare_names);
    }
    *ret_n = n;
    return names;
}

static size_t replay_folder(const char *folder, size_t n_before)
{
    size_t n;
    char **names = list_folder(folder, &n);

    for (size_t i = 0; i < n; i++) {
        char path[4096];
        size_t len = 0;
        uint8_t *data;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        data = read_file(path, &len);
        if (data == NULL) {
            printf("not ok %zu - %s\n", n_before + i + 1, path);
        } else {
            (void)LLVMFuzzerTestOneInput(data, len); /* or it aborts */
            printf("ok %zu - %s\n", n_before + i + 1, names[i]);
        }
        (void)fflush(stdout);
        free(data);
        free(names[i]);
    }
    free(names);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        n += replay_folder(argv[i], n);
    }
    printf("1..%zu\n", n);
    return n == 0 ? 1 : 0; /* an empty corpus tests nothing */
}
