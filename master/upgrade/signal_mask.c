#include "master/upgrade/signal_mask.h"

const int signal_mask_fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS,
	SIGTRAP, SIGALRM };
const size_t signal_mask_fatal_count =
    sizeof(signal_mask_fatal) / sizeof(signal_mask_fatal[0]);

void
signal_mask_block(sigset_t *ret_before)
{
	sigset_t blocked;
	sigfillset(&blocked);
	for (size_t i = 0; i < signal_mask_fatal_count; i++)
		sigdelset(&blocked, signal_mask_fatal[i]);
	sigprocmask(SIG_SETMASK, &blocked, ret_before);
}

void
signal_mask_unblock(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
