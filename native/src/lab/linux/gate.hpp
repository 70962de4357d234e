// Keeps the kernel's threads off their core while their rings are being filled, so that they always
// find full rings: what a packet costs them then does not depend on how fast the sender is.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>

namespace reframer::lab {

// While closed, a real-time thread spins on that core. Opened, it steps back behind the kernel's
// threads, which are real-time ones too, from now on: it runs again when they have done what there
// was, and closes the gate behind them. Nobody else gets that core, nor its caches.
class Gate {
public:
	Gate(int cpu, std::span<const uint64_t> threads); // closed; @throws JobError
	~Gate();
	Gate(const Gate &) = delete;
	Gate &operator=(const Gate &) = delete;

	// Lets the core work until it has nothing left to do.
	void pass();

private:
	enum State : int { closing, closed, open, ending, failed };
	void run(int cpu);
	void await_closed();

	std::atomic<int> state{closing};
	std::thread thread;
};

} // namespace reframer::lab
