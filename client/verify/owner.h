/* owner.h - finds the connection whose data the received bytes are. */
#ifndef CLIENT_VERIFY_OWNER_H
#define CLIENT_VERIFY_OWNER_H

#include "client/verify/diagnosis.h"

#define OWNER_BYTES_MIN 8 /* to be looked for at another place */

/* The data of another connection at the same place: at least DIAGNOSIS_BYTES_MIN bytes
 * or a whole answer. */
bool owner_find_here(const struct diagnosis_case *what, struct diagnosis *ret);

/* The data of any connection within DIAGNOSIS_SEARCH_BYTES around the same message;
 * else *ret says how much was searched. */
bool owner_find(const struct diagnosis_case *what, struct diagnosis *ret);

#endif
