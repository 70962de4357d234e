// Job `balancer-changes`: which connections break while the pool changes, in virtual time.
//
// spec   {"contender": "cookie"|"tracker"|"maglev"|"ring"|"hash", "connections": 105000,
//         "durationSeconds": 60, "seed": 1}
// record {"contender","connections","broken","brokenPercent","worstSecondPercent","packets","checks"}
//
// 24 servers; 6 join after a third of the time, one every half second; 8 leave after two thirds. Who
// leaves is drained: it takes no new connections and would serve those that it has. Connections begin at
// random times and last as drawn from a Pareto distribution (shape 1.2, least 0.2 s, at most the
// whole time: most are short, some last from before the changes to the end); each sends a packet every 100
// to 300 ms and gets an answer. One is broken when a packet of it reaches another server than its first.
// Only the memory and policy of the balancer differ between contenders.
#include "base/random.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"

#include <cmath>
#include <queue>
#include <vector>

namespace reframer::lab {

namespace {

constexpr uint64_t ms = 1'000'000;
constexpr uint32_t at_first = 24, joining = 6, leaving = 8;

struct Contender {
	const char *name;
	balancer_memory memory;
	balancer_policy policy;
};
constexpr Contender contenders[] = {
	{"cookie", BALANCER_COOKIE, BALANCER_ROUND_ROBIN},
	{"tracker", BALANCER_TRACK, BALANCER_ROUND_ROBIN},
	{"maglev", BALANCER_FORGET, BALANCER_MAGLEV},
	{"ring", BALANCER_FORGET, BALANCER_RING},
	{"hash", BALANCER_FORGET, BALANCER_HASH},
};

struct Connection {
	uint32_t server = UINT32_MAX, word = 0;
	uint64_t ends = 0;
	bool broken = false;
};

struct Event {
	uint64_t at;
	uint32_t connection;
	bool operator<(const Event &other) const { return at > other.at; } // the next one first
};

} // namespace

void run_balancer_changes(const Json &json)
{
	SpecReader in(json, "");
	std::string contender = in.text("contender", "cookie");
	const auto nb = in.integer<uint32_t>("connections", 105'000, 100, 10'000'000);
	const auto seconds = in.integer<uint64_t>("durationSeconds", 60, 15, 3600);
	const auto seed = in.integer<uint64_t>("seed", 1, 0, 1ull << 53);
	const auto *way = std::find_if(std::begin(contenders), std::end(contenders),
	                               [&](const Contender &c) { return contender == c.name; });
	if (way == std::end(contenders))
		in.fail("contender", "is none that there is");
	in.finish();

	balancer_params params = lb_params(seed);
	params.memory = way->memory;
	params.policy = way->policy;
	balancer *made = nullptr;
	if (balancer_create(&params, &made) != 0)
		throw JobError("failed", "the balancer refuses its parameters");
	const Lb b(made);
	for (uint32_t i = 0; i < at_first; i++)
		lb_add_server(b.get(), i);

	base::Random random{seed};
	const uint64_t end = seconds * 1000 * ms;
	std::vector<Connection> connections(nb);
	std::priority_queue<Event> events;
	for (uint32_t i = 0; i < nb; i++) {
		const auto begins = static_cast<uint64_t>(random.unit() * double(end));
		const double lasts = 0.2e9 / std::pow(1 - random.unit(), 1 / 1.2);
		connections[i].ends = begins + static_cast<uint64_t>(std::min(lasts, double(end)));
		events.push({begins, i});
	}
	std::vector<uint32_t> live(seconds + 1), broken_in(seconds + 1);
	uint64_t packets = 0, broken = 0, unanswered = 0;
	uint32_t joined = 0, left = 0;
	for (; !events.empty() && events.top().at < end; events.pop()) {
		const Event e = events.top();
		while (joined < joining && e.at >= end / 3 + joined * 500 * ms)
			lb_add_server(b.get(), at_first + joined++);
		// Every third of those of the beginning.
		while (left < leaving && e.at >= end * 2 / 3 + left * 500 * ms)
			balancer_drain(b.get(), 3 * left++);
		Connection &c = connections[e.connection];
		const LbEndpoint client = lb_client(e.connection);
		const auto clock = static_cast<uint32_t>(e.at / ms);
		uint8_t frame[lb_most_frame];
		const bool first = c.server == UINT32_MAX;
		write_lb_frame(frame, client, {lb_service, lb_port}, first ? 0x02 : 0x10, clock, c.word);
		const uint32_t server = lb_pass(b.get(), frame, e.at).server;
		packets++;
		unanswered += server == UINT32_MAX;
		const uint64_t second = e.at / (1000 * ms);
		live[second] += first;
		if (first) {
			c.server = server;
		} else if (server != c.server) {
			c.broken = true;
			broken++;
			broken_in[second]++;
			continue; // that server knows nothing of it: a RST
		}
		c.word = lb_answer(b.get(), c.server, client, first ? 0x12 : 0x10, clock, e.at);
		const uint64_t next = e.at + (100 + random.below(200)) * ms;
		if (next < c.ends)
			events.push({next, e.connection});
	}
	// Of those that begin in a second: the published figure's unit.
	double worst_second_percent = 0;
	for (size_t s = 0; s < live.size(); s++)
		if (live[s] > 0)
			worst_second_percent =
				std::max(worst_second_percent, 100.0 * broken_in[s] / double(live[s]));
	const double broken_percent = 100.0 * double(broken) / nb;
	const bool changed = joined == joining && left == leaving;
	const Json checks = NAMED(changed, unanswered);
	emit(::reframer::lab::joined(
		NAMED(contender, broken, broken_percent, worst_second_percent, packets, checks),
		{{"connections", nb}}));
	if (!changed || unanswered)
		throw JobError("check-failed", "the pool did not change as it should, see checks");
}

} // namespace reframer::lab
