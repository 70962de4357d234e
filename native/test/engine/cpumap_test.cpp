// A table of ours in front of an interface that has none: numbered packets over a veth while buckets
// change CPU, full queues, and what cannot be.
#include "base/random.hpp"
#include "devices/cpumap_table.hpp"
#include "support/own_network.hpp"
#include "support/packet_builder.hpp"
#include "support/seed.hpp"
#include "support/veth.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <thread>

using namespace reframer::engine;
using namespace reframer::test;

namespace {

constexpr uint32_t nb_flows = 256, batch = 32;
constexpr size_t mark_at = 14 + 20 + 8;

struct Mark {
	uint32_t magic = 0x43505531, flow = 0;
	uint64_t sequence = 0; // from 1
};

FileDescriptor packet_socket(const char *interface, uint16_t protocol)
{
	FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	sockaddr_ll at = {};
	at.sll_family = AF_PACKET;
	at.sll_protocol = htons(protocol);
	at.sll_ifindex = int(if_nametoindex(interface));
	REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr *>(&at), sizeof(at)) == 0);
	return socket;
}

// What comes out of the stack, in the order in which it does.
class Receiver {
public:
	Receiver() : socket(packet_socket("w1", ETH_P_IP)), last(nb_flows)
	{
		const int bytes = 64 << 20;
		setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
		thread = std::thread([this] { run(); });
	}
	~Receiver() { stop(); }
	void stop()
	{
		stopping = true;
		if (thread.joinable())
			thread.join();
	}

	std::atomic<uint64_t> received{0};
	uint64_t reordered = 0, repeated = 0; // once it has stopped

private:
	void run()
	{
		std::array<std::array<uint8_t, 128>, batch> frames;
		std::array<iovec, batch> parts;
		std::array<mmsghdr, batch> messages = {};
		for (uint32_t i = 0; i < batch; i++) {
			parts[i] = {frames[i].data(), frames[i].size()};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		while (!stopping) {
			const int n = recvmmsg(socket.get(), messages.data(), batch, MSG_DONTWAIT, nullptr);
			if (n <= 0)
				std::this_thread::sleep_for(std::chrono::microseconds(50));
			for (int i = 0; i < n; i++)
				take(frames[size_t(i)].data(), messages[size_t(i)].msg_len);
		}
	}
	void take(const uint8_t *frame, uint32_t size)
	{
		Mark mark;
		if (size < mark_at + sizeof(mark))
			return;
		std::memcpy(&mark, frame + mark_at, sizeof(mark));
		if (mark.magic != Mark{}.magic)
			return;
		reordered += mark.sequence < last[mark.flow];
		repeated += mark.sequence == last[mark.flow];
		last[mark.flow] = mark.sequence;
		received.fetch_add(1, std::memory_order_release);
	}

	FileDescriptor socket;
	std::vector<uint64_t> last;
	std::atomic<bool> stopping{false};
	std::thread thread;
};

// Numbered packets of random flows; waits while `window` are on their way, if that is not 0.
class Sender {
public:
	Sender() : socket(packet_socket("veth0", 0)), sequence(nb_flows)
	{
		for (uint32_t f = 0; f < nb_flows; f++)
			flows.push_back(ethernet(
				type_ipv4,
				ipv4({}, udp({.source = uint16_t(5000 + f), .payload = Bytes(sizeof(Mark), 0)}))));
	}
	void send(uint64_t packets, uint64_t window, const Receiver &receiver)
	{
		for (uint64_t end = sent + packets; sent < end;) {
			if (window && sent - receiver.received.load(std::memory_order_acquire) >= window) {
				std::this_thread::yield();
				continue;
			}
			send_batch(uint32_t(std::min<uint64_t>(batch, end - sent)));
		}
	}
	uint64_t sent = 0;

private:
	void send_batch(uint32_t count)
	{
		std::array<Bytes, batch> frames;
		std::array<iovec, batch> parts;
		std::array<mmsghdr, batch> messages = {};
		// Few flows at a time, so that several packets of one are on their way when its bucket moves.
		const auto first = uint32_t(random.next() % (nb_flows / 8)) * 8;
		for (uint32_t i = 0; i < count; i++) {
			Mark mark;
			mark.flow = first + uint32_t(random.next() % 8);
			mark.sequence = ++sequence[mark.flow];
			frames[i] = flows[mark.flow];
			std::memcpy(frames[i].data() + mark_at, &mark, sizeof(mark));
			parts[i] = {frames[i].data(), frames[i].size()};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		// The veth's own ring may be full: what it refuses is tried again.
		for (uint32_t done = 0; done < count;) {
			const int n = sendmmsg(socket.get(), messages.data() + done, count - done, 0);
			if (n > 0)
				done += uint32_t(n);
			else
				std::this_thread::yield();
		}
		sent += count;
	}

	FileDescriptor socket;
	std::vector<Bytes> flows;
	std::vector<uint64_t> sequence;
	reframer::base::Random random{seed_for("cpumap", 5)};
};

bool wait_for(const std::function<bool()> &condition)
{
	for (int i = 0; i < 20'000; i++) {
		if (condition())
			return true;
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	return false;
}

bool make_pair()
{
	return make_veth("w1") && set_up("w1") && set_up("veth0");
}

void on_a_veth(const std::function<void()> &body)
{
	if (std::thread::hardware_concurrency() < 2) {
		MESSAGE("skipped: no second CPU");
		return;
	}
	in_own_network("cpumap", [&] {
		if (make_pair())
			body();
		else
			MESSAGE("skipped: no veth here");
	});
}

} // namespace

TEST_CASE("10^6 numbered packets and 100 moves a second: none lost, none overtakes one of its flow")
{
	on_a_veth([] {
		CpumapTable table({.interface = "w1", .cpus = {0, 1}, .nb_buckets = 128});
		Receiver receiver;
		Sender sender;
		std::atomic<bool> done{false};
		std::thread traffic([&] {
			sender.send(1'000'000, 200, receiver);
			done = true;
		});
		std::vector<uint16_t> wanted(128);
		REQUIRE(table.read_table(wanted) == 0);
		CHECK(wanted[5] == 1);
		reframer::base::Random random{seed_for("moves", 6)};
		uint64_t moves = 0;
		while (!done) {
			const std::vector<uint16_t> changed = {uint16_t(random.next() % 128)};
			wanted[changed[0]] ^= 1;
			CHECK(write_verified(table, wanted, changed).refused.empty());
			moves++;
			std::this_thread::sleep_for(std::chrono::milliseconds(10));
		}
		traffic.join();
		CHECK(wait_for([&] { return receiver.received == sender.sent; }));
		const CpumapTotals totals = table.stop();
		receiver.stop();
		CHECK(receiver.received == sender.sent);
		CHECK(receiver.reordered == 0);
		CHECK(receiver.repeated == 0);
		CHECK(totals.dropped == 0);
		CHECK(totals.passed == 0);
		CHECK(totals.processed == totals.counted);
		CHECK(totals.counted >= sender.sent);
		CHECK(totals.moved > 0);
		MESSAGE(moves, " moves; ", totals.moved, " slots changed CPU, ", totals.stayed,
		        " packets followed earlier ones");
	});
}

TEST_CASE("each bucket's packets are counted, and go to the CPU that the table names")
{
	on_a_veth([] {
		CpumapTable table({.interface = "w1", .cpus = {1, 0}, .nb_buckets = 64});
		CHECK(table.name() == "cpumap w1");
		std::vector<uint16_t> wanted(64, 1);
		std::vector<uint16_t> all(64);
		for (uint16_t b = 0; b < 64; b++)
			all[b] = b;
		CHECK(write_verified(table, wanted, all).refused.empty());
		Receiver receiver;
		Sender sender;
		sender.send(2000, 200, receiver);
		CHECK(wait_for([&] { return receiver.received == sender.sent; }));
		std::vector<uint64_t> packets(64);
		std::vector<float> loads(2);
		REQUIRE(table.sample(packets, loads) == 0);
		uint64_t sum = 0;
		for (const uint64_t count : packets)
			sum += count;
		CHECK(sum == table.totals().counted);
		CHECK(table.frames_on(1) == 0);
		CHECK(table.frames_on(0) >= sender.sent);
		CHECK(table.sample(std::span(packets).first(32), loads) == -EINVAL);
		CHECK(table.read_table(std::span(all).first(32)) == -EINVAL);
	});
}

TEST_CASE("what full queues drop is counted")
{
	on_a_veth([] {
		CpumapTable table({.interface = "w1", .cpus = {0, 1}, .nb_buckets = 64, .queue_depth = 8});
		Receiver receiver;
		Sender sender;
		for (int i = 0; i < 100 && table.totals().dropped == 0; i++)
			sender.send(5000, 0, receiver);
		const CpumapTotals totals = table.stop();
		CHECK(totals.dropped > 0);
		CHECK(totals.counted >= sender.sent);
		CHECK(wait_for([&] { return receiver.received + totals.dropped >= sender.sent; }));
		receiver.stop();
		CHECK(receiver.reordered == 0);
	});
}

TEST_CASE("interfaces and numbers that cannot be; the program leaves with its table")
{
	on_a_veth([] {
		const auto refusal = [](const CpumapParams &params) {
			try {
				CpumapTable refused(params);
			} catch (const DeviceError &e) {
				return std::string(e.what());
			}
			return std::string("taken");
		};
		CHECK(refusal({.interface = "absent0", .cpus = {}}).find("no interface") !=
		      std::string::npos);
		CHECK(refusal({.interface = "w1", .cpus = {}, .nb_buckets = 100}).find("power of two") !=
		      std::string::npos);
		CHECK(refusal({.interface = "w1", .cpus = {0, 0}}).find("twice") != std::string::npos);
		CHECK(refusal({.interface = "w1", .cpus = {200}}).find("no CPU 200") != std::string::npos);
		CHECK(refusal({.interface = "w1", .cpus = {}, .queue_depth = 4}).find("8 to 16384") !=
		      std::string::npos);
		CHECK(refusal({.interface = "lo", .cpus = {}}).find("driver") != std::string::npos);
		{
			CpumapTable first({.interface = "w1", .cpus = {}});
			CHECK(refusal({.interface = "w1", .cpus = {}}).find("no XDP program can be") !=
			      std::string::npos);
		}
		CHECK(refusal({.interface = "w1", .cpus = {}}) == "taken");
	});
}
