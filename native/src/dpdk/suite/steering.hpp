// A table in software on every core that receives: bucket to core, over rings. Nothing is dropped: a
// core whose packets find a full ring stops receiving until they are gone, and serves meanwhile.
//
// Packets of a bucket come to one queue of the port, as long as that does not change its own table. So
// one core passes them all on, and they arrive in order: those of its own buckets at once, the others
// over one ring a core.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_mbuf;
struct rte_ring;

namespace reframer::dpdk {

class Steering {
public:
	// @throws lab::JobError
	Steering(uint32_t nb_buckets, uint32_t nb_cores, uint32_t ring_size, int socket);
	~Steering();
	Steering(const Steering &) = delete;
	Steering &operator=(const Steering &) = delete;

	uint32_t nb_buckets() const { return mask + 1; }
	uint16_t at(uint32_t bucket) const { return table[bucket].load(std::memory_order_relaxed); }
	void set(uint32_t bucket, uint16_t core)
	{
		table[bucket].store(core, std::memory_order_seq_cst);
	}
	// Once all cores have passed on by the present table what they had received before; see settled().
	std::vector<uint64_t> mark() const;
	bool settled(const std::vector<uint64_t> &marks) const;

	// Of core `from`, by its thread alone. Packets have their hash; those of its own buckets are moved
	// to `own`, of which there is room for all. Only when flushed() says that nothing is left of before.
	uint32_t pass_on(uint32_t from, rte_mbuf **packets, uint32_t n, rte_mbuf **own);
	bool flushed(uint32_t from);
	// Packets for core `to`, by its thread alone.
	uint32_t receive(uint32_t to, rte_mbuf **packets, uint32_t room);
	bool waiting(uint32_t to) const;

private:
	struct Receiver;

	const uint32_t mask;
	std::vector<std::atomic<uint16_t>> table;
	std::vector<rte_ring *> rings;
	std::vector<std::unique_ptr<Receiver>> receivers;
};

} // namespace reframer::dpdk
