/*
 * foreign.h - names bytes that no answer consists of: an error page of a proxy, a TLS
 * alert, a PROXY header and the like.
 */
#ifndef CLIENT_VERIFY_FOREIGN_H
#define CLIENT_VERIFY_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the name of what starts with these bytes. False if it is not known. */
bool foreign_name(const uint8_t *bytes, size_t length, char *out, size_t size);

#endif
