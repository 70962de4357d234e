// Every function alone: per packet and per run give the same, also on real captures; and what each
// does to packets.
#include "drive.hpp"

#include "nf/modern_functions.hpp"
#include "nf/paper_functions.hpp"
#include "traffic/capture.hpp"
#include "traffic/capture_error.hpp"
#ifdef REFRAMER_HAVE_DPDK_TABLES
#include "nf/dpdk_tables.hpp"
#endif

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <map>

using namespace reframer;
using namespace drive;
namespace fs = std::filesystem;

namespace {

void check_forms(const nf::Config &config, const std::vector<std::vector<uint8_t>> &traffic,
                 nf::Random &random)
{
	uint64_t bursts = random.next();
	nf::Config blind = config;
	blind.look_ahead = false;
	Outcome reference = run_chain(blind, nf::Form::packet, traffic, bursts);
	CHECK((run_chain(config, nf::Form::packet, traffic, random.next()) == reference));
	for (int i = 0; i < 3; i++)
		CHECK((run_chain(config, nf::Form::run, traffic, random.next()) == reference));
	CHECK((run_chain(blind, nf::Form::run, traffic, bursts) == reference));
}

template <typename Visit> void for_each_chain(Visit visit)
{
	for (const nf::ChainName &c : nf::chain_names()) {
		if (c.lacks) {
			std::fprintf(stderr, "skipped: chain %s needs %s\n", c.name, c.lacks);
			continue;
		}
		CAPTURE(c.name);
		visit(c.kind);
	}
}

} // namespace

TEST_CASE("every chain gives the same packets per packet and per run, with and without look-ahead")
{
	nf::Random random{seed()};
	nf::Config config;
	config.nb_rules = 800;
	config.deny_share = 0.3;
	config.table_capacity = 1024;
	config.seed = random.next();
	auto traffic = make_traffic(random, config, 3000);
	for_each_chain([&](nf::ChainKind kind) {
		config.kind = kind;
		check_forms(config, traffic, random);
	});
}

TEST_CASE("every chain gives the same packets per packet and per run on real captures")
{
	const fs::path folder = fs::path(REFRAMER_TRACES) / "real";
	if (!fs::is_directory(folder)) {
		std::fprintf(stderr, "skipped: no captures under ../shared/traces/real\n");
		return;
	}
	nf::Random random{seed()};
	nf::Config config;
	config.nb_rules = 500;
	config.table_capacity = 4096;
	std::vector<std::vector<uint8_t>> traffic;
	size_t files = 0;
	for (const auto &entry : fs::directory_iterator(folder)) {
		// The first frames of every file: all kinds of networks, in seconds.
		try {
			auto reader = traffic::open_capture(entry.path().string());
			traffic::FrameBatch batch;
			size_t taken = 0;
			while (taken < 400 && reader->fill(batch))
				for (size_t i = 0; i < batch.frames.size() && taken < 400; i++, taken++) {
					const packet::Frame &f = batch.frames[i];
					if (f.link == packet::LinkType::ethernet)
						traffic.emplace_back(
							f.data, f.data + std::min<size_t>(f.captured, nf::Mbuf::data_room));
				}
			files++;
		} catch (const traffic::CaptureError &) {
			// not a capture: the folder's own notes
		}
	}
	MESSAGE(traffic.size() << " frames of " << files << " captures");
	REQUIRE(files > 0);
	for_each_chain([&](nf::ChainKind kind) {
		config.kind = kind;
		check_forms(config, traffic, random);
	});
}

TEST_CASE("a checksum that was changed in place is the one that recomputing gives")
{
	nf::Random random{seed()};
	for (int i = 0; i < 200000; i++) {
		uint8_t header[20];
		for (uint8_t &b : header)
			b = static_cast<uint8_t>(random.below(4) ? random.next() : random.below(2) ? 0xff : 0);
		header[0] |= 0x40; // a header of zeros does not exist, and its sum would be ambiguous
		frames::put16(header + 10, 0);
		frames::put16(header + 10, ~frames::sum(header, 20));
		uint32_t before = nf::load32(header + 12), after = static_cast<uint32_t>(random.next());
		if (i % 3 == 0)
			after = i % 2 ? 0 : ~0u;
		nf::store32(header + 12, after);
		nf::update_checksum(header + 10, nf::fold(nf::change32(before, after)));
		uint32_t got = get16(header + 10);
		frames::put16(header + 10, 0);
		REQUIRE(got == (~frames::sum(header, 20) & 0xffff));
	}
}

TEST_CASE("NAT translates the packet that an ICMP error quotes, both ways")
{
	nf::Random random{seed()};
	for (nf::ChainKind kind : {nf::ChainKind::nat, nf::ChainKind::paper_nat}) {
		nf::Config config;
		config.kind = kind;
		config.table_capacity = 1024;
		auto chain = nf::ChainFactory(config).make(nf::Form::run, 0);
		for (int i = 0; i < 400; i++) {
			Flow f{};
			f.source = 0x0a000000u + random.below(1u << 24);
			f.destination = 0x20000000u + random.below(1u << 28);
			f.source_port = static_cast<uint16_t>(random.next());
			f.destination_port = static_cast<uint16_t>(random.next());
			f.protocol = i & 1 ? 6 : 17;
			f.options = static_cast<uint8_t>(random.below(3));
			f.udp_checksum = i % 8 != 0;
			auto original =
				frames::build(f, random.below(100), static_cast<uint8_t>(random.next()));
			auto sent = pass(*chain, original);
			REQUIRE(!sent.empty());
			size_t header = 20 + 4u * f.options;
			Flow outside = f; // as the other end sees it
			outside.source = get32(&sent[26]);
			outside.source_port = static_cast<uint16_t>(get16(&sent[14 + header]));
			// 8 bytes of layer 4, or all of the packet.
			size_t quote = i % 4 < 2 ? header + 8 : original.size() - 14;

			// A router on the way complains about what left.
			auto back =
				pass(*chain, frames::build_error(0x51000001, outside.source, sent, quote, 11));
			REQUIRE(back.size() == 14 + 20 + 8 + quote);
			CHECK(get32(&back[30]) == f.source);
			CHECK(get32(&back[26]) == 0x51000001);
			CHECK(frames::sum(&back[14], 20) == 0xffff);
			CHECK(frames::sum(&back[34], back.size() - 34) == 0xffff);
			CHECK(std::equal(back.begin() + 42, back.end(), original.begin() + 14)); // sums and all

			// The host complains about an answer that it got.
			Flow answer{f.destination, f.source, f.destination_port, f.source_port, f.protocol};
			answer.udp_checksum = f.udp_checksum;
			Flow answer_outside = answer;
			answer_outside.destination = outside.source;
			answer_outside.destination_port = outside.source_port;
			auto got = frames::build(answer, 40, 7), wanted = frames::build(answer_outside, 40, 7);
			quote = i % 4 < 2 ? 28 : got.size() - 14;
			auto out = pass(*chain, frames::build_error(f.source, f.destination, got, quote));
			REQUIRE(out.size() == 42 + quote);
			CHECK(get32(&out[26]) == outside.source);
			CHECK(frames::sum(&out[14], 20) == 0xffff);
			CHECK(frames::sum(&out[34], out.size() - 34) == 0xffff);
			CHECK(std::equal(out.begin() + 42, out.end(), wanted.begin() + 14));

			// About a connection that nobody has: untouched.
			answer.source_port ^= 1;
			auto stranger =
				frames::build_error(f.source, f.destination, frames::build(answer, 40, 7), 60);
			auto same = pass(*chain, stranger);
			CHECK(std::equal(same.begin() + 12, same.end(), stranger.begin() + 12));
		}
		for (const auto &[name, value] : chain->counters())
			if (name == "natIcmpErrors")
				CHECK(value == 800);
	}
}

#ifdef REFRAMER_HAVE_HYPERSCAN
TEST_CASE("a pattern is found across packets of its flow, and not across flows")
{
	nf::Config config;
	config.kind = nf::ChainKind::dpi;
	config.table_capacity = 1024;
	for (nf::Form form : {nf::Form::packet, nf::Form::run}) {
		auto chain = nf::ChainFactory(config).make(form, 0);
		auto feed = [&](uint16_t port, const std::string &text) {
			auto frame = frames::build({1, 2, port, 80, 6}, text.size(), 0);
			std::copy(text.begin(), text.end(),
			          frame.end() - static_cast<std::ptrdiff_t>(text.size()));
			return frame;
		};
		std::vector<std::vector<uint8_t>> traffic = {
			feed(1, "GET /etc/pas"), feed(1, "swd HTTP/1.1"), feed(2, "GET /etc/pas"),
			feed(3, "swd HTTP/1.1"), feed(3, "/ETC/PASSWD"),  feed(2, "swd")};
		frames::Pool pool(8);
		std::vector<nf::Mbuf *> packets, dropped(8);
		for (size_t i = 0; i < traffic.size(); i++)
			packets.push_back(pool.load(i, traffic[i]));
		CHECK(chain->process({}, packets.data(), 6, dropped.data()) == 6);
		for (const auto &[name, value] : chain->counters()) {
			if (name == "dpiMatches")
				CHECK(value == 3);
			if (name == "dpiScans")
				CHECK(value == (form == nf::Form::run ? 4u : 6u));
		}
	}
}

TEST_CASE("patterns in payloads of any split are counted alike per packet and per run")
{
	nf::Random random{seed()};
	nf::Config config;
	config.kind = nf::ChainKind::dpi;
	config.table_capacity = 1024;
	const std::string words[] = {"/etc/passwd",
	                             "BEGIN RSA PRIVATE KEY",
	                             "union select",
	                             "x",
	                             "SSH-2.0",
	                             "EHLO a",
	                             "Authorization: Basic QWxhZGRpbjpvcGVu",
	                             "jndi:ldap",
	                             "....",
	                             "sleep(12)",
	                             "\r\n"};
	std::vector<std::vector<uint8_t>> traffic;
	std::string stream[20];
	for (int i = 0; i < 4000; i++) {
		uint16_t flow = static_cast<uint16_t>(random.below(20));
		std::string &s = stream[flow];
		while (s.size() < 300)
			s += words[random.below(11)];
		for (uint32_t run = 1 + random.below(4); run && s.size() > 40; run--) {
			size_t n = 1 + random.below(40);
			auto frame =
				frames::build({1, 2, flow, 80, static_cast<uint8_t>(flow & 1 ? 6 : 17)}, n, 0);
			std::copy_n(s.begin(), n, frame.end() - static_cast<std::ptrdiff_t>(n));
			s.erase(0, n);
			traffic.push_back(std::move(frame));
		}
	}
	Outcome reference = run_chain(config, nf::Form::packet, traffic, 1);
	CHECK(reference.dpi_matches > 1000);
	check_forms(config, traffic, random);
}
#endif

#ifdef REFRAMER_HAVE_DPDK_TABLES
TEST_CASE("DPDK's tables give what a linear walk gives")
{
	nf::Random random{seed()};
	auto routes = nf::make_routes(5);
	auto rules = nf::make_rules(3000, 0.5, 5);
	nf::DpdkRoutes lpm(routes, nf::RouteTable::lpm), fib(routes, nf::RouteTable::fib);
	nf::DpdkRules acl(rules);
	auto linear = [](const std::vector<nf::Prefix> &list, uint32_t address) {
		for (const nf::Prefix &p : list)
			if (p.covers(address))
				return p.result;
		return uint16_t{0xffff};
	};
	for (int i = 0; i < 300; i++) {
		uint32_t address[128];
		uint16_t found[3][128];
		for (uint32_t &a : address) {
			a = static_cast<uint32_t>(random.next());
			if (i % 3 == 1)
				a = rules[random.below(3000)].value + random.below(3);
			if (i % 3 == 2)
				a = routes[random.below(101)].value + random.below(70000);
		}
		lpm.find(address, 128, found[0]);
		fib.find(address, 128, found[1]);
		acl.find(address, 128, found[2]);
		for (int k = 0; k < 128; k++) {
			REQUIRE(found[0][k] == linear(routes, address[k]));
			REQUIRE(found[1][k] == linear(routes, address[k]));
			REQUIRE(found[2][k] == linear(rules, address[k]));
		}
	}
}
#endif
