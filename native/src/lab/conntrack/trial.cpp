#include "lab/conntrack/trial.hpp"

#include "base/cores.hpp"
#include "measure/median.hpp"

#include <algorithm>
#include <barrier>
#include <exception>
#include <thread>

namespace reframer::lab {

using conntrack::Tracker;

std::unique_ptr<Tracker> open_contender(const std::string &name,
                                        const conntrack::TrackerOptions &options)
{
	auto known = conntrack::tracker_names();
	bool built = std::find(known.begin(), known.end(), name) != known.end();
	auto tracker = built ? conntrack::make_tracker(name, options) : nullptr;
	if (!tracker)
		emit({{"contender", name},
		      {"unavailable", built ? "it does not start on this machine" : "not in this build"}});
	return tracker;
}

void wrong_answer(const std::string &contender, const std::string &what)
{
	throw JobError("wrong-answer", contender + ": " + what);
}

void KeyColumn::add(uint64_t flow, uint64_t salt)
{
	bytes_.resize(bytes_.size() + key_size);
	write_flow_key(bytes_.data() + bytes_.size() - key_size, key_size, flow, salt);
}

void KeyColumn::add_bytes(const void *key)
{
	const auto *bytes = static_cast<const uint8_t *>(key);
	bytes_.insert(bytes_.end(), bytes, bytes + key_size);
}

void fill_flows(Tracker &tracker, const std::string &contender, uint64_t first, uint64_t count)
{
	uint8_t key[KeyColumn::key_size], result = 0;
	for (uint64_t i = first; i < first + count; i++) {
		write_flow_key(key, sizeof(key), i, 1);
		if (tracker.track(key, 1, trial_state(i), &result) != 1 || result != 1)
			wrong_answer(contender, "flow " + std::to_string(i) + " was not new, or had no room");
	}
}

void drop_flows(Tracker &tracker, const std::string &contender, uint64_t first, uint64_t count)
{
	KeyColumn keys;
	for (uint64_t done = 0; done < count; done += keys.size()) {
		keys.clear();
		for (uint64_t i = done; i < std::min<uint64_t>(count, done + trial_call); i++)
			keys.add(first + i);
		if (tracker.remove(keys.at(0), keys.size()) != keys.size())
			wrong_answer(contender, "a flow that was inserted could not be removed");
	}
}

Lookups draw_lookups(std::mt19937_64 &random, uint64_t flows, uint32_t count, uint32_t one_miss_in)
{
	Lookups l;
	for (uint32_t n = 0; n < count; n++) {
		uint64_t flow = random() % flows;
		bool miss = one_miss_in && random() % one_miss_in == 0;
		l.keys.add(flow, miss ? 2 : 1);
		l.hits += !miss;
		l.sum += miss ? 0 : trial_state(flow);
	}
	return l;
}

double time_lookups(Tracker &tracker, const std::string &contender, const Lookups &lookups)
{
	std::vector<uint64_t> values(trial_call);
	std::vector<uint8_t> found(trial_call);
	std::vector<double> ticks;
	uint64_t hits = 0, sum = 0;
	each_call(lookups.keys.size(), [&](uint32_t first, uint32_t n) {
		uint64_t start = engine::tsc_start();
		uint32_t nb = tracker.find(lookups.keys.at(first), n, values.data(), found.data());
		hits += nb;
		for (uint32_t i = 0; nb && i < n; i++)
			sum += found[i] ? values[i] : 0;
		ticks.push_back(double(engine::tsc_stop() - start) / n);
	});
	if (hits != lookups.hits || sum != lookups.sum)
		wrong_answer(contender, "a lookup gave the wrong state, or none, or one that is not there");
	return engine::median(std::move(ticks));
}

uint64_t on_threads(uint32_t threads, const std::function<void(uint32_t)> &work)
{
	std::barrier ready(threads);
	std::vector<uint64_t> start(threads), stop(threads);
	std::vector<std::exception_ptr> errors(threads);
	std::vector<std::thread> pool;
	const std::vector<int> cpus = base::allowed_cores();
	for (uint32_t t = 0; t < threads; t++)
		pool.emplace_back([&, t] {
			base::pin(pthread_self(), cpus[t % cpus.size()]);
			ready.arrive_and_wait();
			start[t] = engine::tsc_start();
			try {
				work(t);
			} catch (...) {
				errors[t] = std::current_exception();
			}
			stop[t] = engine::tsc_stop();
		});
	for (std::thread &t : pool)
		t.join();
	for (auto &e : errors)
		if (e)
			std::rethrow_exception(e);
	return *std::max_element(stop.begin(), stop.end()) -
	       *std::min_element(start.begin(), start.end());
}

} // namespace reframer::lab
