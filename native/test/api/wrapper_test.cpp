// reframer.hpp and per_run.h, as programs use them.
#include "reframer/per_run.h"
#include "reframer/reframer.hpp"

#include <array>
#include <cerrno>
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace {

struct Packet {
	uint32_t flow;
	int number;
};

} // namespace

TEST_CASE("a stage in C++ gives groups as a range, and frees itself")
{
	auto params = reframer::defaults();
	params.delay_ns = 1000;
	reframer::Stage<Packet> stage(params);
	std::array<Packet, 5> made = {{{1, 0}, {2, 1}, {1, 2}, {3, 3}, {1, 4}}};
	std::vector<Packet *> packets;
	std::vector<uint32_t> hash;
	for (Packet &packet : made) {
		packets.push_back(&packet);
		hash.push_back(packet.flow);
	}
	static const uint8_t frame[60] = {};
	const std::vector<const uint8_t *> data(made.size(), frame);
	const std::vector<uint32_t> captured(made.size(), 60);
	CHECK(stage.push({packets, data, captured, {}, hash}, 0) == made.size());
	CHECK(stage.next_deadline() == 1000);
	std::array<Packet *, 32> out;
	std::array<reframer_run, 32> runs;
	CHECK(stage.poll(999, out, runs).empty());
	std::string order;
	for (const auto &[group, run] : stage.poll(1000, out, runs)) {
		for (const Packet *packet : group) {
			CHECK(packet->flow == run.hash);
			order += std::to_string(packet->number);
		}
		order += ' ';
	}
	CHECK(order == "024 1 3 ");
	CHECK(stage.stats().packets_out == 5);
	reframer::Stage<Packet> moved = std::move(stage);
	CHECK(moved.drain(2000, out, runs).empty());
	CHECK(moved.get() != nullptr);
}

TEST_CASE("packets that nobody may change go through a stage as such")
{
	reframer::Stage<const Packet> stage;
	const std::array<Packet, 3> made = {{{1, 0}, {2, 1}, {1, 2}}};
	const std::array<const Packet *, 3> packets = {&made[0], &made[1], &made[2]};
	const std::array<uint32_t, 3> hash = {1, 2, 1}, wire = {60, 60, 60};
	CHECK(stage.push({packets, {}, {}, wire, hash}, 0) == 3);
	std::array<const Packet *, 32> out;
	std::array<reframer_run, 32> runs;
	std::string order;
	for (const auto &[group, run] : stage.drain(0, out, runs))
		for (const Packet *packet : group)
			order += std::to_string(packet->number);
	CHECK(order == "021");
}

TEST_CASE("a stage that cannot be made says why")
{
	auto params = reframer::defaults();
	params.max_packets = 5;
	try {
		reframer::Stage<void> stage(params);
		FAIL("it was made");
	} catch (const reframer::StageError &error) {
		CHECK(error.code() == -EINVAL);
		CHECK(std::string(error.what()).find("max_packets is 5") != std::string::npos);
	}
}

TEST_CASE("per_run calls once a run, and once a packet that is in none")
{
	int values[6] = {0, 1, 2, 3, 4, 5};
	std::array<void *, 6> packets;
	for (size_t i = 0; i < packets.size(); i++)
		packets[i] = &values[i];
	const reframer_run runs[] = {{0, 3, 7, 0}, {3, 1, 8, 0}};
	std::string seen;
	const auto note = [](void *context, void *const *group, uint32_t nb, const reframer_run *run) {
		auto &text = *static_cast<std::string *>(context);
		text += run ? std::to_string(run->hash) : "-";
		text += ':';
		for (uint32_t i = 0; i < nb; i++)
			text += std::to_string(*static_cast<int *>(group[i]));
		text += ' ';
	};
	reframer_per_run(runs, 2, packets.data(), 6, note, &seen);
	CHECK(seen == "7:012 8:3 -:4 -:5 ");
	seen.clear();
	reframer_per_run(nullptr, 0, packets.data(), 2, note, &seen);
	CHECK(seen == "-:0 -:1 ");
	seen.clear();
	reframer_per_run(runs, 2, packets.data(), 2, note, &seen);
	CHECK(seen == "7:01 ");
}
