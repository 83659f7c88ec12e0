/*
 * terminal.h - full-screen output for a live view. The terminal is restored at any end
 * of the program (exit, signal, crash), and while it is stopped (^Z).
 *
 * If standard output is not a terminal, or cannot move its cursor (TERM unset or
 * "dumb"), these functions do nothing and the caller prints view after view.
 */
#ifndef CTL_TERMINAL_H
#define CTL_TERMINAL_H

#include <stdbool.h>

/* False if the terminal was left alone. */
bool terminal_enter(void);
void terminal_leave(void);

/* Replaces the screen by text, cut to its size. */
void terminal_draw(const char *text);

/* Waits at most this long for a key. Returns it, 0 on timeout, or TERMINAL_REDRAW as
 * soon as the size has changed or the program was continued after ^Z. */
#define TERMINAL_REDRAW (-1)
int terminal_wait_key(double seconds);

#endif
