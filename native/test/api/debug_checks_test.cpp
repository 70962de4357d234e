// What only a debug build (-Dbuildtype=debug) looks at: counts that no program means. Each call runs in
// a child, since the check ends it. The entry points are compiled with the checks into this program,
// so that every build runs the test.
#include "reframer/conntrack_shared.h"
#include "reframer/reframer.h"
#include "reframer/rsspp.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef REFRAMER_DEBUG_CHECKS

namespace {

constexpr uint32_t negative = static_cast<uint32_t>(-1);

// @return how a child that makes the call ends, as wait() tells.
template <typename Call> int end_of(Call call)
{
	const pid_t child = fork();
	if (child == 0) {
		const rlimit none = {};
		setrlimit(RLIMIT_CORE, &none);
		// doctest would report the signal as a failure of its own; assert() would talk.
		std::signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		call();
		_exit(0);
	}
	int status = 0;
	REQUIRE(child > 0);
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

template <typename Call> bool aborts(Call call)
{
	const int status = end_of(call);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

template <typename Call> bool returns(Call call)
{
	const int status = end_of(call);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void *pointer;
uint8_t byte;
uint64_t digest;
const uint8_t key[40] = {};

} // namespace

TEST_CASE("a debug build ends at a burst, room or number of runs beyond any")
{
	reframer_params params;
	reframer_default_params(&params);
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	reframer_burst burst = {};
	burst.packets = &pointer;
	burst.count = negative;
	reframer_run run;
	uint32_t nb_runs = negative;
	CHECK(aborts([&] { reframer_push(stage, &burst, 0); }));
	CHECK(aborts([&] { reframer_poll(stage, 0, &pointer, negative, nullptr, nullptr); }));
	CHECK(aborts([&] { reframer_poll(stage, 0, &pointer, 1, &run, &nb_runs); }));
	CHECK(aborts([&] { reframer_drain(stage, 0, &pointer, negative, nullptr, nullptr); }));
	CHECK(aborts([&] { reframer_take_thinned(stage, &pointer, negative); }));
	// The largest that is none.
	CHECK(returns([&] { reframer_poll(stage, 0, &pointer, 1u << 24, nullptr, nullptr); }));
	CHECK(aborts([&] { reframer_poll(stage, 0, &pointer, (1u << 24) + 1, nullptr, nullptr); }));
	reframer_free(stage);
}

TEST_CASE("a debug build ends at more keys than there can be in a table of one thread")
{
	conntrack_params params;
	conntrack_default_params(&params);
	conntrack_table *t = nullptr;
	REQUIRE(conntrack_create(&params, &t) == 0);
	CHECK(aborts([&] { conntrack_digest_burst(t, key, nullptr, negative, &digest); }));
	CHECK(aborts([&] { conntrack_prefetch_burst(t, &digest, negative); }));
	CHECK(aborts([&] { conntrack_find_burst(t, key, nullptr, negative, 0, &pointer); }));
	CHECK(aborts(
		[&] { conntrack_find_or_insert_burst(t, key, nullptr, negative, 0, &pointer, nullptr); }));
	CHECK(aborts([&] { conntrack_remove_burst(t, key, nullptr, negative, 0); }));
	CHECK(aborts([&] { conntrack_load_states(t, &pointer, negative, &digest); }));
	CHECK(aborts([&] { conntrack_store_states(t, &pointer, negative, &digest); }));
	// Refused in every build, and so here.
	CHECK(returns([&] {
		if (conntrack_submit(t, key, nullptr, negative) != -EINVAL)
			abort();
	}));
	conntrack_free(t);
}

TEST_CASE("a debug build ends at more keys than there can be in a shared table")
{
	conntrack_params params;
	conntrack_default_params(&params);
	conntrack_shared *table = nullptr;
	REQUIRE(conntrack_shared_create(&params, &table) == 0);
	conntrack_thread *t = conntrack_shared_thread_create(table);
	CHECK(aborts([&] { conntrack_shared_digest_burst(t, key, negative, &digest); }));
	CHECK(
		aborts([&] { conntrack_shared_find_burst(t, key, nullptr, negative, 0, &digest, &byte); }));
	CHECK(aborts(
		[&] { conntrack_shared_store_burst(t, key, nullptr, negative, 0, &digest, &byte); }));
	CHECK(aborts([&] { conntrack_shared_remove_burst(t, key, nullptr, negative, 0, &byte); }));
	conntrack_shared_thread_free(t);
	conntrack_shared_free(table);
}

TEST_CASE("a debug build ends at more packets or moves than RSS++ can have")
{
	rsspp_handover_params params;
	rsspp_handover_default_params(&params);
	rsspp_handover *handover = nullptr;
	REQUIRE(rsspp_handover_create(&params, &handover) == 0);
	uint32_t hash = 0, nb_out;
	CHECK(aborts([&] {
		rsspp_handover_admit(handover, 0, &pointer, &hash, negative, &pointer, &hash, 1, &nb_out);
	}));
	CHECK(aborts([&] {
		rsspp_handover_admit(handover, 0, &pointer, &hash, 1, &pointer, &hash, negative, &nb_out);
	}));
	rsspp_handover_free(handover);
	rsspp_balancer_params balancer_params;
	rsspp_balancer_default_params(&balancer_params);
	rsspp_balancer *balancer = nullptr;
	REQUIRE(rsspp_balancer_create(&balancer_params, &balancer) == 0);
	const rsspp_move move = {};
	CHECK(aborts([&] { rsspp_balancer_reject(balancer, &move, negative); }));
	rsspp_balancer_free(balancer);
}

#endif
