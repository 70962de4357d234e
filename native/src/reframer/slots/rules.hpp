// The user's latency classes. First match wins.
#pragma once

#include "packet/classify.hpp"
#include "packet/frame.hpp"
#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

struct Verdict {
	enum Kind : uint8_t { no_rule, pass, wait } kind;
	uint8_t fifo = 0; // of the class, when it waits
};

class Rules {
public:
	// A rule that reframer_check() has nothing against.
	void add(const reframer_rule &rule, uint8_t fifo);
	bool empty() const { return nb_ == 0; }
	Verdict match(const uint8_t *data, uint32_t captured, uint32_t wire, packet::LinkType link,
	              packet::KeyKind key) const;

private:
	reframer_rule rules_[REFRAMER_MAX_RULES];
	uint8_t fifos_[REFRAMER_MAX_RULES];
	uint32_t nb_ = 0;
};

} // namespace reframer::stage
