#include "master/history_ring.h"

#include "lib/json/json_record.h"

static const struct history_sample *
last_of(const struct history_ring *ring)
{
	return &ring->samples[(ring->count - 1) % HISTORY_SAMPLES];
}

bool
history_ring_wants(const struct history_ring *ring, uint64_t second)
{
	return ring->count == 0 || last_of(ring)->second != second;
}

void
history_ring_add(struct history_ring *ring, const struct history_sample *sample)
{
	/* The clock has been set back: seconds must ascend, or `since` has no meaning.
	 */
	if (ring->count > 0 && last_of(ring)->second > sample->second)
		ring->count = 0;
	ring->samples[ring->count++ % HISTORY_SAMPLES] = *sample;
}

json_t *
history_ring_columns(void)
{
	json_t *columns = json_array();
	json_record_append(&columns, json_string("second"));
#define X(name) json_record_append(&columns, json_string(#name));
	HISTORY_COLUMNS(X)
#undef X
	return columns;
}

static json_t *
make_row(const struct history_sample *sample)
{
	json_t *row = json_array();
	json_record_append(&row, json_integer((json_int_t)sample->second));
#define X(name) json_record_append(&row, json_integer((json_int_t)sample->name));
	HISTORY_COLUMNS(X)
#undef X
	return row;
}

json_t *
history_ring_rows(const struct history_ring *ring, uint64_t since)
{
	json_t *rows = json_array();
	uint64_t first =
	    ring->count > HISTORY_SAMPLES ? ring->count - HISTORY_SAMPLES : 0;
	/* The reader has seen the time before the clock was set back. */
	if (ring->count > 0 && since > last_of(ring)->second)
		since = 0;
	for (uint64_t i = first; i < ring->count; i++) {
		const struct history_sample *sample =
		    &ring->samples[i % HISTORY_SAMPLES];
		if (sample->second > since)
			json_record_append(&rows, make_row(sample));
	}
	return rows;
}

/* False if the row is malformed. */
static bool
read_row(const json_t *row, size_t columns, struct history_sample *ret)
{
	size_t at = 0;
	if (json_array_size(row) != columns)
		return false;
	for (size_t i = 0; i < columns; i++) {
		if (json_integer_value(json_array_get(row, i)) < 0 ||
		    !json_is_integer(json_array_get(row, i)))
			return false;
	}
	ret->second = (uint64_t)json_integer_value(json_array_get(row, at++));
#define X(name) ret->name = (uint64_t)json_integer_value(json_array_get(row, at++));
	HISTORY_COLUMNS(X)
#undef X
	return ret->second > 0;
}

void
history_ring_load(struct history_ring *ring, const json_t *columns, const json_t *rows)
{
	json_t *known = history_ring_columns();
	bool is_good = known != NULL && json_equal(columns, known) != 0;
	size_t count = json_array_size(known);
	for (size_t i = 0; is_good && i < json_array_size(rows); i++) {
		struct history_sample sample;
		is_good = read_row(json_array_get(rows, i), count, &sample) &&
		    (i == 0 || sample.second > last_of(ring)->second);
		if (is_good)
			history_ring_add(ring, &sample);
	}
	if (!is_good)
		ring->count = 0;
	json_decref(known);
}
