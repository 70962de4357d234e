// Job `linux-send`: plays an order of TCP segments to a Linux interface and tells how much of a core
// the kernel's threads behind it used for them. Those wait until their rings are full, and then work
// until all is done: a core that is always behind, however fast this one sends.
//
// Specification:
//   interface        of this network namespace; frames leave by AF_PACKET
//   destinationMac, destination ("10.78.1.2"), source: what the frames say
//   traffic          "interleaved": flows take turns; "campus": as campus traffic has them (interleaved)
//   flows            TCP connections, told apart by source port (256); campus has its own
//   slf              packets of a flow in a row, by construction (1)
//   delayNs          0: as constructed; else what Reframer makes of that order
//   offeredBps       rate of the wire in front of Reframer, which says how many packets wait with one
//                    (70e9)
//   wireQueues       campus: that the wire is spread over by hash; this kernel core has one (1)
//   payload          bytes of a segment (1000)
//   storedHash       the kernel computes a hash for each, as a NIC does (false): through the queueing
//                    layer of an interface with several queues
//   checkedByNic     checksums are no longer the kernel's affair, as behind a NIC (true); else it adds up
//                    every byte before it merges
//   threads          ids of the kernel's threads whose time counts
//   kernelCpu        that the threads are pinned to (1)
//   queues           of the interface (1)
//   packetsPerSecond 0: as above; else so many leave a second, each with its time, and the threads work
//                    when they come
//   warmSeconds, seconds (0.2, 1), cpu (0), seed (1)
// Record: sent, fills (times that the rings were filled), refused (times that a ring had no room, at a
//   pace), seconds (that it took), all (sent with the warm-up), cpuNs (of the threads, in the measured
//   time), slf, flows, frameBytes, windowPackets (that pass during T on the wire)
#include "base/cores.hpp"
#include "jobs/mac.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/linux/flow_order.hpp"
#include "lab/linux/gate.hpp"
#include "lab/linux/segments.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <linux/if_packet.h>
#include <net/if.h>
#include <optional>
#include <pthread.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace reframer::lab {
namespace {

using Clock = std::chrono::steady_clock;

// What a link adds to a frame: check sequence, preamble, gap.
constexpr uint32_t wire_overhead = 24;
// Of a queue of veth, as the kernel has it (VETH_RING_SIZE).
constexpr uint32_t ring = 256;
constexpr uint32_t batch = 64;
constexpr uint32_t least_cycle = 1 << 16;
constexpr uint32_t most_flows = 32768; // that the sink follows
// Twice what a core's own caches hold, on processors as they are; bytes.
constexpr size_t private_caches = 2 << 20, line = 64;
// At a pace: long enough for another program to run, short beside T.
constexpr std::chrono::microseconds pause(20);

struct SendSpec {
	std::string interface;
	SegmentSpec segments;
	bool campus = false;
	uint32_t in_a_row, cpu, kernel_cpu, queues, wire_queues;
	uint64_t delay_ns, seed;
	double offered_bps, warm_seconds, seconds, pace;
	bool stored_hash;
	std::vector<uint64_t> threads;
};

[[noreturn]] void fail_errno(const std::string &what)
{
	throw JobError("linux-send", what + ": " + std::strerror(errno));
}

SendSpec parse(const Json &json)
{
	SpecReader in(json, "");
	SendSpec s;
	s.interface = in.text("interface", "");
	read_mac(in, "destinationMac", s.segments.destination_mac);
	const auto address = [&](const char *name) {
		in_addr ip;
		if (inet_pton(AF_INET, in.text(name, "").c_str(), &ip) != 1)
			in.fail(name, "must be an IPv4 address");
		return ntohl(ip.s_addr);
	};
	s.segments.source = address("source");
	s.segments.destination = address("destination");
	s.segments.flows = static_cast<uint32_t>(in.integer("flows", 256, 1, most_flows));
	in.read("traffic", s.campus, {{"interleaved", false}, {"campus", true}});
	s.segments.payload =
		static_cast<uint32_t>(in.integer("payload", 1000, SegmentSpec::stamp_bytes, 1448));
	s.in_a_row = static_cast<uint32_t>(in.integer("slf", 1, 1, 1024));
	s.delay_ns = in.integer("delayNs", 0, 0, 1'000'000'000);
	s.offered_bps = in.real("offeredBps", 70e9, 1e6, 1e12);
	s.stored_hash = in.boolean("storedHash", false);
	s.segments.offloaded = in.boolean("checkedByNic", true);
	s.warm_seconds = in.real("warmSeconds", 0.2, 0, 60);
	s.seconds = in.real("seconds", 1, 0.01, 600);
	s.cpu = static_cast<uint32_t>(in.integer("cpu", 0, 0, 4095));
	s.kernel_cpu = static_cast<uint32_t>(in.integer("kernelCpu", 1, 0, 4095));
	s.queues = static_cast<uint32_t>(in.integer("queues", 1, 1, 64));
	s.wire_queues = static_cast<uint32_t>(in.integer("wireQueues", 1, 1, 128));
	s.seed = in.integer("seed", 1, 0, 1ull << 53);
	s.pace = in.real("packetsPerSecond", 0, 0, 1e8);
	s.threads = in.integers<uint64_t>("threads", {}, 1, 1ull << 32);
	in.finish();
	return s;
}

class Socket {
public:
	explicit Socket(const SendSpec &spec) : fd_(socket(AF_PACKET, SOCK_RAW, 0))
	{
		if (fd_ < 0)
			fail_errno("a packet socket");
		sockaddr_ll to{};
		to.sll_family = AF_PACKET;
		to.sll_ifindex = static_cast<int>(if_nametoindex(spec.interface.c_str()));
		if (to.sll_ifindex == 0)
			fail_errno("interface " + spec.interface);
		if (bind(fd_, reinterpret_cast<sockaddr *>(&to), sizeof(to)) != 0)
			fail_errno("binding to " + spec.interface);
		// Past the queueing layer no hash is computed.
		set(SOL_PACKET, PACKET_QDISC_BYPASS, !spec.stored_hash, "PACKET_QDISC_BYPASS");
		set(SOL_PACKET, PACKET_VNET_HDR, spec.segments.offloaded, "PACKET_VNET_HDR");
		// Full rings must not wait for room to send.
		set(SOL_SOCKET, SO_SNDBUFFORCE, 256 << 20, "SO_SNDBUFFORCE");
	}
	~Socket() { close(fd_); }
	Socket(const Socket &) = delete;
	Socket &operator=(const Socket &) = delete;

	// @return how many of them it took; the first that it did not take may be tried again.
	uint32_t send(mmsghdr *messages, uint32_t n) const
	{
		const int taken = sendmmsg(fd_, messages, n, MSG_DONTWAIT);
		if (taken >= 0)
			return static_cast<uint32_t>(taken);
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			fail_errno("sending");
		return 0;
	}

private:
	void set(int level, int option, int value, const char *name) const
	{
		if (setsockopt(fd_, level, option, &value, sizeof(value)) != 0)
			fail_errno(name);
	}

	int fd_;
};

// Nanoseconds on a CPU, of all of them.
uint64_t cpu_time(const std::vector<uint64_t> &threads)
{
	uint64_t sum = 0;
	for (uint64_t id : threads) {
		std::ifstream in("/proc/" + std::to_string(id) + "/schedstat");
		uint64_t ns = 0;
		if (!(in >> ns))
			throw JobError("linux-send", "thread " + std::to_string(id) + " is not there");
		sum += ns;
	}
	return sum;
}

// As the kernel's programs read it.
uint64_t now_ns()
{
	return static_cast<uint64_t>(
		std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
			.count());
}

struct Counts {
	uint64_t sent = 0, fills = 0, refused = 0;
	double seconds = 0; // that it took
};

class Player {
public:
	Player(const SendSpec &spec, std::vector<uint32_t> order)
		: order_(std::move(order)), socket_(spec), segments_(spec.segments, batch),
		  most_(ring * spec.queues), pace_(spec.pace)
	{
		if (pace_ <= 0)
			gate_.emplace(static_cast<int>(spec.kernel_cpu), spec.threads);
	}

	Counts play(double seconds)
	{
		const auto start = Clock::now();
		Counts counts = gate_ ? play_behind(seconds) : play_at_pace(seconds);
		counts.seconds = seconds_since(start);
		return counts;
	}

	const std::vector<uint32_t> &order() const { return order_; }

private:
	static double seconds_since(Clock::time_point start)
	{
		return std::chrono::duration<double>(Clock::now() - start).count();
	}

	Counts play_behind(double seconds)
	{
		Counts counts;
		for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
			counts.sent += fill();
			counts.fills++;
			settle();
			gate_->pass();
		}
		return counts;
	}

	Counts play_at_pace(double seconds)
	{
		Counts counts;
		refused_ = 0;
		const auto start = Clock::now();
		for (double now = 0; now < seconds;) {
			const auto due = static_cast<uint64_t>(now * pace_);
			if (due > counts.sent)
				counts.sent +=
					fill(static_cast<uint32_t>(std::min<uint64_t>(due - counts.sent, most_)));
			else
				std::this_thread::sleep_for(pause);
			now = seconds_since(start);
		}
		counts.refused = refused_;
		return counts;
	}

	// Until so many are sent, or a ring is full. @return segments sent
	uint32_t fill() { return fill(most_); }
	uint32_t fill(uint32_t most)
	{
		uint32_t sent = 0;
		while (sent < most) {
			if (at_ == batch)
				write_batch();
			const uint32_t n = std::min(batch - at_, most - sent);
			if (!gate_)
				for (uint32_t i = 0; i < n; i++)
					segments_.stamp(at_ + i, now_ns());
			const uint32_t taken = socket_.send(segments_.messages() + at_, n);
			at_ += taken;
			sent += taken;
			if (taken == 0) {
				refused_++;
				break;
			}
		}
		return sent;
	}

	// What was just written lies in this core's own caches, where it is dear to fetch; a NIC leaves it in
	// the one that all cores share.
	void settle()
	{
		for (size_t i = 0; i < others_.size(); i += line)
			others_[i]++;
	}

	void write_batch()
	{
		for (uint32_t i = 0; i < batch; i++) {
			segments_.write(i, order_[place_]);
			place_ = place_ + 1 == order_.size() ? 0 : place_ + 1;
		}
		at_ = 0;
	}

	std::vector<uint32_t> order_;
	Socket socket_;
	Segments segments_;
	std::optional<Gate> gate_; // none at a pace
	std::vector<uint8_t> others_ = std::vector<uint8_t>(private_caches);
	uint32_t most_, at_ = batch; // of the batch, the next to send
	size_t place_ = 0;           // in the order, the next to write
	uint64_t refused_ = 0;       // times that a ring had no room
	double pace_;
};

} // namespace

void run_linux_send(const Json &json)
{
	SendSpec s = parse(json);
	if (!base::pin(pthread_self(), static_cast<int>(s.cpu)))
		throw JobError("linux-send", "CPU " + std::to_string(s.cpu) + " cannot be had");

	double gap_ns = s.pace > 0 ? 1e9 / s.pace
	                           : (s.segments.frame_bytes() + wire_overhead) * 8e9 / s.offered_bps;
	std::vector<uint32_t> order;
	if (s.campus) {
		CampusOrder campus =
			campus_order(s.offered_bps, s.wire_queues, least_cycle, s.delay_ns, s.seed);
		if (campus.flows > most_flows)
			throw JobError("linux-send", std::to_string(campus.flows) + " flows: too many");
		s.segments.flows = campus.flows;
		order = std::move(campus.order);
		gap_ns = campus.gap_ns;
	} else {
		order = interleaved_order(s.segments.flows, s.in_a_row, least_cycle, s.seed);
		if (s.delay_ns != 0)
			order = reframed_order(order, gap_ns, s.delay_ns);
	}

	Player player(s, std::move(order));
	const Counts warm = player.play(s.warm_seconds);
	const uint64_t before = cpu_time(s.threads);
	const Counts counts = player.play(s.seconds);
	emit({{"sent", counts.sent},
	      {"fills", counts.fills},
	      {"seconds", counts.seconds},
	      {"refused", counts.refused},
	      {"all", warm.sent + counts.sent},
	      {"cpuNs", cpu_time(s.threads) - before},
	      {"slf", slf_of(player.order())},
	      {"flows", s.segments.flows},
	      {"frameBytes", s.segments.frame_bytes()},
	      {"windowPackets", static_cast<double>(s.delay_ns) / gap_ns}});
}

} // namespace reframer::lab
