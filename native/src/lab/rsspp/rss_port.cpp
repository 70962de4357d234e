#include "lab/rsspp/rss_port.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace reframer::lab {

ArrivalStream::ArrivalStream(const traffic::FlowPopulationProfile &profile, uint64_t seed,
                             double share_low, double share_period_seconds)
	: population(profile, seed), share_low(share_low),
	  share_period(share_period_seconds), random{seed ^ 0x6a09e667f3bcc909}
{
}

double ArrivalStream::share_at(double seconds) const
{
	if (share_period <= 0)
		return 1;
	return share_low +
	       (1 - share_low) * (1 - std::cos(2 * std::numbers::pi * seconds / share_period)) / 2;
}

uint64_t ArrivalStream::count(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t packets = 0;
	if (share_period > 0 || from_ns % slice_ns != 0 || to_ns % slice_ns != 0) {
		for (; peek().time_ns < to_ns; drop_front())
			packets += peek().time_ns >= from_ns;
		return packets;
	}
	for (; slice_start < to_ns; slice_start += slice_ns)
		for (const traffic::FlowShare &flow : population.advance(double(slice_ns) * 1e-9))
			packets += slice_start >= from_ns ? flow.packets : 0;
	return packets;
}

void ArrivalStream::refill()
{
	// Counting sort by time: one bin a microsecond, then the few of a bin are in any order but for
	// their own times, which are made to ascend.
	constexpr uint64_t bin_ns = 1000, nb_bins = slice_ns / bin_ns;
	slice.clear();
	scratch.clear();
	at = 0;
	const uint32_t limit = uint32_t(share_at(double(slice_start) * 1e-9) * double(UINT32_MAX));
	std::vector<uint32_t> bin(nb_bins + 1);
	for (const traffic::FlowShare &flow : population.advance(double(slice_ns) * 1e-9)) {
		for (uint32_t i = 0; i < flow.packets; i++) {
			const uint64_t r = random.next();
			if (uint32_t(r) > limit)
				continue;
			const uint64_t offset = (r >> 32) * slice_ns >> 32;
			scratch.push_back(
				{slice_start + offset, flow.hash, 0, 0, 0, 0, UINT16_MAX, UINT16_MAX, 0});
			bin[offset / bin_ns + 1]++;
		}
	}
	for (size_t i = 1; i <= nb_bins; i++)
		bin[i] += bin[i - 1];
	slice.resize(scratch.size());
	for (const Arrival &a : scratch)
		slice[bin[(a.time_ns - slice_start) / bin_ns]++] = a;
	for (size_t i = 1; i < slice.size(); i++)
		slice[i].time_ns = std::max(slice[i].time_ns, slice[i - 1].time_ns);
	slice_start += slice_ns;
}

RssPort::RssPort(ArrivalStream stream, std::vector<uint16_t> table_, uint32_t nb_queues,
                 uint32_t depth, Dispatch dispatch, double dispatch_ns)
	: table(std::move(table_)), rules(uint32_t(table.size() / 2)), dispatch(dispatch),
	  class_bits(dispatch == Dispatch::table ? order_bits : flow_order_bits),
	  stream(std::move(stream)), nb_entries(uint32_t(table.size() / 2)), depth(depth),
	  dispatch_ns(dispatch_ns),
	  flow_queue(dispatch >= Dispatch::software_flow ? size_t(1) << flow_order_bits : 0,
                 uint16_t(nb_queues)),
	  recent(nb_queues), asleep(nb_queues),
	  rings(dispatch == Dispatch::pooled ? 1 : nb_queues,
            Ring(dispatch == Dispatch::pooled ? depth * nb_queues : depth)),
	  accepted((size_t(1) << class_bits) + table.size()), dropped(nb_queues), arrived(table.size())
{
}

// A burst of packets waits in the one receive ring while the dispatcher works them off at its own
// pace; beyond the ring's depth they drop.
RssPort::Wake RssPort::run_software(uint64_t now_ns)
{
	for (;;) {
		Arrival a = stream.peek();
		if (a.time_ns > now_ns)
			return {};
		slot_of(a);
		const double start = std::max(free_ns, double(a.time_ns));
		if (start - double(a.time_ns) >= dispatch_ns * depth) {
			stream.drop_front();
			offered++;
			arrived[a.slot]++;
			dropped[0]++;
			continue;
		}
		if (start + dispatch_ns > double(now_ns))
			return {};
		stream.drop_front();
		free_ns = start + dispatch_ns;
		if (const uint16_t woken = receive(a, choose(a)); woken != no_core)
			return {woken, std::min(now_ns, uint64_t(free_ns) + 1)};
	}
}

uint16_t RssPort::choose(const Arrival &a)
{
	// Loads of the last 100 ms decide, halved rather than forgotten.
	constexpr uint64_t window_ns = 100'000'000;
	if (a.time_ns - recent_since_ns >= window_ns) {
		for (uint64_t &r : recent)
			r /= 2;
		recent_since_ns = a.time_ns;
	}
	uint16_t queue;
	if (dispatch == Dispatch::software_packet) {
		queue = uint16_t(turn++ % rings.size());
	} else {
		uint16_t &known = flow_queue[a.order];
		if (known == rings.size())
			known = dispatch == Dispatch::software_flow
			            ? uint16_t(turn++ % rings.size())
			            : uint16_t(std::min_element(recent.begin(), recent.end()) - recent.begin());
		queue = known;
	}
	recent[queue]++;
	return queue;
}

void RssPort::write(const std::vector<std::pair<uint32_t, uint16_t>> &entries, uint64_t now_ns,
                    uint64_t took_ns, bool pause)
{
	writes.clear();
	next_write = 0;
	write_end_ns = now_ns + took_ns;
	if (pause)
		blocked_until_ns = write_end_ns;
	for (size_t i = 0; i < entries.size(); i++) {
		const auto &[entry, queue] = entries[i];
		if (pause || took_ns == 0)
			table[entry] = queue;
		else
			writes.push_back({now_ns + took_ns * (i + 1) / entries.size(), entry, queue});
	}
}

void RssPort::write_until(uint64_t now_ns)
{
	for (; next_write < writes.size() && writes[next_write].at_ns <= now_ns; next_write++)
		table[writes[next_write].entry] = writes[next_write].queue;
}

} // namespace reframer::lab
