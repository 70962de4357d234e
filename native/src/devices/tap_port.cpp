#include "devices/tap_port.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace reframer::engine {

namespace {

ifreq request_for(const std::string &interface)
{
	ifreq request = {};
	interface.copy(request.ifr_name, IFNAMSIZ - 1);
	return request;
}

TapParams checked(const TapParams &params)
{
	if (!std::has_single_bit(params.nb_entries) || params.nb_entries < 64 ||
	    params.nb_entries > 4096)
		throw DeviceError("bad-spec",
		                  "a table has 64, 128, ... 4096 entries, not " +
		                      std::to_string(params.nb_entries),
		                  false);
	if (params.nb_queues < 1 || params.nb_queues > tap_max_queues)
		throw DeviceError("bad-spec",
		                  "a TAP interface has 1 to " + std::to_string(tap_max_queues) +
		                      " queues, not " + std::to_string(params.nb_queues),
		                  false);
	if (params.interface.empty() || params.interface.size() >= IFNAMSIZ)
		throw DeviceError("bad-spec", "the interface's name has 1 to 15 characters", false);
	return params;
}

FileDescriptor open_queue(const TapParams &params)
{
	FileDescriptor fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (fd.get() < 0)
		throw_errno("tap", "cannot open /dev/net/tun");
	ifreq request = request_for(params.interface);
	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
	if (ioctl(fd.get(), TUNSETIFF, &request) != 0)
		throw_errno("tap", "cannot create the TAP interface " + params.interface);
	return fd;
}

void set(int socket, unsigned long what, ifreq &request, const char *meaning)
{
	if (ioctl(socket, what, &request) != 0)
		throw_errno("tap", std::string("cannot set ") + meaning + " of the TAP interface");
}

void set_address(int socket, unsigned long what, const std::string &interface, uint32_t address)
{
	ifreq request = request_for(interface);
	sockaddr_in in = {};
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(address);
	std::memcpy(&request.ifr_addr, &in, sizeof(in));
	set(socket, what, request, "the address");
}

void bring_up(const TapParams &params)
{
	// Without it, IPv6 would send solicitations of its own. Kernels without IPv6 have no such file.
	std::ofstream("/proc/sys/net/ipv6/conf/" + params.interface + "/disable_ipv6") << "1";
	const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request = request_for(params.interface);
	request.ifr_qlen = int(params.ring_depth);
	set(socket.get(), SIOCSIFTXQLEN, request, "the queue length");
	set_address(socket.get(), SIOCSIFADDR, params.interface, params.address);
	set_address(socket.get(), SIOCSIFNETMASK, params.interface, 0xffff0000);
	request = request_for(params.interface);
	request.ifr_flags = IFF_UP | IFF_NOARP;
	set(socket.get(), SIOCSIFFLAGS, request, "the state");
}

} // namespace

void enter_own_network()
{
	if (unshare(CLONE_NEWNET) != 0)
		throw_errno("namespace", "cannot make a network namespace");
}

TapPort::TapPort(const TapParams &wanted)
	: params(checked(wanted)), counters(params.nb_entries), table(params.nb_entries),
	  toeplitz(toeplitz_map(packet::toeplitz_key_microsoft)), grace(table.fd())
{
	for (uint32_t b = 0; b < params.nb_entries; b++)
		table.store(b, b % params.nb_queues);
	const FileDescriptor program =
		steering_program({toeplitz.get(), counters.fd(), table.fd(), params.nb_entries});
	for (uint32_t q = 0; q < params.nb_queues; q++)
		queues.push_back(open_queue(params));
	int fd = program.get();
	if (ioctl(queues.front().get(), TUNSETSTEERINGEBPF, &fd) != 0)
		throw_errno("tap", "the kernel does not take a steering program");
	bring_up(params);
}

int TapPort::read_table(std::span<uint16_t> out)
{
	if (out.size() != params.nb_entries)
		return -EINVAL;
	for (uint32_t b = 0; b < params.nb_entries; b++)
		out[b] = uint16_t(table.load(b));
	return 0;
}

int TapPort::write_table(std::span<const uint16_t> wanted, std::span<const uint16_t> changed)
{
	if (wanted.size() != params.nb_entries)
		return -EINVAL;
	for (uint16_t bucket : changed)
		if (bucket >= params.nb_entries || wanted[bucket] >= params.nb_queues)
			return -EINVAL;
	for (uint16_t bucket : changed)
		table.store(bucket, wanted[bucket]);
	return 0;
}

int TapPort::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	if (packets.size() != params.nb_entries || loads.size() != params.nb_queues)
		return -EINVAL;
	for (uint32_t b = 0; b < params.nb_entries; b++)
		packets[b] = counters.load(b);
	std::fill(loads.begin(), loads.end(), 0.0f);
	return 0;
}

uint64_t TapPort::dropped() const
{
	std::ifstream devices("/proc/thread-self/net/dev");
	const std::string prefix = params.interface + ":";
	for (std::string line; std::getline(devices, line);) {
		const size_t at = line.find(prefix);
		if (at == std::string::npos)
			continue;
		// Eight receive columns, then bytes, packets, errs, drop of sending.
		unsigned long long drop = 0;
		std::sscanf(line.c_str() + at + prefix.size(),
		            "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &drop);
		return drop;
	}
	return 0;
}

} // namespace reframer::engine
