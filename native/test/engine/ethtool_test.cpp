// Linux interfaces: the ethtool commands against a driver that follows the kernel's rules, the
// counting XDP program on a real interface, and clear answers where there is no table.
#include "devices/ethtool_table.hpp"
#include "packet/parse.hpp"
#include "support/own_network.hpp"
#include "support/packet_builder.hpp"
#include "support/veth.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

using namespace reframer::engine;
using namespace reframer::test;
namespace packet = reframer::packet;

namespace {

// What net/ethtool/ioctl.c makes of these commands, for a driver with one table.
struct Driver {
	std::vector<uint32_t> table = std::vector<uint32_t>(128);
	std::vector<uint8_t> key = {packet::toeplitz_key_microsoft.begin(),
	                            packet::toeplitz_key_microsoft.end()};
	uint8_t hash_function = 1, transformation = 0;
	uint64_t rings = 8;
	uint64_t udp_fields = 0x30; // addresses alone
	int write_error = 0;
	uint32_t takes = UINT32_MAX; // entries that a write takes before the device stops
	uint8_t transformation_set = 0;

	int operator()(void *command)
	{
		auto *fields = static_cast<ethtool_rxnfc *>(command);
		switch (fields->cmd) {
		case ETHTOOL_GRXRINGS:
			fields->data = rings;
			return 0;
		case ETHTOOL_GRXFH:
			fields->data = fields->flow_type == UDP_V4_FLOW || fields->flow_type == UDP_V6_FLOW
			                   ? udp_fields
			                   : 0xf0;
			return 0;
		case ETHTOOL_GRSSH:
			return get(static_cast<ethtool_rxfh *>(command));
		case ETHTOOL_SRSSH:
			return set(static_cast<ethtool_rxfh *>(command));
		default:
			return -EOPNOTSUPP;
		}
	}
	int get(ethtool_rxfh *c)
	{
		const uint32_t asked = c->indir_size, asked_key = c->key_size;
		c->indir_size = uint32_t(table.size());
		c->key_size = uint32_t(key.size());
		c->hfunc = hash_function;
		c->rsvd8[0] = transformation;
		if ((asked && asked != table.size()) || (asked_key && asked_key != key.size()))
			return -EINVAL;
		std::copy_n(table.begin(), asked, c->rss_config);
		if (asked_key)
			std::memcpy(c->rss_config + asked, key.data(), key.size());
		return 0;
	}
	int set(ethtool_rxfh *c)
	{
		if (c->indir_size != table.size() || c->rsvd8[1] || c->rsvd8[2] || c->rsvd32)
			return -EINVAL;
		for (uint32_t i = 0; i < c->indir_size; i++)
			if (c->rss_config[i] >= rings)
				return -EINVAL;
		transformation_set = c->rsvd8[0];
		std::copy_n(c->rss_config, std::min(takes, c->indir_size), table.begin());
		return write_error;
	}
};

EthtoolCall call_of(Driver &driver)
{
	return [&driver](void *command) { return driver(command); };
}

// As a device, so that writing and reading back can be seen together.
struct DriverTable final : TableDevice {
	explicit DriverTable(Driver &driver) : rss("eth9", call_of(driver)) {}
	std::string name() const override { return "eth9"; }
	uint32_t nb_queues() const override { return rss.nb_queues(); }
	uint32_t table_size() const override { return rss.table_size(); }
	int read_table(std::span<uint16_t> t) override { return rss.read(t); }
	int write_table(std::span<const uint16_t> t, std::span<const uint16_t>) override
	{
		return rss.write(t);
	}
	int sample(std::span<uint64_t>, std::span<float>) override { return 0; }
	EthtoolRss rss;
};

struct Counted {
	const char *what;
	Bytes frame;
	Bytes hashed; // empty: nothing is
};

Bytes part(const Bytes &frame, size_t at, size_t size)
{
	return Bytes(frame.begin() + long(at), frame.begin() + long(at + size));
}

std::vector<Counted> frames(bool udp_ports)
{
	const auto v4 = [](const Bytes &f, bool ports, size_t header = 20) {
		return join({part(f, 26, 8), ports ? part(f, 14 + header, 4) : Bytes{}});
	};
	const auto v6 = [](const Bytes &f, bool ports) {
		return join({part(f, 22, 32), ports ? part(f, 54, 4) : Bytes{}});
	};
	const Bytes tcp4 = ethernet(type_ipv4, ipv4({.source = "192.0.2.77"}, tcp({.source = 4711})));
	const Bytes udp4 = ethernet(type_ipv4, ipv4({.destination = "198.51.100.3"}, udp()));
	const Bytes options =
		ethernet(type_ipv4, ipv4({.options = Bytes(12, 1)}, tcp({.destination = 443})));
	const Bytes first = ethernet(type_ipv4, ipv4({.id = 5, .more_fragments = true}, udp()));
	const Bytes later = ethernet(type_ipv4, ipv4({.id = 5, .fragment_offset = 64}, udp()));
	const Bytes other = ethernet(type_ipv4, ipv4({}, esp(9)));
	const Bytes tcp6 = ethernet(type_ipv6, ipv6({.source = "2001:db8::abcd"}, tcp({.source = 9})));
	const Bytes udp6 = ethernet(type_ipv6, ipv6({}, udp({.source = 5353})));
	const Bytes extended = ethernet(type_ipv6, ipv6({}, extension(0, udp())));
	return {{"tcp4", tcp4, v4(tcp4, true)},
	        {"udp4", udp4, v4(udp4, udp_ports)},
	        {"ip options", options, v4(options, true, 32)},
	        {"first fragment", first, v4(first, false)},
	        {"later fragment", later, v4(later, false)},
	        {"esp", other, v4(other, false)},
	        {"tcp6", tcp6, v6(tcp6, true)},
	        {"udp6", udp6, v6(udp6, udp_ports)},
	        {"ipv6 extension", extended, v6(extended, false)},
	        {"arp", ethernet(type_arp, Bytes(28, 3)), {}},
	        {"cut", ethernet(type_ipv4, Bytes(6, 0x45)), {}}};
}

} // namespace

TEST_CASE("a table is probed, read, written, and keeps what it should")
{
	Driver driver;
	for (uint32_t i = 0; i < 128; i++)
		driver.table[i] = i % 4;
	DriverTable table(driver);
	CHECK(table.table_size() == 128);
	CHECK(table.nb_queues() == 8);
	CHECK(table.rss.key() == packet::toeplitz_key_microsoft);
	CHECK(table.rss.ports().tcp4);
	CHECK_FALSE(table.rss.ports().udp6);
	std::vector<uint16_t> wanted(128);
	REQUIRE(table.read_table(wanted) == 0);
	CHECK(wanted[7] == 3);
	wanted[7] = 6;
	const WriteOutcome outcome = write_verified(table, wanted, std::vector<uint16_t>{7});
	CHECK(outcome.error == 0);
	CHECK(outcome.refused.empty());
	CHECK(driver.table[7] == 6);
	CHECK(driver.table[8] == 0);
	CHECK(driver.transformation_set == driver.transformation);
}

TEST_CASE("drivers that refuse, or stop half way through, are seen through")
{
	Driver driver;
	DriverTable table(driver);
	const std::vector<uint16_t> wanted(128, 5), two = {3, 100};
	driver.write_error = -EBUSY;
	driver.takes = 0;
	CHECK(write_verified(table, wanted, two).refused == two);
	driver.takes = 64;
	const WriteOutcome half = write_verified(table, wanted, two);
	CHECK(half.error == -EBUSY);
	CHECK(half.refused == std::vector<uint16_t>{100});
	driver.write_error = 0; // a device that says it did
	CHECK(write_verified(table, wanted, two).refused == std::vector<uint16_t>{100});
	CHECK(table.rss.write(std::vector<uint16_t>(128, 9)) == -EINVAL);
	CHECK(table.rss.write(std::vector<uint16_t>(64)) == -EINVAL);
	driver.table.resize(256); // resized behind our back
	CHECK(table.rss.write(wanted) == -EINVAL);
}

TEST_CASE("tables whose buckets cannot be told are not supported")
{
	const auto refuses = [](auto change) {
		Driver driver;
		change(driver);
		try {
			EthtoolRss rss("eth9", call_of(driver));
		} catch (const DeviceError &e) {
			return e.unsupported;
		}
		return false;
	};
	CHECK_FALSE(refuses([](Driver &) {}));
	CHECK(refuses([](Driver &d) { d.table.resize(0); }));
	CHECK(refuses([](Driver &d) { d.table.resize(100); }));
	CHECK(refuses([](Driver &d) { d.key.resize(0); }));
	CHECK(refuses([](Driver &d) { d.hash_function = 2; }));
	CHECK(refuses([](Driver &d) { d.transformation = 1; }));
}

TEST_CASE("the XDP program counts every packet in the bucket that the NIC's hash gives")
{
	in_own_network("xdp", [] {
		TapParams tap;
		tap.nb_queues = 1;
		const TapPort port(tap);
		for (const bool udp_ports : {true, false}) {
			for (const auto &key :
			     {packet::toeplitz_key_microsoft, packet::toeplitz_key_symmetric}) {
				const XdpCounter counter(if_nametoindex("rss0"), key,
				                         {true, udp_ports, true, udp_ports}, 512);
				std::vector<uint64_t> expected(512);
				for (const Counted &c : frames(udp_ports)) {
					REQUIRE(write(port.queue(0), c.frame.data(), c.frame.size()) ==
					        ssize_t(c.frame.size()));
					const uint32_t bucket = packet::toeplitz_reference(key, c.hashed) % 512;
					expected[bucket]++;
					CAPTURE(c.what);
					for (int i = 0; i < 1000 && counter.count(bucket) < expected[bucket]; i++)
						usleep(1000);
					CHECK(counter.count(bucket) == expected[bucket]);
				}
				for (uint32_t b = 0; b < 512; b++)
					CHECK(counter.count(b) == expected[b]);
			}
		}
	});
}

TEST_CASE("a table of a real interface: counted, loaded, rewritten, and asked for what it has not")
{
	in_own_network("xdp", [] {
		TapParams tap;
		tap.nb_queues = 1;
		const TapPort port(tap);
		Driver driver;
		driver.rings = 2;
		const auto refusal = [&](std::vector<uint32_t> cpus) {
			try {
				EthtoolTable refused({.interface = "rss0", .cpus = std::move(cpus)},
				                     call_of(driver));
			} catch (const DeviceError &e) {
				return std::string(e.what());
			}
			return std::string();
		};
		CHECK(refusal({0}).find("name one CPU for each") != std::string::npos);
		CHECK(refusal({0, 100'000}).find("there is no CPU 100000") != std::string::npos);
		driver.rings = 1;
		EthtoolTable table({.interface = "rss0", .cpus = {0}}, call_of(driver));
		CHECK(table.name() == "ethtool rss0");
		CHECK(table.nb_queues() == 1);
		REQUIRE(table.table_size() == 128);
		uint64_t sent = 0;
		for (int round = 0; round < 20; round++)
			for (const Counted &c : frames(false)) {
				REQUIRE(write(port.queue(0), c.frame.data(), c.frame.size()) ==
				        ssize_t(c.frame.size()));
				sent++;
			}
		for (int i = 0; i < 1000 && table.counted() < sent; i++)
			usleep(1000);
		CHECK(table.counted() == sent);
		std::vector<uint64_t> packets(128);
		std::vector<float> loads(1);
		REQUIRE(table.sample(packets, loads) == 0);
		uint64_t sum = 0;
		for (const uint64_t count : packets)
			sum += count;
		CHECK(sum == sent);
		CHECK(loads[0] >= 0);
		CHECK(loads[0] <= 1);
		std::vector<float> many(2);
		CHECK(table.sample(packets, many) == -EINVAL);
		CHECK(table.sample(std::span(packets).first(64), loads) == -EINVAL);
		std::vector<uint16_t> wanted(128);
		REQUIRE(table.read_table(wanted) == 0);
		driver.rings = 2;
		{
			const FirstTable undo(table);
			driver.table[3] = 1;
		}
		CHECK(driver.table[3] == 0); // put back
	});
	Driver driver;
	CHECK_THROWS_AS(EthtoolTable({.interface = "absent0", .cpus = {}}, call_of(driver)),
	                DeviceError);
}

TEST_CASE("drivers that tell little are asked again, or taken at their word")
{
	Driver driver;
	driver.table.assign(128, 5);
	int calls = 0, refuse = 0;
	const EthtoolCall terse = [&](void *command) {
		const uint32_t what = static_cast<ethtool_rxnfc *>(command)->cmd;
		if (what == ETHTOOL_GRXRINGS || what == ETHTOOL_GRXFH)
			return -EOPNOTSUPP;
		return ++calls == refuse ? -EIO : driver(command);
	};
	EthtoolRss rss("eth9", terse);
	CHECK(rss.nb_queues() == 6); // by its table's highest entry
	CHECK(rss.ports().tcp4);
	CHECK(rss.ports().tcp6);
	CHECK_FALSE(rss.ports().udp4);
	std::vector<uint16_t> table(128);
	CHECK(rss.read(table) == 0);
	CHECK(rss.read(std::span(table).first(64)) == -EINVAL);
	refuse = calls + 1;
	CHECK(rss.read(table) == -EIO);
	refuse = calls + 1; // the reading before a write
	CHECK(rss.write(table) == -EIO);
	calls = 0;
	refuse = 2; // sizes are told, the table is not
	try {
		EthtoolRss unreadable("eth9", terse);
		FAIL("a table that cannot be read");
	} catch (const DeviceError &e) {
		CHECK(e.unsupported);
		CHECK(std::string(e.what()).find("cannot be read") != std::string::npos);
	}
	for (const std::string &name : {std::string(), std::string(16, 'x'), std::string("absent0")})
		CHECK_THROWS_AS(ethtool_call(name), DeviceError);
}

TEST_CASE(
	"programs that the kernel refuses, and interfaces that there are not, are errors with a reason")
{
	BpfAssembler reads_nothing;
	reads_nothing.exit(); // its answer was never set
	try {
		reads_nothing.load_program(BPF_PROG_TYPE_SOCKET_FILTER);
		FAIL("a program without an answer was loaded");
	} catch (const DeviceError &e) {
		CHECK(std::string(e.what()).find("the kernel refuses the eBPF program") !=
		      std::string::npos);
	}
	CHECK_THROWS_AS(BpfWords(0), DeviceError);
	CHECK_THROWS_AS(bpf_constant(nullptr, 8), DeviceError);
	CHECK_THROWS_AS(BpfGrace(-1), DeviceError);
	CHECK_THROWS_AS(XdpCounter(0, packet::toeplitz_key_microsoft, {}, 128), DeviceError);
}

TEST_CASE("the TAP's program steers by the same hash")
{
	for (const Counted &c : frames(true)) {
		if (c.hashed.empty())
			continue;
		CAPTURE(c.what);
		const packet::Frame frame = {c.frame.data(),
		                             uint32_t(c.frame.size()),
		                             uint32_t(c.frame.size()),
		                             0,
		                             packet::LinkType::ethernet,
		                             0};
		const packet::FlowKey flow = packet::five_tuple_of(packet::parse(frame), c.frame.data());
		// What the parser knows and NICs do not: ports behind extensions and of first fragments.
		if (std::string_view(c.what) == "ipv6 extension" ||
		    std::string_view(c.what) == "first fragment")
			continue;
		CHECK(packet::Toeplitz(packet::toeplitz_key_microsoft)(flow) ==
		      packet::toeplitz_reference(packet::toeplitz_key_microsoft, c.hashed));
	}
}

TEST_CASE("interfaces without a table say so")
{
	in_own_network("veth", [] {
		CHECK_THROWS_AS(EthtoolTable({.interface = "absent0", .cpus = {}}), DeviceError);
		std::vector<std::string> names = {"lo"};
		if (make_veth("rsstest"))
			names.push_back("rsstest");
		else
			MESSAGE("skipped: no veth here");
		for (const std::string &name : names) {
			CAPTURE(name);
			try {
				EthtoolTable table({.interface = name, .cpus = {}});
				FAIL("a table where there is none");
			} catch (const DeviceError &e) {
				CHECK(e.unsupported);
				CHECK(std::string(e.what()).find("no indirection table") != std::string::npos);
			}
		}
	});
}
