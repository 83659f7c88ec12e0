#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the above */
#include <cmocka.h>

#include "client/load/conn_state.h"

static void
a_slow_reader_reads_at_the_configured_rate(void **state)
{
	static const uint64_t rates[] = { 1, 10, 99, 100, 150, 10240, 512000, 2 << 20,
		32 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t now = 12345, bytes = 0, end = 10 * UINT64_C(1000000000);
		while ((now = conn_state_slow_next_ns(rates[i], now + 500000)) <= end)
			bytes += conn_state_slow_bytes(rates[i]);
		assert_in_range(bytes, rates[i] * 10 * 95 / 100, rates[i] * 10 + 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_reader_reads_at_the_configured_rate),
	};

	return cmocka_run_group_tests_name("conn_state", tests, NULL, NULL);
}
