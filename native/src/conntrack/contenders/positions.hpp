// A hash that only tells where a key's state lies: what chains keep whose blocks are in an array of
// their own.
#pragma once

#include <cstdint>
#include <memory>

namespace reframer::conntrack {

// IPv4 keys (CONNTRACK_KEY_IPV4), side by side.
class Positions {
public:
	virtual ~Positions() = default;
	// Positions are below this.
	virtual uint32_t end() const = 0;
	// positions[i] of key i, negative where it is not there; up to 64 keys at once.
	virtual void find(const void *keys, uint32_t n, int32_t *positions) = 0;
	// Position of a key, which is entered if it is new; negative where there is no room.
	virtual int32_t add(const void *key) = 0;
	// The key at a position in use.
	virtual void key_at(int32_t position, void *key) = 0;
	// The same; it leaves.
	virtual void remove(int32_t position, void *key) = 0;
	virtual size_t bytes() const = 0;

	static constexpr uint32_t most = 64;
};

// DPDK's rte_hash in bulk. NULL where it is not in this build or its environment does not start.
std::unique_ptr<Positions> make_rte_positions(uint32_t keys);

} // namespace reframer::conntrack
