#include "lab/captures/analyze_verdict.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace reframer::lab {
namespace {

// Below this, holding does not pay: in the original's chain runs half as long again brought about
// 12 % throughput (NSDI'22 data, in-chain sweep, T = 8 us), so a fifth brings about 5 %.
constexpr double worth_it = 1.2;
// The least T that gives this share of what 128 us give is enough: the rest is latency.
constexpr double nearly_all = 0.8;
// Hold times that a capture must span for the beginning and end not to matter.
constexpr uint64_t least_windows = 10;

[[gnu::format(printf, 1, 2)]] std::string text(const char *format, ...)
{
	char buffer[512];
	va_list arguments;
	va_start(arguments, format);
	std::vsnprintf(buffer, sizeof(buffer), format, arguments);
	va_end(arguments);
	return buffer;
}

std::string scaled(double value, const char *unit)
{
	constexpr const char *prefixes[] = {"", "k", "M", "G", "T"};
	size_t i = 0;
	while (value >= 1000 && i + 1 < std::size(prefixes)) {
		value /= 1000;
		i++;
	}
	return text(value < 10 ? "%.1f %s%s" : "%.0f %s%s", value, prefixes[i], unit);
}

double ratio(const FlowStats &stats, size_t rate, size_t delay)
{
	return stats.slf_after(rate, delay) / stats.slf();
}

// Index of the T to use, or nb_delays for none.
size_t choice(const FlowStats &stats, size_t rate)
{
	const double best = ratio(stats, rate, nb_delays - 1);
	if (best < worth_it)
		return nb_delays;
	for (size_t delay = 0; delay < nb_delays; delay++)
		if (ratio(stats, rate, delay) - 1 >= nearly_all * (best - 1))
			return delay;
	return nb_delays - 1;
}

std::string name_of(size_t rate)
{
	return rate == 0 ? "its own speed" : text("%d Gbps", static_cast<int>(gain_rates_gbps[rate]));
}

std::string gains(const FlowStats &stats, size_t rate)
{
	return text("%.2f, %.2f and %.2f", stats.slf_after(rate, 0), stats.slf_after(rate, 1),
	            stats.slf_after(rate, 2));
}

std::string native_sentence(const FlowStats &stats)
{
	if (!stats.has_time())
		return "All time stamps are equal, so what holding brings at its own speed cannot be said.";
	const double seconds = static_cast<double>(stats.duration_ns()) / 1e9;
	const std::string speed = scaled(static_cast<double>(stats.bytes()) * 8 / seconds, "bps") +
	                          ", " +
	                          scaled(static_cast<double>(stats.packets()) / seconds, "packets/s");
	if (choice(stats, 0) == nb_delays)
		return text("At its own speed (%s) holding for 16, 64 or 128 µs gives an SLF of %s: too "
		            "few packets of a flow come that close together for it to be worth a delay.",
		            speed.c_str(), gains(stats, 0).c_str());
	return text("At its own speed (%s) holding for 16, 64 or 128 µs gives an SLF of %s, up to "
	            "%.2f times the capture's.",
	            speed.c_str(), gains(stats, 0).c_str(), ratio(stats, 0, nb_delays - 1));
}

std::string advice(const FlowStats &stats)
{
	// Rates with the same answer share a clause, in order of speed.
	std::string said;
	for (size_t rate = stats.has_time() ? 0 : 1; rate < nb_rates;) {
		const size_t best = choice(stats, rate);
		std::string where = name_of(rate);
		double least = best == nb_delays ? 0 : ratio(stats, rate, best);
		size_t next = rate + 1;
		for (; next < nb_rates && choice(stats, next) == best; next++) {
			where += (next + 1 < nb_rates && choice(stats, next + 1) == best ? ", " : " and ") +
			         name_of(next);
			if (best != nb_delays)
				least = std::min(least, ratio(stats, next, best));
		}
		if (!said.empty())
			said += "; ";
		if (best == nb_delays)
			said += "at " + where + " hold nothing";
		else
			said += text("at %s T = %d µs is enough (runs %s%.2f times as long)", where.c_str(),
			             static_cast<int>(gain_delays_ns[best] / 1000),
			             next > rate + 1 ? "at least " : "", least);
		rate = next;
	}
	said[0] = 'A';
	return said + ".";
}

} // namespace

std::vector<std::string> verdict_of(const FlowStats &stats)
{
	if (stats.packets() == 0)
		return {"The capture holds no packets.", "Nothing can be said about holding them."};
	std::vector<std::string> said;
	said.push_back(text("A packet is followed by one of its own flow in %.0f of 100 cases; runs of "
	                    "one flow are %.2f packets long (SLF).",
	                    100 * (1 - 1 / stats.slf()), stats.slf()));
	said.push_back(native_sentence(stats));
	said.push_back(text("The same packets back to back would reach an SLF of %s at 10 Gbps, %s at "
	                    "40 Gbps, %s at 100 Gbps for the same hold times.",
	                    gains(stats, 1).c_str(), gains(stats, 2).c_str(), gains(stats, 3).c_str()));
	said.push_back(advice(stats));
	return said;
}

std::string too_short_for(const FlowStats &stats)
{
	const double needed = static_cast<double>(least_windows * gain_delays_ns.back());
	// Every frame as long as the mean: near enough to say "too short".
	const double bits = static_cast<double>(stats.bytes()) * 8;
	for (size_t rate = 1; rate < nb_rates; rate++) {
		const double ns = bits / static_cast<double>(gain_rates_gbps[rate]);
		if (ns < needed)
			return text("from %d Gbps on the whole capture passes in less than %.2f ms: its gain "
			            "there is that of a short burst, not of steady traffic",
			            static_cast<int>(gain_rates_gbps[rate]), needed / 1e6);
	}
	return "";
}

} // namespace reframer::lab
