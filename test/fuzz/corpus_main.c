/* Runs a fuzz target over the files of a folder, so that saved inputs are tested without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *buf = malloc(1 << 20);
    size_t n;

    if (f == NULL || buf == NULL) {
        perror(path);
        exit(1);
    }
    n = fread(buf, 1, 1 << 20, f);
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(buf, n);
    free(buf);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;

    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *e;
        if (d == NULL) {
            perror(argv[i]);
            return 1;
        }
        while ((e = readdir(d)) != NULL) {
            char path[4096];
            if (e->d_name[0] != '.') {
                (void)snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
                count += run_file(path);
            }
        }
        (void)closedir(d);
    }
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
