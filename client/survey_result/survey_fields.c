#include "client/survey_result/survey_rows.h"

#define WORD(row, name, words, about)                                                  \
	{                                                                              \
		SURVEY_##row, name, SURVEY_WORD, false, words, about                   \
	}
#define TEXT(row, name, about)                                                         \
	{                                                                              \
		SURVEY_##row, name, SURVEY_TEXT, false, NULL, about                    \
	}
#define COUNT(row, name, about)                                                        \
	{                                                                              \
		SURVEY_##row, name, SURVEY_COUNT, false, NULL, about                   \
	}
#define REAL(row, name, about)                                                         \
	{                                                                              \
		SURVEY_##row, name, SURVEY_REAL, false, NULL, about                    \
	}
#define SHOW_COUNT(row, name, about)                                                   \
	{                                                                              \
		SURVEY_##row, name, SURVEY_COUNT, true, NULL, about                    \
	}
#define SHOW_REAL(row, name, about)                                                    \
	{                                                                              \
		SURVEY_##row, name, SURVEY_REAL, true, NULL, about                     \
	}
#define SHOW_TEXT(row, name, about)                                                    \
	{                                                                              \
		SURVEY_##row, name, SURVEY_TEXT, true, NULL, about                     \
	}

#define ENDS                                                                           \
	"alive|silence|rst to client|rst to server|rst to both|fin to client|fin to server|fin to both|unclear"

/* clang-format off */
const struct survey_field survey_fields[] = {
	WORD(reach, "answer", "yes|some|no", "whether the connections got an answer"),
	REAL(reach, "connect_ms", "median time of connect(2)"),
	REAL(reach, "answer_ms", "median time to an answer on an open connection"),
	REAL(reach, "client_rtt_ms", "least round-trip time in this kernel (TCP_INFO)"),
	REAL(reach, "server_rtt_ms", "least round-trip time in the server's kernel"),
	SHOW_REAL(reach, "first_answer_ms", "median time to the first answer of a connection"),

	WORD(hops, "answer", "agree|differ|unknown", "whether SYN and bytes end at the same distance"),
	COUNT(hops, "syn_hops", "least TTL with which a SYN is answered"),
	COUNT(hops, "back_hops", "routers that the answering end's packets passed, from their TTL"),
	COUNT(hops, "server_hops", "routers that our SYN had passed when it reached the server"),
	COUNT(hops, "back_ttl", "TTL of the packets that come back"),
	SHOW_TEXT(hops, "routers", "addresses that reported an expired TTL, in order"),

	WORD(server_first, "answer", "at once|late|never|silent", "when the server's first bytes came; silent: it sends only in answer to the client"),
	REAL(server_first, "after_s", "time from connected to the first byte"),

	WORD(split, "answer", "no|yes|unknown", "whether something before the server acknowledges our bytes"),
	COUNT(split, "held_bytes", "acknowledged to us, and not in the server's kernel"),
	SHOW_COUNT(split, "acknowledged_bytes", "acknowledged to this kernel"),
	SHOW_COUNT(split, "received_bytes", "received by the server's kernel"),
	SHOW_COUNT(split, "sent_bytes", "written to the socket"),
	SHOW_REAL(split, "stalled_after_s", "time until the socket took no more"),

	WORD(split_back, "answer", "no|yes|unknown", "whether something before us acknowledges the server's bytes"),
	COUNT(split_back, "held_bytes", "acknowledged to the server, and not in our kernel"),
	SHOW_COUNT(split_back, "acknowledged_bytes", "acknowledged to the server's kernel"),
	SHOW_COUNT(split_back, "received_bytes", "received by this kernel"),

	WORD(syn, "answer", "as sent|changed|unknown", "whether the SYN arrived as it was sent"),
	COUNT(syn, "mss_sent", "MSS option of our SYN"),
	COUNT(syn, "mss_arrived", "MSS option of the SYN that reached the server"),
	COUNT(syn, "mss", "the largest segment that may be sent in either direction"),
	TEXT(syn, "removed", "options that were lost"),
	TEXT(syn, "added", "options that were added"),
	WORD(syn, "dscp", "kept|changed", "the DSCP bits"),
	WORD(syn, "ecn", "agreed|refused|not asked", "whether ECN was negotiated"),
	WORD(syn, "mptcp", "kept|removed|not asked", "the MPTCP option"),
	WORD(syn, "clock", "another|no sign", "whether another kernel wrote the time stamp"),
	COUNT(syn, "ttl", "TTL of the SYN at the server"),
	SHOW_COUNT(syn, "dscp_sent", "DSCP of our SYN"),
	SHOW_COUNT(syn, "dscp_arrived", "DSCP of the SYN at the server"),
	SHOW_COUNT(syn, "window_sent", "window of our SYN"),
	SHOW_COUNT(syn, "window_arrived", "window of the SYN at the server"),
	SHOW_TEXT(syn, "sent", "our SYN"),
	SHOW_TEXT(syn, "arrived", "the SYN at the server"),

	WORD(source, "answer", "kept|changed", "whether the server sees our address"),
	TEXT(source, "address", "the address that the server sees"),
	WORD(source, "port", "kept|changed", "whether it sees our port"),
	COUNT(source, "addresses", "different addresses that it saw"),
	COUNT(source, "ports_kept", "connections that kept their port"),

	WORD(backends, "answer", "one|several", "how many servers answered"),
	COUNT(backends, "servers", "different servers that answered"),
	WORD(backends, "sticky", "connection|address|unknown", "what they were chosen by"),
	TEXT(backends, "names", "each server with its number of connections"),

	WORD(mapping, "answer", "independent|dependent", "whether the mapping depends on the target"),

	WORD(reuse, "answer", "at once|trouble", "whether a source port works again at once"),
	COUNT(reuse, "failed", "attempts that failed or were slow"),
	SHOW_TEXT(reuse, "after", "after which end it failed"),

	WORD(half_close, "answer", "passed|cut|lost|no sign", "what became of the server's later answer"),
	REAL(half_close, "after_ms", "cut: time from our FIN to the end"),

	WORD(half_close_back, "answer", "passed|cut|lost", "what became of the client's later bytes"),
	REAL(half_close_back, "after_ms", "cut: time from the server's FIN to the reset"),

	WORD(reset, "answer", "passed|becomes fin|nothing", "what the server got"),
	REAL(reset, "after_ms", "time until it got it"),

	WORD(reset_back, "answer", "passed|becomes fin|nothing", "what the client got"),
	REAL(reset_back, "after_ms", "time until it got it"),

	WORD(before, "answer", "nothing|bytes", "whether bytes arrived before ours"),
	TEXT(before, "bytes", "these bytes"),

	WORD(big, "answer", "passed|black hole|lost", "whether 64 KiB passed in both directions"),
	COUNT(big, "mtu", "path MTU in bytes towards the server"),
	COUNT(big, "mtu_back", "path MTU in bytes towards the client"),
	WORD(big, "direction", "to server|to client|both", "where it failed"),
	SHOW_COUNT(big, "passed_bytes", "largest packet that passed"),
	SHOW_COUNT(big, "failed_bytes", "smallest packet that did not"),

	WORD(payload, "answer", "unchanged|changed|cut|lost", "the worst that happened to a kind of bytes"),
	COUNT(payload, "kinds", "kinds of first bytes that were sent"),
	TEXT(payload, "affected", "the kinds that did not pass"),

	WORD(concurrent, "answer", "no limit|limit", "whether a limit was found"),
	COUNT(concurrent, "served", "connections that were served at the same time"),
	WORD(concurrent, "over", "silence|reset|mute|closed", "what happens to one more"),

	WORD(by_source, "answer", "all|source", "whether the limit is for all or for each address"),
	COUNT(by_source, "served", "connections of the second address while the first was at its limit"),

	WORD(burst, "answer", "no limit|limit", "whether some of many connections at once failed"),
	COUNT(burst, "at_once", "connections that were accepted at once"),
	COUNT(burst, "tried", "connections that were tried at once"),

	WORD(rate, "answer", "no limit|limit", "whether the rate of new connections is limited"),
	REAL(rate, "per_s", "new connections a second"),
	SHOW_REAL(rate, "tried_per_s", "connections that were tried a second"),

	WORD(load, "answer", "no limit|policer|queue", "what limited the bytes"),
	REAL(load, "mbit_s", "rate towards the server"),
	REAL(load, "mbit_s_back", "rate towards the client"),
	REAL(load, "rtt_ms", "round-trip time under load"),
	REAL(load, "rtt_idle_ms", "round-trip time before"),
	COUNT(load, "retransmits", "retransmitted segments"),

	WORD(idle, "answer", ENDS, "what becomes of an idle connection"),
	REAL(idle, "alive_s", "longest idle time that was survived"),
	REAL(idle, "dead_s", "shortest idle time that was not"),
	REAL(idle, "end_s", "time of an end that came by itself"),
	WORD(idle, "client_first", ENDS, "what happens when the client speaks first"),
	REAL(idle, "client_first_alive_s", "longest idle time after which it could"),
	REAL(idle, "client_first_dead_s", "shortest after which it could not"),
	WORD(idle, "server_first", ENDS, "what happens when the server speaks first"),
	REAL(idle, "server_first_alive_s", "longest idle time after which it could"),
	REAL(idle, "server_first_dead_s", "shortest after which it could not"),

	WORD(keepalive, "answer", "honoured|no help|not needed|unclear", "whether keepalives kept a connection that idleness would have ended"),
	REAL(keepalive, "interval_s", "time between keepalives"),
	WORD(keepalive, "from_client", "kept|lost", "the connection that the client kept"),
	WORD(keepalive, "from_server", "kept|lost", "the connection that the server kept"),
	WORD(keepalive, "passed_on", "yes|no", "whether the other end heard them"),
	SHOW_COUNT(keepalive, "sent", "keepalives that each end should have sent"),
	SHOW_COUNT(keepalive, "server_heard", "segments that the server heard"),
	SHOW_COUNT(keepalive, "client_heard", "segments that the client heard"),

	WORD(half_closed, "answer", ENDS, "what becomes of an idle half-closed connection"),
	REAL(half_closed, "alive_s", "longest idle time that was survived"),
	REAL(half_closed, "dead_s", "shortest idle time that was not"),

	WORD(life, "answer", ENDS, "what became of a connection with a message each second"),
	REAL(life, "alive_s", "how long it lived"),

	WORD(ledger, "answer", "agrees|differs|unclear", "whether the counters agree with what the client did"),
	COUNT(ledger, "accepted", "connections that the server accepted"),
	COUNT(ledger, "reset", "connections that ended with a reset there"),
	COUNT(ledger, "peer_closed", "connections that ended with a FIN there"),
	WORD(ledger, "reset_passed", "yes|no", "whether the client's resets reached the server as resets"),

	{ .name = NULL },
};
/* clang-format on */
