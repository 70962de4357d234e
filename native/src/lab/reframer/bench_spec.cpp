#include "lab/reframer/bench_spec.hpp"

#include "jobs/spec_reader.hpp"

#include <thread>

namespace reframer::lab {

namespace {

constexpr Words<BenchTraffic> traffic_names = {
	{"uniform", BenchTraffic::uniform},
	{"bursts", BenchTraffic::bursts},
	{"trains", BenchTraffic::trains},
	{"campus", BenchTraffic::campus},
};

// A list that changes nothing where it is absent.
std::vector<uint64_t> list(SpecReader &in, const char *name, uint64_t low, uint64_t high)
{
	return in.integers<uint64_t>(name, {}, low, high);
}

// The points with each of `values` in place of what `member` is.
template <typename Member, typename Value>
std::vector<BenchPoint> crossed(const std::vector<BenchPoint> &points, Member BenchPoint::*member,
                                const std::vector<Value> &values)
{
	if (values.empty())
		return points;
	std::vector<BenchPoint> all;
	for (const BenchPoint &point : points)
		for (const Value &value : values) {
			all.push_back(point);
			all.back().*member = value;
		}
	return all;
}

// Where users are: one thing changed at a time.
std::vector<BenchPoint> usual_points()
{
	const BenchPoint base;
	std::vector<BenchPoint> points = {base};
	const auto with = [&](auto change) {
		points.push_back(base);
		change(points.back());
	};
	with([](BenchPoint &p) { p.flows = 100'000; });
	with([](BenchPoint &p) { p.traffic = BenchTraffic::campus; });
	with([](BenchPoint &p) { p.traffic = BenchTraffic::bursts; });
	with([](BenchPoint &p) { p.traffic = BenchTraffic::uniform; });
	for (const uint64_t burst : {8, 128})
		with([=](BenchPoint &p) { p.burst = burst; });
	for (const uint64_t in_flight : {128, 2048})
		with([=](BenchPoint &p) { p.in_flight = in_flight; });
	with([](BenchPoint &p) { p.stride = 2048; });
	with([](BenchPoint &p) { p.touched_kib = 256; });
	with([](BenchPoint &p) { p.buffers = 1 << 16; });
	return points;
}

} // namespace

const char *name_of(BenchTraffic traffic)
{
	return word(traffic, traffic_names);
}

BenchSpec parse_bench(const Json &json)
{
	SpecReader reader(json, "");
	BenchSpec spec;
	const bool quick = reader.boolean("quick", false);
	spec.place =
		reader.choice("dma", engine::Dma::Into::llc,
	                  {{"llc", engine::Dma::Into::llc}, {"dram", engine::Dma::Into::dram}});
	const auto traffic = reader.has("traffic") ? reader.several("traffic", traffic_names)
	                                           : std::vector<BenchTraffic>{};
	reader.take("traffic");
	const auto flows = list(reader, "flows", 1, 1ull << 32);
	const auto bursts = list(reader, "bursts", 1, burst_most);
	const auto in_flight = list(reader, "inFlight", 32, 1 << 19);
	const auto strides = list(reader, "strides", BenchPool::stride_least, BenchPool::stride_most);
	const auto touched = list(reader, "touchedKib", 0, 1 << 16);
	const auto buffers = list(reader, "buffers", 1 << 12, 1 << 20);
	for (const uint64_t stride : strides)
		if (stride % 64 != 0)
			reader.fail("strides", "has a member that is no multiple of 64");
	std::vector<bool> nic_hash = {true, false};
	if (const Json *given = reader.take("nicHash")) {
		if (!given->is_array() || given->empty() ||
		    !std::all_of(given->begin(), given->end(),
		                 [](const Json &value) { return value.is_boolean(); }))
			reader.fail("nicHash", "must be a list of true and false");
		nic_hash = given->get<std::vector<bool>>();
	}
	const bool any = !(traffic.empty() && flows.empty() && bursts.empty() && in_flight.empty() &&
	                   strides.empty() && touched.empty() && buffers.empty());
	spec.points = any ? std::vector<BenchPoint>(1) : usual_points();
	spec.points = crossed(spec.points, &BenchPoint::traffic, traffic);
	spec.points = crossed(spec.points, &BenchPoint::flows, flows);
	spec.points = crossed(spec.points, &BenchPoint::burst, bursts);
	spec.points = crossed(spec.points, &BenchPoint::in_flight, in_flight);
	spec.points = crossed(spec.points, &BenchPoint::stride, strides);
	spec.points = crossed(spec.points, &BenchPoint::touched_kib, touched);
	spec.points = crossed(spec.points, &BenchPoint::buffers, buffers);
	spec.points = crossed(spec.points, &BenchPoint::nic_hash,
	                      std::vector<uint8_t>(nic_hash.begin(), nic_hash.end()));
	spec.lookahead = reader.integer<uint32_t>("lookahead", 32, 0, 128);
	spec.samples = reader.integer<uint32_t>("samples", quick ? 31 : 101, 5, 100'000);
	spec.seed = reader.integer("seed", 1, 0, 1ull << 53);
	const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
	spec.core = reader.integer<int>("core", 0, 0, cores - 1);
	spec.filler_core = reader.integer<int>("fillerCore", cores - 1, 0, cores - 1);
	if (spec.place == engine::Dma::Into::llc && spec.core == spec.filler_core)
		throw JobError("not-supported",
		               "dma llc needs a second core to fill the buffers; use dma dram", 3);
	reader.finish();
	return spec;
}

} // namespace reframer::lab
