/* tcp_info.h - what the kernel knows of a TCP connection (tcp(7), TCP_INFO), in our own
 * words: <linux/tcp.h> and <netinet/tcp.h> cannot be included together. */
#ifndef NET_TCP_INFO_H
#define NET_TCP_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* X(type, member). `bytes_received` is what the kernel has received in order, and
 * counts a FIN as one byte; so does `bytes_acked`. segs_in counts keepalive probes,
 * data_segs_in does not. */
#define TCP_INFO_FIELDS(X)                                                             \
	X(uint32_t, rtt_us)                                                            \
	X(uint32_t, rttvar_us)                                                         \
	X(uint32_t, min_rtt_us)  /* 0: no sample yet */                                \
	X(uint32_t, retransmits) /* segments, since the connection began */            \
	X(uint32_t, reordering)                                                        \
	X(uint32_t, snd_mss) /* bytes */                                               \
	X(uint32_t, rcv_mss)                                                           \
	X(uint32_t, advmss)  /* the MSS that this host announced */                    \
	X(uint32_t, pmtu)    /* bytes */                                               \
	X(uint32_t, unacked) /* segments */                                            \
	X(uint32_t, segs_in)                                                           \
	X(uint32_t, segs_out)                                                          \
	X(uint32_t, data_segs_in)                                                      \
	X(uint32_t, data_segs_out)                                                     \
	X(uint32_t, delivered_ce)      /* segments that came back with an ECN mark */  \
	X(uint32_t, last_data_recv_ms) /* ago */                                       \
	X(uint32_t, last_ack_recv_ms)                                                  \
	X(uint64_t, bytes_acked)                                                       \
	X(uint64_t, bytes_received)                                                    \
	X(uint64_t, bytes_retransmitted)                                               \
	X(uint64_t, delivery_rate) /* bytes a second */                                \
	X(bool, timestamps)                                                            \
	X(bool, sack)                                                                  \
	X(bool, window_scale)                                                          \
	X(bool, ecn)      /* agreed upon */                                            \
	X(bool, ecn_seen) /* a segment with an ECN codepoint has arrived */            \
	X(bool, fast_open)

struct tcp_info_view {
	uint32_t state; /* of the kernel: TCP_ESTABLISHED, ... (netinet/tcp.h) */
#define X(type, member) type member;
	TCP_INFO_FIELDS(X)
#undef X
};

/* 0, or -1 with errno. */
int tcp_info_read(int fd, struct tcp_info_view *ret)
    __attribute__((warn_unused_result));

/* The time stamp that this connection would send now, in ms of its own clock (tcp(7),
 * TCP_TIMESTAMP). 0, or -1 with errno. */
int tcp_info_timestamp(int fd, uint32_t *ret) __attribute__((warn_unused_result));

#endif
