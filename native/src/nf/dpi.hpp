// Deep packet inspection with Hyperscan (or Vectorscan): known patterns in what a flow carries, also
// across packets. Payloads are taken in order of arrival, as an inline box without reassembly does.
// It counts and alerts; it does not drop.
#pragma once

#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"
#include "nf/open_table.hpp"
#include "nf/payload.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace reframer::nf {

// The compiled patterns, shared by all cores.
class Patterns {
public:
	Patterns();
	~Patterns();
	Patterns(const Patterns &) = delete;
	Patterns &operator=(const Patterns &) = delete;

private:
	friend class PatternScanner;
	struct Compiled;
	std::unique_ptr<Compiled> compiled_;
};

// Streams of one core: allocated at once, given to one flow after another.
class PatternScanner {
public:
	PatternScanner(std::shared_ptr<const Patterns> patterns, uint32_t nb_streams);
	PatternScanner(PatternScanner &&) noexcept;
	~PatternScanner();

	struct Matches {
		uint32_t count = 0;
		uint64_t first_end = UINT64_MAX; // bytes of the stream up to the end of the first one
	};

	void restart(uint32_t stream);
	// Matches that end in these bytes, the stream's next.
	Matches scan(uint32_t stream, const uint8_t *data, uint32_t size);
	uint32_t nb_streams() const { return nb_streams_; }

private:
	struct Streams;
	std::shared_ptr<const Patterns> patterns_;
	std::unique_ptr<Streams> streams_;
	uint32_t nb_streams_;
};

// Per run the packets' payloads are put side by side and scanned by one call: entering the matcher
// and loading the flow's stream cost as much as scanning some hundred bytes.
template <bool by_run> class Dpi {
public:
	static constexpr bool uses_hash = true;
	struct State {
		uint32_t stream_plus_one;
		uint32_t matches;
		uint64_t bytes;
	};

	Dpi(uint32_t capacity, std::shared_ptr<const Patterns> patterns)
		: table_(capacity), scanner_(std::move(patterns), std::min(capacity, max_streams)),
		  owners_(scanner_.nb_streams()), gathered_(by_run ? gather_bytes : 0)
	{
	}

	void prefetch(const Context &c) const { table_.prefetch(c.hash); }
	State *lookup(const Context &c)
	{
		bool created;
		State *s = table_.find_or_insert(c.key, c.hash, created);
		if (s && !s->stream_plus_one) {
			// The stream that was given away longest ago: its flow starts afresh if it goes on.
			uint32_t stream = next_stream_;
			next_stream_ = stream + 1 == scanner_.nb_streams() ? 0 : stream + 1;
			if (State *before = owners_[stream])
				before->stream_plus_one = 0;
			owners_[stream] = s;
			s->stream_plus_one = stream + 1;
			scanner_.restart(stream);
		}
		return s;
	}
	void apply(Context &c, State *s)
	{
		if (!s) {
			c.verdict = verdict_table_full;
			return;
		}
		const auto [payload, size] = payload_of(*c.mbuf, c.l3, c.l4, c.layer4);
		if (!size)
			return;
		s->bytes += size;
		if constexpr (by_run) {
			if (size > gather_bytes - used_)
				finish_run();
			flow_ = s;
			std::memcpy(gathered_.data() + used_, payload, size);
			used_ += size;
		} else {
			scan(*s, payload, size);
		}
	}
	void finish_run()
	{
		if constexpr (by_run) {
			if (!used_)
				return;
			scan(*flow_, gathered_.data(), used_);
			used_ = 0;
		}
	}
	void learn(const Ipv4Tuple &key, uint64_t hash, bool)
	{
		bool created;
		table_.find_or_insert(key, hash, created);
	}
	template <typename Visitor> void each(Visitor visit) const
	{
		table_.each([&](const Ipv4Tuple &k, const State &s) { visit(k, s.matches, s.bytes); });
	}
	void counters(Counters &out) const
	{
		out.emplace_back("dpiFlows", table_.size());
		out.emplace_back("dpiMatches", matches_);
		out.emplace_back("dpiScans", scans_);
	}

private:
	// Flows in inspection at a time; some 100 bytes each.
	static constexpr uint32_t max_streams = 1u << 15;
	// A run of 128 full frames would leave the second-level cache; this stays in the first.
	static constexpr uint32_t gather_bytes = 16384;

	void scan(State &s, const uint8_t *data, uint32_t size)
	{
		scans_++;
		const uint32_t found = scanner_.scan(s.stream_plus_one - 1, data, size).count;
		s.matches += found;
		matches_ += found;
	}

	OpenTable<State> table_;
	PatternScanner scanner_;
	std::vector<State *> owners_;
	uint32_t next_stream_ = 0;
	uint64_t matches_ = 0, scans_ = 0;
	// Of the run at work.
	State *flow_ = nullptr;
	uint32_t used_ = 0;
	std::vector<uint8_t> gathered_;
};

} // namespace reframer::nf
