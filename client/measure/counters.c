#include "client/measure/counters.h"

#include <sys/mman.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

const char *const counters_connect_failure_names[] = { "refused", "unreachable",
	"timeout", "reset", "no_port", "tls", "other", NULL };
const char *const counters_loss_names[] = { "timeout", "reset", "closed", "mismatch",
	"tls", NULL };
const char *const counters_socket_names[] = { "queue_full", "mptcp", "mptcp_fallback",
	"subflows", "fast_open", NULL };
const char *const counters_close_names[] = { "fin", "reset", "timeout", NULL };
const char *const counters_tls_kind_names[] = { "version", "cipher", "group",
	"protocol", "failure", "alert", "error", NULL };
const struct histogram_config counters_latency_config = {
	.lowest = 1,
	.highest = INT64_C(3600) * 1000 * 1000 * 1000,
	.significant_digits = 3,
};

#define ROW(member, unit, is_max, help)                                                \
	{                                                                              \
#member, offsetof(struct counters, member), COUNTERS_##unit, is_max,   \
		    help                                                               \
	}
#define FAILURE_ROW(id, name)                                                          \
	ROW(connections_failed[CONNECT_FAILURE_##id], COUNT, false,                    \
	    "connection attempts failed: " name)
#define CLOSE_ROW(id, text)                                                            \
	ROW(connections_closed[CLOSE_END_##id], COUNT, false,                          \
	    "connections closed by yodel: " text)
#define MESSAGE_ROWS(part, text)                                                       \
	ROW(part.sent, COUNT, false, text " started"),                                 \
	    ROW(part.verified, COUNT, false, text " answered correctly"),              \
	    ROW(part.wrong, COUNT, false, text " with a wrong answer"),                \
	    ROW(part.lost[MESSAGE_LOSS_TIMEOUT], COUNT, false, text " lost: timeout"), \
	    ROW(part.lost[MESSAGE_LOSS_RESET], COUNT, false, text " lost: reset"),     \
	    ROW(part.lost[MESSAGE_LOSS_CLOSED], COUNT, false, text " lost: closed"),   \
	    ROW(part.lost[MESSAGE_LOSS_MISMATCH], COUNT, false,                        \
		text " lost: after a wrong answer"),                                   \
	    ROW(part.lost[MESSAGE_LOSS_TLS], COUNT, false,                             \
		text " lost: by an error of TLS"),                                     \
	    ROW(part.in_flight, COUNT, false, text " in flight")

const struct counters_row counters_rows[] = {
	ROW(connections_attempted, COUNT, false, "connection attempts"),
	ROW(connections_established, COUNT, false, "connections established"),
	FAILURE_ROW(REFUSED, "refused"),
	FAILURE_ROW(UNREACHABLE, "unreachable"),
	FAILURE_ROW(TIMEOUT, "timeout"),
	FAILURE_ROW(RESET, "reset"),
	FAILURE_ROW(NO_PORT, "no local port"),
	FAILURE_ROW(TLS, "TLS handshake"),
	FAILURE_ROW(OTHER, "other"),
	ROW(reconnects, COUNT, false, "established after a first connection"),
	ROW(connections_open, COUNT, false, "connections open now"),
	ROW(connections_done, COUNT, false, "connections with nothing left to do"),
	ROW(connections_lost, COUNT, false, "connections broken, or timed out"),
	ROW(connections_reset, COUNT, false, "lost connections that were reset"),
	ROW(connections_first, COUNT, false,
	    "connections established for the first time"),
	CLOSE_ROW(FIN, "the peer sent its FIN"),
	CLOSE_ROW(RESET, "the peer sent a RST"),
	CLOSE_ROW(TIMEOUT, "the peer sent no FIN in time"),
	MESSAGE_ROWS(messages, "measured messages"),
	MESSAGE_ROWS(warmup, "messages of the warm-up"),
	ROW(messages_due, COUNT, false, "messages due by the schedule"),
	ROW(messages_late, COUNT, false, "messages sent more than 1 ms late"),
	ROW(bytes_sent, BYTES, false, "bytes sent"),
	ROW(bytes_received, BYTES, false, "bytes received"),
	ROW(bytes_unexpected, BYTES, false, "bytes received that belong to no message"),
	ROW(connected_ns, TIME_NS, true,
	    "every connection was established or had failed"),
	ROW(started_ns, TIME_NS, true, "start of the load"),
	ROW(last_answer_ns, TIME_NS, true, "last answer"),
	ROW(stopped_ns, TIME_NS, true, "end of sending"),
	ROW(finished_ns, TIME_NS, true, "end of the process's load"),
	ROW(oldest_lost_ns, NS, true, "age of the oldest lost message"),
	ROW(own_delay_max_ns, NS, true, "longest own delay of a message in the sample"),
	ROW(cpu_user_ns, NS, false, "CPU time in user mode since the start"),
	ROW(cpu_system_ns, NS, false, "CPU time in the kernel since the start"),
	ROW(context_switches, COUNT, false, "involuntary context switches"),
	ROW(cpu_wait_ns, NS, false, "time ready to run, but without a CPU"),
	ROW(not_run_ns, NS, false, "time stopped, frozen or blocked by the kernel"),
	ROW(loops, COUNT, false, "turns of the event loop"),
	ROW(loop_lag_max_ns, NS, true, "longest delay of a wake-up"),
	ROW(retransmits, COUNT, false, "TCP retransmits, of closed connections"),
	ROW(tls.handshakes, COUNT, false, "TLS handshakes completed"),
	ROW(tls.resumed, COUNT, false, "of these: a session was resumed"),
	ROW(tls.offered, COUNT, false, "connections that offered a session"),
	ROW(tls.tickets, COUNT, false, "sessions received for later connections"),
	ROW(tls.truncated, COUNT, false, "streams that ended without close_notify"),
	ROW(tls.bad_records, COUNT, false, "records that could not be opened"),
	ROW(tls.alerts, COUNT, false, "fatal alerts received after the handshake"),
	ROW(tls.record_bytes_sent, BYTES, false, "bytes of records sent"),
	ROW(tls.record_bytes_received, BYTES, false, "bytes of records received"),
	ROW(tls.handshake_bytes_sent, BYTES, false, "bytes of handshakes sent"),
	ROW(tls.handshake_bytes_received, BYTES, false, "bytes of handshakes received"),
	ROW(sockets[SOCKET_QUEUE_FULL], COUNT, false,
	    "connects that found the accept queue of a Unix socket full"),
	ROW(sockets[SOCKET_MPTCP], COUNT, false, "connections of MPTCP"),
	ROW(sockets[SOCKET_MPTCP_FALLBACK], COUNT, false,
	    "connections that fell back from MPTCP to TCP"),
	ROW(sockets[SOCKET_SUBFLOWS], COUNT, false,
	    "subflows of MPTCP connections when they were closed"),
	ROW(sockets[SOCKET_FAST_OPEN], COUNT, false,
	    "closed connections whose first message went with the SYN"),
};
const size_t counters_row_count = sizeof(counters_rows) / sizeof(counters_rows[0]);

static counters_value *
value_at(struct counters *counters, const struct counters_row *row)
{
	return (counters_value *)(void *)((uint8_t *)counters + row->offset);
}

void
counters_sum(const struct counters_map *counters_map, struct counters *ret)
{
	for (size_t r = 0; r < counters_row_count; r++) {
		uint64_t sum = 0;
		for (uint32_t i = 0; i < counters_map->count; i++) {
			uint64_t value = counters_get(value_at(
			    counters_map_at(counters_map, i), &counters_rows[r]));
			if (!counters_rows[r].is_max)
				sum += value;
			else if (value > sum)
				sum = value;
		}
		counters_set(value_at(ret, &counters_rows[r]), sum);
	}
}

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* At `at` and every `each` bytes after it. */
static void
init_histograms(struct counters *counters, uint8_t *at, size_t each)
{
	for (uint32_t i = 0; i < counters->latency_count; i++, at += each)
		counters->histograms[i] =
		    histogram_init_zeroed(at, &counters_latency_config);
	for (int i = 0; i < COUNTERS_SAMPLE_COUNT; i++)
		for (int j = 0; j < COUNTERS_PAIR; j++, at += each)
			counters->samples[i][j] =
			    histogram_init_zeroed(at, &counters_latency_config);
}

int
counters_map_open(struct counters_map *ret, uint32_t count, uint32_t steps)
{
	size_t control_block =
	    round_up(sizeof(struct control_block), COUNTERS_CACHE_LINE);
	size_t each =
	    round_up(histogram_size(&counters_latency_config), COUNTERS_CACHE_LINE);
	size_t head = round_up(sizeof(struct counters), COUNTERS_CACHE_LINE);
	size_t latencies = LATENCY_KIND_COUNT + (size_t)steps;
	size_t histograms = latencies + COUNTERS_SAMPLE_COUNT * COUNTERS_PAIR;
	size_t findings = round_up(head + histograms * each, 4096);
	size_t slot = findings + round_up(sizeof(struct findings), 4096);
	size_t total = control_block + count * slot;
	uint8_t *memory = mmap(NULL, total, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	*ret = (struct counters_map){
		.control_block = (struct control_block *)(void *)memory,
		.first = memory + control_block,
		.slot_bytes = slot,
		.total_bytes = total,
		.count = count,
	};
	ret->control_block->slots = count;
	for (uint32_t i = 0; i < count; i++) {
		struct counters *counters = counters_map_at(ret, i);
		counters->process = i;
		counters->latency_count = (uint32_t)latencies;
		counters->findings = (void *)((uint8_t *)counters + findings);
		init_histograms(counters, (uint8_t *)counters + head, each);
	}
	return 0;
}

int
counters_map_add_seen(struct counters_map *counters_map, uint32_t connections)
{
	struct control_block *control_block = counters_map->control_block;
	size_t bytes = connections * sizeof(*control_block->seen);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	control_block->seen = memory;
	control_block->seen_bytes = bytes;
	return 0;
}

int
counters_map_add_targets(struct counters_map *counters_map, uint32_t targets)
{
	size_t each =
	    round_up(histogram_size(&counters_latency_config), COUNTERS_CACHE_LINE);
	size_t bytes = each * targets * counters_map->count;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	counters_map->control_block->targets = memory;
	counters_map->control_block->targets_bytes = bytes;
	for (uint32_t i = 0; i < counters_map->count; i++)
		for (uint32_t t = 0; t < targets; t++, memory += each)
			counters_map_at(counters_map, i)->targets[t].response =
			    histogram_init_zeroed(memory, &counters_latency_config);
	return 0;
}

int
counters_map_add_outages(struct counters_map *counters_map, uint32_t room)
{
	struct control_block *control_block = counters_map->control_block;
	size_t each = outages_bytes(room), bytes = counters_map->count * each;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	control_block->outages = memory;
	control_block->outages_bytes = bytes;
	for (uint32_t i = 0; i < counters_map->count; i++) {
		struct outages *outages = (void *)(memory + i * each);
		outages->room = room;
		counters_map_at(counters_map, i)->outages = outages;
	}
	return 0;
}

/* Waits for a process that is writing a name: it needs a few instructions for that. */
static bool
is_named(struct control_block *control_block, int i, const char *name)
{
	while (atomic_load(&control_block->server_states[i]) == 1)
		sched_yield();
	return strcmp(control_block->server_names[i], name) == 0;
}

int
counters_server_index(struct control_block *control_block, const char *name)
{
	char cut[THRESHOLD_STEP_MAX];
	snprintf(cut, sizeof(cut), "%s", name);
	for (int i = 0; i < COUNTERS_SERVERS_MAX; i++) {
		uint32_t free_state = 0;
		if (atomic_compare_exchange_strong(
			&control_block->server_states[i], &free_state, 1)) {
			memcpy(control_block->server_names[i], cut, sizeof(cut));
			atomic_store(&control_block->server_states[i], 2);
			return i;
		}
		if (is_named(control_block, i, cut))
			return i;
	}
	return -1;
}

void
counters_map_close(struct counters_map *counters_map)
{
	if (counters_map->control_block && counters_map->control_block->seen != NULL)
		munmap(counters_map->control_block->seen,
		    counters_map->control_block->seen_bytes);
	if (counters_map->control_block && counters_map->control_block->targets != NULL)
		munmap(counters_map->control_block->targets,
		    counters_map->control_block->targets_bytes);
	if (counters_map->control_block && counters_map->control_block->outages != NULL)
		munmap(counters_map->control_block->outages,
		    counters_map->control_block->outages_bytes);
	if (counters_map->control_block)
		munmap(counters_map->control_block, counters_map->total_bytes);
	counters_map->control_block = NULL;
}

uint64_t
counters_lost(const struct counters_messages *messages)
{
	uint64_t sum = 0;
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		sum += counters_get(&messages->lost[i]);
	return sum;
}
