// Deep packet inspection on flow blocks: a flow's verdict. The first bytes of either direction are
// searched for known patterns, also across packets; then the verdict stands in the block, and the
// flow's packets cost nothing more. Payloads are taken in order of arrival, as an inline box without
// reassembly does.
#pragma once

#include "nf/block/functions.hpp"
#include "nf/dpi.hpp"

namespace reframer::nf::block {

class Inspector {
public:
	struct State {
		uint32_t stream_plus_one[2]; // by direction; 0: none
		uint32_t searched[2];        // bytes
		uint64_t matched;            // 1 from the packet in which a pattern ended
	};
	enum class OnMatch { count, drop };

	// `streams`: directions that are searched at a time, some 100 bytes each. `depth`: bytes of a
	// direction that are searched, 1 to most_depth; behind them it is taken for clean.
	Inspector(std::shared_ptr<const Patterns> patterns, uint32_t streams, uint32_t depth,
	          OnMatch on_match)
		: scanner_(std::move(patterns), streams), depth_(depth), drops_(on_match == OnMatch::drop),
		  gathered_(depth)
	{
		for (uint32_t i = 0; i < streams; i++)
			free_.push_back(streams - i);
	}

	void process(Run &run, Packets &packets, State &s, uint64_t)
	{
		if (s.matched) [[unlikely]] {
			if (drops_)
				packets.drop_all(run, verdict_denied);
			return;
		}
		const bool reply = run.is_reply();
		if (s.searched[reply] < depth_) [[unlikely]]
			search(run, packets, s, reply);
	}
	void ended(const Ipv4Tuple &, State &s)
	{
		give_back(s.stream_plus_one[0]);
		give_back(s.stream_plus_one[1]);
	}
	static uint64_t digest(const State &s)
	{
		return s.searched[0] | uint64_t{s.searched[1]} << 20 | s.matched << 40;
	}

	// A run's payloads fit the first-level cache, beside what the search itself needs.
	static constexpr uint32_t most_depth = 16384;
	// Flows in which a pattern was found; bytes that passed unsearched because every stream was taken.
	uint64_t matched_flows = 0, unsearched_bytes = 0;

private:
	// The run's payloads are put side by side and searched by one call: entering the matcher and
	// loading the stream cost as much as searching some hundred bytes.
	void search(Run &run, Packets &packets, State &s, bool reply)
	{
		const uint32_t before = s.searched[reply];
		uint32_t used = 0, end_of[Packets::most];
		packets.each(run, [&](uint32_t i) {
			const Payload p = payload_of(*packets.mbuf[i], run.l3, run.l4, run.layer4);
			const uint32_t size = std::min(p.size, depth_ - before - used);
			std::memcpy(gathered_.data() + used, p.data, size);
			used += size;
			end_of[i] = before + used;
		});
		if (used == 0)
			return;
		uint32_t &stream = s.stream_plus_one[reply];
		if (stream == 0 && !take(stream)) {
			unsearched_bytes += used;
			return;
		}
		const auto found = scanner_.scan(stream - 1, gathered_.data(), used);
		s.searched[reply] = before + used;
		if (found.count) {
			s.matched = 1;
			matched_flows++;
			// Up to the packet in which it ended, wherever the run did: so nothing depends on bursts.
			packets.each(run, [&](uint32_t i) {
				if (end_of[i] < found.first_end)
					return;
				s.searched[reply] = std::min(s.searched[reply], end_of[i]);
				if (drops_)
					packets.drop(run, i, verdict_denied);
			});
			give_back(s.stream_plus_one[!reply]);
		}
		if (s.matched || s.searched[reply] == depth_)
			give_back(stream);
	}
	bool take(uint32_t &stream)
	{
		if (free_.empty())
			return false;
		stream = free_.back();
		free_.pop_back();
		scanner_.restart(stream - 1);
		return true;
	}
	void give_back(uint32_t &stream)
	{
		if (stream == 0)
			return;
		free_.push_back(stream); // room was made for all of them
		stream = 0;
	}

	PatternScanner scanner_;
	uint32_t depth_;
	bool drops_;
	std::vector<uint8_t> gathered_;
	std::vector<uint32_t> free_; // streams, from 1 on
};

} // namespace reframer::nf::block
