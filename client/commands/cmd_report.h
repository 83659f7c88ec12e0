/* cmd_report.h - `yodel report`: the page, or the text, of a result that was kept as
 * JSON.
 */
#ifndef CLIENT_COMMANDS_CMD_REPORT_H
#define CLIENT_COMMANDS_CMD_REPORT_H

/* argv[0] is "report". 0, or 64, 65 (no result), 66 (cannot be opened), 71. */
int cmd_report(int argc, char **argv);

#endif
