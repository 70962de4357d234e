#include "lab/rss_port.hpp"

#include <cmath>
#include <numbers>

namespace reframer::lab {

ArrivalStream::ArrivalStream(const traffic::FlowPopulationProfile &profile, uint64_t seed,
                             double share_low, double share_period_seconds)
    : population(profile, seed), share_low(share_low), share_period(share_period_seconds),
      state(seed ^ 0x6a09e667f3bcc909)
{
}

uint64_t ArrivalStream::random()
{
	uint64_t x = state += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

double ArrivalStream::share_at(double seconds) const
{
	if (share_period <= 0)
		return 1;
	return share_low + (1 - share_low) * (1 - std::cos(2 * std::numbers::pi * seconds / share_period)) / 2;
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
			const uint64_t r = random();
			if (uint32_t(r) > limit)
				continue;
			const uint64_t offset = (r >> 32) * slice_ns >> 32;
			scratch.push_back({slice_start + offset, flow.hash, 0, 0});
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

} // namespace reframer::lab
