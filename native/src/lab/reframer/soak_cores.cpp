// Several cores, each with a queue and a stage of its own, between which RSS buckets move: what RSS++
// and Reframer do together. One thread plays all cores in random order, so a seed repeats a round.
#include "lab/reframer/soak_ledger.hpp"
#include "lab/reframer/soak_traffic.hpp"

#include "lab/stage.hpp"

#include <deque>
#include <stdexcept>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32, out_room = 256, queue_depth = 1024;

struct SoakCore {
	api::Stage stage;
	std::deque<void *> queue;
	std::deque<void *> refused; // by the hand-over: offered again before the queue
	uint64_t received = 0;
	uint64_t served_until = 0;
};

class CoresRound {
public:
	CoresRound(uint64_t seed, SoakCounts &counts)
		: random{{seed}}, traffic(random), nb_buckets(64u << random.below(4)),
		  cores(2 + random.below(5)), table(nb_buckets),
		  ledger(traffic.nb_flows, uint32_t(cores.size()) * (queue_depth + 8192), counts),
		  counts(counts), leaving(nb_buckets)
	{
		rsspp_handover_params h;
		rsspp_handover_default_params(&h);
		h.nb_buckets = nb_buckets;
		h.nb_cores = uint32_t(cores.size());
		h.hold_capacity = random.one_in(4) ? 64 : 65536;
		reframer_params p = random_params(random, traffic);
		p.options = 0;
		p.max_packets = std::min(p.max_packets, 4096u);
		owned = api::create<api::HandOver>(rsspp_handover_create, h);
		handover = owned.get();
		if (!handover)
			throw std::runtime_error("an instance within the documented ranges was refused");
		for (SoakCore &core : cores)
			core.stage = make_stage(p);
		delay = std::max(p.delay_ns, traffic.longest_rule_delay);
		for (uint32_t b = 0; b < nb_buckets; b++)
			table[b] = uint16_t(b % cores.size());
	}

	void run(uint64_t packets)
	{
		while (arrived < packets) {
			now += random.below(3000);
			arrive();
			if (random.one_in(100))
				move_buckets();
			poll(uint16_t(random.below(uint32_t(cores.size()))));
		}
		// No more arrivals: everything must come out, by deadlines alone.
		for (uint32_t step = 0; ledger.inside() > 0 && step < 100'000; step++) {
			now += 1 + delay / 16;
			for (uint16_t c = 0; c < cores.size(); c++)
				poll(c);
		}
		ledger.end();
		counts.packets += arrived;
		for (uint16_t c = 0; c < cores.size(); c++) {
			rsspp_handover_stats stats;
			rsspp_handover_get_stats(handover, c, &stats);
			counts.moves += stats.moves;
		}
	}

private:
	uint32_t hash_of(void *packet) const { return traffic.hash_of(ledger.flow_of(packet)); }

	void arrive()
	{
		for (uint32_t n = random.below(64); n > 0 && ledger.room() > 0; n--) {
			const uint32_t flow = traffic.pick(random);
			SoakCore &core = cores[table[traffic.hash_of(flow) & (nb_buckets - 1)]];
			if (core.queue.size() == queue_depth)
				continue; // a full ring drops before anybody has promised anything
			core.queue.push_back(ledger.enter(flow, UINT64_MAX));
			arrived++;
		}
	}

	void move_buckets()
	{
		for (uint32_t n = 1 + random.below(16); n > 0; n--) {
			const uint32_t bucket = random.below(nb_buckets);
			const uint16_t to = uint16_t(random.below(uint32_t(cores.size())));
			if (rsspp_handover_begin(handover, bucket, to) == 0)
				begun.push_back({bucket, to});
		}
		arrive(); // still by the old table
		for (const auto &[bucket, to] : begun)
			table[bucket] = to;
		begun.clear();
		rsspp_handover_written(handover);
	}

	void poll(uint16_t id)
	{
		SoakCore &core = cores[id];
		uint32_t nb = 0;
		while (nb < burst_size && !core.refused.empty()) {
			in[nb++] = core.refused.front();
			core.refused.pop_front();
		}
		while (core.refused.empty() && nb < burst_size && !core.queue.empty()) {
			in[nb++] = core.queue.front();
			core.queue.pop_front();
		}
		for (uint32_t i = 0; i < nb; i++)
			hashes[i] = hash_of(in[i]);
		uint32_t nb_admitted = 0;
		const uint32_t taken = rsspp_handover_admit(handover, id, in, hashes, nb, admitted,
		                                            admitted_hashes, out_room, &nb_admitted);
		core.received += taken;
		for (uint32_t i = nb; i > taken; i--)
			core.refused.push_front(in[i - 1]);
		hold(core, nb_admitted);
		release(core);
		const int64_t waiting = int64_t(core.queue.size() + core.refused.size());
		const uint32_t gone =
			rsspp_handover_poll(handover, id, core.received, waiting, leaving.data());
		if (gone == 0)
			return;
		for (uint32_t i = 0; i < gone; i++)
			reframer_release_bucket(core.stage.get(), nb_buckets - 1, leaving[i]);
		release(core);
		rsspp_handover_release(handover, id);
	}

	void hold(SoakCore &core, uint32_t nb)
	{
		const uint8_t *data[out_room];
		uint32_t captured[out_room], wire[out_room];
		for (uint32_t i = 0; i < nb; i++) {
			const SoakFrame &f = traffic.frame(ledger.flow_of(admitted[i]), random);
			data[i] = f.bytes;
			captured[i] = f.captured;
			wire[i] = f.wire;
			ledger.starts_waiting(admitted[i], now + delay);
		}
		for (uint32_t done = 0; done < nb;) {
			const reframer_burst burst = {admitted + done,        data + done,
			                              captured + done,        wire + done,
			                              admitted_hashes + done, std::min(nb - done, 32u)};
			done += reframer_push(core.stage.get(), &burst, now);
			release(core);
		}
	}

	// All that is due comes out: is it this core that has its bucket now?
	void release(SoakCore &core)
	{
		uint32_t n;
		do {
			uint32_t nb_runs = out_room;
			n = reframer_poll(core.stage.get(), now, out, out_room, runs, &nb_runs);
			for (uint32_t i = 0; i < n; i++) {
				const uint32_t bucket = hash_of(out[i]) & (nb_buckets - 1);
				if (&cores[rsspp_handover_owner(handover, bucket)] != &core)
					counts.reordered++; // served by a core that does not own its flow
				ledger.leave(out[i], core.served_until, true);
			}
		} while (n == out_room);
		core.served_until = now;
	}

	SoakRandom random;
	SoakTraffic traffic;
	uint32_t nb_buckets;
	std::vector<SoakCore> cores;
	std::vector<uint16_t> table;
	Ledger ledger;
	SoakCounts &counts;
	std::vector<uint16_t> leaving;
	std::vector<std::pair<uint32_t, uint16_t>> begun;
	api::HandOver owned;
	rsspp_handover *handover = nullptr;
	uint64_t now = 1'000'000'000, delay = 0, arrived = 0;
	void *in[burst_size], *admitted[out_room], *out[out_room];
	uint32_t hashes[burst_size], admitted_hashes[out_room];
	reframer_run runs[out_room];
};

} // namespace

void soak_cores(uint64_t seed, uint64_t packets, SoakCounts &counts)
{
	CoresRound(seed, counts).run(packets);
	counts.rounds++;
}

} // namespace reframer::lab
