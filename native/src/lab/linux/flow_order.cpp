#include "lab/linux/flow_order.hpp"

#include "jobs/job.hpp"

#include <reframer/reframer.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>

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

std::vector<uint32_t> reframed_order(const std::vector<uint32_t> &order, double gap_ns,
                                     uint64_t delay_ns)
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

	// A handle is the place in `order`, counted from 1: a null pointer is no packet.
	std::vector<uint32_t> released;
	void *handles[burst], *out[256];
	uint32_t hashes[burst];
	const auto take = [&](uint32_t n) {
		for (uint32_t i = 0; i < n; i++)
			released.push_back(order[reinterpret_cast<uintptr_t>(out[i]) - 1]);
	};
	uint64_t now = 0;
	for (size_t at = 0; at < order.size(); at += burst) {
		const uint32_t n = static_cast<uint32_t>(std::min<size_t>(burst, order.size() - at));
		for (uint32_t i = 0; i < n; i++) {
			handles[i] = reinterpret_cast<void *>(at + i + 1);
			hashes[i] = order[at + i] * 0x9e3779b1u + 1;
		}
		now = static_cast<uint64_t>(static_cast<double>(at + n) * gap_ns);
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

double slf_of(const std::vector<uint32_t> &order)
{
	size_t runs = 1;
	for (size_t i = 1; i < order.size(); i++)
		runs += order[i] != order[i - 1];
	return order.empty() ? 0 : static_cast<double>(order.size()) / static_cast<double>(runs);
}

} // namespace reframer::lab
