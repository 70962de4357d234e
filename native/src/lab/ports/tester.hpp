// The tester of a bed: sends stamped frames at a rate, takes them back, and tells what became of them.
#pragma once

#include "dpdk/pollers.hpp"
#include "dpdk/ports.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "measure/histogram.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_mbuf;
struct rte_mempool;

namespace reframer::dpdk {

struct TesterConfig {
	std::string tx, rx;        // EAL's names; may be the same port
	uint32_t nb_queues = 1;    // that are sent to
	uint32_t nb_rx_queues = 0; // that are received from; 0: as many
	uint32_t nb_cores = 1;     // 1: one thread sends and receives; 2: one each
	uint32_t nb_descriptors = 1024;
	uint32_t buckets = 512;      // queue of a frame: (its RSS hash mod this) mod nb_queues
	uint32_t nb_frames = 65'536; // that are sent over and over
	uint32_t longest = 1514;     // frames that are longer are cut
	PortWish port;
	lab::TrialSpec source;
};

// Sent in this order. What is measured are packets sent in the window.
enum TesterPhase : uint8_t { warm_up, window, cool_down, nb_phases };

struct TesterLoad {
	double bps = 0, pps = 0; // of frames, without preamble and gap; both 0: as fast as it goes
	uint64_t warmup_ns = 0, window_ns = 0; // 0: until it is told to stop
	uint64_t packets = 0;                  // of the window; 0: time tells
	uint32_t in_flight = 0;                // packets under way at most; 0: any
	uint64_t grace_ns = 0; // of silence after the last packet was sent: what comes later is lost
};

struct TesterCounts {
	uint64_t sent = 0, bits = 0, received = 0, received_bits = 0;
	uint64_t out_of_order = 0, duplicates = 0;
	engine::Histogram latency; // ns, from before the send call to the receive call that brings it
};

struct TesterResult {
	std::array<TesterCounts, nb_phases> phases;
	uint64_t foreign = 0;       // frames without a stamp of this run
	uint64_t refused = 0;       // send calls that the port took nothing of
	double window_seconds = 0;  // from the first to the last of it
	double late_ns = 0;         // longest that a packet was sent behind its time
	double reached_share = 1;   // of the load that was due by the window's end; the rest was late
	uint64_t stragglers_ns = 0; // from the last sent to the last received
};

class Tester {
public:
	// EAL is up. @throws lab::JobError
	Tester(const TesterConfig &config, const PollerCpus &cpus);
	~Tester();
	Tester(const Tester &) = delete;
	Tester &operator=(const Tester &) = delete;

	void start(const TesterLoad &load);
	bool sending() const;
	// Once all is sent and has come, or its grace is over; `now`: sends no more. Ends the threads.
	TesterResult stop(bool now);

	const std::vector<PortGrant> &grants() const { return grants_; }
	uint64_t flows() const { return nb_flows_; }
	// So far, all phases.
	uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
	uint64_t received() const { return received_.load(std::memory_order_relaxed); }

private:
	struct Begun {}; // nothing yet
	Tester(const TesterConfig &config, const PollerCpus &cpus, Begun);
	struct Frame {
		const uint8_t *data;
		uint32_t captured, length, flow;
		uint16_t queue, sum;
		uint64_t time_ns; // from the first one
	};
	struct Staged;
	void prepare_frames();
	void run(bool sends, bool receives);
	bool send_due(uint64_t now);
	bool flush(uint32_t queue);
	bool receive();
	bool take(rte_mbuf *packet, uint64_t now);
	void end_window(uint64_t now);
	void enter(TesterPhase phase, uint64_t now);
	uint64_t due_at(uint64_t number) const;
	double reached_share(uint64_t now) const;

	const TesterConfig config_;
	const PollerCpus &cpus_;
	uint16_t tx_ = 0, rx_ = 0;
	rte_mempool *pool_ = nullptr;
	std::vector<PortGrant> grants_;
	std::vector<uint8_t> bytes_;
	std::vector<Frame> frames_;
	double loop_ns_ = 0, loop_bits_ = 0;
	uint64_t nb_flows_ = 0;

	TesterLoad load_;
	double ns_scale_ = 0, cycles_per_ns_ = 1;
	uint16_t magic_ = 0;
	std::vector<Poller> pollers_;
	std::vector<uint32_t> next_sequence_, highest_;
	std::vector<std::unique_ptr<Staged>> staged_;
	// The sender's.
	uint64_t next_ = 0, began_ = 0, ends_ = 0, window_began_ = 0, window_ended_ = 0, last_sent_ = 0;
	TesterPhase phase_ = warm_up;
	TesterResult result_;
	// The receiver's.
	uint64_t last_received_ = 0;
	std::array<TesterCounts, nb_phases> arrivals_;
	uint64_t foreign_ = 0;
	std::atomic<uint64_t> sent_{0}, received_{0}, window_sent_{0};
	std::atomic<bool> stopping_{false}, done_sending_{false}, ending_{false};
};

} // namespace reframer::dpdk
