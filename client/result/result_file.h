/* result_file.h - a result from a file, for the subcommands that read some. */
#ifndef CLIENT_RESULT_RESULT_FILE_H
#define CLIENT_RESULT_RESULT_FILE_H

#include "client/result/result.h"

/* Reads the file ("-" is stdin). 0 (the caller calls result_finish), or an exit status
 * (66 when it cannot be opened, 65 when it is no result) with one line on stderr. */
int result_file_load(const char *path, struct result *ret)
    __attribute__((warn_unused_result));

#endif
