// A chain of any functions, in the order of the list. A function has
//   lookup(leader) giving a result, apply(context, result);
// and may have
//   prefetch(context)                    asks for the lines that the lookup will read
//   prepare(contexts, n, look_ahead)     does lookups of many leaders at once
//   finish_run()                         the run ends: packets that apply() gathered go no further
//   learn(key, hash, ports), each(...), counters(...)
// The lookup must depend on nothing but key and layer 4 of the leader (same_flow()).
#pragma once

#include "nf/chain_base.hpp"

#include <tuple>

namespace reframer::nf {

// Per packet: function after function over a chunk, as the original's elements work. Per run: the
// flow's results are looked up once, then all functions work on a packet while its header is in the
// first-level cache.
template <bool by_run, typename Sizes, typename... Functions>
class FunctionChain final : public ChainBase<FunctionChain<by_run, Sizes, Functions...>, Sizes> {
	using Base = ChainBase<FunctionChain, Sizes>;

public:
	template <typename... Arguments>
	explicit FunctionChain(const Config &config, Arguments &&...arguments)
	    : Base(config.seed), look_ahead_(config.look_ahead),
	      functions_(std::forward<Arguments>(arguments)...)
	{
	}

	void functions(Context *c, uint32_t n, const reframer_run *runs, uint32_t nb_runs)
	{
		uint32_t nb_flows = by_run ? flow_runs(c, runs, nb_runs) : single_packets(c, n);
		if constexpr ((uses_hash<Functions> || ...)) {
			for (uint32_t f = 0; f < nb_flows; f++)
				leaders_[f]->hash = hash_key(leaders_[f]->key, this->seed_);
		}
		if (look_ahead_)
			for (uint32_t f = 0; f < nb_flows; f++)
				each_function([&](auto &function) {
					if constexpr (requires { function.prefetch(*leaders_[f]); })
						function.prefetch(*leaders_[f]);
				});
		each_function([&](auto &function) {
			if constexpr (requires { function.prepare(leaders_, nb_flows, look_ahead_); })
				function.prepare(leaders_, nb_flows, look_ahead_);
		});
		if constexpr (by_run)
			for (uint32_t f = 0; f < nb_flows; f++)
				drive_flow(leaders_[f], ends_[f]);
		else
			each_function([&](auto &function) {
				for (uint32_t i = 0; i < n; i++) {
					if (c[i].verdict != verdict_pass)
						continue;
					function.apply(c[i], function.lookup(c[i]));
					finish(function);
				}
			});
	}

	void learn_key(const FlowKey &key, bool ports)
	{
		uint64_t hash = hash_key(key, this->seed_);
		each_function([&](auto &function) {
			if constexpr (requires { function.learn(key, hash, ports); })
				function.learn(key, hash, ports);
		});
	}
	Counters counters() const override
	{
		Counters out;
		each_function([&](const auto &function) {
			if constexpr (requires { function.counters(out); })
				function.counters(out);
		});
		return out;
	}
	bool has_tables() const override { return (counts<Functions> || ...); }
	uint64_t counted_packets() const override
	{
		uint64_t sum = 0;
		each_function([&](const auto &function) {
			if constexpr (counts<std::remove_cvref_t<decltype(function)>>)
				function.each([&](const FlowKey &, uint64_t packets, uint64_t) { sum += packets; });
		});
		return sum;
	}
	uint64_t table_digest() const override
	{
		uint64_t sum = 0;
		each_function([&](const auto &function) {
			if constexpr (keeps_flows<std::remove_cvref_t<decltype(function)>>)
				function.each([&](const FlowKey &key, uint64_t a, uint64_t b) {
					sum += hash_key(key, a * 0x9e3779b97f4a7c15 + b);
				});
		});
		return sum;
	}

private:
	static constexpr auto visitor = [](const FlowKey &, uint64_t, uint64_t) {};
	template <typename F>
	static constexpr bool keeps_flows = requires(const F &f) { f.each(visitor); };
	template <typename F>
	static constexpr bool counts = keeps_flows<F> && requires { F::counts_every_packet; };
	template <typename F>
	static constexpr bool uses_hash = requires { F::uses_hash; };

	template <typename Visit>
	void each_function(Visit visit)
	{
		std::apply([&](auto &...f) { (visit(f), ...); }, functions_);
	}
	template <typename Visit>
	void each_function(Visit visit) const
	{
		std::apply([&](const auto &...f) { (visit(f), ...); }, functions_);
	}
	template <typename F>
	static void finish(F &function)
	{
		if constexpr (requires { function.finish_run(); })
			function.finish_run();
	}

	uint32_t single_packets(Context *c, uint32_t n)
	{
		uint32_t nb = 0;
		for (uint32_t i = 0; i < n; i++)
			if (c[i].verdict == verdict_pass)
				leaders_[nb++] = c + i;
		return nb;
	}

	// Cuts runs of equal hash where the flow changes: a hash does not prove a key. Leaders are
	// packets that pass; ends_ is where the next flow begins.
	uint32_t flow_runs(Context *c, const reframer_run *runs, uint32_t nb_runs)
	{
		uint32_t nb = 0;
		for (uint32_t r = 0; r < nb_runs; r++) {
			Context *at = c + runs[r].first;
			Context *const end = at + runs[r].count;
			Context *leader = nullptr;
			for (; at < end; at++) {
				if (at->verdict != verdict_pass || (leader && same_flow(*leader, *at)))
					continue;
				if (leader)
					ends_[nb - 1] = at;
				leader = at;
				leaders_[nb++] = at;
			}
			if (leader)
				ends_[nb - 1] = end;
		}
		return nb;
	}

	void drive_flow(Context *leader, Context *end)
	{
		drive(leader, end, std::index_sequence_for<Functions...>());
	}
	template <size_t... Index>
	void drive(Context *leader, Context *end, std::index_sequence<Index...>)
	{
		// A function is asked when a packet reaches it: one that is dropped before leaves no entry.
		std::tuple<decltype(std::declval<Functions &>().lookup(*leader))...> results{};
		bool known[sizeof...(Functions)] = {};
		for (Context *c = leader; c < end; c++) {
			if (c->verdict != verdict_pass)
				continue;
			auto step = [&]<size_t i>(std::integral_constant<size_t, i>) {
				auto &function = std::get<i>(functions_);
				if (!known[i]) [[unlikely]] {
					known[i] = true;
					std::get<i>(results) = function.lookup(*leader);
				}
				function.apply(*c, std::get<i>(results));
				return c->verdict == verdict_pass;
			};
			(step(std::integral_constant<size_t, Index>()) && ...);
		}
		each_function([](auto &function) { finish(function); });
	}

	bool look_ahead_;
	Context *leaders_[Sizes::chunk];
	Context *ends_[Sizes::chunk];
	std::tuple<Functions...> functions_;
};

} // namespace reframer::nf
