/*
 * process_title.h - what ps(1) shows as the command of this process: its role, in place
 * of its arguments, whose memory it overwrites. The kernel shows that memory in
 * /proc/PID/cmdline (proc(5)).
 */
#ifndef LIB_SYSTEM_PROCESS_TITLE_H
#define LIB_SYSTEM_PROCESS_TITLE_H

/* At the start of main(). */
void process_title_init(int argc, char **argv);
/* Cut to the length of the arguments. Only in a forked child that uses no argument any
 * more; does nothing without process_title_init(). */
void process_title_set(const char *title);

#endif
