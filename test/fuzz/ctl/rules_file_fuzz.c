/* Any text is a rule file, a file of rule tests and a template: problems are told, never more than their bound; a file
 * without problems has rules that are whole; a template that fails its check never expands. */
#include "ctl/rules_file.h"
#include "ctl/rules_template.h"
#include "ctl/rules_test_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_template(struct pl_arena *a, pl_str text)
{
    static const struct label one[] = {{PL_STR_INIT("job"), PL_STR_INIT("x")}};
    const struct template_data d = {.labels = {one, 1}, .external_url = PL_STR("http://x"), .value = 1.5};
    struct pl_err err;
    struct pl_buf out;
    pl_status checked = rules_template_check(a, text, &err), expanded;

    pl_buf_init(&out, 0);
    expanded = rules_template_expand(&out, a, text, &d, &err);
    PL_ASSERT(checked == PL_OK || expanded != PL_OK);
    PL_ASSERT(out.n <= TEMPLATE_OUTPUT_MAX);
    PL_ASSERT(pl_str_find_str(text, PL_STR("{{")) != SIZE_MAX ||
              (expanded == PL_OK && pl_str_eq(pl_buf_view(&out), text)));
    pl_buf_fini(&out);
}

static void check_rules(const struct rules_file *f, struct pl_arena *a)
{
    for (size_t g = 0; g < f->n; g++) {
        PL_ASSERT(f->groups[g].name.n > 0);
        for (size_t i = 0; i < f->groups[g].n; i++) {
            const struct rule *r = &f->groups[g].rules[i];

            PL_ASSERT((r->alert.n > 0) != (r->record.n > 0));
            PL_ASSERT(r->expr != NULL);
            for (size_t k = 0; k < r->annotations.n; k++) {
                check_template(a, r->annotations.v[k].value);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rules_options options = {.ignore_unknown_fields = false};
    pl_str text = pl_str_of((const char *)data, size);
    struct rules_test_file tests;
    struct rules_file f;
    struct pl_arena a;
    struct pl_err err;

    if (size > 1 << 14) {
        return 0;
    }
    pl_arena_init(&a, 0);
    check_template(&a, text);
    if (rules_file_parse(&f, &a, text, &options, &err) == PL_OK) {
        PL_ASSERT(f.problem_count <= RULES_PROBLEMS_MAX);
        if (f.problem_count == 0) {
            check_rules(&f, &a);
        }
    }
    if (rules_test_file_parse(&tests, &a, text, &options, &err) == PL_OK) {
        PL_ASSERT(tests.problems.problem_count > 0 || tests.interval_ms > 0);
    }
    pl_arena_fini(&a);
    return 0;
}
