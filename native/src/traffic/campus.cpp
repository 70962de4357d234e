#include "traffic/campus.hpp"

#include <algorithm>

namespace reframer::traffic {

namespace {

__extension__ using uint128_t = unsigned __int128;

constexpr unsigned slot_bits = 10, epoch_bits = 14, far_bits = 13;
constexpr uint64_t near_slots = 1u << epoch_bits, far_slots = 1u << far_bits;
constexpr uint64_t longest_gap_ns = uint64_t{1} << 36;  // stays inside the far slots
constexpr uint64_t start_ns = uint64_t{1} << slot_bits; // the first slot is already being played
constexpr uint32_t small_size = 12;    // packets: up to here requests and answers, above it bulk
constexpr uint32_t least_pauses = 655; // of 65536: trains of a hundred packets are the longest
constexpr uint64_t ln2_q32 = 0xb17217f8;

uint64_t ln_ratio_q24(uint64_t high, uint64_t low)
{
	return (static_cast<uint64_t>(log2_q24(high) - log2_q24(low)) * ln2_q32) >> 32;
}

uint64_t log_uniform(uint64_t low, uint64_t high, uint32_t u)
{
	const int64_t from = log2_q24(low), to = log2_q24(high);
	return std::clamp(exp2_q24(from + (((to - from) * static_cast<int64_t>(u)) >> 32)), low, high);
}

uint64_t linear(uint64_t low, uint64_t high, uint32_t u)
{
	return low + static_cast<uint64_t>((uint128_t{high - low} * u) >> 32);
}

// Means of the log-uniform draws, in units of 1/256 packet and in ns.
uint64_t mean_size_q8(const SizeBand &band)
{
	if (band.size_high - band.size_low == 1)
		return uint64_t{band.size_low} << 8;
	// Half a packet less: the draw is rounded down.
	return (uint64_t{band.size_high - band.size_low} << 32) /
	           ln_ratio_q24(band.size_high, band.size_low) -
	       128;
}

uint64_t mean_gap(const SizeBand &band)
{
	return static_cast<uint64_t>((uint128_t{band.gap_high_ns - band.gap_low_ns} << 24) /
	                             ln_ratio_q24(band.gap_high_ns, band.gap_low_ns));
}

SizeBand slowed(SizeBand band, uint32_t fastest_pps)
{
	band.gap_low_ns = std::max<uint64_t>(band.gap_low_ns, 1000000000 / fastest_pps);
	band.gap_high_ns = std::max(band.gap_high_ns, band.gap_low_ns + band.gap_low_ns / 8);
	return band;
}

uint64_t mean_reverse_q8(uint64_t size_q8)
{
	return size_q8 <= 31 << 8 ? size_q8 : (31 << 8) + (size_q8 - (31 << 8)) / 3;
}

uint32_t quantile(const std::array<uint32_t, 1025> &table, uint32_t u)
{
	const uint32_t cell = u >> 22, rest = u & 0x3fffff;
	return table[cell] +
	       static_cast<uint32_t>((uint64_t{table[cell + 1] - table[cell]} * rest) >> 22);
}

} // namespace

Campus::Campus(const CampusParams &params, uint64_t rate_bps, uint64_t seed, uint32_t salt,
               uint32_t queues, uint32_t queue)
	: params_(params), seed_(mix64(seed ^ 0xca3905)), salt_(salt), queues_(queues),
	  queue_(queue), arrivals_{mix64(seed + 1)}, chunks_(1), near_(near_slots), far_(far_slots),
	  slot_(0)
{
	if (rate_bps == 0)
		rate_bps = campus_segment_bps * params_.segments_percent / 100;
	build_tables();
	uint64_t packets_q8 = 0; // of 10^9 connections
	for (const SizeBand &band : campus_size_bands())
		packets_q8 += band.share * (mean_size_q8(band) + mean_reverse_q8(mean_size_q8(band))) >> 8;
	// Bits of a connection over the rate: packets_q8 / 10^9 packets of 8 * 1087 bits.
	arrival_mean_q16_ =
		static_cast<uint64_t>((uint128_t{packets_q8} * 8 * campus_mean_frame << 16) / rate_bps);
	start_stationary();
	next_arrival_ns_ = start_ns;
}

void Campus::build_tables()
{
	for (uint32_t weight : params_.gap_weight)
		short_share_ += weight;
	uint64_t sum = 0;
	for (size_t i = 0; i <= 1024 && short_share_ != 0; i++) {
		uint64_t place = (uint64_t{short_share_} * i) >> 10;
		size_t band = 0;
		while (band + 1 < nb_gap_bands && place >= params_.gap_weight[band])
			place -= params_.gap_weight[band++];
		const uint64_t weight = std::max<uint64_t>(params_.gap_weight[band], 1);
		const uint64_t u = std::min<uint64_t>((place << 32) / weight, 0xffffffff);
		short_gap_[i] = static_cast<uint32_t>(
			log_uniform(gap_bands[band].low_ns, gap_bands[band].high_ns, static_cast<uint32_t>(u)));
		sum += short_gap_[i];
	}
	short_mean_ns_ = (sum - (short_gap_[0] + short_gap_[1024]) / 2) >> 10;
	for (uint32_t i = 0; i < 1024; i++)
		pause_[i] = static_cast<uint32_t>(exponential_q24(
			static_cast<uint32_t>(std::min<uint64_t>(uint64_t{1024 - i} << 22, 0xffffffff))));
	// The last cell stands for the whole tail: its mean is ln(1024) + 1.
	pause_[1024] = pause_[1023] + (2u << 24);
}

// The connections alive at time 0: as many as arrivals times mean life, each band in proportion to
// its share of the life, and inside a band lives weighted by their length (which turns a
// log-uniform draw into a uniform one).
void Campus::start_stationary()
{
	std::vector<uint64_t> until;
	uint64_t total = 0;
	for (const SizeBand &band : campus_size_bands()) {
		// share / 10^9 * (size - 1) * gap / time between arrivals, in 1/256 connection.
		const uint128_t life = uint128_t{mean_size_q8(band) - 256} *
		                       mean_gap(slowed(band, params_.fastest_pps)) * band.share /
		                       1000000000;
		total += static_cast<uint64_t>((life << 16) / arrival_mean_q16_);
		until.push_back(total);
	}
	size_t band = 0;
	for (uint64_t place = 128; place < total; place += 256) {
		while (place >= until[band])
			band++;
		add_connection(start_ns, &campus_size_bands()[band]);
	}
}

void Campus::set_pace(Flow &flow, uint64_t mean_gap_ns) const
{
	// Pauses as the mean gap asks; where they would be shorter than the floor, longer trains; where
	// trains without a pause are still too slow, shorter gaps.
	const uint64_t floor = params_.pause_floor_ns;
	uint64_t pauses = 65536 - short_share_;
	uint64_t pause = floor;
	flow.scale = 1024;
	if (mean_gap_ns << 16 >= short_share_ * short_mean_ns_ + pauses * floor) {
		pause = ((mean_gap_ns << 16) - short_share_ * short_mean_ns_) / pauses;
	} else {
		const uint64_t least = short_mean_ns_ + (floor - short_mean_ns_) * least_pauses / 65536;
		pauses = least_pauses;
		if (mean_gap_ns > least)
			pauses = ((mean_gap_ns - short_mean_ns_) << 16) / (floor - short_mean_ns_);
		else
			flow.scale = static_cast<uint16_t>(mean_gap_ns * 1024 / least);
	}
	flow.pauses = static_cast<uint16_t>(pauses);
	flow.pause_ns16 = static_cast<uint32_t>(std::min<uint64_t>(pause >> 4, 0xffffffff));
}

// From a random moment to the next packet: inside a pause or a short gap as often as they take time.
uint64_t Campus::residual_gap(const Flow &flow, Random &random) const
{
	const uint64_t short_part = ((65536u - flow.pauses) * short_mean_ns_ >> 10) * flow.scale;
	const uint64_t pause_part = flow.pauses * (uint64_t{flow.pause_ns16} << 4);
	const uint32_t u = random.next32();
	const uint64_t rest = random.next32();
	if (uint128_t{u} * (short_part + pause_part) < uint128_t{short_part} << 32)
		return (rest * quantile(short_gap_, random.next32()) * flow.scale) >> 42;
	return std::min(longest_gap_ns,
	                (uint64_t{flow.pause_ns16} * quantile(pause_, static_cast<uint32_t>(rest))) >>
	                    20);
}

void Campus::add_connection(uint64_t now, const SizeBand *alive)
{
	const uint32_t number = nb_connections_++;
	Random random{mix64(seed_ + number)};
	const SizeBand *band = alive;
	if (!band) {
		uint32_t place = random.below(1000000000);
		for (band = campus_size_bands().data(); place >= band->share; band++)
			place -= band->share;
	}
	const SizeBand paced = slowed(*band, params_.fastest_pps);
	const auto draw = alive ? linear : log_uniform;
	const uint32_t size = static_cast<uint32_t>(std::min<uint64_t>(
		draw(band->size_low, band->size_high, random.next32()), band->size_high - 1));
	const uint64_t gap = draw(paced.gap_low_ns, paced.gap_high_ns, random.next32());
	const uint32_t sizes[2] = {size, campus_reverse_size(size)};
	// Three of four campus transfers are downloads: the larger flow is the server's.
	const uint32_t larger = random.below(4) != 0;

	uint8_t kind = kind_paired;
	if (random.below(1000) < params_.ipv6_permille)
		kind |= kind_ipv6;
	const bool small = size <= small_size;
	const uint32_t service = random.below(100);
	uint8_t role = small ? role_small : 0;
	if (random.below(1000) < (small ? params_.udp_permille : params_.quic_permille)) {
		if (small && service < 80) {
			kind |= 2 << kind_service_shift;
			role |= role_single;
		}
	} else {
		kind |= kind_tcp;
		if (service >= 75)
			kind |= static_cast<uint8_t>((service < 90 ? 1 : 3) << kind_service_shift);
		// 13 % of the published frames are 65-66 bytes, 7.5 % 64: pure ACKs with and without.
		if (random.below(100) < 63)
			kind |= kind_timestamps;
	}
	static constexpr uint16_t full[32] = {1494, 1494, 1494, 1434, 1434, 1474, 1454};
	const uint16_t segment = full[random.below(32)];
	const uint32_t progress = random.next32();
	// Between the two directions lies a round trip: 0.2 to 40 ms.
	const uint64_t round_trip = log_uniform(200000, 40000000, random.next32());

	for (uint32_t side = 0; side < 2; side++) {
		const uint32_t mine = sizes[side != larger];
		Flow flow{};
		flow.flow = number << 1 | side;
		flow.kind = kind;
		flow.role = role | (side != larger ? role_acks : 0);
		flow.full = segment ? segment : 1514;
		flow.random.state = random.next();
		flow.seq = kind & kind_tcp ? random.next32() : 0;
		flow.ack = kind & kind_tcp ? random.next32() : 0;
		flow.remaining = mine;
		// Both directions take equally long.
		set_pace(flow, mine > 1 ? gap * (size - 1) / (mine - 1) : gap);
		if (alive) {
			flow.role |= role_started;
			flow.remaining = 1 + static_cast<uint32_t>((uint64_t{mine - 1} * progress) >> 32);
			flow.time_ns = now + residual_gap(flow, random);
		} else {
			flow.time_ns = now + (side ? round_trip : 0);
		}
		flow.hash = flow_hash(flow_tuple(salt_, flow.flow, kind));
		if (queues_ == 1 || rss_queue(flow.hash, queues_) == queue_)
			add_flow(flow);
	}
}

void Campus::add_flow(Flow flow)
{
	uint32_t index;
	if (free_.empty()) {
		index = static_cast<uint32_t>(flows_.size());
		flows_.push_back(flow);
	} else {
		index = free_.back();
		free_.pop_back();
		flows_[index] = flow;
	}
	schedule(index, flow.time_ns);
}

void Campus::push(uint32_t &list, uint32_t index)
{
	if (list == 0 || chunks_[list].count == std::size(Chunk{}.item)) {
		uint32_t fresh;
		if (free_chunks_.empty()) {
			fresh = static_cast<uint32_t>(chunks_.size());
			chunks_.emplace_back();
		} else {
			fresh = free_chunks_.back();
			free_chunks_.pop_back();
		}
		chunks_[fresh].next = list;
		chunks_[fresh].count = 0;
		list = fresh;
	}
	Chunk &chunk = chunks_[list];
	chunk.item[chunk.count++] = index;
}

template <typename Visit> void Campus::take(uint32_t &list, Visit visit)
{
	uint32_t at = list;
	list = 0;
	while (at != 0) {
		const Chunk chunk = chunks_[at]; // a copy: visiting may add chunks
		free_chunks_.push_back(at);
		for (uint32_t i = 0; i < chunk.count; i++)
			visit(chunk.item[i]);
		at = chunk.next;
	}
}

void Campus::insert_due(const Due &due)
{
	due_.insert(std::upper_bound(due_.begin() + static_cast<ptrdiff_t>(due_head_), due_.end(), due),
	            due);
}

void Campus::schedule(uint32_t index, uint64_t time_ns)
{
	const uint64_t slot = time_ns >> slot_bits;
	if (slot <= slot_)
		insert_due({time_ns, flows_[index].flow, index});
	else if (slot >> epoch_bits == slot_ >> epoch_bits)
		push(near_[slot & (near_slots - 1)], index);
	else
		push(far_[(slot >> epoch_bits) & (far_slots - 1)], index);
}

void Campus::prefetch(uint64_t slot) const
{
	// The list heads are known four slots ahead, the flows two slots ahead (2 us of traffic).
	__builtin_prefetch(&chunks_[near_[(slot + 4) & (near_slots - 1)]]);
	const Chunk &chunk = chunks_[near_[(slot + 2) & (near_slots - 1)]];
	for (uint32_t i = 0; i < chunk.count; i++)
		__builtin_prefetch(&flows_[chunk.item[i]], 1);
}

void Campus::next_slot()
{
	due_.clear();
	due_head_ = 0;
	while (due_.empty()) {
		slot_++;
		if ((slot_ & (near_slots - 1)) == 0)
			take(far_[(slot_ >> epoch_bits) & (far_slots - 1)],
			     [this](uint32_t index) { schedule(index, flows_[index].time_ns); });
		prefetch(slot_);
		take(near_[slot_ & (near_slots - 1)], [this](uint32_t index) {
			due_.push_back({flows_[index].time_ns, flows_[index].flow, index});
		});
		std::sort(due_.begin(), due_.end());
		while (next_arrival_ns_ >> slot_bits <= slot_) {
			add_connection(next_arrival_ns_, nullptr);
			next_arrival_ns_ += static_cast<uint64_t>(
				(uint128_t{exponential_q24(arrivals_.next32())} * arrival_mean_q16_) >> 40);
		}
	}
}

uint64_t Campus::next_gap(const Flow &flow, uint64_t random) const
{
	const uint32_t u = static_cast<uint32_t>(random >> 32);
	if (pauses_next(flow, random))
		return std::min(longest_gap_ns, (uint64_t{flow.pause_ns16} * quantile(pause_, u)) >> 20);
	return (uint64_t{quantile(short_gap_, u)} * flow.scale) >> 10;
}

void Campus::emit(Flow &flow, uint64_t random, PacketMeta &out) const
{
	const uint32_t headers = static_cast<uint32_t>(header_length(flow.kind));
	const uint32_t choice = (random >> 16) & 0xffff;
	const uint32_t u = static_cast<uint32_t>(mix64(random) >> 32); // where the length is not fixed
	const auto between = [u](uint32_t low, uint32_t high) {
		return low + static_cast<uint32_t>((uint64_t{high - low} * u) >> 32);
	};
	const bool tcp = flow.kind & kind_tcp;
	uint32_t length = 0; // 0: nothing but headers
	uint8_t flags = tcp ? tcp_ack : 0;
	if (tcp && !(flow.role & role_started))
		flags = flow.flow & 1 ? tcp_syn | tcp_ack : tcp_syn;
	else if (tcp && flow.remaining == 1)
		flags = tcp_fin | tcp_ack;
	else if (flow.role & role_single)
		length = flow.flow & 1 ? between(90, 400) : between(76, 130);
	else if (flow.role & role_small)
		length = choice < 22000 && tcp ? 0 : choice < 32000 ? between(90, 700) : flow.full;
	else if (flow.role & role_acks)
		length = choice < 60293 ? (tcp ? 0 : between(75, 95)) : between(90, 700);
	else
		length = choice < 64900 ? flow.full : between(100, flow.full);

	const uint32_t payload = length > headers ? length - headers : 0;
	if (payload != 0 && tcp && (pauses_next(flow, random) || flow.remaining == 1))
		flags |= tcp_psh;
	out = {flow.time_ns - start_ns,
	       flow.flow,
	       flow.hash,
	       flow.seq,
	       flow.ack,
	       static_cast<uint16_t>(std::max(headers + payload, 64u)),
	       static_cast<uint16_t>(payload),
	       flags,
	       flow.kind,
	       0};
	if (tcp) {
		flow.seq += payload + (flags & (tcp_syn | tcp_fin) ? 1 : 0);
		if (flow.role & role_acks)
			flow.ack += 3 * uint32_t{flow.full};
	} else {
		flow.seq++;
	}
	flow.role |= role_started;
}

size_t Campus::read(PacketMeta *out, size_t room)
{
	size_t n = 0;
	while (n < room) {
		if (due_head_ == due_.size())
			next_slot();
		const Due due = due_[due_head_++];
		Flow &flow = flows_[due.index];
		const uint64_t random = flow.random.next();
		emit(flow, random, out[n++]);
		if (--flow.remaining == 0) {
			free_.push_back(due.index);
			continue;
		}
		flow.time_ns += next_gap(flow, random);
		schedule(due.index, flow.time_ns);
	}
	return n;
}

} // namespace reframer::traffic
