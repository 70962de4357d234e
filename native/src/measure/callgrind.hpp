// Tells callgrind, if the program runs under it, that what it shall count begins: with
// --instr-atstart=no all that is prepared before costs a tenth. Elsewhere a few instructions that do
// nothing. Valgrind's interface for x86-64, which is fixed; written down here to need no header of it.
#pragma once

#include <cstdint>

namespace reframer::lab {

inline void begin_counting()
{
#if defined(__x86_64__)
	// The request START_INSTRUMENTATION of the tool "CT".
	volatile uint64_t request[6] = {(uint64_t{'C'} << 24 | uint64_t{'T'} << 16) + 4, 0, 0, 0, 0, 0};
	uint64_t result = 0;
	asm volatile(
		"rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
		: "+d"(result)
		: "a"(&request[0])
		: "cc", "memory", "rdi");
#endif
}

} // namespace reframer::lab
