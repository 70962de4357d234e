// Job `conntrack-expiry`: flows that end by a timeout, on one core: what do the ways to notice it cost?
//
// spec   {"contender": "rte-hash", "expiry": "wheel", "ticksPerSecond": 1000, "timeScale": 0.1,
//         "seconds": 12, "mpps": 3.36, "packetsPerNew": 56, "ring": 4096, "seed": 1}
//        seconds are the paper's; each lasts timeScale of ours, and flows and table shrink with it
//        (4 M slots and 200,000 flows that send at scale 1); the timeout is 5 s of them
// record {"contender","expiry","ticksPerSecond","cyclesPerPacket","tickSharePercent","tickP99Us",
//         "worstTickUs","dropPercent","residentsOverLive","newFlows","preempted"}
//        tickShare: time in expire() over all; residents and live flows: mean over the last second;
//        live: a packet within the timeout
//
// Packets come at the given rate by a virtual clock, which only the measured time of bursts and
// ticks advances; what finds the ring full is dropped. A burst during which the core was away
// (measure/marks.hpp) counts as a usual one, and as preempted. Whether each packet is of a new flow
// is compared with the flow's own history.
#include "conntrack/expiry/timed_tracker.hpp"
#include "lab/conntrack/trial.hpp"
#include "measure/median.hpp"
#include "measure/virtual_clock.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::lab {

namespace {

using conntrack::Expiry;
constexpr uint32_t burst_size = conntrack::tracker_burst;
constexpr uint32_t chunk_packets = 1 << 15;

// When each flow last sent, in ticks; what tells a new flow from a known one.
class History {
public:
	explicit History(uint64_t timeout) : timeout_(timeout) {}
	// @return whether this packet begins a flow.
	bool packet(uint64_t flow, uint64_t tick)
	{
		if (flow >= last_.size())
			last_.resize(flow + 1 + flow / 2, never);
		bool is_new = !alive(last_[flow], tick);
		last_[flow] = tick;
		return is_new;
	}
	uint64_t live(uint64_t tick) const
	{
		return static_cast<uint64_t>(
			std::count_if(last_.begin(), last_.end(), [&](uint64_t l) { return alive(l, tick); }));
	}

private:
	static constexpr uint64_t never = UINT64_MAX;
	bool alive(uint64_t last, uint64_t tick) const
	{
		return last != never && tick < last + timeout_;
	}
	uint64_t timeout_;
	std::vector<uint64_t> last_;
};

struct Setup : ContenderSpec {
	Expiry expiry = Expiry::lazy;
	uint32_t hz = 1000, ring = 4096;
	double scale = 0.1, seconds = 12, mpps = 3.36;
	uint32_t per_new = 56;
};

class ExpiryTrial {
public:
	ExpiryTrial(const Setup &s, conntrack::TimedTracker &tracker)
		: s_(s), tracker_(tracker), history_(uint64_t{5} * s.hz),
		  arrivals_(static_cast<uint64_t>(200'000 * s.scale), s.per_new, s.seed)
	{
	}

	Json run()
	{
		const auto packets = static_cast<uint64_t>(s_.seconds * s_.scale * s_.mpps * 1e6);
		while (arrived_ < packets)
			burst();
		auto share = [&](double part) { return part / double(arrived_) * 100; };
		std::sort(tick_ticks_.begin(), tick_ticks_.end());
		const double us = 1e6 / hz_;
		Json r = {{"contender", s_.contender},
		          {"expiry", conntrack::expiry_name(s_.expiry)},
		          {"ticksPerSecond", s_.hz},
		          {"cyclesPerPacket", burst_total_ / double(processed_)},
		          {"tickSharePercent", tick_total_ / (tick_total_ + burst_total_) * 100},
		          {"tickP99Us", double(engine::quantile(tick_ticks_, 0.99)) * us},
		          {"worstTickUs", tick_ticks_.empty() ? 0 : double(tick_ticks_.back()) * us},
		          {"dropPercent", share(double(dropped_))},
		          {"newFlows", new_flows_},
		          {"preempted", usual_.preempted()}};
		if (s_.expiry != Expiry::none)
			r["residentsOverLive"] = residents_sum_ / live_sum_;
		return r;
	}

private:
	void refill()
	{
		flows_.resize(chunk_packets);
		keys_.clear();
		for (uint32_t i = 0; i < chunk_packets; i++) {
			flows_[i] = arrivals_.next().flow;
			keys_.add(flows_[i]);
		}
		next_ = 0;
	}

	// Moves the tracker's clock to the tick of a packet's arrival, tick by tick.
	void advance(uint64_t tick)
	{
		for (; tick_ < tick;) {
			tick_++;
			uint64_t start = engine::tsc_start();
			tracker_.expire(tick_);
			uint64_t took = elapsed(start);
			// The first seconds fill the table.
			if (tick_ > uint64_t{6} * s_.hz) {
				tick_ticks_.push_back(took);
				tick_total_ += double(took);
			}
			clock_.spend(double(took) * 1e9 / hz_);
			if (double(tick_) > (s_.seconds - 1) * s_.hz && tick_ % std::max(1u, s_.hz / 10) == 0) {
				residents_sum_ += double(tracker_.residents());
				live_sum_ += double(history_.live(tick_));
			}
		}
	}

	// Without what reading the clock takes: some ticks are hardly longer than that.
	uint64_t elapsed(uint64_t start) const
	{
		uint64_t took = engine::tsc_stop() - start;
		return took - std::min(took, overhead_);
	}

	double arrival_ns(uint64_t packet) const { return double(packet) * 1e3 / s_.mpps; }

	void burst()
	{
		if (next_ + burst_size > chunk_packets || flows_.empty())
			refill();
		const double last = arrival_ns(arrived_ + burst_size);
		clock_.wait_until(last);
		advance(static_cast<uint64_t>(last * 1e-9 / s_.scale * s_.hz));
		// What came meanwhile and did not fit into the ring is lost, burst by burst.
		if (clock_ - last > arrival_ns(s_.ring)) {
			dropped_ += burst_size;
		} else {
			uint64_t start = engine::tsc_start();
			uint32_t nb = tracker_.track(keys_.at(next_), burst_size, tick_, 1, results_);
			double took = usual_(burst_size, double(elapsed(start)));
			clock_.spend(took * 1e9 / hz_);
			if (tick_ > uint64_t{6} * s_.hz) {
				burst_total_ += took;
				processed_ += burst_size;
			}
			check(nb);
		}
		next_ += burst_size;
		arrived_ += burst_size;
	}

	void check(uint32_t nb_new)
	{
		uint32_t expected = 0;
		for (uint32_t i = 0; i < burst_size; i++) {
			bool is_new = history_.packet(flows_[next_ + i], tick_);
			expected += is_new;
			if (s_.expiry != Expiry::none && results_[i] != is_new)
				wrong_answer(s_.contender, std::string("a flow is ") + (is_new ? "new" : "known") +
				                               ", and was told to be " +
				                               (results_[i] == 1   ? "new"
				                                : results_[i] == 0 ? "known"
				                                                   : "without room"));
		}
		new_flows_ += nb_new;
		if (s_.expiry != Expiry::none && nb_new != expected)
			wrong_answer(s_.contender, "counted other new flows than there were");
	}

	const Setup &s_;
	conntrack::TimedTracker &tracker_;
	History history_;
	FlowStream arrivals_;
	const double hz_ = engine::measure_tsc_hz();
	UsualTicks usual_{hz_};
	const uint64_t overhead_ = static_cast<uint64_t>(engine::measure_tsc_overhead());
	std::vector<uint64_t> flows_;
	KeyColumn keys_;
	uint8_t results_[burst_size];
	uint32_t next_ = 0;
	uint64_t arrived_ = 0, processed_ = 0, dropped_ = 0, tick_ = 0, new_flows_ = 0;
	engine::VirtualClock clock_;
	double burst_total_ = 0, tick_total_ = 0, residents_sum_ = 0, live_sum_ = 0;
	std::vector<uint64_t> tick_ticks_;
};

} // namespace

void run_conntrack_expiry(const Json &json)
{
	SpecReader in(json, "");
	Setup s;
	s.read(in);
	in.read("expiry", s.expiry,
	        {{"none", Expiry::none},
	         {"wheel", Expiry::wheel},
	         {"lazy", Expiry::lazy},
	         {"scan", Expiry::scan}});
	in.read("ticksPerSecond", s.hz, 1, 1000);
	in.read("timeScale", s.scale, 0.01, 1);
	in.read("seconds", s.seconds, 8, 100);
	in.read("mpps", s.mpps, 0.1, 100);
	in.read("packetsPerNew", s.per_new, 2, 10000);
	in.read("ring", s.ring, 64, 1 << 20);
	in.finish();
	conntrack::TimedOptions options;
	options.tracker.flows = static_cast<uint64_t>((1 << 22) * s.scale);
	options.tracker.seed = s.seed + 1;
	options.expiry = s.expiry;
	options.ticks_per_second = s.hz;
	options.timeout_ticks = 5 * s.hz;
	if (!Contender(s.contender, s.options(1000)))
		return;
	auto tracker = conntrack::make_timed_tracker(s.contender, options);
	if (!tracker)
		throw JobError("not-supported", s.contender + " has no such way to expire", 3);
	emit(ExpiryTrial(s, *tracker).run());
}

} // namespace reframer::lab
