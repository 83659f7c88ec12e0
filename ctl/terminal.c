#include "ctl/terminal.h"

#include <sys/ioctl.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* ECMA-48, and the alternate screen of xterm. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

static struct {
	volatile sig_atomic_t is_taken;
	bool has_keys;                    /* standard input is a terminal too */
	bool is_at_eof;                   /* of standard input */
	volatile sig_atomic_t is_changed; /* since it was drawn */
	struct termios before;
} state;

static void
put(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, text, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		length -= (size_t)n;
	}
}

static void
take_terminal(void)
{
	if (state.has_keys) {
		struct termios raw = state.before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	put(ENTER, strlen(ENTER));
	state.is_taken = 1;
}

void
terminal_leave(void)
{
	if (!state.is_taken)
		return;
	state.is_taken = 0;
	put(LEAVE, strlen(LEAVE));
	if (state.has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &state.before);
}

/* Restores the terminal, then lets the signal have its default effect. */
static void
on_signal(int number)
{
	int saved = errno;
	sigset_t only;
	terminal_leave();
	signal(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	/* Reached after SIGTSTP only, once the program is continued. */
	signal(number, on_signal);
	take_terminal();
	state.is_changed = 1;
	errno = saved;
}

static void
on_resized(int number)
{
	(void)number;
	state.is_changed = 1;
}

/* SIGWINCH is delivered only within ppoll(), so that no resize is missed. */
static void
watch_size(void)
{
	sigset_t resized;
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resized, NULL);
	signal(SIGWINCH, on_resized);
}

static bool
can_move_cursor(void)
{
	const char *term = getenv("TERM");
	return term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

bool
terminal_enter(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP,
		SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM, SIGXCPU };
	if (!isatty(STDOUT_FILENO) || !can_move_cursor())
		return false;
	state.has_keys = tcgetattr(STDIN_FILENO, &state.before) == 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		signal(ends[i], on_signal);
	watch_size();
	atexit(terminal_leave);
	take_terminal();
	return true;
}

/* Each line is erased before it is written: after a line as wide as the terminal the
 * cursor stays on the last column, which erasing would then clear. */
static void
draw_lines(FILE *out, const char *text, unsigned rows, unsigned columns)
{
	unsigned row = 0;
	for (; *text != '\0' && row < rows; row++) {
		size_t length = strcspn(text, "\n");
		size_t shown = length < columns ? length : columns;
		fprintf(out, "%s" CLEAR_LINE "%.*s", row > 0 ? "\r\n" : "", (int)shown,
		    text);
		text += length + (text[length] == '\n');
	}
	if (row < rows)
		fputs("\r\n" CLEAR_BELOW, out);
}

void
terminal_draw(const char *text)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char *frame = NULL;
	size_t length = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 ||
	    size.ws_col == 0)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	FILE *out = open_memstream(&frame, &length);
	if (out == NULL)
		return;
	fputs(HOME, out);
	draw_lines(out, text, size.ws_row, size.ws_col);
	if (fclose(out) == 0)
		put(frame, length);
	free(frame);
}

int
terminal_wait_key(double seconds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	const struct timespec timeout = { .tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
	sigset_t none;
	char key = 0;
	sigemptyset(&none);
	int n = ppoll(&in, state.has_keys && !state.is_at_eof, &timeout, &none);
	if (state.is_changed) {
		state.is_changed = 0;
		return TERMINAL_REDRAW;
	}
	if (n > 0 && read(STDIN_FILENO, &key, 1) != 1) {
		state.is_at_eof = true;
		key = 0;
	}
	return key;
}
