// What arrives in job `robustness-trial`: established flows, clients that open a connection, and the
// attacker's packets, each a Poisson process.
#pragma once

#include "datapath/ports/virtual_queue.hpp"
#include "datapath/queue.hpp"
#include "lab/cores.hpp"
#include "lab/robustness/attack.hpp"
#include "lab/robustness/chain.hpp"
#include "measure/histogram.hpp"
#include "nf/mbuf.hpp"

#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace reframer::lab {

// Arrivals are prepared for so much of the clock at a time.
inline constexpr double piece_ns = 1e6;
// Numbers of the clients' connections, above those of legitimate flows and of the attacker's.
inline constexpr uint32_t attack_flows = 1u << 20;

struct RobustnessSpec {
	Attack attack = Attack::none;
	std::string attack_name, capture;
	double times = 5, legitimate_pps = 200e3, open_pps = 2000;
	bool reframes = true, nic_hash = true;
	uint64_t delay_ns = 64000, duration_ns = 50'000'000, warmup_ns = 10'000'000;
	uint64_t rtt_ns = 20'000'000, seed = 1;
	uint32_t flows = 20000, table_flows = 65536, ring_depth = 1024, max_burst = 128,
			 release_max = 32;
	TrialCores cores;
};

// Frames that stay where they are while a queue reads them.
struct FramePool {
	std::deque<AttackFrame> frames;
	size_t used = 0;
	AttackFrame &next()
	{
		if (used == frames.size())
			frames.emplace_back();
		return frames[used++];
	}
};

// Clients that open a connection: a SYN, and the ACK a round trip after the SYN has left the box. The
// server's answer passes on another queue.
class Openings {
public:
	// SYNs that arrive in the window are counted, where their ACK may come before its end.
	Openings(const RobustnessSpec &t, uint64_t seed)
		: rtt_(double(t.rtt_ns)), from_(double(t.warmup_ns)),
		  until_(double(t.warmup_ns + t.duration_ns) - rtt_ - slack_ns),
		  first_flow_(t.flows + attack_flows), rate_(t.open_pps / 1e9), random_(seed)
	{
		next_syn_ = rate_ > 0 ? gap() : INFINITY;
	}

	// What comes next, infinite where nothing is to come.
	double next() const
	{
		return std::min(next_syn_, answers_.empty() ? INFINITY : answers_.front().ack_at);
	}
	// The packet that comes at next(). Its frame stays where it is until `pool` is used again.
	engine::Arrival take(FramePool &pool)
	{
		const bool syn = answers_.empty() || next_syn_ <= answers_.front().ack_at;
		const double at = next();
		uint32_t number;
		if (syn) {
			number = uint32_t(clients_.size());
			clients_.push_back({at, 0, 0, uint32_t(random_())});
			opened_ += counts(clients_.back());
			next_syn_ += gap();
		} else {
			number = answers_.front().number;
			clients_[number].ack_at = at;
			answers_.pop_front();
		}
		AttackFrame &frame = pool.next();
		write_plain(frame.bytes.data(), 0x0b000000 + number, 0xc0a80001,
		            uint16_t(1024 + number % 50000), 443, 6, syn ? 0x02 : 0x10);
		return {uint64_t(at), frame.bytes.data(),   plain_length,
		        plain_length, clients_[number].rss, first_flow_ + number};
	}
	// A packet has left; `known()` says whether the table has its connection as established.
	template <typename Known> void left(const engine::VirtualQueue::Left &what, Known known)
	{
		if (what.flow < first_flow_)
			return;
		const uint32_t number = what.flow - first_flow_;
		Client &client = clients_[number];
		const double own = double(what.latency_ns - std::min(what.hold_ns, what.latency_ns));
		if (client.ack_at == 0) {
			client.syn_ns = double(what.latency_ns);
			client.syn_own_ns = own;
			answers_.push_back({what.time_ns + rtt_, number});
		} else if (counts(client) && known()) {
			connected_++;
			setup_.add(uint64_t(client.syn_ns) + what.latency_ns);
			setup_own_.add(uint64_t(client.syn_own_ns + own));
		}
	}

	uint64_t opened() const { return opened_; }
	uint64_t connected() const { return connected_; }
	const engine::Histogram &setup() const { return setup_; }
	const engine::Histogram &setup_own() const { return setup_own_; }

private:
	// After a SYN the box may be late; what it takes longer for than this has not been answered in time.
	static constexpr double slack_ns = 5e6;
	struct Client {
		double syn_at, ack_at, syn_ns;
		uint32_t rss;
		double syn_own_ns = 0;
	};
	struct Answer {
		double ack_at;
		uint32_t number;
	};

	double gap() { return std::exponential_distribution<double>(rate_)(random_); }
	bool counts(const Client &c) const { return c.syn_at >= from_ && c.syn_at < until_; }

	double rtt_, from_, until_;
	uint32_t first_flow_;
	double rate_, next_syn_;
	std::mt19937_64 random_;
	std::vector<Client> clients_;
	std::deque<Answer> answers_; // by time: SYNs leave one after the other
	uint64_t opened_ = 0, connected_ = 0;
	engine::Histogram setup_, setup_own_;
};

// Legitimate packets and the attacker's as they arrive, both as Poisson processes.
class Traffic {
public:
	explicit Traffic(const RobustnessSpec &t)
		: spec(t), random(t.seed),
		  attacker(t.attack, t.seed + 1,
	               std::max(1u, uint32_t(t.legitimate_pps * t.times * double(t.delay_ns) * 1e-9)),
	               t.capture),
		  frames(size_t{t.flows} * plain_length), rss(t.flows), gap(t.legitimate_pps / 1e9),
		  attack_gap(t.legitimate_pps * t.times / 1e9), clients(t, t.seed + 2)
	{
		for (uint32_t f = 0; f < t.flows; f++) {
			write_plain(frame(f), 0x0a000000 + f, 0xc0a80001, uint16_t(1024 + f % 50000), 443, 6,
			            0x10);
			rss[f] = uint32_t(random());
		}
		next_legitimate = draw(gap);
		next_attack = t.attack == Attack::none || t.times == 0 ? INFINITY : draw(attack_gap);
	}

	uint8_t *frame(uint32_t flow) { return &frames[size_t{flow} * plain_length]; }

	void fill(double until, std::vector<engine::Arrival> &out)
	{
		out.clear();
		pool.used = 0;
		while (std::min({next_legitimate, next_attack, clients.next()}) <= until) {
			if (clients.next() <= std::min(next_legitimate, next_attack)) {
				out.push_back(clients.take(pool));
				continue;
			}
			if (next_legitimate <= next_attack) {
				// Trains of four, as TCP sends.
				if (random() % 4 == 0)
					flow = uint32_t(random() % spec.flows);
				out.push_back({uint64_t(next_legitimate), frame(flow), plain_length,
				               legitimate_wire, rss[flow], flow});
				next_legitimate += draw(gap);
			} else {
				AttackFrame &a = pool.next();
				attacker.next(a);
				out.push_back({uint64_t(next_attack), a.bytes.data(), a.length, a.length, a.rss,
				               spec.flows + a.flow});
				next_attack += draw(attack_gap);
			}
		}
	}

	std::vector<uint32_t> &hashes() { return rss; }
	Openings &openings() { return clients; }

private:
	static constexpr uint32_t legitimate_wire = 800;
	double draw(double rate) { return std::exponential_distribution<double>(rate)(random); }

	const RobustnessSpec &spec;
	std::mt19937_64 random;
	Attacker attacker;
	std::vector<uint8_t> frames;
	std::vector<uint32_t> rss;
	FramePool pool;
	double gap, attack_gap, next_legitimate, next_attack;
	uint32_t flow = 0;
	Openings clients;
};

} // namespace reframer::lab
