// Any bytes as a frame: nothing past its end may be read, and every way to classify it must agree.
// The first byte of an input chooses the link type, the second the kind of key, the rest is frame.
#include "packet/classify.hpp"
#include "packet/flow_key.hpp"
#include "packet/fragment_flows.hpp"
#include "packet/fragment_table.hpp"
#include "packet/parse.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace reframer::packet;

namespace {

constexpr LinkType links[] = {
	LinkType::ethernet,  LinkType::null_loopback, LinkType::ppp,   LinkType::ppp_hdlc,
	LinkType::pppoe,     LinkType::raw_ip,        LinkType::chdlc, LinkType::loop,
	LinkType::linux_sll, LinkType::ipv4,          LinkType::ipv6,  LinkType::linux_sll2,
	LinkType::fddi,
};

void expect(bool right, const char *what)
{
	if (right)
		return;
	std::fprintf(stderr, "packet fuzz: %s\n", what);
	std::abort();
}

void check_headers(const Headers &h, uint32_t size)
{
	expect(h.version == 0 || h.version == 4 || h.version == 6, "version");
	if (h.version == 0)
		return;
	expect(h.l3 + (h.version == 4 ? 20 : 40) <= size, "IP header inside the frame");
	expect(h.l4 > h.l3, "L4 behind L3");
	expect(h.tunnel_depth <= max_tunnel_depth, "tunnel depth");
	expect(!(h.flags & header_ports) || h.l4 + 4 <= size, "ports inside the frame");
	expect(!(h.flags & header_payload) || h.payload >= h.l4, "payload behind L4");
	expect(!(h.flags & (header_fragment | header_in_fragment)) == (h.fragment_version == 0),
	       "fragment");
	expect((h.fragment_version == 0) == (h.fragment_offset == 0 && !h.more_fragments), "fragment");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
	if (input_size < 2 || input_size > 1u << 17)
		return 0;
	const LinkType link = links[input[0] % std::size(links)];
	const auto kind = static_cast<KeyKind>(input[1] % 4);
	const auto size = static_cast<uint32_t>(input_size - 2);
	// A block of its own: the sanitizer sees the first byte too far.
	const auto frame = std::make_unique_for_overwrite<uint8_t[]>(size);
	std::memcpy(frame.get(), input + 2, size);

	const uint64_t seed = 0x5eed + input[1];
	const Digest fast = classify(frame.get(), size, link, kind, seed);
	const Digest parsed = classify_parsed(frame.get(), size, link, kind, seed);
	expect(fast.hash == parsed.hash, "hash of the fast and the whole path");
	expect(fast.traits == parsed.traits, "traits of the fast and the whole path");
	for (const Depth depth : {Depth::outer, Depth::innermost}) {
		const Headers h = parse(frame.get(), size, size, link, depth);
		check_headers(h, size);
		const FlowKey key = flow_key_of(h, frame.get());
		expect(symmetric(key) == symmetric(reversed(key)), "symmetric key");
		expect(!to_string(key).empty(), "text");
		if ((depth == Depth::innermost) == (kind == KeyKind::inner))
			expect(hash_of(grouping_key(key, kind), seed) == fast.hash, "hash of the key");
		// What the frame is said to be on the wire does not change whose it is.
		const Headers longer = parse(frame.get(), size, size + 70000, link, depth);
		expect(flow_key_of(longer, frame.get()) == key, "key whatever the length on the wire");
		FragmentTable fragments(2);
		fragments.flow_of(h, frame.get());
		const FlowKey datagram = datagram_key_of(h, frame.get());
		expect((datagram.shape == KeyShape::none) == (h.fragment_version == 0), "datagram");
	}
	if (fast.traits & trait_fragment) {
		const Fragment fragment = read_fragment(frame.get(), size, link, kind, seed);
		expect(fragment.hash_if_alone() == fast.hash, "hash of a fragment");
	}
	return 0;
}
