#include "proto/faults/fault_decision.h"

#include <sys/socket.h>

#include <math.h>
#include <string.h>

/* Added to the hash of a message's number, so that a choice and what follows from it
 * are independent. */
enum purpose { PURPOSE_CONNECTION = 1, PURPOSE_MESSAGE, PURPOSE_EFFECT };

#define DELAY_NS_MAX 86400e9 /* of one reply */

/* The finalizer of SplitMix64: each bit of the result depends on each bit of x. */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t
combine(uint64_t hash, uint64_t value)
{
	return mix(hash ^ mix(value));
}

uint64_t
fault_listener_seed(uint64_t seed, const char *listener)
{
	uint64_t hash = mix(seed);
	for (; *listener != '\0'; listener++)
		hash = combine(hash, (uint8_t)*listener);
	return hash;
}

uint64_t
fault_connection_seed(uint64_t listener_seed, const struct address_compact *peer)
{
	uint64_t halves[2];
	memcpy(halves, peer->bytes, sizeof(halves));
	uint64_t hash = combine(listener_seed, peer->family);
	hash = combine(hash, halves[0]);
	hash = combine(hash, halves[1]);
	return combine(hash, peer->port);
}

uint64_t
fault_random_next(struct fault_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(random->state);
}

uint64_t
fault_random_below(struct fault_random *random, uint64_t end)
{
	return fault_random_next(random) % end;
}

static uint64_t
hash_of(const struct fault *fault, uint64_t connection_seed, enum purpose purpose,
    uint64_t message)
{
	return combine(combine(combine(connection_seed, fault->id), purpose), message);
}

struct fault_random
fault_random_of(const struct fault *fault, uint64_t connection_seed, uint64_t message)
{
	return (struct fault_random){ hash_of(
	    fault, connection_seed, PURPOSE_EFFECT, message) };
}

/* The share of all hashes that are chosen. */
static bool
is_chosen(const struct fault *fault, uint64_t hash)
{
	return fault->share >= FAULT_SHARE_ALL ||
	    hash / (UINT64_MAX / FAULT_SHARE_ALL) < fault->share;
}

static bool
is_from(const struct fault *fault, const struct address_compact *peer)
{
	struct address address = { .storage.ss_family = peer->family };
	if (!fault->has_from)
		return true;
	if (peer->family == AF_INET)
		memcpy(&address.in.sin_addr, peer->bytes, 4);
	else
		memcpy(&address.in6.sin6_addr, peer->bytes, 16);
	return address_prefix_contains(&fault->from, &address);
}

bool
fault_selects_connection(const struct fault *fault, uint64_t connection_seed,
    const struct address_compact *peer)
{
	return is_from(fault, peer) &&
	    (fault->share_of_messages ||
		is_chosen(
		    fault, hash_of(fault, connection_seed, PURPOSE_CONNECTION, 0)));
}

bool
fault_selects(const struct fault *fault, const struct fault_point *point)
{
	if ((fault->at_message != 0 && point->message != fault->at_message) ||
	    (fault->every != 0 && point->message % fault->every != 0) ||
	    (fault->has_after_bytes && point->offset < fault->after_bytes) ||
	    point->age_ns < fault->from_ns || point->age_ns >= fault->to_ns)
		return false;
	if (!fault_selects_connection(fault, point->connection_seed, point->peer))
		return false;
	return !fault->share_of_messages ||
	    is_chosen(fault,
		hash_of(
		    fault, point->connection_seed, PURPOSE_MESSAGE, point->message));
}

/* From above 0 to 1. */
static double
uniform(struct fault_random *random)
{
	return ((double)(fault_random_next(random) >> 11) + 1) * 0x1p-53;
}

uint64_t
fault_delay_ns(const struct fault *fault, struct fault_random *random)
{
	const double pi = 3.14159265358979323846;
	double a = (double)fault->a_ns, b = (double)fault->b_ns, ns = a;
	double u = uniform(random);
	switch (fault->law) {
	case FAULT_LAW_CONSTANT:
	case FAULT_LAW_COUNT:
		break;
	case FAULT_LAW_UNIFORM:
		ns = a + (b - a) * u;
		break;
	case FAULT_LAW_NORMAL: /* Box and Muller */
		ns = a + b * sqrt(-2 * log(u)) * cos(2 * pi * uniform(random));
		break;
	case FAULT_LAW_EXPONENTIAL:
		ns = -a * log(u);
		break;
	case FAULT_LAW_PARETO:
		ns = a / pow(u, 1 / fault->shape);
		break;
	}
	if (!(ns > 0))
		return 0;
	return (uint64_t)(ns < DELAY_NS_MAX ? ns : DELAY_NS_MAX);
}
