// Any bytes as frames for the balancer: nothing past an end may be read, the way that most packets
// take in a burst must do what the long one does, and both what a slow reader of headers says.
//
// The first byte of an input says how many frames come in a burst; then each frame is a length and its
// bytes. A frame whose first byte is odd is laid over an acknowledgement with a good cookie, so that
// inputs need not guess one.
#include "bytes.hpp"

#include "nf/balancer/engine.hpp"
#include "nf/balancer/parameters.hpp"

#include <memory>
#include <optional>
#include <span>
#include <vector>

using namespace reframer;
using namespace reframer::balance;
using fuzz::Bytes;

namespace {

using Frame = std::vector<uint8_t>;

constexpr uint8_t service[4] = {192, 0, 2, 1};
constexpr uint8_t service6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr uint32_t nb_servers = 4, clock_start = 0xfffff000;
constexpr uint64_t now = 1'000'000'000;

void check(bool right, const char *what)
{
	fuzz::expect(right, "balancer", what);
}

std::unique_ptr<Engine> make_engine()
{
	balancer_params p = default_params();
	std::memcpy(p.service, service, 4);
	std::memcpy(p.service6, service6, 16);
	p.max_connections = 64;
	p.key[0] = 1;
	auto engine = std::make_unique<Engine>(p);
	for (uint8_t i = 0; i < nb_servers; i++) {
		balancer_server s = default_server();
		const uint8_t address[4] = {10, 99, 0, static_cast<uint8_t>(i + 1)};
		std::memcpy(s.address, address, 4);
		std::memcpy(s.address6, service6, 16);
		s.address6[15] = static_cast<uint8_t>(0x80 + i);
		s.mac[5] = i % 2; // half of them have none
		s.clock = BALANCER_CLOCK_UNIFORM;
		engine->add(s);
		engine->pool[i].observe(clock_start + i, i, now);
	}
	balancer_quic q = default_quic();
	engine->quic_ids.set(q);
	return engine;
}

// Byte by byte, each looked for before it is read.
struct SlowHeaders {
	enum Kind { other, malformed, ip } kind = other;
	size_t l3 = 0, l4 = 0, protocol = 0, version = 4;
	bool fragment = false, later = false;

	explicit SlowHeaders(const Frame &f) : f_(f)
	{
		if (!has(14)) {
			kind = malformed;
			return;
		}
		size_t at = 12;
		for (int tag = 0; tag < 2 && has(at + 2) && (type(at) == 0x8100 || type(at) == 0x88a8);
		     tag++)
			at += 4;
		if (!has(at + 2))
			return;
		l3 = at + 2;
		// Tagged and shorter than the shortest untagged one: not looked at as IPv4.
		if (type(at) == 0x0800 && (has(34) || at == 12))
			ipv4();
		if (type(at) == 0x86dd)
			ipv6();
	}

private:
	bool has(size_t n) const { return f_.size() >= n; }
	size_t type(size_t at) const { return size_t{f_[at]} << 8 | f_[at + 1]; }
	bool ports_cut() const
	{
		const bool ports = !later && (protocol == 6 || protocol == 17);
		return ports && !has(l4 + (protocol == 6 ? 20 : 8));
	}

	void ipv6()
	{
		const Frame &f = f_;
		version = 6;
		kind = malformed;
		if (!has(l3 + 40) || f[l3] >> 4 != 6)
			return;
		protocol = f[l3 + 6];
		l4 = l3 + 40;
		int extensions = 0;
		while (!later && (protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60)) {
			if (!has(l4 + 8) || extensions++ == 8)
				return;
			if (protocol == 43 && f[l4 + 3] > 0) {
				kind = other;
				return;
			}
			const size_t size = protocol == 44 ? 8 : 8 + size_t{8} * f[l4 + 1];
			if (!has(l4 + size))
				return;
			if (protocol == 44) {
				later = type(l4 + 2) >> 3 != 0;
				fragment = later || (f[l4 + 3] & 1) == 1;
			}
			protocol = f[l4];
			l4 += size;
		}
		if (ports_cut())
			return;
		if (protocol == 58 && !later) {
			if (!has(l4 + 4))
				return;
			if (f[l4] >= 133 && f[l4] <= 137) {
				kind = other;
				return;
			}
		}
		kind = ip;
	}
	void ipv4()
	{
		const Frame &f = f_;
		kind = malformed;
		if (!has(l3 + 20) || f[l3] >> 4 != 4)
			return;
		const size_t header = (f[l3] & 15) * size_t{4};
		if (header < 20 || !has(l3 + header))
			return;
		l4 = l3 + header;
		protocol = f[l3 + 9];
		const size_t place = type(l3 + 6);
		fragment = (place & 0x3fff) != 0;
		later = (place & 0x1fff) != 0;
		if (!ports_cut())
			kind = ip;
	}

	const Frame &f_;
};

// Where the value of a segment's timestamps lies.
std::optional<size_t> slow_stamps(const Frame &f, size_t l4)
{
	const size_t header = (f[l4 + 12] >> 4) * size_t{4};
	if (header < 32 || f.size() - l4 < header)
		return {};
	for (size_t at = l4 + 20; at < l4 + header;) {
		const uint8_t kind = f[at];
		if (kind == 0)
			return {};
		if (kind == 1) {
			at++;
			continue;
		}
		if (at + 1 >= l4 + header)
			return {};
		const size_t length = f[at + 1];
		if (length < 2 || at + length > l4 + header)
			return {};
		if (kind == 8 && length == 10)
			return at + 2;
		at += length;
	}
	return {};
}

// A whole acknowledgement of a client to `id`, with what the balancer would have sent it before.
Frame acknowledgement(const Engine &engine, uint32_t id, bool v6)
{
	const size_t header = v6 ? 40 : 20, l4 = 14 + header;
	Frame f(l4 + 32 + 8);
	if (v6) {
		const uint8_t ip[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, 6, 64, 0x20, 1, 0xd, 0xb8, 1, 2, 3};
		std::memcpy(&f[12], ip, sizeof(ip));
		std::memcpy(&f[14 + 24], service6, 16);
	} else {
		const uint8_t ip[] = {8, 0, 0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 1, 2, 3};
		std::memcpy(&f[12], ip, sizeof(ip));
		std::memcpy(&f[14 + 16], service, 4);
	}
	const uint8_t tcp[] = {0x12, 0x34, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0,
	                       0x80, 0x10, 0, 0,  0, 0, 0, 0, 1, 1, 8, 10};
	std::memcpy(&f[l4], tcp, sizeof(tcp));
	Packet p;
	check(engine.read(f.data(), static_cast<uint32_t>(f.size()), p) == nf::verdict_pass, "made");
	const Cookie cookie(256, 3, 0);
	const uint32_t mask = engine.mask(client_of(p));
	store32(&f[l4 + 28], __builtin_bswap32(cookie.word(clock_start - 5, id, mask)));
	return f;
}

Frame next_frame(Bytes &in, const Engine &engine)
{
	const uint32_t how = in.byte();
	Frame f;
	if (how % 2)
		f = acknowledgement(engine, how / 2 % nb_servers, how & 64);
	const uint32_t nb = in.below(how % 2 ? 12 : 160);
	if (how % 2) {
		for (uint32_t i = 0; i < nb; i++) {
			const uint32_t at = in.byte() % f.size();
			f[at] = static_cast<uint8_t>(in.byte());
		}
		f.resize(std::min<size_t>(f.size(), 14 + in.byte() % 128));
	} else {
		for (uint32_t i = 0; i < nb; i++)
			f.push_back(static_cast<uint8_t>(in.byte()));
	}
	f.shrink_to_fit(); // the sanitizer sees the first byte too far
	return f;
}

void check_reading(Frame f)
{
	const SlowHeaders slow(f);
	Packet p{};
	const uint8_t read = read_packet(f.data(), static_cast<uint32_t>(f.size()), p);
	check((read == nf::verdict_malformed) == (slow.kind == SlowHeaders::malformed), "malformed");
	check((read == nf::verdict_pass) == (slow.kind == SlowHeaders::ip), "IP");
	if (read != nf::verdict_pass)
		return;
	check(p.v6 == (slow.version == 6), "version");
	check(p.ip == f.data() + slow.l3 && p.l4 == f.data() + slow.l4, "offsets");
	check(p.fragment == slow.fragment && p.later_fragment == slow.later, "fragment");
	check(p.has_ports() == (!slow.later && (slow.protocol == 6 || slow.protocol == 17)), "ports");
	if (p.layer4 != nf::layer4_tcp)
		return;
	const Timestamps fast = find_timestamps(p.l4, p.end);
	const auto stamps = slow_stamps(f, slow.l4);
	check(static_cast<bool>(fast) == stamps.has_value(), "timestamps");
	check(!stamps || fast.value == f.data() + *stamps, "where timestamps are");
}

// What may differ between a frame and what became of it: addresses, sums, timestamps, and in an ICMP
// error what it quotes.
void check_rewriting(const Frame &before, const Frame &after, uint32_t verdict)
{
	check(before.size() == after.size(), "length");
	const bool rewritten = verdict == BALANCER_TO_SERVER || verdict == BALANCER_TO_CLIENT;
	if (!rewritten) {
		check(before == after, "a frame that goes nowhere changed");
		return;
	}
	const SlowHeaders h(before);
	check(h.kind == SlowHeaders::ip, "what is no IP was rewritten");
	const size_t first = h.version == 6 ? 8 : 12, last = h.version == 6 ? 40 : 20;
	for (size_t i = 0; i < before.size(); i++) {
		const bool mac = i < 6;
		const bool sum = h.version == 4 && (i == h.l3 + 10 || i == h.l3 + 11);
		const bool address = i >= h.l3 + first && i < h.l3 + last;
		check(mac || sum || address || i >= h.l4 || before[i] == after[i], "another byte changed");
	}
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (size > 1u << 14)
		return 0;
	Bytes in(input, size);
	const auto burst = make_engine(), alone = make_engine();
	const uint32_t at_once = 1 + in.byte() % 70;
	while (!in.empty()) {
		std::vector<Frame> frames;
		while (frames.size() < at_once && !in.empty())
			frames.push_back(next_frame(in, *burst));
		std::vector<Frame> twins = frames;
		const std::vector<Frame> before = frames;
		std::vector<balancer_frame> given;
		for (Frame &f : frames)
			given.push_back({f.data(), static_cast<uint32_t>(f.size()), 0, 0});
		burst->process_burst(given.data(), static_cast<uint32_t>(given.size()), now);
		for (size_t i = 0; i < frames.size(); i++) {
			check_reading(before[i]);
			Packet p{};
			const uint8_t read =
				alone->read(twins[i].data(), static_cast<uint32_t>(twins[i].size()), p);
			Outcome out{read == nf::verdict_malformed ? BALANCER_DROP : BALANCER_OTHER};
			if (read == nf::verdict_pass)
				out = alone->process(p, nullptr, now);
			check(given[i].verdict == uint32_t{out.verdict}, "verdict of both ways");
			check(given[i].server == out.server, "server of both ways");
			check(frames[i] == twins[i], "frames of both ways");
			check_rewriting(before[i], frames[i], given[i].verdict);
		}
	}
	return 0;
}
