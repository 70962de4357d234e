#include "devices/xdp_owner.hpp"

#include "devices/table_device.hpp"

#include <cerrno>
#include <cstring>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <optional>
#include <sys/socket.h>

namespace reframer::engine {

namespace {

struct Attached {
	uint32_t program = 0; // its id
	uint8_t mode = XDP_ATTACHED_NONE;
};

struct Request {
	nlmsghdr header = {};
	ifinfomsg info = {};
	alignas(4) char attributes[64] = {};
};

template <typename Each> void each_attribute(const rtattr *first, int bytes, const Each &each)
{
	for (const rtattr *a = first; RTA_OK(a, bytes); a = RTA_NEXT(a, bytes))
		each(*a);
}

template <typename T> T value_of(const rtattr &a)
{
	T value = {};
	std::memcpy(&value, RTA_DATA(&a), std::min(sizeof(value), size_t(RTA_PAYLOAD(&a))));
	return value;
}

Attached attached_to(int socket, unsigned interface_index)
{
	Request request;
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
	request.header.nlmsg_type = RTM_GETLINK;
	request.header.nlmsg_flags = NLM_F_REQUEST;
	request.info.ifi_index = int(interface_index);
	alignas(nlmsghdr) char reply[16384];
	if (send(socket, &request, request.header.nlmsg_len, 0) < 0)
		throw_errno("xdp", "cannot ask for the XDP program of an interface");
	const ssize_t got = recv(socket, reply, sizeof(reply), 0);
	const auto *header = reinterpret_cast<const nlmsghdr *>(reply);
	Attached attached;
	if (got < 0 || !NLMSG_OK(header, uint32_t(got)) || header->nlmsg_type != RTM_NEWLINK)
		return attached;
	each_attribute(IFLA_RTA(NLMSG_DATA(header)), int(IFLA_PAYLOAD(header)), [&](const rtattr &a) {
		if (a.rta_type != IFLA_XDP)
			return;
		each_attribute(static_cast<const rtattr *>(RTA_DATA(&a)), int(RTA_PAYLOAD(&a)),
		               [&](const rtattr &of) {
						   if (of.rta_type == IFLA_XDP_PROG_ID)
							   attached.program = value_of<uint32_t>(of);
						   if (of.rta_type == IFLA_XDP_ATTACHED)
							   attached.mode = value_of<uint8_t>(of);
					   });
	});
	return attached;
}

void detach(int socket, unsigned interface_index, uint8_t mode)
{
	Request request;
	request.header.nlmsg_type = RTM_SETLINK;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request.info.ifi_index = int(interface_index);
	auto *xdp = reinterpret_cast<rtattr *>(request.attributes);
	size_t size = RTA_LENGTH(0);
	const auto add = [&](unsigned short type, uint32_t value) {
		auto *a = reinterpret_cast<rtattr *>(request.attributes + size);
		a->rta_type = type;
		a->rta_len = RTA_LENGTH(sizeof(value));
		std::memcpy(RTA_DATA(a), &value, sizeof(value));
		size += RTA_SPACE(sizeof(value));
	};
	add(IFLA_XDP_FD, uint32_t(-1));
	add(IFLA_XDP_FLAGS, mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	xdp->rta_type = IFLA_XDP | NLA_F_NESTED;
	xdp->rta_len = static_cast<unsigned short>(size);
	request.header.nlmsg_len = uint32_t(NLMSG_LENGTH(sizeof(ifinfomsg)) + size);
	struct {
		nlmsghdr header;
		nlmsgerr error;
		char rest[512];
	} reply = {};
	if (send(socket, &request, request.header.nlmsg_len, 0) < 0 ||
	    recv(socket, &reply, sizeof(reply), 0) < 0)
		throw_errno("xdp", "cannot take the sockets' XDP program off");
	if (reply.error.error != 0) {
		errno = -reply.error.error;
		throw_errno("xdp", "cannot take the sockets' XDP program off");
	}
}

} // namespace

FileDescriptor take_over_sockets(unsigned interface_index)
{
	const FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	const Attached attached = attached_to(socket.get(), interface_index);
	if (attached.program == 0)
		throw DeviceError("xdp", "no XDP program for AF_XDP sockets is on this interface", false);
	FileDescriptor sockets = bpf_map_of_program(attached.program, BPF_MAP_TYPE_XSKMAP);
	detach(socket.get(), interface_index, attached.mode);
	return sockets;
}

} // namespace reframer::engine
