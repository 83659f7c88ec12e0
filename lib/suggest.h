/*
 * suggest.h - the word that was probably meant.
 *
 * The distance is the number of letters inserted, left out, changed or swapped with
 * their neighbour (optimal string alignment); case does not count.
 */
#ifndef LIB_SUGGEST_H
#define LIB_SUGGEST_H

/* The nearest to `word` of the NULL-terminated list `known`, the first among equals;
 * NULL when none is near enough to be meant (one error in three letters). */
const char *suggest_nearest(const char *word, const char *const *known);

#endif
