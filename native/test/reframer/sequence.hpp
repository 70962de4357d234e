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

struct Violation : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// Throws Violation. @return packets pushed.
uint64_t run_sequence(const Choose &choose, uint32_t nb_steps);

} // namespace reframer::test
