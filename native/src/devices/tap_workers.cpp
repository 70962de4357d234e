#include "devices/tap_workers.hpp"

#include "packet/parse.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

namespace reframer::engine {

namespace {

constexpr uint32_t burst = 32;
constexpr uint32_t room = 4 * burst; // held packets come out beside new ones
constexpr size_t longest_frame = 2048;
// What an idle worker sleeps at most: while buckets move it must prove that its queue is empty.
constexpr int idle_ms = 50, moving_ms = 1;
// How long a write waits for a bucket's last move: a worker may have to wait for a CPU itself.
constexpr int busy_tries = 500;
constexpr useconds_t busy_pause_us = 1000;

// A packet is its flow and place, in the pointer's own bits: nothing to allocate, nothing to free.
constexpr int sequence_bits = 40;
constexpr uint64_t sequence_mask = (uint64_t{1} << sequence_bits) - 1;
static_assert(sizeof(void *) == sizeof(uint64_t));

uint64_t nanoseconds(clockid_t clock)
{
	timespec t = {};
	clock_gettime(clock, &t);
	return uint64_t(t.tv_sec) * 1'000'000'000 + uint64_t(t.tv_nsec);
}

} // namespace

struct alignas(64) TapWorkers::Worker {
	explicit Worker(uint16_t id) : id(id), wakeup(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

	const uint16_t id;
	std::thread thread;
	clockid_t clock = {};
	uint64_t sampled_cpu = 0, sampled_at = 0;
	FileDescriptor wakeup;

	std::atomic<uint64_t> received{0}; // one writer
	uint64_t admitted = 0;
	uint64_t work = 0;
	WorkerTotals totals;
	void *in[burst];
	uint32_t hashes[burst];
	uint32_t nb_in = 0; // refused by the hand-over, to be offered again
	std::vector<uint16_t> leaving;
	const packet::Toeplitz toeplitz{packet::toeplitz_key_microsoft};
	uint8_t frame[longest_frame];
};

TapWorkers::TapWorkers(TapPort &port, const WorkerParams &params)
	: port(port), params(params), last_sequence(params.nb_flows)
{
	rsspp_handover_params h;
	rsspp_handover_default_params(&h);
	std::vector<uint16_t> table(port.table_size());
	port.read_table(table);
	h.nb_buckets = port.table_size();
	h.nb_cores = port.nb_queues();
	h.owner = table.data();
	if (rsspp_handover_create(&h, &handover) != 0)
		throw DeviceError("out-of-memory", "the hand-over could not be allocated", false);
	for (uint32_t q = 0; q < port.nb_queues(); q++) {
		workers.push_back(std::make_unique<Worker>(uint16_t(q)));
		workers.back()->leaving.resize(port.table_size());
	}
	for (auto &w : workers) {
		w->thread = std::thread([this, &w = *w] { run(w); });
		pthread_getcpuclockid(w->thread.native_handle(), &w->clock);
		w->sampled_at = nanoseconds(CLOCK_MONOTONIC);
	}
}

TapWorkers::~TapWorkers()
{
	stop();
	rsspp_handover_free(handover);
}

uint32_t TapWorkers::fill(Worker &worker, bool &drained)
{
	const int fd = port.queue(worker.id);
	uint32_t nb_new = 0;
	while (worker.nb_in < burst) {
		const ssize_t length = read(fd, worker.frame, sizeof(worker.frame));
		if (length < 0) {
			drained = true;
			break;
		}
		const packet::Frame frame = {
			worker.frame, uint32_t(length), uint32_t(length), 0, packet::LinkType::ethernet, 0};
		const packet::Headers headers = packet::parse(frame);
		FlowMark mark = {};
		if (headers.payload + sizeof(mark) <= size_t(length))
			std::memcpy(&mark, worker.frame + headers.payload, sizeof(mark));
		if (mark.magic != flow_mark_magic || mark.flow >= params.nb_flows) {
			worker.totals.foreign++;
			continue;
		}
		worker.in[worker.nb_in] = reinterpret_cast<void *>(uint64_t(mark.flow) << sequence_bits |
		                                                   (mark.sequence & sequence_mask));
		worker.hashes[worker.nb_in++] =
			worker.toeplitz(packet::five_tuple_of(headers, worker.frame));
		nb_new++;
	}
	return nb_new;
}

void TapWorkers::process(Worker &worker, uint64_t packet)
{
	uint64_t &last = last_sequence[packet >> sequence_bits];
	const uint64_t sequence = packet & sequence_mask;
	if (sequence > last) {
		worker.totals.missing += sequence - last - 1;
		last = sequence;
	} else {
		worker.totals.reordered++;
	}
	uint64_t x = packet | 1;
	for (uint32_t i = 0; i < params.work_rounds; i++) {
		x ^= x << 13; // xorshift64: three dependent steps, about a nanosecond
		x ^= x >> 7;
		x ^= x << 17;
	}
	worker.work += x; // used, so that the rounds are not optimised away
	worker.totals.processed++;
}

void TapWorkers::wait(Worker &worker)
{
	pollfd fds[2] = {{port.queue(worker.id), POLLIN, 0}, {worker.wakeup.get(), POLLIN, 0}};
	poll(fds, 2, moving.load(std::memory_order_relaxed) ? moving_ms : idle_ms);
	if (fds[1].revents) {
		uint64_t count;
		if (read(worker.wakeup.get(), &count, sizeof(count)) < 0)
			return; // another wake-up took it: as good
	}
}

void TapWorkers::run(Worker &worker)
{
	void *out[room];
	uint32_t out_hashes[room];
	// Stopping is the last thing to be seen: what was read before is processed.
	for (bool last = false; !last;) {
		const bool stop_seen = stopping.load(std::memory_order_acquire);
		bool drained = false;
		const uint32_t nb_new = fill(worker, drained);
		worker.received.store(worker.received.load(std::memory_order_relaxed) + nb_new,
		                      std::memory_order_relaxed);
		uint32_t nb_out = 0;
		const uint32_t taken = rsspp_handover_admit(handover, worker.id, worker.in, worker.hashes,
		                                            worker.nb_in, out, out_hashes, room, &nb_out);
		std::copy(worker.in + taken, worker.in + worker.nb_in, worker.in);
		std::copy(worker.hashes + taken, worker.hashes + worker.nb_in, worker.hashes);
		worker.nb_in -= taken;
		worker.admitted += taken;
		for (uint32_t i = 0; i < nb_out; i++)
			process(worker, reinterpret_cast<uint64_t>(out[i]));
		const bool empty = drained && worker.nb_in == 0;
		if (rsspp_handover_poll(handover, worker.id, worker.admitted,
		                        empty && nb_new == 0 ? RSSPP_QUEUE_EMPTY : RSSPP_QUEUE_UNKNOWN,
		                        worker.leaving.data()) > 0)
			rsspp_handover_release(handover, worker.id);
		if (empty && nb_new == 0 && nb_out == 0) {
			last = stop_seen;
			if (!last)
				wait(worker);
		}
	}
}

int TapWorkers::write_table(std::span<const uint16_t> table, std::span<const uint16_t> changed)
{
	if (!params.in_order)
		return port.write_table(table, changed);
	if (table.size() != table_size())
		return -EINVAL;
	for (uint16_t bucket : changed)
		if (bucket >= table.size() || table[bucket] >= nb_queues())
			return -EINVAL;
	std::vector<uint16_t> begun;
	int busy = 0;
	moving.store(true, std::memory_order_relaxed);
	for (uint16_t bucket : changed) {
		int result = rsspp_handover_begin(handover, bucket, table[bucket]);
		for (int i = 0; i < busy_tries && result == -EBUSY; i++) {
			usleep(busy_pause_us);
			result = rsspp_handover_begin(handover, bucket, table[bucket]);
		}
		if (result == 0)
			begun.push_back(bucket);
		else if (result != -EINVAL || rsspp_handover_owner(handover, bucket) != table[bucket])
			busy = result; // else it is where it should be already
	}
	int error = port.write_table(table, begun);
	if (error == 0)
		error = port.settle();
	else
		take_back(table, begun);
	rsspp_handover_written(handover);
	wake();
	return error != 0 ? error : busy;
}

// Moves of entries that the device does not have.
void TapWorkers::take_back(std::span<const uint16_t> table, std::span<const uint16_t> begun)
{
	std::vector<uint16_t> actual(table.size());
	if (port.read_table(actual) != 0)
		return;
	for (uint16_t bucket : begun)
		if (actual[bucket] != table[bucket])
			rsspp_handover_cancel(handover, bucket);
}

void TapWorkers::wake()
{
	const uint64_t one = 1;
	for (auto &w : workers)
		if (write(w->wakeup.get(), &one, sizeof(one)) < 0)
			continue; // the counter is full: it is awake already
}

int TapWorkers::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	const int error = port.sample(packets, loads);
	if (error != 0)
		return error;
	if (rsspp_handover_in_progress(handover) == 0)
		moving.store(false, std::memory_order_relaxed);
	for (auto &w : workers) {
		const uint64_t cpu = nanoseconds(w->clock), now = nanoseconds(CLOCK_MONOTONIC);
		const double share =
			double(cpu - w->sampled_cpu) / double(std::max<uint64_t>(1, now - w->sampled_at));
		loads[w->id] = std::min(1.0f, float(share));
		w->sampled_cpu = cpu;
		w->sampled_at = now;
	}
	return 0;
}

uint32_t TapWorkers::moves_in_progress() const
{
	return rsspp_handover_in_progress(handover);
}

uint64_t TapWorkers::received() const
{
	uint64_t sum = 0;
	for (const auto &w : workers)
		sum += w->received.load(std::memory_order_relaxed);
	return sum;
}

uint64_t TapWorkers::received(uint32_t queue) const
{
	return workers[queue]->received.load(std::memory_order_relaxed);
}

WorkerTotals TapWorkers::stop()
{
	// A bucket on its way needs both its cores.
	for (int i = 0; i < 2000 && rsspp_handover_in_progress(handover) > 0; i++)
		usleep(1000);
	stopping.store(true, std::memory_order_release);
	wake();
	WorkerTotals sum;
	for (auto &w : workers) {
		if (w->thread.joinable())
			w->thread.join();
		rsspp_handover_stats stats;
		rsspp_handover_get_stats(handover, w->id, &stats);
		sum.received += w->received.load(std::memory_order_relaxed);
		sum.processed += w->totals.processed;
		sum.foreign += w->totals.foreign;
		sum.missing += w->totals.missing;
		sum.reordered += w->totals.reordered;
		sum.forwarded += stats.forwarded;
		sum.held += stats.held;
	}
	return sum;
}

} // namespace reframer::engine
