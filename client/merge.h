/* merge.h - `yodel merge`: results of several machines become one, exactly. */
#ifndef CLIENT_MERGE_H
#define CLIENT_MERGE_H

/* argv[0] is "merge". The exit status of the merged result, or 64, 65 (a file is no
 * result, or none that goes with the others), 66 (cannot be opened), 71. */
int merge_main(int argc, char **argv);

#endif
