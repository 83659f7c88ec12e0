#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/upgrade/state_rows.h"
#include "master/upgrade/state_save.h"

static int
read_or_log(struct state_reader *reader, const char *line)
{
	int rc = state_rows_read(reader, line);
	if (rc < 0)
		log_errorx("inheritance: \"%s\" cannot be read", line);
	return rc;
}

/* The next line without its end; -1 at the end of all, or where something else than
 * text begins. */
static int
next_line(FILE *in, char **line, size_t *room)
{
	ssize_t length = getline(line, room, in);
	if (length <= 0 || (*line)[length - 1] != '\n' ||
	    strlen(*line) != (size_t)length)
		return -1;
	(*line)[length - 1] = '\0';
	return 0;
}

void
state_load_header(int fd, struct upgrade_state *ret)
{
	char *line = NULL;
	size_t room = 0;
	*ret = (struct upgrade_state){ .program_fd = -1, .config_fd = -1 };
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
	bool is_open = in != NULL && fseek(in, 0, SEEK_SET) == 0;
	while (is_open && next_line(in, &line, &room) == 0) {
		int program_fd;
		if (sscanf(line, "program %d", &program_fd) == 1)
			ret->program_fd = program_fd;
		else if (strncmp(line, "purpose ", strlen("purpose ")) == 0)
			ret->is_rollback = strcmp(line, "purpose back") == 0;
	}
	free(line);
	if (in != NULL)
		fclose(in);
	else if (copy >= 0)
		close(copy);
}

static int
read_lines(struct state_reader *reader, FILE *in)
{
	char *line = NULL;
	size_t room = 0;
	int rc = next_line(in, &line, &room);
	if (rc < 0)
		log_errorx("inheritance: there is none");
	else if (strcmp(line, STATE_FIRST_LINE) != 0) {
		log_errorx("inheritance: its form is another one: %s", line);
		rc = -1;
	}
	while (rc == 0 && next_line(in, &line, &room) == 0)
		rc = read_or_log(reader, line);
	free(line);
	if (rc == 0 && !feof(in)) {
		log_errorx("inheritance: it breaks off");
		rc = -1;
	}
	return rc;
}

/* Each listener of the configuration has a socket, and nothing is missing. */
static int
check_whole(const struct state_reader *reader)
{
	const struct master *master = reader->master;
	const char *missing = state_rows_missing(reader);
	if (missing != NULL) {
		log_errorx("inheritance: no line says its %s", missing);
		return -1;
	}
	for (size_t i = 0; i < master->config.current.listener_count; i++) {
		const struct listener *e = master->listeners.first;
		while (
		    e != NULL && (e->config_index != (int)i || e->reuseport_count == 0))
			e = e->next;
		if (e == NULL) {
			log_errorx("inheritance: no socket for %s",
			    master->config.current.listeners[i].address_text);
			return -1;
		}
	}
	return 0;
}

int
state_load(struct master *master, int fd, struct upgrade_state *ret)
{
	struct state_reader reader = { .master = master, .ret = ret };
	*ret = (struct upgrade_state){ .program_fd = -1, .config_fd = -1 };
	FILE *in = fdopen(fd, "r");
	int rc = -1;
	if (in == NULL || fseek(in, 0, SEEK_SET) < 0 ||
	    state_fields_claim(&reader.claims, STATE_FD_FILE, fd) < 0)
		log_error("inheritance: it cannot be read");
	else
		rc = read_lines(&reader, in);
	if (rc == 0)
		rc = check_whole(&reader);
	if (rc < 0)
		state_fields_release(&reader.claims);
	state_fields_claims_finish(&reader.claims);
	if (in != NULL)
		fclose(in);
	else
		close(fd);
	return rc;
}
