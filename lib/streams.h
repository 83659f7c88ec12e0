/* streams.h - the standard streams of a process that was started without some. */
#ifndef LIB_STREAMS_H
#define LIB_STREAMS_H

/* Takes the number of each standard stream that is closed, so that nothing else gets
 * it: to read from such a stdin, or to write to such a stdout or stderr, fails still.
 */
void streams_hold(void);

#endif
