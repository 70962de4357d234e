// Receive-side scaling on an interface without an indirection table: an XDP program gives each frame to
// the CPU that a table of ours names for its bucket, through that CPU's queue in a CPUMAP.
//
// A packet must not overtake an earlier one of its flow when its bucket changes CPU. So a slot, the
// flows of some bits of the hash, changes CPU only when all that was given to its old one for it has
// left the stack there; until then its packets follow the earlier ones. What has left is known by
// numbers: a frame carries the number that its receive queue gave it for its CPU; on the CPU
//   - a program sees each frame as it leaves the queue, and by gaps what a full queue dropped;
//   - another sees the CPU's thread go to sleep, which it does with nothing left in the stack
//     (kernel/bpf/cpumap.c, cpu_map_kthread_run: an empty queue flushes what GRO holds). On a CPU that
//     never sleeps, what is `cpumap_flush_frames` old has been flushed, too.
#pragma once

#include "devices/bpf.hpp"
#include "devices/rss_program.hpp"

#include <cstdint>

namespace reframer::engine {

inline constexpr uint32_t cpumap_most_buckets = 4096, cpumap_most_cpus = 256,
						  cpumap_most_queues = 64;
// Flows that share a slot move together, when none of them has a packet on its way. Four slots to the
// largest table's bucket; 256 KiB a receive queue.
inline constexpr uint32_t cpumap_slot_bits = 14;
// The thread flushes GRO each 64 frames, taken 8 at a time (72 would do).
inline constexpr uint32_t cpumap_flush_frames = 96;

struct CpumapSlot {
	uint64_t cpu;
	uint64_t last; // number of its last frame there; 0: none yet
};

// One a receive queue, written by the CPU that polls it.
struct CpumapQueue {
	uint64_t moved;                   // slots that changed CPU
	uint64_t stayed;                  // packets that followed earlier ones to the old CPU
	uint64_t passed;                  // not redirected: the driver leaves no room for a number
	uint64_t given[cpumap_most_cpus]; // frames by CPU: the number of the last
	uint64_t packets[cpumap_most_buckets];
	CpumapSlot slots[1 << cpumap_slot_bits];
};

// One a CPU that frames are given to, written there. `done`, `mark`, `clean`: numbers, by receive queue.
struct CpumapLane {
	uint64_t task; // the thread
	uint64_t frames, dropped;
	uint64_t since_mark, mark_ns;
	uint64_t done[cpumap_most_queues];  // left the queue
	uint64_t mark[cpumap_most_queues];  // had left it a while ago
	uint64_t clean[cpumap_most_queues]; // left the stack
};

struct CpumapMaps {
	int toeplitz;
	int table;                      // words: CPU of each bucket
	int queues;                     // CpumapQueue
	int lanes;                      // CpumapLane
	int cpus;                       // the CPUMAP
	uint32_t nb_buckets, nb_queues; // powers of two
};

// XDP, in the driver.
FileDescriptor cpumap_program(const CpumapMaps &maps); // @throws DeviceError

// For entries of the CPUMAP. `age_ns`: where GRO may hold a packet of the current tick over a flush
// (ticks of 1 ms or less), frames count as flushed only when that much older; 0 elsewhere.
FileDescriptor cpumap_lane_program(const CpumapMaps &maps, uint64_t age_ns); // @throws DeviceError

// Raw tracepoint sched_switch.
FileDescriptor cpumap_sleep_program(const CpumapMaps &maps); // @throws DeviceError

} // namespace reframer::engine
