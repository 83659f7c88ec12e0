/* resources.h - the standard streams of a process that was started without some. */
#ifndef LIB_RESOURCES_H
#define LIB_RESOURCES_H

/* Takes the number of each standard stream that is closed, so that nothing else gets
 * it: to read from such a stdin, or to write to such a stdout or stderr, fails still.
 */
void resources_reserve_streams(void);

#endif
