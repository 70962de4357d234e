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

// Frames from the front of `offsets` on; `wire` is where their lengths go, or NULL.
void copy_headers(const reframer_packed &p, uint32_t nb_free, const uint8_t *data,
                  const uint32_t *offsets, uint32_t count, uint32_t *wire)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t slot = p.free_slots[nb_free - 1 - i];
		uint8_t *header = p.headers + size_t{slot} * p.header_bytes;
		const uint32_t length = data ? offsets[i + 1] - offsets[i] : offsets[i];
		const uint32_t captured = std::min(length, p.header_bytes);
		if (data)
			std::memcpy(header, data + offsets[i], captured);
		if (wire)
			wire[i] = length;
		p.packets[i] = handle_of(slot);
		p.data[i] = header;
		p.captured[i] = captured;
	}
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
	if (!data && !wire)
		wire = offsets; // lengths, then
	if (wire) {
		copy_headers(*p, nb_free, data, offsets, count, nullptr);
		const reframer_burst burst = {p->packets, p->data, p->captured, wire, hash, count};
		return reframer_push(r, &burst, now_ns);
	}
	// Lengths take the half of a column that a burst leaves; what leaves no half goes in two pieces.
	uint32_t single;
	const uint32_t most = std::max(p->nb_slots / 2, 1u);
	uint32_t *const lengths = p->nb_slots < 2 ? &single : p->captured + most;
	uint32_t done = 0, nb = 0, accepted = 0;
	do {
		nb = std::min(count - done, most);
		copy_headers(*p, nb_free - done, data, offsets + done, nb, lengths);
		const reframer_burst burst = {
			p->packets, p->data, p->captured, lengths, hash ? hash + done : nullptr, nb};
		accepted = reframer_push(r, &burst, now_ns);
		done += accepted;
	} while (accepted == nb && done < count);
	return done;
}

uint32_t reframer_poll_packed(struct reframer_stage *r, uint64_t now_ns, int drain, uint32_t *slots,
                              uint32_t nb_slots, struct reframer_run *runs, uint32_t *nb_runs)
{
	constexpr uint32_t most = 512;
	void *out[most];
	if (!slots || (runs && !nb_runs))
		return 0;
	const auto poll = drain ? reframer_drain : reframer_poll;
	const uint32_t room_for_runs = runs ? *nb_runs : 0;
	uint32_t nb = 0, written = 0;
	for (;;) {
		const uint32_t room = std::min(nb_slots - nb, most);
		uint32_t more_runs = room_for_runs - written;
		const uint32_t n = poll(r, now_ns, out, room, runs ? runs + written : nullptr, &more_runs);
		for (uint32_t i = 0; i < n; i++)
			slots[nb + i] = slot_of(out[i]);
		for (uint32_t i = 0; runs && i < more_runs; i++)
			runs[written + i].first += nb;
		written += runs ? more_runs : 0;
		nb += n;
		if (n < room || nb == nb_slots)
			break;
	}
	if (nb_runs)
		*nb_runs = written;
	return nb;
}

} // extern "C"
