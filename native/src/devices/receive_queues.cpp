#include "devices/receive_queues.hpp"

#include "devices/bpf.hpp"

#include <algorithm>
#include <cstring>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace reframer::engine {

uint32_t receive_queues(const std::string &interface, uint32_t most)
{
	// By netlink: sysfs may be mounted for another network namespace.
	struct {
		nlmsghdr header;
		ifinfomsg info;
	} request = {};
	request.header.nlmsg_len = sizeof(request);
	request.header.nlmsg_type = RTM_GETLINK;
	request.header.nlmsg_flags = NLM_F_REQUEST;
	request.info.ifi_index = int(if_nametoindex(interface.c_str()));
	alignas(nlmsghdr) char reply[16384];
	const FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	if (send(socket.get(), &request, sizeof(request), 0) < 0)
		return 1;
	const ssize_t got = recv(socket.get(), reply, sizeof(reply), 0);
	const auto *header = reinterpret_cast<const nlmsghdr *>(reply);
	if (got < 0 || !NLMSG_OK(header, uint32_t(got)) || header->nlmsg_type != RTM_NEWLINK)
		return 1;
	auto *info = static_cast<ifinfomsg *>(NLMSG_DATA(header));
	int left = int(IFLA_PAYLOAD(header));
	for (rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		uint32_t count = 0;
		if (a->rta_type != IFLA_NUM_RX_QUEUES || RTA_PAYLOAD(a) < sizeof(count))
			continue;
		std::memcpy(&count, RTA_DATA(a), sizeof(count));
		return std::clamp(count, 1u, most);
	}
	return 1;
}

} // namespace reframer::engine
