// Job `rsspp-state`: flow state kept per bucket, which only the bucket's core touches, against one table
// that all cores share under a lock, while cores are added (Fig 16 of the RSS++ paper).
//
// spec   {"state": "bucket"|"shared", "call": 32, "cores": 2, "against": 0, "flows": 1024,
//         "packetsPerFlow": 1000, "work": 100 (rounds of a random generator a packet), "seconds": 1,
//         "seed": 1}
// record {"state","call","cores","mpps","packets","seconds","seed"}; with "against" also "growth"
//        call: packets that are looked up together, 1 (as published) to 32: of either state the same.
//        A lock is taken once a call. growth: mpps over those of `against` cores, both measured twice
//        and in turns in this process, which then takes four times "seconds".
//        Real threads, so no more cores than there are.
#include "base/cores.hpp"
#include "conntrack/shared/shared_tracker.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32;

enum class State { bucket, shared };

// The flows that the hash sends to one core; each ends after so many packets, and a new one follows.
class Flows {
public:
	Flows(uint32_t core, uint32_t count, uint32_t length) : keys(count), left(count), length(length)
	{
		for (uint32_t i = 0; i < count; i++) {
			left[i] = 1 + i * length / count; // they do not all end at once
			write_key(i, core, 0);
		}
		base = core;
	}
	const uint8_t *next()
	{
		at = at + 1 == keys.size() ? 0 : at + 1;
		if (--left[at] == 0) {
			left[at] = length;
			write_key(at, base, ++generation);
		}
		return keys[at].data();
	}

private:
	void write_key(uint32_t i, uint32_t core, uint32_t age)
	{
		const uint8_t source[4] = {10, uint8_t(core), uint8_t(age >> 8), uint8_t(age)};
		const uint8_t destination[4] = {198, 18, uint8_t(age >> 24), uint8_t(age >> 16)};
		conntrack_key_ipv4(keys[i].data(), source, destination, uint16_t(i), 5201, 17);
	}
	std::vector<std::array<uint8_t, CONNTRACK_KEY_IPV4>> keys;
	std::vector<uint32_t> left;
	const uint32_t length;
	uint32_t base = 0, generation = 0;
	size_t at = 0;
};

uint64_t work(uint64_t x, uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	return x;
}

struct Setup {
	State state;
	uint32_t call = burst_size, flows = 1024, length = 1000, rounds = 100;
	double seconds = 1;
	uint64_t seed = 1;
};

struct Rate {
	uint64_t packets, check;
	double seconds;
	double mpps() const { return double(packets) / seconds * 1e-6; }
};

Rate measure(const Setup &s, uint32_t cores)
{
	conntrack::SharedOptions options;
	options.table = "burst-table";
	options.sharing =
		s.state == State::bucket ? conntrack::Sharing::sharded : conntrack::Sharing::spinlock;
	options.nb_threads = cores;
	options.timed.expiry = conntrack::Expiry::lazy;
	options.timed.timeout_ticks = 100;
	options.timed.tracker.flows = 1u << 18;
	options.timed.tracker.seed = s.seed;
	const auto tracker = conntrack::make_shared_tracker(options);
	if (!tracker)
		throw JobError("not-supported", "this build has no such table", 3);

	std::atomic<uint32_t> ready{0};
	std::atomic<bool> stop{false};
	std::vector<uint64_t> packets(cores * 8), sink(cores * 8);
	const auto start = std::chrono::steady_clock::now();
	const auto tick = [&] {
		return uint64_t(std::chrono::duration_cast<std::chrono::milliseconds>(
							std::chrono::steady_clock::now() - start)
		                    .count());
	};
	std::vector<std::thread> threads;
	// A core each; threads of one core, which share its caches, only where there are no others.
	std::vector<int> cpus = base::allowed_cores();
	if (const std::vector<int> apart = base::one_per_core(cpus); apart.size() >= cores)
		cpus = apart;
	for (uint32_t core = 0; core < cores; core++)
		threads.emplace_back([&, core] {
			base::pin(pthread_self(), cpus[core % cpus.size()]);
			Flows mine(core, s.flows / cores, s.length);
			uint8_t keys[burst_size * CONNTRACK_KEY_IPV4], results[burst_size];
			uint64_t sum = s.seed, done = 0;
			ready.fetch_add(1);
			while (ready.load() < cores)
				std::this_thread::yield();
			while (!stop.load(std::memory_order_relaxed)) {
				const uint64_t now = tick();
				for (uint32_t i = 0; i < burst_size; i++)
					std::memcpy(keys + i * CONNTRACK_KEY_IPV4, mine.next(), CONNTRACK_KEY_IPV4);
				for (uint32_t i = 0; i < burst_size; i += s.call)
					tracker->track(core, keys + i * CONNTRACK_KEY_IPV4,
					               std::min(s.call, burst_size - i), now, done, results);
				for (uint32_t i = 0; i < burst_size; i++)
					sum = work(sum, s.rounds);
				done += burst_size;
			}
			packets[core * 8] = done;
			sink[core * 8] = sum;
		});
	while (ready.load() < cores)
		std::this_thread::yield();
	const auto from = std::chrono::steady_clock::now();
	std::this_thread::sleep_for(std::chrono::duration<double>(s.seconds));
	stop.store(true);
	for (std::thread &t : threads)
		t.join();
	Rate rate{0, 0, std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count()};
	for (uint32_t core = 0; core < cores; core++) {
		rate.packets += packets[core * 8];
		rate.check ^= sink[core * 8];
	}
	return rate;
}

} // namespace

void run_rsspp_state(const Json &spec)
{
	SpecReader in(spec, "");
	Setup s;
	const std::string state = in.text("state", "bucket");
	s.state =
		in.choice("state", State::bucket, {{"bucket", State::bucket}, {"shared", State::shared}});
	const auto cores = in.integer<uint32_t>("cores", 2, 1, 64);
	const auto against = in.integer<uint32_t>("against", 0, 0, 64);
	in.read("call", s.call, 1, burst_size);
	in.read("flows", s.flows, 64, 65536);
	in.read("packetsPerFlow", s.length, 1, 1'000'000);
	in.read("work", s.rounds, 0, 100'000);
	in.read("seconds", s.seconds, 0.01, 60);
	in.read("seed", s.seed, 1, UINT32_MAX);
	in.finish();
	if (std::max(cores, against) > std::thread::hardware_concurrency())
		throw JobError(
			"not-supported",
			"this machine has fewer cores than that; threads that take turns would not contend", 3);

	const Rate first = measure(s, cores);
	Json record = NAMED(state, s.call, cores, first.mpps(), first.packets, first.seconds, s.seed);
	record["check"] = first.check & 0xffff;
	if (against > 0) {
		// In the order of ABBA, so that a drift of the machine falls on both.
		const double theirs = measure(s, against).mpps() + measure(s, against).mpps();
		record["growth"] = (first.mpps() + measure(s, cores).mpps()) / theirs;
	}
	emit(record);
}

} // namespace reframer::lab
