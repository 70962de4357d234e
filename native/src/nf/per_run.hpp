// The two ways to drive a function over a burst. A function has lookup(context) giving a result,
// apply(context, result), and same(a, b): whether one lookup serves both packets.
#pragma once

#include "nf/context.hpp"
#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::nf {

template <typename Function>
void process_burst(Function &f, Context *packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		Context &c = packets[i];
		if (c.verdict == verdict_pass)
			f.apply(c, f.lookup(c));
	}
}

// One lookup a run. Packets of a run share a hash, which does not prove that they share a key:
// each is compared with the packet that was looked up last, and a stranger gets its own lookup.
template <typename Function>
void process_runs(Function &f, Context *packets, const reframer_run *runs, uint32_t nb_runs)
{
	for (uint32_t r = 0; r < nb_runs; r++) {
		Context *c = packets + runs[r].first;
		Context *const end = c + runs[r].count;
		while (c < end && c->verdict != verdict_pass)
			c++;
		if (c == end)
			continue;
		const Context *leader = c;
		auto result = f.lookup(*c);
		f.apply(*c, result);
		while (++c < end) {
			if (c->verdict != verdict_pass)
				continue;
			if (!Function::same(*leader, *c)) {
				leader = c;
				result = f.lookup(*c);
			}
			f.apply(*c, result);
		}
	}
}

} // namespace reframer::nf
