// A pair of veth interfaces in the network namespace of the thread.
#pragma once

#include "devices/bpf.hpp"

#include <cstring>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace reframer::test {

// The kernel names the other one: veth0 in a namespace of a test's own.
inline bool make_veth(const char *name)
{
	using engine::FileDescriptor;
	struct {
		nlmsghdr header;
		ifinfomsg info;
		char attributes[64];
	} request = {};
	size_t size = NLMSG_LENGTH(sizeof(ifinfomsg));
	char *base = reinterpret_cast<char *>(&request);
	const auto add = [&](unsigned short type, const void *data, size_t length) {
		rtattr *a = reinterpret_cast<rtattr *>(base + size);
		a->rta_type = type;
		a->rta_len = static_cast<unsigned short>(RTA_LENGTH(length));
		if (length > 0)
			std::memcpy(RTA_DATA(a), data, length);
		size += RTA_SPACE(length);
		return a;
	};
	add(IFLA_IFNAME, name, std::strlen(name) + 1);
	const size_t before = size;
	rtattr *link_info = add(IFLA_LINKINFO, nullptr, 0);
	add(IFLA_INFO_KIND, "veth", 4);
	link_info->rta_len = static_cast<unsigned short>(size - before);
	request.header.nlmsg_len = uint32_t(size);
	request.header.nlmsg_type = RTM_NEWLINK;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	request.info.ifi_family = AF_UNSPEC;
	const FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	if (send(socket.get(), &request, size, 0) < 0)
		return false;
	struct {
		nlmsghdr header;
		nlmsgerr error;
		char rest[512];
	} reply = {};
	return recv(socket.get(), &reply, sizeof(reply), 0) > 0 && reply.error.error == 0;
}

inline bool set_up(const std::string &interface)
{
	const engine::FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request = {};
	interface.copy(request.ifr_name, IFNAMSIZ - 1);
	if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags = short(request.ifr_flags | IFF_UP);
	return ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

} // namespace reframer::test
