/*
 * program.h - where the program lies that runs: an upgrade executes what is there then.
 *
 * That is the name by which it was started, as it stands, so that a link may lead to
 * another release by then; where that name does not lead to what runs, the path that
 * the kernel knows. Who takes over keeps it (inheritance.h): also after a way back,
 * when the file of what runs may lie elsewhere, or nowhere.
 */
#ifndef MASTER_PROGRAM_H
#define MASTER_PROGRAM_H

/* Of argv[0], as it was given. */
void program_find(const char *name);
/* As a former image knows it. Too long a one is none. */
void program_set_path(const char *path);
/* Absolute; "" when it could not be found. */
const char *program_path(void);

#endif
