#include "client/live/metric_help.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
static const struct {
	const char *name, *help;
} texts[] = {
	{ "yodel_elapsed_seconds", "duration of the measured part so far" },
	{ "yodel_interrupted", "1 if a signal ended the run early" },
	{ "yodel_connections_requested", "connections that the plan asks for" },
	{ "yodel_connections_attempted_total", "attempts to connect" },
	{ "yodel_connections_established_total", "connections established, with reconnects" },
	{ "yodel_connections_failed_total", "attempts to connect that failed" },
	{ "yodel_connections_lost_total", "connections closed by the peer or by a timeout" },
	{ "yodel_connections_reset_total", "lost connections that ended by a reset" },
	{ "yodel_connections_first_total", "sockets that connected at least once" },
	{ "yodel_connections_close_total", "how the peer ended connections that yodel closed" },
	{ "yodel_connections_sockets_queue_full_total", "attempts that found the accept queue of a Unix socket full" },
	{ "yodel_connections_sockets_mptcp_total", "connections that were established with MPTCP" },
	{ "yodel_connections_sockets_mptcp_fallback_total", "connections that fell back from MPTCP to TCP when they were established" },
	{ "yodel_connections_sockets_subflows_total", "MPTCP subflows when their connections were closed" },
	{ "yodel_connections_sockets_fast_open_total", "connections whose SYN carried data that the server took" },
	{ "yodel_messages_sent_total", "messages sent, without the warm-up" },
	{ "yodel_messages_verified_total", "messages whose answer was right, byte by byte" },
	{ "yodel_messages_wrong_total", "messages whose answer was wrong" },
	{ "yodel_messages_lost_total", "messages that got no answer" },
	{ "yodel_messages_in_flight", "messages that wait for their answer" },
	{ "yodel_messages_due_total", "messages whose intended send time had come" },
	{ "yodel_messages_late_total", "messages sent more than 1 ms after the intended time" },
	{ "yodel_messages_oldest_lost_seconds", "longest wait of a lost message" },
	{ "yodel_bytes_sent_total", "bytes sent, with the warm-up" },
	{ "yodel_bytes_received_total", "bytes received, with the warm-up" },
	{ "yodel_bytes_surplus_total", "received bytes that belong to no answer" },
	{ "yodel_rates_messages_per_second", "verified messages per second of the measured part" },
	{ "yodel_host_cpus", "CPUs that yodel may use" },
	{ "yodel_host_cpu_user_seconds", "user CPU time of the load processes" },
	{ "yodel_host_cpu_sys_seconds", "system CPU time of the load processes" },
	{ "yodel_host_throttled_seconds", "time that CPU quotas throttled the control groups of yodel" },
	{ "yodel_host_steal_seconds", "CPU time that the hypervisor took from this machine" },
	{ "yodel_host_memory_bytes", "resident memory of the largest load process" },
	{ "yodel_host_retransmits_total", "TCP retransmits on the connections of this run" },
	{ "yodel_host_host_retransmits_total", "TCP retransmits in the network namespace" },
	{ "yodel_ports_available", "local ports for each source address and target, summed" },
	{ "yodel_ports_held_max", "local ports in use at one time, at most" },
	{ "yodel_ports_time_wait_before", "connections in TIME_WAIT before the run" },
	{ "yodel_ports_time_wait_max", "connections in TIME_WAIT at one time, at most" },
	{ "yodel_hold_periods_total", "periods in which a connection had no answer (--hold)" },
	{ "yodel_hold_connections_total", "connections with at least one such period" },
	{ "yodel_tls_handshakes_total", "TLS handshakes completed" },
	{ "yodel_tls_resumed_total", "TLS handshakes that resumed a session" },
	{ "yodel_tls_offered_total", "connections that offered a TLS session" },
	{ "yodel_tls_truncated_total", "TLS streams that ended without close_notify" },
};
/* clang-format on */

const char *
metric_help(const char *name)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, name) == 0)
			return texts[i].help;
	return NULL;
}
