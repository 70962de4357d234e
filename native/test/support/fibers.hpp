// Two fibers that hand the processor to each other. ThreadSanitizer takes each for a thread, between which
// only the program's own atomics make order: it then looks for races in every interleaving tried.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace reframer::test {

class Fibers {
public:
	static constexpr unsigned nb = 2, none = nb; // `none`: the caller of begin()

	Fibers()
	{
#if defined(__SANITIZE_THREAD__)
		known_[none] = __tsan_get_current_fiber();
		for (unsigned i = 0; i < nb; i++)
			known_[i] = __tsan_create_fiber(0);
#endif
	}
	~Fibers()
	{
#if defined(__SANITIZE_THREAD__)
		for (unsigned i = 0; i < nb; i++)
			__tsan_destroy_fiber(known_[i]);
#endif
	}
	Fibers(const Fibers &) = delete;
	Fibers &operator=(const Fibers &) = delete;

	// Each will run `entry`, which never returns: it ends with leave().
	[[gnu::no_sanitize("thread")]] void begin(void (*entry)())
	{
		for (unsigned i = 0; i < nb; i++) {
			getcontext(&contexts_[i]);
			contexts_[i].uc_stack.ss_sp = stacks_[i].data();
			contexts_[i].uc_stack.ss_size = stack_bytes;
			contexts_[i].uc_link = nullptr;
			makecontext(&contexts_[i], entry, 0);
#if defined(__SANITIZE_THREAD__)
			// What happened so far happened before all that they do, and not the other way round.
			__tsan_switch_to_fiber(known_[i], 0);
			__tsan_switch_to_fiber(known_[none], __tsan_switch_to_fiber_no_sync);
#endif
		}
	}
	// From the caller into a fiber, or from one fiber into the other: no order comes of it.
	[[gnu::no_sanitize("thread")]] void change(unsigned from, unsigned to)
	{
#if defined(__SANITIZE_THREAD__)
		__tsan_switch_to_fiber(known_[to], __tsan_switch_to_fiber_no_sync);
#endif
		swapcontext(&contexts_[from], &contexts_[to]);
	}
	// Back to the caller, which then knows what the fiber did, as after a join.
	[[gnu::no_sanitize("thread")]] void leave(unsigned from)
	{
#if defined(__SANITIZE_THREAD__)
		__tsan_switch_to_fiber(known_[none], 0);
#endif
		swapcontext(&contexts_[from], &contexts_[none]);
	}

private:
	static constexpr size_t stack_bytes = size_t{128} << 10;
	ucontext_t contexts_[nb + 1];
	std::vector<char> stacks_[nb] = {std::vector<char>(stack_bytes),
	                                 std::vector<char>(stack_bytes)};
#if defined(__SANITIZE_THREAD__)
	void *known_[nb + 1];
#endif
};

} // namespace reframer::test
