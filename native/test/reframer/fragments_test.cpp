// Fragments belong to their flow. What order means where a fragment comes before its first:
// packet/fragment_flows.hpp.
#include "stage_fixture.hpp"
#include "support/seed.hpp"

#include "reframer/blocks/blocks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

using namespace reframer::test;

namespace {

using Ids = std::vector<uint64_t>;

Bytes udp_whole(uint16_t port, size_t bytes = 20)
{
	return ethernet(type_ipv4, ipv4({}, udp({.source = port, .payload = Bytes(bytes, 'w')})));
}
Bytes udp_first(uint16_t port, uint32_t id)
{
	return ethernet(type_ipv4, ipv4({.id = id, .more_fragments = true},
	                                udp({.source = port, .payload = Bytes(16, 'f')})));
}
Bytes later(uint32_t id, uint16_t offset, bool more)
{
	return ethernet(type_ipv4, ipv4({.id = id, .fragment_offset = offset, .more_fragments = more},
	                                segment(17, Bytes(24, 'l'))));
}

} // namespace

TEST_CASE("whole and fragmented datagrams of a flow leave as they came, in one run")
{
	Stage stage([](reframer_params &p) { p.lookahead = 0; });
	stage.push({{1, udp_whole(5)}, {2, udp_first(5, 1)}, {3, udp_whole(6)}}, 0);
	stage.push({{4, later(1, 24, false)}, {5, udp_whole(5)}}, 1000);
	CHECK(stage.poll(64'000) == Ids{1, 2, 4, 5, 3});
	CHECK(stage.last_runs.size() == 2);
	// The first fragment has left long ago: later ones still follow.
	stage.push({{6, udp_first(5, 2)}}, 100'000);
	CHECK(stage.poll(164'000) == Ids{6});
	stage.push({{7, udp_whole(5)}, {8, later(2, 24, true)}, {9, udp_whole(5)}}, 200'000);
	CHECK(stage.poll(264'000) == Ids{7, 8, 9});
}

TEST_CASE("sent last first: what waits leaves when its first comes, and what came before it too")
{
	Stage stage([](reframer_params &p) { p.lookahead = 0; });
	stage.push({{1, later(1, 48, false)}, {2, udp_whole(6)}}, 0);
	stage.push({{3, later(1, 24, true)}, {4, udp_whole(5)}}, 10'000);
	stage.push({{5, udp_first(5, 1)}, {6, udp_whole(5)}, {7, udp_whole(6)}}, 20'000);
	CHECK(stage.poll(20'000) == Ids{1, 3});
	CHECK(stage.last_runs.size() == 1);
	CHECK(stage.poll(63'999).empty());
	CHECK(stage.poll(64'000) == Ids{2, 7});
	CHECK(stage.poll(74'000) == Ids{4, 5, 6});
	// What came of the flow before: it leaves first.
	stage.push({{8, udp_whole(5)}}, 100'000);
	stage.push({{9, later(2, 24, false)}, {10, udp_whole(6)}, {11, udp_first(5, 2)}}, 110'000);
	CHECK(stage.poll(110'000) == Ids{8, 9});
	CHECK(stage.poll(174'000) == Ids{10, 11});
}

TEST_CASE("a fragment whose first never comes leaves at its time, alone")
{
	Stage stage({});
	stage.push({{1, later(9, 24, true)}, {2, udp_whole(5)}}, 0);
	CHECK(stage.poll(64'000) == Ids{1, 2});
	CHECK(stage.last_runs.size() == 2);
	stage.push({{3, udp_first(5, 9)}, {4, udp_whole(5)}}, 70'000); // late: nothing waits any more
	CHECK(stage.poll(134'000) == Ids{3, 4});
}

TEST_CASE("duplicates of a complete datagram stay with its flow, however long T is")
{
	for (const uint32_t bypass : {0u, uint32_t{REFRAMER_BYPASS_DNS}}) { // both ways to hold
		Stage stage([&](reframer_params &p) {
			p.lookahead = 0;
			p.bypass = bypass;
			p.delay_ns = 50'000'000;
		});
		stage.push({{1, udp_first(5, 1)}, {2, later(1, 24, false)}}, 0);
		stage.push({{3, later(1, 24, false)}}, 10'000'000);
		stage.push({{4, udp_whole(5)}}, 20'000'000);
		CHECK(stage.poll(50'000'000) == Ids{1, 2, 3, 4});
		CHECK(stage.last_runs.size() == 1);
	}
}

TEST_CASE("an id that another flow has used: what came before its new first leaves with that")
{
	for (const uint32_t bypass : {0u, uint32_t{REFRAMER_BYPASS_DNS}}) {
		Stage stage([&](reframer_params &p) {
			p.lookahead = 0;
			p.bypass = bypass;
		});
		stage.push({{1, udp_first(5, 1)}, {2, later(1, 24, false)}}, 0);
		CHECK(stage.poll(64'000) == Ids{1, 2});
		// Sent last first, and the next datagram of its flow is whole.
		stage.push({{3, udp_whole(6)}}, 100'000);
		stage.push({{4, later(1, 24, false)}, {5, udp_first(6, 1)}, {6, udp_whole(6)}}, 110'000);
		CHECK(stage.poll(110'000) == Ids{4});
		CHECK(stage.poll(164'000) == Ids{3, 5, 6});
	}
}

TEST_CASE("many datagrams at once in a small stage")
{
	Stage stage([](reframer_params &p) {
		p.lookahead = 0;
		p.max_packets = 32;
	});
	for (uint32_t id = 0; id < 32; id++)
		stage.push({{1 + id, udp_first(static_cast<uint16_t>(id), id)}}, id);
	stage.poll(70'000);
	for (uint32_t id = 0; id < 32; id++) {
		const auto port = static_cast<uint16_t>(id);
		const uint64_t now = 100'000 + 100'000 * id;
		stage.push({{100, udp_whole(port)}, {101, later(id, 24, false)}, {102, udp_whole(port)}},
		           now);
		CHECK(stage.poll(now + 64'000) == Ids{100, 101, 102});
	}
}

TEST_CASE("a burst limit and a burst policy end the wait of fragments too")
{
	Stage stage([](reframer_params &p) {
		p.max_burst = 2;
		p.lookahead = 0;
	});
	stage.push({{1, later(1, 24, true)}, {2, later(1, 48, true)}}, 0);
	CHECK(stage.poll(0) == Ids{1, 2});
	stage.push({{3, later(2, 24, true)}, {4, udp_whole(5)}, {5, udp_first(5, 2)}}, 0);
	CHECK(stage.poll(0) == Ids{3, 4, 5});
	Stage burst([](reframer_params &p) { p.policy = REFRAMER_BURST; });
	burst.push({{1, later(1, 24, false)}, {2, udp_whole(6)}, {3, udp_first(5, 1)}}, 0);
	CHECK(burst.poll(0) == Ids{1, 2, 3});
}

TEST_CASE("positions go around while nothing comes but fragments without their first")
{
	constexpr uint32_t at_once = 64, around = 1u << reframer::stage::position_bits;
	reframer_params params;
	reframer_default_params(&params);
	params.delay_ns = 0;
	params.lookahead = 0;
	params.hash_seed = 42;
	reframer_stage *r = nullptr;
	REQUIRE(reframer_create(&params, &r) == 0);
	const Bytes whole = udp_whole(5);
	std::vector<Bytes> orphans;
	for (uint32_t id = 0; id < at_once; id++)
		orphans.push_back(later(id, 24, false));
	void *packets[at_once], *out[2 * at_once];
	const uint8_t *data[at_once];
	uint32_t captured[at_once];
	const auto push = [&](uint32_t n, bool of_flow) {
		for (uint32_t i = 0; i < n; i++) {
			const Bytes &frame = of_flow ? whole : orphans[i];
			data[i] = frame.data();
			packets[i] = const_cast<uint8_t *>(data[i]);
			captured[i] = static_cast<uint32_t>(frame.size());
		}
		const reframer_burst burst = {packets, data, captured, nullptr, nullptr, n};
		return reframer_push(r, &burst, 0) == n;
	};
	reframer_run runs[2 * at_once];
	uint32_t nb_runs = 0;
	const auto poll = [&] {
		nb_runs = 2 * at_once;
		return reframer_poll(r, 0, out, 2 * at_once, runs, &nb_runs);
	};
	REQUIRE(push(5, true));
	REQUIRE(poll() == 5);
	bool right = true;
	for (uint32_t left = around - 1, n = 0; left > 0; left -= n) {
		n = std::min(left, at_once);
		right = right && push(n, false) && poll() == n;
	}
	REQUIRE(right);
	// This one is where the flow's group was, and the table must not know of that any more.
	REQUIRE(push(1, false));
	REQUIRE(push(1, true));
	REQUIRE(poll() == 2);
	CHECK(nb_runs == 2);
	CHECK(out[0] == orphans[0].data());
	CHECK(out[1] == whole.data());
	reframer_free(r);
}

namespace {

// A datagram of a flow on its way: whole, or in pieces in any order.
struct Piece {
	uint32_t flow, datagram;
	bool first;
	bool known; // its flow is: whole, first, or behind its first
	uint64_t arrival;
};

class Play {
public:
	explicit Play(uint64_t seed) : random(seed) {}

	void run()
	{
		reframer_params chosen;
		reframer_default_params(&chosen);
		constexpr uint32_t keys[] = {REFRAMER_KEY_5TUPLE, REFRAMER_KEY_SYMMETRIC,
		                             REFRAMER_KEY_DESTINATION, REFRAMER_KEY_INNER};
		key = keys[pick(4)];
		const uint32_t policy = pick(4) ? REFRAMER_FIXED : REFRAMER_BURST;
		const uint32_t max_bursts[] = {1, 2, 5, 128}, lookaheads[] = {0, 16, 128};
		const uint32_t max_burst = max_bursts[pick(4)], lookahead = lookaheads[pick(3)];
		const uint32_t bypass = pick(3) ? 0 : REFRAMER_BYPASS_DSCP_EF | REFRAMER_BYPASS_DNS;
		const uint64_t seed = 1 + pick(1000);
		tagged = bypass;
		Stage stage([&](reframer_params &p) {
			p.key = key;
			p.policy = policy;
			p.max_burst = max_burst;
			p.lookahead = lookahead;
			p.bypass = bypass;
			p.hash_seed = seed;
			p.max_packets = 4096;
		});
		make_script();
		uint64_t now = 1'000'000;
		for (size_t at = 0; at < script.size();) {
			std::vector<Packet> burst;
			for (uint32_t n = 1 + pick(40); n > 0 && at < script.size(); n--, at++)
				burst.push_back({at + 1, script[at].second});
			for (const Packet &p : burst)
				pieces[p.id - 1].arrival = now;
			stage.push(burst, now);
			take(stage.poll(now), now);
			now += pick(4) ? pick(5'000) : pick(200'000);
			if (pick(3) == 0)
				take(stage.poll(now), now);
		}
		take(stage.drain(now), now);
		check();
	}

private:
	uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random() % n); }

	Bytes ip(uint32_t flow, uint32_t id, uint32_t offset, bool more, const Segment &part)
	{
		const uint8_t tos = tagged && pick(20) == 0 ? 46 << 2 : 0;
		if (flow % 3 == 1)
			return ethernet(type_ipv6,
			                ipv6({.traffic_class = tos},
			                     offset == 0 && !more
			                         ? part
			                         : fragment6(id, static_cast<uint16_t>(offset), more, part)));
		return ethernet(type_ipv4, ipv4({.tos = tos,
		                                 .id = id,
		                                 .fragment_offset = static_cast<uint16_t>(offset),
		                                 .more_fragments = more},
		                                part));
	}

	Segment content(uint32_t flow, size_t bytes)
	{
		const auto port = static_cast<uint16_t>(flow == 5 ? 53 : 1000 + flow);
		const Bytes filling(bytes, 'x');
		if (flow == 6)
			return esp(99, filling);
		if (flow == 7) // the inner packet is whole only with all its fragments
			return vxlan(
				7, ethernet(type_ipv4, ipv4({.source = "172.16.0.1"}, udp({.payload = filling}))));
		if (flow % 2)
			return udp({.source = port, .payload = filling});
		return tcp({.source = port, .payload = filling});
	}

	// Several senders at once; a sender's datagrams mostly one after the other.
	void make_script()
	{
		std::vector<std::vector<std::pair<Piece, Bytes>>> queues(8);
		uint32_t next = 0;
		for (int i = 0; i < 300; i++) {
			const uint32_t flow = pick(8), datagram = next++;
			const Segment whole = content(flow, 120 + pick(60));
			std::vector<std::pair<Piece, Bytes>> parts;
			if (pick(2)) {
				parts.push_back({{flow, datagram, true, false, 0}, ip(flow, 0, 0, false, whole)});
			} else {
				const size_t step = 64;
				for (size_t at = 0; at < whole.bytes.size(); at += step) {
					const size_t end = std::min(at + step, whole.bytes.size());
					const auto from = whole.bytes.begin();
					const Bytes bytes(from + static_cast<ptrdiff_t>(at),
					                  from + static_cast<ptrdiff_t>(end));
					parts.push_back({{flow, datagram, at == 0, false, 0},
					                 ip(flow, datagram, static_cast<uint32_t>(at),
					                    end < whole.bytes.size(), segment(whole.protocol, bytes))});
				}
				switch (pick(4)) {
				case 0:
					std::reverse(parts.begin(), parts.end());
					break;
				case 1:
					std::shuffle(parts.begin(), parts.end(), random);
					break;
				}
				if (pick(8) == 0) // lost
					parts.erase(parts.begin() + pick(static_cast<uint32_t>(parts.size())));
				else if (pick(8) == 0) // twice
					parts.push_back(parts[pick(static_cast<uint32_t>(parts.size()))]);
				else
					whole_ones.insert(datagram);
			}
			auto &queue = queues[flow];
			for (auto &part : parts)
				queue.push_back(std::move(part));
			if (pick(6) == 0 && queue.size() > 4) // the network mixes them
				std::swap(queue[queue.size() - 1], queue[queue.size() - 3]);
		}
		std::vector<size_t> at(queues.size());
		std::set<uint32_t> firsts;
		for (uint32_t flow = 0;;) {
			std::vector<uint32_t> left;
			for (uint32_t i = 0; i < queues.size(); i++)
				if (at[i] < queues[i].size())
					left.push_back(i);
			if (left.empty())
				return;
			if (pick(3) == 0 || at[flow] == queues[flow].size())
				flow = left[pick(static_cast<uint32_t>(left.size()))];
			auto [piece, bytes] = queues[flow][at[flow]++];
			if (piece.first)
				firsts.insert(piece.datagram);
			piece.known = firsts.contains(piece.datagram);
			pieces.push_back(piece);
			script.push_back({piece.datagram, bytes});
		}
	}

	void take(const Ids &ids, uint64_t now)
	{
		for (const uint64_t id : ids) {
			out.push_back(id - 1);
			REQUIRE(now >= pieces[id - 1].arrival);
		}
	}

	void check()
	{
		REQUIRE(out.size() == script.size());
		std::map<uint32_t, uint64_t> last;
		std::map<uint32_t, uint32_t> orphans_inside;
		std::map<uint32_t, uint64_t> last_of_datagram;
		for (const uint64_t id : out) {
			const Piece &p = pieces[id];
			if (p.known) {
				const uint32_t flow = p.flow;
				REQUIRE(last[flow] <= id);
				last[flow] = id + 1;
			}
			REQUIRE(last_of_datagram[p.datagram] <= id);
			last_of_datagram[p.datagram] = id + 1;
		}
		REQUIRE(completed(out) == completed_on_arrival());
	}

	// Datagrams of each flow in the order in which the last of their pieces was seen.
	std::map<uint32_t, std::vector<uint32_t>> completed(const Ids &order) const
	{
		std::map<uint32_t, uint32_t> missing;
		for (const Piece &p : pieces)
			missing[p.datagram]++;
		std::map<uint32_t, std::vector<uint32_t>> done;
		for (const uint64_t id : order)
			if (--missing[pieces[id].datagram] == 0 && whole_ones.contains(pieces[id].datagram))
				done[pieces[id].flow].push_back(pieces[id].datagram);
		return done;
	}
	std::map<uint32_t, std::vector<uint32_t>> completed_on_arrival() const
	{
		Ids all(pieces.size());
		for (size_t i = 0; i < all.size(); i++)
			all[i] = i;
		return completed(all);
	}

	std::mt19937_64 random;
	uint32_t key = 0;
	bool tagged = false;
	std::vector<std::pair<uint32_t, Bytes>> script;
	std::vector<Piece> pieces;
	std::set<uint32_t> whole_ones; // fragmented, nothing lost, nothing twice
	Ids out;
};

} // namespace

TEST_CASE(
	"random fragments: flows keep their order, datagrams are complete in the order of arrival")
{
	const uint64_t seed = seed_for("fragments", 20231);
	for (uint64_t round = 0; round < 400; round++) {
		CAPTURE(round);
		Play(seed + round).run();
	}
}
