#include "dpdk/forward_sample.hpp"

#include "dpdk/ports.hpp"
#include "reframer/hold_times.hpp"

#include <rte_cycles.h>

#include <iterator>

namespace reframer::dpdk {

namespace {

using lab::Json;

// In the order of enum reframer_reason.
constexpr const char *reasons[] = {"deadline", "early", "bypass", "burst", "capacity", "drain"};
static_assert(std::size(reasons) == REFRAMER_NB_REASONS);

constexpr uint32_t first_bound = 10, last_bound = 30; // powers of two, ns: 1 us to 1 s

double ratio(uint64_t packets, uint64_t runs)
{
	return runs ? double(packets) / double(runs) : 0;
}

double us(uint64_t cycles)
{
	return double(cycles) * 1e6 / double(rte_get_tsc_hz());
}

uint64_t relaxed(const std::atomic<uint64_t> &counter)
{
	return counter.load(std::memory_order_relaxed);
}

void add_holds(Json &record, const stage::HoldTimes &holds)
{
	Json bounds = Json::array();
	uint64_t below = 0, sum_half_ns = 0;
	uint32_t bound = first_bound;
	for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++) {
		const uint64_t low = reframer_histogram_low_ns(b);
		for (; bound <= last_bound && low >= uint64_t{1} << bound; bound++)
			bounds.push_back(below);
		const uint64_t packets = holds.packets[b];
		const bool last = b + 1 == REFRAMER_HISTOGRAM_BUCKETS;
		below += packets;
		sum_half_ns += packets * (low + (last ? low : reframer_histogram_low_ns(b + 1)));
	}
	for (; bound <= last_bound; bound++)
		bounds.push_back(below);
	bounds.push_back(below);
	record["holds"] = bounds;
	record["holdSumUs"] = double(sum_half_ns) / 2000;
}

Json lane_record(const Lane &lane)
{
	reframer_dpdk_stats s = {};
	stage::HoldTimes holds;
	if (lane.reframer) {
		reframer_dpdk_get_stats(lane.reframer, &s);
		holds.add(reframer_dpdk_stage(lane.reframer));
	}
	const reframer_stats &stage = s.stage;
	Json released = Json::object();
	for (uint32_t i = 0; i < REFRAMER_NB_REASONS; i++)
		released[reasons[i]] = stage.released[i];
	Json record = {{"in", port_name(lane.in)},
	               {"out", port_name(lane.out)},
	               {"queue", lane.queue},
	               {"received", relaxed(lane.received)},
	               {"sent", relaxed(lane.sent)},
	               {"bytesIn", relaxed(lane.bytes_received)},
	               {"bytesOut", relaxed(lane.bytes_sent)},
	               {"unsent", relaxed(lane.unsent)},
	               {"txWaits", relaxed(lane.waits)},
	               {"oversized", relaxed(lane.oversized)},
	               {"workPolls", relaxed(lane.work_polls)},
	               {"workUs", us(relaxed(lane.work_cycles))},
	               {"held", stage.packets_held},
	               {"thinned", stage.packets_thinned},
	               {"runsIn", stage.runs_in},
	               {"runsOut", stage.runs_out},
	               {"released", released},
	               {"slfIn", ratio(stage.packets_in, stage.runs_in)},
	               {"slfOut", ratio(stage.packets_out, stage.runs_out)},
	               {"holdP50Us", double(holds.quantile(0.5)) / 1000},
	               {"holdMaxUs", double(stage.hold_max_ns) / 1000},
	               {"delayUs", double(stage.delay_ns) / 1000},
	               {"nicHash", s.nic_hash != 0}};
	add_holds(record, holds);
	return record;
}

} // namespace

Json forward_sample(const ForwardLanes &lanes)
{
	Json list = Json::array(), ports = Json::array();
	for (const auto &lane : lanes.lanes())
		list.push_back(lane_record(*lane));
	uint64_t missed = 0, no_buffer = 0;
	for (const uint16_t port : lanes.ports()) {
		const PortCounts of = port_counts(port);
		missed += of.missed;
		no_buffer += of.no_buffer;
		ports.push_back({{"port", port_name(port)},
		                 {"missed", of.missed},
		                 {"noBuffer", of.no_buffer},
		                 {"sent", of.sent},
		                 {"bytesSent", of.bytes_sent}});
	}
	Json record = {{"lanes", list}, {"ports", ports}, {"missed", missed}, {"noBuffer", no_buffer}};
	if (lanes.suite())
		record.update(lanes.suite()->sample());
	return record;
}

} // namespace reframer::dpdk
