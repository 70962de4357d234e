// Inserts one by one, timed each: what a new flow costs in a table half full, nine tenths full, and
// in one that grows.
#include "api/owned.hpp"
#include "conntrack/contenders/burst_stats.hpp"
#include "lab/conntrack/bench.hpp"

#include <algorithm>
#include <numeric>

namespace reframer::lab {

namespace {

struct Latencies {
	std::vector<uint32_t> ticks;

	void emit(const std::string &contender, const std::string &workload, uint64_t flows,
	          double bytes, double per_ns)
	{
		std::sort(ticks.begin(), ticks.end());
		double sum = std::accumulate(ticks.begin(), ticks.end(), 0.0);
		double mean = sum / double(ticks.size()) / per_ns;
		auto at = [&](double share) {
			return double(ticks[std::min(ticks.size() - 1,
			                             static_cast<size_t>(double(ticks.size()) * share))]) /
			       per_ns;
		};
		emit_row({contender, workload, flows, 1, 1, false, bytes}, {1e3 / mean}, 0,
		         {{"meanNs", mean},
		          {"p50Ns", at(0.5)},
		          {"p999Ns", at(0.999)},
		          {"p9999Ns", at(0.9999)},
		          {"maxNs", at(1)}});
	}
};

// Inserts keys [from, to); times those from `timed` on. `before` each few thousand, untimed.
template <typename Insert, typename Before>
void insert_range(Insert insert, Before before, uint64_t from, uint64_t to, uint64_t timed,
                  Latencies &out)
{
	// Keys ahead of time, so that making them is not timed.
	constexpr uint64_t chunk = 4096;
	KeyColumn keys;
	for (uint64_t first = from; first < to; first += chunk) {
		uint64_t n = std::min(chunk, to - first);
		keys.clear();
		keys.add_flows(first, n, 3);
		before();
		for (uint32_t i = 0; i < n; i++) {
			if (first + i < timed) {
				insert(keys.at(i));
				continue;
			}
			// Unfenced: an insert may overlap the next one's beginning, as in a program.
			uint64_t start = __rdtsc();
			insert(keys.at(i));
			out.ticks.push_back(
				static_cast<uint32_t>(std::min<uint64_t>(__rdtsc() - start, UINT32_MAX)));
		}
	}
}

class Table {
public:
	Table(uint64_t flows, uint32_t load_percent, uint32_t flags, uint64_t seed)
	{
		conntrack_params params;
		conntrack_default_params(&params);
		params.initial_flows = flows;
		params.load_percent = load_percent;
		params.flags = flags;
		params.max_flows = uint64_t{1} << 26;
		params.seed = seed;
		table_ = api::create<api::FlowTable>(conntrack_create, params);
		if (!table_)
			throw std::bad_alloc();
	}
	void operator()(const uint8_t *key)
	{
		int is_new = 0;
		if (!conntrack_find_or_insert(table_.get(), key, nullptr, 1'000'000'000, &is_new) ||
		    !is_new)
			wrong_answer("burst-table", "an insert found no room, or an entry");
	}
	// What another thread does ahead of need.
	void prepare() { conntrack_prepare(table_.get()); }
	double bytes() const { return double(conntrack::stats_of(table_.get()).bytes); }

private:
	api::FlowTable table_;
};

template <typename Insert, typename Bytes>
void at_loads(const std::string &name, Insert insert, Bytes bytes, uint64_t slots, double per_ns)
{
	uint64_t done = 0;
	for (auto [percent, workload] : {std::pair{50.0, "insert-50"}, std::pair{90.0, "insert-90"}}) {
		// 2.5 % of the slots around the load.
		auto from = static_cast<uint64_t>(double(slots) * (percent - 1.25) / 100);
		auto to = static_cast<uint64_t>(double(slots) * (percent + 1.25) / 100);
		Latencies latencies;
		latencies.ticks.reserve(to - from);
		insert_range(
			insert, [] {}, done, to, from, latencies);
		done = to;
		latencies.emit(name, workload, to, bytes(), per_ns);
	}
}

} // namespace

void bench_inserts(const std::vector<std::string> &contenders, uint64_t slots, uint64_t seed)
{
	const double per_ns = engine::measure_tsc_hz() * 1e-9;
	{
		// That many slots; it takes what load_percent allows, 95 % of them.
		Table table(slots * 95 / 100, 95, CONNTRACK_FIXED_SIZE, seed);
		at_loads(
			"burst-table", [&](const uint8_t *key) { table(key); }, [&] { return table.bytes(); },
			slots, per_ns);
	}
	for (const bool prepared : {false, true}) {
		constexpr uint64_t flows = 1 << 20;
		Table table(flows / 64, 77, 0, seed);
		Latencies latencies;
		latencies.ticks.reserve(flows);
		insert_range([&](const uint8_t *key) { table(key); },
		             [&] {
						 if (prepared)
							 table.prepare();
					 },
		             0, flows, flows / 64, latencies);
		latencies.emit("burst-table", prepared ? "insert-prepared" : "insert-growth", flows,
		               table.bytes(), per_ns);
	}
	for (const std::string &name : contenders) {
		if (name.starts_with("burst-table") || !name.ends_with("-burst"))
			continue;
		std::string scalar = name.substr(0, name.size() - 6);
		conntrack::TrackerOptions options;
		options.flows = slots;
		options.power_of_two = true;
		options.seed = seed;
		auto tracker = conntrack::make_tracker(scalar, options);
		if (!tracker)
			continue;
		auto insert = [&](const uint8_t *key) {
			uint8_t result = 0;
			if (tracker->track(key, 1, 1, &result) != 1)
				wrong_answer(scalar, "an insert found no room, or an entry");
		};
		at_loads(
			scalar, insert, [&] { return double(tracker->bytes()); }, slots, per_ns);
	}
}

} // namespace reframer::lab
