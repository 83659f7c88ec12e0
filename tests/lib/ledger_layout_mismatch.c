/*
 * ledger_layout_mismatch.c - a yodeld that expects another layout of the ledger, for
 * tests of the upgrade: linked with --wrap=ledger_attach.
 */
#include <errno.h>
#include <stddef.h>

#include "proto/ledger.h"

struct ledger *__wrap_ledger_attach(int fd);

struct ledger *
__wrap_ledger_attach(int fd)
{
	(void)fd;
	errno = EPROTO;
	return NULL;
}
