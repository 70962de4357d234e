// ICMP errors follow the packet that they quote (RFC 5508, section 4, says how NAT treats them): its
// sender must be able to tell which connection is meant, so the quote reads as it was sent.
#include "nf/balancer/engine.hpp"

namespace reframer::balance {

// The quoted packet, and changes in it that are counted in the ICMP message's sum.
class Quote {
public:
	explicit Quote(Packet &p) : outer_(p), icmp_(p.l4), ip_(p.l4 + 8), end_(p.end)
	{
		const uint32_t header = (ip_[0] & 15u) * 4;
		l4_ = ip_ + header;
		// Eight bytes of TCP or UDP are what every error quotes (RFC 792); only a first fragment has ports.
		valid_ = end_ - ip_ >= 28 && ip_[0] >> 4 == 4 && header >= 20 && end_ - l4_ >= 8 &&
		         (ip_[9] == 6 || ip_[9] == 17) &&
		         (load16(ip_ + 6) & __builtin_bswap16(0x1fff)) == 0;
		if (valid_ && ip_[9] == 6 && end_ - l4_ >= 20)
			timestamps_ = find_timestamps(l4_, end_);
	}

	bool valid() const { return valid_; }
	uint32_t source() const { return load32(ip_ + source_at); }
	uint32_t destination() const { return load32(ip_ + destination_at); }
	const Timestamps &timestamps() const { return timestamps_; }
	// Where the echo of a segment lies, null where there is none.
	uint8_t *echo() const
	{
		return timestamps_ && l4_[13] & tcp_ack ? timestamps_.echo() : nullptr;
	}
	// Of a packet from `service` to a client: the client's side of its connection.
	nf::Ipv4Tuple client_of_answer() const
	{
		return tuple(destination(), source(), load16(l4_ + 2), load16(l4_));
	}
	nf::Ipv4Tuple client_of_request(uint32_t service) const
	{
		return tuple(source(), service, load16(l4_), load16(l4_ + 2));
	}

	// Another address at `field`; another timestamp at `stamp` where that is not null.
	void write(uint32_t field, uint32_t address, uint8_t *stamp, uint32_t value)
	{
		uint32_t of_segment = 0;
		if (stamp) {
			of_segment = replace32(l4_, stamp, value);
			change_ += (l4_ - icmp_) % 2 ? __builtin_bswap16(nf::fold(of_segment)) : of_segment;
		}
		const uint32_t moved = nf::change32(load32(ip_ + field), address);
		store32(ip_ + field, address);
		change_ += moved;
		adjust(ip_ + 10, moved, false);
		const bool tcp = ip_[9] == 6;
		uint8_t *sum = l4_ + (tcp ? 16 : 6);
		if (sum + 2 <= end_ && (tcp || load16(sum) != 0))
			adjust(sum, moved + of_segment, !tcp);
		nf::update_checksum(icmp_ + 2, nf::fold(change_));
	}
	void write_outer(uint32_t field, uint32_t address)
	{
		nf::update_checksum(outer_.ip + 10,
		                    nf::fold(nf::change32(load32(outer_.ip + field), address)));
		store32(outer_.ip + field, address);
	}

private:
	nf::Ipv4Tuple tuple(uint32_t source, uint32_t destination, uint16_t source_port,
	                    uint16_t destination_port) const
	{
		nf::Ipv4Tuple key{};
		key.source = source;
		key.destination = destination;
		key.source_port = source_port;
		key.destination_port = destination_port;
		key.protocol = ip_[9];
		key.used = 1;
		return key;
	}
	void adjust(uint8_t *sum, uint32_t change, bool udp)
	{
		const uint16_t before = load16(sum);
		add_to_sum(sum, nf::fold(change), udp);
		change_ += nf::change16(before, load16(sum));
	}

	Packet &outer_;
	uint8_t *icmp_, *ip_, *l4_;
	const uint8_t *end_;
	Timestamps timestamps_;
	uint32_t change_ = 0; // a dozen words: far from overflow
	bool valid_;
};

// About a packet that a server sent.
Outcome Engine::error_to_server(Packet &p, uint64_t now)
{
	const Quote quote(p);
	if (!quote.valid() || quote.source() != p.key.destination)
		return by_hash(p);
	const nf::Ipv4Tuple client = quote.client_of_answer();
	uint32_t id = Pool::none;
	if (quote.timestamps() && params.memory == BALANCER_COOKIE)
		id = cookie_.id(load_be32(quote.timestamps().value),
		                mask(client.source, client.source_port, client.destination_port));
	if (!pool.has(id))
		if (const Connection *c = tracker.find(client, nullptr, now))
			id = c->server_plus_one - 1u;
	if (!pool.has(id))
		return nowhere(p, now);
	error_for(p, id, now);
	stats.errors_followed++;
	return {BALANCER_TO_SERVER, id};
}

bool Engine::error_for(Packet &p, uint32_t id, uint64_t now)
{
	Quote quote(p);
	if (!quote.valid())
		return false;
	const nf::Ipv4Tuple client = quote.client_of_answer();
	uint8_t *const stamp = params.memory == BALANCER_COOKIE ? quote.timestamps().value : nullptr;
	uint32_t clock = 0;
	if (stamp) {
		const uint32_t word = load_be32(stamp);
		const Connection *c = pool[id].by_table() ? tracker.find(client, nullptr, now) : nullptr;
		clock = c && keeps_clock(*c, id) ? cookie_.clock(word, c->clock, c->bias)
		                                 : cookie_.clock(word, pool[id].clock.latest());
	}
	quote.write(source_at, pool[id].address, stamp, clock);
	quote.write_outer(destination_at, pool[id].address);
	if (pool[id].has_mac)
		std::memcpy(p.frame, pool[id].mac, sizeof(pool[id].mac));
	return true;
}

// What a client sent to the service reads so again.
void Engine::restore_request(Quote &quote, uint32_t id)
{
	uint8_t *const echo = params.memory == BALANCER_COOKIE ? quote.echo() : nullptr;
	uint32_t word = 0;
	if (echo) {
		const nf::Ipv4Tuple client = quote.client_of_request(service_);
		word = cookie_.word(load_be32(echo), id,
		                    mask(client.source, client.source_port, client.destination_port));
	}
	quote.write(destination_at, service_, echo, word);
}

// From a server about a packet of a client; the caller writes the outer source.
void Engine::error_to_client(Packet &p, uint32_t id)
{
	Quote quote(p);
	if (quote.valid() && quote.destination() == pool[id].address)
		restore_request(quote, id);
}

// From a router on the way to a server.
Outcome Engine::error_between(Packet &p)
{
	Quote quote(p);
	if (!quote.valid())
		return {BALANCER_OTHER};
	const uint32_t id = pool.at_address(quote.destination());
	if (id == Pool::none || quote.source() != p.key.destination)
		return {BALANCER_OTHER};
	restore_request(quote, id);
	return {BALANCER_TO_CLIENT, id};
}

} // namespace reframer::balance
