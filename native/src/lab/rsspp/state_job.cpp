// Job `rsspp-state`: flow state kept per bucket, which only the bucket's core touches, against one table
// that all cores share under a lock, while cores are added (Fig 16 of the RSS++ paper).
//
// spec   {"state": "bucket"|"shared-packet"|"shared-burst", "cores": 2, "flows": 1024,
//         "packetsPerFlow": 1000, "work": 100 (rounds of a random generator a packet), "seconds": 1,
//         "seed": 1}
// record {"state","cores","mpps","packets","seconds","seed"}: real threads, so no more cores than
//        there are. A lock is taken for a packet (as published) or once for a burst of 32.
#include "conntrack/shared/shared_tracker.hpp"
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "reframer/conntrack.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32;

enum class State { bucket, shared_packet, shared_burst };

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

} // namespace

void run_rsspp_state(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string name = in.text("state", "bucket");
	const State state = in.choice<State>("state", State::bucket, {{"bucket", State::bucket}, {"shared-packet", State::shared_packet}, {"shared-burst", State::shared_burst}});
	const uint32_t cores = uint32_t(in.integer("cores", 2, 1, 64));
	const uint32_t flows = uint32_t(in.integer("flows", 1024, 64, 65536));
	const uint32_t length = uint32_t(in.integer("packetsPerFlow", 1000, 1, 1'000'000));
	const uint32_t rounds = uint32_t(in.integer("work", 100, 0, 100'000));
	const double seconds = in.real("seconds", 1, 0.01, 60);
	const uint64_t seed = in.integer("seed", 1, 1, UINT32_MAX);
	in.finish();
	if (cores > std::thread::hardware_concurrency())
		throw JobError("not-supported", "this machine has fewer cores than that; threads that take turns would not contend", 3);

	conntrack::SharedOptions options;
	options.table = "burst-table";
	options.sharing = state == State::bucket ? conntrack::Sharing::sharded : conntrack::Sharing::spinlock;
	options.nb_threads = cores;
	options.timed.expiry = conntrack::Expiry::lazy;
	options.timed.timeout_ticks = 100;
	options.timed.tracker.flows = 1u << 18;
	options.timed.tracker.seed = seed;
	const auto tracker = conntrack::make_shared_tracker(options);
	if (!tracker)
		throw JobError("not-supported", "this build has no such table", 3);

	std::atomic<uint32_t> ready{0};
	std::atomic<bool> stop{false};
	std::vector<uint64_t> packets(cores * 8), sink(cores * 8);
	const auto start = std::chrono::steady_clock::now();
	const auto tick = [&] {
		return uint64_t(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count());
	};
	std::vector<std::thread> threads;
	for (uint32_t core = 0; core < cores; core++)
		threads.emplace_back([&, core] {
			Flows mine(core, flows / cores, length);
			uint8_t keys[burst_size * CONNTRACK_KEY_IPV4], results[burst_size];
			uint64_t sum = seed, done = 0;
			ready.fetch_add(1);
			while (ready.load() < cores)
				std::this_thread::yield();
			while (!stop.load(std::memory_order_relaxed)) {
				const uint64_t now = tick();
				for (uint32_t i = 0; i < burst_size; i++)
					std::memcpy(keys + i * CONNTRACK_KEY_IPV4, mine.next(), CONNTRACK_KEY_IPV4);
				const uint32_t step = state == State::shared_packet ? 1 : burst_size;
				for (uint32_t i = 0; i < burst_size; i += step)
					tracker->track(core, keys + i * CONNTRACK_KEY_IPV4, step, now, done, results);
				for (uint32_t i = 0; i < burst_size; i++)
					sum = work(sum, rounds);
				done += burst_size;
			}
			packets[core * 8] = done;
			sink[core * 8] = sum;
		});
	while (ready.load() < cores)
		std::this_thread::yield();
	const auto from = std::chrono::steady_clock::now();
	std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
	stop.store(true);
	for (std::thread &t : threads)
		t.join();
	const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
	uint64_t total = 0, check = 0;
	for (uint32_t core = 0; core < cores; core++) {
		total += packets[core * 8];
		check ^= sink[core * 8];
	}
	emit({{"state", name}, {"cores", cores}, {"mpps", double(total) / took * 1e-6}, {"packets", total},
	      {"seconds", took}, {"check", check & 0xffff}, {"seed", seed}});
}

} // namespace reframer::lab
