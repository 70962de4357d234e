#include "devices/promiscuity.hpp"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace reframer::engine {

FileDescriptor keep_promiscuous(unsigned interface_index)
{
	FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // it gets no frame
	packet_mreq wish = {};
	wish.mr_ifindex = int(interface_index);
	wish.mr_type = PACKET_MR_PROMISC;
	if (setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, sizeof(wish)) != 0)
		return {};
	return socket;
}

bool is_promiscuous_anyway(unsigned interface_index)
{
	const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request = {};
	return if_indextoname(interface_index, request.ifr_name) != nullptr &&
	       ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_PROMISC;
}

} // namespace reframer::engine
