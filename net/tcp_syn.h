/*
 * tcp_syn.h - the SYN by which a connection was opened, as it arrived: its headers are
 * kept by a listening socket with TCP_SAVE_SYN and read once from the accepted one
 * (tcp(7), TCP_SAVED_SYN).
 */
#ifndef NET_TCP_SYN_H
#define NET_TCP_SYN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_SYN_MAX 128 /* bytes of headers that are kept: IPv6 without extensions */
#define TCP_SYN_OTHERS_MAX 16

struct tcp_syn {
	uint8_t ttl;    /* hop limit */
	uint8_t dscp;   /* RFC 2474 */
	uint8_t ip_ecn; /* the two bits of the IP header */
	bool ece, cwr;  /* asks for ECN (RFC 3168) */
	uint16_t window;
	uint16_t mss;        /* 0: no such option */
	int8_t window_scale; /* -1: no such option */
	bool sack, timestamps, fast_open, mptcp;
	uint8_t others[TCP_SYN_OTHERS_MAX]; /* kinds of the other options, in order */
	uint8_t other_count;
};

/* Decodes the headers. False if they are cut or none of a SYN. */
bool tcp_syn_decode(const uint8_t *headers, size_t length, struct tcp_syn *ret)
    __attribute__((warn_unused_result));

/* Reads the headers of the socket's SYN into headers[TCP_SYN_MAX]. Their bytes; 0 if
 * the kernel has none (any more) or more than that. */
size_t tcp_syn_read(int fd, uint8_t *headers);

#endif
