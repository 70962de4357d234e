// Inspection on flow blocks against a search of each direction byte by byte.
#include "drive.hpp"

#include "nf/block/chain.hpp"
#include "nf/block/firewall.hpp"
#include "nf/block/inspector.hpp"
#include "nf/block/table_each.hpp"

#include <map>
#include <string>

using namespace reframer;
using namespace reframer::nf::block;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint32_t depth = 600;

std::shared_ptr<const nf::Patterns> patterns()
{
	static const auto compiled = std::make_shared<const nf::Patterns>();
	return compiled;
}

conntrack_params params_of(uint64_t timeout_ns)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.initial_flows = 4096;
	p.max_flows = 1 << 14;
	p.seed = 11;
	std::fill_n(p.timeout_ns, CONNTRACK_NB_CLASSES, timeout_ns);
	return p;
}

// A packet of a connection between two ends, with a text.
std::vector<uint8_t> carry(uint16_t number, bool reply, const std::string &text)
{
	frames::Flow f{1, 2, number, 80, static_cast<uint8_t>(number & 1 ? 6 : 17)};
	if (reply) {
		std::swap(f.source, f.destination);
		std::swap(f.source_port, f.destination_port);
	}
	auto frame = frames::build(f, text.size(), 0);
	std::copy(text.begin(), text.end(), frame.end() - static_cast<std::ptrdiff_t>(text.size()));
	if (f.protocol == 6)
		frame[46] = 0x50; // a header of 20 bytes
	return frame;
}

// Which packets pass, in order.
template <typename Chain>
std::vector<bool> pass(Chain &chain, const std::vector<std::vector<uint8_t>> &traffic,
                       nf::Random &random, uint64_t now = second)
{
	frames::Pool pool(64);
	std::vector<bool> passed;
	for (size_t at = 0; at < traffic.size();) {
		const size_t n = std::min<size_t>(1 + random.below(64), traffic.size() - at);
		nf::Mbuf *packets[64], *dropped[64];
		std::map<const nf::Mbuf *, bool> kept;
		for (size_t i = 0; i < n; i++)
			packets[i] = pool.load(i, traffic[at + i]);
		std::vector<nf::Mbuf *> all(packets, packets + n);
		const uint32_t nb = chain.run(packets, static_cast<uint32_t>(n), now, dropped);
		for (uint32_t i = 0; i < nb; i++)
			kept[packets[i]] = true;
		for (const nf::Mbuf *m : all)
			passed.push_back(kept[m]);
		at += n;
	}
	return passed;
}

const std::string words[] = {"/etc/pas", "swd",  "union sel", "ect ", "harmless ", "EHL",
                             "O a",      "jndi", ":ldap",     "....", "sleep(1",   "2)"};

// Texts of many connections in both directions, cut anywhere, some packets empty.
struct Talk {
	uint16_t connection;
	bool reply;
	std::string text;
};
std::vector<Talk> talks(nf::Random &random, size_t n)
{
	std::vector<Talk> out;
	while (out.size() < n) {
		const auto connection = static_cast<uint16_t>(random.below(60));
		const bool reply = random.below(3) == 0;
		for (uint32_t run = 1 + random.below(5); run; run--) {
			std::string text;
			for (uint32_t k = random.below(3); k; k--)
				text += words[random.below(connection % 3 ? 12 : 6)];
			out.push_back({connection, reply, text});
		}
	}
	return out;
}

// The flow that a connection's packets with and without SYN belong to does not matter here: all start
// with `reply` false, so directions are those of the talk.
std::vector<bool> expected(const std::vector<Talk> &all, uint64_t &matched)
{
	struct Direction {
		uint32_t stream;
		uint32_t searched = 0;
	};
	std::map<std::pair<uint16_t, bool>, Direction> directions;
	std::map<uint16_t, bool> hit;
	nf::PatternScanner scanner(patterns(), 128);
	uint32_t next = 0;
	std::vector<bool> passed;
	for (const Talk &t : all) {
		auto [at, fresh] = directions.try_emplace({t.connection, t.reply}, Direction{next});
		next += fresh;
		for (const char c : t.text) {
			if (hit[t.connection] || at->second.searched == depth)
				break;
			at->second.searched++;
			const auto byte = static_cast<uint8_t>(c);
			hit[t.connection] = scanner.scan(at->second.stream, &byte, 1).count != 0;
		}
		passed.push_back(!hit[t.connection]);
	}
	matched = 0;
	for (const auto &[connection, is] : hit)
		matched += is;
	return passed;
}

} // namespace

TEST_CASE("an inspected flow passes up to the packet in which a pattern ends, cut as it may be")
{
	const uint64_t base = drive::seed();
	for (uint64_t seed = base; seed < base + 5; seed++) {
		CAPTURE(seed);
		nf::Random random{seed};
		std::vector<Talk> all;
		for (uint16_t c = 0; c < 60; c++)
			all.push_back({c, false, ""});
		for (Talk &t : talks(random, 4000))
			all.push_back(std::move(t));
		std::vector<std::vector<uint8_t>> traffic;
		for (const Talk &t : all)
			traffic.push_back(carry(t.connection, t.reply, t.text));
		uint64_t matched;
		const std::vector<bool> right = expected(all, matched);
		CHECK(matched > 5);
		CHECK(matched < 60);
		const auto check = [&](auto &&chain) {
			CHECK(pass(chain, traffic, random) == right);
			CHECK(chain.template function<1>().matched_flows == matched);
			CHECK(chain.template function<1>().unsearched_bytes == 0);
			return chain.digest();
		};
		const auto inspector = [] {
			return Inspector(patterns(), 120, depth, Inspector::OnMatch::drop);
		};
		conntrack_params p = params_of(0);
		p.flags |= CONNTRACK_SYMMETRIC; // both directions are one flow
		const uint64_t digest =
			check(FlowBlockChain<true, FlowCounter, Inspector>(p, FlowCounter(), inspector()));
		CHECK(digest ==
		      check(FlowBlockChain<false, FlowCounter, Inspector>(p, FlowCounter(), inspector())));
		CHECK(digest ==
		      check(TableEachChain<true, FlowCounter, Inspector>(p, FlowCounter(), inspector())));
		CHECK(digest ==
		      check(TableEachChain<false, FlowCounter, Inspector>(p, FlowCounter(), inspector())));
	}
}

TEST_CASE("a flow that showed nothing in its first bytes is searched no more; one that only counts "
          "passes")
{
	nf::Random random{1};
	const std::vector<std::vector<uint8_t>> late = {
		carry(1, false, std::string(depth, '.')), carry(1, false, "/etc/passwd"),
		carry(2, false, std::string(depth - 11, '.')), carry(2, false, "/etc/passwd"),
		carry(2, false, "")};
	FlowBlockChain<true, Inspector> drops(
		params_of(0), Inspector(patterns(), 4, depth, Inspector::OnMatch::drop));
	CHECK(pass(drops, late, random) == std::vector<bool>{true, true, true, false, false});
	FlowBlockChain<true, Inspector> counts(
		params_of(0), Inspector(patterns(), 4, depth, Inspector::OnMatch::count));
	CHECK(pass(counts, late, random) == std::vector<bool>{true, true, true, true, true});
	CHECK(counts.function<0>().matched_flows == 1);
}

TEST_CASE("streams come back with the verdict and with the flow, and a flow without one passes")
{
	nf::Random random{1};
	FlowBlockChain<true, Inspector> chain(
		params_of(second), Inspector(patterns(), 1, depth, Inspector::OnMatch::drop));
	const auto &inspector = chain.function<0>();
	CHECK(pass(chain, {carry(1, false, "harmless")}, random)[0]);
	// The stream is taken: another flow goes unsearched.
	CHECK(pass(chain, {carry(2, false, "/etc/passwd")}, random)[0]);
	CHECK(inspector.unsearched_bytes == 11);
	// A verdict gives it back.
	CHECK(!pass(chain, {carry(1, false, "/etc/passwd")}, random)[0]);
	CHECK(!pass(chain, {carry(2, false, "/etc/passwd")}, random)[0]);
	CHECK(pass(chain, {carry(3, false, "harmless")}, random)[0]);
	CHECK(pass(chain, {carry(4, false, "/etc/passwd")}, random)[0]);
	// So does the end of its flow. What stood in it is no part of the next flow.
	uint64_t now = 4 * second;
	for (int i = 0; i < 1200; i++)
		chain.table().sweep(now += 1'000'000);
	CHECK(chain.table().stats().flows == 0);
	CHECK(pass(chain, {carry(5, false, "/etc/pas")}, random, now)[0]);
	now += 4 * second;
	for (int i = 0; i < 1200; i++)
		chain.table().sweep(now += 1'000'000);
	CHECK(pass(chain, {carry(6, false, "swd")}, random, now)[0]);
	CHECK(!pass(chain, {carry(6, false, " /etc/passwd")}, random, now)[0]);
}
