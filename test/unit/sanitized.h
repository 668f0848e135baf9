/* unit/sanitized.h - SANITIZED: is this test built with AddressSanitizer or ThreadSanitizer? They keep what is freed,
 * need malloc's name for themselves, and are slow. gcc says so by macros, clang 14 by __has_feature. */
#ifndef PL_TEST_SANITIZED_H
#define PL_TEST_SANITIZED_H

#ifdef __has_feature
#    define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#else
#    define SANITIZED 0
#endif

#endif
