// A random sequence of calls, run on the engine and on the model at once. The random test and the
// fuzz target share it: only where the choices come from differs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace reframer::test {

// A number below `n`.
using Choose = std::function<uint32_t(uint32_t n)>;
// Whether there is another step.
using More = std::function<bool()>;

struct Violation : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// A stage of its own, steps as long as there are more, then drained to the last packet and its books
// closed. Throws Violation. @return packets pushed.
uint64_t run_sequence(const Choose &choose, const More &more);

} // namespace reframer::test
