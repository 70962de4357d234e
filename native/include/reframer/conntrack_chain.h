/**
 * Chains of stateful functions on one flow table: each function declares how many bytes it keeps of
 * a flow, one entry of the table (a *flow block*) holds them all, and a packet is looked up once for
 * the whole chain. Packets of one flow that follow each other are a run; each function is called
 * once a run.
 *
 *     conntrack_chain_create(&params, &chain);
 *     conntrack_chain_add(chain, sizeof(struct count), count_packets, NULL, NULL);
 *     conntrack_chain_add(chain, sizeof(struct nat), translate, give_back, &pool);
 *     conntrack_chain_start(chain);
 *     for (;;) {
 *         n = rx(packets), keys of them
 *         conntrack_chain_submit(chain, keys, NULL, packets, n, now);
 *         n = conntrack_chain_process(chain, now, out, verdicts);   // the burst before, or this one
 *     }
 *
 * Look-ahead: where two bursts are submitted before the first is processed, a burst's memory is on
 * its way while the program reads the headers of the next. A burst that is processed at once waits
 * for it.
 *
 * Ownership: keys and packets are copied (the pointers; packets themselves are never looked at), so
 * arrays may be used again at once. Slices and keys that functions are given are valid during the
 * call. Thread safety: a chain belongs to one thread at a time; different chains are independent.
 * Errors: negative errno values. A null pointer where one is needed: -EINVAL.
 */
#ifndef REFRAMER_CONNTRACK_CHAIN_H
#define REFRAMER_CONNTRACK_CHAIN_H

#include <reframer/conntrack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct conntrack_chain;

/** Functions of a chain at most. */
#define CONNTRACK_CHAIN_FUNCTIONS 16
/** Packets of a burst at most, and bursts that may wait. */
#define CONNTRACK_CHAIN_BURST 256
#define CONNTRACK_CHAIN_WAITING 2

/** Verdict of a packet: 0, or what a function wrote instead; the two below are the chain's. */
#define CONNTRACK_CHAIN_PASS 0
/** No room for another flow */
#define CONNTRACK_CHAIN_NO_ROOM 255

/** Packets of one flow that came in a row. */
struct conntrack_run {
	/** As it was submitted; with CONNTRACK_SYMMETRIC of the run's first packet */
	const void *key;
	/** `count` handles */
	void *const *packets;
	/**
	 * One a packet, to be changed by functions. Packets whose verdict is not CONNTRACK_CHAIN_PASS were
	 * dropped by a function before; a run of which none is left goes to no further function.
	 */
	uint8_t *verdicts;
	uint32_t count;
	/** Bits of enum conntrack_result */
	uint32_t flags;
	/** When the burst was submitted */
	uint64_t now_ns;
};

/** @param slice of the function's size, zero in a new flow; must not call into the chain. */
typedef void (*conntrack_chain_fn)(void *context, const struct conntrack_run *run, void *slice);
/** The flow's block leaves. @param reason of enum conntrack_reason. Must not call into the chain. */
typedef void (*conntrack_chain_ended_fn)(void *context, const void *key, void *slice, int reason);

/**
 * @param params of the flow table. state_size, on_removed and context are the chain's own business
 *   and not looked at.
 * @return 0, -EINVAL, -ENOMEM.
 */
int conntrack_chain_create(const struct conntrack_params *params, struct conntrack_chain **out);
/** NULL is harmless. Nobody is told of the flows that are left. */
void conntrack_chain_free(struct conntrack_chain *chain);

/**
 * Adds a function behind those that are there.
 * @param state_bytes 0..512 bytes of a flow's block; slices begin at multiples of 8.
 * @param ended may be NULL.
 * @return its number from 0 on; -EINVAL, -ENOSPC (too many functions, or more than 512 bytes in all),
 *   -EBUSY (the chain has started).
 */
int conntrack_chain_add(struct conntrack_chain *chain, uint32_t state_bytes, conntrack_chain_fn fn,
                        conntrack_chain_ended_fn ended, void *context);
/** Makes the table. @return 0, -EINVAL (see conntrack_check()), -ENOMEM, -EBUSY (started already). */
int conntrack_chain_start(struct conntrack_chain *chain);

/**
 * Takes a burst: `count` packets and their keys, key_size bytes each, one behind the other.
 * @param nic_hashes needed with CONNTRACK_NIC_HASH, else NULL.
 * @return 0, -EINVAL (also where the chain has not started), -ENOBUFS (two are waiting).
 */
int conntrack_chain_submit(struct conntrack_chain *chain, const void *keys,
                           const uint32_t *nic_hashes, void *const *packets, uint32_t count,
                           uint64_t now_ns);
/**
 * Lets the functions work on the burst that was submitted first.
 * @param packets,verdicts out: of each packet of that burst, in order; room for as many.
 * @return how many packets it had; -EAGAIN: none is waiting; -EINVAL.
 */
int conntrack_chain_process(struct conntrack_chain *chain, uint64_t now_ns, void **packets,
                            uint8_t *verdicts);

/** Bytes from a block's begin to a function's slice. @return -EINVAL for no such function. */
int conntrack_chain_offset(const struct conntrack_chain *chain, uint32_t function);
/** Bytes of a block in the table, a multiple of 64 or 8; 0 before the chain has started. */
uint32_t conntrack_chain_block_bytes(const struct conntrack_chain *chain);
/** A function's slice of a flow, valid until the next call; NULL where the flow is not known. */
void *conntrack_chain_find(struct conntrack_chain *chain, uint32_t function, const void *key);
/**
 * The chain's table, to iterate over blocks and to read statistics; NULL before the chain has
 * started. Calls that insert, remove, expire or move entries are the chain's alone: it sweeps dead
 * ones out by itself.
 */
struct conntrack_table *conntrack_chain_table(struct conntrack_chain *chain);

#ifdef __cplusplus
}
#endif
#endif
