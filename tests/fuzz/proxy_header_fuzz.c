/*
 * PROXY headers, cut at any place: the outcome of a prefix is "partial" until it is
 * final, and stays the same with more bytes. An accepted header that announces IP
 * addresses is written again with them. The first byte chooses the accepted versions.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that many bytes, so that a read behind them is found. */
static enum proxy_status
parse_copy(const uint8_t *data, size_t length, unsigned versions,
    struct proxy_header *ret, const char **ret_error)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	must(copy != NULL);
	if (length > 0)
		memcpy(copy, data, length);
	enum proxy_status status =
	    proxy_header_parse(copy, length, versions, ret, ret_error);
	free(copy);
	return status;
}

static void
check_cuts(const uint8_t *data, size_t size, unsigned versions,
    enum proxy_status status, size_t length)
{
	struct proxy_header header;
	const char *error = NULL;
	enum proxy_status last = PROXY_PARTIAL;
	size_t end = size < PROXY_HEADER_MAX + 1 ? size : PROXY_HEADER_MAX + 1;
	for (size_t cut = 0; cut < end; cut++) {
		enum proxy_status now =
		    parse_copy(data, cut, versions, &header, &error);
		must(last == PROXY_PARTIAL || now == last);
		must(now != PROXY_COMPLETE || header.length <= cut);
		last = now;
	}
	must(last == PROXY_PARTIAL || last == status);
	if (status == PROXY_COMPLETE)
		must(length <= PROXY_HEADER_MAX &&
		    parse_copy(data, length, versions, &header, &error) ==
			PROXY_COMPLETE);
}

static void
check_tlvs(const struct proxy_header *header)
{
	struct proxy_tlvs left = header->tlvs;
	struct proxy_tlv tlv;
	size_t bytes = 0;
	while (proxy_header_next_tlv(&left, &tlv)) {
		bytes += 3 + tlv.length;
		struct proxy_tlvs inner = proxy_header_ssl_tlvs(&tlv);
		struct proxy_tlv one;
		if (tlv.type != PROXY_TLV_SSL)
			continue;
		while (proxy_header_next_tlv(&inner, &one))
			must(one.value + one.length <= tlv.value + tlv.length);
		must(inner.length == 0);
	}
	must(bytes == header->tlvs.length);
}

static void
check_written(const struct proxy_header *header)
{
	struct proxy_announcement announcement = { .version = header->version,
		.source = header->source,
		.destination = header->destination,
		.has_crc32c = true };
	struct proxy_header again;
	const char *error = NULL;
	uint8_t out[PROXY_HEADER_MAX];
	if (header->family != PROXY_TCP4 && header->family != PROXY_TCP6)
		return;
	size_t length = proxy_header_write(&announcement, out, sizeof(out));
	must(length > 0);
	must(proxy_header_parse(out, length, PROXY_ANY, &again, &error) ==
	    PROXY_COMPLETE);
	must(again.length == length);
	must(address_equal(&again.source, &header->source));
	must(address_equal(&again.destination, &header->destination));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header header;
	const char *error = NULL;
	if (size == 0)
		return 0;
	unsigned versions = data[0] % 3 + 1;
	data++;
	size--;
	enum proxy_status status =
	    proxy_header_parse(data, size, versions, &header, &error);
	must(status != PROXY_INVALID || error != NULL);
	check_cuts(
	    data, size, versions, status, status == PROXY_COMPLETE ? header.length : 0);
	if (status == PROXY_COMPLETE) {
		check_tlvs(&header);
		check_written(&header);
	}
	return 0;
}
