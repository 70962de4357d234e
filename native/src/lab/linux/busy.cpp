// Job `linux-busy`: a program that polls the queue of an interface (SO_PREFER_BUSY_POLL), in place of
// interrupts and of the kernel's threads: all that comes to that queue is worked off in its time, also
// what is not for it. Which queue, a datagram says that came through it. Talked to as in
// device_session.hpp.
//
//   {"do":"read"}    {"napi"}: the number of the queue that is polled; 0: no datagram has come
//
// Specification: {"address", "port", "cpu"}. The first record is {"ready":{"thread"}}.
#include "base/cores.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace reframer::lab {

namespace {

// Newer than the headers of Debian 12's C library.
constexpr int prefer_busy_poll = 69, busy_poll_budget = 70;
constexpr int poll_us = 100'000, budget = 64;

class Poller {
public:
	Poller(const sockaddr_in &at, int cpu) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
	{
		if (fd_ < 0)
			fail("a socket");
		set(prefer_busy_poll, 1, "SO_PREFER_BUSY_POLL");
		set(SO_BUSY_POLL, poll_us, "SO_BUSY_POLL");
		set(busy_poll_budget, budget, "SO_BUSY_POLL_BUDGET");
		const timeval wait = {0, poll_us};
		if (setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
			fail("SO_RCVTIMEO");
		if (bind(fd_, reinterpret_cast<const sockaddr *>(&at), sizeof(at)) != 0)
			fail("binding");
		std::promise<pid_t> number;
		std::future<pid_t> told = number.get_future();
		thread_ = std::thread([this, cpu, &number] {
			const bool pinned = base::pin(pthread_self(), cpu);
			number.set_value(pinned ? gettid() : 0);
			uint8_t datagram[64];
			while (pinned && !stop_)
				static_cast<void>(recv(fd_, datagram, sizeof(datagram), 0));
		});
		thread_number_ = told.get();
		if (thread_number_ == 0) {
			thread_.join();
			close(fd_);
			throw JobError("linux-busy", "CPU " + std::to_string(cpu) + " cannot be had");
		}
	}
	~Poller()
	{
		stop_ = true;
		thread_.join();
		close(fd_);
	}
	Poller(const Poller &) = delete;
	Poller &operator=(const Poller &) = delete;

	pid_t thread() const { return thread_number_; }
	unsigned napi() const
	{
		unsigned id = 0;
		socklen_t size = sizeof(id);
		if (getsockopt(fd_, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &size) != 0)
			return 0;
		return id;
	}

private:
	[[noreturn]] void fail(const std::string &what) const
	{
		const int error = errno;
		if (fd_ >= 0)
			close(fd_);
		throw JobError("not-supported", what + ": " + std::strerror(error), 3);
	}
	void set(int option, int value, const char *name) const
	{
		if (setsockopt(fd_, SOL_SOCKET, option, &value, sizeof(value)) != 0)
			fail(name);
	}

	int fd_;
	std::atomic<bool> stop_ = false;
	std::thread thread_;
	pid_t thread_number_ = 0;
};

} // namespace

void run_linux_busy(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string address = in.text("address", "");
	sockaddr_in at = {};
	at.sin_family = AF_INET;
	at.sin_port = htons(in.integer<uint16_t>("port", 9, 1, UINT16_MAX));
	const int cpu = in.integer<int>("cpu", 1, 0, 4095);
	in.finish();
	if (inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1)
		throw JobError("bad-spec", "address: '" + address + "' is no IPv4 address", 2);
	SessionInput input;
	const Poller poller(at, cpu);
	emit({{"ready", {{"thread", poller.thread()}}}});
	while (const std::optional<std::string> line = input.line()) {
		const std::string what = Json::parse(*line).at("do").get<std::string>();
		if (what == "read")
			emit({{"napi", poller.napi()}});
		else
			emit({{"failed", "'" + what + "' is no command"}});
	}
}

} // namespace reframer::lab
