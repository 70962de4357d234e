#include "lab/chains/traffic.hpp"

#include "nf/checksum.hpp"
#include "packet/bytes.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <cstring>
#include <x86intrin.h>

namespace reframer::lab::chains {

namespace {

constexpr uint32_t trains_at_a_time = 128, train_packets = 24, packets_a_new_flow = 31;
constexpr uint64_t campus_bps = 70'000'000'000;

// 64 bytes of an open TCP connection, or UDP, with right sums: a chain may check them.
uint32_t write_frame(uint64_t flow, uint8_t *frame)
{
	using packet::put_be16;
	uint8_t key[16];
	write_flow_key(key, sizeof(key), flow, 1);
	const bool tcp = key[12] == 6;
	std::memset(frame, 0, Traffic::header_room);
	frame[0] = frame[6] = 2;
	put_be16(frame + 12, 0x0800);
	uint8_t *ip = frame + 14, *l4 = ip + 20;
	ip[0] = 0x45;
	put_be16(ip + 2, Traffic::header_room - 14);
	ip[8] = 64;
	ip[9] = key[12];
	std::memcpy(ip + 12, key, 8);
	std::memcpy(l4, key + 8, 4);
	uint32_t sum = 0;
	for (uint32_t at = 0; at < 20; at += 2)
		sum += nf::load16(ip + at);
	nf::store16(ip + 10, static_cast<uint16_t>(~nf::fold(sum)));
	constexpr uint32_t datagram = Traffic::header_room - 34;
	if (tcp) {
		l4[12] = 0x50;
		l4[13] = 0x10;
		put_be16(l4 + 14, 0xffff);
	} else {
		put_be16(l4 + 4, datagram);
	}
	uint32_t l4_sum = __builtin_bswap16(static_cast<uint16_t>(key[12])) +
	                  __builtin_bswap16(static_cast<uint16_t>(datagram));
	for (uint32_t at = 12; at < 20 + datagram; at += 2)
		l4_sum += nf::load16(ip + at);
	nf::store16(l4 + (tcp ? 16 : 6), static_cast<uint16_t>(~nf::fold(l4_sum)));
	return Traffic::header_room;
}

} // namespace

uint32_t write_known_flow(uint64_t flow, uint8_t *frame)
{
	return write_frame(flow, frame);
}

Traffic::Traffic(Locality locality, uint64_t flows, uint64_t seed)
	: locality_(locality), flows_(flows), random_(seed)
{
	if (locality == Locality::trains)
		trains_.resize(std::min<uint64_t>(trains_at_a_time, flows));
	if (locality == Locality::caida)
		stream_ = std::make_unique<FlowStream>(flows, packets_a_new_flow, seed);
	if (locality == Locality::campus) {
		traffic::GeneratorParams p;
		p.profile = traffic::Profile::campus;
		p.rate_bps = campus_bps;
		p.seed = seed;
		p.campus.ipv6_permille = 0; // the chain is IPv4
		campus_ = std::make_unique<traffic::Generator>(p);
		more_.resize(4096);
		more_at_ = more_.size();
	}
}

uint64_t Traffic::next_flow()
{
	const auto any = [this] {
		return static_cast<uint64_t>(static_cast<unsigned __int128>(random_()) * flows_ >> 64);
	};
	if (locality_ == Locality::none)
		return any();
	if (locality_ == Locality::caida)
		return stream_->next().flow;
	Train &train = trains_[random_() % trains_.size()];
	if (train.left == 0)
		train = {any(), train_packets};
	train.left--;
	return train.flow;
}

const std::vector<Packet> &Traffic::next(uint32_t n, uint64_t after_ns)
{
	packets_.clear();
	metas_.clear();
	for (uint32_t i = 0; i < n; i++) {
		if (!campus_) {
			packets_.push_back({next_flow(), after_ns + (i + 1) * gap_ns, header_room});
			continue;
		}
		if (more_at_ == more_.size()) {
			campus_->read_meta(more_.data(), more_.size()); // endless
			more_at_ = 0;
		}
		const traffic::PacketMeta &m = more_[more_at_++];
		if (campus_epoch_ns_ == 0)
			campus_epoch_ns_ = after_ns + 1 - m.time_ns;
		metas_.push_back(m);
		packets_.push_back({m.flow, campus_epoch_ns_ + m.time_ns, m.length});
	}
	return packets_;
}

uint32_t Traffic::write(uint32_t i, uint8_t *frame) const
{
	if (campus_)
		return static_cast<uint32_t>(campus_->write(metas_[i], frame, header_room));
	return write_frame(packets_[i].flow, frame);
}

uint32_t Traffic::hash(uint32_t i) const
{
	if (campus_)
		return metas_[i].hash;
	return static_cast<uint32_t>(
		packet::fold_multiply(packets_[i].flow ^ packet::hash_c0, packet::hash_c1));
}

Buffers::Buffers(engine::Dma::Into into, int filler_core, uint64_t seed)
	: into_(into), memory_(size_t{nb_buffers} * nf::Mbuf::stride),
	  dma_(into, into == engine::Dma::Into::llc ? filler_core : -1)
{
	for (uint32_t i = 0; i < nb_buffers; i++)
		order_.push_back(
			reinterpret_cast<nf::Mbuf *>(memory_.data() + size_t{i} * nf::Mbuf::stride));
	std::mt19937_64 random(seed);
	std::shuffle(order_.begin(), order_.end(), random);
}

nf::Mbuf **Buffers::fill(const Traffic &traffic, std::span<const Packet> packets, uint32_t first,
                         uint32_t n)
{
	filled_.resize(n);
	lengths_.resize(n);
	for (uint32_t i = 0; i < n; i++)
		filled_[i] = order_[(next_ + i) % nb_buffers];
	next_ = (next_ + n) % nb_buffers;
	dma_.run([&] {
		for (uint32_t i = 0; i < n; i++) {
			nf::Mbuf &m = *filled_[i];
			lengths_[i] = traffic.write(first + i, m.data());
			if (into_ == engine::Dma::Into::dram)
				_mm_clflush(m.data());
		}
		_mm_mfence();
	});
	// A driver writes a buffer's own line on the core that polls.
	for (uint32_t i = 0; i < n; i++) {
		nf::Mbuf &m = *filled_[i];
		m.captured = lengths_[i];
		m.wire = packets[first + i].wire;
		m.rss = traffic.hash(first + i);
	}
	return filled_.data();
}

} // namespace reframer::lab::chains
