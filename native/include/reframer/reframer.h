/**
 * Reframer: hold packets for some microseconds and release them flow by flow.
 *
 * Published as "Packet Order Matters! Improving Application Performance by Deliberately Delaying
 * Packets" (NSDI'22). One `struct reframer_stage` serves one core. Push a burst, then poll: held
 * packets leave grouped, at the latest `delay_ns` plus one poll after they came.
 *
 * Promises, whatever the policy, the load and the clock do:
 *  - a packet that was accepted leaves exactly once (ACK thinning, when asked for, hands thinned
 *    packets back separately and counts them);
 *  - two packets of one flow leave in the order in which they came (TCP repair, when asked for,
 *    changes this inside one released group only);
 *  - nothing is dropped: at capacity the group that is due next is released early.
 *
 * Groups are told apart by a 32-bit hash alone. Flows that share one share a group, which keeps
 * the order of each. For the same reason the NIC hashes all packets of a flow alike. A caller passes
 * its hashes with every burst of an instance: where some bursts have them and others have not, all
 * that waits leaves at each change.
 *
 * Fragments belong to their flow: the first one carries ports, the others follow it by source,
 * destination, protocol and id (as many datagrams at once as `max_packets`). One that comes before
 * its first waits by itself and leaves when its first comes, behind what its flow has waiting from
 * before, so that datagrams are complete in the order in which they were on arrival. Two things
 * part fragments from their flow: NIC hashes, as NICs hash fragments by addresses alone (pass no
 * hashes where a flow mixes whole and fragmented packets and their order matters), and
 * reframer_pass(), which reads no headers (a datagram whose first fragment passed there is not
 * known when packets are held again).
 *
 * Thread safety: none; one instance per core, no locks. Different instances are independent.
 * Memory: everything is allocated in reframer_create(); no call on the packet path allocates,
 * locks, enters the kernel or reads a clock (the caller passes the time).
 * Errors: functions that can fail return a negative errno value; reframer_check() puts -EINVAL into
 * words. A null pointer where one is needed is refused: -EINVAL, 0 or nothing done, as the function
 * returns. Undefined are pointers to what is no such object or is freed already, and counts beyond
 * the arrays that come with them; a debug build of the library ends at counts beyond 2^24.
 *
 * Versions: see version.h. struct reframer_rule, reframer_burst, reframer_run and reframer_load
 * never change; the others grow at their end, and the inline functions below tell the library by
 * how much.
 */
#ifndef REFRAMER_REFRAMER_H
#define REFRAMER_REFRAMER_H

#include <reframer/version.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct reframer_stage;

/** When a held group is released. */
enum reframer_policy {
	/** `delay_ns` after the group's first packet came. */
	REFRAMER_FIXED = 0,
	/** Zero delay: group inside each pushed burst only; everything leaves at the next poll. */
	REFRAMER_BURST = 1,
	/** Between 0 and `delay_ns`, as the controller sees fit from queue, load and gain. */
	REFRAMER_ADAPTIVE = 2,
};

/** What packets are grouped by. */
enum reframer_key {
	/** Source, destination, ports, protocol; one direction */
	REFRAMER_KEY_5TUPLE = 0,
	/** The same for both directions of a connection */
	REFRAMER_KEY_SYMMETRIC = 1,
	/** Destination address only (routers, destination firewalls) */
	REFRAMER_KEY_DESTINATION = 2,
	/** 5-tuple inside VXLAN, Geneve, GRE, GTP-U; outer when there is none */
	REFRAMER_KEY_INNER = 3,
};

/** Packets that do not wait. A group that holds packets is released with them: no overtaking. */
enum reframer_bypass {
	REFRAMER_BYPASS_SYN = 1u << 0,
	/** Not seen recently (bounded memory, so approximate) */
	REFRAMER_BYPASS_NEW_FLOW = 1u << 1,
	REFRAMER_BYPASS_DSCP_EF = 1u << 2,
	/** L4S */
	REFRAMER_BYPASS_ECT1 = 1u << 3,
	REFRAMER_BYPASS_DNS = 1u << 4,
};

/** Packets that end the wait of their group. */
enum reframer_early {
	REFRAMER_EARLY_FIN = 1u << 0,
	REFRAMER_EARLY_RST = 1u << 1,
	REFRAMER_EARLY_PSH = 1u << 2,
};

enum reframer_option {
	/** Sort a released group's TCP data by sequence number: stable, wrap-safe, and no segment
	 * moves across one with an older timestamp (PAWS, RFC 7323). */
	REFRAMER_OPT_TCP_REPAIR = 1u << 0,
	/** Take out pure ACKs that a later pure ACK of the same group covers. */
	REFRAMER_OPT_ACK_THINNING = 1u << 1,
};

/** Why a group left; index of reframer_stats.released[]. */
enum reframer_reason {
	REFRAMER_BY_DEADLINE = 0,
	/**
	 * FIN, RST, PSH; the first fragment that others of its datagram waited for, or whose id
	 * another flow has used
	 */
	REFRAMER_BY_EARLY = 1,
	/** A packet that does not wait */
	REFRAMER_BY_BYPASS = 2,
	/** `max_burst` reached */
	REFRAMER_BY_BURST = 3,
	/** Packets, bytes or group table full */
	REFRAMER_BY_CAPACITY = 4,
	/** Drain, migration, policy change */
	REFRAMER_BY_DRAIN = 5,
	REFRAMER_NB_REASONS = 6,
};

/**
 * A rule for a latency class, first match wins, checked before the built-in classes. A field of
 * 0 (or prefix length 0) matches everything.
 */
struct reframer_rule {
	/** Network order; IPv4 in the first four bytes */
	uint8_t address[16];
	/** 0..32 or 0..128, compared with source or destination */
	uint8_t prefix_length;
	/** 4, 6 or 0 for both */
	uint8_t ip_version;
	/** IP protocol number */
	uint8_t protocol;
	/** DSCP + 1 */
	uint8_t dscp_plus_one;
	/** Host order, compared with source or destination port */
	uint16_t port_low;
	uint16_t port_high;
	/** 0 passes at once; otherwise the class's own T */
	uint64_t delay_ns;
};

/** Most rules an instance takes; each distinct delay is a FIFO of its own. */
#define REFRAMER_MAX_RULES 16

/** Longest T, of a policy or of a rule: one second. */
#define REFRAMER_MAX_DELAY_NS 1000000000ull

struct reframer_params {
	/** sizeof(struct reframer_params) of the caller, set by reframer_default_params() */
	size_t size;
	/** enum reframer_policy; default REFRAMER_FIXED */
	uint32_t policy;
	/** enum reframer_key; default REFRAMER_KEY_5TUPLE */
	uint32_t key;
	/** LINKTYPE_ number of the frames; default 1, Ethernet */
	uint32_t link_type;
	/**
	 * Packets that wait, 32..2^20; default 4096: four times 8 Mpps over 8 queues at 128 us. Those
	 * that are due and not polled yet come on top, at most as many again.
	 */
	uint32_t max_packets;
	/** Held; default 8 MiB: above that the buffers leave the last-level cache */
	uint64_t max_bytes;
	/** T; default 64000: the original's best trade (NSDI'22 data, in-chain sweep) */
	uint64_t delay_ns;
	/** Packets of a group at which it leaves; default 128, as the original ran */
	uint32_t max_burst;
	/** Bits of enum reframer_bypass; default 0 */
	uint32_t bypass;
	/** Bits of enum reframer_early; default 0 */
	uint32_t early;
	/** Bits of enum reframer_option; default 0 */
	uint32_t options;
	/** Key of the group hash; 0 draws one at create */
	uint64_t hash_seed;
	/** Copied at create; may be NULL */
	const struct reframer_rule *rules;
	/** 0..REFRAMER_MAX_RULES */
	uint32_t nb_rules;
	/**
	 * Packets, 0..128, that may be held with their header not yet read, so that the lines are on
	 * their way meanwhile; never more than an eighth of what is held, and none where a header
	 * decides whether the packet waits. Such a packet does not hold up its group. Default 32: one
	 * more burst; deeper costs more instructions than it saves in waiting.
	 */
	uint32_t lookahead;
};

/** Packets on their way in. Arrays belong to the caller and are not kept. */
struct reframer_burst {
	/** Opaque handles, handed back by poll */
	void *const *packets;
	/**
	 * First byte of each frame; must stay readable until the packet is released; may be NULL when
	 * `hash` is given and no policy needs headers
	 */
	const uint8_t *const *data;
	/** Readable bytes at data[i]; NULL together with data */
	const uint32_t *captured;
	/** Frame length on the wire; NULL: same as captured */
	const uint32_t *wire;
	/** The NIC's RSS hash, which then is the key; NULL: computed from the header */
	const uint32_t *hash;
	/** Any; bursts of 32 to 64 serve the caches best */
	uint32_t count;
};

/** Consecutive released packets of one group. */
struct reframer_run {
	/** Index into the released array */
	uint32_t first;
	uint32_t count;
	/**
	 * Group hash, the NIC's where one was given: equal keys have equal hashes; the reverse is
	 * near-certain, not certain: a function that works per run compares the key with the run's
	 * first packet
	 */
	uint32_t hash;
	/** enum reframer_reason */
	uint32_t reason;
};

/** Buckets of reframer_hold_histogram(): 16 an octave; see reframer_histogram_low_ns(). */
#define REFRAMER_HISTOGRAM_BUCKETS 512

struct reframer_stats {
	uint64_t packets_in, packets_out, packets_thinned;
	uint64_t bytes_in, bytes_out;
	/**
	 * Packets / runs is the spatial locality factor (SLF); see reframer_pass() for bursts without
	 * hashes
	 */
	uint64_t runs_in, runs_out;
	/** Groups, by reason */
	uint64_t released[REFRAMER_NB_REASONS];
	/** Packets that did not wait */
	uint64_t bypassed;
	/** Packets moved by TCP repair */
	uint64_t repaired;
	/** Packets in the group of what could not be parsed */
	uint64_t unparsed;
	/**
	 * Times that `now` was below an earlier one: it is then taken as that one, or, more than 10 ms
	 * below, as a new origin of the clock
	 */
	uint64_t clock_backwards;
	/** Everything inside, due or not; groups of packets not yet read are not known */
	uint32_t groups_held, packets_held;
	uint64_t bytes_held;
	/** Most packets that ever waited; at most max_packets */
	uint32_t packets_held_max;
	uint64_t hold_max_ns;
	/** T now in force (moves under REFRAMER_ADAPTIVE) */
	uint64_t delay_ns;
	/** Packets that were not grouped at all, because REFRAMER_ADAPTIVE gains nothing by it */
	uint64_t passed;
};

/** What the caller knows of its own load, for REFRAMER_ADAPTIVE; once a poll or less often. */
struct reframer_load {
	/** Packets waiting in the RX ring */
	uint32_t queue_length;
	uint32_t queue_capacity;
	/** Useful cycles since the last report, any unit */
	uint64_t busy_cycles;
	/** All cycles since the last report, the same unit */
	uint64_t total_cycles;
	/** Packets processed since the last report */
	uint64_t packets;
};

/** What reframer_default_params() calls: writes `size` bytes, no more. */
void reframer_params_init(struct reframer_params *params, size_t size);
/** Fills in the defaults, as far as the caller's header knows members. */
static inline void reframer_default_params(struct reframer_params *params)
{
	reframer_params_init(params, sizeof(*params));
}
/**
 * Says what is wrong with parameters: "max_packets is 5, must be 32 to 1048576".
 * @param why room for `n` bytes, 128 are enough; gets an empty string if nothing is wrong. May be
 *   NULL.
 * @return 0 or -EINVAL, as reframer_create() would.
 */
int reframer_check(const struct reframer_params *params, char *why, size_t n);
/**
 * Chooses the loops over packets by what the processor has; the environment variable REFRAMER_KERNEL
 * (avx512, avx2, scalar) keeps it from longer vectors. All give out the same.
 * @return 0, -EINVAL (see reframer_check()), -ENOMEM.
 */
int reframer_create(const struct reframer_params *params, struct reframer_stage **out);
/** Frees the instance, not the packets that it still holds: drain first. NULL is harmless. */
void reframer_free(struct reframer_stage *r);

/**
 * Takes packets in. `now_ns` is any monotonic clock in nanoseconds, read once a poll.
 * @return how many were accepted, from the front. Always all of them if the burst is no longer
 * than max_packets and every push is followed by polls until one returns less than it was given
 * room for (and thinned packets are taken). 0 if headers are needed and `data` is NULL.
 */
uint32_t reframer_push(struct reframer_stage *r, const struct reframer_burst *burst,
                       uint64_t now_ns);

/**
 * Gives out what is due. `runs` needs room for one run a packet in the worst case; a run is cut
 * where the arrays end.
 * @param out room for `nb_out`; what it holds beyond the packets given out is of no meaning, and may
 *   have changed.
 * @param runs NULL: not wanted, nb_runs is then not read.
 * @param nb_runs in: room in `runs`; out: runs written. NULL only together with `runs`.
 * @return packets written to `out`.
 */
uint32_t reframer_poll(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                       struct reframer_run *runs, uint32_t *nb_runs);
/** As reframer_poll(), deadline or not. Empty when it returns 0. */
uint32_t reframer_drain(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                        struct reframer_run *runs, uint32_t *nb_runs);
/**
 * Nonzero while REFRAMER_ADAPTIVE gains nothing by holding and nothing is held: a burst that is
 * pushed now would come out of the next poll as it went in. A caller that asks once a poll can
 * leave the stage out of that poll: it keeps the burst, calls reframer_pass() instead of
 * reframer_push() and reframer_poll(), and pays nothing a packet for a stage that does nothing.
 * Those who do not ask get the same packets in the same order, through the stage. Only where load
 * is reported, and no policy needs headers.
 */
int reframer_passes(const struct reframer_stage *r);
/**
 * Counts a burst (of any length, also 0) that the caller keeps because reframer_passes() said so in
 * this poll, and lets the controller look at the clock. `packets`, `data` and, if `wire` is given,
 * `captured` are not read. Statistics are those of a push and a poll with a hold of 0; where `hash`
 * is NULL each packet counts as a run. Without a yes of reframer_passes() before it, later packets
 * may overtake.
 */
void reframer_pass(struct reframer_stage *r, const struct reframer_burst *burst, uint64_t now_ns);
/**
 * Makes the groups with (hash & mask) == value due at the next poll: before a RETA bucket moves.
 * The hash is reframer_run.hash: for RSS buckets the instance must be fed NIC hashes, and mask is
 * the size of the table less one. @return groups.
 */
uint32_t reframer_release_bucket(struct reframer_stage *r, uint32_t mask, uint32_t value);
/** Packets taken out by ACK thinning since the last call; they are the caller's to free. */
uint32_t reframer_take_thinned(struct reframer_stage *r, void **out, uint32_t nb_out);

/** When the next held packet is due, in the clock of `now_ns`; UINT64_MAX if none is held. */
uint64_t reframer_next_deadline(const struct reframer_stage *r);
/**
 * How many packets may be received now: as many as a push is sure to accept, or none where more is
 * held than grouping needs. That is where packets are overdue by more than T, which moves with
 * REFRAMER_ADAPTIVE (while a group that found no room is ready, only with T = 0: it gives no way to what
 * is behind it); or, where load is reported, where there are more than the core handles in 2 T.
 * To be asked before packets are received, by a caller that takes out fewer packets a poll than may
 * be due: a core short of time would else keep a queue in the stage, behind the full one of the
 * ring. One that polls until less comes than it has room for need not ask. Never 0 while nothing is
 * held.
 */
uint32_t reframer_room(const struct reframer_stage *r, uint64_t now_ns);
/**
 * Changes policy and T; what is held keeps the deadline that it has or gets an earlier one.
 * @return 0 or -EINVAL.
 */
int reframer_set_policy(struct reframer_stage *r, uint32_t policy, uint64_t delay_ns);
void reframer_report_load(struct reframer_stage *r, const struct reframer_load *load);

/** What reframer_get_stats() calls: writes `size` bytes, no more. */
void reframer_stats_get(const struct reframer_stage *r, struct reframer_stats *out, size_t size);
static inline void reframer_get_stats(const struct reframer_stage *r, struct reframer_stats *out)
{
	reframer_stats_get(r, out, sizeof(*out));
}
void reframer_reset_stats(struct reframer_stage *r);
/**
 * Packets by how long they were held, since creation or reframer_reset_stats().
 * @param packets out: the first `nb_buckets` buckets, 0 in those beyond REFRAMER_HISTOGRAM_BUCKETS.
 */
void reframer_hold_histogram(const struct reframer_stage *r, uint64_t *packets,
                             uint32_t nb_buckets);
/** Lower bound in nanoseconds of a bucket of reframer_hold_histogram(). */
uint64_t reframer_histogram_low_ns(uint32_t bucket);
/** Value below which the share `q` (0..1) of the hold times in such a histogram lies. */
uint64_t reframer_hold_quantile(const uint64_t *packets, uint32_t nb_buckets, double q);

/** "major.minor.patch". */
const char *reframer_version(void);
/** Text for a negative return value. */
const char *reframer_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
