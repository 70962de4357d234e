// A stage for readable tests: packets by number, frames by what they are.
#pragma once

#include "reframer/reframer.h"
#include "support/packet_builder.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace reframer::test {

struct Packet {
	uint64_t id;
	Bytes frame;
};

inline Bytes tcp_frame(uint64_t flow, const Tcp &header)
{
	Ip ip;
	ip.source = "10." + std::to_string(flow >> 16 & 255) + '.' + std::to_string(flow >> 8 & 255) +
	            '.' + std::to_string(flow & 255);
	ip.destination = "192.0.2.1";
	return ethernet(type_ipv4, ipv4(ip, tcp(header)));
}

inline Bytes ack(uint64_t flow)
{
	return tcp_frame(flow, {});
}
inline Bytes with_flags(uint64_t flow, uint16_t flags)
{
	Tcp header;
	header.flags = flags;
	return tcp_frame(flow, header);
}
inline Bytes syn(uint64_t flow)
{
	return with_flags(flow, 0x02);
}
inline Bytes data(uint64_t flow, uint32_t sequence, size_t bytes, uint16_t flags = 0x10)
{
	Tcp header;
	header.sequence = sequence;
	header.flags = flags;
	header.payload = Bytes(bytes, 'd');
	return tcp_frame(flow, header);
}
inline Bytes pure_ack(uint64_t flow, uint32_t acknowledgment, const Bytes &options = {},
                      uint16_t flags = 0x10)
{
	Tcp header;
	header.acknowledgment = acknowledgment;
	header.options = options;
	header.flags = flags;
	return tcp_frame(flow, header);
}
inline Bytes timestamp(uint32_t value, uint32_t echo)
{
	return join({{1, 1, 8, 10}, be32_bytes(value), be32_bytes(echo)});
}
inline Bytes unknown()
{
	return ethernet(type_arp, Bytes(46, 1));
}

class Stage {
public:
	Stage(const std::function<void(reframer_params &)> &change)
	{
		reframer_params params;
		reframer_default_params(&params);
		params.hash_seed = 42;
		if (change)
			change(params);
		if (reframer_create(&params, &r) != 0)
			throw std::runtime_error("create");
	}
	~Stage() { reframer_free(r); }
	Stage(const Stage &) = delete;
	Stage &operator=(const Stage &) = delete;

	// `hashes`: the NIC's, where there are any.
	void push(const std::vector<Packet> &burst, uint64_t now,
	          const std::vector<uint32_t> &hashes = {})
	{
		std::vector<void *> packets;
		std::vector<const uint8_t *> starts;
		std::vector<uint32_t> lengths;
		for (const Packet &packet : burst) {
			const Bytes &kept = frames[packet.id] = packet.frame;
			packets.push_back(reinterpret_cast<void *>(packet.id));
			starts.push_back(kept.data());
			lengths.push_back(static_cast<uint32_t>(kept.size()));
		}
		const reframer_burst in = {packets.data(),
		                           starts.data(),
		                           lengths.data(),
		                           nullptr,
		                           hashes.empty() ? nullptr : hashes.data(),
		                           static_cast<uint32_t>(packets.size())};
		if (reframer_push(r, &in, now) != in.count)
			throw std::runtime_error("refused");
	}

	std::vector<uint64_t> poll(uint64_t now) { return take(reframer_poll, now); }
	std::vector<uint64_t> drain(uint64_t now) { return take(reframer_drain, now); }
	std::vector<uint64_t> take_thinned()
	{
		void *out[256];
		const uint32_t n = reframer_take_thinned(r, out, 256);
		std::vector<uint64_t> ids;
		for (uint32_t i = 0; i < n; i++)
			ids.push_back(reinterpret_cast<uint64_t>(out[i]));
		return ids;
	}
	reframer_stats stats() const
	{
		reframer_stats stats;
		reframer_get_stats(r, &stats);
		return stats;
	}
	const Bytes &frame(uint64_t id) const { return frames.at(id); }

	reframer_stage *r = nullptr;
	std::vector<reframer_run> last_runs;
	uint64_t seen = 0; // packets given out

private:
	template <typename Call> std::vector<uint64_t> take(Call call, uint64_t now)
	{
		std::vector<uint64_t> ids;
		last_runs.clear();
		void *out[512];
		reframer_run runs[512];
		for (;;) {
			uint32_t nb_runs = 512;
			const uint32_t n = call(r, now, out, 512, runs, &nb_runs);
			for (uint32_t i = 0; i < n; i++)
				ids.push_back(reinterpret_cast<uint64_t>(out[i]));
			last_runs.insert(last_runs.end(), runs, runs + nb_runs);
			if (n < 512 && nb_runs < 512)
				break;
		}
		seen += ids.size();
		return ids;
	}

	std::map<uint64_t, Bytes> frames;
};

} // namespace reframer::test
