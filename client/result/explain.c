#include "client/result/explain.h"

#include <stdlib.h>
#include <string.h>

#include "client/measure/findings.h"

/* A damage may be placed some bytes before the first wrong one, where both explain what
 * was received (client/verify/damage.h). */
#define PLACE_SLACK 8

/* Input of the comparison with the findings. */
struct work {
	const struct explain_args *args;
	struct explain_list *list;
	uint64_t longest; /* bytes of a reply with a fault */
};

/* True if the fault changes which bytes of a reply arrive. */
static bool
changes_reply(const struct explain_fault *fault)
{
	return fault_kinds[fault->kind].scope == FAULT_SCOPE_REPLY &&
	    fault->kind != FAULT_DELAY;
}

/* Changes when bytes arrive, and not which. */
static bool
is_timing(const struct explain_fault *fault)
{
	return fault->kind == FAULT_DELAY || fault->kind == FAULT_TRICKLE ||
	    fault->kind == FAULT_STALL || fault->kind == FAULT_NEVER_ACCEPT ||
	    fault->kind == FAULT_BACKLOG;
}

static uint64_t
add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* True if the fault can have happened to this connection of its client: another one may
 * have had the same port before or after it. */
static bool
is_in_time(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	uint64_t slack_ns = work->list->slack_ns;
	uint64_t since_ns =
	    fault->connected_ns != 0 ? fault->connected_ns : fault->time_ns;
	return fault->time_ns == 0 ||
	    (fault->time_ns <= add(finding->at_ns, slack_ns) &&
		add(since_ns, slack_ns) >= finding->connected_ns);
}

/* True if it was in effect when the client gave up: from its time on, for its value. */
static bool
is_in_effect(
    const struct work *work, const struct explain_fault *fault, uint64_t from_ns)
{
	return fault->time_ns == 0 ||
	    add(add(fault->time_ns, fault->value), work->list->slack_ns) >= from_ns;
}

/* The fault changes bytes of the answers that the finding concerns. */
static bool
overlaps(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	if (add(fault->offset, fault->length) < finding->offset ||
	    fault->offset > add(finding->end, PLACE_SLACK))
		return false;
	if (!work->args->has_boundaries)
		return true;
	/* The faults count messages from 1. A reordered reply is followed by another.
	 * A damage may end where the faults of the next reply begin: then it is theirs,
	 * too. */
	uint64_t last = fault->message;
	if (fault->kind == FAULT_REORDER)
		last = add(last, fault->value);
	return fault->message <= add(finding->last_message, 2) &&
	    last >= finding->message;
}

/* The end of a connection, behind the last byte received. */
static bool
is_behind(const struct explain_fault *fault, const struct finding *finding)
{
	return fault->offset + PLACE_SLACK >= finding->offset &&
	    fault->offset <= finding->end;
}

/* May leave out bytes of replies. */
static bool
leaves_out(const struct explain_fault *fault)
{
	return fault->kind == FAULT_TRUNCATE || fault->kind == FAULT_DROP ||
	    fault->kind == FAULT_SWAP || fault->kind == FAULT_REORDER;
}

/* May add bytes to replies. */
static bool
adds(const struct explain_fault *fault)
{
	return fault->kind == FAULT_INSERT || fault->kind == FAULT_DUPLICATE ||
	    fault->kind == FAULT_SWAP || fault->kind == FAULT_REORDER;
}

/* Holds up the connection from its time on. */
static bool
holds_up(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	switch (fault->kind) {
	case FAULT_STALL:
		return is_in_effect(
		    work, fault, finding->at_ns - finding->waited_ns / 10);
	case FAULT_TRICKLE:
	case FAULT_NEVER_READ:
		return fault->offset <= finding->end;
	default:
		return false;
	}
}

/* True if a fault of the listener holds up the finding's connection. */
static bool
holds_up_listener(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	bool has_received = finding->offset > 0;
	switch (fault->kind) {
	case FAULT_STALL:
		return is_in_effect(
		    work, fault, finding->at_ns - finding->waited_ns / 10);
	case FAULT_NEVER_ACCEPT:
		return !has_received &&
		    is_in_effect(work, fault, finding->connected_ns);
	case FAULT_BACKLOG:
		return !has_received;
	default:
		return false;
	}
}

static bool
explains_loss(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	switch ((enum finding_kind)finding->kind) {
	case FINDING_DAMAGE:
		return changes_reply(fault) && overlaps(work, fault, finding);
	case FINDING_TIMEOUT:
		return holds_up(work, fault, finding) ||
		    (leaves_out(fault) && overlaps(work, fault, finding));
	case FINDING_CLOSED:
		return holds_up(work, fault, finding) ||
		    ((fault->kind == FAULT_CLOSE || fault->kind == FAULT_HALF_CLOSE) &&
			is_behind(fault, finding)) ||
		    (leaves_out(fault) && overlaps(work, fault, finding));
	case FINDING_RESET:
		return holds_up(work, fault, finding) ||
		    (fault->kind == FAULT_REFUSE && finding->offset == 0) ||
		    ((fault->kind == FAULT_RESET || fault->kind == FAULT_CLOSE) &&
			is_behind(fault, finding));
	case FINDING_CONNECT_RESET:
		return fault->kind == FAULT_REFUSE;
	case FINDING_CONNECT_TIMEOUT:
		break;
	}
	return false;
}

/* Delays of the first outstanding reply that add up to the time for which it was
 * awaited, but for a tenth that may be the host's. Marks them. */
static bool
mark_delays(const struct work *work, const struct finding *finding, size_t first)
{
	struct explain_fault *faults = work->list->faults;
	uint64_t sum_ns = 0;
	size_t i;
	for (int is_marking = 0; is_marking < 2; is_marking++) {
		for (i = first; i < work->list->count &&
		     explain_compare_clients(&faults[i].client, &finding->announced) ==
			 0;
		     i++) {
			bool is_there = work->args->has_boundaries
			    ? faults[i].message == finding->message + 1
			    : overlaps(work, &faults[i], finding);
			if (faults[i].kind != FAULT_DELAY || !is_there ||
			    !is_in_time(work, &faults[i], finding))
				continue;
			if (is_marking)
				faults[i].is_seen = true;
			else
				sum_ns = add(sum_ns, faults[i].value);
		}
		if (sum_ns < finding->waited_ns / 10 * 9 || sum_ns == 0)
			return false;
	}
	return true;
}

/* Whether these faults together can have left out, or added, bytes as was found. */
struct effect {
	bool leaves_out, adds;
};

static bool
is_possible(const struct effect *effect, const struct finding *finding)
{
	if (finding->kind != FINDING_DAMAGE)
		return true;
	return (finding->missing_bytes <= finding->extra_bytes || effect->leaves_out) &&
	    (finding->extra_bytes <= finding->missing_bytes || effect->adds);
}

/* Bytes that the fault adds after a reply may begin like the next one: a damage of that
 * one, by another fault, is then found some bytes later than they came. */
static bool
reaches(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	struct explain_fault longer = *fault;
	longer.length = add(longer.length, longer.length);
	return adds(fault) && overlaps(work, &longer, finding);
}

/* The faults of `client` from `first` on that explain the finding, each by itself;
 * with those that contribute to it, marks them. Returns the number of the former;
 * *ret_effect: what they can do together. */
static size_t
match(const struct work *work, const struct finding *finding,
    const struct address_compact *client, size_t first, bool is_marking,
    struct effect *ret_effect)
{
	struct explain_list *list = work->list;
	bool is_damage = finding->kind == FINDING_DAMAGE;
	size_t found = 0;
	*ret_effect = (struct effect){ false, false };
	for (size_t i = first; i < list->count; i++) {
		struct explain_fault *fault = &list->faults[i];
		if (explain_compare_clients(&fault->client, client) != 0 ||
		    (is_damage && fault->offset > add(finding->end, PLACE_SLACK)))
			break;
		bool is_one = explains_loss(work, fault, finding);
		if (!is_in_time(work, fault, finding) ||
		    (!is_one && !(is_damage && reaches(work, fault, finding))))
			continue;
		found += is_one;
		ret_effect->leaves_out = ret_effect->leaves_out || leaves_out(fault);
		ret_effect->adds = ret_effect->adds || adds(fault);
		if (is_marking)
			fault->is_seen = true;
	}
	return found;
}

/* Marks the faults of this client that explain the finding. True if there is one. */
static bool
mark_own(const struct work *work, const struct finding *finding)
{
	/* A fault that holds up a connection may have begun long before. */
	uint64_t reach = finding->kind == FINDING_DAMAGE
	    ? 2 * work->longest + PLACE_SLACK
	    : finding->offset;
	uint64_t from = finding->offset > reach ? finding->offset - reach : 0;
	const struct address_compact *client = &finding->announced;
	size_t first = explain_list_find(work->list, client, from);
	struct effect effect;
	if (finding->announced.family == 0)
		return false;
	if (match(work, finding, client, first, false, &effect) > 0 &&
	    is_possible(&effect, finding)) {
		(void)match(work, finding, client, first, true, &effect);
		return true;
	}
	return finding->kind == FINDING_TIMEOUT && mark_delays(work, finding, first);
}

/* Bytes that came in addition to those that were expected. */
static int64_t
surplus_of(const struct finding *finding)
{
	if (finding->kind == FINDING_DAMAGE)
		return (int64_t)(finding->extra_bytes - finding->missing_bytes);
	return finding->kind == FINDING_TIMEOUT && finding->end != FINDING_NO_END
	    ? (int64_t)(finding->offset - finding->end)
	    : 0;
}

/* True for a fault of this connection on a whole reply that is not seen yet: whether
 * the reply came twice or not at all is not seen at its place if the next one is the
 * same. */
static bool
is_shift(const struct work *work, const struct explain_fault *fault,
    const struct finding *finding)
{
	return (fault->kind == FAULT_DUPLICATE || fault->kind == FAULT_DROP) &&
	    !fault->is_seen && is_in_time(work, fault, finding);
}

/* Where replies are alike, the client finds at the end that there were more or fewer.
 * Marks the faults if they account for each byte. */
static bool
mark_shifts(const struct work *work, const struct finding *finding)
{
	struct explain_list *list = work->list;
	const struct address_compact *client = &finding->announced;
	size_t first = explain_list_find(list, client, 0), end;
	int64_t sum = 0, surplus = surplus_of(finding);
	for (end = first; end < list->count &&
	     explain_compare_clients(&list->faults[end].client, client) == 0;
	     end++) {
		const struct explain_fault *fault = &list->faults[end];
		int64_t length = (int64_t)fault->length;
		if (is_shift(work, fault, finding))
			sum += fault->kind == FAULT_DUPLICATE ? length : -length;
	}
	if (surplus == 0 || sum != surplus || client->family == 0)
		return false;
	for (size_t i = first; i < end; i++) {
		if (is_shift(work, &list->faults[i], finding))
			list->faults[i].is_seen = true;
	}
	return true;
}

/* A connection is refused before the server has read which client its header announces.
 */
static bool
mark_refused(const struct work *work, const struct finding *finding)
{
	struct explain_list *list = work->list;
	bool is_explained = false;
	if (finding->kind != FINDING_RESET && finding->kind != FINDING_CONNECT_RESET)
		return false;
	for (size_t i = explain_list_find(list, &finding->local, 0); i < list->count &&
	     explain_compare_clients(&list->faults[i].client, &finding->local) == 0;
	     i++) {
		struct explain_fault *fault = &list->faults[i];
		if (fault->kind != FAULT_REFUSE || !is_in_time(work, fault, finding) ||
		    !explains_loss(work, fault, finding))
			continue;
		fault->is_seen = true;
		is_explained = true;
	}
	return is_explained;
}

/* Marks the faults of listeners that explain it. True if there is one. */
static bool
mark_listeners(const struct work *work, const struct finding *finding)
{
	const struct address_compact none = { .family = 0 };
	struct explain_list *list = work->list;
	bool is_explained = false;
	if (finding->kind != FINDING_TIMEOUT &&
	    finding->kind != FINDING_CONNECT_TIMEOUT)
		return false;
	for (size_t i = explain_list_find(list, &none, 0);
	     i < list->count && list->faults[i].client.family == 0; i++) {
		struct explain_fault *fault = &list->faults[i];
		if (fault->time_ns > add(finding->at_ns, list->slack_ns) ||
		    !holds_up_listener(work, fault, finding))
			continue;
		fault->is_seen = true;
		is_explained = true;
	}
	return is_explained;
}

/* True if another fault of the same bytes explains a finding. */
static bool
is_hidden(const struct work *work, const struct explain_fault *own)
{
	const struct explain_list *list = work->list;
	uint64_t from = own->offset > work->longest ? own->offset - work->longest : 0;
	for (size_t i = explain_list_find(list, &own->client, from); i < list->count;
	     i++) {
		const struct explain_fault *other = &list->faults[i];
		if (explain_compare_clients(&other->client, &own->client) != 0 ||
		    other->offset > add(own->offset, own->length))
			return false;
		if (other->is_seen && other->connected_ns == own->connected_ns &&
		    add(other->offset, other->length) >= own->offset)
			return true;
	}
	return false;
}

static int
compare_findings(const void *a, const void *b)
{
	const struct finding *const *one = a, *const *other = b;
	return explain_compare_clients(&(*one)->announced, &(*other)->announced);
}

/* The lost connections, by client; heap. */
static const struct finding **
sort_losses(const struct explain_args *args, size_t *ret_count)
{
	const struct finding **losses =
	    calloc(args->finding_count + 1, sizeof(*losses));
	*ret_count = 0;
	for (size_t i = 0; losses != NULL && i < args->finding_count; i++) {
		if (args->findings[i].kind != FINDING_DAMAGE)
			losses[(*ret_count)++] = &args->findings[i];
	}
	if (*ret_count > 0)
		qsort(losses, *ret_count, sizeof(*losses), compare_findings);
	return losses;
}

/* True if the connection of the fault was lost. */
static bool
is_lost(const struct work *work, const struct explain_fault *fault,
    const struct finding *const *losses, size_t count)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (explain_compare_clients(
			&losses[middle]->announced, &fault->client) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count &&
	     explain_compare_clients(&losses[low]->announced, &fault->client) == 0;
	     low++) {
		uint64_t since_ns =
		    fault->connected_ns != 0 ? fault->connected_ns : fault->time_ns;
		if (add(since_ns, work->list->slack_ns) >= losses[low]->connected_ns &&
		    since_ns <= add(losses[low]->at_ns, work->list->slack_ns))
			return true;
	}
	return false;
}

static void
count_faults(const struct work *work, struct explained_faults *ret)
{
	const struct explain_list *list = work->list;
	size_t loss_count;
	const struct finding **losses = sort_losses(work->args, &loss_count);
	for (size_t i = 0; i < list->count; i++) {
		const struct explain_fault *fault = &list->faults[i];
		if (fault->is_seen) {
			ret->seen++;
		} else if (is_timing(fault)) {
			ret->timing++;
		} else {
			ret->unseen++;
			if (is_hidden(work, fault))
				ret->unseen_hidden++;
			else if (is_lost(work, fault, losses, loss_count))
				ret->unseen_lost++;
		}
	}
	free(losses);
}

/* True if most faults hit clients that are none of ours. */
static bool
is_translated(const struct work *work)
{
	const struct explain_list *list = work->list;
	uint64_t own = 0, all = 0;
	if (work->args->clients == NULL)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		const struct address_compact *client = &list->faults[i].client;
		all += client->family != 0;
		own += client->family != 0 &&
		    findings_has_client(work->args->clients, client);
	}
	/* A proxy on this host may use a port that was one of ours, by chance. */
	return own * 4 * (work->args->ranks > 0 ? work->args->ranks : 1) < all;
}

void
explain_findings(const struct explain_args *args, struct explain_list *list,
    struct explained_faults *ret, struct explain_named *ret_named)
{
	struct work work = { .args = args, .list = list };
	struct explain_named named = { .count = 0 };
	struct explained_faults out = { .injected = list->count + list->missing,
		.recorded = list->count,
		.findings = args->finding_count + args->findings_missed,
		.unjudged = args->findings_missed };
	explain_list_sort(list);
	for (size_t i = 0; i < list->count; i++) {
		if (list->faults[i].length > work.longest)
			work.longest = list->faults[i].length;
	}
	out.translated = is_translated(&work);
	for (size_t i = 0; i < args->finding_count; i++) {
		const struct finding *finding = &args->findings[i];
		bool is_own = mark_own(&work, finding) || mark_refused(&work, finding);
		if (mark_listeners(&work, finding) || is_own ||
		    mark_shifts(&work, finding))
			out.explained++;
		else if (list->missing > 0 || list->is_incomplete || out.translated)
			out.unjudged++;
		else if (++out.unexplained <= EXPLAIN_NAMED_MAX)
			named.list[named.count++] = finding;
	}
	count_faults(&work, &out);
	*ret = out;
	*ret_named = named;
}
