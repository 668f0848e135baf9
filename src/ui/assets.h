/* ui/assets.h - the bytes of the page; the table itself is written by ui/build.mjs at build time. */
#ifndef PL_UI_ASSETS_H
#define PL_UI_ASSETS_H

#include <stddef.h>

struct ui_asset {
    const char *path; /* below ui/; "" is the page itself */
    const char *content_type;
    const char *etag; /* with its quotes */
    const char *etag_gzip;
    const unsigned char *plain;
    size_t plain_size;
    const unsigned char *gzip;
    size_t gzip_size;
};

extern const struct ui_asset ui_assets[];
extern const size_t ui_asset_count;

#endif
