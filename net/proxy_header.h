/*
 * proxy_header.h - the header by which a load balancer tells a server the addresses of
 * the connection that it has accepted ("The PROXY protocol", versions 1 and 2, HAProxy
 * doc/proxy-protocol.txt). It comes once, in front of the first byte of the client.
 *
 *   v1   PROXY TCP4 SOURCE DESTINATION SPORT DPORT CR LF     at most 107 bytes
 *   v2   signature (12) | version, command | family | length (2) | addresses | TLVs
 */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

#define PROXY_V2_FIXED 16  /* bytes before the addresses of version 2 */
#define PROXY_V2_REST 4096 /* bytes behind them that are accepted, at most */
#define PROXY_HEADER_MAX (PROXY_V2_FIXED + PROXY_V2_REST)
#define PROXY_UNIX_PATH 108 /* bytes of one address of a Unix socket, with zeros */

/* Bits of the versions that a server accepts. */
enum proxy_versions {
	PROXY_OFF = 0,
	PROXY_V1 = 1,
	PROXY_V2 = 2,
	PROXY_ANY = PROXY_V1 | PROXY_V2,
};

enum proxy_family { PROXY_UNKNOWN, PROXY_TCP4, PROXY_TCP6, PROXY_UNIX };

/* Types of a TLV (chapter 2.2). */
enum proxy_tlv_type {
	PROXY_TLV_ALPN = 0x01,
	PROXY_TLV_AUTHORITY = 0x02,
	PROXY_TLV_CRC32C = 0x03,
	PROXY_TLV_NOOP = 0x04,
	PROXY_TLV_UNIQUE_ID = 0x05,
	PROXY_TLV_SSL = 0x20,
	PROXY_TLV_NETNS = 0x30,
	/* inside the value of SSL, behind PROXY_SSL_FIXED bytes */
	PROXY_TLV_SSL_VERSION = 0x21,
	PROXY_TLV_SSL_CN = 0x22,
	PROXY_TLV_SSL_CIPHER = 0x23,
	PROXY_TLV_SSL_SIG_ALG = 0x24,
	PROXY_TLV_SSL_KEY_ALG = 0x25,
};
#define PROXY_SSL_FIXED 5 /* bits of the client (1), result of the verification (4) */
#define PROXY_UNIQUE_ID_MAX 128

struct proxy_tlv {
	uint8_t type; /* enum proxy_tlv_type, or another number */
	const uint8_t *value;
	size_t length;
};

/* TLVs in a row: each whole, as proxy_header_parse() has checked. */
struct proxy_tlvs {
	const uint8_t *data;
	size_t length;
};

struct proxy_header {
	uint8_t version;  /* 1 or 2 */
	bool is_local;    /* version 2: a connection of the balancer itself, or of a
			     client whose address it does not tell */
	bool is_datagram; /* version 2 */
	enum proxy_family family;
	struct address source, destination; /* of PROXY_TCP4 and PROXY_TCP6 */
	/* With PROXY_UNIX: source and destination, PROXY_UNIX_PATH bytes each, in the
	 * caller's data. */
	const uint8_t *unix_paths;
	struct proxy_tlvs tlvs; /* in the caller's data */
	size_t length;          /* bytes of the whole header */
};

enum proxy_status {
	PROXY_PARTIAL,  /* so far it may become a header: more bytes are needed */
	PROXY_COMPLETE, /* *ret is filled */
	PROXY_INVALID,
};

/* Parses what a connection begins with, however it was cut: `data` are all bytes so
 * far, and those behind the header belong to the client. versions: enum proxy_versions,
 * not 0. For PROXY_INVALID *ret_error says what is wrong and what was expected (a
 * constant). */
enum proxy_status proxy_header_parse(const uint8_t *data, size_t length,
    unsigned versions, struct proxy_header *ret, const char **ret_error)
    __attribute__((warn_unused_result));

/* Takes the next TLV from the front; false at the end. */
bool proxy_header_next_tlv(struct proxy_tlvs *tlvs, struct proxy_tlv *ret);
/* The TLVs inside the value of an SSL one; without any if it is too short. */
struct proxy_tlvs proxy_header_ssl_tlvs(const struct proxy_tlv *ssl);

/* Contents of a header to be written. */
struct proxy_announcement {
	unsigned version;                   /* 1 or 2 */
	bool is_local;                      /* version 2: LOCAL; version 1: UNKNOWN */
	struct address source, destination; /* IPv4 and IPv6 are not mixed */
	const struct proxy_tlv *tlvs;       /* version 2 */
	size_t tlv_count;
	bool has_crc32c; /* version 2: a checksum as the last TLV */
};

/* Bytes of the header, written to out[size]; 0 if they do not fit. */
size_t proxy_header_write(
    const struct proxy_announcement *announcement, uint8_t *out, size_t size);

#endif
