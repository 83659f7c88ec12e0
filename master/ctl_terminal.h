/*
 * ctl_terminal.h - a whole terminal for a live view, and the terminal as it was
 * afterwards, whatever ends the program: its own end, a signal, a crash. Stopped (^Z)
 * it gives the terminal back as well, and takes it again when it goes on.
 *
 * Where standard output is no terminal, or one that cannot place its cursor (TERM is
 * not set, or "dumb"), nothing is done, and views follow each other.
 */
#ifndef MASTER_CTL_TERMINAL_H
#define MASTER_CTL_TERMINAL_H

#include <stdbool.h>

/* False when nothing was done. */
bool ctl_terminal_enter(void);
void ctl_terminal_leave(void);

/* Shows text in the place of what was shown; what does not fit is cut. */
void ctl_terminal_draw(const char *text);

/* Waits so long for a key; the key, or 0 when there was none. Earlier with
 * CTL_TERMINAL_REDRAW when what was drawn may not be what is to be seen: the size has
 * changed, or the terminal was another one's meanwhile. */
#define CTL_TERMINAL_REDRAW (-1)
int ctl_terminal_wait_key(double seconds);

#endif
