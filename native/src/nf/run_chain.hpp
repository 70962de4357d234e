// A chain that works once a run, of functions that treat all packets of a flow alike (plan() in
// function_set.hpp): they say what becomes of a flow, then each packet is written once.
//
// Nothing here branches on where a run ends: with runs of two or three packets that cannot be
// predicted, and a misprediction costs as much as writing a packet. So a run of one packet costs
// hardly more than a packet does without runs.
#pragma once

#include "nf/function_set.hpp"
#include "nf/rewrite.hpp"

#include <algorithm>

namespace reframer::nf {

template <typename Sizes, typename... Functions>
class RunChain final : public FunctionSet<Functions...> {
	using Set = FunctionSet<Functions...>;

public:
	template <typename... Arguments>
	explicit RunChain(const Config &config, Arguments &&...arguments)
		: Set(config, std::forward<Arguments>(arguments)...)
	{
	}

	uint32_t process(std::span<const reframer_run>, Mbuf **packets, uint32_t n,
	                 Mbuf **dropped) override
	{
		Output out{packets, dropped};
		for (uint32_t at = 0; at < n; at += Sizes::chunk) {
			const uint32_t size = std::min(n - at, Sizes::chunk);
			gather(packets + at, size);
			plan(std::index_sequence_for<Functions...>());
			rewrite(packets + at, size, out);
		}
		this->verdicts_[verdict_pass] += out.kept;
		return out.kept;
	}

private:
	static constexpr bool forwards = (requires { Functions::forwards; } || ...);
	static constexpr bool translates = (requires { Functions::translates; } || ...);

	struct Output {
		Mbuf **packets, **dropped;
		uint32_t kept = 0, nb_dropped = 0;
	};

	// What came up to the end of a run, so that a run's own is a difference: no packet asks whether it
	// starts one.
	struct Sums {
		uint64_t packets, bytes;
	};

	// Finds the runs: their key, how many packets and bytes.
	void gather(Mbuf *const *packets, uint32_t n)
	{
		for (uint32_t i = 0; i < std::min(n, Sizes::prefetch_distance); i++)
			fetch(packets[i]);
		uint64_t last[2] = {}; // equals no key
		uint64_t bytes = 0;
		uint32_t nb = 0, nb_parsed = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (i + Sizes::prefetch_distance < n)
				fetch(packets[i + Sizes::prefetch_distance]);
			Mbuf *const m = packets[i];
			uint64_t words[2];
			if (m->captured >= CommonFrame::l4 + 8 &&
			    CommonFrame::read(m->data(), m->captured, words)) [[likely]] {
				const uint32_t starts = ((words[0] ^ last[0]) | (words[1] ^ last[1])) != 0;
				nb += starts;
				last[0] = words[0];
				last[1] = words[1];
				Context &c = leaders_[nb - 1];
				nb_parsed += starts;
				parsed_[nb_parsed - 1] = &c;
				std::memcpy(&c.key, words, sizeof(words));
				c.mbuf = nullptr; // each packet of the run is written by itself
				c.layer4 = words[1] >> 32 == (1ull << 8 | 6) ? layer4_tcp : layer4_udp;
				c.verdict = verdict_pass;
			} else {
				Context &c = leaders_[nb++];
				c.mbuf = m;
				c.verdict = parse_headers(m->data(), m->captured, c);
				parsed_[nb_parsed] = &c;
				nb_parsed += c.verdict == verdict_pass;
				last[0] = last[1] = 0;
			}
			bytes += m->wire;
			ends_[nb] = {i + 1, bytes};
			run_of_[i] = static_cast<uint16_t>(nb - 1);
		}
		nb_ = nb;
		nb_parsed_ = nb_parsed;
	}

	static void fetch(Mbuf *m)
	{
		__builtin_prefetch(m);
		__builtin_prefetch(m->data(), 1);
	}

	// Function after function over the runs, so that lookups of many are under way at once.
	template <size_t... Index> void plan(std::index_sequence<Index...>)
	{
		this->prepare(parsed_, nb_parsed_);
		(plan_function<Index>(), ...);
	}
	template <size_t index> void plan_function()
	{
		auto &function = std::get<index>(this->functions_);
		const uint32_t nb = nb_;
		for (uint32_t r = 0; r < nb; r++) {
			Rewrite &w = rewrites_[r];
			Context &c = leaders_[r];
			if constexpr (index == 0)
				w.template open<translates>(c);
			if (w.verdict == verdict_pass) [[likely]] {
				if (!w.one_by_one) [[likely]] {
					const Sums &before = ends_[r], &end = ends_[r + 1];
					function.plan(c,
					              {static_cast<uint32_t>(end.packets - before.packets),
					               end.bytes - before.bytes},
					              w);
				} else {
					function.apply(c, function.lookup(c));
					w.verdict = c.verdict;
				}
			}
			if constexpr (index == sizeof...(Functions) - 1)
				w.template close<forwards, translates>();
		}
	}

	void rewrite(Mbuf *const *packets, uint32_t n, Output &out)
	{
		for (uint32_t i = 0; i < n; i++) {
			const Rewrite &w = rewrites_[run_of_[i]];
			Mbuf *const m = packets[i];
			if (w.special) [[unlikely]] {
				if (w.verdict != verdict_pass) {
					this->verdicts_[w.verdict]++;
					m->verdict = w.verdict;
					out.dropped[out.nb_dropped++] = m;
					continue;
				}
				rewrite_ethernet(leaders_[run_of_[i]]);
			} else {
				w.template apply<forwards, translates>(m);
			}
			out.packets[out.kept++] = m; // never ahead of what is still to be read
		}
	}

	Context leaders_[Sizes::chunk];
	Context *parsed_[Sizes::chunk];
	Sums ends_[Sizes::chunk + 1] = {}; // of the run before
	Rewrite rewrites_[Sizes::chunk];
	uint32_t nb_ = 0, nb_parsed_ = 0; // runs; of them, those that are not malformed
	uint16_t run_of_[Sizes::chunk];
};

// Whether RunChain can drive the function.
template <typename F>
concept Plans = requires(F &function, Context &leader, const RunLoad &load, Rewrite &rewrite)
{
	function.plan(leader, load, rewrite);
};

} // namespace reframer::nf
