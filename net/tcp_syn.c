#include "net/tcp_syn.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

enum { IPV4_MIN = 20, IPV6_BYTES = 40, TCP_MIN = 20, PROTOCOL_TCP = 6 };
enum { FLAG_SYN = 0x02, FLAG_ECE = 0x40, FLAG_CWR = 0x80 };
enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WINDOW_SCALE = 3,
	OPTION_SACK = 4,
	OPTION_TIMESTAMPS = 8,
	OPTION_MPTCP = 30,
	OPTION_FAST_OPEN = 34,
};

static uint16_t
get_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* The bytes of the IP header; 0 if another protocol than TCP follows. */
static size_t
decode_ip(const uint8_t *ip, size_t length, struct tcp_syn *ret)
{
	if (length < IPV4_MIN)
		return 0;
	if (ip[0] >> 4 == 4) {
		size_t bytes = (size_t)(ip[0] & 0x0f) * 4;
		ret->ttl = ip[8];
		ret->dscp = ip[1] >> 2;
		ret->ip_ecn = ip[1] & 3;
		return bytes >= IPV4_MIN && bytes <= length && ip[9] == PROTOCOL_TCP
		    ? bytes
		    : 0;
	}
	uint8_t class = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	if (ip[0] >> 4 != 6 || length < IPV6_BYTES || ip[6] != PROTOCOL_TCP)
		return 0;
	ret->ttl = ip[7];
	ret->dscp = class >> 2;
	ret->ip_ecn = class & 3;
	return IPV6_BYTES;
}

static void
decode_option(uint8_t kind, const uint8_t *value, size_t length, struct tcp_syn *ret)
{
	if (kind == OPTION_MSS && length == 2)
		ret->mss = get_16(value);
	else if (kind == OPTION_WINDOW_SCALE && length == 1)
		ret->window_scale = (int8_t)(value[0] & 0x7f);
	else if (kind == OPTION_SACK)
		ret->sack = true;
	else if (kind == OPTION_TIMESTAMPS)
		ret->timestamps = true;
	else if (kind == OPTION_FAST_OPEN)
		ret->fast_open = true;
	else if (kind == OPTION_MPTCP)
		ret->mptcp = true;
	else if (ret->other_count < TCP_SYN_OTHERS_MAX)
		ret->others[ret->other_count++] = kind;
}

static bool
decode_options(const uint8_t *at, size_t length, struct tcp_syn *ret)
{
	while (length > 0 && at[0] != OPTION_END) {
		size_t bytes = 1;
		if (at[0] != OPTION_NOP) {
			if (length < 2 || at[1] < 2 || at[1] > length)
				return false;
			bytes = at[1];
			decode_option(at[0], at + 2, bytes - 2, ret);
		}
		at += bytes;
		length -= bytes;
	}
	return true;
}

bool
tcp_syn_decode(const uint8_t *headers, size_t length, struct tcp_syn *ret)
{
	struct tcp_syn syn = { .window_scale = -1 };
	size_t ip = decode_ip(headers, length, &syn);
	const uint8_t *tcp = headers + ip;
	length -= ip;
	if (ip == 0 || length < TCP_MIN || (tcp[13] & FLAG_SYN) == 0)
		return false;
	size_t bytes = (size_t)(tcp[12] >> 4) * 4;
	if (bytes < TCP_MIN || bytes > length)
		return false;
	syn.ece = (tcp[13] & FLAG_ECE) != 0;
	syn.cwr = (tcp[13] & FLAG_CWR) != 0;
	syn.window = get_16(tcp + 14);
	if (!decode_options(tcp + TCP_MIN, bytes - TCP_MIN, &syn))
		return false;
	*ret = syn;
	return true;
}

size_t
tcp_syn_read(int fd, uint8_t *headers)
{
	socklen_t length = TCP_SYN_MAX;
	return getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, headers, &length) < 0
	    ? 0
	    : length;
}
