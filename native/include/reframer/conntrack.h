/**
 * Connection tracking: a table from flow keys to inline state, made for bursts of packets.
 *
 * The table is a *burst table*: a key may live in two cache lines of one 4 KiB page, both known
 * from its hash. A burst call hashes all keys, asks for both lines of each, compares eight keys at
 * a time, and inserts what is missing. With 16-byte keys and 8 bytes of state a line holds two
 * whole flows; longer keys and states lie in a body of their own, which a hit asks for in a second
 * step. Calls of many keys keep 128 of them under way; a loop that has 32 at a time gets the same
 * from conntrack_submit() and conntrack_collect().
 *
 * Keys: 16 bytes (IPv4) or 40 bytes (IPv6, or both); any bytes will do, conntrack_key_ipv4() and
 * conntrack_key_ipv6() fill in the usual 5-tuple. All bytes count, padding too.
 *
 * Time: `now_ns` is any monotonic clock in nanoseconds; the table counts it in ticks. An entry
 * whose timeout has passed is never found again, whether or not it was swept out by then. Time
 * that goes backwards is taken as standing still.
 *
 * Memory: conntrack_create() reserves addresses up to `max_flows`, and the kernel gives memory as
 * the table comes to need it. A table grows where it is, by a quarter, and each insert makes the
 * next call move some twenty entries: no insert waits for a whole table. The first touch of new
 * memory is a page fault, which conntrack_prepare() takes ahead of need, from any thread. Where
 * addresses are short (RLIMIT_AS) fewer are reserved; a table that needs more then asks the kernel
 * for them in the call that moves its first page. A program that locks its memory (mlockall())
 * should set `max_flows` to what it needs: the reserve would be locked too.
 *
 * Ownership: keys and result arrays belong to the caller. State pointers that a call hands out
 * point into the table and are valid until the next call on this table that may insert, remove,
 * expire or move entries.
 *
 * Thread safety: a table belongs to one thread at a time; different tables are independent.
 *
 * Errors: functions that can fail return a negative errno value; conntrack_check() puts -EINVAL
 * into words. A null pointer where one is needed is refused: -EINVAL, 0 or nothing done, as the
 * function returns. Undefined are pointers to what is no such object or is freed already, and
 * counts beyond the arrays that come with them; a debug build of the library ends at counts beyond
 * 2^24.
 *
 * Versions: see version.h. Parameters and statistics grow at their end, and the inline functions
 * below tell the library by how much.
 */
#ifndef REFRAMER_CONNTRACK_H
#define REFRAMER_CONNTRACK_H

#include <reframer/version.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct conntrack_table;
struct conntrack_group;

#define CONNTRACK_KEY_IPV4 16
#define CONNTRACK_KEY_IPV6 40
/** Timeout classes an entry can be in; class 0 is that of new entries. */
#define CONNTRACK_NB_CLASSES 16
/** As `now_ns`: the call neither expires nor refreshes anything. */
#define CONNTRACK_NO_TIME UINT64_MAX

enum conntrack_flag {
	/** Never grow beyond `initial_flows`; a table that is full evicts or refuses. */
	CONNTRACK_FIXED_SIZE = 1u << 0,
	/**
	 * Callers hand in the NIC's RSS hash of each key, always the same one for the same key. It
	 * places entries (so a bucket can be prefetched before the packet is parsed) and, by its low
	 * bits, chooses the group. A secret seed orders keys inside a page, and places those whose page
	 * is full, so colliding NIC hashes do not chain. Finding such keys costs about twice what spread
	 * ones cost, more with over four such hashes. Early eviction takes them first in a full table.
	 * Of such keys one in about two million finds its two lines full of keys with the same two
	 * lines, and no third place: an entry of its page is then evicted, or the key refused, although
	 * the table has room.
	 */
	CONNTRACK_NIC_HASH = 1u << 1,
	/**
	 * One entry for both directions: the calls put the smaller (address, port) of each key first
	 * themselves, as conntrack_key_symmetric() does, and tell which direction each packet had. With
	 * CONNTRACK_NIC_HASH the NIC must hash symmetrically too.
	 */
	CONNTRACK_SYMMETRIC = 1u << 2,
	/** No early eviction: where there is no room the insert is refused. */
	CONNTRACK_NO_EVICTION = 1u << 3,
};

/** Why an entry left; argument of the removal callback. */
enum conntrack_reason {
	/** conntrack_remove() */
	CONNTRACK_REMOVED = 0,
	/** Its timeout passed */
	CONNTRACK_EXPIRED = 1,
	/** Unprotected, and its place was needed */
	CONNTRACK_EVICTED = 2,
};

typedef void (*conntrack_removed_fn)(void *context, const void *key, void *state, int reason);
typedef void (*conntrack_visit_fn)(void *context, const void *key, void *state, int timeout_class);

struct conntrack_params {
	/** sizeof(struct conntrack_params) of the caller, set by conntrack_default_params() */
	size_t size;
	/** CONNTRACK_KEY_IPV4 (default) or CONNTRACK_KEY_IPV6, bytes */
	uint32_t key_size;
	/**
	 * 8..512 bytes, a multiple of 8; default 8; zeroed at insert. States of 64, 128, ... bytes lie in
	 * whole cache lines where keys have 16 bytes and no NIC hash places them. A shared table takes up
	 * to 64.
	 */
	uint32_t state_size;
	/** Room at create, 64..2^26; default 65536 */
	uint64_t initial_flows;
	/**
	 * Entries a slot at which `initial_flows` are met, 25..95; default 70: 52 bytes a flow with 8
	 * bytes of state in a table of one thread. A shared table of CONNTRACK_FIXED_SIZE takes 25..75:
	 * fuller, it would refuse single inserts before that.
	 */
	uint32_t load_percent;
	/** Most entries, initial_flows..2^26; default 2^24 */
	uint64_t max_flows;
	/**
	 * Power of two, 1..4096, default 1; above 1 needs CONNTRACK_NIC_HASH: as many as the RETA has
	 * entries makes each entry's flows one movable group
	 */
	uint32_t nb_groups;
	/** Bits of enum conntrack_flag; default 0 */
	uint32_t flags;
	/**
	 * Resolution of timeouts, 1000..10^10 ns; default 10 ms: a packet refreshes its entry at most
	 * once a tick
	 */
	uint64_t tick_ns;
	/**
	 * Per class, 0 = never; rounded up to ticks; default: the 5 s of the paper's expiry experiments
	 * for all
	 */
	uint64_t timeout_ns[CONNTRACK_NB_CLASSES];
	/** Bit c: entries of class c are never evicted early; default 0 */
	uint16_t protected_classes;
	/** Key of the hash; 0 (default) draws one */
	uint64_t seed;
	/**
	 * Called for every entry that leaves, before its memory is reused; may be NULL; must not call
	 * into the table
	 */
	conntrack_removed_fn on_removed;
	/** Of on_removed */
	void *context;
};

struct conntrack_stats {
	/** Entries now, dead ones that nobody has noticed yet included */
	uint64_t flows;
	/**
	 * Entries that would fit now; of a table of one thread eight of nine cells, since hardly more
	 * can be filled
	 */
	uint64_t slots;
	/** Memory of the table */
	uint64_t bytes;
	uint64_t inserted, removed, expired, evicted;
	/** Inserts without room */
	uint64_t refused;
	/** Keys of groups that are detached */
	uint64_t not_owned;
	/** Entries in neither of their two lines; of a shared table: not in their home bucket */
	uint64_t away;
	/** The same; of a shared table 0 */
	uint64_t spilled;
	/** Entries that growth moved so far */
	uint64_t moved;
	/** Groups that are growing now */
	uint32_t growing;
};

/** Bits of the per-key result flags. */
enum conntrack_result {
	/** Inserted by this call */
	CONNTRACK_NEW = 1u << 0,
	/** CONNTRACK_SYMMETRIC: against the direction of the packet that created the entry */
	CONNTRACK_REPLY = 1u << 1,
};

/** What conntrack_default_params() calls: writes `size` bytes, no more. */
void conntrack_params_init(struct conntrack_params *params, size_t size);
/** Fills in the defaults, as far as the caller's header knows members. */
static inline void conntrack_default_params(struct conntrack_params *params)
{
	conntrack_params_init(params, sizeof(*params));
}
/**
 * Says what is wrong with parameters: "key_size is 20, must be 16 or 40".
 * @param why room for `n` bytes, 128 are enough; gets an empty string if nothing is wrong. May be
 *   NULL.
 * @return 0 or -EINVAL, as conntrack_create() would.
 */
int conntrack_check(const struct conntrack_params *params, char *why, size_t n);
/** @return 0, -EINVAL (see conntrack_check()), -ENOMEM. */
int conntrack_create(const struct conntrack_params *params, struct conntrack_table **out);
/** Frees the table without calling on_removed. NULL is harmless. */
void conntrack_free(struct conntrack_table *t);

/** As the table was created. */
uint32_t conntrack_key_size(const struct conntrack_table *t);
/** As the table was created: bits of enum conntrack_flag. */
uint32_t conntrack_flags(const struct conntrack_table *t);

/** Writes the 16-byte key of an IPv4 5-tuple; addresses and ports in network order. */
void conntrack_key_ipv4(void *key, const uint8_t source[4], const uint8_t destination[4],
                        uint16_t source_port, uint16_t destination_port, uint8_t protocol);
/** Writes the 40-byte key of an IPv6 5-tuple. IPv4 goes in as ::ffff:a.b.c.d. */
void conntrack_key_ipv6(void *key, const uint8_t source[16], const uint8_t destination[16],
                        uint16_t source_port, uint16_t destination_port, uint8_t protocol);
/**
 * Makes a key the same for both directions: puts the smaller (address, port) first.
 * @return 1 if it swapped, 0 if not, -EINVAL for a key size that is neither 16 nor 40.
 */
int conntrack_key_symmetric(void *key, uint32_t key_size);

/**
 * Computes what the table wants to know of each key, and prefetches the keys' first lines.
 * A digest stays valid for the life of the table (growth included) and may be handed to any call
 * that takes digests; computing it some bursts ahead is what hides memory latency.
 * @param nic_hashes needed with CONNTRACK_NIC_HASH, else NULL.
 */
void conntrack_digest_burst(struct conntrack_table *t, const void *keys, const uint32_t *nic_hashes,
                            uint32_t count, uint64_t *digests);
/**
 * Prefetches the pages that NIC hashes lead to, before any packet was parsed. Which lines of the
 * page it will be the key tells; the walk to the page is the dear part. CONNTRACK_NIC_HASH only.
 */
void conntrack_prefetch_hashes(struct conntrack_table *t, const uint32_t *nic_hashes,
                               uint32_t count);
/**
 * Second step of look-ahead, for tables whose lines do not hold all (40-byte keys, states of more
 * than 8 bytes): prefetches the bodies of what may be the keys' entries. Nothing for others.
 */
void conntrack_prefetch_burst(struct conntrack_table *t, const uint64_t *digests, uint32_t count);

/**
 * Looks `count` keys up and refreshes those that it finds.
 * @param keys `count` keys, one behind the other.
 * @param digests of these keys; NULL: computed here (finds nothing with CONNTRACK_NIC_HASH, whose
 *   places come from elsewhere).
 * @param states out: pointer to each key's state, NULL where it is not there.
 * @return keys found.
 */
uint32_t conntrack_find_burst(struct conntrack_table *t, const void *keys, const uint64_t *digests,
                              uint32_t count, uint64_t now_ns, void **states);
/**
 * As conntrack_find_burst(), and inserts what is missing; in order, so a key may repeat.
 * @param results out: bits of enum conntrack_result for each key; may be NULL.
 * @return keys that have an entry now; for the others states[i] is NULL (no room, or not owned).
 */
uint32_t conntrack_find_or_insert_burst(struct conntrack_table *t, const void *keys,
                                        const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                        void **states, uint8_t *results);
/** @return keys removed; on_removed is called for each. */
uint32_t conntrack_remove_burst(struct conntrack_table *t, const void *keys,
                                const uint64_t *digests, uint32_t count, uint64_t now_ns);

/**
 * Look-ahead of one burst: submit burst k + 1, then collect burst k and work on it, while the
 * memory of k + 1 is on its way. Up to four bursts may be submitted and not collected, of up to 256
 * keys each.
 * @param keys must stay as they are until they are collected.
 * @param nic_hashes needed with CONNTRACK_NIC_HASH, else NULL; not kept.
 * @return 0, -EINVAL (more keys, or no NIC hashes where they are needed), -ENOBUFS (four are
 *   waiting).
 */
int conntrack_submit(struct conntrack_table *t, const void *keys, const uint32_t *nic_hashes,
                     uint32_t count);
/**
 * conntrack_find_or_insert_burst() for the burst submitted first.
 * @param states,results room for as many keys as that burst has.
 * @return what that returns; -EAGAIN: no burst is waiting; -EINVAL: no table, or no states.
 */
int conntrack_collect(struct conntrack_table *t, uint64_t now_ns, void **states, uint8_t *results);
/** As conntrack_collect(), by conntrack_find_burst(). */
int conntrack_collect_found(struct conntrack_table *t, uint64_t now_ns, void **states);

/** One key; `digest` may be NULL unless CONNTRACK_NIC_HASH. @return the state or NULL. */
void *conntrack_find(struct conntrack_table *t, const void *key, const uint64_t *digest,
                     uint64_t now_ns);
/** @param is_new out: 1 if inserted; may be NULL. @return the state, NULL if there is no room. */
void *conntrack_find_or_insert(struct conntrack_table *t, const void *key, const uint64_t *digest,
                               uint64_t now_ns, int *is_new);
/** @return 0, -ENOENT. */
int conntrack_remove(struct conntrack_table *t, const void *key, const uint64_t *digest,
                     uint64_t now_ns);

/**
 * Of an entry that `key` was just found by: the packet's direction, as CONNTRACK_REPLY.
 * @param key as the packet has it, not turned round.
 * @return 1 if it goes against the direction of the packet that created the entry, else 0;
 *   -ENOTSUP without CONNTRACK_SYMMETRIC.
 */
int conntrack_is_reply(const struct conntrack_table *t, const void *key, const void *state);

/**
 * Puts the entry whose state this is into a timeout class, as from a packet at `now_ns`.
 * `state` comes from the last call on this table; a time more than 16383 ticks after that call
 * counts as 16383 ticks.
 * @return 0, -EINVAL for a class out of range.
 */
int conntrack_set_class(struct conntrack_table *t, void *state, uint32_t timeout_class,
                        uint64_t now_ns);

/**
 * Sweeps out dead entries: looks at `nb_buckets` buckets (8 lines of 2 entries each) from where it
 * stopped last time. Also moves entries of growing groups. Call it once a poll; see
 * conntrack_sweep_budget(). @return entries expired.
 */
uint32_t conntrack_expire(struct conntrack_table *t, uint64_t now_ns, uint32_t nb_buckets);
/** Buckets a call so that calls every `interval_ns` look at each bucket once a `period_ns`. */
uint32_t conntrack_sweep_budget(const struct conntrack_table *t, uint64_t interval_ns,
                                uint64_t period_ns);

/** Calls `visit` for each live entry; it must not call into the table. @return entries visited. */
uint64_t conntrack_iterate(struct conntrack_table *t, uint64_t now_ns, conntrack_visit_fn visit,
                           void *context);
/**
 * Columns, for callers that cannot follow pointers into the table (other languages). `states` as a
 * burst call of this table filled it, still valid; `out` and `in` hold `count` states of state_size
 * bytes one behind the other. Loading writes zeros where states[i] is NULL, storing skips them.
 */
void conntrack_load_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                           void *out);
void conntrack_store_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                            const void *in);
/**
 * Adds to an unsigned number in each state: packets, bytes. A flow that has several packets in a
 * burst gets all of them, where loading and storing copies would lose all but one.
 * @param offset of the number, a multiple of its size. @param bytes its size: 4 or 8.
 * @param amounts one a state, or NULL: `amount` to each.
 * @return 0 or -EINVAL.
 */
int conntrack_add_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                         uint32_t offset, uint32_t bytes, const uint32_t *amounts, uint32_t amount);
/**
 * Copies up to `room` live entries out, one behind the other; conntrack_get_stats() tells how many
 * there are at most. @return entries copied.
 */
uint64_t conntrack_snapshot(struct conntrack_table *t, uint64_t now_ns, uint64_t room, void *keys,
                            void *states, uint8_t *classes);
/** Room that conntrack_snapshot_next() asks for at least: what lies in a page. */
#define CONNTRACK_SNAPSHOT_ROOM 128
/**
 * The same a piece at a time, for tables of millions of flows. Between the calls of one pass nothing
 * may change the table, and `now_ns` stays the same; conntrack_store_states() may be called.
 * @param cursor where the pass stands: 0 at its beginning, then as the call before left it.
 * @param room CONNTRACK_SNAPSHOT_ROOM at least.
 * @return entries copied; 0 at the end, and for too little room.
 */
uint64_t conntrack_snapshot_next(struct conntrack_table *t, uint64_t now_ns, uint64_t *cursor,
                                 uint64_t room, void *keys, void *states, uint8_t *classes);
/**
 * Asks the kernel for the memory of the next two steps of growth, for colliding hashes too. Any
 * thread may call it while another uses the table, if no group is attached, detached or freed
 * meanwhile; then no insert meets a page fault. @return 0, -ENOMEM, -ENOTSUP (nothing can grow).
 */
int conntrack_prepare(struct conntrack_table *t);
/** What conntrack_get_stats() calls: writes `size` bytes, no more. */
void conntrack_stats_get(const struct conntrack_table *t, struct conntrack_stats *out, size_t size);
static inline void conntrack_get_stats(const struct conntrack_table *t, struct conntrack_stats *out)
{
	conntrack_stats_get(t, out, sizeof(*out));
}

/**
 * Migration: takes a group (all flows whose NIC hash ends in `group`) out of a table, in constant
 * time and without touching a flow. Until a group is attached in its place, its keys are found
 * nowhere and counted in not_owned. Hand the pointer to the other thread with release/acquire.
 * @return the group, NULL if it is detached already or out of range.
 */
struct conntrack_group *conntrack_detach_group(struct conntrack_table *t, uint32_t group,
                                               uint64_t now_ns);
/**
 * Puts a detached group into a table that was created with equal parameters and an equal,
 * non-zero seed. Timeouts go on counting.
 * @return 0, -EEXIST (the place is taken), -EINVAL (other parameters or another group number).
 */
int conntrack_attach_group(struct conntrack_table *t, struct conntrack_group *group,
                           uint64_t now_ns);
/** Frees a group that is not to be attached anywhere. NULL is harmless. */
void conntrack_free_group(struct conntrack_group *group);

#ifdef __cplusplus
}
#endif
#endif
