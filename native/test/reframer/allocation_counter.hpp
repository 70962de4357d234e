// Counts every call into the memory manager that this program makes: operators new and delete are
// replaced, and the linker leads malloc() and its kin here (--wrap, see meson.build), also from the
// library under test, which is linked in.
#pragma once

#include <cstdint>

namespace reframer::test {

// Calls that took or gave back memory since the program started.
uint64_t memory_calls();

} // namespace reframer::test
