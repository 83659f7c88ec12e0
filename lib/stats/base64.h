/* base64.h - base64 with padding (RFC 4648, section 4). */
#ifndef LIB_STATS_BASE64_H
#define LIB_STATS_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Heap, owned by the caller; NULL when out of memory. */
char *base64_encode(const void *data, size_t length)
    __attribute__((warn_unused_result));

/* Heap, owned by the caller. NULL with errno EINVAL for invalid base64, which includes
 * white space, or ENOMEM. */
uint8_t *base64_decode(const char *text, size_t *ret_length)
    __attribute__((warn_unused_result));

#endif
