// Packets of an attacker, and the legitimate ones among which they come.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace reframer::lab {

enum class Attack : uint8_t {
	none,
	syn_flood,  // SYNs of random addresses and ports to one server
	one_packet, // UDP flows of one packet
	elephant,   // one flow
	same_hash,  // random flows whose NIC hashes are all one value
	same_set,   // random flows whose NIC hashes agree in the low 20 bits
	fragments,  // first fragments of packets that are never completed
	crafted,    // tunnels in tunnels, extension chains, lengths that lie
	drip,       // as many flows as fit into a hold time, round and round: every group stays alive
	capture,    // frames of a capture, round and round, with the hashes that a NIC gives them
};

inline constexpr uint32_t attack_frame_room = 640;

struct AttackFrame {
	std::array<uint8_t, attack_frame_room> bytes;
	uint32_t length;
	uint32_t rss;
	uint32_t flow; // number among the attacker's flows
};

class Attacker {
public:
	// `capture`: file of Attack::capture, Ethernet. @throws traffic::CaptureError, JobError
	Attacker(Attack kind, uint64_t seed, uint32_t nb_drip_flows, const std::string &capture);
	void next(AttackFrame &out);

private:
	void read(const std::string &file);

	Attack kind_;
	std::mt19937_64 random_;
	uint32_t nb_drip_flows_;
	uint32_t number_ = 0;
	std::vector<std::vector<uint8_t>> frames_; // crafted or captured
	std::vector<uint32_t> rss_;                // of captured ones
};

// Ethernet, IPv4, TCP or UDP of 60 bytes.
void write_plain(uint8_t *frame, uint32_t source, uint32_t destination, uint16_t source_port,
                 uint16_t destination_port, uint8_t protocol, uint8_t tcp_flags);
inline constexpr uint32_t plain_length = 60;

} // namespace reframer::lab
