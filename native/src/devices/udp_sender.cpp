#include "devices/udp_sender.hpp"

#include "devices/table_device.hpp"
#include "devices/tap_workers.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cmath>
#include <netinet/in.h>
#include <sys/socket.h>

namespace reframer::engine {

namespace {

constexpr uint32_t batch = 32;
constexpr uint32_t flows_an_address_block = 200; // 10.9.1.1 to 10.9.1.200, then the next ports
constexpr uint16_t first_port = 5000;
constexpr double longest_nap = 0.05; // seconds; how late a stop may be seen

} // namespace

UdpSender::UdpSender(const SenderParams &params, std::function<uint64_t()> arrived)
	: params(params), arrived(std::move(arrived)),
	  socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), cumulative(params.nb_flows),
	  sequence(params.nb_flows), random{params.seed}
{
	if (params.nb_flows < 1 || params.nb_flows > 40'000)
		throw DeviceError("bad-spec", "there are 1 to 40000 flows", false);
	if (socket.get() < 0)
		throw_errno("sender", "cannot open a UDP socket");
	double sum = 0;
	for (uint32_t f = 0; f < params.nb_flows; f++)
		cumulative[f] = sum += std::pow(double(f + 1), -params.skew);
	thread = std::thread([this] { run(); });
}

UdpSender::~UdpSender()
{
	stop();
}

void UdpSender::stop()
{
	stopping.store(true, std::memory_order_relaxed);
	if (thread.joinable())
		thread.join();
}

void UdpSender::send_batch(uint32_t count)
{
	FlowMark marks[batch];
	sockaddr_in to[batch] = {};
	iovec parts[batch];
	mmsghdr messages[batch] = {};
	for (uint32_t i = 0; i < count; i++) {
		const double share = random.unit() * cumulative.back();
		const uint32_t flow = uint32_t(
			std::lower_bound(cumulative.begin(), cumulative.end(), share) - cumulative.begin());
		marks[i] = {flow_mark_magic, flow, ++sequence[flow]};
		to[i].sin_family = AF_INET;
		to[i].sin_addr.s_addr = htonl(params.network + 0x101 + flow % flows_an_address_block);
		to[i].sin_port = htons(uint16_t(first_port + flow / flows_an_address_block));
		parts[i] = {&marks[i], sizeof(marks[i])};
		messages[i].msg_hdr.msg_name = &to[i];
		messages[i].msg_hdr.msg_namelen = sizeof(to[i]);
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	// A datagram that the stack refused (ENOBUFS) is tried again: each place in a flow is sent once.
	for (uint32_t done = 0; done < count && !stopping.load(std::memory_order_relaxed);) {
		const int n = sendmmsg(socket.get(), messages + done, count - done, 0);
		if (n > 0) {
			done += uint32_t(n);
			nb_sent.fetch_add(uint64_t(n), std::memory_order_release);
		} else {
			std::this_thread::sleep_for(std::chrono::microseconds(100));
		}
	}
}

void UdpSender::run()
{
	using Clock = std::chrono::steady_clock;
	const Clock::time_point start = Clock::now();
	while (!stopping.load(std::memory_order_relaxed)) {
		const uint64_t so_far = nb_sent.load(std::memory_order_relaxed);
		uint64_t count = batch;
		if (params.nb_packets > 0)
			count = std::min<uint64_t>(count, params.nb_packets - so_far);
		if (count == 0)
			break;
		if (params.in_flight > 0 && so_far + count > arrived() + params.in_flight) {
			std::this_thread::sleep_for(std::chrono::microseconds(20));
			continue;
		}
		if (params.packets_per_second > 0) {
			const double due = double(so_far) / double(params.packets_per_second);
			const std::chrono::duration<double> ahead =
				std::chrono::duration<double>(due) - (Clock::now() - start);
			if (ahead.count() > 0) {
				std::this_thread::sleep_for(
					std::min(ahead, std::chrono::duration<double>(longest_nap)));
				continue;
			}
		}
		send_batch(uint32_t(count));
	}
	finished.store(true, std::memory_order_release);
}

} // namespace reframer::engine
