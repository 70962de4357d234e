#include "devices/ethtool_table.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace reframer::engine {

namespace {

// ethtool_rxfh and what follows it, as words: table, then key.
constexpr size_t header_words = sizeof(ethtool_rxfh) / sizeof(uint32_t);
static_assert(sizeof(ethtool_rxfh) % sizeof(uint32_t) == 0);
static_assert(offsetof(ethtool_rxfh, rss_config) == sizeof(ethtool_rxfh));
constexpr uint8_t toeplitz_function = 1; // the kernel's ETH_RSS_HASH_TOP: bit 0

ethtool_rxfh *header(std::vector<uint32_t> &words)
{
	return reinterpret_cast<ethtool_rxfh *>(words.data());
}

// What kernels since 6.8 call input_xfrm; 0 in older ones.
uint8_t input_transformation(std::vector<uint32_t> &words)
{
	return header(words)->rsvd8[0];
}

} // namespace

EthtoolCall ethtool_call(const std::string &interface)
{
	if (interface.empty() || interface.size() >= IFNAMSIZ || if_nametoindex(interface.c_str()) == 0)
		throw DeviceError("bad-spec", "there is no interface '" + interface + "'", false);
	auto socket = std::make_shared<FileDescriptor>(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return [interface, socket](void *command) {
		ifreq request = {};
		interface.copy(request.ifr_name, IFNAMSIZ - 1);
		request.ifr_data = static_cast<char *>(command);
		return ioctl(socket->get(), SIOCETHTOOL, &request) == 0 ? 0 : -errno;
	};
}

EthtoolRss::EthtoolRss(std::string name, EthtoolCall ethtool)
	: interface(std::move(name)), call(std::move(ethtool))
{
	const auto unsupported = [&](const std::string &why) {
		return DeviceError("ethtool", interface + ": " + why, true);
	};
	ethtool_rxfh sizes = {};
	sizes.cmd = ETHTOOL_GRSSH;
	if (const int error = call(&sizes); error != 0)
		throw unsupported(std::string("no indirection table that ethtool can read (") +
		                  std::strerror(-error) + ")");
	nb_entries = sizes.indir_size;
	key_bytes = sizes.key_size;
	if (nb_entries < 2 || nb_entries > 4096 || !std::has_single_bit(nb_entries))
		throw unsupported("its table has " + std::to_string(nb_entries) +
		                  " entries, not a power of two up to 4096");
	if (key_bytes < toeplitz_key.size())
		throw unsupported("its hash key cannot be read");
	ethtool_rxnfc rings = {};
	rings.cmd = ETHTOOL_GRXRINGS;
	if (call(&rings) == 0)
		nb_rings = uint32_t(rings.data);

	std::vector<uint32_t> words;
	if (const int error = get(words); error != 0)
		throw unsupported(std::string("its table cannot be read: ") + std::strerror(-error));
	if (header(words)->hfunc != toeplitz_function)
		throw unsupported("it does not hash by Toeplitz: a packet's bucket cannot be told");
	if (input_transformation(words) != 0)
		throw unsupported(
			"it transforms hash input (symmetric RSS): a packet's bucket cannot be told");
	std::memcpy(toeplitz_key.data(), &words[header_words + nb_entries], toeplitz_key.size());
	for (uint32_t i = 0; i < nb_entries; i++)
		nb_rings = std::max(nb_rings, words[header_words + i] + 1);
	hashed_ports = {hashes_ports(TCP_V4_FLOW), hashes_ports(UDP_V4_FLOW), hashes_ports(TCP_V6_FLOW),
	                hashes_ports(UDP_V6_FLOW)};
}

bool EthtoolRss::hashes_ports(uint32_t flow_type)
{
	ethtool_rxnfc fields = {};
	fields.cmd = ETHTOOL_GRXFH;
	fields.flow_type = flow_type;
	constexpr uint64_t ports = RXH_L4_B_0_1 | RXH_L4_B_2_3;
	// A driver that does not tell: TCP by ports, UDP by addresses is what most do out of the box.
	if (call(&fields) != 0)
		return flow_type == TCP_V4_FLOW || flow_type == TCP_V6_FLOW;
	return (fields.data & ports) == ports;
}

int EthtoolRss::get(std::vector<uint32_t> &words)
{
	words.assign(header_words + nb_entries + (key_bytes + 3) / 4, 0);
	header(words)->cmd = ETHTOOL_GRSSH;
	header(words)->indir_size = nb_entries;
	header(words)->key_size = key_bytes;
	return call(words.data());
}

int EthtoolRss::read(std::span<uint16_t> table)
{
	if (table.size() != nb_entries)
		return -EINVAL;
	std::vector<uint32_t> words;
	const int error = get(words);
	for (uint32_t i = 0; error == 0 && i < nb_entries; i++)
		table[i] = uint16_t(words[header_words + i]);
	return error;
}

int EthtoolRss::write(std::span<const uint16_t> table)
{
	if (table.size() != nb_entries)
		return -EINVAL;
	// What was read tells the input transformation, which is set with the table and must stay.
	std::vector<uint32_t> words;
	if (const int error = get(words); error != 0)
		return error;
	words.resize(header_words + nb_entries);
	header(words)->cmd = ETHTOOL_SRSSH;
	header(words)->indir_size = nb_entries;
	header(words)->key_size = 0;
	header(words)->hfunc = 0; // ETH_RSS_HASH_NO_CHANGE
	std::copy(table.begin(), table.end(), words.begin() + header_words);
	return call(words.data());
}

} // namespace reframer::engine
