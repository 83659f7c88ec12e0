#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/buffer.h"
#include "lib/escape.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/xmalloc.h"
#include "net/address.h"
#include "net/connect.h"
#include "proto/framing.h"
#include "client/commands/commands.h"
#include "client/commands/recording.h"
#include "client/commands/talk_tls.h"
#include "client/plan/plan_options.h"
#include "client/plan/tls_plan.h"

#define ADDRESSES_MAX 8
#define CHUNK 65536
#define PENDING_MAX (1u << 20) /* unsent bytes; stdin is not read beyond this */
#define REPLY_MAX (64u << 20)  /* length32 */
#define DEFAULT_CONNECT_NS UINT64_C(5000000000)

enum { EXIT_LOST = 1 };

struct talk {
	bool ipv4_only, ipv6_only;
	const char *target;
	enum framing framing;
	bool escapes;
	bool strip; /* lines are sent without their newline */
	uint64_t connect_timeout_ns;
	const char *record;
	struct recording recording;
	struct plan plan;     /* TLS alone */
	struct talk_tls *tls; /* NULL: none */
	int fd;
	bool prompt;        /* stdin and stdout are a terminal */
	bool at_line_start; /* the prompt needs no newline before it */
	bool input_ended;
	bool shut; /* SHUT_WR is done */
	bool has_sent, has_received;
	struct buffer *input_line; /* incomplete line */
	struct buffer *out;        /* unsent bytes */
	struct buffer *reply;      /* incomplete message (length32) */
};

#define AT(field) offsetof(struct talk, field)

static const struct option_row rows[] = {
	{ "framing", 'f', "NAME", OPTION_NAME, AT(framing),
	    .help = "how messages are delimited (stream)." FRAMING_HELP,
	    .names = framing_names },
	{ "no-newline", 'n', NULL, OPTION_FLAG, AT(strip),
	    .help = "send lines without their newline (length32 always does)" },
	{ "escapes", 'e', NULL, OPTION_FLAG, AT(escapes),
	    .help = "C escapes in the lines: \\n \\t \\xHH ..." },
	{ "ipv4", '4', NULL, OPTION_FLAG, AT(ipv4_only),
	    .help = "use the IPv4 addresses of the host alone" },
	{ "ipv6", '6', NULL, OPTION_FLAG, AT(ipv6_only),
	    .help = "use the IPv6 addresses of the host alone" },
	{ "connect-timeout", 0, "TIME", OPTION_DURATION, AT(connect_timeout_ns),
	    .help = "give up connecting after this (5s)" },
	{ "record", 0, "FILE", OPTION_TEXT, AT(record),
	    .help = "write what is said as a conversation, yodel-conversation(5)" },
	PLAN_OPTIONS_TLS(struct talk, plan.),
	{ .name = NULL },
};

static void
parse(struct talk *talk, int argc, char **argv)
{
	static const struct options_command command = {
		.name = "yodel talk",
		.version = "yodel " YODEL_VERSION,
		.operands = "HOST:PORT",
		.operands_min = 1,
		.operands_max = 1,
		.intro =
		    "Sends each line and prints what comes back. At the end of the input (Ctrl-D) it stops sending, reads the replies that are still due and closes.",
		.notes =
		    "Exit status: 0 closed in order, 1 not connected or connection lost, 64 usage, 71 no name server.",
		.rows = rows,
	};
	talk->target = options_parse(&command, argc, argv, talk)[0];
	talk->strip = talk->strip || framings[talk->framing].header_bytes > 0;
}

static int
connect_any(struct talk *talk)
{
	struct address addresses[ADDRESSES_MAX];
	char error[256], name[ADDRESS_TEXT_MAX];
	int count = address_resolve(
	    talk->target, addresses, ADDRESSES_MAX, error, sizeof(error));
	if (count < 0) {
		bool failed = errno == EAGAIN || errno == ENOMEM;
		log_errorx("%s", error);
		return failed ? EX_OSERR : EX_USAGE;
	}
	if (talk->ipv4_only || talk->ipv6_only)
		count = address_keep_family(
		    addresses, count, talk->ipv4_only ? AF_INET : AF_INET6);
	if (count == 0) {
		log_errorx("\"%s\" has no %s address", talk->target,
		    talk->ipv4_only ? "IPv4" : "IPv6");
		return EX_USAGE;
	}
	int errors[ADDRESSES_MAX];
	for (int i = 0; i < count; i++) {
		talk->fd = connect_stream(&addresses[i], talk->connect_timeout_ns);
		if (talk->fd >= 0) {
			setsockopt(talk->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 },
			    sizeof(int));
			return 0;
		}
		errors[i] = errno;
	}
	/* Failures are reported only when no address accepts. */
	for (int i = 0; i < count; i++) {
		log_errorx("%s: %s", address_format(&addresses[i], name),
		    connect_error_text(&addresses[i], errors[i]));
	}
	return EXIT_LOST;
}

static void
show_prompt(struct talk *talk)
{
	if (!talk->prompt || talk->input_ended)
		return;
	fputs(talk->at_line_start ? "> " : "\n> ", stdout);
	fflush(stdout);
	talk->at_line_start = true;
}

static void
append(struct buffer **to, const void *data, size_t length)
{
	if (buffer_append(to, data, length) < 0)
		xmalloc_fail();
}

/* `line` includes its newline, unless the input ended without one. */
static void
queue_line(struct talk *talk, uint8_t *line, size_t length)
{
	struct frame frame;
	bool ends = length > 0 && line[length - 1] == '\n';
	size_t at = 0;
	long decoded = (long)length - ends;
	if (talk->escapes)
		decoded = escape_decode((char *)line, length - ends, (char *)line, &at);
	if (decoded < 0) {
		fprintf(
		    stderr, "yodel talk: byte %zu of the line: invalid escape\n", at);
		return;
	}
	if (!talk->strip && ends)
		line[decoded++] = '\n';
	if (framings[talk->framing].header_bytes == 0) {
		append(&talk->out, line, (size_t)decoded);
		return;
	}
	frame = framing_for_payload(talk->framing, (size_t)decoded);
	if (buffer_reserve(&talk->out, frame_length(&frame)) < 0)
		xmalloc_fail();
	memcpy(talk->out->data + talk->out->end + frame.header, line, (size_t)decoded);
	framing_write(talk->framing, &frame, talk->out->data + talk->out->end);
	talk->out->end += frame_length(&frame);
}

static void
queue_lines(struct talk *talk)
{
	while (buffer_length(talk->input_line) > 0) {
		uint8_t *line = talk->input_line->data + talk->input_line->start;
		size_t length = buffer_length(talk->input_line);
		const uint8_t *end = memchr(line, '\n', length);
		if (end == NULL && !talk->input_ended)
			return;
		if (end != NULL)
			length = (size_t)(end - line) + 1;
		queue_line(talk, line, length);
		buffer_consume(&talk->input_line, length);
	}
}

static void
on_input(struct talk *talk)
{
	uint8_t chunk[CHUNK];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		talk->input_ended = true;
	else
		append(&talk->input_line, chunk, (size_t)n);
	queue_lines(talk);
	if (buffer_length(talk->out) == 0)
		show_prompt(talk); /* an empty line with -n sends nothing */
}

static void
print(struct talk *talk, const uint8_t *data, size_t length)
{
	if (length == 0)
		return;
	fwrite(data, 1, length, stdout);
	talk->at_line_start = data[length - 1] == '\n';
}

/* Prints whole messages, one to a line. 0, or -1 after one line on stderr. */
static int
print_messages(struct talk *talk)
{
	struct frame frame;
	enum frame_status status = FRAME_PARTIAL;
	while (buffer_length(talk->reply) > 0) {
		const uint8_t *data = talk->reply->data + talk->reply->start;
		status = framings[talk->framing].next(
		    data, buffer_length(talk->reply), 0, REPLY_MAX, &frame);
		if (status != FRAME_WHOLE)
			break;
		print(talk, data + frame.header, frame.payload);
		print(talk, (const uint8_t *)"\n", 1);
		buffer_consume(&talk->reply, frame_length(&frame));
	}
	if (status != FRAME_TOO_LONG)
		return 0;
	log_errorx("reply longer than %u bytes; does the peer use framing length32?",
	    REPLY_MAX);
	return -1;
}

/* -1 to go on, else an exit status. */
static int
on_end(struct talk *talk)
{
	recording_action(&talk->recording, "S close");
	if (buffer_length(talk->reply) > 0) {
		log_errorx("the peer closed the connection in the middle of a reply");
		return EXIT_LOST;
	}
	if (talk->tls != NULL && talk->tls->stream->end == TLS_STREAM_TRUNCATED)
		log_warnx("the peer ended the stream without close_notify");
	bool is_mute = talk->tls == NULL && talk->has_sent && !talk->has_received;
	if (is_mute)
		log_warnx(
		    "the peer closed the connection without a reply; does it expect TLS (--tls)?");
	else if (!talk->shut)
		log_errorx("the peer closed the connection");
	return talk->shut ? 0 : EXIT_LOST;
}

/* After errno. */
static int
fail(const struct talk *talk)
{
	if (talk->tls != NULL)
		talk_tls_log_error(talk->tls, talk->target);
	else
		log_error("%s", talk->target);
	return EXIT_LOST;
}

static int
on_readable(struct talk *talk)
{
	uint8_t chunk[CHUNK];
	ssize_t n = talk->tls != NULL ? tls_stream_receive(talk->tls->stream, talk->fd,
					    chunk, sizeof(chunk), NULL)
				      : recv(talk->fd, chunk, sizeof(chunk), 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return -1;
	if (n < 0)
		return fail(talk);
	if (n == 0)
		return on_end(talk);
	talk->has_received = true;
	recording_add(&talk->recording, CONVERSATION_SERVER, chunk, (size_t)n);
	if (framings[talk->framing].header_bytes == 0)
		print(talk, chunk, (size_t)n);
	else {
		append(&talk->reply, chunk, (size_t)n);
		if (print_messages(talk) < 0)
			return EXIT_LOST;
	}
	if (fflush(stdout) < 0)
		return EX_OSERR;
	show_prompt(talk);
	return -1;
}

static int
on_writable(struct talk *talk)
{
	if (talk->tls != NULL && tls_stream_flush(talk->tls->stream, talk->fd) < 0)
		return errno == EAGAIN ? -1 : fail(talk);
	while (buffer_length(talk->out) > 0) {
		const uint8_t *data = talk->out->data + talk->out->start;
		size_t length = buffer_length(talk->out);
		ssize_t n = talk->tls != NULL
		    ? tls_stream_send(talk->tls->stream, talk->fd, data, length)
		    : send(talk->fd, data, length, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -1;
		if (n < 0)
			return fail(talk);
		recording_add(&talk->recording, CONVERSATION_CLIENT,
		    talk->out->data + talk->out->start, (size_t)n);
		talk->has_sent = true;
		buffer_consume(&talk->out, (size_t)n);
	}
	if (talk->input_ended && !talk->shut) {
		if (talk->tls != NULL)
			(void)tls_stream_finish(talk->tls->stream, talk->fd);
		else
			shutdown(talk->fd, SHUT_WR);
		recording_action(&talk->recording, "C half-close");
		talk->shut = true;
	}
	return -1;
}

/* Waits for one event and handles it: -1 to go on, else an exit status. */
static int
step(struct talk *talk)
{
	struct pollfd wait[2] = { { .fd = -1, .events = POLLIN },
		{ .fd = talk->fd, .events = POLLIN } };
	int status = on_writable(talk);
	if (status >= 0)
		return status;
	if (talk->tls != NULL && talk->tls->stream->has_more)
		return on_readable(talk);
	if (!talk->input_ended && buffer_length(talk->out) < PENDING_MAX)
		wait[0].fd = STDIN_FILENO;
	if (buffer_length(talk->out) > 0 ||
	    (talk->tls != NULL && tls_stream_has_output(talk->tls->stream)))
		wait[1].events |= POLLOUT;
	if (poll(wait, 2, -1) < 0)
		return errno == EINTR ? -1 : EX_OSERR;
	if (wait[1].revents & (POLLIN | POLLHUP | POLLERR))
		status = on_readable(talk);
	if (status < 0 && wait[0].revents != 0)
		on_input(talk);
	return status;
}

/* 0, or an exit status. */
static int
check_tls(struct talk *talk)
{
	char error[PLAN_ERROR_MAX];
	talk->plan.connections = 1;
	talk->plan.target_count = 1;
	talk->plan.targets[0].text = talk->target;
	int status = tls_plan_check(&talk->plan, error);
	if (status != 0)
		log_errorx("%s", error);
	return status;
}

static int
open_tls(struct talk *talk)
{
	talk->tls = talk_tls_open(&talk->plan, talk->fd, talk->connect_timeout_ns);
	return talk->tls != NULL ? 0 : EXIT_LOST;
}

int
cmd_talk(int argc, char **argv)
{
	static struct talk talk;
	talk.fd = -1;
	talk.connect_timeout_ns = DEFAULT_CONNECT_NS;
	talk.at_line_start = true;
	talk.prompt = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
	parse(&talk, argc, argv);
	int status = check_tls(&talk);
	if (status == 0)
		status = connect_any(&talk);
	if (status == 0 && talk.plan.tls)
		status = open_tls(&talk);
	if (status != 0)
		return status;
	if (recording_open(&talk.recording, talk.record) < 0)
		return EX_OSERR;
	show_prompt(&talk);
	do
		status = step(&talk);
	while (status < 0);
	if (status == EX_OSERR)
		log_errorx("%s", strerror(errno));
	if (talk.prompt && !talk.at_line_start)
		putchar('\n');
	talk_tls_close(talk.tls);
	if (tls_plan_check_key_log(&talk.plan) != 0)
		status = EX_OSERR;
	tls_plan_finish(&talk.plan);
	close(talk.fd);
	if (recording_close(&talk.recording, talk.target) < 0 && status == 0)
		status = EX_OSERR;
	buffer_release(&talk.input_line);
	buffer_release(&talk.out);
	buffer_release(&talk.reply);
	return status;
}
