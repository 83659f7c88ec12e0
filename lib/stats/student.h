/* student.h - Student's t distribution. */
#ifndef LIB_STATS_STUDENT_H
#define LIB_STATS_STUDENT_H

/* The probability that t with that many degrees of freedom (above 0) is at least t. */
double student_upper(double t, double degrees);

#endif
