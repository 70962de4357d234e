#include "lab/reframer/trial_spec.hpp"

#include "jobs/spec_reader.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <string_view>

namespace reframer::lab {

namespace {

const std::initializer_list<std::pair<const char *, nf::Form>> forms = {
	{"packet", nf::Form::packet}, {"run", nf::Form::run}};
const std::initializer_list<std::pair<const char *, HoldPolicy>> policies = {
	{"off", HoldPolicy::off},
	{"burst", HoldPolicy::burst},
	{"fixed", HoldPolicy::fixed},
	{"adaptive", HoldPolicy::adaptive}};
const std::initializer_list<std::pair<const char *, uint32_t>> keys = {
	{"5tuple", REFRAMER_KEY_5TUPLE},
	{"symmetric", REFRAMER_KEY_SYMMETRIC},
	{"destination", REFRAMER_KEY_DESTINATION},
	{"inner", REFRAMER_KEY_INNER}};
using Into = engine::Dma::Into;
const std::initializer_list<std::pair<const char *, Into>> dmas = {{"llc", Into::llc},
                                                                   {"dram", Into::dram}};

const std::initializer_list<std::pair<const char *, Engine>> engines = {
	{"virtual", Engine::on_virtual_clock}, {"threads", Engine::threads}};

template <typename Enum>
const char *word(Enum value, std::initializer_list<std::pair<const char *, Enum>> choices)
{
	for (const auto &[name, choice] : choices)
		if (choice == value)
			return name;
	return "";
}

nf::ChainKind parse_chain(SpecReader &in)
{
	std::string name = in.text("chain", "paper"), all;
	for (const nf::ChainName &c : nf::chain_names()) {
		if (name == c.name) {
			if (c.lacks)
				throw JobError("not-supported",
				               "chain '" + name + "' needs " + c.lacks +
				                   ": install it and run setup again",
				               3);
			return c.kind;
		}
		all += std::string(all.empty() ? "" : ", ") + c.name;
	}
	in.fail("chain", "is '" + name + "', must be one of: " + all);
	return nf::ChainKind::paper;
}

uint32_t flags(SpecReader &in, const char *name,
               std::initializer_list<std::pair<const char *, uint32_t>> known)
{
	uint32_t bits = 0;
	const Json *list = in.take(name);
	if (!list)
		return 0;
	if (!list->is_array())
		in.fail(name, "must be a list of names");
	for (const Json &word : *list) {
		auto at = std::find_if(known.begin(), known.end(),
		                       [&](const auto &k) { return word == k.first; });
		if (at == known.end())
			in.fail(name, "does not know " + word.dump());
		bits |= at->second;
	}
	return bits;
}

Json flag_names(uint32_t bits, std::initializer_list<const char *> names)
{
	Json out = Json::array();
	for (const char *name : names) { // in the order of their bits
		if (bits & 1)
			out.push_back(name);
		bits >>= 1;
	}
	return out;
}

const char *chain_name(nf::ChainKind kind)
{
	for (const nf::ChainName &c : nf::chain_names())
		if (c.kind == kind)
			return c.name;
	return "";
}

SourceSpec parse_source(const Json *json)
{
	SourceSpec source;
	if (!json) {
		source.profile = "campus";
		return source;
	}
	SpecReader in(*json, "source");
	source.file = in.text("file", "");
	source.profile = in.text("profile", source.file.empty() ? "campus" : "");
	if (!source.file.empty() && !source.profile.empty())
		in.fail("", "has both a file and a profile");
	if (!source.file.empty()) {
		source.scaled = in.choice("timing", false, {{"rate", false}, {"scaled", true}});
		in.finish();
		return source;
	}
	constexpr std::string_view profiles[] = {"campus",    "clients",  "uniform",
	                                         "syn-flood", "elephant", "incast"};
	std::string all;
	for (std::string_view p : profiles)
		all += (all.empty() ? "" : ", ") + std::string(p);
	if (std::find(std::begin(profiles), std::end(profiles), source.profile) == std::end(profiles))
		in.fail("profile", "is '" + source.profile + "', must be one of: " + all);
	for (const auto &[name, value] : json->items())
		if (name != "profile" && name != "file")
			source.generator[name] = value;
	return source;
}

} // namespace

uint32_t table_capacity(uint32_t queues)
{
	return std::bit_floor((1u << 21) / queues);
}

TrialSpec parse_trial_spec(const Json &spec)
{
	SpecReader in(spec, "");
	TrialSpec t{};
	t.engine = in.choice("engine", Engine::on_virtual_clock, engines);
	t.chain = parse_chain(in);
	t.form = in.choice("form", nf::Form::packet, forms);
	t.look_ahead = in.boolean("lookAhead", true);
	t.rules = static_cast<uint32_t>(in.integer(
		"rules", t.chain == nf::ChainKind::paper ? nf::calibrated_rules : nf::Config().nb_rules, 0,
		65534));
	t.packet_rules =
		static_cast<uint32_t>(in.integer("packetRules", nf::Config().nb_packet_rules, 0, 65534));
	t.deny_share = in.real("denyShare", 0.0, 0.0, 1.0);
	t.policy = in.choice("policy", HoldPolicy::off, policies);
	t.delay_ns = in.integer("delayNs", 64000, 0, 1000000000);
	t.key = in.choice("key", uint32_t{REFRAMER_KEY_5TUPLE}, keys);
	t.nic_hash = in.boolean("nicHash", t.key == REFRAMER_KEY_5TUPLE);
	if (t.nic_hash && t.key != REFRAMER_KEY_5TUPLE)
		in.fail("nicHash",
		        "must be false unless key is 5tuple: the NIC hashes directional 5-tuples");
	t.early = flags(
		in, "early",
		{{"fin", REFRAMER_EARLY_FIN}, {"rst", REFRAMER_EARLY_RST}, {"psh", REFRAMER_EARLY_PSH}});
	t.bypass = flags(in, "bypass",
	                 {{"syn", REFRAMER_BYPASS_SYN},
	                  {"new-flow", REFRAMER_BYPASS_NEW_FLOW},
	                  {"dscp-ef", REFRAMER_BYPASS_DSCP_EF},
	                  {"ect1", REFRAMER_BYPASS_ECT1},
	                  {"dns", REFRAMER_BYPASS_DNS}});
	t.ack_thinning = in.boolean("ackThinning", false);
	t.sensitive = in.choice("sensitive", uint8_t{0},
	                        {{"none", uint8_t{0}}, {"tcp", uint8_t{6}}, {"udp", uint8_t{17}}});
	t.sensitive_passes = in.boolean("sensitivePasses", true);
	t.max_held = static_cast<uint32_t>(in.integer("maxHeld", 4096, 32, 1u << 16));
	t.source = parse_source(in.take("source"));
	t.offered_bps = in.real("offeredBps", 70e9, 1e6, 1e12);
	t.offered_pps = in.real("offeredPps", 0, 0, 1e9);
	if (t.offered_pps > 0 && (in.has("offeredBps") || t.source.file.empty() || t.source.scaled))
		in.fail("offeredPps",
		        "goes with a capture sent at a constant rate, and without offeredBps");
	t.offered_share = in.real("offeredShare", 0, 0, 1);
	if (t.offered_share > 0 && t.offered_pps > 0)
		in.fail("offeredShare", "goes with offeredBps, not with offeredPps");
	t.queues = static_cast<uint32_t>(in.integer("queues", 8, 1, 128));
	t.front_cores = static_cast<uint32_t>(in.integer("frontCores", 0, 0, t.queues));
	if (t.front_cores && (t.queues % t.front_cores != 0 || t.policy == HoldPolicy::off))
		in.fail("frontCores", "must divide queues, and needs a policy other than off");
	t.table_flows = static_cast<uint32_t>(
		in.integer("tableFlows", (1u << 19) / t.queues, 0, table_capacity(t.queues) * 3 / 4));
	t.ring_depth = static_cast<uint32_t>(in.integer("ringDepth", 256, 32, 32768));
	t.burst = static_cast<uint32_t>(in.integer("burst", 32, 1, 256));
	t.release_max = static_cast<uint32_t>(in.integer("releaseMax", 0, 0, 1u << 16));
	t.dma_asked = in.has("dma");
	t.dma = in.choice("dma", Into::llc, dmas);
	t.duration_ns = in.integer("durationNs", 20000000, 1000, 60000000000);
	t.warmup_ns = in.integer("warmupNs", 5000000, 0, 60000000000);
	t.learn_ns = in.integer("learnNs", 50000000, 0, 60000000000);
	t.service_ns = in.integer("serviceNs", 0, 0, 1000000000);
	t.service_run_ns = in.integer("serviceRunNs", 0, 0, 1000000000);
	if (t.service_run_ns && !t.service_ns)
		in.fail("serviceRunNs", "goes with serviceNs only");
	t.seed = in.integer("seed", 1, 0, 1ull << 53);
	t.raw = in.boolean("raw", false);
	t.stand_twice = in.boolean("standTwice", false);
	if (const Json *cpus = in.take("cpus")) {
		if (!cpus->is_array() || cpus->empty() || cpus->size() > 2)
			in.fail("cpus", "must be a list of one or two core numbers");
		for (const Json &cpu : *cpus) {
			if (!cpu.is_number_integer() || cpu < 0 || cpu > 1023)
				in.fail("cpus", "must be a list of one or two core numbers");
			t.cpus.push_back(cpu.get<int>());
		}
	}
	if (const Json *dump = in.take("dump")) {
		SpecReader d(*dump, "dump");
		t.dump_file = d.text("file", "");
		t.dump_packets = d.integer("packets", 1000, 1, 1000000);
		d.finish();
		if (t.dump_file.empty())
			d.fail("file", "is missing");
	}
	in.finish();
	if (t.engine == Engine::threads) {
		if (t.raw || t.stand_twice || t.service_ns || t.dma != Into::llc || !t.dump_file.empty())
			in.fail("engine",
			        "'threads' goes without raw, standTwice, serviceNs, dump and dma 'dram'");
		if (t.policy == HoldPolicy::adaptive)
			in.fail("policy", "adaptive needs load reports, which engine 'threads' does not give");
		if (t.front_cores || t.sensitive)
			in.fail("engine", "'threads' goes without frontCores and sensitive");
	}
	return t;
}

Json describe(const TrialSpec &t)
{
	Json source = t.source.generator;
	if (t.source.file.empty()) {
		source["profile"] = t.source.profile;
	} else {
		source["file"] = t.source.file;
		source["timing"] = t.source.scaled ? "scaled" : "rate";
	}
	Json out = {{"engine", word(t.engine, engines)},
	            {"chain", chain_name(t.chain)},
	            {"form", word(t.form, forms)},
	            {"lookAhead", t.look_ahead},
	            {"rules", t.rules},
	            {"packetRules", t.packet_rules},
	            {"denyShare", t.deny_share},
	            {"tableFlows", t.table_flows},
	            {"policy", word(t.policy, policies)},
	            {"delayNs", t.delay_ns},
	            {"key", word(t.key, keys)},
	            {"nicHash", t.nic_hash},
	            {"early", flag_names(t.early, {"fin", "rst", "psh"})},
	            {"bypass", flag_names(t.bypass, {"syn", "new-flow", "dscp-ef", "ect1", "dns"})},
	            {"ackThinning", t.ack_thinning},
	            {"sensitive", t.sensitive == 6    ? "tcp"
	                          : t.sensitive == 17 ? "udp"
	                                              : "none"},
	            {"sensitivePasses", t.sensitive_passes},
	            {"frontCores", t.front_cores},
	            {"maxHeld", t.max_held},
	            {"source", source},
	            {"queues", t.queues},
	            {"ringDepth", t.ring_depth},
	            {"burst", t.burst},
	            {"releaseMax", t.release_max},
	            {"dma", word(t.dma, dmas)},
	            {"durationNs", t.duration_ns},
	            {"warmupNs", t.warmup_ns},
	            {"learnNs", t.learn_ns},
	            {"serviceNs", t.service_ns},
	            {"serviceRunNs", t.service_run_ns},
	            {"seed", t.seed},
	            {"raw", t.raw},
	            {"standTwice", t.stand_twice},
	            {"cpus", t.cpus}};
	if (t.offered_pps > 0)
		out["offeredPps"] = t.offered_pps;
	else
		out["offeredBps"] = t.offered_bps;
	if (t.offered_share > 0)
		out["offeredShare"] = t.offered_share;
	if (!t.dump_file.empty())
		out["dump"] = {{"file", t.dump_file}, {"packets", t.dump_packets}};
	return out;
}

} // namespace reframer::lab
