#include "lab/linux/gate.hpp"

#include "base/cores.hpp"
#include "jobs/job.hpp"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

namespace reframer::lab {

namespace {

// Of real-time threads.
enum Priority { behind = 1, kernel = 2, before = 3 };

bool step(Priority priority, pid_t thread = 0)
{
	const sched_param param{priority};
	return sched_setscheduler(thread, SCHED_FIFO, &param) == 0;
}

} // namespace

Gate::Gate(int cpu, std::span<const uint64_t> threads) : thread([this, cpu] { run(cpu); })
{
	bool had = true;
	for (uint64_t id : threads)
		had &= step(kernel, static_cast<pid_t>(id));
	await_closed();
	if (had && state.load() != failed)
		return;
	if (state.load() == closed)
		state.store(ending);
	thread.join();
	throw JobError("not-supported",
	               "real-time threads on CPU " + std::to_string(cpu) +
	                   " are needed, and not to be had here",
	               3);
}

Gate::~Gate()
{
	if (!thread.joinable())
		return;
	await_closed();
	state.store(ending);
	thread.join();
}

void Gate::await_closed()
{
	while (state.load(std::memory_order_acquire) == closing ||
	       state.load(std::memory_order_acquire) == open)
		_mm_pause();
}

void Gate::pass()
{
	state.store(open, std::memory_order_release);
	await_closed();
}

void Gate::run(int cpu)
{
	if (!base::pin(pthread_self(), cpu)) {
		state.store(failed);
		return;
	}
	for (;;) {
		if (!step(before)) {
			state.store(failed);
			return;
		}
		state.store(closed, std::memory_order_release);
		int now;
		while ((now = state.load(std::memory_order_acquire)) == closed)
			_mm_pause();
		if (now == ending)
			return;
		step(behind); // returns when the kernel's threads have nothing left to do
	}
}

} // namespace reframer::lab
