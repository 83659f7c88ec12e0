/*
 * conversation_examples.h - conversation files that use each feature together with
 * others, for the fuzz targets of proto/conversation/ and their tests.
 */
#ifndef TESTS_LIB_CONVERSATION_EXAMPLES_H
#define TESTS_LIB_CONVERSATION_EXAMPLES_H

static const char *const conversation_examples[] = {
	/* lines, repetition, sections, names, captures on both sides */
	"S: 220 \\{any}\n"
	"C: EHLO client-\\{connection}.example\n"
	"S*: 250-\\{any}\n"
	"S: 250 \\{any}\n"
	"--- repeat\n"
	"C [noop]: NOOP \\{key: random 8}\n"
	"S: \\{250|251} \\{id: any} k=\\{key}\n"
	"C: MORE \\{id}\n"
	"S: \\{digits} \\{!|}\n"
	"--- end\n"
	"C: QUIT\n"
	"S: 221 \\{any}\n"
	"S close\n",
	/* counted parts: decimal; payload and its echo */
	"C [set]: *3\\r\\n$3\\r\\nSET\\r\\n$\\{decimal length}\\r\\n{key-\\{connection}-\\{message}}\n"
	"C: $\\{decimal length}\\r\\n{\\{payload 10:30}}\n"
	"S: +OK\n"
	"C [get]: GET\n"
	"S: $\\{decimal length}\\r\\n{\\{echo}}\n",
	/* binary numbers, captured lengths, repetition without line ends, close */
	"ending none\n"
	"C: \\{u32be length+4}{\\x00\\x03\\x00\\x00user\\0\\{pid}\\0\\0}\n"
	"S: R\\{u32be n}\\{bytes n-4}\n"
	"S*: S\\{u32be n}\\{bytes n-4}\n"
	"S: K\\{u32be n}\\{key: bytes n-4}Z\n"
	"--- repeat\n"
	"C: Q\\{u32be length+4}{SELECT \\{key}\\0}\n"
	"S: T\\{n: u16le}\\{bytes n}D\\{u24be length}{\\{any}}\\{u8 n+1}\n"
	"--- end\n"
	"C: X\\{u32be 4}\n"
	"C close\n",
	/* variable-length numbers and nested counted parts */
	"ending none\n"
	"C: \\x10\\{varint length}{\\{u16be length}{MQTT}\\x04\\{id: u16be message}}\n"
	"S: \\x20\\{varint length}{\\0\\{id}\\{u8 length}{\\{any},\\{any}}}\n"
	"--- repeat\n"
	"C: \\x32\\{varint length}{\\{u16be length}{topic}\\{payload 0:300 binary}}\n"
	"S: \\x40\\{varint length}{\\{hex} \\{echo}}\n",
	/* a stream with a half-close, one pass per connection */
	"ending lf\n"
	"C: \\{payload 100}\n"
	"pause 1ms\n"
	"C: \\{any} \\{hex};\\{random 3}\n"
	"C half-close\n"
	"S: \\{echo}\n"
	"pause 2ms\n"
	"S: \\{any 3}\\{yes|no|maybe} <\\{any}ab\\{any}>\n"
	"S close\n",
	/* text in which the next line is found late */
	"C: LIST\n"
	"S: +OK \\{any}\n"
	"S*: \\{any}\n"
	"S: .\n"
	"C: B\n"
	"S*: aab\n"
	"S: aaba\\{any}abab!\n",
	/* the end section starts like a pass */
	"--- repeat\n"
	"C: QUERY \\{any}\n"
	"S: \\{digits}\\x20\\{hex}.\n"
	"--- end\n"
	"C: QUIT\n"
	"S reset\n",
};
#define CONVERSATION_EXAMPLE_COUNT                                                     \
	(sizeof(conversation_examples) / sizeof(*conversation_examples))

#endif
