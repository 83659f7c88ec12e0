/*
 * version.h - the version of this build, which the Makefile sets. A file that includes
 * this compiles without the Makefile, too, as an editor or a checker does it.
 */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#ifndef YODEL_VERSION
#define YODEL_VERSION "unknown"
#endif

#endif
