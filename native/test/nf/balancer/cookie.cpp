// The word in place of a timestamp: what goes in comes out, and it never goes back.
#include "nf/balancer/cookie.hpp"
#include "nf/balancer/keyed_hash.hpp"
#include "nf/balancer/masks.hpp"
#include "nf/balancer/server_clock.hpp"
#include "nf/balancer/timestamps.hpp"

#include "../drive.hpp"

#include <doctest/doctest.h>

using namespace reframer::balance;
using reframer::base::Random;

TEST_CASE("id and timestamp come out of the word, over wraps of the clock")
{
	Random random{drive::seed()};
	for (int round = 0; round < 20000; round++) {
		const uint32_t servers = 1 + random.below(round % 2 ? 16 : 4096);
		const uint32_t version = 2 + random.below(4), check = random.below(3);
		const Cookie cookie(servers, version, check);
		const uint32_t id = random.below(servers), mask = random.next32(), bias = random.below(4);
		const uint32_t clock = random.next32();
		const uint32_t word = cookie.word(clock, id, mask, bias);
		CHECK(cookie.id(word, mask) == id);
		const uint64_t circle = uint64_t{1} << cookie.clock_bits();
		const uint32_t later = clock + static_cast<uint32_t>(random.next() % circle);
		CHECK(cookie.clock(word, later, bias) == clock);
		CHECK(cookie.clock(word, clock, bias) == clock);
		// SYN cookies of Linux keep what the client offered in six bits.
		CHECK((word & 63) == (clock & 63));
	}
}

TEST_CASE("a later word is newer, for as long as the header says, and with a bias for ever")
{
	Random random{drive::seed()};
	for (int round = 0; round < 20000; round++) {
		const uint32_t servers = 1 + random.below(4096), version = 2 + random.below(4);
		const Cookie cookie(servers, version, 0);
		const uint32_t id = random.below(servers), mask = random.next32(), clock = random.next32();
		const uint64_t epoch = uint64_t{1} << (cookie.clock_bits() - version);
		const uint64_t most = (cookie.half() - 1) * epoch;
		const auto newer = [&](uint32_t later, uint32_t bias) {
			return static_cast<int32_t>(cookie.word(later, id, mask, bias) -
			                            cookie.word(clock, id, mask));
		};
		for (const uint64_t ahead : {uint64_t{1}, epoch - 1, epoch, most, 1 + random.next() % most})
			CHECK(newer(clock + static_cast<uint32_t>(ahead), 0) > 0);
		const uint32_t later = clock + 1 + random.below(1u << 31);
		CHECK(newer(later, cookie.bias_after(clock, later, 0)) > 0);
	}
}

TEST_CASE("check bits find most words that nobody stamped")
{
	Random random{drive::seed()};
	const Cookie cookie(256, 3, 4);
	int passed = 0;
	for (int i = 0; i < 16000; i++)
		passed += cookie.id(random.next32(), random.next32()) != Cookie::no_server;
	CHECK(passed > 700);
	CHECK(passed < 1300);
}

TEST_CASE("the keyed hash is SipHash-1-3 without its block of length")
{
	// From the definition, with state and key as byte strings.
	const auto by_the_book = [](const uint8_t key[16], const std::vector<uint64_t> &words) {
		const auto rotl = [](uint64_t x, int n) { return x << n | x >> (64 - n); };
		uint64_t k[2], v[4];
		std::memcpy(k, key, 16);
		const char *text = "somepseudorandomlygeneratedbytes";
		for (int i = 0; i < 4; i++) {
			v[i] = 0;
			for (int b = 0; b < 8; b++)
				v[i] = v[i] << 8 | static_cast<uint8_t>(text[8 * i + b]);
			v[i] ^= k[i & 1];
		}
		const auto round = [&] {
			v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
			v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
			v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
			v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
		};
		for (const uint64_t w : words)
			v[3] ^= w, round(), v[0] ^= w;
		v[2] ^= 0xff;
		round(), round(), round();
		return v[0] ^ v[1] ^ v[2] ^ v[3];
	};
	Random random{drive::seed()};
	for (int i = 0; i < 100; i++) {
		uint8_t key[16];
		for (uint8_t &b : key)
			b = static_cast<uint8_t>(random.next());
		const uint64_t a = random.next(), b = random.next();
		CHECK(KeyedHash(key)(a) == by_the_book(key, {a}));
		CHECK(KeyedHash(key)(a, b) == by_the_book(key, {a, b}));
	}
}

TEST_CASE("masks of a burst are those of one input after the other, with any vectors")
{
	Random random{drive::seed()};
	const std::pair<const MaskKernels *, bool> kernels[] = {{&isa_scalar::masks, true},
	                                                        {&isa_avx2::masks, runs_avx2()},
	                                                        {&isa_avx512::masks, runs_avx512()}};
	for (int round = 0; round < 200; round++) {
		uint8_t key[16];
		for (uint8_t &b : key)
			b = static_cast<uint8_t>(random.next());
		const KeyedHash hash(key);
		uint64_t inputs[words_v6 * mask_group];
		for (uint64_t &word : inputs)
			word = random.next();
		for (const auto &[kernel, runs] : kernels) {
			if (!runs)
				continue;
			uint32_t v4[mask_group] = {}, v6[mask_group] = {}, keys[mask_group] = {};
			kernel->v4(hash, inputs, v4);
			kernel->v6(hash, inputs, v6);
			kernel->keys(hash, inputs, keys);
			for (uint32_t i = 0; i < mask_group; i++) {
				const uint64_t *in = inputs + i;
				REQUIRE(v4[i] == static_cast<uint32_t>(hash(in[0])));
				REQUIRE(v6[i] ==
				        static_cast<uint32_t>(hash(in[0], in[mask_group], in[2 * mask_group])));
				REQUIRE(keys[i] == static_cast<uint32_t>(hash(in[0], in[mask_group]) >> 32));
			}
		}
	}
	MESSAGE("AVX2 " << runs_avx2() << ", AVX-512 " << runs_avx512());
}

namespace {

// As slowly as RFC 9293 puts it: a list of options, the first of kind 8 and length 10.
int slow_find(const std::vector<uint8_t> &tcp)
{
	if (tcp.size() < 20)
		return -1;
	const size_t header = (tcp[12] >> 4) * 4u;
	if (header < 32 || header > tcp.size())
		return -1;
	size_t at = 20;
	while (at < header) {
		const uint8_t kind = tcp[at];
		if (kind == 0)
			return -1;
		if (kind == 1) {
			at += 1;
			continue;
		}
		if (at + 1 >= header)
			return -1;
		const size_t length = tcp[at + 1];
		if (length < 2 || at + length > header)
			return -1;
		if (kind == 8 && length == 10)
			return static_cast<int>(at + 2);
		at += length;
	}
	return -1;
}

} // namespace

TEST_CASE("the option is found where a slow parser finds it, in what is no header too")
{
	Random random{drive::seed()};
	int found = 0;
	for (int round = 0; round < 200000; round++) {
		std::vector<uint8_t> tcp(20 + random.below(45));
		for (uint8_t &b : tcp)
			b = random.one_in(3) ? static_cast<uint8_t>(random.next())
			                     : static_cast<uint8_t>(random.below(12));
		tcp[12] = static_cast<uint8_t>((5 + random.below(11)) << 4);
		if (round % 4 == 0 && tcp.size() >= 32) {
			const size_t at = 20 + random.below(static_cast<uint32_t>(tcp.size()) - 30);
			std::fill(tcp.begin() + 20, tcp.begin() + static_cast<std::ptrdiff_t>(at), 1);
			tcp[at] = 8;
			tcp[at + 1] = 10;
		}
		const auto fast = find_timestamps(tcp.data(), tcp.data() + tcp.size());
		const int slow = slow_find(tcp);
		REQUIRE((fast ? static_cast<int>(fast.value - tcp.data()) : -1) == slow);
		found += slow >= 0;
	}
	CHECK(found > 5000);
}

TEST_CASE("a clock is uniform when clients agree, and no longer when one does not")
{
	using Kind = ServerClock::Kind;
	constexpr uint64_t ms = 1'000'000;
	const auto clock_of = [](uint64_t tick_ns, uint32_t offset) {
		ServerClock c;
		for (uint32_t i = 0; i < 4000; i++)
			c.observe(0xffffff00 + static_cast<uint32_t>(i * ms / 3 / tick_ns) + (i % 8) * offset,
			          i % 8, i * ms / 3);
		return c;
	};
	CHECK(clock_of(ms, 0).kind() == Kind::uniform);
	CHECK(clock_of(4 * ms, 0).kind() == Kind::uniform);
	CHECK(clock_of(ms, 0x1234567).kind() == Kind::differing);
	CHECK(clock_of(ms / 1000, 0).kind() == Kind::differing);
	ServerClock restarted = clock_of(ms, 0);
	restarted.observe(777777, 1, 2000 * ms);
	CHECK(restarted.kind() == Kind::differing);
	for (uint32_t i = 0; i < 70000; i++)
		restarted.observe(777777 + i, i, (2000 + i) * ms);
	CHECK(restarted.kind() == Kind::uniform);
	// Of one that was told to be uniform a restart shows by a number far behind; a late packet's is not.
	ServerClock told(Kind::uniform, true);
	told.observe(400'000'000, 1, 0);
	told.observe(400'000'000 - 900, 1, ms);
	CHECK(told.latest() == 400'000'000);
	told.observe(5000, 2, 60'000 * ms);
	CHECK(told.latest() == 5000);
	told.observe(5100, 3, 60'100 * ms);
	told.observe(5050, 4, 60'101 * ms);
	CHECK(told.latest() == 5100);
	CHECK(told.kind() == Kind::uniform);
	// One client proves nothing.
	ServerClock alone;
	for (uint32_t i = 0; i < 1000; i++)
		alone.observe(i, 5, i * ms);
	CHECK(alone.kind() == Kind::unproven);
}
