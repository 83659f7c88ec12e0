/*
 * mptcp.h - Multipath TCP (RFC 8684): a connection over several subflows, or, where the
 * peer or the path does not know it, one of plain TCP ("fallback").
 */
#ifndef NET_MPTCP_H
#define NET_MPTCP_H

#include <stdbool.h>
#include <stdint.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
/* From linux/mptcp.h, which may be missing or older than the kernel. */
#define MPTCP_LEVEL 284 /* SOL_MPTCP */
#define MPTCP_INFO_OPTION 1

/* Whether the kernel opens MPTCP sockets: it has them, and net.mptcp.enabled is 1. */
bool mptcp_is_available(void);

/* Bytes that were read from and written to an MPTCP connection since it began, as
 * counted by the kernel at one moment, before its FIN. 0, or -1 with errno: EOPNOTSUPP
 * if it is one of plain TCP, or the kernel is older than 6.5. */
int mptcp_read_position(int fd, uint64_t *ret_received, uint64_t *ret_sent)
    __attribute__((warn_unused_result));

/* Subflows of a connection; 0: it is one of plain TCP, or has fallen back. */
uint32_t mptcp_subflows(int fd);

#endif
