#include "client/plan/proxy_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/plan/plan_refuse.h"

/* Announced ports: as a client would have. */
#define PORT_FIRST 1024
#define PORTS (UINT16_MAX - PORT_FIRST + 1)

static const struct {
	const char *name;
	uint8_t type;
} types[] = {
	{ "alpn", PROXY_TLV_ALPN },
	{ "authority", PROXY_TLV_AUTHORITY },
	{ "unique-id", PROXY_TLV_UNIQUE_ID },
	{ "netns", PROXY_TLV_NETNS },
};

/* The type of a TLV by its name or number; 0: unknown. */
static uint8_t
parse_type(const char *text, size_t length)
{
	char number[UNITS_TEXT_MAX];
	uint64_t value = 0;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].name) == length &&
		    memcmp(types[i].name, text, length) == 0)
			return types[i].type;
	}
	if (length >= sizeof(number))
		return 0;
	memcpy(number, text, length);
	number[length] = '\0';
	return units_parse_count(number, &value) == 0 && value <= UINT8_MAX &&
		value != PROXY_TLV_CRC32C && value != PROXY_TLV_SSL
	    ? (uint8_t)value
	    : 0;
}

static int
add_tlv(struct plan *plan, const char *text, char *error)
{
	size_t name = strcspn(text, "="), at;
	if (strcmp(text, "crc32c") == 0) {
		plan->proxy_crc32c = true;
		return 0;
	}
	uint8_t type = text[name] == '=' ? parse_type(text, name) : 0;
	if (type == 0)
		return plan_refuse(error,
		    "--proxy-tlv: found \"%s\", expected crc32c, or alpn, authority, unique-id, netns or a number (other than 3 and 32), then \"=\" and its text",
		    text);
	if (plan->proxy_tlv_count == PLAN_PROXY_TLVS_MAX)
		return plan_refuse(
		    error, "--proxy-tlv: expected at most %d", PLAN_PROXY_TLVS_MAX);
	const char *value = text + name + 1;
	char *decoded = xmalloc(strlen(value) + 1);
	long length = escape_decode(value, strlen(value), decoded, &at);
	plan->proxy_tlv_values[plan->proxy_tlv_count] = decoded;
	plan->proxy_tlvs[plan->proxy_tlv_count++] = (struct proxy_tlv){ .type = type,
		.value = (uint8_t *)decoded,
		.length = length < 0 ? 0 : (size_t)length };
	if (length < 0)
		return plan_refuse(
		    error, "--proxy-tlv: unknown escape in \"%s\"", text);
	if (type == PROXY_TLV_UNIQUE_ID && length > PROXY_UNIQUE_ID_MAX)
		return plan_refuse(error,
		    "--proxy-tlv: found a unique id of %ld bytes, expected at most %d",
		    length, PROXY_UNIQUE_ID_MAX);
	return 0;
}

static int
check_length(const struct plan *plan, char *error)
{
	size_t bytes = 64; /* addresses and checksum */
	for (size_t i = 0; i < plan->proxy_tlv_count; i++)
		bytes += 3 + plan->proxy_tlvs[i].length;
	return bytes <= PROXY_V2_REST
	    ? 0
	    : plan_refuse(error,
		  "--proxy-tlv: found a header of %zu bytes, expected at most %d",
		  bytes, PROXY_V2_REST);
}

int
proxy_plan_check(struct plan *plan, char *error)
{
	char why[256];
	bool has_tlvs = plan->proxy_tlv_texts.count > 0;
	if (plan->proxy_version == PROXY_OFF &&
	    (plan->proxy_source_text != NULL || has_tlvs))
		return plan_refuse(error,
		    "--proxy-source and --proxy-tlv require --proxy-protocol v1 or v2");
	if (plan->proxy_version == PROXY_V1 && has_tlvs)
		return plan_refuse(error, "--proxy-tlv requires --proxy-protocol v2");
	if (plan->proxy_source_text != NULL &&
	    address_prefix_parse(
		plan->proxy_source_text, &plan->proxy_source, why, sizeof(why)) < 0)
		return plan_refuse(error, "--proxy-source: %s", why);
	for (size_t i = 0; i < plan->proxy_tlv_texts.count; i++) {
		int rc = add_tlv(plan, plan->proxy_tlv_texts.items[i], error);
		if (rc != 0)
			return rc;
	}
	return check_length(plan, error);
}

void
proxy_plan_finish(struct plan *plan)
{
	for (size_t i = 0; i < plan->proxy_tlv_count; i++)
		free(plan->proxy_tlv_values[i]);
	plan->proxy_tlv_count = 0;
}

/* Host number `index` of the prefix. */
static void
set_host(const struct address_prefix *prefix, uint64_t index, struct address *ret)
{
	struct address_compact compact = { .family = prefix->family };
	int width = prefix->family == AF_INET ? 32 : 128;
	memcpy(compact.bytes, prefix->bytes, sizeof(compact.bytes));
	for (int bit = width - 1; bit >= prefix->bits; bit--, index >>= 1) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);
		compact.bytes[bit / 8] = (uint8_t)((compact.bytes[bit / 8] & ~mask) |
		    ((index & 1) != 0 ? mask : 0));
	}
	address_expand(&compact, ret);
}

void
proxy_plan_source(const struct plan *plan, uint64_t connection,
    const struct address *own, struct address *ret)
{
	const struct address_prefix *prefix = &plan->proxy_source;
	if (plan->proxy_source_text == NULL) {
		*ret = *own;
		return;
	}
	int bits = (prefix->family == AF_INET ? 32 : 128) - prefix->bits;
	uint64_t hosts = UINT64_C(1) << (bits < 32 ? bits : 32);
	set_host(prefix, connection % hosts, ret);
	address_set_port(ret, (uint16_t)(PORT_FIRST + connection / hosts % PORTS));
}

size_t
proxy_plan_write(const struct plan *plan, const struct address *source,
    const struct address *target, uint8_t *out)
{
	struct proxy_announcement announcement = {
		.version = plan->proxy_version == PROXY_V1 ? 1 : 2,
		/* A Unix socket has no address to announce. */
		.is_local = address_is_unix(source),
		.source = *source,
		.destination = *target,
		.tlvs = plan->proxy_tlvs,
		.tlv_count = plan->proxy_tlv_count,
		.has_crc32c = plan->proxy_crc32c,
	};
	/* The target has no address of the source's family: announce an empty one. */
	if (target->storage.ss_family != source->storage.ss_family) {
		struct address_compact none = { .family =
						    (uint8_t)source->storage.ss_family,
			.port = address_port(target) };
		address_expand(&none, &announcement.destination);
	}
	return proxy_header_write(&announcement, out, PROXY_HEADER_MAX);
}
