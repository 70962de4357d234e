#include "lab/conntrack/trial.hpp"

#include "base/cores.hpp"
#include "measure/median.hpp"

#include <algorithm>
#include <barrier>
#include <exception>
#include <thread>

namespace reframer::lab {

using conntrack::Tracker;

void ContenderSpec::read(SpecReader &in)
{
	in.read("contender", contender);
	in.read("seed", seed, 0, double(UINT64_MAX / 4096));
}

void ContenderSpec::read_depth(SpecReader &in, uint32_t most)
{
	in.read("depth", depth, 1, most);
}

conntrack::TrackerOptions ContenderSpec::options(uint64_t flows, bool power_of_two) const
{
	conntrack::TrackerOptions o;
	o.flows = flows;
	o.seed = seed + 1;
	o.depth = depth;
	o.power_of_two = power_of_two;
	return o;
}

Contender::Contender(std::string name_, const conntrack::TrackerOptions &options)
	: name(std::move(name_))
{
	const auto known = conntrack::tracker_names();
	const bool built = std::find(known.begin(), known.end(), name) != known.end();
	if (built)
		tracker = conntrack::make_tracker(name, options);
	if (!tracker)
		emit({{"contender", name},
		      {"unavailable", built ? "it does not start on this machine" : "not in this build"}});
}

void wrong_answer(const std::string &contender, const std::string &what)
{
	throw JobError("wrong-answer", contender + ": " + what);
}

void Contender::insert(const KeyColumn &keys, uint32_t first, uint32_t n, uint64_t state) const
{
	std::vector<uint8_t> results(n);
	if (tracker->track(keys.at(first), n, state, results.data()) != n)
		wrong("a new flow was not new, or had no room");
}

void Contender::fill(uint64_t first, uint64_t count) const
{
	KeyColumn keys;
	for (uint64_t i = first; i < first + count; i++) {
		keys.clear();
		keys.add(i);
		insert(keys, trial_state(i));
	}
}

void Contender::drop(uint64_t first, uint64_t count) const
{
	KeyColumn keys;
	each_call(count, [&](uint32_t done, uint32_t n) {
		keys.clear();
		keys.add_flows(first + done, n);
		if (tracker->remove(keys.at(0), n) != n)
			wrong("a flow that was inserted could not be removed");
	});
}

void look_up(Tracker &tracker, const KeyColumn &keys, uint32_t first, uint32_t n, Answers &answers,
             uint64_t &found, uint64_t &states)
{
	const uint32_t nb =
		tracker.find(keys.at(first), n, answers.values.data(), answers.flags.data());
	found += nb;
	for (uint32_t i = 0; nb && i < n; i++)
		states += answers.flags[i] ? answers.values[i] : 0;
}

void Lookups::add(uint64_t flow, bool miss, uint64_t state)
{
	keys.add(flow, miss ? 2 : 1);
	hits += !miss;
	sum += miss ? 0 : state;
}

void Lookups::check(const std::string &contender, uint64_t found, uint64_t states) const
{
	if (found != hits || states != sum)
		wrong_answer(contender, "a lookup gave the wrong state, or none, or one that is not there");
}

Lookups draw_lookups(std::mt19937_64 &random, uint64_t flows, uint32_t count, uint32_t one_miss_in)
{
	Lookups l;
	for (uint32_t n = 0; n < count; n++) {
		const uint64_t flow = random() % flows;
		l.add(flow, one_miss_in && random() % one_miss_in == 0, trial_state(flow));
	}
	return l;
}

double time_lookups(const Contender &contender, const Lookups &lookups)
{
	Answers answers;
	std::vector<double> ticks;
	uint64_t found = 0, states = 0;
	each_call(lookups.keys.size(), [&](uint32_t first, uint32_t n) {
		const uint64_t start = engine::tsc_start();
		look_up(*contender.tracker, lookups.keys, first, n, answers, found, states);
		ticks.push_back(double(engine::tsc_stop() - start) / n);
	});
	lookups.check(contender.name, found, states);
	return engine::median(std::move(ticks));
}

uint64_t on_threads(uint32_t threads, const std::function<void(uint32_t)> &work)
{
	std::barrier ready(threads);
	std::vector<uint64_t> start(threads), stop(threads);
	std::vector<std::exception_ptr> errors(threads);
	std::vector<std::thread> pool;
	// A core each; threads of one core, which share its caches, only where there are no others.
	std::vector<int> cpus = base::allowed_cores();
	if (const std::vector<int> apart = base::one_per_core(cpus); apart.size() >= threads)
		cpus = apart;
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
