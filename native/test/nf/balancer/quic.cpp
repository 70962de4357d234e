// QUIC-LB: ids against the draft's vectors, and connections that change their address while the pool
// changes.
#include "nf/balancer/quic_ids.hpp"

#include "base/random.hpp"

#include "world.hpp"

#include "../drive.hpp"

#include <cerrno>
#include <cstdio>

using namespace world;
using reframer::balance::Aes128;
using reframer::balance::QuicConfig;
using reframer::balance::QuicIds;
using reframer::base::Random;

namespace {

std::vector<uint8_t> bytes_of(const char *hex)
{
	std::vector<uint8_t> out;
	for (; *hex; hex += 2) {
		unsigned byte = 0;
		REQUIRE(std::sscanf(hex, "%2x", &byte) == 1);
		out.push_back(static_cast<uint8_t>(byte));
	}
	return out;
}

balancer_quic config(uint32_t rotation, uint32_t server_id, uint32_t nonce,
                     const char *key = nullptr)
{
	balancer_quic q;
	balancer_default_quic(&q);
	q.rotation = rotation;
	q.server_id_length = server_id;
	q.nonce_length = nonce;
	q.encrypted = key != nullptr;
	if (key)
		std::copy_n(bytes_of(key).begin(), 16, q.key);
	return q;
}

using Id = std::vector<uint8_t>;

// A packet of a client with the header that RFC 8999 fixes.
Frame quic(uint32_t client, uint16_t port, const Id &to, bool is_long, Random &random,
           uint32_t from = service, uint16_t service_port = 443)
{
	Id body;
	if (is_long) {
		body = {static_cast<uint8_t>(0xc0 | random.below(64)),
		        0,
		        0,
		        0,
		        1,
		        static_cast<uint8_t>(to.size())};
		body.insert(body.end(), to.begin(), to.end());
		body.insert(body.end(), {4, 1, 2, 3, 4});
	} else {
		body = {static_cast<uint8_t>(0x40 | random.below(64))};
		body.insert(body.end(), to.begin(), to.end());
	}
	const size_t padded = std::max<size_t>(body.size() + 20, 30);
	Frame f = frames::build({client, from, port, service_port, 17}, padded, 3);
	std::copy(body.begin(), body.end(), f.begin() + 42);
	frames::put16(&f[40], 0);
	frames::put16(&f[40], ~frames::l4_sum(&f[14], 20, f.size() - 34));
	return f;
}

Id drawn(Random &random, size_t n)
{
	Id id(n);
	for (uint8_t &b : id)
		b = static_cast<uint8_t>(random.next());
	return id;
}

struct Client {
	uint32_t address;
	uint16_t port;
	Id id; // that it sends to
	bool answered = false;
	bool routable = true; // its server's ids are
	uint32_t server = UINT32_MAX;
	uint32_t at = 0;
};

} // namespace

TEST_CASE("AES-128 is that of FIPS 197")
{
	if (!Aes128::supported())
		return;
	const auto key = bytes_of("000102030405060708090a0b0c0d0e0f");
	const auto plain = bytes_of("00112233445566778899aabbccddeeff");
	auto block = plain;
	const Aes128 aes(key.data());
	aes.encrypt(block.data());
	CHECK(block == bytes_of("69c4e0d86a7b0430d8cdb78070b4c55a"));
	aes.decrypt(block.data());
	CHECK(block == plain);
}

TEST_CASE("ids as the draft's appendix has them")
{
	const char *key = "8f95f09245765f80256934e50c66207f";
	struct Vector {
		balancer_quic config;
		const char *server, *nonce, *id;
	};
	const Vector vectors[] = {
		{config(0, 3, 4), "c4605e", "4504cc4f", "07c4605e4504cc4f"},
		{config(0, 3, 4, key), "ed793a", "ee080dbf", "0720b1d07b359d3c"},
		{config(1, 10, 5, key), "ed793a51d49b8f5fab65", "ee080dbf48",
	     "2fcc381bc74cb4fbad2823a3d1f8fed2"},
		{config(2, 8, 8, key), "ed793a51d49b8f5f", "ee080dbf48c0d1e5",
	     "504dd2d05a7b0de9b2b9907afb5ecf8cc3"},
		// Its first octet says rotation 0, the draft's table 3.
		{config(0, 9, 9, key), "ed793a51d49b8f5fab", "ee080dbf48c0d1e55d",
	     "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc"},
	};
	for (const Vector &v : vectors) {
		if (v.config.encrypted && !Aes128::supported())
			continue;
		const QuicConfig ids(v.config);
		const auto server = bytes_of(v.server), nonce = bytes_of(v.nonce);
		Id id(20);
		id.resize(ids.write(server.data(), nonce.data(), id.data()));
		CHECK(id == bytes_of(v.id));
		uint8_t block[20];
		REQUIRE(ids.read({id.data(), static_cast<uint32_t>(id.size()), true}, block));
		CHECK(Id(block, block + server.size()) == server);
	}
}

TEST_CASE("whatever was written is read, by its own configuration alone")
{
	Random random{drive::seed()};
	for (uint32_t server_id = 1; server_id <= 15; server_id++)
		for (uint32_t nonce = 4; nonce <= 18 && server_id + nonce <= 19; nonce++)
			for (int keyed = 0; keyed <= (Aes128::supported() ? 1 : 0); keyed++) {
				QuicIds ids;
				balancer_quic c = config(random.below(7), server_id, nonce);
				c.encrypted = static_cast<uint32_t>(keyed);
				c.length_encoded = random.below(2);
				for (uint8_t &b : c.key)
					b = static_cast<uint8_t>(random.next());
				ids.set(c);
				const uint32_t server = random.below(server_id == 1 ? 256 : 4096);
				uint8_t id[20];
				const uint32_t n = ids.write(c.rotation, server, drawn(random, nonce).data(), id);
				REQUIRE(n == 1 + server_id + nonce);
				CHECK(ids.server({id, n, true}) == server);
				CHECK(ids.server({id, 20, false}) == server);
				CHECK(ids.server({id, n - 1, true}) == QuicIds::no_server);
				id[0] |= 0xe0;
				CHECK(ids.server({id, n, true}) == QuicIds::no_server);
				CHECK(ids.write(c.rotation, 1u << 31, id, id) == (server_id < 4 ? 0u : n));
			}
}

namespace {

class QuicTraffic {
public:
	QuicTraffic(bool keyed, uint64_t seed, Family family)
		: box(Box::defaults(), family), random{seed}
	{
		for (uint32_t rotation : {0u, 3u}) {
			balancer_quic c = config(rotation, rotation ? 2 : 4, rotation ? 6 : 12);
			c.encrypted = keyed;
			c.key[0] = 7;
			REQUIRE(balancer_set_quic(box.get(), &c) == 0);
		}
		for (uint32_t i = 0; i < 8; i++)
			add();
	}
	void add()
	{
		const int id = box.add(server_net + ++nb_added);
		REQUIRE(id >= 0);
		hosts[static_cast<uint32_t>(id)] = server_net + nb_added;
	}
	void open(Client &c)
	{
		c.id = drawn(random, 8 + random.below(11));
		const Result r = box.pass(quic(c.address, c.port, c.id, true, random));
		REQUIRE(r.verdict == BALANCER_TO_SERVER);
		c.server = r.server;
		c.at = r.destination();
		REQUIRE(hosts.at(c.server) == c.at);
		if (random.one_in(4)) // its NAT forgot it before the server's first answer
			move(c);
	}
	void send(Client &c)
	{
		const bool is_long = !c.answered || random.one_in(8);
		const Result r = box.pass(quic(c.address, c.port, c.id, is_long, random));
		REQUIRE(r.verdict == BALANCER_TO_SERVER);
		REQUIRE(r.destination() == c.at);
		if (!c.answered && random.one_in(2)) {
			c.answered = true;
			new_id(c);
		}
	}
	// That its server gives it.
	void new_id(Client &c)
	{
		c.id.assign(20, 0);
		if (c.routable) {
			const auto nonce = drawn(random, 18);
			const int n = balancer_quic_id(box.get(), random.one_in(2) ? 0 : 3, c.server,
			                               nonce.data(), c.id.data());
			REQUIRE(n > 0);
			c.id.resize(static_cast<size_t>(n));
		} else {
			c.id = drawn(random, 8);
			c.id[0] |= 0xe0;
		}
	}
	void move(Client &c)
	{
		c.address = client_net + random.below(100000);
		c.port = static_cast<uint16_t>(1024 + random.below(60000));
	}
	void answer(const Client &c)
	{
		const Result r = box.pass(frames::build({c.at, c.address, 443, c.port, 17}, 30, 3));
		REQUIRE(r.verdict == BALANCER_TO_CLIENT);
		REQUIRE(r.source() == service);
	}

	Box box;
	Random random;
	std::map<uint32_t, uint32_t> hosts;
	uint32_t nb_added = 0;
};

void changing_addresses(bool keyed, uint64_t seed, Family family = Family::four)
{
	QuicTraffic t(keyed, seed, family);
	Random &random = t.random;
	std::vector<Client> live;
	for (int step = 0; step < 8000; step++) {
		t.box.now += random.below(static_cast<uint32_t>(3 * ms));
		if (live.size() < 10 || random.one_in(10)) {
			live.push_back({client_net + random.below(100000),
			                static_cast<uint16_t>(1024 + random.below(60000)),
			                {}});
			live.back().routable = !random.one_in(4);
			t.open(live.back());
			continue;
		}
		Client &c = live[random.below(static_cast<uint32_t>(live.size()))];
		switch (random.below(40)) {
		case 0:
			if (t.hosts.size() < 40)
				t.add();
			break;
		case 1:
			if (t.box.stats().active > 3)
				balancer_drain(t.box.get(), c.server);
			break;
		case 2:
			balancer_activate(t.box.get(), c.server);
			break;
		case 3:
			if (t.box.stats().active < 5)
				break;
			balancer_remove(t.box.get(), c.server);
			t.hosts.erase(c.server);
			std::erase_if(live, [gone = c.server](const Client &x) { return x.server == gone; });
			break;
		default:
			// Until its server has answered it keeps its id, afterwards its address may change, if its
			// server makes ids that tell.
			if (c.answered && c.routable && random.one_in(4)) {
				t.move(c);
				if (random.one_in(2))
					t.new_id(c);
			}
			t.send(c);
			t.answer(c);
		}
	}
	const balancer_stats s = t.box.stats();
	CHECK(s.by_quic > 1000);
	CHECK(s.unroutable_ids > 500);
	CHECK(s.strays == 0);
	CHECK(s.gone == 0);
}

} // namespace

TEST_CASE("QUIC follows its ids over changes of address and pool: in the clear")
{
	changing_addresses(false, drive::seed());
}

TEST_CASE("QUIC follows its ids over IPv6, and when a client goes from one family to the other")
{
	changing_addresses(false, drive::seed(), Family::six);
	changing_addresses(false, drive::seed(), Family::by_client);
}

TEST_CASE("QUIC follows its ids over changes of address and pool: encrypted")
{
	if (Aes128::supported())
		changing_addresses(true, drive::seed());
}

TEST_CASE("another port's datagrams are not QUIC, and short ones are no harm")
{
	Box box(Box::defaults());
	for (uint32_t i = 0; i < 4; i++)
		box.add(server_net + i);
	balancer_quic c = config(0, 2, 6);
	REQUIRE(balancer_set_quic(box.get(), &c) == 0);
	Random random{drive::seed()};
	const uint8_t nonce[6] = {};
	Id id(20);
	id.resize(static_cast<size_t>(balancer_quic_id(box.get(), 0, 2, nonce, id.data())));
	CHECK(box.pass(quic(client_net, 1, id, false, random)).server == 2);
	CHECK(box.pass(quic(client_net, 1, id, false, random, service, 53)).server == 0);
	for (size_t n = 0; n < 12; n++)
		for (int first = 0; first < 256; first += 16) {
			Frame f = frames::build({client_net, service, 9, 443, 17}, n, 3);
			f.resize(42 + n);
			f.shrink_to_fit();
			if (n > 0)
				f[42] = static_cast<uint8_t>(first);
			if (n > 5)
				f[47] = static_cast<uint8_t>(random.next());
			frames::put16(&f[40], 0);
			CHECK(box.pass(f).verdict == BALANCER_TO_SERVER);
		}
	CHECK(balancer_clear_quic(box.get(), 0) == 0);
	CHECK(balancer_clear_quic(box.get(), 0) == -ENOENT);
	CHECK(balancer_quic_id(box.get(), 0, 2, nonce, id.data()) == -ENOENT);
	const uint64_t before = box.stats().by_quic;
	box.pass(quic(client_net, 1, id, false, random));
	CHECK(box.stats().by_quic == before);
}

TEST_CASE("configurations that cannot be are refused")
{
	Box box(Box::defaults());
	for (const auto &[member, value] : {std::pair{&balancer_quic::rotation, 7u},
	                                    {&balancer_quic::server_id_length, 0u},
	                                    {&balancer_quic::server_id_length, 16u},
	                                    {&balancer_quic::nonce_length, 3u},
	                                    {&balancer_quic::nonce_length, 18u},
	                                    {&balancer_quic::encrypted, 2u},
	                                    {&balancer_quic::length_encoded, 2u}}) {
		balancer_quic c = config(0, 2, 6);
		c.*member = value;
		CHECK(balancer_set_quic(box.get(), &c) == -EINVAL);
	}
	balancer_quic good = config(0, 2, 6);
	for (const uint32_t memory : {BALANCER_TRACK, BALANCER_FORGET}) { // ids are cookies
		balancer_params p = Box::defaults();
		p.memory = memory;
		p.policy = BALANCER_MAGLEV;
		CHECK(balancer_set_quic(Box(p).get(), &good) == -EINVAL);
	}
	balancer_params p = Box::defaults();
	p.quic_port = 65536;
	CHECK(balancer_check(&p, nullptr, 0) == -EINVAL);
}
