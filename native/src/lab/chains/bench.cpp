// Job `chains`: chains of one to five stateful functions in several styles, side by side.
//
// spec   {"contenders": [NAME...], "functions": [3], "flows": [4194304], "locality": "none",
//         "timeoutMs": 5000, "rounds": 9, "packets": 32768, "seed": 1, "dma", "cpus"}
//        contenders  "flow-block": one lookup a run, blocks of the next burst asked for meanwhile
//                    "flow-block-at-once": the same without the next burst
//                    "flow-block-never": the same as the first, nothing expires
//                    "flow-block-t16", "-t64", "-adaptive": behind the reframing stage, T in us
//                    (adaptive: at most 64)
//                    "tables": one table a function (VPP)
//                    "services": one lookup, a bitmap of services a session (SFDP)
//                    "cut", "rebuilt": blocks beside rte_hash, the burst cut by flow for the whole
//                    chain, or for each function (FastClick)
//                    "pooled", "pooled-t16", "-t64": blocks beside rte_hash, the burst left whole and
//                    its blocks asked for (FAJITA)
//        functions   of counter, balancer, limiter, NAT, connection firewall the first so many
//        locality    "none" | "trains" | "caida" | "campus", see traffic.hpp
//        packets     of a round, a contender
//        Every contender is built with every number of functions and of flows; all are in memory at
//        once, and take turns inside each round in an order drawn anew.
// record {"job": "chains", "at": {NAME: {FUNCTIONS: {WHICH OF flows, FROM 0: {
//         "nsPerPacket", "nsLow", "nsHigh", "mpps",
//         "overPooled", "overRebuilt", "overCut", "overTables", "overServices": how many times the
//          packets of that style with as many functions and flows, median over rounds; null without it,
//         "marginalNs": what the last function adds, against one fewer of the same run,
//         "lossPercent": packets lost against the first of `flows`,
//         "expiryNs": against the same that never expires,
//         "holdP50Us", "holdP99Us", "runLength": with a hold, else null,
//         "bytesPerFlow"}}}},
//         "nsPerPacket" (of the first contender), "void", "voidReason", "preempted", "dma"}
//
// Timed: bursts of 32 from buffers that another core has filled, headers read, blocks found, functions
// done, packets written; no NIC. Not timed: filling buffers; filling tables with `flows` flows, over
// one timeout, so that flows are as old as in a box that has run for a while. A call of 2048 packets
// that was interrupted is charged what its like take. All contenders must count every packet, and
// those without a hold end in the same state where no flow is new.
#include "lab/chains/contender.hpp"

#include "jobs/record.hpp"
#include "lab/chains/held.hpp"
#include "lab/chains/traffic.hpp"
#include "lab/cores.hpp"
#include "measure/absences.hpp"
#include "measure/marks.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace reframer::lab {

namespace {

using namespace chains;

constexpr uint32_t burst = 32, call = 2048;
static_assert(call % burst == 0);
constexpr uint64_t second = 1'000'000'000;
constexpr uint32_t campus_warm_up = 1u << 20; // packets: an eighth of a second
// A packet that finds neither header, nor table, nor block in any cache or TLB.
constexpr double worst_packet_ns = 600;

struct Named {
	const char *name;
	std::unique_ptr<Contender> (*make)(const Terms &);
	bool expires = true;
	std::optional<Hold> hold = {};
};
constexpr uint64_t short_hold_ns = 16'000, long_hold_ns = 64'000;
const Named known[] = {
	{"flow-block", make_flow_block},
	{"flow-block-at-once", make_flow_block_at_once},
	{"flow-block-never", make_flow_block, false},
	{"flow-block-t16", make_flow_block, true, Hold{REFRAMER_FIXED, short_hold_ns}},
	{"flow-block-t64", make_flow_block, true, Hold{REFRAMER_FIXED, long_hold_ns}},
	{"flow-block-adaptive", make_flow_block, true, Hold{REFRAMER_ADAPTIVE, long_hold_ns}},
	{"tables", make_table_each},
	{"services", make_services},
	{"cut", make_cut},
	{"rebuilt", make_rebuilt},
	{"pooled", make_pooled},
	{"pooled-t16", make_pooled, true, Hold{REFRAMER_FIXED, short_hold_ns}},
	{"pooled-t64", make_pooled, true, Hold{REFRAMER_FIXED, long_hold_ns}},
};

const Named *style_of(const std::string &name)
{
	const auto at = std::find_if(std::begin(known), std::end(known),
	                             [&](const Named &n) { return name == n.name; });
	return at == std::end(known) ? nullptr : at;
}

struct Spec {
	std::vector<std::string> contenders;
	std::vector<uint32_t> functions;
	std::vector<uint64_t> flows;
	Locality locality = Locality::none;
	uint64_t timeout_ns = 5 * second;
	uint32_t rounds = 9, packets = 1u << 15;
	uint64_t seed = 1;
	TrialCores cores;
};

// One contender at work, with what it took in each round.
struct Entry {
	const Named *named = nullptr;
	Terms terms;
	std::unique_ptr<Contender> chain;
	Held *held = nullptr; // of `chain`, where it is one
	engine::PollMarker marker{worst_packet_ns};
	std::vector<double> ns; // a packet, by round
	uint64_t taken = 0;
};

Entry build(const Named &named, const Terms &common)
{
	Entry e;
	e.named = &named;
	e.terms = common;
	e.terms.expires = named.expires;
	auto chain = named.make(e.terms);
	if (!chain)
		throw JobError("not-supported",
		               std::string(named.name) + " needs DPDK, in this build and on this machine",
		               3);
	if (named.hold) {
		auto held = std::make_unique<Held>(std::move(chain), *named.hold, common.seed);
		e.held = held.get();
		chain = std::move(held);
	}
	e.chain = std::move(chain);
	return e;
}

// The flows that are known: one packet each, over a timeout.
uint64_t fill(Entry &e, uint64_t start_ns)
{
	base::Region<uint8_t> memory(burst * nf::Mbuf::stride);
	nf::Mbuf *packets[burst];
	uint64_t now = start_ns;
	for (uint64_t first = 0; first < e.terms.flows; first += burst) {
		const auto n = static_cast<uint32_t>(std::min<uint64_t>(burst, e.terms.flows - first));
		for (uint32_t i = 0; i < n; i++) {
			packets[i] = reinterpret_cast<nf::Mbuf *>(memory.data() + i * nf::Mbuf::stride);
			packets[i]->captured = packets[i]->wire =
				write_known_flow(first + i, packets[i]->data());
			packets[i]->rss = static_cast<uint32_t>(first + i) * 2654435761u;
		}
		// (A hair sooner, so that the first are not over when the last come.)
		now = start_ns + static_cast<uint64_t>(double(e.terms.timeout_ns) * 0.95 * double(first) /
		                                       double(e.terms.flows));
		e.chain->take(packets, n, now);
		e.chain->finish(now);
		e.taken += n;
	}
	return now;
}

class Bench {
public:
	Bench(const Spec &spec, int filler_core)
		: spec_(spec), hz_(engine::measure_tsc_hz()),
		  buffers_(spec.cores.dma, filler_core, spec.seed), absences_(1u << 16)
	{
		for (const uint64_t flows : spec.flows) {
			traffic_.emplace(flows, Traffic(spec.locality, flows, spec.seed));
			for (const uint32_t functions : spec.functions)
				for (const std::string &name : spec.contenders)
					entries_.push_back(
						build(*style_of(name), {functions, flows, spec.timeout_ns, spec.seed}));
		}
	}

	void run()
	{
		for (Entry &e : entries_)
			now_ns_ = std::max(now_ns_, fill(e, second));
		std::vector<Entry *> order;
		for (Entry &e : entries_)
			order.push_back(&e);
		std::mt19937_64 random(spec_.seed);
		// The generator's flows are not known before: until most of those that send have been seen.
		const uint32_t warm_up =
			spec_.locality == Locality::campus ? campus_warm_up / spec_.packets : 0;
		for (uint32_t round = 0; round <= spec_.rounds + warm_up; round++) {
			if (round % 2)
				std::reverse(order.begin(), order.end());
			else
				std::shuffle(order.begin(), order.end(), random);
			one_round(order);
			if (round == warm_up)
				for (Entry &e : entries_) {
					e.ns.clear();
					if (e.held)
						e.held->reset_stats();
				}
		}
		for (Entry &e : entries_)
			e.chain->finish(now_ns_);
		check();
	}

	Json record() const;

private:
	// All contenders get the same packets at the same times.
	void one_round(const std::vector<Entry *> &order)
	{
		uint64_t end_ns = now_ns_;
		for (auto &[flows, traffic] : traffic_) {
			const std::vector<Packet> &packets = traffic.next(spec_.packets, now_ns_);
			end_ns = std::max(end_ns, packets.back().time_ns);
			for (Entry *e : order)
				if (e->terms.flows == flows)
					e->ns.push_back(timed(*e, traffic, packets));
		}
		now_ns_ = end_ns;
	}
	double timed(Entry &e, const Traffic &traffic, const std::vector<Packet> &packets)
	{
		double sum_ns = 0;
		for (uint32_t first = 0; first < packets.size(); first += call) {
			nf::Mbuf **const filled = buffers_.fill(traffic, packets, first, call);
			const uint64_t start = engine::tsc_start();
			for (uint32_t at = 0; at < call; at += burst)
				e.chain->take(filled + at, burst, packets[first + at + burst - 1].time_ns);
			const double took = static_cast<double>(engine::tsc_stop() - start) / hz_ * 1e9;
			double excess;
			const double charged = e.marker.charge(call, call, took, excess);
			if (excess > 0)
				absences_.note(excess, took);
			sum_ns += charged;
			total_ns_ += took;
			calls_++;
			if (e.held)
				e.held->report(static_cast<uint64_t>(charged),
				               packets[first + call - 1].time_ns - packets[first].time_ns, call);
		}
		e.taken += packets.size();
		// Between two turns nothing waits: buffers are used again.
		e.chain->finish(packets.back().time_ns);
		return sum_ns / static_cast<double>(packets.size());
	}

	void check()
	{
		std::map<std::pair<uint64_t, uint32_t>, uint64_t> digests;
		for (Entry &e : entries_) {
			const std::string name = e.named->name;
			if (e.chain->passed + e.chain->dropped != e.taken)
				throw JobError("wrong-answer", name + " lost packets, or made some");
			if (e.chain->dropped != 0 || e.chain->counted() != e.taken)
				throw JobError("wrong-answer", name + " counted " +
				                                   std::to_string(e.chain->counted()) + " of " +
				                                   std::to_string(e.taken) + " packets, dropped " +
				                                   std::to_string(e.chain->dropped));
			if (e.held || (spec_.locality != Locality::none && spec_.locality != Locality::trains))
				continue;
			const auto [at, fresh] =
				digests.try_emplace({e.terms.flows, e.terms.functions}, e.chain->digest());
			if (!fresh && at->second != e.chain->digest())
				throw JobError("wrong-answer", name + " ends in another state than the others");
		}
	}

	const Entry *find(const std::string &name, uint32_t functions, uint64_t flows) const
	{
		const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry &e) {
			return e.terms.functions == functions && e.terms.flows == flows &&
			       e.named->name == name;
		});
		return at == entries_.end() ? nullptr : &*at;
	}
	// Median over rounds of what `of` makes of the two; null where there is no other.
	template <typename Of> static Json paired(const Entry &e, const Entry *other, Of of)
	{
		if (!other || other == &e)
			return nullptr;
		std::vector<double> each;
		for (size_t r = 0; r < e.ns.size(); r++)
			each.push_back(of(e.ns[r], other->ns[r]));
		return engine::median(std::move(each));
	}

	const Spec &spec_;
	double hz_;
	Buffers buffers_;
	std::map<uint64_t, Traffic> traffic_;
	std::vector<Entry> entries_;
	uint64_t now_ns_ = 0, calls_ = 0;
	double total_ns_ = 0;
	engine::Absences absences_;
};

Json Bench::record() const
{
	Json at = Json::object();
	const auto times = [](double own, double others) { return others / own; };
	const auto more = [](double own, double others) { return own - others; };
	for (const Entry &e : entries_) {
		const uint32_t functions = e.terms.functions;
		const uint64_t flows = e.terms.flows;
		const auto other = [&](const char *name) { return find(name, functions, flows); };
		const double ns_per_packet = engine::median(e.ns);
		const auto [ns_low, ns_high] = engine::interval_of_median(e.ns, spec_.seed);
		const double bytes = static_cast<double>(e.chain->bytes());
		const auto which = std::find(spec_.flows.begin(), spec_.flows.end(), flows);
		at[e.named->name][std::to_string(functions)][std::to_string(which - spec_.flows.begin())] =
			joined(NAMED(ns_per_packet, ns_low, ns_high),
		           {{"mpps", 1000 / ns_per_packet},
		            {"overPooled", paired(e, other("pooled"), times)},
		            {"overRebuilt", paired(e, other("rebuilt"), times)},
		            {"overCut", paired(e, other("cut"), times)},
		            {"overTables", paired(e, other("tables"), times)},
		            {"overServices", paired(e, other("services"), times)},
		            {"marginalNs", paired(e, find(e.named->name, functions - 1, flows), more)},
		            {"lossPercent",
		             paired(e, find(e.named->name, functions, spec_.flows.front()),
		                    [](double own, double first) { return (1 - first / own) * 100; })},
		            {"expiryNs", paired(e, other("flow-block-never"), more)},
		            {"holdP50Us", e.held ? Json(e.held->hold_us(0.5)) : Json(nullptr)},
		            {"holdP99Us", e.held ? Json(e.held->hold_us(0.99)) : Json(nullptr)},
		            {"runLength", e.held ? Json(e.held->run_length()) : Json(nullptr)},
		            {"bytesPerFlow", bytes / static_cast<double>(flows)}});
	}
	const std::string why = absences_.void_reason(calls_, total_ns_);
	return {{"job", "chains"},
	        {"at", at},
	        {"nsPerPacket", engine::median(entries_.front().ns)},
	        {"void", !why.empty()},
	        {"voidReason", why.empty() ? Json(nullptr) : Json(why)},
	        {"preempted", absences_.told().preempted},
	        {"dma", spec_.cores.dma == engine::Dma::Into::llc ? "llc" : "dram"}};
}

} // namespace

void run_chains(const Json &json)
{
	SpecReader in(json, "");
	Spec spec;
	spec.contenders = in.texts("contenders", {"flow-block", "pooled"});
	for (const std::string &name : spec.contenders)
		if (!style_of(name))
			in.fail("contenders", "has " + name + ", and no style is called so");
	spec.functions = in.integers<uint32_t>("functions", {3}, 1, most_functions);
	spec.flows = in.integers<uint64_t>("flows", {uint64_t{1} << 22}, 1000, 1u << 25);
	in.read("locality", spec.locality,
	        {{"none", Locality::none},
	         {"trains", Locality::trains},
	         {"caida", Locality::caida},
	         {"campus", Locality::campus}});
	spec.timeout_ns = in.integer<uint64_t>("timeoutMs", 5000, 100, 3'600'000) * 1'000'000;
	in.read("rounds", spec.rounds, 3, 1000);
	in.read("packets", spec.packets, call, 1u << 24);
	spec.packets = spec.packets / call * call;
	in.read("seed", spec.seed, 0, double(uint64_t{1} << 53));
	spec.cores.read(in);
	in.finish();
	const int filler_core = spec.cores.take();
	raise_priority();
	Bench bench(spec, filler_core);
	bench.run();
	emit(bench.record());
}

} // namespace reframer::lab
