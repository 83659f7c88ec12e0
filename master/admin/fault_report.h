/* fault_report.h - the faults in effect and the record of those injected, as JSON. */
#ifndef MASTER_ADMIN_FAULT_REPORT_H
#define MASTER_ADMIN_FAULT_REPORT_H

#include <stdint.h>

#include "master/master.h"

/* With at most `record_max` records, the latest ones. Heap, owned by the caller; NULL
 * when out of memory. */
char *fault_report_format(const struct master *master, uint64_t record_max);

#endif
