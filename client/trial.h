/* trial.h - `yodel run`: from the command line to the exit status. */
#ifndef CLIENT_TRIAL_H
#define CLIENT_TRIAL_H

/* argv[0] is the name to speak with. */
int trial_main(int argc, char **argv);

#endif
