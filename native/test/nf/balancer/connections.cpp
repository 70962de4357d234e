// Connections through the balancer while servers come and go: every packet reaches its connection's
// first server, servers get back what they sent, clients never see time go back.
#include "base/random.hpp"

#include "world.hpp"

#include "../drive.hpp"

#include <set>

using namespace world;
using reframer::base::Random;

namespace {

enum Kind : uint8_t { with_stamps, without_stamps, refused_stamps, udp };

struct Connection {
	uint32_t client;
	uint16_t port;
	Kind kind;
	bool odd;
	uint32_t server = UINT32_MAX; // id
	uint32_t address = 0;
	std::optional<uint32_t> recent{}; // client's: the newest word it took (TS.Recent)
	uint32_t sent = 0;                // the server's timestamp that became it
	uint64_t sent_at = 0;
	bool idle_long = false;
};

class Traffic {
public:
	Traffic(const balancer_params &p, uint64_t seed, Family family = Family::four)
		: box(p, family), random{seed}
	{
	}

	uint32_t add_server(ServerHost host, uint32_t told = BALANCER_CLOCK_DETECT)
	{
		const int id = box.add(host.address, told);
		REQUIRE(id >= 0);
		hosts[static_cast<uint32_t>(id)] = host;
		return static_cast<uint32_t>(id);
	}

	bool stamps(const Connection &c) const { return c.kind == with_stamps; }

	void open(Connection &c)
	{
		TcpOptions o;
		o.odd = c.odd;
		if (c.kind == with_stamps || c.kind == refused_stamps)
			o.stamps = {{random.next32(), 0}};
		const Frame syn = c.kind == udp ? datagram(c) : tcp(c.client, c.port, service, 80, 0x02, o);
		const Result r = box.pass(syn);
		REQUIRE(r.verdict == BALANCER_TO_SERVER);
		c.server = r.server;
		c.address = r.destination();
		REQUIRE(hosts.at(c.server).address == c.address);
		if (random.one_in(4)) { // sent again: to the same one
			box.now += 30 * ms;
			REQUIRE(box.pass(syn).destination() == c.address);
		}
		if (c.kind != udp)
			REQUIRE(from_server(c, 0x12));
		from_client(c);
	}

	// Whether the client took it.
	bool from_server(Connection &c, uint8_t flags = 0x10)
	{
		const ServerHost &host = hosts.at(c.server);
		if (c.kind == udp) {
			const Result r = box.pass(frames::build({c.address, c.client, 80, c.port, 17}, 20, 3));
			REQUIRE(r.verdict == BALANCER_TO_CLIENT);
			REQUIRE(r.source() == service);
			return true;
		}
		const uint32_t clock = host.clock(box.now, c.client);
		TcpOptions o;
		o.odd = c.odd;
		if (stamps(c))
			o.stamps = {{clock, random.next32()}};
		Result r = box.pass(tcp(c.address, 80, c.client, c.port, flags, o));
		REQUIRE(r.verdict == BALANCER_TO_CLIENT);
		REQUIRE(r.source() == service);
		if (!stamps(c))
			return true;
		const uint32_t word = get32(stamps_of(r.frame));
		if (c.recent && static_cast<int32_t>(word - *c.recent) < 0)
			return false; // PAWS (RFC 7323, section 5)
		c.recent = word;
		c.sent = clock;
		c.sent_at = box.now;
		return true;
	}

	Frame client_frame(const Connection &c, uint8_t flags = 0x10)
	{
		if (c.kind == udp)
			return datagram(c);
		TcpOptions o;
		o.odd = c.odd;
		if (stamps(c))
			o.stamps = {{random.next32(), c.recent.value()}};
		return tcp(c.client, c.port, service, 80, flags, o);
	}
	void from_client(Connection &c, uint8_t flags = 0x10, bool exact = true)
	{
		Result r = box.pass(client_frame(c, flags));
		REQUIRE(r.verdict == BALANCER_TO_SERVER);
		REQUIRE(r.destination() == c.address);
		if (stamps(c) && exact)
			given_back(c, get32(stamps_of(r.frame) + 4));
	}
	Frame datagram(const Connection &c)
	{
		return frames::build({c.client, service, c.port, 80, 17, 0, 0, 64, !c.odd}, 20, 3);
	}

	// A RST as a host sends it that has forgotten the connection: no timestamps.
	void bare_reset(const Connection &c)
	{
		Result r = box.pass(tcp(c.client, c.port, service, 80, 0x04));
		reaches(c, r);
	}
	// A router on the way to the client quotes what the server sent.
	void error_from_network(const Connection &c, size_t quoted)
	{
		TcpOptions o;
		o.odd = c.odd;
		if (stamps(c))
			o.stamps = {{c.recent.value(), 5}};
		const Frame seen = c.kind == udp ? frames::build({service, c.client, 80, c.port, 17}, 20, 3)
		                                 : tcp(service, 80, c.client, c.port, 0x10, o);
		Result r = box.pass(frames::build_error(0x01020304, service, seen, quoted, 3));
		reaches(c, r);
		REQUIRE(get32(&r.frame[34 + 8 + 12]) == c.address);
		REQUIRE(frames::sum(&r.frame[42], 20) == 0xffff);
		if (stamps(c) && quoted >= seen.size() - 14) {
			Frame inner(r.frame.begin() + 28, r.frame.end()); // as if it had an Ethernet header
			given_back(c, get32(stamps_of(inner)));
			REQUIRE(frames::l4_sum(&inner[14], 20, inner.size() - 34) == 0xffff);
		}
	}

	Box box;
	Random random;
	std::map<uint32_t, ServerHost> hosts;

private:
	// The server's own timestamp. Of an echo that is older than the word holds, the upper bits cannot be
	// known.
	void given_back(const Connection &c, uint32_t clock) const
	{
		const uint32_t off = clock - c.sent, circle = 1u << 24;
		if (box.now - c.sent_at >= circle * ms)
			REQUIRE(off % circle == 0);
		else
			REQUIRE(off == 0);
	}
	// By itself, or by the copy that goes to its server.
	void reaches(const Connection &c, Result &r)
	{
		if (r.verdict == BALANCER_TO_ALL) {
			REQUIRE(box.direct(r.frame, c.server) == 0);
		} else {
			REQUIRE(r.verdict == BALANCER_TO_SERVER);
		}
		REQUIRE(r.destination() == c.address);
	}
};

Connection connection(Random &random, uint32_t i, Kind kind)
{
	return {client_net + i % 5000, static_cast<uint16_t>(1024 + i), kind, random.one_in(3)};
}

void random_changes(const balancer_params &p, uint64_t seed, uint64_t tick_ns, bool by_client,
                    uint64_t longest_idle, Family family = Family::four)
{
	Traffic t(p, seed, family);
	Random &random = t.random;
	uint32_t next_address = server_net;
	const auto new_server = [&] {
		return t.add_server({++next_address, random.next32(), tick_ns, by_client});
	};
	for (int i = 0; i < 24; i++)
		new_server();
	std::vector<Connection> live;
	uint32_t opened = 0;
	const auto pick = [&]() -> Connection & {
		return live[random.below(static_cast<uint32_t>(live.size()))];
	};
	for (int step = 0; step < 12000; step++) {
		t.box.now += random.below(static_cast<uint32_t>(5 * ms));
		if (live.size() < 20 || random.one_in(8)) {
			live.push_back(connection(random, opened++,
			                          static_cast<Kind>(random.one_in(2) ? 0 : random.below(4))));
			t.open(live.back());
		} else if (random.one_in(200)) {
			const uint32_t gone =
				std::next(t.hosts.begin(), random.below(static_cast<uint32_t>(t.hosts.size())))
					->first;
			switch (random.below(4)) {
			case 0:
				if (t.hosts.size() < 60)
					new_server();
				break;
			case 1:
				if (balancer_servers(t.box.get(), nullptr, 0) - t.box.stats().draining > 4)
					balancer_drain(t.box.get(), gone);
				break;
			case 2:
				balancer_activate(t.box.get(), gone);
				break;
			default: // with its connections: those may break
				if (t.hosts.size() < 12)
					break;
				balancer_remove(t.box.get(), gone);
				t.hosts.erase(gone);
				std::erase_if(live, [&](const Connection &c) { return c.server == gone; });
				if (t.box.stats().active == 0)
					new_server();
			}
		} else if (longest_idle && random.one_in(400)) {
			t.box.now += random.next() % longest_idle;
			// Without timestamps there is a table, whose entries have their time.
			std::erase_if(live, [](const Connection &c) { return c.kind != with_stamps; });
		} else {
			Connection &c = pick();
			const uint32_t what = random.below(12);
			if (what < 5) {
				const bool taken = t.from_server(c);
				if (!taken) {
					// It was idle for too long: the client says so, and takes what comes next.
					t.from_client(c, 0x10, false);
					t.box.now += 200 * ms;
					REQUIRE(t.from_server(c));
				}
			} else if (what < 10) {
				t.from_client(c);
			} else if (c.kind == udp || what == 10) {
				t.error_from_network(c, random.one_in(2) ? 28 : 548);
			} else {
				if (random.one_in(2) && c.kind != udp)
					t.from_client(c, 0x14);
				else
					t.bare_reset(c);
				c = live.back();
				live.pop_back();
			}
		}
	}
	const balancer_stats s = t.box.stats();
	CHECK(s.strays == 0);
	CHECK(s.wrong_cookies == 0);
	CHECK(s.gone == 0);
	CHECK(s.unrestored == 0);
	CHECK(s.refused == 0);
	if (by_client)
		CHECK(s.uniform == 0);
	MESSAGE("opened " << opened << ", uniform " << s.uniform << ", in the table " << s.connections
	                  << ", carried on " << s.carried_on << ", to all " << s.to_all);
}

} // namespace

TEST_CASE("no connection breaks while the pool changes: one clock for all clients")
{
	random_changes(Box::defaults(), drive::seed(), ms, false, 0);
}

TEST_CASE("no connection breaks while the pool changes: a clock for each client")
{
	random_changes(Box::defaults(), drive::seed(), ms, true, 0);
}

TEST_CASE("no connection breaks while the pool changes: microseconds")
{
	random_changes(Box::defaults(), drive::seed(), 1000, false, 0);
}

TEST_CASE("no connection breaks while the pool changes: over IPv6, and over both")
{
	for (const Family family : {Family::six, Family::by_client})
		for (const bool by_client : {false, true})
			random_changes(Box::defaults(), drive::seed(), ms, by_client, 0, family);
}

TEST_CASE("no connection breaks over idle hours")
{
	balancer_params p = Box::defaults();
	p.established_ns = 7 * 24 * hour; // of those that the table carries on
	random_changes(p, drive::seed(), ms, false, 2 * hour);
	random_changes(p, drive::seed(), ms, true, 2 * hour);
	random_changes(p, drive::seed(), ms, false, 2 * hour, Family::by_client);
}

TEST_CASE("more servers, more versions, check bits")
{
	balancer_params p = Box::defaults();
	p.max_servers = 4096;
	p.version_bits = 5;
	p.check_bits = 2;
	random_changes(p, drive::seed(), ms, false, 0, Family::by_client);
}

TEST_CASE("by the flow table alone")
{
	balancer_params p = Box::defaults();
	p.memory = BALANCER_TRACK;
	Traffic t(p, drive::seed(), Family::by_client);
	for (uint32_t i = 0; i < 10; i++)
		t.add_server({server_net + i, 0});
	std::vector<Connection> live;
	for (uint32_t i = 0; i < 300; i++) {
		live.push_back(connection(t.random, i, static_cast<Kind>(i % 4)));
		t.open(live.back());
		if (i % 20 == 0)
			t.add_server({server_net + 100 + i, 0});
		for (Connection &c : live) {
			Frame sent = t.client_frame(c);
			CHECK(t.box.pass(sent).destination() == c.address);
		}
	}
	CHECK(t.box.stats().connections == 300);
	CHECK(t.box.stats().by_cookie == 0);
}

TEST_CASE("a forged or foreign echo is counted, and the flow table has its say")
{
	balancer_params p = Box::defaults();
	p.check_bits = 8;
	Box box(p);
	for (uint32_t i = 0; i < 3; i++)
		box.add(server_net + i, BALANCER_CLOCK_UNIFORM);
	Random random{drive::seed()};
	for (uint16_t i = 0; i < 1000; i++)
		CHECK(box.pass(tcp(client_net, i, service, 80, 0x10, {{{1, random.next32()}}})).verdict ==
		      BALANCER_TO_SERVER);
	CHECK(box.stats().wrong_cookies > 970);
	CHECK(box.stats().strays == box.stats().wrong_cookies);
}

namespace {

void fragments(Family family)
{
	Box box(Box::defaults(), family);
	for (uint32_t i = 0; i < 7; i++)
		box.add(server_net + i);
	for (uint16_t i = 0; i < 200; i++) {
		Frame first = frames::build({client_net + 1, service, i, 53, 17}, 100, 3), later = first;
		frames::put16(&first[18], i);
		frames::put16(&first[20], 0x2000);
		frames::put16(&later[18], i);
		frames::put16(&later[20], 0x2000 | 14);
		for (Frame *f : {&first, &later}) {
			frames::put16(&(*f)[24], 0);
			frames::put16(&(*f)[24], ~frames::sum(&(*f)[14], 20));
		}
		const uint32_t to = box.pass(first).destination();
		CHECK(box.pass(later).destination() == to);
		frames::put16(&later[20], 0x0000 | 28); // the last one
		frames::put16(&later[24], 0);
		frames::put16(&later[24], ~frames::sum(&later[14], 20));
		CHECK(box.pass(later).destination() == to);
		// What the first one says of the whole sum holds at the server.
	}
	CHECK(box.stats().lost_fragments == 0);
}

} // namespace

TEST_CASE("fragments follow their first one")
{
	fragments(Family::four);
	fragments(Family::six);
}

TEST_CASE("what is malformed or foreign is left alone")
{
	Box box(Box::defaults());
	box.add(server_net);
	Random random{drive::seed()};
	const Frame good = tcp(client_net, 1, service, 80, 0x10, {{{1, 2}}});
	for (int round = 0; round < 20000; round++) {
		Frame bad = good;
		for (int i = 0; i < 3; i++)
			bad[12 + random.below(static_cast<uint32_t>(bad.size()) - 12)] =
				static_cast<uint8_t>(random.next());
		bad.resize(random.below(static_cast<uint32_t>(bad.size())) + 1);
		bad.shrink_to_fit(); // so that a sanitizer sees what is read beyond
		balancer_frame f{bad.data(), static_cast<uint32_t>(bad.size()), 0, 0};
		balancer_process(box.get(), &f, 1, box.now);
		CHECK(f.verdict <= BALANCER_DROP);
	}
	const Frame foreign = tcp(client_net, 1, client_net + 9, 80, 0x10);
	const Result r = box.pass(foreign);
	CHECK(r.verdict == BALANCER_OTHER);
	CHECK(r.frame == foreign);
}
