#include "master/admin/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "http/http_policy.h"
#include "http/http_response.h"

#define TYPE_HTML "text/html; charset=utf-8"
#define NONCE_MARK "@NONCE@"

/* The file, and a NUL. */
extern const char page_html[];
__asm__(".pushsection .rodata\n"
	".globl page_html\n"
	"page_html:\n"
	".incbin \"master/admin/page.html\"\n"
	".byte 0\n"
	".popsection\n");

/* The page with the nonce in place of each mark. NULL when out of memory. */
static char *
format_page(const char *nonce)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	const char *from = page_html, *mark;
	while ((mark = strstr(from, NONCE_MARK)) != NULL) {
		fprintf(out, "%.*s%s", (int)(mark - from), from, nonce);
		from = mark + strlen(NONCE_MARK);
	}
	fputs(from, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

void
page_send(struct evhttp_request *request)
{
	char nonce[HTTP_POLICY_NONCE_MAX];
	if (http_policy_make_nonce(nonce) < 0) {
		http_response_send(request, HTTP_INTERNAL, HTTP_RESPONSE_TEXT,
		    strdup("no random numbers"));
		return;
	}
	http_policy_add(request, nonce);
	http_response_send(request, HTTP_OK, TYPE_HTML, format_page(nonce));
}
