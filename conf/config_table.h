/*
 * config_table.h - the tables of settings behind conf/config.h: every key of the file,
 * its type, bounds, default and help is a row here and nowhere else.
 */
#ifndef CONF_CONFIG_TABLE_H
#define CONF_CONFIG_TABLE_H

#include "lib/settings/settings.h"

extern const struct settings config_table;          /* fills struct config */
extern const struct settings config_listener_table; /* fills struct listener_config */

#endif
