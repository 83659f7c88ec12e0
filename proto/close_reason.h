/*
 * close_reason.h - why a connection ended: one row each, which gives the log word, the
 * counter and the key in /stats. A reason is added at the end: the ledger of a running
 * server is handed to the next version of it.
 */
#ifndef PROTO_CLOSE_REASON_H
#define PROTO_CLOSE_REASON_H

#define CLOSE_REASONS(X)                                                               \
	X(PEER_CLOSED, "peer_closed", "the peer closed and everything owed was sent")  \
	X(RESET, "reset", "the peer reset the connection")                             \
	X(UNREACHABLE, "unreachable", "the network gave up on the peer")               \
	X(IDLE, "idle", "nothing came for timeouts.idle")                              \
	X(STALLED_WRITE, "stalled_write",                                              \
	    "the peer read nothing for timeouts.stalled_write")                        \
	X(MESSAGE_TOO_LONG, "message_too_long", "a message was over max_message")      \
	X(TRUNCATED_MESSAGE, "truncated_message", "the peer closed inside a message")  \
	X(DENIED, "denied", "the listener's allow or deny list refuses the peer")      \
	X(MAX_CONNECTIONS, "max_connections",                                          \
	    "as many as limits.max_connections were open")                             \
	X(DESCRIPTOR_LIMIT, "descriptor_limit",                                        \
	    "the worker had no descriptor left for it")                                \
	X(METHOD_LIMIT, "method_limit", "the method of events.method cannot watch it") \
	X(NO_MEMORY, "no_memory", "no memory for what the connection needed")          \
	X(SYSTEM_ERROR, "system_error", "a system call on the connection failed")      \
	X(DRAINED, "drained", "quiet while the worker drained")                        \
	X(DRAIN_TIMEOUT, "drain_timeout", "still busy when timeouts.drain was over")   \
	X(STOPPED, "stopped", "the server was stopped at once")                        \
	X(WORKER_LOST, "worker_lost", "the worker that held it died")                  \
	X(ADDRESS_LIMIT, "address_limit",                                              \
	    "as many as the listener's max_connections_per_address were open")         \
	X(ACCEPT_RATE, "accept_rate",                                                  \
	    "the peer's address came faster than the listener's accept_rate")          \
	X(OWN_LISTENER, "own_listener",                                                \
	    "the peer was a listener of this server: a loop")

enum close_reason {
#define X(id, name, help) CLOSE_##id,
	CLOSE_REASONS(X)
#undef X
	    CLOSE_REASON_COUNT
};

const char *close_reason_name(enum close_reason reason);
const char *close_reason_help(enum close_reason reason);

#endif
