// Keys and packet streams for the trackers' measurements. All of it is made outside timed parts.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace reframer::lab {

// Distinct IPv4 5-tuples in the layout of conntrack_key_ipv4(): clients in 10/8, servers few,
// as at a campus border. Number `i` always gives the same key; other `salt`s give other keys.
void write_flow_key(uint8_t *key, uint32_t key_size, uint64_t i, uint64_t salt);

// IPv4 keys one behind the other.
class KeyColumn {
public:
	static constexpr uint32_t key_size = 16;
	void clear() { bytes_.clear(); }
	void add(uint64_t flow, uint64_t salt = 1);
	void add_bytes(const void *key);
	// `n` flows from number `first` on, so far apart.
	void add_flows(uint64_t first, uint64_t n, uint64_t salt = 1, uint64_t apart = 1)
	{
		for (uint64_t i = 0; i < n; i++)
			add(first + i * apart, salt);
	}
	uint32_t size() const { return static_cast<uint32_t>(bytes_.size() / key_size); }
	const uint8_t *at(uint32_t i) const { return bytes_.data() + size_t{i} * key_size; }

private:
	std::vector<uint8_t> bytes_;
};

// Ranks 0..n-1 with P(rank) ~ 1/(rank+1)^s, by rejection-inversion (Hoermann, Derflinger 1996).
class Zipf {
public:
	Zipf(uint64_t n, double s);
	uint64_t operator()(std::mt19937_64 &random) const;

private:
	double integral(double x) const;
	double inverse(double x) const;
	double n_, s_, at_one_, at_n_, cut_;
};

// Flow numbers of packets like a trace's: of live flows, popular ones far more often (Zipf 1.1), one
// packet in `packets_per_new` of a new flow; for each new flow an old one ends.
class FlowStream {
public:
	FlowStream(uint64_t live_flows, uint32_t packets_per_new, uint64_t seed);

	struct Packet {
		uint64_t flow;
		bool is_new;
		uint64_t ended; // where it is new: the flow that ends for it
	};
	Packet next()
	{
		if (random_() % packets_per_new_ != 0)
			return {live_[zipf_(random_)], false, 0};
		uint64_t &place = live_[random_() % live_.size()];
		const uint64_t ended = place;
		return {place = next_flow_++, true, ended};
	}

protected:
	std::mt19937_64 random_;
	Zipf zipf_;
	std::vector<uint64_t> live_; // number of the flow at each rank
	uint64_t next_flow_;
	uint32_t packets_per_new_;
};

// The same as keys.
class TraceStream : public FlowStream {
public:
	using FlowStream::FlowStream;

	struct Chunk {
		KeyColumn packets;              // in order of arrival
		KeyColumn ended;                // flows to remove after each burst of packets ...
		std::vector<uint32_t> nb_ended; // ... this many
		uint64_t nb_new = 0;
	};
	// Keys that are live before the first chunk.
	KeyColumn live_keys() const;
	Chunk next(uint32_t nb_packets, uint32_t burst);
};

} // namespace reframer::lab
