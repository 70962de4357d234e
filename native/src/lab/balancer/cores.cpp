// Job `balancer-cores`: servers of several cores behind a balancer, each spreading packets by RSS; in
// virtual time, after the set-up of CrossRSS (CoNEXT'20).
//
// spec   {"policy": "hash"|"round-robin"|"power-of-two"|"least"|"cross-rss", "books": true,
//         "rsspp": false (on each server), "load": 0.5 (offered over capacity), "servers": 4, "cores": 4,
//         "seconds": 6, "bookShare": 0.15, "keep": 0.5, "sameKeys": false, "seed": 1}
// record {"policy","coreVariance","serverVariance","dropPercent","goodputPercent","offeredPercent","moves",
//         "flows","mismatches"}
//         variances: of utilisation in percent, over cores and over servers, mean of the seconds after
//         the first two; goodput and offered in percent of capacity; moves: of buckets, by RSS++;
//         mismatches: packets of new flows that did not land on the core that the balancer expected
//
// A core serves 20,000 packets a second from a queue of 128; each server has a table of 128 buckets. Flows
// have sizes of a Pareto distribution (shape 1.2, 4 to 3000 packets) and send a packet each 1 to 10 ms
// (log-uniform). Servers report the load of their cores each 100 ms.
// A flow is booked with bookShare of what flows bring in that time on average; most are shorter. The default
// was chosen on seeds 101 to 110, which no experiment uses. `keep`: weight of what a core's load was in what
// is reported.
// Each server draws its RSS key, as Linux does at boot. With `sameKeys` all have the same, as drivers that
// bring one: the core of a flow on one server then tells its core on every other.
// With `rsspp` each server rewrites its table each 100 ms, and tells the balancer.
#include "api/owned.hpp"
#include "base/random.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"
#include "packet/toeplitz.hpp"

#include <array>
#include <cmath>
#include <queue>
#include <vector>

namespace reframer::lab {

namespace {

constexpr uint32_t nb_buckets = 128, queue_depth = 128;
constexpr double core_pps = 20'000, service_ms = 1000 / core_pps, report_ms = 100;
constexpr double least_gap_ms = 1, most_gap_ms = 10;
constexpr double warm_ms = 2000;

struct CoreLoad {
	double free_at = 0;          // ms
	double busy = 0;             // work taken in this report's time, ms
	float load = 0;              // as reported
	std::vector<double> seconds; // work taken by second, ms
};

class Host {
public:
	Host(uint32_t number, uint32_t nb_cores, bool rsspp, const packet::ToeplitzKey &key)
		: number(number), key(key), toeplitz(key), cores(nb_cores)
	{
		for (uint32_t i = 0; i < nb_buckets; i++)
			table[i] = static_cast<uint16_t>(i % nb_cores);
		if (!rsspp)
			return;
		rsspp_balancer_params p;
		rsspp_balancer_default_params(&p);
		p.nb_buckets = nb_buckets;
		p.nb_cores = nb_cores;
		p.busy_interval_us = p.interval_us;
		balancing = api::create<api::Balancer>(rsspp_balancer_create, p);
		rsspp_balancer_set_table(balancing.get(), table.data());
	}

	// Whether there was room.
	bool arrives(uint32_t bucket, double now)
	{
		packets[bucket]++;
		CoreLoad &c = cores[table[bucket]];
		if (c.free_at - now >= queue_depth * service_ms)
			return false;
		c.free_at = std::max(c.free_at, now) + service_ms;
		c.busy += service_ms;
		const auto second = static_cast<size_t>(now / 1000);
		if (c.seconds.size() <= second)
			c.seconds.resize(second + 1);
		c.seconds[second] += service_ms;
		return true;
	}
	// Moves of its own balancer.
	uint32_t tick(float keep)
	{
		std::vector<float> loads;
		for (CoreLoad &c : cores) {
			const auto share = static_cast<float>(std::min(1.0, c.busy / report_ms));
			c.load = c.load * keep + share * (1 - keep);
			c.busy = 0;
			loads.push_back(share);
		}
		if (!balancing)
			return 0;
		std::array<rsspp_move, nb_buckets> moves;
		rsspp_report report;
		const rsspp_epoch epoch = {packets.data(), loads.data(), nullptr, nullptr};
		const int nb = rsspp_balancer_step(balancing.get(), &epoch, moves.data(), &report);
		for (int i = 0; i < nb; i++)
			table[moves[size_t(i)].bucket] = moves[size_t(i)].to;
		return static_cast<uint32_t>(std::max(nb, 0));
	}
	void tell_table(balancer *b) const
	{
		balancer_cores cores_of = {};
		std::copy(key.begin(), key.end(), cores_of.key);
		cores_of.nb_buckets = nb_buckets;
		cores_of.nb_cores = static_cast<uint32_t>(cores.size());
		cores_of.table = table.data();
		balancer_set_cores(b, number, &cores_of);
	}
	void tell_loads(balancer *b) const
	{
		std::vector<float> loads;
		for (const CoreLoad &c : cores)
			loads.push_back(c.load);
		balancer_report_cores(b, number, loads.data(), static_cast<uint32_t>(loads.size()));
	}

	const uint32_t number;
	const packet::ToeplitzKey key;
	const packet::Toeplitz toeplitz;
	std::array<uint16_t, nb_buckets> table;
	std::array<uint64_t, nb_buckets> packets{};
	std::vector<CoreLoad> cores;
	api::Balancer balancing;
};

struct Flow {
	uint32_t server, bucket, left;
	double gap;
};

struct Event {
	double at;
	uint32_t flow;
	bool operator<(const Event &other) const { return at > other.at; } // the next one first
};

uint32_t draw_size(base::Random &random)
{
	return static_cast<uint32_t>(std::min(3000.0, 4 / std::pow(1 - random.unit(), 1 / 1.2)));
}

packet::ToeplitzKey draw_rss_key(base::Random &random)
{
	packet::ToeplitzKey key;
	for (uint8_t &byte : key)
		byte = static_cast<uint8_t>(random.next());
	return key;
}

double variance(const std::vector<double> &values)
{
	double sum = 0, squares = 0;
	for (const double v : values)
		sum += v, squares += v * v;
	const auto n = double(values.size());
	return (squares - sum * sum / n) / n;
}

} // namespace

void run_balancer_cores(const Json &json)
{
	SpecReader in(json, "");
	balancer_policy kind = BALANCER_CROSS_RSS;
	in.read("policy", kind,
	        {{"hash", BALANCER_HASH},
	         {"round-robin", BALANCER_ROUND_ROBIN},
	         {"power-of-two", BALANCER_POWER_OF_TWO},
	         {"least", BALANCER_LEAST_LOADED},
	         {"cross-rss", BALANCER_CROSS_RSS}});
	const std::string policy = in.text("policy", "cross-rss");
	const bool books = in.boolean("books", true), rsspp = in.boolean("rsspp", false);
	const double load = in.real("load", 0.5, 0.01, 3);
	const auto servers = in.integer<uint32_t>("servers", 4, 1, 64);
	const auto nb_cores = in.integer<uint32_t>("cores", 4, 1, 64);
	const auto seconds = in.integer<uint32_t>("seconds", 6, 3, 600);
	const auto seed = in.integer<uint64_t>("seed", 1, 0, 1ull << 53);
	const double book_share = in.real("bookShare", 0.15, 0, 100), keep = in.real("keep", 0.5, 0, 1);
	const bool same_keys = in.boolean("sameKeys", false);
	in.finish();

	balancer_params params = lb_params(seed);
	params.policy = kind;
	base::Random random{seed};
	double mean_size = 0;
	for (int i = 0; i < 200'000; i++)
		mean_size += draw_size(random) / 200'000.0;
	params.connection_load = book_share * mean_size * service_ms / report_ms;
	if (!books)
		params.flags &= ~uint32_t{BALANCER_BOOK};
	balancer *made = nullptr;
	if (balancer_create(&params, &made) != 0)
		throw JobError("failed", "the balancer refuses its parameters");
	const Lb b(made);
	std::vector<Host> hosts;
	hosts.reserve(servers);
	for (uint32_t i = 0; i < servers; i++) {
		lb_add_server(b.get(), i);
		hosts.emplace_back(i, nb_cores, rsspp,
		                   same_keys ? packet::toeplitz_key_microsoft : draw_rss_key(random));
		hosts.back().tell_table(b.get());
	}

	const double capacity = core_pps * servers * nb_cores;
	const double flows_a_ms = load * capacity / mean_size / 1000;

	std::vector<Flow> flows;
	std::priority_queue<Event> events;
	const double end = seconds * 1000.0;
	double next_flow = 0, next_tick = report_ms;
	uint64_t offered = 0, dropped = 0, moves = 0, mismatches = 0, started = 0;
	uint32_t numbers = 0;
	while (true) {
		const double packet_at = events.empty() ? end : events.top().at;
		const double now = std::min({packet_at, next_flow, next_tick});
		if (now >= end)
			break;
		if (now == next_tick) {
			for (Host &h : hosts) {
				const uint32_t moved = h.tick(float(keep));
				moves += moved;
				if (moved)
					h.tell_table(b.get());
				h.tell_loads(b.get());
			}
			next_tick += report_ms;
			continue;
		}
		if (now == next_flow) {
			next_flow += -std::log(1 - random.unit()) / flows_a_ms;
			const LbEndpoint client = lb_client(numbers++);
			const uint32_t server = lb_open(b.get(), client, static_cast<uint64_t>(now * 1e6));
			if (server >= servers)
				throw JobError("check-failed", "a flow was given to no server");
			uint8_t input[12];
			packet::put_be32(input, client.address);
			packet::put_be32(input + 4, lb_server_net + server);
			packet::put_be16(input + 8, client.port);
			packet::put_be16(input + 10, lb_port);
			const uint32_t bucket = hosts[server].toeplitz(input) % nb_buckets;
			uint8_t address[4];
			packet::put_be32(address, client.address);
			mismatches += balancer_core_of(b.get(), server, address, client.port, lb_port) !=
			              hosts[server].table[bucket];
			const double gap = least_gap_ms * std::pow(most_gap_ms / least_gap_ms, random.unit());
			flows.push_back({server, bucket, draw_size(random), gap});
			events.push({now, static_cast<uint32_t>(flows.size() - 1)});
			started++;
			continue;
		}
		const Event e = events.top();
		events.pop();
		Flow &f = flows[e.flow];
		const bool room = hosts[f.server].arrives(f.bucket, now);
		if (now >= warm_ms) {
			offered++;
			dropped += !room;
		}
		if (--f.left > 0)
			events.push({now + f.gap * (0.5 + random.unit()), e.flow});
	}

	double core_variance = 0, server_variance = 0;
	const uint32_t first = static_cast<uint32_t>(warm_ms / 1000), windows = seconds - first;
	for (uint32_t s = first; s < seconds; s++) {
		std::vector<double> by_core, by_server;
		for (const Host &h : hosts) {
			double sum = 0;
			for (const CoreLoad &c : h.cores) {
				by_core.push_back(s < c.seconds.size() ? c.seconds[s] / 10 : 0);
				sum += by_core.back();
			}
			by_server.push_back(sum / nb_cores);
		}
		core_variance += variance(by_core) / windows;
		server_variance += variance(by_server) / windows;
	}
	const double possible = capacity * (end - warm_ms) / 1000;
	emit({{"policy", policy},
	      {"books", books},
	      {"rsspp", rsspp},
	      {"coreVariance", core_variance},
	      {"serverVariance", server_variance},
	      {"dropPercent", 100.0 * double(dropped) / double(std::max<uint64_t>(offered, 1))},
	      {"goodputPercent", 100.0 * double(offered - dropped) / possible},
	      {"offeredPercent", 100.0 * double(offered) / possible},
	      {"moves", moves},
	      {"flows", started},
	      {"mismatches", mismatches}});
	if (mismatches)
		throw JobError("check-failed", "flows landed on other cores than the balancer expected");
}

} // namespace reframer::lab
