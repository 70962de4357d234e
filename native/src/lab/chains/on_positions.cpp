// Styles whose blocks lie in an array beside rte_hash: a burst cut by flow, each flow's packets
// through the whole chain (FastClick's flow elements); the same, put together again in front of each
// function; a burst left whole, its blocks asked for at once (FAJITA). All look a burst up in bulk
// and end flows by a timer wheel that asks a block when it was used last.
#include "conntrack/contenders/positions.hpp"
#include "conntrack/expiry/timer_wheel.hpp"
#include "lab/chains/functions.hpp"

namespace reframer::lab::chains {

namespace {

using namespace nf::block;

enum class Cut { whole_chain, each_function, none };

template <Cut cut, typename... F> class PositionsStyle final : public Contender {
	struct Head {
		uint32_t used_at; // tick
		uint8_t used, turned;
	};
	using Block = Layout<Head, typename F::State...>;
	static constexpr uint32_t stride = (Block::bytes + 63) / 64 * 64;

public:
	PositionsStyle(const Terms &t, std::unique_ptr<conntrack::Positions> positions, F... f)
		: functions_(std::move(f)...), positions_(std::move(positions)),
		  timeout_(static_cast<uint32_t>(t.timeout_ns / tick_ns)), expires_(t.expires),
		  blocks_(size_t{positions_->end()} * stride),
		  wheel_(t.expires ? positions_->end() : 1, std::max(timeout_, 2u) + 1)
	{
	}

	void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) override
	{
		const auto tick = static_cast<uint32_t>(now_ns / tick_ns);
		if (expires_)
			wheel_.fire(tick, [&](uint32_t id) { due(id, tick); });
		Burst &b = burst_;
		b.template gather<false>(packets, n);
		look_up(b, tick);
		if constexpr (cut == Cut::none) {
			in_order(b, now_ns);
		} else {
			group(b);
			by_flow(b, now_ns);
		}
		nf::Mbuf *out_dropped[Packets::most];
		const uint32_t kept = b.template emit<translates>(packets, out_dropped, verdicts_);
		passed += kept;
		dropped += n - kept;
	}
	void finish(uint64_t) override {}
	uint64_t counted() override
	{
		uint64_t sum = std::get<0>(functions_).ended_packets;
		for (uint32_t id = 0; id < positions_->end(); id++)
			sum += Block::template slice<1>(block(id)).packets;
		return sum;
	}
	uint64_t digest() override
	{
		uint64_t sum = 0;
		for (uint32_t id = 0; id < positions_->end(); id++)
			if (Block::template slice<0>(block(id)).used)
				sum += digest_of(id);
		return sum;
	}
	uint64_t bytes() override
	{
		return positions_->bytes() + blocks_.bytes() + (expires_ ? wheel_.bytes() : 0);
	}

private:
	static constexpr bool translates = (is_translating<F> || ...);
	static constexpr bool both_directions = (is_bidirectional<F> || ...);

	uint8_t *block(uint32_t id) const { return blocks_.data() + size_t{id} * stride; }
	template <typename Visit> void each_function(Visit visit)
	{
		[&]<size_t... i>(std::index_sequence<i...>)
		{
			(visit(std::integral_constant<size_t, i>(), std::get<i>(functions_)), ...);
		}
		(std::index_sequence_for<F...>());
	}

	uint64_t digest_of(uint32_t id)
	{
		nf::Ipv4Tuple key;
		positions_->key_at(static_cast<int32_t>(id), &key);
		uint64_t sum = 0;
		each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &f) {
			using Function = std::remove_reference_t<decltype(f)>;
			if (const uint64_t d = Function::digest(Block::template slice<i + 1>(block(id))))
				sum += nf::hash_key(key, d + i);
		});
		return sum;
	}

	void due(uint32_t id, uint32_t tick)
	{
		const Head &head = Block::template slice<0>(block(id));
		if (tick - head.used_at < timeout_) {
			wheel_.insert(id, head.used_at + timeout_);
			return;
		}
		nf::Ipv4Tuple key;
		positions_->remove(static_cast<int32_t>(id), &key);
		each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &f) {
			if constexpr (SeesEnds<std::remove_reference_t<decltype(f)>>)
				f.ended(key, Block::template slice<i + 1>(block(id)));
		});
		std::memset(block(id), 0, stride);
	}

	void look_up(Burst &b, uint32_t tick)
	{
		if constexpr (both_directions)
			for (uint32_t r = 0; r < b.nb_runs; r++)
				turned_[r] = conntrack_key_symmetric(&b.keys[r], CONNTRACK_KEY_IPV4) == 1;
		positions_->find(b.keys, b.nb_runs, ids_);
		if constexpr (cut == Cut::none)
			for (uint32_t r = 0; r < b.nb_runs; r++)
				if (ids_[r] >= 0)
					for (uint32_t at = 0; at < stride; at += 64)
						__builtin_prefetch(block(static_cast<uint32_t>(ids_[r])) + at, 1);
		for (uint32_t r = 0; r < b.nb_runs; r++) {
			if (ids_[r] < 0) [[unlikely]] {
				enter(b, r, tick);
				if (ids_[r] < 0)
					continue;
			}
			// The block itself is left alone until it is worked on: its line may be on its way.
			if constexpr (cut != Cut::none)
				touch(b, r, tick);
		}
	}
	// A key that is new, or was so to a packet before in this burst: then it gets that one's place.
	void enter(Burst &b, uint32_t r, uint32_t tick)
	{
		ids_[r] = positions_->add(&b.keys[r]);
		if (ids_[r] < 0) {
			b.drop_all(b.runs[r], nf::verdict_table_full);
			return;
		}
		const auto id = static_cast<uint32_t>(ids_[r]);
		Head &head = Block::template slice<0>(block(id));
		if (head.used)
			return;
		head = {tick, 1, turned_[r]};
		if (expires_)
			wheel_.insert(id, tick + timeout_);
	}
	void touch(Burst &b, uint32_t r, uint32_t tick)
	{
		Head &head = Block::template slice<0>(block(static_cast<uint32_t>(ids_[r])));
		head.used_at = tick;
		if constexpr (both_directions)
			b.runs[r].flags = head.turned != turned_[r] ? run_reply : 0;
	}

	template <size_t i> void work(Burst &b, uint32_t r, uint64_t now_ns)
	{
		Run &run = b.runs[r];
		if (ids_[r] < 0 || !run.alive) [[unlikely]]
			return;
		std::get<i>(functions_)
			.process(run, b, Block::template slice<i + 1>(block(static_cast<uint32_t>(ids_[r]))),
		             now_ns);
	}
	void in_order(Burst &b, uint64_t now_ns)
	{
		for (uint32_t r = 0; r < b.nb_runs; r++)
			if (ids_[r] >= 0)
				touch(b, r, static_cast<uint32_t>(now_ns / tick_ns));
		each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
			for (uint32_t r = 0; r < b.nb_runs; r++)
				work<i>(b, r, now_ns);
		});
	}

	// Packets of one flow, also where others came between: up to 16 flows are kept in mind.
	void group(Burst &b)
	{
		constexpr uint32_t in_mind = 16;
		nb_groups_ = 0;
		for (uint32_t r = 0; r < b.nb_runs; r++) {
			const uint32_t oldest = nb_groups_ > in_mind ? nb_groups_ - in_mind : 0;
			uint32_t g = nb_groups_;
			while (g > oldest && group_id_[g - 1] != ids_[r])
				g--;
			if (g == oldest) {
				g = nb_groups_++;
				group_id_[g] = ids_[r];
				first_[g] = static_cast<uint8_t>(r);
			} else {
				g--;
				next_[last_[g]] = static_cast<uint8_t>(r);
			}
			last_[g] = static_cast<uint8_t>(r);
			next_[r] = none;
		}
	}
	void by_flow(Burst &b, uint64_t now_ns)
	{
		const auto each_of = [&](uint32_t g, auto visit) {
			for (uint8_t r = first_[g]; r != none; r = next_[r])
				visit(r);
		};
		if constexpr (cut == Cut::whole_chain) {
			for (uint32_t g = 0; g < nb_groups_; g++)
				each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
					each_of(g, [&](uint32_t r) { work<i>(b, r, now_ns); });
				});
		} else {
			each_function([&]<size_t i>(std::integral_constant<size_t, i>, auto &) {
				for (uint32_t g = 0; g < nb_groups_; g++)
					each_of(g, [&](uint32_t r) { work<i>(b, r, now_ns); });
			});
		}
	}

	static constexpr uint8_t none = UINT8_MAX;

	std::tuple<F...> functions_;
	std::unique_ptr<conntrack::Positions> positions_;
	uint32_t timeout_; // ticks
	bool expires_;
	base::Region<uint8_t> blocks_;
	conntrack::TimerWheel wheel_;
	Burst burst_;
	int32_t ids_[Packets::most];
	uint8_t turned_[Packets::most] = {};
	uint32_t nb_groups_ = 0;
	int32_t group_id_[Packets::most];
	uint8_t first_[Packets::most], last_[Packets::most], next_[Packets::most];
	uint64_t verdicts_[nf::nb_verdicts] = {};
};

template <Cut cut> std::unique_ptr<Contender> make(const Terms &t)
{
	auto positions = conntrack::make_rte_positions(static_cast<uint32_t>(capacity(t)));
	if (!positions)
		return nullptr;
	return with_functions(t, [&](auto... f) -> std::unique_ptr<Contender> {
		return std::make_unique<PositionsStyle<cut, decltype(f)...>>(t, std::move(positions),
		                                                             std::move(f)...);
	});
}

} // namespace

std::unique_ptr<Contender> make_cut(const Terms &t)
{
	return make<Cut::whole_chain>(t);
}
std::unique_ptr<Contender> make_rebuilt(const Terms &t)
{
	return make<Cut::each_function>(t);
}
std::unique_ptr<Contender> make_pooled(const Terms &t)
{
	return make<Cut::none>(t);
}

} // namespace reframer::lab::chains
