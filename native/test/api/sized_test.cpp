// Programs and libraries of different versions: structs of another length.
#include "reframer/conntrack_shared.h"
#include "reframer/deprecated.h"
#include "reframer/reframer.h"
#include "reframer/rsspp.h"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace {

constexpr uint8_t canary = 0xa5;

// A struct of `size` bytes as an older or newer header has it, and a canary behind it.
struct Memory {
	explicit Memory(size_t size) : size(size), bytes(size + 64, canary) {}
	template <typename T> T *as() { return reinterpret_cast<T *>(bytes.data()); }
	bool canary_lives() const
	{
		for (size_t i = size; i < bytes.size(); i++)
			if (bytes[i] != canary)
				return false;
		return true;
	}
	size_t size;
	std::vector<uint8_t> bytes;
};

// Defaults into every length, compared with those of the full one; then create from them.
template <typename Params, typename Init, typename Check> void each_length(Init init, Check check)
{
	Params full;
	init(&full, sizeof full);
	for (size_t size = sizeof(size_t); size <= sizeof full + 24; size += 4) {
		CAPTURE(size);
		Memory m(size);
		init(m.as<Params>(), size);
		CHECK(m.canary_lives());
		size_t stamped;
		std::memcpy(&stamped, m.bytes.data(), sizeof stamped);
		CHECK(stamped == size);
		const size_t common = std::min(size, sizeof full) - sizeof(size_t);
		CHECK(std::memcmp(m.bytes.data() + sizeof(size_t),
		                  reinterpret_cast<char *>(&full) + sizeof(size_t), common) == 0);
		CHECK(check(m.as<Params>(), nullptr, 0) == 0);
		if (size > sizeof full) {
			// A member that this library does not know, set.
			m.bytes[size - 1] = 1;
			char why[256];
			CHECK(check(m.as<Params>(), why, sizeof why) == -EINVAL);
			CHECK(std::string(why).starts_with("size is "));
		}
	}
	full.size = 0;
	CHECK(check(&full, nullptr, 0) == -EINVAL);
	full.size = size_t(-1);
	// The headers say that 128 bytes are enough.
	char enough[128], more[512];
	CHECK(check(&full, enough, sizeof enough) == -EINVAL);
	CHECK(check(&full, more, sizeof more) == -EINVAL);
	CHECK(std::string(enough) == more);
	CHECK(check(&full, nullptr, 0) == -EINVAL);
	init(nullptr, 8);
	char why[256];
	CHECK(check(nullptr, why, sizeof why) == -EINVAL);
	CHECK(std::string(why) == "params is NULL");
}

} // namespace

TEST_CASE(
	"parameters: a shorter struct is filled to its end and no further, a longer one if nothing new is set")
{
	each_length<reframer_params>(reframer_params_init, reframer_check);
	each_length<conntrack_params>(conntrack_params_init, conntrack_check);
	each_length<rsspp_balancer_params>(rsspp_balancer_params_init, rsspp_balancer_check);
	each_length<rsspp_handover_params>(rsspp_handover_params_init, rsspp_handover_check);
}

TEST_CASE("the defaults stamp the size that the program was compiled with")
{
	reframer_params params;
	reframer_default_params(&params);
	CHECK(params.size == sizeof params);
	conntrack_params table;
	conntrack_default_params(&table);
	CHECK(table.size == sizeof table);
	CHECK(conntrack_shared_check(&table, nullptr, 0) == 0);
}

TEST_CASE("create works from an older, shorter struct")
{
	Memory m(offsetof(reframer_params, rules));
	reframer_params_init(m.as<reframer_params>(), m.size);
	m.as<reframer_params>()->delay_ns = 5000;
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(m.as<reframer_params>(), &stage) == 0);
	const uint8_t frame[60] = {};
	const uint8_t *data = frame;
	uint32_t captured = sizeof frame;
	void *packet = &captured;
	const reframer_burst burst = {&packet, &data, &captured, nullptr, nullptr, 1};
	CHECK(reframer_push(stage, &burst, 0) == 1);
	CHECK(reframer_next_deadline(stage) == 5000);
	void *out;
	CHECK(reframer_drain(stage, 0, &out, 1, nullptr, nullptr) == 1);
	reframer_free(stage);
}

TEST_CASE("statistics, solutions and reports: no byte beyond what the program has")
{
	reframer_params params;
	reframer_default_params(&params);
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	conntrack_params table_params;
	conntrack_default_params(&table_params);
	conntrack_table *table = nullptr;
	REQUIRE(conntrack_create(&table_params, &table) == 0);
	conntrack_shared *shared = nullptr;
	REQUIRE(conntrack_shared_create(&table_params, &shared) == 0);
	rsspp_handover_params handover_params;
	rsspp_handover_default_params(&handover_params);
	rsspp_handover *handover = nullptr;
	REQUIRE(rsspp_handover_create(&handover_params, &handover) == 0);
	const auto each = [](size_t whole, auto write) {
		for (size_t size = 0; size <= whole + 16; size += 4) {
			Memory m(size);
			write(m, size);
			CAPTURE(size);
			CHECK(m.canary_lives());
			for (size_t i = whole; i < size; i++)
				CHECK(m.bytes[i] == 0);
		}
	};
	each(sizeof(reframer_stats),
	     [&](Memory &m, size_t size) { reframer_stats_get(stage, m.as<reframer_stats>(), size); });
	each(sizeof(conntrack_stats), [&](Memory &m, size_t size) {
		conntrack_stats_get(table, m.as<conntrack_stats>(), size);
	});
	each(sizeof(conntrack_stats), [&](Memory &m, size_t size) {
		conntrack_shared_stats_get(shared, m.as<conntrack_stats>(), size);
	});
	each(sizeof(rsspp_handover_stats), [&](Memory &m, size_t size) {
		rsspp_handover_stats_get(handover, 0, m.as<rsspp_handover_stats>(), size);
	});

	rsspp_solver *solver = nullptr;
	REQUIRE(rsspp_solver_create(4, 2, &solver) == 0);
	const float load[4] = {0.4f, 0.3f, 0.2f, 0.1f};
	const uint16_t owner[4] = {};
	uint16_t next[4];
	rsspp_problem problem = {};
	problem.nb_buckets = 4;
	problem.nb_cores = 2;
	problem.bucket_load = load;
	problem.owner = owner;
	each(sizeof(rsspp_solution), [&](Memory &m, size_t size) {
		CHECK(rsspp_solve_sized(solver, RSSPP_LPT, &problem, offsetof(rsspp_problem, tolerance),
		                        next, m.as<rsspp_solution>(), size) == 0);
	});
	rsspp_balancer_params balancer_params;
	rsspp_balancer_default_params(&balancer_params);
	balancer_params.nb_buckets = 4;
	balancer_params.nb_cores = 2;
	rsspp_balancer *balancer = nullptr;
	REQUIRE(rsspp_balancer_create(&balancer_params, &balancer) == 0);
	const uint64_t packets[4] = {};
	const float core_load[2] = {};
	const rsspp_epoch epoch = {packets, core_load, nullptr, nullptr};
	rsspp_move moves[4];
	each(sizeof(rsspp_report), [&](Memory &m, size_t size) {
		CHECK(rsspp_balancer_step_sized(balancer, &epoch, offsetof(rsspp_epoch, waiting), moves,
		                                m.as<rsspp_report>(), size) >= 0);
	});
	rsspp_balancer_free(balancer);
	rsspp_solver_free(solver);
	rsspp_handover_free(handover);
	conntrack_shared_free(shared);
	conntrack_free(table);
	reframer_free(stage);
}

TEST_CASE("hold times: as many buckets as there is room for, and as programs of 0.1 ask for them")
{
	reframer_params params;
	reframer_default_params(&params);
	params.delay_ns = 5000;
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	const uint8_t frame[60] = {};
	const uint8_t *data = frame;
	uint32_t captured = sizeof frame;
	void *packet = &captured;
	const reframer_burst burst = {&packet, &data, &captured, nullptr, nullptr, 1};
	REQUIRE(reframer_push(stage, &burst, 0) == 1);
	void *out;
	REQUIRE(reframer_poll(stage, 5000, &out, 1, nullptr, nullptr) == 1);

	uint64_t all[REFRAMER_HISTOGRAM_BUCKETS + 8];
	std::fill(std::begin(all), std::end(all), 7);
	reframer_hold_histogram(stage, all, REFRAMER_HISTOGRAM_BUCKETS + 8);
	CHECK(std::accumulate(std::begin(all), std::end(all), uint64_t{0}) == 1);
	const uint64_t held = reframer_hold_quantile(all, REFRAMER_HISTOGRAM_BUCKETS, 0.5);
	CHECK((held <= 5000 && held >= 5000 * 15 / 16));
	Memory few(40);
	reframer_hold_histogram(stage, few.as<uint64_t>(), 5);
	CHECK(few.canary_lives());

	Memory before(sizeof(reframer_stats_0_1));
	reframer_stats_get(stage, before.as<reframer_stats>(), before.size);
	CHECK(before.canary_lives());
	const auto *old = before.as<reframer_stats_0_1>();
	CHECK(old->packets_out == 1);
	CHECK(old->hold_max_ns == 5000);
	CHECK(old->delay_ns == 5000);
	CHECK(old->passed == 0);
	CHECK(std::memcmp(old->hold_histogram, all, sizeof old->hold_histogram) == 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	CHECK(reframer_histogram_quantile(old, 0.5) == held);
	CHECK(reframer_histogram_quantile(nullptr, 0.5) == 0);
#pragma GCC diagnostic pop
	reframer_free(stage);
}
