// The stage for language bindings, packed.h.
#include "reframer/packed.h"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

namespace {

struct Packed {
	Packed(uint32_t nb_slots, uint32_t header_bytes)
		: headers(size_t{nb_slots} * header_bytes), free_slots(nb_slots), packets(nb_slots),
		  data(nb_slots),
		  captured(nb_slots), native{headers.data(), free_slots.data(), packets.data(),
	                                 data.data(),    captured.data(),   header_bytes,
	                                 nb_slots}
	{
		std::iota(free_slots.rbegin(), free_slots.rend(), 0u);
		reframer_params params;
		reframer_default_params(&params);
		REQUIRE(reframer_create(&params, &stage) == 0);
	}
	~Packed() { reframer_free(stage); }
	Packed(const Packed &) = delete;
	Packed &operator=(const Packed &) = delete;

	uint64_t bytes_in() const
	{
		reframer_stats stats;
		reframer_get_stats(stage, &stats);
		return stats.bytes_in;
	}

	std::vector<uint8_t> headers;
	std::vector<uint32_t> free_slots;
	std::vector<void *> packets;
	std::vector<const uint8_t *> data;
	std::vector<uint32_t> captured;
	reframer_packed native;
	reframer_stage *stage = nullptr;
};

} // namespace

TEST_CASE("without lengths on the wire those of the frames count, however little of them is kept")
{
	// A burst that fills less than half of the slots, one that fills more, one that fills all.
	for (const uint32_t nb_slots : {100u, 19u, 10u, 11u}) {
		CAPTURE(nb_slots);
		Packed p(nb_slots, 64);
		std::vector<uint8_t> frames;
		std::vector<uint32_t> offsets = {0};
		for (uint32_t i = 0; i < 10; i++) {
			frames.insert(frames.end(), 1000 + i, static_cast<uint8_t>(i));
			offsets.push_back(static_cast<uint32_t>(frames.size()));
		}
		CHECK(reframer_push_packed(p.stage, &p.native, nb_slots, frames.data(), offsets.data(),
		                           nullptr, nullptr, 10, 0) == 10);
		CHECK(p.bytes_in() == frames.size());
		for (uint32_t i = 0; i < 10; i++) {
			CHECK(p.headers[i * 64] == i);
			CHECK(p.headers[i * 64 + 63] == i);
		}
		uint32_t slots[100], nb_runs = 100;
		reframer_run runs[100];
		CHECK(reframer_poll_packed(p.stage, 64'000, 0, slots, 100, runs, &nb_runs) == 10);
		for (uint32_t i = 0; i < 10; i++)
			CHECK(slots[i] == i); // one group: what cannot be parsed
	}
	// Headers that are in their slots already: their lengths, or those that are given.
	Packed p(8, 64);
	const uint32_t lengths[3] = {60, 50, 64}, wire[3] = {1500, 50, 64};
	CHECK(reframer_push_packed(p.stage, &p.native, 8, nullptr, lengths, nullptr, nullptr, 3, 0) ==
	      3);
	CHECK(p.bytes_in() == 174);
	CHECK(reframer_push_packed(p.stage, &p.native, 5, nullptr, lengths, wire, nullptr, 3, 0) == 3);
	CHECK(p.bytes_in() == 174 + 1614);
}

TEST_CASE("a poll fills all the room that it is given, and runs lie in a row")
{
	constexpr uint32_t n = 1300, room = 2000;
	Packed p(room, 64);
	const std::vector<uint8_t> frames(n * 60);
	std::vector<uint32_t> offsets(n + 1), hash(n);
	for (uint32_t i = 0; i <= n; i++)
		offsets[i] = i * 60;
	for (uint32_t i = 0; i < n; i++)
		hash[i] = i / 7 * 2654435761u;
	REQUIRE(reframer_push_packed(p.stage, &p.native, room, frames.data(), offsets.data(), nullptr,
	                             hash.data(), n, 0) == n);
	std::vector<uint32_t> slots(room);
	std::vector<reframer_run> runs(room);
	uint32_t nb_runs = room;
	CHECK(reframer_poll_packed(p.stage, 64'000, 0, slots.data(), room, runs.data(), &nb_runs) == n);
	uint32_t at = 0;
	for (uint32_t i = 0; i < nb_runs; i++) {
		CHECK(runs[i].first == at);
		for (uint32_t k = 0; k < runs[i].count; k++, at++)
			CHECK(slots[at] == at);
	}
	CHECK(at == n);
	// Not wanted: as much all the same.
	REQUIRE(reframer_push_packed(p.stage, &p.native, room, frames.data(), offsets.data(), nullptr,
	                             hash.data(), n, 64'000) == n);
	CHECK(reframer_poll_packed(p.stage, 64'000, 1, slots.data(), 1000, nullptr, nullptr) == 1000);
	CHECK(reframer_poll_packed(p.stage, 64'000, 1, slots.data(), 1000, nullptr, nullptr) ==
	      n - 1000);
}
