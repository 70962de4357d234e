// Job `balance-servers`: the balancer between two Linux interfaces, one to clients and one to servers,
// as a program of its own.
//
// spec    {"clients": "IF", "servers": "IF", "service": "192.0.2.1", "clientMac": "02:..." (next hop of
//          answers), "policy": as in balancer-policies or "cross-rss", "memory": "cookie"|"track"|"forget",
//          "maxServers": 256}
// Commands come as JSON lines on stdin, each gets one record on stdout:
//   {"do":"add","address":"10.0.0.1","mac":"02:...","weight":1,"clock":"detect"|"uniform"|"differing"}  {"id":N}
//   {"do":"drain"|"activate"|"remove","id":N}, {"do":"weight","id":N,"weight":N}, {"do":"load","id":N,
//   "load":X}                        {"done":true}
//   {"do":"stats"}                   {"stats":{...}}
//   {"do":"stop"}, end of input      {"summary":{...}}
// What is refused gets {"failed":REASON}. The first record is {"ready":{"clients","servers"}}.
//
// Frames are taken and sent by AF_PACKET: segments must be no longer than the MTU and have their sums, so
// offloads of both interfaces' senders are off. ARP is not answered: neighbours are entered by hand.
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <linux/if_packet.h>
#include <mutex>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace reframer::lab {

namespace {

constexpr uint32_t burst = 64, longest = 2048;
constexpr int ring_bytes = 16 << 20; // some milliseconds of what a window of TCP holds
constexpr int poll_ms = 50;          // how late the end is noticed

uint64_t now_ns()
{
	return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

class Interface {
public:
	explicit Interface(const std::string &name)
		: socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)))
	{
		const unsigned index = if_nametoindex(name.c_str());
		sockaddr_ll at{};
		at.sll_family = AF_PACKET;
		at.sll_protocol = htons(ETH_P_ALL);
		at.sll_ifindex = static_cast<int>(index);
		const int on = 1;
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

void read_mac(const std::string &text, uint8_t mac[6], SpecReader &in, const char *name)
{
	unsigned b[6];
	if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6)
		in.fail(name, "must be six bytes, 02:00:00:00:00:01");
	std::copy(b, b + 6, mac);
}

void read_address(const std::string &text, uint8_t address[4], SpecReader &in, const char *name)
{
	if (inet_pton(AF_INET, text.c_str(), address) != 1)
		in.fail(name, "must be an IPv4 address");
}

Json stats_of(const balancer *b, uint64_t unsent)
{
	balancer_stats s;
	balancer_get_stats(b, &s);
	return joined(NAMED(s.active, s.draining, s.connections, s.to_server, s.to_client, s.to_all,
	                    s.other, s.dropped, s.placed, s.by_cookie, s.by_table, s.by_hash,
	                    s.wrong_cookies, s.gone, s.strays, s.unrestored),
	              NAMED(s.lost_fragments, s.errors_followed, s.carried_on, s.refused, s.malformed,
	                    s.uniform, unsent));
}

class Live {
public:
	Live(balancer *b, const Interface &clients, const Interface &servers, const uint8_t mac[6])
		: b_(b), clients_(clients), servers_(servers), room_(size_t{burst} * longest)
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
		balancer_process(b_, frames, n, now_ns());
		for (uint32_t i = 0; i < n; i++)
			forward(frames[i]);
	}
	void forward(const balancer_frame &f)
	{
		if (f.verdict == BALANCER_TO_SERVER) {
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

	balancer *b_;
	const Interface &clients_, &servers_;
	std::vector<uint8_t> room_;
	uint8_t client_mac_[6];
};

Json result_of(int result)
{
	if (result < 0)
		return {{"failed", std::strerror(-result)}};
	return {{"done", true}};
}

Json obey(balancer *b, const Json &command, uint64_t unsent)
{
	SpecReader in(command, "");
	const std::string what = in.needed("do");
	if (what == "stats")
		return {{"stats", stats_of(b, unsent)}};
	if (what == "add") {
		balancer_server s;
		balancer_default_server(&s);
		read_address(in.needed("address"), s.address, in, "address");
		read_mac(in.needed("mac"), s.mac, in, "mac");
		in.read("weight", s.weight, 0, 1000);
		in.read("clock", s.clock,
		        {{"detect", BALANCER_CLOCK_DETECT},
		         {"uniform", BALANCER_CLOCK_UNIFORM},
		         {"differing", BALANCER_CLOCK_DIFFERING}});
		const int id = balancer_add(b, &s);
		return id < 0 ? result_of(id) : Json{{"id", id}};
	}
	const auto id = in.integer<uint32_t>("id", UINT32_MAX, 0, UINT32_MAX);
	if (what == "drain")
		return result_of(balancer_drain(b, id));
	if (what == "activate")
		return result_of(balancer_activate(b, id));
	if (what == "remove")
		return result_of(balancer_remove(b, id));
	if (what == "weight")
		return result_of(balancer_set_weight(b, id, in.integer<uint32_t>("weight", 1, 0, 1000)));
	if (what == "load")
		return result_of(balancer_report_load(b, id, in.real("load", 0, 0, 1e12)));
	return {{"failed", "'" + what + "' is no command"}};
}

} // namespace

void run_balance_servers(const Json &json)
{
	SpecReader in(json, "");
	const std::string to_clients = in.needed("clients"), to_servers = in.needed("servers");
	balancer_params params;
	balancer_default_params(&params);
	read_address(in.needed("service"), params.service, in, "service");
	uint8_t client_mac[6];
	read_mac(in.needed("clientMac"), client_mac, in, "clientMac");
	in.read("policy", params.policy,
	        {{"round-robin", BALANCER_ROUND_ROBIN},
	         {"weighted", BALANCER_WEIGHTED},
	         {"adaptive", BALANCER_ADAPTIVE},
	         {"power-of-two", BALANCER_POWER_OF_TWO},
	         {"least", BALANCER_LEAST_LOADED},
	         {"maglev", BALANCER_MAGLEV},
	         {"ring", BALANCER_RING},
	         {"hash", BALANCER_HASH}});
	in.read("memory", params.memory,
	        {{"cookie", BALANCER_COOKIE}, {"track", BALANCER_TRACK}, {"forget", BALANCER_FORGET}});
	in.read("maxServers", params.max_servers, 1, BALANCER_MAX_SERVERS);
	in.finish();

	SessionInput input;
	balancer *made = nullptr;
	char why[128];
	if (balancer_check(&params, why, sizeof(why)) != 0)
		throw JobError("bad-spec", why, 2);
	if (balancer_create(&params, &made) != 0)
		throw JobError("failed", "no memory for the balancer");
	const Lb b(made);
	const Interface clients(to_clients), servers(to_servers);
	Live live(b.get(), clients, servers, client_mac);
	std::thread worker([&] { live.run(); });
	const auto unsent = [&] { return clients.unsent() + servers.unsent(); };
	emit({{"ready", {{"clients", to_clients}, {"servers", to_servers}}}});
	while (const std::optional<std::string> line = input.line()) {
		const Json command = Json::parse(*line, nullptr, false);
		Json said;
		if (!command.is_object()) {
			said = {{"failed", "'" + *line + "' is no command"}};
		} else if (command.value("do", Json()) == "stop") {
			break;
		} else {
			const std::lock_guard lock(live.mutex);
			try {
				said = obey(b.get(), command, unsent());
			} catch (const JobError &error) {
				said = {{"failed", error.what()}};
			}
		}
		emit(said);
	}
	live.stopping = true;
	worker.join();
	emit({{"summary", stats_of(b.get(), unsent())}});
}

} // namespace reframer::lab
