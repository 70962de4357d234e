// What chains of functions have in common, however they drive them: state that is learned and
// reported. A function has
//   lookup(leader) giving a result, apply(context, result);
// and may have
//   prefetch(context)                    asks for the lines that the lookup will read
//   prepare(contexts, n, look_ahead)     does lookups of many leaders at once, before all others: those
//                                        that only read, while the lines of the others are on their way
//   plan(leader, run, rewrite)           lookup and what it means for a whole run, see rewrite.hpp
//   takes_ipv6                           true: also what parse_headers() takes for no IPv4
//   finish_run()                         the run ends: packets that apply() gathered go no further
//   learn(key, hash, ports), each(...), counters(...)
// The lookup must depend on nothing but key and layer 4 of the leader (same_flow()).
#pragma once

#include "nf/chain.hpp"
#include "nf/flow_hash.hpp"
#include "nf/prefixes.hpp"

#include <tuple>
#include <utility>

namespace reframer::nf {

template <typename... Functions> class FunctionSet : public Chain {
public:
	void learn(const uint8_t *frame, uint32_t captured) final
	{
		Context c;
		if (parse_headers(frame, captured, c) == verdict_pass)
			learn_key(c.key, c.layer4 != layer4_other);
	}
	void add_idle_flows(uint32_t n) final
	{
		// Sources in 240.0.0.0/4, which no traffic uses.
		Random random{seed_ ^ 0x69646c65};
		for (uint32_t i = 0; i < n; i++) {
			Ipv4Tuple key{};
			key.source = __builtin_bswap32(0xf0000000u + i);
			key.destination = static_cast<uint32_t>(random.next());
			key.source_port = static_cast<uint16_t>(random.next());
			key.destination_port = __builtin_bswap16(443);
			key.protocol = 6;
			key.used = 1;
			learn_key(key, true);
		}
	}
	Counters counters() const final
	{
		Counters out;
		each_function([&](const auto &function) {
			if constexpr (requires { function.counters(out); })
				function.counters(out);
		});
		return out;
	}
	bool has_tables() const final { return (counts<Functions> || ...); }
	uint64_t counted_packets() const final
	{
		uint64_t sum = 0;
		each_function([&](const auto &function) {
			if constexpr (counts<std::remove_cvref_t<decltype(function)>>)
				function.each(
					[&](const Ipv4Tuple &, uint64_t packets, uint64_t) { sum += packets; });
		});
		return sum;
	}
	uint64_t table_digest() const final
	{
		uint64_t sum = 0;
		each_function([&](const auto &function) {
			if constexpr (keeps_flows<std::remove_cvref_t<decltype(function)>>)
				function.each([&](const Ipv4Tuple &key, uint64_t a, uint64_t b) {
					sum += hash_key(key, a * 0x9e3779b97f4a7c15 + b);
				});
		});
		return sum;
	}

protected:
	template <typename... Arguments>
	explicit FunctionSet(const Config &config, Arguments &&...arguments)
		: look_ahead_(config.look_ahead), seed_(config.seed),
		  functions_(std::forward<Arguments>(arguments)...)
	{
	}

	template <typename Visit> void each_function(Visit visit)
	{
		std::apply([&](auto &...f) { (visit(f), ...); }, functions_);
	}
	template <typename Visit> void each_function(Visit visit) const
	{
		std::apply([&](const auto &...f) { (visit(f), ...); }, functions_);
	}

	// Before the lookups of these packets, which pass.
	void prepare(Context *const *leaders, uint32_t n)
	{
		if constexpr ((uses_hash<Functions> || ...)) {
			for (uint32_t i = 0; i < n; i++)
				leaders[i]->hash = hash_key(leaders[i]->key, seed_);
		}
		if (look_ahead_)
			each_function([&](auto &function) {
				if constexpr (requires { function.prefetch(**leaders); })
					for (uint32_t i = 0; i < n; i++)
						function.prefetch(*leaders[i]);
			});
		each_function([&](auto &function) {
			if constexpr (requires { function.prepare(leaders, n, look_ahead_); })
				function.prepare(leaders, n, look_ahead_);
		});
	}

	template <typename F> static void finish(F &function)
	{
		if constexpr (requires { function.finish_run(); })
			function.finish_run();
	}

	bool look_ahead_;
	uint64_t seed_;
	std::tuple<Functions...> functions_;

private:
	static constexpr auto visitor = [](const Ipv4Tuple &, uint64_t, uint64_t) {};
	template <typename F> static constexpr bool keeps_flows = requires(const F &f)
	{
		f.each(visitor);
	};
	template <typename F> static constexpr bool counts = keeps_flows<F> &&requires
	{
		F::counts_every_packet;
	};
	template <typename F> static constexpr bool uses_hash = requires { F::uses_hash; };

	void learn_key(const Ipv4Tuple &key, bool ports)
	{
		uint64_t hash = hash_key(key, seed_);
		each_function([&](auto &function) {
			if constexpr (requires { function.learn(key, hash, ports); })
				function.learn(key, hash, ports);
		});
	}
};

} // namespace reframer::nf
