/*
 * close_reason.h - why a connection ended: one row each, with the name in the log and
 * in /stats, and a help text. A new reason is added at the end, because an upgrade
 * passes the ledger of the running server to the next version.
 */
#ifndef PROTO_CLOSE_REASON_H
#define PROTO_CLOSE_REASON_H

#include <stdbool.h>

/* X(identifier, name, true if the peer has ended its stream, help) */
#define CLOSE_REASONS(X)                                                               \
	X(PEER_CLOSED, "peer_closed", true,                                            \
	    "the peer closed and all replies were sent")                               \
	X(RESET, "reset", false, "the peer reset the connection")                      \
	X(UNREACHABLE, "unreachable", false,                                           \
	    "the peer was unreachable (ICMP error or retransmission timeout)")         \
	X(IDLE, "idle", false, "nothing was received for timeouts.idle")               \
	X(STALLED_WRITE, "stalled_write", false,                                       \
	    "the peer read no data for timeouts.stalled_write")                        \
	X(MESSAGE_TOO_LONG, "message_too_long", false,                                 \
	    "a message was longer than max_message")                                   \
	X(TRUNCATED_MESSAGE, "truncated_message", true,                                \
	    "the peer closed inside a message")                                        \
	X(DENIED, "denied", false,                                                     \
	    "the listener's allow or deny list refuses the peer")                      \
	X(MAX_CONNECTIONS, "max_connections", false,                                   \
	    "limits.max_connections connections were already open")                    \
	X(DESCRIPTOR_LIMIT, "descriptor_limit", false,                                 \
	    "the worker had no free descriptor")                                       \
	X(METHOD_LIMIT, "method_limit", false,                                         \
	    "events.method cannot watch the descriptor")                               \
	X(NO_MEMORY, "no_memory", false, "out of memory")                              \
	X(SYSTEM_ERROR, "system_error", false,                                         \
	    "a system call on the connection failed")                                  \
	X(DRAINED, "drained", false,                                                   \
	    "the connection was idle while the worker drained")                        \
	X(DRAIN_TIMEOUT, "drain_timeout", false,                                       \
	    "the connection was still busy after timeouts.drain")                      \
	X(STOPPED, "stopped", false, "the server stopped without draining")            \
	X(WORKER_LOST, "worker_lost", false,                                           \
	    "the worker process died and the connection was not recovered")            \
	X(ADDRESS_LIMIT, "address_limit", false,                                       \
	    "the address had max_connections_per_address connections open")            \
	X(ACCEPT_RATE, "accept_rate", false,                                           \
	    "the address exceeded the listener's accept_rate")                         \
	X(OWN_LISTENER, "own_listener", false,                                         \
	    "the peer was a listener of this server (a loop)")                         \
	X(CRASHED_TWICE, "crashed_twice", false,                                       \
	    "two workers in a row died while they processed its input")                \
	X(PROXY_UNTRUSTED, "proxy_untrusted", false,                                   \
	    "the peer is not in the listener's proxy_from")                            \
	X(PROXY_HEADER_INVALID, "proxy_header_invalid", false,                         \
	    "the connection did not begin with a valid PROXY header")                  \
	X(PROXY_HEADER_TIMEOUT, "proxy_header_timeout", false,                         \
	    "the PROXY header was not complete after timeouts.handshake")              \
	X(PROXY_HEALTH_CHECK, "proxy_health_check", false,                             \
	    "a load balancer checked that the server answers: it closed before a "     \
	    "PROXY header, or after one with the command LOCAL")                       \
	X(HANDSHAKE_LIMIT, "handshake_limit", false,                                   \
	    "limits.handshakes connections were waiting for their PROXY header or "    \
	    "TLS handshake")                                                           \
	X(FAULT, "fault", false, "a fault of the listener ended the connection")       \
	X(UNEXPECTED_MESSAGE, "unexpected_message", false,                             \
	    "the peer sent something else than its conversation says")                 \
	X(CONVERSATION_CLOSED, "conversation_closed", false,                           \
	    "the conversation says that the server closes (S close)")                  \
	X(CONVERSATION_RESET, "conversation_reset", false,                             \
	    "the conversation says that the server resets (S reset)")                  \
	X(WITNESS_BAD_COMMAND, "witness_bad_command", false,                           \
	    "the peer of a witness sent something else than a command")                \
	X(WITNESS_RESET, "witness_reset", false,                                       \
	    "the peer of a witness asked for a reset (rst)")                           \
	X(TLS_HANDSHAKE, "tls_handshake", false,                                       \
	    "the TLS handshake failed for another reason than the following")          \
	X(TLS_HANDSHAKE_TIMEOUT, "tls_handshake_timeout", false,                       \
	    "the TLS handshake was not complete after timeouts.handshake")             \
	X(TLS_NOT_TLS, "tls_not_tls", false,                                           \
	    "the peer sent something else than TLS, such as a plain HTTP request")     \
	X(TLS_NO_COMMON, "tls_no_common", false,                                       \
	    "client and server have no TLS version, cipher suite, group or "           \
	    "application protocol in common")                                          \
	X(TLS_CLIENT_CERTIFICATE, "tls_client_certificate", false,                     \
	    "the client showed no certificate, or one that is not valid")              \
	X(TLS_ALERT, "tls_alert", false,                                               \
	    "the peer ended the connection with a TLS alert, for example because it "  \
	    "does not trust the certificate")                                          \
	X(TLS_TRUNCATED, "tls_truncated", true,                                        \
	    "the peer closed without the close_notify of TLS: the end of its data "    \
	    "may be missing")                                                          \
	X(TLS_BAD_RECORD, "tls_bad_record", false,                                     \
	    "a TLS record could not be decrypted, or broke the rules of the protocol")

enum close_reason {
#define X(id, ...) CLOSE_##id,
	CLOSE_REASONS(X)
#undef X
	    CLOSE_REASON_COUNT
};
#define CLOSE_NONE CLOSE_REASON_COUNT /* allowed, or stays open */

struct close_reason_row {
	const char *name, *help;
	bool peer_has_closed; /* the peer has ended its stream */
};
extern const struct close_reason_row close_reasons[]; /* by enum close_reason */

#endif
