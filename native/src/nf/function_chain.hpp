// A chain of any functions (function_set.hpp), in the order of the list.
#pragma once

#include "nf/function_set.hpp"
#include "nf/route.hpp"

#include <algorithm>

namespace reframer::nf {

// Per packet: function after function over a chunk, as the original's elements work. Per run: the
// flow's results are looked up once, then all functions work on a packet while its header is in the
// first-level cache. `Sizes` says how many packets pass through the functions together and how far
// ahead their headers are prefetched.
template <bool by_run, typename Sizes, typename... Functions>
class FunctionChain final : public FunctionSet<Functions...> {
	using Set = FunctionSet<Functions...>;

public:
	template <typename... Arguments>
	explicit FunctionChain(const Config &config, Arguments &&...arguments)
		: Set(config, std::forward<Arguments>(arguments)...)
	{
	}

	uint32_t process(std::span<const reframer_run>, Mbuf **packets, uint32_t n,
	                 Mbuf **dropped) override
	{
		uint32_t kept = 0, nb_dropped = 0;
		for (uint32_t at = 0; at < n; at += Sizes::chunk) {
			const uint32_t size = std::min(n - at, Sizes::chunk);
			parse(packets + at, size);
			functions(size);
			for (uint32_t i = 0; i < size; i++) {
				Context &c = contexts_[i];
				this->verdicts_[c.verdict]++;
				if (c.verdict == verdict_pass) {
					rewrite_ethernet(c);
					packets[kept++] = c.mbuf; // never ahead of what is still to be read
				} else {
					c.mbuf->verdict = c.verdict;
					dropped[nb_dropped++] = c.mbuf;
				}
			}
		}
		return kept;
	}

private:
	void parse(Mbuf **packets, uint32_t n)
	{
		for (uint32_t i = 0; i < std::min(n, Sizes::prefetch_distance); i++)
			__builtin_prefetch(packets[i]->data());
		for (uint32_t i = 0; i < n; i++) {
			if (i + Sizes::prefetch_distance < n)
				__builtin_prefetch(packets[i + Sizes::prefetch_distance]->data());
			Context &c = contexts_[i];
			c.mbuf = packets[i];
			c.verdict = parse_headers(c.mbuf->data(), c.mbuf->captured, c);
			if constexpr ((requires { Functions::takes_ipv6; } && ...))
				if (c.verdict == verdict_not_ipv4) [[unlikely]] {
					c.key = {};
					c.layer4 = layer4_not_ipv4;
					c.next_hop = 0;
					c.verdict = verdict_pass;
				}
		}
	}

	void functions(uint32_t n)
	{
		Context *const c = contexts_;
		const uint32_t nb = by_run ? flow_runs(n) : single_packets(n);
		this->prepare(leaders_, nb);
		if constexpr (by_run)
			for (uint32_t f = 0; f < nb; f++)
				drive(leaders_[f], f + 1 < nb ? leaders_[f + 1] : c + n,
				      std::index_sequence_for<Functions...>());
		else
			this->each_function([&](auto &function) {
				for (uint32_t i = 0; i < n; i++) {
					if (c[i].verdict != verdict_pass)
						continue;
					function.apply(c[i], function.lookup(c[i]));
					this->finish(function);
				}
			});
	}

	uint32_t single_packets(uint32_t n)
	{
		uint32_t nb = 0;
		for (uint32_t i = 0; i < n; i++) {
			leaders_[nb] = contexts_ + i;
			nb += contexts_[i].verdict == verdict_pass;
		}
		return nb;
	}

	// Leaders: packets that pass and are not of the flow of the one before that passed. Each is compared
	// with its neighbour: the stage's run vector would save nothing, since a hash does not prove a key.
	uint32_t flow_runs(uint32_t n)
	{
		uint32_t nb = 0;
		Context none;
		none.key = {};
		none.layer4 = layer4_other;
		const Context *before = &none;
		for (uint32_t i = 0; i < n; i++) {
			Context *const at = contexts_ + i;
			const bool passes = at->verdict == verdict_pass;
			leaders_[nb] = at;
			nb += passes && !same_flow(*before, *at);
			before = passes ? at : before;
		}
		return nb;
	}

	template <size_t... Index>
	void drive(Context *leader, Context *end, std::index_sequence<Index...>)
	{
		// A function is asked when a packet reaches it: one that is dropped before leaves no entry.
		std::tuple<decltype(std::declval<Functions &>().lookup(*leader))...> results{};
		size_t known = 0;
		auto first = [&]<size_t i>(std::integral_constant<size_t, i>) {
			auto &function = std::get<i>(this->functions_);
			std::get<i>(results) = function.lookup(*leader);
			function.apply(*leader, std::get<i>(results));
			known = i + 1;
			return leader->verdict == verdict_pass;
		};
		(first(std::integral_constant<size_t, Index>()) && ...);
		for (Context *c = leader + 1; c < end; c++) {
			if (c->verdict != verdict_pass)
				continue;
			auto step = [&]<size_t i>(std::integral_constant<size_t, i>) {
				auto &function = std::get<i>(this->functions_);
				if (i >= known) [[unlikely]] {
					known = i + 1;
					std::get<i>(results) = function.lookup(*leader);
				}
				function.apply(*c, std::get<i>(results));
				return c->verdict == verdict_pass;
			};
			(step(std::integral_constant<size_t, Index>()) && ...);
		}
		this->each_function([](auto &function) { Set::finish(function); });
	}

	Context contexts_[Sizes::chunk];
	Context *leaders_[Sizes::chunk];
};

} // namespace reframer::nf
