/* run.h - `yodel run`: from the command line to the exit status. */
#ifndef CLIENT_RUN_H
#define CLIENT_RUN_H

/* argv[0] is the name to speak with. */
int run_main(int argc, char **argv);

#endif
