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

// A label stack as IPv6 without a next header: what the stage groups by are its addresses.
void put_labels(uint8_t (&stack)[40], const packet::Frame &frame)
{
	const packet::FlowKey key = packet::five_tuple_of(packet::parse(frame), frame.data);
	constexpr uint8_t none = 59;
	const uint8_t start[8] = {0x60, 0, 0, 0, 0, 0, none, 1};
	std::copy_n(start, sizeof start, stack);
	std::copy(key.source.begin(), key.source.end(), stack + 8);
	std::copy(key.destination.begin(), key.destination.end(), stack + 24);
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
	// A capture may mix link types, which a stage does not: it is shown IP. At once, as time is
	// virtual and nothing is to be hidden.
	params.link_type = static_cast<uint32_t>(packet::LinkType::raw_ip);
	params.lookahead = 0;
	int error;
	stage_ = api::create<api::Stage>(reframer_create, params, &error);
	if (error)
		throw JobError("bad-spec",
		               std::string("the engine refuses these options: ") + reframer_strerror(error),
		               2);
}

reframer_stats ReorderRun::stats() const
{
	reframer_stats stats;
	reframer_get_stats(stage_.get(), &stats);
	return stats;
}

double ReorderRun::hold_p50_ns() const
{
	uint64_t below = 0;
	for (size_t i = 0; i < holds_.size(); i++) {
		below += holds_[i];
		if (2 * below >= out_side_.packets && out_side_.packets > 0)
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
		progress(in_.packets);
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

void ReorderRun::let_go(Batch &batch)
{
	if (--batch.outstanding > 0)
		return;
	input_.give_back(batch.frames);
	spare_.push_back(&batch);
	nb_kept_--;
}

uint64_t ReorderRun::arrival_time(const packet::Frame &frame, uint32_t fcs_bytes)
{
	const uint64_t forward = clock_(frame.time_ns);
	if (in_.packets == 0)
		base_ns_ = forward;
	if (options_.rate_bps == 0)
		return forward;
	wire_bits_ += wire_bits(frame, fcs_bytes);
	return base_ns_ + pace_ns(wire_bits_, options_.rate_bps);
}

void ReorderRun::take_batch(Batch &batch)
{
	const auto &frames = batch.frames->frames;
	// One more than there are packets, until all have arrived.
	batch.outstanding = static_cast<uint32_t>(frames.size()) + 1;
	batch.held.resize(frames.size());
	for (size_t i = 0; i < frames.size(); i++) {
		Held &held = batch.held[i];
		held.frame = &frames[i];
		held.batch = &batch;
		look_at(held);
		held.arrival_ns =
			arrival_time(*held.frame, CaptureInput::fcs_bytes(*batch.frames, *held.frame));
		if (in_.packets == 0)
			first_now_ = held.arrival_ns;
		last_arrival_ = held.arrival_ns;
		in_.add(held);
		if (options_.policy == REFRAMER_BURST) {
			add_to_burst(held, held.arrival_ns);
			continue;
		}
		advance_to(held.arrival_ns);
		Held *const one[] = {&held};
		arrive(one, 1, held.arrival_ns);
	}
	let_go(batch);
}

// A burst is what a poll of a driver would find: up to 32 packets, or what comes within T.
void ReorderRun::add_to_burst(Held &held, uint64_t now)
{
	if (burst_count_ > 0 && burst_deadline_ <= now)
		push_burst(burst_deadline_);
	now_ = std::max(now_, now);
	if (burst_count_ == 0)
		burst_deadline_ = now + options_.delay_ns;
	burst_[burst_count_++] = &held;
	if (burst_count_ == rx_burst)
		push_burst(now);
}

void ReorderRun::push_burst(uint64_t now)
{
	arrive(burst_.data(), burst_count_, now);
	burst_count_ = 0;
	release(now, false);
}

// What the stage is not told: whose the frame is, for the check and for run lengths.
void ReorderRun::look_at(Held &held)
{
	const packet::Frame &frame = *held.frame;
	packet::Headers headers = packet::parse(frame);
	held.l3 = headers.version != 0   ? headers.l3
	          : headers.labels_whole ? Held::labels
	                                 : Held::unread;
	if (options_.key == packet::KeyKind::inner)
		headers = packet::parse(frame, packet::Depth::innermost);
	const packet::FlowKey key = headers.fragment_version == 0
	                                ? packet::flow_key_of(headers, frame.data)
	                                : fragments_.flow_of(headers, frame.data).tuple;
	held.flow = packet::FlowKeyHash{}(packet::grouping_key(key, options_.key));
	held.ticket = order_.enter(headers, frame.data);
}

void ReorderRun::arrive(Held *const *held, uint32_t count, uint64_t now)
{
	void *packets[rx_burst];
	const uint8_t *data[rx_burst];
	uint32_t captured[rx_burst], lengths[rx_burst];
	uint8_t stacks[rx_burst][40];
	for (uint32_t i = 0; i < count; i++) {
		const packet::Frame &frame = *held[i]->frame;
		const uint32_t l3 = held[i]->l3;
		packets[i] = held[i];
		lengths[i] = frame_length(frame);
		if (l3 == Held::labels) {
			put_labels(stacks[i], frame);
			data[i] = stacks[i];
			captured[i] = sizeof stacks[i];
		} else {
			static constexpr uint8_t nothing[1] = {};
			data[i] = l3 == Held::unread ? nothing : frame.data + l3;
			captured[i] = l3 == Held::unread ? sizeof nothing : frame.captured - l3;
		}
	}
	for (uint32_t done = 0; done < count;) {
		const reframer_burst burst = {packets + done, data + done, captured + done,
		                              lengths + done, nullptr,     count - done};
		const uint32_t accepted = reframer_push(stage_.get(), &burst, now);
		if (accepted == 0)
			throw JobError("failed", "the engine takes no packet after a poll");
		done += accepted;
		now_ = now;
		// Capacity and burst limit make groups ready ahead of their deadline.
		if (reframer_next_deadline(stage_.get()) <= now)
			release(now, false);
	}
}

// Everything that is due up to `now` leaves at the moment at which it is due.
void ReorderRun::advance_to(uint64_t now)
{
	for (;;) {
		const uint64_t due = reframer_next_deadline(stage_.get());
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
		const uint32_t count = give(stage_.get(), now, out_.data(),
		                            static_cast<uint32_t>(out_.size()), runs_.data(), &nb_runs);
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
	out_side_.add(held);
	const uint64_t hold = now - held.arrival_ns;
	hold_max_ns_ = std::max(hold_max_ns_, hold);
	holds_[std::min<uint64_t>(hold / hold_step_ns_, holds_.size() - 1)]++;
	let_go(batch);
}

} // namespace reframer::lab
