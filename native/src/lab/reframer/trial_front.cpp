#include "lab/reframer/trial_front.hpp"

#include "traffic/generator_packet.hpp"

#include <algorithm>
#include <cstring>

namespace reframer::lab {

FrontCores::FrontCores(const TrialSpec &spec, const engine::QueueConfig &config, size_t arena_bytes,
                       engine::Dma &dma, const nf::ChainFactory &forward,
                       const std::function<Stage()> &make_stage)
	: cores_(spec.front_cores), arenas_{Arena(arena_bytes), Arena(arena_bytes)}
{
	engine::QueueConfig front = config;
	front.worst_packet_ns = 0; // there is no chain
	for (Core &c : cores_) {
		c.chain = forward.make(nf::Form::packet, 0);
		c.stage = make_stage();
		c.queue = std::make_unique<engine::VirtualQueue>(front, c.stage.get(), *c.chain, dma);
		c.queue->on_hand_over = [this](const nf::Mbuf &m, double time_ns, uint64_t origin_ns,
		                               uint32_t flow) {
			uint8_t *frame = arenas_[current_].take(m.captured);
			if (!frame)
				throw JobError("failed",
				               "the front cores sent more than fits the arena; shorten durationNs");
			std::memcpy(frame, m.data(), m.captured);
			sent_.push_back({static_cast<uint64_t>(time_ns) + 1, frame, m.captured, m.wire, m.rss,
			                 flow, origin_ns});
		};
	}
}

void FrontCores::relay(std::vector<std::vector<engine::Arrival>> &queues, uint64_t until_ns)
{
	current_ ^= 1;
	arenas_[current_].clear();
	for (size_t f = 0; f < cores_.size(); f++) {
		// An RSS table filled round robin: as the front cores are a divisor of the queues, a front
		// core gets what goes to every so manieth queue.
		std::vector<engine::Arrival> mine;
		for (size_t q = f; q < queues.size(); q += cores_.size())
			mine.insert(mine.end(), queues[q].begin(), queues[q].end());
		std::stable_sort(mine.begin(), mine.end(),
		                 [](const auto &a, const auto &b) { return a.time_ns < b.time_ns; });
		cores_[f].queue->run(mine, static_cast<double>(until_ns));
	}
	hand_on(queues, until_ns);
}

void FrontCores::drain(std::vector<std::vector<engine::Arrival>> &queues)
{
	current_ ^= 1;
	arenas_[current_].clear();
	for (Core &c : cores_)
		c.queue->drain();
	hand_on(queues, UINT64_MAX);
}

// Only what was sent by then: another front core may still send before the others' last packets.
void FrontCores::hand_on(std::vector<std::vector<engine::Arrival>> &queues, uint64_t until_ns)
{
	std::stable_sort(sent_.begin(), sent_.end(),
	                 [](const auto &a, const auto &b) { return a.time_ns < b.time_ns; });
	auto end = std::find_if(sent_.begin(), sent_.end(),
	                        [&](const auto &a) { return a.time_ns > until_ns; });
	for (auto &list : queues)
		list.clear();
	for (auto a = sent_.begin(); a != end; ++a)
		queues[traffic::rss_queue(a->rss, static_cast<uint32_t>(queues.size()))].push_back(*a);
	sent_.erase(sent_.begin(), end);
}

} // namespace reframer::lab
