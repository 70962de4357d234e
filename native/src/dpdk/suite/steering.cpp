#include "dpdk/suite/steering.hpp"

#include "dpdk/ports.hpp"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <algorithm>
#include <cstring>

namespace reframer::dpdk {

namespace {

constexpr uint32_t burst = 64;

} // namespace

struct alignas(64) Steering::Receiver {
	explicit Receiver(uint32_t nb_cores) : staged(nb_cores * burst), nb(nb_cores) {}

	// How often it had nothing staged and was about to read the table.
	std::atomic<uint64_t> fresh{1};
	std::vector<rte_mbuf *> staged;
	std::vector<uint32_t> nb;
	bool left = false;
};

Steering::Steering(uint32_t nb_buckets, uint32_t nb_cores, uint32_t ring_size, int socket)
	: mask(nb_buckets - 1), table(nb_buckets)
{
	for (uint32_t b = 0; b < nb_buckets; b++)
		table[b].store(uint16_t(b % nb_cores), std::memory_order_relaxed);
	for (uint32_t c = 0; c < nb_cores; c++) {
		receivers.push_back(std::make_unique<Receiver>(nb_cores));
		const std::string name = "reframer_steer_" + std::to_string(c);
		rte_ring *ring =
			rte_ring_create(name.c_str(), ring_size, socket, RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (ring == nullptr)
			throw port_failure("no memory for a ring between cores", rte_errno);
		rings.push_back(ring);
	}
}

Steering::~Steering()
{
	for (rte_ring *ring : rings) {
		for (void *packet; rte_ring_sc_dequeue(ring, &packet) == 0;)
			rte_pktmbuf_free(static_cast<rte_mbuf *>(packet));
		rte_ring_free(ring);
	}
	for (const auto &r : receivers)
		for (uint32_t c = 0; c < r->nb.size(); c++)
			rte_pktmbuf_free_bulk(r->staged.data() + c * burst, r->nb[c]);
}

std::vector<uint64_t> Steering::mark() const
{
	std::vector<uint64_t> marks;
	for (const auto &r : receivers)
		marks.push_back(r->fresh.load(std::memory_order_seq_cst));
	return marks;
}

bool Steering::settled(const std::vector<uint64_t> &marks) const
{
	// The entries were stored before the marks were read. A count that is larger now was raised after
	// that, with nothing left of before, and what the core reads behind it are the new entries.
	for (size_t c = 0; c < receivers.size(); c++)
		if (receivers[c]->fresh.load(std::memory_order_seq_cst) == marks[c])
			return false;
	return true;
}

bool Steering::flushed(uint32_t from)
{
	Receiver &r = *receivers[from];
	if (r.left) {
		r.left = false;
		for (uint32_t c = 0; c < rings.size(); c++) {
			if (r.nb[c] == 0)
				continue;
			rte_mbuf **const staged = r.staged.data() + c * burst;
			const uint32_t n = rte_ring_mp_enqueue_burst(
				rings[c], reinterpret_cast<void **>(staged), r.nb[c], nullptr);
			std::shift_left(staged, staged + r.nb[c], n);
			r.nb[c] -= n;
			r.left |= r.nb[c] > 0;
		}
		if (r.left)
			return false;
	}
	r.fresh.fetch_add(1, std::memory_order_seq_cst);
	return true;
}

uint32_t Steering::pass_on(uint32_t from, rte_mbuf **packets, uint32_t n, rte_mbuf **own)
{
	Receiver &r = *receivers[from];
	uint32_t nb_own = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t core = table[packets[i]->hash.rss & mask].load(std::memory_order_seq_cst);
		if (core == from) {
			own[nb_own++] = packets[i];
			continue;
		}
		r.staged[core * burst + r.nb[core]++] = packets[i];
		r.left = true;
	}
	for (uint32_t c = 0; r.left && c < rings.size(); c++)
		if (r.nb[c] > 0) {
			rte_mbuf **const staged = r.staged.data() + c * burst;
			const uint32_t done = rte_ring_mp_enqueue_burst(
				rings[c], reinterpret_cast<void **>(staged), r.nb[c], nullptr);
			std::shift_left(staged, staged + r.nb[c], done);
			r.nb[c] -= done;
		}
	return nb_own;
}

uint32_t Steering::receive(uint32_t to, rte_mbuf **packets, uint32_t room)
{
	return rte_ring_sc_dequeue_burst(rings[to], reinterpret_cast<void **>(packets), room, nullptr);
}

bool Steering::waiting(uint32_t to) const
{
	return !rte_ring_empty(rings[to]);
}

} // namespace reframer::dpdk
