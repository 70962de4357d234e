// What threads of a shared table may do to each other outside of its calls: go, and ask for its counts.
#include "conntrack/shared/table.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include <unistd.h>

using namespace reframer::conntrack;

namespace {

conntrack_shared *make_table()
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.initial_flows = 64;
	params.seed = 3;
	conntrack_shared *table = nullptr;
	REQUIRE(conntrack_shared_create(&params, &table) == 0);
	return table;
}

// Whether a thread of this process sleeps.
bool sleeps(pid_t thread)
{
	std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
	std::string number, name, state;
	file >> number >> name >> state;
	return state == "S";
}

} // namespace

TEST_CASE(
	"a thread that goes frees no buckets that went out of use after it had looked who is in them")
{
	conntrack_shared *table = make_table();
	conntrack_thread *goes = conntrack_shared_thread_create(table),
					 *goes_later = conntrack_shared_thread_create(table);
	REQUIRE(goes_later);
	std::unique_lock lock(table->retire);
	std::atomic<pid_t> id = 0;
	std::atomic<bool> gone = false;
	std::thread thread([&] {
		id = gettid();
		conntrack_shared_thread_free(goes);
		gone = true;
	});
	// It has looked, and waits for the list.
	while (!gone && !(id != 0 && sleeps(id)))
		std::this_thread::yield();
	// Another thread ends a growth meanwhile, and a third may have entered the old buckets before.
	auto *old = new shared::Generation;
	old->retired_in = table->epoch.fetch_add(1);
	table->retired.push_back(old);
	lock.unlock();
	thread.join();
	CHECK(table->retired.size() == 1);
	// Now nobody can be in them.
	conntrack_shared_thread_free(goes_later);
	CHECK(table->retired.empty());
	conntrack_shared_free(table);
}

TEST_CASE("counts that are read while others count: never fewer flows than none")
{
	conntrack_shared *table = make_table();
	// The first thread had inserted nothing yet when it was looked at; the second has removed that flow.
	table->threads[1].removed.add(1);
	conntrack_stats stats;
	conntrack_shared_get_stats(table, &stats);
	CHECK(stats.flows == 0);
	table->threads[0].inserted.add(3);
	conntrack_shared_get_stats(table, &stats);
	CHECK(stats.flows == 2);
	conntrack_shared_free(table);
}
