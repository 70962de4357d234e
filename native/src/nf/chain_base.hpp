// What paper and modern chain have in common: cutting a burst into chunks, parsing, verdicts.
#pragma once

#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"
#include "nf/prefixes.hpp"
#include "nf/route.hpp"

#include <algorithm>

namespace reframer::nf {

// `Self` provides functions(contexts, n, runs, nb_runs) and learn_key(key, ports); `Sizes` how many
// packets pass through the functions together and how far ahead their headers are prefetched.
template <typename Self, typename Sizes>
class ChainBase : public Chain {
public:
	explicit ChainBase(uint64_t seed) : seed_(seed) {}

	uint32_t process(Mbuf **packets, uint32_t n, const reframer_run *runs, uint32_t nb_runs,
	                 Mbuf **dropped) final
	{
		uint32_t kept = 0, nb_dropped = 0, at = 0;
		const reframer_run unknown = {0, n, 0, 0};
		RunCursor cursor{nb_runs ? runs : &unknown};
		while (at < n) {
			uint32_t size = std::min(n - at, Sizes::chunk);
			parse_chunk(packets + at, size);
			reframer_run local[Sizes::chunk];
			uint32_t nb_local = cursor.take(size, local);
			static_cast<Self *>(this)->functions(contexts_, size, local, nb_local);
			for (uint32_t i = 0; i < size; i++) {
				Context &c = contexts_[i];
				verdicts_[c.verdict]++;
				if (c.verdict == verdict_pass) {
					rewrite_ethernet(c);
					packets[kept++] = c.mbuf; // never ahead of what is still to be read
				} else {
					c.mbuf->verdict = c.verdict;
					dropped[nb_dropped++] = c.mbuf;
				}
			}
			at += size;
		}
		return kept;
	}

	void learn(const uint8_t *frame, uint32_t captured) final
	{
		Context c;
		if (parse_headers(frame, captured, c) == verdict_pass)
			static_cast<Self *>(this)->learn_key(c.key, c.layer4 != layer4_other);
	}

	void add_idle_flows(uint32_t n) final
	{
		// Sources in 240.0.0.0/4, which no traffic uses.
		Random random(seed_ ^ 0x69646c65);
		for (uint32_t i = 0; i < n; i++) {
			FlowKey key{};
			key.source = __builtin_bswap32(0xf0000000u + i);
			key.destination = static_cast<uint32_t>(random.next());
			key.source_port = static_cast<uint16_t>(random.next());
			key.destination_port = __builtin_bswap16(443);
			key.protocol = 6;
			key.used = 1;
			static_cast<Self *>(this)->learn_key(key, true);
		}
	}

protected:
	// Cuts a run vector to chunks.
	struct RunCursor {
		const reframer_run *run;
		uint32_t taken = 0; // of *run

		uint32_t take(uint32_t packets, reframer_run *out)
		{
			uint32_t nb = 0, first = 0;
			while (first < packets) {
				uint32_t count = std::min(run->count - taken, packets - first);
				out[nb++] = {first, count, run->hash, run->reason};
				first += count;
				taken += count;
				if (taken == run->count) {
					run++;
					taken = 0;
				}
			}
			return nb;
		}
	};

	void parse_chunk(Mbuf **packets, uint32_t n)
	{
		for (uint32_t i = 0; i < std::min(n, Sizes::prefetch_distance); i++)
			__builtin_prefetch(packets[i]->data());
		for (uint32_t i = 0; i < n; i++) {
			if (i + Sizes::prefetch_distance < n)
				__builtin_prefetch(packets[i + Sizes::prefetch_distance]->data());
			Context &c = contexts_[i];
			c.mbuf = packets[i];
			c.verdict = parse_headers(c.mbuf->data(), c.mbuf->captured, c);
		}
	}

	uint64_t seed_;
	Context contexts_[Sizes::chunk];
};

} // namespace reframer::nf
