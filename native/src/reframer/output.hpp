// What a caller of poll or drain has room for, and what it got.
#pragma once

#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

struct Output {
	void **packets;
	uint32_t room;
	reframer_run *runs;
	uint32_t run_room;
	uint32_t nb_packets = 0, nb_runs = 0;

	bool full() const { return nb_packets == room || nb_runs == run_room; }
};

} // namespace reframer::stage
