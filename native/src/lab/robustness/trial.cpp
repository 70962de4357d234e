// Job `robustness-trial`: what an attack does to the legitimate packets of one queue.
//
// spec    {"attack": "none"|"syn-flood"|"one-packet"|"elephant"|"same-hash"|"same-set"|"fragments"|
//          "crafted"|"drip"|"capture", "capture": FILE (whose frames the last sends, round and round), "times": 5
//          (packets of the attacker a legitimate one), "policy": "fixed"|"off", "delayNs": 64000, "legitimatePps": 200000, "flows": 20000 (legitimate,
//          established), "tableFlows": 65536 (the table's fixed size), "ringDepth": 1024, "maxBurst": 128
//          (packets of a group at which it leaves), "hash": "nic"|"software" (what the stage groups by: the
//          NIC's hash, which an attacker can aim at, or its own of the header, which has a secret key), "releaseMax": 32 (packets a poll serves; 0: all due),
//          "durationNs", "warmupNs", "dma": "llc"|"dram", "seed", "cpus": [under test, DMA]}
// record  {"attack","times","policy","p50Us","p99Us","p999Us" (legitimate packets, arrival to
//          departure), "legitimatePackets","legitimateDrops","drops","nsPerPacket",
//          "establishedEvicted","establishedLost","evicted","refused","tableMiB","heldMax",
//          "grownMiB" (of the process, from the start of traffic), "loadShare", "void","checks"}
//
// Each packet goes through the whole parser into a flow table of fixed size that is placed by the
// NIC's hash, the weaker way under attack. Flows whose handshake is over are protected from early
// eviction; those of one SYN are not.
#include "conntrack/tcp_state.hpp"
#include "measure/tsc.hpp"
#include "datapath/ports/virtual_queue.hpp"
#include "lab/captures/capture_input.hpp"
#include "jobs/job.hpp"
#include "lab/robustness/attack.hpp"
#include "jobs/spec_reader.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"
#include "reframer/conntrack.h"

#include <cmath>
#include <memory>
#include <optional>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace reframer::lab {

namespace {

constexpr uint64_t second = 1'000'000'000;
enum FlowClass : uint32_t { class_unproven, class_established };

struct TrialSpec {
	Attack attack;
	std::string attack_name, capture;
	double times, legitimate_pps;
	bool reframes, nic_hash;
	uint64_t delay_ns, duration_ns, warmup_ns, seed;
	uint32_t flows, table_flows, ring_depth, max_burst, release_max;
	engine::Dma::Into dma;
	std::vector<uint32_t> cpus;
};

TrialSpec read_spec(const Json &spec)
{
	const std::initializer_list<std::pair<const char *, Attack>> attacks = {
	    {"none", Attack::none},           {"syn-flood", Attack::syn_flood}, {"one-packet", Attack::one_packet},
	    {"elephant", Attack::elephant},   {"same-hash", Attack::same_hash}, {"same-set", Attack::same_set},
	    {"fragments", Attack::fragments}, {"crafted", Attack::crafted},     {"drip", Attack::drip},
	    {"capture", Attack::capture}};
	SpecReader in(spec, "");
	TrialSpec t;
	t.attack = in.choice("attack", Attack::none, attacks);
	t.attack_name = in.text("attack", "none");
	t.capture = in.text("capture", "");
	if (t.capture.empty() == (t.attack == Attack::capture))
		in.fail("capture", "is a file for the attack capture, and for no other");
	t.times = in.real("times", 5, 0, 1000);
	t.reframes = in.choice("policy", true, {{"fixed", true}, {"off", false}});
	t.nic_hash = in.choice("hash", true, {{"nic", true}, {"software", false}});
	t.delay_ns = in.integer("delayNs", 64000, 1, second);
	t.legitimate_pps = in.real("legitimatePps", 200e3, 1, 1e8);
	t.flows = uint32_t(in.integer("flows", 20000, 1, 1u << 20));
	t.table_flows = uint32_t(in.integer("tableFlows", 65536, 64, 1u << 24));
	t.ring_depth = uint32_t(in.integer("ringDepth", 1024, 32, 32768));
	t.max_burst = uint32_t(in.integer("maxBurst", 128, 1, 1u << 20));
	t.release_max = uint32_t(in.integer("releaseMax", 32, 0, 1u << 16));
	t.duration_ns = in.integer("durationNs", 50'000'000, 1000, 60 * second);
	t.warmup_ns = in.integer("warmupNs", 10'000'000, 0, 60 * second);
	t.dma = in.choice("dma", engine::Dma::Into::llc, {{"llc", engine::Dma::Into::llc}, {"dram", engine::Dma::Into::dram}});
	t.seed = in.integer("seed", 1, 0, 1ull << 53);
	t.cpus = in.integers<uint32_t>("cpus", {0, 1}, 0, 1023);
	if (t.cpus.size() > 2 || (t.cpus.size() < 2 && t.dma == engine::Dma::Into::llc))
		in.fail("cpus", "must be two core numbers, or one with dma dram");
	in.finish();
	return t;
}

// Connection tracking by the suite's own parser and table.
class TrackerChain final : public nf::Chain {
public:
	TrackerChain(uint32_t table_flows, uint64_t seed)
	{
		conntrack_params p;
		conntrack_default_params(&p);
		p.key_size = CONNTRACK_KEY_IPV6;
		p.initial_flows = p.max_flows = table_flows;
		p.flags = CONNTRACK_NIC_HASH | CONNTRACK_FIXED_SIZE;
		p.protected_classes = 1u << class_established;
		p.timeout_ns[class_unproven] = 5 * second;
		p.timeout_ns[class_established] = 300 * second;
		p.seed = seed | 1;
		p.on_removed = [](void *context, const void *, void *state, int reason) {
			uint64_t flow_state;
			std::memcpy(&flow_state, state, sizeof(flow_state));
			auto &self = *static_cast<TrackerChain *>(context);
			self.established_evicted_ += reason == CONNTRACK_EVICTED && conntrack::TcpState(flow_state) == conntrack::TcpState::established;
		};
		p.context = this;
		conntrack_table *made = nullptr;
		if (conntrack_create(&p, &made) != 0)
			throw std::bad_alloc();
		table_.reset(made);
	}

	uint32_t process(nf::Mbuf **packets, uint32_t n, nf::Mbuf **) override
	{
		for (uint32_t first = 0; first < n; first += burst) {
			const uint32_t count = std::min(burst, n - first);
			for (uint32_t i = 0; i < count; i++) {
				const nf::Mbuf &m = *packets[first + i];
				read(m.data(), m.captured, m.rss, i);
			}
			track(count);
		}
		now_ns_ += n; // the clock of timeouts; a trial is too short for any of them
		verdicts_[nf::verdict_pass] += n;
		return n;
	}
	// A connection whose handshake is over.
	void establish(const uint8_t *frame, uint32_t captured, uint32_t rss)
	{
		read(frame, captured, rss, 0);
		flags_[0] = 0x02;
		track(1);
		const auto state = uint64_t(conntrack::TcpState::established);
		void *entry = conntrack_find(table_.get(), keys_, digests(1), now_ns_);
		if (!entry)
			throw JobError("failed", "a legitimate flow found no place in the table; raise tableFlows");
		std::memcpy(entry, &state, sizeof(state));
		conntrack_set_class(table_.get(), entry, class_established, now_ns_);
	}
	bool knows(const uint8_t *frame, uint32_t captured, uint32_t rss)
	{
		read(frame, captured, rss, 0);
		void *entry = conntrack_find(table_.get(), keys_, digests(1), now_ns_);
		uint64_t state = 0;
		if (entry)
			std::memcpy(&state, entry, sizeof(state));
		return conntrack::TcpState(state) == conntrack::TcpState::established;
	}

	void learn(const uint8_t *, uint32_t) override {}
	void add_idle_flows(uint32_t) override {}
	nf::Counters counters() const override { return {}; }
	uint64_t counted_packets() const override { return 0; }
	uint64_t table_digest() const override { return 0; }
	uint64_t established_evicted() const { return established_evicted_; }
	conntrack_stats stats() const
	{
		conntrack_stats s;
		conntrack_get_stats(table_.get(), &s);
		return s;
	}

private:
	static constexpr uint32_t burst = 32;
	struct Deleter {
		void operator()(conntrack_table *t) const { conntrack_free(t); }
	};

	void read(const uint8_t *frame, uint32_t captured, uint32_t rss, uint32_t i)
	{
		const packet::Headers h = packet::parse(frame, captured, captured, packet::LinkType::ethernet, packet::Depth::innermost);
		const packet::FlowKey k = packet::flow_key_of(h, frame);
		uint8_t *key = keys_ + i * CONNTRACK_KEY_IPV6;
		conntrack_key_ipv6(key, k.source.data(), k.destination.data(), k.source_port, k.destination_port, k.protocol);
		std::memcpy(key + CONNTRACK_KEY_IPV6 - 2, &k.id, 2); // of a fragment
		rss_[i] = rss;
		flags_[i] = h.flags & packet::header_tcp_flags ? uint8_t(h.tcp_flags) : 0;
		tcp_[i] = k.protocol == 6;
	}
	const uint64_t *digests(uint32_t n)
	{
		conntrack_digest_burst(table_.get(), keys_, rss_, n, digests_);
		return digests_;
	}
	void track(uint32_t n)
	{
		void *states[burst];
		uint8_t results[burst];
		digests(n);
		conntrack_prefetch_burst(table_.get(), digests_, n);
		conntrack_find_or_insert_burst(table_.get(), keys_, digests_, n, now_ns_, states, results);
		for (uint32_t i = 0; i < n; i++) {
			if (!states[i] || !tcp_[i])
				continue;
			uint64_t state;
			std::memcpy(&state, states[i], sizeof(state));
			const auto next = uint64_t(conntrack::tcp_step(conntrack::TcpState(state), flags_[i], false).state);
			if (next != state)
				std::memcpy(states[i], &next, sizeof(next));
		}
	}

	std::unique_ptr<conntrack_table, Deleter> table_;
	alignas(64) uint8_t keys_[burst * CONNTRACK_KEY_IPV6];
	uint32_t rss_[burst];
	uint64_t digests_[burst];
	uint8_t flags_[burst];
	bool tcp_[burst];
	uint64_t now_ns_ = second, established_evicted_ = 0;
};

// Legitimate packets and the attacker's as they arrive, both as Poisson processes.
class Traffic {
public:
	explicit Traffic(const TrialSpec &t)
	    : spec(t), random(t.seed), attacker(t.attack, t.seed + 1, std::max(1u, uint32_t(t.legitimate_pps * t.times * double(t.delay_ns) * 1e-9)), t.capture),
	      frames(size_t{t.flows} * plain_length), rss(t.flows), gap(t.legitimate_pps / 1e9), attack_gap(t.legitimate_pps * t.times / 1e9)
	{
		for (uint32_t f = 0; f < t.flows; f++) {
			write_plain(frame(f), 0x0a000000 + f, 0xc0a80001, uint16_t(1024 + f % 50000), 443, 6, 0x10);
			rss[f] = uint32_t(random());
		}
		next_legitimate = draw(gap);
		next_attack = t.attack == Attack::none || t.times == 0 ? INFINITY : draw(attack_gap);
	}

	uint8_t *frame(uint32_t flow) { return &frames[size_t{flow} * plain_length]; }

	void fill(double until, std::vector<engine::Arrival> &out)
	{
		out.clear();
		nb_attack = 0;
		while (std::min(next_legitimate, next_attack) <= until) {
			if (next_legitimate <= next_attack) {
				// Trains of four, as TCP sends.
				if (random() % 4 == 0)
					flow = uint32_t(random() % spec.flows);
				out.push_back({uint64_t(next_legitimate), frame(flow), plain_length, legitimate_wire, rss[flow], flow});
				next_legitimate += draw(gap);
			} else {
				if (nb_attack == pool.size())
					pool.push_back(std::make_unique<AttackFrame>());
				AttackFrame &a = *pool[nb_attack++];
				attacker.next(a);
				out.push_back({uint64_t(next_attack), a.bytes.data(), a.length, a.length, a.rss, spec.flows + a.flow});
				next_attack += draw(attack_gap);
			}
		}
	}

	std::vector<uint32_t> &hashes() { return rss; }

private:
	static constexpr uint32_t legitimate_wire = 800;
	double draw(double rate) { return std::exponential_distribution<double>(rate)(random); }

	const TrialSpec &spec;
	std::mt19937_64 random;
	Attacker attacker;
	std::vector<uint8_t> frames;
	std::vector<uint32_t> rss;
	std::vector<std::unique_ptr<AttackFrame>> pool; // stays where it is while a queue reads it
	size_t nb_attack = 0;
	double gap, attack_gap, next_legitimate, next_attack;
	uint32_t flow = 0;
};

void pin(uint32_t core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		throw JobError("not-supported", "cannot run on core " + std::to_string(core), 3);
}

double resident_mib()
{
	long pages = 0, resident = 0;
	if (FILE *f = std::fopen("/proc/self/statm", "r")) {
		if (std::fscanf(f, "%ld %ld", &pages, &resident) != 2)
			resident = 0;
		std::fclose(f);
	}
	return double(resident) * double(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

struct StageDeleter {
	void operator()(reframer_stage *s) const { reframer_free(s); }
};

std::unique_ptr<reframer_stage, StageDeleter> make_stage(const TrialSpec &t, uint32_t max_held)
{
	if (!t.reframes)
		return nullptr;
	reframer_params p;
	reframer_default_params(&p);
	p.policy = REFRAMER_FIXED;
	p.delay_ns = t.delay_ns;
	p.max_packets = max_held;
	p.max_burst = t.max_burst;
	p.hash_seed = t.seed | 1;
	reframer_stage *stage = nullptr;
	if (const int error = reframer_create(&p, &stage))
		throw JobError("failed", std::string("the stage: ") + reframer_strerror(error));
	return std::unique_ptr<reframer_stage, StageDeleter>(stage);
}

} // namespace

void run_robustness_trial(const Json &json)
{
	const TrialSpec t = read_spec(json);
	pin(t.cpus[0]);
	setpriority(PRIO_PROCESS, 0, -20);
	engine::Dma dma(t.dma, t.cpus.size() > 1 ? int(t.cpus[1]) : -1);
	std::optional<Traffic> made;
	try {
		made.emplace(t);
	} catch (const traffic::CaptureError &e) {
		throw job_error(e);
	}
	Traffic &traffic = *made;
	TrackerChain chain(t.table_flows, t.seed);
	for (uint32_t f = 0; f < t.flows; f++)
		chain.establish(traffic.frame(f), plain_length, traffic.hashes()[f]);

	engine::QueueConfig config;
	config.ring_depth = t.ring_depth;
	config.release_max = t.release_max;
	config.nic_hash = t.nic_hash;
	config.window_start_ns = double(t.warmup_ns);
	config.window_end_ns = double(t.warmup_ns + t.duration_ns);
	config.tsc_hz = engine::measure_tsc_hz();
	config.worst_packet_ns = 1000; // a few misses and the longest chain of headers
	config.watched_flows = t.flows;
	const auto stage = make_stage(t, config.max_held);
	engine::VirtualQueue queue(config, stage.get(), chain, dma);
	const double before = resident_mib();
	std::vector<engine::Arrival> arrivals;
	constexpr double piece_ns = 1e6;
	const auto end = double(t.warmup_ns + t.duration_ns);
	for (double until = piece_ns; until - piece_ns < end; until += piece_ns) {
		traffic.fill(std::min(until, end) - 1, arrivals);
		queue.run(arrivals, std::min(until, end));
	}
	queue.drain();
	const double grown = resident_mib() - before;

	uint64_t lost = 0;
	for (uint32_t f = 0; f < t.flows; f++)
		lost += !chain.knows(traffic.frame(f), plain_length, traffic.hashes()[f]);
	const engine::QueueResult &r = queue.result();
	const conntrack_stats table = chain.stats();
	reframer_stats held{};
	if (stage)
		reframer_get_stats(stage.get(), &held);
	const engine::Histogram &latency = r.watched_latency;
	const bool conserved = r.arrived == r.departed + r.ring_dropped && r.held == 0;
	// As in job `trial`: what the machine took away must not decide the figures.
	const bool is_void = double(r.preempted) * 30e6 > std::max(r.total_ns, 30e6) || r.interrupted_ns > 0.05 * r.total_ns;
	emit({{"attack", t.attack_name}, {"times", t.times}, {"policy", t.reframes ? "fixed" : "off"},
	      {"p50Us", latency.quantile(0.5) / 1e3}, {"p99Us", latency.quantile(0.99) / 1e3},
	      {"p999Us", latency.quantile(0.999) / 1e3}, {"legitimatePackets", latency.count()},
	      {"legitimateDrops", r.watched_ring_dropped}, {"drops", r.window_ring_dropped},
	      {"offeredPackets", r.offered_packets}, {"nsPerPacket", r.processed ? r.busy_ns / double(r.processed) : 0},
	      {"loadShare", r.busy_ns / double(t.duration_ns)}, {"establishedEvicted", chain.established_evicted()},
	      {"establishedLost", lost}, {"evicted", table.evicted}, {"refused", table.refused},
	      {"tableMiB", double(table.bytes) / (1 << 20)}, {"heldMax", held.packets_held_max}, {"grownMiB", grown},
	      {"void", is_void}, {"seed", t.seed},
	      {"checks", {{"arrived", r.arrived}, {"departed", r.departed}, {"conserved", conserved}, {"reordered", r.reordered}}}});
	if (!conserved || r.reordered > 0)
		throw JobError("check-failed", "packets were lost or left out of order; see checks in the record");
}

} // namespace reframer::lab
