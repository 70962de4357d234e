// A capture through the Reframer engine in virtual time: every packet arrives at its own time, and
// the stage is polled at every arrival and at every deadline, so no packet waits longer than T.
#pragma once

#include "api/owned.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/captures/flow_order.hpp"
#include "lab/captures/pace.hpp"
#include "packet/classify.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_table.hpp"
#include "traffic/capture_writer.hpp"

#include <array>
#include <memory>
#include <vector>

namespace reframer::lab {

struct ReorderOptions {
	uint64_t delay_ns = 64'000;
	uint64_t rate_bps = 0; // 0: the capture's own timing
	uint32_t policy = REFRAMER_FIXED;
	packet::KeyKind key = packet::KeyKind::five_tuple;
	// Packets of a group at which it leaves. Offline there is no ring behind that a long group could
	// fill, so there is no limit unless one is asked for.
	uint32_t max_burst = UINT32_MAX;
	uint64_t seed = 1;
};

// A packet inside the stage: the handle that goes in and comes out.
struct Held {
	const packet::Frame *frame;
	void *batch;
	uint64_t arrival_ns;
	uint64_t flow; // 64-bit hash of the grouping key, for run lengths
	uint32_t l3;   // offset of the IP header, or one of the two below
	FlowOrder::Ticket ticket;

	static constexpr uint32_t unread = UINT32_MAX, labels = UINT32_MAX - 1;
};

class ReorderRun {
public:
	ReorderRun(CaptureInput &input, traffic::CaptureWriter &output, const ReorderOptions &options);

	void run(Progress &progress);

	struct Side {
		uint64_t packets = 0, bytes = 0, runs = 0;
		uint64_t last_flow = 0;
		void add(const Held &held)
		{
			runs += packets++ == 0 || held.flow != last_flow;
			last_flow = held.flow;
			bytes += held.frame->captured;
		}
		double slf() const { return runs ? double(packets) / double(runs) : 0; }
	};
	const Side &in() const { return in_; }
	const Side &out() const { return out_side_; }
	uint64_t hold_max_ns() const { return hold_max_ns_; }
	double hold_p50_ns() const;
	uint64_t flows_reordered() const { return order_.nb_reordered(); }
	uint64_t time_backwards() const { return clock_.backwards(); }
	bool time_stood_still() const { return in_.packets > 1 && last_arrival_ == first_now_; }
	reframer_stats stats() const;

	// Batches that the input must allow to be kept: what is held at most, and room to go on.
	static constexpr size_t max_batches = 2200;

private:
	// RX burst of every driver that the original ran on.
	static constexpr uint32_t rx_burst = 32;

	struct Batch {
		traffic::FrameBatch *frames = nullptr;
		uint32_t outstanding = 0;
		std::vector<Held> held;
	};

	void take_batch(Batch &batch);
	void look_at(Held &held);
	void arrive(Held *const *held, uint32_t count, uint64_t now);
	void add_to_burst(Held &held, uint64_t now);
	void push_burst(uint64_t now);
	void advance_to(uint64_t now);
	void release(uint64_t now, bool drain);
	void depart(const Held &held, uint64_t now);
	uint64_t arrival_time(const packet::Frame &frame, uint32_t fcs_bytes);
	Batch *new_batch();
	void let_go(Batch &batch); // of one packet less

	CaptureInput &input_;
	traffic::CaptureWriter &output_;
	ReorderOptions options_;
	api::Stage stage_;
	FlowOrder order_;
	packet::FragmentTable fragments_;

	std::vector<std::unique_ptr<Batch>> batches_;
	std::vector<Batch *> spare_;
	size_t nb_kept_ = 0;

	ForwardClock clock_;
	uint64_t base_ns_ = 0, wire_bits_ = 0;
	uint64_t now_ = 0, first_now_ = 0, last_arrival_ = 0;

	// REFRAMER_BURST: what has come of the burst, and when it must leave.
	std::array<Held *, rx_burst> burst_{};
	uint32_t burst_count_ = 0;
	uint64_t burst_deadline_ = UINT64_MAX;

	std::array<void *, 256> out_{};
	std::array<reframer_run, 256> runs_{};

	Side in_, out_side_;
	uint64_t hold_max_ns_ = 0;
	// Of hold times, in steps of T / 4096.
	std::array<uint64_t, 4097> holds_{};
	uint64_t hold_step_ns_;
};

} // namespace reframer::lab
