// SLF as a function of T as the published runs counted it: not of the traffic that is offered, but of
// what came through a device that is overloaded. Its ring drops most packets, those that pass come to
// the stage at the pace at which packets are served, and so T, which counts there, spans fewer packets
// than arrive in it. On a clock of its own, without frames: the yardstick of the campus calibration.
//
// The device is the original's (NSDI'22 data, in-chain): RX rings of 256, polls of 32; packets go into
// the stage one after the other; after each, groups whose time is over are worked on at once, which
// takes so long that others fall due.
#pragma once

#include "traffic/generator_packet.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reframer::traffic {

struct OverloadParams {
	uint64_t delay_ns = 0; // T; 0: no stage
	// What the published sweep of T fits: 2,673 cycles a packet and 4,644 a run, at the 2.98 GHz that
	// 6,480 cycles a packet and 32.0 Gbps on eight cores of 1087-byte frames make.
	// Of a packet's 897 ns, half is spent on the way into the stage: a server that did nothing but hold
	// packets took about 1,350 cycles for each.
	double receive_ns = 453, packet_ns = 444, run_ns = 1558;
	uint32_t ring = 256, burst = 32;
	uint32_t group_most = 128; // packets at which a group leaves
};

// One RX queue and its core.
class OverloadedQueue {
public:
	explicit OverloadedQueue(const OverloadParams &params) : params_(params) {}

	// Packets of the queue in order of time.
	void arrive(const PacketMeta &packet)
	{
		run_until(static_cast<double>(packet.time_ns));
		offered_++;
		if (ring_.size() >= params_.ring)
			return;
		ring_.push_back(packet.flow);
		bytes_.push_back(packet.length);
	}
	uint64_t offered() const { return offered_; }
	uint64_t served() const { return served_; }
	uint64_t served_bytes() const { return served_bytes_; }
	uint64_t runs() const { return runs_; }

private:
	struct Group {
		uint32_t flow, count;
		uint64_t bytes;
		double due;
	};

	// Polls up to the arrival at `time`; a poll that began before goes on beyond it, and what arrives
	// meanwhile waits, or is dropped.
	void run_until(double time)
	{
		while (clock_ < time) {
			if (ring_.empty()) {
				if (groups_.empty() || groups_.front().due >= time) {
					clock_ = time;
					return;
				}
				clock_ = std::max(clock_, groups_.front().due);
				release();
				continue;
			}
			poll();
		}
	}
	void poll()
	{
		// Taken at once: the ring has room again while they are worked on.
		const size_t n = std::min<size_t>(params_.burst, ring_.size());
		std::array<std::pair<uint32_t, uint32_t>, 64> taken;
		for (size_t i = 0; i < n; i++) {
			taken[i] = {ring_.front(), bytes_.front()};
			ring_.pop_front();
			bytes_.pop_front();
		}
		for (size_t i = 0; i < n; i++) {
			const auto [flow, bytes] = taken[i];
			clock_ += params_.receive_ns;
			if (params_.delay_ns == 0) {
				serve({flow, 1, bytes, 0});
				continue;
			}
			hold(flow, bytes);
			release();
		}
	}
	void hold(uint32_t flow, uint32_t bytes)
	{
		const auto [at, fresh] = open_.try_emplace(flow, first_ + groups_.size());
		if (fresh)
			groups_.push_back({flow, 0, 0, clock_ + static_cast<double>(params_.delay_ns)});
		Group &g = groups_[at->second - first_];
		g.bytes += bytes;
		if (++g.count >= params_.group_most) { // its place stays, empty
			serve(g);
			g.count = 0;
			open_.erase(at);
		}
	}
	void release()
	{
		while (!groups_.empty() && groups_.front().due <= clock_) {
			const Group g = groups_.front();
			groups_.pop_front();
			first_++;
			if (g.count == 0)
				continue;
			open_.erase(g.flow);
			serve(g);
		}
	}
	void serve(const Group &g)
	{
		const bool fresh = g.flow != last_;
		last_ = g.flow;
		clock_ += params_.packet_ns * g.count + params_.run_ns * fresh;
		served_ += g.count;
		served_bytes_ += g.bytes;
		runs_ += fresh;
	}

	OverloadParams params_;
	double clock_ = 0;
	std::deque<uint32_t> ring_, bytes_;
	std::deque<Group> groups_;                  // by when they are due
	std::unordered_map<uint32_t, size_t> open_; // by flow: number of its group
	size_t first_ = 0;                          // number of the group in front
	uint32_t last_ = UINT32_MAX;
	uint64_t offered_ = 0, served_ = 0, served_bytes_ = 0, runs_ = 0;
};

// Queues of a device, each with a core.
class OverloadedDevice {
public:
	OverloadedDevice(const OverloadParams &params, uint32_t queues)
		: queues_(queues, OverloadedQueue(params))
	{
	}

	void arrive(const PacketMeta &packet, uint32_t queue) { queues_[queue].arrive(packet); }
	double slf() const { return ratio(sum(&OverloadedQueue::served), sum(&OverloadedQueue::runs)); }
	double drop_share() const
	{
		const auto offered = static_cast<double>(sum(&OverloadedQueue::offered));
		return offered > 0 ? 1 - static_cast<double>(sum(&OverloadedQueue::served)) / offered : 0;
	}
	double served_bps(double seconds) const
	{
		return static_cast<double>(sum(&OverloadedQueue::served_bytes)) * 8 / seconds;
	}

private:
	static double ratio(uint64_t a, uint64_t b)
	{
		return b ? static_cast<double>(a) / static_cast<double>(b) : 0;
	}
	uint64_t sum(uint64_t (OverloadedQueue::*count)() const) const
	{
		uint64_t n = 0;
		for (const OverloadedQueue &q : queues_)
			n += (q.*count)();
		return n;
	}

	std::vector<OverloadedQueue> queues_;
};

} // namespace reframer::traffic
