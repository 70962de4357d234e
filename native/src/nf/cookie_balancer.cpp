#include "nf/cookie_balancer.hpp"

namespace reframer::nf {

namespace {

// The timestamp option (kind 8, 10 bytes) of a TCP segment; null where there is none.
uint8_t *timestamps(const Context &c)
{
	if (c.layer4 != layer4_tcp)
		return nullptr;
	uint8_t *tcp = c.mbuf->data() + c.l4;
	uint32_t header = (tcp[12] >> 4) * 4u;
	if (header < 32 || c.l4 + header > c.mbuf->captured)
		return nullptr;
	uint8_t *const end = tcp + header;
	if (load32(tcp + 20) == __builtin_bswap32(0x0101080a)) // as nearly every stack writes it
		return tcp + 22;
	for (uint8_t *at = tcp + 20; at + 1 < end;) {
		if (*at == 0)
			return nullptr;
		if (*at == 1) {
			at++;
			continue;
		}
		if (at[1] < 2 || at + at[1] > end)
			return nullptr;
		if (at[0] == 8 && at[1] == 10)
			return at;
		at += at[1];
	}
	return nullptr;
}

// Another low byte of the 32-bit timestamp at `field`, with what it changes in TCP's checksum. Where
// options are not aligned the byte belongs to the other half of its word.
void put_low_byte(Context &c, uint8_t *field, uint8_t value)
{
	uint8_t *tcp = c.mbuf->data() + c.l4, *byte = field + 3;
	uint8_t *word = tcp + ((byte - tcp) & ~std::ptrdiff_t{1});
	uint16_t before = load16(word);
	*byte = value;
	update_checksum(tcp + 16, fold(change16(before, load16(word))));
}

} // namespace

void CookieBalancer::stamp(Context &c, uint32_t server, uint8_t *option)
{
	uint32_t service = __builtin_bswap32(service_address);
	uint16_t change = fold(change32(c.key.source, service));
	if (option)
		put_low_byte(c, option + 2,
		             static_cast<uint8_t>(server) ^
		                 mask_of(c.key.destination, c.key.destination_port, c.key.source_port));
	rewrite_endpoint(c, 12, 0, service, c.key.source_port, change, change);
	stamped_++;
}

void CookieBalancer::apply(Context &c, const Choice &choice)
{
	if (!c.has_ports())
		return;
	uint8_t *option = timestamps(c);
	if (uint32_t server = servers_->at_address(c.key.source); server < servers_->size()) {
		stamp(c, server, option);
		return;
	}
	uint32_t server = servers_->size();
	const uint8_t flags = c.mbuf->data()[c.l4 + 13];
	if (option && (flags & 0x12) == 0x10) { // ACK without SYN: the echo is one of ours
		server = static_cast<uint8_t>(option[9] ^ choice.mask);
		if (server < servers_->size()) {
			put_low_byte(c, option + 6, 0);
			cookies_++;
		}
	}
	if (server >= servers_->size()) {
		server = servers_->choose(choice.hash);
		hashed_++;
	}
	uint32_t address = servers_->address(server);
	uint16_t change = fold(change32(c.key.destination, address));
	rewrite_endpoint(c, 16, 2, address, c.key.destination_port, change, change);
}

} // namespace reframer::nf
