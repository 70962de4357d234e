// The balancer between two Linux interfaces: frames are taken and sent by AF_PACKET.
#pragma once

#include "jobs/job.hpp"
#include "nf/balancer/timestamps.hpp"
#include "reframer/balancer.h"

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <linux/if_packet.h>
#include <mutex>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace reframer::lab {

inline uint64_t live_now_ns()
{
	return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

class Interface {
public:
	static constexpr uint32_t longest = 2048;
	explicit Interface(const std::string &name)
		: socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)))
	{
		const unsigned index = if_nametoindex(name.c_str());
		sockaddr_ll at{};
		at.sll_family = AF_PACKET;
		at.sll_protocol = htons(ETH_P_ALL);
		at.sll_ifindex = static_cast<int>(index);
		const int on = 1, ring_bytes = 16 << 20; // some milliseconds of what windows of TCP hold
		packet_mreq promiscuous{};
		promiscuous.mr_ifindex = at.sll_ifindex;
		promiscuous.mr_type = PACKET_MR_PROMISC;
		if (socket_ < 0 || index == 0 ||
		    setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
		    setsockopt(socket_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
		               sizeof(promiscuous)) != 0 ||
		    bind(socket_, reinterpret_cast<sockaddr *>(&at), sizeof(at)) != 0)
			throw JobError("not-supported",
			               "interface '" + name + "' cannot be opened: " + std::strerror(errno), 3);
		setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &ring_bytes, sizeof(ring_bytes));
		setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &ring_bytes, sizeof(ring_bytes));
	}
	~Interface() { close(socket_); }
	Interface(const Interface &) = delete;

	int descriptor() const { return socket_; }
	// Bytes of a frame; 0: none waits.
	uint32_t take(uint8_t *frame) const
	{
		const ssize_t n = recv(socket_, frame, longest, MSG_TRUNC);
		return n > 0 && n <= longest ? static_cast<uint32_t>(n) : 0;
	}
	void send(const uint8_t *frame, uint32_t length) const
	{
		// A full queue is the network's loss.
		if (::send(socket_, frame, length, 0) < 0)
			unsent_++;
	}
	uint64_t unsent() const { return unsent_; }

private:
	int socket_;
	mutable uint64_t unsent_ = 0;
};

class Live {
	static constexpr uint32_t burst = 64, longest = Interface::longest;
	static constexpr int poll_ms = 50; // how late the end is noticed

public:
	Live(balancer *b, const Interface &clients, const Interface &servers, const uint8_t mac[6],
	     uint32_t blurred)
		: b_(b), clients_(clients), servers_(servers), room_(size_t{burst} * longest),
		  blurred_(blurred)
	{
		std::copy(mac, mac + 6, client_mac_);
	}

	void run()
	{
		while (!stopping.load(std::memory_order_relaxed)) {
			pollfd waits[] = {{clients_.descriptor(), POLLIN, 0},
			                  {servers_.descriptor(), POLLIN, 0}};
			poll(waits, 2, poll_ms);
			for (const Interface *from : {&clients_, &servers_})
				serve(*from);
		}
	}

	std::atomic<bool> stopping{false};
	std::mutex mutex; // the balancer's: commands come on another thread

private:
	void serve(const Interface &from)
	{
		balancer_frame frames[burst];
		uint32_t n = 0;
		while (n < burst) {
			uint8_t *frame = &room_[size_t{n} * longest];
			const uint32_t length = from.take(frame);
			if (length == 0)
				break;
			frames[n++] = {frame, length, 0, 0};
		}
		if (n == 0)
			return;
		const std::lock_guard lock(mutex);
		balancer_process(b_, frames, n, live_now_ns());
		for (uint32_t i = 0; i < n; i++)
			forward(frames[i]);
	}
	void forward(const balancer_frame &f)
	{
		if (f.verdict == BALANCER_TO_SERVER) {
			if (blurred_ != 0)
				blur(f);
			servers_.send(f.data, f.length);
		} else if (f.verdict == BALANCER_TO_CLIENT) {
			std::copy(client_mac_, client_mac_ + 6, f.data);
			clients_.send(f.data, f.length);
		} else if (f.verdict == BALANCER_TO_ALL) {
			uint32_t ids[BALANCER_MAX_SERVERS];
			const uint32_t nb = balancer_servers(b_, ids, BALANCER_MAX_SERVERS);
			for (uint32_t i = 0; i < nb; i++) {
				uint8_t copy[longest];
				std::copy(f.data, f.data + f.length, copy);
				if (balancer_direct(b_, copy, f.length, ids[i]) == 0)
					servers_.send(copy, f.length);
			}
		}
	}

	// As a balancer does that keeps its number in the timestamp's low bits: to see that what compares
	// with direct connections notices it.
	void blur(const balancer_frame &f) const
	{
		balance::Packet p;
		if (balance::read_packet(f.data, f.length, p) != nf::verdict_pass ||
		    p.layer4 != nf::layer4_tcp || p.tcp_flags() & balance::tcp_syn)
			return;
		const balance::Timestamps ts = balance::find_timestamps(p.l4, p.end);
		if (!ts)
			return;
		const uint32_t echo = balance::load_be32(ts.echo());
		const uint32_t change = balance::replace32(p.l4, ts.echo(), echo & ~((1u << blurred_) - 1));
		nf::update_checksum(p.l4 + 16, nf::fold(change));
	}

	balancer *b_;
	const Interface &clients_, &servers_;
	std::vector<uint8_t> room_;
	uint8_t client_mac_[6];
	const uint32_t blurred_; // bits
};

} // namespace reframer::lab
