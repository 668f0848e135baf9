/* Any bytes as YAML: the tree, printed, reads back to the same print; the config decoded from it, printed in full,
 * decodes to the same print without an error. */
#include "base/base.h"
#include "config/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tree_reads_back(const struct yaml_node *root)
{
    struct pl_buf first = {0}, second = {0};
    struct pl_arena a;
    struct yaml_doc doc;
    struct pl_err err;

    pl_arena_init(&a, 0);
    yaml_print_node(&first, root, 0);
    pl_status st = yaml_parse(&doc, &a, pl_buf_view(&first), &err);
    if (st == PL_OK) {
        PL_ASSERT(doc.root != NULL && !doc.more);
        yaml_print_node(&second, doc.root, 0);
        PL_ASSERT(pl_str_eq(pl_buf_view(&first), pl_buf_view(&second)));
    } else {
        PL_ASSERT(st == PL_TOO_LARGE || strstr(err.msg, "simple key") != NULL ||
                  strstr(err.msg, "could not find expected ':'") != NULL);
    }
    pl_buf_fini(&first);
    pl_buf_fini(&second);
    pl_arena_fini(&a);
}

static void config_reads_back(pl_str text)
{
    struct config *cfg, *again;
    struct config_issues issues = {0}, none = {0};
    struct pl_buf first = {0}, second = {0};
    struct pl_err err;

    config_default(&cfg);
    config_default(&again);
    if (config__decode(cfg, text, &issues, &err) == PL_OK && config_issues_errors(&issues) == 0) {
        if (config_check(cfg, &err) != PL_OK) {
            PL_ASSERT(err.msg[0] != '\0');
        }
        config_print(&first, cfg, CONFIG_PRINT_FULL);
        if (config__decode(again, pl_buf_view(&first), &none, &err) == PL_OK) {
            PL_ASSERT(config_issues_errors(&none) == 0);
            config_print(&second, again, CONFIG_PRINT_FULL);
            PL_ASSERT(pl_str_eq(pl_buf_view(&first), pl_buf_view(&second)));
        }
    }
    config_issues_fini(&issues);
    config_issues_fini(&none);
    pl_buf_fini(&first);
    pl_buf_fini(&second);
    config_destroy(cfg);
    config_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_arena a;
    struct yaml_doc doc;
    struct pl_buf expanded = {0};
    pl_str text = pl_str_of((const char *)data, size);

    pl_arena_init(&a, 0);
    if (size < 65536 && yaml_parse(&doc, &a, text, NULL) == PL_OK && doc.root != NULL) {
        if (doc.root->weight < 10000) {
            tree_reads_back(doc.root);
        }
        config_reads_back(text);
    }
    pl_arena_fini(&a);
    pl_buf_init(&expanded, 1 << 20);
    config__expand(&expanded, text);
    pl_buf_fini(&expanded);
    return 0;
}
