// The C interface: what it refuses and why, ids, weights, defaults.
#include "world.hpp"

#include <cerrno>
#include <cstring>
#include <set>
#include <string>

using namespace world;

TEST_CASE("parameters out of range are refused with their name")
{
	struct Case {
		const char *says;
		void (*set)(balancer_params &);
	};
	const Case cases[] = {
		{"service is 0.0.0.0 and service6 ::",
	     [](balancer_params &p) { p.service[0] = 0, p.service[2] = 0, p.service[3] = 0; }},
		{"max_servers is 0, must be 1 to 4096", [](balancer_params &p) { p.max_servers = 0; }},
		{"max_servers is 4097", [](balancer_params &p) { p.max_servers = 4097; }},
		{"version_bits is 1, must be 2 to 8", [](balancer_params &p) { p.version_bits = 1; }},
		{"check_bits is 9", [](balancer_params &p) { p.check_bits = 9; }},
		{"policy is 9", [](balancer_params &p) { p.policy = 9; }},
		{"memory is BALANCER_FORGET", [](balancer_params &p) { p.memory = BALANCER_FORGET; }},
		{"flags is 0x10", [](balancer_params &p) { p.flags = 16; }},
		{"udp_ns is 5", [](balancer_params &p) { p.udp_ns = 5; }},
		{"connection_load is -1", [](balancer_params &p) { p.connection_load = -1; }},
		{"ids of 12 bits",
	     [](balancer_params &p) { p.max_servers = 4096, p.version_bits = 8, p.check_bits = 1; }},
		{"size is 3", [](balancer_params &p) { p.size = 3; }},
	};
	for (const Case &c : cases) {
		balancer_params p = Box::defaults();
		c.set(p);
		char why[128];
		balancer *b = nullptr;
		CHECK(balancer_check(&p, why, sizeof(why)) == -EINVAL);
		CHECK(std::string(why).find(c.says) == 0);
		CHECK(balancer_create(&p, &b) == -EINVAL);
		CHECK(b == nullptr);
	}
	balancer_params p = Box::defaults();
	CHECK(balancer_check(&p, nullptr, 0) == 0);
	CHECK(balancer_check(nullptr, nullptr, 0) == -EINVAL);
	CHECK(balancer_create(&p, nullptr) == -EINVAL);
	balancer_free(nullptr);
}

TEST_CASE("ids stay, and one that was given back comes after all others")
{
	balancer_params p = Box::defaults();
	p.max_servers = 4;
	Box box(p);
	for (int i = 0; i < 4; i++)
		CHECK(box.add(server_net + static_cast<uint32_t>(i)) == i);
	CHECK(box.add(server_net + 9) == -ENOSPC);
	CHECK(box.add(server_net + 1) == -EEXIST);
	CHECK(balancer_remove(box.get(), 2) == 0);
	CHECK(balancer_remove(box.get(), 0) == 0);
	CHECK(balancer_remove(box.get(), 0) == -ENOENT);
	CHECK(box.add(server_net + 9) == 2);
	CHECK(box.add(server_net + 10) == 0);
	uint8_t address[4];
	put_address(address, server_net + 9);
	CHECK(balancer_find(box.get(), address) == 2);
	put_address(address, server_net + 2);
	CHECK(balancer_find(box.get(), address) == -ENOENT);
	uint32_t ids[2];
	CHECK(balancer_servers(box.get(), ids, 2) == 4);
	CHECK(ids[1] == 1);
	for (auto change : {balancer_drain, balancer_activate, balancer_remove}) {
		CHECK(change(box.get(), 4) == -ENOENT);
		CHECK(change(box.get(), UINT32_MAX) == -ENOENT);
		CHECK(change(nullptr, 0) == -ENOENT);
	}
	CHECK(balancer_set_weight(box.get(), 0, 1001) == -EINVAL);
	CHECK(balancer_set_weight(box.get(), 9, 1) == -ENOENT);
	CHECK(balancer_report_load(box.get(), 0, -1) == -EINVAL);
	CHECK(balancer_report_load(box.get(), 9, 1) == -ENOENT);
	balancer_server s;
	balancer_default_server(&s);
	CHECK(balancer_add(box.get(), &s) == -EINVAL); // no address
	put_address(s.address, server_net + 50);
	s.address6[0] = 0x20;
	CHECK(balancer_add(box.get(), &s) == -EINVAL); // of a family that the service lacks
	CHECK(balancer_add(box.get(), nullptr) == -EINVAL);
}

TEST_CASE("a service of both families has servers of both")
{
	Box box(Box::defaults(), Family::by_client);
	CHECK(box.add(server_net) == 0);
	balancer_server s;
	balancer_default_server(&s);
	put_address(s.address, server_net + 1);
	CHECK(balancer_add(box.get(), &s) == -EINVAL);
	std::copy_n(frames::six(server_net).begin(), 16, s.address6);
	CHECK(balancer_add(box.get(), &s) == -EEXIST); // another server's
	std::copy_n(frames::six(server_net + 1).begin(), 16, s.address6);
	CHECK(balancer_add(box.get(), &s) == 1);
	CHECK(balancer_find6(box.get(), s.address6) == 1);
	CHECK(balancer_find6(box.get(), frames::six(server_net + 2).data()) == -ENOENT);
	CHECK(balancer_find6(box.get(), nullptr) == -ENOENT);
	// Whoever has only the other family is served by it alone.
	Box old(Box::defaults()), six(Box::defaults(), Family::six);
	old.add(server_net);
	six.add(server_net);
	Frame syn = tcp(client_net, 1, service, 80, 2), syn6 = frames::frame6(syn);
	const auto verdict = [](Box &b, Frame &f) {
		balancer_frame given{f.data(), static_cast<uint32_t>(f.size()), 0, 0};
		balancer_process(b.get(), &given, 1, b.now);
		return given.verdict;
	};
	CHECK(verdict(old, syn6) == BALANCER_OTHER);
	CHECK(verdict(six, syn) == BALANCER_OTHER);
	CHECK(verdict(old, syn) == BALANCER_TO_SERVER);
	CHECK(verdict(six, syn6) == BALANCER_TO_SERVER);
}

TEST_CASE("a drained server keeps its connections and gets no new ones")
{
	Box box(Box::defaults());
	for (uint32_t i = 0; i < 4; i++)
		box.add(server_net + i);
	balancer_drain(box.get(), 1);
	balancer_set_weight(box.get(), 2, 0);
	std::set<uint32_t> used;
	for (uint16_t i = 0; i < 100; i++)
		used.insert(box.pass(tcp(client_net, i, service, 80, 2)).server);
	CHECK(used == std::set<uint32_t>{0, 3});
	CHECK(box.stats().active == 3);
	CHECK(box.stats().draining == 1);
	balancer_activate(box.get(), 1);
	used.clear();
	for (uint16_t i = 100; i < 200; i++)
		used.insert(box.pass(tcp(client_net, i, service, 80, 2)).server);
	CHECK(used == std::set<uint32_t>{0, 1, 3});
}

TEST_CASE("without servers packets are dropped, and a full table refuses what it cannot keep")
{
	balancer_params p = Box::defaults();
	p.max_connections = 64;
	Box box(p);
	CHECK(box.pass(tcp(client_net, 1, service, 80, 2)).verdict == BALANCER_DROP);
	CHECK(box.pass(tcp(client_net, 1, service, 80, 4)).verdict == BALANCER_DROP);
	box.add(server_net);
	uint32_t to_server = 0;
	for (uint16_t i = 0; i < 2000; i++) {
		to_server += box.pass(tcp(client_net, i, service, 80, 2)).verdict == BALANCER_TO_SERVER;
		box.pass(tcp(client_net, i, service, 80, 0x10)); // confirmed: not to be pushed out
	}
	const balancer_stats s = box.stats();
	CHECK(s.refused > 0);
	CHECK(to_server + s.refused == 2000);
}

TEST_CASE("no more than so many frames a second go to all servers")
{
	balancer_params p = Box::defaults();
	p.flood_per_second = 10;
	Box box(p);
	box.add(server_net);
	for (int second_nr = 0; second_nr < 3; second_nr++, box.now += second)
		for (uint16_t i = 0; i < 50; i++)
			box.pass(tcp(client_net, i, service, 80, 4));
	CHECK(box.stats().to_all == 30);
	CHECK(box.stats().strays == 120);
}

TEST_CASE("older and newer headers")
{
	balancer_params p;
	std::memset(&p, 0xee, sizeof(p));
	balancer_params_init(&p, 16);
	CHECK(reinterpret_cast<uint8_t *>(&p)[16] == 0xee);
	// What lies behind a shorter struct is not the library's to read.
	CHECK(p.size == 16);
	balancer_params_init(&p, offsetof(balancer_params, service6));
	put_address(p.service, service);
	p.key[0] = 1;
	balancer *b = nullptr;
	REQUIRE(balancer_create(&p, &b) == 0);
	balancer_server s;
	std::memset(&s, 0xee, sizeof(s));
	balancer_server_init(&s, offsetof(balancer_server, address6));
	CHECK(s.size == offsetof(balancer_server, address6));
	put_address(s.address, server_net);
	CHECK(balancer_add(b, &s) == 0);
	uint8_t address6[16];
	std::memset(address6, 0xee, sizeof(address6));
	CHECK(balancer_find6(b, address6) == -ENOENT);
	balancer_free(b);
	balancer_quic q;
	balancer_quic_init(&q, offsetof(balancer_quic, encrypted));
	CHECK(q.size == offsetof(balancer_quic, encrypted));
	struct {
		balancer_params known;
		uint64_t later;
	} newer = {Box::defaults(), 0};
	newer.known.size = sizeof(newer);
	CHECK(balancer_check(&newer.known, nullptr, 0) == 0);
	newer.later = 1;
	CHECK(balancer_check(&newer.known, nullptr, 0) == -EINVAL);
}
