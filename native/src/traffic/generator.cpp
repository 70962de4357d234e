#include "traffic/generator.hpp"

#include "traffic/campus.hpp"

#include <algorithm>
#include <string>

namespace reframer::traffic {

namespace {

constexpr uint64_t ns_per_second = 1000000000;
constexpr uint64_t default_rate_bps = 10000000000;
constexpr size_t frames_a_read = 256;

void check(bool good, const char *what)
{
	if (!good)
		throw GeneratorError(what);
}

} // namespace

Generator::Generator(const GeneratorParams &params)
	: params_(params),
	  salt_(static_cast<uint32_t>(mix64(params.seed + 0x5eed) >> 32)), random_{mix64(params.seed)}
{
	check(params_.queues >= 1 && params_.queues <= 128, "queues must be from 1 to 128");
	check(params_.queue < params_.queues, "queue must be below queues");
	check(params_.snaplen >= 64, "snaplen must be at least 64: headers are always whole");
	check(params_.rate_bps <= 10000 * ns_per_second, "rate must be at most 10 Tbps");
	if (params_.profile == Profile::campus) {
		campus_ = std::make_unique<Campus>(params_.campus, params_.rate_bps, params_.seed, salt_,
		                                   params_.queues, params_.queue);
		return;
	}
	check(params_.flows >= 1 && params_.flows <= 1u << 30, "flows must be from 1 to 2^30");
	check(params_.frame_length >= 60 && params_.frame_length <= max_frame_length,
	      "frame length must be from 60 to 9014 bytes (without FCS)");
	if (params_.profile == Profile::clients) {
		check(params_.packets_per_flow >= 1, "packets per flow must be at least 1");
		check(params_.interleave >= 1 && params_.interleave <= params_.packets_per_flow,
		      "interleave must be from 1 to the packets per flow");
		if (params_.packets == 0)
			params_.packets = uint64_t{params_.flows} * params_.packets_per_flow;
	}
	if (params_.rate_bps == 0)
		params_.rate_bps = default_rate_bps;
	check(params_.rate_bps >= 1000, "rate must be at least 1000 bit/s");
	const uint64_t scaled = uint64_t{params_.frame_length} * 8 * ns_per_second;
	step_ns_ = scaled / params_.rate_bps;
	step_rest_ = scaled % params_.rate_bps;
}

Generator::~Generator() = default;

bool Generator::mine(uint32_t hash) const
{
	return params_.queues == 1 || rss_queue(hash, params_.queues) == params_.queue;
}

uint64_t Generator::next_time()
{
	const uint64_t now = time_ns_;
	time_ns_ += step_ns_;
	rest_ += step_rest_;
	if (rest_ >= params_.rate_bps) {
		rest_ -= params_.rate_bps;
		time_ns_++;
	}
	return now;
}

size_t Generator::read_meta(PacketMeta *out, size_t room)
{
	switch (params_.profile) {
	case Profile::uniform:
		return read_uniform(out, room);
	case Profile::clients:
		return read_clients(out, room);
	case Profile::syn_flood:
		return read_syn_flood(out, room);
	case Profile::elephant:
		return read_elephant(out, room);
	case Profile::incast:
		return read_incast(out, room);
	case Profile::campus:
		break;
	}
	if (params_.packets != 0)
		room = static_cast<size_t>(std::min<uint64_t>(room, params_.packets - produced_));
	const size_t n = campus_->read(out, room);
	produced_ += n;
	return n;
}

// `packets` counts those of the full traffic: with a queue filter fewer come out. A UDP flow's
// `seq` counts its packets only where that costs no table of flows.
size_t Generator::read_uniform(PacketMeta *out, size_t room)
{
	size_t n = 0;
	while (n < room && more()) {
		const uint64_t time = next_time();
		const uint32_t flow = random_.below(params_.flows);
		n += put_udp(out + n, time, flow, static_cast<uint32_t>(produced_++));
	}
	return n;
}

size_t Generator::put_udp(PacketMeta *out, uint64_t time, uint32_t flow, uint32_t number) const
{
	const uint32_t hash = hash_of(flow, 0);
	if (!mine(hash))
		return 0;
	const uint16_t length = static_cast<uint16_t>(params_.frame_length);
	*out = {time, flow, hash, number, 0, length, static_cast<uint16_t>(length - header_length(0)),
	        0,    0,    0};
	return 1;
}

size_t Generator::read_clients(PacketMeta *out, size_t room)
{
	const uint16_t length = static_cast<uint16_t>(params_.frame_length);
	const uint16_t payload = static_cast<uint16_t>(length - header_length(0));
	size_t n = 0;
	while (n < room && produced_ < params_.packets) {
		const uint32_t first = round_ * params_.interleave;
		const uint32_t turn = std::min(params_.interleave, params_.packets_per_flow - first);
		const uint64_t time = next_time();
		const uint32_t seq =
			static_cast<uint32_t>(replay_ * params_.packets_per_flow) + first + turn_;
		const uint32_t hash = hash_of(client_, 0);
		produced_++;
		if (mine(hash))
			out[n++] = {time, client_, hash, seq, 0, length, payload, 0, 0, 0};
		if (++turn_ < turn)
			continue;
		turn_ = 0;
		if (++client_ < params_.flows)
			continue;
		client_ = 0;
		if (first + turn < params_.packets_per_flow) {
			round_++;
		} else {
			round_ = 0;
			replay_++;
		}
	}
	return n;
}

size_t Generator::read(packet::Frame *out, size_t room)
{
	const size_t stride = (std::min<size_t>(params_.snaplen, max_frame_length) + 63) / 64 * 64;
	if (meta_.empty()) {
		meta_.resize(frames_a_read);
		buffer_.resize(frames_a_read * stride);
	}
	const size_t n = read_meta(meta_.data(), std::min(room, frames_a_read));
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = buffer_.data() + i * stride;
		const size_t captured = write(meta_[i], data, std::min<size_t>(params_.snaplen, stride));
		out[i] = {data,
		          static_cast<uint32_t>(captured),
		          meta_[i].length,
		          meta_[i].time_ns,
		          packet::LinkType::ethernet,
		          0};
	}
	return n;
}

} // namespace reframer::traffic
