/*
 * json_wipe.h - JSON with secrets: what jansson frees is overwritten first, also the
 * buffers that it has outgrown.
 */
#ifndef LIB_JSON_JSON_WIPE_H
#define LIB_JSON_JSON_WIPE_H

/* Between both calls; they do not nest. A text of json_dumps() is wiped by its owner.
 */
void json_wipe_begin(void);
void json_wipe_end(void);

#endif
