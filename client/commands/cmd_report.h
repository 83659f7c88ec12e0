/* cmd_report.h - `yodel report`: a page or text report from a JSON result. */
#ifndef CLIENT_COMMANDS_CMD_REPORT_H
#define CLIENT_COMMANDS_CMD_REPORT_H

/* argv[0] is "report". Returns 0, 64, 65 (not a result), 66 (cannot be opened) or 71.
 */
int cmd_report(int argc, char **argv);

#endif
