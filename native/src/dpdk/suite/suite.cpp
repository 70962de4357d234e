#include "dpdk/suite/suite.hpp"

#include "dpdk/ports.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <new>

namespace reframer::dpdk {

namespace {

lab::JobError refusal(const std::string &why)
{
	return lab::JobError("bad-spec", why, 2);
}

std::array<uint8_t, 4> address_of(const lab::SpecReader &in, const char *name,
                                  const std::string &text)
{
	unsigned a, b, c, d;
	char more;
	if (std::sscanf(text.c_str(), "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &more) != 4 || a > 255 ||
	    b > 255 || c > 255 || d > 255)
		in.fail(name, "must be an IPv4 address");
	return {uint8_t(a), uint8_t(b), uint8_t(c), uint8_t(d)};
}

FirewallRule rule_of(const lab::Json &json)
{
	lab::SpecReader in(json, "rules");
	FirewallRule rule;
	in.read("allow", rule.allow);
	in.read("protocol", rule.protocol, 0, 255);
	rule.source = address_of(in, "source", in.text("source", "0.0.0.0"));
	in.read("sourceBits", rule.source_bits, 0, 32);
	rule.destination = address_of(in, "destination", in.text("destination", "0.0.0.0"));
	in.read("destinationBits", rule.destination_bits, 0, 32);
	in.read("firstPort", rule.first_port, 0, 65535);
	in.read("lastPort", rule.last_port, 0, 65535);
	in.finish();
	return rule;
}

uint64_t sum(const std::vector<const FlowWork *> &all, std::atomic<uint64_t> FlowCounts::*member)
{
	uint64_t n = 0;
	for (const FlowWork *flows : all)
		n += (flows->counts().*member).load(std::memory_order_relaxed);
	return n;
}

} // namespace

void SuiteParams::read(lab::SpecReader &in)
{
	const std::string how = in.text("balance", "off");
	balance = how != "off";
	automatic = how == "auto";
	if (balance && !automatic && how != "reta" && how != "software")
		in.fail("balance", "is '" + how + "', must be one of: off, auto, reta, software");
	table = how == "reta" ? BalanceTable::reta : BalanceTable::software;
	in.read("buckets", nb_buckets, 64, 4096);
	if (!std::has_single_bit(nb_buckets))
		in.fail("buckets", "must be a power of two");
	in.read("balanceMs", balancing.interval_ms, 1, 3'600'000);
	in.read("autoscale", balancing.autoscale);
	in.read("method", balancing.method,
	        {{"static", RSSPP_STATIC}, {"greedy", RSSPP_GREEDY}, {"ours", RSSPP_OURS}});
	in.read("work", work_rounds, 0, 1'000'000);
	in.read("shuffle", balancing.shuffle, 0, 100'000);
	in.read("track", track);
	if (in.has("chain"))
		flows.chain = in.several<FlowFunction>(
			"chain", {{"nat", FlowFunction::nat}, {"firewall", FlowFunction::firewall}});
	if (const lab::Json *rules = in.take("rules"))
		for (const lab::Json &rule : *rules)
			flows.rules.push_back(rule_of(rule));
	const std::string address = in.text("natAddress", "");
	in.read("natAddresses", flows.nat_addresses, 1, 65536);
	if (!address.empty()) {
		const std::array<uint8_t, 4> first = address_of(in, "natAddress", address);
		flows.nat_address = uint32_t{first[0]} << 24 | uint32_t{first[1]} << 16 |
		                    uint32_t{first[2]} << 8 | first[3];
	}
	if (flows.nat_address > UINT32_MAX - (flows.nat_addresses - 1))
		in.fail("natAddresses", "goes beyond 255.255.255.255");
	in.read("flows", flows.max_flows, 64, 1u << 26);
	uint64_t timeout_ms = 30'000;
	in.read("flowTimeoutMs", timeout_ms, 5'000, 3'600'000);
	flows.timeout_ns = timeout_ms * 1'000'000;
	const bool nat =
		std::find(flows.chain.begin(), flows.chain.end(), FlowFunction::nat) != flows.chain.end();
	if (nat && address.empty())
		in.fail("natAddress", "is missing: NAT needs an address of its own");
	if (!flows.rules.empty() && std::find(flows.chain.begin(), flows.chain.end(),
	                                      FlowFunction::firewall) == flows.chain.end())
		in.fail("rules", "go with --chain firewall");
	if (!balance && (balancing.autoscale || balancing.shuffle))
		in.fail(balancing.autoscale ? "autoscale" : "shuffle", "goes with --balance");
}

BalanceTable table_for(const SuiteParams &params, const SuitePorts &ports)
{
	if (!params.balance)
		return BalanceTable::none;
	// Ports that keep a table and do not steer by it.
	const bool pretends = ports.driver == "net_null" || ports.driver == "net_tap";
	const bool has = ports.reta_size >= 64 && std::has_single_bit(ports.reta_size);
	if (params.automatic)
		return has && !pretends && !ports.both_ways && ports.port_hash ? BalanceTable::reta
		                                                               : BalanceTable::software;
	if (params.table == BalanceTable::reta) {
		if (!has || pretends)
			throw lab::JobError("not-supported",
			                    port_name(ports.in) +
			                        (pretends ? " keeps a table but does not steer by it"
			                                  : " has no indirection table") +
			                        "; --balance software needs none",
			                    3);
		if (ports.both_ways)
			throw refusal("--balance reta moves one port's table: with --both-ways take software");
		if (!ports.port_hash)
			throw lab::JobError("not-supported",
			                    port_name(ports.in) +
			                        " gives no hash of each packet's addresses and ports by the "
			                        "symmetric key, which --balance reta needs",
			                    3);
	}
	return params.table;
}

Suite::Suite(const SuiteParams &params, const SuitePorts &ports, Sender &sender,
             const TscClock &clock, const std::vector<std::unique_ptr<Lane>> &lanes)
	: params_(params)
{
	const auto nb_cores = uint32_t(lanes.size());
	shared_.in = ports.in;
	shared_.out = ports.out;
	shared_.both_ways = ports.both_ways;
	shared_.sender = &sender;
	shared_.clock = &clock;
	shared_.port_hash = ports.port_hash;
	shared_.work_rounds = params.work_rounds;
	shared_.table = table_for(params, ports);
	shared_.nb_buckets = shared_.table == BalanceTable::none   ? 1
	                     : shared_.table == BalanceTable::reta ? ports.reta_size
	                                                           : params.nb_buckets;
	if (shared_.table == BalanceTable::reta && ports.nb_queues != nb_cores)
		throw refusal("--balance reta takes as many queues as cores, not " +
		              std::to_string(ports.nb_queues) + " and " + std::to_string(nb_cores));
	if (shared_.table == BalanceTable::software)
		shared_.steering = std::make_unique<Steering>(params.nb_buckets, nb_cores, ports.ring_size,
		                                              port_socket(ports.in));
	const bool nat = std::find(params.flows.chain.begin(), params.flows.chain.end(),
	                           FlowFunction::nat) != params.flows.chain.end();
	if (nat && ports.both_ways && nb_cores > 1 && shared_.table == BalanceTable::none)
		throw refusal("nat with --both-ways on several cores needs --balance software: what comes "
		              "back must reach the core of its flow");
	// Buckets keep the endpoints of cores apart; without them, two would give the same one away.
	const uint32_t nb_shares = shared_.table == BalanceTable::none ? nb_cores : 1;
	for (uint32_t share = 0; nat && share < nb_shares; share++)
		shared_.ports.emplace_back(shared_.nb_buckets, share, nb_shares);
	shared_.travelling.resize(shared_.nb_buckets);
	shared_.receiving = nb_cores;
	std::vector<const Lane *> all;
	for (const auto &lane : lanes)
		all.push_back(lane.get());
	if (shared_.table != BalanceTable::none) {
		balancing_ = std::make_unique<Balancing>(params.balancing, shared_, std::move(all));
		rsspp_handover_params h;
		rsspp_handover_default_params(&h);
		h.nb_buckets = shared_.nb_buckets;
		h.nb_cores = nb_cores;
		h.hold_capacity = ports.nb_buffers; // then a core never runs out
		h.owner = balancing_->owners().data();
		shared_.handover = api::create<api::HandOver>(rsspp_handover_create, h);
		if (!shared_.handover)
			throw lab::JobError("out-of-memory", "no memory for the hand-over of buckets");
	}
	FlowWorkConfig flows = params.flows;
	flows.both_ways = ports.both_ways;
	flows.inside_port = ports.in;
	flows.nb_buckets = shared_.nb_buckets;
	// One for all cores, or groups could not move between their tables; unknown to who sends packets.
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		throw lab::JobError("failed", "the kernel gives no random numbers");
	for (uint32_t c = 0; c < nb_cores; c++) {
		std::vector<RxQueue> queues;
		for (uint32_t q = c; q < ports.nb_queues; q += nb_cores) {
			queues.push_back({ports.in, uint16_t(q)});
			if (ports.both_ways && ports.in != ports.out)
				queues.push_back({ports.out, uint16_t(q)});
		}
		std::unique_ptr<FlowWork> work;
		if (params.track || !params.flows.chain.empty())
			work = std::make_unique<FlowWork>(flows, nat ? &shared_.ports[c % nb_shares] : nullptr,
			                                  shared_.travelling, seed, [&](uint32_t bucket) {
												  return !shared_.handover ||
				                                         rsspp_handover_owner(
															 shared_.handover.get(), bucket) == c;
											  });
		cores_.push_back(std::make_unique<SuiteCore>(uint16_t(c), *lanes[c], shared_,
		                                             std::move(queues), std::move(work)));
	}
}

void Suite::start()
{
	if (balancing_)
		balancing_->start();
}

void Suite::stop_balancing()
{
	if (balancing_)
		balancing_->stop();
}

lab::Json Suite::flow_sample() const
{
	std::vector<const FlowWork *> all;
	FlowTotals totals;
	for (const auto &core : cores_)
		if (core->flows()) {
			all.push_back(core->flows());
			const FlowTotals one = core->flows()->totals();
			totals.began += one.began;
			totals.left += one.left;
			totals.live += one.live;
		}
	// Read while cores count.
	const auto known = [](int64_t n) { return std::max<int64_t>(0, n); };
	return {{"packets", sum(all, &FlowCounts::tracked)},
	        {"live", known(totals.live)},
	        {"began", known(totals.began)},
	        {"left", known(totals.left)},
	        {"translated", sum(all, &FlowCounts::translated)},
	        {"denied", sum(all, &FlowCounts::denied)},
	        {"untranslated", sum(all, &FlowCounts::untranslated)},
	        {"noRoom", sum(all, &FlowCounts::no_room)}};
}

lab::Json Suite::sample() const
{
	lab::Json record = lab::Json::object();
	if (params_.track || !params_.flows.chain.empty())
		record["flows"] = flow_sample();
	if (!balancing_)
		return record;
	uint64_t held = 0, held_max = 0, forwarded = 0, handed_over = 0;
	for (const auto &core : cores_) {
		held += core->moved().held.load(std::memory_order_relaxed);
		held_max = std::max(held_max, core->moved().held_max.load(std::memory_order_relaxed));
		forwarded += core->moved().forwarded.load(std::memory_order_relaxed);
		handed_over += core->moved().handed_over.load(std::memory_order_relaxed);
	}
	record["balance"] =
		lab::joined(balancing_->sample(), NAMED(held, held_max, forwarded, handed_over));
	return record;
}

} // namespace reframer::dpdk
