// The same functions, each with a table of its own, as chains of elements or nodes have it: what flow
// blocks are compared with. All packets pass one function before the next begins.
#pragma once

#include "nf/block/chain.hpp"

namespace reframer::nf::block {

template <bool merge, typename... Functions> class TableEachChain {
	using Whole = FlowBlockChain<merge, Functions...>;

public:
	static constexpr bool translates = Whole::translates;

	explicit TableEachChain(const conntrack_params &p, Functions... functions)
		: elements_(Element<Functions>(p, std::move(functions))...)
	{
	}

	uint32_t run(Mbuf **packets, uint32_t n, uint64_t now_ns, Mbuf **dropped)
	{
		uint32_t kept = 0, nb_dropped = 0;
		for (uint32_t first = 0; first < n; first += Packets::most) {
			const uint32_t count = std::min(Packets::most, n - first);
			burst_.template gather<merge>(packets + first, count);
			each([&](auto &element) { element.run(burst_, now_ns); });
			const uint32_t passed =
				burst_.template emit<translates>(packets + kept, dropped + nb_dropped, verdicts_);
			kept += passed;
			nb_dropped += count - passed;
		}
		return kept;
	}

	uint64_t verdicts(uint8_t verdict) const { return verdicts_[verdict]; }
	template <size_t index> auto &function() { return std::get<index>(elements_).function(); }
	// As FlowBlockChain's.
	uint64_t digest()
	{
		uint64_t sum = 0, index = 0;
		each([&](auto &element) { sum += element.digest(index++); });
		return sum;
	}
	// Calls visit(state) for each entry of a function's table.
	template <size_t index, typename Visit> void each_state(Visit visit)
	{
		std::get<index>(elements_).each_state(visit);
	}
	uint64_t bytes()
	{
		uint64_t sum = 0;
		each([&](auto &element) { sum += element.bytes(); });
		return sum;
	}

private:
	template <typename F> class Element {
	public:
		using State = typename F::State;

		Element(conntrack_params p, F function)
			: body_(std::make_unique<Body>(complete(p), std::move(function)))
		{
		}
		F &function() { return body_->function; }
		void run(Burst &b, uint64_t now_ns)
		{
			Body &own = *body_;
			conntrack_table *const table = own.table.get();
			own.table.sweep(now_ns);
			// Packets that a function before has dropped do not come here.
			uint32_t nb = 0;
			for (uint32_t r = 0; r < b.nb_runs; r++) {
				Run &run = b.runs[r];
				if constexpr (turns && TurnsInbound<F>)
					if (run.has_ports())
						own.function.inbound(run.key);
				own.alive[nb] = static_cast<uint8_t>(r);
				b.keys[nb] = run.key;
				nb += run.alive != 0;
			}
			conntrack_digest_burst(table, b.keys, nullptr, nb, own.digests);
			conntrack_find_or_insert_burst(table, b.keys, own.digests, nb, now_ns, own.states,
			                               own.results);
			if constexpr (Prefetches<F>)
				for (uint32_t n = 0; n < nb; n++)
					if (own.states[n])
						own.function.prefetch(*static_cast<State *>(own.states[n]));
			for (uint32_t n = 0; n < nb; n++)
				work(b, b.runs[own.alive[n]], own.states[n], own.results[n], now_ns);
		}
		uint64_t digest(uint64_t index)
		{
			struct Sum {
				uint64_t index, sum;
			} out{index, 0};
			conntrack_iterate(
				body_->table.get(), CONNTRACK_NO_TIME,
				[](void *context, const void *key, void *state, int) {
					Ipv4Tuple k;
					std::memcpy(&k, key, sizeof(k));
					auto &to = *static_cast<Sum *>(context);
					if (const uint64_t of_slice = F::digest(*static_cast<State *>(state)))
						to.sum += hash_key(k, of_slice + to.index);
				},
				&out);
			return out.sum;
		}
		template <typename Visit> void each_state(Visit visit)
		{
			conntrack_iterate(
				body_->table.get(), CONNTRACK_NO_TIME,
				[](void *context, const void *, void *state, int) {
					(*static_cast<Visit *>(context))(*static_cast<State *>(state));
				},
				&visit);
		}
		uint64_t bytes() const { return body_->table.stats().bytes; }

	private:
		static constexpr bool turns = Whole::both_directions;

		struct Body {
			Body(const conntrack_params &p, F f)
				: function(std::move(f)), table(p, leaves, &function)
			{
			}
			F function;
			Table table;
			uint8_t alive[Packets::most] = {};
			uint64_t digests[Packets::most] = {};
			void *states[Packets::most] = {};
			uint8_t results[Packets::most] = {};
		};
		static conntrack_params complete(conntrack_params p)
		{
			p.state_size = static_cast<uint32_t>((sizeof(State) + 7) / 8 * 8);
			p.flags |= turns ? CONNTRACK_SYMMETRIC : 0;
			return p;
		}
		static void leaves(void *function, const Ipv4Tuple &key, void *state)
		{
			if constexpr (SeesEnds<F>)
				static_cast<F *>(function)->ended(key, *static_cast<State *>(state));
		}
		void work(Burst &b, Run &run, void *state, uint8_t result, uint64_t now_ns)
		{
			if (!state) [[unlikely]] {
				b.drop_all(run, verdict_table_full);
				return;
			}
			run.flags = static_cast<uint8_t>((result & CONNTRACK_NEW ? run_new : 0) |
			                                 (result & CONNTRACK_REPLY ? run_reply : 0));
			if constexpr (TranslatesQuotes<F>)
				if (run.layer4 == layer4_icmp_error) [[unlikely]] {
					body_->function.quoted(run, b, [&](const Ipv4Tuple &key) {
						return static_cast<State *>(
							conntrack_find(body_->table.get(), &key, nullptr, CONNTRACK_NO_TIME));
					});
					return;
				}
			run.timeout_class = same_class;
			body_->function.process(run, b, *static_cast<State *>(state), now_ns);
			if (run.timeout_class != same_class) [[unlikely]]
				conntrack_set_class(body_->table.get(), state, run.timeout_class, now_ns);
		}

		std::unique_ptr<Body> body_;
	};

	template <typename Visit> void each(Visit visit)
	{
		std::apply([&](auto &...element) { (visit(element), ...); }, elements_);
	}

	std::tuple<Element<Functions>...> elements_;
	Burst burst_;
	uint64_t verdicts_[nb_verdicts] = {};
};

} // namespace reframer::nf::block
