#include "lab/reframer/trial_spec.hpp"

#include "lab/reframer/trial_source.hpp"

#include <bit>

namespace reframer::lab {

namespace {

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

SourceSpec parse_source(const Json &json)
{
	using traffic::Profile;
	SourceSpec source;
	SpecReader in(json, "source");
	source.file = in.text("file", "");
	if (!source.file.empty()) {
		if (in.has("profile"))
			in.fail("", "has both a file and a profile");
		in.read("timing", source.scaled, {{"rate", false}, {"scaled", true}});
		in.finish();
		source.understood = in.understood();
		return source;
	}
	in.read("profile", source.profile,
	        {{"campus", Profile::campus},
	         {"clients", Profile::clients},
	         {"uniform", Profile::uniform},
	         {"syn-flood", Profile::syn_flood},
	         {"elephant", Profile::elephant},
	         {"incast", Profile::incast}});
	source.generator = json;
	source.generator.erase("profile");
	source.generator.erase("file");
	source.understood = source.generator;
	source.understood["profile"] = in.understood()["profile"];
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
	in.read("engine", t.engine,
	        {{"virtual", Engine::on_virtual_clock}, {"threads", Engine::threads}});
	t.chain = parse_chain(in);
	in.read("form", t.form, {{"packet", nf::Form::packet}, {"run", nf::Form::run}});
	in.read("lookAhead", t.look_ahead);
	t.rules = t.chain == nf::ChainKind::paper ? nf::calibrated_rules : nf::Config().nb_rules;
	in.read("rules", t.rules, 0, 65534);
	in.read("packetRules", t.packet_rules, 0, 65534);
	in.read("denyShare", t.deny_share, 0.0, 1.0);
	in.read("policy", t.policy,
	        {{"off", HoldPolicy::off},
	         {"burst", HoldPolicy::burst},
	         {"fixed", HoldPolicy::fixed},
	         {"adaptive", HoldPolicy::adaptive}});
	in.read("delayNs", t.delay_ns, 0, 1000000000);
	in.read("key", t.key,
	        {{"5tuple", REFRAMER_KEY_5TUPLE},
	         {"symmetric", REFRAMER_KEY_SYMMETRIC},
	         {"destination", REFRAMER_KEY_DESTINATION},
	         {"inner", REFRAMER_KEY_INNER}});
	t.nic_hash = in.boolean("nicHash", t.key == REFRAMER_KEY_5TUPLE);
	if (t.nic_hash && t.key != REFRAMER_KEY_5TUPLE)
		in.fail("nicHash",
		        "must be false unless key is 5tuple: the NIC hashes directional 5-tuples");
	t.early = in.bits(
		"early",
		{{"fin", REFRAMER_EARLY_FIN}, {"rst", REFRAMER_EARLY_RST}, {"psh", REFRAMER_EARLY_PSH}});
	t.bypass = in.bits("bypass", {{"syn", REFRAMER_BYPASS_SYN},
	                              {"new-flow", REFRAMER_BYPASS_NEW_FLOW},
	                              {"dscp-ef", REFRAMER_BYPASS_DSCP_EF},
	                              {"ect1", REFRAMER_BYPASS_ECT1},
	                              {"dns", REFRAMER_BYPASS_DNS}});
	in.read("ackThinning", t.ack_thinning);
	in.read("sensitive", t.sensitive, {{"none", 0}, {"tcp", 6}, {"udp", 17}});
	in.read("sensitivePasses", t.sensitive_passes);
	in.read("maxHeld", t.max_held, 32, 1u << 16);
	const Json *source = in.take("source");
	t.source = parse_source(source ? *source : Json::object());
	in.read("offeredBps", t.offered_bps, 1e6, 1e12);
	in.read("offeredPps", t.offered_pps, 0, 1e9);
	if (t.offered_pps > 0 && (in.has("offeredBps") || t.source.file.empty() || t.source.scaled))
		in.fail("offeredPps",
		        "goes with a capture sent at a constant rate, and without offeredBps");
	in.read("offeredShare", t.offered_share, 0, 1);
	if (t.offered_share > 0 && t.offered_pps > 0)
		in.fail("offeredShare", "goes with offeredBps, not with offeredPps");
	in.read("queues", t.queues, 1, 128);
	in.read("frontCores", t.front_cores, 0, t.queues);
	if (t.front_cores && (t.queues % t.front_cores != 0 || t.policy == HoldPolicy::off))
		in.fail("frontCores", "must divide queues, and needs a policy other than off");
	t.table_flows = (1u << 19) / t.queues;
	in.read("tableFlows", t.table_flows, 0, table_capacity(t.queues) * 3 / 4);
	in.read("ringDepth", t.ring_depth, 32, 32768);
	in.read("burst", t.burst, 1, 256);
	in.read("releaseMax", t.release_max, 0, 1u << 16);
	in.read("durationNs", t.duration_ns, 1000, 60e9);
	in.read("warmupNs", t.warmup_ns, 0, 60e9);
	in.read("learnNs", t.learn_ns, 0, 60e9);
	in.read("serviceNs", t.service_ns, 0, 1000000000);
	in.read("serviceRunNs", t.service_run_ns, 0, 1000000000);
	if (t.service_run_ns && !t.service_ns)
		in.fail("serviceRunNs", "goes with serviceNs only");
	in.read("seed", t.seed, 0, 1ull << 53);
	in.read("raw", t.raw);
	in.read("standTwice", t.stand_twice);
	t.cores.read(in);
	if (const Json *dump = in.take("dump")) {
		SpecReader d(*dump, "dump");
		t.dump_file = d.text("file", "");
		t.dump_packets = d.integer("packets", 1000, 1, 1000000);
		d.finish();
		if (t.dump_file.empty())
			d.fail("file", "is missing");
	}
	t.understood = in.understood();
	if (t.engine == Engine::threads) {
		if (t.raw || t.stand_twice || t.service_ns || t.cores.dma != engine::Dma::Into::llc ||
		    !t.dump_file.empty())
			in.fail("engine",
			        "'threads' goes without raw, standTwice, serviceNs, dump and dma 'dram'");
		if (t.policy == HoldPolicy::adaptive)
			in.fail("policy", "adaptive needs load reports, which engine 'threads' does not give");
		if (t.front_cores || t.sensitive)
			in.fail("engine", "'threads' goes without frontCores and sensitive");
	}
	check_trial_source(t);
	in.finish();
	return t;
}

Json describe(const TrialSpec &t)
{
	Json out = t.understood;
	out["source"] = t.source.understood;
	out["dma"] = t.cores.dma == engine::Dma::Into::llc ? "llc" : "dram";
	out["cpus"] = t.cores.cpus;
	out["offeredBps"] = t.offered_bps;
	out.erase(t.offered_pps > 0 ? "offeredBps" : "offeredPps");
	if (t.offered_share == 0)
		out.erase("offeredShare");
	if (!t.dump_file.empty())
		out["dump"] = {{"file", t.dump_file}, {"packets", t.dump_packets}};
	return out;
}

} // namespace reframer::lab
