// Where each policy puts new connections.
#include "base/random.hpp"
#include "packet/toeplitz.hpp"

#include "world.hpp"

#include "../drive.hpp"

#include <cmath>

using namespace world;
using reframer::base::Random;

namespace {

Box box_of(uint32_t policy, uint32_t servers, bool books = true, Family family = Family::four)
{
	balancer_params p = Box::defaults();
	p.policy = policy;
	if (!books)
		p.flags &= ~uint32_t{BALANCER_BOOK};
	Box box(p, family);
	for (uint32_t i = 0; i < servers; i++)
		box.add(server_net + i);
	return box;
}

std::map<uint32_t, int> place(Box &box, int connections, uint32_t from = 0)
{
	std::map<uint32_t, int> placed;
	for (int i = 0; i < connections; i++) {
		const uint32_t c = from + static_cast<uint32_t>(i);
		placed[box.pass(tcp(client_net + c / 50000, static_cast<uint16_t>(1024 + c % 50000),
		                    service, 80, 2))
		           .server]++;
	}
	return placed;
}

} // namespace

TEST_CASE("in turn: equal to one")
{
	Box box = box_of(BALANCER_ROUND_ROBIN, 7);
	for (const auto &[id, n] : place(box, 700))
		CHECK(n == 100);
}

TEST_CASE("weights are shares")
{
	for (const uint32_t policy : {BALANCER_WEIGHTED, BALANCER_MAGLEV, BALANCER_RING}) {
		CAPTURE(policy);
		// Over IPv6 the addresses that hashes order by are others.
		Box box = box_of(policy, 4, true, policy == BALANCER_MAGLEV ? Family::six : Family::four);
		for (uint32_t id = 0; id < 4; id++)
			balancer_set_weight(box.get(), id, id + 1);
		auto placed = place(box, 20000);
		for (uint32_t id = 0; id < 4; id++)
			CHECK(std::abs(placed[id] - 2000 * static_cast<int>(id + 1)) <
			      (policy == BALANCER_RING     ? 900
			       : policy == BALANCER_MAGLEV ? 300
			                                   : 40));
	}
}

TEST_CASE("weights by load: who is busier gets less")
{
	Box box = box_of(BALANCER_ADAPTIVE, 4);
	for (uint32_t id = 0; id < 4; id++)
		balancer_report_load(box.get(), id, id == 3 ? 4.0 : 1.0);
	auto placed = place(box, 4000);
	CHECK(placed[3] < placed[0] / 3);
	CHECK(std::abs(placed[0] - placed[1]) < 40);
}

TEST_CASE("by load, with and without booking")
{
	for (const uint32_t policy : {BALANCER_LEAST_LOADED, BALANCER_POWER_OF_TWO}) {
		CAPTURE(policy);
		Box booked = box_of(policy, 8), herd = box_of(policy, 8, false);
		for (uint32_t id = 0; id < 8; id++)
			for (Box *box : {&booked, &herd})
				balancer_report_load(box->get(), id, id == 5 ? 9 : 10);
		auto spread = place(booked, 800), flocked = place(herd, 800);
		for (uint32_t id = 0; id < 8; id++)
			CHECK(std::abs(spread[id] - 100) < (policy == BALANCER_LEAST_LOADED ? 3 : 40));
		CHECK(flocked[5] > (policy == BALANCER_LEAST_LOADED ? 799 : 150));
	}
}

TEST_CASE("by hash a burst goes where its packets go one by one")
{
	for (const uint32_t policy : {BALANCER_MAGLEV, BALANCER_RING, BALANCER_HASH}) {
		balancer_params p = Box::defaults();
		p.policy = policy;
		p.memory = BALANCER_FORGET;
		Box box(p);
		Random random{drive::seed()};
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < 300; i++) {
			const auto port = static_cast<uint16_t>(random.next());
			Frame f = tcp(client_net + i, port, service, 80, i % 3 ? 0x10 : 0x02);
			if (i % 7 == 0) // what the short way leaves alone
				f = frames::build({client_net + i, service, port, 80, 17}, 20, 3);
			frames.push_back(f);
		}
		const auto together = [&] {
			std::vector<Frame> out = frames;
			std::vector<balancer_frame> given;
			for (Frame &f : out)
				given.push_back({f.data(), static_cast<uint32_t>(f.size()), 0, 0});
			balancer_process(box.get(), given.data(), static_cast<uint32_t>(given.size()), box.now);
			for (size_t i = 0; i < out.size(); i++) {
				check_sums(out[i]);
				// A tagged one takes the long way.
				Frame tagged = frames[i];
				tagged.insert(tagged.begin() + 12, {0x81, 0, 0, 5});
				balancer_frame alone{tagged.data(), static_cast<uint32_t>(tagged.size()), 0, 0};
				balancer_process(box.get(), &alone, 1, box.now);
				REQUIRE(given[i].verdict == alone.verdict);
				REQUIRE(given[i].server == alone.server);
				tagged.erase(tagged.begin() + 12, tagged.begin() + 16);
				REQUIRE(out[i] == tagged);
			}
		};
		together(); // without servers all are dropped
		for (uint32_t i = 0; i < 9; i++)
			box.add(server_net + i);
		together();
		CHECK(box.stats().by_hash == 600);
		CHECK(box.stats().dropped == 600);
	}
}

TEST_CASE("consistent hashing moves few when one leaves, modulo moves most")
{
	struct Row {
		uint32_t policy;
		double least, most;
	};
	for (const Row row : {Row{BALANCER_MAGLEV, 0.01, 0.06},
	                      {BALANCER_RING, 0.005, 0.05},
	                      {BALANCER_HASH, 0.4, 1.0}}) {
		CAPTURE(row.policy);
		balancer_params p = Box::defaults();
		p.policy = row.policy;
		p.memory = BALANCER_FORGET;
		Box box(p);
		for (uint32_t i = 0; i < 50; i++)
			box.add(server_net + i);
		std::vector<uint32_t> before;
		int moved = 0;
		for (int round = 0; round < 2; round++) {
			for (uint32_t i = 0; i < 5000; i++) {
				const uint32_t server =
					box.pass(tcp(client_net + i, 7777, service, 80, 0x10)).server;
				if (round == 0)
					before.push_back(server);
				else
					moved += server != before[i];
			}
			balancer_remove(box.get(), 17);
		}
		CHECK(moved > row.least * 5000);
		CHECK(moved < row.most * 5000);
	}
}

namespace {

void by_cores(Family family)
{
	Random random{drive::seed()};
	Box box = box_of(BALANCER_CROSS_RSS, 4, true, family);
	reframer::packet::ToeplitzKey key = reframer::packet::toeplitz_key_microsoft;
	uint16_t tables[4][128];
	balancer_cores cores = {};
	std::copy(key.begin(), key.end(), cores.key);
	cores.nb_buckets = 128;
	cores.nb_cores = 4;
	CHECK(balancer_set_cores(box.get(), 0, nullptr) == -EINVAL);
	for (uint32_t id = 0; id < 4; id++) {
		for (uint16_t &core : tables[id])
			core = static_cast<uint16_t>(random.below(4));
		cores.table = tables[id];
		CHECK(balancer_set_cores(box.get(), id, &cores) == 0);
	}
	cores.nb_buckets = 100;
	CHECK(balancer_set_cores(box.get(), 0, &cores) == -EINVAL);
	cores.nb_buckets = 128;
	CHECK(balancer_set_cores(box.get(), 7, &cores) == -ENOENT);
	int load[4][4] = {};
	for (int i = 0; i < 4000; i++) {
		const auto port = static_cast<uint16_t>(1024 + i);
		const uint32_t client = client_net + static_cast<uint32_t>(i % 97);
		const uint32_t id = box.pass(tcp(client, port, service, 443, 2)).server;
		// From the definition, over what the server's NIC sees.
		std::vector<uint8_t> input;
		for (const uint32_t host : {client, server_net + id}) {
			const auto address = frames::six(host);
			input.insert(input.end(), address.begin() + (family == Family::six ? 0 : 12),
			             address.end());
		}
		input.resize(input.size() + 4);
		frames::put16(&input[input.size() - 4], port);
		frames::put16(&input[input.size() - 2], 443);
		const uint16_t core = tables[id][reframer::packet::toeplitz_reference(key, input) & 127];
		uint8_t address[4];
		put_address(address, client);
		const int said =
			family == Family::six
				? balancer_core_of6(box.get(), id, frames::six(client).data(), port, 443)
				: balancer_core_of(box.get(), id, address, port, 443);
		REQUIRE(said == core);
		load[id][core]++;
	}
	// Each connection was booked: no two cores are far apart.
	for (auto &server : load)
		for (const int l : server)
			CHECK(std::abs(l - 250) < 60);
	const float idle[4] = {5, 5, 0, 5}, busy[4] = {90, 90, 90, 90};
	for (uint32_t id = 0; id < 4; id++)
		CHECK(balancer_report_cores(box.get(), id, id == 2 ? idle : busy, 4) == 0);
	CHECK(balancer_report_cores(box.get(), 0, idle, 3) == -EINVAL);
	CHECK(place(box, 200, 10000)[2] == 200);
}

} // namespace

TEST_CASE("by cores: the core that a server's NIC will choose, least loaded first")
{
	by_cores(Family::four);
	by_cores(Family::six);
}
