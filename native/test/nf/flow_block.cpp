// Chains on flow blocks against the same functions with a table each: frames, verdicts, and a digest
// of all state must be equal, whatever comes.
#include "drive.hpp"

#include "nf/block/balancer.hpp"
#include "nf/block/chain.hpp"
#include "nf/block/firewall.hpp"
#include "nf/block/nat.hpp"
#include "nf/block/source_counter.hpp"
#include "nf/block/table_each.hpp"

#include <string>

using namespace reframer;
using namespace reframer::nf::block;

namespace {

constexpr uint64_t second = 1'000'000'000;

conntrack_params params_of(uint32_t flows, uint32_t flags, uint64_t timeout_ns)
{
	conntrack_params p;
	conntrack_default_params(&p);
	p.initial_flows = flows;
	p.max_flows = std::max(flows, 1u << 14);
	p.flags = flags;
	p.seed = 7;
	std::fill_n(p.timeout_ns, CONNTRACK_NB_CLASSES, timeout_ns);
	return p;
}

struct Result {
	std::vector<std::vector<uint8_t>> frames;
	std::vector<uint64_t> verdicts;
	std::vector<uint64_t> digests; // now and then

	bool operator==(const Result &) const = default;
};

using Frames = std::vector<std::vector<uint8_t>>;

// How a burst goes through.
enum class Way { run, look_ahead };

// Drives a chain with the frames in bursts of random size, at times that leap now and then.
template <typename Chain>
Result drive_chain(Chain &chain, const Frames &traffic, uint64_t seed, Way way, uint64_t leap_ns)
{
	nf::Random random{seed};
	frames::Pool pool(1024);
	Result out;
	uint64_t now = second;
	nf::Mbuf *dropped[1024];
	std::vector<uint32_t> waiting;
	auto take = [&](nf::Mbuf **packets, uint32_t kept) {
		for (uint32_t i = 0; i < kept; i++)
			out.frames.emplace_back(packets[i]->data(), packets[i]->data() + packets[i]->captured);
	};
	uint32_t next_buffer = 0;
	for (size_t at = 0; at < traffic.size();) {
		const uint32_t n =
			std::min<uint32_t>(1 + random.below(64), static_cast<uint32_t>(traffic.size() - at));
		nf::Mbuf *packets[1024];
		for (uint32_t i = 0; i < n; i++)
			packets[i] = pool.load(next_buffer++ % 1024, traffic[at + i]);
		// The clock stands between a look-ahead's submit and the next, so that both ways have the same.
		if constexpr (requires { chain.submit(packets, n, now); }) {
			if (way == Way::look_ahead) {
				chain.submit(packets, n, now);
				waiting.push_back(n);
				uint32_t count;
				if (waiting.size() == 2) {
					const uint32_t kept = chain.process(now, packets, dropped, count);
					take(packets, kept);
					waiting.erase(waiting.begin());
				}
			} else {
				take(packets, chain.run(packets, n, now, dropped));
			}
		} else {
			take(packets, chain.run(packets, n, now, dropped));
		}
		at += n;
		if (leap_ns && random.below(20) == 0) {
			while (!waiting.empty()) {
				if constexpr (requires { chain.submit(packets, n, now); }) {
					uint32_t count;
					const uint32_t kept = chain.process(now, packets, dropped, count);
					take(packets, kept);
				}
				waiting.erase(waiting.begin());
			}
			out.digests.push_back(chain.digest());
			now += leap_ns + random.below(1000) * 1'000'000ull;
		}
	}
	while (!waiting.empty()) {
		if constexpr (requires { chain.submit(dropped, 0u, now); }) {
			nf::Mbuf *packets[64];
			uint32_t count;
			const uint32_t kept = chain.process(now, packets, dropped, count);
			take(packets, kept);
		}
		waiting.erase(waiting.begin());
	}
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		out.verdicts.push_back(chain.verdicts(v));
	out.digests.push_back(chain.digest());
	return out;
}

Frames traffic_of(uint64_t seed, size_t n)
{
	nf::Config config;
	config.nb_rules = 50;
	config.seed = seed;
	nf::Random random{seed};
	return drive::make_traffic(random, config, n);
}

// The order matters: what drops is last, for a table that packets do not come to refreshes nothing.
template <template <bool, typename...> typename Chain, bool merge>
Result one_way(const Frames &traffic, const conntrack_params &p, uint64_t seed, Way way,
               uint64_t leap_ns)
{
	auto servers = std::make_shared<const nf::Backends>(20, seed);
	auto sources = std::make_shared<Sources>(64);
	Chain<merge, FlowCounter, BlockBalancer, BlockNat, SourceCounter, RateLimiter> chain(
		p, FlowCounter(), BlockBalancer(servers, seed), BlockNat(2, 1 << 14),
		SourceCounter(sources), RateLimiter(50'000, 3'000));
	return drive_chain(chain, traffic, seed, way, leap_ns);
}

template <template <bool, typename...> typename Chain, bool merge>
Result both_ways(const Frames &traffic, const conntrack_params &p, uint64_t seed, Way way,
                 uint64_t leap_ns)
{
	Chain<merge, FlowCounter, BlockNat, ConnectionFirewall> chain(
		p, FlowCounter(), BlockNat(2, 1 << 14), ConnectionFirewall());
	return drive_chain(chain, traffic, seed, way, leap_ns);
}

} // namespace

TEST_CASE("a flow block is what the compiler lays out")
{
	using Block = Layout<FlowCounter::State, BlockBalancer::State, RateLimiter::State,
	                     BlockNat::State, SourceCounter::State>;
	static_assert(Block::offsets[0] == 0 && Block::offsets[1] == 16 && Block::offsets[2] == 24 &&
	              Block::offsets[3] == 32);
	static_assert(Block::bytes <= 64 && Block::table_bytes == 64);
	static_assert(Layout<RateLimiter::State>::table_bytes == 8);
	static_assert(Layout<FlowCounter::State, RateLimiter::State, BlockNat::State,
	                     ConnectionFirewall::State>::table_bytes == 128);
	alignas(64) uint8_t memory[64] = {};
	Block::slice<2>(memory).full_at = 5;
	CHECK(memory[24] == 5);
}

TEST_CASE("one block a flow gives the frames and the state of one table a function")
{
	const uint64_t base = drive::seed();
	struct Setting {
		const char *name;
		uint32_t flows, flags;
		uint64_t timeout_ns, leap_ns;
		bool calls_matter;
	};
	// 300 flows come, and more than as many again through errors and changed frames.
	const Setting settings[] = {
		{"nothing expires", 4096, 0, 0, second, false},
		{"expiry on", 4096, 0, 2 * second, second, false},
		{"small and growing", 64, 0, 3 * second, second, true},
		{"full, refusing", 128, CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION, 2 * second, second,
	     false},
		{"full, evicting", 128, CONNTRACK_FIXED_SIZE, 2 * second, second, true},
	};
	for (const Setting &s : settings)
		for (uint64_t seed = base; seed < base + 4; seed++) {
			CAPTURE(std::string(s.name));
			CAPTURE(seed);
			const Frames traffic = traffic_of(seed, 6000);
			const conntrack_params p = params_of(s.flows, s.flags, s.timeout_ns);
			const auto equal = [&]<bool merge>(std::bool_constant<merge>) {
				const Result one =
					one_way<TableEachChain, merge>(traffic, p, seed, Way::run, s.leap_ns);
				const Result both =
					both_ways<TableEachChain, merge>(traffic, p, seed, Way::run, s.leap_ns);
				CHECK(one.frames.size() > 500);
				for (const Way way : {Way::run, Way::look_ahead}) {
					CHECK(one == one_way<FlowBlockChain, merge>(traffic, p, seed, way, s.leap_ns));
					CHECK(both ==
					      both_ways<FlowBlockChain, merge>(traffic, p, seed, way, s.leap_ns));
				}
				return one;
			};
			const Result by_packet = equal(std::false_type());
			const Result by_run = equal(std::true_type());
			// How many keys a call has decides when a table grows, and what it spares from eviction.
			if (!s.calls_matter)
				CHECK(by_packet == by_run);
		}
}
