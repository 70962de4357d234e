#include "lab/conntrack/workload.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace reframer::lab {

void write_flow_key(uint8_t *key, uint32_t key_size, uint64_t i, uint64_t salt)
{
	// A bijection on 48 bits gives client, port and server; the salt keeps sets apart.
	constexpr uint64_t mask = (uint64_t{1} << 48) - 1;
	uint64_t x = i & mask;
	for (unsigned round = 0; round < 3; round++) {
		x = x * 0x9e3779b97f4b & mask;
		x ^= x >> 23;
	}
	std::memset(key, 0, key_size);
	uint32_t address = key_size == 16 ? 4 : 16;
	auto client = static_cast<uint32_t>(x);
	key[0] = 10;
	std::memcpy(key + address - 3, &client, 3);
	key[address] = 192;
	std::memcpy(key + 2 * address - 3, &salt, 2);
	key[2 * address - 1] = static_cast<uint8_t>(x >> 24);
	std::memcpy(key + 2 * address, reinterpret_cast<const uint8_t *>(&x) + 4, 2);
	key[2 * address + 2] = 1;
	key[2 * address + 3] = 0xbb;
	key[2 * address + 4] = i % 8 == 0 ? 17 : 6;
}

void KeyColumn::add(uint64_t flow, uint64_t salt)
{
	bytes_.resize(bytes_.size() + key_size);
	write_flow_key(bytes_.data() + bytes_.size() - key_size, key_size, flow, salt);
}

void KeyColumn::add_bytes(const void *key)
{
	const auto *bytes = static_cast<const uint8_t *>(key);
	bytes_.insert(bytes_.end(), bytes, bytes + key_size);
}

Zipf::Zipf(uint64_t n, double s) : n_(double(n)), s_(s)
{
	at_one_ = integral(1.5) - 1;
	at_n_ = integral(n_ + 0.5);
	cut_ = 2 - inverse(integral(2.5) - std::pow(2, -s_));
}
double Zipf::integral(double x) const
{
	return (std::pow(x, 1 - s_) - 1) / (1 - s_);
}
double Zipf::inverse(double x) const
{
	return std::pow(1 + x * (1 - s_), 1 / (1 - s_));
}
uint64_t Zipf::operator()(std::mt19937_64 &random) const
{
	for (;;) {
		double u = at_n_ + double(random() >> 11) * 0x1p-53 * (at_one_ - at_n_);
		double x = inverse(u), k = std::clamp(std::floor(x + 0.5), 1.0, n_);
		if (k - x <= cut_ || u >= integral(k + 0.5) - std::pow(k, -s_))
			return static_cast<uint64_t>(k) - 1;
	}
}

FlowStream::FlowStream(uint64_t live_flows, uint32_t packets_per_new, uint64_t seed)
	: random_(seed), zipf_(live_flows, 1.1), live_(live_flows), next_flow_(live_flows),
	  packets_per_new_(packets_per_new)
{
	std::iota(live_.begin(), live_.end(), uint64_t{0});
	// Popularity is no matter of age.
	std::shuffle(live_.begin(), live_.end(), random_);
}

KeyColumn TraceStream::live_keys() const
{
	KeyColumn keys;
	for (const uint64_t flow : live_)
		keys.add(flow);
	return keys;
}

TraceStream::Chunk TraceStream::next(uint32_t nb_packets, uint32_t burst)
{
	Chunk c;
	for (uint32_t first = 0; first < nb_packets; first += burst) {
		const uint32_t ended_before = c.ended.size();
		for (uint32_t n = std::min(burst, nb_packets - first); n > 0; n--) {
			const Packet packet = FlowStream::next();
			c.packets.add(packet.flow);
			c.nb_new += packet.is_new;
			if (packet.is_new)
				c.ended.add(packet.ended);
		}
		c.nb_ended.push_back(c.ended.size() - ended_before);
	}
	return c;
}

} // namespace reframer::lab
