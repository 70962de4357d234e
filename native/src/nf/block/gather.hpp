// Where a chain on flow blocks begins and ends: headers to runs, runs to packets.
#pragma once

#include "nf/block/run.hpp"
#include "nf/rewrite.hpp"

namespace reframer::nf::block {

// A burst under way.
struct Burst : Packets {
	Run runs[most];
	Ipv4Tuple keys[most]; // of the runs, side by side
	uint32_t nb_runs = 0;

	// `merge`: packets of one flow that follow each other are one run, else each is one.
	template <bool merge> void gather(Mbuf *const *packets, uint32_t n);
	// Packets that pass go to `out`, the others to `dropped`, both in order. Returns how many pass.
	template <bool translates> uint32_t emit(Mbuf **out, Mbuf **dropped, uint64_t *verdicts);

private:
	// Headers that are asked for before the first is read: a poll's. With 8 a packet took a fifth
	// longer.
	static constexpr uint32_t headers_ahead = 32;

	void odd_frame(uint32_t i);
	static void fetch(Mbuf *m)
	{
		__builtin_prefetch(m);
		__builtin_prefetch(m->data(), 1);
	}
};

// Anything but Ethernet, IPv4 without options, TCP or UDP: a run of its own.
inline void Burst::odd_frame(uint32_t i)
{
	Context c;
	verdict[i] = parse_headers(mbuf[i]->data(), mbuf[i]->captured, c);
	run_of[i] = 0;
	if (verdict[i] != verdict_pass)
		return;
	run_of[i] = static_cast<uint8_t>(nb_runs);
	keys[nb_runs] = c.key;
	Run &r = runs[nb_runs++];
	r = {};
	r.key = r.to = c.key;
	r.bytes = mbuf[i]->wire;
	r.first = static_cast<uint8_t>(i);
	r.count = r.alive = 1;
	r.l3 = c.l3;
	r.l4 = c.l4;
	r.layer4 = c.layer4;
	r.timeout_class = same_class;
}

template <bool merge> void Burst::gather(Mbuf *const *packets, uint32_t n)
{
	count = n;
	nb_runs = 0;
	for (uint32_t i = 0; i < std::min(n, headers_ahead); i++)
		fetch(packets[i]);
	uint64_t last[2] = {}; // equals no key
	uint64_t bytes = 0;
	uint32_t first = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i + headers_ahead < n)
			fetch(packets[i + headers_ahead]);
		Mbuf *const m = packets[i];
		mbuf[i] = m;
		uint64_t words[2];
		if (m->captured < CommonFrame::l4 + 8 || !CommonFrame::read(m->data(), m->captured, words))
			[[unlikely]] {
			odd_frame(i);
			last[0] = last[1] = 0;
			continue;
		}
		// No branch on where a run ends: with runs of two or three that cannot be predicted.
		const bool starts = !merge || ((words[0] ^ last[0]) | (words[1] ^ last[1])) != 0;
		nb_runs += starts;
		first = starts ? i : first;
		bytes = (starts ? 0 : bytes) + m->wire;
		last[0] = words[0];
		last[1] = words[1];
		verdict[i] = verdict_pass;
		run_of[i] = static_cast<uint8_t>(nb_runs - 1);
		std::memcpy(&keys[nb_runs - 1], words, sizeof(words));
		Run &r = runs[nb_runs - 1];
		std::memcpy(&r.key, words, sizeof(words));
		std::memcpy(&r.to, words, sizeof(words));
		r.bytes = bytes;
		r.ip_change = r.l4_change = 0;
		r.first = static_cast<uint8_t>(first);
		r.count = r.alive = static_cast<uint8_t>(i - first + 1);
		r.flags = 0;
		r.l3 = CommonFrame::l3;
		r.l4 = CommonFrame::l4;
		r.layer4 = words[1] >> 32 == (1ull << 8 | 6) ? layer4_tcp : layer4_udp;
		r.timeout_class = same_class;
	}
}

template <bool translates> uint32_t Burst::emit(Mbuf **out, Mbuf **dropped, uint64_t *verdicts)
{
	uint32_t kept = 0, nb_dropped = 0;
	for (uint32_t i = 0; i < count; i++) {
		Mbuf *const m = mbuf[i];
		if (verdict[i] != verdict_pass) [[unlikely]] {
			verdicts[verdict[i]]++;
			m->verdict = verdict[i];
			dropped[nb_dropped++] = m;
			continue;
		}
		if constexpr (translates) {
			const Run &r = runs[run_of[i]];
			write_packet(r, fold(r.ip_change), fold(r.l4_change), m);
		}
		out[kept++] = m;
	}
	verdicts[verdict_pass] += kept;
	return kept;
}

} // namespace reframer::nf::block
