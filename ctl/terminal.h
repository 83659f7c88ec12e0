/*
 * terminal.h - a whole terminal for a live view, and the terminal as it was
 * afterwards, whatever ends the program: its own end, a signal, a crash. Stopped (^Z)
 * it gives the terminal back as well, and takes it again when it goes on.
 *
 * Where standard output is no terminal, or one that cannot place its cursor (TERM is
 * not set, or "dumb"), nothing is done, and views follow each other.
 */
#ifndef CTL_TERMINAL_H
#define CTL_TERMINAL_H

#include <stdbool.h>

/* False when nothing was done. */
bool terminal_enter(void);
void terminal_leave(void);

/* Shows text in the place of what was shown; what does not fit is cut. */
void terminal_draw(const char *text);

/* Waits so long for a key; the key, or 0 when there was none. Earlier with
 * TERMINAL_REDRAW when what was drawn may not be what is to be seen: the size has
 * changed, or the terminal was another one's meanwhile. */
#define TERMINAL_REDRAW (-1)
int terminal_wait_key(double seconds);

#endif
