#include "traffic/flow_population.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace reframer::traffic {

namespace {

// Packets per flow, cumulative: points of the published distribution (campus; campus4 is within a
// point of it). Beyond 99.9 % only the share of packets and the largest flow are known.
struct Point {
	double share;
	double packets;
};
constexpr Point sizes[] = {{0.0, 1},    {0.519, 1},   {0.621, 2},    {0.671, 3},   {0.707, 4},
                           {0.809, 8},  {0.927, 16},  {0.953, 24},   {0.966, 32},  {0.973, 43},
                           {0.981, 69}, {0.989, 157}, {0.997, 1127}, {0.999, 4854}};
constexpr double tail_share = 0.001;
// Bounded Pareto over the largest 0.1 %: this shape between 4,854 and 2 M packets gives their
// published part of all packets (73 %, of which the elephant is one flow).
constexpr double tail_shape = 1.2, tail_low = 4854, tail_high = 2e6;
// Rate of a heavy flow: the top 0.1 % of flow-seconds begin at 3,070 packets and average 11,700.
constexpr double heavy_rate_median = 6000, heavy_rate_sigma = 0.9;
constexpr double heavy_rate_low = 500, heavy_rate_high = 60e3;
// Not published: how long a small flow lives, and how much a flow's rate varies between epochs.
constexpr double light_life_median = 1.0, light_life_sigma = 1.2, light_life_most = 30;
constexpr double epoch_sigma = 0.25;
constexpr double settle_seconds = 60;

} // namespace

FlowPopulation::FlowPopulation(const FlowPopulationProfile &profile, uint64_t seed)
	: profile(profile), random{seed}
{
	Flow elephant_flow;
	elephant_flow.hash = uint32_t(uniform() * 4294967296.0);
	elephant_flow.rate = profile.elephant_packets_per_second;
	elephant_flow.left = INFINITY;
	elephant_flow.heavy = true;
	flows.push_back(elephant_flow);
	// Fill up to the steady state, then measure what it brings and scale to the profile's rate.
	for (double t = 0; t < settle_seconds; t += 1)
		advance(1);
	double packets = 0;
	constexpr int seconds = 20;
	for (int t = 0; t < seconds; t++)
		for (const FlowShare &s : advance(1))
			packets += s.packets;
	const double elephant = profile.elephant_packets_per_second;
	scale = (profile.packets_per_second - elephant) / (packets / seconds - elephant);
}

// Never 0.
double FlowPopulation::uniform()
{
	return (double(random.next() >> 11) + 0.5) * 0x1p-53;
}

double FlowPopulation::normal()
{
	if (has_spare) {
		has_spare = false;
		return spare_normal;
	}
	const double r = std::sqrt(-2 * std::log(uniform())), angle = 2 * std::numbers::pi * uniform();
	spare_normal = r * std::sin(angle);
	has_spare = true;
	return r * std::cos(angle);
}

uint64_t FlowPopulation::poisson(double mean)
{
	if (mean > 30) // close enough to a normal for counts of an epoch
		return uint64_t(std::max(0.0, mean + std::sqrt(mean) * normal() + 0.5));
	return events(std::exp(-mean));
}

// Light flows are many, and their mean is the same in nearly every epoch.
uint64_t FlowPopulation::poisson(Flow &flow, double mean)
{
	if (mean > 30)
		return poisson(mean);
	if (mean != flow.meant) {
		flow.meant = mean;
		flow.limit = std::exp(-mean);
	}
	return events(flow.limit);
}

uint64_t FlowPopulation::events(double limit)
{
	uint64_t k = 0;
	for (double p = uniform(); p > limit; p *= uniform())
		k++;
	return k;
}

FlowPopulation::Flow FlowPopulation::arrival()
{
	Flow flow = {};
	flow.hash = uint32_t(uniform() * 4294967296.0);
	const double u = uniform();
	flow.heavy = u >= 1 - tail_share;
	if (flow.heavy) {
		const double v = uniform(), low = std::pow(tail_low, -tail_shape),
					 high = std::pow(tail_high, -tail_shape);
		flow.left = std::pow(low - v * (low - high), -1 / tail_shape);
		flow.rate = std::clamp(heavy_rate_median * std::exp(heavy_rate_sigma * normal()),
		                       heavy_rate_low, heavy_rate_high);
		return flow;
	}
	size_t i = 1;
	while (i + 1 < std::size(sizes) && sizes[i].share < u)
		i++;
	const Point &a = sizes[i - 1], &b = sizes[i];
	const double t = std::clamp((u - a.share) / (b.share - a.share), 0.0, 1.0);
	flow.left = std::ceil(a.packets * std::pow(b.packets / a.packets, t));
	const double life =
		std::min(light_life_most, light_life_median * std::exp(light_life_sigma * normal()));
	flow.rate = std::max(flow.left / life, 1.0);
	return flow;
}

const std::vector<FlowShare> &FlowPopulation::advance(double seconds)
{
	shares.clear();
	for (uint64_t n = poisson(profile.new_flows_per_second * seconds); n > 0; n--)
		flows.push_back(arrival());
	for (size_t i = 0; i < flows.size();) {
		Flow &f = flows[i];
		const double wave = f.heavy && f.left != INFINITY
		                        ? std::exp(epoch_sigma * normal() - epoch_sigma * epoch_sigma / 2)
		                        : 1;
		// A flow scaled down still has all its epochs: only its packets get fewer.
		const double meant = std::min(f.rate * seconds * wave, f.left);
		const double part = f.left == INFINITY ? meant : meant * scale;
		const uint64_t packets = poisson(f, part);
		if (packets > 0)
			shares.push_back({f.hash, uint32_t(packets)});
		f.left -= meant;
		if (f.left < 0.5) {
			f = flows.back();
			flows.pop_back();
		} else {
			i++;
		}
	}
	return shares;
}

} // namespace reframer::traffic
