// The job `trial` from specification to record, on fixed service times so that results repeat.
#include "lab/reframer/trial.hpp"
#include "base/cores.hpp"
#include "traffic/capture_writer.hpp"

#include "cores.hpp"
#include "support/folder.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace reframer::lab {
// The program's own lives in main.cpp; nothing here emits.
void emit(const Json &) {}
} // namespace reframer::lab

using namespace reframer;
using reframer::test::Folder;
using namespace reframer::lab;

namespace {

// Small and on one core, so that it runs anywhere; 2 us a packet overloads 4 queues at 20 Gbps.
Json plain_spec()
{
	return {{"source", {{"profile", "clients"}, {"flows", 500}, {"interleave", 3}}},
	        {"offeredBps", 20e9},
	        {"queues", 4},
	        {"ringDepth", 64},
	        {"rules", 300},
	        {"tableFlows", 1000},
	        {"durationNs", 1000000},
	        {"warmupNs", 200000},
	        {"learnNs", 200000},
	        {"dma", "dram"},
	        {"cpus", {0}},
	        {"serviceNs", 2000}};
}

Json run(const Json &changes)
{
	Json spec = plain_spec();
	spec.update(changes);
	TrialSpec parsed = parse_trial_spec(spec);
	TrialOutcome outcome = run_trial_spec(parsed);
	return report(parsed, outcome);
}

std::string error_of(const Json &spec)
{
	try {
		parse_trial_spec(spec);
	} catch (const JobError &e) {
		CHECK(e.exit_code == (e.code == "not-supported" ? 3 : 2));
		return e.what();
	}
	return "";
}

bool core_zero_allowed()
{
	const cpu_set_t set = base::affinity();
	return CPU_ISSET(0, &set);
}

} // namespace

TEST_CASE("a specification is read strictly")
{
	CHECK(error_of(Json::object()) == "");
	CHECK(error_of({{"queus", 4}}) == "queus is not known here");
	CHECK(error_of({{"queues", "4"}}) == "queues must be a number");
	CHECK(error_of({{"queues", 4.5}}) == "queues must be a whole number");
	CHECK(error_of({{"queues", 0}}) == "queues is 0, must be from 1 to 128");
	CHECK(error_of({{"chain", "papyrus"}})
	          .starts_with("chain is 'papyrus', must be one of: paper, cached-rules, "));
	CHECK(error_of({{"early", {"fun"}}, {"policy", "fixed"}}) ==
	      "early does not know \"fun\", only fin, rst, psh");
	CHECK(error_of({{"frontCores", 2}}) != "");
	CHECK(error_of({{"frontCores", 3}, {"policy", "fixed"}}) != "");
	CHECK(error_of({{"engine", "thread"}}) ==
	      "engine is 'thread', must be one of: virtual, threads");
	CHECK(error_of({{"engine", "threads"}}) == "");
	CHECK(error_of({{"engine", "threads"}, {"serviceNs", 5}}) != "");
	CHECK(error_of({{"engine", "threads"}, {"policy", "adaptive"}}) != "");
	CHECK(error_of({{"engine", "threads"}, {"policy", "fixed"}, {"frontCores", 1}}) != "");
	CHECK(error_of({{"key", "destination"}, {"nicHash", true}}) != "");
	CHECK(error_of({{"source", {{"file", "a"}, {"profile", "campus"}}}}) != "");
	CHECK(error_of({{"source", {{"file", "a"}, {"speed", 1}}}}) ==
	      "source.speed is not known here");
	CHECK(error_of({{"offeredPps", 1e6}}) != "");
	CHECK(error_of({{"dump", Json::object()}}) == "dump.file is missing");
	CHECK(error_of(Json::array()) == "specification must be an object");
	Json twice = describe(parse_trial_spec(describe(parse_trial_spec(plain_spec()))));
	CHECK(twice == describe(parse_trial_spec(plain_spec())));
	CHECK_THROWS_AS(run({{"source", {{"profile", "uniform"}, {"speed", 1}}}}), JobError);
}

TEST_CASE("a trial repeats, whatever chain and form: same frames, drops, latencies")
{
	if (!core_zero_allowed())
		return;
	for (const char *policy : {"off", "burst", "fixed", "adaptive"}) {
		Json reference = run({{"policy", policy}, {"delayNs", 30000}});
		CAPTURE(policy);
		CHECK(reference["checks"]["passed"] == true);
		CHECK(reference["checks"]["held"] == 0);
		CHECK(reference["void"] == false);
		// 4 queues x 0.5 Mpps; 2.5 Mpps offered.
		CHECK(reference["throughputPps"].get<double>() == doctest::Approx(2e6).epsilon(0.05));
		CHECK(reference["offeredBps"].get<double>() == doctest::Approx(20e9).epsilon(0.05));
		CHECK(reference["drops"]["ring"].get<uint64_t>() > 0);
		for (const char *chain : {"paper", "modern"}) {
			for (const char *form : {"packet", "run"}) {
				Json r =
					run({{"policy", policy}, {"delayNs", 30000}, {"chain", chain}, {"form", form}});
				CAPTURE(chain);
				CAPTURE(form);
				CHECK(r["answer"] == reference["answer"]);
				CHECK(r["checks"] == reference["checks"]);
				CHECK(r["latencyNs"] == reference["latencyNs"]);
				CHECK(r["slfOut"] == reference["slfOut"]);
			}
		}
	}
}

TEST_CASE("a trial on threads: the same checks, and no figure that it cannot have")
{
	int last = 0;
	if (reframer::test::unpin(last) < 2) {
		MESSAGE("skipped: two cores are needed");
		return;
	}
	for (const char *policy : {"off", "fixed"}) {
		Json spec = plain_spec();
		for (const char *name : {"serviceNs", "dma", "cpus"})
			spec.erase(name);
		spec.update({{"engine", "threads"}, {"policy", policy}, {"queues", 2}});
		TrialSpec parsed = parse_trial_spec(spec);
		Json r;
		for (int attempt = 0; attempt < 5; attempt++) {
			reframer::test::unpin(last); // from the trial before
			r = report(parsed, run_trial_spec(parsed));
			if (r["throughputPps"].get<double>() > 0)
				break; // else the polling core was given to others for all of the window
		}
		CAPTURE(policy);
		CHECK(r["checks"]["passed"] == true);
		CHECK(r["checks"]["held"] == 0);
		CHECK(r["spec"]["engine"] == "threads");
		CHECK(r["offeredBps"].get<double>() == doctest::Approx(20e9).epsilon(0.05));
		CHECK(r["throughputPps"].get<double>() > 0);
		for (const char *name : {"stageNsPerPacket", "chainNsPerPacket", "answer"})
			CHECK(r[name].is_null());
		CHECK(r["polls"]["preempted"].is_null());
	}
	Json long_one = {{"engine", "threads"}, {"durationNs", 1e9}};
	reframer::test::unpin(last);
	TrialSpec too_long = parse_trial_spec(long_one);
	CHECK_THROWS_WITH_AS(run_trial_spec(too_long), doctest::Contains("1 GiB"), JobError);
}

TEST_CASE("the stage lengthens runs and delays by no more than T and a poll")
{
	if (!core_zero_allowed())
		return;
	Json light = {{"serviceNs", 100}, {"source", {{"profile", "clients"}, {"flows", 50}}}};
	Json off = run(light);
	CHECK(off["slfOut"] == off["slfIn"]);
	CHECK(off["holdNs"].is_null());
	light["policy"] = "fixed";
	light["delayNs"] = 50000;
	Json held = run(light);
	CHECK(held["slfOut"].get<double>() > 1.5 * off["slfOut"].get<double>());
	CHECK(held["latencyNs"]["max"].get<double>() < 50000 + 2 * 32 * 100 + 4096 * 100);
	CHECK(held["latencyNs"]["p50"].get<double>() > off["latencyNs"]["p50"].get<double>());
	CHECK(held["holdNs"]["max"].get<double>() >= 50000 * 0.9);
	CHECK(held["drops"]["ring"] == 0);
	// What is left when the hold is taken off is what the chain takes, as without the stage.
	CHECK(off["ownLatencyNs"]["p50"] == off["latencyNs"]["p50"]);
	CHECK(held["ownLatencyNs"]["p99"].get<double>() < 20000);
}

TEST_CASE("a share of what the chain carries alone is offered, whatever the policy")
{
	if (!core_zero_allowed())
		return;
	CHECK(error_of({{"offeredShare", 1.5}}) != "");
	CHECK(error_of({{"offeredShare", 0.5}, {"offeredPps", 1e6}, {"source", {{"file", "a"}}}}) !=
	      "");
	const Json alone = run(Json::object()); // 2 us a packet: overload
	for (const char *policy : {"off", "fixed"}) {
		const Json r = run({{"offeredShare", 0.9}, {"policy", policy}});
		CHECK(r["checks"]["passed"] == true);
		CHECK(r["saturatedBps"] == alone["throughputBps"]);
		CHECK(r["offeredBps"].get<double>() ==
		      doctest::Approx(0.9 * alone["throughputBps"].get<double>()).epsilon(0.05));
		CHECK(r["spec"]["offeredShare"] == 0.9);
	}
	CHECK(alone["saturatedBps"].is_null());
	CHECK_THROWS_AS(run({{"offeredShare", 0.9}, {"serviceNs", 1}}), JobError); // nothing overflows
}

TEST_CASE("preemptions void a trial by their rate, interrupts only when they take over")
{
	TrialSpec spec = parse_trial_spec(plain_spec());
	TrialOutcome outcome;
	outcome.queues.resize(1);
	engine::QueueResult &r = outcome.queues[0].result;
	double usual = 20e3;
	const auto verdict = [&](double polling_ns, uint64_t preempted, uint64_t interrupted) {
		r.departed_packets = 1;
		r.polls = 1000;
		r.absences = engine::Absences(1000);
		for (uint64_t i = 0; i < preempted; i++)
			r.absences.note(1e6, 1e6);
		for (uint64_t i = 0; i < interrupted; i++)
			r.absences.note(usual, usual);
		r.total_ns = polling_ns + 1e6 * static_cast<double>(preempted) +
		             usual * static_cast<double>(interrupted);
		const Json record = report(spec, outcome);
		CHECK(record["polls"]["preempted"] == preempted);
		CHECK(record["polls"]["interrupted"] == interrupted);
		CHECK(record["void"].get<bool>() == !record["voidReason"].is_null());
		return record["void"].get<bool>();
	};
	CHECK(!verdict(32e6, 0, 0));
	CHECK(!verdict(32e6, 1, 0));
	CHECK(!verdict(29e6, 1, 0)); // shorter than 30 ms: one is no rate
	CHECK(verdict(32e6, 2, 0));
	CHECK(!verdict(320e6, 10, 0));
	CHECK(verdict(320e6, 11, 0));
	CHECK(!verdict(100e6, 0, 50)); // 500 a second
	CHECK(!verdict(100e6, 0, 1000));
	CHECK(verdict(100e6, 0, 1300));
	usual = 70e3; // 1,500 a second of a hypervisor's timer
	CHECK(!verdict(32e6, 1, 50));
	CHECK(verdict(32e6, 2, 50));
}

TEST_CASE("rules that deny are dropped by the chain and booked as such")
{
	if (!core_zero_allowed())
		return;
	Json r = run({{"rules", 65000}, {"denyShare", 1.0}, {"serviceNs", 10}});
	CHECK(r["checks"]["passed"] == true);
	CHECK(r["drops"]["nfReasons"]["denied"] == r["checks"]["nfDropped"]);
}

TEST_CASE("departed frames carry right checksums in tshark's eyes")
{
	if (!core_zero_allowed())
		return;
	if (std::system("tshark --version >/dev/null 2>&1") != 0) {
		MESSAGE("skipped: tshark is not installed");
		return;
	}
	Folder folder;
	for (const char *profile : {"clients", "uniform", "campus"}) {
		std::string file = folder.path / (std::string(profile) + ".pcap");
		Json source = {{"profile", profile}};
		Json r = run({{"source", source},
		              {"policy", "fixed"},
		              {"serviceNs", 50},
		              {"dump", {{"file", file}, {"packets", 300}}}});
		CHECK(r["checks"]["passed"] == true);
		auto count = [&](const std::string &filter) {
			std::string command = "tshark -r " + file +
			                      " -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE"
			                      " -o udp.check_checksum:TRUE -Y '" +
			                      filter + "' 2>/dev/null | wc -l";
			FILE *pipe = popen(command.c_str(), "r");
			REQUIRE(pipe);
			int n = -1;
			CHECK(std::fscanf(pipe, "%d", &n) == 1);
			pclose(pipe);
			return n;
		};
		CAPTURE(profile);
		int frames = count("frame");
		CHECK(frames > 100);
		CHECK(count("ip.checksum.status == \"Good\"") == frames);
		CHECK(count("tcp.checksum.status == \"Good\" || udp.checksum.status == \"Good\"") ==
		      frames);
		CHECK(count("ip.src == 198.18.0.0/15") == frames);
	}
}

TEST_CASE("a capture is repeated at the asked rate, from any link")
{
	if (!core_zero_allowed())
		return;
	Folder folder;
	std::string file = folder.path / "in.pcap";
	// Dump Ethernet frames of the generator, then the same without their link header.
	run({{"policy", "off"}, {"serviceNs", 10}, {"dump", {{"file", file}, {"packets", 200}}}});
	std::string raw = folder.path.string() + "/raw.pcap";
	{
		traffic::CaptureWriter writer(raw);
		std::vector<uint8_t> ip = {0x45, 0, 0,  28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
		                           0,    1, 10, 0,  0, 2, 0, 1, 0,  2,  0, 8, 0,  0};
		traffic::CaptureInterface interface;
		interface.link_field = 101;
		for (uint64_t i = 0; i < 10; i++) {
			packet::Frame f = {ip.data(), 28, 28, i * 1000000, packet::LinkType::raw_ip, 0};
			writer.write(f, f.time_ns, interface);
		}
		writer.finish();
	}
	for (const std::string &name : {file, raw}) {
		for (const char *timing : {"rate", "scaled"}) {
			Json r = run({{"source", {{"file", name}, {"timing", timing}}},
			              {"offeredBps", name == raw ? 5e8 : 20e9},
			              {"serviceNs", 50}});
			CAPTURE(name);
			CAPTURE(timing);
			CHECK(r["checks"]["passed"] == true);
			CHECK(r["checks"]["nfDropped"] == 0);
			CHECK(r["flows"].get<uint64_t>() >= 1);
			CHECK(r["offeredBps"].get<double>() ==
			      doctest::Approx(name == raw ? 5e8 : 20e9).epsilon(0.12));
		}
	}
	Json spec = plain_spec();
	spec.erase("offeredBps");
	spec["source"] = {{"file", file}};
	spec["offeredPps"] = 1e6;
	TrialSpec parsed = parse_trial_spec(spec);
	Json r = report(parsed, run_trial_spec(parsed));
	CHECK(r["offeredPps"].get<double>() == doctest::Approx(1e6).epsilon(0.01));
	CHECK_THROWS(run({{"source", {{"file", folder.path.string() + "/none.pcap"}}}}));
}

TEST_CASE("cores in front: nothing is lost between them, and latency counts from the first")
{
	if (!core_zero_allowed())
		return;
	// 10 Gbps are well within what four cores of 2 us a packet take, and eight of them in sequence.
	Json in_chain = run({{"policy", "fixed"}, {"delayNs", 50000}, {"offeredBps", 5e9}});
	for (int cores : {4, 2, 1}) {
		Json r = run({{"policy", "fixed"},
		              {"delayNs", 50000},
		              {"offeredBps", 5e9},
		              {"serviceNs", 100},
		              {"frontCores", cores}});
		CHECK(r["checks"]["passed"] == true);
		CHECK(r["checks"]["in"] == in_chain["checks"]["in"]);
		CHECK(r["checks"]["ringDropped"] == 0);
		CHECK(r["checks"]["out"] == r["checks"]["in"]);
		CHECK(r["cores"] == 4.0 + cores);
		CHECK(r["front"]["cores"] == cores);
		CHECK(r["slfIn"].get<double>() > 1.5); // what arrives at the chain is reframed already
		CHECK(r["latencyNs"]["max"].get<double>() > 40000); // the wait in front counts
		CHECK(r["latencyNs"]["max"].get<double>() < 90000);
		CHECK(r["holdNs"]["max"].get<double>() < 60000);
	}
}

TEST_CASE("hard traffic comes as its profile says")
{
	if (!core_zero_allowed())
		return;
	for (const char *policy : {"off", "fixed", "adaptive"}) {
		Json flood =
			run({{"source", {{"profile", "syn-flood"}}}, {"policy", policy}, {"offeredBps", 1e9}});
		CHECK(flood["checks"]["passed"] == true);
		CHECK(flood["slfOut"] == 1.0);
		CHECK(flood["flows"].get<uint64_t>() >= flood["checks"]["in"].get<uint64_t>());
		Json elephant = run({{"source", {{"profile", "elephant"}, {"flows", 1000}}},
		                     {"policy", policy},
		                     {"queues", 1},
		                     {"offeredBps", 2e9}});
		CHECK(elephant["checks"]["passed"] == true);
		CHECK(elephant["slfIn"].get<double>() > 3);
		Json incast = run({{"source", {{"profile", "incast"}, {"flows", 32}}},
		                   {"policy", policy},
		                   {"offeredBps", 4e9}});
		CHECK(incast["checks"]["passed"] == true);
		CHECK(incast["flows"] == 32);
		// A round of 256 frames every half millisecond; the rings of 64 hold what a queue gets of it.
		CHECK(incast["latencyNs"]["max"].get<double>() > 10000);
	}
}

TEST_CASE("early release, thinning and a class that passes reach the stage")
{
	if (!core_zero_allowed())
		return;
	const Json campus = {{"source", {{"profile", "campus"}}},
	                     {"policy", "fixed"},
	                     {"serviceNs", 300},
	                     {"nicHash", false},
	                     {"delayNs", 100000}};
	auto with = [&](Json more) {
		more.update(campus);
		return run(more);
	};
	CHECK(with({{"early", {"psh", "fin", "rst"}}})["reframer"]["reasons"]["early"].get<uint64_t>() >
	      0);
	CHECK(with({{"bypass", {"syn", "new-flow"}}})["reframer"]["reasons"]["bypass"].get<uint64_t>() >
	      0);
	Json thinned = with({{"ackThinning", true}});
	CHECK(thinned["checks"]["passed"] == true);
	CHECK(thinned["checks"]["thinned"].get<uint64_t>() > 0);
	Json waits = with({{"sensitive", "udp"}, {"sensitivePasses", false}}),
		 passes = with({{"sensitive", "udp"}});
	CHECK(passes["sensitiveLatencyNs"]["p50"].get<double>() < 50000);
	CHECK(waits["sensitiveLatencyNs"]["p50"].get<double>() > 50000);
}
