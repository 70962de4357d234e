// Job `validate`: what it concludes from given measurements, and its parts at work.
#include "lab/reframer/validate.hpp"
#include "datapath/ports/poisson.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace reframer;
using namespace reframer::lab;

namespace {

std::string verdict(std::vector<double> on_virtual, std::vector<double> on_threads,
                    double dropped = 0.5)
{
	return compare_engines({on_virtual, on_threads, on_virtual, {0.5, dropped}}, 1)["verdict"];
}

} // namespace

TEST_CASE("engines agree where the whole interval lies within 3 %, and nowhere else")
{
	const std::vector<double> hundred(12, 100);
	const auto of = [](std::initializer_list<double> blocks) {
		std::vector<double> values;
		for (const double b : blocks)
			values.insert(values.end(), {b - 0.5, b + 0.5}); // two runs a block
		return values;
	};
	CHECK(verdict(hundred, of({101, 100, 99, 100, 101, 100})) == "agrees");
	CHECK(verdict(hundred, of({102, 102, 102, 102, 102, 102})) == "agrees");
	CHECK(verdict(hundred, of({96, 96, 96, 96, 96, 96})) == "differs");
	CHECK(verdict(hundred, of({130, 131, 129, 130, 130, 131})) == "differs");
	// As far off in the median as agrees, but wide; noise is no excuse.
	CHECK(verdict(hundred, of({101, 110, 90, 101, 95, 106})) == "undecided");
	CHECK(verdict(hundred, of({97, 97, 96, 97.5, 95, 98})) == "undecided"); // across the bound
	// Fewer than six blocks say nothing, however alike.
	CHECK(verdict({100, 101, 99, 100}, {100, 100, 101, 99}) == "undecided");
	CHECK(verdict({100, 101, 99, 100}, {50, 50, 50, 50}) == "undecided");
	CHECK(verdict(hundred, of({70, 71, 69, 70, 70, 70}), 0.01) == "not overloaded");
	const Json r = compare_engines(
		{{100, 110, 100, 110}, {52, 53, 52, 53}, {100, 110, 100, 110}, {0.5, 0.5}}, 1);
	CHECK(r["ratio"].get<double>() == doctest::Approx(0.5));
	CHECK(r["ratioLow"].is_null());
	CHECK(r["standing"].get<double>() == doctest::Approx(0));
	CHECK(r["noise"].get<double>() == doctest::Approx(10.0 / 105));
}

TEST_CASE("latencies are compared block by block")
{
	LatencyPair pair;
	for (int block = 0; block < 6; block++) { // the machine slows down: both engines do
		pair.on_virtual.insert(pair.on_virtual.end(), {1000.0 + 50 * block, 1010.0 + 50 * block});
		pair.on_threads.insert(pair.on_threads.end(), {1020.0 + 50 * block, 1010.0 + 50 * block});
	}
	CHECK(compare_latencies(pair, 1)["verdict"] == "agrees");
	for (double &ns : pair.on_threads)
		ns *= 1.1;
	const Json r = compare_latencies(pair, 1);
	CHECK(r["verdict"] == "differs");
	CHECK(r["ratio"].get<double>() == doctest::Approx(1.1).epsilon(0.01));
}

TEST_CASE("quantiles of M/D/1 are those of the textbook")
{
	// P(no wait) = 1 - rho, then the first piece of the distribution: (1 - rho) e^(rho t) for t < 1.
	CHECK(engine::md1_quantile_ns(1000, 0.2, 0.5) == 1000);
	CHECK(engine::md1_quantile_ns(1000, 0.5, 0.6) ==
	      doctest::Approx(1000 * (1 + std::log(1.2) / 0.5)));
	// The mean is the integral of 1 - F: (quantiles at equal steps add up to it).
	for (const double rho : {0.5, 0.8, 0.9}) {
		double sum = 0;
		for (int i = 0; i < 2000; i++)
			sum += engine::md1_quantile_ns(1000, rho, (i + 0.5) / 2000);
		CHECK(sum / 2000 == doctest::Approx(engine::md1_mean_ns(1000, rho)).epsilon(0.005));
	}
}

TEST_CASE("what standing between polls costs is no difference of the engines")
{
	// 10 ns a packet, 10.5 with twice the standing: 9.5 without.
	const std::vector<double> by_clock = {100, 100}, standing = {100 / 1.05, 100 / 1.05},
							  threads = {100 / 0.95, 100 / 0.95};
	const Json r = compare_engines({by_clock, threads, standing, {0.5}}, 1);
	CHECK(r["standing"].get<double>() == doctest::Approx(0.05));
	CHECK(r["ratio"].get<double>() == doctest::Approx(1));
}

TEST_CASE("the check against M/D/1 passes at the service time that it states")
{
	const Json r = check_md1(0.8, 200'000, 1);
	CHECK(r["expectedNs"].get<double>() == doctest::Approx(3000));
	CHECK(r["verdict"] == "agrees");
	CHECK(r["p50Ns"].get<double>() ==
	      doctest::Approx(r["expectedP50Ns"].get<double>()).epsilon(0.03));
	CHECK(r["p99Ns"].get<double>() ==
	      doctest::Approx(r["expectedP99Ns"].get<double>()).epsilon(0.03));
	CHECK(r["lowNs"].get<double>() <= r["meanNs"].get<double>());
	CHECK(r["meanNs"].get<double>() <= r["highNs"].get<double>());
}

TEST_CASE("validate reads its specification strictly")
{
	CHECK_THROWS_AS(run_validate({{"chains", {"papyrus"}}}), JobError);
	CHECK_THROWS_AS(run_validate({{"policies", "off"}}), JobError);
	CHECK_THROWS_AS(run_validate({{"block", 1}}), JobError);
}
