#include "reframer/packed.h"

#include <algorithm>
#include <cstring>

namespace {

// A handle is the slot's number plus one: 0 would be a null pointer.
void *handle_of(uint32_t slot)
{
	return reinterpret_cast<void *>(uintptr_t{slot} + 1);
}

uint32_t slot_of(const void *handle)
{
	return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(handle) - 1);
}

} // namespace

extern "C" {

uint32_t reframer_push_packed(struct reframer_stage *r, const struct reframer_packed *p,
                              uint32_t nb_free, const uint8_t *data, const uint32_t *offsets,
                              const uint32_t *wire, const uint32_t *hash, uint32_t count,
                              uint64_t now_ns)
{
	if (!r || !p || !offsets || !p->headers || !p->free_slots || !p->packets || !p->data ||
	    !p->captured || nb_free > p->nb_slots)
		return 0;
	count = std::min(count, nb_free);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t slot = p->free_slots[nb_free - 1 - i];
		uint8_t *header = p->headers + size_t{slot} * p->header_bytes;
		uint32_t captured = std::min(offsets[i], p->header_bytes);
		if (data) {
			captured = std::min(offsets[i + 1] - offsets[i], p->header_bytes);
			std::memcpy(header, data + offsets[i], captured);
		}
		p->packets[i] = handle_of(slot);
		p->data[i] = header;
		p->captured[i] = captured;
	}
	const reframer_burst burst = {p->packets, p->data, p->captured, wire, hash, count};
	return reframer_push(r, &burst, now_ns);
}

uint32_t reframer_poll_packed(struct reframer_stage *r, uint64_t now_ns, int drain, uint32_t *slots,
                              uint32_t nb_slots, struct reframer_run *runs, uint32_t *nb_runs)
{
	constexpr uint32_t room = 512;
	void *out[room];
	if (!slots)
		return 0;
	const auto poll = drain ? reframer_drain : reframer_poll;
	const uint32_t nb = poll(r, now_ns, out, std::min(nb_slots, room), runs, nb_runs);
	for (uint32_t i = 0; i < nb; i++)
		slots[i] = slot_of(out[i]);
	return nb;
}

} // extern "C"
