/* tls_failure.h - why a handshake failed: kinds to count, beside a sentence to read. */
#ifndef NET_TLS_FAILURE_H
#define NET_TLS_FAILURE_H

/* X(constant, name) */
#define TLS_FAILURES(X)                                                                \
	X(NONE, "none")                                                                \
	X(NOT_TLS, "not_tls") /* other bytes than TLS, such as HTTP */                 \
	X(VERSION, "version") /* no common version */                                  \
	X(SUITE, "suite")     /* no common cipher suite, group, algorithm */           \
	X(ALPN, "alpn")       /* no common protocol */                                 \
	X(NO_CERTIFICATE, "no_certificate") /* the peer presented none */              \
	X(EXPIRED, "expired")               /* or not valid yet */                     \
	X(NAME, "name")                     /* the certificate is for another name */  \
	X(SELF_SIGNED, "self_signed")                                                  \
	X(UNTRUSTED, "untrusted")     /* issued by a CA that is not trusted */         \
	X(PIN, "pin")                 /* another certificate than the pinned one */    \
	X(CERTIFICATE, "certificate") /* unfit for another reason */                   \
	X(ALERT, "alert")             /* the peer gave up with an alert */             \
	X(CUT, "cut")                 /* the peer closed or reset the connection */    \
	X(PROTOCOL, "protocol")       /* a malformed or unexpected message */          \
	X(INTERNAL, "internal")       /* out of memory */

enum tls_failure {
#define X(constant, name) TLS_FAILURE_##constant,
	TLS_FAILURES(X)
#undef X
	    TLS_FAILURE_COUNT
};

extern const char *const tls_failure_names[]; /* by enum tls_failure, NULL at the end */

#endif
