/**
 * The stage of reframer.h for language bindings, which have no pointers to packets: packets are
 * slots, numbers from 0, and the stage reads headers from memory of the binding's, where they are
 * copied to. One call a burst, nothing to marshal a packet.
 *
 * Errors and threads: as in reframer.h.
 */
#ifndef REFRAMER_PACKED_H
#define REFRAMER_PACKED_H

#include <reframer/reframer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Memory of a stage's slots: the caller's, at its place until the stage is freed. */
struct reframer_packed {
	/** nb_slots * header_bytes */
	uint8_t *headers;
	/** Slots that are free, nb_slots of them at first; the caller's stack, only read here */
	const uint32_t *free_slots;
	/** Room for nb_slots entries each, for what a push hands on */
	void **packets;
	const uint8_t **data;
	uint32_t *captured;
	uint32_t header_bytes;
	uint32_t nb_slots;
};

/**
 * Copies the first header_bytes of each frame into a slot, and pushes: packet i takes slot
 * free_slots[nb_free - 1 - i]. The caller takes as many off its stack as were accepted.
 * @param data frame i is data[offsets[i]] up to data[offsets[i + 1]]; NULL: headers are in their slots
 *   already, and offsets[i] is the length of one.
 * @param wire lengths on the wire; NULL: those of the frames. @param hash NIC hashes or NULL.
 * @return how many were accepted, from the front; at most nb_free.
 */
uint32_t reframer_push_packed(struct reframer_stage *r, const struct reframer_packed *p,
                              uint32_t nb_free, const uint8_t *data, const uint32_t *offsets,
                              const uint32_t *wire, const uint32_t *hash, uint32_t count,
                              uint64_t now_ns);
/**
 * As reframer_poll(), or reframer_drain() where `drain` is not 0.
 * @param slots out: what comes out; room for nb_slots. @param runs room for as many.
 */
uint32_t reframer_poll_packed(struct reframer_stage *r, uint64_t now_ns, int drain, uint32_t *slots,
                              uint32_t nb_slots, struct reframer_run *runs, uint32_t *nb_runs);

#ifdef __cplusplus
}
#endif
#endif
