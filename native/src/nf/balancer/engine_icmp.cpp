// ICMP errors follow the packet that they quote (RFC 5508, section 4, says how NAT treats them): its
// sender must be able to tell which connection is meant, so the quote reads as it was sent.
#include "nf/balancer/engine.hpp"

namespace reframer::balance {

// The quoted packet, and changes in it that are counted in the ICMP message's sum.
class Quote {
public:
	explicit Quote(Packet &p) : v6_(p.v6), icmp_(p.l4), ip_(p.l4 + 8), end_(p.end)
	{
		valid_ = (v6_ ? read_v6() : read_v4()) && (protocol_ == 6 || protocol_ == 17);
		if (valid_ && protocol_ == 6 && end_ - l4_ >= 20)
			timestamps_ = find_timestamps(l4_, end_);
	}

	bool valid() const { return valid_; }
	Address address(End which) const { return {ip_ + address_at(which, v6_), v6_}; }
	uint8_t protocol() const { return protocol_; }
	// As they lie there.
	uint16_t source_port() const { return load16(l4_); }
	uint16_t destination_port() const { return load16(l4_ + 2); }
	const Timestamps &timestamps() const { return timestamps_; }
	// Where the echo of a segment lies, null where there is none.
	uint8_t *echo() const
	{
		return timestamps_ && l4_[13] & tcp_ack ? timestamps_.echo() : nullptr;
	}

	// Another address at one end; another timestamp at `stamp` where that is not null.
	void write(End end, Address address, uint8_t *stamp, uint32_t value)
	{
		uint32_t of_segment = 0;
		if (stamp) {
			of_segment = replace32(l4_, stamp, value);
			change_ += (l4_ - icmp_) % 2 ? __builtin_bswap16(nf::fold(of_segment)) : of_segment;
		}
		const uint32_t moved = replace_address(ip_ + address_at(end, v6_), address);
		change_ += moved;
		if (!v6_)
			adjust(ip_ + 10, moved, false);
		const bool tcp = protocol_ == 6;
		uint8_t *sum = l4_ + (tcp ? 16 : 6);
		if (sum + 2 <= end_ && (tcp || load16(sum) != 0))
			adjust(sum, moved + of_segment, !tcp);
		nf::update_checksum(icmp_ + 2, nf::fold(change_));
	}

private:
	// Eight bytes of TCP or UDP are what every error quotes (RFC 792); only a first fragment has ports.
	bool read_v4()
	{
		const uint32_t header = (ip_[0] & 15u) * 4;
		l4_ = ip_ + header;
		protocol_ = ip_[9];
		return end_ - ip_ >= 28 && ip_[0] >> 4 == 4 && header >= 20 && end_ - l4_ >= 8 &&
		       (load16(ip_ + 6) & __builtin_bswap16(0x1fff)) == 0;
	}
	bool read_v6()
	{
		Ipv6Headers h;
		if (read_ipv6(ip_, end_, h) != nf::verdict_pass || h.later_fragment || end_ - h.l4 < 8)
			return false;
		l4_ = h.l4;
		protocol_ = h.protocol;
		return true;
	}
	void adjust(uint8_t *sum, uint32_t change, bool udp)
	{
		const uint16_t before = load16(sum);
		add_to_sum(sum, nf::fold(change), udp);
		change_ += nf::change16(before, load16(sum));
	}

	const bool v6_;
	uint8_t *icmp_, *ip_, *l4_ = nullptr;
	const uint8_t *end_;
	Timestamps timestamps_;
	uint32_t change_ = 0; // two dozen words: far from overflow
	uint8_t protocol_ = 0;
	bool valid_;
};

Client Engine::client_of_answer(const Quote &q) const
{
	return client(q.address(End::destination), q.destination_port(), q.source_port(), q.protocol());
}

// About a packet that a server sent.
Outcome Engine::error_to_server(Packet &p, uint64_t now)
{
	const Quote quote(p);
	if (!quote.valid() || quote.address(End::source) != p.address(End::destination))
		return by_hash(p);
	const Client client = client_of_answer(quote);
	uint32_t id = Pool::none;
	if (quote.timestamps() && params.memory == BALANCER_COOKIE)
		id = cookie_.id(load_be32(quote.timestamps().value), mask(client));
	if (!pool.has(id))
		if (const Connection *c = tracker.find(client.key, nullptr, now))
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
	const Client client = client_of_answer(quote);
	uint8_t *const stamp = params.memory == BALANCER_COOKIE ? quote.timestamps().value : nullptr;
	uint32_t clock = 0;
	if (stamp) {
		const uint32_t word = load_be32(stamp);
		const Connection *c =
			pool[id].by_table() ? tracker.find(client.key, nullptr, now) : nullptr;
		clock = c && keeps_clock(*c, id) ? cookie_.clock(word, c->clock, c->bias)
		                                 : cookie_.clock(word, pool[id].clock.latest());
	}
	quote.write(End::source, pool[id].at(p.v6), stamp, clock);
	rewrite_address(p, End::destination, pool[id].at(p.v6));
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
		const Address from = quote.address(End::source);
		word = cookie_.word(
			load_be32(echo), id,
			mask(client(from, quote.source_port(), quote.destination_port(), quote.protocol())));
	}
	quote.write(End::destination, service(quote.address(End::source).v6), echo, word);
}

// From a server about a packet of a client; the caller writes the outer source.
void Engine::error_to_client(Packet &p, uint32_t id)
{
	Quote quote(p);
	if (quote.valid() && quote.address(End::destination) == pool[id].at(p.v6))
		restore_request(quote, id);
}

// From a router on the way to a server.
Outcome Engine::error_between(Packet &p)
{
	Quote quote(p);
	if (!quote.valid())
		return {BALANCER_OTHER};
	const uint32_t id = pool.at(quote.address(End::destination));
	if (id == Pool::none || quote.address(End::source) != p.address(End::destination))
		return {BALANCER_OTHER};
	restore_request(quote, id);
	return {BALANCER_TO_CLIENT, id};
}

} // namespace reframer::balance
