#include "lab/captures/reorder_run.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

// Held packets are bounded for the worst that a link brings within T: 64-byte frames at 100 Gbit/s.
// A faster flood (a capture whose time stands still) leaves early at the bound, as in the engine.
constexpr double most_packets_per_ns = 100.0 / (8 * (60 + wire_fcs_bytes + wire_gap_bytes));
// 256 MiB of frames held: 20 ms at 100 Gbit/s.
constexpr uint64_t max_bytes = 256ull << 20;
// Batches that the reader must be able to fill while all others are kept.
constexpr size_t reserve_batches = 16;

uint32_t max_packets_for(const ReorderOptions &options)
{
	const double most = most_packets_per_ns * static_cast<double>(options.delay_ns);
	uint32_t packets = 4096;
	while (packets < most && packets < 1u << 20)
		packets *= 2;
	return packets;
}

} // namespace

ReorderRun::ReorderRun(CaptureInput &input, traffic::CaptureWriter &output,
                       const ReorderOptions &options)
    : input_(input), output_(output), options_(options), order_(max_packets_for(options)),
      hold_step_ns_(options.delay_ns / 4096 + 1)
{
	reframer_params params;
	reframer_default_params(&params);
	params.policy = options.policy;
	params.key = static_cast<uint32_t>(options.key);
	params.delay_ns = options.delay_ns;
	params.max_packets = max_packets_for(options);
	params.max_bytes = max_bytes;
	params.max_burst = options.max_burst;
	params.hash_seed = options.seed;
	const int error = reframer_create(&params, &stage_);
	if (error)
		throw JobError("bad-spec", std::string("the engine refuses these options: ") +
		                               reframer_strerror(error), 2);
}

ReorderRun::~ReorderRun()
{
	reframer_free(stage_);
}

reframer_stats ReorderRun::stats() const
{
	reframer_stats stats;
	reframer_get_stats(stage_, &stats);
	return stats;
}

double ReorderRun::hold_p50_ns() const
{
	uint64_t below = 0;
	for (size_t i = 0; i < holds_.size(); i++) {
		below += holds_[i];
		if (2 * below >= packets_out_ && packets_out_ > 0)
			return static_cast<double>(std::min(i * hold_step_ns_, hold_max_ns_));
	}
	return 0;
}

void ReorderRun::run(Progress &progress)
{
	for (;;) {
		// Kept batches bound the memory whatever the packets and the policy are.
		if (nb_kept_ + reserve_batches > max_batches)
			release(now_, true);
		traffic::FrameBatch *frames = input_.next();
		if (!frames)
			break;
		Batch *batch = new_batch();
		batch->frames = frames;
		take_batch(*batch);
		progress(packets_in_);
	}
	if (burst_count_ > 0)
		push_burst(burst_deadline_);
	advance_to(UINT64_MAX);
}

ReorderRun::Batch *ReorderRun::new_batch()
{
	if (spare_.empty()) {
		batches_.push_back(std::make_unique<Batch>());
		spare_.push_back(batches_.back().get());
	}
	Batch *batch = spare_.back();
	spare_.pop_back();
	nb_kept_++;
	return batch;
}

uint64_t ReorderRun::arrival_time(const packet::Frame &frame, uint32_t fcs_bytes)
{
	const uint64_t forward = clock_(frame.time_ns);
	if (packets_in_ == 0)
		base_ns_ = forward;
	if (options_.rate_bps == 0)
		return forward;
	wire_bits_ += wire_bits(frame, fcs_bytes);
	return base_ns_ + pace_ns(wire_bits_, options_.rate_bps);
}

void ReorderRun::take_batch(Batch &batch)
{
	const auto &frames = batch.frames->frames;
	const auto depth = options_.key == packet::KeyKind::inner ? packet::Depth::innermost
	                                                          : packet::Depth::outer;
	// One more than there are packets, until all have arrived.
	batch.outstanding = static_cast<uint32_t>(frames.size()) + 1;
	batch.held.resize(frames.size());
	for (size_t first = 0; first < frames.size(); first += rx_burst) {
		const size_t count = std::min<size_t>(rx_burst, frames.size() - first);
		uint32_t hashes[rx_burst];
		for (size_t i = 0; i < count; i++) {
			const packet::Frame &frame = frames[first + i];
			Held &held = batch.held[first + i];
			// The engine groups by this hash; the check below goes by the key itself.
			hashes[i] = packet::classify(frame.data, frame.captured, frame.link, options_.key,
			                             options_.seed)
			                .hash;
			const packet::FlowKey key = packet::grouping_key(
			    packet::flow_key_of(packet::parse(frame, depth), frame.data), options_.key);
			held.frame = &frame;
			held.batch = &batch;
			held.flow = packet::FlowKeyHash{}(key);
			order_.prefetch(held.flow);
		}
		for (size_t i = 0; i < count; i++) {
			Held &held = batch.held[first + i];
			held.arrival_ns =
			    arrival_time(*held.frame, CaptureInput::fcs_bytes(*batch.frames, *held.frame));
			held.ticket = order_.enter(held.flow);
			runs_in_ += packets_in_ == 0 || held.flow != last_in_;
			last_in_ = held.flow;
			if (packets_in_ == 0)
				first_now_ = held.arrival_ns;
			packets_in_++;
			bytes_in_ += held.frame->captured;
			if (options_.policy == REFRAMER_BURST) {
				add_to_burst(held, hashes[i], held.arrival_ns);
				continue;
			}
			advance_to(held.arrival_ns);
			Held *const one[] = {&held};
			arrive(one, 1, &hashes[i], held.arrival_ns);
		}
	}
	if (--batch.outstanding == 0) {
		input_.give_back(batch.frames);
		spare_.push_back(&batch);
		nb_kept_--;
	}
}

// A burst is what a poll of a driver would find: up to 32 packets, or what comes within T.
void ReorderRun::add_to_burst(Held &held, uint32_t hash, uint64_t now)
{
	if (burst_count_ > 0 && burst_deadline_ <= now)
		push_burst(burst_deadline_);
	now_ = std::max(now_, now);
	if (burst_count_ == 0)
		burst_deadline_ = now + options_.delay_ns;
	burst_[burst_count_] = &held;
	burst_hash_[burst_count_++] = hash;
	if (burst_count_ == rx_burst)
		push_burst(now);
}

void ReorderRun::push_burst(uint64_t now)
{
	arrive(burst_.data(), burst_count_, burst_hash_.data(), now);
	burst_count_ = 0;
	release(now, false);
}

void ReorderRun::arrive(Held *const *held, uint32_t count, const uint32_t *hashes, uint64_t now)
{
	void *packets[rx_burst];
	uint32_t lengths[rx_burst];
	for (uint32_t i = 0; i < count; i++) {
		packets[i] = held[i];
		lengths[i] = frame_length(*held[i]->frame);
	}
	for (uint32_t done = 0; done < count;) {
		const reframer_burst burst = {packets + done, nullptr,       nullptr,
		                              lengths + done, hashes + done, count - done};
		const uint32_t accepted = reframer_push(stage_, &burst, now);
		if (accepted == 0)
			throw JobError("failed", "the engine takes no packet after a poll");
		done += accepted;
		now_ = now;
		// Capacity and burst limit make groups ready ahead of their deadline.
		if (reframer_next_deadline(stage_) <= now)
			release(now, false);
	}
}

// Everything that is due up to `now` leaves at the moment at which it is due.
void ReorderRun::advance_to(uint64_t now)
{
	for (;;) {
		const uint64_t due = reframer_next_deadline(stage_);
		if (due > now || due == UINT64_MAX)
			return;
		release(std::max(due, now_), false);
	}
}

void ReorderRun::release(uint64_t now, bool drain)
{
	now_ = now;
	for (;;) {
		uint32_t nb_runs = static_cast<uint32_t>(runs_.size());
		const auto give = drain ? reframer_drain : reframer_poll;
		const uint32_t count = give(stage_, now, out_.data(), static_cast<uint32_t>(out_.size()),
		                            runs_.data(), &nb_runs);
		for (uint32_t i = 0; i < count; i++)
			depart(*static_cast<const Held *>(out_[i]), now);
		if (count < out_.size())
			return;
	}
}

void ReorderRun::depart(const Held &held, uint64_t now)
{
	Batch &batch = *static_cast<Batch *>(held.batch);
	const packet::Frame &frame = *held.frame;
	output_.write(frame, now, (*batch.frames->interfaces)[frame.interface]);
	order_.leave(held.ticket);
	runs_out_ += packets_out_ == 0 || held.flow != last_out_;
	last_out_ = held.flow;
	packets_out_++;
	bytes_out_ += frame.captured;
	const uint64_t hold = now - held.arrival_ns;
	hold_max_ns_ = std::max(hold_max_ns_, hold);
	holds_[std::min<uint64_t>(hold / hold_step_ns_, holds_.size() - 1)]++;
	if (--batch.outstanding == 0) {
		input_.give_back(batch.frames);
		spare_.push_back(&batch);
		nb_kept_--;
	}
}

} // namespace reframer::lab
