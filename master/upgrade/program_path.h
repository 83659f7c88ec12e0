/*
 * program_path.h - where the program lies that runs: an upgrade executes what is there
 * then.
 *
 * That is the name by which it was started, as it stands, so that a link may lead to
 * another release by then; where that name does not lead to what runs, the path that
 * the kernel knows. Who takes over keeps it (state_save.h): also after a way back,
 * when the file of what runs may lie elsewhere, or nowhere.
 */
#ifndef MASTER_UPGRADE_PROGRAM_PATH_H
#define MASTER_UPGRADE_PROGRAM_PATH_H

/* Of argv[0], as it was given. */
void program_path_find(const char *name);
/* As a former image knows it. Too long a one is none. */
void program_path_set(const char *path);
/* Absolute; "" when it could not be found. */
const char *program_path(void);

#endif
