#include "lab/linux/flow_order.hpp"

#include "jobs/job.hpp"
#include "traffic/generator.hpp"

#include <reframer/reframer.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>

namespace reframer::lab {

std::vector<uint32_t> interleaved_order(uint32_t flows, uint32_t in_a_row, uint32_t packets,
                                        uint64_t seed)
{
	std::mt19937_64 random(seed);
	std::vector<uint32_t> turn(flows), order;
	std::iota(turn.begin(), turn.end(), 0);
	while (order.size() < packets) {
		std::shuffle(turn.begin(), turn.end(), random);
		for (uint32_t flow : turn)
			order.insert(order.end(), in_a_row, flow);
	}
	return order;
}

namespace {

// Places in the order of arrival, in that of release. Packet i has the group `group(i)`, and a core that
// polls every 32 of them has it at `time(i)`.
template <typename Group, typename Time>
std::vector<uint32_t> release_order(size_t packets, uint64_t delay_ns, Group group, Time time)
{
	constexpr uint32_t burst = 32;
	reframer_params params;
	reframer_default_params(&params);
	params.delay_ns = delay_ns;
	params.max_packets = 1 << 16;
	params.max_bytes = UINT64_MAX;
	reframer_stage *made = nullptr;
	if (const int error = reframer_create(&params, &made); error != 0)
		throw JobError("stage", "the stage was not made: error " + std::to_string(error));
	const std::unique_ptr<reframer_stage, void (*)(reframer_stage *)> stage(made, reframer_free);

	// A handle is the place, counted from 1: a null pointer is no packet.
	std::vector<uint32_t> released;
	void *handles[burst], *out[256];
	uint32_t hashes[burst];
	const auto take = [&](uint32_t n) {
		for (uint32_t i = 0; i < n; i++)
			released.push_back(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(out[i]) - 1));
	};
	uint64_t now = 0;
	for (size_t at = 0; at < packets; at += burst) {
		const uint32_t n = static_cast<uint32_t>(std::min<size_t>(burst, packets - at));
		for (uint32_t i = 0; i < n; i++) {
			handles[i] = reinterpret_cast<void *>(at + i + 1);
			hashes[i] = group(at + i) * 0x9e3779b1u + 1;
		}
		now = time(at + n - 1);
		reframer_burst in{};
		in.packets = handles;
		in.hash = hashes;
		in.count = n;
		reframer_push(stage.get(), &in, now);
		while (const uint32_t m = reframer_poll(stage.get(), now, out, 256, nullptr, nullptr))
			take(m);
	}
	while (const uint32_t m = reframer_drain(stage.get(), now, out, 256, nullptr, nullptr))
		take(m);
	return released;
}

} // namespace

std::vector<uint32_t> reframed_order(const std::vector<uint32_t> &order, double gap_ns,
                                     uint64_t delay_ns)
{
	std::vector<uint32_t> released = release_order(
		order.size(), delay_ns, [&](size_t i) { return order[i]; },
		[&](size_t i) { return static_cast<uint64_t>(static_cast<double>(i + 1) * gap_ns); });
	for (uint32_t &place : released)
		place = order[place];
	return released;
}

CampusOrder campus_order(double offered_bps, uint32_t queues, uint32_t segments, uint64_t delay_ns,
                         uint64_t seed)
{
	traffic::GeneratorParams params;
	params.profile = traffic::Profile::campus;
	params.rate_bps = static_cast<uint64_t>(offered_bps);
	params.queues = queues;
	params.seed = seed;
	traffic::Generator generator(params);
	constexpr size_t chunk = 1024;
	std::vector<traffic::PacketMeta> packets;
	const auto has_data = [](const traffic::PacketMeta &packet) {
		return (packet.kind & traffic::kind_tcp) != 0 && packet.payload > 0;
	};
	for (uint32_t found = 0; found < segments;) {
		const size_t before = packets.size();
		packets.resize(before + chunk);
		const size_t n = generator.read_meta(packets.data() + before, chunk);
		packets.resize(before + n);
		for (size_t i = before; i < packets.size(); i++)
			found += has_data(packets[i]);
		if (n == 0)
			throw JobError("linux-send", "the campus traffic ended");
	}
	std::vector<uint32_t> places(packets.size());
	std::iota(places.begin(), places.end(), 0);
	if (delay_ns != 0)
		places = release_order(
			packets.size(), delay_ns, [&](size_t i) { return packets[i].flow; },
			[&](size_t i) { return packets[i].time_ns; });

	CampusOrder made{};
	std::unordered_map<uint32_t, uint32_t> numbers;
	for (uint32_t place : places)
		if (has_data(packets[place]))
			made.order.push_back(
				numbers.try_emplace(packets[place].flow, uint32_t(numbers.size())).first->second);
	made.flows = uint32_t(numbers.size());
	made.gap_ns = static_cast<double>(packets.back().time_ns - packets.front().time_ns) /
	              static_cast<double>(packets.size() - 1);
	return made;
}

double slf_of(const std::vector<uint32_t> &order)
{
	size_t runs = 1;
	for (size_t i = 1; i < order.size(); i++)
		runs += order[i] != order[i - 1];
	return order.empty() ? 0 : static_cast<double>(order.size()) / static_cast<double>(runs);
}

} // namespace reframer::lab
