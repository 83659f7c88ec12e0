#include "net/tcp_info.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>

int
tcp_info_read(int fd, struct tcp_info_view *ret)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t length = sizeof(info);
	int unread = 0, unacknowledged = 0;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    ioctl(fd, SIOCINQ, &unread) < 0 || ioctl(fd, SIOCOUTQ, &unacknowledged) < 0)
		return -1;
	*ret = (struct tcp_info_view){
		.rtt_us = info.tcpi_rtt,
		/* ~0 until there is a sample */
		.min_rtt_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt,
		.snd_mss = info.tcpi_snd_mss,
		.advmss = info.tcpi_advmss,
		.pmtu = info.tcpi_pmtu,
		.segs_in = info.tcpi_segs_in,
		.segs_out = info.tcpi_segs_out,
		.retransmits = info.tcpi_total_retrans,
		.bytes_acked = info.tcpi_bytes_acked,
		.bytes_received = info.tcpi_bytes_received,
		.unread = (uint32_t)unread,
		.unacknowledged = (uint32_t)unacknowledged,
		.timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0,
		.sack = (info.tcpi_options & TCPI_OPT_SACK) != 0,
		.window_scale = (info.tcpi_options & TCPI_OPT_WSCALE) != 0,
		.ecn = (info.tcpi_options & TCPI_OPT_ECN) != 0,
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
