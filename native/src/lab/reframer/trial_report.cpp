#include "lab/reframer/trial.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace reframer::lab {

namespace {

const char *const reasons[REFRAMER_NB_REASONS] = {"deadline", "early",    "bypass",
                                                  "burst",    "capacity", "drain"};

double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

double per(uint64_t a, uint64_t b)
{
	return ratio(static_cast<double>(a), static_cast<double>(b));
}

engine::QueueResult sum_of(const std::vector<TrialOutcome::Queue> &queues)
{
	engine::QueueResult s;
	for (const auto &q : queues) {
		const engine::QueueResult &r = q.result;
		s.arrived += r.arrived;
		s.departed += r.departed;
		s.nf_dropped += r.nf_dropped;
		s.ring_dropped += r.ring_dropped;
		s.held += r.held;
		s.thinned += r.thinned;
		s.reordered += r.reordered;
		s.polls += r.polls;
		s.absences.merge(r.absences);
		s.total_ns += r.total_ns;
		s.starved_ns += r.starved_ns;
		s.empty_polls += r.empty_polls;
		s.offered_packets += r.offered_packets;
		s.offered_bits += r.offered_bits;
		s.window_ring_dropped += r.window_ring_dropped;
		s.departed_packets += r.departed_packets;
		s.departed_bits += r.departed_bits;
		s.window_nf_dropped += r.window_nf_dropped;
		s.busy_polls += r.busy_polls;
		s.polled += r.polled;
		s.processed += r.processed;
		s.busy_ns += r.busy_ns;
		s.stage_ns += r.stage_ns;
		s.chain_ns += r.chain_ns;
		s.packets_in += r.packets_in;
		s.runs_in += r.runs_in;
		s.packets_out += r.packets_out;
		s.runs_out += r.runs_out;
		s.latency.merge(r.latency);
		s.own_latency.merge(r.own_latency);
		s.sensitive_latency.merge(r.sensitive_latency);
	}
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
	return {{"p50", holds.quantile(0.5)}, {"p99", holds.quantile(0.99)}, {"max", max_ns}};
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
	return {{"runsIn", runs_in},
	        {"runsOut", runs_out},
	        {"heldMax", held_max},
	        {"delayNs", delay / staged(outcome).size()},
	        {"reasons", released}};
}

Json counters_of(const TrialOutcome &outcome)
{
	Json sum = Json::object();
	for (const auto &q : outcome.queues)
		for (const auto &[name, value] : q.counters)
			sum[name] = sum.value(name, uint64_t{0}) + value;
	return sum;
}

Json verdicts_of(const TrialOutcome &outcome)
{
	Json names = Json::object();
	for (uint8_t v = nf::verdict_pass + 1; v < nf::nb_verdicts; v++) {
		uint64_t sum = 0;
		for (const auto &q : outcome.queues)
			sum += q.verdicts[v];
		names[nf::verdict_name(v)] = sum;
	}
	return names;
}

Json void_reason(const engine::QueueResult &sum)
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

Json report(const TrialSpec &spec, const TrialOutcome &outcome)
{
	engine::QueueResult s = sum_of(outcome.queues);
	const double cores = static_cast<double>(outcome.queues.size() + outcome.front.size());
	Json front = nullptr;
	if (!outcome.front.empty()) {
		// What came in and was lost is known in front only.
		engine::QueueResult f = sum_of(outcome.front);
		front = {{"cores", outcome.front.size()},
		         {"nsPerPacket", ratio(f.busy_ns, static_cast<double>(f.processed))},
		         {"busyShare", f.busy_ns / (static_cast<double>(spec.duration_ns) *
		                                    static_cast<double>(outcome.front.size()))},
		         {"ringDropShare", per(f.window_ring_dropped, f.offered_packets)}};
		s.offered_packets = f.offered_packets;
		s.offered_bits = f.offered_bits;
		s.window_ring_dropped += f.window_ring_dropped;
		s.arrived = f.arrived;
		s.ring_dropped += f.ring_dropped;
		s.held += f.held;
		s.thinned += f.thinned;
	}
	double seconds = static_cast<double>(spec.duration_ns) * 1e-9;
	double queue_ns = static_cast<double>(spec.duration_ns) * spec.queues;
	double cycles = outcome.tsc_hz * 1e-9;
	double processed = static_cast<double>(s.processed);
	const engine::Absences::Told away = s.absences.told();
	const Json why = outcome.saturation_void.is_null() ? void_reason(s) : outcome.saturation_void;

	Json queues = Json::array();
	for (const auto &q : outcome.queues) {
		const engine::QueueResult &r = q.result;
		queues.push_back({{"offeredPps", static_cast<double>(r.offered_packets) / seconds},
		                  {"throughputBps", static_cast<double>(r.departed_bits) / seconds},
		                  {"throughputPps", static_cast<double>(r.departed_packets) / seconds},
		                  {"slfIn", per(r.packets_in, r.runs_in)},
		                  {"slfOut", per(r.packets_out, r.runs_out)},
		                  {"nsPerPacket", ratio(r.busy_ns, static_cast<double>(r.processed))},
		                  {"p50Ns", r.latency.quantile(0.5)},
		                  {"p99Ns", r.latency.quantile(0.99)},
		                  {"ringDropShare", per(r.window_ring_dropped, r.offered_packets)},
		                  {"busyShare", r.busy_ns / static_cast<double>(spec.duration_ns)}});
	}
	char answer[17];
	std::snprintf(answer, sizeof(answer), "%016llx",
	              static_cast<unsigned long long>(outcome.answer));
	double empty_poll = 0;
	for (const auto &q : outcome.queues)
		empty_poll += q.empty_poll_ns / static_cast<double>(outcome.queues.size());
	// What only a clock of its own can tell.
	const bool threads = spec.engine == Engine::threads;
	const auto on_virtual = [&](Json value) { return threads ? Json(nullptr) : value; };

	return {{"job", "trial"},
	        {"spec", describe(spec)},
	        {"seed", spec.seed},
	        {"tscHz", outcome.tsc_hz},
	        {"tscOverheadNs", outcome.tsc_overhead_ns},
	        {"wallSeconds", outcome.wall_seconds},
	        {"offeredBps", static_cast<double>(s.offered_bits) / seconds},
	        {"offeredPps", static_cast<double>(s.offered_packets) / seconds},
	        {"throughputBps", static_cast<double>(s.departed_bits) / seconds},
	        {"throughputPps", static_cast<double>(s.departed_packets) / seconds},
	        {"saturatedBps", spec.offered_share > 0 ? Json(outcome.saturated_bps) : Json(nullptr)},
	        {"slfIn", per(s.packets_in, s.runs_in)},
	        {"slfOut", per(s.packets_out, s.runs_out)},
	        {"flows", outcome.flows},
	        {"nsPerPacket", ratio(s.busy_ns, processed)},
	        {"cyclesPerPacket", ratio(s.busy_ns, processed) * cycles},
	        {"stageNsPerPacket", on_virtual(ratio(s.stage_ns, processed))},
	        {"chainNsPerPacket", on_virtual(ratio(s.chain_ns, processed))},
	        {"missNsPerPacket", outcome.worst_packet_ns},
	        {"busyShare", s.busy_ns / queue_ns},
	        {"packetsPerPoll", per(s.polled, s.busy_polls)},
	        {"latencyNs",
	         {{"mean", s.latency.mean()},
	          {"p50", s.latency.quantile(0.5)},
	          {"p95", s.latency.quantile(0.95)},
	          {"p99", s.latency.quantile(0.99)},
	          {"p999", s.latency.quantile(0.999)},
	          {"max", s.latency.max()}}},
	        {"sensitiveLatencyNs", spec.sensitive
	                                   ? Json{{"mean", s.sensitive_latency.mean()},
	                                          {"p50", s.sensitive_latency.quantile(0.5)},
	                                          {"p99", s.sensitive_latency.quantile(0.99)}}
	                                   : Json(nullptr)},
	        {"front", front},
	        {"cores", cores},
	        {"throughputPerCoreBps", static_cast<double>(s.departed_bits) / seconds / cores},
	        {"ownLatencyNs", threads || !outcome.front.empty()
	                             ? Json(nullptr)
	                             : Json{{"mean", s.own_latency.mean()},
	                                    {"p50", s.own_latency.quantile(0.5)},
	                                    {"p99", s.own_latency.quantile(0.99)}}},
	        {"holdNs", hold_of(outcome)},
	        {"drops",
	         {{"ring", s.window_ring_dropped},
	          {"ringShare", per(s.window_ring_dropped, s.offered_packets)},
	          {"nf", s.window_nf_dropped},
	          {"nfReasons", verdicts_of(outcome)}}},
	        {"polls",
	         {{"busy", s.busy_polls},
	          {"empty", s.empty_polls},
	          {"interrupted", on_virtual(away.interrupted)},
	          {"interruptedNs", on_virtual(away.interrupted_ns)},
	          {"preempted", on_virtual(away.preempted)},
	          {"preemptedNs", on_virtual(away.preempted_ns)},
	          {"emptyPollNs", on_virtual(empty_poll)},
	          {"starvedNs", threads ? Json(s.starved_ns) : Json(nullptr)}}},
	        {"void", !why.is_null()},
	        {"voidReason", why},
	        {"checks",
	         {{"in", s.arrived},
	          {"out", s.departed},
	          {"nfDropped", s.nf_dropped},
	          {"ringDropped", s.ring_dropped},
	          {"thinned", s.thinned},
	          {"held", s.held},
	          {"conserved", outcome.conserved()},
	          {"ordered", outcome.ordered()},
	          {"tablesSound", outcome.tables_sound},
	          {"formsAgree", outcome.forms_checked ? Json(outcome.forms_agree) : Json(nullptr)},
	          {"passed", outcome.passed()}}},
	        {"answer", on_virtual(answer)},
	        {"chainStats", counters_of(outcome)},
	        {"reframer", stage_of(outcome)},
	        {"machine",
	         {{"dmaFiller", outcome.dma_on_core ? "core" : "self"},
	          {"hugepages", outcome.huge_pages},
	          {"nice", outcome.nice}}},
	        {"queueResults", queues}};
}

} // namespace reframer::lab
