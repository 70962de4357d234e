// Job `balancer-policies`: how evenly policies spread requests over servers, in virtual time.
//
// spec   {"policy": "round-robin"|"weighted"|"adaptive"|"power-of-two"|"least"|"maglev"|"ring"|"hash",
//         "books": true, "servers": 64, "load": 0.8 (offered over capacity), "work": "uniform"|"bimodal",
//         "requests": 400000, "reportMs": 100, "seed": 1}
// record {"policy","p50Ms","p99Ms","meanMs","loadVariance","worstShare","requests"}
//         loadVariance: over servers, of the work that each got in a second, in percent of a second,
//         mean of the seconds; worstShare: most requests of a server over the mean
//
// Each request is a connection. A server works on one at a time, first come first served: uniform work
// takes 2.25 to 6.75 ms, bimodal 1.61 ms or, one in ten, 30.5 ms (both 4.5 ms in the mean). Servers report
// how many requests they have, each every reportMs, one after the other.
#include "base/random.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"
#include "measure/median.hpp"

#include <cmath>
#include <deque>
#include <vector>

namespace reframer::lab {

namespace {

constexpr double mean_ms = 4.5;

struct Host {
	std::deque<double> ends;  // of requests that it has, ms
	std::vector<double> work; // by second, ms
	uint64_t requests = 0;
};

} // namespace

void run_balancer_policies(const Json &json)
{
	SpecReader in(json, "");
	balancer_policy kind = BALANCER_ROUND_ROBIN;
	in.read("policy", kind,
	        {{"round-robin", BALANCER_ROUND_ROBIN},
	         {"weighted", BALANCER_WEIGHTED},
	         {"adaptive", BALANCER_ADAPTIVE},
	         {"power-of-two", BALANCER_POWER_OF_TWO},
	         {"least", BALANCER_LEAST_LOADED},
	         {"maglev", BALANCER_MAGLEV},
	         {"ring", BALANCER_RING},
	         {"hash", BALANCER_HASH}});
	const std::string policy = in.text("policy", "round-robin");
	const bool books = in.boolean("books", true);
	const auto servers = in.integer<uint32_t>("servers", 64, 1, 1024);
	const double load = in.real("load", 0.8, 0.01, 0.99);
	bool bimodal = false;
	in.read("work", bimodal, {{"uniform", false}, {"bimodal", true}});
	const auto requests = in.integer<uint32_t>("requests", 400'000, 1000, 100'000'000);
	const double report_ms = in.real("reportMs", 100, 0.1, 1e6);
	const auto seed = in.integer<uint64_t>("seed", 1, 0, 1ull << 53);
	in.finish();

	balancer_params params = lb_params(seed);
	params.policy = kind;
	if (!books)
		params.flags &= ~uint32_t{BALANCER_BOOK};
	balancer *made = nullptr;
	if (balancer_create(&params, &made) != 0)
		throw JobError("failed", "the balancer refuses its parameters");
	const Lb b(made);
	for (uint32_t i = 0; i < servers; i++)
		lb_add_server(b.get(), i);

	base::Random random{seed};
	std::vector<Host> hosts(servers);
	std::vector<double> took;
	took.reserve(requests);
	double now = 0, next_report = 0;
	uint32_t reports = 0;
	// Requests before the queues are as long as they get are not counted.
	const uint32_t warm = requests / 10;
	for (uint32_t r = 0; r < requests; r++) {
		now += -std::log(1 - random.unit()) * mean_ms / (load * servers);
		for (; next_report <= now; next_report += report_ms / servers) {
			Host &h = hosts[reports % servers];
			while (!h.ends.empty() && h.ends.front() <= next_report)
				h.ends.pop_front();
			balancer_report_load(b.get(), reports % servers, double(h.ends.size()));
			reports++;
		}
		const double work =
			bimodal ? random.one_in(10) ? 30.51 : 1.61 : mean_ms * (0.5 + random.unit());
		// Ports of a client come again after a while, addresses are as many as that needs.
		const uint32_t server = lb_open(b.get(), lb_client(random.next32() & 0xffffff),
		                                static_cast<uint64_t>(now * 1e6));
		if (server >= servers)
			throw JobError("check-failed", "a request was given to no server");
		Host &h = hosts[server];
		while (!h.ends.empty() && h.ends.front() <= now)
			h.ends.pop_front();
		const double begins = h.ends.empty() ? now : h.ends.back();
		h.ends.push_back(begins + work);
		h.requests++;
		const auto second = static_cast<size_t>(now / 1000);
		if (h.work.size() <= second)
			h.work.resize(second + 1);
		h.work[second] += work;
		if (r >= warm)
			took.push_back(begins + work - now);
	}
	double variance = 0;
	const auto seconds = static_cast<size_t>(now / 1000); // whole ones
	uint64_t most = 0;
	for (size_t s = 0; s < seconds; s++) {
		double sum = 0, squares = 0;
		for (const Host &h : hosts) {
			const double percent = s < h.work.size() ? h.work[s] / 10 : 0;
			sum += percent;
			squares += percent * percent;
		}
		variance += (squares - sum * sum / servers) / servers / double(seconds);
	}
	for (const Host &h : hosts)
		most = std::max(most, h.requests);
	double mean = 0;
	for (const double t : took)
		mean += t / double(took.size());
	emit({{"policy", policy},
	      {"books", books},
	      {"requests", requests},
	      {"meanMs", mean},
	      {"p50Ms", engine::quantile(took, 0.5)},
	      {"p99Ms", engine::quantile(took, 0.99)},
	      {"loadVariance", seconds ? Json(variance) : Json(nullptr)},
	      {"worstShare", double(most) * servers / requests}});
}

} // namespace reframer::lab
