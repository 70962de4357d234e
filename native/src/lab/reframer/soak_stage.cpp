// One stage under random calls: bursts of every size, polls with too little room, drains, policy
// changes, released buckets, clocks that jump.
#include "lab/reframer/soak_ledger.hpp"
#include "lab/reframer/soak_traffic.hpp"

#include "lab/stage.hpp"

#include <stdexcept>

namespace reframer::lab {

namespace {

constexpr uint32_t max_burst = 256;

class StageRound {
public:
	StageRound(uint64_t seed, SoakCounts &counts)
		: random{{seed}}, traffic(random), params(random_params(random, traffic)),
		  nic_hash(random.one_in(2)), in_order(!(params.options & REFRAMER_OPT_TCP_REPAIR)),
		  ledger(traffic.nb_flows, params.max_packets + params.max_packets / 4 + 4 * max_burst,
	             counts),
		  counts(counts)
	{
		owned = make_stage(params);
		stage = owned.get();
	}

	void run(uint64_t packets)
	{
		while (pushed < packets) {
			if (random.one_in(5000))
				jump_back();
			now += random.one_in(50) ? random.log_below(2'000'000) : random.below(2000);
			push();
			if (random.one_in(300))
				change_policy();
			if (random.one_in(200)) {
				const uint32_t mask = (1u << random.below(6)) - 1;
				reframer_release_bucket(stage, mask, random.below(mask + 1));
			}
			if (random.one_in(1000))
				empty(true);
			else if (!random.one_in(8))
				empty(false);
			take_thinned();
		}
		empty(true);
		take_thinned();
		ledger.end();
		counts.packets += pushed;
	}

private:
	uint64_t clock() const { return now - origin; }

	// The caller's clock starts anew, or ticks back a little for one call; the stage's goes on.
	void jump_back()
	{
		const reframer_burst nothing = {};
		if (random.one_in(2) && origin < 500'000'000) {
			origin += 20'000'000 + random.below(1'000'000);
			reframer_push(stage, &nothing, clock());
		} else {
			reframer_push(stage, &nothing, clock() - random.below(1'000'000));
		}
	}

	void push()
	{
		const uint32_t want =
			std::min({random.log_below(max_burst), ledger.room(), params.max_packets});
		for (uint32_t i = 0; i < want; i++) {
			const uint32_t flow = traffic.pick(random);
			const SoakFrame &f = traffic.frame(flow, random);
			handle[i] = ledger.enter(flow, now + delay);
			data[i] = f.bytes;
			captured[i] = f.captured;
			wire[i] = f.wire;
			hash[i] = traffic.hash_of(flow);
		}
		const reframer_burst burst = {handle, data, captured, wire, nic_hash ? hash : nullptr,
		                              want};
		uint32_t taken = reframer_push(stage, &burst, clock());
		// What was refused is offered again after the stage was emptied, in order.
		while (taken < want) {
			empty(false);
			take_thinned();
			const reframer_burst rest = {handle + taken,
			                             data + taken,
			                             captured + taken,
			                             wire + taken,
			                             nic_hash ? hash + taken : nullptr,
			                             want - taken};
			const uint32_t more = reframer_push(stage, &rest, clock());
			if (more == 0 && ++refusals > 1000)
				throw std::runtime_error("an emptied stage keeps refusing packets");
			taken += more;
		}
		pushed += want;
	}

	// Polls, sometimes with little room; until nothing due is left, so that the deadline counts.
	void empty(bool drain)
	{
		for (;;) {
			const uint32_t room = random.one_in(4) ? 1 + random.below(40) : max_burst;
			uint32_t nb_runs = random.one_in(8) ? 1 + random.below(4) : max_burst;
			const uint32_t run_room = nb_runs;
			const uint32_t n = drain ? reframer_drain(stage, clock(), out, room, runs, &nb_runs)
			                         : reframer_poll(stage, clock(), out, room, runs, &nb_runs);
			check_runs(n, nb_runs);
			for (uint32_t i = 0; i < n; i++)
				ledger.leave(out[i], served_until, in_order);
			if (n == 0 || (n < room && nb_runs < run_room && !drain))
				break;
			if (!drain && random.one_in(20))
				return; // left half-way: nothing is known of what was due
		}
		served_until = now;
	}

	// The runs cover what came out, without gaps or overlap.
	void check_runs(uint32_t n, uint32_t nb_runs)
	{
		uint32_t covered = 0;
		for (uint32_t i = 0; i < nb_runs; i++) {
			if (runs[i].first != covered || runs[i].count == 0)
				throw std::runtime_error("runs do not cover what was released");
			covered += runs[i].count;
		}
		if (covered != n)
			throw std::runtime_error("runs do not cover what was released");
	}

	void take_thinned()
	{
		uint32_t n;
		while ((n = reframer_take_thinned(stage, out, max_burst)) > 0)
			for (uint32_t i = 0; i < n; i++)
				ledger.thinned(out[i]);
	}

	void change_policy()
	{
		const uint64_t next = random.log_below(300'000);
		if (reframer_set_policy(stage, random.below(3), next) != 0)
			throw std::runtime_error("a policy within the documented ranges was refused");
		// What is held keeps its deadline or gets an earlier one.
		delay = std::max(next, traffic.longest_rule_delay);
	}

	SoakRandom random;
	SoakTraffic traffic;
	reframer_params params;
	bool nic_hash;
	bool in_order;
	Ledger ledger;
	SoakCounts &counts;
	api::Stage owned;
	reframer_stage *stage = nullptr;
	uint64_t now = 1'000'000'000, origin = 0, served_until = 0, pushed = 0;
	uint64_t delay = std::max<uint64_t>(params.delay_ns, traffic.longest_rule_delay);
	uint32_t refusals = 0;
	void *handle[max_burst], *out[max_burst];
	const uint8_t *data[max_burst];
	uint32_t captured[max_burst], wire[max_burst], hash[max_burst];
	reframer_run runs[max_burst];
};

} // namespace

void soak_stage(uint64_t seed, uint64_t packets, SoakCounts &counts)
{
	StageRound(seed, counts).run(packets);
	counts.rounds++;
}

} // namespace reframer::lab
