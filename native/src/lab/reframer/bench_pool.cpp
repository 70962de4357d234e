#include "lab/reframer/bench_pool.hpp"

#include "jobs/job.hpp"
#include "packet/bytes.hpp"
#include "packet/hash.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <x86intrin.h>

namespace reframer::lab {

using Into = engine::Dma::Into;

namespace {

// Reading this much drives what was just written out of a second-level cache of 1 or 2 MiB into
// the last level: where a NIC's writes are, too.
constexpr size_t eviction_bytes = 4u << 20;
// Of 10 k flows 200 send at a time, of 100 k 500: about as in the campus traces; 24 packets each.
constexpr uint64_t many_flows = 100'000;
constexpr uint32_t trains_at_a_time = 200, trains_of_many = 500, train_packets = 24;
// A burst goes on with another packet of its flow in 3 of 13 cases: 1.3 packets on average.
constexpr uint32_t burst_goes_on = 3, burst_of = 13;
// Of eight queues, one.
constexpr uint64_t campus_bps = 70'000'000'000;
constexpr uint32_t campus_queues = 8, campus_read = 4096;

uint64_t mix(uint64_t x)
{
	return packet::fold_multiply(x ^ packet::hash_c0, packet::hash_c1);
}

void write_header(uint8_t *frame, uint64_t flow)
{
	const uint64_t a = mix(flow), b = mix(flow + (1ull << 40));
	std::memset(frame, 0, BenchPool::frame_bytes);
	frame[0] = 2;
	frame[6] = 2;
	packet::put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	packet::put_be16(frame + 16, BenchPool::frame_bytes - 14);
	frame[22] = 64;
	frame[23] = 6;
	packet::put_be32(frame + 26, static_cast<uint32_t>(a));
	packet::put_be32(frame + 30, static_cast<uint32_t>(a >> 32));
	packet::put_be32(frame + 34, static_cast<uint32_t>(b));
	frame[46] = 0x50;
	frame[47] = 0x10;
}

} // namespace

BenchPool::BenchPool(Into where, BenchTraffic kind, uint64_t flows, size_t stride, uint32_t buffers,
                     uint64_t seed, int filler_core)
	: place_(where), traffic_(kind), flows_(flows), stride_(stride), nb_buffers_(buffers),
	  random_(seed), buffers_(size_t{buffers} * stride),
	  dma_(where, where == Into::llc ? filler_core : -1)
{
	// A mempool in use for a while gives its buffers in no order. In order, the core's own stride
	// prefetcher would bring the headers.
	for (uint32_t i = 0; i < nb_buffers_; i++)
		order_.push_back(&buffers_[stride_ * i]);
	std::shuffle(order_.begin(), order_.end(), random_);
	if (traffic_ == BenchTraffic::trains)
		trains_.resize(flows >= many_flows ? trains_of_many : trains_at_a_time);
	if (traffic_ == BenchTraffic::campus)
		campus_ = std::make_unique<traffic::Campus>(traffic::CampusParams{}, campus_bps, seed,
		                                            uint32_t{1}, campus_queues, 0);
	if (place_ == Into::llc)
		eviction_.resize(eviction_bytes, 1);
}

uint64_t BenchPool::next_flow()
{
	const auto any = [this] {
		return static_cast<uint64_t>(static_cast<unsigned __int128>(random_()) * flows_ >> 64);
	};
	switch (traffic_) {
	case BenchTraffic::uniform:
		return any();
	case BenchTraffic::bursts:
		if (row_.left == 0) {
			row_ = {any(), 1};
			while (random_() % burst_of < burst_goes_on)
				row_.left++;
		}
		row_.left--;
		return row_.flow;
	case BenchTraffic::trains: {
		Train &train = trains_[random_() % trains_.size()];
		if (train.left == 0)
			train = {any(), train_packets};
		train.left--;
		return train.flow;
	}
	case BenchTraffic::campus:
		break;
	}
	if (next_meta_ == metas_.size()) {
		metas_.resize(campus_read);
		metas_.resize(campus_->read(metas_.data(), campus_read));
		next_meta_ = 0;
		if (metas_.empty())
			throw JobError("failed", "the campus generator has ended");
	}
	return metas_[next_meta_++].flow;
}

const Received &BenchPool::fill(uint32_t count)
{
	received_.packets.resize(count);
	received_.data.resize(count);
	received_.captured.assign(count, frame_bytes);
	received_.hash.resize(count);
	flow_.resize(count);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *buffer = order_[(next_buffer_ + i) % nb_buffers_];
		flow_[i] = next_flow();
		received_.packets[i] = buffer;
		received_.data[i] = buffer + data_offset;
		received_.hash[i] = static_cast<uint32_t>(mix(~flow_[i]));
	}
	dma_.run([this, count] {
		write(count);
		evict();
	});
	next_buffer_ = (next_buffer_ + count) % nb_buffers_;
	return received_;
}

void BenchPool::write(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *frame = order_[(next_buffer_ + i) % nb_buffers_] + data_offset;
		write_header(frame, flow_[i]);
		if (place_ == Into::dram)
			_mm_clflush(frame);
	}
	_mm_mfence();
}

void BenchPool::evict()
{
	volatile uint64_t sink = 0;
	uint64_t sum = 0;
	for (size_t i = 0; i < eviction_.size(); i += 64)
		sum += eviction_[i];
	sink = sum;
	(void)sink;
}

} // namespace reframer::lab
