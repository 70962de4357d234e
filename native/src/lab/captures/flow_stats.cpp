#include "lab/captures/flow_stats.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace reframer::lab {

using packet::FlowKey;
using packet::FlowKeyHash;
using packet::Frame;
using packet::Headers;

FlowStats::FlowStats(size_t max_flows, FlowTable &&flows)
	: max_flows_(max_flows), flows_(std::move(flows))
{
	flows_.start_over();
	opened_.fill(FlowTable::none);
	for (size_t rate = 0; rate < nb_rates; rate++)
		for (size_t delay = 0; delay < nb_delays; delay++)
			delay_[rate * nb_delays + delay] = gain_delays_ns[delay];
}

void FlowStats::add(std::span<const Frame> frames, uint32_t fcs_bytes)
{
	for (size_t at = 0; at < frames.size(); at += burst) {
		const size_t count = std::min(burst, frames.size() - at);
		for (const Frame &frame : frames.subspan(at, count)) {
			const Headers headers = packet::parse(frame);
			waiting_.push_back({fragments_.flow_of(headers, frame.data), frame.time_ns,
			                    wire_bits(frame, fcs_bytes), frame_length(frame),
			                    frame.wire < frame.captured});
		}
		count_seen(false);
	}
}

void FlowStats::finish()
{
	count_seen(true);
}

void FlowStats::count_seen(bool all)
{
	size_t known = done_;
	for (; known < waiting_.size(); known++) {
		Seen &seen = waiting_[known];
		if (seen.flow.known || all || waiting_.size() - known > max_waiting)
			continue;
		if (!fragments_.look_up(seen.flow))
			break;
	}
	while (done_ < known) {
		const size_t count = std::min(burst, known - done_);
		add_burst(waiting_.data() + done_, count);
		done_ += count;
	}
	// What is done is thrown away once it is the greater part, or every packet would be moved often.
	if (2 * done_ < waiting_.size())
		return;
	waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(done_));
	done_ = 0;
}

void FlowStats::add_burst(const Seen *seen, size_t count)
{
	Item items[burst];
	if (flows_.size() + count > max_flows_) {
		forgotten_ += flows_.size();
		flows_.forget_all();
		last_flow_ = last_unparsed_flow_ = FlowTable::none;
		opened_.fill(FlowTable::none);
	}
	for (size_t i = 0; i < count; i++) {
		const FlowKey &key = seen[i].flow.tuple;
		items[i].hash = FlowKeyHash{}(key);
		items[i].is_flow = key.is_flow();
		flows_.prefetch(items[i].hash);
		count_frame(seen[i]);
	}
	for (size_t i = 0; i < count; i++) {
		items[i].entry = flows_.find(items[i].hash);
		if (items[i].entry == FlowTable::none)
			items[i].entry = add_flow(items[i].hash, seen[i].flow.tuple);
	}
	for (size_t i = 0; i < count; i++) {
		if (packets_ == 0)
			first_ns_ = seen[i].time_ns;
		const uint64_t time = seen[i].time_ns;
		earliest_ns_ = std::min(earliest_ns_, time);
		latest_ns_ = std::max(latest_ns_, time);
		wire_bits_ += seen[i].wire_bits;
		const uint64_t now[nb_rates] = {clock_(time) - first_ns_, wire_bits_ / gain_rates_gbps[1],
		                                wire_bits_ / gain_rates_gbps[2],
		                                wire_bits_ / gain_rates_gbps[3]};
		for (size_t cell = 0; cell < nb_cells; cell++)
			now_[cell] = now[cell / nb_delays];

		FlowEntry &entry = flows_[items[i].entry];
		count_flow(entry, items[i].entry);
		if (items[i].is_flow) [[likely]]
			count_cells(entry, items[i].entry);
		else
			count_unparsed_cells(items[i].entry);
		packets_++;
	}
}

uint32_t FlowStats::add_flow(uint64_t hash, const FlowKey &key)
{
	const uint64_t back = FlowKeyHash{}(packet::reversed(key));
	if (flows_.find(back) == FlowTable::none)
		bidirectional_++;
	distinct_.add(hash);
	distinct_bidirectional_.add(std::min(hash, back));
	const uint32_t index = flows_.insert(hash);
	flows_[index].last_packet = UINT64_MAX; // no packet yet
	return index;
}

void FlowStats::count_frame(const Seen &seen)
{
	const uint32_t length = seen.length;
	const FlowKey &key = seen.flow.tuple;
	bytes_ += length;
	without_length_ += seen.without_length;
	const uint32_t counted = std::min(length, max_size);
	if (counted >= sizes_.size()) [[unlikely]]
		sizes_.resize(counted + 1);
	sizes_[counted]++;

	Protocol protocol = proto_other;
	if (key.version == 0)
		protocol = proto_not_ip;
	else if (key.protocol == 6)
		protocol = proto_tcp;
	else if (key.protocol == 17)
		protocol = key.source_port == 443 || key.destination_port == 443 ? proto_quic : proto_udp;
	else if (key.protocol == 1 || key.protocol == 58)
		protocol = proto_icmp;
	protocols_[protocol]++;
}

void FlowStats::count_flow(FlowEntry &entry, uint32_t index)
{
	runs_ += index != last_flow_;
	last_flow_ = index;
	// For a new flow the distance wraps to more than any that is asked for.
	const uint64_t distance =
		entry.last_packet == UINT64_MAX ? UINT64_MAX : packets_ - entry.last_packet;
	for (size_t i = 0; i < reuse_distances.size(); i++)
		reused_[i] += distance <= reuse_distances[i];
	entry.last_packet = packets_;
}

void FlowStats::count_cells(FlowEntry &entry, uint32_t index)
{
	for (size_t cell = 0; cell < nb_cells; cell++) {
		const bool open = entry.deadline[cell] <= now_[cell];
		entry.deadline[cell] = open ? now_[cell] + delay_[cell] : entry.deadline[cell];
		cell_runs_[cell] += open & (opened_[cell] != index);
		opened_[cell] = open ? index : opened_[cell];
	}
}

void FlowStats::count_unparsed_cells(uint32_t index)
{
	const bool same = index == last_unparsed_flow_;
	for (size_t cell = 0; cell < nb_cells; cell++) {
		const bool open = unparsed_group_.deadline[cell] <= now_[cell];
		if (open)
			unparsed_group_.deadline[cell] = now_[cell] + delay_[cell];
		cell_runs_[cell] += !same || (open && opened_[cell] != unparsed_group);
		if (open)
			opened_[cell] = unparsed_group;
	}
	last_unparsed_flow_ = index;
}

uint64_t FlowStats::flows() const
{
	return forgotten_ ? static_cast<uint64_t>(std::llround(distinct_.estimate())) : flows_.size();
}

uint64_t FlowStats::flows_bidirectional() const
{
	return forgotten_ ? static_cast<uint64_t>(std::llround(distinct_bidirectional_.estimate()))
	                  : bidirectional_;
}

uint32_t FlowStats::size_quantile(double q) const
{
	const double wanted = std::max(1.0, std::ceil(q * static_cast<double>(packets_)));
	double below = 0;
	for (size_t size = 0; size < sizes_.size(); size++) {
		below += static_cast<double>(sizes_[size]);
		if (below >= wanted)
			return static_cast<uint32_t>(size);
	}
	return 0;
}

uint64_t FlowStats::nb_sizes(uint32_t low, uint32_t high) const
{
	uint64_t count = 0;
	for (size_t size = low; size <= high && size < sizes_.size(); size++)
		count += sizes_[size];
	return count;
}

} // namespace reframer::lab
