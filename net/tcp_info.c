#include "net/tcp_info.h"

#include <sys/socket.h>

#include <linux/tcp.h>
#include <netinet/in.h>

int
tcp_info_read(int fd, struct tcp_info_view *ret)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t length = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return -1;
	*ret = (struct tcp_info_view){
		.state = info.tcpi_state,
		.rtt_us = info.tcpi_rtt,
		.rttvar_us = info.tcpi_rttvar,
		/* ~0 until there is a sample */
		.min_rtt_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt,
		.retransmits = info.tcpi_total_retrans,
		.reordering = info.tcpi_reordering,
		.snd_mss = info.tcpi_snd_mss,
		.rcv_mss = info.tcpi_rcv_mss,
		.advmss = info.tcpi_advmss,
		.pmtu = info.tcpi_pmtu,
		.unacked = info.tcpi_unacked,
		.segs_in = info.tcpi_segs_in,
		.segs_out = info.tcpi_segs_out,
		.data_segs_in = info.tcpi_data_segs_in,
		.data_segs_out = info.tcpi_data_segs_out,
		.delivered_ce = info.tcpi_delivered_ce,
		.last_data_recv_ms = info.tcpi_last_data_recv,
		.last_ack_recv_ms = info.tcpi_last_ack_recv,
		.bytes_acked = info.tcpi_bytes_acked,
		.bytes_received = info.tcpi_bytes_received,
		.bytes_retransmitted = info.tcpi_bytes_retrans,
		.delivery_rate = info.tcpi_delivery_rate,
		.timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0,
		.sack = (info.tcpi_options & TCPI_OPT_SACK) != 0,
		.window_scale = (info.tcpi_options & TCPI_OPT_WSCALE) != 0,
		.ecn = (info.tcpi_options & TCPI_OPT_ECN) != 0,
		.ecn_seen = (info.tcpi_options & TCPI_OPT_ECN_SEEN) != 0,
		.fast_open = (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0,
	};
	return 0;
}

int
tcp_info_timestamp(int fd, uint32_t *ret)
{
	int value = 0;
	socklen_t length = sizeof(value);
	if (getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &value, &length) < 0)
		return -1;
	*ret = (uint32_t)value;
	return 0;
}
