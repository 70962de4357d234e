// What a trial knows of the machine: which cores are one, and when the core under test was away.
#include "base/cores.hpp"
#include "measure/absences.hpp"

#include "support/folder.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace reframer;
using reframer::test::Folder;

TEST_CASE("the second core is no thread of the first one's core")
{
	Folder folder;
	const auto says = [&](int cpu, const std::string &list) {
		const std::string path = folder.path.string() + "/cpu" + std::to_string(cpu) + "/topology";
		std::filesystem::create_directories(path);
		std::ofstream(path + "/thread_siblings_list") << list << "\n";
	};
	says(0, "0,2");
	says(1, "1,3");
	says(2, "0,2");
	says(4, "4-6");
	says(7, "nonsense");
	CHECK(base::thread_siblings(0, folder.path) == std::vector<int>{0, 2});
	CHECK(base::thread_siblings(4, folder.path) == std::vector<int>{4, 5, 6});
	CHECK(base::thread_siblings(7, folder.path) == std::vector<int>{7});
	CHECK(base::thread_siblings(99, folder.path) == std::vector<int>{99}); // Linux says nothing
	const std::vector<int> all = {0, 2, 3, 4}, pair = {0, 2}, one = {0};
	CHECK(base::other_core(0, all, folder.path) == 3);
	CHECK(base::other_core(4, all, folder.path) == 0);
	CHECK(!base::other_core(0, pair, folder.path));
	CHECK(!base::other_core(0, one, folder.path));
	CHECK(base::one_per_core(all, folder.path) == std::vector<int>{0, 3, 4});
	CHECK(base::one_per_core(pair, folder.path) == one);
	const std::vector<int> same_core = {6, 4, 1}, apart = {6, 1};
	says(6, "4-6");
	CHECK(base::one_per_core(same_core, folder.path) == apart);
}

TEST_CASE("what is an interrupt is told by the machine's usual one, within bounds")
{
	const auto told = [](std::initializer_list<double> excess) {
		engine::Absences all;
		for (double ns : excess) {
			engine::Absences one(1);
			one.note(ns, ns + 1000);
			all.merge(one);
		}
		return all.told();
	};
	CHECK(told({}).interrupt_max_ns == 100e3);
	CHECK(told({8e3, 9e3, 9e3, 99e3, 101e3}).preempted == 1);
	CHECK(told({50e3, 60e3, 60e3, 299e3, 301e3}).preempted == 1);
	CHECK(told({50e3, 60e3, 60e3, 299e3, 301e3}).preempted_ns == 302e3);
	CHECK(told({2e6, 3e6, 3e6}).preempted == 3);
	engine::Absences full(1);
	full.note(9e3, 10e3);
	full.note(9e6, 10e6); // no room to tell it
	CHECK(full.told().interrupted == 2);
	CHECK(full.told().interrupted_ns == 10e3 + 10e6);
}
