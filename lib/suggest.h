/*
 * suggest.h - the nearest known word, for "did you mean".
 *
 * The distance is the number of letters inserted, omitted, changed or swapped with
 * their neighbour (optimal string alignment); case is ignored.
 */
#ifndef LIB_SUGGEST_H
#define LIB_SUGGEST_H

/* The nearest to `word` in the NULL-terminated list `known`, the first among equals;
 * NULL if all differ by more than one letter in three. */
const char *suggest_nearest(const char *word, const char *const *known);

#endif
