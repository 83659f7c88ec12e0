/* tcp_info.h - what the kernel knows of a TCP connection (tcp(7), TCP_INFO), in our own
 * words: <linux/tcp.h> and <netinet/tcp.h> cannot be included together. */
#ifndef NET_TCP_INFO_H
#define NET_TCP_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_info_view {
	uint32_t rtt_us, min_rtt_us; /* 0: none yet */
	uint32_t snd_mss, advmss;    /* bytes of data a segment; the MSS announced */
	uint32_t pmtu;               /* bytes */
	uint32_t segs_in, segs_out;
	uint32_t retransmits;                 /* segments, since the connection began */
	uint64_t bytes_acked, bytes_received; /* a FIN counts as one */
	uint32_t unread, unacknowledged;      /* bytes: SIOCINQ, SIOCOUTQ */
	bool timestamps, sack, window_scale, ecn;
};

/* 0, or -1 with errno. */
int tcp_info_read(int fd, struct tcp_info_view *ret)
    __attribute__((warn_unused_result));

/* The time stamp that this connection would send now, in ms of its own clock (tcp(7),
 * TCP_TIMESTAMP). 0, or -1 with errno. */
int tcp_info_timestamp(int fd, uint32_t *ret) __attribute__((warn_unused_result));

#endif
