// A chain on flow blocks: one classification, one lookup and one expiry a run for all its functions.
//
// A burst goes through in three steps, and the next burst comes between the second and the third, so
// that neither waits for memory: submit() reads headers, and asks for the lines of the table; the
// next submit() finds the blocks by then, and asks for them; process() lets the functions work.
#pragma once

#include "api/owned.hpp"
#include "nf/block/functions.hpp"
#include "nf/block/gather.hpp"
#include "nf/flow_hash.hpp"

#include <new>
#include <utility>

namespace reframer::nf::block {

// A flow table, how its entries leave, and how fast it is swept.
class Table {
public:
	// `leaves(self, key, block)` is called for each that does.
	Table(conntrack_params p, void (*leaves)(void *self, const Ipv4Tuple &key, void *block),
	      void *self)
		: leaves_(leaves), self_(self), period_ns_(p.timeout_ns[0])
	{
		for (const uint64_t timeout : p.timeout_ns)
			if (timeout && (!period_ns_ || timeout < period_ns_))
				period_ns_ = timeout;
		p.key_size = CONNTRACK_KEY_IPV4;
		p.on_removed = [](void *context, const void *key, void *state, int) {
			Ipv4Tuple k;
			std::memcpy(&k, key, sizeof(k));
			auto *t = static_cast<Table *>(context);
			t->leaves_(t->self_, k, state);
		};
		p.context = this;
		table_ = api::create<api::FlowTable>(conntrack_create, p);
		if (!table_)
			throw std::bad_alloc();
	}
	Table(const Table &) = delete; // entries that leave know where it is
	Table &operator=(const Table &) = delete;

	conntrack_table *get() const { return table_.get(); }
	// Dead blocks leave within the shortest timeout after their own, while packets come.
	void sweep(uint64_t now_ns)
	{
		if (now_ns - swept_ns_ < sweep_interval_ns || !period_ns_)
			return;
		const uint64_t interval = std::min(now_ns - swept_ns_, most_swept_ns);
		swept_ns_ = now_ns;
		conntrack_expire(get(), now_ns, conntrack_sweep_budget(get(), interval, period_ns_));
	}
	conntrack_stats stats() const
	{
		conntrack_stats stats;
		conntrack_get_stats(get(), &stats);
		return stats;
	}

private:
	// Some pages of a table of a million flows: less would begin anew too often.
	static constexpr uint64_t sweep_interval_ns = 100'000;
	// After a pause one call must not make up for all of it.
	static constexpr uint64_t most_swept_ns = 10 * sweep_interval_ns;

	api::FlowTable table_;
	void (*leaves_)(void *, const Ipv4Tuple &, void *);
	void *self_;
	uint64_t period_ns_, swept_ns_ = 0;
};

template <bool merge, typename... Functions> class FlowBlockChain {
public:
	using Block = Layout<typename Functions::State...>;
	static constexpr bool translates = (is_translating<Functions> || ...);
	static constexpr bool both_directions = (is_bidirectional<Functions> || ...);
	static constexpr uint32_t most = Packets::most;

	// Of `p` the chain sets key, state, direction and what it is told of entries that leave.
	explicit FlowBlockChain(conntrack_params p, Functions... functions)
		: functions_(std::move(functions)...), table_(complete(p), leaves, this)
	{
	}

	// Takes up to `most` packets. One burst may wait for its turn when this is called; it is
	// processed before the next one can be submitted.
	void submit(Mbuf *const *packets, uint32_t n, uint64_t now_ns)
	{
		if (waiting_)
			look_up(bursts_[at_], now_ns);
		Burst &b = bursts_[at_ ^ waiting_];
		b.template gather<merge>(packets, n);
		b.now_ns = now_ns;
		if constexpr (both_directions && (TurnsInbound<Functions> || ...))
			turn_inbound(b);
		conntrack_digest_burst(table_.get(), b.keys, nullptr, b.nb_runs, b.digests);
		waiting_++;
	}
	// Lets the functions work on the burst submitted first. Room in `out` and `dropped` for as many
	// packets as it has. Returns how many pass, at the front of `out`; `n` is how many there were.
	uint32_t process(uint64_t now_ns, Mbuf **out, Mbuf **dropped, uint32_t &n)
	{
		n = 0;
		if (!waiting_)
			return 0;
		Burst &b = bursts_[at_];
		if (!b.looked_up)
			look_up(b, now_ns);
		b.looked_up = false;
		work(b, now_ns);
		waiting_--;
		at_ ^= 1;
		n = b.count;
		return b.template emit<translates>(out, dropped, verdicts_);
	}
	// Both at once, for whoever has no next burst. Packets that pass stay in front, in order.
	uint32_t run(Mbuf **packets, uint32_t n, uint64_t now_ns, Mbuf **dropped)
	{
		uint32_t kept = 0, nb_dropped = 0, ended = 0;
		auto take = [&] {
			uint32_t count;
			const uint32_t passed = process(now_ns, packets + kept, dropped + nb_dropped, count);
			kept += passed;
			nb_dropped += count - passed;
			ended += count;
		};
		// What leaves is never ahead of what is still to be read.
		for (uint32_t first = 0; first < n; first += most) {
			submit(packets + first, std::min(most, n - first), now_ns);
			if (waiting_ == 2)
				take();
		}
		while (ended < n)
			take();
		return kept;
	}

	Table &table() { return table_; }
	uint64_t verdicts(uint8_t verdict) const { return verdicts_[verdict]; }
	template <size_t index> auto &function() { return std::get<index>(functions_); }
	// Sum over all blocks and slices.
	uint64_t digest()
	{
		uint64_t sum = 0;
		conntrack_iterate(
			table_.get(), CONNTRACK_NO_TIME,
			[](void *context, const void *key, void *block, int) {
				Ipv4Tuple k;
				std::memcpy(&k, key, sizeof(k));
				each_slice([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
					using F = std::tuple_element_t<i, std::tuple<Functions...>>;
					if (const uint64_t of_slice = F::digest(Block::template slice<i>(block)))
						*static_cast<uint64_t *>(context) += hash_key(k, of_slice + i);
				});
			},
			&sum);
		return sum;
	}

private:
	struct Burst : block::Burst {
		uint64_t digests[most];
		void *blocks[most];
		uint8_t results[most];
		uint64_t now_ns; // when it came: what functions reckon with
		bool looked_up = false;
	};

	static conntrack_params complete(conntrack_params p)
	{
		p.state_size = Block::table_bytes;
		p.flags |= both_directions ? CONNTRACK_SYMMETRIC : 0;
		return p;
	}
	template <typename Visit> static void each_slice(Visit visit)
	{
		int none = 0;
		[&]<size_t... i>(std::index_sequence<i...>)
		{
			(visit(std::integral_constant<size_t, i>(), none), ...);
		}
		(std::index_sequence_for<Functions...>());
	}
	static void leaves(void *self, const Ipv4Tuple &key, void *block)
	{
		auto &chain = *static_cast<FlowBlockChain *>(self);
		each_slice([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
			auto &f = std::get<i>(chain.functions_);
			if constexpr (SeesEnds<std::remove_reference_t<decltype(f)>>)
				f.ended(key, Block::template slice<i>(block));
		});
	}

	void turn_inbound(Burst &b)
	{
		for (uint32_t r = 0; r < b.nb_runs; r++)
			each_slice([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
				auto &f = std::get<i>(functions_);
				if constexpr (TurnsInbound<std::remove_reference_t<decltype(f)>>)
					if (b.runs[r].has_ports() && f.inbound(b.runs[r].key)) [[unlikely]]
						b.keys[r] = b.runs[r].key;
			});
	}
	void look_up(Burst &b, uint64_t now_ns)
	{
		table_.sweep(now_ns);
		conntrack_find_or_insert_burst(table_.get(), b.keys, b.digests, b.nb_runs, now_ns, b.blocks,
		                               b.results);
		b.looked_up = true;
	}

	void work(Burst &b, uint64_t now_ns)
	{
		if constexpr ((Prefetches<Functions> || ...))
			for (uint32_t r = 0; r < b.nb_runs; r++)
				if (b.blocks[r])
					each_slice([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
						auto &f = std::get<i>(functions_);
						if constexpr (Prefetches<std::remove_reference_t<decltype(f)>>)
							f.prefetch(Block::template slice<i>(b.blocks[r]));
					});
		for (uint32_t r = 0; r < b.nb_runs; r++) {
			Run &run = b.runs[r];
			void *const block = b.blocks[r];
			if (!block) [[unlikely]] {
				b.drop_all(run, verdict_table_full);
				continue;
			}
			run.flags = static_cast<uint8_t>((b.results[r] & CONNTRACK_NEW ? run_new : 0) |
			                                 (b.results[r] & CONNTRACK_REPLY ? run_reply : 0));
			each_slice([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
				work_one<i>(b, run, block);
			});
			if (run.timeout_class != same_class) [[unlikely]]
				conntrack_set_class(table_.get(), block, run.timeout_class, now_ns);
		}
	}
	template <size_t i> void work_one(Burst &b, Run &run, void *block)
	{
		auto &f = std::get<i>(functions_);
		if (!run.alive) [[unlikely]] // dropped by a function before
			return;
		if constexpr (TranslatesQuotes<std::remove_reference_t<decltype(f)>>)
			if (run.layer4 == layer4_icmp_error) [[unlikely]] {
				f.quoted(run, b, [&](const Ipv4Tuple &key) { return find_slice<i>(key); });
				return;
			}
		f.process(run, b, Block::template slice<i>(block), b.now_ns);
	}
	template <size_t i> auto find_slice(const Ipv4Tuple &key)
	{
		void *block = conntrack_find(table_.get(), &key, nullptr, CONNTRACK_NO_TIME);
		return block ? &Block::template slice<i>(block) : nullptr;
	}

	std::tuple<Functions...> functions_;
	Table table_;
	Burst bursts_[2];
	uint32_t at_ = 0, waiting_ = 0; // burst that is processed next; how many wait
	uint64_t verdicts_[nb_verdicts] = {};
};

} // namespace reframer::nf::block
