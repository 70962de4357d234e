// A capture as the source of a trial: repeated until the trial ends, sent at the trial's rate.
#include "lab/reframer/trial_source.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"
#include "packet/toeplitz.hpp"
#include "traffic/capture.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>

namespace reframer::lab {

namespace {

constexpr uint32_t ethernet_header = 14;

class CaptureSource final : public TrialSource {
public:
	explicit CaptureSource(const TrialSpec &spec)
		: TrialSource(spec.queues), file_(spec.source.file), ns_per_bit_(1e9 / spec.offered_bps),
		  ns_per_packet_(spec.offered_pps > 0 ? 1e9 / spec.offered_pps : 0),
		  toeplitz_(packet::toeplitz_key_microsoft)
	{
		if (spec.source.scaled)
			measure();
		reader_ = traffic::open_capture(file_);
	}

private:
	bool peek(Packet &out) override
	{
		if (!ready_)
			prepare();
		out = packet_;
		return true;
	}

	void copy(uint8_t *out, uint32_t captured) override
	{
		const packet::Frame &f = frames_[at_];
		if (f.link == packet::LinkType::ethernet) {
			std::memcpy(out, f.data, captured);
			return;
		}
		// An Ethernet link of our own in front of what the capture's link carried.
		uint8_t header[ethernet_header] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
		uint16_t type = headers_.version == 4   ? 0x0800
		                : headers_.version == 6 ? 0x86dd
		                                        : headers_.ether_type;
		header[12] = static_cast<uint8_t>(type >> 8);
		header[13] = static_cast<uint8_t>(type);
		uint32_t n = std::min(captured, ethernet_header);
		std::memcpy(out, header, n);
		std::memcpy(out + n, f.data + l3_, captured - n);
	}

	void next() override
	{
		ready_ = false;
		at_++;
	}

	void prepare()
	{
		while (at_ == nb_frames_) {
			nb_frames_ = reader_->read(frames_.data(), frames_.size());
			at_ = 0;
			if (nb_frames_)
				break;
			if (!frames_in_file_)
				throw JobError("capture-empty", file_ + " holds no frame to send");
			reader_ = traffic::open_capture(file_);
			repeats_++;
		}
		frames_in_file_++;
		const packet::Frame &f = frames_[at_];
		headers_ = packet::parse(f);
		packet::FlowKey key = packet::flow_key_of(headers_, f.data);
		auto [entry, added] = flows_.try_emplace(key, static_cast<uint32_t>(flows_.size()));
		uint32_t captured = f.captured, wire = std::max(f.wire, f.captured);
		if (f.link != packet::LinkType::ethernet) {
			l3_ = cut_of(f);
			captured = captured - l3_ + ethernet_header;
			wire = wire - l3_ + ethernet_header;
		}
		packet_ = {0, std::min<uint32_t>(captured, nf::Mbuf::data_room), wire, toeplitz_(key),
		           entry->second};
		if (scale_ > 0) {
			double own =
				f.time_ns > first_ns_ ? static_cast<double>(f.time_ns - first_ns_) * scale_ : 0;
			time_ = std::max(time_, own + static_cast<double>(repeats_) * period_ns_);
			packet_.time_ns = static_cast<uint64_t>(time_);
		} else {
			packet_.time_ns = static_cast<uint64_t>(time_);
			time_ +=
				ns_per_packet_ > 0 ? ns_per_packet_ : static_cast<double>(wire) * 8 * ns_per_bit_;
		}
		ready_ = true;
	}

	// Bytes of a foreign link that make place for our Ethernet header; headers_ are the frame's.
	uint32_t cut_of(const packet::Frame &f) const
	{
		return headers_.version ? std::min(headers_.l3, f.captured) : 0;
	}

	// One pass for the capture's own mean rate.
	void measure()
	{
		auto reader = traffic::open_capture(file_);
		uint64_t bits = 0, last = 0;
		bool any = false;
		while (size_t n = reader->read(frames_.data(), frames_.size())) {
			for (size_t i = 0; i < n; i++) {
				if (!any)
					first_ns_ = frames_[i].time_ns;
				any = true;
				last = std::max(last, frames_[i].time_ns);
				bits += uint64_t{std::max(frames_[i].wire, frames_[i].captured)} * 8;
				if (frames_[i].link != packet::LinkType::ethernet) {
					headers_ = packet::parse(frames_[i]);
					bits = bits + ethernet_header * 8 - uint64_t{cut_of(frames_[i])} * 8;
				}
			}
		}
		if (!any || last <= first_ns_)
			throw JobError("bad-spec", file_ + " has no span of time to scale; use timing \"rate\"",
			               2);
		period_ns_ = static_cast<double>(bits) * ns_per_bit_;
		scale_ = period_ns_ / static_cast<double>(last - first_ns_);
	}

	std::string file_;
	double ns_per_bit_, ns_per_packet_;
	packet::Toeplitz toeplitz_;
	std::unique_ptr<traffic::CaptureReader> reader_;
	std::unordered_map<packet::FlowKey, uint32_t> flows_;
	std::array<packet::Frame, 256> frames_{};
	size_t at_ = 0, nb_frames_ = 0;
	uint64_t frames_in_file_ = 0, repeats_ = 0;
	double scale_ = 0, period_ns_ = 0, time_ = 0;
	uint64_t first_ns_ = 0;
	bool ready_ = false;
	Packet packet_{};
	packet::Headers headers_{};
	uint32_t l3_ = 0;
};

} // namespace

std::unique_ptr<TrialSource> open_capture_source(const TrialSpec &spec)
{
	return std::make_unique<CaptureSource>(spec);
}

} // namespace reframer::lab
