// Job `validate`: what it concludes from given measurements, and its parts at work.
#include "lab/reframer/validate.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reframer::lab;

namespace {

std::string verdict(std::vector<double> on_virtual, std::vector<double> on_threads, double dropped = 0.5)
{
	return compare_engines({on_virtual, on_threads, on_virtual, {0.5, dropped}}, 1)["verdict"];
}

} // namespace

TEST_CASE("engines agree within the noise of the machine, and not beyond it")
{
	CHECK(verdict({100, 101, 99, 100}, {100, 100, 101, 99}) == "agrees");
	CHECK(verdict({100, 100, 100, 100}, {97, 97, 97, 97}) == "differs");
	CHECK(verdict({100, 104, 98, 102}, {97, 101, 99, 95}) == "agrees");
	CHECK(verdict({100, 101, 99, 100}, {130, 131, 129, 130}) == "differs");
	// Median 5 % off, noise 2 %, but one block of three hardly differs: more blocks would tell.
	CHECK(verdict({100, 102, 100, 102, 100, 102}, {99, 101, 95, 97, 95, 97}) == "undecided");
	CHECK(verdict({100, 101, 99, 100}, {70, 71, 69, 70}, 0.01) == "not overloaded");
	const Json r = compare_engines({{100, 110, 100, 110}, {52, 53, 52, 53}, {100, 110, 100, 110}, {0.5, 0.5}}, 1);
	CHECK(r["ratio"].get<double>() == doctest::Approx(0.5));
	CHECK(r["ratioLow"].get<double>() == doctest::Approx(0.5));
	CHECK(r["standing"].get<double>() == doctest::Approx(0));
	CHECK(r["noise"].get<double>() == doctest::Approx(10.0 / 105));
}

TEST_CASE("what standing between polls costs is no difference of the engines")
{
	// 10 ns a packet, 10.5 with twice the standing: 9.5 without.
	const std::vector<double> by_clock = {100, 100}, standing = {100 / 1.05, 100 / 1.05}, threads = {100 / 0.95, 100 / 0.95};
	const Json r = compare_engines({by_clock, threads, standing, {0.5}}, 1);
	CHECK(r["standing"].get<double>() == doctest::Approx(0.05));
	CHECK(r["ratio"].get<double>() == doctest::Approx(1));
}

TEST_CASE("the check against M/D/1 passes at the service time that it states")
{
	const Json r = check_md1(0.8, 200'000, 1);
	CHECK(r["expectedNs"].get<double>() == doctest::Approx(3000));
	CHECK(r["verdict"] == "agrees");
	CHECK(r["lowNs"].get<double>() <= r["meanNs"].get<double>());
	CHECK(r["meanNs"].get<double>() <= r["highNs"].get<double>());
}

TEST_CASE("validate reads its specification strictly")
{
	CHECK_THROWS_AS(run_validate({{"chains", {"papyrus"}}}), JobError);
	CHECK_THROWS_AS(run_validate({{"policies", "off"}}), JobError);
	CHECK_THROWS_AS(run_validate({{"block", 1}}), JobError);
}
