// Keys and packet streams for the trackers' measurements. All of it is made outside timed parts.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace reframer::lab {

// Distinct IPv4 5-tuples in the layout of conntrack_key_ipv4(): clients in 10/8, servers few,
// as at a campus border. Number `i` always gives the same key; other `salt`s give other keys.
void write_flow_key(uint8_t *key, uint32_t key_size, uint64_t i, uint64_t salt);

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

// A stream like a trace: packets of live flows, popular ones far more often (Zipf 1.1), one in
// `packets_per_new` of a new flow; for each new flow an old one ends.
class TraceStream {
public:
	TraceStream(uint64_t live_flows, uint32_t key_size, uint32_t packets_per_new, uint64_t seed);

	struct Chunk {
		std::vector<uint8_t> packets;   // keys in order of arrival
		std::vector<uint8_t> ended;     // keys of flows to remove after each burst of packets ...
		std::vector<uint32_t> nb_ended; // ... this many
		uint64_t nb_new = 0;
	};
	// Keys that are live before the first chunk.
	std::vector<uint8_t> live_keys() const;
	Chunk next(uint32_t nb_packets, uint32_t burst);

private:
	std::mt19937_64 random_;
	Zipf zipf_;
	std::vector<uint64_t> live_; // number of the flow at each rank
	uint64_t next_flow_;
	uint32_t key_size_, packets_per_new_;
};

} // namespace reframer::lab
