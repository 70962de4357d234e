#include "lab/reframer/trial.hpp"

#include "lab/latency.hpp"

#include <algorithm>
#include <cstdio>

namespace reframer::lab {

namespace {

const char *const reasons[REFRAMER_NB_REASONS] = {"deadline", "early",    "bypass",
                                                  "burst",    "capacity", "drain"};

double per(uint64_t a, uint64_t b)
{
	return ratio(static_cast<double>(a), static_cast<double>(b));
}

engine::QueueResult sum_of(const std::vector<TrialOutcome::Queue> &queues)
{
	engine::QueueResult s;
	for (const auto &q : queues)
		s.add(q.result);
	return s;
}

// The cores that have a stage.
const std::vector<TrialOutcome::Queue> &staged(const TrialOutcome &outcome)
{
	return outcome.front.empty() ? outcome.queues : outcome.front;
}

Json hold_of(const TrialOutcome &outcome)
{
	if (staged(outcome).empty() || !staged(outcome)[0].has_stage)
		return nullptr;
	stage::HoldTimes holds;
	uint64_t max_ns = 0;
	for (const auto &q : staged(outcome)) {
		holds.add(q.holds);
		max_ns = std::max(max_ns, q.stage.hold_max_ns);
	}
	return hold_record(holds, max_ns);
}

Json stage_of(const TrialOutcome &outcome)
{
	if (staged(outcome).empty() || !staged(outcome)[0].has_stage)
		return nullptr;
	uint64_t runs_in = 0, runs_out = 0, held_max = 0, delay = 0;
	Json released = Json::object();
	for (const char *reason : reasons)
		released[reason] = uint64_t{0};
	for (const auto &q : staged(outcome)) {
		runs_in += q.stage.runs_in;
		runs_out += q.stage.runs_out;
		held_max = std::max<uint64_t>(held_max, q.stage.packets_held_max);
		delay += q.stage.delay_ns;
		for (size_t i = 0; i < REFRAMER_NB_REASONS; i++)
			released[reasons[i]] = released[reasons[i]].get<uint64_t>() + q.stage.released[i];
	}
	return joined(NAMED(runs_in, runs_out, held_max),
	              {{"delayNs", delay / staged(outcome).size()}, {"reasons", released}});
}

Json why_void(const engine::QueueResult &sum)
{
	if (std::string why = sum.absences.void_reason(sum.polls, sum.total_ns); !why.empty())
		return why;
	if (sum.departed_packets == 0)
		return "no packet departed in the measured window";
	return nullptr;
}

} // namespace

bool TrialOutcome::conserved() const
{
	auto whole = [](const Queue &q) {
		const engine::QueueResult &r = q.result;
		return r.held == 0 && r.arrived == r.departed + r.nf_dropped + r.ring_dropped + r.thinned;
	};
	uint64_t sent = 0, received = 0;
	for (const Queue &q : front)
		sent += q.result.departed;
	for (const Queue &q : queues)
		received += q.result.arrived;
	return std::all_of(queues.begin(), queues.end(), whole) &&
	       std::all_of(front.begin(), front.end(), whole) && (front.empty() || sent == received);
}

bool TrialOutcome::ordered() const
{
	auto in_order = [](const Queue &q) { return q.result.reordered == 0; };
	return std::all_of(queues.begin(), queues.end(), in_order) &&
	       std::all_of(front.begin(), front.end(), in_order);
}

void collect(TrialOutcome &outcome, std::vector<TrialOutcome::Queue> &list,
             const TrialOutcome::Measured &measured, const nf::Chain &chain,
             const reframer_stage *stage)
{
	TrialOutcome::Queue q{};
	static_cast<TrialOutcome::Measured &>(q) = measured;
	q.counters = chain.counters();
	uint64_t processed = 0;
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		processed += q.verdicts[v] = chain.verdicts(v);
	// The counter sees what could be parsed and had room in the tables.
	uint64_t countable =
		processed - chain.verdicts(nf::verdict_not_ipv4) - chain.verdicts(nf::verdict_malformed);
	uint64_t counted = chain.counted_packets();
	if (chain.has_tables() &&
	    (counted > countable || counted + chain.verdicts(nf::verdict_table_full) < countable))
		outcome.tables_sound = false;
	q.has_stage = stage != nullptr;
	if (stage) {
		reframer_get_stats(stage, &q.stage);
		q.holds.add(stage);
	}
	list.push_back(std::move(q));
}

// Rates, run lengths and cost of one queue's window, or of all queues'.
Json rates_of(const engine::QueueResult &r, double seconds)
{
	return {{"offeredPps", static_cast<double>(r.offered_packets) / seconds},
	        {"throughputBps", static_cast<double>(r.departed_bits) / seconds},
	        {"throughputPps", static_cast<double>(r.departed_packets) / seconds},
	        {"slfIn", per(r.packets_in, r.runs_in)},
	        {"slfOut", per(r.packets_out, r.runs_out)},
	        {"nsPerPacket", ratio(r.busy_ns, static_cast<double>(r.processed))}};
}

Json report(const TrialSpec &spec, const TrialOutcome &outcome)
{
	engine::QueueResult s = sum_of(outcome.queues);
	const double cores = static_cast<double>(outcome.queues.size() + outcome.front.size());
	const double duration_ns = static_cast<double>(spec.duration_ns), seconds = duration_ns * 1e-9;
	Json front = nullptr;
	if (!outcome.front.empty()) {
		// What came in and was lost is known in front only.
		engine::QueueResult f = sum_of(outcome.front);
		const double nb = static_cast<double>(outcome.front.size());
		front = {{"cores", outcome.front.size()},
		         {"nsPerPacket", ratio(f.busy_ns, static_cast<double>(f.processed))},
		         {"busyShare", f.busy_ns / (duration_ns * nb)},
		         {"ringDropShare", per(f.window_ring_dropped, f.offered_packets)}};
		s.offered_packets = f.offered_packets;
		s.offered_bits = f.offered_bits;
		s.window_ring_dropped += f.window_ring_dropped;
		s.arrived = f.arrived;
		s.ring_dropped += f.ring_dropped;
		s.held += f.held;
		s.thinned += f.thinned;
	}
	const double processed = static_cast<double>(s.processed);
	const engine::Absences::Told away = s.absences.told();
	const Json void_reason =
		outcome.saturation_void.is_null() ? why_void(s) : outcome.saturation_void;
	// What only a clock of its own can tell.
	const bool threads = spec.engine == Engine::threads;
	const auto on_virtual = [&](Json value) { return threads ? Json(nullptr) : value; };

	Json queue_results = Json::array(), nf_reasons = Json::object(), chain_stats = Json::object();
	double empty_poll_ns = 0;
	for (const auto &q : outcome.queues) {
		const engine::QueueResult &r = q.result;
		queue_results.push_back(joined(
			rates_of(r, seconds), {{"p50Ns", r.latency.quantile(0.5)},
		                           {"p99Ns", r.latency.quantile(0.99)},
		                           {"ringDropShare", per(r.window_ring_dropped, r.offered_packets)},
		                           {"busyShare", r.busy_ns / duration_ns}}));
		empty_poll_ns += q.empty_poll_ns / static_cast<double>(outcome.queues.size());
		add_verdicts(nf_reasons, q.verdicts);
		add_counters(chain_stats, q.counters);
	}
	char answer[17];
	std::snprintf(answer, sizeof(answer), "%016llx",
	              static_cast<unsigned long long>(outcome.answer));
	const Json drops = {{"ring", s.window_ring_dropped},
	                    {"ringShare", per(s.window_ring_dropped, s.offered_packets)},
	                    {"nf", s.window_nf_dropped},
	                    {"nfReasons", nf_reasons}};
	const Json polls = {{"busy", s.busy_polls},
	                    {"empty", s.empty_polls},
	                    {"interrupted", on_virtual(away.interrupted)},
	                    {"interruptedNs", on_virtual(away.interrupted_ns)},
	                    {"preempted", on_virtual(away.preempted)},
	                    {"preemptedNs", on_virtual(away.preempted_ns)},
	                    {"emptyPollNs", on_virtual(empty_poll_ns)},
	                    {"starvedNs", threads ? Json(s.starved_ns) : Json(nullptr)}};
	const Json checks =
		joined(NAMED(s.nf_dropped, s.ring_dropped, s.thinned, s.held, outcome.conserved(),
	                 outcome.ordered(), outcome.tables_sound, outcome.passed()),
	           {{"in", s.arrived},
	            {"out", s.departed},
	            {"formsAgree", outcome.forms_checked ? Json(outcome.forms_agree) : Json(nullptr)}});
	const Json machine = {{"dmaFiller", outcome.dma_on_core ? "core" : "self"},
	                      {"hugepages", outcome.huge_pages},
	                      {"nice", outcome.nice}};
	const double per_packet_ns = ratio(s.busy_ns, processed);
	return joined(
		joined(rates_of(s, seconds),
	           NAMED(spec.seed, outcome.tsc_hz, outcome.tsc_overhead_ns, outcome.wall_seconds,
	                 outcome.flows, front, cores, drops, polls, void_reason, checks, chain_stats,
	                 machine, queue_results)),
		{{"job", "trial"},
	     {"spec", describe(spec)},
	     {"offeredBps", static_cast<double>(s.offered_bits) / seconds},
	     {"saturatedBps", spec.offered_share > 0 ? Json(outcome.saturated_bps) : Json(nullptr)},
	     {"cyclesPerPacket", per_packet_ns * outcome.tsc_hz * 1e-9},
	     {"stageNsPerPacket", on_virtual(ratio(s.stage_ns, processed))},
	     {"chainNsPerPacket", on_virtual(ratio(s.chain_ns, processed))},
	     {"missNsPerPacket", outcome.worst_packet_ns},
	     {"busyShare", s.busy_ns / (duration_ns * spec.queues)},
	     {"packetsPerPoll", per(s.polled, s.busy_polls)},
	     {"latencyNs", whole_latency(s.latency)},
	     {"sensitiveLatencyNs",
	      spec.sensitive ? brief_latency(s.sensitive_latency) : Json(nullptr)},
	     {"throughputPerCoreBps", static_cast<double>(s.departed_bits) / seconds / cores},
	     {"ownLatencyNs",
	      threads || !outcome.front.empty() ? Json(nullptr) : brief_latency(s.own_latency)},
	     {"holdNs", hold_of(outcome)},
	     {"void", !void_reason.is_null()},
	     {"answer", on_virtual(answer)},
	     {"reframer", stage_of(outcome)}});
}

} // namespace reframer::lab
