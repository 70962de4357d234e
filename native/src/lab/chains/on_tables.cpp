// Styles on the burst table: the flow block, one table a function (VPP), one lookup and a bitmap of
// services a session (SFDP).
#include "lab/chains/functions.hpp"
#include "nf/block/table_each.hpp"

#include <bit>

namespace reframer::lab::chains {

namespace {

using namespace nf::block;

template <bool look_ahead, typename... F> class FlowBlockStyle final : public Contender {
public:
	explicit FlowBlockStyle(const Terms &t, F... f) : chain_(table_params(t), std::move(f)...) {}

	void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) override
	{
		chain_.submit(packets, n, now_ns);
		if (!look_ahead || waiting_)
			leave(now_ns);
		else
			waiting_ = true;
	}
	void finish(uint64_t now_ns) override
	{
		if (waiting_)
			leave(now_ns);
		waiting_ = false;
	}
	uint64_t counted() override
	{
		uint64_t sum = chain_.template function<0>().ended_packets;
		conntrack_iterate(
			chain_.table().get(), CONNTRACK_NO_TIME,
			[](void *to, const void *, void *block, int) {
				*static_cast<uint64_t *>(to) += Chain::Block::template slice<0>(block).packets;
			},
			&sum);
		return sum;
	}
	uint64_t digest() override { return chain_.digest(); }
	uint64_t bytes() override { return chain_.table().stats().bytes; }

private:
	using Chain = FlowBlockChain<true, F...>;
	void leave(uint64_t now_ns)
	{
		uint32_t n;
		const uint32_t kept = chain_.process(now_ns, out_, out_dropped_, n);
		passed += kept;
		dropped += n - kept;
	}

	Chain chain_;
	bool waiting_ = false;
	nf::Mbuf *out_[Packets::most], *out_dropped_[Packets::most];
};

template <typename... F> class TableEachStyle final : public Contender {
public:
	explicit TableEachStyle(const Terms &t, F... f) : chain_(table_params(t), std::move(f)...) {}

	void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) override
	{
		nf::Mbuf *out_dropped[Packets::most];
		const uint32_t kept = chain_.run(packets, n, now_ns, out_dropped);
		passed += kept;
		dropped += n - kept;
	}
	void finish(uint64_t) override {}
	uint64_t counted() override
	{
		uint64_t sum = chain_.template function<0>().ended_packets;
		chain_.template each_state<0>([&](const FlowCounter::State &s) { sum += s.packets; });
		return sum;
	}
	uint64_t digest() override { return chain_.digest(); }
	uint64_t bytes() override { return chain_.bytes(); }

private:
	TableEachChain<false, F...> chain_;
};

// A session knows by a bitmap which services it has; packets go to the first of them, and from each
// to the next. Sessions, and so blocks, are looked up once, for a burst at a time.
template <typename... F> class ServicesStyle final : public Contender {
	struct Session {
		uint64_t services; // 0: new
	};
	using Block = Layout<Session, typename F::State...>;

public:
	explicit ServicesStyle(const Terms &t, F... f)
		: functions_(std::move(f)...), table_(complete(table_params(t)), leaves, this)
	{
	}

	void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) override
	{
		table_.sweep(now_ns);
		Burst &b = burst_;
		b.template gather<false>(packets, n);
		conntrack_digest_burst(table_.get(), b.keys, nullptr, b.nb_runs, digests_);
		conntrack_find_or_insert_burst(table_.get(), b.keys, digests_, b.nb_runs, now_ns, blocks_,
		                               results_);
		uint8_t queue[sizeof...(F)][Packets::most];
		uint32_t nb_queued[sizeof...(F) + 1] = {};
		for (uint32_t r = 0; r < b.nb_runs; r++) {
			if (!blocks_[r]) [[unlikely]] {
				b.drop_all(b.runs[r], nf::verdict_table_full);
				continue;
			}
			b.runs[r].flags = results_[r] & CONNTRACK_REPLY ? run_reply : 0;
			Session &s = Block::template slice<0>(blocks_[r]);
			if (!s.services)
				s.services = (uint64_t{1} << sizeof...(F)) - 1;
			left_[r] = s.services;
			to_next(r, queue, nb_queued);
		}
		[&]<size_t... i>(std::index_sequence<i...>)
		{
			(service<i>(b, queue, nb_queued, now_ns), ...);
		}
		(std::index_sequence_for<F...>());
		nf::Mbuf *out_dropped[Packets::most];
		const uint32_t kept = b.template emit<translates>(packets, out_dropped, verdicts_);
		passed += kept;
		dropped += n - kept;
	}
	void finish(uint64_t) override {}
	uint64_t counted() override
	{
		uint64_t sum = std::get<0>(functions_).ended_packets;
		each_block([&](const nf::Ipv4Tuple &, void *block) {
			sum += Block::template slice<1>(block).packets;
		});
		return sum;
	}
	uint64_t digest() override
	{
		uint64_t sum = 0;
		each_block([&](const nf::Ipv4Tuple &key, void *block) {
			each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &f) {
				using Function = std::remove_reference_t<decltype(f)>;
				if (const uint64_t d = Function::digest(Block::template slice<i + 1>(block)))
					sum += nf::hash_key(key, d + i);
			});
		});
		return sum;
	}
	uint64_t bytes() override { return table_.stats().bytes; }

private:
	static constexpr bool translates = (is_translating<F> || ...);
	static constexpr bool both_directions = (is_bidirectional<F> || ...);

	static conntrack_params complete(conntrack_params p)
	{
		p.state_size = Block::table_bytes;
		p.flags |= both_directions ? CONNTRACK_SYMMETRIC : 0;
		return p;
	}
	static void leaves(void *self, const nf::Ipv4Tuple &key, void *block)
	{
		static_cast<ServicesStyle *>(self)->each_function(
			[&]<size_t i>(std::integral_constant<size_t, i>, auto &f) {
				if constexpr (SeesEnds<std::remove_reference_t<decltype(f)>>)
					f.ended(key, Block::template slice<i + 1>(block));
			});
	}
	template <typename Visit> void each_function(Visit visit)
	{
		[&]<size_t... i>(std::index_sequence<i...>)
		{
			(visit(std::integral_constant<size_t, i>(), std::get<i>(functions_)), ...);
		}
		(std::index_sequence_for<F...>());
	}
	template <typename Visit> void each_block(Visit visit)
	{
		conntrack_iterate(
			table_.get(), CONNTRACK_NO_TIME,
			[](void *context, const void *key, void *block, int) {
				nf::Ipv4Tuple k;
				std::memcpy(&k, key, sizeof(k));
				(*static_cast<Visit *>(context))(k, block);
			},
			&visit);
	}
	template <typename Queue> void to_next(uint32_t r, Queue &queue, uint32_t *nb_queued)
	{
		const auto next = static_cast<uint32_t>(std::countr_zero(left_[r]));
		if (next >= sizeof...(F))
			return;
		left_[r] &= left_[r] - 1;
		queue[next][nb_queued[next]++] = static_cast<uint8_t>(r);
	}
	template <size_t i, typename Queue>
	void service(Burst &b, Queue &queue, uint32_t *nb_queued, uint64_t now_ns)
	{
		for (uint32_t n = 0; n < nb_queued[i]; n++) {
			const uint32_t r = queue[i][n];
			Run &run = b.runs[r];
			std::get<i>(functions_)
				.process(run, b, Block::template slice<i + 1>(blocks_[r]), now_ns);
			if (run.timeout_class != same_class) [[unlikely]]
				conntrack_set_class(table_.get(), blocks_[r], run.timeout_class, now_ns);
			run.timeout_class = same_class;
			if (run.alive) [[likely]]
				to_next(r, queue, nb_queued);
		}
	}

	std::tuple<F...> functions_;
	Table table_;
	Burst burst_;
	uint64_t digests_[Packets::most], left_[Packets::most];
	void *blocks_[Packets::most];
	uint8_t results_[Packets::most];
	uint64_t verdicts_[nf::nb_verdicts] = {};
};

template <template <typename...> typename Style> std::unique_ptr<Contender> make(const Terms &t)
{
	return with_functions(t, [&](auto... f) -> std::unique_ptr<Contender> {
		return std::make_unique<Style<decltype(f)...>>(t, std::move(f)...);
	});
}
template <typename... F> using AheadStyle = FlowBlockStyle<true, F...>;
template <typename... F> using AtOnceStyle = FlowBlockStyle<false, F...>;

} // namespace

std::unique_ptr<Contender> make_flow_block(const Terms &t)
{
	return make<AheadStyle>(t);
}
std::unique_ptr<Contender> make_flow_block_at_once(const Terms &t)
{
	return make<AtOnceStyle>(t);
}
std::unique_ptr<Contender> make_table_each(const Terms &t)
{
	return make<TableEachStyle>(t);
}
std::unique_ptr<Contender> make_services(const Terms &t)
{
	return make<ServicesStyle>(t);
}

} // namespace reframer::lab::chains
