#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "proto/whoami.h"

#define DEPTH_MAX 8
#define PATH_MAX_BYTES 64
#define VALUE_MAX 80

struct reader {
	const char *at, *end;
	char path[PATH_MAX_BYTES]; /* of the value, as in "socket.peer.port" */
	char value[VALUE_MAX];     /* of the last scalar, cut if it is longer */
	int depth;
	struct whoami_view view;
	bool has_client, has_source, is_proxy;
};

static void
skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL &&
	    *reader->at != '\0')
		reader->at++;
}

static bool
take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/* A string without its quotes; escapes stay as they are written: no value that is used
 * has one. */
static bool
read_string(struct reader *reader, char *out, size_t size)
{
	size_t length = 0;
	if (!take(reader, '"'))
		return false;
	while (reader->at < reader->end && *reader->at != '"') {
		int bytes = *reader->at == '\\' ? 2 : 1;
		for (int i = 0; i < bytes && reader->at < reader->end; i++) {
			if (length + 1 < size)
				out[length++] = *reader->at;
			reader->at++;
		}
	}
	out[length] = '\0';
	return take(reader, '"');
}

/* A number or a literal. */
static bool
read_word(struct reader *reader)
{
	size_t length = 0;
	while (reader->at < reader->end &&
	    (strchr("+-.", *reader->at) != NULL || (*reader->at | 0x20) >= 'a' ||
		(*reader->at >= '0' && *reader->at <= '9')) &&
	    *reader->at > ' ' && (*reader->at | 0x20) <= 'z') {
		if (length + 1 < sizeof(reader->value))
			reader->value[length++] = *reader->at;
		reader->at++;
	}
	reader->value[length] = '\0';
	return length > 0;
}

static bool
set_ip(const char *text, struct address_compact *ret)
{
	ret->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(ret->family, text, ret->bytes) == 1;
}

static bool
set_port(const char *text, struct address_compact *ret)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);
	ret->port = (uint16_t)port;
	return *end == '\0' && text[0] >= '0' && text[0] <= '9' && port <= UINT16_MAX;
}

/* A number of the process that connected to a Unix socket. */
static bool
set_process(const char *text, size_t place, struct address_compact *ret)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);
	uint32_t value = (uint32_t)number;
	if (*end != '\0' || text[0] < '0' || text[0] > '9' || number > UINT32_MAX)
		return false;
	ret->family = AF_UNIX;
	memcpy(ret->bytes + place * sizeof(value), &value, sizeof(value));
	return true;
}

/* Takes what is used of the value at the path. False if it has another form. */
static bool
on_value(struct reader *reader)
{
	const char *path = reader->path, *value = reader->value;
	struct whoami_view *view = &reader->view;
	if (strcmp(path, ".instance") == 0) {
		size_t length = strnlen(value, sizeof(view->instance) - 1);
		memcpy(view->instance, value, length);
		view->instance[length] = '\0';
		for (size_t i = 0; i < length; i++) {
			if (value[i] <= ' ' || value[i] >= 0x7f)
				return false;
		}
		return length > 0;
	}
	if (strcmp(path, ".client.address") == 0)
		return reader->has_client = set_ip(value, &view->client);
	if (strcmp(path, ".client.uid") == 0)
		return set_process(value, 0, &view->client);
	if (strcmp(path, ".client.gid") == 0)
		return set_process(value, 1, &view->client);
	if (strcmp(path, ".client.pid") == 0)
		return reader->has_client = set_process(value, 2, &view->client);
	if (strcmp(path, ".client.port") == 0)
		return set_port(value, &view->client);
	if (strcmp(path, ".proxy.source.address") == 0)
		return reader->has_source = set_ip(value, &view->source);
	if (strcmp(path, ".proxy.source.port") == 0)
		return set_port(value, &view->source);
	if (strcmp(path, ".proxy.command") == 0)
		reader->is_proxy = strcmp(value, "PROXY") == 0;
	return true;
}

static bool read_value(struct reader *reader);

static bool
read_member(struct reader *reader)
{
	char name[PATH_MAX_BYTES];
	size_t length = strlen(reader->path);
	if (!read_string(reader, name, sizeof(name)) || !take(reader, ':'))
		return false;
	/* No member in use has a longer path. */
	if (length + 1 + strlen(name) < sizeof(reader->path)) {
		reader->path[length] = '.';
		memcpy(reader->path + length + 1, name, strlen(name) + 1);
	}
	bool is_read = read_value(reader);
	reader->path[length] = '\0';
	return is_read;
}

/* Members or elements up to the end. */
static bool
read_all(struct reader *reader, char end, bool (*read_one)(struct reader *))
{
	if (take(reader, end))
		return true;
	do {
		if (!read_one(reader))
			return false;
	} while (take(reader, ','));
	return take(reader, end);
}

static bool
read_element(struct reader *reader)
{
	size_t length = strlen(reader->path);
	if (length + 2 < sizeof(reader->path))
		memcpy(reader->path + length, "[]", 3);
	bool is_read = read_value(reader);
	reader->path[length] = '\0';
	return is_read;
}

static bool
read_value(struct reader *reader)
{
	bool is_read;
	skip_space(reader);
	if (reader->at == reader->end || reader->depth == DEPTH_MAX)
		return false;
	reader->depth++;
	if (take(reader, '{'))
		is_read = read_all(reader, '}', read_member);
	else if (take(reader, '['))
		is_read = read_all(reader, ']', read_element);
	else if (*reader->at == '"')
		is_read = read_string(reader, reader->value, sizeof(reader->value)) &&
		    on_value(reader);
	else
		is_read = read_word(reader) && on_value(reader);
	reader->depth--;
	return is_read;
}

bool
whoami_read(const char *line, size_t length, struct whoami_view *ret)
{
	struct reader reader = { .at = line, .end = line + length };
	skip_space(&reader);
	if (reader.at == reader.end || *reader.at != '{' || !read_value(&reader))
		return false;
	skip_space(&reader);
	if (reader.at != reader.end || reader.view.instance[0] == '\0' ||
	    !reader.has_client)
		return false;
	reader.view.has_header = reader.has_source && reader.is_proxy;
	*ret = reader.view;
	return true;
}
